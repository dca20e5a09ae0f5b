//! `rule_engine.rules.ID`: which events, which columns, which actions.

use std::collections::BTreeMap;

use hookhost_shared::nearest::nearest;
use hookhost_webhook::sql::{Source, Statement, is_column};

use hookhost_settings::{Place, Report, Section, Setting, Value};

use super::super::canonical::{Canonical, Rule};
use super::super::checks::{self, remark, switch};
use super::by_name;
use super::target::Target;

/// A rule of EMQX.
#[derive(Debug)]
pub(super) struct RuleOf {
    id: String,
    place: Place,
    /// A valid statement; `None` if it is invalid, which is reported.
    sql: Option<(Place, String)>,
    actions: Vec<Setting>,
}

pub(super) fn all(root: &mut Section<'_>) -> Vec<RuleOf> {
    let report = root.report();
    let Some(mut engine) = root.section_if_given("rule_engine") else {
        return Vec::new();
    };
    if let Some(setting) = engine.take("ignore_sys_message")
        && report.check(switch(&setting)) == Some(false)
    {
        report.warning(
            &setting.place,
            "is ignored: the broker's own messages do not trigger rules of this format",
        );
    }
    let mut rules = Vec::new();
    if let Some(mut table) = engine.section_if_given("rules") {
        for (id, setting) in table.rest() {
            let Some(fields) = Section::of(report, setting) else {
                continue;
            };
            rules.extend(one(report, id, fields));
        }
    }
    engine.ignore(&[
        ("jq_function_default_timeout", "jq is not supported"),
        ("jq_implementation_module", "jq is not supported"),
        ("rulesql", "rules have ids of their own"),
    ]);
    drop(engine);
    rules
}

fn one(report: &Report, id: String, mut fields: Section<'_>) -> Option<RuleOf> {
    let place = fields.place().clone();
    let enabled = fields
        .take("enable")
        .and_then(|setting| report.check(switch(&setting)))
        .unwrap_or(true);
    let sql = fields.take("sql");
    let actions = match fields.take("actions") {
        None => Vec::new(),
        // A variable may give a single action without a list.
        Some(setting) if !matches!(setting.value, Value::List(_) | Value::Table(_)) => vec![setting],
        Some(setting) => report.check(setting.into_list()).unwrap_or_default(),
    };
    let remarks = [
        "name",
        "description",
        "metadata",
        "tags",
        "created_at",
        "last_modified_at",
    ];
    remark(&mut fields, &remarks);
    drop(fields);
    if !enabled {
        report.note(&place, "is disabled");
        return None;
    }
    let sql = read_sql(report, &place, sql);
    Some(RuleOf {
        id,
        place,
        sql,
        actions,
    })
}

fn read_sql(report: &Report, rule: &Place, sql: Option<Setting>) -> Option<(Place, String)> {
    let Some(setting) = sql else {
        report.problem(rule, "needs sql, such as \"SELECT * FROM \\\"t/#\\\"\"");
        return None;
    };
    let text = report.check(setting.written())?;
    match Statement::parse(&text) {
        Ok(statement) => {
            for warning in statement.warnings(&is_column) {
                report.warning(&setting.place, warning.to_string());
            }
        }
        Err(error) => {
            report.problem(&setting.place, error.to_string());
            return None;
        }
    }
    Some((setting.place, text))
}

/// The events of `FROM`: for each rule key its topics.
fn sources(report: &Report, place: &Place, statement: &Statement) -> BTreeMap<&'static str, Vec<String>> {
    let mut keys: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for source in Source::all(statement) {
        match source {
            Source::Event(key) => drop(keys.entry(key.name()).or_default()),
            Source::Named(name) => keys.entry("other").or_default().push(name.to_owned()),
            Source::Absent(topic) => {
                report.warning(place, format!("{topic} never happens: there is no such thing here"));
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

/// The target of an entry of `actions`.
enum Sends<'a> {
    To(&'a mut Target),
    Terminal,
}

/// Makes one rule of hookhost for each rule, action and event. `known` has the names of all actions, disabled and invalid
/// ones included.
pub(super) fn canonical(
    report: &Report,
    canonical: &mut Canonical,
    rules: Vec<RuleOf>,
    targets: &mut BTreeMap<String, Target>,
    known: &[String],
) {
    for rule in rules {
        let Some((sql_place, sql)) = &rule.sql else {
            // Its actions may be invalid as well.
            for setting in &rule.actions {
                if let Some(Sends::To(target)) = sends_to(report, setting, targets, known) {
                    target.used = true;
                }
            }
            continue;
        };
        let Ok(statement) = Statement::parse(sql) else { continue };
        let keys = sources(report, sql_place, &statement);
        let mut sends = false;
        for setting in &rule.actions {
            let Some(to) = sends_to(report, setting, targets, known) else {
                continue;
            };
            sends = true;
            let to = match to {
                Sends::To(target) => {
                    target.used = true;
                    Some(&*target)
                }
                Sends::Terminal => None,
            };
            for (key, topics) in &keys {
                let mut made = made(&rule.place, key, &rule.id, to);
                made.topics = topics.clone();
                made.select = Some(statement.select.clone()).filter(|select| select != "*");
                made.condition = statement.condition.clone();
                canonical.rules.push(made);
            }
        }
        if !sends {
            report.warning(&rule.place, "sends nothing: none of its actions is an enabled webhook");
        }
    }
    // Actions that take messages without a rule.
    for target in targets.values_mut() {
        let Some(setting) = target.local_topic.clone() else {
            continue;
        };
        let Some(text) = report.check(setting.written()) else {
            continue;
        };
        target.used = true;
        let topic = checks::topic(report, &setting.place, &text);
        // No rule, no id of a rule.
        let mut made = made(&setting.place, "message_publish", "", Some(target));
        made.topics.extend(topic);
        canonical.rules.push(made);
    }
}

fn made(place: &Place, key: &'static str, action: &str, to: Option<&Target>) -> Rule {
    let mut place = place.clone();
    if let Some(target) = to {
        place.key = format!("{} → {}", place.key, target.place.key);
    }
    let mut rule = Rule::new(place, key);
    rule.action = Some(action.to_owned());
    match to {
        Some(target) => {
            rule.urls = vec![target.url.clone()];
            rule.method = target.method.clone();
            rule.headers = target.headers.clone();
            rule.body = target.body.clone();
        }
        None => rule.urls = vec!["stdout:".to_owned()],
    }
    rule
}

fn sends_to<'a>(
    report: &Report,
    setting: &Setting,
    targets: &'a mut BTreeMap<String, Target>,
    known: &[String],
) -> Option<Sends<'a>> {
    let text = match &setting.value {
        Value::Untyped(text) => text.trim(),
        Value::Table(table) => {
            let function = table
                .get("function")
                .and_then(|setting| report.check(setting.written()));
            return match function.as_deref() {
                Some("console") => Some(Sends::Terminal),
                Some(function) => {
                    let text = format!("function {function} is ignored: rules here only send webhooks");
                    report.warning(&setting.place, text);
                    None
                }
                None => {
                    report.problem(
                        &setting.place,
                        "needs a function, or to be a name such as \"http:NAME\"",
                    );
                    None
                }
            };
        }
        _ => {
            report.problem(&setting.place, "should be the name of an action, such as \"http:NAME\"");
            return None;
        }
    };
    match text.split_once(':') {
        Some(("http" | "webhook", name)) => {
            let key = by_name(targets, name).map(|(key, _)| key.clone());
            if let Some(key) = key {
                return targets.get_mut(&key).map(Sends::To);
            }
            // Disabled and invalid actions are reported already.
            if !known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                let near = nearest(name, known.iter().map(String::as_str));
                let known = near.map_or_else(
                    || "actions are defined below actions.http or bridges.webhook".to_owned(),
                    |near| format!("the nearest known one is http:{near}"),
                );
                report.problem(&setting.place, format!("action `{text}` is not defined; {known}"));
            }
            None
        }
        Some((kind, _)) => {
            report.warning(
                &setting.place,
                format!("is ignored: an action of kind {kind} is not a webhook"),
            );
            None
        }
        None => {
            report.problem(&setting.place, "should be the name of an action, such as \"http:NAME\"");
            None
        }
    }
}
