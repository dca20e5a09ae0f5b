//! Receivers that an operator has configured: what requests to them get, and on which terms they are sent.
//!
//! A request belongs to the destination that it names, or else to the one of which a prefix is the longest beginning of
//! its URL, or else to none; then [`Settings`] alone say how it is sent. What a destination gives takes the place of
//! headers of the same name that a module has made: credentials of the operator always win.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::prefix::UrlPrefix;
use super::secret::Secret;
use super::signing::SigningKey;
use super::tls::Tls;
use super::{Settings, retry::Policy};

/// How requests to one receiver are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Requests under way at once per destination, divided among the sender threads (at least 1 each). Receivers that
    /// answer within a millisecond need no more than 32, and those cost less processor time each than 128.
    pub concurrency_limit: usize,
    /// Timeout of one attempt, from connecting to the end of the answer.
    pub http_timeout: Duration,
    /// Timeout of making a connection.
    pub connect_timeout: Duration,
    /// First wait between attempts; each wait is varied by ±50 %.
    pub retry_initial_interval: Duration,
    /// The factor from one wait to the next; values below 1 are treated as 1.
    pub retry_multiplier: f64,
    /// Longest wait between attempts, before it is varied, and longest `Retry-After` that is honoured.
    pub retry_max_interval: Duration,
    /// Time from the first attempt to the last, after which the request is dropped.
    pub retry_max_elapsed_time: Duration,
}

impl Default for Terms {
    /// The defaults of RMQTT's web-hook where it has the setting.
    fn default() -> Terms {
        Terms {
            concurrency_limit: 128,
            http_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            retry_initial_interval: Duration::from_millis(500),
            retry_multiplier: 2.5,
            retry_max_interval: Duration::from_secs(60),
            retry_max_elapsed_time: Duration::from_secs(60),
        }
    }
}

impl Terms {
    pub(super) fn policy(&self) -> Policy {
        Policy {
            initial: self.retry_initial_interval,
            multiplier: self.retry_multiplier,
            max_interval: self.retry_max_interval,
            max_elapsed: self.retry_max_elapsed_time,
        }
    }
}

/// A configured receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Where it begins; at least one. What a module names below it is below the first.
    pub urls: Vec<UrlPrefix>,
    /// Headers of every request, credentials included; checked by [`check_header`](super::check_header).
    pub headers: Vec<(String, Secret)>,
    /// Keys that requests are signed with; none: they are not signed.
    pub signing: Vec<SigningKey>,
    /// How `https:` connections are made.
    pub tls: Tls,
    /// How requests are sent.
    pub terms: Terms,
}

/// All configured receivers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Destinations(Arc<[Arc<Destination>]>);

/// How requests are sent and what their receivers are given: all of delivery that may change while requests are on
/// their way. A request is bound to the receivers that were in force when it was made ([`OutboxRequest::receivers`]).
///
/// [`OutboxRequest::receivers`]: super::OutboxRequest::receivers
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Receivers {
    /// How requests are sent that belong to no destination.
    pub terms: Terms,
    /// The destinations.
    pub destinations: Destinations,
}

impl From<&Settings> for Receivers {
    fn from(settings: &Settings) -> Receivers {
        Receivers {
            terms: settings.terms.clone(),
            destinations: settings.destinations.clone(),
        }
    }
}

/// By which destination a request is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Via {
    /// The one whose prefix is the longest beginning of the URL, if there is one.
    #[default]
    Url,
    /// The one of this name.
    Named(Arc<str>),
    /// None, whatever the URL: the request gets no credentials.
    Nothing,
}

/// Why there is no URL for what a module has named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// No destination has the name.
    #[error("there is no such destination")]
    Unknown,
    /// The URL leads elsewhere.
    #[error("the URL is not one of that destination")]
    Outside,
}

impl FromIterator<Destination> for Destinations {
    fn from_iter<I: IntoIterator<Item = Destination>>(list: I) -> Destinations {
        Destinations(list.into_iter().map(Arc::new).collect())
    }
}

impl Destinations {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Destination> {
        self.0.iter().map(|destination| &**destination)
    }

    /// The whole URL for one that a module named together with a destination: one that begins as the destination does,
    /// or a path, a query or nothing below it.
    ///
    /// # Errors
    ///
    /// [`DestinationError`]; neither name nor URL is repeated.
    pub fn url(&self, name: &str, text: &str) -> Result<Url, DestinationError> {
        let destination = self.iter().find(|destination| *destination.name == *name);
        let prefixes = &destination.ok_or(DestinationError::Unknown)?.urls;
        if let Ok(url) = Url::parse(text) {
            let covered = prefixes.iter().any(|prefix| prefix.covers(&url));
            return covered.then_some(url).ok_or(DestinationError::Outside);
        }
        let first = prefixes.first().ok_or(DestinationError::Outside)?;
        first.join(text).ok_or(DestinationError::Outside)
    }

    /// The destination of a request. One that is named but no more there gives none of its own to any other.
    pub(super) fn find(&self, via: &Via, url: &Url) -> Option<&Arc<Destination>> {
        match via {
            Via::Nothing => None,
            Via::Named(name) => self.0.iter().find(|destination| destination.name == *name),
            Via::Url => {
                let covering = self.0.iter().flat_map(|destination| {
                    let covering = destination.urls.iter().filter(|prefix| prefix.covers(url));
                    covering.map(move |prefix| (prefix.url().path().len(), destination))
                });
                covering
                    .max_by_key(|(length, _)| *length)
                    .map(|(_, destination)| destination)
            }
        }
    }

    /// The highest `concurrency_limit` of any.
    pub(super) fn widest(&self) -> usize {
        self.iter()
            .map(|destination| destination.terms.concurrency_limit)
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A destination without anything of its own.
    pub(crate) fn destination(name: &str, urls: &[&str]) -> Destination {
        Destination {
            name: name.into(),
            urls: urls.iter().map(|url| UrlPrefix::parse(url).unwrap()).collect(),
            headers: Vec::new(),
            signing: Vec::new(),
            tls: Tls::default(),
            terms: Terms::default(),
        }
    }

    #[test]
    fn the_longest_beginning_wins_and_a_name_beats_it() {
        let all: Destinations = [
            destination("host", &["https://h/"]),
            destination("hook", &["https://other/", "https://h/hook"]),
            destination("deep", &["https://h/hook/a/"]),
        ]
        .into_iter()
        .collect();
        let named = |name: &str| Via::Named(name.into());
        for (via, url, expected) in [
            (Via::Url, "https://h/x", Some("host")),
            (Via::Url, "https://h/hook?x", Some("hook")),
            (Via::Url, "https://h/hooks", Some("host")),
            (Via::Url, "https://h/hook/a", Some("hook")),
            (Via::Url, "https://h/hook/a/b", Some("deep")),
            (Via::Url, "https://other/b", Some("hook")),
            (Via::Url, "http://h/hook", None),
            (named("host"), "https://h/hook/a/b", Some("host")),
            (named("none"), "https://h/hook/a/b", None),
            (Via::Nothing, "https://h/hook/a/b", None),
        ] {
            let found = all.find(&via, &url.parse().unwrap());
            assert_eq!(found.map(|found| &*found.name), expected, "{via:?} {url}");
        }
    }

    #[test]
    fn a_module_may_name_a_path_below_a_destination() {
        let all: Destinations = [destination("hook", &["https://h/hook", "https://g/"])]
            .into_iter()
            .collect();
        for (name, text, expected) in [
            ("hook", "", Ok("https://h/hook")),
            ("hook", "a?b", Ok("https://h/hook/a?b")),
            ("hook", "/a", Ok("https://h/hook/a")),
            ("hook", "https://g/x", Ok("https://g/x")),
            ("hook", "https://h/hook/x", Ok("https://h/hook/x")),
            ("hook", "https://h/", Err(DestinationError::Outside)),
            ("hook", "https://evil/", Err(DestinationError::Outside)),
            ("hook", "../a", Err(DestinationError::Outside)),
            ("hook", "stdout:", Err(DestinationError::Outside)),
            ("other", "", Err(DestinationError::Unknown)),
        ] {
            let got = all.url(name, text);
            assert_eq!(
                got.as_ref().map(Url::as_str).map_err(|error| *error),
                expected,
                "{text}"
            );
        }
    }
}
