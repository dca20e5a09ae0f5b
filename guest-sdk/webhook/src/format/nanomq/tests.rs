//! Each body against a literal one.

use serde_json::{Value, json};

use crate::RuleKey;
use crate::fixtures::*;
use hookhost_guest::event::{Client, Detail, End, EndReason};
use hookhost_guest::request::Body;
use hookhost_guest::testing;

fn source() -> Value {
    json!({"format": "nanomq"})
}

fn documented() -> Value {
    json!({"format": "nanomq", "as_documented": true})
}

#[test]
fn what_nanomq_sends() {
    check(
        &source(),
        RuleKey::MessagePublish,
        Detail::MessagePublish(message(b"hello")),
        r#"{"ts":1790000001000,"topic":"t/1","retain":false,"qos":1,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"hello"}"#,
    );
    check(
        &source(),
        RuleKey::ClientConnack,
        Detail::ClientConnack(connack(c2())),
        r#"{"proto_ver":5,"keepalive":60,"conn_ack":"success","username":"undefined","clientid":"c2","action":"client_connack"}"#,
    );
    check(
        &source(),
        RuleKey::ClientConnack,
        Detail::ClientConnack(refusal(c1(), 134)),
        r#"{"proto_ver":4,"keepalive":60,"conn_ack":"fail","username":"u1","clientid":"c1","action":"client_connack"}"#,
    );
    check(
        &source(),
        RuleKey::ClientDisconnected,
        Detail::ClientDisconnected(disconnection(c1(), EndReason::KeepAliveTimeout)),
        r#"{"reason":"normal","username":"u1","clientid":"c1","action":"client_disconnected"}"#,
    );
}

#[test]
fn what_nanomq_accepts_rules_for_and_never_sends() {
    let end = End {
        code: Some(0),
        ..testing::end(EndReason::Disconnect)
    };
    for (key, detail, expected) in [
        (
            RuleKey::ClientConnect,
            Detail::ClientConnect(connection(c1())),
            r#"{"proto_ver":4,"keepalive":60,"username":"u1","clientid":"c1","action":"client_connect"}"#,
        ),
        (
            RuleKey::ClientConnected,
            Detail::ClientConnected(connack(c1())),
            r#"{"proto_ver":4,"keepalive":60,"connected_at":1790000001000,"username":"u1","clientid":"c1","action":"client_connected"}"#,
        ),
        (
            RuleKey::ClientSubscribe,
            Detail::ClientSubscribe(subscription(c1())),
            r#"{"topic":"t/1","opts":{"qos":1},"username":"u1","clientid":"c1","action":"client_subscribe"}"#,
        ),
        (
            RuleKey::SessionSubscribed,
            Detail::SessionSubscribed(subscription(c2())),
            r#"{"topic":"t/1","opts":{"qos":1},"username":"undefined","clientid":"c2","action":"session_subscribed"}"#,
        ),
        (
            RuleKey::ClientUnsubscribe,
            Detail::ClientUnsubscribe(unsubscription(c1())),
            r#"{"topic":"t/1","username":"u1","clientid":"c1","action":"client_unsubscribe"}"#,
        ),
        (
            RuleKey::SessionUnsubscribed,
            Detail::SessionUnsubscribed(unsubscription(c1())),
            r#"{"topic":"t/1","username":"u1","clientid":"c1","action":"session_unsubscribed"}"#,
        ),
        (
            RuleKey::SessionTerminated,
            Detail::SessionTerminated(termination(c1(), end)),
            r#"{"reason":"normal","username":"u1","clientid":"c1","action":"session_terminated"}"#,
        ),
        (
            RuleKey::MessageDelivered,
            Detail::MessageDelivered(delivery(b"hello")),
            r#"{"ts":1790000001000,"topic":"t/1","retain":false,"qos":1,"action":"message_delivered","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"hello"}"#,
        ),
        (
            RuleKey::MessageAcked,
            Detail::MessageAcked(acknowledgement()),
            r#"{"ts":1790000001000,"topic":"t/1","retain":false,"qos":1,"action":"message_acked","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"hello"}"#,
        ),
    ] {
        check(&source(), key, detail, expected);
    }
}

#[test]
fn what_the_page_says() {
    check(
        &documented(),
        RuleKey::MessagePublish,
        Detail::MessagePublish(message(b"hello")),
        r#"{"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"hello","ts":1790000001}"#,
    );
    check(
        &documented(),
        RuleKey::ClientConnack,
        Detail::ClientConnack(refusal(c2(), 135)),
        r#"{"action":"client_connack","clientid":"c2","username":"undefined","keepalive":60,"proto_ver":5,"conn_ack":"fail"}"#,
    );
    check(
        &documented(),
        RuleKey::ClientDisconnected,
        Detail::ClientDisconnected(disconnection(c1(), EndReason::KeepAliveTimeout)),
        r#"{"action":"client_disconnected","clientid":"c1","username":"u1","reason":"keepalive_timeout"}"#,
    );
    check(
        &documented(),
        RuleKey::SessionUnsubscribed,
        Detail::SessionUnsubscribed(unsubscription(c1())),
        r#"{"action":"session_unsubscribed","clientid":"c1","username":"u1","topic":"t/1"}"#,
    );
}

#[test]
fn the_end_of_a_connection_whose_session_stays() {
    let ended = |reason| {
        let mut disconnection = disconnection(c1(), reason);
        disconnection.connection.clean_start = false;
        Detail::ClientDisconnected(disconnection)
    };
    let key = RuleKey::ClientDisconnected;
    assert_eq!(requests(&source(), key, json!({}), ended(EndReason::Closed)), []);
    assert_eq!(
        requests(&documented(), key, json!({}), ended(EndReason::Closed)).len(),
        1
    );
    assert_eq!(
        requests(&source(), key, json!({}), ended(EndReason::Disconnect)).len(),
        1
    );
}

/// The body for a payload, up to and with the name of its key if it has one.
fn tail(encoding: &str, payload: &[u8]) -> Vec<u8> {
    let rule = json!({"payload_encoding": encoding});
    let body = body(
        &source(),
        RuleKey::MessagePublish,
        rule,
        Detail::MessagePublish(message(payload)),
    );
    let bytes = match body {
        Body::Text(text) => text.into_bytes(),
        Body::Bytes(bytes) => bytes,
    };
    let begin = br#"{"ts":1790000001000,"topic":"t/1","retain":false,"qos":1,"action":"message_publish","from_username":"u1","from_client_id":"c1""#;
    bytes.strip_prefix(begin).unwrap().to_vec()
}

#[test]
fn payloads() {
    for (encoding, payload, expected) in [
        // A C string: it ends at the first NUL.
        ("plain", &b"a\"b\n"[..], &b",\"payload\":\"a\\\"b\\n\"}"[..]),
        ("plain", b"", b"}"),
        ("plain", b"ab\0cd", b",\"payload\":\"ab\"}"),
        ("plain", b"\0cd", b",\"payload\":\"\"}"),
        // Not UTF-8, and so the body is none either.
        ("plain", b"a\xff\"\xfe", b",\"payload\":\"a\xff\\\"\xfe\"}"),
        ("plain", b"\xffa\0\xff", b",\"payload\":\"\xffa\"}"),
        ("base64", b"hello", b",\"payload\":\"aGVsbG8=\"}"),
        ("base64", b"", b",\"payload\":null}"),
        ("base62", b"hello", b",\"payload\":\"7tQLFHz\"}"),
        ("base62", b"", b",\"payload\":\"\"}"),
        ("base64_no_padding", b"\xff\xff\xff", b",\"payload\":\"BBBB\"}"),
        ("base64_no_padding", b"", b",\"payload\":\"\"}"),
    ] {
        let got = tail(encoding, payload);
        assert_eq!(
            got,
            expected,
            "{encoding} {payload:?}: {}",
            String::from_utf8_lossy(&got)
        );
    }
}

#[test]
fn a_message_without_a_sender() {
    let mut message = message(b"x");
    message.publisher = Client {
        id: "".into(),
        username: None,
        ..message.publisher
    };
    check(
        &source(),
        RuleKey::MessagePublish,
        Detail::MessagePublish(message),
        r#"{"ts":1790000001000,"topic":"t/1","retain":false,"qos":1,"action":"message_publish","from_username":"undefined","from_client_id":null,"payload":"x"}"#,
    );
}
