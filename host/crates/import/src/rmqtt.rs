//! RMQTT's `rmqtt-web-hook.toml` and its environment.
//!
//! As in RMQTT, unknown settings are ignored (with a warning), unknown events are problems, events of other hooks are
//! accepted and never happen, and `RMQTT_PLUGIN_RMQTT_WEB_HOOK_…` overrides the file. `queue_capacity` sets the size of both
//! queues. Unlike in RMQTT, a full queue does not make MQTT clients wait, see `hooks.overflow`.

use std::collections::BTreeMap;

use hookhost_settings::{Place, Problem, Report, Setting, Table, Value, document, insert, suggestion};
use hookhost_shared::nearest::nearest;
use hookhost_webhook::{Format, RuleKey};

use super::env_file::Variable;
use super::{Broker, Settings, Sources, checks, server};

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

/// The keys that are suggested for an unknown one.
const KNOWN: [&str; 7] = [
    "queue_capacity",
    "concurrency_limit",
    "urls",
    "http_timeout",
    "retry_max_elapsed_time",
    "retry_multiplier",
    "rule",
];

/// The settings that a key becomes.
const SETTINGS: [(&str, &[[&str; 2]]); 5] = [
    (
        "queue_capacity",
        &[["hooks", "queue_events"], ["delivery", "queue_requests"]],
    ),
    ("concurrency_limit", &[["delivery", "concurrency_limit"]]),
    ("http_timeout", &[["delivery", "http_timeout"]]),
    ("retry_max_elapsed_time", &[["delivery", "retry_max_elapsed_time"]]),
    ("retry_multiplier", &[["delivery", "retry_multiplier"]]),
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

/// The prefix of variables.
pub(super) const PREFIX: &str = "RMQTT_PLUGIN_RMQTT_WEB_HOOK_";

/// Reads file and variables; the module's documentation lists the keys. Without a file hookhost uses its own default rules.
pub(super) fn read(sources: &Sources<'_>, report: &Report) -> Settings {
    let mut settings = Table::new();
    let mut origins = BTreeMap::new();
    let mut given = Table::new();
    if let Some((path, text)) = sources.file {
        let (table, errors) = document::parse(path, text);
        if !errors.is_empty() {
            errors.into_iter().for_each(|error| report.add_problem(error));
            return (settings, origins);
        }
        for (key, setting) in table {
            if key == "rule" {
                insert(
                    &mut settings,
                    &["webhook", "rule"],
                    rules(report, &mut origins, setting),
                );
            } else if KEYS.contains(&key.as_str()) {
                given.insert(key, setting);
            } else if key == "worker_threads" {
                report.ignored(&setting.place, "a key of older versions of RMQTT");
            } else {
                report.unknown_name(&setting.place, &key, &KNOWN);
            }
        }
    }
    for variable in &sources.variables {
        given.extend(from_variable(report, variable));
    }
    // Other files and variables of RMQTT may restrict clients.
    server::take(Broker::Rmqtt, Table::new(), sources);
    let urls = urls(report, given.remove("urls"), given.remove("http_urls"));
    let mut put = |path: &[&str], setting| insert(&mut settings, path, setting);
    // The default, but with it the built-in broker follows RMQTT's conventions.
    let format = Value::Text("rmqtt".to_owned());
    put(&["webhook", "format"], Setting::new(sources.place(), format));
    // RMQTT follows redirects with status 307 and 308.
    let redirects = Setting::new(sources.place(), Value::Boolean(true));
    put(&["delivery", "follow_redirects"], redirects);
    if let Some(setting) = urls {
        put(&["webhook", "urls"], setting);
    }
    for (key, paths) in SETTINGS {
        let Some(setting) = given.remove(key) else { continue };
        for path in paths {
            put(path, setting.clone());
        }
    }
    if let Some((path, _)) = sources.file {
        // RMQTT has no default rules or URLs, so hookhost's own defaults must not apply.
        let webhook = Setting::new(sources.place(), Value::Table(Table::new()));
        let webhook = settings.entry("webhook".to_owned()).or_insert(webhook);
        if let Value::Table(webhook) = &mut webhook.value {
            if !webhook.contains_key("rule") {
                report.add_warning(Problem::of_file(path, "has no rules: no webhook will be sent"));
            }
            let none = |value| Setting::new(sources.place(), value);
            webhook
                .entry("rule".to_owned())
                .or_insert_with(|| none(Value::Table(Table::new())));
            webhook
                .entry("urls".to_owned())
                .or_insert_with(|| none(Value::List(Vec::new())));
        }
    }
    (settings, origins)
}

/// The key and the value that a variable gives.
fn from_variable(report: &Report, variable: &Variable) -> Option<(String, Setting)> {
    let Variable { name, value, place } = variable;
    let key = name.to_ascii_uppercase().strip_prefix(PREFIX)?.to_ascii_lowercase();
    if !KEYS.contains(&key.as_str()) || key == "http_urls" {
        report.warning(place, "is ignored: the environment cannot give this setting");
        return None;
    }
    if value.trim().is_empty() {
        return None;
    }
    let value = match key.as_str() {
        "urls" => Value::texts(place, value.split_whitespace().map(str::to_owned)),
        _ => Value::Untyped(value.clone()),
    };
    Some((key, Setting::new(place.clone(), value)))
}

/// The URLs of both keys. What is not a list is reported by the reader of the list.
fn urls(report: &Report, urls: Option<Setting>, old: Option<Setting>) -> Option<Setting> {
    if let Some(old) = &old {
        report.warning(&old.place, "is deprecated; its URLs are added to urls");
    }
    let Some(mut urls) = urls else { return old };
    if let (Value::List(list), Some(mut old)) = (&mut urls.value, old) {
        let Value::List(more) = &mut old.value else {
            return Some(old);
        };
        list.append(more);
    }
    Some(urls)
}

/// Checks rules and leaves only what hookhost's own form has.
fn rules(report: &Report, origins: &mut BTreeMap<String, Place>, setting: Setting) -> Setting {
    let Setting { place, value } = setting;
    let mut kept = Table::new();
    match value {
        Value::Table(events) => {
            for (event, rules) in events {
                kept.extend(rules_of_event(report, origins, &event, rules).map(|rules| (event, rules)));
            }
        }
        other => report.problem(&place, format!("should be a table of events, not {}", other.kind())),
    }
    Setting::new(place, Value::Table(kept))
}

fn rules_of_event(
    report: &Report,
    origins: &mut BTreeMap<String, Place>,
    event: &str,
    setting: Setting,
) -> Option<Setting> {
    let known: Vec<&str> = Format::Rmqtt.usual_keys().map(RuleKey::name).collect();
    let Setting { place, value } = setting;
    if SILENT.contains(&event) {
        report.warning(
            &place,
            "is ignored: hookhost has no such event, and RMQTT's web-hook does not send it either",
        );
        return None;
    }
    if !known.contains(&event) {
        let suggestion = suggestion(event, &known, str::to_owned);
        report.problem(&place, format!("unknown event; {suggestion}"));
        return None;
    }
    let Value::List(list) = value else {
        report.problem(&place, format!("should be a list of rules, not {}", value.kind()));
        return None;
    };
    let rules = list.into_iter().enumerate().map(|(index, setting)| {
        origins.insert(format!("webhook.rule.{event}.{index}"), setting.place.clone());
        rule(report, setting)
    });
    let value = Value::List(rules.collect());
    Some(Setting::new(place, value))
}

fn rule(report: &Report, mut setting: Setting) -> Setting {
    let place = setting.place.clone();
    let Value::Table(fields) = &mut setting.value else {
        report.add_problem(setting.mismatch("a table"));
        return setting;
    };
    if !fields.contains_key("action") {
        let mistyped = fields.keys().find(|key| nearest(key, ["action"]).is_some());
        let mistyped = mistyped.map_or_else(String::new, |key| format!("; {key} is not known, is action meant?"));
        report.problem(&place.below("action"), format!("is missing{mistyped}"));
    }
    fields.retain(|field, setting| match field.as_str() {
        "action" => {
            report.check(setting.text());
            true
        }
        "urls" | "topics" => {
            texts(report, setting, field == "topics");
            true
        }
        _ => {
            let meant = nearest(field, ["action", "urls", "topics"]);
            let meant = meant.map_or_else(String::new, |meant| format!("; is {meant} meant?"));
            let text = format!("is not part of a rule and is ignored{meant}");
            report.warning(&setting.place, text);
            false
        }
    });
    setting
}

fn texts(report: &Report, setting: &Setting, are_topics: bool) {
    let Value::List(list) = &setting.value else {
        return report.add_problem(setting.mismatch("a list of strings"));
    };
    for element in list {
        if let Some(text) = report.check(element.text())
            && are_topics
        {
            checks::topic(report, &element.place, text);
        }
    }
}
