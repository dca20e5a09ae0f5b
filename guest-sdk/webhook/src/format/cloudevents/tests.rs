use super::encode::header_value;
use super::*;
use hookhost_guest::event::{EndReason, Event, Node, Properties};
use hookhost_guest::testing;
use proptest::prelude::*;
use serde_json::json;

fn encode_with(cloudevents: &CloudEvents, event: &Event) -> Encoded {
    let node = Node {
        name: "hookhost@127.0.0.1".into(),
        id: 1,
    };
    cloudevents.encode(&EventFields::new(event, &node, "act"))
}

fn encode(mode: CloudEventsMode, event: &Event) -> Encoded {
    encode_with(&CloudEvents::new(mode), event)
}

fn headers(encoded: &Encoded) -> Vec<(&str, &str)> {
    encoded
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

fn bytes(encoded: &Encoded) -> &[u8] {
    match &encoded.body {
        Body::Text(text) => text.as_bytes(),
        Body::Bytes(bytes) => bytes,
    }
}

fn json(encoded: &Encoded) -> Value {
    serde_json::from_slice(bytes(encoded)).unwrap()
}

/// A publish of MQTT 5.
fn publish(payload: &[u8], content_type: Option<&str>, user: &[(&str, &str)]) -> Event {
    let mut event = testing::publish("a/b c", payload);
    let Detail::MessagePublish(message) = &mut event.detail else {
        panic!()
    };
    message.properties = Some(Properties {
        standard: content_type
            .map(|text| Property::ContentType(text.into()))
            .into_iter()
            .collect(),
        user: user
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
    });
    event
}

#[test]
fn a_publish_in_binary_mode() {
    let encoded = encode(CloudEventsMode::Binary, &publish(b"{\"t\": 21.50}", None, &[]));
    assert_eq!(
        headers(&encoded),
        [
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "000000000000000000000000000000E1"),
            ("ce-source", "hookhost:/nodes/hookhost@127.0.0.1"),
            ("ce-type", "io.hookhost.message.publish.v1"),
            ("ce-subject", "a/b%20c"),
            ("ce-time", "2026-09-21T14:13:21.002Z"),
            ("ce-action", "act"),
            ("ce-clientid", "publisher"),
            ("ce-messageid", "00000000000000000000000000000001"),
            ("ce-qos", "1"),
            ("ce-retain", "false"),
        ]
    );
    assert_eq!(bytes(&encoded), b"{\"t\": 21.50}");
}

#[test]
fn a_publish_in_structured_and_batched_mode() {
    let event = publish(b"{\"t\": 21.50}", None, &[]);
    let expected = concat!(
        r#"{"specversion":"1.0","id":"000000000000000000000000000000E1","source":"hookhost:/nodes/hookhost@127.0.0.1","#,
        r#""type":"io.hookhost.message.publish.v1","subject":"a/b c","time":"2026-09-21T14:13:21.002Z","action":"act","#,
        r#""clientid":"publisher","messageid":"00000000000000000000000000000001","qos":1,"retain":false,"#,
        r#""datacontenttype":"application/json","data":{"t": 21.50}}"#
    );
    let structured = encode(CloudEventsMode::Structured, &event);
    assert_eq!(
        headers(&structured),
        [("content-type", "application/cloudevents+json; charset=utf-8")]
    );
    assert_eq!(structured.body, Body::Text(expected.into()));
    let batched = encode(CloudEventsMode::Batched, &event);
    assert_eq!(
        headers(&batched),
        [("content-type", "application/cloudevents-batch+json; charset=utf-8")]
    );
    assert_eq!(batched.body, Body::Text(format!("[{expected}]")));
}

#[test]
fn the_data_of_other_events_is_an_object_of_their_fields() {
    let event = testing::disconnected("c 1", EndReason::Kicked);
    let binary = encode(CloudEventsMode::Binary, &event);
    let header = |name: &str| {
        headers(&binary)
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    };
    for (name, expected) in [
        ("content-type", Some("application/json")),
        ("ce-type", Some("io.hookhost.client.disconnected.v1")),
        ("ce-subject", Some("c%201")),
        ("ce-clientid", Some("c%201")),
        ("ce-reason", Some("kicked")),
        ("ce-username", None),
        ("ce-qos", None),
    ] {
        assert_eq!(header(name), expected, "{name}");
    }
    let data = json(&binary);
    assert_eq!(
        (&data["clientid"], &data["reason"], &data["keepalive"]),
        (&json!("c 1"), &json!("kicked"), &json!(60))
    );
    assert_eq!(json(&encode(CloudEventsMode::Structured, &event))["data"], data);
    let delivered = json(&encode(CloudEventsMode::Structured, &testing::delivered("a", b"1")));
    assert_eq!(delivered["clientid"], "receiver");
    assert_eq!(delivered["fromclientid"], "publisher");
}

#[test]
fn data_is_what_the_publisher_says_or_what_it_looks_like() {
    for (payload, said, content_type, member) in [
        (&b"[1,  2]"[..], None, Some("application/json"), json!({"data": [1, 2]})),
        (
            b"plain",
            None,
            Some("application/octet-stream"),
            json!({"data_base64": "cGxhaW4="}),
        ),
        (
            b"plain",
            Some("text/plain"),
            Some("text/plain"),
            json!({"data": "plain"}),
        ),
        (
            b"\xff",
            Some("text/plain"),
            Some("text/plain"),
            json!({"data_base64": "/w=="}),
        ),
        (
            b"<a/>",
            Some("Text/XML; charset=utf-8"),
            Some("Text/XML; charset=utf-8"),
            json!({"data": "<a/>"}),
        ),
        (
            b"{\"a\":1}",
            Some("application/senml+json"),
            Some("application/senml+json"),
            json!({"data": {"a": 1}}),
        ),
        (
            b"no json",
            Some("application/json"),
            Some("application/json"),
            json!({"data_base64": "bm8ganNvbg=="}),
        ),
        (b"[1]", Some("text/plain"), Some("text/plain"), json!({"data": "[1]"})),
        // Not to be believed.
        (b"[1]", Some("json"), Some("application/json"), json!({"data": [1]})),
        (
            b"x",
            Some("a/b\r\nx-evil: 1"),
            Some("application/octet-stream"),
            json!({"data_base64": "eA=="}),
        ),
        (
            b"x",
            Some("é/b"),
            Some("application/octet-stream"),
            json!({"data_base64": "eA=="}),
        ),
        (
            b"x",
            Some("application/cloudevents+json"),
            Some("application/octet-stream"),
            json!({"data_base64": "eA=="}),
        ),
        (
            b"[]",
            Some("application/cloudevents-batch+json"),
            Some("application/json"),
            json!({"data": []}),
        ),
        (b"", None, None, json!({})),
        (b"", Some("text/plain"), None, json!({})),
    ] {
        let event = publish(payload, said, &[]);
        let binary = encode(CloudEventsMode::Binary, &event);
        let got = headers(&binary)
            .into_iter()
            .find(|(name, _)| *name == "content-type")
            .map(|(_, value)| value);
        assert_eq!((got, bytes(&binary)), (content_type, payload), "{said:?}");
        let object = json(&encode(CloudEventsMode::Structured, &event));
        assert_eq!(
            object.get("datacontenttype").and_then(Value::as_str),
            content_type,
            "{said:?}"
        );
        for name in ["data", "data_base64"] {
            assert_eq!(object.get(name), member.get(name), "{said:?} {payload:?}");
        }
    }
    let mut text = publish(b"text", None, &[]);
    if let Detail::MessagePublish(message) = &mut text.detail {
        message
            .properties
            .as_mut()
            .unwrap()
            .standard
            .push(Property::PayloadFormatIndicator(1));
    }
    let binary = encode(CloudEventsMode::Binary, &text);
    assert_eq!(headers(&binary)[0], ("content-type", "text/plain; charset=utf-8"));
}

#[test]
fn header_values_are_percent_encoded_as_the_binding_says() {
    // The first is the binding's own example.
    for (text, expected) in [
        ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
        ("a\"b%c", "a%22b%25c"),
        ("!#$&'()*+,-./:;<=>?@[\\]^_`{|}~", "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        ("a\r\nb\0\u{7f}", "a%0D%0Ab%00%7F"),
    ] {
        assert_eq!(header_value(&text.into()), expected);
    }
    assert_eq!(header_value(&json!(1)), "1");
    assert_eq!(header_value(&json!(true)), "true");
    assert_eq!(source("a b/é@h"), "hookhost:/nodes/a%20b%2F%C3%A9@h");
}

#[test]
fn further_attributes_come_from_templates() {
    let template = |text: &str| Template::parse(text).unwrap();
    let cloudevents = CloudEvents::new(CloudEventsMode::Structured)
        .extension("sensor", template("${payload.id}"))
        .unwrap()
        .extension("qos", template("q${qos}"))
        .unwrap()
        .extension("none", template("${payload.none}"))
        .unwrap();
    let object = json(&encode_with(&cloudevents, &publish(b"{\"id\": 7}", None, &[])));
    assert_eq!((&object["sensor"], &object["qos"]), (&json!("7"), &json!("q1")));
    assert_eq!(object.get("none"), None);
    for name in [
        "",
        "Sensor",
        "a_b",
        "a-b",
        "é",
        "abcdefghijklmnopqrstu",
        "id",
        "data",
        "datacontenttype",
    ] {
        assert!(CloudEvents::default().extension(name, template("x")).is_err(), "{name}");
    }
}

const OWN: &[(&str, &str)] = &[
    ("specversion", "1.0"),
    ("id", "17"),
    ("source", "/sensors/é"),
    ("type", "com.example.reading"),
];

#[test]
fn an_event_published_in_binary_mode_is_passed_on_as_it_is() {
    let more = [
        OWN,
        &[
            ("time", "2020-01-01T00:00:00Z"),
            ("sensor", "k 7"),
            ("X-Own", "1"),
            ("id", "18"),
            ("empty", ""),
        ],
    ];
    let event = publish(b"<a/>", Some("text/xml"), &more.concat());
    let binary = encode(CloudEventsMode::Binary, &event);
    assert_eq!(
        headers(&binary),
        [
            ("content-type", "text/xml"),
            ("ce-specversion", "1.0"),
            ("ce-id", "17"),
            ("ce-source", "/sensors/%C3%A9"),
            ("ce-type", "com.example.reading"),
            ("ce-time", "2020-01-01T00:00:00Z"),
            ("ce-sensor", "k%207"),
        ]
    );
    assert_eq!(bytes(&binary), b"<a/>");
    assert_eq!(
        json(&encode(CloudEventsMode::Batched, &event)),
        json!([{
            "specversion": "1.0", "id": "17", "source": "/sensors/é", "type": "com.example.reading",
            "time": "2020-01-01T00:00:00Z", "sensor": "k 7", "datacontenttype": "text/xml", "data": "<a/>",
        }])
    );
}

#[test]
fn an_event_published_in_structured_mode_is_passed_on_as_it_is() {
    let text = concat!(
        r#"{ "specversion": "1.0", "id": "17", "source": "/s", "type": "t", "n": 5, "none": null,"#,
        r#" "data": {"t": 21.50} }"#
    );
    let event = publish(
        text.as_bytes(),
        Some("application/cloudevents+json; charset=UTF-8"),
        &[],
    );
    assert_eq!(
        encode(CloudEventsMode::Structured, &event).body,
        Body::Text(text.into())
    );
    assert_eq!(
        encode(CloudEventsMode::Batched, &event).body,
        Body::Text(format!("[{text}]"))
    );
    let binary = encode(CloudEventsMode::Binary, &event);
    let mut got = headers(&binary);
    got.sort_unstable();
    assert_eq!(
        got,
        [
            ("ce-id", "17"),
            ("ce-n", "5"),
            ("ce-source", "/s"),
            ("ce-specversion", "1.0"),
            ("ce-type", "t"),
            ("content-type", "application/json"),
        ]
    );
    assert_eq!(bytes(&binary), br#"{"t":21.5}"#);

    let data = |more: &str| {
        let text = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{more}}}"#);
        let binary = encode(
            CloudEventsMode::Binary,
            &publish(text.as_bytes(), Some("application/cloudevents+json"), &[]),
        );
        let content_type = binary
            .headers
            .iter()
            .find(|(name, _)| name == "content-type")
            .map(|(_, value)| value.clone());
        (content_type, bytes(&binary).to_vec())
    };
    for (more, content_type, body) in [
        ("", None, &b""[..]),
        (
            r#","datacontenttype":"text/plain","data":"x""#,
            Some("text/plain"),
            b"x",
        ),
        (r#","data":"x""#, Some("application/json"), b"\"x\""),
        (
            r#","datacontenttype":"image/png","data_base64":"/w==""#,
            Some("image/png"),
            b"\xff",
        ),
    ] {
        assert_eq!(data(more), (content_type.map(str::to_owned), body.to_vec()), "{more}");
    }

    let avro = publish(b"\x00\xff", Some("application/cloudevents+avro"), &[]);
    for mode in [
        CloudEventsMode::Binary,
        CloudEventsMode::Structured,
        CloudEventsMode::Batched,
    ] {
        let encoded = encode(mode, &avro);
        assert_eq!(headers(&encoded), [("content-type", "application/cloudevents+avro")]);
        assert_eq!(bytes(&encoded), b"\x00\xff");
    }
}

#[test]
fn what_lacks_something_is_an_ordinary_publish() {
    let ordinary = |event: &Event| {
        let encoded = encode(CloudEventsMode::Structured, event);
        json(&encoded)["type"] == "io.hookhost.message.publish.v1"
    };
    for (at, (name, _)) in OWN.iter().enumerate() {
        let mut user = OWN.to_vec();
        user.remove(at);
        assert!(ordinary(&publish(b"", None, &user)), "{user:?}");
        user.insert(at, (name, ""));
        assert!(ordinary(&publish(b"", None, &user)), "{user:?}");
    }
    let mut old = OWN.to_vec();
    old[0].1 = "0.3";
    assert!(ordinary(&publish(b"", None, &old)));
    assert!(!ordinary(&publish(b"", None, OWN)));
    for text in [
        "",
        "[]",
        r#"{"specversion":"1.0","id":"1","source":"/s"}"#,
        r#"{"specversion":"1.0","id":1,"source":"/s","type":"t"}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","x":{}}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","X":1}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":1,"data_base64":"/w=="}"#,
        r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"?"}"#,
    ] {
        assert!(
            ordinary(&publish(text.as_bytes(), Some("application/cloudevents+json"), &[])),
            "{text}"
        );
    }
    // Only the publish itself is passed on: what became of it is an event of the host's own.
    let mut delivered = testing::delivered("a", b"x");
    if let Detail::MessageDelivered(delivery) = &mut delivered.detail {
        let user = OWN
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        delivery.message.properties = Some(Properties { standard: vec![], user });
    }
    assert_eq!(
        json(&encode(CloudEventsMode::Structured, &delivered))["type"],
        "io.hookhost.message.delivered.v1"
    );
}

proptest! {
    /// Whatever a client publishes: headers that HTTP allows, bodies that are JSON where they should be.
    #[test]
    fn nothing_that_a_client_sends_breaks_a_request(
        payload in any::<Vec<u8>>(),
        content_type in prop_oneof![any::<String>(), Just("application/cloudevents+json".to_owned()), "[a-z]{1,3}/[a-z+ ;=é]{0,5}"],
        name in prop_oneof![any::<String>(), "[a-z]{1,3}"],
        value in any::<String>(),
        own in any::<bool>(),
    ) {
        let mut user = if own { OWN.to_vec() } else { vec![] };
        user.push((&name, &value));
        let event = publish(&payload, Some(&content_type), &user);
        for mode in [CloudEventsMode::Binary, CloudEventsMode::Structured, CloudEventsMode::Batched] {
            let encoded = encode(mode, &event);
            for (name, value) in &encoded.headers {
                prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{}", name);
                prop_assert!(value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{}", value);
            }
            if mode != CloudEventsMode::Binary && encoded.headers[0].1.contains("json") {
                prop_assert!(serde_json::from_slice::<Value>(bytes(&encoded)).is_ok());
            }
        }
    }
}
