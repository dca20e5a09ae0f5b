//! The records: their fields in the order of the contract, and what a field is when a line does not say it.
//!
//! `field` alone has to be there; `field = value` may be left out. A value may depend on the event: `of` is the reader,
//! which knows the event's id and time.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serializer;
use serde::ser::SerializeMap;
use serde_json::{Map, Value};

use super::form::{Field, Form, Key, Taken};
use super::reader::Reader;
use crate::{
    Access, Acknowledgement, Authentication, Authorization, Certificate, Client, Connack, Connection, Delivery,
    DeliveryDrop, DeliveryLoss, Disconnection, End, EndReason, Message, MessageDrop, Node, Origin, OtherEvent,
    Properties, Session, Subscription, Termination, Transport, Unsubscription,
};

macro_rules! key {
    ($field:ident) => {
        Key {
            plain: stringify!($field),
            base64: concat!(stringify!($field), "_base64"),
        }
    };
}

macro_rules! record {
    // What a field is that is not there.
    (@absent $reader:ident $field:ident) => {{
        $reader.below(stringify!($field), |reader| reader.problem("is missing"));
        None
    }};
    (@absent $reader:ident $field:ident $default:expr) => {
        Some($default)
    };
    ($type:ident, $of:literal, $(or $text:path,)? |$reader:ident| { $($field:ident $(= $default:expr)?),* $(,)? }) => {
        impl Form for $type {
            fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut object = to.serialize_map(None)?;
                $(self.$field.put(key!($field), &mut object)?;)*
                object.end()
            }

            fn read(value: Value, $reader: &mut Reader) -> Option<$type> {
                $(if let Value::String(text) = &value {
                    return Some($text(text));
                })?
                let mut object = $reader.object(value)?;
                $(
                    let $field = match Field::take(key!($field), &mut object, $reader) {
                        Taken::Found(value) => Some(value),
                        Taken::Wrong => None,
                        Taken::Absent => record!(@absent $reader $field $($default)?),
                    };
                )*
                if !object.is_empty() {
                    let mut known = Vec::new();
                    $(known_key(key!($field), binary(|it: &$type| &it.$field), &mut known);)*
                    $reader.rest(object, $of, &known);
                }
                Some($type { $($field: $field?),* })
            }
        }

        #[cfg(test)]
        impl super::tests::Arbitrary for $type {
            fn arbitrary(choices: &mut super::tests::Choices) -> $type {
                $type { $($field: super::tests::Arbitrary::arbitrary(choices)),* }
            }
        }
    };
}

/// Whether a field has two keys.
fn binary<R, F: Field>(_: impl Fn(&R) -> &F) -> bool {
    F::BINARY
}

fn known_key(key: Key, binary: bool, known: &mut Vec<&str>) {
    known.push(key.plain);
    if binary {
        known.push(key.base64);
    }
}

/// A client of which only the id is known: MQTT 3.1.1.
pub(super) fn client(id: &str) -> Client {
    Client {
        id: ByteString::from(id),
        protocol_version: 4,
        ..Client::default()
    }
}

/// A record that a line does not mention at all: every field has its default.
fn empty<T: Form>(reader: &mut Reader) -> Option<T> {
    T::read(Value::Object(Map::new()), reader)
}

record!(Node, "a node", |of| { name, id = 0 });

record!(Client, "a client", or client, |of| {
    id,
    username = None,
    peer = None,
    protocol_version = 4,
    node = None,
    attributes = Vec::new(),
});

record!(Certificate, "a certificate", |of| {
    common_name = ByteString::new(),
    subject = ByteString::new(),
});

record!(Properties, "properties", |of| { standard = Vec::new(), user = Vec::new() });

record!(Connection, "a connection", |of| {
    client = client("client"),
    listener = ByteString::from_static("tcp"),
    transport = Transport::Tcp,
    local = None,
    protocol_name = ByteString::from_static("MQTT"),
    bridge = false,
    keep_alive = 60,
    clean_start = true,
    session_expiry = 0,
    receive_maximum = 65_535,
    mountpoint = None,
    certificate = None,
    properties = None,
});

record!(Connack, "a connack", |of| {
    connection = empty(of)?,
    code = 0,
    session_present = false,
    connected_at = None,
    properties = None,
});

record!(Authentication, "an authentication", |of| {
    connection = empty(of)?,
    code = 0,
    anonymous = false,
    superuser = false,
    source = ByteString::from_static("default"),
});

record!(Authorization, "an authorization", |of| {
    client = client("client"),
    access = Access::Publish,
    topic,
    allowed = true,
    source = ByteString::from_static("default"),
});

record!(Subscription, "a subscription", |of| {
    client = client("client"),
    filter,
    group = None,
    qos = 0,
    no_local = false,
    retain_as_published = false,
    retain_handling = 0,
    id = None,
    limit = None,
    code = 0,
    is_new = true,
    properties = None,
});

record!(Unsubscription, "an unsubscription", |of| {
    client = client("client"),
    filter,
    group = None,
    qos = 0,
    code = 0,
    properties = None,
});

record!(Session, "a session", |of| { client = client("client"), created_at = None });

record!(End, "an end", |of| {
    reason = EndReason::Disconnect,
    code = None,
    text = None,
    properties = None,
});

record!(Disconnection, "a disconnection", |of| {
    connection = empty(of)?,
    end = empty(of)?,
    connected_at = None,
    disconnected_at = of.at,
});

record!(Termination, "a termination", |of| { session = empty(of)?, end = empty(of)? });

record!(Message, "a message", |of| {
    id = of.id,
    publisher = client("publisher"),
    origin = Origin::Client,
    topic,
    payload = Bytes::new(),
    qos = 0,
    retain = false,
    dup = false,
    packet_id = None,
    received_at = of.at,
    properties = None,
});

record!(Delivery, "a delivery", |of| {
    receiver = client("receiver"),
    message,
    qos = 0,
    retain = false,
    dup = false,
    packet_id = None,
    retained = false,
    group = None,
    subscription_ids = Vec::new(),
});

record!(Acknowledgement, "an acknowledgement", |of| { delivery, code = 0, properties = None });

record!(MessageDrop, "a message drop", |of| { message, reason, code = 0, text = None });

record!(DeliveryDrop, "a delivery drop", |of| { delivery, reason, code = 0, text = None });

record!(DeliveryLoss, "a delivery loss", |of| {
    receiver = client("receiver"),
    filter,
    group = None,
    count = 1,
});

record!(OtherEvent, "an other event", |of| { name, client = None, data = ByteString::from_static("{}") });
