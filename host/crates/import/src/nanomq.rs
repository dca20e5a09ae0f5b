//! NanoMQ: the `webhook` block of its HOCON file, that block as NanoMQ's page writes it (settings inside the list of
//! rules), and the older `web.hook.…` lines.
//!
//! Unknown keys are ignored there and a warning here. All rules of one event become one, because NanoMQ sends one
//! request for a message however many rules match. A rule for `#` takes all topics, `$…` too. NanoMQ has no
//! environment variables for its hook.
//!
//! | HOCON (lines) | here |
//! | --- | --- |
//! | `url` (`web.hook.url`) | `webhook.urls` |
//! | `headers.NAME` | a header of the destination `webhook` |
//! | `body.encoding` (`body.encoding_of_payload_field`) | `webhook.payload_encoding` |
//! | `pool_size` | `delivery.concurrency_limit` |
//! | `cancel_timeout`, in ms | `delivery.connect_timeout` and `delivery.http_timeout` |
//! | `enable = false` | no rules |
//! | `ssl` or `tls`: `cacertfile`, `certfile`, `keyfile`, `verify_peer` (`web.hook.ssl.…`) | `tls` of the destination; NanoMQ reads it and does not use it |
//! | `events[].event`, `topic` (`web.hook.rule.HOOK.EVENT.N`) | `webhook.rule.EVENT` |

use std::collections::BTreeMap;
use std::path::Path;

use hookhost_shared::nearest::nearest;

use super::canonical::{Canonical, Destination, Rule, Tls, texts};
use super::emqx4::payload_encoding;
use super::events::{EVENTS, HookEvent, Meant, find};
use super::said::{Fields, Report, Said, What, place_in};
use super::web_hook::{self, RULE, nearest_or_all};
use super::{Format, HOUR, MILLISECOND, Reading, Sources, checks};
use crate::hocon;
use hookhost_settings::document::Value;
use hookhost_settings::units::format_duration;

/// The events that NanoMQ has.
fn events() -> &'static [HookEvent] {
    EVENTS.split_at(12).0
}

/// Those that NanoMQ really sends.
const SENT: [&str; 3] = ["client_connack", "client_disconnected", "message_publish"];

/// The destination that headers and TLS belong to.
const DESTINATION: &str = "webhook";

/// Reads a file in either form; see the module's page.
pub(super) fn read(sources: &Sources<'_>) -> Reading {
    let mut report = Report::default();
    let (path, text) = sources.file.unwrap_or((Path::new(""), ""));
    let mut canonical = Canonical::new(Format::Nanomq, place_in(path, 1, ""));
    let is_line = |line: &str| line.trim_start().starts_with("web.hook.");
    let (fields, rules) = if text.lines().any(is_line) {
        from_lines(path, text, &mut report)
    } else {
        from_hocon(path, text, &mut report, sources)
    };
    let Some(mut fields) = fields else {
        return canonical.into_reading(report);
    };
    let enabled = fields
        .take("enable")
        .and_then(|said| Some((said.place.clone(), said.as_boolean(&mut report)?)));
    settings(&mut report, &mut canonical, &mut fields, sources);
    fields.finish(&mut report, false);
    canonical.rules = one_for_each_event(rules);
    if let Some((place, false)) = enabled {
        report.warning(&place, "switches the hook off: no webhook will be sent");
        canonical.rules.clear();
    }
    canonical.into_reading(report)
}

/// The block and its rules.
fn from_hocon(path: &Path, text: &str, report: &mut Report, sources: &Sources<'_>) -> (Option<Fields>, Vec<Rule>) {
    let hocon = hocon::read(text, &|name| sources.environment(name));
    for (line, text) in hocon.errors {
        report.problem(&place_in(path, line, ""), text);
    }
    for (line, text) in hocon.warnings {
        report.warning(&place_in(path, line, ""), text);
    }
    if !report.problems.is_empty() {
        return (None, Vec::new());
    }
    let mut root = Said::table_in_file(path, "", hocon.table);
    let Some(webhook) = root.remove("webhook") else {
        let text = "has no block `webhook`, so that NanoMQ's hook is off";
        report.problem(&place_in(path, 1, ""), text);
        return (None, Vec::new());
    };
    report.elsewhere(&root);
    let Some(mut fields) = webhook.into_fields(report) else {
        return (None, Vec::new());
    };
    let mut rules = Vec::new();
    let mut misplaced = BTreeMap::new();
    let listed = fields
        .take_either("events", "rules")
        .and_then(|said| said.into_list(report));
    for said in listed.unwrap_or_default() {
        let mistyped = match &said.what {
            What::Table(table) => table.keys().find(|key| nearest(key, ["event"]).is_some()).cloned(),
            _ => None,
        };
        match &said.what {
            // Settings among the rules, as the page has them.
            What::Table(table) if mistyped.is_none() && table.keys().any(|key| key != "topic") => {
                if let What::Table(table) = said.what {
                    misplaced.extend(table);
                }
            }
            _ => rules.extend(
                said.into_fields(report)
                    .and_then(|fields| rule(report, fields, mistyped.as_deref())),
            ),
        }
    }
    if !misplaced.is_empty() {
        let place = fields.place.clone();
        let mut whole = Said {
            place: place.clone(),
            what: What::Table(fields.rest()),
        };
        let what = What::Table(misplaced);
        whole.overlay(Said { place, what });
        let Some(merged) = whole.into_fields(report) else {
            return (None, rules);
        };
        fields = merged;
    }
    (Some(fields), rules)
}

/// `key` is `event`, or what may have been meant to be.
fn rule(report: &mut Report, mut fields: Fields, key: Option<&str>) -> Option<Rule> {
    let place = fields.place.clone();
    let said = fields.take("event");
    let topic = fields.take("topic");
    fields.finish(report, false);
    let Some(said) = said else {
        let mistyped = key.map_or_else(String::new, |key| format!("; {key} is not known, is event meant?"));
        report.problem(
            &place,
            format!("needs an event, such as \"on_message_publish\"{mistyped}"),
        );
        return None;
    };
    let name = said.as_text(report)?.trim().to_ascii_lowercase();
    let event = match find(&name, events(), |event| event.action) {
        Meant::Event(event) => event,
        Meant::Misspelt(event) => {
            report.warning(
                &said.place,
                format!("works here; NanoMQ itself knows it as {}", event.action),
            );
            event
        }
        Meant::Unknown(near) => {
            let known = nearest_or_all(near, events(), |event| event.action);
            report.problem(&said.place, format!("unknown event; {known}"));
            return None;
        }
    };
    let mut rule = Rule::new(place, event.key);
    if let Some(topic) = topic {
        if event.topics {
            let text = topic.as_text(report)?;
            rule.topics.extend(checks::topic(report, &topic.place, &text));
        } else {
            report.warning(&topic.place, format!("is ignored: {} has no topic", event.action));
        }
    }
    heard(report, &rule);
    Some(rule)
}

/// Nine of NanoMQ's events are never sent by it.
fn heard(report: &mut Report, rule: &Rule) {
    if !SENT.contains(&rule.event) {
        report.warning(
            &rule.place,
            format!("{} is sent here; NanoMQ itself never sends it", rule.event),
        );
    } else if !rule.topics.is_empty() && rule.event != "message_publish" {
        report.warning(&rule.place, "has a topic, which NanoMQ itself does not look at");
    }
}

/// The older form, as the fields of the newer one.
fn from_lines(path: &Path, text: &str, report: &mut Report) -> (Option<Fields>, Vec<Rule>) {
    let mut rules = Vec::new();
    let mut root: BTreeMap<String, Said> = BTreeMap::new();
    let mut webhook = Said {
        place: place_in(path, 1, "web.hook"),
        what: What::Table(BTreeMap::new()),
    };
    for (key, said) in web_hook::lines(path, text, report) {
        if let Some(name) = key.strip_prefix(RULE) {
            if let Some(rule) = web_hook::rule(report, name, &said, events(), "NanoMQ") {
                heard(report, &rule);
                rules.push(rule);
            }
        } else if let Some(key) = key.strip_prefix("web.hook.") {
            // A header may have dots in its name.
            let path: Vec<&str> = match key.split_once('.') {
                Some((group, rest)) => vec![group, rest],
                None => vec![key],
            };
            let nested = path.into_iter().rev().fold(said, |said, key| Said {
                place: said.place.clone(),
                what: What::Table(BTreeMap::from([(key.to_owned(), said)])),
            });
            webhook.overlay(nested);
        } else {
            let key = key.split('.').next().unwrap_or_default().to_owned();
            root.entry(key).or_insert(said);
        }
    }
    report.elsewhere(&root);
    let mut fields = webhook.into_fields(report);
    if let Some(fields) = &mut fields
        && !fields.has("enable")
    {
        let place = fields.place.clone();
        report.warning(
            &place,
            "works although web.hook.enable is not given; NanoMQ itself needs it to be true",
        );
    }
    (fields, rules)
}

fn settings(report: &mut Report, canonical: &mut Canonical, fields: &mut Fields, sources: &Sources<'_>) {
    let missing = !fields.has("url");
    let url = fields.take("url").and_then(|said| {
        let text = said.as_text(report)?;
        Some((said.place.clone(), checks::http_url(report, &said.place, &text)?))
    });
    let urls = sources.urls_instead_of(url.as_ref().map(|(_, url)| url.as_str()));
    if let Some((place, url)) = &url {
        canonical.set("webhook.urls", place, texts(vec![url.clone()], 1));
    } else if missing && urls.is_empty() {
        report.problem(&fields.place, "url is missing: nobody says where requests go");
    }
    let place = url.map_or_else(|| fields.place.clone(), |(place, _)| place);
    let mut destination = Destination::new(place, DESTINATION);
    let secure = urls.iter().any(|url| url.to_ascii_lowercase().starts_with("https:"));
    destination.urls = urls;
    if let Some(mut headers) = fields.table("headers", report) {
        for (name, said) in headers.rest() {
            let Some(text) = said.as_text(report) else { continue };
            let header = checks::header(report, &said.place, &name, &text);
            // What is sent anyway; it must not stand in the way of another format that somebody prefers.
            let is_json = |(name, value): &(String, String)| name == "content-type" && value == "application/json";
            destination.headers.extend(header.filter(|header| !is_json(header)));
        }
    }
    if let Some(mut body) = fields.table("body", report) {
        if let Some(said) = body.take_either("encoding", "encoding_of_payload_field") {
            payload_encoding(report, canonical, &said);
        }
        body.finish(report, false);
    }
    if let Some(said) = fields.take("encode_payload") {
        payload_encoding(report, canonical, &said);
    }
    if let Some(said) = fields.take("pool_size")
        && let Some(count) = said.as_count(report, 1..=65_535)
    {
        canonical.set("delivery.concurrency_limit", &said.place, Value::Integer(count));
    }
    if let Some(said) = fields.take("cancel_timeout")
        && let Some(duration) = said.as_duration(report, MILLISECOND..=HOUR)
    {
        for key in ["delivery.connect_timeout", "delivery.http_timeout"] {
            canonical.set(key, &said.place, Value::Text(format_duration(duration)));
        }
    }
    for key in ["ssl", "tls"] {
        if let Some(mut tls) = fields.table(key, report) {
            destination.tls = transport(report, &mut tls, secure);
            tls.finish(report, false);
        }
    }
    canonical.destinations.push(destination);
}

/// The TLS block. NanoMQ has the keys and no TLS; whoever wrote them meant what they say.
fn transport(report: &mut Report, fields: &mut Fields, secure: bool) -> Tls {
    let mut tls = Tls::default();
    let enabled = fields.take("enable").and_then(|said| said.as_boolean(report));
    let mut file = |key| {
        let said = fields.take(key)?;
        let text = said.as_text(report)?;
        (!text.is_empty()).then_some((said.place, text))
    };
    let files = [file("cacertfile"), file("certfile"), file("keyfile")];
    let verify = fields.take_either("verify_peer", "verify");
    let verify = verify.and_then(|said| Some((said.place.clone(), said.as_boolean(report)?)));
    let name = fields.take("server_name_indication");
    fields.ignore(
        &[
            ("key_password", "a private key must not be encrypted here"),
            ("fail_if_no_peer_cert", "a server always has a certificate"),
            (
                "url",
                "the block is about the web service, whose URL stands outside of it",
            ),
        ],
        report,
    );
    if enabled == Some(false) || !secure {
        if files.iter().any(Option::is_some) || enabled == Some(true) {
            report.warning(&fields.place, "is ignored: it is switched off, or the URL is not https");
        }
        return tls;
    }
    report.warning(
        &fields.place,
        "is used here; NanoMQ itself reads it and sends without TLS",
    );
    [tls.ca, tls.certificate, tls.key] = files;
    tls.verify = verify;
    if let Some(said) = name {
        let text = said.as_text(report);
        tls.server_name = text
            .filter(|name| !matches!(name.as_str(), "" | "disable" | "false"))
            .map(|name| (said.place, name));
    }
    tls
}

/// One rule for each event, for the topics of all of them.
fn one_for_each_event(rules: Vec<Rule>) -> Vec<Rule> {
    let mut merged: Vec<Rule> = Vec::new();
    for rule in rules {
        match merged.iter_mut().find(|known| known.event == rule.event) {
            // No topics means all of them, so nothing can be added to that.
            Some(known) if known.topics.is_empty() || rule.topics.is_empty() => known.topics.clear(),
            Some(known) => {
                for topic in rule.topics {
                    if !known.topics.contains(&topic) {
                        known.topics.push(topic);
                    }
                }
            }
            None => merged.push(rule),
        }
    }
    for rule in &mut merged {
        if rule.topics.iter().any(|topic| topic == "#") {
            rule.topics.clear();
        }
    }
    merged
}
