//! Destinations configured by an operator: their headers and credentials, and the terms for their requests.
//!
//! A request belongs to the destination that it names. Without a name, it belongs to the destination with the longest
//! prefix that matches its URL. If no prefix matches, or two destinations have the same prefix, [`Settings`] alone apply.
//! The headers of a destination override
//! headers of the same name set by a module, so credentials of the operator always win.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::breaker::BreakerPolicy;
use super::http_options::HttpOptions;
use super::oauth2::OAuth2;
use super::prefix::UrlPrefix;
use super::secret::Secret;
use super::signing::SigningKey;
use super::tls::Tls;
use super::token_bucket::RateLimit;
use super::{RetryPolicy, Settings};

/// How requests to one receiver are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Limit of concurrent requests per destination, divided among the sender threads (at least 1 per thread). Up to this
    /// limit, the number adapts to the latency and the errors of the destination (`concurrency.rs`).
    pub concurrency_limit: usize,
    /// Timeout of one attempt, from connecting to the head of the response.
    pub http_timeout: Duration,
    /// Timeout of connecting.
    pub connect_timeout: Duration,
    /// When a failed request is retried.
    pub retry: RetryPolicy,
    /// Version of HTTP, compression and proxy.
    pub http: HttpOptions,
    /// When requests over HTTP wait because most attempts fail; `None`: never.
    pub breaker: Option<BreakerPolicy>,
    /// Limit of the HTTP requests per second; `None`: no limit. A batch is one request.
    pub rate_limit: Option<RateLimit>,
}

impl Default for Terms {
    /// Returns the defaults of RMQTT's web-hook for the settings that it has.
    fn default() -> Terms {
        Terms {
            concurrency_limit: 128,
            http_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            retry: RetryPolicy::default(),
            http: HttpOptions::default(),
            breaker: Some(BreakerPolicy::default()),
            rate_limit: None,
        }
    }
}

/// A configured receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// The name in the configuration.
    pub name: Arc<str>,
    /// Whether only requests that name it belong to it; it is not chosen by URL.
    pub is_private: bool,
    /// The URL prefixes; at least one. A relative URL of a module is resolved below the first.
    pub urls: Vec<UrlPrefix>,
    /// Headers of every request, including credentials. [`check_header`](super::check_header) checks them.
    pub headers: Vec<(String, Secret)>,
    /// Keys that sign the requests. If empty, requests are not signed.
    pub signing: Vec<SigningKey>,
    /// Fetches an access token for `authorization`.
    pub oauth2: Option<Arc<OAuth2>>,
    /// TLS settings of `https:` connections.
    pub tls: Tls,
    /// The Unix socket to which requests to `http:` URLs go, in place of host and port.
    pub unix: Option<PathBuf>,
    /// How requests are sent.
    pub terms: Terms,
}

/// All configured receivers, ordered by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Destinations(Arc<[Arc<Destination>]>);

/// The terms, headers and credentials of requests: all delivery settings that may change while requests are pending. A
/// request keeps the receivers that were active when it was made ([`OutboxRequest::receivers`]).
///
/// [`OutboxRequest::receivers`]: super::OutboxRequest::receivers
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Receivers {
    /// The terms of requests that belong to no destination.
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

/// Selects the destination of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum DestinationSelector {
    /// The destination with the longest prefix that matches the URL, if there is one and only one.
    #[default]
    Url,
    /// The destination of this name.
    Named(Arc<str>),
    /// No destination, whatever the URL is. The request gets no credentials.
    Nothing,
}

/// Why a module gets no URL for a destination and a URL or path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DestinationError {
    /// No destination has the name.
    #[error("the destination does not exist")]
    Unknown,
    /// The URL is outside the destination.
    #[error("the URL does not belong to the destination")]
    Outside,
}

impl FromIterator<Destination> for Destinations {
    fn from_iter<I: IntoIterator<Item = Destination>>(list: I) -> Destinations {
        let mut list: Vec<Arc<Destination>> = list.into_iter().map(Arc::new).collect();
        list.sort_by(|one, other| one.name.cmp(&other.name));
        Destinations(list.into())
    }
}

impl Destinations {
    /// Iterates over all destinations.
    pub fn iter(&self) -> impl Iterator<Item = &Destination> {
        self.0.iter().map(|destination| &**destination)
    }

    /// Returns the full URL of a request that a module addresses to the destination `name`. `text` is a URL that
    /// matches a prefix of the destination, or a path, a query or an empty text that is appended to its first prefix.
    ///
    /// # Errors
    ///
    /// [`DestinationError`]; it contains neither name nor URL.
    pub fn url(&self, name: &str, text: &str) -> Result<Url, DestinationError> {
        let destination = self.named(name);
        let prefixes = &destination.ok_or(DestinationError::Unknown)?.urls;
        if let Ok(url) = Url::parse(text) {
            let covered = prefixes.iter().any(|prefix| prefix.covers(&url));
            return covered.then_some(url).ok_or(DestinationError::Outside);
        }
        let first = prefixes.first().ok_or(DestinationError::Outside)?;
        first.join(text).ok_or(DestinationError::Outside)
    }

    /// Returns the destination of a request. A name that is no longer configured matches no destination, whatever the
    /// URL is.
    pub(super) fn find(&self, via: &DestinationSelector, url: &Url) -> Option<&Arc<Destination>> {
        match via {
            DestinationSelector::Nothing => None,
            DestinationSelector::Named(name) => self.named(name),
            DestinationSelector::Url => match self.matching(url).as_slice() {
                [destination] => Some(destination),
                _ => None,
            },
        }
    }

    fn named(&self, name: &str) -> Option<&Arc<Destination>> {
        let at = self
            .0
            .binary_search_by(|destination| (*destination.name).cmp(name))
            .ok()?;
        self.0.get(at)
    }

    /// The destinations with the longest prefix that matches a URL. Two or more have the same prefix: a request has to name
    /// one of them.
    pub fn matching(&self, url: &Url) -> Vec<&Arc<Destination>> {
        let length = |destination: &Arc<Destination>| {
            let covering = destination.urls.iter().filter(|prefix| prefix.covers(url));
            covering.map(|prefix| prefix.url().path().len()).max()
        };
        let public = || self.0.iter().filter(|destination| !destination.is_private);
        let Some(longest) = public().filter_map(length).max() else {
            return Vec::new();
        };
        public()
            .filter(|destination| length(destination) == Some(longest))
            .collect()
    }

    /// Returns the highest `concurrency_limit` of all destinations, or 0 without destinations.
    pub(super) fn widest(&self) -> usize {
        self.iter()
            .map(|destination| destination.terms.concurrency_limit)
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
#[path = "destination_tests.rs"]
pub(super) mod tests;
