//! Messages on their way through the broker.

use serde::{Deserialize, Serialize};

use super::json::{self, defaults};
use super::{ByteString, Bytes, Client, DropReason, Id, Millis, Origin, Pairs, Property};

/// The properties of one MQTT 5 packet that has any.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Properties {
    /// What the standard defines, as sent.
    #[serde(default, deserialize_with = "json::list", skip_serializing_if = "Vec::is_empty")]
    pub standard: Vec<Property>,
    /// User properties in the order sent, names repeated as sent.
    #[serde(default, deserialize_with = "json::list", skip_serializing_if = "Vec::is_empty")]
    pub user: Pairs,
}

/// A message as it was published.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "json::MessageForm", try_from = "json::MessageForm")]
pub struct Message {
    /// The same for every delivery of the message.
    pub id: Id,
    /// Who published it; for other origins than a client or a will the id names the sender or is empty.
    pub publisher: Client,
    /// What it comes from.
    pub origin: Origin,
    /// Topic, with the mountpoint.
    pub topic: ByteString,
    /// The bytes as sent.
    pub payload: Bytes,
    /// QoS of the publish.
    pub qos: u8,
    /// Retain flag of the publish.
    pub retain: bool,
    /// DUP flag of the publish.
    pub dup: bool,
    /// Packet identifier of the publish; none at QoS 0.
    pub packet_id: Option<u16>,
    /// When the broker received it.
    pub received_at: Millis,
    /// Properties of PUBLISH, or of the will.
    pub properties: Option<Box<Properties>>,
    /// How many messages of modules led to it, itself included; 0 for a message that no module has published. For the
    /// host alone, which ends loops of modules with it.
    pub republishes: u8,
}

/// Shows the length of the payload, never its content, which must not appear in logs.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("publisher", &self.publisher.id)
            .field("origin", &self.origin)
            .field("topic", &self.topic)
            .field("payload_len", &self.payload.len())
            .field("qos", &self.qos)
            .finish_non_exhaustive()
    }
}

/// A message on its way to one receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// The receiver.
    #[serde(default = "defaults::receiver")]
    pub receiver: Client,
    /// The message as it was published.
    pub message: Message,
    /// QoS as sent: the lower one of publish and subscription.
    #[serde(default)]
    pub qos: u8,
    /// Retain flag as sent.
    #[serde(default)]
    pub retain: bool,
    /// DUP flag as sent: a repeated delivery.
    #[serde(default)]
    pub dup: bool,
    /// Packet identifier as sent; none at QoS 0 and before it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet_id: Option<u16>,
    /// Whether it is a retained message, sent because of a new subscription.
    #[serde(default)]
    pub retained: bool,
    /// Shared group that it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ByteString>,
    /// Identifiers of the subscriptions that match.
    #[serde(default, deserialize_with = "json::list", skip_serializing_if = "Vec::is_empty")]
    pub subscription_ids: Vec<u32>,
}

/// A receiver's acknowledgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// The delivery that was acknowledged.
    pub delivery: Delivery,
    /// Reason code of PUBACK or PUBREC.
    #[serde(default)]
    pub code: u8,
    /// Properties of PUBACK or PUBREC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<Box<Properties>>,
}

/// A publish that was dropped or refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageDrop {
    /// The message.
    pub message: Message,
    /// Why.
    pub reason: DropReason,
    /// Reason code that the publisher got or would have got.
    #[serde(default)]
    pub code: u8,
    /// More detail in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<ByteString>,
}

/// A message that was dropped for one receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryDrop {
    /// The message and the receiver.
    pub delivery: Delivery,
    /// Why.
    pub reason: DropReason,
    /// Reason code, if one belongs to it; else 0.
    #[serde(default)]
    pub code: u8,
    /// More detail in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<ByteString>,
}

/// Messages for one receiver that were lost before an event was emitted for each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryLoss {
    /// The receiver that did not get them.
    #[serde(default = "defaults::receiver")]
    pub receiver: Client,
    /// Filter of the subscription.
    pub filter: ByteString,
    /// Shared group of the subscription.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<ByteString>,
    /// How many.
    #[serde(default = "defaults::one")]
    pub count: u32,
}
