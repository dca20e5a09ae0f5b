//! Each body against a literal one.

use super::Rmqtt;
use super::body::body;
use crate::Format;
use crate::format::BodyFormat;
use crate::key::RuleKey;
use hookhost_guest::event::{
    Acknowledgement, Address, Client, Connack, Connection, Delivery, DeliveryDrop, Detail, Disconnection, DropReason,
    EndReason, Message, MessageDrop, Node, Origin, Properties, Session, Subscription, Termination, Unsubscription,
};
use hookhost_guest::testing;

/// An MQTT 3.1.1 client without name.
fn c1() -> Client {
    testing::client("c1")
}

/// An MQTT 5 client with a name, on IPv6.
fn c2() -> Client {
    Client {
        username: Some("u1".into()),
        peer: Some(Address {
            ip: "::1".into(),
            port: 50_720,
        }),
        protocol_version: 5,
        ..testing::client("c2")
    }
}

fn connection(client: Client) -> Connection {
    Connection {
        client,
        ..testing::connection("")
    }
}

fn connack(client: Client) -> Connack {
    Connack {
        connection: connection(client),
        ..testing::connack("")
    }
}

fn subscription(client: Client) -> Subscription {
    Subscription {
        client,
        ..testing::subscription("t/1")
    }
}

fn unsubscription(client: Client) -> Unsubscription {
    Unsubscription {
        client,
        ..testing::unsubscription("t/1")
    }
}

fn session(client: Client) -> Session {
    Session {
        client,
        ..testing::session("")
    }
}

fn message() -> Message {
    Message {
        publisher: c1(),
        ..testing::message("t/1", b"hello")
    }
}

fn delivery(receiver: Client) -> Delivery {
    Delivery {
        receiver,
        message: message(),
        ..testing::delivery("", b"")
    }
}

fn dropped(receiver: Client, reason: DropReason) -> Detail {
    let delivery = Delivery {
        packet_id: None,
        ..delivery(receiver)
    };
    Detail::DeliveryDropped(DeliveryDrop {
        delivery,
        reason,
        code: 0,
        text: None,
    })
}

#[track_caller]
fn check(key: RuleKey, detail: Detail, expected: &str) {
    let event = testing::event(detail);
    assert!(Format::Rmqtt.hooks(key).contains(&event.hook()));
    assert!(Format::Rmqtt.reports(key, &event, false));
    let body = body(key, &event, 1, key.name(), false).unwrap();
    assert_eq!(body, expected);
    serde_json::from_str::<serde_json::Value>(&body).unwrap();
}

#[test]
fn client_connect() {
    check(
        RuleKey::ClientConnect,
        Detail::ClientConnect(connection(c1())),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","keepalive":60,"proto_ver":4,"clean_session":true,"time":"2026-09-21 14:13:21.002","action":"client_connect"}"#,
    );
    check(
        RuleKey::ClientConnect,
        Detail::ClientConnect(connection(c2())),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","keepalive":60,"proto_ver":5,"clean_start":true,"time":"2026-09-21 14:13:21.002","action":"client_connect"}"#,
    );
}

#[test]
fn client_connack() {
    check(
        RuleKey::ClientConnack,
        Detail::ClientConnack(connack(c1())),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","keepalive":60,"proto_ver":4,"clean_session":true,"conn_ack":"Connection Accepted","time":"2026-09-21 14:13:21.002","action":"client_connack"}"#,
    );
    check(
        RuleKey::ClientConnack,
        Detail::ClientConnack(Connack {
            code: 134,
            connected_at: None,
            ..connack(c2())
        }),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","keepalive":60,"proto_ver":5,"clean_start":true,"conn_ack":"bad user name or password","time":"2026-09-21 14:13:21.002","action":"client_connack"}"#,
    );
}

#[test]
fn client_connected() {
    check(
        RuleKey::ClientConnected,
        Detail::ClientConnected(connack(c1())),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","keepalive":60,"proto_ver":4,"clean_session":true,"connected_at":1790000001000,"session_present":false,"time":"2026-09-21 14:13:21.002","action":"client_connected"}"#,
    );
    check(
        RuleKey::ClientConnected,
        Detail::ClientConnected(Connack {
            session_present: true,
            ..connack(c2())
        }),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","keepalive":60,"proto_ver":5,"clean_start":true,"connected_at":1790000001000,"session_present":true,"time":"2026-09-21 14:13:21.002","action":"client_connected"}"#,
    );
}

#[test]
fn user_properties_are_an_object_with_lists_for_repeated_names() {
    let connected = |user: &[(&str, &str)]| {
        let user = user
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        let mut connack = connack(c2());
        connack.connection.clean_start = false;
        connack.connection.properties = Some(Properties {
            standard: Vec::new(),
            user,
        });
        Detail::ClientConnected(connack)
    };
    check(
        RuleKey::ClientConnected,
        connected(&[("k", "v")]),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","keepalive":60,"proto_ver":5,"clean_start":false,"user_properties":{"k":"v"},"connected_at":1790000001000,"session_present":false,"time":"2026-09-21 14:13:21.002","action":"client_connected"}"#,
    );
    check(
        RuleKey::ClientConnected,
        connected(&[("k", "1"), ("x\"", "y"), ("k", "2"), ("k", "1")]),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","keepalive":60,"proto_ver":5,"clean_start":false,"user_properties":{"k":["1","2","1"],"x\"":"y"},"connected_at":1790000001000,"session_present":false,"time":"2026-09-21 14:13:21.002","action":"client_connected"}"#,
    );
    check(
        RuleKey::ClientConnected,
        connected(&[]),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","keepalive":60,"proto_ver":5,"clean_start":false,"connected_at":1790000001000,"session_present":false,"time":"2026-09-21 14:13:21.002","action":"client_connected"}"#,
    );
}

#[test]
fn client_disconnected() {
    let ended = |client, end| Disconnection {
        connection: connection(client),
        end,
        connected_at: None,
        disconnected_at: 1_790_000_001_001,
    };
    check(
        RuleKey::ClientDisconnected,
        Detail::ClientDisconnected(ended(c1(), testing::end(EndReason::Disconnect))),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","disconnected_at":1790000001001,"reason":"Disconnect(V3),RemoteClose","time":"2026-09-21 14:13:21.002","action":"client_disconnected"}"#,
    );
    check(
        RuleKey::ClientDisconnected,
        Detail::ClientDisconnected(ended(c2(), testing::end(EndReason::Disconnect))),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","disconnected_at":1790000001001,"reason":"Disconnect(V5(Disconnect { reason_code: NormalDisconnection, session_expiry_interval_secs: None, server_reference: None, reason_string: None, user_properties: [] })),RemoteClose","time":"2026-09-21 14:13:21.002","action":"client_disconnected"}"#,
    );
    check(
        RuleKey::ClientDisconnected,
        Detail::ClientDisconnected(ended(c2(), testing::end(EndReason::Closed))),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","disconnected_at":1790000001001,"reason":"RemoteClose","time":"2026-09-21 14:13:21.002","action":"client_disconnected"}"#,
    );
}

#[test]
fn client_subscribe() {
    check(
        RuleKey::ClientSubscribe,
        Detail::ClientSubscribe(subscription(c1())),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","topic":"t/1","opts":{"qos":1},"time":"2026-09-21 14:13:21.002","action":"client_subscribe"}"#,
    );
    check(
        RuleKey::ClientSubscribe,
        Detail::ClientSubscribe(subscription(c2())),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","topic":"t/1","opts":{"qos":1,"no_local":false,"retain_as_published":false,"retain_handling":0},"time":"2026-09-21 14:13:21.002","action":"client_subscribe"}"#,
    );
}

#[test]
fn a_queue_subscription_has_its_filter_as_sent_and_no_group() {
    check(
        RuleKey::ClientSubscribe,
        Detail::ClientSubscribe(Subscription {
            group: Some("$queue".into()),
            ..subscription(c1())
        }),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","topic":"$queue/t/1","opts":{"qos":1},"time":"2026-09-21 14:13:21.002","action":"client_subscribe"}"#,
    );
    check(
        RuleKey::SessionUnsubscribed,
        Detail::SessionUnsubscribed(Unsubscription {
            group: Some("$queue".into()),
            ..unsubscription(c1())
        }),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","topic":"$queue/t/1","time":"2026-09-21 14:13:21.002","action":"session_unsubscribed"}"#,
    );
}

#[test]
fn session_subscribed() {
    check(
        RuleKey::SessionSubscribed,
        Detail::SessionSubscribed(Subscription {
            group: Some("g".into()),
            limit: Some(3),
            id: Some(9),
            ..subscription(c1())
        }),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","topic":"t/1","opts":{"qos":1,"group":"g","limit_subs":3},"time":"2026-09-21 14:13:21.002","action":"session_subscribed"}"#,
    );
    check(
        RuleKey::SessionSubscribed,
        Detail::SessionSubscribed(Subscription {
            qos: 2,
            no_local: true,
            retain_as_published: true,
            retain_handling: 2,
            group: Some("g".into()),
            limit: Some(1),
            id: Some(7),
            ..subscription(c2())
        }),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","topic":"t/1","opts":{"qos":2,"no_local":true,"retain_as_published":true,"retain_handling":2,"group":"g","limit_subs":1,"id":7},"time":"2026-09-21 14:13:21.002","action":"session_subscribed"}"#,
    );
}

#[test]
fn client_unsubscribe() {
    check(
        RuleKey::ClientUnsubscribe,
        Detail::ClientUnsubscribe(unsubscription(c1())),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","topic":"t/1","time":"2026-09-21 14:13:21.002","action":"client_unsubscribe"}"#,
    );
    check(
        RuleKey::ClientUnsubscribe,
        Detail::ClientUnsubscribe(unsubscription(c2())),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","topic":"t/1","time":"2026-09-21 14:13:21.002","action":"client_unsubscribe"}"#,
    );
}

#[test]
fn session_unsubscribed() {
    check(
        RuleKey::SessionUnsubscribed,
        Detail::SessionUnsubscribed(unsubscription(c1())),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","topic":"t/1","time":"2026-09-21 14:13:21.002","action":"session_unsubscribed"}"#,
    );
    check(
        RuleKey::SessionUnsubscribed,
        Detail::SessionUnsubscribed(unsubscription(c2())),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","topic":"t/1","time":"2026-09-21 14:13:21.002","action":"session_unsubscribed"}"#,
    );
}

#[test]
fn session_created() {
    check(
        RuleKey::SessionCreated,
        Detail::SessionCreated(session(c1())),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","created_at":1790000001001,"time":"2026-09-21 14:13:21.002","action":"session_created"}"#,
    );
    check(
        RuleKey::SessionCreated,
        Detail::SessionCreated(session(c2())),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","created_at":1790000001001,"time":"2026-09-21 14:13:21.002","action":"session_created"}"#,
    );
}

#[test]
fn session_terminated() {
    let terminated = |client, reason| Termination {
        session: session(client),
        end: testing::end(reason),
    };
    check(
        RuleKey::SessionTerminated,
        Detail::SessionTerminated(terminated(c1(), EndReason::Disconnect)),
        r#"{"node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","reason":"Disconnect(V3),RemoteClose","time":"2026-09-21 14:13:21.002","action":"session_terminated"}"#,
    );
    check(
        RuleKey::SessionTerminated,
        Detail::SessionTerminated(terminated(c2(), EndReason::Expired)),
        r#"{"node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","reason":"SessionExpiration","time":"2026-09-21 14:13:21.002","action":"session_terminated"}"#,
    );
}

#[test]
fn message_publish() {
    check(
        RuleKey::MessagePublish,
        Detail::MessagePublish(message()),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"aGVsbG8=","ts":1790000001000,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_publish"}"#,
    );
    let from_v5 = Message {
        publisher: c2(),
        topic: "küche/\"1\"".into(),
        payload: vec![0, 0xff, 0xfe, 0xfd],
        qos: 0,
        retain: true,
        dup: true,
        packet_id: None,
        ..message()
    };
    check(
        RuleKey::MessagePublish,
        Detail::MessagePublish(from_v5),
        r#"{"dup":true,"retain":true,"qos":0,"topic":"küche/\"1\"","packet_id":null,"payload":"AP/+/Q==","ts":1790000001000,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"[::1]:50720","from_clientid":"c2","from_username":"u1","from_type":"custom","action":"message_publish"}"#,
    );
}

#[test]
fn messages_say_what_they_come_from() {
    let published = |origin, publisher| {
        let event = testing::event(Detail::MessagePublish(Message {
            origin,
            publisher,
            payload: Vec::new(),
            ..message()
        }));
        body(RuleKey::MessagePublish, &event, 1, "p", false).unwrap()
    };
    for (origin, from_type) in [
        (Origin::Client, "custom"),
        (Origin::Module, "custom"),
        (Origin::Will, "lastwill"),
        (Origin::Admin, "admin"),
        (Origin::System, "system"),
        (Origin::Bridge, "bridge"),
    ] {
        let sender = Client {
            peer: None,
            node: Some(Node {
                name: "n2".into(),
                id: 2,
            }),
            ..c1()
        };
        let expected = format!(
            r#"{{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"","ts":1790000001000,"time":"2026-09-21 14:13:21.002","from_node":2,"from_ipaddress":null,"from_clientid":"c1","from_username":"undefined","from_type":"{from_type}","action":"p"}}"#,
        );
        assert_eq!(published(origin, sender), expected);
    }
}

#[test]
fn message_delivered() {
    check(
        RuleKey::MessageDelivered,
        Detail::MessageDelivered(delivery(c2())),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":7,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_delivered"}"#,
    );
    // What counts is the packet that the receiver gets, not the one that was published.
    check(
        RuleKey::MessageDelivered,
        Detail::MessageDelivered(Delivery {
            qos: 0,
            packet_id: None,
            retain: true,
            dup: true,
            ..delivery(c1())
        }),
        r#"{"dup":true,"retain":true,"qos":0,"topic":"t/1","packet_id":null,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_delivered"}"#,
    );
}

#[test]
fn message_acked() {
    check(
        RuleKey::MessageAcked,
        Detail::MessageAcked(Acknowledgement {
            delivery: delivery(c1()),
            code: 0,
            properties: None,
        }),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":7,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_acked"}"#,
    );
    check(
        RuleKey::MessageAcked,
        Detail::MessageAcked(Acknowledgement {
            delivery: delivery(c2()),
            code: 0,
            properties: None,
        }),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":7,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_acked"}"#,
    );
}

#[test]
fn message_dropped_for_a_receiver() {
    check(
        RuleKey::MessageDropped,
        dropped(c1(), DropReason::QueueFull),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":null,"payload":"aGVsbG8=","reason":"MessageQueueFull","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","node":1,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","action":"message_dropped"}"#,
    );
    check(
        RuleKey::MessageDropped,
        dropped(c2(), DropReason::Expired),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":null,"payload":"aGVsbG8=","reason":"MessageExpiration","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","action":"message_dropped"}"#,
    );
}

#[test]
fn a_refused_publish_is_announced_and_dropped() {
    let refused = || {
        let message = Message {
            publisher: c2(),
            ..message()
        };
        Detail::MessageRefused(MessageDrop {
            message,
            reason: DropReason::NotAuthorized,
            code: 135,
            text: None,
        })
    };
    check(
        RuleKey::MessagePublish,
        refused(),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"aGVsbG8=","ts":1790000001000,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"[::1]:50720","from_clientid":"c2","from_username":"u1","from_type":"custom","action":"message_publish"}"#,
    );
    check(
        RuleKey::MessageDropped,
        refused(),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"aGVsbG8=","reason":"NotAuthorized","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","from_node":1,"from_ipaddress":"[::1]:50720","from_clientid":"c2","from_username":"u1","from_type":"custom","action":"message_dropped"}"#,
    );
}

/// Which of RMQTT's events there are for a drop: of a publish, and for a receiver.
#[test]
fn what_rmqtt_reports_of_drops() {
    let refused = |reason| {
        testing::event(Detail::MessageRefused(MessageDrop {
            message: message(),
            reason,
            code: 0,
            text: None,
        }))
    };
    for (reason, is_published) in [
        (DropReason::NotAuthorized, true),
        (DropReason::Invalid, true),
        (DropReason::PacketIdInUse, false),
    ] {
        let event = refused(reason);
        assert_eq!(
            Rmqtt.reports(RuleKey::MessagePublish, &event, false),
            is_published,
            "{reason:?}"
        );
        assert!(Rmqtt.reports(RuleKey::MessageDropped, &event, false), "{reason:?}");
    }
    let mut event = refused(DropReason::Invalid);
    if let Detail::MessageRefused(drop) = &mut event.detail {
        drop.message.topic = "a/#".to_owned();
    }
    assert!(Rmqtt.reports(RuleKey::MessagePublish, &event, false));
    assert!(!Rmqtt.reports(RuleKey::MessageDropped, &event, false));
    for (reason, is_dropped) in [(DropReason::QueueFull, true), (DropReason::NoLocal, false)] {
        let event = testing::event(dropped(c1(), reason));
        assert_eq!(
            Rmqtt.reports(RuleKey::MessageDropped, &event, false),
            is_dropped,
            "{reason:?}"
        );
    }
}

#[test]
fn offline_message() {
    check(
        RuleKey::OfflineMessage,
        Detail::MessageQueued(Delivery {
            packet_id: None,
            receiver: Client { peer: None, ..c1() },
            ..delivery(c1())
        }),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":null,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":null,"clientid":"c1","username":"undefined","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"offline_message"}"#,
    );
    check(
        RuleKey::OfflineMessage,
        Detail::MessageQueued(Delivery {
            packet_id: None,
            ..delivery(c2())
        }),
        r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":null,"payload":"aGVsbG8=","pts":1790000001000,"ts":1790000001002,"time":"2026-09-21 14:13:21.002","node":1,"ipaddress":"[::1]:50720","clientid":"c2","username":"u1","from_node":1,"from_ipaddress":"127.0.0.1:50716","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"offline_message"}"#,
    );
}

#[test]
fn time_is_local_and_the_action_is_free_text() {
    let mut event = testing::event(Detail::SessionCreated(Session {
        created_at: None,
        ..session(c1())
    }));
    event.utc_offset = -870;
    assert_eq!(
        body(
            RuleKey::SessionCreated,
            &event,
            4_000_000_000,
            "nouvelle \"séance\"",
            false
        )
        .unwrap(),
        r#"{"node":4000000000,"ipaddress":"127.0.0.1:50716","clientid":"c1","username":"undefined","created_at":0,"time":"2026-09-20 23:43:21.002","action":"nouvelle \"séance\""}"#,
    );
}

#[test]
fn an_event_of_another_key_has_no_body() {
    for key in RuleKey::ALL {
        assert_eq!(
            body(
                key,
                &testing::event(Detail::SessionResumed(session(c1()))),
                1,
                "x",
                false
            ),
            None
        );
    }
    assert_eq!(
        body(RuleKey::MessageAcked, &testing::delivered("a", b""), 1, "x", false),
        None
    );
}

#[test]
fn the_page_has_packet_identifiers_as_strings() {
    let body = |delivery: Delivery| {
        let event = testing::event(Detail::MessageDelivered(delivery));
        body(RuleKey::MessageDelivered, &event, 1, "x", true).unwrap()
    };
    assert!(body(delivery(c2())).contains(r#""packet_id":"7","#));
    let unsent = Delivery {
        packet_id: None,
        ..delivery(c2())
    };
    assert!(body(unsent).contains(r#""packet_id":null,"#));
}
