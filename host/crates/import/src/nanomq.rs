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

use std::path::Path;

use hookhost_settings::{Place, Report, Section, Table, Value, format_duration, insert, merge};
use hookhost_shared::nearest::nearest;

use super::canonical::{Canonical, Destination, Rule, Tls};
use super::checks::{self, ignore_parts, switch};
use super::emqx4::payload_encoding;
use super::events::{EVENTS, HookEvent, Meant, find};
use super::web_hook::{self, RULE, nearest_or_all};
use super::{Broker, HOUR, MILLISECOND, Settings, Sources, hocon};

/// The events that NanoMQ has.
fn events() -> &'static [HookEvent] {
    EVENTS.split_at(12).0
}

/// The events that NanoMQ really sends.
const SENT: [&str; 3] = ["client_connack", "client_disconnected", "message_publish"];

/// The destination that headers and TLS belong to.
const DESTINATION: &str = "webhook";

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
    settings(report, &mut canonical, &mut fields, sources);
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
    let Some(webhook) = root.remove("webhook") else {
        let text = "has no block `webhook`, so NanoMQ's hook is disabled";
        report.problem(&Place::line(path, 1, ""), text);
        return (None, Vec::new());
    };
    ignore_parts(report, &root);
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
            let key = key.split('.').next().unwrap_or_default().to_owned();
            root.entry(key).or_insert(setting);
        }
    }
    ignore_parts(report, &root);
    let place = Place::line(path, 1, "web.hook");
    if !webhook.contains_key("enable") {
        let text = "works although web.hook.enable is not given; NanoMQ itself needs it to be true";
        report.warning(&place, text);
    }
    (Section::root(report, place, webhook), rules)
}

fn settings(report: &Report, canonical: &mut Canonical, fields: &mut Section<'_>, sources: &Sources<'_>) {
    let missing = !fields.is_given("url");
    let url = fields.take("url").and_then(|setting| {
        let text = report.check(setting.written())?;
        Some((setting.place.clone(), checks::http_url(report, &setting.place, &text)?))
    });
    let urls = sources.urls_instead_of(url.as_ref().map(|(_, url)| url.as_str()));
    if let Some((place, url)) = &url {
        canonical.set("webhook.urls", place, Value::texts(place, [url.clone()]));
    } else if missing && urls.is_empty() {
        report.problem(fields.place(), "url is missing: requests have no URL");
    }
    let place = url.map_or_else(|| fields.place().clone(), |(place, _)| place);
    let mut destination = Destination::new(place, DESTINATION);
    let secure = urls.iter().any(|url| url.to_ascii_lowercase().starts_with("https:"));
    destination.urls = urls;
    if let Some(mut headers) = fields.section_if_given("headers") {
        for (name, setting) in headers.rest() {
            let Some(text) = report.check(setting.written()) else {
                continue;
            };
            let header = checks::header(report, &setting.place, &name, &text);
            // The default. It is not set, because another format of bodies has another content type.
            let is_json = |(name, value): &(String, String)| name == "content-type" && value == "application/json";
            destination.headers.extend(header.filter(|header| !is_json(header)));
        }
    }
    if let Some(mut body) = fields.section_if_given("body")
        && let Some(setting) = body.take_either("encoding", "encoding_of_payload_field")
    {
        payload_encoding(report, canonical, &setting);
    }
    if let Some(setting) = fields.take("encode_payload") {
        payload_encoding(report, canonical, &setting);
    }
    if let Some(setting) = fields.take("pool_size")
        && let Some(count) = report.check(setting.integer(1..=65_535))
    {
        canonical.set("delivery.concurrency_limit", &setting.place, Value::Integer(count));
    }
    if let Some(setting) = fields.take("cancel_timeout")
        && let Some(duration) = report.check(setting.milliseconds(MILLISECOND..=HOUR))
    {
        for key in ["delivery.connect_timeout", "delivery.http_timeout"] {
            canonical.set(key, &setting.place, Value::Text(format_duration(duration)));
        }
    }
    for key in ["ssl", "tls"] {
        if let Some(tls) = fields.section_if_given(key) {
            destination.tls = transport(tls, secure);
        }
    }
    canonical.destinations.push(destination);
}

/// The TLS block. NanoMQ has the keys but no TLS; here they are used.
fn transport(mut fields: Section<'_>, secure: bool) -> Tls {
    let report = fields.report();
    let mut tls = Tls::default();
    let enabled = fields.take("enable").and_then(|setting| report.check(switch(&setting)));
    let mut file = |key| {
        let setting = fields.take(key)?;
        let text = report.check(setting.written())?;
        (!text.is_empty()).then_some((setting.place, text))
    };
    let files = [file("cacertfile"), file("certfile"), file("keyfile")];
    let verify = fields.take_either("verify_peer", "verify");
    let verify = verify.and_then(|setting| Some((setting.place.clone(), report.check(switch(&setting))?)));
    let name = fields.take("server_name_indication");
    fields.ignore(&[
        ("key_password", "a private key must not be encrypted here"),
        ("fail_if_no_peer_cert", "a server always has a certificate"),
        (
            "url",
            "the block is about the web service, whose URL is outside the block",
        ),
    ]);
    if enabled == Some(false) || !secure {
        if files.iter().any(Option::is_some) || enabled == Some(true) {
            report.warning(fields.place(), "is ignored: it is disabled, or the URL is not https");
        }
        return tls;
    }
    report.warning(
        fields.place(),
        "is used here; NanoMQ itself ignores it and sends without TLS",
    );
    [tls.ca, tls.certificate, tls.key] = files;
    tls.verify = verify;
    if let Some(setting) = name {
        let text = report.check(setting.written());
        tls.server_name = text
            .filter(|name| !matches!(name.as_str(), "" | "disable" | "false"))
            .map(|name| (setting.place, name));
    }
    tls
}

/// One rule for each event, for the topics of all of them.
fn one_for_each_event(rules: Vec<Rule>) -> Vec<Rule> {
    let mut merged: Vec<Rule> = Vec::new();
    for rule in rules {
        match merged.iter_mut().find(|known| known.event == rule.event) {
            // A rule without topics has all of them.
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
