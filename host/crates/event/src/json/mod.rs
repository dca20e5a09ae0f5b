//! The JSON form of an event: one object, one line.
//!
//! ```json
//! {"hook":"message-publish","message":{"topic":"devices/k7/temp","payload":"21.5"}}
//! ```
//!
//! [`write()`] and [`read`] are the two directions, and `read(write(event))` is `event`, for every event. The form is
//! that of `wit/hook.wit`: keys are its names with `_` for `-`, names of hooks, reasons and properties stand as they
//! are there; `docs/events.md` has the whole of it for users. It is stable: a key keeps its meaning and its default.
//!
//! What is written says everything but what is absent (`option`, empty lists). What is read may leave out whatever has
//! a sensible default, so that a person can write an event by hand; a key that nobody knows is a mistake, and all
//! mistakes of a line are told at once, each with its path ([`Problem`]).
//!
//! - `records.rs` is the form itself: one table with the fields of all records and their defaults, for both directions;
//! - `names.rs` are the words of enums, `property.rs` the properties of MQTT 5, `event.rs` the outermost object;
//! - `form.rs` has the values that all of them are made of, `reader.rs` notes what is wrong and where.
//!
//! Pure: a text or an event comes in, the other goes out.

mod event;
mod form;
mod lines;
mod names;
mod property;
mod reader;
mod records;
#[cfg(test)]
mod tests;

pub use hookhost_shared::problems::{Problem, Problems};
pub use lines::{LineError, Lines, lines};

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{Event, Hook, Id};
use reader::Reader;

/// When an event happened that does not say it: 2026-09-21T14:13:21Z. A fixed moment, so that a file of events gives
/// the same answers whenever it is used.
pub const DEFAULT_AT: super::Millis = super::Millis(1_790_000_001_000);

/// The event as one line, without the line's end.
pub fn write(event: &Event) -> String {
    // Writing into memory does not fail, and every key is a text.
    serde_json::to_string(event).unwrap_or_default()
}

/// Reads one event. What the line does not say has the defaults of `docs/events.md`; the id is then `id`.
///
/// # Errors
///
/// Everything that is wrong with it, each with the path of the key.
pub fn read(line: &str, id: Id) -> Result<Event, Problems> {
    let value = serde_json::from_str(line).map_err(|error| Problems::one("", syntax(&error)))?;
    read_value(value, id)
}

/// As [`read`], for JSON that has been parsed.
///
/// # Errors
///
/// As [`read`].
pub fn read_value(value: Value, id: Id) -> Result<Event, Problems> {
    let mut reader = Reader::new(id, DEFAULT_AT);
    let event = event::read(value, &mut reader);
    match event {
        Some(event) if reader.problems.is_empty() => Ok(event),
        _ => Err(reader.problems),
    }
}

/// The name of a hook in the contract: `message-publish`.
pub fn hook_name(hook: Hook) -> &'static str {
    names::hook(hook)
}

/// The JSON form.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.write(serializer)
    }
}

/// What serde_json says, with the column and without the line, which is always 1.
fn syntax(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    format!("is not JSON at column {}: {text}", error.column())
}
