//! Properties of MQTT 5: each an object with one key, in the order sent.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serializer;
use serde::ser::SerializeMap;
use serde_json::{Map, Value};

use super::form::{Field, Form, Key, Taken, WrittenList, take_list};
use super::reader::Reader;
use crate::Property;

macro_rules! key {
    ($name:expr) => {
        Key {
            plain: $name,
            base64: concat!($name, "-base64"),
        }
    };
}

macro_rules! properties {
    ($($variant:ident($type:ty) = $name:literal),* $(,)?) => {
        impl Form for Property {
            fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let mut object = to.serialize_map(Some(1))?;
                match self {
                    $(Property::$variant(value) => value.put(key!($name), &mut object)?,)*
                }
                object.end()
            }

            fn read(value: Value, reader: &mut Reader) -> Option<Property> {
                let mut object = reader.object(value)?;
                let mut only = object.keys();
                let (Some(name), None) = (only.next().cloned(), only.next()) else {
                    reader.problem("must be an object with one key, the name of a property");
                    return None;
                };
                $(
                    if name == $name || <$type>::BINARY && name == key!($name).base64 {
                        return match <$type>::take(key!($name), &mut object, reader) {
                            Taken::Found(value) => Some(Property::$variant(value)),
                            Taken::Absent | Taken::Wrong => None,
                        };
                    }
                )*
                reader.unknown(&name, "a property", &[$($name),*]);
                None
            }
        }

        #[cfg(test)]
        pub(super) const NAMES: &[&str] = &[$($name),*];

        #[cfg(test)]
        impl super::tests::Arbitrary for Property {
            fn arbitrary(choices: &mut super::tests::Choices) -> Property {
                let made = [$(Property::$variant(super::tests::Arbitrary::arbitrary(choices))),*];
                choices.one_of(&made)
            }
        }
    };
}

properties!(
    PayloadFormatIndicator(u8) = "payload-format-indicator",
    MessageExpiryInterval(u32) = "message-expiry-interval",
    ContentType(ByteString) = "content-type",
    ResponseTopic(ByteString) = "response-topic",
    CorrelationData(Bytes) = "correlation-data",
    SubscriptionIdentifier(u32) = "subscription-identifier",
    SessionExpiryInterval(u32) = "session-expiry-interval",
    AssignedClientIdentifier(ByteString) = "assigned-client-identifier",
    ServerKeepAlive(u16) = "server-keep-alive",
    AuthenticationMethod(ByteString) = "authentication-method",
    RequestProblemInformation(bool) = "request-problem-information",
    WillDelayInterval(u32) = "will-delay-interval",
    RequestResponseInformation(bool) = "request-response-information",
    ResponseInformation(ByteString) = "response-information",
    ServerReference(ByteString) = "server-reference",
    ReasonString(ByteString) = "reason-string",
    ReceiveMaximum(u16) = "receive-maximum",
    TopicAliasMaximum(u16) = "topic-alias-maximum",
    TopicAlias(u16) = "topic-alias",
    MaximumQos(u8) = "maximum-qos",
    RetainAvailable(bool) = "retain-available",
    MaximumPacketSize(u32) = "maximum-packet-size",
    WildcardSubscriptionAvailable(bool) = "wildcard-subscription-available",
    SubscriptionIdentifierAvailable(bool) = "subscription-identifier-available",
    SharedSubscriptionAvailable(bool) = "shared-subscription-available",
);

/// Left out if there are none.
impl Field for Vec<Property> {
    fn put<M: SerializeMap>(&self, key: Key, object: &mut M) -> Result<(), M::Error> {
        if self.is_empty() {
            return Ok(());
        }
        object.serialize_entry(key.plain, &WrittenList(self))
    }

    fn take(key: Key, object: &mut Map<String, Value>, reader: &mut Reader) -> Taken<Vec<Property>> {
        take_list(key, object, reader, Property::read)
    }
}
