//! Bodies of EMQX 5 against literal ones, and what `select`, `where` and templates make of them.

use serde_json::{Value, json};

use crate::RuleKey;
use crate::fixtures::*;
use hookhost_guest::event::{
    Access, Authentication, Authorization, Delivery, DeliveryDrop, DeliveryLoss, Detail, DropReason, End, EndReason,
    MessageDrop, Origin, OtherEvent, Properties, Property, Subscription, Unsubscription,
};
use hookhost_guest::request::{Body, Request};
use hookhost_guest::testing;

fn source() -> Value {
    json!({"format": "emqx5"})
}

fn documented() -> Value {
    json!({"format": "emqx5", "as_documented": true})
}

fn user(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

#[test]
fn connections() {
    let mut connected = connack(c1());
    connected.connection.receive_maximum = 32;
    connected.connection.session_expiry = 60;
    connected.connection.properties = Some(Properties {
        standard: vec![
            Property::RequestProblemInformation(true),
            Property::SessionExpiryInterval(60),
        ],
        user: user(&[("k", "v"), ("k", "w")]),
    });
    let answered = connected.clone();
    check(
        &source(),
        RuleKey::ClientConnected,
        Detail::ClientConnected(connected),
        r#"{"username":"u1","timestamp":1790000001002,"sockname":"127.0.0.1:1883","receive_maximum":32,"proto_ver":4,"proto_name":"MQTT","peername":"127.0.0.1:61003","node":"hookhost@127.0.0.1","mountpoint":"undefined","metadata":{"rule_id":"client_connected"},"keepalive":60,"is_bridge":false,"expiry_interval":60,"event":"client.connected","connected_at":1790000001000,"conn_props":{"User-Property-Pairs":[{"value":"v","key":"k"},{"value":"w","key":"k"}],"User-Property":{"k":"w"},"Session-Expiry-Interval":60,"Request-Problem-Information":1},"clientid":"c1","client_attrs":{},"clean_start":true}"#,
    );
    check(
        &source(),
        RuleKey::ClientConnack,
        Detail::ClientConnected(answered.clone()),
        r#"{"username":"u1","timestamp":1790000001002,"sockname":"127.0.0.1:1883","reason_code":"success","proto_ver":4,"proto_name":"MQTT","peername":"127.0.0.1:61003","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_connack"},"keepalive":60,"expiry_interval":60000,"event":"client.connack","conn_props":{"User-Property-Pairs":[{"value":"v","key":"k"},{"value":"w","key":"k"}],"User-Property":{"k":"w"},"Session-Expiry-Interval":60,"Request-Problem-Information":1},"clientid":"c1","clean_start":true}"#,
    );
    check(
        &json!({"format": "emqx5", "emqx_version": "5.9"}),
        RuleKey::ClientConnack,
        Detail::ClientConnected(answered),
        r#"{"username":"u1","timestamp":1790000001002,"sockname":"127.0.0.1:1883","reason_code":"success","proto_ver":4,"proto_name":"MQTT","peername":"127.0.0.1:61003","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_connack"},"keepalive":60,"expiry_interval":60000,"event":"client.connack","connected_at":1790000001000,"conn_props":{"User-Property-Pairs":[{"value":"v","key":"k"},{"value":"w","key":"k"}],"User-Property":{"k":"w"},"Session-Expiry-Interval":60,"Request-Problem-Information":1},"clientid":"c1","clean_start":true}"#,
    );
    check(
        &source(),
        RuleKey::ClientConnack,
        Detail::ClientConnack(refusal(c2(), 134)),
        r#"{"username":"undefined","timestamp":1790000001002,"sockname":"127.0.0.1:1883","reason_code":"bad_username_or_password","proto_ver":5,"proto_name":"MQTT","peername":"::1:61004","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_connack"},"keepalive":60,"expiry_interval":0,"event":"client.connack","conn_props":{"User-Property":{}},"clientid":"c2","clean_start":true}"#,
    );
    check(
        &source(),
        RuleKey::ClientConnect,
        Detail::ClientConnect(connection(c1())),
        r#"{"username":"u1","timestamp":1790000001002,"sockname":"127.0.0.1:1883","receive_maximum":65535,"proto_ver":4,"proto_name":"MQTT","peername":"127.0.0.1:61003","node":"hookhost@127.0.0.1","mountpoint":"undefined","metadata":{"rule_id":"client_connect"},"keepalive":60,"is_bridge":false,"expiry_interval":0,"event":"client.connect","conn_props":{"User-Property":{}},"clientid":"c1","client_attrs":{},"clean_start":true}"#,
    );
    let mut ended = disconnection(c1(), EndReason::Closed);
    ended.end.properties = Some(Properties {
        standard: vec![Property::ReasonString("bye".into())],
        user: Vec::new(),
    });
    check(
        &source(),
        RuleKey::ClientDisconnected,
        Detail::ClientDisconnected(ended),
        r#"{"username":"u1","timestamp":1790000001002,"sockname":"127.0.0.1:1883","reason":"tcp_closed","proto_ver":4,"proto_name":"MQTT","peername":"127.0.0.1:61003","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_disconnected"},"event":"client.disconnected","disconnected_at":1790000001002,"disconn_props":{"User-Property":{},"Reason-String":"bye"},"connected_at":1789999941002,"clientid":"c1","client_attrs":{}}"#,
    );
}

#[test]
fn permissions() {
    let mut client = c1();
    client.attributes = Some(user(&[("a", "1"), ("b", "2")]));
    check(
        &source(),
        RuleKey::ClientAuthenticated,
        Detail::ClientAuthenticated(Authentication {
            connection: connection(client),
            code: 0,
            anonymous: false,
            superuser: true,
            source: "file".into(),
        }),
        r#"{"username":"u1","timestamp":1790000001002,"reason_code":"success","peername":"127.0.0.1:61003","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authenticated"},"is_superuser":true,"is_anonymous":false,"event":"client.check_authn_complete","clientid":"c1","client_attrs":{"b":"2","a":"1"}}"#,
    );
    let authorization = |access, allowed| {
        Detail::ClientAuthorized(Authorization {
            client: c1(),
            access,
            topic: "t/1".into(),
            allowed,
            source: "default".into(),
        })
    };
    check(
        &source(),
        RuleKey::ClientAuthorized,
        authorization(Access::Subscribe, true),
        r#"{"username":"u1","topic":"t/1","timestamp":1790000001002,"result":"allow","peername":"127.0.0.1:61003","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"file","action":"subscribe"}"#,
    );
    check(
        &documented(),
        RuleKey::ClientAuthorized,
        authorization(Access::Publish, false),
        r#"{"username":"u1","topic":"t/1","timestamp":1790000001002,"result":"deny","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","authz_source":"file","action":"publish"}"#,
    );
}

#[test]
fn subscriptions() {
    check(
        &source(),
        RuleKey::SessionSubscribed,
        Detail::SessionSubscribed(subscription(c1())),
        r#"{"username":"u1","topic":"t/1","timestamp":1790000001002,"sub_props":{"User-Property":{}},"qos":1,"peername":"127.0.0.1:61003","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"session_subscribed"},"event":"session.subscribed","clientid":"c1","client_attrs":{}}"#,
    );
    let shared = || {
        Detail::ClientSubscribe(Subscription {
            group: Some("g".into()),
            id: Some(7),
            ..subscription(c2())
        })
    };
    check(
        &source(),
        RuleKey::ClientSubscribe,
        shared(),
        r#"{"username":"undefined","topic":"$share/g/t/1","timestamp":1790000001002,"sub_props":{"User-Property":{},"Subscription-Identifier":7},"qos":1,"peername":"::1:61004","peerhost":"::1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_subscribe"},"event":"client.subscribe","clientid":"c2","client_attrs":{}}"#,
    );
    check(
        &documented(),
        RuleKey::ClientSubscribe,
        shared(),
        r#"{"username":"undefined","topic":"t/1","timestamp":1790000001002,"sub_props":{"User-Property":{},"Subscription-Identifier":7},"qos":1,"peerhost":"::1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_subscribe"},"event":"client.subscribe","clientid":"c2"}"#,
    );
    check(
        &source(),
        RuleKey::SessionUnsubscribed,
        Detail::SessionUnsubscribed(Unsubscription {
            group: Some("$queue".into()),
            ..unsubscription(c1())
        }),
        r#"{"username":"u1","unsub_props":{"User-Property":{}},"topic":"$queue/t/1","timestamp":1790000001002,"qos":1,"peername":"127.0.0.1:61003","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"session_unsubscribed"},"event":"session.unsubscribed","clientid":"c1","client_attrs":{}}"#,
    );
    check(
        &source(),
        RuleKey::ClientUnsubscribe,
        Detail::ClientUnsubscribe(unsubscription(c1())),
        r#"{"username":"u1","unsub_props":{"User-Property":{}},"topic":"t/1","timestamp":1790000001002,"qos":1,"peername":"127.0.0.1:61003","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_unsubscribe"},"event":"client.unsubscribe","clientid":"c1","client_attrs":{}}"#,
    );
}

#[test]
fn messages() {
    check(
        &source(),
        RuleKey::MessagePublish,
        Detail::MessagePublish(message(b"hello")),
        r#"{"username":"u1","topic":"t/1","timestamp":1790000001002,"qos":1,"publish_received_at":1790000001000,"pub_props":{"User-Property":{}},"peername":"127.0.0.1:61003","peerhost":"127.0.0.1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"0006054DC3E940F8F445000038A60002","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}"#,
    );
    check(
        &documented(),
        RuleKey::MessagePublish,
        Detail::MessagePublish(message(b"{ \"msg\": \"Hello Webhook\" }")),
        r#"{"username":"u1","topic":"t/1","timestamp":1790000001002,"qos":1,"publish_received_at":1790000001000,"pub_props":{"User-Property":{}},"peerhost":"127.0.0.1","payload":"{ \"msg\": \"Hello Webhook\" }","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"0006054DC3E940F8F445000038A60002","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1"}"#,
    );
    check(
        &source(),
        RuleKey::MessageDelivered,
        Detail::MessageDelivered(Delivery {
            qos: 0,
            retain: true,
            ..delivery(b"hello")
        }),
        r#"{"username":"undefined","topic":"t/1","timestamp":1790000001002,"qos":0,"publish_received_at":1790000001000,"pub_props":{"User-Property":{}},"peername":"::1:61004","peerhost":"::1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_delivered"},"id":"0006054DC3E940F8F445000038A60002","from_username":"u1","from_clientid":"c1","flags":{"retain":true,"dup":false},"event":"message.delivered","clientid":"c2"}"#,
    );
    check(
        &source(),
        RuleKey::MessageAcked,
        Detail::MessageAcked(acknowledgement()),
        r#"{"username":"undefined","topic":"t/1","timestamp":1790000001002,"qos":1,"publish_received_at":1790000001000,"puback_props":{"User-Property":{}},"pub_props":{"User-Property":{}},"peername":"::1:61004","peerhost":"::1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_acked"},"id":"0006054DC3E940F8F445000038A60002","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.acked","clientid":"c2"}"#,
    );
}

#[test]
fn drops() {
    let drop = |reason| MessageDrop {
        message: message(b"hello"),
        reason,
        code: 0,
        text: None,
    };
    let dropped = |reason: &str, key: &str, event: &str| {
        format!(
            r#"{{"username":"u1","topic":"t/1","timestamp":1790000001002,"reason":"{reason}","qos":1,"publish_received_at":1790000001000,"pub_props":{{"User-Property":{{}}}},"peername":"127.0.0.1:61003","peerhost":"127.0.0.1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{{"rule_id":"{key}"}},"id":"0006054DC3E940F8F445000038A60002","flags":{{"retain":false,"dup":false}},"event":"{event}","clientid":"c1"}}"#
        )
    };
    check(
        &source(),
        RuleKey::MessageDropped,
        Detail::MessageDropped(drop(DropReason::NoSubscribers)),
        &dropped("no_subscribers", "message_dropped", "message.dropped"),
    );
    check(
        &source(),
        RuleKey::MessageDropped,
        Detail::MessageRefused(drop(DropReason::ReceiveMaximumExceeded)),
        &dropped("receive_maximum_exceeded", "message_dropped", "message.dropped"),
    );
    check(
        &source(),
        RuleKey::MessageRefused,
        Detail::MessageRefused(drop(DropReason::NotAuthorized)),
        &dropped("not_authorized", "message_refused", "message.refused"),
    );
    check(
        &source(),
        RuleKey::DeliveryDropped,
        Detail::DeliveryDropped(DeliveryDrop {
            delivery: delivery(b"hello"),
            reason: DropReason::QueueFull,
            code: 151,
            text: None,
        }),
        r#"{"username":"undefined","topic":"t/1","timestamp":1790000001002,"reason":"queue_full","qos":1,"publish_received_at":1790000001000,"pub_props":{"User-Property":{}},"peername":"::1:61004","peerhost":"::1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"delivery_dropped"},"id":"0006054DC3E940F8F445000038A60002","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"delivery.dropped","clientid":"c2"}"#,
    );
}

#[test]
fn events_that_emqx_has_no_rules_for() {
    let created = |key: &str, event: &str| {
        format!(
            r#"{{"username":"u1","timestamp":1790000001002,"peername":"127.0.0.1:61003","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{{"rule_id":"{key}"}},"event":"{event}","created_at":1790000001001,"clientid":"c1","client_attrs":{{}}}}"#
        )
    };
    for (key, detail, event) in [
        (
            RuleKey::SessionCreated,
            Detail::SessionCreated(session(c1())),
            "session.created",
        ),
        (
            RuleKey::SessionResumed,
            Detail::SessionResumed(session(c1())),
            "session.resumed",
        ),
        (
            RuleKey::SessionDiscarded,
            Detail::SessionDiscarded(session(c1())),
            "session.discarded",
        ),
        (
            RuleKey::SessionTakenOver,
            Detail::SessionTakenOver(session(c1())),
            "session.takenover",
        ),
    ] {
        check(&source(), key, detail, &created(key.name(), event));
    }
    let end = End {
        code: Some(142),
        ..testing::end(EndReason::Expired)
    };
    check(
        &source(),
        RuleKey::SessionTerminated,
        Detail::SessionTerminated(termination(c1(), end)),
        r#"{"username":"u1","timestamp":1790000001002,"reason":"expired","peername":"127.0.0.1:61003","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"session_terminated"},"event":"session.terminated","created_at":1790000001001,"clientid":"c1","client_attrs":{}}"#,
    );
    let mut away = delivery(b"hello");
    away.receiver.peer = None;
    check(
        &source(),
        RuleKey::OfflineMessage,
        Detail::MessageQueued(away),
        r#"{"username":"undefined","topic":"t/1","timestamp":1790000001002,"qos":1,"publish_received_at":1790000001000,"pub_props":{"User-Property":{}},"peername":"undefined","peerhost":"undefined","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"offline_message"},"id":"0006054DC3E940F8F445000038A60002","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.queued","clientid":"c2"}"#,
    );
    check(
        &source(),
        RuleKey::DeliveryLost,
        Detail::DeliveryLost(DeliveryLoss {
            receiver: c1(),
            filter: "t/#".into(),
            group: None,
            count: 3,
        }),
        r#"{"username":"u1","topic":"t/#","timestamp":1790000001002,"peername":"127.0.0.1:61003","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"delivery_lost"},"event":"delivery.lost","count":3,"clientid":"c1"}"#,
    );
    let other = |client, data: &str| {
        Detail::Other(OtherEvent {
            name: "mine".into(),
            client,
            data: data.into(),
        })
    };
    check(
        &source(),
        RuleKey::Other,
        other(Some(c1()), "{\"keepalive\":60,\"event\":\"own\",\"b\":[1]}"),
        r#"{"username":"u1","timestamp":1790000001002,"peername":"127.0.0.1:61003","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"other"},"keepalive":60,"event":"own","clientid":"c1","client_attrs":{},"b":[1]}"#,
    );
    check(
        &source(),
        RuleKey::Other,
        other(None, "no json"),
        r#"{"timestamp":1790000001002,"node":"hookhost@127.0.0.1","metadata":{"rule_id":"other"},"event":"mine"}"#,
    );
    check(
        &source(),
        RuleKey::Other,
        Detail::Other(OtherEvent {
            name: "client.ping".into(),
            client: Some(c1()),
            data: r#"{"clean_start":true,"conn_props":{"User-Property":{}},"expiry_interval":0,"keepalive":60,"proto_name":"MQTT","sockname":"127.0.0.1:1883"}"#.into(),
        }),
        r#"{"username":"u1","timestamp":1790000001002,"sockname":"127.0.0.1:1883","proto_ver":4,"proto_name":"MQTT","peername":"127.0.0.1:61003","node":"hookhost@127.0.0.1","metadata":{"rule_id":"other"},"keepalive":60,"expiry_interval":0,"event":"client.ping","conn_props":{"User-Property":{}},"clientid":"c1","clean_start":true}"#,
    );
}

fn publish(rule: Value, payload: &[u8]) -> Vec<Request> {
    requests(
        &source(),
        RuleKey::MessagePublish,
        rule,
        Detail::MessagePublish(message(payload)),
    )
}

fn text(rule: Value, payload: &[u8]) -> String {
    let requests = publish(rule, payload);
    assert_eq!(requests.len(), 1);
    requests[0].body_str().unwrap().to_owned()
}

#[test]
fn select_makes_the_body_and_where_chooses() {
    let rule = json!({"action": "hot", "select": "payload.t as temperature, clientid, topic, metadata",
        "where": "temperature > 30 and topic =~ 't/#'"});
    assert_eq!(
        text(rule.clone(), b"{\"t\": 31.5}"),
        r#"{"topic":"t/1","temperature":31.5,"metadata":{"rule_id":"hot"},"clientid":"c1"}"#
    );
    for payload in ["{\"t\": 30}", "{}", "cold", ""] {
        assert_eq!(publish(rule.clone(), payload.as_bytes()), [], "{payload}");
    }
    // With every format.
    for format in ["rmqtt", "emqx4", "nanomq", "cloudevents"] {
        let rule = json!({"action": "x", "format": format, "where": "payload.t > 30"});
        assert_eq!(publish(rule.clone(), b"{\"t\": 31}").len(), 1, "{format}");
        assert_eq!(publish(rule, b"{\"t\": 3}").len(), 0, "{format}");
    }
}

#[test]
fn payloads() {
    for (encoding, payload, expected) in [
        ("plain", &b"a\xff"[..], "a\u{fffd}"),
        ("base64", b"a\xff", "Yf8="),
        ("base62", b"hello", "aGVsbGP"),
    ] {
        let rule = |select| json!({"payload_encoding": encoding, "select": select, "where": "payload != 'x'"});
        for select in ["payload", "*"] {
            let body: Value = serde_json::from_str(&text(rule(select), payload)).unwrap();
            assert_eq!(body["payload"], expected, "{encoding} {select}");
        }
    }
    // What stands inside is found all the same.
    let rule = json!({"payload_encoding": "base64", "select": "payload.a as a"});
    assert_eq!(text(rule, b"{\"a\":1}"), r#"{"a":1}"#);
}

#[test]
fn templates_have_what_was_selected() {
    let rule = json!({
        "urls": ["http://h/${clientid}/x"],
        "select": "clientid, payload.t as t",
        "headers": {"X-Temp": "${t}", "content-type": "text/x"},
        "body": "${clientid}: ${t} ${topic} ${.}",
        "method": "put",
    });
    let requests = publish(rule, b"{\"t\": 1.50}");
    assert_eq!(requests[0].url, "http://h/c1/x");
    assert_eq!(requests[0].method, hookhost_guest::Method::Put);
    assert_eq!(
        requests[0].headers,
        [("content-type", "text/x"), ("x-temp", "1.5")].map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(
        requests[0].body_str(),
        Some(r#"c1: 1.5 undefined {"t":1.5,"clientid":"c1"}"#)
    );
    let all = publish(
        json!({"body": "${topic} ${payload.t} ${flags.retain} ${metadata.rule_id}"}),
        b"{\"t\":2}",
    );
    assert_eq!(all[0].body_str(), Some("t/1 2 false message_publish"));
    assert_eq!(all[0].header_value("content-type"), Some("application/json"));
}

/// Headers without a value are sent, and a rule without a name has no `metadata`.
#[test]
fn missing_values_and_names() {
    let headers = json!({"x-user": "${nobody}", "x-empty": ""});
    let request = &publish(json!({"select": "clientid", "headers": headers}), b"x")[0];
    assert_eq!(request.header_value("x-user"), Some("undefined"));
    assert_eq!(request.header_value("x-empty"), Some(""));
    let body: Value = serde_json::from_str(&text(json!({"action": ""}), b"x")).unwrap();
    assert_eq!(body.get("metadata"), None);
    assert_eq!(
        text(
            json!({"action": "", "select": "metadata.rule_id as id", "body": "${id}"}),
            b"x"
        ),
        "undefined"
    );
}

/// EMQX does not know the address of the publisher of a will, and knows the identifiers of subscriptions.
#[test]
fn wills_and_identifiers() {
    let mut will = message(b"gone");
    will.origin = Origin::Will;
    let body: Value = serde_json::from_str(
        requests(
            &source(),
            RuleKey::MessagePublish,
            json!({}),
            Detail::MessagePublish(will.clone()),
        )[0]
        .body_str()
        .unwrap(),
    )
    .unwrap();
    assert_eq!(
        (&body["peername"], &body["peerhost"]),
        (&json!("undefined"), &json!("undefined"))
    );
    for (ids, expected) in [(vec![9], json!(9)), (vec![9, 10], json!([9, 10]))] {
        let delivered = Detail::MessageDelivered(Delivery {
            message: will.clone(),
            subscription_ids: Some(ids),
            ..delivery(b"gone")
        });
        let requests = requests(&source(), RuleKey::MessageDelivered, json!({}), delivered);
        let body: Value = serde_json::from_str(requests[0].body_str().unwrap()).unwrap();
        assert_eq!(body["peername"], "::1:61004");
        assert_eq!(
            body["pub_props"],
            json!({"User-Property": {}, "Subscription-Identifier": expected})
        );
    }
    for (reason, ids) in [(DropReason::NoLocal, None), (DropReason::QueueFull, Some(9))] {
        let dropped = Detail::DeliveryDropped(DeliveryDrop {
            delivery: Delivery {
                subscription_ids: Some(vec![9]),
                ..delivery(b"mine")
            },
            reason,
            code: 0,
            text: None,
        });
        let requests = requests(&source(), RuleKey::DeliveryDropped, json!({}), dropped);
        let body: Value = serde_json::from_str(requests[0].body_str().unwrap()).unwrap();
        assert_eq!(
            body["pub_props"].get("Subscription-Identifier"),
            ids.map(Value::from).as_ref(),
            "{reason:?}"
        );
    }
}

#[test]
fn get_and_delete_have_no_body() {
    for method in ["get", "delete"] {
        let requests = publish(json!({"method": method, "headers": {"a": "${qos}"}}), b"x");
        assert_eq!(requests[0].body, Body::Text(String::new()));
        assert_eq!(
            requests[0].headers,
            [("content-type", "application/json"), ("a", "1")].map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
