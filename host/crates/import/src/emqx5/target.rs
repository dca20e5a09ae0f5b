//! Targets of rules, each an action with its connector, and the destinations made of them.

use std::collections::{BTreeMap, BTreeSet};

use hookhost_settings::{Place, Report, Setting, Table, Value};

use super::super::canonical::{Canonical, Destination, Rule, Tls, key_name, prefix};
use super::action::Action;
use super::connector::{Connector, Headers};

/// Headers of connectors and actions that give none.
const DEFAULT_HEADERS: [(&str, &str); 5] = [
    ("accept", "application/json"),
    ("cache-control", "no-cache"),
    ("connection", "keep-alive"),
    ("content-type", "application/json"),
    ("keep-alive", "timeout=5"),
];

/// Targets by the names of their actions; `None` for one that is disabled or left out.
pub(super) type Targets = BTreeMap<String, Option<Target>>;

/// Where an action sends, and how.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) place: Place,
    pub(super) local_topic: Option<(Place, String)>,
    /// Whether an enabled rule names it.
    pub(super) is_named: bool,
    url: String,
    method: Option<String>,
    /// Headers of the rule: those with placeholders, and the content type.
    headers: BTreeMap<String, String>,
    body: Option<String>,
    /// Headers of the destination.
    fixed: Headers,
    tls: Tls,
    settings: Table,
}

impl Target {
    pub(super) fn new(report: &Report, action: Action, connector: &Connector) -> Target {
        let (url_place, base) = &connector.url;
        let url = match &action.path {
            Some(path) => {
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
        let mut settings = connector.settings.clone();
        settings.extend(action.settings);
        Target {
            place: action.place,
            local_topic: action.local_topic,
            is_named: false,
            url,
            method: action.method,
            headers,
            body: action.body,
            fixed,
            tls: connector.tls.clone(),
            settings,
        }
    }

    /// A rule of hookhost that sends to this target, whose action has the name.
    pub(super) fn rule(&self, name: &str, place: &Place, event: &'static str, action: &str) -> Rule {
        let place = Place {
            key: format!("{} → {}", place.key, self.place.key),
            ..place.clone()
        };
        let mut rule = Rule::new(place, event);
        rule.action = Some(action.to_owned());
        rule.urls = vec![self.url.clone()];
        rule.destination = Some(key_name(name));
        rule.method = self.method.clone();
        rule.headers = self.headers.clone();
        rule.body = self.body.clone();
        rule
    }
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

/// Makes a destination of each target that a rule names.
pub(super) fn destinations(report: &Report, canonical: &mut Canonical, targets: Targets) {
    let used: BTreeSet<String> = canonical
        .rules
        .iter()
        .filter_map(|rule| rule.destination.clone())
        .collect();
    let mut queue: Option<(Place, i64)> = None;
    for (name, target) in targets {
        let Some(mut target) = target else { continue };
        if !used.contains(&key_name(&name)) {
            if !target.is_named {
                report.warning(&target.place, "is not used by any rule");
            }
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
        let mut destination = Destination::new(target.place, name);
        destination.urls = vec![prefix(&target.url)];
        destination.headers = target
            .fixed
            .into_iter()
            .map(|(name, (_, value))| (name, value))
            .collect();
        destination.tls = target.tls;
        destination.settings = target.settings;
        canonical.destinations.push(destination);
    }
    if let Some((place, bytes)) = queue {
        canonical.set("delivery.queue_bytes", &place, Value::Integer(bytes));
    }
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
