//! Where a module may send: what its requests may name.
//!
//! A module may name the URLs that its own configuration names, and below them; an operator may grant more in
//! `[egress] allow`. Nothing else: a module that is handed a payload must not be able to carry it elsewhere. URLs are
//! compared after parsing, and what was compared is what is sent, so that no second reading of the text can lead
//! to another place. Pure; whoever asks does the counting and the logging.
//!
//! A grant is scheme, host, port and the beginning of a path, by whole segments: `http://h/hook` grants
//! `http://h/hook`, `http://h/hook/a` and `http://h/hook?b`, but not `http://h/hooks`. User names, passwords, queries
//! and fragments of a grant play no part.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use url::Url;

use crate::delivery::below;

/// A place that a module may name, and everything below it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Grant {
    scheme: Box<str>,
    host: Option<Box<str>>,
    port: Option<u16>,
    path: Box<str>,
}

/// Why a text grants nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum GrantError {
    #[error("is no URL ({0}); a URL prefix such as https://example.com/hooks is expected")]
    NotAUrl(url::ParseError),
    #[error("begins with a scheme that cannot be sent to; http:, https:, file: and stdout: can")]
    Scheme,
}

/// What one module may name.
#[derive(Debug, Clone, Default)]
pub(super) struct Egress {
    grants: Vec<Grant>,
    /// URLs of the configuration in the form in which they are sent: most requests name one of these word by word.
    verbatim: HashSet<Box<str>>,
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
    /// The request names a destination; the host has none by name.
    #[error("there is no destination '{0}'")]
    Destination(String),
    /// The request has an option that the host does not know.
    #[error("there is no option '{0}' for requests")]
    Option(String),
}

const SCHEMES: [&str; 4] = ["http", "https", "file", "stdout"];

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Grant, GrantError> {
        let url = Url::parse(text).map_err(GrantError::NotAUrl)?;
        if SCHEMES.contains(&url.scheme()) {
            Ok(Grant::of(&url))
        } else {
            Err(GrantError::Scheme)
        }
    }
}

impl Grant {
    fn of(url: &Url) -> Grant {
        Grant {
            scheme: url.scheme().into(),
            host: url.host_str().map(Into::into),
            port: url.port_or_known_default(),
            path: url.path().into(),
        }
    }

    fn covers(&self, url: &Url) -> bool {
        *self.scheme == *url.scheme()
            && self.host.as_deref() == url.host_str()
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
        if let Some(host) = &self.host {
            write!(f, "//{host}")?;
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
        };
        egress.collect(config);
        egress
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
        let Ok(url) = Url::parse(text) else { return };
        if !SCHEMES.contains(&url.scheme()) {
            return;
        }
        let grant = Grant::of(&url);
        if !self.grants.contains(&grant) {
            self.grants.push(grant);
        }
        self.verbatim.insert(String::from(url).into());
    }

    /// What a module may name, in the order in which it was found.
    pub(super) fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The URL to send to for one that a module named.
    ///
    /// # Errors
    ///
    /// [`Refusal`] if it is none, or none that was granted.
    pub(super) fn check(&self, text: String) -> Result<String, Refusal> {
        if self.verbatim.contains(text.as_str()) {
            return Ok(text);
        }
        let url = Url::parse(&text).map_err(Refusal::NotAUrl)?;
        if !SCHEMES.contains(&url.scheme()) {
            return Err(Refusal::Scheme(url.scheme().chars().take(20).collect()));
        }
        if self.grants.iter().any(|grant| grant.covers(&url)) {
            Ok(url.into())
        } else {
            Err(Refusal::NotGranted(
                Grant {
                    path: "".into(),
                    ..Grant::of(&url)
                }
                .to_string(),
            ))
        }
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
    fn nothing_is_granted_by_itself() {
        let none = egress(json!({}), &[]);
        for url in ["http://127.0.0.1/", "file:///etc/passwd", "stdout:"] {
            assert!(none.check(url.to_owned()).is_err(), "{url}");
        }
        for both in [egress(json!("stdout:"), &[]), egress(json!(null), &["stdout:"])] {
            assert_eq!(both.check("stdout:".to_owned()).unwrap(), "stdout:");
        }
    }

    #[test]
    fn a_host_is_recognised_however_it_is_written() {
        let local = egress(json!("http://127.0.0.1:80/"), &[]);
        assert_eq!(local.check("http://0x7f.1/x".to_owned()).unwrap(), "http://127.0.0.1/x");
        let idn = egress(json!("http://bücher.example"), &[]);
        assert!(idn.check("http://xn--bcher-kva.example/x".to_owned()).is_ok());
    }

    #[test]
    fn what_was_compared_is_what_is_sent() {
        let egress = egress(json!("http://h/a"), &[]);
        assert_eq!(
            egress.check("http://h/x/../a/b c".to_owned()).unwrap(),
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

    proptest! {
        /// What is let through is, read again, at the granted host and below the granted path.
        #[test]
        fn nothing_gets_out(text in "(http|HTTP|https|file)?:?[/\\\\]{0,3}[h@:./\\\\%a2efF?#-]{0,24}") {
            let egress = egress(json!("http://h/a"), &[]);
            if let Ok(sent) = egress.check(text) {
                let url = Url::parse(&sent).unwrap();
                prop_assert_eq!(url.as_str(), sent.as_str());
                prop_assert_eq!((url.scheme(), url.host_str(), url.port()), ("http", Some("h"), None));
                prop_assert!(url.path() == "/a" || url.path().starts_with("/a/"));
            }
        }
    }
}
