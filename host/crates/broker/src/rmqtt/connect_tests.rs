//! CONNECT and CONNACK of RMQTT, and what events say about them.

use std::num::{NonZeroU16, NonZeroU32};

use ::rmqtt::codec::{v3, v5};
use ::rmqtt::types::Id as ClientKey;

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
    let with_default = Limits {
        default_session_expiry_interval: std::time::Duration::from_secs(10),
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
        (v5(v5::Connect::default()), Limits::default(), 0),
        (v5(v5::Connect::default()), with_default.clone(), 10),
        (
            v5(v5::Connect {
                clean_start: true,
                ..v5::Connect::default()
            }),
            with_default.clone(),
            0,
        ),
        (
            v5(v5::Connect {
                session_expiry_interval_secs: 3,
                ..v5::Connect::default()
            }),
            with_default,
            3,
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
fn a_refused_connection_has_what_would_have_been_granted() {
    let limits = Limits {
        session_expiry_interval: std::time::Duration::from_secs(7200),
        max_session_expiry_interval: std::time::Duration::from_secs(9000),
        max_inflight: 32,
        ..Limits::default()
    };
    for (body, expected) in [
        (&b"\0\x04MQTT\x04\0\0\x3c\0\x01c"[..], (7200, 32)),
        (b"\0\x04MQTT\x04\x02\0\x3c\0\x01c", (0, 32)),
        (b"\0\x04MQTT\x05\0\0\x3c\0\0\x01c", (0, 32)),
        (b"\0\x04MQTT\x05\0\0\x3c\x05\x11\0\0\x23\x29\0\x01c", (9000, 32)),
        (b"\0\x04MQTT\x05\x02\0\x3c\x03\x21\0\x05\0\x01c", (0, 5)),
    ] {
        let connect = hookhost_relay::packet::connect(body).unwrap();
        let connection = refused_connection(&connect, &peer(), &limits);
        let granted = (connection.session_expiry, connection.receive_maximum);
        assert_eq!(granted, expected, "{body:?}");
    }
}
