//! What another broker's configuration says about access control and listeners: whether it is used, and what becomes of what
//! hookhost cannot carry out.
//!
//! | hookhost has settings of its own | they replace |
//! | --- | --- |
//! | `[[authentication]]` | the broker's users |
//! | `rule`, `file`, `http` or `default` of `[access]` | the broker's rules |
//! | `mqtt.listen` or `[[listener]]` | the broker's listeners |
//!
//! A listener of the broker that other machines could reach is kept on this machine while nothing authenticates clients.
//!
//! Behind a gateway, the broker keeps its access control and its listeners, so nothing is taken over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

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
        let mut listeners = server.listeners.settings;
        if !is_protected(own, settings) {
            keep_local(&mut listeners, report);
        }
        server
            .listeners
            .warnings
            .into_iter()
            .for_each(|warning| report.add_warning(warning));
        add(settings, listeners, &mut taken_over);
    }
    server
        .limits
        .warnings
        .into_iter()
        .for_each(|warning| report.add_warning(warning));
    add(settings, server.limits.settings, &mut taken_over);
    taken_over
}

/// Whether clients have to authenticate, or the operator or the broker's configuration says whether they have to.
/// `imported` has what is used of the broker's configuration.
fn is_protected(own: &[&Table], imported: &Table) -> bool {
    [["authentication"].as_slice(), &["mqtt", "allow_anonymous"]]
        .into_iter()
        .any(|path| strongest(own, path).is_some() || find(imported, path).is_some())
}

/// Listeners that other machines could reach listen on this machine only.
fn keep_local(settings: &mut Table, report: &Report) {
    let Some(Setting {
        value: Value::List(listeners),
        ..
    }) = settings.get_mut("listener")
    else {
        return;
    };
    for listener in listeners {
        let Value::Table(fields) = &mut listener.value else {
            continue;
        };
        let Some(setting) = fields.get_mut("address") else {
            continue;
        };
        let Some(address) = setting.as_text().and_then(|text| text.parse::<SocketAddr>().ok()) else {
            continue;
        };
        if address.ip().to_canonical().is_loopback() {
            continue;
        }
        let local: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let local = SocketAddr::new(local, address.port());
        let text = format!(
            "asks for {address}, but nothing authenticates clients, so hookhost listens on {local} only; add \
             [[authentication]] to hookhost.toml, or set mqtt.allow_anonymous = true to accept every client from other machines"
        );
        report.warning(&setting.place, text);
        setting.value = Value::Text(local.to_string());
    }
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
