//! A broker's configuration as a configuration file of hookhost, with comments on what became of each setting.
//!
//! Every setting names the place that it comes from. What is taken over differently, or not at all, is a comment there or
//! else at the top. Reading the written file gives the same settings.

use std::collections::BTreeMap;

use hookhost_settings::{Place, Problem, Setting, Table, Value, url};

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
    /// The text of a configuration file.
    ///
    /// # Errors
    ///
    /// All problems of the broker's configuration, or that there is none.
    pub fn run(&self) -> Result<String, Vec<Problem>> {
        let import = super::read(&Input {
            file: self.file.as_ref(),
            environment: &self.environment,
            broker: self.broker,
            urls: None,
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

    fn write(&self, broker: Broker, import: Import) -> String {
        let mut text = Text {
            redact: self.redact,
            out: String::new(),
            remarks: Vec::new(),
        };
        let told = [(&import.findings.warnings, ""), (&import.findings.notes, "note: ")];
        for (problems, prefix) in told {
            text.remarks
                .extend(problems.iter().map(|problem| (problem.clone(), prefix)));
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
            for (problem, prefix) in &text.remarks {
                head.push_str(&format!("# {prefix}{}\n", one_line(&problem.to_string())));
            }
        }
        head + &text.out
    }
}

/// The text being written.
struct Text {
    redact: bool,
    out: String,
    /// Remarks that are not written yet.
    remarks: Vec<(Problem, &'static str)>,
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

    /// A table of the file, and the `tls` below a destination as a table of its own.
    fn section(&mut self, name: &str, mut settings: Table) {
        let tls = settings.remove("tls");
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
        let own = |problem: &Problem| problem.place == *place && !place.key.is_empty();
        let (here, elsewhere) = std::mem::take(&mut self.remarks)
            .into_iter()
            .partition(|(problem, _)| own(problem));
        self.remarks = elsewhere;
        let here: Vec<(Problem, &str)> = here;
        for (problem, prefix) in here {
            self.line(&format!("# {prefix}{}", one_line(&problem.text)));
        }
    }

    fn value(&self, key: &str, value: &Value) -> String {
        match value {
            Value::Text(_) if self.redact && key == "headers" => quoted("…"),
            Value::Text(text) if self.redact && key == "urls" && text.contains('@') => quoted(&url::redacted(text)),
            Value::Text(text) => quoted(text),
            Value::Untyped(text) => self.untyped(text),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => toml::Value::Float(*number).to_string(),
            Value::Boolean(truth) => truth.to_string(),
            Value::Date(_) => quoted(""),
            Value::List(settings) => list(settings.iter().map(|setting| self.value(key, &setting.value))),
            Value::Table(table) => {
                let entry = |(name, setting): (&String, &Setting)| {
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
mod tests {
    use std::path::Path;

    use hookhost_settings::{Findings, JsonDates, Report, document};
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    const CASES: [(&str, &str); 9] = [
        ("emqx4.conf", include_str!("testdata/emqx4.conf")),
        ("emqx4-old.conf", include_str!("testdata/emqx4-old.conf")),
        ("emqx4-compose.env", include_str!("testdata/emqx4-compose.env")),
        ("emqx5.hocon", include_str!("testdata/emqx5.hocon")),
        ("emqx5-bridge.conf", include_str!("testdata/emqx5-bridge.conf")),
        ("nanomq.conf", include_str!("testdata/nanomq.conf")),
        ("nanomq-page.conf", include_str!("testdata/nanomq-page.conf")),
        ("nanomq-old.conf", include_str!("testdata/nanomq-old.conf")),
        (
            "rmqtt.toml",
            "urls = [\"http://a/\\u0022\"]\nhttp_timeout = \"3s\"\nrule.client_connect = [{action = \"x\\n\", topics = [\"a\"]}]\nrule.client_connack = []\n",
        ),
    ];

    fn convert(path: &str, text: &str) -> Convert {
        let file = Some(TextFile {
            path: path.into(),
            text: text.to_owned(),
        });
        let environment = [("HOOK_TOKEN".to_owned(), "Bearer abc".to_owned())].into();
        Convert {
            file,
            environment,
            ..Convert::default()
        }
    }

    fn json_of(table: Table) -> Json {
        let report = Report::default();
        let json = Setting::new(Place::flag(""), Value::Table(table)).to_json(&report, JsonDates::Invalid);
        assert_eq!(report.finish(), Findings::default());
        json
    }

    #[test]
    fn what_is_written_says_the_same() {
        for (path, text) in CASES {
            let convert = convert(path, text);
            let written = convert.run().unwrap();
            let (table, errors) = document::parse(Path::new("f"), &written);
            assert_eq!(errors, [], "{written}");
            let input = Input {
                file: convert.file.as_ref(),
                environment: &convert.environment,
                broker: None,
                urls: None,
            };
            let mut expected = json_of(super::super::read(&input).unwrap().settings);
            if path == "rmqtt.toml" {
                // A list without rules is not written beside those with some.
                let rules = expected["webhook"]["rule"].as_object_mut().unwrap();
                assert_eq!(rules.remove("client_connack"), Some(json!([])));
            }
            assert_eq!(json_of(table), expected, "{written}");
        }
    }

    #[test]
    fn remarks_stand_where_they_belong() {
        let text = "web.hook.url = https://h/\nweb.hook.pool_size = 4\nweb.hook.enable_pipelining = true\nweb.hook.headers.x = secret\n\
                    web.hook.ssl.verify = true\nweb.hook.rule.message.dropped.1 = {\"action\": \"on_message_dropped\", \"topic\": \"a\"}\n";
        let mut convert = convert("a.conf", text);
        assert_eq!(
            convert.run().unwrap(),
            "# Made by `hookhost webhook convert` from a.conf, a configuration of EMQX 4.\n\
             # Check it with `hookhost check --config FILE`; every key is explained in docs/webhook.md.\n\
             #\n\
             # Left out or changed:\n\
             # a.conf:3: web.hook.enable_pipelining: is ignored: a connection carries one request at a time; concurrency_limit sets the number of connections\n\
             \n\
             [webhook]\n\
             format = \"emqx4\"\n\
             # a.conf:1: web.hook.url\n\
             urls = [\"https://h/\"]\n\
             \n\
             # a.conf:6: web.hook.rule.message.dropped.1\n\
             # works here; EMQX 4 itself lacks this event and does not start with it\n\
             [[webhook.rule.message_dropped]]\n\
             topics = [\"a\"]\n\
             \n\
             [delivery]\n\
             # a.conf:2: web.hook.pool_size\n\
             concurrency_limit = 4\n\
             \n\
             # To keep a secret out of this file, use header_files or header_envs: they name a file or a variable for a header.\n\
             [destinations.web_hook]\n\
             # a.conf:1: web.hook.url\n\
             headers = { x = \"secret\" }\n\
             urls = [\"https://h/\"]\n\
             \n\
             [destinations.web_hook.tls]\n\
             # a.conf:5: web.hook.ssl.verify\n\
             verify = true\n"
        );
        convert.redact = true;
        let shown = convert.run().unwrap();
        assert!(!shown.contains("secret\""), "{shown}");
        assert!(shown.contains("headers = { x = \"…\" }"), "{shown}");
    }

    #[test]
    fn nothing_to_convert_and_mistakes_are_told() {
        let shown =
            |convert: Convert| -> Vec<String> { convert.run().unwrap_err().iter().map(Problem::to_string).collect() };
        assert_eq!(
            shown(Convert::default()),
            ["environment: has no webhook settings of EMQX or RMQTT, and there is no file"]
        );
        assert_eq!(
            shown(convert("f", "web.hook.url = h\n")),
            ["f:1: web.hook.url: `h` is not a URL of a web service: it has no scheme; http://h is probably meant"]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_one_toml_string(text in any::<String>()) {
            let (table, errors) = document::parse(Path::new("f"), &format!("{} = {}", key_of("é"), quoted(&text)));
            prop_assert_eq!(errors, []);
            prop_assert_eq!(&table["é"].value, &Value::Text(text));
        }
    }
}
