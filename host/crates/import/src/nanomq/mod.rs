//! NanoMQ: the `webhook` block of its HOCON file, that block as NanoMQ's page writes it (settings inside the list of
//! rules), and the older `web.hook.…` lines.
//!
//! NanoMQ ignores unknown keys; here they are a warning. All rules of one event become one, because NanoMQ sends one
//! request for a message however many rules match. A rule for `#` takes all topics, `$…` too. NanoMQ has no
//! environment variables for its hook.
//!
//! | HOCON (lines) | setting of hookhost |
//! | --- | --- |
//! | `url` (`web.hook.url`) | `webhook.urls` |
//! | `headers.NAME` | a header of the destination `webhook` |
//! | `body.encoding` (`body.encoding_of_payload_field`) | `webhook.payload_encoding` |
//! | `pool_size` | `delivery.concurrency_limit` |
//! | `cancel_timeout`, in ms | `delivery.connect_timeout` and `delivery.http_timeout` |
//! | `enable = false` | no rules |
//! | `ssl` or `tls`: `cacertfile`, `certfile`, `keyfile`, `verify_peer` (`web.hook.ssl.…`) | `tls` of the destination; NanoMQ reads it and does not use it |
//! | `events[].event`, `topic` (`web.hook.rule.HOOK.EVENT.N`) | `webhook.rule.EVENT` |

mod settings;

use std::collections::HashSet;
use std::path::Path;

use hookhost_settings::{Place, Report, Section, Table, Value, insert, merge};
use hookhost_shared::nearest::nearest;

use super::canonical::{Canonical, Rule};
use super::checks::{self, ignore_parts, switch};
use super::events::{EVENTS, HookEvent, Meant, find};
use super::web_hook::{self, RULE, nearest_or_all};
use super::{Broker, Settings, Sources, hocon, server};

/// The events that NanoMQ has.
fn events() -> &'static [HookEvent] {
    EVENTS.split_at(12).0
}

/// The events that NanoMQ really sends.
const SENT: [&str; 3] = ["client_connack", "client_disconnected", "message_publish"];

/// Reads a file in either form; the module's documentation lists the keys.
pub(super) fn read(sources: &Sources<'_>, report: &Report) -> Settings {
    let (path, text) = sources.file.unwrap_or((Path::new(""), ""));
    let mut canonical = Canonical::new(Broker::Nanomq, sources.place());
    let is_line = |line: &str| line.trim_start().starts_with("web.hook.");
    let (fields, rules) = if text.lines().any(is_line) {
        let (fields, rules) = from_lines(path, sources, report);
        (Some(fields), rules)
    } else {
        from_hocon(path, text, report, sources)
    };
    let Some(mut fields) = fields else {
        return canonical.into_settings(report);
    };
    let enabled = fields
        .take("enable")
        .and_then(|setting| Some((setting.place.clone(), report.check(switch(&setting))?)));
    settings::read(report, &mut canonical, &mut fields, sources);
    drop(fields);
    canonical.rules = one_for_each_event(rules);
    if let Some((place, false)) = enabled {
        report.warning(&place, "disables the hook: no webhook will be sent");
        canonical.rules.clear();
    }
    canonical.into_settings(report)
}

/// The block and its rules.
fn from_hocon<'r>(
    path: &Path,
    text: &str,
    report: &'r Report,
    sources: &Sources<'_>,
) -> (Option<Section<'r>>, Vec<Rule>) {
    let Some(mut root) = hocon::read_file(path, text, sources, report) else {
        return (None, Vec::new());
    };
    let webhook = root.remove("webhook");
    if webhook.is_none() {
        let text = "has no block `webhook`, so NanoMQ's hook is disabled";
        report.warning(&Place::line(path, 1, ""), text);
    }
    ignore_parts(report, &server::take(Broker::Nanomq, root, sources));
    let Some(webhook) = webhook else {
        return (None, Vec::new());
    };
    let Some(mut fields) = Section::of(report, webhook) else {
        return (None, Vec::new());
    };
    let mut rules = Vec::new();
    let mut misplaced = Table::new();
    let listed = fields
        .take_either("events", "rules")
        .and_then(|setting| report.check(setting.into_list()));
    for setting in listed.unwrap_or_default() {
        let mistyped = match &setting.value {
            Value::Table(table) => table.keys().find(|key| nearest(key, ["event"]).is_some()).cloned(),
            _ => None,
        };
        match &setting.value {
            // Settings among the rules, as on NanoMQ's page.
            Value::Table(table) if mistyped.is_none() && table.keys().any(|key| key != "topic") => {
                if let Value::Table(table) = setting.value {
                    misplaced.extend(table);
                }
            }
            _ => {
                let fields = Section::of(report, setting);
                rules.extend(fields.and_then(|fields| rule(report, fields, mistyped.as_deref())));
            }
        }
    }
    if !misplaced.is_empty() {
        let mut whole = fields.rest();
        merge(&mut whole, misplaced, &|_| false);
        fields = Section::root(report, fields.place().clone(), whole);
    }
    (Some(fields), rules)
}

/// `key` is a misspelling of `event`, if there is one.
fn rule(report: &Report, mut fields: Section<'_>, key: Option<&str>) -> Option<Rule> {
    let place = fields.place().clone();
    let setting = fields.take("event");
    let topic = fields.take("topic");
    drop(fields);
    let Some(setting) = setting else {
        let mistyped = key.map_or_else(String::new, |key| format!("; {key} is not known, is event meant?"));
        report.problem(
            &place,
            format!("needs an event, such as \"on_message_publish\"{mistyped}"),
        );
        return None;
    };
    let name = report.check(setting.written())?.trim().to_ascii_lowercase();
    let event = match find(&name, events(), |event| event.action) {
        Meant::Event(event) => event,
        Meant::Misspelt(event) => {
            report.warning(
                &setting.place,
                format!("works here; NanoMQ itself calls it {}", event.action),
            );
            event
        }
        Meant::Unknown(near) => {
            let known = nearest_or_all(near, events(), |event| event.action);
            report.problem(&setting.place, format!("unknown event; {known}"));
            return None;
        }
    };
    let mut rule = Rule::new(place, event.key);
    if let Some(topic) = topic {
        if event.topics {
            let text = report.check(topic.written())?;
            rule.topics.extend(checks::topic(report, &topic.place, &text));
        } else {
            report.warning(&topic.place, format!("is ignored: {} has no topic", event.action));
        }
    }
    heard(report, &rule);
    Some(rule)
}

/// Warns about the nine events that NanoMQ itself never sends.
fn heard(report: &Report, rule: &Rule) {
    if !SENT.contains(&rule.event) {
        report.warning(
            &rule.place,
            format!("{} is sent here; NanoMQ itself never sends it", rule.event),
        );
    } else if !rule.topics.is_empty() && rule.event != "message_publish" {
        report.warning(&rule.place, "has a topic, which NanoMQ itself ignores");
    }
}

/// The older form, as the fields of the newer one.
fn from_lines<'r>(path: &Path, sources: &Sources<'_>, report: &'r Report) -> (Section<'r>, Vec<Rule>) {
    let mut rules = Vec::new();
    let (mut root, mut webhook) = (Table::new(), Table::new());
    for (key, setting) in web_hook::lines(sources, report) {
        if let Some(name) = key.strip_prefix(RULE) {
            if let Some(rule) = web_hook::rule(report, name, &setting, events(), "NanoMQ") {
                heard(report, &rule);
                rules.push(rule);
            }
        } else if let Some(key) = key.strip_prefix("web.hook.") {
            // A header may have dots in its name.
            let path: Vec<&str> = match key.split_once('.') {
                Some((group, rest)) => vec![group, rest],
                None => vec![key],
            };
            let mut nested = Table::new();
            insert(&mut nested, &path, setting);
            merge(&mut webhook, nested, &|_| false);
        } else {
            root.insert(key, setting);
        }
    }
    ignore_parts(report, &server::take(Broker::Nanomq, root, sources));
    let place = Place::line(path, 1, "web.hook");
    if !webhook.contains_key("enable") {
        let text = "works although web.hook.enable is not given; NanoMQ itself needs it to be true";
        report.warning(&place, text);
    }
    (Section::root(report, place, webhook), rules)
}

/// One rule for each event, for the topics of all of them.
fn one_for_each_event(rules: Vec<Rule>) -> Vec<Rule> {
    let mut merged: Vec<Rule> = Vec::new();
    for rule in rules {
        match merged.iter_mut().find(|known| known.event == rule.event) {
            // A rule without topics has all of them.
            Some(known) if known.topics.is_empty() || rule.topics.is_empty() => known.topics.clear(),
            Some(known) => known.topics.extend(rule.topics),
            None => merged.push(rule),
        }
    }
    for rule in &mut merged {
        if rule.topics.iter().any(|topic| topic == "#") {
            rule.topics.clear();
        }
        let mut known = HashSet::new();
        rule.topics.retain(|topic| known.insert(topic.clone()));
    }
    merged
}
