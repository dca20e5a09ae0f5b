//! RMQTT's types and the neutral ones, side by side.

use std::num::{NonZeroU16, NonZeroU32};

use ::rmqtt::codec::types::QoS;
use ::rmqtt::codec::{v3, v5};
use ::rmqtt::types::{CodecPublish, SubOptionsV5, SubscriptionOptions};

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

fn peer() -> Peer {
    Peer {
        address: key().remote_addr,
        proxy: None,
        local: Some(([127, 0, 0, 1], 1883).into()),
        listener: "tcp:default".into(),
        kind: hookhost_listener::Kind::Tcp,
        tls: None,
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
        assert_eq!(connection(&info, &peer(), &limits).session_expiry, expected, "{info:?}");
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
    let connack = accepted(&info, &peer(), &limits, true, Some(Millis(5)));
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
    let old = accepted(&v3(v3::Connect::default()), &peer(), &Limits::default(), false, None);
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
    let subscribe = Subscribe {
        topic_filter: "a/+".into(),
        opts: options,
    };
    let user: Pairs = vec![("k".into(), "v".into())];
    let client = client(&key(), key().remote_addr, 5);
    let subscription = subscription(client, &subscribe, 1, true, user.clone());
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
    let properties = subscription.properties.unwrap();
    assert_eq!(properties.standard, [Property::SubscriptionIdentifier(9)]);
    assert_eq!(properties.user, user);
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
    let numbers = MessageNumbers::new(1);
    let module = ClientKey::new(1, module_listener(3), None, None, "m".into(), None);
    for (sender, origin, version) in [
        (Sender::from_custom(key()), Origin::Client, 4),
        (Sender::from_lastwill(key()), Origin::Will, 4),
        (Sender::from_admin(key()), Origin::Admin, 0),
        (Sender::from_admin(module), Origin::Module, 0),
        (Sender::from_system(key()), Origin::System, 0),
        (Sender::from_bridge(key()), Origin::Bridge, 0),
    ] {
        let published = message(&numbers, &sender, &sender.id, 4, &publish, true);
        assert_eq!(
            (published.origin, published.publisher.protocol_version),
            (origin, version)
        );
        let republishes = if origin == Origin::Module { 3 } else { 0 };
        assert_eq!(published.republishes, republishes);
        assert_eq!((published.packet_id, published.dup), (Some(3), true));
        let on_its_way = message(&numbers, &sender, &sender.id, 4, &publish, false);
        assert_eq!((on_its_way.packet_id, on_its_way.dup), (None, false));
    }
}

#[test]
fn a_disconnect_without_properties_has_none() {
    assert_eq!(properties::of_disconnect(&v5::Disconnect::default()), None);
}
