//! Which rules an event matches, and what is asked of the host.

use super::*;
use hookhost_guest::event::{Detail, DropReason, Hook, Interest, Session, Subscription, Unsubscription};
use hookhost_guest::testing;
use serde_json::{Value, json};

fn rules(config: Value) -> Rules {
    Rules::parse(&config, &testing::host()).unwrap()
}

fn interest(hook: Hook, filters: &[&str]) -> Interest {
    Interest::matching(hook, filters)
}

#[test]
fn interests_are_what_the_rules_need() {
    let one = |key: &str, rules: Value| self::rules(json!({"urls": ["stdout:"], "rule": {key: rules}})).interests();
    for (key, hooks) in [
        ("client_connect", &[Hook::ClientConnect][..]),
        ("client_connack", &[Hook::ClientConnack]),
        ("client_connected", &[Hook::ClientConnected]),
        ("client_disconnected", &[Hook::ClientDisconnected]),
        ("client_subscribe", &[Hook::ClientSubscribe]),
        ("client_unsubscribe", &[Hook::ClientUnsubscribe]),
        ("session_created", &[Hook::SessionCreated]),
        ("session_terminated", &[Hook::SessionTerminated]),
        ("session_subscribed", &[Hook::SessionSubscribed]),
        ("session_unsubscribed", &[Hook::SessionUnsubscribed]),
        ("message_publish", &[Hook::MessagePublish, Hook::MessageRefused]),
        ("message_delivered", &[Hook::MessageDelivered]),
        ("message_acked", &[Hook::MessageAcked]),
        ("message_dropped", &[Hook::DeliveryDropped, Hook::MessageRefused]),
        ("offline_message", &[Hook::MessageQueued]),
    ] {
        let all: Vec<_> = hooks.iter().map(|hook| interest(*hook, &[])).collect();
        assert_eq!(one(key, json!([{"action": "x"}])), all, "{key}");

        let filtered = one(
            key,
            json!([{"action": "x", "topics": ["a", "b/#"]}, {"action": "y", "topics": ["a"]}]),
        );
        if crate::Format::Rmqtt.uses_topics(RuleKey::from_name(key).unwrap()) {
            let some: Vec<_> = hooks.iter().map(|hook| interest(*hook, &["a", "b/#"])).collect();
            assert_eq!(filtered, some, "{key}");
        } else {
            assert_eq!(filtered, all, "{key}");
        }
        assert_eq!(
            one(key, json!([{"action": "x", "topics": ["a"]}, {"action": "y"}])),
            all,
            "{key}"
        );
    }
}

#[test]
fn a_hook_that_two_keys_need_is_asked_for_once() {
    let both = rules(json!({"urls": ["stdout:"], "rule": {
        "message_publish": [{"action": "x", "topics": ["a"]}],
        "message_dropped": [{"action": "x"}],
    }}));
    assert_eq!(
        both.interests(),
        [
            interest(Hook::MessagePublish, &["a"]),
            interest(Hook::MessageRefused, &[]),
            interest(Hook::DeliveryDropped, &[]),
        ]
    );
    assert_eq!(rules(json!({})).interests(), []);
}

/// An event of a key whose topic or filter is this.
fn event(key: RuleKey, subject: &str) -> Event {
    let filter = subject.to_owned();
    let subscription = Subscription {
        filter: filter.clone(),
        ..testing::subscription("")
    };
    let unsubscription = Unsubscription {
        filter,
        ..testing::unsubscription("")
    };
    match key {
        RuleKey::MessagePublish => testing::publish(subject, b""),
        RuleKey::MessageDelivered => testing::delivered(subject, b""),
        RuleKey::MessageAcked => testing::acked(subject, b""),
        RuleKey::OfflineMessage => testing::event(Detail::MessageQueued(testing::delivery(subject, b""))),
        RuleKey::MessageDropped => testing::refused(subject, b"", DropReason::PacketIdInUse, 145),
        RuleKey::ClientSubscribe => testing::event(Detail::ClientSubscribe(subscription)),
        RuleKey::SessionSubscribed => testing::event(Detail::SessionSubscribed(subscription)),
        RuleKey::ClientUnsubscribe => testing::event(Detail::ClientUnsubscribe(unsubscription)),
        RuleKey::SessionUnsubscribed => testing::event(Detail::SessionUnsubscribed(unsubscription)),
        RuleKey::ClientConnected => testing::connected(subject),
        _ => testing::event(Detail::SessionCreated(Session {
            ..testing::session(subject)
        })),
    }
}

/// The rules that match, by position; the same whether they are few or among many.
fn matched(format: &str, key: RuleKey, topics: &[&[&str]], subject: &str) -> Vec<usize> {
    let list: Vec<_> = topics
        .iter()
        .enumerate()
        .map(|(at, topics)| json!({"action": at.to_string(), "topics": topics}))
        .collect();
    let found = |list: Vec<Value>| -> Vec<usize> {
        let rules = rules(json!({"urls": ["stdout:"], "format": format, "rule": {key.name(): list}}));
        let event = event(key, subject);
        let actions = rules.matching(&event).map(|(_, rule)| rule.action.parse());
        actions.filter_map(Result::ok).collect()
    };
    let others = (0..20).map(|at| json!({"action": "other", "topics": [format!("other/{at}"), "other/+/x"]}));
    let among_many = others.chain(list.clone()).collect();
    let alone = found(list);
    assert_eq!(found(among_many), alone, "{format} {key:?} {topics:?} {subject}");
    alone
}

#[test]
fn rules_match_topics_and_filters() {
    let topics: &[&[&str]] = &[&[], &["#"], &["$SYS/#", "a/+"], &["a/b", "a/#"]];
    for (key, subject, expected) in [
        (RuleKey::MessagePublish, "a/b", &[0, 1, 2, 3][..]),
        (RuleKey::MessagePublish, "a/b/c", &[0, 1, 3]),
        (RuleKey::MessagePublish, "$SYS/x", &[0, 2]),
        (RuleKey::MessageDelivered, "x", &[0, 1]),
        (RuleKey::MessageAcked, "a", &[0, 1, 3]),
        (RuleKey::OfflineMessage, "a/x", &[0, 1, 2, 3]),
        // The text of a filter is matched as if it were a topic.
        (RuleKey::ClientSubscribe, "a/+", &[0, 1, 2, 3]),
        (RuleKey::SessionSubscribed, "a/#", &[0, 1, 2, 3]),
        (RuleKey::ClientUnsubscribe, "+/b", &[0, 1]),
        (RuleKey::SessionUnsubscribed, "#", &[0, 1]),
        // No topic, or one that RMQTT does not look at.
        (RuleKey::MessageDropped, "x", &[0, 1, 2, 3]),
        (RuleKey::ClientConnected, "x", &[0, 1, 2, 3]),
        (RuleKey::SessionCreated, "x", &[0, 1, 2, 3]),
    ] {
        assert_eq!(matched("rmqtt", key, topics, subject), expected, "{key:?} {subject}");
    }
    for (format, key, subject, expected) in [
        ("emqx5", RuleKey::MessageDropped, "x", &[0, 1][..]),
        ("emqx5", RuleKey::MessagePublish, "$x/b", &[0]),
        ("nanomq", RuleKey::MessagePublish, "$SYS/x", &[0, 1, 2]),
        ("nanomq", RuleKey::MessagePublish, "a/b", &[0, 1, 2, 3]),
        ("nanomq", RuleKey::MessagePublish, "$x/b", &[0, 1]),
    ] {
        assert_eq!(
            matched(format, key, topics, subject),
            expected,
            "{format} {key:?} {subject}"
        );
    }
    assert_eq!(
        matched(
            "nanomq",
            RuleKey::MessagePublish,
            &[&["+/b"], &["+/c"], &["+/#"]],
            "$x/b"
        ),
        [0, 2]
    );
}

#[test]
fn wildcards_of_nanomq_need_everything() {
    let interests = |topics: &[&str]| {
        let rule = json!([{"topics": topics}]);
        rules(json!({"urls": ["stdout:"], "format": "nanomq", "rule": {"message_publish": rule}})).interests()
    };
    assert_eq!(
        interests(&["a", "b/#"]),
        [interest(Hook::MessagePublish, &["a", "b/#"])]
    );
    for topic in ["+/b", "+", "$SYS/+", "+/brokers/client_status", "$SYS/brokers/+"] {
        let filters: &[&str] = if topic.starts_with('+') { &[] } else { &["a", topic] };
        assert_eq!(
            interests(&["a", topic]),
            [interest(Hook::MessagePublish, filters)],
            "{topic}"
        );
    }
}

#[test]
fn rules_of_nanomq_for_the_status_topic_need_the_events_of_clients() {
    let hooks = |rule: serde_json::Value| -> Vec<Hook> {
        let settings = json!({"urls": ["stdout:"], "format": "nanomq", "rule": rule});
        let interests = rules(settings).interests();
        assert!(interests.iter().skip(1).all(|interest| interest.filters.is_empty()));
        interests.iter().map(|interest| interest.hook).collect()
    };
    let of_clients = [
        Hook::ClientConnack,
        Hook::ClientDisconnected,
        Hook::SessionDiscarded,
        Hook::SessionTerminated,
    ];
    for topic in [
        "#",
        "$SYS/#",
        "+/brokers/#",
        "$SYS/brokers/+/c1",
        "$SYS/brokers/client_status/a/b",
    ] {
        let publish = json!({"message_publish": [{"topics": ["a", topic]}]});
        let expected = [&[Hook::MessagePublish][..], &of_clients].concat();
        assert_eq!(hooks(publish), expected, "{topic}");
    }
    let documented = json!({"message_publish": [{"as_documented": true}]});
    assert_eq!(hooks(documented), [Hook::MessagePublish]);
    assert_eq!(
        hooks(json!({"client_disconnected": [{}]})),
        [
            Hook::ClientDisconnected,
            Hook::ClientConnack,
            Hook::SessionDiscarded,
            Hook::SessionTerminated,
        ]
    );
}

#[test]
fn formats_of_one_key_ask_for_different_hooks() {
    let rules = rules(json!({"urls": ["stdout:"], "rule": {
        "message_dropped": [
            {"format": "emqx5", "topics": ["a"]},
            {"format": "rmqtt", "action": "x"},
            {"format": "template", "body": "x", "topics": ["b"]},
        ],
        "other": [{"format": "emqx5", "topics": ["client.ping"]}],
    }}));
    assert_eq!(
        rules.interests(),
        [
            interest(Hook::MessageDropped, &["a", "b"]),
            interest(Hook::MessageRefused, &[]),
            interest(Hook::DeliveryDropped, &[]),
            interest(Hook::Other, &["client.ping"]),
        ]
    );
}

#[test]
fn each_rule_and_url_is_one_request_in_order() {
    let rules = rules(json!({"urls": ["http://a", "http://b"], "rule": {
        "message_publish": [
            {"action": "1"},
            {"action": "2", "topics": ["x"]},
            {"action": "3", "urls": ["file:///c"]},
        ],
        "message_dropped": [{"action": "4", "urls": ["http://d"]}],
    }}));
    let sent = |event: &Event| -> Vec<String> {
        let outcome = rules.outcome(event, |key, rule| Some(format!("{} {}", key.name(), rule.action)));
        let requests = outcome.requests().iter();
        requests
            .map(|request| format!("{} {}", request.url, request.body_str().unwrap()))
            .collect()
    };
    assert_eq!(
        sent(&testing::publish("a", b"")),
        [
            "http://a message_publish 1",
            "http://b message_publish 1",
            "file:///c message_publish 3",
        ]
    );
    assert_eq!(
        sent(&testing::refused("x", b"", DropReason::NotAuthorized, 135)),
        [
            "http://a message_publish 1",
            "http://b message_publish 1",
            "http://a message_publish 2",
            "http://b message_publish 2",
            "file:///c message_publish 3",
            "http://d message_dropped 4",
        ]
    );
    assert_eq!(sent(&testing::delivered("a", b"")), [""; 0]);

    let outcome = rules.outcome(&testing::publish("a", b""), |_, _| None::<String>);
    assert_eq!(outcome, Outcome::Ignore);
    let outcome = rules.outcome(&testing::publish("a", b""), |_, _| Some("{}".to_owned()));
    let request = &outcome.requests()[0];
    assert_eq!(
        request.headers,
        [("content-type".to_string(), "application/json".to_string())]
    );
    assert_eq!(
        (request.method, &request.ordering_key),
        (hookhost_guest::Method::Post, &None)
    );
}

#[test]
fn the_origin_is_a_column_of_clauses_and_of_no_body() {
    let rules = rules(
        json!({"urls": ["stdout:"], "format": "emqx5", "rule": {"message_publish": [
            {"action": "a", "where": "origin <> 'admin'"},
            {"action": "b", "select": "origin as source"},
        ]}}),
    );
    let mut event = testing::publish("t", b"");
    let bodies = |event: &Event| -> Vec<Value> {
        let outcome = rules.webhooks(event);
        let bodies = outcome.requests().iter().filter_map(|request| request.body_str());
        bodies.map(|body| serde_json::from_str(body).unwrap()).collect()
    };
    let of_client = bodies(&event);
    assert_eq!(of_client[0].get("origin"), None);
    assert_eq!(of_client[1], json!({"source": "client"}));
    if let Detail::MessagePublish(message) = &mut event.detail {
        message.origin = hookhost_guest::event::Origin::Admin;
    }
    assert_eq!(bodies(&event), [json!({"source": "admin"})]);
}

#[test]
fn a_rule_publishes_messages_but_not_because_of_its_own() {
    let rules = rules(json!({"urls": ["http://h/"], "rule": {"message_publish": [{
        "action": "rule 1", "urls": ["mqtt:copy/${clientid}?qos=${qos}", "http://h/"], "format": "template",
        "body": "${payload}", "headers": {"site": "north"},
    }]}}));
    let urls = |event: &Event| -> Vec<(String, Vec<(String, String)>)> {
        let outcome = rules.webhooks(event);
        let requests = outcome.requests().iter();
        requests
            .map(|request| (request.url.clone(), request.headers.clone()))
            .collect()
    };
    let mut event = testing::publish("t", b"x");
    let sent = urls(&event);
    let clientid = event.client().unwrap().id.clone();
    assert_eq!(sent[0].0, format!("mqtt:copy/{clientid}?qos=1&sender=rule%201"));
    assert_eq!(sent[0].1, [("site".to_owned(), "north".to_owned())]);
    assert_eq!((sent.len(), sent[1].0.as_str()), (2, "http://h/"));
    if let Detail::MessagePublish(message) = &mut event.detail {
        message.origin = hookhost_guest::event::Origin::Module;
        message.publisher.id = "rule 1".into();
    }
    assert_eq!(urls(&event).len(), 1, "only the webhook");
    if let Detail::MessagePublish(message) = &mut event.detail {
        message.publisher.id = "rule 2".into();
    }
    assert_eq!(urls(&event).len(), 2, "another rule has published it");
}
