//! Messages on their way through the broker.

use super::{ByteString, Bytes, Client, Id, Millis, Pairs};

/// A property of MQTT 5, typed; user properties and authentication data are not among them.
#[derive(Debug, Clone, PartialEq)]
pub enum Property {
    /// 0 for bytes, 1 for UTF-8 text.
    PayloadFormatIndicator(u8),
    /// Seconds that the publisher gave the message to live.
    MessageExpiryInterval(u32),
    /// MIME type of the payload.
    ContentType(ByteString),
    /// Topic for the answer to a request.
    ResponseTopic(ByteString),
    /// Bytes that tie an answer to its request.
    CorrelationData(Bytes),
    /// Number that a subscriber gave its subscription.
    SubscriptionIdentifier(u32),
    /// Seconds that a session outlives its connection.
    SessionExpiryInterval(u32),
    /// Client id that the broker chose.
    AssignedClientIdentifier(ByteString),
    /// Keep alive in seconds that the broker imposes.
    ServerKeepAlive(u16),
    /// Name of the extended authentication method.
    AuthenticationMethod(ByteString),
    /// Whether the client wants reason strings.
    RequestProblemInformation(bool),
    /// Seconds between the end of a connection and its will.
    WillDelayInterval(u32),
    /// Whether the client wants response information.
    RequestResponseInformation(bool),
    /// Base for response topics.
    ResponseInformation(ByteString),
    /// Another broker to go to.
    ServerReference(ByteString),
    /// Human-readable reason.
    ReasonString(ByteString),
    /// How many unconfirmed messages its sender takes.
    ReceiveMaximum(u16),
    /// Highest topic alias that its sender takes.
    TopicAliasMaximum(u16),
    /// Topic alias of a publish; its topic is filled in already.
    TopicAlias(u16),
    /// Highest QoS of the broker.
    MaximumQos(u8),
    /// Whether the broker keeps retained messages.
    RetainAvailable(bool),
    /// Longest packet in bytes that its sender takes.
    MaximumPacketSize(u32),
    /// Whether the broker takes wildcards.
    WildcardSubscriptionAvailable(bool),
    /// Whether the broker takes subscription identifiers.
    SubscriptionIdentifierAvailable(bool),
    /// Whether the broker takes shared subscriptions.
    SharedSubscriptionAvailable(bool),
}

/// The properties of one MQTT 5 packet that has any.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Properties {
    /// What the standard defines, as sent.
    pub standard: Vec<Property>,
    /// User properties in the order sent, names repeated as sent.
    pub user: Pairs,
}

/// What a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A PUBLISH of a client.
    Client,
    /// A client's will.
    Will,
    /// The admin API.
    Admin,
    /// The broker itself, such as `$SYS`.
    System,
    /// Another broker.
    Bridge,
    /// A module.
    Module,
}

/// A message as it was published.
#[derive(Clone, PartialEq)]
pub struct Message {
    /// Every delivery of the message has the same.
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
    /// When the broker had it.
    pub received_at: Millis,
    /// Properties of PUBLISH, or of the will.
    pub properties: Option<Box<Properties>>,
}

/// Says how long the payload is, never what it is: a log is no place for what devices say.
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
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The receiver.
    pub receiver: Client,
    /// The message as it was published.
    pub message: Message,
    /// QoS as sent: the lower one of publish and subscription.
    pub qos: u8,
    /// Retain flag as sent.
    pub retain: bool,
    /// DUP flag as sent: a repeated delivery.
    pub dup: bool,
    /// Packet identifier as sent; none at QoS 0 and before it is sent.
    pub packet_id: Option<u16>,
    /// Whether it comes from the retained messages, in answer to a subscription.
    pub retained: bool,
    /// Shared group that it goes to.
    pub group: Option<ByteString>,
    /// Identifiers of the subscriptions that match.
    pub subscription_ids: Vec<u32>,
}

/// A receiver's confirmation.
#[derive(Debug, Clone, PartialEq)]
pub struct Acknowledgement {
    /// What was confirmed.
    pub delivery: Delivery,
    /// Reason code of PUBACK or PUBREC.
    pub code: u8,
    /// Properties of PUBACK or PUBREC.
    pub properties: Option<Box<Properties>>,
}

/// Why a message was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// Nobody subscribes to the topic.
    NoSubscribers,
    /// The publisher may not publish there.
    NotAuthorized,
    /// The publisher uses the packet identifier already.
    PacketIdInUse,
    /// The publisher has too many messages unconfirmed.
    ReceiveMaximumExceeded,
    /// The publisher is above a rate or a quota.
    LimitExceeded,
    /// The publish is not acceptable; the code says why.
    Invalid,
    /// A module decided so.
    Module,
    /// The receiver's queue is full.
    QueueFull,
    /// The receiver has too many messages unconfirmed.
    WindowFull,
    /// QoS 0 for a receiver that is away.
    NotQueued,
    /// The message's time was up.
    Expired,
    /// The receiver is the publisher and does not want its own.
    NoLocal,
    /// The packet is longer than the receiver takes.
    TooLarge,
    /// The receiver refused it; the code is that of its PUBACK or PUBREC.
    Refused,
    /// The receiver's connection is gone.
    Disconnected,
    /// The receiver's session has ended.
    SessionEnded,
    /// Anything else; the text says what.
    Other,
}

/// A publish that went to nobody.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageDrop {
    /// The message.
    pub message: Message,
    /// Why.
    pub reason: DropReason,
    /// Reason code that the publisher got or would have got.
    pub code: u8,
    /// More detail in words.
    pub text: Option<ByteString>,
}

/// A message that was dropped for one receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryDrop {
    /// The message and the receiver.
    pub delivery: Delivery,
    /// Why.
    pub reason: DropReason,
    /// Reason code, if one belongs to it; else 0.
    pub code: u8,
    /// More detail in words.
    pub text: Option<ByteString>,
}

/// Messages that were lost before anybody looked at them.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryLoss {
    /// Who should have had them.
    pub receiver: Client,
    /// Filter of the subscription.
    pub filter: ByteString,
    /// Shared group of the subscription.
    pub group: Option<ByteString>,
    /// How many.
    pub count: u32,
}
