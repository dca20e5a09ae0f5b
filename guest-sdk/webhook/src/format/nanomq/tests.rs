//! Each body against a literal one.

use serde_json::{Value, json};

use crate::fixtures::*;
use crate::{RuleKey, Rules};
use hookhost_guest::event::{Client, Detail, End, EndReason, Event, Message};
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
fn an_empty_user_name_is_undefined() {
    let unnamed = Client {
        username: Some("".into()),
        ..c1()
    };
    check(
        &source(),
        RuleKey::ClientConnack,
        Detail::ClientConnack(connack(unnamed.clone())),
        r#"{"proto_ver":4,"keepalive":60,"conn_ack":"success","username":"undefined","clientid":"c1","action":"client_connack"}"#,
    );
    check(
        &source(),
        RuleKey::MessagePublish,
        Detail::MessagePublish(Message {
            publisher: unnamed,
            ..message(b"x")
        }),
        r#"{"ts":1790000001000,"topic":"t/1","retain":false,"qos":1,"action":"message_publish","from_username":"undefined","from_client_id":"c1","payload":"x"}"#,
    );
}

/// The bodies for an event, by rules for all three events that NanoMQ sends.
fn bodies(detail: Detail, extras: &[(&str, &str)], as_documented: bool) -> Vec<String> {
    let config = json!({
        "urls": ["http://h/"], "format": "nanomq", "as_documented": as_documented,
        "rule": {"client_connack": [{}], "client_disconnected": [{}], "message_publish": [{}]},
    });
    let rules = Rules::parse(&config, &testing::host()).unwrap();
    let extras = extras.iter().map(|(name, value)| (name.to_string(), value.to_string()));
    let event = Event {
        extras: Some(extras.collect()),
        ..testing::event(detail)
    };
    let outcome = rules.webhooks(&event);
    let bodies = outcome
        .requests()
        .iter()
        .map(|request| request.body_str().unwrap().to_owned());
    bodies.collect()
}

const ENDED: &str = r#"{"reason":"normal","username":"u1","clientid":"c1","action":"client_disconnected"}"#;

/// The message on the status topic of a client.
fn status(client: &str, username: &str, payload: &str) -> String {
    let payload = serde_json::to_string(payload).unwrap();
    format!(
        r#"{{"ts":1790000001002,"topic":"$SYS/brokers/client_status/{client}","retain":false,"qos":0,"action":"message_publish","from_username":"{username}","from_client_id":"{client}","payload":{payload}}}"#
    )
}

fn offline(code: &str) -> String {
    let payload = r#"{"status":"offline", "username":"u1","ts":1790000001002,"reason_code":"$code","client_id":"c1","IPv4":"127.0.0.1"}"#;
    status("c1", "u1", &payload.replace("$code", code))
}

#[test]
fn a_connection_has_a_message_on_the_status_topic() {
    let accepted = r#"{"proto_ver":4,"keepalive":60,"conn_ack":"success","username":"u1","clientid":"c1","action":"client_connack"}"#;
    let online = r#"{"status":"online", "username":"u1", "ts":1790000001002,"proto_name":"MQTT","keepalive":60,"return_code":"0","proto_ver":4,"client_id":"c1","clean_start":1, "IPv4":"127.0.0.1"}"#;
    assert_eq!(
        bodies(Detail::ClientConnack(connack(c1())), &[], false),
        [accepted.to_owned(), status("c1", "u1", online)]
    );
    // Without user name, by IPv6, in MQTT 5, without clean start.
    let mut connack = connack(c2());
    connack.connection.clean_start = false;
    let online = r#"{"status":"online", "username":"(null)", "ts":1790000001002,"proto_name":"MQTT","keepalive":60,"return_code":"0","proto_ver":5,"client_id":"c2","clean_start":0, "IPv4":""}"#;
    assert_eq!(
        bodies(Detail::ClientConnack(connack), &[], false)[1..],
        [status("c2", "undefined", online)]
    );
}

#[test]
fn a_refused_connection_has_all_events_of_a_connection() {
    let refused =
        r#"{"proto_ver":4,"keepalive":60,"conn_ack":"fail","username":"u1","clientid":"c1","action":"client_connack"}"#;
    let online = r#"{"status":"online", "username":"u1", "ts":1790000001002,"proto_name":"MQTT","keepalive":60,"return_code":"5","proto_ver":4,"client_id":"c1","clean_start":1, "IPv4":"127.0.0.1"}"#;
    assert_eq!(
        bodies(Detail::ClientConnack(refusal(c1(), 135)), &[], false),
        [
            refused.to_owned(),
            status("c1", "u1", online),
            ENDED.to_owned(),
            offline("0"),
        ]
    );
}

#[test]
fn the_code_of_an_error_is_that_of_nanomq() {
    for (client, code, expected) in [
        (c1(), 129, "7"),
        (c1(), 130, "81"),
        (c1(), 144, "7"),
        (c1(), 155, "82"),
        (c1(), 148, "94"),
        (c2(), 129, "81"),
        (c2(), 155, "9b"),
    ] {
        let mut disconnection = disconnection(client, EndReason::ProtocolError);
        disconnection.end.code = Some(code);
        let bodies = bodies(Detail::ClientDisconnected(disconnection), &[], false);
        let reason = format!("\\\"reason_code\\\":\\\"{expected}\\\"");
        assert!(bodies[1].contains(&reason), "{code}: {}", bodies[1]);
    }
}

#[test]
fn a_session_without_clean_start_has_one_end() {
    let ended = |reason, clean_start| {
        let mut disconnection = disconnection(c1(), reason);
        disconnection.connection.clean_start = clean_start;
        Detail::ClientDisconnected(disconnection)
    };
    let discarded = || Detail::SessionDiscarded(session(c1()));
    let expired = || Detail::SessionTerminated(termination(c1(), testing::end(EndReason::Expired)));
    let [kept, clean] = ["false", "true"].map(|clean_start| ("clean_start", clean_start));
    for (detail, extras, expected) in [
        (ended(EndReason::Disconnect, true), &[][..], Some("0")),
        (ended(EndReason::TakenOver, true), &[], Some("0")),
        (ended(EndReason::Closed, true), &[], Some("8b")),
        (ended(EndReason::KeepAliveTimeout, true), &[], Some("8b")),
        (ended(EndReason::Disconnect, false), &[], None),
        (ended(EndReason::Closed, false), &[], None),
        (discarded(), &[kept, ("by_disconnect", "true")], Some("0")),
        (discarded(), &[kept, ("by_disconnect", "false")], Some("8b")),
        (discarded(), &[clean, ("by_disconnect", "true")], None),
        (expired(), &[kept, ("by_disconnect", "false")], Some("8b")),
        (expired(), &[clean], None),
        (expired(), &[], None),
    ] {
        let expected = expected.map(|code| vec![ENDED.to_owned(), offline(code)]);
        assert_eq!(
            bodies(detail.clone(), extras, false),
            expected.unwrap_or_default(),
            "{detail:?}"
        );
    }
}

#[test]
fn the_page_knows_no_status_topic_and_no_sessions() {
    let mut disconnection = disconnection(c1(), EndReason::Closed);
    disconnection.connection.clean_start = false;
    assert_eq!(bodies(Detail::ClientConnack(refusal(c1(), 135)), &[], true).len(), 1);
    assert_eq!(bodies(Detail::ClientDisconnected(disconnection), &[], true).len(), 1);
    let discarded = Detail::SessionDiscarded(session(c1()));
    assert_eq!(bodies(discarded, &[("clean_start", "false")], true), [""; 0]);
}

#[test]
fn names_in_status_messages_are_escaped_and_whole() {
    let client = Client {
        id: format!("a\"{}", "x".repeat(300)),
        ..c1()
    };
    let bodies = bodies(Detail::ClientConnack(connack(client.clone())), &[], false);
    let body: Value = serde_json::from_str(&bodies[1]).unwrap();
    let payload: Value = serde_json::from_str(body["payload"].as_str().unwrap()).unwrap();
    assert_eq!(payload["client_id"], client.id);
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
