//! `[webhook]`: the configuration of the default module, as canonical rules.
//!
//! What the rules mean is the module's business, and it reports their mistakes with their keys. Here they become JSON,
//! and destinations are checked, because the host sends to them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use hookhost_guest::webhook as bodies;
use serde_json::{Map, Value as Json, json};

use super::document::{Node, Value};
use super::formats::Format;
use super::problem::Source;
use super::reader::{Given, Place, Section};
use super::url;

/// The events of the RMQTT format: what a rule may be written for.
pub(super) const EVENTS: [&str; 15] = [
    "client_connect",
    "client_connack",
    "client_connected",
    "client_disconnected",
    "client_subscribe",
    "client_unsubscribe",
    "session_created",
    "session_terminated",
    "session_subscribed",
    "session_unsubscribed",
    "message_publish",
    "message_delivered",
    "message_acked",
    "message_dropped",
    "offline_message",
];

/// Where webhooks go when nobody says where.
const TERMINAL: &str = "stdout:";

/// The configuration of the default module.
#[derive(Clone, PartialEq)]
pub struct Webhook {
    /// Canonical rules: `{"urls": […], "rule": {"<event>": [{"action": …, "topics": […], "urls": […]}]}, "format": …}`
    /// and what else holds for all of them.
    /// URLs are checked; the rest is for the module to check.
    pub config: Json,
    /// Where in a file each key of [`config`](Webhook::config) stands, for its mistakes: keys and indices joined by dots,
    /// and `FILE:LINE`. What no file has given is not there.
    pub places: BTreeMap<String, String>,
    /// Where the rules come from.
    pub rules: RulesFrom,
    /// Nobody has given a URL, so that webhooks go to the terminal: worth a hint.
    pub urls_missing: bool,
}

/// Where the rules come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesFrom {
    /// Nobody gave any: every event has one.
    Default,
    /// The configuration file.
    File,
    /// The configuration of another broker.
    Broker {
        /// Whose.
        format: Format,
        /// The file; none: the environment alone.
        path: Option<PathBuf>,
    },
}

/// URLs may hold passwords, so only their number is shown.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self
            .config
            .get("rule")
            .and_then(Json::as_object)
            .map_or(0, |rules| rules.len());
        let urls = self.config.get("urls").and_then(Json::as_array).map_or(0, Vec::len);
        write!(
            f,
            "Webhook {{ rules: {rules} from {:?}, urls: {urls}, missing: {} }}",
            self.rules, self.urls_missing
        )
    }
}

impl Webhook {
    pub(super) fn read(mut at: Section<'_>, broker: Option<(Format, Option<PathBuf>)>) -> Webhook {
        // Both have been followed before; here they become known.
        at.path("config");
        at.choice(
            "config_format",
            None,
            &Format::ALL.map(|format| (format.name(), Some(format))),
        );
        let mut places = BTreeMap::new();
        let urls = at.list("urls", |text| url::check(text).map(str::to_owned));
        let bodies = bodies::Format::ALL.map(|format| (format.name(), Some(format)));
        let format = at.choice("format", None, &bodies);
        let urls_missing = urls.is_none();
        let urls = urls.map_or_else(|| vec![TERMINAL.to_owned()], |(_, urls)| urls);
        let (rule, from) = match at.table("rule") {
            Some((place, Given::Node(node))) => {
                locate(&mut places, "rule", &place, &node);
                let rule = rules(&mut at, &place, node, urls.is_empty());
                (
                    rule,
                    broker.map_or(RulesFrom::File, |(format, path)| RulesFrom::Broker { format, path }),
                )
            }
            _ => (every_event(format.unwrap_or_default()), RulesFrom::Default),
        };
        let mut config = Map::from_iter([("urls".to_owned(), json!(urls)), ("rule".to_owned(), rule)]);
        config.extend(format.map(|format| ("format".to_owned(), Json::from(format.name()))));
        config.extend(shared(&mut at, &mut places));
        let config = Json::Object(config);
        Webhook {
            config,
            places,
            rules: from,
            urls_missing,
        }
    }
}

/// What else holds for all rules; the module checks it.
fn shared(at: &mut Section<'_>, places: &mut BTreeMap<String, String>) -> Map<String, Json> {
    let mut shared = Map::new();
    let given = at.is_given("as_documented");
    let as_documented = at.boolean("as_documented", false);
    if given {
        shared.insert("as_documented".to_owned(), as_documented.into());
    }
    for key in ["payload_encoding", "method", "body", "cloudevents_mode"] {
        if let Some((place, text)) = at.text_at(key, |text| Ok(text.to_owned())) {
            if let Source::File { path, line: Some(line) } = &place.source {
                places.insert(key.to_owned(), format!("{}:{line}", path.display()));
            }
            shared.insert(key.to_owned(), Json::from(text));
        }
    }
    for key in ["headers", "cloudevents_extensions"] {
        if let Some((place, Given::Node(node))) = at.table(key) {
            locate(places, key, &place, &node);
            let table = to_json(at, &place, node);
            shared.insert(key.to_owned(), table);
        }
    }
    shared
}

/// Notes where a key stands and all that is below it.
fn locate(places: &mut BTreeMap<String, String>, key: &str, place: &Place, node: &Node) {
    fn below(places: &mut BTreeMap<String, String>, key: String, path: &Path, node: &Node) {
        match &node.value {
            Value::Table(entries) => entries
                .iter()
                .for_each(|(name, node)| below(places, format!("{key}.{name}"), path, node)),
            Value::List(entries) => entries
                .iter()
                .enumerate()
                .for_each(|(index, node)| below(places, format!("{key}.{index}"), path, node)),
            _ => {}
        }
        places.insert(key, format!("{}:{}", path.display(), node.line));
    }
    if let Source::File { path, .. } = &place.source {
        below(places, key.to_owned(), path, node);
    }
}

/// A rule for each event that the broker tells, under its own name and for all topics.
fn every_event(format: bodies::Format) -> Json {
    let rule = |name: &str| match format {
        bodies::Format::Rmqtt => json!([{"action": name}]),
        _ => json!([{}]),
    };
    let keys = format.usual_keys().map(bodies::RuleKey::name);
    Json::Object(keys.map(|name| (name.to_owned(), rule(name))).collect())
}

/// Rules as JSON, their URLs checked and without blanks around them.
fn rules(at: &mut Section<'_>, place: &Place, mut node: Node, urls_needed: bool) -> Json {
    if let Value::Table(events) = &mut node.value {
        for (event, rules) in events.iter_mut() {
            let Value::List(rules) = &mut rules.value else { continue };
            for (index, rule) in rules.iter_mut().enumerate() {
                let place = place.inside(&format!(".{event}[{index}]"), rule.line);
                let Value::Table(rule) = &mut rule.value else { continue };
                let urls = match rule.get_mut("urls") {
                    Some(Node {
                        value: Value::List(urls),
                        ..
                    }) => check_urls(at, &place, urls),
                    Some(_) => continue,
                    None => 0,
                };
                if urls == 0 && urls_needed {
                    at.warning(place.problem("has no URL and there is none for all rules: it does nothing"));
                }
            }
        }
    }
    to_json(at, place, node)
}

fn to_json(at: &mut Section<'_>, place: &Place, node: Node) -> Json {
    node.to_json().unwrap_or_else(|(line, kind)| {
        at.problem(
            place
                .inside("", line)
                .problem(format!("holds {kind}, which has no meaning here")),
        );
        Json::Null
    })
}

fn check_urls(at: &mut Section<'_>, place: &Place, urls: &mut [Node]) -> usize {
    for (index, node) in urls.iter_mut().enumerate() {
        if let Value::Text(text) = &mut node.value {
            match url::check(text) {
                Ok(url) => *text = url.to_owned(),
                Err(error) => at.problem(place.inside(&format!(".urls[{index}]"), node.line).problem(error)),
            }
        }
    }
    urls.len()
}
