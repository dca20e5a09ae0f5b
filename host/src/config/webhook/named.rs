//! The rules of named webhooks among the rules of the configuration.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::{OWN_TABLES, RulesFrom, Webhook};
use crate::config::webhooks::NamedWebhook;
use crate::webhooks::ListedWebhook;

impl Webhook {
    /// The rules other than those of named webhooks. The rules that print every event are left out.
    pub(crate) fn listed(&self) -> Vec<ListedWebhook> {
        let mut list = Vec::new();
        if self.rules == RulesFrom::Default && self.urls_missing {
            return list;
        }
        let shared = self.config.as_object().into_iter().flatten();
        let shared: Vec<_> = shared.filter(|(key, _)| !OWN_TABLES.contains(&key.as_str())).collect();
        for (event, rules) in self.config.get("rule").and_then(Json::as_object).into_iter().flatten() {
            for (index, rule) in rules.as_array().into_iter().flatten().enumerate() {
                let name = format!("rule.{event}.{index}");
                let Some(rule) = rule.as_object().filter(|_| !self.places.has_alias(&name)) else {
                    continue;
                };
                let mut settings = rule.clone();
                for (key, value) in &shared {
                    settings.entry(key.as_str()).or_insert_with(|| Json::clone(value));
                }
                settings.insert("events".to_owned(), json!([event]));
                list.push(ListedWebhook {
                    source: self
                        .places
                        .place(&name)
                        .map_or("webhook".to_owned(), ToString::to_string),
                    name,
                    is_enabled: true,
                    can_change: false,
                    settings: Arc::new(Json::Object(settings)),
                    revision: None,
                    problems: Vec::new(),
                });
            }
        }
        list
    }

    /// Adds the rules of named webhooks. Without other rules and URLs, they replace the rules that print every event.
    pub(in crate::config) fn add(&mut self, named: &[NamedWebhook]) {
        if named.is_empty() {
            return;
        }
        let is_printing = self.rules == RulesFrom::Default && self.urls_missing;
        let Some(config) = self.config.as_object_mut() else {
            return;
        };
        // Rules take nothing from the settings for all rules.
        let shared: Vec<String> = config
            .keys()
            .filter(|key| !OWN_TABLES.contains(&key.as_str()))
            .cloned()
            .collect();
        // Rules that are not a table are reported already.
        let Some(rules) = config.get_mut("rule").and_then(Json::as_object_mut) else {
            return;
        };
        if is_printing {
            rules.clear();
            (self.rules, self.urls_missing) = (RulesFrom::File, false);
        }
        for webhook in named.iter().filter(|webhook| webhook.is_enabled) {
            webhook.add_places(&mut self.places);
            for (key, rule) in &webhook.rules {
                let list = rules.entry(key.name()).or_insert_with(|| json!([]));
                let Some(list) = list.as_array_mut() else { continue };
                let at = format!("rule.{}.{}", key.name(), list.len());
                self.places.add_alias(&at, &webhook.key());
                let mut rule = rule.clone();
                if let Some(fields) = rule.as_object_mut() {
                    for key in &shared {
                        fields.entry(key).or_insert(Json::Null);
                    }
                }
                list.push(rule);
            }
        }
    }
}
