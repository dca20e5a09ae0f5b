//! One named webhook: its settings, its rules and its destination.

use std::fmt;

use hookhost_delivery::Destination;
use hookhost_guest::Host;
use hookhost_settings::{JsonDates, Place, Places, Problem, Report, Setting};
use hookhost_webhook::{RuleKey, Rules};
use serde_json::{Map, Value as Json, json};

use super::SECTION;

/// A named webhook.
#[derive(Clone, PartialEq)]
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
    pub(in super::super) rules: Vec<(RuleKey, Json)>,
    /// The private destination; `None` if the URL is not `http:` or `https:`.
    pub(in super::super) destination: Option<Destination>,
}

/// Without settings and rules, which contain secrets.
impl fmt::Debug for NamedWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("NamedWebhook");
        shown.field("name", &self.name).field("is_enabled", &self.is_enabled);
        shown.field("place", &self.place).finish_non_exhaustive()
    }
}

/// A webhook that several hosts share, and that this host cannot use.
#[derive(Clone, PartialEq)]
pub struct LeftOutWebhook {
    /// The name.
    pub name: String,
    /// The settings as given. They may contain secrets.
    pub settings: Setting,
    /// The mistakes.
    pub problems: Vec<Problem>,
}

/// Without settings, which may contain secrets.
impl fmt::Debug for LeftOutWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("LeftOutWebhook");
        shown.field("name", &self.name).finish_non_exhaustive()
    }
}

/// The rules and the destination of one webhook.
#[derive(Clone, PartialEq)]
pub struct WebhookAlone {
    /// The configuration of the built-in module with nothing but these rules.
    pub rules: Json,
    /// The private destination, if it has one.
    pub destination: Option<Destination>,
}

/// Without rules, which contain secrets.
impl fmt::Debug for WebhookAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("WebhookAlone");
        shown.field("destination", &self.destination).finish_non_exhaustive()
    }
}

impl LeftOutWebhook {
    /// The settings as JSON. They may contain secrets.
    pub fn json(&self) -> Json {
        self.settings.to_json(&Report::default(), JsonDates::Text)
    }
}

impl NamedWebhook {
    /// The settings as JSON. They contain secrets.
    pub fn json(&self) -> Json {
        self.settings.to_json(&Report::default(), JsonDates::Text)
    }

    /// The place of each setting, by the key of the webhook: `webhooks.NAME.topics.0`.
    pub(in super::super) fn add_places(&self, places: &mut Places) {
        places.add(&self.key(), &self.settings);
    }

    /// The key of the whole webhook.
    pub(in super::super) fn key(&self) -> String {
        format!("{SECTION}.{}", self.name)
    }

    /// The configuration of the built-in module with nothing but the rules of this webhook.
    pub(super) fn alone(&self) -> Json {
        let mut rules = Map::new();
        for (key, rule) in &self.rules {
            rules.insert(key.name().to_owned(), json!([rule]));
        }
        json!({ "rule": rules })
    }

    /// The errors that the built-in module finds in the rules.
    pub(super) fn rule_problems(&self) -> Vec<Problem> {
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
