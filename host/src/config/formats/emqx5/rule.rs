//! `rule_engine.rules.ID`: which events, which columns, which actions.

use std::collections::BTreeMap;

use super::super::canonical::{Canonical, Rule};
use super::super::checks;
use super::super::said::{Fields, Report, Said, What};
use super::target::Target;
use super::{by_name, sql};
use crate::config::document::Value;
use crate::config::reader::Place;

/// What a rule says.
#[derive(Debug)]
pub(super) struct RuleOf {
    id: String,
    place: Place,
    sql: (Place, sql::Statement),
    actions: Vec<Said>,
}

/// What an event topic stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// A rule key.
    Key(&'static str),
    /// A name among other events.
    Other(&'static str),
    /// Something that does not happen here: why.
    Never(&'static str),
}

/// Event topics in the spelling of all of EMQX 5 and in that since 5.9, both below `$events/`.
const EVENTS: [(&str, &str, Stands); 16] = [
    ("client_connected", "client/connected", Stands::Key("client_connected")),
    (
        "client_disconnected",
        "client/disconnected",
        Stands::Key("client_disconnected"),
    ),
    ("client_connack", "client/connack", Stands::Key("client_connack")),
    (
        "client_check_authn_complete",
        "auth/check_authn_complete",
        Stands::Key("client_authenticated"),
    ),
    (
        "client_check_authz_complete",
        "auth/check_authz_complete",
        Stands::Key("client_authorized"),
    ),
    (
        "session_subscribed",
        "session/subscribed",
        Stands::Key("session_subscribed"),
    ),
    (
        "session_unsubscribed",
        "session/unsubscribed",
        Stands::Key("session_unsubscribed"),
    ),
    (
        "message_delivered",
        "message/delivered",
        Stands::Key("message_delivered"),
    ),
    ("message_acked", "message/acked", Stands::Key("message_acked")),
    ("message_dropped", "message/dropped", Stands::Key("message_dropped")),
    (
        "delivery_dropped",
        "message/delivery_dropped",
        Stands::Key("delivery_dropped"),
    ),
    ("client/ping", "client/ping", Stands::Other("client.ping")),
    (
        "schema_validation_failed",
        "schema_validation/failed",
        Stands::Never("messages are not validated here"),
    ),
    (
        "message_transformation_failed",
        "message_transformation/failed",
        Stands::Never("messages are not transformed here"),
    ),
    (
        "sys/alarm_activated",
        "sys/alarm_activated",
        Stands::Never("there are no alarms here"),
    ),
    (
        "sys/alarm_deactivated",
        "sys/alarm_deactivated",
        Stands::Never("there are no alarms here"),
    ),
];

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
    let Some(said) = sql else {
        report.problem(&place, "needs sql, such as \"SELECT * FROM \\\"t/#\\\"\"");
        return None;
    };
    let text = said.as_text(report)?;
    match sql::statement(&text) {
        Ok(statement) => Some(RuleOf {
            id,
            place,
            sql: (said.place, statement),
            actions,
        }),
        Err(error) => {
            report.problem(&said.place, error);
            None
        }
    }
}

/// What FROM says: for each rule key its topics.
fn sources(report: &mut Report, place: &Place, from: &[String]) -> BTreeMap<&'static str, Vec<String>> {
    let mut keys: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for topic in from {
        if let Some(name) = topic.strip_prefix("$events/") {
            for stands in events(report, place, name) {
                match stands {
                    Stands::Key(key) => drop(keys.entry(key).or_default()),
                    Stands::Other(name) => keys.entry("other").or_default().push(name.to_owned()),
                    Stands::Never(why) => report.warning(place, format!("{topic} never happens: {why}")),
                }
            }
        } else if topic.starts_with("$bridges/") || topic.starts_with("$sources/") {
            report.warning(place, format!("{topic} never happens: there are no bridges here"));
        } else if let Some(topic) = checks::topic(report, place, topic) {
            let topics = keys.entry("message_publish").or_default();
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
    }
    keys
}

/// The events of a topic below `$events/`, which may have wildcards.
fn events(report: &mut Report, place: &Place, name: &str) -> Vec<Stands> {
    if let Some((_, _, stands)) = EVENTS.iter().find(|(old, new, _)| *old == name || *new == name) {
        return vec![*stands];
    }
    if let Ok(filter) = name.parse::<hookhost_guest::topic::TopicFilter>()
        && name.contains(['+', '#'])
    {
        let matched = EVENTS.iter().filter(|(_, new, _)| filter.matches(new));
        let known = matched.filter(|(_, _, stands)| !matches!(stands, Stands::Never(_)));
        let found: Vec<Stands> = known.map(|(_, _, stands)| *stands).collect();
        if !found.is_empty() {
            return found;
        }
    }
    let known = EVENTS.iter().flat_map(|(old, new, _)| [*old, *new]);
    let text = match hookhost_guest::nearest::nearest(name, known) {
        Some(near) => format!("FROM \"$events/{name}\": unknown event; the nearest known one is $events/{near}"),
        None => {
            let known: Vec<&str> = EVENTS.iter().map(|(old, _, _)| *old).collect();
            format!(
                "FROM \"$events/{name}\": unknown event; known are, below $events/, {}",
                known.join(", ")
            )
        }
    };
    report.problem(place, text);
    Vec::new()
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
        let (sql_place, statement) = &rule.sql;
        let keys = sources(report, sql_place, &statement.from);
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
                made.select = statement.select.clone();
                made.condition = statement.condition.clone();
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
                let near = hookhost_guest::nearest::nearest(name, known.iter().map(String::as_str));
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
