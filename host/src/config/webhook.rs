//! `[webhook]`: the configuration of the default module, as canonical rules.
//!
//! What the rules mean is the module's business, and it reports their mistakes with their keys. Here they become JSON,
//! and destinations are checked, because the host sends to them.

use std::fmt;
use std::path::PathBuf;

use hookhost_webhook as bodies;
use serde_json::{Map, Value as Json, json};

use hookhost_import::{EVENTS, Format};
use hookhost_settings::Places;
use hookhost_settings::document::{Node, Value};
use hookhost_settings::reader::{Given, Place, Section};
use hookhost_settings::url;

/// Where webhooks go when nobody says where.
const TERMINAL: &str = "stdout:";

/// The configuration of the default module.
#[derive(Clone, PartialEq)]
pub struct Webhook {
    /// Canonical rules: `{"urls": […], "rule": {"<event>": [{"action": …, "topics": […], "urls": […]}]}, "format": …}`
    /// and what else holds for all of them.
    /// URLs are checked; the rest is for the module to check.
    pub config: Json,
    /// Where each key of [`config`](Webhook::config) was given, for its mistakes.
    pub places: Places,
    /// Where the rules come from.
    pub rules: RulesFrom,
    /// There are rules for which nobody has given a URL, so that their webhooks go to the terminal: worth a hint.
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

/// Settings for all rules that are texts; what they may be is for the module to say.
const TEXTS: [&str; 4] = ["payload_encoding", "method", "body", "cloudevents_mode"];

/// Those that are tables.
const TABLES: [&str; 2] = ["headers", "cloudevents_extensions"];

impl Webhook {
    /// Reads the section. What is wrong is reported and handed on as it stands, so that the module, asked for its own
    /// mistakes, finds nothing missing that is there.
    pub(super) fn read(mut at: Section<'_>, broker: Option<(Format, Option<PathBuf>)>) -> Webhook {
        // Both have been followed before; here they become known.
        at.path("config");
        at.choice(
            "config_format",
            None,
            &Format::ALL.map(|format| (format.name(), Some(format))),
        );
        let mut places = Places::default();
        let keys = ["urls", "rule", "format", "as_documented"];
        for key in keys.into_iter().chain(TEXTS).chain(TABLES) {
            if let Some((place, given)) = at.given(key) {
                places.note(key, &place, &given);
            }
        }
        at.list("urls", |text| url::check(text).map(drop));
        let urls = at.given("urls").map(|(_, given)| urls(&given));
        let bodies = bodies::Format::ALL.map(|format| (format.name(), Some(format)));
        let format = at.choice("format", None, &bodies);
        let none_given = urls.is_none();
        let urls = urls.unwrap_or_else(|| json!([TERMINAL]));
        let is_empty = urls.as_array().is_some_and(Vec::is_empty);
        let (rule, from) = match at.table("rule") {
            Some((place, Given::Node(node))) => (
                rules(&mut at, &place, node, is_empty),
                broker.map_or(RulesFrom::File, |(format, path)| RulesFrom::Broker { format, path }),
            ),
            _ => (every_event(format.unwrap_or_default()), RulesFrom::Default),
        };
        let urls_missing = none_given && needs_urls(&rule);
        let mut config = Map::from_iter([("urls".to_owned(), urls), ("rule".to_owned(), rule)]);
        let name = at.given("format").map(|(_, given)| match format {
            Some(format) => Json::from(format.name()),
            None => as_it_stands(&given),
        });
        config.extend(name.map(|name| ("format".to_owned(), name)));
        config.extend(shared(&mut at));
        Webhook {
            config: Json::Object(config),
            places,
            rules: from,
            urls_missing,
        }
    }
}

/// Whether any rule has no URLs of its own.
fn needs_urls(rules: &Json) -> bool {
    let lists = rules.as_object().into_iter().flat_map(Map::values);
    let mut rules = lists.filter_map(Json::as_array).flatten();
    rules.any(|rule| {
        let own = rule.get("urls").and_then(Json::as_array);
        own.is_none_or(Vec::is_empty)
    })
}

/// What else holds for all rules; the module checks it.
fn shared(at: &mut Section<'_>) -> Map<String, Json> {
    let mut shared = Map::new();
    let given = at.is_given("as_documented");
    // If that is wrong: with the documented bodies rules may lack more, and no mistake is told that is none.
    let as_documented = at.boolean("as_documented", true);
    if given {
        shared.insert("as_documented".to_owned(), as_documented.into());
    }
    for key in TEXTS {
        at.text(key, (), |_| Ok(()));
        if let Some((_, given)) = at.given(key) {
            shared.insert(key.to_owned(), as_it_stands(&given));
        }
    }
    for key in TABLES {
        if let Some((place, Given::Node(node))) = at.table(key) {
            let table = to_json(at, &place, node);
            shared.insert(key.to_owned(), table);
        }
    }
    shared
}

/// A value that has been checked, or whose mistakes have been told.
fn as_it_stands(given: &Given) -> Json {
    match given {
        Given::Text(text) => json!(text),
        Given::Texts(texts) => json!(texts),
        Given::Node(node) => node.to_json().unwrap_or_default(),
    }
}

/// URLs without blanks around them.
fn urls(given: &Given) -> Json {
    let mut urls = match given {
        Given::Text(text) => json!(text.split_whitespace().collect::<Vec<_>>()),
        other => as_it_stands(other),
    };
    for url in urls.as_array_mut().into_iter().flatten() {
        if let Json::String(text) = url {
            *text = text.trim().to_owned();
        }
    }
    urls
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

/// A value as JSON; what JSON does not have is a mistake where it stands.
fn to_json(at: &mut Section<'_>, place: &Place, node: Node) -> Json {
    match node.value {
        Value::Table(entries) => {
            let entries = entries.into_iter().map(|(name, node)| {
                let place = place.inside(&format!(".{name}"), node.line);
                (name, to_json(at, &place, node))
            });
            Json::Object(entries.collect())
        }
        Value::List(entries) => {
            let entries = entries.into_iter().enumerate();
            let entries = entries.map(|(index, node)| {
                let place = place.inside(&format!("[{index}]"), node.line);
                to_json(at, &place, node)
            });
            Json::Array(entries.collect())
        }
        _ => node.to_json().unwrap_or_else(|(_, kind)| {
            at.problem(place.problem(format!("is {kind}, which has no meaning here")));
            Json::Null
        }),
    }
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
