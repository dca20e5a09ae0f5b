//! Imports access control, listeners and limits from another broker's configuration.
//!
//! | setting of hookhost | replaces |
//! | --- | --- |
//! | `[[authentication]]` | the broker's users |
//! | `mqtt.allow_anonymous = false` | the broker's `true` |
//! | `rule`, `file`, `http` or `default` of `[access]` | the broker's rules |
//! | `mqtt.listen` or `[[listener]]` | the broker's listeners |
//!
//! An unsupported restriction prevents the start, unless `webhook.ignore_access_control` is true. While nothing authenticates
//! clients, an imported listener listens on loopback addresses only.
//!
//! Behind a gateway, the broker keeps its access control and its listeners, so hookhost imports nothing.

use hookhost_import::{Part, ServerSettings};
use hookhost_settings::{Place, Problem, Report, Section, Setting, Table, Value, find, merge, remove};

/// The advice in an error about an unsupported restriction.
const ADVICE: &str = "to start without the access control of that broker, set webhook.ignore_access_control = true or \
    --ignore-access-control";

/// Adds the imported settings to `settings`. `own` are hookhost's own sources, the strongest first. Returns a line about each
/// imported setting.
pub(super) fn import(mut server: ServerSettings, settings: &mut Table, own: &[&Table], report: &Report) -> Vec<String> {
    if is_relayed(own) {
        return Vec::new();
    }
    let ignores =
        strongest(own, &["webhook", "ignore_access_control"]).is_some_and(|setting| setting.boolean().unwrap_or(false));
    let refuses_anonymous =
        strongest(own, &["mqtt", "allow_anonymous"]).is_some_and(|setting| setting.boolean() == Ok(false));
    if refuses_anonymous {
        remove(&mut server.authentication.settings, &["mqtt", "allow_anonymous"]);
    }
    let mut imported = Vec::new();
    for (part, replaced_by) in [
        (server.authentication, own_authentication(own)),
        (server.rules, own_rules(own)),
    ] {
        let is_given = !part.settings.is_empty() || !part.lost.is_empty();
        match replaced_by {
            Some(setting) if is_given => {
                let text = format!("is used instead of what {} says", origin(&part));
                report.warning(&setting.place, text);
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
                    text: format!("{}; {ADVICE}", problem.text),
                    ..problem
                };
                part.lost
                    .into_iter()
                    .for_each(|problem| report.add_problem(with_advice(problem)));
                part.warnings
                    .into_iter()
                    .for_each(|warning| report.add_warning(warning));
                add(settings, part.settings, &mut imported);
            }
        }
    }
    let listen = strongest(own, &["mqtt", "listen"]).or_else(|| strongest(own, &["listener"]));
    if listen.is_none() {
        if !is_protected(own, settings) {
            server.listeners.keep_local();
        }
        server
            .listeners
            .warnings
            .into_iter()
            .for_each(|warning| report.add_warning(warning));
        add(settings, server.listeners.settings, &mut imported);
    }
    server
        .limits
        .warnings
        .into_iter()
        .for_each(|warning| report.add_warning(warning));
    add(settings, server.limits.settings, &mut imported);
    imported
}

/// Whether a source of users or `mqtt.allow_anonymous` is given, by the operator or in the imported settings.
fn is_protected(own: &[&Table], imported: &Table) -> bool {
    [["authentication"].as_slice(), &["mqtt", "allow_anonymous"]]
        .into_iter()
        .any(|path| strongest(own, path).is_some() || find(imported, path).is_some())
}

fn strongest<'t>(own: &[&'t Table], path: &[&str]) -> Option<&'t Setting> {
    own.iter().find_map(|table| find(table, path))
}

/// Whether clients reach another broker through the gateway.
fn is_relayed(own: &[&Table]) -> bool {
    let mut settings = Table::new();
    for table in own.iter().rev() {
        let broker = table
            .get("broker")
            .map(|setting| ("broker".to_owned(), setting.clone()));
        merge(&mut settings, broker.into_iter().collect(), &|_| false);
    }
    // The problems are reported when all settings are read.
    let report = Report::default();
    let mut root = Section::root(&report, Place::flag(""), settings);
    super::is_relayed(&super::broker::read(root.section("broker")))
}

fn own_authentication<'t>(own: &[&'t Table]) -> Option<&'t Setting> {
    strongest(own, &["authentication"])
}

fn own_rules<'t>(own: &[&'t Table]) -> Option<&'t Setting> {
    let keys = ["rule", "file", "http", "default"];
    keys.into_iter().find_map(|key| strongest(own, &["access", key]))
}

/// The place of a part in the broker's configuration.
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

/// Adds settings, and a line about each: its key and its place.
fn add(settings: &mut Table, more: Table, imported: &mut Vec<String>) {
    for (section, setting) in &more {
        match &setting.value {
            Value::List(list) => imported.extend(list.iter().map(|element| line(&format!("[[{section}]]"), element))),
            Value::Table(table) => {
                imported.extend(
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
