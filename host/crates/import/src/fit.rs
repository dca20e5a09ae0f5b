//! A broker's settings with another format of bodies than that broker's own.

use hookhost_settings::{Problem, Setting, Table, Value, find_mut, remove};

use super::{Broker, Import};

impl Import {
    /// Makes the settings fit a format of bodies that the user has chosen instead of the broker's. Returns a warning about
    /// a setting that the format does not have.
    pub fn fit_format(&mut self, format: &str) -> Option<Problem> {
        // Bodies of RMQTT repeat the action of their rule; others have a name of their own for the event.
        if format == Broker::Rmqtt.name()
            && let Some(rules) = find_mut(&mut self.settings, &["webhook", "rule"])
            && let Value::Table(events) = &mut rules.value
        {
            add_actions(events);
        }
        if !matches!(format, "rmqtt" | "cloudevents" | "template") {
            return None;
        }
        let encoding = remove(&mut self.settings, &["webhook", "payload_encoding"])?;
        let text = "is ignored: bodies of the chosen format do not use it";
        Some(encoding.place.problem(text))
    }
}

/// Gives each rule without an action the name of its event.
fn add_actions(events: &mut Table) {
    for (event, setting) in events {
        let Value::List(rules) = &mut setting.value else {
            continue;
        };
        for rule in rules {
            if let Value::Table(fields) = &mut rule.value {
                let action = || Setting::new(rule.place.clone(), Value::Text(event.clone()));
                fields.entry("action".to_owned()).or_insert_with(action);
            }
        }
    }
}
