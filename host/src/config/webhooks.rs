//! `[webhooks.NAME]`: named webhooks, in the configuration file and in `webhooks.toml` of the data folder.
//!
//! ```toml
//! [webhooks.alarms]
//! url = "https://example.com/alarms"
//! events = ["message_publish"]
//! topics = ["alarms/#"]
//! bearer = "…"
//! ```
//!
//! A webhook becomes what the rest of the configuration consists of: one rule for each of its events, with the settings of
//! `[webhook.rule]`, and a destination, with the settings of `[destinations]`. The destination is private: only the rules of
//! the webhook use it, so no other request gets its credentials. The webhook takes nothing from `[webhook]`.
//!
//! Pure, except for the files of secrets that it names.

use std::collections::BTreeSet;

use hookhost_delivery::{Destination, Terms};
use hookhost_guest::Host;
use hookhost_settings::{JsonDates, Place, Places, Problem, Report, Section, Setting, Table, Value, suggestion, url};
use hookhost_webhook::{Format, RuleKey, Rules};
use serde_json::{Map, Value as Json, json};

use super::destinations::{self, Sources};
use super::webhook::check_rule_values;

/// The section of named webhooks.
pub const SECTION: &str = "webhooks";
/// Limit of the characters of a name.
const MAX_NAME_CHARS: usize = 64;
/// The settings of a rule that a webhook may have, except for its events, URL and format.
const RULE_KEYS: [&str; 15] = [
    "topics",
    "where",
    "select",
    "action",
    "body",
    "method",
    "headers",
    "payload_encoding",
    "emqx_version",
    "as_documented",
    "cloudevents_mode",
    "cloudevents_extensions",
    "order",
    "max_age",
    "batch",
];
/// The setting of rules about published messages.
const ACKNOWLEDGE: &str = "acknowledge";

/// A named webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedWebhook {
    /// The name: 1 to 64 letters, digits, `_` and `-`.
    pub name: String,
    /// Whether events cause requests.
    pub is_enabled: bool,
    /// Whether it is in `webhooks.toml`, so that the admin API may change it.
    pub is_kept: bool,
    /// Where it is defined.
    pub place: Place,
    /// The settings as given. They contain secrets.
    pub settings: Setting,
    /// A rule for each event; without `urls`, `format` and the other settings if they are invalid.
    pub(super) rules: Vec<(RuleKey, Json)>,
    /// The private destination; `None` if the URL is not `http:` or `https:`.
    pub(super) destination: Option<Destination>,
}

/// The name of the private destination of a webhook. No destination of a configuration file can have it.
pub fn destination_name(webhook: &str) -> String {
    format!("{SECTION}/{webhook}")
}

/// Reads all webhooks: those of the configuration file, and those that are kept in the data folder.
pub(super) fn read(
    given: Table,
    kept: Table,
    defaults: &Terms,
    sources: Sources<'_>,
    report: &Report,
) -> Vec<NamedWebhook> {
    let mut all = Vec::new();
    for (name, setting) in &kept {
        if given.contains_key(name) {
            let text = "is defined in the configuration file too: give one of them another name";
            report.problem(&setting.place, text);
        }
    }
    for (table, is_kept) in [(given, false), (kept, true)] {
        for (name, setting) in table {
            // Each has a report of its own, because a report remembers every key that is read.
            let own = report.item();
            all.extend(webhook(&name, setting, is_kept, defaults, sources, &own));
            report.add(own.finish());
        }
    }
    all
}

/// The rules and the destination of one webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookAlone {
    /// The configuration of the built-in module with nothing but these rules.
    pub rules: Json,
    /// The private destination, if it has one.
    pub destination: Option<Destination>,
}

/// Reads one webhook.
///
/// # Errors
///
/// Everything that is wrong with it, also what the built-in module would find.
pub(super) fn alone(
    name: &str,
    setting: Setting,
    defaults: &Terms,
    sources: Sources<'_>,
) -> Result<WebhookAlone, Vec<Problem>> {
    let report = Report::default();
    let webhook = webhook(name, setting, true, defaults, sources, &report);
    let mut problems = report.finish().problems;
    if let Some(webhook) = webhook {
        let is_new = |problem: &Problem| !problems.iter().any(|known| known.place == problem.place);
        let more: Vec<Problem> = webhook.rule_problems().into_iter().filter(is_new).collect();
        problems.extend(more);
        if problems.is_empty() {
            return Ok(WebhookAlone {
                rules: webhook.alone(),
                destination: webhook.destination,
            });
        }
    }
    problems.sort();
    problems.dedup();
    Err(problems)
}

fn webhook(
    name: &str,
    setting: Setting,
    is_kept: bool,
    defaults: &Terms,
    sources: Sources<'_>,
    report: &Report,
) -> Option<NamedWebhook> {
    let (place, settings) = (setting.place.clone(), setting.clone());
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.chars().all(fits) {
        let text = format!("is not a valid name: use 1 to {MAX_NAME_CHARS} letters, digits, '_' and '-'");
        report.problem(&place, text);
    }
    let mut at = Section::of(report, setting)?;
    let is_enabled = at.boolean("enabled", true);
    let formats = Format::ALL.map(|format| (format.name(), format));
    let format = at.choice("format", Format::Emqx5, &formats);
    let keys = events(&mut at, format);
    let url = at.optional("url", |setting| setting.parse(|text| checked(text).map(str::to_owned)));
    if !at.is_given("url") {
        report.problem(
            &place.below("url"),
            "is missing: where the requests go, such as \"https://example.com/hook\"",
        );
    }
    if let Some(setting) = at.take("urls") {
        report.problem(&setting.place, "should be `url`: a webhook has one URL");
    }
    let mut rule = Map::from_iter([("format".to_owned(), json!(format.name()))]);
    let mut given = Table::new();
    for key in RULE_KEYS {
        if let Some(setting) = at.take(key) {
            rule.insert(key.to_owned(), setting.to_json(report, JsonDates::Invalid));
            given.insert(key.to_owned(), setting);
        }
    }
    check_rule_values(report, &given);
    let acknowledge = at.take(ACKNOWLEDGE);
    if let Some(setting) = &acknowledge
        && !keys.contains(&RuleKey::MessagePublish)
    {
        let text = "needs the event message_publish: only publishes are acknowledged";
        report.problem(&setting.place, text);
    }
    let mut rest = at.rest();
    let destination = match &url {
        Some((_, url)) if prefix(url).is_none() => {
            for setting in rest.values() {
                let text = "is unknown, or only for URLs that begin with http:// or https://";
                report.problem(&setting.place, text);
            }
            None
        }
        url => {
            // Without a valid URL, the settings are checked with another one.
            let prefix = url.as_ref().and_then(|(_, url)| prefix(url));
            let prefix = prefix.unwrap_or_else(|| "https://localhost/".to_owned());
            let url_place = url.as_ref().map_or(&place, |(place, _)| place);
            let urls = Value::texts(url_place, [prefix]);
            rest.insert("urls".to_owned(), Setting::new(url_place.clone(), urls));
            let section = Section::of(report, Setting::new(place.clone(), Value::Table(rest)))?;
            destinations::private(section, &destination_name(name), defaults, sources)
        }
    };
    if let Some((_, url)) = url {
        rule.insert("urls".to_owned(), json!([url]));
    }
    if let Some(destination) = &destination {
        rule.insert("destination".to_owned(), json!(*destination.name));
    }
    let has_own_action = rule.contains_key("action");
    let rule_of = |key: RuleKey| {
        let mut rule = rule.clone();
        let default = match format {
            // Bodies of these brokers contain the action, as the name of the event.
            Format::Rmqtt | Format::Emqx4 | Format::Nanomq => (format == Format::Rmqtt).then(|| key.name()),
            _ => Some(name),
        };
        if let Some(default) = default.filter(|_| !has_own_action) {
            rule.insert("action".to_owned(), json!(default));
        }
        if let Some(setting) = acknowledge.as_ref().filter(|_| key == RuleKey::MessagePublish) {
            rule.insert(ACKNOWLEDGE.to_owned(), setting.to_json(report, JsonDates::Invalid));
        }
        (key, Json::Object(rule))
    };
    let rules = keys.into_iter().map(rule_of).collect();
    Some(NamedWebhook {
        name: name.to_owned(),
        is_enabled,
        is_kept,
        place,
        settings,
        rules,
        destination,
    })
}

/// The events: those that are named, or all usual events of the format.
fn events(at: &mut Section<'_>, format: Format) -> Vec<RuleKey> {
    let names = RuleKey::ALL.map(RuleKey::name);
    let named = at.list("events", |name| {
        let key = RuleKey::from_name(name.trim());
        key.ok_or_else(|| {
            format!(
                "`{}` is not an event; {}",
                name.escape_debug(),
                suggestion(name, &names, str::to_owned)
            )
        })
    });
    let Some((place, named)) = named else {
        return format.usual_keys().collect();
    };
    if named.is_empty() && at.given("events").is_some_and(Setting::is_empty) {
        at.problem(place.problem("names no event: leave it out for all events"));
    }
    // In the order of the keys, each once.
    let named: BTreeSet<usize> = named.into_iter().map(|key| key as usize).collect();
    RuleKey::ALL
        .into_iter()
        .filter(|key| named.contains(&(*key as usize)))
        .collect()
}

/// Checks a URL, which may have placeholders but no credentials.
fn checked(text: &str) -> Result<&str, String> {
    let url = url::check(text)?;
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("should have no user and password: use `basic` or `bearer`".to_owned());
    }
    Ok(url)
}

/// The constant beginning of an `http:` or `https:` URL, without its query.
fn prefix(url: &str) -> Option<String> {
    let is_http = url.starts_with("http://") || url.starts_with("https://");
    if !is_http {
        return None;
    }
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let path = url.get(..end)?;
    let fixed = match path.split_once("${") {
        Some((before, _)) => before.get(..=before.rfind('/')?)?,
        None => path,
    };
    Some(fixed.to_owned())
}

impl NamedWebhook {
    /// The settings as JSON. They contain secrets.
    pub fn json(&self) -> Json {
        self.settings.to_json(&Report::default(), JsonDates::Text)
    }

    /// The place of each setting, by the key of the webhook: `webhooks.NAME.topics.0`.
    pub(super) fn add_places(&self, places: &mut Places) {
        places.add(&self.key(), &self.settings);
    }

    /// The key of the whole webhook.
    pub(super) fn key(&self) -> String {
        format!("{SECTION}.{}", self.name)
    }

    /// The configuration of the built-in module with nothing but the rules of this webhook.
    fn alone(&self) -> Json {
        let mut rules = Map::new();
        for (key, rule) in &self.rules {
            rules.insert(key.name().to_owned(), json!([rule]));
        }
        json!({ "rule": rules })
    }

    /// The errors that the built-in module finds in the rules.
    fn rule_problems(&self) -> Vec<Problem> {
        let host = Host {
            node: hookhost_guest::event::Node {
                id: 1,
                name: String::new(),
            },
            version: String::new(),
            module: "webhook".to_owned(),
            generation: 1,
        };
        let Err(problems) = Rules::parse(&self.alone(), &host) else {
            return Vec::new();
        };
        let mut places = Places::default();
        self.add_places(&mut places);
        for (key, _) in &self.rules {
            places.add_alias(&format!("rule.{}.0", key.name()), &self.key());
        }
        let located = problems
            .iter()
            .filter_map(|problem| places.problem(&problem.key, &problem.text));
        located.collect()
    }
}

#[cfg(test)]
#[path = "webhooks_tests.rs"]
mod tests;
