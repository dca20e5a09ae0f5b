//! RMQTT's types in neutral words. No function here asks anybody or remembers anything.

use std::net::SocketAddr;

use bytestring::ByteString;

use ::rmqtt::codec::types::Protocol;
use ::rmqtt::codec::v5::RetainHandling;
use ::rmqtt::types::{
    ConnectInfo, From as Sender, FromType, Id as ClientKey, Publish, SubscriptionOptions, Unsubscribe,
};

use super::backlog;
use super::limits::Limits;
use super::tag::{Numbers, Tag};
use crate::broker::properties;
use crate::event::{
    Certificate, Client, Connack, Connection, Delivery, Message, Millis, Origin, Properties, Property, Session,
    Subscription, Transport, Unsubscription,
};

/// Listener number of messages that a module publishes: RMQTT has no kind of sender for them.
pub(super) const MODULE_LISTENER: u16 = u16::MAX;

/// What every translation of a connection needs to know about the listener.
pub(super) struct Listening {
    /// Its name.
    pub(super) name: ByteString,
    /// Where it listens, with the port that the system chose.
    pub(super) address: SocketAddr,
    /// Its limits.
    pub(super) limits: Limits,
}

/// A client.
pub(super) fn client(key: &ClientKey, protocol_version: u8) -> Client {
    Client {
        id: key.client_id.clone(),
        username: key.username.clone(),
        peer: key.remote_addr,
        protocol_version,
        node: None,
        attributes: Vec::new(),
    }
}

/// A session.
pub(super) fn session(key: &ClientKey, protocol_version: u8, created_at: i64) -> Session {
    Session {
        client: client(key, protocol_version),
        created_at: millis(created_at),
    }
}

/// A time of RMQTT's; none if it is not set.
pub(super) fn millis(time: i64) -> Option<Millis> {
    u64::try_from(time).ok().filter(|time| *time > 0).map(Millis)
}

/// A connection, from its CONNECT and the listener's limits.
pub(super) fn connection(info: &ConnectInfo, listening: &Listening) -> Connection {
    let key = info.id();
    let limits = &listening.limits;
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
            properties::of_connect(connect),
        ),
    };
    Connection {
        client: client(key, info.proto_ver()),
        listener: listening.name.clone(),
        transport: Transport::Tcp,
        local: Some(listening.address),
        protocol_name: ByteString::from_static(protocol_name),
        // The codec takes no protocol version with the bridge bit.
        bridge: false,
        keep_alive: info.keep_alive(),
        clean_start: info.clean_start(),
        session_expiry,
        receive_maximum,
        mountpoint: None,
        certificate: info.cert().map(|cert| {
            Box::new(Certificate {
                common_name: cert.common_name.as_deref().unwrap_or_default().into(),
                subject: cert.subject.as_str().into(),
            })
        }),
        properties,
    }
}

fn seconds(span: std::time::Duration) -> u32 {
    u32::try_from(span.as_secs()).unwrap_or(u32::MAX)
}

fn cap_expiry(asked: u32, limits: &Limits) -> u32 {
    match seconds(limits.max_session_expiry_interval) {
        0 => asked,
        most => asked.min(most),
    }
}

/// The code with which RMQTT will refuse a CONNECT whoever sends it, as far as its content says so.
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
        // With MQTT 5 the broker imposes its own.
        asked => matches!(info, ConnectInfo::V5(..)) || (limits.min_keepalive..=limits.max_keepalive).contains(&asked),
    };
    (!fine).then_some(136)
}

/// The answer to a CONNECT that was accepted.
pub(super) fn accepted(
    info: &ConnectInfo,
    listening: &Listening,
    session_present: bool,
    connected_at: Option<Millis>,
) -> Connack {
    let connection = connection(info, listening);
    let properties = matches!(info, ConnectInfo::V5(..)).then(|| connack_properties(&connection, &listening.limits));
    Connack {
        connection,
        code: 0,
        session_present,
        connected_at,
        properties,
    }
}

/// The answer to a CONNECT that was refused.
pub(super) fn refused(info: &ConnectInfo, listening: &Listening, code: u8) -> Connack {
    Connack {
        connection: connection(info, listening),
        code,
        session_present: false,
        connected_at: None,
        properties: None,
    }
}

/// What RMQTT writes into a CONNACK of MQTT 5, but for a client id that it chose.
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

/// A subscription; `code` is that of SUBACK.
pub(super) fn subscription(
    client: Client,
    filter: &ByteString,
    options: &SubscriptionOptions,
    code: u8,
    is_new: bool,
) -> Subscription {
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
        properties: id.and_then(|id| properties::some(vec![Property::SubscriptionIdentifier(id)], Vec::new())),
    }
}

/// The end of a subscription that had this QoS, or none.
pub(super) fn unsubscription(client: Client, unsubscribe: &Unsubscribe, had: Option<u8>) -> Unsubscription {
    Unsubscription {
        client,
        filter: unsubscribe.topic_filter.clone(),
        group: unsubscribe.shared_group.clone(),
        qos: had.unwrap_or(0),
        code: if had.is_some() { 0 } else { 17 },
        properties: None,
    }
}

/// A message as it was published, as far as a copy on its way still says so. `protocol_version` is the publisher's;
/// `published` says that the copy is the publish itself, which alone has its packet identifier.
pub(super) fn message(
    numbers: &Numbers,
    sender: &Sender,
    protocol_version: u8,
    publish: &Publish,
    published: bool,
) -> Message {
    let tag = Tag::of(publish);
    let (origin, protocol_version) = match sender.typ() {
        FromType::Custom => (Origin::Client, protocol_version),
        FromType::LastWill => (Origin::Will, protocol_version),
        FromType::Admin if sender.lid == MODULE_LISTENER => (Origin::Module, 0),
        FromType::Admin => (Origin::Admin, 0),
        FromType::System => (Origin::System, 0),
        FromType::Bridge => (Origin::Bridge, 0),
    };
    Message {
        id: if published {
            numbers.first_id(&sender.id, publish)
        } else {
            numbers.id(&sender.id, publish)
        },
        publisher: client(&sender.id, protocol_version),
        origin,
        topic: publish.topic.clone(),
        payload: publish.payload.clone(),
        qos: tag.qos,
        retain: tag.retain,
        dup: if published { publish.dup } else { tag.dup },
        packet_id: publish.packet_id.filter(|_| published).map(|id| id.get()),
        received_at: publish.create_time.and_then(millis).unwrap_or(Millis(0)),
        properties: publish.properties.as_ref().and_then(properties::of_publish),
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
        retained: Tag::of(publish).stored,
        group: backlog::group(publish),
        subscription_ids: match &publish.properties {
            Some(properties) => properties.subscription_ids.iter().map(|id| id.get()).collect(),
            None => Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU16, NonZeroU32};

    use ::rmqtt::codec::types::QoS;
    use ::rmqtt::codec::{v3, v5};
    use ::rmqtt::types::{CodecPublish, SubOptionsV5};

    use super::*;

    fn key() -> ClientKey {
        ClientKey::new(
            1,
            1,
            None,
            Some(([10, 0, 0, 5], 50_000).into()),
            "c".into(),
            Some("u".into()),
        )
    }

    fn v3(connect: v3::Connect) -> ConnectInfo {
        ConnectInfo::V3(key(), Box::new(connect))
    }

    fn v5(connect: v5::Connect) -> ConnectInfo {
        ConnectInfo::V5(key(), Box::new(connect))
    }

    fn listening(limits: Limits) -> Listening {
        Listening {
            name: "tcp:default".into(),
            address: ([127, 0, 0, 1], 1883).into(),
            limits,
        }
    }

    #[test]
    fn refusals() {
        let limits = Limits {
            min_keepalive: 10,
            max_keepalive: 100,
            allow_zero_keepalive: false,
            ..Limits::default()
        };
        for (keep_alive, three, five) in [
            (0, Some(136), Some(136)),
            (5, Some(136), None),
            (50, None, None),
            (200, Some(136), None),
        ] {
            let info = v3(v3::Connect {
                keep_alive,
                ..v3::Connect::default()
            });
            assert_eq!(late_refusal(&info, &limits), three, "{keep_alive}");
            let info = v5(v5::Connect {
                keep_alive,
                ..v5::Connect::default()
            });
            assert_eq!(late_refusal(&info, &limits), five, "{keep_alive}");
        }
        let extended = v5(v5::Connect {
            auth_method: Some("SCRAM".into()),
            ..v5::Connect::default()
        });
        assert_eq!(refusal(&extended, &limits), Some(140));
        let long = Limits {
            max_clientid_len: 0,
            ..limits
        };
        assert_eq!(refusal(&v3(v3::Connect::default()), &long), Some(133));
    }

    #[test]
    fn a_session_outlives_its_connection_as_long_as_both_sides_agree() {
        let limits = Limits {
            max_session_expiry_interval: std::time::Duration::from_secs(60),
            ..Limits::default()
        };
        for (info, limits, expected) in [
            (
                v3(v3::Connect {
                    clean_session: true,
                    ..v3::Connect::default()
                }),
                Limits::default(),
                0,
            ),
            (v3(v3::Connect::default()), Limits::default(), 7200),
            (v3(v3::Connect::default()), limits.clone(), 60),
            (
                v5(v5::Connect {
                    session_expiry_interval_secs: u32::MAX,
                    ..v5::Connect::default()
                }),
                limits,
                60,
            ),
            (
                v5(v5::Connect {
                    session_expiry_interval_secs: u32::MAX,
                    ..v5::Connect::default()
                }),
                Limits::default(),
                u32::MAX,
            ),
        ] {
            assert_eq!(
                connection(&info, &listening(limits)).session_expiry,
                expected,
                "{info:?}"
            );
        }
    }

    #[test]
    fn what_the_client_and_its_connack_say() {
        let info = v5(v5::Connect {
            keep_alive: 200,
            receive_max: NonZeroU16::new(7),
            topic_alias_max: 3,
            max_packet_size: NonZeroU32::new(1_000),
            request_response_info: true,
            request_problem_info: false,
            password: Some("secret".into()),
            ..v5::Connect::default()
        });
        let limits = Limits {
            max_keepalive: 100,
            max_qos_allowed: 1,
            shared_subscription: false,
            ..Limits::default()
        };
        let connack = accepted(&info, &listening(limits), true, Some(Millis(5)));
        assert_eq!(
            connack.connection.properties.as_ref().unwrap().standard,
            [
                Property::ReceiveMaximum(7),
                Property::MaximumPacketSize(1_000),
                Property::TopicAliasMaximum(3),
                Property::RequestResponseInformation(true),
                Property::RequestProblemInformation(false),
            ]
        );
        assert_eq!(
            connack.properties.as_ref().unwrap().standard,
            [
                Property::ReceiveMaximum(7),
                Property::MaximumQos(1),
                Property::MaximumPacketSize(1024 * 1024),
                Property::SharedSubscriptionAvailable(false),
                Property::ServerKeepAlive(100),
            ]
        );
        assert_eq!(connack.connection.client.peer, key().remote_addr);
        assert!(!format!("{connack:?}").contains("secret"));
        let old = accepted(&v3(v3::Connect::default()), &listening(Limits::default()), false, None);
        assert_eq!((old.properties, old.connection.protocol_name.as_ref()), (None, "MQTT"));
    }

    #[test]
    fn options_of_a_subscription() {
        let options = SubscriptionOptions::V5(SubOptionsV5 {
            qos: QoS::AtLeastOnce,
            shared_group: Some("g".into()),
            limit_subs: Some(2),
            no_local: true,
            retain_as_published: true,
            retain_handling: RetainHandling::NoAtSubscribe,
            id: NonZeroU32::new(9),
        });
        let subscription = subscription(client(&key(), 5), &"a/+".into(), &options, 1, true);
        assert_eq!(
            (subscription.filter.as_ref(), subscription.group.as_deref()),
            ("a/+", Some("g"))
        );
        assert_eq!(
            (subscription.qos, subscription.retain_handling, subscription.id),
            (1, 2, Some(9))
        );
        assert!(subscription.no_local && subscription.retain_as_published && subscription.is_new);
        assert_eq!(subscription.limit, Some(2));
        assert_eq!(
            subscription.properties.unwrap().standard,
            [Property::SubscriptionIdentifier(9)]
        );
    }

    #[test]
    fn origins() {
        let publish = Publish::from(CodecPublish {
            dup: true,
            retain: false,
            qos: QoS::AtLeastOnce,
            topic: "t".into(),
            packet_id: NonZeroU16::new(3),
            payload: "x".into(),
            properties: None,
        });
        let numbers = Numbers::new(1);
        let module = ClientKey::new(1, MODULE_LISTENER, None, None, "m".into(), None);
        for (sender, origin, version) in [
            (Sender::from_custom(key()), Origin::Client, 4),
            (Sender::from_lastwill(key()), Origin::Will, 4),
            (Sender::from_admin(key()), Origin::Admin, 0),
            (Sender::from_admin(module), Origin::Module, 0),
            (Sender::from_system(key()), Origin::System, 0),
            (Sender::from_bridge(key()), Origin::Bridge, 0),
        ] {
            let published = message(&numbers, &sender, 4, &publish, true);
            assert_eq!(
                (published.origin, published.publisher.protocol_version),
                (origin, version)
            );
            assert_eq!((published.packet_id, published.dup), (Some(3), true));
            let on_its_way = message(&numbers, &sender, 4, &publish, false);
            assert_eq!((on_its_way.packet_id, on_its_way.dup), (None, false));
        }
    }

    #[test]
    fn a_disconnect_without_properties_has_none() {
        assert_eq!(properties::of_disconnect(&v5::Disconnect::default()), None);
    }
}
