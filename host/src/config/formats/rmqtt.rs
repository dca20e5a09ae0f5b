//! RMQTT's `rmqtt-web-hook.toml` and its environment.
//!
//! As RMQTT does: unknown settings are ignored (with a warning), unknown events are errors, events of other hooks are
//! accepted and never happen, and `RMQTT_PLUGIN_RMQTT_WEB_HOOK_…` beats the file. `queue_capacity` sizes both queues
//! here, as it does there; that a full one makes MQTT clients wait is not taken over, see `hooks.overflow`.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::document::{self, Node, Table, Value};
use super::super::problem::{Problem, Source, suggestion};
use super::super::reader::{Given, Place};
use super::super::webhook::EVENTS;
use super::Reading;

/// All keys but the rules.
pub(super) const KEYS: [&str; 7] = [
    "queue_capacity",
    "concurrency_limit",
    "urls",
    "http_urls",
    "http_timeout",
    "retry_max_elapsed_time",
    "retry_multiplier",
];

/// What a key is called here.
const SETTINGS: [(&str, &[&str]); 5] = [
    ("queue_capacity", &["hooks.queue_events", "delivery.queue_requests"]),
    ("concurrency_limit", &["delivery.concurrency_limit"]),
    ("http_timeout", &["delivery.http_timeout"]),
    ("retry_max_elapsed_time", &["delivery.retry_max_elapsed_time"]),
    ("retry_multiplier", &["delivery.retry_multiplier"]),
];

/// Hooks that RMQTT lets rules be written for although its web-hook never fires them.
const SILENT: [&str; 9] = [
    "before_startup",
    "client_authenticate",
    "client_subscribe_check_acl",
    "client_keepalive",
    "message_publish_check_acl",
    "message_expiry_check",
    "message_nonsubscribed",
    "offline_inflight_messages",
    "grpc_message_received",
];

const PREFIX: &str = "RMQTT_PLUGIN_RMQTT_WEB_HOOK_";

/// Reads file and environment; see the module's page.
pub(super) fn read<'a>(path: &Path, text: &str, environment: impl Iterator<Item = (&'a str, &'a str)>) -> Reading {
    let mut reading = Reading::default();
    let (table, errors) = document::parse(text);
    let place = |line: usize, key: &str| Place {
        source: Source::File {
            path: path.to_owned(),
            line: Some(line),
        },
        key: key.to_owned(),
    };
    if !errors.is_empty() {
        reading.problems = errors
            .into_iter()
            .map(|(line, error)| place(line, "").problem(error))
            .collect();
        return reading;
    }
    let mut given = BTreeMap::new();
    for (key, node) in table {
        let place = place(node.line, &key);
        if key == "rule" {
            let rules = rules(&mut reading, &place, node);
            reading
                .layer
                .insert("webhook.rule".to_owned(), (place, Given::Node(rules)));
        } else if KEYS.contains(&key.as_str()) {
            given.insert(key, (place, Given::Node(node)));
        } else {
            reading
                .warnings
                .push(place.problem("is not a setting of RMQTT's web-hook and is ignored"));
        }
    }
    for (name, value) in environment {
        let upper = name.to_ascii_uppercase();
        let Some(key) = upper.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else {
            continue;
        };
        let place = Place {
            source: Source::Environment,
            key: name.to_owned(),
        };
        if !KEYS.contains(&key.as_str()) || key == "http_urls" {
            reading
                .warnings
                .push(place.problem("is not a setting that the environment can give and is ignored"));
        } else if !value.trim().is_empty() {
            let value = if key == "urls" {
                Given::Node(words(value))
            } else {
                Given::Text(value.to_owned())
            };
            given.insert(key, (place, value));
        }
    }
    // RMQTT has no rules and no URLs unless they are given; this host's own defaults would surprise here.
    if !reading.layer.contains_key("webhook.rule") {
        reading
            .warnings
            .push(Problem::of_file(path, "has no rules: no webhook will be sent"));
    }
    let nowhere = |value| (place(1, ""), Given::Node(Node { line: 1, value }));
    reading
        .layer
        .entry("webhook.rule".to_owned())
        .or_insert_with(|| nowhere(Value::Table(Table::new())));
    let urls = match (given.remove("urls"), given.remove("http_urls")) {
        (Some((place, Given::Node(urls))), Some((old, Given::Node(more)))) => {
            reading
                .warnings
                .push(old.problem("is deprecated; its URLs are added to urls"));
            (place, Given::Node(joined(urls, more)))
        }
        (None, Some(old)) => {
            reading
                .warnings
                .push(old.0.problem("is deprecated; its URLs are added to urls"));
            old
        }
        (Some(urls), _) => urls,
        (None, None) => nowhere(Value::List(Vec::new())),
    };
    reading.layer.insert("webhook.urls".to_owned(), urls);
    for (key, paths) in SETTINGS {
        let Some((place, value)) = given.remove(key) else {
            continue;
        };
        for path in paths {
            reading.layer.insert((*path).to_owned(), (place.clone(), value.clone()));
        }
    }
    reading
}

/// What the environment separates by blanks.
fn words(value: &str) -> Node {
    let words = value.split_whitespace().map(|word| Node {
        line: 1,
        value: Value::Text(word.to_owned()),
    });
    Node {
        line: 1,
        value: Value::List(words.collect()),
    }
}

/// One list after the other; what is not a list stands in the way and is reported by whoever reads the list.
fn joined(mut urls: Node, more: Node) -> Node {
    match (&mut urls.value, more) {
        (
            Value::List(list),
            Node {
                value: Value::List(mut more),
                ..
            },
        ) => list.append(&mut more),
        (Value::List(_), more) => return more,
        _ => {}
    }
    urls
}

/// Checks rules and leaves only what the canonical form has.
fn rules(reading: &mut Reading, place: &Place, node: Node) -> Node {
    let Value::Table(events) = node.value else {
        let text = format!("should be a table of events, not {}", node.value.kind());
        reading.problems.push(place.problem(text));
        return Node {
            line: node.line,
            value: Value::Table(Table::new()),
        };
    };
    let mut kept = Table::new();
    for (event, rules) in events {
        let place = place.inside(&format!(".{event}"), rules.line);
        if SILENT.contains(&event.as_str()) {
            reading
                .warnings
                .push(place.problem("never happens: RMQTT's web-hook does not fire it either"));
        } else if !EVENTS.contains(&event.as_str()) {
            let suggestion = suggestion(&event, &EVENTS, str::to_owned);
            reading
                .problems
                .push(place.problem(format!("unknown event; {suggestion}")));
        } else if let Value::List(list) = rules.value {
            let list = list.into_iter().enumerate().filter_map(|(index, node)| {
                let place = place.inside(&format!("[{index}]"), node.line);
                rule(reading, &place, node)
            });
            let value = Value::List(list.collect());
            kept.insert(
                event,
                Node {
                    line: rules.line,
                    value,
                },
            );
        } else {
            let text = format!("should be a list of rules, not {}", rules.value.kind());
            reading.problems.push(place.problem(text));
        }
    }
    Node {
        line: node.line,
        value: Value::Table(kept),
    }
}

fn rule(reading: &mut Reading, place: &Place, node: Node) -> Option<Node> {
    let Value::Table(mut fields) = node.value else {
        reading
            .problems
            .push(place.problem(format!("should be a table, not {}", node.value.kind())));
        return None;
    };
    if !fields.contains_key("action") {
        reading.problems.push(place.problem("needs an action"));
    }
    fields.retain(|field, node| {
        let place = place.inside(&format!(".{field}"), node.line);
        let problem = match (field.as_str(), &node.value) {
            ("action", Value::Text(_)) => return true,
            ("action", other) => Some(place.problem(format!("should be a string, not {}", other.kind()))),
            ("urls" | "topics", Value::List(texts)) => texts.iter().enumerate().find_map(|(index, node)| {
                let place = place.inside(&format!("[{index}]"), node.line);
                let text = format!("should be a string, not {}", node.value.kind());
                (!matches!(node.value, Value::Text(_))).then(|| place.problem(text))
            }),
            ("urls" | "topics", other) => {
                Some(place.problem(format!("should be a list of strings, not {}", other.kind())))
            }
            _ => {
                reading
                    .warnings
                    .push(place.problem("is not part of a rule and is ignored"));
                return false;
            }
        };
        reading.problems.extend(problem);
        true
    });
    Some(Node {
        line: node.line,
        value: Value::Table(fields),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, environment: &[(&str, &str)], problems: &[&str], warnings: &[&str]) {
        let reading = read(Path::new("f"), text, environment.iter().copied());
        let shown = |list: &[Problem]| list.iter().map(Problem::to_string).collect::<Vec<_>>();
        assert_eq!(shown(&reading.problems), problems, "problems of {text}");
        assert_eq!(shown(&reading.warnings), warnings, "warnings of {text}");
    }

    #[test]
    fn mistakes() {
        check(
            "rule.client_conect = []",
            &[],
            &["f:1: rule.client_conect: unknown event; the nearest known one is client_connect"],
            &[],
        );
        check(
            "rule = 1",
            &[],
            &["f:1: rule: should be a table of events, not an integer"],
            &[],
        );
        check(
            "rule.client_connect = 1",
            &[],
            &["f:1: rule.client_connect: should be a list of rules, not an integer"],
            &[],
        );
        check(
            "rule.client_connect = [1]",
            &[],
            &["f:1: rule.client_connect[0]: should be a table, not an integer"],
            &[],
        );
        check(
            "rule.client_connect = [\n{},\n{action = 1},\n{action = \"a\", urls = \"x\", topics = [1]}]",
            &[],
            &[
                "f:2: rule.client_connect[0]: needs an action",
                "f:3: rule.client_connect[1].action: should be a string, not an integer",
                "f:4: rule.client_connect[2].topics[0]: should be a string, not an integer",
                "f:4: rule.client_connect[2].urls: should be a list of strings, not a string",
            ],
            &[],
        );
        check("urls = []\nurls = []", &[], &["f:2: duplicate key"], &[]);
    }

    #[test]
    fn what_rmqtt_ignores_is_a_warning() {
        check(
            "worker_threads = 3\nrule.client_keepalive = [{action = \"a\"}]\nrule.client_connect = [{action = \"a\", x = 1}]\nhttp_urls = [\"http://a\"]",
            &[
                ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_RULE", "x"),
                ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_QUEUE_CAPACITY", "5"),
            ],
            &[],
            &[
                "f:3: rule.client_connect[0].x: is not part of a rule and is ignored",
                "f:2: rule.client_keepalive: never happens: RMQTT's web-hook does not fire it either",
                "f:1: worker_threads: is not a setting of RMQTT's web-hook and is ignored",
                "environment: RMQTT_PLUGIN_RMQTT_WEB_HOOK_RULE: is not a setting that the environment can give and is ignored",
                "f:4: http_urls: is deprecated; its URLs are added to urls",
            ],
        );
    }
}
