//! Reads rules from a configuration and reports all errors at once, each with its key.

mod keys;
mod shared;
mod table;
pub(crate) mod values;

use serde_json::{Map, Value};

use crate::format::{CloudEventsMode, FORMAT_SETTINGS, Format};
use crate::key::RuleKey;
use crate::rules::{Rule, Rules};
use crate::shape::Shape;
use crate::sql::{Condition, Select, is_column};
use hookhost_guest::module::Host;
use hookhost_guest::problems::Problems;
pub(crate) use table::{Found, RuleTable};
use values::{is_empty, object, sql, text, topics, unknown};

/// Settings that apply to all rules; a rule may override each of them.
const SHARED: [&str; 14] = [
    "urls",
    "format",
    "as_documented",
    "emqx_version",
    "payload_encoding",
    "method",
    "headers",
    "body",
    "cloudevents_mode",
    "cloudevents_extensions",
    "order",
    "max_age",
    "batch",
    "acknowledge",
];

/// Settings that only a rule may have.
const OWN: [&str; 5] = ["action", "topics", "destination", "select", "where"];

impl Rules {
    /// Reads rules from a configuration.
    ///
    /// ```text
    /// {
    ///   "urls": ["http://127.0.0.1:5656/hook"],
    ///   "format": "emqx4",
    ///   "rule": {"message_publish": [{"topics": ["#", "$SYS/#"], "payload_encoding": "base64"}]}
    /// }
    /// ```
    ///
    /// All settings are optional, except `action` in rules of format `rmqtt` and `body` in rules of format `template`. A
    /// setting outside of a rule applies to all rules, and a rule may override it. `action`, `topics`,
    /// `destination`, `select` and `where` are settings of a rule only. `docs/webhook.md` describes each setting.
    ///
    /// # Errors
    ///
    /// All errors of the configuration, each with its key.
    pub fn parse(config: &Value, host: &Host) -> Result<Rules, Problems> {
        let mut problems = Problems::new();
        let Some(table) = object("", config, &mut problems) else {
            return Err(problems);
        };
        let mut known = vec!["rule", "variables"];
        known.extend(SHARED);
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            unknown(key, key, &known, &mut problems);
        }
        let mut reader = Reader {
            shared: table,
            problems,
            formats: Vec::new(),
            warnings: Vec::new(),
        };
        let mut rules = Rules::new(host.node.clone());
        if let Some(value) = table.get("rule") {
            reader.rules(value, &mut rules);
        }
        if let Some(value) = table.get("variables") {
            rules.set_variables(reader.variables(value));
        }
        rules.add_warnings(std::mem::take(&mut reader.warnings));
        reader.check_shared();
        reader.problems.check().map(|()| rules)
    }

    /// The names of all settings that a rule may have.
    pub fn settings_of_a_rule() -> impl Iterator<Item = &'static str> {
        OWN.into_iter().chain(SHARED)
    }
}

/// Reads rules and collects their errors.
struct Reader<'a> {
    /// The settings for all rules.
    shared: &'a Map<String, Value>,
    problems: Problems,
    /// The formats of the rules read so far.
    formats: Vec<Format>,
    warnings: Vec<String>,
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

    /// The variables for `getenv`: names and texts.
    fn variables(&mut self, value: &'a Value) -> Vec<(String, String)> {
        let table = object("variables", value, &mut self.problems).into_iter().flatten();
        let problems = &mut self.problems;
        let variables = table.filter_map(|(name, value)| {
            let value = text(&format!("variables.{name}"), value, problems)?;
            Some((name.clone(), value.to_owned()))
        });
        variables.collect()
    }

    fn rule(&mut self, key: RuleKey, at: &str, value: &'a Value) -> Option<Rule> {
        let own = object(at, value, &mut self.problems)?;
        let known: Vec<&str> = Rules::settings_of_a_rule().collect();
        for name in own.keys().filter(|name| !known.contains(&name.as_str())) {
            unknown(&format!("{at}.{name}"), name, &known, &mut self.problems);
        }
        let (rule, shared) = (Some((at.to_owned(), own)), self.shared);
        let table = RuleTable { rule, shared };
        let format = match table.find("format") {
            Some(found) => self.format(&found)?,
            None => Format::default(),
        };
        if !self.formats.contains(&format) {
            self.formats.push(format);
        }
        let select = self.select(&table, format);
        let condition = self.condition(&table);
        let of_select = select.iter().flat_map(|select| select.warnings(is_column));
        let of_condition = condition.iter().flat_map(|condition| condition.warnings(is_column));
        let places = of_select.map(|warning| ("select", warning));
        for (name, warning) in places.chain(of_condition.map(|warning| ("where", warning))) {
            self.warnings.push(format!("{at}.{name}: {warning}"));
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
        for name in FORMAT_SETTINGS.into_iter().filter(|name| !format.supports(name)) {
            if let Some(found) = table.own(name) {
                self.problems.add(found.at, format.unsupported(name));
            }
        }
        let own_urls = table.own("urls").filter(|found| !is_empty(found.value));
        let urls = own_urls.or_else(|| self.shared().find("urls"));
        let urls = urls.map(|found| self.urls(&found, format)).unwrap_or_default();
        let action = table.own("action");
        let action = action.and_then(|found| text(&found.at, found.value, &mut self.problems));
        let destination = table.own("destination");
        let destination = destination.and_then(|found| text(&found.at, found.value, &mut self.problems));
        let own_topics = table.own("topics");
        let topics = own_topics.map(|found| topics(&found.at, found.value, &mut self.problems));
        let shape = self.shape(&table, format);
        format.implementation().check(&table, &shape, &mut self.problems);
        let order = table.find("order").and_then(|found| self.order(&found, format));
        let max_age = table.find("max_age");
        let max_age = max_age.and_then(|found| text(&found.at, found.value, &mut self.problems));
        let batch = table.find("batch").and_then(|found| self.batch(&found, &shape));
        self.check_acknowledge(&table, key);
        let default_action = || format.implementation().default_action(key, shape.as_documented);
        Some(Rule {
            action: action.unwrap_or_else(default_action).to_owned(),
            topics: topics.unwrap_or_default(),
            urls,
            destination: destination.map(str::to_owned),
            select,
            condition,
            order: order.unwrap_or_default(),
            max_age: max_age.map(str::to_owned),
            batch,
            shape,
        })
    }

    /// Checks when a publish is acknowledged. The host reads the value, because the broker acts on it.
    fn check_acknowledge(&mut self, table: &RuleTable<'a>, key: RuleKey) {
        let Some(found) = table.find("acknowledge") else { return };
        let Some(value) = text(&found.at, found.value, &mut self.problems) else {
            return;
        };
        if !matches!(value, "immediately" | "durable") {
            let text = format_args!("should be \"immediately\" or \"durable\", not {value:?}");
            self.problems.add(found.at, text);
        } else if found.is_own && key != RuleKey::MessagePublish {
            self.problems.add(
                found.at,
                "is for rules of message_publish: only publishes are acknowledged",
            );
        }
    }

    /// The settings for the form of requests.
    fn shape(&mut self, table: &RuleTable<'a>, format: Format) -> Shape {
        let find = |name: &str| table.find(name).filter(|_| format.supports(name));
        let [
            as_documented,
            version,
            encoding,
            method,
            headers,
            body,
            mode,
            extensions,
        ] = [
            "as_documented",
            "emqx_version",
            "payload_encoding",
            "method",
            "headers",
            "body",
            "cloudevents_mode",
            "cloudevents_extensions",
        ]
        .map(find);
        let is_batched = table.find("batch").is_some_and(|found| found.value.is_object());
        let default_mode = if is_batched {
            CloudEventsMode::Structured
        } else {
            CloudEventsMode::default()
        };
        let mode = mode.and_then(|found| self.mode(&found)).unwrap_or(default_mode);
        Shape {
            format,
            as_documented: as_documented.is_some_and(|found| self.truth(&found)),
            emqx_version: version.and_then(|found| self.emqx_version(&found, format)),
            payload_encoding: encoding
                .and_then(|found| self.encoding(&found, format))
                .unwrap_or_default(),
            method: method.and_then(|found| self.method(&found)).unwrap_or_default(),
            headers: headers.map(|found| self.headers(&found, format)).unwrap_or_default(),
            body: body.and_then(|found| self.body(&found, format)),
            cloudevents: self.cloudevents(mode, extensions.as_ref()),
        }
    }

    fn select(&mut self, table: &RuleTable<'a>, format: Format) -> Option<Select> {
        let found = table.own("select").filter(|_| format.supports("select"))?;
        let text = text(&found.at, found.value, &mut self.problems)?;
        sql(&found.at, Select::parse(text), &mut self.problems)
    }

    fn condition(&mut self, table: &RuleTable<'a>) -> Option<Condition> {
        let found = table.own("where")?;
        let text = text(&found.at, found.value, &mut self.problems)?;
        sql(&found.at, Condition::parse(text), &mut self.problems)
    }
}

#[cfg(test)]
mod tests;
