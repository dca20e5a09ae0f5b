//! Where the settings stand that a module checks, so that what it finds wrong is told with file, line and key.
//!
//! A module is handed JSON and names a setting by keys and indices joined by dots, such as `rule.message_publish.0.urls`.
//! What it names may be missing, or be one that nobody expected: the place is then that of the nearest thing around it.

use std::collections::BTreeMap;

use super::document::{Node, Value};
use super::problem::{Problem, Source};
use super::reader::{Given, Place};

/// The place of each key that is given, under the name that a module has for it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Places(BTreeMap<String, Place>);

impl Places {
    /// Notes where a key stands and everything below it; the empty key is the whole.
    pub fn note(&mut self, key: &str, place: &Place, given: &Given) {
        match given {
            Given::Node(node) => self.below(key.to_owned(), place.inside("", node.line), node),
            Given::Text(_) | Given::Texts(_) => {
                self.0.insert(key.to_owned(), place.clone());
            }
        }
    }

    fn below(&mut self, key: String, place: Place, node: &Node) {
        let inside = |name: &str| match key.as_str() {
            "" => name.to_owned(),
            key => format!("{key}.{name}"),
        };
        match &node.value {
            Value::Table(entries) => {
                for (name, node) in entries {
                    let place = place.inside(&format!(".{name}"), node.line);
                    self.below(inside(name), place, node);
                }
            }
            Value::List(entries) => {
                for (index, node) in entries.iter().enumerate() {
                    let place = place.inside(&format!("[{index}]"), node.line);
                    self.below(inside(&index.to_string()), place, node);
                }
            }
            _ => {}
        }
        self.0.insert(key, place);
    }

    /// What a module says about a key, as a problem of the place where that stands; none if nobody has given anything
    /// that it could be about.
    pub fn problem(&self, key: &str, text: &str) -> Option<Problem> {
        let mut known = key;
        let place = loop {
            if let Some(place) = self.0.get(known) {
                break place;
            }
            if known.is_empty() {
                return None;
            }
            known = known.rsplit_once('.').map_or("", |(above, _)| above);
        };
        let mut problem = place.problem(text);
        let rest = key.strip_prefix(known).unwrap_or_default().trim_start_matches('.');
        // A flag and a variable have no parts with names of their own.
        if matches!(place.source, Source::File { .. }) && !rest.is_empty() {
            problem.key.push('.');
            problem.key.push_str(rest);
        }
        Some(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    #[test]
    fn what_a_module_says_is_told_where_it_stands() {
        let (mut table, errors) = document::parse("[rule]\nx = [\n  { action = 1, topics = [\"a\",\n  \"b\"] },\n]\n");
        assert_eq!(errors, []);
        let mut places = Places::default();
        let place = |source, key: &str| Place {
            source,
            key: key.to_owned(),
        };
        let file = Source::File {
            path: "h.toml".into(),
            line: Some(1),
        };
        let rule = Given::Node(table.remove("rule").unwrap());
        places.note("rule", &place(file, "webhook.rule"), &rule);
        let variable = place(Source::Environment, "HOOKHOST_WEBHOOK__METHOD");
        places.note("method", &variable, &Given::Text("x".to_owned()));
        let cases = [
            ("rule", "h.toml:1: webhook.rule: no"),
            ("rule.x.0.action", "h.toml:3: webhook.rule.x[0].action: no"),
            ("rule.x.0.topics.1", "h.toml:4: webhook.rule.x[0].topics[1]: no"),
            // What is missing belongs in what is there.
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
        whole.note("", &place(Source::Flag, "config"), &rule);
        assert_eq!(
            whole.problem("x.0.action", "no").unwrap().to_string(),
            "config.x[0].action: no"
        );
    }
}
