//! Each body against a literal one.

use serde_json::{Value, json};

use crate::fixtures::*;
use crate::{RuleKey, Rules};
use hookhost_guest::event::{
    Delivery, Detail, DropReason, End, EndReason, Message, Node, Properties, Property, Subscription, Unsubscription,
};
use hookhost_guest::request::Body;
use hookhost_guest::testing;

fn source() -> Value {
    json!({"format": "emqx4"})
}

fn documented() -> Value {
    json!({"format": "emqx4", "as_documented": true})
}

#[test]
fn client_connect() {
    let (key, detail) = (RuleKey::ClientConnect, || Detail::ClientConnect(connection(c1())));
    check(
        &source(),
        key,
        detail(),
        r#"{"username":"u1","proto_ver":4,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","clientid":"c1","action":"client_connect"}"#,
    );
    check(
        &documented(),
        key,
        detail(),
        r#"{"action":"client_connect","clientid":"c1","username":"u1","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":4}"#,
    );
    check(
        &source(),
        key,
        Detail::ClientConnect(connection(c2())),
        r#"{"username":null,"proto_ver":5,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"::1","clientid":"c2","action":"client_connect"}"#,
    );
}

#[test]
fn client_connected() {
    let (key, detail) = (RuleKey::ClientConnected, || Detail::ClientConnected(connack(c1())));
    check(
        &source(),
        key,
        detail(),
        r#"{"username":"u1","proto_ver":4,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","connected_at":1790000001000,"clientid":"c1","action":"client_connected"}"#,
    );
    check(
        &documented(),
        key,
        detail(),
        r#"{"action":"client_connected","clientid":"c1","username":"u1","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":4,"connected_at":1790000001}"#,
    );
}

#[test]
fn client_connack() {
    let (key, detail) = (RuleKey::ClientConnack, || Detail::ClientConnected(connack(c1())));
    check(
        &source(),
        key,
        detail(),
        r#"{"username":"u1","proto_ver":4,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","connected_at":1790000001000,"conn_ack":"success","clientid":"c1","action":"client_connack"}"#,
    );
    check(
        &documented(),
        key,
        detail(),
        r#"{"action":"client_connack","clientid":"c1","username":"u1","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":4,"conn_ack":"success"}"#,
    );
    let refused = || Detail::ClientConnack(refusal(c2(), 134));
    check(
        &source(),
        key,
        refused(),
        r#"{"username":null,"proto_ver":5,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"::1","conn_ack":"bad_username_or_password","clientid":"c2","action":"client_connack"}"#,
    );
    check(
        &documented(),
        key,
        refused(),
        r#"{"action":"client_connack","clientid":"c2","username":"undefined","ipaddress":"::1","keepalive":60,"proto_ver":5,"conn_ack":"bad_username_or_password"}"#,
    );
}

/// The event of the accepted connection makes both requests, in EMQX's order.
#[test]
fn connack_comes_after_connected() {
    let rules =
        json!({"format": "emqx4", "urls": ["http://h/"], "rule": {"client_connack": [{}], "client_connected": [{}]}});
    let rules = Rules::parse(&rules, &testing::host()).unwrap();
    let actions = |detail| -> Vec<String> {
        let outcome = rules.webhooks(&testing::event(detail));
        let bodies = outcome
            .requests()
            .iter()
            .map(|request| request.body_str().unwrap_or_default());
        bodies
            .map(|body| {
                serde_json::from_str::<Value>(body).unwrap()["action"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(actions(Detail::ClientConnack(connack(c1()))), [""; 0]);
    assert_eq!(
        actions(Detail::ClientConnected(connack(c1()))),
        ["client_connected", "client_connack"]
    );
    assert_eq!(actions(Detail::ClientConnack(refusal(c1(), 135))), ["client_connack"]);
}

#[test]
fn an_assigned_client_id_is_unknown_at_connack() {
    let mut accepted = connack(c2());
    accepted.properties = Some(Properties {
        standard: vec![Property::AssignedClientIdentifier("c2".into())],
        user: Vec::new(),
    });
    let accepted = || Detail::ClientConnected(accepted.clone());
    check(
        &source(),
        RuleKey::ClientConnack,
        accepted(),
        r#"{"username":null,"proto_ver":5,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"::1","connected_at":1790000001000,"conn_ack":"success","clientid":"","action":"client_connack"}"#,
    );
    check(
        &source(),
        RuleKey::ClientConnected,
        accepted(),
        r#"{"username":null,"proto_ver":5,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"::1","connected_at":1790000001000,"clientid":"c2","action":"client_connected"}"#,
    );
}

#[test]
fn older_versions_have_fewer_keys() {
    let version = |version: &str| json!({"format": "emqx4", "emqx_version": version});
    let connack = || Detail::ClientConnected(connack(c2()));
    let ended = || Detail::ClientDisconnected(disconnection(c1(), EndReason::Closed));
    for (at, connack_body, ended_body) in [
        (
            "4.0",
            r#"{"username":"undefined","proto_ver":5,"keepalive":60,"ipaddress":"::1","conn_ack":"success","clientid":"c2","action":"client_connack"}"#,
            r#"{"username":"u1","reason":"tcp_closed","clientid":"c1","action":"client_disconnected"}"#,
        ),
        (
            "4.1",
            r#"{"username":null,"proto_ver":5,"keepalive":60,"ipaddress":"::1","conn_ack":"success","clientid":"c2","action":"client_connack"}"#,
            r#"{"username":"u1","reason":"tcp_closed","clientid":"c1","action":"client_disconnected"}"#,
        ),
        (
            "4.2",
            r#"{"username":null,"proto_ver":5,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"::1","conn_ack":"success","clientid":"c2","action":"client_connack"}"#,
            r#"{"username":"u1","reason":"tcp_closed","node":"hookhost@127.0.0.1","disconnected_at":1790000001002,"clientid":"c1","action":"client_disconnected"}"#,
        ),
        (
            "4.3",
            r#"{"username":null,"proto_ver":5,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"::1","connected_at":1790000001000,"conn_ack":"success","clientid":"c2","action":"client_connack"}"#,
            r#"{"username":"u1","reason":"tcp_closed","node":"hookhost@127.0.0.1","disconnected_at":1790000001002,"connected_at":1789999941002,"clientid":"c1","action":"client_disconnected"}"#,
        ),
    ] {
        check(&version(at), RuleKey::ClientConnack, connack(), connack_body);
        check(&version(at), RuleKey::ClientDisconnected, ended(), ended_body);
    }
    check(
        &version("4.0"),
        RuleKey::MessagePublish,
        testing::publish("t/1", b"x").detail,
        r#"{"ts":1790000001000,"topic":"t/1","retain":false,"qos":1,"payload":"x","from_username":"undefined","from_client_id":"publisher","action":"message_publish"}"#,
    );
}

#[test]
fn client_disconnected() {
    let key = RuleKey::ClientDisconnected;
    let detail = || Detail::ClientDisconnected(disconnection(c1(), EndReason::Closed));
    check(
        &source(),
        key,
        detail(),
        r#"{"username":"u1","reason":"tcp_closed","node":"hookhost@127.0.0.1","disconnected_at":1790000001002,"connected_at":1789999941002,"clientid":"c1","action":"client_disconnected"}"#,
    );
    check(
        &documented(),
        key,
        detail(),
        r#"{"action":"client_disconnected","clientid":"c1","username":"u1","reason":"tcp_closed"}"#,
    );
    let taken_over = || Detail::ClientDisconnected(disconnection(c1(), EndReason::TakenOver));
    assert_eq!(requests(&source(), key, json!({}), taken_over()), []);
    check(
        &documented(),
        key,
        taken_over(),
        r#"{"action":"client_disconnected","clientid":"c1","username":"u1","reason":"takeovered"}"#,
    );
}

#[test]
fn client_subscribe() {
    let (key, detail) = (RuleKey::ClientSubscribe, || Detail::ClientSubscribe(subscription(c1())));
    check(
        &source(),
        key,
        detail(),
        r#"{"username":"u1","topic":"t/1","opts":{"rh":0,"rap":0,"qos":1,"nl":0},"node":"hookhost@127.0.0.1","clientid":"c1","action":"client_subscribe"}"#,
    );
    check(
        &documented(),
        key,
        detail(),
        r#"{"action":"client_subscribe","clientid":"c1","username":"u1","topic":"t/1","opts":{"qos":1}}"#,
    );
    check(
        &source(),
        key,
        Detail::ClientSubscribe(Subscription {
            group: Some("g".into()),
            no_local: true,
            retain_as_published: true,
            retain_handling: 2,
            id: Some(7),
            limit: Some(1),
            qos: 2,
            ..subscription(c2())
        }),
        r#"{"username":null,"topic":"t/1","opts":{"subid":7,"share":"g","rh":2,"rap":1,"qos":2,"nl":1,"is_exclusive":true},"node":"hookhost@127.0.0.1","clientid":"c2","action":"client_subscribe"}"#,
    );
}

#[test]
fn session_subscribed() {
    let key = RuleKey::SessionSubscribed;
    let detail = || Detail::SessionSubscribed(subscription(c1()));
    check(
        &source(),
        key,
        detail(),
        r#"{"username":"u1","topic":"t/1","opts":{"sub_props":{},"rh":0,"rap":0,"qos":1,"nl":0,"is_new":true},"node":"hookhost@127.0.0.1","clientid":"c1","action":"session_subscribed"}"#,
    );
    check(
        &documented(),
        key,
        detail(),
        r#"{"action":"session_subscribed","clientid":"c1","username":"u1","topic":"t/1","opts":{"qos":1}}"#,
    );
    let properties = Properties {
        standard: Vec::new(),
        user: [("k", "1"), ("x", "y"), ("k", "2")]
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
    };
    check(
        &source(),
        key,
        Detail::SessionSubscribed(Subscription {
            id: Some(7),
            is_new: false,
            properties: Some(properties),
            ..subscription(c1())
        }),
        r#"{"username":"u1","topic":"t/1","opts":{"subid":7,"sub_props":{"User-Property":{"x":"y","k":"2"},"Subscription-Identifier":7},"rh":0,"rap":0,"qos":1,"nl":0,"is_new":false},"node":"hookhost@127.0.0.1","clientid":"c1","action":"session_subscribed"}"#,
    );
}

#[test]
fn unsubscriptions() {
    let asked = || Detail::ClientUnsubscribe(unsubscription(c1()));
    let done = || Detail::SessionUnsubscribed(unsubscription(c1()));
    check(
        &source(),
        RuleKey::ClientUnsubscribe,
        asked(),
        r#"{"username":"u1","topic":"t/1","opts":{},"node":"hookhost@127.0.0.1","clientid":"c1","action":"client_unsubscribe"}"#,
    );
    check(
        &documented(),
        RuleKey::ClientUnsubscribe,
        asked(),
        r#"{"action":"client_unsubscribe","clientid":"c1","username":"u1","topic":"t/1"}"#,
    );
    check(
        &source(),
        RuleKey::ClientUnsubscribe,
        Detail::ClientUnsubscribe(Unsubscription {
            group: Some("$queue".into()),
            ..unsubscription(c1())
        }),
        r#"{"username":"u1","topic":"t/1","opts":{"share":"$queue"},"node":"hookhost@127.0.0.1","clientid":"c1","action":"client_unsubscribe"}"#,
    );
    check(
        &source(),
        RuleKey::SessionUnsubscribed,
        done(),
        r#"{"username":"u1","topic":"t/1","node":"hookhost@127.0.0.1","clientid":"c1","action":"session_unsubscribed"}"#,
    );
    check(
        &documented(),
        RuleKey::SessionUnsubscribed,
        done(),
        r#"{"action":"session_unsubscribe","clientid":"c1","username":"u1","topic":"t/1"}"#,
    );
}

#[test]
fn session_terminated() {
    let end = || End {
        code: Some(0),
        ..testing::end(EndReason::Disconnect)
    };
    let detail = || Detail::SessionTerminated(termination(c1(), end()));
    check(
        &source(),
        RuleKey::SessionTerminated,
        detail(),
        r#"{"username":"u1","reason":"normal","node":"hookhost@127.0.0.1","clientid":"c1","action":"session_terminated"}"#,
    );
    check(
        &documented(),
        RuleKey::SessionTerminated,
        detail(),
        r#"{"action":"session_terminated","clientid":"c1","username":"u1","reason":"normal"}"#,
    );
}

#[test]
fn messages() {
    let published = || Detail::MessagePublish(message(b"hello"));
    check(
        &source(),
        RuleKey::MessagePublish,
        published(),
        r#"{"ts":1790000001000,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}"#,
    );
    check(
        &documented(),
        RuleKey::MessagePublish,
        published(),
        r#"{"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"hello","ts":1790000001000}"#,
    );
    let sent = || {
        Detail::MessageDelivered(Delivery {
            qos: 0,
            retain: true,
            ..delivery(b"hello")
        })
    };
    check(
        &source(),
        RuleKey::MessageDelivered,
        sent(),
        r#"{"username":null,"ts":1790000001000,"topic":"t/1","retain":true,"qos":0,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_delivered"}"#,
    );
    check(
        &documented(),
        RuleKey::MessageDelivered,
        sent(),
        r#"{"action":"message_delivered","clientid":"c2","username":"undefined","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":0,"retain":true,"payload":"hello","ts":1790000001000}"#,
    );
    check(
        &source(),
        RuleKey::MessageAcked,
        Detail::MessageAcked(acknowledgement()),
        r#"{"username":null,"ts":1790000001000,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_acked"}"#,
    );
    check(
        &documented(),
        RuleKey::MessageAcked,
        Detail::MessageAcked(acknowledgement()),
        r#"{"action":"message_acked","clientid":"c2","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"hello","ts":1790000001000}"#,
    );
    check(
        &source(),
        RuleKey::MessageDropped,
        testing::dropped("t/1", b"hello").detail,
        r#"{"ts":1790000001000,"topic":"t/1","retain":false,"reason":"no_subscribers","qos":1,"payload":"hello","node":"hookhost@127.0.0.1","from_username":null,"from_client_id":"publisher","action":"message_dropped"}"#,
    );
    check(
        &documented(),
        RuleKey::MessageDropped,
        testing::refused("t/1", b"hello", DropReason::PacketIdInUse, 145).detail,
        r#"{"action":"message_dropped","from_client_id":"publisher","from_username":"undefined","topic":"t/1","qos":1,"retain":false,"payload":"hello","ts":1790000001000,"reason":"packet_identifier_inuse"}"#,
    );
}

#[test]
fn payloads() {
    for (encoding, payload, expected) in [
        ("plain", &b"a\"b\n\xff\xc3\xbc"[..], "\"a\\\"b\\n\u{fffd}ü\""),
        ("plain", b"", "\"\""),
        ("plain", b"\x0b", "\"\\u000B\""),
        ("base64", b"hello", "\"aGVsbG8=\""),
        ("base64", b"", "\"\""),
        ("base62", b"hello", "\"aGVsbGP\""),
        ("base62", b"\xff\xff\xff", "\"9C9C9C9C\""),
    ] {
        for form in [source(), documented()] {
            let rule = json!({"payload_encoding": encoding});
            let body = body(
                &form,
                RuleKey::MessagePublish,
                rule,
                Detail::MessagePublish(message(payload)),
            );
            let Body::Text(body) = body else { panic!("text") };
            assert!(body.contains(&format!("\"payload\":{expected},")), "{body}");
        }
    }
}

#[test]
fn control_characters_have_upper_case_digits_everywhere() {
    let mut client = c1();
    client.id = "c\u{b}".into();
    client.username = Some("u\u{1f}".into());
    let message = Message {
        topic: "t/\u{1b}".into(),
        publisher: client,
        ..message(b"hello")
    };
    for (form, expected) in [
        (
            source(),
            r#"{"ts":1790000001000,"topic":"t/\u001B","retain":false,"qos":1,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u\u001F","from_client_id":"c\u000B","action":"message_publish"}"#,
        ),
        (
            documented(),
            r#"{"action":"message_publish","from_client_id":"c\u000B","from_username":"u\u001F","topic":"t/\u001B","qos":1,"retain":false,"payload":"hello","ts":1790000001000}"#,
        ),
    ] {
        check(
            &form,
            RuleKey::MessagePublish,
            Detail::MessagePublish(message.clone()),
            expected,
        );
    }
}

#[test]
fn a_rule_may_call_the_event_otherwise_and_a_client_be_elsewhere() {
    let mut client = c1();
    client.node = Some(Node {
        name: "other@10.0.0.2".into(),
        id: 2,
    });
    client.peer = None;
    let detail = Detail::ClientConnect(connection(client));
    assert_eq!(
        body(&source(), RuleKey::ClientConnect, json!({"action": "hi"}), detail),
        Body::Text(
            r#"{"username":"u1","proto_ver":4,"node":"other@10.0.0.2","keepalive":60,"ipaddress":null,"clientid":"c1","action":"hi"}"#
                .into()
        )
    );
}
