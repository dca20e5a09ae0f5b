//! Where a module may send: what its requests may name.
//!
//! A module may name the URLs that its own configuration names, and below them; an operator may grant more in
//! `[egress] allow`. Nothing else: a module that is handed a payload must not be able to carry it elsewhere. URLs are
//! compared after parsing, and what was compared is what is sent, so that no second reading of the text can lead
//! to another place. Pure; whoever asks does the counting and the logging.
//!
//! A grant is scheme, host, port and the beginning of a path, by whole segments: `http://h/hook` grants
//! `http://h/hook`, `http://h/hook/a` and `http://h/hook?b`, but not `http://h/hooks`. User names, passwords, queries
//! and fragments of a grant play no part. A URL with placeholders (`http://h/${clientid}/x?t=${topic}`) grants what is
//! below the last slash before the first of them, or its path if that stands in the query.
//!
//! A module may name one of the host's destinations and a path below it; that it is one does not grant it.
//!
//! An entry of `allow` may leave the host open: `https://*/` is every host, `https://*.example.com/` every host below
//! that domain, for `http:` and `https:`. Then the module chooses, or whoever feeds it payloads, and what it chooses is
//! sent to public addresses only ([`Reach::Public`]). A configuration opens nothing: a `*` in it is no host.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::Value;
use url::Url;

use crate::delivery::{DestinationError, Reach, Receivers, below};

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
    /// The URL has none.
    None,
    /// This one, as the URL parser writes it.
    Named(Box<str>),
    /// Every host that ends so, with the dot that it begins with; empty: every host.
    Open(Box<str>),
}

/// A request's URL, and what it may lead to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) url: String,
    pub(super) reach: Reach,
}

/// Why a text grants nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum GrantError {
    #[error("is no URL ({0}); a URL prefix such as https://example.com/hooks is expected")]
    NotAUrl(url::ParseError),
    #[error("begins with a scheme that cannot be sent to; http:, https:, file: and stdout: can")]
    Scheme,
    #[error("has a `*` where none can be; open hosts are written https://*/ (every host) or https://*.example.com/")]
    Star,
}

/// What one module may name.
#[derive(Debug, Clone, Default)]
pub(super) struct Egress {
    grants: Vec<Grant>,
    /// URLs of the configuration in the form in which they are sent: most requests name one of these word by word.
    verbatim: HashSet<Box<str>>,
    /// Of whom requests may name the destinations, and by whom they are sent.
    receivers: Arc<Receivers>,
}

/// Why a request may not be sent. Shows scheme, host and port at most: the rest of a URL may be secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The text is no URL.
    #[error("the URL of the request cannot be read ({0})")]
    NotAUrl(url::ParseError),
    /// The scheme is none that the host sends to.
    #[error("requests can go to http:, https:, file: and stdout:, not to {0}:")]
    Scheme(String),
    /// No grant covers the URL.
    #[error("{0} (or that path there) is not granted; name it in the module's [config] or in [egress] allow")]
    NotGranted(String),
    /// The request names a destination that the host does not have.
    #[error("there is no destination '{0}'")]
    Destination(String),
    /// The request names a destination and a URL that is not below it.
    #[error("the URL is none of destination '{0}'")]
    Outside(String),
    /// The request names a destination that only an open host grants.
    #[error(
        "destination '{0}' is not granted by an open host; name its URL in the module's [config] or in [egress] allow"
    )]
    Open(String),
    /// The request has an option that the host does not know.
    #[error("there is no option '{0}' for requests")]
    Option(String),
}

const SCHEMES: [&str; 4] = ["http", "https", "file", "stdout"];

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

    /// Of a host in which there is a `*`.
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
            // Not the domain itself, and no nameless host below it.
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

/// Without anything that could be secret: no credentials and no query are kept in the first place.
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
    /// The URLs that a configuration names, anywhere in it, and those that were allowed beside it.
    pub(super) fn new(config: &Value, allow: &[Grant]) -> Egress {
        let mut egress = Egress {
            grants: allow.to_vec(),
            verbatim: HashSet::new(),
            receivers: Arc::default(),
        };
        egress.collect(config);
        egress
    }

    /// With the receivers that requests are sent to.
    pub(super) fn with(self, receivers: Arc<Receivers>) -> Egress {
        Egress { receivers, ..self }
    }

    /// The receivers that requests are sent to.
    pub(super) fn receivers(&self) -> &Arc<Receivers> {
        &self.receivers
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text),
            Value::Array(values) => values.iter().for_each(|value| self.collect(value)),
            Value::Object(entries) => entries.iter().for_each(|(key, value)| {
                self.add(key);
                self.collect(value);
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add(&mut self, text: &str) {
        let fixed = fixed(text);
        let Ok(url) = Url::parse(fixed) else { return };
        if !SCHEMES.contains(&url.scheme()) {
            return;
        }
        let grant = Grant::of(&url);
        if !self.grants.contains(&grant) {
            self.grants.push(grant);
        }
        if fixed.len() == text.len() {
            self.verbatim.insert(String::from(url).into());
        }
    }

    /// The whole URL for one that a module named together with a destination. Whether the module may name that URL is
    /// for [`check`](Egress::check) to say.
    pub(super) fn at_destination(&self, name: &str, url: &str) -> Result<String, DestinationError> {
        self.receivers.destinations.url(name, url).map(String::from)
    }

    /// What a module may name, in the order in which it was found.
    pub(super) fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The URL to send to for one that a module named, and what it may lead to: anywhere if any grant names its host.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if it is none, or none that was granted.
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

/// The part of a URL that is the same whatever its placeholders stand for.
fn fixed(text: &str) -> &str {
    let Some((before, _)) = text.split_once("${") else {
        return text;
    };
    match before.split_once(['?', '#']) {
        Some((path, _)) => path,
        None => before
            .rfind('/')
            .and_then(|slash| before.get(..=slash))
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn egress(config: Value, allow: &[&str]) -> Egress {
        Egress::new(
            &config,
            &allow.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_module_may_name_what_its_configuration_names_and_below() {
        let egress = egress(
            json!({
                "urls": ["http://h:5656/hook", "https://user:pw@s/a/?token=t", "not a url", "mailto:x@y"],
                "deep": [{"log": "file:///tmp/x.log"}],
                "http://key.example": 1,
            }),
            &["https://allowed.example/v1"],
        );
        for (url, granted) in [
            ("http://h:5656/hook", true),
            ("http://H:5656/hook", true),
            ("http://u:p@h:5656/hook", true),
            ("http://h:5656/hook/", true),
            ("http://h:5656/hook/a?b#c", true),
            ("http://h:5656/hook/a%2Fb", true),
            ("http://h:5656/hooks", false),
            ("http://h:5656/", false),
            ("http://h:5656/hook/../other", false),
            ("http://h:5656/hook/%2e%2e/other", false),
            ("http://h:5656/hook/..%2fother", false),
            ("http://h:5656/hook/..%5Cother", false),
            ("http://h:5656/hook/%2E%2e%2Fother", false),
            ("http://h/hook", false),
            ("http://h:80/hook", false),
            ("https://h:5656/hook", false),
            ("http://h:5656@evil/hook", false),
            ("http://h.evil:5656/hook", false),
            ("https://s/a/b", true),
            ("https://s:443/a/b", true),
            ("https://s/a", false),
            ("http://key.example/anything", true),
            ("https://allowed.example/v1/x", true),
            ("https://allowed.example/v2", false),
            ("file:///tmp/x.log", true),
            ("file:///tmp/./x.log", true),
            ("file:///tmp/y.log", false),
            ("file:///tmp/x.log/../y.log", false),
            ("stdout:", false),
            ("mailto:x@y", false),
            ("", false),
            ("/hook", false),
        ] {
            assert_eq!(egress.check(url.to_owned()).is_ok(), granted, "{url}");
        }
    }

    #[test]
    fn placeholders_grant_what_they_can_become() {
        let egress = egress(
            json!([
                "http://a/x/y-${clientid}/z",
                "http://b/x?t=${topic}",
                "http://${host}/",
                "http://c${x}/",
                "${x}"
            ]),
            &[],
        );
        for (url, granted) in [
            ("http://a/x/y-1/z", true),
            ("http://a/x/other", true),
            ("http://a/y", false),
            ("http://b/x?t=a%2Fb", true),
            ("http://b/x/y", true),
            ("http://b/y", false),
            ("http://evil/", false),
            ("http://c/", false),
            ("http://cx/", false),
        ] {
            assert_eq!(egress.check(url.to_owned()).is_ok(), granted, "{url}");
        }
        assert_eq!(egress.grants().len(), 2);
    }

    #[test]
    fn nothing_is_granted_by_itself() {
        let none = egress(json!({}), &[]);
        for url in ["http://127.0.0.1/", "file:///etc/passwd", "stdout:"] {
            assert!(none.check(url.to_owned()).is_err(), "{url}");
        }
        for both in [egress(json!("stdout:"), &[]), egress(json!(null), &["stdout:"])] {
            assert_eq!(both.check("stdout:".to_owned()).unwrap().url, "stdout:");
        }
    }

    #[test]
    fn a_host_is_recognised_however_it_is_written() {
        let local = egress(json!("http://127.0.0.1:80/"), &[]);
        assert_eq!(
            local.check("http://0x7f.1/x".to_owned()).unwrap().url,
            "http://127.0.0.1/x"
        );
        let idn = egress(json!("http://bücher.example"), &[]);
        assert!(idn.check("http://xn--bcher-kva.example/x".to_owned()).is_ok());
    }

    #[test]
    fn what_was_compared_is_what_is_sent() {
        let egress = egress(json!("http://h/a"), &[]);
        assert_eq!(
            egress.check("http://h/x/../a/b c".to_owned()).unwrap().url,
            "http://h/a/b%20c"
        );
    }

    #[test]
    fn refusals_keep_secrets() {
        let none = egress(json!({}), &[]);
        let refusal = none
            .check("https://user:hidden@h:1/hidden?hidden".to_owned())
            .unwrap_err();
        assert_eq!(refusal, Refusal::NotGranted("https://h:1".into()));
        let refusal = none.check("https://user:hidden@h:port/hidden".to_owned()).unwrap_err();
        assert!(!refusal.to_string().contains("hidden"));
        let granted = egress(json!("https://user:hidden@h/a?hidden"), &[]);
        assert_eq!(granted.grants()[0].to_string(), "https://h:443/a");
        assert!(!format!("{:?}", granted.grants()).contains("hidden"));
    }

    #[test]
    fn grants_that_grant_nothing_say_why() {
        assert!(
            "example.com"
                .parse::<Grant>()
                .unwrap_err()
                .to_string()
                .contains("is no URL")
        );
        assert_eq!("ftp://h/".parse::<Grant>().unwrap_err(), GrantError::Scheme);
    }

    #[test]
    fn an_open_host_is_the_modules_choice_and_may_be_public_only() {
        let egress = egress(
            json!([
                "https://named.example.com/in",
                "https://*.config.example/",
                "https://10.0.0.1/"
            ]),
            &["https://*.example.com/in", "http://*:8080", "https://*.10.example/"],
        );
        for (url, reach) in [
            ("https://a.example.com/in", Some(Reach::Public)),
            ("https://a.b.EXAMPLE.com/in/x?y", Some(Reach::Public)),
            // Named by the configuration as well.
            ("https://named.example.com/in/x", Some(Reach::Anywhere)),
            ("https://10.0.0.1/x", Some(Reach::Anywhere)),
            ("https://example.com/in", None),
            ("https://.example.com/in", None),
            ("https://aexample.com/in", None),
            ("https://a.example.com.evil/in", None),
            ("https://a.example.com./in", None),
            ("https://a.example.com/other", None),
            ("https://a.example.com:444/in", None),
            ("http://a.example.com/in", None),
            ("https://evil/in@a.example.com/in", None),
            ("https://a.example.com@evil/in", None),
            // Whether an address is public is seen when it is connected to.
            ("http://anything:8080/", Some(Reach::Public)),
            ("http://127.0.0.1:8080/", Some(Reach::Public)),
            ("http://[::1]:8080/x", Some(Reach::Public)),
            ("http://anything/", None),
            ("http://*:8080/", None),
            // A configuration opens nothing.
            ("https://a.config.example/", None),
            ("file:///etc/passwd", None),
        ] {
            let got = egress.check(url.to_owned()).ok().map(|granted| granted.reach);
            assert_eq!(got, reach, "{url}");
        }
        let shown: Vec<_> = egress.grants()[..2].iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["https://*.example.com:443/in", "http://*:8080/"]);
    }

    #[test]
    fn a_star_stands_for_whole_labels_at_the_beginning() {
        for text in [
            "https://a*.example.com/",
            "https://*a.example.com/",
            "https://a.*.com/",
            "https://*.*/",
            "https://*./",
            "https://**/",
            "https://example.*/",
            "file://*/x",
        ] {
            assert_eq!(text.parse::<Grant>(), Err(GrantError::Star), "{text}");
        }
        // Elsewhere it is a sign like any other.
        assert!(
            egress(json!(null), &["http://h/*"])
                .check("http://h/a".to_owned())
                .is_err()
        );
    }

    proptest! {
        /// What is let through is, read again, at the granted host and below the granted path.
        #[test]
        fn nothing_gets_out(text in "(http|HTTP|https|file)?:?[/\\\\]{0,3}[h@:./\\\\%a2efF?#-]{0,24}") {
            let egress = egress(json!("http://h/a"), &[]);
            if let Ok(Granted { url: sent, reach }) = egress.check(text) {
                prop_assert_eq!(reach, Reach::Anywhere);
                let url = Url::parse(&sent).unwrap();
                prop_assert_eq!(url.as_str(), sent.as_str());
                prop_assert_eq!((url.scheme(), url.host_str(), url.port()), ("http", Some("h"), None));
                prop_assert!(url.path() == "/a" || url.path().starts_with("/a/"));
            }
        }
    }
}
