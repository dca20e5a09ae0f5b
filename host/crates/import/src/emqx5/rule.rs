//! `rule_engine.rules.ID`: which events, which columns, which actions.

use std::collections::BTreeMap;

use hookhost_shared::nearest::nearest;
use hookhost_webhook::sql::{Source, Statement, is_column};

use hookhost_settings::{Place, Problem, Report, Section, Setting, Value};

use super::super::canonical::{Canonical, Rule};
use super::super::checks::{self, switch};
use super::target::{Target, Targets};
use super::{by_name, item, republish};

/// Adds the rules of the file, and those of actions that take messages without a rule.
pub(super) fn all(root: &mut Section<'_>, targets: &mut Targets, canonical: &mut Canonical) {
    let report = root.report();
    if let Some(mut engine) = root.section_if_given("rule_engine") {
        settings(&mut engine);
        if let Some(mut table) = engine.section_if_given("rules") {
            let mut elsewhere: Vec<Setting> = Vec::new();
            for (id, setting) in table.rest() {
                if sends_elsewhere(&setting) {
                    elsewhere.push(setting);
                    continue;
                }
                let rules = item(report, setting, |fields| rules(&id, fields, report, targets));
                canonical.rules.extend(rules.unwrap_or_default());
            }
            left_alone(report, &elsewhere);
        }
    }
    for (name, target) in targets.iter_mut() {
        let Some(target) = target else { continue };
        let Some((place, topic)) = target.local_topic.clone() else {
            continue;
        };
        // No rule, no id of a rule.
        let mut rule = target.rule(name, &place, "message_publish", "");
        rule.topics.push(topic);
        canonical.rules.push(rule);
    }
}

/// Takes the keys of the rule engine itself.
fn settings(engine: &mut Section<'_>) {
    let report = engine.report();
    if let Some(setting) = engine.take("ignore_sys_message")
        && report.check(switch(&setting)) == Some(false)
    {
        report.warning(
            &setting.place,
            "is ignored: the broker's own messages do not trigger rules of this format",
        );
    }
    if let Some(mut ssrf) = engine.section_if_given("ssrf") {
        let enabled = ssrf.take("enable").and_then(|setting| report.check(switch(&setting)));
        if enabled == Some(true) {
            let text = "is ignored: hookhost sends to every host that this configuration names";
            report.warning(ssrf.place(), text);
        }
        drop(ssrf.rest());
    }
    engine.ignore(&[
        ("jq_function_default_timeout", "the limits of a module bound jq"),
        ("jq_implementation_module", "EMQX 5 ignores it, too"),
        ("rulesql", "rules have ids of their own"),
    ]);
}

/// Whether a rule is enabled and has no action that is carried out here. EMQX starts with it whatever hookhost makes of its SQL.
fn sends_elsewhere(setting: &Setting) -> bool {
    let Value::Table(fields) = &setting.value else {
        return false;
    };
    let enabled = fields.get("enable").and_then(|setting| switch(setting).ok());
    let actions = fields.get("actions").cloned().map_or_else(|| Ok(Vec::new()), elements);
    let is_elsewhere = |action: &Setting| match &action.value {
        Value::Table(fields) => fields
            .get("function")
            .and_then(|function| function.as_text())
            .is_some_and(|function| !matches!(function, "console" | "republish")),
        _ => action.as_text().is_some_and(|text| match text.trim().split_once(':') {
            Some((kind, _)) => !is_webhook(kind),
            None => text.trim().is_empty(),
        }),
    };
    enabled != Some(false) && actions.is_ok_and(|actions| actions.iter().all(is_elsewhere))
}

fn is_webhook(kind: &str) -> bool {
    matches!(kind, "http" | "webhook")
}

/// The entries of `actions`. A variable may give a single one without a list.
fn elements(setting: Setting) -> Result<Vec<Setting>, Problem> {
    match setting.value {
        Value::List(_) | Value::Table(_) => setting.into_list(),
        _ => Ok(vec![setting]),
    }
}

/// Names all rules that send no webhooks, in one warning.
fn left_alone(report: &Report, rules: &[Setting]) {
    let Some(first) = rules.first() else { return };
    let name = |setting: &Setting| setting.place.key.clone();
    let place = Place {
        key: rules.iter().map(name).collect::<Vec<_>>().join(", "),
        ..first.place.clone()
    };
    let text = match rules.len() {
        1 => "is left out: none of its actions is a webhook",
        _ => "are left out: none of their actions is a webhook",
    };
    report.warning(&place, text);
}

/// The rules of hookhost for one rule: one for each event and action. A mistake in one action leaves out this action; it
/// is added to `whole`, the report of the configuration.
fn rules(id: &str, mut fields: Section<'_>, whole: &Report, targets: &mut Targets) -> Option<Vec<Rule>> {
    let report = fields.report();
    let place = fields.place().clone();
    let actions = fields.take("actions").map(elements);
    let actions = actions.and_then(|actions| report.check(actions)).unwrap_or_default();
    let sql = fields.take("sql");
    drop(fields);
    let mut senders: Vec<Rule> = Vec::new();
    for action in &actions {
        senders.extend(sender(whole, id, &place, action, targets));
    }
    let Some(sql) = sql else {
        report.problem(&place, "needs sql, such as \"SELECT * FROM \\\"t/#\\\"\"");
        return None;
    };
    let text = report.check(sql.written())?;
    let statement = match Statement::parse(&text) {
        Ok(statement) => statement,
        Err(error) => {
            report.problem(&sql.place, error.to_string());
            return None;
        }
    };
    for warning in statement.warnings(&is_column) {
        report.warning(&sql.place, warning.to_string());
    }
    let events = sources(report, &sql.place, &statement);
    if senders.is_empty() {
        report.warning(
            &place,
            "sends nothing: each of its webhooks is disabled or has an error",
        );
    }
    let mut rules = Vec::new();
    for sender in senders {
        let select = match republish::with_original_properties(&sender, statement.select.clone()) {
            Ok(select) => select,
            Err(problem) => {
                whole.problem(&place, problem);
                continue;
            }
        };
        for (event, topics) in &events {
            let mut rule = sender.clone();
            rule.event = event;
            rule.topics = topics.clone();
            rule.select = Some(select.clone()).filter(|select| select != "*");
            rule.condition = statement.condition.clone();
            rules.push(rule);
        }
    }
    Some(rules)
}

/// The events of `FROM`: for each rule key its topics.
fn sources(report: &Report, place: &Place, statement: &Statement) -> BTreeMap<&'static str, Vec<String>> {
    let mut keys: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for source in Source::all(statement) {
        match source {
            Source::Event(key) => drop(keys.entry(key.name()).or_default()),
            Source::Named(name) => keys.entry("other").or_default().push(name.to_owned()),
            Source::Absent(topic) => {
                report.warning(
                    place,
                    format!("FROM \"{topic}\": hookhost has no such source of events; it is ignored"),
                );
            }
            Source::Unknown(topic) => {
                let known: Vec<String> = Source::event_topics().collect();
                let text = match nearest(topic, known.iter().map(String::as_str)) {
                    Some(near) => format!("FROM \"{topic}\": unknown event; the nearest known one is {near}"),
                    None => format!("FROM \"{topic}\": unknown event; known are {}", known.join(", ")),
                };
                report.problem(place, text);
            }
            Source::Topic(topic) => {
                let topic = checks::topic(report, place, topic);
                keys.entry("message_publish").or_default().extend(topic);
            }
        }
    }
    keys
}

/// The part of a rule that an entry of `actions` gives; the events are added later. `None` if it sends no webhook.
fn sender(report: &Report, id: &str, rule: &Place, action: &Setting, targets: &mut Targets) -> Option<Rule> {
    let wrong = |text: String| report.left_out(action.place.problem(text));
    let needs_name = "should be the name of an action, such as \"http:NAME\"";
    if let Value::Table(fields) = &action.value {
        let Some(function) = fields.get("function").and_then(Setting::as_text) else {
            wrong("needs a function, or to be a name such as \"http:NAME\"".to_owned());
            return None;
        };
        if function == "console" {
            let mut made = Rule::new(rule.clone(), "");
            made.action = Some(id.to_owned());
            made.urls = vec!["stdout:".to_owned()];
            return Some(made);
        }
        if function == "republish" {
            return republish::rule(report, id, rule, action);
        }
        let text = format!("function {function} is ignored: hookhost has console and republish");
        report.warning(&action.place, text);
        return None;
    }
    let Some(text) = action.as_text().map(str::trim) else {
        wrong(needs_name.to_owned());
        return None;
    };
    match text.split_once(':') {
        Some((kind, name)) if is_webhook(kind) => {
            let Some(target) = target(targets, name) else {
                let known: Vec<&str> = targets.keys().map(String::as_str).collect();
                let known = nearest(name, known).map_or_else(
                    || "actions are defined below actions.http or bridges.webhook".to_owned(),
                    |near| format!("the nearest known one is http:{near}"),
                );
                wrong(format!("action `{text}` is not defined; {known}"));
                return None;
            };
            let (name, target) = target;
            // One that is disabled or left out is reported already.
            let target = target.as_mut()?;
            target.is_named = true;
            Some(target.rule(&name, rule, "", id))
        }
        Some((kind, _)) => {
            let text = format!("is ignored: an action of kind {kind} is not a webhook");
            report.warning(&action.place, text);
            None
        }
        // An empty variable takes an entry away.
        None if text.is_empty() => None,
        None => {
            wrong(needs_name.to_owned());
            None
        }
    }
}

/// The target with a name, and its own spelling of it.
fn target<'t>(targets: &'t mut Targets, name: &str) -> Option<(String, &'t mut Option<Target>)> {
    let name = by_name(targets, name).map(|(name, _)| name.clone())?;
    let target = targets.get_mut(&name)?;
    Some((name, target))
}
