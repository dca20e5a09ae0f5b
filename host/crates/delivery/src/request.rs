//! One request in the outbox, and how it may be shown.
//!
//! A [`OutboxRequest`] owns all it needs, so that it can wait, be repeated or be written to disk. Bodies, header values, URL
//! credentials and URL queries are secrets here: `Debug` and every log line of this part go through [`shown`].

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use hookhost_contract::Method;

use super::destination::{Receivers, Via};

/// What a request's URL may lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Any address: an operator has named the host.
    #[default]
    Anywhere,
    /// Public addresses only: the module has chosen the host. A request that leads elsewhere is given up
    /// ([`Dropped::barred`](super::Dropped::barred)).
    Public,
}

/// A request to deliver: what a module wants sent, and what the host adds.
#[derive(Clone, PartialEq)]
pub struct OutboxRequest {
    /// Id of the event it was made from: 32 hex digits.
    pub id: String,
    /// Name of the module that made it.
    pub source: Arc<str>,
    /// Generation of that module.
    pub generation: u32,
    /// Method.
    pub method: Method,
    /// `http:`, `https:`, `file:` or `stdout:` URL.
    pub url: String,
    /// What receivers are given and on which terms; none: as delivery was started.
    pub receivers: Option<Arc<Receivers>>,
    /// Which configured destination it is for.
    pub via: Via,
    /// What the URL may lead to.
    pub reach: Reach,
    /// Headers in order; repeated names are sent repeatedly. Those that describe the connection or the length of the
    /// body (`connection`, `content-length`, …) are the host's own and left out.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
    /// Requests of one destination with the same key are delivered in order; empty: no order.
    pub ordering_key: String,
}

impl OutboxRequest {
    /// Bytes that the request counts for in a bounded queue: its texts, its body and a fixed share for what it is kept
    /// in.
    ///
    /// A body that is a slice of a larger buffer counts for itself only.
    pub fn size(&self) -> usize {
        /// One request without its texts, and the places of it and of its key in the queue.
        const FIXED: usize = 512;
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        FIXED + self.id.len() + self.url.len() + headers + self.body.len() + self.ordering_key.len()
    }
}

impl fmt::Debug for OutboxRequest {
    /// Leaves out the body, the values of headers, and of the URL the credentials, query and fragment.
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

/// A URL as it may be shown: without user, password, query and fragment, control characters escaped, and cut when long.
///
/// Works on the text, because URLs that do not parse must be shown too. Where a text leaves room for doubt more is
/// left out: everything up to the last `@` before the path.
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
            source: "webhook".into(),
            generation: 1,
            method: Method::Post,
            url: "http://me:hidden-1@host/a?hidden-2".into(),
            receivers: None,
            via: Via::Url,
            reach: Reach::Public,
            headers: vec![("x-token".into(), "hidden-3".into())],
            body: Bytes::from_static(b"hidden-4"),
            ordering_key: "client".into(),
        };
        let text = format!("{request:?}");
        assert!(!text.contains("hidden"), "{text}");
        assert!(text.contains("x-token") && text.contains("http://host/a"), "{text}");
    }
}
