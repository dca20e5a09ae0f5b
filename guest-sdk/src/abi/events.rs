//! The records and variants of an event, with fields and cases in the order of the contract.

use super::lift::{Lift, aligned, enums, largest, lifted, records, variants};
use crate::event::{
    Access, Acknowledgement, Address, Authentication, Authorization, Certificate, Client, Connack, Connection,
    Delivery, DeliveryDrop, DeliveryLoss, Detail, Disconnection, DropReason, End, EndReason, Event, Message,
    MessageDrop, Node, Origin, OtherEvent, Properties, Property, Session, Subscription, Termination, Transport,
    Unsubscription,
};

/// Names and values.
pub(super) type Pairs = Vec<(String, String)>;

enums!(Transport Access EndReason Origin DropReason);

records! {
    Address { ip: String, port: u16, }
    Node { name: String, id: u32, }
    Client {
        id: String,
        username: Option<String>,
        peer: Option<Address>,
        protocol_version: u8,
        node: Option<Node>,
        attributes: Option<Pairs>,
    }
    Properties { standard: Vec<Property>, user: Pairs, }
    Certificate { common_name: String, subject: String, }
    Connection {
        client: Client,
        listener: String,
        transport: Transport,
        local: Option<Address>,
        protocol_name: String,
        bridge: bool,
        keep_alive: u16,
        clean_start: bool,
        session_expiry: u32,
        receive_maximum: u16,
        mountpoint: Option<String>,
        certificate: Option<Certificate>,
        properties: Option<Properties>,
    }
    Connack {
        connection: Connection,
        code: u8,
        session_present: bool,
        connected_at: Option<u64>,
        properties: Option<Properties>,
    }
    Authentication { connection: Connection, code: u8, anonymous: bool, superuser: bool, source: String, }
    Authorization { client: Client, access: Access, topic: String, allowed: bool, source: String, }
    Subscription {
        client: Client,
        filter: String,
        group: Option<String>,
        qos: u8,
        no_local: bool,
        retain_as_published: bool,
        retain_handling: u8,
        id: Option<u32>,
        limit: Option<u32>,
        code: u8,
        is_new: bool,
        properties: Option<Properties>,
    }
    Unsubscription {
        client: Client,
        filter: String,
        group: Option<String>,
        qos: u8,
        code: u8,
        properties: Option<Properties>,
    }
    Session { client: Client, created_at: Option<u64>, }
    End { reason: EndReason, code: Option<u8>, text: Option<String>, properties: Option<Properties>, }
    Disconnection { connection: Connection, end: End, connected_at: Option<u64>, disconnected_at: u64, }
    Termination { session: Session, end: End, }
    Message {
        id: String,
        publisher: Client,
        origin: Origin,
        topic: String,
        payload: Vec<u8>,
        qos: u8,
        retain: bool,
        dup: bool,
        packet_id: Option<u16>,
        received_at: u64,
        properties: Option<Properties>,
    }
    Delivery {
        receiver: Client,
        message: Message,
        qos: u8,
        retain: bool,
        dup: bool,
        packet_id: Option<u16>,
        retained: bool,
        group: Option<String>,
        subscription_ids: Option<Vec<u32>>,
    }
    Acknowledgement { delivery: Delivery, code: u8, properties: Option<Properties>, }
    MessageDrop { message: Message, reason: DropReason, code: u8, text: Option<String>, }
    DeliveryDrop { delivery: Delivery, reason: DropReason, code: u8, text: Option<String>, }
    DeliveryLoss { receiver: Client, filter: String, group: Option<String>, count: u32, }
    OtherEvent { name: String, client: Option<Client>, data: String, }
    Event { id: String, at: u64, utc_offset: i16, detail: Detail, extras: Option<Pairs>, }
}

variants! {
    Property {
        PayloadFormatIndicator(u8),
        MessageExpiryInterval(u32),
        ContentType(String),
        ResponseTopic(String),
        CorrelationData(Vec<u8>),
        SubscriptionIdentifier(u32),
        SessionExpiryInterval(u32),
        AssignedClientIdentifier(String),
        ServerKeepAlive(u16),
        AuthenticationMethod(String),
        RequestProblemInformation(bool),
        WillDelayInterval(u32),
        RequestResponseInformation(bool),
        ResponseInformation(String),
        ServerReference(String),
        ReasonString(String),
        ReceiveMaximum(u16),
        TopicAliasMaximum(u16),
        TopicAlias(u16),
        MaximumQos(u8),
        RetainAvailable(bool),
        MaximumPacketSize(u32),
        WildcardSubscriptionAvailable(bool),
        SubscriptionIdentifierAvailable(bool),
        SharedSubscriptionAvailable(bool),
    }
    Detail {
        ClientConnect(Connection),
        ClientConnack(Connack),
        ClientConnected(Connack),
        ClientDisconnected(Disconnection),
        ClientAuthenticated(Authentication),
        ClientAuthorized(Authorization),
        ClientSubscribe(Subscription),
        ClientUnsubscribe(Unsubscription),
        SessionCreated(Session),
        SessionResumed(Session),
        SessionSubscribed(Subscription),
        SessionUnsubscribed(Unsubscription),
        SessionDiscarded(Session),
        SessionTakenOver(Session),
        SessionTerminated(Termination),
        MessagePublish(Message),
        MessageDelivered(Delivery),
        MessageAcked(Acknowledgement),
        MessageDropped(MessageDrop),
        MessageRefused(MessageDrop),
        DeliveryDropped(DeliveryDrop),
        MessageQueued(Delivery),
        DeliveryLost(DeliveryLoss),
        Other(OtherEvent),
    }
}
