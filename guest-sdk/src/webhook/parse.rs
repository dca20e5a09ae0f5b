//! Reading rules: all mistakes at once, each with the key where it is.

use serde_json::{Map, Value};

use super::cloudevents::{CloudEvents, CloudEventsMode};
use super::encoding::Encoding;
use super::event_fields::EventFields;
use super::format::Format;
use super::key::RuleKey;
use super::rules::{Rule, Rules};
use super::shape::{BodyText, Method, Shape};
use super::sql::{Condition, Select};
use super::template::{HeaderTemplate, Template, TemplateError, UrlTemplate};
use crate::module::Host;
use crate::nearest::nearest;
use crate::problems::Problems;
use crate::topic::TopicFilter;

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
    /// All keys may be left out, but for `action` in rules of format `rmqtt`. `urls`, `format`, `as_documented`, `payload_encoding`, `method`, `headers`, `body`,
    /// `cloudevents_mode` and `cloudevents_extensions` stand for all rules, and in a rule in place of that; `action`, `topics`, `select` and `where`
    /// belong to a rule. `docs/webhook.md` says what each does.
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

    fn format(&mut self, found: &Found<'_>) -> Option<Format> {
        self.choice(found, &Format::ALL.map(Format::name), Format::from_name)
    }

    fn encoding(&mut self, found: &Found<'_>, format: Format) -> Option<Encoding> {
        self.choice(found, &Encoding::NAMES, |name| Encoding::from_name(name, format))
    }

    fn method(&mut self, found: &Found<'_>) -> Option<Method> {
        self.choice(found, &["post", "put", "patch", "get", "delete"], Method::from_name)
    }

    fn mode(&mut self, found: &Found<'_>) -> Option<CloudEventsMode> {
        let modes = CloudEventsMode::NAMES;
        self.choice(found, &modes.map(|(name, _)| name), |name| {
            modes
                .into_iter()
                .find(|(known, _)| *known == name)
                .map(|(_, mode)| mode)
        })
    }

    /// CloudEvents in a mode, with the attributes that were asked for.
    fn cloudevents(&mut self, mode: CloudEventsMode, extensions: Option<&Found<'a>>) -> CloudEvents {
        let mut events = CloudEvents::new(mode);
        let Some(found) = extensions else { return events };
        let Some(table) = object(&found.at, found.value, &mut self.problems) else {
            return events;
        };
        for (name, value) in table {
            let at = format!("{}.{name}", found.at);
            let Some(text) = text(&at, value, &mut self.problems) else {
                continue;
            };
            let template = Template::parse(text).and_then(|template| {
                known_fields(&template, Format::Cloudevents)?;
                Ok(template)
            });
            let added = template.map_err(|error| error.to_string());
            match added.and_then(|template| events.clone().extension(name, template)) {
                Ok(more) => events = more,
                Err(error) => once(&at, error, &mut self.problems),
            }
        }
        events
    }

    /// A header of the rule must not call the body of a CloudEvent something else than it is.
    fn content_type(&mut self, headers: &Found<'a>, mode: CloudEventsMode) {
        let Some(table) = headers.value.as_object() else {
            return;
        };
        let given = table
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        for (name, text) in given.filter_map(|(name, value)| Some((name, value.as_str()?))) {
            if mode.allows(text) {
                continue;
            }
            let at = format!("{}.{name}", headers.at);
            let text = match mode.media_type() {
                Some(media_type) => format!(
                    "contradicts cloudevents_mode \"{}\", whose bodies are {media_type}; leave it out",
                    mode.name()
                ),
                None => "contradicts cloudevents_mode \"binary\": a receiver would look for the event in the body; leave it \
                         out, or choose \"structured\" or \"batched\""
                    .to_owned(),
            };
            once(&at, text, &mut self.problems);
        }
    }

    fn choice<T>(&mut self, found: &Found<'_>, names: &[&str], choose: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let name = text(&found.at, found.value, &mut self.problems)?;
        let chosen = choose(name);
        if chosen.is_none() {
            self.problem(found, unknown_choice(name, names));
        }
        chosen
    }

    fn truth(&mut self, found: &Found<'_>) -> bool {
        let truth = found.value.as_bool();
        if truth.is_none() {
            self.problem(found, "true or false was expected".to_owned());
        }
        truth.unwrap_or_default()
    }

    fn body(&mut self, found: &Found<'_>, format: Format) -> Option<BodyText> {
        let text = text(&found.at, found.value, &mut self.problems)?;
        let body = BodyText::parse(text, format).and_then(|body| {
            known_fields(body.template(), format)?;
            Ok(body)
        });
        match body {
            Ok(body) => Some(body),
            Err(error) => {
                self.problem(found, error.to_string());
                None
            }
        }
    }

    fn headers(&mut self, found: &Found<'a>, format: Format) -> Vec<(String, HeaderTemplate)> {
        let mut headers: Vec<(String, HeaderTemplate)> = Vec::new();
        let Some(table) = object(&found.at, found.value, &mut self.problems) else {
            return headers;
        };
        for (name, value) in table {
            let at = format!("{}.{name}", found.at);
            let Some(text) = text(&at, value, &mut self.problems) else {
                continue;
            };
            let inner = Found {
                at,
                value,
                own: found.own,
            };
            let name = name.to_ascii_lowercase();
            if name.is_empty() || !name.bytes().all(is_token) {
                self.problem(&inner, "is no name of an HTTP header".to_owned());
            } else if ["content-length", "host", "transfer-encoding", "connection"].contains(&name.as_str()) {
                self.problem(&inner, "is a header that the host writes by itself".to_owned());
            }
            let template = HeaderTemplate::parse(text).and_then(|template| {
                known_fields(template.template(), format)?;
                Ok(template)
            });
            match template {
                Ok(template) => headers.push((name, template)),
                Err(error) => self.problem(&inner, error.to_string()),
            }
        }
        headers.sort_by(|(one, _), (other, _)| one.cmp(other));
        headers
    }

    fn urls(&mut self, found: &Found<'a>, format: Format) -> Vec<UrlTemplate> {
        let mut urls = Vec::new();
        let Some(list) = texts(&found.at, found.value, &mut self.problems) else {
            return urls;
        };
        for (at, url) in list {
            let url = url.trim();
            let inner = Found {
                at,
                value: found.value,
                own: found.own,
            };
            let known = ["http://", "https://", "file://", "stdout:"];
            if !known.iter().any(|scheme| url.starts_with(scheme)) {
                // The URL itself may hold a password.
                let text = "a URL begins with 'http://', 'https://', 'file://' or 'stdout:'";
                self.problem(&inner, text.to_owned());
                continue;
            }
            let template = match format {
                Format::Emqx5 => UrlTemplate::parse_emqx5(url),
                _ => UrlTemplate::parse(url),
            };
            let template = template.and_then(|template| {
                known_fields(template.template(), format)?;
                Ok(template)
            });
            match template {
                Ok(url) => urls.push(url),
                Err(error) => self.problem(&inner, error.to_string()),
            }
        }
        urls
    }

    /// A problem once: a value for all rules is read for each of them.
    fn problem(&mut self, found: &Found<'_>, text: String) {
        once(&found.at, text, &mut self.problems);
    }
}

/// Whether an event may have every field of a template. In EMQX 5's format the fields are what was selected.
fn known_fields(template: &Template, format: Format) -> Result<(), TemplateError> {
    match format {
        Format::Emqx5 => Ok(()),
        _ => template.check(&EventFields::names()),
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

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn topics(at: &str, value: &Value, problems: &mut Problems) -> Vec<TopicFilter> {
    let mut topics = Vec::new();
    for (at, topic) in texts(at, value, problems).unwrap_or_default() {
        match topic.parse() {
            Ok(filter) => topics.push(filter),
            Err(error) => problems.add(at, format_args!("'{topic}': {error}")),
        }
    }
    topics
}

fn sql<T, E: std::fmt::Display>(at: &str, parsed: Result<T, E>, problems: &mut Problems) -> Option<T> {
    parsed.map_err(|error| problems.add(at, error)).ok()
}

/// The texts of a list, each with its key.
fn texts<'a>(at: &str, value: &'a Value, problems: &mut Problems) -> Option<Vec<(String, &'a str)>> {
    let Some(list) = value.as_array() else {
        once(at, "a list of strings was expected".to_owned(), problems);
        return None;
    };
    let mut texts = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let at = format!("{at}.{index}");
        texts.extend(text(&at, value, problems).map(|text| (at, text)));
    }
    Some(texts)
}

fn text<'a>(at: &str, value: &'a Value, problems: &mut Problems) -> Option<&'a str> {
    let text = value.as_str();
    if text.is_none() {
        once(at, "a string was expected".to_owned(), problems);
    }
    text
}

fn object<'a>(at: &str, value: &'a Value, problems: &mut Problems) -> Option<&'a Map<String, Value>> {
    let object = value.as_object();
    if object.is_none() {
        once(at, "a table was expected".to_owned(), problems);
    }
    object
}

fn once(at: &str, text: String, problems: &mut Problems) {
    if !problems.iter().any(|known| known.key == at && known.text == text) {
        problems.add(at, text);
    }
}

fn unknown(at: &str, name: &str, known: &[&str], problems: &mut Problems) {
    match nearest(name, known.iter().copied()) {
        Some(near) => problems.add(at, format_args!("is not known; is '{near}' meant?")),
        None => problems.add(at, format_args!("is not known; known are {}", known.join(", "))),
    }
}

fn unknown_choice(name: &str, names: &[&str]) -> String {
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("\"{name}\" is not known; is \"{near}\" meant?"),
        None => format!("\"{name}\" is not known; known are \"{}\"", names.join("\", \"")),
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
