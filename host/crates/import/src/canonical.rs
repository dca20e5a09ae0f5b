//! What every broker's configuration is turned into: rules, destinations and settings under the names that hookhost has
//! for them, each with the place that gave it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use hookhost_settings::{Place, Report, Setting, Table, Value, insert};

use super::{Broker, Settings};

/// One rule of the canonical form.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) place: Place,
    /// `rule.EVENT`
    pub(super) event: &'static str,
    /// `None` for the format's own name of the event.
    pub(super) action: Option<String>,
    /// Empty for all topics.
    pub(super) topics: Vec<String>,
    /// Empty for those for all rules.
    pub(super) urls: Vec<String>,
    /// `None`: the URL decides.
    pub(super) destination: Option<String>,
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
            destination: None,
            method: None,
            headers: BTreeMap::new(),
            body: None,
            select: None,
            condition: None,
        }
    }

    fn into_setting(self) -> Setting {
        let place = self.place;
        let mut table = Table::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                table.insert(key.to_owned(), Setting::new(place.clone(), value));
            }
        };
        let texts = |list: Vec<String>| (!list.is_empty()).then(|| Value::texts(&place, list));
        put("action", self.action.map(Value::Text));
        put("topics", texts(self.topics));
        put("urls", texts(self.urls));
        put("destination", self.destination.map(Value::Text));
        put("method", self.method.map(Value::Text));
        put("body", self.body.map(Value::Text));
        put("select", self.select.map(Value::Text));
        put("where", self.condition.map(Value::Text));
        if !self.headers.is_empty() {
            put("headers", Some(Value::text_table(&place, self.headers)));
        }
        Setting::new(place, Value::Table(table))
    }
}

/// Settings of all requests to some URLs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Destination {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) urls: Vec<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) tls: Tls,
    /// Keys as in `[delivery]`.
    pub(super) settings: Table,
}

impl Destination {
    pub(super) fn new(place: Place, name: impl Into<String>) -> Destination {
        Destination {
            place,
            name: name.into(),
            urls: Vec::new(),
            headers: BTreeMap::new(),
            tls: Tls::default(),
            settings: Table::new(),
        }
    }

    /// Whether it has no settings besides its URLs.
    fn is_plain(&self) -> bool {
        self.headers.is_empty() && self.tls == Tls::default() && self.settings.is_empty()
    }

    /// Its settings, each with the place that gave it.
    fn into_setting(self) -> Setting {
        let mut table = self.settings;
        let urls = Value::texts(&self.place, self.urls);
        table.insert("urls".to_owned(), Setting::new(self.place.clone(), urls));
        if !self.headers.is_empty() {
            let headers = Value::text_table(&self.place, self.headers);
            table.insert("headers".to_owned(), Setting::new(self.place.clone(), headers));
        }
        self.tls.put_into(&mut table);
        Setting::new(self.place, Value::Table(table))
    }
}

/// A name that a destination may have. Names of EMQX are such names, but may be longer; they stay different from each
/// other.
pub(super) fn key_name(name: &str) -> String {
    const LONGEST: usize = 64;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let key: String = name.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if key.is_empty() {
        return "_".to_owned();
    }
    if key.len() <= LONGEST {
        return key;
    }
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let begin: String = key.chars().take(LONGEST - 17).collect();
    format!("{begin}_{:016x}", hasher.finish())
}

/// The TLS settings of a destination, as far as they are given.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Tls {
    pub(super) ca: Option<(Place, String)>,
    pub(super) certificate: Option<(Place, String)>,
    pub(super) key: Option<(Place, String)>,
    pub(super) verify: Option<(Place, bool)>,
    pub(super) server_name: Option<(Place, String)>,
}

impl Tls {
    /// Whether certificate and key are both given or both missing; reports the missing one, whose key begins with `prefix`.
    pub(super) fn has_pair(&self, report: &Report, prefix: &str) -> bool {
        let (missing, present) = match (&self.certificate, &self.key) {
            (Some(present), None) => ("keyfile", present),
            (None, Some(present)) => ("certfile", present),
            _ => return true,
        };
        report.problem(&present.0, format!("needs {prefix}{missing} beside it"));
        false
    }

    fn put_into(self, destination: &mut Table) {
        let texts = [
            ("ca", self.ca),
            ("certificate", self.certificate),
            ("key", self.key),
            ("server_name", self.server_name),
        ];
        for (key, given) in texts {
            if let Some((place, text)) = given {
                insert(destination, &["tls", key], Setting::new(place, Value::Text(text)));
            }
        }
        if let Some((place, verify)) = self.verify {
            insert(
                destination,
                &["tls", "verify"],
                Setting::new(place, Value::Boolean(verify)),
            );
        }
    }
}

/// A whole configuration.
#[derive(Debug, Clone)]
pub(super) struct Canonical {
    pub(super) broker: Broker,
    /// The place of the whole.
    pub(super) place: Place,
    pub(super) settings: Table,
    pub(super) rules: Vec<Rule>,
    pub(super) destinations: Vec<Destination>,
}

impl Canonical {
    pub(super) fn new(broker: Broker, place: Place) -> Canonical {
        Canonical {
            broker,
            place,
            settings: Table::new(),
            rules: Vec::new(),
            destinations: Vec::new(),
        }
    }

    /// Sets a key such as `webhook.urls`.
    pub(super) fn set(&mut self, key: &str, place: &Place, value: Value) {
        let path: Vec<&str> = key.split('.').collect();
        insert(&mut self.settings, &path, Setting::new(place.clone(), value));
    }

    /// All settings. Rules are always given, even if there are none: the broker sends nothing without them.
    pub(super) fn into_settings(mut self, report: &Report) -> Settings {
        if self.rules.is_empty() && report.problem_count() == 0 {
            report.warning(&self.place, "has no rules: no webhook will be sent");
        }
        let place = self.place.clone();
        let named: BTreeSet<String> = self.rules.iter().filter_map(|rule| rule.destination.clone()).collect();
        let mut origins = BTreeMap::new();
        let mut rules = Table::new();
        for rule in std::mem::take(&mut self.rules) {
            let none = || Setting::new(rule.place.clone(), Value::List(Vec::new()));
            let of_event = rules.entry(rule.event.to_owned()).or_insert_with(none);
            if let Value::List(list) = &mut of_event.value {
                let path = format!("webhook.rule.{}.{}", rule.event, list.len());
                origins.insert(path, rule.place.clone());
                list.push(rule.into_setting());
            }
        }
        self.set("webhook.rule", &place, Value::Table(rules));
        self.set("webhook.format", &place, Value::Text(self.broker.name().to_owned()));
        for mut destination in std::mem::take(&mut self.destinations) {
            // Files and the terminal take neither headers nor TLS.
            let urls = destination.urls.iter();
            let posted = urls.filter(|url| url.to_ascii_lowercase().starts_with("http"));
            destination.urls = posted.map(|url| prefix(url)).collect();
            destination.urls.dedup();
            let name = key_name(&destination.name);
            if (destination.is_plain() && !named.contains(&name)) || destination.urls.is_empty() {
                continue;
            }
            insert(&mut self.settings, &["destinations", &name], destination.into_setting());
        }
        (self.settings, origins)
    }
}

/// The beginning of a URL that does not depend on the event, by whole parts of its path, without user, query and fragment.
/// It is normalised: `http://h` and `http://h/` are the same.
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
        let long = |end: &str| key_name(&format!("{}{end}", "x".repeat(100)));
        assert_eq!((long("a").len(), long("a")), (64, long("a")));
        assert_ne!(long("a"), long("b"));
    }
}
