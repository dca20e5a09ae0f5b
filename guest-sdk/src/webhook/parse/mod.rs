//! Reading rules: all mistakes at once, each with the key where it is.

mod keys;
mod values;

use serde_json::{Map, Value};

use super::cloudevents::CloudEventsMode;
use super::format::Format;
use super::key::RuleKey;
use super::rules::{Rule, Rules};
use super::shape::Shape;
use super::sql::{Condition, Select};
use crate::module::Host;
use crate::problems::Problems;
use values::{is_empty, object, sql, text, topics, unknown};

/// Keys that stand for all rules, and in a rule for that one.
const SHARED: [&str; 9] = [
    "urls",
    "format",
    "as_documented",
    "payload_encoding",
    "method",
    "headers",
    "body",
    "cloudevents_mode",
    "cloudevents_extensions",
];

/// Keys of a rule alone.
const OWN: [&str; 4] = ["action", "topics", "select", "where"];

impl Rules {
    /// Reads rules; all mistakes at once, each with its key.
    ///
    /// ```text
    /// {
    ///   "urls": ["http://127.0.0.1:5656/hook"],
    ///   "format": "emqx4",
    ///   "rule": {"message_publish": [{"topics": ["#", "$SYS/#"], "payload_encoding": "base64"}]}
    /// }
    /// ```
    ///
    /// All keys may be left out, but for `action` in rules of format `rmqtt`. `urls`, `format`, `as_documented`,
    /// `payload_encoding`, `method`, `headers`, `body`, `cloudevents_mode` and `cloudevents_extensions` stand for all
    /// rules, and in a rule in place of that; `action`, `topics`, `select` and `where` belong to a rule. `docs/webhook.md`
    /// says what each does.
    pub fn parse(config: &Value, host: &Host) -> Result<Rules, Problems> {
        let mut problems = Problems::new();
        let Some(table) = object("", config, &mut problems) else {
            return Err(problems);
        };
        let mut known = vec!["rule"];
        known.extend(SHARED);
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            unknown(key, key, &known, &mut problems);
        }
        let mut reader = Reader {
            defaults: table,
            problems,
            formats: Vec::new(),
        };
        let mut rules = Rules::new(host.node.clone());
        if let Some(value) = table.get("rule") {
            reader.rules(value, &mut rules);
        }
        reader.defaults();
        reader.problems.check().map(|()| rules)
    }
}

/// What rules are read with.
struct Reader<'a> {
    /// The table around the rules.
    defaults: &'a Map<String, Value>,
    problems: Problems,
    /// Formats that rules have.
    formats: Vec<Format>,
}

/// A value for a rule and where it stands.
struct Found<'a> {
    at: String,
    value: &'a Value,
    /// Whether it is the rule's own.
    own: bool,
}

impl<'a> Reader<'a> {
    fn rules(&mut self, value: &'a Value, rules: &mut Rules) {
        let Some(table) = object("rule", value, &mut self.problems) else {
            return;
        };
        for (name, value) in table {
            let at = format!("rule.{name}");
            let Some(key) = RuleKey::from_name(name) else {
                unknown(&at, name, &RuleKey::ALL.map(RuleKey::name), &mut self.problems);
                continue;
            };
            let Some(list) = value.as_array() else {
                self.problems
                    .add(at, "a list of rules was expected, such as [{ action = \"…\" }]");
                continue;
            };
            for (index, value) in list.iter().enumerate() {
                let at = format!("{at}.{index}");
                if let Some(rule) = self.rule(key, &at, value) {
                    rules.add(key, at, rule);
                }
            }
        }
    }

    fn rule(&mut self, key: RuleKey, at: &str, value: &'a Value) -> Option<Rule> {
        let table = object(at, value, &mut self.problems)?;
        let known: Vec<&str> = OWN.iter().chain(&SHARED).copied().collect();
        for name in table.keys().filter(|name| !known.contains(&name.as_str())) {
            unknown(&format!("{at}.{name}"), name, &known, &mut self.problems);
        }
        let find = |name: &str| self.find(Some((at, table)), name);
        let own_urls = find("urls").filter(|found| !is_empty(found.value));
        let (format, urls) = (find("format"), own_urls.or_else(|| self.find(None, "urls")));
        let format = match format {
            Some(found) => self.format(&found)?,
            None => Format::default(),
        };
        if !self.formats.contains(&format) {
            self.formats.push(format);
        }
        if format.hooks(key).is_empty() {
            let keys: Vec<_> = format.keys().map(RuleKey::name).collect();
            self.problems.add(
                at,
                format_args!(
                    "format \"{}\" has no {}; it has {}; \"emqx5\", \"cloudevents\" and \"template\" have all events",
                    format.name(),
                    key.name(),
                    keys.join(", ")
                ),
            );
        }
        let urls = urls.map(|found| self.urls(&found, format)).unwrap_or_default();
        let own = |name: &str| table.get(name).map(|value| (format!("{at}.{name}"), value));
        let action = own("action").and_then(|(at, value)| text(&at, value, &mut self.problems));
        let topics = own("topics").map(|(at, value)| topics(&at, value, &mut self.problems));
        let condition = own("where").and_then(|(at, value)| {
            let text = text(&at, value, &mut self.problems)?;
            sql(&at, Condition::parse(text), &mut self.problems)
        });
        let select = own("select").and_then(|(at, value)| {
            if format != Format::Emqx5 {
                let text = "has a meaning only with format \"emqx5\", whose columns it selects";
                self.problems.add(at, text);
                return None;
            }
            let text = text(&at, value, &mut self.problems)?;
            sql(&at, Select::parse(text), &mut self.problems)
        });
        let shape = self.shape(at, table, format);
        // RMQTT takes no rule without, though its page says that the event's name stands in.
        if format == Format::Rmqtt && !shape.as_documented && !table.contains_key("action") {
            let text = "is missing: the name that the event gets in the body";
            self.problems.add(format!("{at}.action"), text);
        }
        Some(Rule {
            action: action.map_or_else(|| shape.action(key), str::to_owned),
            topics: topics.unwrap_or_default(),
            urls,
            select,
            condition,
            shape,
        })
    }

    /// The keys that say what requests look like.
    fn shape(&mut self, at: &str, table: &'a Map<String, Value>, format: Format) -> Shape {
        let find = |name: &str| {
            self.find(Some((at, table)), name)
                .filter(|found| takes(format, name) || found.own)
        };
        let [as_documented, encoding, method, headers, body, mode, extensions] = [
            "as_documented",
            "payload_encoding",
            "method",
            "headers",
            "body",
            "cloudevents_mode",
            "cloudevents_extensions",
        ]
        .map(find);
        for (name, found) in [
            ("payload_encoding", &encoding),
            ("body", &body),
            ("cloudevents_mode", &mode),
            ("cloudevents_extensions", &extensions),
        ] {
            if let Some(found) = found.as_ref().filter(|_| !takes(format, name)) {
                self.problems.add(found.at.clone(), refusal(format, name));
            }
        }
        let is_own = |found: &Option<Found<'_>>| found.is_some();
        if format == Format::Template && !is_own(&body) {
            self.problems.add(
                format!("{at}.body"),
                "is missing: format \"template\" sends the text in 'body', such as '{\"id\": \"${clientid}\"}'",
            );
        }
        let mode = mode.and_then(|found| self.mode(&found)).unwrap_or_default();
        if let Some(headers) = headers.as_ref().filter(|_| format == Format::Cloudevents) {
            self.content_type(headers, mode);
        }
        Shape {
            format,
            as_documented: as_documented.is_some_and(|found| self.truth(&found)),
            payload_encoding: encoding
                .and_then(|found| self.encoding(&found, format))
                .unwrap_or_default(),
            method: method.and_then(|found| self.method(&found)).unwrap_or_default(),
            headers: headers.map(|found| self.headers(&found, format)).unwrap_or_default(),
            body: body.and_then(|found| self.body(&found, format)),
            cloudevents: self.cloudevents(mode, extensions.as_ref()),
        }
    }

    /// The value of a rule's key: its own, or that for all rules.
    fn find(&self, rule: Option<(&str, &'a Map<String, Value>)>, name: &str) -> Option<Found<'a>> {
        let own = rule.and_then(|(at, table)| {
            Some(Found {
                at: format!("{at}.{name}"),
                value: table.get(name)?,
                own: true,
            })
        });
        own.or_else(|| {
            Some(Found {
                at: name.to_owned(),
                value: self.defaults.get(name)?,
                own: false,
            })
        })
    }

    /// What the values for all rules hold, as far as no rule has told.
    fn defaults(&mut self) {
        let format = match self.find(None, "format") {
            Some(found) => self.format(&found),
            None => Some(Format::default()),
        };
        let Some(format) = format else { return };
        let formats = self.formats.clone();
        for name in ["payload_encoding", "body", "cloudevents_mode", "cloudevents_extensions"] {
            let Some(found) = self.find(None, name) else { continue };
            if !takes(format, name) && !formats.iter().any(|format| takes(*format, name)) {
                self.problems.add(found.at, refusal(format, name));
            }
        }
        if self.formats.is_empty() {
            self.check_shared(format);
        }
    }

    /// Checks values that no rule has looked at.
    fn check_shared(&mut self, format: Format) {
        if let Some(found) = self.find(None, "urls") {
            self.urls(&found, format);
        }
        if let Some(found) = self.find(None, "as_documented") {
            self.truth(&found);
        }
        if let Some(found) = self.find(None, "payload_encoding") {
            self.encoding(&found, format);
        }
        if let Some(found) = self.find(None, "method") {
            self.method(&found);
        }
        if let Some(found) = self.find(None, "headers") {
            self.headers(&found, format);
        }
        if let Some(found) = self.find(None, "body") {
            self.body(&found, format);
        }
        if let Some(found) = self.find(None, "cloudevents_mode") {
            self.mode(&found);
        }
        if let Some(found) = self.find(None, "cloudevents_extensions") {
            self.cloudevents(CloudEventsMode::default(), Some(&found));
        }
    }
}

/// Whether rules of a format have a use for a key that not all have a use for.
fn takes(format: Format, name: &str) -> bool {
    match name {
        "payload_encoding" => matches!(format, Format::Emqx4 | Format::Emqx5 | Format::Nanomq),
        "body" => matches!(format, Format::Emqx5 | Format::Template),
        "cloudevents_mode" | "cloudevents_extensions" => format == Format::Cloudevents,
        _ => true,
    }
}

fn refusal(format: Format, name: &str) -> String {
    let format = format.name();
    match name {
        "payload_encoding" if format == "rmqtt" => {
            "has no meaning with format \"rmqtt\", whose payloads are always base64".to_owned()
        }
        "payload_encoding" => {
            format!(
                "has no meaning with format \"{format}\"; \"emqx4\", \"emqx5\" and \"nanomq\" have payloads to encode"
            )
        }
        "body" => format!("has no meaning with format \"{format}\"; it is for \"template\" and \"emqx5\""),
        _ => format!("has no meaning with format \"{format}\"; it is for \"cloudevents\""),
    }
}

#[cfg(test)]
mod tests;
