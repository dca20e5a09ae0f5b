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

mod named;

use std::collections::BTreeSet;

use hookhost_delivery::Terms;
use hookhost_settings::{JsonDates, Problem, Report, Section, Setting, Table, Value, suggestion, url};
use hookhost_webhook::{Format, RuleKey, Rules};
use serde_json::{Map, Value as Json, json};

pub use named::{LeftOutWebhook, NamedWebhook, WebhookAlone};

use super::destinations::{self, Sources};
use super::name;
use super::webhook::check_rule_values;

/// The section of named webhooks.
pub const SECTION: &str = "webhooks";
/// The settings of a rule that a webhook has in another form, or that hookhost sets.
const OTHER_RULE_SETTINGS: [&str; 4] = ["urls", "format", "destination", ACKNOWLEDGE];
/// The mistake of a kept webhook whose name the configuration file has.
const DEFINED_TWICE: &str = "is defined in the configuration file too: give one of them another name";
/// The setting of rules about published messages.
const ACKNOWLEDGE: &str = "acknowledge";

/// The name of the private destination of a webhook. No destination of a configuration file can have it.
pub fn destination_name(webhook: &str) -> String {
    format!("{SECTION}/{webhook}")
}

/// Reads the webhooks of a configuration.
pub(super) struct WebhookReader<'a> {
    /// The settings of `[delivery]`.
    pub(super) defaults: &'a Terms,
    pub(super) sources: Sources<'a>,
    pub(super) report: &'a Report,
}

impl WebhookReader<'_> {
    /// Reads all webhooks: those of the configuration file, and those that are kept in the data folder.
    pub(super) fn read(&self, given: Table, kept: Table) -> Vec<NamedWebhook> {
        for (_, setting) in kept.iter().filter(|(name, _)| given.contains_key(*name)) {
            self.report.problem(&setting.place, DEFINED_TWICE);
        }
        let mut all = self.read_table(given, false);
        all.extend(self.read_table(kept, true));
        all
    }

    /// Reads all webhooks: those of the configuration file, and those that several hosts share. A shared webhook with mistakes
    /// is left out.
    pub(super) fn read_shared(&self, given: Table, shared: Table) -> (Vec<NamedWebhook>, Vec<LeftOutWebhook>) {
        let names: BTreeSet<String> = given.keys().cloned().collect();
        let (mut all, mut left_out) = (self.read_table(given, false), Vec::new());
        for (name, setting) in shared {
            let read = match names.contains(&name) {
                true => Err(vec![setting.place.problem(DEFINED_TWICE)]),
                false => checked_webhook(&name, setting.clone(), self.defaults, self.sources),
            };
            match read {
                Ok(webhook) => all.push(webhook),
                Err(problems) => {
                    problems
                        .iter()
                        .cloned()
                        .for_each(|problem| self.report.left_out(problem));
                    left_out.push(LeftOutWebhook {
                        name,
                        settings: setting,
                        problems,
                    });
                }
            }
        }
        (all, left_out)
    }

    fn read_table(&self, table: Table, is_kept: bool) -> Vec<NamedWebhook> {
        let mut all = Vec::new();
        for (name, setting) in table {
            // Each has a report of its own, because a report remembers every key that is read.
            let own = self.report.item();
            all.extend(webhook(&name, setting, is_kept, self.defaults, self.sources, &own));
            self.report.add(own.finish());
        }
        all
    }
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
    let webhook = checked_webhook(name, setting, defaults, sources)?;
    Ok(WebhookAlone {
        rules: webhook.alone(),
        destination: webhook.destination,
    })
}

/// Reads one kept webhook.
///
/// # Errors
///
/// Those of [`alone`].
fn checked_webhook(
    name: &str,
    setting: Setting,
    defaults: &Terms,
    sources: Sources<'_>,
) -> Result<NamedWebhook, Vec<Problem>> {
    let report = Report::default();
    let webhook = webhook(name, setting, true, defaults, sources, &report);
    let mut problems = report.finish().problems;
    if let Some(webhook) = webhook {
        let is_new = |problem: &Problem| !problems.iter().any(|known| known.place == problem.place);
        let more: Vec<Problem> = webhook.rule_problems().into_iter().filter(is_new).collect();
        problems.extend(more);
        if problems.is_empty() {
            return Ok(webhook);
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
    if let Err(text) = name::check(name) {
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
    for key in Rules::settings_of_a_rule().filter(|key| !OTHER_RULE_SETTINGS.contains(key)) {
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

#[cfg(test)]
#[path = "webhooks_tests.rs"]
mod tests;
