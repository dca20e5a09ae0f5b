//! The JSON form of an event: one object, one line.
//!
//! ```json
//! {"hook":"message-publish","message":{"topic":"devices/k7/temp","payload":"21.5"}}
//! ```
//!
//! [`write()`] and [`read`] are the two directions, and `read(write(event))` is `event`, for every event. The form is
//! that of `wit/hook.wit`: keys are its names with `_` for `-`, names of hooks, reasons and properties are the same;
//! `docs/events.md` has the whole of it for users. It is stable: a key keeps its meaning and its default.
//!
//! The types of the event model derive the form. `write` leaves out only what is absent (`option`, empty lists). `read`
//! has a default for most keys, so that a person can write an event by hand; an unknown key is an error. The first
//! error of a line is reported with the path of its key ([`Problem`]).
//!
//! - `defaults.rs` has the values of keys that are left out;
//! - `client.rs`, `message.rs` and `property.rs` are what cannot be derived;
//! - `error.rs` says what is wrong and where.
//!
//! Pure: a text or an event comes in, the other goes out.

mod client;
pub(super) mod defaults;
mod error;
mod lines;
mod message;
mod property;
#[cfg(test)]
mod tests;

pub use hookhost_shared::problems::Problem;
pub use lines::{LineError, Lines, lines};
pub(super) use message::MessageForm;

use serde::de::DeserializeOwned;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Detail, Event, Hook, Id, Millis, Pairs};

/// When an event happened that does not say it: 2026-09-21T14:13:21Z. A fixed moment, so that a file of events gives
/// the same answers whenever it is used.
pub const DEFAULT_AT: Millis = Millis(1_790_000_001_000);

/// The event as one line, without the line's end.
#[expect(
    clippy::expect_used,
    reason = "writing to memory cannot fail, and every key is a string"
)]
pub fn write(event: &Event) -> String {
    serde_json::to_string(event).expect("an event is valid JSON")
}

/// Reads one event. Keys that are left out have the defaults of `docs/events.md`; the id is then `id`.
///
/// # Errors
///
/// The first mistake, with the path of its key.
pub fn read(line: &str, id: Id) -> Result<Event, Problem> {
    let mut envelope: Envelope = error::read("", error::parse(line)?)?;
    let key = record_key(envelope.hook);
    let mut record = envelope.rest.remove(key).unwrap_or_else(|| Value::Object(Map::new()));
    if let Some(unknown) = envelope.rest.keys().next() {
        return Err(error::unknown_key(
            unknown,
            &["id", "at", "utc_offset", "hook", key, "extras"],
        ));
    }
    let (id, at) = (envelope.id.unwrap_or(id), envelope.at.unwrap_or(DEFAULT_AT));
    error::refuse_lists(key, &record)?;
    inherit(&mut record, key, id, at);
    Ok(Event {
        id,
        at,
        utc_offset: envelope.utc_offset,
        detail: read_record(envelope.hook, record)?,
        extras: envelope.extras,
    })
}

/// The name of a hook in the contract: `message-publish`.
pub fn hook_name(hook: Hook) -> &'static str {
    hook.contract_name()
}

/// The outermost object; the record is in `rest`, under the key that belongs to the hook.
#[derive(Deserialize)]
struct Envelope {
    id: Option<Id>,
    at: Option<Millis>,
    #[serde(default)]
    utc_offset: i16,
    hook: Hook,
    #[serde(default, deserialize_with = "list")]
    extras: Pairs,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("id", &self.id)?;
        object.serialize_entry("at", &self.at)?;
        object.serialize_entry("utc_offset", &self.utc_offset)?;
        object.serialize_entry("hook", &self.detail.hook())?;
        write_record(&self.detail, &mut object)?;
        if !self.extras.is_empty() {
            object.serialize_entry("extras", &self.extras)?;
        }
        object.end()
    }
}

macro_rules! records {
    ($(
        #[doc = $meaning:literal] $kind:ident = $dotted:literal $name:literal,
        #[doc = $record_doc:literal] $record:ident: $type:ty;
    )+) => {
        /// The key of the record that an event of a hook carries.
        fn record_key(hook: Hook) -> &'static str {
            match hook { $(Hook::$kind => stringify!($record),)+ }
        }

        fn read_record(hook: Hook, record: Value) -> Result<Detail, Problem> {
            match hook { $(Hook::$kind => error::read(stringify!($record), record).map(Detail::$kind),)+ }
        }

        fn write_record<M: SerializeMap>(detail: &Detail, object: &mut M) -> Result<(), M::Error> {
            match detail { $(Detail::$kind(record) => object.serialize_entry(stringify!($record), record),)+ }
        }
    };
}
crate::with_hooks!(records);

/// Fills in what a record takes from its event by default: the id and time of a message, the time of a disconnection.
fn inherit(record: &mut Value, key: &str, id: Id, at: Millis) {
    let message: &[&str] = match key {
        "disconnection" => {
            if let Value::Object(record) = record {
                record.entry("disconnected_at").or_insert(at.0.into());
            }
            return;
        }
        "message" => &[],
        "delivery" | "message_drop" => &["message"],
        "acknowledgement" | "delivery_drop" => &["delivery", "message"],
        _ => return,
    };
    let message = message.iter().try_fold(record, |value, key| value.get_mut(key));
    if let Some(Value::Object(message)) = message {
        message.entry("id").or_insert_with(|| id.to_string().into());
        message.entry("received_at").or_insert(at.0.into());
    }
}

/// Reads a list; `null` is an empty one.
pub(super) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
