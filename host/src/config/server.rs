//! What another broker's configuration says about access control and listeners: whether it is used, and what becomes of what
//! hookhost cannot carry out.
//!
//! | hookhost has settings of its own | they replace |
//! | --- | --- |
//! | `[[authentication]]` | the broker's users |
//! | `rule`, `file`, `http` or `default` of `[access]` | the broker's rules |
//! | `mqtt.listen` or `[[listener]]` | the broker's listeners |
//!
//! Behind a gateway, the broker keeps its access control and its listeners, so nothing is taken over.

use hookhost_import::{Part, ServerSettings};
use hookhost_settings::{Place, Problem, Report, Setting, Table, Value, find, merge};

/// What ends a line about something that cannot be carried out.
const WHAT_TO_DO: &str = "to start without the access control of that broker, set webhook.ignore_access_control = true or \
    --ignore-access-control";

/// Adds what is used to `settings`. `own` are hookhost's own sources, the strongest first. Returns what is used, for people.
pub(super) fn take_over(server: ServerSettings, settings: &mut Table, own: &[&Table], report: &Report) -> Vec<String> {
    if is_relayed(own) {
        return Vec::new();
    }
    let ignores =
        strongest(own, &["webhook", "ignore_access_control"]).is_some_and(|setting| setting.boolean().unwrap_or(false));
    let mut taken_over = Vec::new();
    for (part, replaced_by) in [
        (server.authentication, own_authentication(own)),
        (server.rules, own_rules(own)),
    ] {
        let is_given = !part.settings.is_empty() || !part.lost.is_empty();
        match replaced_by {
            Some(setting) if is_given => {
                let text = format!("is used instead of what {} says", origin(&part));
                report.note(&setting.place, text);
            }
            _ if ignores => {
                part.lost.into_iter().for_each(|problem| report.add_warning(problem));
                if !part.settings.is_empty() {
                    report.warning(
                        &first(&part.settings),
                        "is not used: webhook.ignore_access_control is true",
                    );
                }
            }
            _ => {
                let with_advice = |problem: Problem| Problem {
                    text: format!("{}; {WHAT_TO_DO}", problem.text),
                    ..problem
                };
                part.lost
                    .into_iter()
                    .for_each(|problem| report.add_problem(with_advice(problem)));
                part.warnings
                    .into_iter()
                    .for_each(|warning| report.add_warning(warning));
                add(settings, part.settings, &mut taken_over);
            }
        }
    }
    let listen = strongest(own, &["mqtt", "listen"]).or_else(|| strongest(own, &["listener"]));
    if listen.is_none() {
        server
            .listeners
            .warnings
            .into_iter()
            .for_each(|warning| report.add_warning(warning));
        add(settings, server.listeners.settings, &mut taken_over);
    }
    server
        .limits
        .warnings
        .into_iter()
        .for_each(|warning| report.add_warning(warning));
    add(settings, server.limits.settings, &mut taken_over);
    taken_over
}

fn strongest<'t>(own: &[&'t Table], path: &[&str]) -> Option<&'t Setting> {
    own.iter().find_map(|table| find(table, path))
}

/// Whether clients reach another broker through the gateway.
fn is_relayed(own: &[&Table]) -> bool {
    let engine = strongest(own, &["broker", "engine"]).and_then(Setting::as_text);
    let Some(upstream) = strongest(own, &["broker", "upstream"]) else {
        return false;
    };
    let (brokers, _) = upstream.texts(true, |text| Ok(text.trim().to_owned()));
    engine.map(str::trim) == Some("gateway") && brokers.iter().any(|broker| broker != "rumqttd")
}

fn own_authentication<'t>(own: &[&'t Table]) -> Option<&'t Setting> {
    strongest(own, &["authentication"])
}

fn own_rules<'t>(own: &[&'t Table]) -> Option<&'t Setting> {
    let keys = ["rule", "file", "http", "default"];
    keys.into_iter().find_map(|key| strongest(own, &["access", key]))
}

/// Where a part comes from.
fn origin(part: &Part) -> String {
    let lost = part.lost.first().map(|problem| problem.place.clone());
    lost.unwrap_or_else(|| first(&part.settings)).to_string()
}

/// The first place of some settings.
fn first(settings: &Table) -> Place {
    settings
        .values()
        .next()
        .map_or_else(|| Place::variable(""), |setting| setting.place.clone())
}

/// Adds settings, and a line about each: its key and where it was given.
fn add(settings: &mut Table, more: Table, taken_over: &mut Vec<String>) {
    for (section, setting) in &more {
        match &setting.value {
            Value::List(list) => taken_over.extend(list.iter().map(|element| line(&format!("[[{section}]]"), element))),
            Value::Table(table) => {
                taken_over.extend(
                    table
                        .iter()
                        .map(|(key, setting)| line(&format!("{section}.{key}"), setting)),
                );
            }
            _ => {}
        }
    }
    merge(settings, more, &|_| false);
}

/// `[[listener]] tcp:default 0.0.0.0:1883 (emqx.conf:3: listeners.tcp.default)`
fn line(key: &str, setting: &Setting) -> String {
    let mut line = key.to_owned();
    if let Value::Table(fields) = &setting.value {
        for name in ["source", "name", "address", "url"] {
            if let Some(text) = fields.get(name).and_then(Setting::as_text) {
                line.push(' ');
                line.push_str(&if name == "url" {
                    hookhost_delivery::shown(text)
                } else {
                    text.to_owned()
                });
            }
        }
    }
    format!("{line} ({})", setting.place)
}
