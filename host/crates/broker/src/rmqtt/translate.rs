//! RMQTT's types as types of the event model. Pure functions.

use std::net::SocketAddr;

use bytestring::ByteString;

use ::rmqtt::codec::types::Protocol;
use ::rmqtt::codec::v5::RetainHandling;
use ::rmqtt::types::{ConnectInfo, From as Sender, FromType, Id as ClientKey, Publish, Subscribe, Unsubscribe};

use super::backlog;
use super::limits::Limits;
use super::tag::{MessageNumbers, MessageTag};
use hookhost_event::{
    Client, Connack, Connection, Delivery, Message, Millis, Origin, Pairs, Properties, Property, Session, Subscription,
    Unsubscription,
};
use hookhost_listener::Peer;
use hookhost_relay::properties::{self, SentProperties};

/// The first of the listener numbers of messages that modules publish: RMQTT has no kind of sender for them. The number
/// after it also says how often a message was republished.
const MODULE_LISTENER: u16 = u16::MAX - u8::MAX as u16;

/// The listener number of a message that a module publishes.
pub(super) fn module_listener(republishes: u8) -> u16 {
    MODULE_LISTENER + u16::from(republishes)
}

/// How often a message was republished, if a module has published it.
fn republishes(listener: u16) -> Option<u8> {
    u8::try_from(listener.checked_sub(MODULE_LISTENER)?).ok()
}

/// A client with its own address.
pub(super) fn client(key: &ClientKey, address: Option<SocketAddr>, protocol_version: u8) -> Client {
    Client {
        id: key.client_id.clone(),
        username: key.username.clone(),
        peer: address,
        protocol_version,
        node: None,
        attributes: Vec::new(),
    }
}

/// A session.
pub(super) fn session(client: Client, created_at: i64) -> Session {
    Session {
        client,
        created_at: millis(created_at),
    }
}

/// A time of RMQTT's, in milliseconds; none if it is not set.
pub(super) fn millis(time: i64) -> Option<Millis> {
    u64::try_from(time).ok().filter(|time| *time > 0).map(Millis)
}

/// A connection, from its CONNECT, the client behind it and the limits.
pub(super) fn connection(info: &ConnectInfo, peer: &Peer, limits: &Limits) -> Connection {
    let (session_expiry, receive_maximum, protocol_name, properties) = match info {
        ConnectInfo::V3(_, connect) => {
            let expiry = if connect.clean_session {
                0
            } else {
                seconds(limits.session_expiry_interval)
            };
            (
                cap_expiry(expiry, limits),
                limits.max_inflight,
                connect.protocol.name(),
                None,
            )
        }
        ConnectInfo::V5(_, connect) => (
            cap_expiry(connect.session_expiry_interval_secs, limits),
            connect
                .receive_max
                .map_or(limits.max_inflight, |max| limits.max_inflight.min(max.get())),
            Protocol(5).name(),
            // RMQTT does not pass on the packet's bytes.
            properties::of_connect(connect, SentProperties::default()),
        ),
    };
    Connection {
        client: client(info.id(), peer.address, info.proto_ver()),
        listener: peer.listener.clone(),
        transport: peer.transport(),
        local: peer.local,
        protocol_name: ByteString::from_static(protocol_name),
        // The codec refuses a protocol version with the bridge bit.
        bridge: false,
        keep_alive: info.keep_alive(),
        clean_start: info.clean_start(),
        session_expiry,
        receive_maximum,
        mountpoint: None,
        certificate: peer.event_certificate(),
        properties,
    }
}

pub(super) fn seconds(span: std::time::Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

fn cap_expiry(asked: u32, limits: &Limits) -> u32 {
    match seconds(limits.max_session_expiry_interval) {
        0 => asked,
        most => asked.min(most),
    }
}

/// The code with which RMQTT will refuse a CONNECT because of its content; none if it will not.
pub(super) fn refusal(info: &ConnectInfo, limits: &Limits) -> Option<u8> {
    if info.client_id().len() > limits.max_clientid_len {
        return Some(133);
    }
    if info.auth_method().is_some() {
        return Some(140);
    }
    if !limits.retain && matches!(info, ConnectInfo::V5(..)) && info.last_will().is_some_and(|will| will.retain()) {
        return Some(154);
    }
    None
}

/// The code with which RMQTT will refuse a CONNECT after it was authenticated.
pub(super) fn late_refusal(info: &ConnectInfo, limits: &Limits) -> Option<u8> {
    let fine = match info.keep_alive() {
        0 => limits.allow_zero_keepalive,
        // For MQTT 5 the broker sends its own keep alive instead.
        asked => matches!(info, ConnectInfo::V5(..)) || (limits.min_keepalive..=limits.max_keepalive).contains(&asked),
    };
    (!fine).then_some(136)
}

/// Topic, QoS and retain flag of the will in a CONNECT.
pub(super) fn will(info: &ConnectInfo) -> Option<(&str, u8, bool)> {
    match info {
        ConnectInfo::V3(_, connect) => connect
            .last_will
            .as_ref()
            .map(|will| (&*will.topic, will.qos.value(), will.retain)),
        ConnectInfo::V5(_, connect) => connect
            .last_will
            .as_ref()
            .map(|will| (&*will.topic, will.qos.value(), will.retain)),
    }
}

/// The answer to a CONNECT that was accepted.
pub(super) fn accepted(
    info: &ConnectInfo,
    peer: &Peer,
    limits: &Limits,
    session_present: bool,
    connected_at: Option<Millis>,
) -> Connack {
    let connection = connection(info, peer, limits);
    let properties = matches!(info, ConnectInfo::V5(..)).then(|| connack_properties(&connection, limits));
    Connack {
        connection,
        code: 0,
        session_present,
        connected_at,
        properties,
    }
}

/// The answer to a CONNECT that was refused.
pub(super) fn refused(info: &ConnectInfo, peer: &Peer, limits: &Limits, code: u8) -> Connack {
    Connack {
        connection: connection(info, peer, limits),
        code,
        session_present: false,
        connected_at: None,
        properties: None,
    }
}

/// The properties that RMQTT writes into a CONNACK of MQTT 5, without the client id that it assigns.
fn connack_properties(connection: &Connection, limits: &Limits) -> Box<Properties> {
    let mut standard = Vec::with_capacity(5);
    if connection.session_expiry > 0 {
        standard.push(Property::SessionExpiryInterval(connection.session_expiry));
    }
    standard.push(Property::ReceiveMaximum(connection.receive_maximum));
    if limits.max_qos_allowed < 2 {
        standard.push(Property::MaximumQos(limits.max_qos_allowed));
    }
    if !limits.retain {
        standard.push(Property::RetainAvailable(false));
    }
    standard.push(Property::MaximumPacketSize(limits.max_packet_size));
    if limits.max_topic_aliases > 0 {
        standard.push(Property::TopicAliasMaximum(limits.max_topic_aliases));
    }
    if !limits.shared_subscription {
        standard.push(Property::SharedSubscriptionAvailable(false));
    }
    let keep_alive = match connection.keep_alive {
        0 => 0,
        asked => asked.clamp(limits.min_keepalive, limits.max_keepalive),
    };
    standard.push(Property::ServerKeepAlive(keep_alive));
    Box::new(Properties {
        standard,
        user: Vec::new(),
    })
}

/// A subscription; `code` is that of SUBACK, `user` are the user properties of SUBSCRIBE.
pub(super) fn subscription(client: Client, subscribe: &Subscribe, code: u8, is_new: bool, user: Pairs) -> Subscription {
    let (filter, options) = (&subscribe.topic_filter, &subscribe.opts);
    let id = options.subscription_identifier().map(|id| id.get());
    Subscription {
        client,
        filter: filter.clone(),
        group: options.shared_group().cloned(),
        qos: options.qos_value(),
        no_local: options.no_local().unwrap_or(false),
        retain_as_published: options.retain_as_published().unwrap_or(false),
        retain_handling: match options.retain_handling() {
            None | Some(RetainHandling::AtSubscribe) => 0,
            Some(RetainHandling::AtSubscribeNew) => 1,
            Some(RetainHandling::NoAtSubscribe) => 2,
        },
        id,
        limit: options.limit_subs().and_then(|limit| u32::try_from(limit).ok()),
        code,
        is_new,
        properties: properties::some(id.map(Property::SubscriptionIdentifier).into_iter().collect(), user),
    }
}

/// The end of a subscription that had this QoS, or none; `user` are the user properties of UNSUBSCRIBE.
pub(super) fn unsubscription(
    client: Client,
    unsubscribe: &Unsubscribe,
    had: Option<u8>,
    user: Pairs,
) -> Unsubscription {
    Unsubscription {
        client,
        filter: unsubscribe.topic_filter.clone(),
        group: unsubscribe.shared_group.clone(),
        qos: had.unwrap_or(0),
        code: if had.is_some() { 0 } else { 17 },
        properties: properties::some(Vec::new(), user),
    }
}

/// A message as it was published, restored from a copy on its way. `publisher` is the sender's key with its own address,
/// `protocol_version` the publisher's; `published`: the copy is the publish itself, and only then it has the packet
/// identifier.
pub(super) fn message(
    numbers: &MessageNumbers,
    sender: &Sender,
    publisher: &ClientKey,
    protocol_version: u8,
    publish: &Publish,
    published: bool,
) -> Message {
    let tag = MessageTag::of(publish);
    let (origin, protocol_version) = match sender.typ() {
        FromType::Custom => (Origin::Client, protocol_version),
        FromType::LastWill => (Origin::Will, protocol_version),
        FromType::Admin if republishes(sender.lid).is_some() => (Origin::Module, 0),
        FromType::Admin => (Origin::Admin, 0),
        FromType::System => (Origin::System, 0),
        FromType::Bridge => (Origin::Bridge, 0),
    };
    Message {
        id: if published {
            numbers.first_id(publisher, publish)
        } else {
            numbers.id(publisher, publish)
        },
        publisher: client(publisher, publisher.remote_addr, protocol_version),
        origin,
        topic: publish.topic.clone(),
        payload: publish.payload.clone(),
        qos: tag.qos,
        retain: tag.retain,
        dup: if published { publish.dup } else { tag.dup },
        packet_id: publish.packet_id.filter(|_| published).map(|id| id.get()),
        // RMQTT stamps every publish; 0 means that the system clock is before 1970.
        received_at: publish.create_time.and_then(millis).unwrap_or(Millis(0)),
        properties: publish.properties.as_ref().and_then(properties::of_publish),
        republishes: republishes(sender.lid).unwrap_or(0),
    }
}

/// A message on its way to one receiver.
pub(super) fn delivery(receiver: Client, message: Message, publish: &Publish) -> Delivery {
    Delivery {
        receiver,
        message,
        qos: publish.qos.value(),
        retain: publish.retain,
        dup: publish.dup,
        packet_id: publish.packet_id.map(|id| id.get()),
        retained: MessageTag::of(publish).stored,
        group: backlog::group(publish),
        subscription_ids: match &publish.properties {
            Some(properties) => properties.subscription_ids.iter().map(|id| id.get()).collect(),
            None => Vec::new(),
        },
    }
}

#[cfg(test)]
#[path = "translate_tests.rs"]
mod tests;
