//! A broker's configuration as a configuration file of hookhost, with comments on what became of each setting.
//!
//! Every setting names the place that it comes from. What is taken over differently, or not at all, is a comment there or
//! else at the top. Reading the written file gives the same settings.

use std::collections::BTreeMap;

use hookhost_settings::{Files, Place, Problem, Setting, Table, Value, merge, url};

use super::{Broker, Environment, Import, Input, TextFile};

/// The input of a conversion.
#[derive(Debug, Clone, Default)]
pub struct Convert {
    /// A broker's file; without one, the environment alone.
    pub file: Option<TextFile>,
    /// The broker; `None` to tell it by the keys.
    pub broker: Option<Broker>,
    /// The environment variables to read.
    pub environment: Environment,
    /// Leave out what may be secret: values of headers, and credentials of URLs. The result is for showing.
    pub redact: bool,
}

impl Convert {
    /// The text of a configuration file. `files` reads the files that the broker's file includes.
    ///
    /// # Errors
    ///
    /// All problems of the broker's configuration, or that there is none. Problems of items that are left out are comments.
    pub fn run(&self, files: &Files<'_>) -> Result<String, Vec<Problem>> {
        let import = super::read_in_full(&Input {
            file: self.file.as_ref(),
            environment: &self.environment,
            broker: self.broker,
            urls: None,
            files,
        });
        let Some(import) = import else {
            let text = "has no webhook settings of EMQX or RMQTT, and there is no file";
            return Err(vec![Place::variable("").problem(text)]);
        };
        match import.broker {
            Some(broker) if import.findings.problems.is_empty() => Ok(self.write(broker, import)),
            _ => Err(import.findings.problems),
        }
    }

    fn write(&self, broker: Broker, mut import: Import) -> String {
        let mut text = Text {
            redact: self.redact,
            out: String::new(),
            remarks: BTreeMap::new(),
        };
        let findings = &import.findings;
        let told = [
            (&findings.left_out, "left out: "),
            (&findings.unknown, ""),
            (&findings.warnings, ""),
            (&findings.ignored, "no meaning here: "),
            (&findings.notes, "note: "),
        ];
        for (problems, prefix) in told {
            for problem in problems {
                let remarks = text.remarks.entry(problem.place.clone()).or_default();
                remarks.push(format!("{prefix}{}", problem.text));
            }
        }
        let mut server = import.server;
        for part in server.parts() {
            for problem in part.lost.drain(..).chain(part.warnings.drain(..)) {
                text.remarks.entry(problem.place).or_default().push(problem.text);
            }
            merge(&mut import.settings, std::mem::take(&mut part.settings), &|_| false);
        }
        let whence = match &self.file {
            Some(file) => file.path.display().to_string(),
            None => "the environment".to_owned(),
        };
        text.settings(import.settings, &import.origins);
        let mut head = format!(
            "# Made by `hookhost webhook convert` from {}, a configuration of {broker}.\n",
            one_line(&whence)
        );
        head.push_str("# Check it with `hookhost check --config FILE`; every key is explained in docs/webhook.md.\n");
        if self.redact {
            head.push_str("# Headers and passwords are left out.\n");
        }
        if !text.remarks.is_empty() {
            head.push_str("#\n# Left out or changed:\n");
            for (place, remarks) in &text.remarks {
                for remark in remarks {
                    let remark = place.problem(remark).to_string();
                    head.push_str(&format!("# {}\n", one_line(&remark)));
                }
            }
        }
        head + &text.out
    }
}

/// The text being written.
struct Text {
    redact: bool,
    out: String,
    /// Remarks that are not written yet: their texts by place.
    remarks: BTreeMap<Place, Vec<String>>,
}

impl Text {
    fn settings(&mut self, mut settings: Table, origins: &BTreeMap<String, Place>) {
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
                    let key = if SECRET.contains(&key) { key } else { name.as_str() };
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
fn quoted(text: &str) -> String {
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
fn key_of(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// For a comment, which ends with its line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
