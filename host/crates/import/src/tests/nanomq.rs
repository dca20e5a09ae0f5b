//! NanoMQ: its block, the form of its page, and the older lines.

use super::*;

#[test]
fn nanomq_in_its_forms() {
    let rules = json!({
        "client_connack": [{}], "client_disconnected": [{}],
        "message_publish": [{"topics": ["a/b/c", "foo/#"]}],
    });
    let (block, warnings) = settings("f", NANOMQ, &[]);
    let expected = json!({
        "webhook.format": "nanomq",
        "webhook.urls": ["http://127.0.0.1:8888/hook"],
        "webhook.payload_encoding": "base64",
        "webhook.rule": rules,
        "delivery.concurrency_limit": 8,
        "delivery.connect_timeout": "3s",
        "delivery.http_timeout": "3s",
        "destinations.webhook": {"urls": ["http://127.0.0.1:8888/hook"], "headers": {"x-a": "b"}},
    });
    assert_eq!(block, expected);
    let limits = import("f", NANOMQ, &[]).server.limits;
    assert_eq!(
        shown(&limits.warnings),
        ["f:2: property_size: has no meaning in hookhost"]
    );
    assert_eq!(
        warnings,
        [
            "f:19: webhook.colour: unknown key, ignored; known are events, rules, enable, url, headers, body, encode_payload, pool_size, cancel_timeout, ssl, tls",
            "f:18: webhook.ssl: is ignored: it is disabled, or the URL is not https",
        ]
    );

    let (page, warnings) = settings("f", NANOMQ_PAGE, &[]);
    let expected = json!({
    "webhook.format": "nanomq",
    "webhook.urls": ["http://127.0.0.1:80"],
    "webhook.rule": {"client_connack": [{}], "message_publish": [{"topics": ["a/b/c"]}]},
    "delivery.concurrency_limit": 32,
        });
    assert_eq!(page, expected);
    assert_eq!(warnings, [""; 0]);

    let (old, warnings) = settings("f", NANOMQ_OLD, &[]);
    let expected = json!({
        "webhook.format": "nanomq",
        "webhook.urls": ["https://h/x"],
        "webhook.payload_encoding": "base62",
        "webhook.rule": {"message_publish": [{}], "message_acked": [{"topics": ["a"]}]},
        "delivery.concurrency_limit": 4,
        "destinations.webhook": {
            "urls": ["https://h/x"],
            "tls": {"ca": "/etc/ca.pem", "verify": true},
        },
    });
    assert_eq!(old, expected);
    let limits = import("f", NANOMQ_OLD, &[]).server.limits;
    assert_eq!(
        shown(&limits.warnings),
        ["f:2: property_size: has no meaning in hookhost"]
    );
    assert_eq!(
        warnings,
        [
            "f:12: web.hook.rule.message.acked.1: message_acked is sent here; NanoMQ itself never sends it",
            "f:8: web.hook.ssl.cacertfile: is used here; NanoMQ itself ignores it and sends without TLS",
        ]
    );
}

#[test]
fn nanomq_mistakes_come_all_at_once() {
    check(
        "f",
        "webhook {\n url = \"tcp://h\"\n pool_size = 0\n events = [\n { event = on_message_publsh }\n { topic = \"a\" }\n { event = on_message_publish, topic = \"a/#/b\" }\n { event = on_message_dropped }\n { evnt = on_client_connack }\n]\n}",
        &[],
        &[
            "f:5: webhook.events[0].event: unknown event; the nearest known one is on_message_publish",
            "f:6: webhook.events[1]: needs an event, such as \"on_message_publish\"",
            "f:7: webhook.events[2].topic: `a/#/b` is not a topic filter: '#' must be the whole last level of a topic filter",
            "f:8: webhook.events[3].event: unknown event; the nearest known one is on_message_acked",
            "f:9: webhook.events[4]: needs an event, such as \"on_message_publish\"; evnt is not known, is event meant?",
            "f:2: webhook.url: `tcp://h` is not a URL of a web service: only http:// and https:// can be posted to",
            "f:3: webhook.pool_size: should be between 1 and 65535",
        ],
        &["f:9: webhook.events[4].evnt: unknown key, ignored; the nearest known one is event"],
    );
}
