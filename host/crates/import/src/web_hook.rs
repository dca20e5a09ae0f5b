//! `web.hook.…` settings, one `key = value` a line: EMQX 4's `emqx_web_hook.conf` and NanoMQ's old form.
//!
//! A value extends to the end of its line, `#` included; a comment is a line that begins with `#`. Of repeated keys the last
//! one counts. The two brokers share the rules: `web.hook.rule.<hook>.<event>.<n> = {"action": …, "topic": …}`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use hookhost_shared::nearest::nearest;
use serde_json::Value as Json;

use hookhost_settings::{Place, Report, Setting, Table};

use super::Sources;
use super::canonical::Rule;
use super::checks::{self, untyped};
use super::events::{HookEvent, Meant, find};
use super::includes::{At, Includes, Loaded};

/// The prefix of both brokers' rules.
pub(super) const RULE: &str = "web.hook.rule.";

/// The settings of the file and of those that it includes, those that do not begin with `web.hook.` included. Other lines
/// are problems.
pub(super) fn lines(sources: &Sources<'_>, report: &Report) -> Table {
    let mut settings = Table::new();
    let Some((path, text)) = sources.file else {
        return settings;
    };
    let mut includes = Includes::of(path, sources.files);
    lines_of(0, text, &mut includes, &mut settings, report);
    sources.included.borrow_mut().extend(includes.included());
    for (at, text) in &includes.warnings {
        report.warning(&includes.place(*at, ""), text);
    }
    settings
}

fn lines_of(file: usize, text: &str, includes: &mut Includes<'_>, settings: &mut Table, report: &Report) {
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = At { file, line: index + 1 };
        if let Some(name) = line.strip_prefix("include ") {
            match includes.load(at, name.trim().trim_matches('"'), false) {
                Err(text) => report.problem(&includes.place(at, ""), text),
                Ok(None) => {}
                Ok(Some(Loaded { file, text })) => {
                    lines_of(file, &text, includes, settings, report);
                    includes.leave(file);
                }
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            report.problem(&includes.place(at, ""), "should be `key = value`");
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            report.problem(&includes.place(at, ""), "has no key before the =");
            continue;
        }
        let place = includes.place(at, key);
        if let Some(before) = settings.insert(key.to_owned(), untyped(place.clone(), value)) {
            let again = Place {
                key: String::new(),
                ..place
            };
            report.warning(&before.place, format!("is not used: {again} sets it again"));
        }
    }
}

/// One rule. `name` is the key without `web.hook.rule.`.
pub(super) fn rule(
    report: &Report,
    name: &str,
    setting: &Setting,
    events: &'static [HookEvent],
    broker: &str,
) -> Option<Rule> {
    let place = &setting.place;
    let mut parts: Vec<&str> = name.split('.').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.is_empty()) {
        let example = "web.hook.rule.client.connected.1";
        report.problem(
            place,
            format!("should be a hook, an event and a number, such as {example}"),
        );
        return None;
    }
    parts.truncate(2);
    let event = match find(&parts.join("."), events, |event| event.dotted) {
        Meant::Event(event) => {
            if event.key == "message_dropped" {
                let text = format!("works here; {broker} itself lacks this event and does not start with it");
                report.warning(place, text);
            }
            event
        }
        Meant::Misspelt(event) => {
            let text = format!("works here; {broker} itself calls it {} and ignores this", event.dotted);
            report.warning(place, text);
            event
        }
        Meant::Unknown(near) => {
            report.problem(
                place,
                format!("unknown event; {}", nearest_or_all(near, events, |event| event.dotted)),
            );
            return None;
        }
    };
    specification(report, setting, event, events)
}

/// The name that was probably meant, or all names.
pub(super) fn nearest_or_all(
    near: Option<&str>,
    events: &[HookEvent],
    name: impl Fn(&HookEvent) -> &'static str,
) -> String {
    match near {
        Some(near) => format!("the nearest known one is {near}"),
        None => format!("known are {}", events.iter().map(name).collect::<Vec<_>>().join(", ")),
    }
}

/// The JSON of a rule.
fn specification(
    report: &Report,
    setting: &Setting,
    event: &'static HookEvent,
    events: &'static [HookEvent],
) -> Option<Rule> {
    let place = &setting.place;
    let text = report.check(setting.written())?;
    let example = || format!("{{\"action\": \"{}\"}}", event.action);
    let object = match serde_json::from_str(&text) {
        Ok(Json::Object(object)) => object,
        Ok(_) => {
            report.problem(place, format!("should be a JSON object such as {}", example()));
            return None;
        }
        Err(error) => {
            // The value is one line, so the column is enough.
            let text = format!("the JSON is wrong at its column {}: {}", error.column(), cause(&error));
            report.problem(place, text);
            return None;
        }
    };
    let mut rule = Rule::new(place.clone(), event.key);
    let before = report.problem_count();
    match object.get("action") {
        None => {
            let mistyped = object.keys().find(|key| nearest(key, ["action"]).is_some());
            let mistyped = mistyped.map_or_else(String::new, |key| format!("; {key} is not known, is action meant?"));
            report.problem(place, format!("needs an action: {}{mistyped}", example()));
        }
        Some(Json::String(action)) => action_fits(report, place, action, event, events),
        Some(_) => report.problem(place, "action should be a string"),
    }
    match object.get("topic") {
        None => {}
        Some(Json::String(_)) if !event.topics => {
            let text = format!("topic is ignored: {} has none", event.dotted);
            report.warning(place, text);
        }
        Some(Json::String(topic)) => rule.topics.extend(checks::topic(report, place, topic)),
        Some(_) => report.problem(place, "topic should be a string"),
    }
    for key in object.keys().filter(|key| !matches!(key.as_str(), "action" | "topic")) {
        let meant = nearest(key, ["action", "topic"]).map_or_else(String::new, |meant| format!("; is {meant} meant?"));
        report.warning(place, format!("{key} is not part of a rule and is ignored{meant}"));
    }
    (report.problem_count() == before).then_some(rule)
}

fn action_fits(report: &Report, place: &Place, action: &str, event: &'static HookEvent, events: &'static [HookEvent]) {
    match find(action, events, |event| event.action) {
        Meant::Event(meant) | Meant::Misspelt(meant) if meant == event => {}
        Meant::Event(_) | Meant::Misspelt(_) => {
            let text = format!("action {action} does not fit {}; {} does", event.dotted, event.action);
            report.problem(place, text);
        }
        Meant::Unknown(_) => {
            let text = format!("unknown action `{action}`; {} fits {}", event.action, event.dotted);
            report.problem(place, text);
        }
    }
}

/// The error of serde_json without its position, which is relative to the value.
fn cause(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Drops rules that repeat an earlier one: the broker registers them once.
pub(super) fn without_repetition(report: &Report, rules: Vec<Rule>) -> Vec<Rule> {
    let mut known: HashMap<(&'static str, Vec<String>), String> = HashMap::new();
    let is_first = |rule: &Rule| match known.entry((rule.event, rule.topics.clone())) {
        Entry::Occupied(first) => {
            report.warning(&rule.place, format!("repeats {} and is ignored", first.get()));
            false
        }
        Entry::Vacant(entry) => {
            entry.insert(rule.place.key.clone());
            true
        }
    };
    rules.into_iter().filter(is_first).collect()
}
