//! The settings that were given, with their places, for people who ask what is in effect. Pure.
//!
//! Values that may be secrets are left out, by the names of their keys: rather one too many than one too few.

use hookhost_delivery::shown;
use hookhost_settings::{JsonDates, Place, Report, Setting, Table, Value};
use serde_json::Value as Json;

/// Parts of keys whose values may be secrets.
const SECRET: [&str; 12] = [
    "token",
    "password",
    "secret",
    "bearer",
    "basic",
    "header",
    "sign",
    "key",
    "hash",
    "salt",
    "credential",
    "user",
];

/// Ends of keys that name the place of a secret, not the secret.
const PLACES: [&str; 4] = ["_file", "_files", "_env", "_envs"];

/// A setting that was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The key, such as `mqtt.listen`.
    pub key: String,
    /// The value; `None` if it may be a secret.
    pub value: Option<Json>,
    /// Where it was given.
    pub place: Place,
}

/// All settings of a table, by key.
pub(super) fn given(settings: &Table) -> Vec<Given> {
    let mut all = Vec::new();
    add_table(&mut all, "", settings);
    all
}

fn add_table(all: &mut Vec<Given>, above: &str, table: &Table) {
    for (name, setting) in table {
        let key = if above.is_empty() {
            name.clone()
        } else {
            format!("{above}.{name}")
        };
        add(all, key, setting);
    }
}

fn add(all: &mut Vec<Given>, key: String, setting: &Setting) {
    match &setting.value {
        Value::Table(table) if !table.is_empty() => return add_table(all, &key, table),
        Value::List(list) if list.iter().any(|element| matches!(element.value, Value::Table(_))) => {
            for (index, element) in list.iter().enumerate() {
                add(all, format!("{key}[{index}]"), element);
            }
            return;
        }
        _ => {}
    }
    // A value that JSON cannot express is reported by its reader.
    let value = setting.to_json(&Report::default(), JsonDates::Text);
    all.push(Given {
        value: (!may_be_secret(&key)).then(|| without_credentials(value)),
        key,
        place: setting.place.clone(),
    });
}

fn may_be_secret(key: &str) -> bool {
    let names_place = PLACES.iter().any(|end| key.ends_with(end));
    let key = key.to_lowercase();
    !names_place && SECRET.iter().any(|word| key.contains(word))
}

/// URLs as they may be shown.
fn without_credentials(value: Json) -> Json {
    match value {
        Json::String(text) if text.contains("://") || text.contains('@') => {
            Json::String(text.split(' ').map(shown).collect::<Vec<_>>().join(" "))
        }
        Json::Array(list) => list.into_iter().map(without_credentials).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Inputs, TextFile, read};
    use super::*;

    #[test]
    fn what_is_given_is_shown_with_its_place_and_without_secrets() {
        let text = "[admin]\ntoken = \"secret-secret-secret\"\n[webhook]\nurls = [\"http://me:secret@a/b?secret\"]\n\
                    [webhook.headers]\nx = \"secret\"\n[[webhook.rule.message_publish]]\ntopics = [\"t\"]\n\
                    [destinations.d]\nurls = [\"https://d/\"]\nbearer_env = \"PLACE\"\n";
        let inputs = Inputs {
            file: Some(TextFile {
                path: "h.toml".into(),
                text: text.to_owned(),
            }),
            environment: [
                ("HOOKHOST_MQTT__LISTEN".into(), "127.0.0.1:7".into()),
                ("PLACE".into(), "secret".into()),
            ]
            .into(),
            ..Inputs::default()
        };
        let given = read(&inputs).unwrap().given;
        let lines: Vec<String> = given
            .iter()
            .map(|Given { key, value, place }| {
                let value = value.as_ref().map_or("-".to_owned(), Json::to_string);
                format!("{key} {value} {place}")
            })
            .collect();
        for expected in [
            "admin.token - h.toml:2: admin.token",
            "mqtt.listen \"127.0.0.1:7\" environment: HOOKHOST_MQTT__LISTEN",
            "webhook.urls [\"http://a/b\"] h.toml:4: webhook.urls",
            "webhook.headers.x - h.toml:6: webhook.headers.x",
            "webhook.rule.message_publish[0].topics [\"t\"] h.toml:8: webhook.rule.message_publish[0].topics",
            "destinations.d.bearer_env \"PLACE\" h.toml:11: destinations.d.bearer_env",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:#?}");
        }
        assert!(!lines.join("\n").contains("secret"), "{lines:#?}");
    }
}
