//! The outermost object: what all events have, and one record under the key that belongs to the hook.

use bytestring::ByteString;
use serde::Serializer;
use serde::ser::SerializeMap;
use serde_json::{Map, Value};

use super::form::{Field, Form, Key, Taken, Written};
use super::names;
use super::reader::Reader;
use crate::{Detail, Event, Hook};

const fn key(plain: &'static str) -> Key {
    Key { plain, base64: "" }
}

macro_rules! details {
    ($($hook:ident: $record:literal),* $(,)?) => {
        /// The key of the record that an event of a hook carries.
        pub(super) fn record(hook: Hook) -> &'static str {
            match hook { $(Hook::$hook => $record,)* }
        }

        fn put_detail<M: SerializeMap>(detail: &Detail, object: &mut M) -> Result<(), M::Error> {
            match detail { $(Detail::$hook(it) => object.serialize_entry($record, &Written(it)),)* }
        }

        fn read_detail(hook: Hook, value: Value, reader: &mut Reader) -> Option<Detail> {
            match hook { $(Hook::$hook => Form::read(value, reader).map(Detail::$hook),)* }
        }

        #[cfg(test)]
        pub(super) fn arbitrary_detail(hook: Hook, choices: &mut super::tests::Choices) -> Detail {
            match hook { $(Hook::$hook => Detail::$hook(super::tests::Arbitrary::arbitrary(choices)),)* }
        }
    };
}

details!(
    ClientConnect: "connection",
    ClientConnack: "connack",
    ClientConnected: "connack",
    ClientDisconnected: "disconnection",
    ClientAuthenticated: "authentication",
    ClientAuthorized: "authorization",
    ClientSubscribe: "subscription",
    ClientUnsubscribe: "unsubscription",
    SessionCreated: "session",
    SessionResumed: "session",
    SessionSubscribed: "subscription",
    SessionUnsubscribed: "unsubscription",
    SessionDiscarded: "session",
    SessionTakenOver: "session",
    SessionTerminated: "termination",
    MessagePublish: "message",
    MessageDelivered: "delivery",
    MessageAcked: "acknowledgement",
    MessageDropped: "message_drop",
    MessageRefused: "message_drop",
    DeliveryDropped: "delivery_drop",
    MessageQueued: "delivery",
    DeliveryLost: "delivery_loss",
    Other: "other_event",
);

impl Event {
    pub(super) fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_map(None)?;
        self.id.put(key("id"), &mut object)?;
        self.at.put(key("at"), &mut object)?;
        self.utc_offset.put(key("utc_offset"), &mut object)?;
        self.detail.hook().put(key("hook"), &mut object)?;
        put_detail(&self.detail, &mut object)?;
        self.extras.put(key("extras"), &mut object)?;
        object.end()
    }
}

/// The event; none if something is wrong, which the reader has noted then.
pub(super) fn read(value: Value, reader: &mut Reader) -> Option<Event> {
    let mut object = reader.object(value)?;
    // Before the record, which goes by them. What is wrong has been noted, and the default serves to read on.
    let id = take("id", &mut object, reader, |reader| Some(reader.id)).unwrap_or(reader.id);
    let at = take("at", &mut object, reader, |reader| Some(reader.at)).unwrap_or(reader.at);
    (reader.id, reader.at) = (id, at);
    let utc_offset = take("utc_offset", &mut object, reader, |_| Some(0));
    let extras = take("extras", &mut object, reader, |_| {
        Some(Vec::<(ByteString, ByteString)>::new())
    });
    let hook: Hook = take("hook", &mut object, reader, |reader| {
        reader.below("hook", |reader| {
            reader.problem("is missing; it says what happened, such as \"message-publish\"");
        });
        None
    })?;
    let record = record(hook);
    let value = object.remove(record).unwrap_or_else(|| Value::Object(Map::new()));
    let detail = reader.below(record, |reader| read_detail(hook, value, reader));
    let of = format!("a {} event", names::hook(hook));
    reader.rest(object, &of, &["id", "at", "utc_offset", "hook", record, "extras"]);
    Some(Event {
        id,
        at,
        utc_offset: utc_offset?,
        detail: detail?,
        extras: extras?,
    })
}

fn take<T: Field>(
    name: &'static str,
    object: &mut Map<String, Value>,
    reader: &mut Reader,
    absent: impl FnOnce(&mut Reader) -> Option<T>,
) -> Option<T> {
    match T::take(key(name), object, reader) {
        Taken::Found(value) => Some(value),
        Taken::Wrong => None,
        Taken::Absent => absent(reader),
    }
}
