//! Targets of rules, each an action with its connector, and the destinations made of them.

use std::collections::BTreeMap;

use super::super::Sources;
use hookhost_settings::{Place, Report, Section, Setting, Table, Value, parse_duration};

use super::super::canonical::{Canonical, Destination, Tls, prefix};
use super::action::Action;
use super::by_name;
use super::connector::{Connector, Headers, tls};

/// Headers of connectors and actions that give none.
const DEFAULT_HEADERS: [(&str, &str); 5] = [
    ("accept", "application/json"),
    ("cache-control", "no-cache"),
    ("connection", "keep-alive"),
    ("content-type", "application/json"),
    ("keep-alive", "timeout=5"),
];

/// Where an action sends, and how.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) place: Place,
    pub(super) url: String,
    pub(super) method: Option<String>,
    /// Headers of the rule: those with placeholders, and the content type.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<String>,
    pub(super) local_topic: Option<Setting>,
    /// Whether a rule uses it.
    pub(super) used: bool,
    fixed: Headers,
    tls: Tls,
    settings: Table,
}

/// An enabled action with its connector. `None` if either is disabled or invalid, which is reported.
pub(super) fn of(
    report: &Report,
    name: &str,
    action: Action,
    connectors: &BTreeMap<String, Connector>,
    sources: &Sources<'_>,
) -> Option<Target> {
    let (place, wanted) = action.connector.as_ref()?;
    let Some((_, connector)) = by_name(connectors, wanted) else {
        let known: Vec<&str> = connectors.keys().map(String::as_str).collect();
        let near = hookhost_shared::nearest::nearest(wanted, known.iter().copied());
        let known = match near {
            Some(near) => format!("the nearest known one is {near}"),
            None if known.is_empty() => "no connector is defined".to_owned(),
            None => format!("known are {}", known.join(", ")),
        };
        report.problem(
            place,
            format!("connector `{wanted}` is not defined below connectors.http; {known}"),
        );
        return None;
    };
    if !action.enabled || !connector.enabled {
        let off = if action.enabled {
            &connector.place
        } else {
            &action.place
        };
        report.note(off, format!("is disabled, so nothing is sent to {name}"));
        return None;
    }
    let (url_place, base) = connector.url.as_ref()?;
    let url = match &action.path {
        Some((_, path)) => {
            if base.contains('?') {
                report.warning(
                    url_place,
                    "has a query, which EMQX 5 does not send; write it into the path of the action",
                );
            }
            joined(base, path)
        }
        None => base.clone(),
    };
    let secure = url.to_ascii_lowercase().starts_with("https:");
    let mut fixed = of_defaults(&connector.headers, url_place);
    fixed.extend(of_defaults(&action.headers, &action.place));
    let mut headers = BTreeMap::new();
    fixed.retain(|name, (_, value)| {
        // EMQX's own headers are no secret and need no destination.
        let usual = DEFAULT_HEADERS.contains(&(name.as_str(), value.as_str()));
        let templated = value.contains("${") || (usual && name != "content-type");
        let needed = name == "content-type" && (value != "application/json" || action.body.is_some());
        if templated || needed {
            headers.insert(name.clone(), value.clone());
        }
        !templated && name != "content-type"
    });
    let variable = |name: &str| sources.environment(name);
    let ssl = connector.ssl.clone();
    let ssl = ssl.and_then(|setting| Section::of(report, setting));
    let ssl = ssl.map(|fields| tls(report, fields, secure, &variable));
    let mut settings = connector.settings.clone();
    settings.extend(action.settings);
    Some(Target {
        place: action.place,
        url,
        method: action.method,
        headers,
        body: action.body.map(|(_, body)| body),
        local_topic: action.local_topic,
        used: false,
        fixed,
        tls: ssl.unwrap_or_default(),
        settings,
    })
}

fn of_defaults(headers: &Option<Headers>, place: &Place) -> Headers {
    match headers {
        Some(headers) => headers.clone(),
        None => DEFAULT_HEADERS
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (place.clone(), (*value).to_owned())))
            .collect(),
    }
}

/// A connector's URL with an action's path: one slash between them, or none before a query. As in EMQX 5, the query of the
/// connector's URL is lost.
fn joined(base: &str, path: &str) -> String {
    let base = base.split_once('?').map_or(base, |(base, _)| base);
    match path {
        "" => base.to_owned(),
        path if path.starts_with('?') => format!("{base}{path}"),
        path => format!(
            "{}/{}",
            base.trim_end_matches('/'),
            path.strip_prefix('/').unwrap_or(path)
        ),
    }
}

/// Makes destinations of all targets that are used. Headers that differ between two targets of one URL go into their rules,
/// unless they may be secret.
pub(super) fn destinations(report: &Report, canonical: &mut Canonical, targets: BTreeMap<String, Target>) {
    let mut queue: Option<(Place, i64)> = None;
    let mut groups: Vec<(String, Vec<(String, Target)>)> = Vec::new();
    for (name, mut target) in targets {
        if !target.used {
            report.warning(&target.place, "is not used by any rule");
            continue;
        }
        if let Some(Setting {
            place,
            value: Value::Integer(bytes),
        }) = target.settings.remove("queue_bytes")
        {
            let sum = queue.map_or(bytes, |(_, sum)| bytes.saturating_add(sum));
            queue = Some((place, sum));
        }
        let prefix = prefix(&target.url);
        match groups.iter_mut().find(|(known, _)| *known == prefix) {
            Some((_, group)) => group.push((name, target)),
            None => groups.push((prefix, vec![(name, target)])),
        }
    }
    if let Some((place, bytes)) = queue {
        canonical.set("delivery.queue_bytes", &place, Value::Integer(bytes));
    }
    for (prefix, group) in groups {
        destination(report, canonical, prefix, group);
    }
}

fn destination(report: &Report, canonical: &mut Canonical, prefix: String, group: Vec<(String, Target)>) {
    let mut members = group.iter();
    let Some((name, first)) = members.next() else { return };
    let mut whole = Destination::new(first.place.clone(), name.clone());
    whole.urls = vec![prefix];
    whole.tls = first.tls.clone();
    whole.settings = first.settings.clone();
    let mut common = first.fixed.clone();
    for (_, target) in members {
        if target.tls.meaning() != whole.tls.meaning() {
            let text = format!("has other TLS settings than {name}, which sends to the same URL");
            report.problem(&target.place, text);
        }
        common.retain(|header, (_, value)| target.fixed.get(header).is_some_and(|(_, other)| other == value));
        for (key, setting) in &target.settings {
            match whole.settings.get_mut(key) {
                Some(known) if known.value == setting.value => {}
                Some(known) => {
                    let text =
                        format!("differs from that of {name}, which sends to the same URL: the larger one is used");
                    report.warning(&setting.place, text);
                    if larger(&setting.value, &known.value) {
                        known.value = setting.value.clone();
                    }
                }
                None => {
                    whole.settings.insert(key.clone(), setting.clone());
                }
            }
        }
    }
    for (_, target) in &group {
        for (header, (place, value)) in &target.fixed {
            if common.contains_key(header) {
                continue;
            }
            if is_secret(header) {
                let text = format!(
                    "differs from that of other actions with the same URL as {name}: one URL can have only one value of a header that may be secret"
                );
                report.problem(place, text);
            }
            let own = |rule: &&mut super::super::canonical::Rule| {
                rule.place.key.ends_with(&format!(" → {}", target.place.key))
            };
            for rule in canonical.rules.iter_mut().filter(own) {
                rule.headers.insert(header.clone(), value.clone());
            }
        }
    }
    whole.headers = common.into_iter().map(|(name, (_, value))| (name, value)).collect();
    canonical.destinations.push(whole);
}

fn larger(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => one > other,
        (Value::Text(one), Value::Text(other)) => parse_duration(one).ok() > parse_duration(other).ok(),
        _ => false,
    }
}

/// Whether a header is the kind that holds a secret.
fn is_secret(name: &str) -> bool {
    ["auth", "cookie", "token", "key", "secret", "password", "signature"]
        .iter()
        .any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined() {
        for (base, path, url) in [
            ("http://h", "a", "http://h/a"),
            ("http://h/", "/a/", "http://h/a/"),
            ("http://h/b", "/a", "http://h/b/a"),
            ("http://h/b", "?q=${clientid}", "http://h/b?q=${clientid}"),
            ("http://h/b", "", "http://h/b"),
            ("http://h/b?t=1", "a?u=2", "http://h/b/a?u=2"),
            ("http://h/b?t=1", "", "http://h/b"),
        ] {
            assert_eq!(joined(base, path), url);
        }
    }
}
