//! Egress control: where a module may send requests.
//!
//! A module may name the URLs that its own configuration names, and everything below them. An operator may grant more
//! in `[egress] allow`. Everything else is refused, so that a module cannot carry a payload elsewhere. The check parses
//! URLs before it compares them. The host sends the URL that was compared, so that a second parser cannot read another
//! place from the text. Pure: the caller counts and logs.
//!
//! A grant is a scheme, host, port and the beginning of a path, by whole segments. `http://h/hook` grants
//! `http://h/hook`, `http://h/hook/a` and `http://h/hook?b`, but not `http://h/hooks`. User names, passwords, queries
//! and fragments of a grant are ignored. A URL with placeholders (`http://h/${clientid}/x?t=${topic}`) grants
//! everything below the last slash before the first placeholder. If the first placeholder is in the query, the URL
//! grants its path. `mqtt:alarms/` grants the topics below `alarms`, and `mqtt:` every topic.
//!
//! A module may name one of the host's destinations and a path below it. The destination alone does not grant it.
//!
//! An entry of `allow` may leave the host open: `https://*/` is every host, `https://*.example.com/` is every host
//! below that domain, for `http:` and `https:`. The module, or a client whose payloads it reads, then chooses the host.
//! Such requests are sent to public addresses only ([`Reach::Public`]). A configuration opens no hosts: a `*` in it is
//! not a valid host.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;
use url::Url;

use hookhost_delivery::{DestinationError, Reach, Receivers, below};

/// A place that a module may name, and everything below it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    scheme: Box<str>,
    host: Host,
    port: Option<u16>,
    path: Box<str>,
}

/// The hosts of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Host {
    /// The URL has no host.
    None,
    /// This one, as the URL parser writes it.
    Named(Box<str>),
    /// Every host with this suffix, which begins with a dot. If empty: every host.
    Open(Box<str>),
}

/// A request's URL, and the addresses that it may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) url: String,
    pub(super) reach: Reach,
}

/// Why a text grants nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum GrantError {
    #[error("is not a URL ({0}); expected a URL prefix such as https://example.com/hooks")]
    NotAUrl(url::ParseError),
    #[error("has an unsupported scheme; supported are http:, https:, file:, stdout: and mqtt:")]
    Scheme,
    #[error("has a `*` in an invalid place; write an open host as https://*/ (every host) or https://*.example.com/")]
    Star,
}

/// The places that one module may name.
#[derive(Debug, Clone, Default)]
pub(super) struct Egress {
    grants: Vec<Grant>,
    /// URLs of the configuration in the form in which they are sent. Most requests name one of these word by word.
    verbatim: HashSet<Box<str>>,
    /// The receivers that send the requests, and the destinations that requests may name.
    receivers: Arc<Receivers>,
}

/// Why a request may not be sent. Shows at most scheme, host and port: the rest of a URL may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The text is not a URL.
    #[error("the URL of the request cannot be read ({0})")]
    NotAUrl(url::ParseError),
    /// The host does not send to URLs of this scheme.
    #[error("requests can go to http:, https:, file:, stdout: and mqtt:, not to {0}:")]
    Scheme(String),
    /// No grant covers the URL.
    #[error("{0} (or this path) is not granted; add the URL to the module's [config] or to [egress] allow")]
    NotGranted(String),
    /// The request names a destination that the host does not have.
    #[error("there is no destination '{0}'")]
    Destination(String),
    /// The request names a destination and a URL that is not below it.
    #[error("the URL is not below a URL of destination '{0}'")]
    Outside(String),
    /// The request names a destination that only an open host grants.
    #[error(
        "destination '{0}' is not granted by an open host; name its URL in the module's [config] or in [egress] allow"
    )]
    Open(String),
    /// The request has an option that the host does not know.
    #[error("there is no option '{0}' for requests")]
    Option(String),
    /// The value of the option `max_age` is not a duration.
    #[error("option 'max_age' of the request: '{0}' is not a duration such as 10m")]
    MaxAge(String),
    /// The value of the option `batch` cannot be used.
    #[error("option 'batch' of the request: {0}")]
    Batch(#[from] hookhost_delivery::BatchingError),
}

const SCHEMES: [&str; 5] = ["http", "https", "file", "stdout", "mqtt"];

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Grant, GrantError> {
        let url = Url::parse(text).map_err(GrantError::NotAUrl)?;
        if !SCHEMES.contains(&url.scheme()) {
            return Err(GrantError::Scheme);
        }
        let host = match url.host_str() {
            Some(host) if host.contains('*') => Host::open(host)?,
            _ => return Ok(Grant::of(&url)),
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(GrantError::Star);
        }
        Ok(Grant {
            host,
            ..Grant::of(&url)
        })
    }
}

impl Host {
    fn of(url: &Url) -> Host {
        url.host_str().map_or(Host::None, |host| Host::Named(host.into()))
    }

    /// For a host that contains a `*`.
    fn open(host: &str) -> Result<Host, GrantError> {
        match host.strip_prefix('*') {
            Some("") => Ok(Host::Open("".into())),
            Some(domain) if domain.len() > 1 && domain.starts_with('.') && !domain.contains('*') => {
                Ok(Host::Open(domain.into()))
            }
            _ => Err(GrantError::Star),
        }
    }

    fn covers(&self, url: &Url) -> bool {
        match (self, url.host_str()) {
            (Host::None, host) => host.is_none(),
            (Host::Named(name), host) => host == Some(name),
            // Excludes the domain itself, and an empty name below it.
            (Host::Open(domain), Some(host)) => {
                let below = host.strip_suffix(&**domain).is_some_and(|rest| !rest.is_empty());
                below && !host.contains('*')
            }
            (Host::Open(_), None) => false,
        }
    }
}

impl Grant {
    fn of(url: &Url) -> Grant {
        Grant {
            scheme: url.scheme().into(),
            host: Host::of(url),
            port: url.port_or_known_default(),
            path: url.path().into(),
        }
    }

    fn reach(&self) -> Reach {
        match self.host {
            Host::None | Host::Named(_) => Reach::Anywhere,
            Host::Open(_) => Reach::Public,
        }
    }

    fn covers(&self, url: &Url) -> bool {
        *self.scheme == *url.scheme()
            && self.host.covers(url)
            && self.port == url.port_or_known_default()
            && below(&self.path, url.path())
    }
}

/// Shows nothing secret: credentials and queries are never stored.
impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_string())
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        match &self.host {
            Host::None => {}
            Host::Named(host) => write!(f, "//{host}")?,
            Host::Open(domain) => write!(f, "//*{domain}")?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

impl Egress {
    /// The URLs anywhere in a configuration, and those that `allow` adds.
    pub(super) fn new(config: &Value, allow: &[Grant]) -> Egress {
        let mut egress = Egress {
            grants: allow.to_vec(),
            verbatim: HashSet::new(),
            receivers: Arc::default(),
        };
        let mut known = allow.iter().cloned().collect();
        egress.collect(config, &mut known);
        egress
    }

    /// With the receivers of requests.
    pub(super) fn with(self, receivers: Arc<Receivers>) -> Egress {
        Egress { receivers, ..self }
    }

    /// The receivers of requests.
    pub(super) fn receivers(&self) -> &Arc<Receivers> {
        &self.receivers
    }

    /// Adds the URLs in a value. `known` are the grants so far.
    fn collect(&mut self, value: &Value, known: &mut HashSet<Grant>) {
        match value {
            Value::String(text) => self.add(text, known),
            Value::Array(values) => values.iter().for_each(|value| self.collect(value, known)),
            Value::Object(entries) => entries.iter().for_each(|(key, value)| {
                self.add(key, known);
                self.collect(value, known);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add(&mut self, text: &str, known: &mut HashSet<Grant>) {
        let fixed = fixed(text);
        let Ok(url) = Url::parse(fixed) else { return };
        if !SCHEMES.contains(&url.scheme()) {
            return;
        }
        let grant = Grant::of(&url);
        if known.insert(grant.clone()) {
            self.grants.push(grant);
        }
        if fixed.len() == text.len() {
            self.verbatim.insert(String::from(url).into());
        }
    }

    /// Returns the whole URL for a URL that a module named together with a destination. [`check`](Egress::check)
    /// decides whether the module may name that URL.
    pub(super) fn at_destination(&self, name: &str, url: &str) -> Result<String, DestinationError> {
        self.receivers.destinations.url(name, url).map(String::from)
    }

    /// The grants of a module, in the order in which they were found.
    pub(super) fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Returns the URL to send to, and the addresses that it may reach: any address if a grant names its host.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if the text is not a URL, or if no grant covers it.
    pub(super) fn check(&self, text: String) -> Result<Granted, Refusal> {
        if self.verbatim.contains(text.as_str()) {
            let reach = Reach::Anywhere;
            return Ok(Granted { url: text, reach });
        }
        let url = Url::parse(&text).map_err(Refusal::NotAUrl)?;
        if !SCHEMES.contains(&url.scheme()) {
            return Err(Refusal::Scheme(url.scheme().chars().take(20).collect()));
        }
        let mut covering = self.grants.iter().filter(|grant| grant.covers(&url)).map(Grant::reach);
        let reach = match covering.next() {
            Some(Reach::Public) if covering.any(|reach| reach == Reach::Anywhere) => Reach::Anywhere,
            Some(reach) => reach,
            None => {
                let named = Grant {
                    path: "".into(),
                    ..Grant::of(&url)
                };
                return Err(Refusal::NotGranted(named.to_string()));
            }
        };
        Ok(Granted { url: url.into(), reach })
    }
}

/// The constant beginning of a URL: the part before its placeholders.
fn fixed(text: &str) -> &str {
    let Some((before, _)) = text.split_once("${") else {
        return text;
    };
    match before.split_once(['?', '#']) {
        Some((path, _)) => path,
        None => {
            // The topic of `mqtt:` begins after the colon.
            let end = before.rfind('/').or_else(|| before.find(':'));
            end.and_then(|end| before.get(..=end)).unwrap_or_default()
        }
    }
}

#[cfg(test)]
#[path = "egress_tests.rs"]
mod tests;
