//! Templates of rules for bodies, headers and URLs, and events as CloudEvents, with the real binary.

use std::sync::Arc;

use hookhost_tests::host::{Host, Setup};
use hookhost_tests::packet;
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, Version};
use serde_json::{Value, json};

const V: Version = Version::V5;

/// A host with this `[webhook]` section.
async fn host(webhook: &str) -> Host {
    let setup = Setup::new();
    std::fs::write(setup.dir().join("hookhost.toml"), format!("[webhook]\n{webhook}\n")).unwrap();
    setup.arg("--config").arg("hookhost.toml").start().await
}

/// A QoS 0 publish of MQTT 5 with a content type and user properties.
fn publish(topic: &str, payload: &[u8], content_type: Option<&str>, user: &[(&str, &str)]) -> Vec<u8> {
    let mut properties = Vec::new();
    if let Some(text) = content_type {
        properties.push(0x03);
        packet::string(&mut properties, text.as_bytes());
    }
    for (name, value) in user {
        properties.push(0x26);
        packet::string(&mut properties, name.as_bytes());
        packet::string(&mut properties, value.as_bytes());
    }
    let mut body = Vec::new();
    packet::string(&mut body, topic.as_bytes());
    // One byte of length is sufficient for these tests.
    body.push(
        u8::try_from(properties.len())
            .ok()
            .filter(|length| *length < 128)
            .unwrap(),
    );
    body.extend(properties);
    body.extend_from_slice(payload);
    packet::packet(0x30, &body)
}

async fn send(host: &Host, client: &str, packets: &[Vec<u8>]) {
    let mut raw = Raw::client(host.address, V, client).await;
    for packet in packets {
        raw.send(packet).await;
    }
    raw.ping().await;
    raw.disconnect().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_ones_own_is_json_whatever_clients_send() {
    let sink = Sink::start().await;
    let url = sink.url("/in/${clientid}?topic=${topic}&u=${user_properties.k}");
    let host = host(&format!(
        r#"
urls = ["{url}"]
format = "template"
body = '''{{"who": "${{clientid}}", "t": ${{payload.t}}, "raw": ${{payload}}, "text": "${{payload}}", "none": ${{username}}}}'''
headers = {{ x-topic = "${{topic}}", x-user = "${{user_properties.k}}", x-empty = "${{username}}" }}
rule.message_publish = [{{ action = "x", topics = ["t/#"] }}]"#
    ))
    .await;
    send(
        &host,
        "c/1 \"é\"",
        &[
            publish("t/a b", br#"{"t": 21.50, "q": "\""}"#, None, &[("k", "v&w=x")]),
            publish("t/plain", b"no \"json\"\n", None, &[("k", "line\nfeed")]),
            publish("t/bytes", b"\xff\x00", None, &[]),
        ],
    )
    .await;
    let requests = sink.wait_for(3, PATIENCE).await;
    let got = |at: usize| -> &Received { &requests[at] };
    assert_eq!(
        got(0).body,
        r#"{"who": "c/1 \"é\"", "t": 21.5, "raw": {"t": 21.50, "q": "\""}, "text": "{\"t\": 21.50, \"q\": \"\\\"\"}", "none": null}"#
    );
    assert_eq!(got(0).path, "/in/c%2F1%20%22%C3%A9%22?topic=t%2Fa%20b&u=v%26w%3Dx");
    assert_eq!(got(0).header("x-topic"), Some("t/a b"));
    assert_eq!(got(0).header("x-user"), Some("v&w=x"));
    assert_eq!(got(0).header("x-empty"), None);
    assert_eq!(got(0).header("content-type"), Some("application/json"));
    assert_eq!(
        got(1).body,
        r#"{"who": "c/1 \"é\"", "t": null, "raw": "no \"json\"\n", "text": "no \"json\"\n", "none": null}"#
    );
    assert_eq!(got(1).header("x-user"), Some("line feed"));
    assert_eq!(got(2).json()["text"], json!("\u{fffd}\0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_cloudevents_in_each_mode_and_those_that_are_pass_through() {
    let sink = Sink::start().await;
    let rules: String = ["binary", "structured", "batched"]
        .iter()
        .map(|mode| {
            let url = sink.url(&format!("/{mode}"));
            format!("[[webhook.rule.message_publish]]\naction = \"act\"\ncloudevents_mode = \"{mode}\"\nurls = [\"{url}\"]\n")
        })
        .collect();
    let extensions = "cloudevents_extensions = { reading = \"${payload.t}\", qos = \"\" }";
    let host = host(&format!("format = \"cloudevents\"\n{extensions}\n{rules}")).await;
    let own = [
        ("specversion", "1.0"),
        ("id", "17"),
        ("source", "/s"),
        ("type", "com.example.t"),
        ("n", "é"),
    ];
    let structured = r#"{"specversion":"1.0","id":"18","source":"/s","type":"t","data":{"a":1}}"#;
    send(
        &host,
        "c1",
        &[
            publish("a/b", b"{\"t\": 1}", None, &[]),
            publish("a/b", b"<a/>", Some("text/xml"), &own),
            publish("a/b", structured.as_bytes(), Some("application/cloudevents+json"), &[]),
        ],
    )
    .await;
    let requests = sink.wait_for(9, PATIENCE).await;
    let of = |path: &str| -> Vec<&Arc<Received>> { requests.iter().filter(|request| request.path == path).collect() };
    let (binary, objects, batches) = (of("/binary"), of("/structured"), of("/batched"));

    // The ids and times of the host's own events are not known in advance.
    let first = binary[0];
    for (name, expected) in [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-source", "hookhost:/nodes/hookhost@127.0.0.1"),
        ("ce-type", "io.hookhost.message.publish.v1"),
        ("ce-subject", "a/b"),
        ("ce-action", "act"),
        ("ce-clientid", "c1"),
        ("ce-reading", "1"),
        ("ce-retain", "false"),
    ] {
        assert_eq!(first.header(name), Some(expected), "{name}");
    }
    assert_eq!(first.header("ce-qos"), None);
    assert_eq!(first.body, "{\"t\": 1}");
    let id = first.header("ce-id").unwrap();
    assert_eq!(id.len(), 32);
    let object = objects[0].json();
    assert_eq!((&object["id"], &object["data"]), (&json!(id), &json!({"t": 1})));
    assert_eq!(object["time"], json!(first.header("ce-time").unwrap()));
    assert_eq!(batches[0].json(), json!([object]));

    let passed = json!({
        "specversion": "1.0", "id": "17", "source": "/s", "type": "com.example.t", "n": "é",
        "datacontenttype": "text/xml", "data": "<a/>",
    });
    assert_eq!(
        (objects[1].json(), batches[1].json()),
        (passed.clone(), json!([passed]))
    );
    let names = |request: &Received| -> Vec<String> {
        let names = request.headers.iter().map(|(name, _)| name.clone());
        names.filter(|name| name.starts_with("ce-")).collect()
    };
    assert_eq!(
        names(binary[1]),
        ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-n"]
    );
    assert_eq!(binary[1].header("ce-n"), Some("%C3%A9"));
    assert_eq!(
        (binary[1].header("content-type"), binary[1].body.as_str()),
        (Some("text/xml"), "<a/>")
    );

    assert_eq!(objects[2].body, structured);
    assert_eq!(batches[2].body, format!("[{structured}]"));
    assert_eq!(
        (binary[2].header("ce-id"), binary[2].body.as_str()),
        (Some("18"), "{\"a\":1}")
    );
    for (list, content_type) in [
        (&objects, "application/cloudevents+json; charset=utf-8"),
        (&batches, "application/cloudevents-batch+json; charset=utf-8"),
    ] {
        assert!(
            list.iter()
                .all(|request| request.header("content-type") == Some(content_type))
        );
        assert!(
            list.iter()
                .all(|request| serde_json::from_str::<Value>(&request.body).is_ok())
        );
    }
}
