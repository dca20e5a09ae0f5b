//! Each body against a literal one.

mod messages;

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
