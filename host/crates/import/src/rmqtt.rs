//! RMQTT's `rmqtt-web-hook.toml` and its environment.
//!
//! As RMQTT does: unknown settings are ignored (with a warning), unknown events are errors, events of other hooks are
//! accepted and never happen, and `RMQTT_PLUGIN_RMQTT_WEB_HOOK_…` beats the file. `queue_capacity` sizes both queues
//! here, as it does there; that a full one makes MQTT clients wait is not taken over, see `hooks.overflow`.

use std::collections::BTreeMap;

use hookhost_shared::nearest::nearest;

use super::said::{Report, Variable, place_in};
use super::{Reading, Sources, checks};
use crate::EVENTS;
use hookhost_settings::document::{self, Node, Table, Value};
use hookhost_settings::reader::{Given, Place};
use hookhost_settings::{Problem, suggestion};

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

/// What a mistyped key may have meant.
const KNOWN: [&str; 7] = [
    "queue_capacity",
    "concurrency_limit",
    "urls",
    "http_timeout",
    "retry_max_elapsed_time",
    "retry_multiplier",
    "rule",
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

/// What variables begin with.
pub(super) const PREFIX: &str = "RMQTT_PLUGIN_RMQTT_WEB_HOOK_";

/// Reads file and variables; see the module's page. Without a file the rules are not those of RMQTT: it has none then.
pub(super) fn read(sources: &Sources<'_>) -> Reading {
    let mut reading = Reading::default();
    let mut given = BTreeMap::new();
    if let Some((path, text)) = sources.file {
        let (table, errors) = document::parse(text);
        if !errors.is_empty() {
            let problem = |(line, error): (usize, String)| place_in(path, line, "").problem(error);
            reading.problems = errors.into_iter().map(problem).collect();
            return reading;
        }
        for (key, node) in table {
            let place = place_in(path, node.line, &key);
            if key == "rule" {
                let rules = rules(&mut reading, &place, node);
                let rule = "webhook.rule".to_owned();
                reading.layer.insert(rule, (place, Given::Node(rules)));
            } else if KEYS.contains(&key.as_str()) {
                given.insert(key, (place, Given::Node(node)));
            } else {
                let suggestion = suggestion(&key, &KNOWN, str::to_owned);
                let text = format!("is not a setting of RMQTT's web-hook and is ignored; {suggestion}");
                reading.warnings.push(place.problem(text));
            }
        }
    }
    for Variable { name, value, place } in &sources.variables {
        let upper = name.to_ascii_uppercase();
        let Some(key) = upper.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else {
            continue;
        };
        if !KEYS.contains(&key.as_str()) || key == "http_urls" {
            reading
                .warnings
                .push(place.problem("is not a setting that the environment can give and is ignored"));
        } else if !value.trim().is_empty() {
            let value = if key == "urls" {
                Given::Node(words(value))
            } else {
                Given::Text(value.clone())
            };
            given.insert(key, (place.clone(), value));
        }
    }
    let both = (given.remove("urls"), given.remove("http_urls"));
    if let (_, Some((place, _))) = &both {
        reading
            .warnings
            .push(place.problem("is deprecated; its URLs are added to urls"));
    }
    let mut urls = match both {
        (Some((place, Given::Node(urls))), Some((_, Given::Node(more)))) => {
            Some((place, Given::Node(joined(urls, more))))
        }
        (urls, old) => urls.or(old),
    };
    if let Some((path, _)) = sources.file {
        // RMQTT has no rules and no URLs unless they are given; this host's own defaults would surprise here.
        let nowhere = |value| (place_in(path, 1, ""), Given::Node(Node { line: 1, value }));
        if !reading.layer.contains_key("webhook.rule") {
            let problem = Problem::of_file(path, "has no rules: no webhook will be sent");
            reading.warnings.push(problem);
            let none = nowhere(Value::Table(Table::new()));
            reading.layer.insert("webhook.rule".to_owned(), none);
        }
        urls = urls.or_else(|| Some(nowhere(Value::List(Vec::new()))));
    }
    if let Some(urls) = urls {
        reading.layer.insert("webhook.urls".to_owned(), urls);
    }
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
            let list = list.into_iter().enumerate().map(|(index, node)| {
                let place = place.inside(&format!("[{index}]"), node.line);
                let origin = format!("webhook.rule.{event}.{index}");
                reading.origins.insert(origin, place.clone());
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

fn rule(reading: &mut Reading, place: &Place, node: Node) -> Node {
    let Value::Table(mut fields) = node.value else {
        reading
            .problems
            .push(place.problem(format!("should be a table, not {}", node.value.kind())));
        return node;
    };
    if !fields.contains_key("action") {
        let mistyped = fields.keys().find(|key| nearest(key, ["action"]).is_some());
        let mistyped = mistyped.map_or_else(String::new, |key| format!("; {key} is not known, is action meant?"));
        reading.problems.push(
            place
                .inside(".action", node.line)
                .problem(format!("is missing{mistyped}")),
        );
    }
    fields.retain(|field, node| {
        let place = place.inside(&format!(".{field}"), node.line);
        let problem = match (field.as_str(), &node.value) {
            ("action", Value::Text(_)) => return true,
            ("action", other) => Some(place.problem(format!("should be a string, not {}", other.kind()))),
            ("urls" | "topics", Value::List(texts)) => {
                for (index, node) in texts.iter().enumerate() {
                    let place = place.inside(&format!("[{index}]"), node.line);
                    let mut report = Report::default();
                    match &node.value {
                        Value::Text(text) if field == "topics" => drop(checks::topic(&mut report, &place, text)),
                        Value::Text(_) => {}
                        other => report.problem(&place, format!("should be a string, not {}", other.kind())),
                    }
                    reading.problems.append(&mut report.problems);
                }
                None
            }
            ("urls" | "topics", other) => {
                Some(place.problem(format!("should be a list of strings, not {}", other.kind())))
            }
            _ => {
                let meant = nearest(field, ["action", "urls", "topics"]);
                let meant = meant.map_or_else(String::new, |meant| format!("; is {meant} meant?"));
                let text = format!("is not part of a rule and is ignored{meant}");
                reading.warnings.push(place.problem(text));
                return false;
            }
        };
        reading.problems.extend(problem);
        true
    });
    Node {
        line: node.line,
        value: Value::Table(fields),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;

    #[test]
    fn mistakes() {
        for (text, problems) in [
            (
                "rule.client_conect = []",
                &["f:1: rule.client_conect: unknown event; the nearest known one is client_connect"][..],
            ),
            ("rule = 1", &["f:1: rule: should be a table of events, not an integer"]),
            (
                "rule.client_connect = 1",
                &["f:1: rule.client_connect: should be a list of rules, not an integer"],
            ),
            (
                "rule.client_connect = [1]",
                &["f:1: rule.client_connect[0]: should be a table, not an integer"],
            ),
            (
                "rule.client_connect = [\n{},\n{action = 1},\n{action = \"a\", urls = \"x\", topics = [1, \"a#\"]}]",
                &[
                    "f:2: rule.client_connect[0].action: is missing",
                    "f:3: rule.client_connect[1].action: should be a string, not an integer",
                    "f:4: rule.client_connect[2].topics[0]: should be a string, not an integer",
                    "f:4: rule.client_connect[2].topics[1]: `a#` is not a topic filter: '#' must be the whole last level of a topic filter",
                    "f:4: rule.client_connect[2].urls: should be a list of strings, not a string",
                ],
            ),
            ("urls = []\nurls = []", &["f:2: duplicate key"]),
        ] {
            check("f", text, &[], problems, &[]);
        }
    }

    #[test]
    fn what_rmqtt_ignores_is_a_warning() {
        check(
            "f",
            "worker_threads = 3\nrule.client_keepalive = [{action = \"a\"}]\nrule.client_connect = [{action = \"a\", x = 1}]\nhttp_urls = [\"http://a\"]",
            &[
                ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_RULE", "x"),
                ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_QUEUE_CAPACITY", "5"),
            ],
            &[],
            &[
                "f:3: rule.client_connect[0].x: is not part of a rule and is ignored",
                "f:2: rule.client_keepalive: never happens: RMQTT's web-hook does not fire it either",
                "f:1: worker_threads: is not a setting of RMQTT's web-hook and is ignored; known are queue_capacity, concurrency_limit, urls, http_timeout, retry_max_elapsed_time, retry_multiplier, rule",
                "environment: RMQTT_PLUGIN_RMQTT_WEB_HOOK_RULE: is not a setting that the environment can give and is ignored",
                "f:4: http_urls: is deprecated; its URLs are added to urls",
            ],
        );
    }
}
