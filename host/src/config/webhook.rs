//! `[webhook]`: the configuration of the built-in module, as canonical rules.
//!
//! The module checks the rules and reports problems with their keys. Here the rules become JSON, and URLs are checked,
//! because the host sends to them.

mod named;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use ::url::Url;
use hookhost_delivery::{Batching, BatchingError, Destinations};
use hookhost_import::Broker;
use hookhost_settings::{JsonDates, Places, Report, Section, Setting, Table, Value, parse_duration, suggestion, url};
use hookhost_webhook::{Format, RuleKey};
use serde_json::{Map, Value as Json, json};

/// The URL of webhooks if none is given.
const TERMINAL: &str = "stdout:";

/// The configuration of the built-in module.
#[derive(Clone, PartialEq)]
pub struct Webhook {
    /// Canonical rules: `{"urls": […], "rule": {"<event>": [{"action": …, "topics": […], "urls": […]}]}, "format": …}`
    /// and the settings for all of them. URLs are checked; the module checks the rest.
    pub config: Json,
    /// The place of each key of [`config`](Webhook::config), for the module's problems.
    pub places: Places,
    /// The source of the rules.
    pub rules: RulesFrom,
    /// Whether rules have no URL, so that their webhooks go to the terminal. The host then logs a hint.
    pub urls_missing: bool,
}

/// The source of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RulesFrom {
    /// No rules are given: every event has a rule.
    Default,
    /// The configuration file.
    File,
    /// The configuration of another broker.
    Broker {
        /// The broker.
        broker: Broker,
        /// Its file; `None` for the environment alone.
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

/// Strings among the settings for all rules; the module checks them.
const TEXTS: [&str; 8] = [
    "emqx_version",
    "payload_encoding",
    "method",
    "body",
    "cloudevents_mode",
    "order",
    "max_age",
    "acknowledge",
];

/// Tables among the settings for all rules.
const TABLES: [&str; 4] = ["headers", "cloudevents_extensions", "variables", "batch"];

/// Tables of the configuration that are not settings of a rule.
const OWN_TABLES: [&str; 2] = ["rule", "variables"];

impl Webhook {
    /// Reads the section. Invalid values are reported and still passed to the module, so that it does not report them
    /// as missing.
    pub(super) fn read(mut at: Section<'_>, broker: Option<(Broker, Option<PathBuf>)>) -> Webhook {
        // They are evaluated earlier. Reading them here marks them as known.
        at.path("config");
        let brokers = Broker::ALL.map(|broker| (broker.name(), Some(broker)));
        at.choice("config_format", None, &brokers);
        at.boolean("strict", false);
        at.boolean("ignore_access_control", false);
        let mut places = Places::default();
        let keys = ["urls", "rule", "format", "as_documented"];
        for key in keys.into_iter().chain(TEXTS).chain(TABLES) {
            if let Some(setting) = at.given(key) {
                places.add(key, setting);
            }
        }
        at.list("urls", |text| url::check(text).map(drop));
        let urls = at.given("urls").map(urls);
        let formats = Format::ALL.map(|format| (format.name(), Some(format)));
        let format = at.choice("format", None, &formats);
        let none_given = urls.is_none();
        let urls = urls.unwrap_or_else(|| json!([TERMINAL]));
        let is_empty = urls.as_array().is_some_and(Vec::is_empty);
        let (rule, from) = match at.whole_table("rule").cloned() {
            Some(setting) => (
                rules(at.report(), setting, is_empty),
                broker.map_or(RulesFrom::File, |(broker, path)| RulesFrom::Broker { broker, path }),
            ),
            None => (every_event(format.unwrap_or_default()), RulesFrom::Default),
        };
        let urls_missing = none_given && needs_urls(&rule);
        let mut config = Map::from_iter([("urls".to_owned(), urls), ("rule".to_owned(), rule)]);
        let name = at.given("format").map(|setting| match format {
            Some(format) => Json::from(format.name()),
            None => unchecked(setting),
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

impl Webhook {
    /// Checks that the destinations that rules name exist, and that other rules leave no choice between two destinations.
    pub(super) fn check_destinations(&self, destinations: &Destinations, report: &Report) {
        let shared = self.config.get("urls");
        let known: BTreeSet<&str> = destinations.iter().map(|destination| &*destination.name).collect();
        let events = self.config.get("rule").and_then(Json::as_object);
        for (event, rules) in events.into_iter().flatten() {
            for (index, rule) in rules.as_array().into_iter().flatten().enumerate() {
                let at = format!("rule.{event}.{index}");
                let problem = match rule.get("destination").and_then(Json::as_str) {
                    Some(name) if known.contains(name) => None,
                    Some(name) => {
                        let text = unknown_destination(name, &known);
                        self.places.problem(&format!("{at}.destination"), &text)
                    }
                    None => {
                        let own = rule
                            .get("urls")
                            .filter(|urls| urls.as_array().is_some_and(|urls| !urls.is_empty()));
                        let urls = own.or(shared).and_then(Json::as_array).into_iter().flatten();
                        let mut ambiguous = urls.filter_map(|url| ambiguous(url.as_str()?, destinations));
                        ambiguous.next().and_then(|text| {
                            let at_rule = self.places.problem(&at, &text);
                            at_rule.or_else(|| self.places.problem("urls", &text))
                        })
                    }
                };
                problem.into_iter().for_each(|problem| report.add_problem(problem));
            }
        }
    }
}

fn unknown_destination(name: &str, known: &BTreeSet<&str>) -> String {
    let known: Vec<&str> = known.iter().copied().collect();
    let suggestion = match known.as_slice() {
        [] => "none is configured".to_owned(),
        known => suggestion(name, known, str::to_owned),
    };
    format!("there is no destination `{name}`; {suggestion}")
}

fn ambiguous(url: &str, destinations: &Destinations) -> Option<String> {
    let matching = destinations.matching(&Url::parse(url).ok()?);
    let names: Vec<String> = matching
        .iter()
        .map(|destination| format!("`{}`", destination.name))
        .collect();
    (names.len() > 1).then(|| {
        let names = names.join(" and ");
        format!("needs a `destination`: its URL is one of {names}")
    })
}

/// Whether any rule has no URLs.
fn needs_urls(rules: &Json) -> bool {
    let lists = rules.as_object().into_iter().flat_map(Map::values);
    let mut rules = lists.filter_map(Json::as_array).flatten();
    rules.any(|rule| {
        let own = rule.get("urls").and_then(Json::as_array);
        own.is_none_or(Vec::is_empty)
    })
}

/// The other settings for all rules; the module checks them.
fn shared(at: &mut Section<'_>) -> Map<String, Json> {
    let mut shared = Map::new();
    let given = at.is_given("as_documented");
    // An invalid value becomes true: with the documented bodies fewer keys are required, so the module reports no false
    // problem.
    let as_documented = at.boolean("as_documented", true);
    if given {
        shared.insert("as_documented".to_owned(), as_documented.into());
    }
    for key in TEXTS {
        at.text(key, (), |text| match key {
            "max_age" => max_age(text),
            _ => Ok(()),
        });
        if let Some(setting) = at.given(key) {
            shared.insert(key.to_owned(), unchecked(setting));
        }
    }
    let report = at.report();
    for key in TABLES {
        if let Some(setting) = at.whole_table(key) {
            if key == "batch" {
                check_batch(report, setting);
            }
            shared.insert(key.to_owned(), setting.to_json(report, JsonDates::Invalid));
        }
    }
    shared
}

/// A value that is already checked, or whose problems are already reported.
fn unchecked(setting: &Setting) -> Json {
    setting.to_json(&Report::default(), JsonDates::Invalid)
}

/// URLs without blanks around them.
fn urls(setting: &Setting) -> Json {
    if let Value::Untyped(text) = &setting.value {
        return json!(text.split_whitespace().collect::<Vec<_>>());
    }
    let mut urls = unchecked(setting);
    for url in urls.as_array_mut().into_iter().flatten() {
        if let Json::String(text) = url {
            *text = text.trim().to_owned();
        }
    }
    urls
}

/// A rule for each event of the broker, with the event's name as its action and for all topics.
fn every_event(format: Format) -> Json {
    let rule = |name: &str| match format {
        Format::Rmqtt => json!([{"action": name}]),
        _ => json!([{}]),
    };
    let keys = format.usual_keys().map(RuleKey::name);
    Json::Object(keys.map(|name| (name.to_owned(), rule(name))).collect())
}

/// Rules as JSON, their URLs checked and without blanks around them.
fn rules(report: &Report, mut rules: Setting, urls_needed: bool) -> Json {
    let Value::Table(events) = &mut rules.value else {
        return rules.to_json(report, JsonDates::Invalid);
    };
    for rule in events.values_mut().flat_map(rules_of_event) {
        let Value::Table(fields) = &mut rule.value else {
            continue;
        };
        check_rule_values(report, fields);
        let has_urls = match fields.get_mut("urls").map(|urls| &mut urls.value) {
            Some(Value::List(urls)) => {
                urls.iter_mut().for_each(|url| check_url(report, url));
                !urls.is_empty()
            }
            Some(_) => continue,
            None => false,
        };
        if !has_urls && urls_needed {
            let text = "has no URL, and [webhook] has no URL either: the rule does nothing";
            report.warning(&rule.place, text);
        }
    }
    rules.to_json(report, JsonDates::Invalid)
}

/// Checks the values in a rule that the host applies.
pub(super) fn check_rule_values(report: &Report, fields: &Table) {
    if let Some(setting) = fields.get("max_age")
        && let Some(text) = setting.as_text()
        && let Err(error) = max_age(text)
    {
        report.problem(&setting.place, error);
    }
    if let Some(setting) = fields.get("batch") {
        check_batch(report, setting);
    }
}

/// Checks the age at which requests are given up. The host applies it, because modules have no clock.
fn max_age(text: &str) -> Result<(), String> {
    match parse_duration(text) {
        Ok(age) if age.is_zero() => Err("should be longer than 0s".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Checks the values of `batch`. The host applies them, and the module checks the keys.
fn check_batch(report: &Report, setting: &Setting) {
    let Value::Table(table) = &setting.value else { return };
    for (key, setting) in table {
        let value = setting.value.written().unwrap_or_default();
        match format!("{key}={value}").parse::<Batching>() {
            Ok(_) | Err(BatchingError::Key) => {}
            Err(error) => report.problem(&setting.place, error.to_string()),
        }
    }
}

fn rules_of_event(event: &mut Setting) -> &mut [Setting] {
    match &mut event.value {
        Value::List(rules) => rules,
        _ => &mut [],
    }
}

fn check_url(report: &Report, setting: &mut Setting) {
    if let Value::Text(text) = &mut setting.value {
        match url::check(text) {
            Ok(url) => *text = url.to_owned(),
            Err(error) => report.problem(&setting.place, error),
        }
    }
}
