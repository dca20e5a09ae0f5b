//! `rule_engine.rules.ID`: which events, which columns, which actions.

use std::collections::BTreeMap;

use hookhost_shared::nearest::nearest;
use hookhost_webhook::sql::{Source, Statement};

use super::super::canonical::{Canonical, Rule};
use super::super::checks;
use super::super::said::{Fields, Report, Said, What};
use super::by_name;
use super::target::Target;
use hookhost_settings::document::Value;
use hookhost_settings::reader::Place;

/// What a rule says.
#[derive(Debug)]
pub(super) struct RuleOf {
    id: String,
    place: Place,
    /// Has been read once without a mistake; none: there was one.
    sql: Option<(Place, String)>,
    actions: Vec<Said>,
}

pub(super) fn all(report: &mut Report, said: Option<Said>) -> Vec<RuleOf> {
    let Some(mut engine) = said.and_then(|said| said.into_fields(report)) else {
        return Vec::new();
    };
    if let Some(said) = engine.take("ignore_sys_message")
        && said.as_boolean(report) == Some(false)
    {
        report.warning(
            &said.place,
            "is ignored: the broker's own messages do not trigger rules of this format",
        );
    }
    let mut rules = Vec::new();
    if let Some(mut table) = engine.table("rules", report) {
        for (id, said) in table.rest() {
            let Some(fields) = said.into_fields(report) else {
                continue;
            };
            rules.extend(one(report, id, fields));
        }
    }
    engine.ignore(
        &[
            ("jq_function_default_timeout", "jq is not supported"),
            ("jq_implementation_module", "jq is not supported"),
            ("rulesql", "rules have ids of their own"),
        ],
        report,
    );
    engine.finish(report, true);
    rules
}

fn one(report: &mut Report, id: String, mut fields: Fields) -> Option<RuleOf> {
    let place = fields.place.clone();
    let enabled = fields
        .take("enable")
        .and_then(|said| said.as_boolean(report))
        .unwrap_or(true);
    let sql = fields.take("sql");
    let actions = match fields.take("actions") {
        None => Vec::new(),
        // A single one needs no list in a variable.
        Some(said) if matches!(said.what, What::Scalar(_)) => vec![said],
        Some(said) => said.into_list(report).unwrap_or_default(),
    };
    fields.remark(
        &[
            "name",
            "description",
            "metadata",
            "tags",
            "created_at",
            "last_modified_at",
        ],
        report,
    );
    fields.finish(report, true);
    if !enabled {
        report.note(&place, "is switched off");
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

fn read_sql(report: &mut Report, rule: &Place, sql: Option<Said>) -> Option<(Place, String)> {
    let Some(said) = sql else {
        report.problem(rule, "needs sql, such as \"SELECT * FROM \\\"t/#\\\"\"");
        return None;
    };
    let text = said.as_text(report)?;
    if let Err(error) = Statement::parse(&text) {
        report.problem(&said.place, error.to_string());
        return None;
    }
    Some((said.place, text))
}

/// What FROM says: for each rule key its topics.
fn sources(report: &mut Report, place: &Place, statement: &Statement<'_>) -> BTreeMap<&'static str, Vec<String>> {
    let mut keys: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for source in statement.sources() {
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

/// What an entry of `actions` is.
enum Sends<'a> {
    To(&'a mut Target),
    Terminal,
}

/// Makes the rules of this host: for each rule, action and event one. `known`: the names of all actions, also of those
/// that are switched off or wrong.
pub(super) fn canonical(
    report: &mut Report,
    canonical: &mut Canonical,
    rules: Vec<RuleOf>,
    targets: &mut BTreeMap<String, Target>,
    known: &[String],
) {
    for rule in rules {
        let Some((sql_place, sql)) = &rule.sql else {
            // Its actions may be wrong as well.
            for said in &rule.actions {
                if let Some(Sends::To(target)) = sends_to(report, said, targets, known) {
                    target.used = true;
                }
            }
            continue;
        };
        let Ok(statement) = Statement::parse(sql) else { continue };
        let keys = sources(report, sql_place, &statement);
        let mut sends = false;
        for said in &rule.actions {
            let Some(to) = sends_to(report, said, targets, known) else {
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
                made.select = Some(statement.select.to_owned()).filter(|select| select != "*");
                made.condition = statement.condition.map(str::to_owned);
                canonical.rules.push(made);
            }
        }
        if !sends {
            report.warning(
                &rule.place,
                "sends nothing: none of its actions is a webhook that is switched on",
            );
        }
    }
    // Messages that an action takes without a rule.
    for (name, target) in targets {
        let Some(said) = target.local_topic.clone() else {
            continue;
        };
        let Some(text) = said.as_text(report) else { continue };
        target.used = true;
        let topic = checks::topic(report, &said.place, &text);
        let mut made = made(&said.place, "message_publish", name, Some(target));
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
    report: &mut Report,
    said: &Said,
    targets: &'a mut BTreeMap<String, Target>,
    known: &[String],
) -> Option<Sends<'a>> {
    let text = match &said.what {
        What::Scalar(Value::Text(text)) => text.trim(),
        What::Table(table) => {
            let function = table.get("function").and_then(|said| said.as_text(report));
            return match function.as_deref() {
                Some("console") => Some(Sends::Terminal),
                Some(function) => {
                    let text = format!("{function} is not carried out: rules here send webhooks and nothing else");
                    report.warning(&said.place, text);
                    None
                }
                None => {
                    report.problem(&said.place, "needs a function, or to be a name such as \"http:NAME\"");
                    None
                }
            };
        }
        _ => {
            report.problem(&said.place, "should be the name of an action, such as \"http:NAME\"");
            return None;
        }
    };
    match text.split_once(':') {
        Some(("http" | "webhook", name)) => {
            let key = by_name(targets, name).map(|(key, _)| key.clone());
            if let Some(key) = key {
                return targets.get_mut(&key).map(Sends::To);
            }
            // What is switched off or wrong has been told where it stands.
            if !known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                let near = nearest(name, known.iter().map(String::as_str));
                let known = near.map_or_else(
                    || "actions stand below actions.http or bridges.webhook".to_owned(),
                    |near| format!("the nearest known one is http:{near}"),
                );
                report.problem(&said.place, format!("there is no action `{text}`; {known}"));
            }
            None
        }
        Some((kind, _)) => {
            report.warning(
                &said.place,
                format!("is not carried out: an action of kind {kind} is no webhook"),
            );
            None
        }
        None => {
            report.problem(&said.place, "should be the name of an action, such as \"http:NAME\"");
            None
        }
    }
}
