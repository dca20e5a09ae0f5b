//! What configurations say, and what is wrong with them.

use super::*;
use crate::Encoding;
use hookhost_guest::Method;
use hookhost_guest::event::{Detail, Hook, Interest};
use hookhost_guest::testing;
use serde_json::json;

fn rules(config: Value) -> Rules {
    Rules::parse(&config, &testing::host()).unwrap()
}

/// The mistakes are these, in whatever order serde_json keeps the keys of a table.
fn refused(config: Value, expected: &[&str]) {
    let problems = Rules::parse(&config, &testing::host()).unwrap_err();
    let mut lines: Vec<_> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.key, problem.text))
        .collect();
    let mut expected = expected.to_vec();
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
}

#[test]
fn urls_of_a_rule_stand_in_place_of_those_for_all() {
    let rules = rules(json!({
        "format": "rmqtt",
        "urls": [" http://a/ ", "file:///b"],
        "rule": {"client_connect": [
            {"action": "x"},
            {"action": "", "urls": []},
            {"action": "y", "urls": ["https://c", "stdout:"]},
        ]},
    }));
    let outcome = rules.webhooks(&testing::event(Detail::ClientConnect(testing::connection("c"))));
    let urls: Vec<_> = outcome.requests().iter().map(|request| request.url.as_str()).collect();
    assert_eq!(
        urls,
        [
            "http://a/",
            "file:///b",
            "http://a/",
            "file:///b",
            "https://c",
            "stdout:"
        ]
    );
}

#[test]
fn a_rule_without_url_is_left_out_and_told() {
    let rules = rules(json!({"rule": {"client_connect": [{"action": "x"}, {"action": "y", "urls": ["stdout:"]}]}}));
    assert_eq!(rules.of(RuleKey::ClientConnect).len(), 1);
    assert_eq!(rules.without_url(), ["rule.client_connect.0"]);
    assert_eq!(rules.interests(), [Interest::every(Hook::ClientConnect)]);
}

#[test]
fn every_mistake_is_named_with_its_key() {
    refused(json!([]), &[": a table was expected"]);
    refused(
        json!({"rule": 1, "urls": "x"}),
        &["urls: a list of strings was expected", "rule: a table was expected"],
    );
    refused(
        json!({"url": [], "format": "emqx", "colour": 1}),
        &[
            "colour: is not known; known are rule, variables, urls, format, as_documented, emqx_version, payload_encoding, \
             method, headers, body, cloudevents_mode, cloudevents_extensions, order, max_age, batch, \
             acknowledge",
            "format: \"emqx\" is not known; is \"emqx4\" meant?",
            "url: is not known; is 'urls' meant?",
        ],
    );
    refused(
        json!({
            "urls": ["ftp://a", 1],
            "rule": {
                "client_connected": {"action": "x"},
                "message_publish": [
                    {"action": "x", "topics": ["a", "a#", 2, ""]},
                    {"topics": "a", "url": "x"},
                    {"action": 1},
                    "x",
                ],
                "message_publsh": [],
            },
        }),
        &[
            "urls.0: a URL begins with 'http://', 'https://', 'file://', 'stdout:' or 'mqtt:'",
            "urls.1: a string was expected",
            "rule.client_connected: a list of rules was expected, such as [{ action = \"…\" }]",
            "rule.message_publish.0.topics.1: 'a#': '#' must be the whole last level of a topic filter",
            "rule.message_publish.0.topics.2: a string was expected",
            "rule.message_publish.0.topics.3: '': a topic filter must not be empty",
            "rule.message_publish.1.topics: a list of strings was expected",
            "rule.message_publish.1.url: is not known; is 'urls' meant?",
            "rule.message_publish.2.action: a string was expected",
            "rule.message_publish.3: a table was expected",
            "rule.message_publsh: is not known; is 'message_publish' meant?",
        ],
    );
}

#[test]
fn acknowledge_is_a_word_and_for_publishes() {
    refused(
        json!({
            "urls": ["stdout:"],
            "format": "emqx4",
            "rule": {
                "message_publish": [{"acknowledge": "later"}, {"acknowledge": 1}, {"acknowledge": "durable"}],
                "client_connected": [{"acknowledge": "durable"}],
            },
        }),
        &[
            "rule.client_connected.0.acknowledge: is for rules of message_publish: only publishes are acknowledged",
            "rule.message_publish.0.acknowledge: should be \"immediately\" or \"durable\", not \"later\"",
            "rule.message_publish.1.acknowledge: a string was expected",
        ],
    );
    refused(
        json!({"acknowledge": "x"}),
        &["acknowledge: should be \"immediately\" or \"durable\", not \"x\""],
    );
    let for_all = json!({
        "urls": ["stdout:"],
        "format": "emqx4",
        "acknowledge": "durable",
        "rule": {"client_connected": [{}]},
    });
    rules(for_all);
}

#[test]
fn a_rule_has_its_own_keys_before_those_for_all() {
    let rules = rules(json!({
        "urls": ["stdout:"],
        "format": "emqx4",
        "as_documented": true,
        "payload_encoding": "base62",
        "method": "put",
        "headers": {"X-All": "1"},
        "rule": {"message_publish": [
            {},
            {"format": "nanomq", "as_documented": false, "payload_encoding": "base64", "method": "POST", "headers": {}},
            {"format": "rmqtt"},
            {"format": "nanomq"},
        ]},
    }));
    let shapes: Vec<_> = rules
        .of(RuleKey::MessagePublish)
        .iter()
        .map(|rule| {
            let shape = &rule.shape;
            (
                shape.format,
                shape.as_documented,
                shape.payload_encoding,
                shape.method,
                shape.headers.len(),
            )
        })
        .collect();
    assert_eq!(
        shapes,
        [
            (Format::Emqx4, true, Encoding::Base62, Method::Put, 1),
            (Format::Nanomq, false, Encoding::Base64, Method::Post, 0),
            // Its payloads are base64 always, whatever holds for the others.
            (Format::Rmqtt, true, Encoding::Plain, Method::Put, 1),
            (Format::Nanomq, true, Encoding::Base62Number, Method::Put, 1),
        ]
    );
}

#[test]
fn an_event_is_called_by_its_key_unless_a_rule_says_otherwise() {
    let rules = rules(json!({"urls": ["stdout:"], "rule": {"session_unsubscribed": [
        {"format": "emqx4"},
        {"format": "emqx4", "as_documented": true},
        {"format": "nanomq", "as_documented": true},
        {"action": "x", "format": "emqx4", "as_documented": true},
        {"format": "rmqtt", "as_documented": true},
        {"format": "rmqtt"},
    ]}}));
    let actions: Vec<_> = rules
        .of(RuleKey::SessionUnsubscribed)
        .iter()
        .map(|rule| rule.action.as_str())
        .collect();
    assert_eq!(
        actions,
        [
            "session_unsubscribed",
            "session_unsubscribe",
            "session_unsubscribed",
            "x",
            "session_unsubscribed",
            "session_unsubscribed"
        ]
    );
}

#[test]
fn what_a_format_has_no_use_for_is_a_mistake() {
    refused(
        json!({"urls": ["stdout:"], "rule": {
            "message_publish": [
                {"action": "x", "payload_encoding": "plain"},
                {"format": "cloudevents", "payload_encoding": "base64"},
                {"format": "emqx4", "body": "x", "select": "*", "cloudevents_mode": "binary"},
                {"format": "template"},
            ],
            "offline_message": [{"format": "nanomq"}],
            "delivery_lost": [{"action": "x"}],
        }}),
        &[
            "rule.message_publish.0.payload_encoding: is not supported by format \"rmqtt\", whose payloads are \
             always base64; use it with \"emqx4\", \"emqx5\" or \"nanomq\"",
            "rule.message_publish.1.payload_encoding: is not supported by format \"cloudevents\"; use it with \
             \"emqx4\", \"emqx5\" or \"nanomq\"",
            "rule.message_publish.2.body: is not supported by format \"emqx4\"; use it with \"emqx5\" or \"template\"",
            "rule.message_publish.2.cloudevents_mode: is not supported by format \"emqx4\"; use it with \"cloudevents\"",
            "rule.message_publish.2.select: is not supported by format \"emqx4\"; use it with \"emqx5\"",
            "rule.message_publish.3.body: is missing: format \"template\" sends the text in 'body', such as '{\"id\": \
             \"${clientid}\"}'",
            "rule.offline_message.0: format \"nanomq\" has no offline_message; it has client_connect, client_connack, \
             client_connected, client_disconnected, client_subscribe, client_unsubscribe, session_terminated, \
             session_subscribed, session_unsubscribed, message_publish, message_delivered, message_acked; \"emqx5\", \
             \"cloudevents\" and \"template\" have all events",
            "rule.delivery_lost.0: format \"rmqtt\" has no delivery_lost; it has client_connect, client_connack, \
             client_connected, client_disconnected, client_subscribe, client_unsubscribe, session_created, \
             session_terminated, session_subscribed, session_unsubscribed, message_publish, message_delivered, \
             message_acked, message_dropped, offline_message; \"emqx5\", \"cloudevents\" and \"template\" have all \
             events",
        ],
    );
    // For all rules it is one if no rule has a use for it.
    for (key, value) in [("payload_encoding", "plain"), ("body", "x")] {
        let config = |format: &str| json!({key: value, "rule": {"message_publish": [{"action": "x", "format": format}, {"action": "x"}]}});
        rules(config("emqx5"));
        assert_eq!(
            Rules::parse(&config("rmqtt"), &testing::host())
                .unwrap_err()
                .iter()
                .count(),
            1
        );
    }
}

#[test]
fn values_are_checked_once_for_all_rules() {
    refused(
        json!({
            "urls": ["http://h/${topic"],
            "as_documented": "yes",
            "payload_encoding": "base46",
            "method": "head",
            "headers": {"x y": "1", "Host": "h", "x-a": 1, "x-b": "${topics}"},
            "format": "emqx4",
            "rule": {"message_publish": [{}, {}]},
        }),
        &[
            "urls.0: '${topic' is not closed: a placeholder ends with '}', a literal '${' is written '${$}{'",
            "as_documented: true or false was expected",
            "payload_encoding: \"base46\" is not known; is \"base64\" meant?",
            "method: \"head\" is not known; known are \"post\", \"put\", \"patch\", \"get\", \"delete\"",
            "headers.x y: is not a valid name of an HTTP header",
            "headers.Host: is a header that the host sets",
            "headers.x-a: a string was expected",
            "headers.x-b: '${topics}': there is no field 'topics'; is 'topic' meant?",
        ],
    );
    // With rules or without.
    refused(
        json!({"urls": ["x"], "as_documented": 1, "cloudevents_mode": "x", "headers": 1}),
        &[
            "urls.0: a URL begins with 'http://', 'https://', 'file://', 'stdout:' or 'mqtt:'",
            "as_documented: true or false was expected",
            "cloudevents_mode: is not supported by format \"rmqtt\"; use it with \"cloudevents\"",
            "cloudevents_mode: \"x\" is not known; known are \"binary\", \"structured\", \"batched\"",
            "headers: a table was expected",
        ],
    );
}

#[test]
fn clauses_are_checked() {
    refused(
        json!({"rule": {"message_publish": [
            {"format": "emqx5", "select": "lower(clientid", "where": "qos >"},
            {"action": "x", "where": 1},
        ]}}),
        &[
            "rule.message_publish.0.select: `lower(clientid>>><<<`: `,` or `)` was expected",
            "rule.message_publish.0.where: `qos >>>><<<`: a column, a number, a 'text', a list or a function was expected",
            "rule.message_publish.1.where: a string was expected",
        ],
    );
}

#[test]
fn a_content_type_must_not_contradict_the_mode() {
    let rule = |mode: &str, content_type: &str| json!({"format": "cloudevents", "cloudevents_mode": mode, "headers": {"Content-Type": content_type}});
    for (mode, content_type, expected) in [
        ("binary", "text/csv", ""),
        ("binary", "${content_type}", ""),
        ("structured", "Application/CloudEvents+JSON ; charset=UTF-8", ""),
        ("batched", "application/cloudevents-batch+json", ""),
        ("binary", "application/cloudevents+json", "binary"),
        ("structured", "application/json", "structured"),
        ("structured", "application/cloudevents-batch+json", "batch"),
        ("batched", "application/cloudevents+json", "batched"),
        ("batched", "${content_type}", "batched"),
    ] {
        let config = json!({"urls": ["http://h/"], "rule": {"message_publish": [rule(mode, content_type)]}});
        let problems: Vec<String> = match Rules::parse(&config, &testing::host()) {
            Ok(_) => Vec::new(),
            Err(problems) => problems
                .iter()
                .map(|problem| format!("{}: {}", problem.key, problem.text))
                .collect(),
        };
        let key = "rule.message_publish.0.headers.Content-Type: contradicts cloudevents_mode \"";
        match (expected, problems.as_slice()) {
            ("", []) => {}
            ("", _) => panic!("{mode} {content_type}: {problems:?}"),
            (_, [one]) => assert!(one.starts_with(key) && one.contains(mode), "{content_type}: {one}"),
            _ => panic!("{mode} {content_type}: {problems:?}"),
        }
    }
    // Those for all rules count where they are used, and are told once.
    let shared = json!({
        "urls": ["http://h/"], "format": "cloudevents", "cloudevents_mode": "batched",
        "headers": {"content-type": "text/plain"},
        "rule": {"message_publish": [{}, {"format": "rmqtt", "action": "a"}], "client_connected": [{}]},
    });
    let text = "headers.content-type: contradicts cloudevents_mode \"batched\", whose bodies are \
                application/cloudevents-batch+json; leave it out";
    refused(shared, &[text]);
}

#[test]
fn attributes_of_cloudevents_are_checked() {
    let config = json!({
        "urls": ["http://h/"], "format": "cloudevents",
        "cloudevents_extensions": {"sensor": "${payload.id}", "Bad-Name": "x", "id": "x", "typo": "${clientd}", "n": 1},
        "rule": {"message_publish": [{}, {}]},
    });
    refused(
        config,
        &[
            "cloudevents_extensions.Bad-Name: 'Bad-Name' is not a valid name of an attribute: use 1 to 20 lower-case letters and digits",
            "cloudevents_extensions.id: 'id' is an attribute of CloudEvents itself",
            "cloudevents_extensions.n: a string was expected",
            "cloudevents_extensions.typo: '${clientd}': there is no field 'clientd'; is 'clientid' meant?",
        ],
    );
}

#[test]
fn a_batch_is_an_option_of_requests_that_a_rule_can_turn_off() {
    let options = |format: &str, of_all: Value, rule: Value| {
        let mut rule = rule;
        rule["action"] = json!("a");
        let config = json!({
            "urls": ["http://h/"], "format": format, "batch": of_all, "rule": {"message_publish": [rule]},
        });
        let rules = rules(config);
        let outcome = rules.outcome(&testing::publish("t", b"1"), |_, _| Some("1"));
        let requests = outcome.requests();
        assert_eq!(requests.len(), 1);
        let mode = rules.of(RuleKey::MessagePublish)[0].shape.cloudevents.mode;
        (requests[0].options.clone(), mode)
    };
    let batch = |text: &str| vec![("batch".to_owned(), text.to_owned())];
    let (found, _) = options("rmqtt", json!({}), json!({}));
    assert_eq!(found, batch(""));
    let (found, _) = options("emqx4", json!({"max_events": 5, "max_delay": "1s"}), json!({}));
    assert_eq!(found, batch("max_delay=1s max_events=5"));
    let (found, mode) = options("cloudevents", json!(false), json!({"batch": {"max_bytes": "2KiB"}}));
    assert_eq!(found, batch("max_bytes=2KiB format=cloudevents"));
    assert_eq!(mode, CloudEventsMode::Structured);
    let (found, _) = options("cloudevents", json!({}), json!({"batch": {"format": "ndjson"}}));
    assert_eq!(found, batch("format=ndjson"));
    let (found, _) = options("rmqtt", json!({"max_events": 5}), json!({"batch": false}));
    assert_eq!(found, []);
}

#[test]
fn what_cannot_be_a_batch_is_refused() {
    let config = |batch: Value, more: Value| {
        let mut rule = more;
        rule["action"] = json!("a");
        rule["batch"] = batch;
        json!({"urls": ["http://h/"], "rule": {"message_publish": [rule]}})
    };
    let at = "rule.message_publish.0.batch";
    for (batch, more, problem) in [
        (
            json!(true),
            json!({}),
            ": a table such as { max_events = 100 }, or false, was expected",
        ),
        (
            json!({"max_event": 1}),
            json!({}),
            ".max_event: is not known; is 'max_events' meant?",
        ),
        (
            json!({"max_events": []}),
            json!({}),
            ".max_events: a number, or a string without spaces, was expected",
        ),
        (
            json!({"format": "a b"}),
            json!({}),
            ".format: a number, or a string without spaces, was expected",
        ),
        (
            json!({"format": "cloudevents"}),
            json!({}),
            ".format: \"cloudevents\" needs bodies of the format \"cloudevents\"",
        ),
        (
            json!({}),
            json!({"format": "cloudevents", "cloudevents_mode": "binary"}),
            ": needs cloudevents_mode \"structured\", its default with `batch`",
        ),
        (
            json!({}),
            json!({"method": "get"}),
            ": needs a `method` with a body: post, put or patch",
        ),
    ] {
        refused(config(batch, more), &[&format!("{at}{problem}")]);
    }
}
