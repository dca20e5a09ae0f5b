//! What is stored: plain data, independent of the broker. Times are milliseconds since 1970.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::StoredMessage;

/// A session without its subscriptions and messages. It contains what a restart needs, and never a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The client id.
    pub client_id: ByteString,
    /// The user name of the last connection.
    pub username: Option<ByteString>,
    /// The protocol version of the last connection: 3, 4 or 5.
    pub version: u8,
    /// When the session was created.
    pub created_at: i64,
    /// When the last connection was accepted.
    pub connected_at: i64,
    /// When the last connection ended; `None` while the client is connected.
    pub disconnected_at: Option<i64>,
    /// For how long the session outlives its connection, in milliseconds; `None`: forever.
    pub expiry: Option<u64>,
    /// The keep alive of the last connection, in seconds.
    pub keep_alive: u16,
    /// Whether the last connection asked for a clean start.
    pub clean_start: bool,
    /// The largest packet that the client accepts.
    pub max_packet_size: Option<u32>,
    /// How many unacknowledged messages the client accepts.
    pub receive_maximum: Option<u16>,
    /// The listener of the last connection.
    pub listener: u16,
    /// The local address of the last connection.
    pub local: Option<SocketAddr>,
    /// The peer address of the last connection.
    pub peer: Option<SocketAddr>,
    /// The will, until it is published or the client disconnects without it.
    pub will: Option<WillRecord>,
}

/// A will that is not published yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WillRecord {
    /// Its topic.
    pub topic: ByteString,
    /// Its payload.
    pub payload: Bytes,
    /// Its QoS.
    pub qos: u8,
    /// Whether it is retained.
    pub retain: bool,
    /// Its delay in seconds; `None` if the client gave none.
    pub delay: Option<u32>,
    /// Its properties, for MQTT 5.
    pub properties: Option<Properties>,
}

/// A subscription of a session; its filter is the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionRecord {
    /// The granted QoS.
    pub qos: u8,
    /// The group of a shared subscription.
    pub group: Option<ByteString>,
    /// How many clients may hold the filter.
    pub limit: Option<u64>,
    /// The options of MQTT 5; `None` for a subscription of MQTT 3.
    pub options: Option<SubscriptionOptions>,
}

/// Options that only MQTT 5 has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionOptions {
    /// Whether the client's own messages are excluded.
    pub no_local: bool,
    /// Whether messages keep their retain flag.
    pub retain_as_published: bool,
    /// When retained messages are sent: 0, 1 or 2.
    pub retain_handling: u8,
    /// The subscription identifier.
    pub identifier: Option<u32>,
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// Not sent, as far as is known.
    Waiting,
    /// Sent and not acknowledged.
    Sent,
    /// QoS 2: the client has sent PUBREC, so only PUBREL is owed.
    Received,
}

/// A message that waits for one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRecord {
    /// The QoS for this client: 1 or 2.
    pub qos: u8,
    /// The retain flag for this client.
    pub retain: bool,
    /// How far it has come.
    pub state: DeliveryState,
    /// Its packet id, if it has one.
    pub packet_id: Option<u16>,
    /// The shared group through which the client gets it.
    pub group: Option<ByteString>,
    /// The identifiers of the subscriptions that matched.
    pub subscription_ids: Vec<u32>,
}

/// A message as published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRecord {
    /// Who published it.
    pub publisher: Publisher,
    /// Its topic.
    pub topic: ByteString,
    /// Its payload.
    pub payload: Bytes,
    /// Its QoS.
    pub qos: u8,
    /// Its retain flag.
    pub retain: bool,
    /// When it was published.
    pub created_at: Option<i64>,
    /// A number with which the engine identifies it.
    pub tag: Option<u32>,
    /// Its properties, for MQTT 5.
    pub properties: Option<Properties>,
}

/// What a publisher is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PublisherKind {
    /// A client.
    Client,
    /// A client's will.
    Will,
    /// An administrator or a module.
    Admin,
    /// The host.
    System,
    /// A bridge.
    Bridge,
}

/// Who published a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publisher {
    /// What it is.
    pub kind: PublisherKind,
    /// The number of its node.
    pub node: u64,
    /// The number of its listener.
    pub listener: u16,
    /// Its client id.
    pub client_id: ByteString,
    /// Its user name.
    pub username: Option<ByteString>,
    /// Its local address.
    pub local: Option<SocketAddr>,
    /// Its peer address.
    pub peer: Option<SocketAddr>,
}

/// The properties of a message. See MQTT 5, 3.3.2.3.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// Whether the payload is text; `None` if the publisher did not say.
    pub is_text: Option<bool>,
    /// Message expiry interval in seconds.
    pub expiry: Option<u32>,
    /// Content type.
    pub content_type: Option<ByteString>,
    /// Response topic.
    pub response_topic: Option<ByteString>,
    /// Correlation data.
    pub correlation: Option<Bytes>,
    /// User properties in order.
    pub user: Vec<(ByteString, ByteString)>,
}

/// Everything in the file when it was opened.
#[derive(Debug, Default)]
pub struct Contents {
    /// The sessions, by number.
    pub sessions: Vec<StoredSession>,
    /// The retained messages, by topic.
    pub retained: Vec<MessageRecord>,
    /// How many values were damaged and are skipped.
    pub damaged: usize,
}

/// A session with everything that belongs to it.
#[derive(Debug)]
pub struct StoredSession {
    /// Its number, for [`Changes`](crate::Changes).
    pub number: u64,
    /// The session.
    pub record: SessionRecord,
    /// Its subscriptions by filter.
    pub subscriptions: Vec<(ByteString, SubscriptionRecord)>,
    /// The messages that wait for it, in order.
    pub deliveries: Vec<StoredDelivery>,
    /// The packet ids of its QoS 2 publishes with their fingerprints.
    pub publishes: Vec<(u16, u64)>,
}

/// A message that waits for a session.
#[derive(Debug)]
pub struct StoredDelivery {
    /// Its sequence number in the session.
    pub sequence: u64,
    /// How it is delivered.
    pub record: DeliveryRecord,
    /// Its message in the store.
    pub stored: Arc<StoredMessage>,
    /// The message; deliveries of the same message share it.
    pub message: Arc<MessageRecord>,
}
