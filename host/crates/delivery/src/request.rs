//! A request in the outbox, and how it may be shown.
//!
//! An [`OutboxRequest`] owns all its data, so it can wait, be retried or be written to disk. Bodies, header values, URL
//! credentials and URL queries are treated as secrets. `Debug` and every log line of this crate use [`shown`].

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use hookhost_activity::TraceParent;
use hookhost_contract::{Method, Ticket};
use hookhost_event::ByteString;

use super::batching::Batching;
use super::destination::{DestinationSelector, Receivers};

/// Which addresses the URL of a request may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Any address: an operator has named the host.
    #[default]
    Anywhere,
    /// Public addresses only: the module has chosen the host. A request to any other address is dropped
    /// ([`Dead::barred`](super::Dead::barred)).
    Public,
}

/// What a dead letter says about the event of its request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventSummary {
    /// The hook, under its name in the event JSON, such as `message-publish`.
    pub hook: ByteString,
    /// When it happened, in milliseconds since 1970; 0 if unknown.
    pub at: u64,
    /// The id of its client; empty if it has none.
    pub client: ByteString,
    /// Its topic or topic filter; empty if it has none.
    pub topic: ByteString,
}

/// A request to deliver: the request of a module, with the data added by the host.
#[derive(Clone, PartialEq)]
pub struct OutboxRequest {
    /// The id of the event that caused the request: 32 hex digits.
    pub id: String,
    /// A summary of that event.
    pub event: EventSummary,
    /// The name of the module that made it.
    pub source: Arc<str>,
    /// The generation of that module.
    pub generation: u32,
    /// The method.
    pub method: Method,
    /// An `http:`, `https:`, `file:`, `stdout:` or `mqtt:` URL.
    pub url: String,
    /// The settings of the receivers; `None`: the settings at the start of delivery.
    pub receivers: Option<Arc<Receivers>>,
    /// Selects the configured destination.
    pub via: DestinationSelector,
    /// Which addresses the URL may lead to.
    pub reach: Reach,
    /// Headers in order; repeated names are sent repeatedly. Headers about the connection or the length of the body
    /// (`connection`, `content-length`, …) are left out, because the host sets them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// Requests of one destination with the same key are delivered in order. An empty key means no order.
    pub ordering_key: String,
    /// How the request is sent together with others; `None`: alone. Without effect unless the URL is `http:` or `https:`.
    pub batching: Option<Batching>,
    /// When the request expires. After that it is not sent anymore.
    pub expires: Option<SystemTime>,
    /// How many messages of modules led to the event: 0 unless a module has published the message of the event.
    pub republishes: u8,
    /// The span of the request, if its trace is exported and no header `traceparent` names it.
    pub span: Option<Box<TraceParent>>,
    /// What delivery completes when the request is on disk, or is delivered or given up earlier.
    pub ticket: Option<Ticket>,
}

impl OutboxRequest {
    /// Returns the bytes that the request counts for in a bounded queue: its texts, its body and a fixed overhead.
    ///
    /// A body that is a slice of a larger buffer counts only its own length.
    pub fn size(&self) -> usize {
        /// The request without its texts, and the space of it and its key in the queue.
        const FIXED: usize = 512;
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let event = self.event.hook.len() + self.event.client.len() + self.event.topic.len();
        FIXED + self.id.len() + event + self.url.len() + headers + self.body.len() + self.ordering_key.len()
    }
}

impl fmt::Debug for OutboxRequest {
    /// Leaves out the body, the header values, and the credentials, query and fragment of the URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("OutboxRequest")
            .field("id", &self.id)
            .field("source", &self.source)
            .field("generation", &self.generation)
            .field("method", &self.method)
            .field("url", &shown(&self.url))
            .field("via", &self.via)
            .field("reach", &self.reach)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .field("ordering_key", &self.ordering_key)
            .finish()
    }
}

/// Returns a URL as it may be shown: without user, password, query and fragment. Control characters are escaped, and a
/// long URL is cut.
///
/// Works on the text, because invalid URLs must be shown too. If the text is ambiguous, it leaves out more: everything
/// up to the last `@` before the path.
pub fn shown(url: &str) -> String {
    const LONGEST: usize = 256;
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let (before, _) = url.split_at(end);
    let (scheme, rest) = match before.split_once(':') {
        Some((scheme, rest)) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
            (scheme, rest)
        }
        _ => ("", before),
    };
    let authority_at = rest.len() - rest.trim_start_matches(['/', '\\']).len();
    let (slashes, rest) = rest.split_at(authority_at);
    let host_end = rest.find(['/', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(host_end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let colon = if scheme.is_empty() { "" } else { ":" };
    let mut text = String::new();
    for c in [scheme, colon, slashes, host, path].into_iter().flat_map(str::chars) {
        if text.len() >= LONGEST {
            text.push('…');
            break;
        }
        if c.is_control() {
            text.extend(c.escape_default())
        } else {
            text.push(c)
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_url_are_not_shown() {
        for (url, want) in [
            ("http://127.0.0.1:5656/hook", "http://127.0.0.1:5656/hook"),
            ("https://user:secret@host/a/b?token=1#x", "https://host/a/b"),
            ("https://user:se@cret@host", "https://host"),
            ("http:user:secret@host/a@b", "http:host/a@b"),
            ("http:\\\\user:secret@host\\a", "http:\\\\host\\a"),
            ("user:secret@host/path", "user:host/path"),
            ("us er:secret@host", "host"),
            ("file:///tmp/x.log", "file:///tmp/x.log"),
            ("stdout:", "stdout:"),
            ("http://h/a\r\nb", "http://h/a\\r\\nb"),
            ("", ""),
        ] {
            assert_eq!(shown(url), want, "{url}");
        }
        assert!(shown(&format!("http://h/{}", "é".repeat(1000))).len() < 300);
    }

    #[test]
    fn debug_hides_body_header_values_and_credentials() {
        let request = OutboxRequest {
            id: "01".into(),
            event: EventSummary::default(),
            source: "webhook".into(),
            generation: 1,
            method: Method::Post,
            url: "http://me:hidden-1@host/a?hidden-2".into(),
            receivers: None,
            via: DestinationSelector::Url,
            reach: Reach::Public,
            headers: vec![("x-token".into(), "hidden-3".into())],
            body: Bytes::from_static(b"hidden-4"),
            ordering_key: "client".into(),
            batching: None,
            expires: None,
            republishes: 0,
            span: None,
            ticket: None,
        };
        let text = format!("{request:?}");
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains("x-token") && text.contains("http://host/a"), "{text}");
    }
}
