//! The configuration of another broker as a configuration file of this host, with remarks on what was made of what.
//!
//! Every setting says where it comes from; what is taken over otherwise, or not at all, is said where it belongs, or
//! else at the top. Reading the text again gives the same settings.

use std::collections::BTreeMap;

use super::{Environment, Format, Reading, Request, TextFile};
use hookhost_settings::document::{Node, Table, Value};
use hookhost_settings::{Given, Place, Problem, Source, url};

/// What a conversion is made from.
#[derive(Debug, Clone, Default)]
pub struct Convert {
    /// A broker's file; without one, the environment alone.
    pub file: Option<TextFile>,
    /// Whose it is, if that is not to be told by its keys.
    pub format: Option<Format>,
    /// The variables that count.
    pub environment: Environment,
    /// Leave out what may be secret: values of headers, and credentials of URLs. The result is for showing.
    pub redact: bool,
}

impl Convert {
    /// The text of a configuration file.
    ///
    /// # Errors
    ///
    /// All mistakes of what is to be converted; and that there is nothing.
    pub fn run(&self) -> Result<String, Vec<Problem>> {
        let read = super::read(&Request {
            file: self.file.as_ref().map(|file| (file.path.as_path(), file.text.as_str())),
            environment: &self.environment,
            format: self.format,
            urls: None,
        });
        let Some((format, reading)) = read else {
            let text = "has no webhook settings of EMQX or RMQTT, and there is no file".to_owned();
            let (source, key) = (Source::Environment, String::new());
            return Err(vec![Problem { source, key, text }]);
        };
        match format {
            Some(format) if reading.problems.is_empty() => Ok(self.write(format, reading)),
            _ => Err(reading.problems),
        }
    }

    fn write(&self, format: Format, reading: Reading) -> String {
        let mut text = Text {
            redact: self.redact,
            out: String::new(),
            remarks: Vec::new(),
        };
        let told = [(&reading.warnings, ""), (&reading.notes, "note: ")];
        for (problems, prefix) in told {
            text.remarks
                .extend(problems.iter().map(|problem| (problem.clone(), prefix)));
        }
        let whence = match &self.file {
            Some(file) => file.path.display().to_string(),
            None => "the environment".to_owned(),
        };
        text.settings(reading.layer, &reading.origins);
        let mut head = format!(
            "# Made by `hookhost webhook convert` from {}, a configuration of {format}.\n",
            one_line(&whence)
        );
        head.push_str("# Check it with `hookhost check --config FILE`; every key is explained in docs/webhook.md.\n");
        if self.redact {
            head.push_str("# Headers and passwords are left out.\n");
        }
        if !text.remarks.is_empty() {
            head.push_str("#\n# Left out, or other than there:\n");
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
    /// Remarks that have found no place yet.
    remarks: Vec<(Problem, &'static str)>,
}

/// Settings of one table of the file, by key.
type Settings = BTreeMap<String, (Place, Given)>;

impl Text {
    fn settings(&mut self, layer: BTreeMap<String, (Place, Given)>, origins: &BTreeMap<String, Place>) {
        let mut tables: BTreeMap<String, Settings> = BTreeMap::new();
        let mut rules = None;
        for (path, (place, given)) in layer {
            if path == "webhook.rule" {
                rules = Some((place, given));
                continue;
            }
            let (table, key) = match path.strip_prefix("destinations.").and_then(|rest| rest.split_once('.')) {
                Some((name, rest)) => match rest.split_once('.') {
                    Some((inner, key)) => (format!("destinations.{name}.{inner}"), key.to_owned()),
                    None => (format!("destinations.{name}"), rest.to_owned()),
                },
                // The table that a destination is.
                None if path.starts_with("destinations.") => continue,
                None => match path.split_once('.') {
                    Some((section, key)) => (section.to_owned(), key.to_owned()),
                    None => continue,
                },
            };
            tables.entry(table).or_default().insert(key, (place, given));
        }
        let webhook = tables.remove("webhook").unwrap_or_default();
        self.table("webhook", webhook);
        if let Some((
            _,
            Given::Node(Node {
                value: Value::Table(rules),
                ..
            }),
        )) = rules
        {
            self.rules(rules, origins);
        }
        for (name, settings) in tables {
            self.table(&name, settings);
        }
    }

    fn table(&mut self, name: &str, settings: Settings) {
        self.line("");
        if name.starts_with("destinations.") && settings.contains_key("headers") {
            self.line(
                "# A secret may stand elsewhere: header_files and header_envs name a file or a variable for a header.",
            );
        }
        self.line(&format!("[{name}]"));
        let mut last = None;
        for (key, (place, given)) in settings {
            if last.as_ref() != Some(&place) {
                self.place(&place);
            }
            let value = match &given {
                Given::Node(node) => self.value(&key, &node.value),
                Given::Texts(texts) => list(texts.iter().map(|text| quoted(text))),
                Given::Text(text) => self.scalar(text),
            };
            self.line(&format!("{key} = {value}"));
            last = Some(place);
        }
    }

    /// What a variable says, which has no type of its own.
    fn scalar(&self, text: &str) -> String {
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
        let is_empty = |node: &Node| matches!(&node.value, Value::List(list) if list.is_empty());
        if rules.values().all(is_empty) {
            self.line("\n[webhook.rule]");
            for event in rules.keys() {
                self.line(&format!("{} = []", key_of(event)));
            }
            return;
        }
        for (event, node) in rules {
            let Value::List(list) = node.value else { continue };
            for (index, rule) in list.into_iter().enumerate() {
                self.line("");
                if let Some(place) = origins.get(&format!("webhook.rule.{event}.{index}")) {
                    self.place(place);
                }
                self.line(&format!("[[webhook.rule.{}]]", key_of(&event)));
                let Value::Table(fields) = rule.value else { continue };
                for (key, node) in fields {
                    let value = self.value(&key, &node.value);
                    self.line(&format!("{} = {value}", key_of(&key)));
                }
            }
        }
    }

    /// Where the next setting comes from, and what is to be said about it.
    fn place(&mut self, place: &Place) {
        // A place that is a whole file is said in the first line.
        if !place.key.is_empty() {
            let origin = place.problem("").to_string();
            self.line(&format!("# {}", one_line(origin.trim_end_matches([':', ' ']))));
        }
        let own =
            |problem: &Problem| problem.source == place.source && problem.key == place.key && !place.key.is_empty();
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
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => toml::Value::Float(*number).to_string(),
            Value::Boolean(truth) => truth.to_string(),
            Value::Date(_) => quoted(""),
            Value::List(nodes) => list(nodes.iter().map(|node| self.value(key, &node.value))),
            Value::Table(table) => {
                let entry =
                    |(name, node): (&String, &Node)| format!("{} = {}", key_of(name), self.value(key, &node.value));
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
    use proptest::prelude::*;

    use hookhost_settings::document;
    use hookhost_settings::reader::file_layer;

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

    /// Settings without their places.
    fn meaning(layer: BTreeMap<String, (Place, Given)>) -> BTreeMap<String, String> {
        let value = |given| match given {
            Given::Node(node) => node.to_json().expect("JSON").to_string(),
            other => format!("{other:?}"),
        };
        layer.into_iter().map(|(key, (_, given))| (key, value(given))).collect()
    }

    #[test]
    fn what_is_written_says_the_same() {
        for (path, text) in CASES {
            let convert = convert(path, text);
            let written = convert.run().unwrap();
            let (table, errors) = document::parse(&written);
            assert_eq!(errors, [], "{written}");
            let request = Request {
                file: Some((path.as_ref(), text)),
                environment: &convert.environment,
                format: None,
                urls: None,
            };
            let mut expected = meaning(crate::read(&request).unwrap().1.layer);
            if path == "rmqtt.toml" {
                // A list without rules is not written beside those with some.
                let rule = expected.get_mut("webhook.rule").unwrap();
                *rule = rule.replace("\"client_connack\":[],", "");
            }
            assert_eq!(meaning(file_layer("f".as_ref(), table)), expected, "{written}");
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
             # Left out, or other than there:\n\
             # a.conf:3: web.hook.enable_pipelining: is ignored: a connection carries one request at a time, as many connections as concurrency_limit are used\n\
             \n\
             [webhook]\n\
             format = \"emqx4\"\n\
             # a.conf:1: web.hook.url\n\
             urls = [\"https://h/\"]\n\
             \n\
             # a.conf:6: web.hook.rule.message.dropped.1\n\
             # works here; EMQX 4 itself has no such event and does not start with it\n\
             [[webhook.rule.message_dropped]]\n\
             topics = [\"a\"]\n\
             \n\
             [delivery]\n\
             # a.conf:2: web.hook.pool_size\n\
             concurrency_limit = 4\n\
             \n\
             # A secret may stand elsewhere: header_files and header_envs name a file or a variable for a header.\n\
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
            let (table, errors) = document::parse(&format!("{} = {}", key_of("é"), quoted(&text)));
            prop_assert_eq!(errors, []);
            prop_assert_eq!(&table["é"].value, &Value::Text(text));
        }
    }
}
