//! What every broker's configuration is turned into: rules, destinations and settings in this host's words, each with
//! the place that said it.

use std::collections::BTreeMap;

use super::said::Report;
use super::{Format, Reading};
use hookhost_settings::Source;
use hookhost_settings::document::{Node, Table, Value};
use hookhost_settings::reader::{Given, Layer, Place};

/// A value in this host's words, and the place of what it was made from.
pub(super) type Entry = (Place, Value);

/// One rule of the canonical form.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) place: Place,
    /// `rule.EVENT`
    pub(super) event: &'static str,
    /// None: the format's own name of the event.
    pub(super) action: Option<String>,
    /// None: all topics.
    pub(super) topics: Vec<String>,
    /// None: those for all rules.
    pub(super) urls: Vec<String>,
    pub(super) method: Option<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<String>,
    pub(super) select: Option<String>,
    pub(super) condition: Option<String>,
}

impl Rule {
    pub(super) fn new(place: Place, event: &'static str) -> Rule {
        Rule {
            place,
            event,
            action: None,
            topics: Vec::new(),
            urls: Vec::new(),
            method: None,
            headers: BTreeMap::new(),
            body: None,
            select: None,
            condition: None,
        }
    }

    fn into_node(self) -> Node {
        let line = line_of(&self.place);
        let mut table = Table::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                table.insert(key.to_owned(), Node { line, value });
            }
        };
        put("action", self.action.map(Value::Text));
        put("topics", some_texts(self.topics, line));
        put("urls", some_texts(self.urls, line));
        put("method", self.method.map(Value::Text));
        put("body", self.body.map(Value::Text));
        put("select", self.select.map(Value::Text));
        put("where", self.condition.map(Value::Text));
        put(
            "headers",
            Some(self.headers)
                .filter(|map| !map.is_empty())
                .map(|map| text_table(map, line)),
        );
        let value = Value::Table(table);
        Node { line, value }
    }
}

/// What holds for all requests to some URLs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Destination {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) urls: Vec<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) tls: Tls,
    /// Keys as in `[delivery]`.
    pub(super) settings: BTreeMap<&'static str, Entry>,
}

impl Destination {
    pub(super) fn new(place: Place, name: impl Into<String>) -> Destination {
        Destination {
            place,
            name: name.into(),
            urls: Vec::new(),
            headers: BTreeMap::new(),
            tls: Tls::default(),
            settings: BTreeMap::new(),
        }
    }

    /// Whether it says anything.
    fn is_plain(&self) -> bool {
        self.headers.is_empty() && self.tls == Tls::default() && self.settings.is_empty()
    }

    /// Its settings by key, each with the place that gave it, beside the empty table that says that it exists.
    fn into_entries(self) -> Vec<(String, Entry)> {
        let line = line_of(&self.place);
        let own = format!("destinations.{}", key_name(&self.name));
        let mut entries = vec![(own.clone(), (self.place.clone(), Value::Table(Table::new())))];
        let mut put = |key: &str, place: Place, value: Value| entries.push((format!("{own}.{key}"), (place, value)));
        put("urls", self.place.clone(), texts(self.urls, line));
        if !self.headers.is_empty() {
            put("headers", self.place.clone(), text_table(self.headers, line));
        }
        self.tls.into_entries(&mut put);
        for (key, (place, value)) in self.settings {
            put(key, place, value);
        }
        entries
    }
}

/// A name that a destination may have.
fn key_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name: String = name.chars().map(|c| if fits(c) { c } else { '_' }).take(64).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

/// The TLS settings of a destination; what is not given is the host's default.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Tls {
    pub(super) ca: Option<(Place, String)>,
    pub(super) certificate: Option<(Place, String)>,
    pub(super) key: Option<(Place, String)>,
    pub(super) verify: Option<(Place, bool)>,
    pub(super) server_name: Option<(Place, String)>,
}

impl Tls {
    /// What it says, without places.
    pub(super) fn meaning(&self) -> (Vec<Option<&str>>, Option<bool>) {
        let texts = [&self.ca, &self.certificate, &self.key, &self.server_name];
        let texts = texts.map(|said| said.as_ref().map(|(_, text)| text.as_str()));
        (texts.to_vec(), self.verify.as_ref().map(|(_, verify)| *verify))
    }

    fn into_entries(self, put: &mut impl FnMut(&str, Place, Value)) {
        let texts = [
            ("tls.ca", self.ca),
            ("tls.certificate", self.certificate),
            ("tls.key", self.key),
            ("tls.server_name", self.server_name),
        ];
        for (key, said) in texts {
            if let Some((place, text)) = said {
                put(key, place, Value::Text(text));
            }
        }
        if let Some((place, verify)) = self.verify {
            put("tls.verify", place, Value::Boolean(verify));
        }
    }
}

/// A whole configuration.
#[derive(Debug)]
pub(super) struct Canonical {
    pub(super) format: Format,
    /// Where the whole of it stands.
    pub(super) place: Place,
    /// By key, such as `webhook.urls`.
    pub(super) settings: BTreeMap<String, Entry>,
    pub(super) rules: Vec<Rule>,
    pub(super) destinations: Vec<Destination>,
}

impl Canonical {
    pub(super) fn new(format: Format, place: Place) -> Canonical {
        Canonical {
            format,
            place,
            settings: BTreeMap::new(),
            rules: Vec::new(),
            destinations: Vec::new(),
        }
    }

    pub(super) fn set(&mut self, key: &str, place: &Place, value: Value) {
        self.settings.insert(key.to_owned(), (place.clone(), value));
    }

    /// The layer of settings. Rules are always given, if need be as none: the broker sends nothing without them.
    pub(super) fn into_reading(self, mut report: Report) -> Reading {
        let mut layer = Layer::new();
        let mut origins = BTreeMap::new();
        let mut put = |key: String, place: Place, value: Value| {
            let line = line_of(&place);
            layer.insert(key, (place, Given::Node(Node { line, value })));
        };
        if self.rules.is_empty() && report.problems.is_empty() {
            report.warning(&self.place, "has no rules: no webhook will be sent");
        }
        let mut rules = Table::new();
        for rule in self.rules {
            let line = line_of(&rule.place);
            let place = rule.place.clone();
            let of_event = rules.entry(rule.event.to_owned()).or_insert_with(|| Node {
                line,
                value: Value::List(Vec::new()),
            });
            if let Value::List(list) = &mut of_event.value {
                origins.insert(format!("webhook.rule.{}.{}", rule.event, list.len()), place);
                list.push(rule.into_node());
            }
        }
        put("webhook.rule".to_owned(), self.place.clone(), Value::Table(rules));
        put(
            "webhook.format".to_owned(),
            self.place.clone(),
            Value::Text(self.format.name().to_owned()),
        );
        for (key, (place, value)) in self.settings {
            put(key, place, value);
        }
        for mut destination in self.destinations {
            // Files and the terminal take neither headers nor TLS.
            let urls = destination.urls.iter();
            let posted = urls.filter(|url| url.to_ascii_lowercase().starts_with("http"));
            destination.urls = posted.map(|url| prefix(url)).collect();
            destination.urls.dedup();
            if destination.is_plain() || destination.urls.is_empty() {
                continue;
            }
            for (key, (place, value)) in destination.into_entries() {
                put(key, place, value);
            }
        }
        Reading {
            layer,
            origins,
            problems: report.problems,
            warnings: report.warnings,
            notes: report.notes,
        }
    }
}

/// The beginning of a URL that does not depend on the event, by whole parts of its path; without what is no part of the
/// beginning of URLs. However it is written: `http://h` and `http://h/` are one.
pub(super) fn prefix(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let url = match url.find("${") {
        None => url,
        Some(at) => {
            let fixed = url.get(..at).unwrap_or(url);
            fixed.rfind('/').and_then(|slash| fixed.get(..=slash)).unwrap_or(fixed)
        }
    };
    let Ok(mut parsed) = url::Url::parse(url) else {
        return url.to_owned();
    };
    // Both work for every URL that has a host.
    let bare = parsed.set_username("").and_then(|()| parsed.set_password(None));
    match bare {
        Ok(()) => parsed.to_string(),
        Err(()) => url.to_owned(),
    }
}

/// The line of a place; the first one if it is no file.
pub(super) fn line_of(place: &Place) -> usize {
    match &place.source {
        Source::File { line: Some(line), .. } => *line,
        _ => 1,
    }
}

pub(super) fn texts(texts: Vec<String>, line: usize) -> Value {
    let nodes = texts.into_iter().map(|text| Node {
        line,
        value: Value::Text(text),
    });
    Value::List(nodes.collect())
}

fn some_texts(list: Vec<String>, line: usize) -> Option<Value> {
    (!list.is_empty()).then(|| texts(list, line))
}

fn text_table(map: BTreeMap<String, String>, line: usize) -> Value {
    let entries = map.into_iter().map(|(name, text)| {
        let value = Value::Text(text);
        (name, Node { line, value })
    });
    Value::Table(entries.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_depend_on_the_event() {
        for (url, fixed) in [
            ("http://h", "http://h/"),
            ("http://h/a/b", "http://h/a/b"),
            ("https://u:p@h/a?b=${c}", "https://h/a"),
            ("http://h/a/b${c}/d", "http://h/a/"),
            ("http://h/${c}#d", "http://h/"),
        ] {
            assert_eq!(prefix(url), fixed);
        }
    }

    #[test]
    fn names_of_destinations() {
        for (name, key) in [("a_B-1", "a_B-1"), ("a b.é", "a_b__"), ("", "_")] {
            assert_eq!(key_name(name), key);
        }
        assert_eq!(key_name(&"x".repeat(100)).len(), 64);
    }
}
