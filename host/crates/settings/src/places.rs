//! The places of the settings that a module checks, so that its problems are reported with file, line and key.
//!
//! A module gets JSON and names a setting by keys and indices joined by dots, such as `rule.message_publish.0.urls`.
//! The named setting may be missing or unknown; the problem then has the place of the nearest setting around it.

use std::collections::BTreeMap;

use super::place::join;
use super::{Place, Problem, Setting, Value};

/// The place of each given setting, by the name that the module uses.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Places {
    places: BTreeMap<String, Place>,
    /// Other names of settings: several rules may come from one table.
    aliases: BTreeMap<String, String>,
}

impl Places {
    /// Adds a setting and everything below it under a name; the empty name is the whole configuration.
    pub fn add(&mut self, name: &str, setting: &Setting) {
        match &setting.value {
            Value::Table(table) => {
                for (key, setting) in table {
                    self.add(&join(name, key), setting);
                }
            }
            Value::List(list) => {
                for (index, setting) in list.iter().enumerate() {
                    self.add(&join(name, &index.to_string()), setting);
                }
            }
            _ => {}
        }
        self.places.insert(name.to_owned(), setting.place.clone());
    }

    /// Adds another name of a setting and of everything below it.
    pub fn add_alias(&mut self, alias: &str, name: &str) {
        self.aliases.insert(alias.to_owned(), name.to_owned());
    }

    /// Whether a name is an alias.
    pub fn has_alias(&self, name: &str) -> bool {
        self.aliases.contains_key(name)
    }

    /// The place of a setting, or of the nearest one around it.
    pub fn place(&self, name: &str) -> Option<&Place> {
        nearest(name, |known| self.places.get(known))
    }

    /// A module's problem with a named setting, at the place of the setting. `None` if nothing was given that the problem
    /// could be about.
    pub fn problem(&self, name: &str, text: &str) -> Option<Problem> {
        let (known, place, alias_of) = nearest(name, |known| {
            let (place, alias_of) = (self.places.get(known), self.aliases.get(known));
            (place.is_some() || alias_of.is_some()).then_some((known, place, alias_of))
        })?;
        let rest = name.strip_prefix(known).unwrap_or_default();
        let Some(place) = place else {
            return self.problem(&format!("{}{rest}", alias_of?), text);
        };
        // A flag and a variable have no parts with names of their own.
        Some(match rest.trim_start_matches('.') {
            rest if place.is_file() && !rest.is_empty() => place.below(rest).problem(text),
            _ => place.problem(text),
        })
    }
}

/// Calls `find` with the name of a setting, then with the names of the settings around it, from the nearest one to the whole
/// configuration. Returns the first result.
fn nearest<'n, T>(name: &'n str, find: impl Fn(&'n str) -> Option<T>) -> Option<T> {
    let around = |name: &&'n str| match name.rsplit_once('.') {
        Some((above, _)) => Some(above),
        None => (!name.is_empty()).then_some(""),
    };
    std::iter::successors(Some(name), around).find_map(find)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::document;
    use super::*;

    #[test]
    fn an_alias_leads_to_the_setting_with_that_name() {
        let (mut table, _) = document::parse(Path::new("h.toml"), "[w]\ntopics = [\"a\"]\n");
        let mut places = Places::default();
        places.add("webhooks.w", &table.remove("w").unwrap());
        places.add_alias("rule.x.7", "webhooks.w");
        for (key, expected) in [
            ("rule.x.7", "h.toml:1: w: no"),
            ("rule.x.7.topics.0", "h.toml:2: w.topics[0]: no"),
            ("rule.x.7.urls", "h.toml:1: w.urls: no"),
        ] {
            assert_eq!(places.problem(key, "no").unwrap().to_string(), expected, "{key}");
        }
        assert_eq!(places.problem("rule.x.8", "no"), None);
    }

    #[test]
    fn problems_of_a_module_are_told_where_the_setting_is() {
        let text = "[rule]\nx = [\n  { action = 1, topics = [\"a\",\n  \"b\"] },\n]\n";
        let (mut table, errors) = document::parse(Path::new("h.toml"), text);
        assert_eq!(errors, []);
        let mut rule = table.remove("rule").unwrap();
        let mut places = Places::default();
        rule.set_key("webhook.rule".to_owned());
        places.add("rule", &rule);
        let variable = Place::variable("HOOKHOST_WEBHOOK__METHOD");
        places.add("method", &Setting::new(variable, Value::Untyped("x".to_owned())));
        let cases = [
            ("rule", "h.toml:1: webhook.rule: no"),
            ("rule.x.0.action", "h.toml:3: webhook.rule.x[0].action: no"),
            ("rule.x.0.topics.1", "h.toml:4: webhook.rule.x[0].topics[1]: no"),
            // A missing setting belongs into the one around it.
            ("rule.x.0.urls.2", "h.toml:3: webhook.rule.x[0].urls.2: no"),
            ("rule.y", "h.toml:1: webhook.rule.y: no"),
            ("method", "environment: HOOKHOST_WEBHOOK__METHOD: no"),
            ("method.0", "environment: HOOKHOST_WEBHOOK__METHOD: no"),
        ];
        for (key, expected) in cases {
            assert_eq!(places.problem(key, "no").unwrap().to_string(), expected, "{key}");
        }
        for key in ["", "rul", "rulex.0", "url.0"] {
            assert_eq!(places.problem(key, "no"), None, "{key}");
        }

        let mut whole = Places::default();
        rule.set_key("config".to_owned());
        whole.add("", &rule);
        assert_eq!(
            whole.problem("x.0.action", "no").unwrap().to_string(),
            "h.toml:3: config.x[0].action: no"
        );
    }
}
