//! The text of a configuration file: tables, values and comments.

use std::collections::BTreeMap;

use hookhost_settings::{Place, Setting, Table, Value, url};

/// The text of the file.
pub(super) struct Text {
    /// Leave out possible secrets.
    pub(super) redact: bool,
    pub(super) out: String,
    /// The texts of the remarks that are not written yet, by place.
    pub(super) remarks: BTreeMap<Place, Vec<String>>,
}

impl Text {
    /// Writes all settings. `origins` has the place of each rule.
    pub(super) fn settings(&mut self, mut settings: Table, origins: &BTreeMap<String, Place>) {
        let rules = hookhost_settings::remove(&mut settings, &["webhook", "rule"]);
        let webhook = settings.remove("webhook");
        self.section("webhook", webhook.map_or_else(Table::new, into_table));
        if let Some(rules) = rules {
            self.rules(into_table(rules), origins);
        }
        for (name, setting) in settings {
            if let Value::List(list) = setting.value {
                list.into_iter()
                    .for_each(|element| self.section(&format!("[{name}]"), into_table(element)));
                continue;
            }
            let table = into_table(setting);
            if name == "destinations" {
                for (destination, setting) in table {
                    self.section(&format!("destinations.{destination}"), into_table(setting));
                }
            } else {
                self.section(&name, table);
            }
        }
    }

    /// A table of the file, and the `tls` below a destination as a table of its own. `name` is in brackets for an element of
    /// a list.
    fn section(&mut self, name: &str, mut settings: Table) {
        let tls = if name.starts_with("destinations.") {
            settings.remove("tls")
        } else {
            None
        };
        self.line("");
        if name.starts_with("destinations.") && settings.contains_key("headers") {
            self.line(
                "# To keep a secret out of this file, use header_files or header_envs: they name a file or a variable for a header.",
            );
        }
        self.line(&format!("[{name}]"));
        let mut last = None;
        for (key, setting) in settings {
            if last.as_ref() != Some(&setting.place) {
                self.place(&setting.place);
            }
            let value = self.value(&key, &setting.value);
            self.line(&format!("{key} = {value}"));
            last = Some(setting.place);
        }
        if let Some(tls) = tls {
            self.section(&format!("{name}.tls"), into_table(tls));
        }
    }

    /// An untyped value as the type that it looks like.
    fn untyped(&self, text: &str) -> String {
        let text = text.trim();
        let plain = text.replace('_', "");
        match (plain.parse::<i64>(), plain.parse::<f64>(), text.parse::<bool>()) {
            (Ok(number), _, _) => number.to_string(),
            (_, Ok(number), _) if number.is_finite() => toml::Value::Float(number).to_string(),
            (_, _, Ok(truth)) => truth.to_string(),
            _ => quoted(text),
        }
    }

    fn rules(&mut self, rules: Table, origins: &BTreeMap<String, Place>) {
        let is_empty = |setting: &Setting| matches!(&setting.value, Value::List(list) if list.is_empty());
        if rules.values().all(is_empty) {
            self.line("\n[webhook.rule]");
            for event in rules.keys() {
                self.line(&format!("{} = []", key_of(event)));
            }
            return;
        }
        for (event, setting) in rules {
            let Value::List(list) = setting.value else { continue };
            for (index, rule) in list.into_iter().enumerate() {
                self.line("");
                if let Some(place) = origins.get(&format!("webhook.rule.{event}.{index}")) {
                    self.place(place);
                }
                self.line(&format!("[[webhook.rule.{}]]", key_of(&event)));
                for (key, setting) in into_table(rule) {
                    let value = self.value(&key, &setting.value);
                    self.line(&format!("{} = {value}", key_of(&key)));
                }
            }
        }
    }

    /// Writes the place of the next setting, and the remarks about it.
    fn place(&mut self, place: &Place) {
        // The first line names the whole file.
        if !place.key.is_empty() {
            self.line(&format!("# {}", one_line(&place.to_string())));
        }
        if place.key.is_empty() {
            return;
        }
        for remark in self.remarks.remove(place).unwrap_or_default() {
            self.line(&format!("# {}", one_line(&remark)));
        }
    }

    fn value(&self, key: &str, value: &Value) -> String {
        match value {
            Value::Text(_) if self.redact && SECRET.contains(&key) => quoted("…"),
            Value::Text(text) if self.redact && matches!(key, "url" | "urls" | "jwks_url") && text.contains('@') => {
                quoted(&url::redacted(text))
            }
            Value::Text(text) => quoted(text),
            Value::Untyped(text) => self.untyped(text),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => toml::Value::Float(*number).to_string(),
            Value::Boolean(truth) => truth.to_string(),
            Value::Date(_) => quoted(""),
            Value::List(settings) => list(settings.iter().map(|setting| self.value(key, &setting.value))),
            Value::Table(table) => {
                // Headers and users have any names; the name of another key says what its value is.
                let entry = |(name, setting): (&String, &Setting)| {
                    let key = match (key, name.as_str()) {
                        _ if SECRET.contains(&key) => key,
                        // A rule about clients may have the password of a user.
                        ("rule", "password") => "secret",
                        (_, name) => name,
                    };
                    format!("{} = {}", key_of(name), self.value(key, &setting.value))
                };
                let entries: Vec<String> = table.iter().map(entry).collect();
                format!("{{ {} }}", entries.join(", "))
            }
        }
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }
}

/// Keys whose values are secret.
const SECRET: [&str; 3] = ["headers", "secret", "users"];

fn into_table(setting: Setting) -> Table {
    match setting.value {
        Value::Table(table) => table,
        _ => Table::new(),
    }
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A TOML string on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A TOML key, quoted if need be.
pub(super) fn key_of(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// The text for a comment, which ends with its line.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
