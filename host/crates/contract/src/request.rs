//! A request that a module wants sent.

use std::fmt;

use bytes::Bytes;

use super::PART_BYTES;

/// HTTP method of a request; without meaning for `file:` and `stdout:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// All methods.
    pub const ALL: [Method; 5] = [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete];

    /// The word in the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// A request that a module wants sent. Only its size is checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Method; without meaning for `file:` and `stdout:`.
    pub method: Method,
    /// URL; with a destination it can also be a path below the destination's URL, or empty.
    pub url: String,
    /// Header names and values in the order given.
    pub headers: Vec<(String, String)>,
    /// Body; the buffer into which it was read from the module, not a copy.
    pub body: Bytes,
    /// Requests with the same key keep their order; none: the event's client; empty: no order.
    pub ordering_key: Option<String>,
    /// Destination in the host's configuration.
    pub destination: Option<String>,
    /// Further options by name.
    pub options: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn size(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, |text| PART_BYTES + text.len());
        let pairs = |pairs: &[(String, String)]| -> usize {
            pairs
                .iter()
                .map(|(name, value)| PART_BYTES + name.len() + value.len())
                .sum()
        };
        PART_BYTES
            + self.url.len()
            + self.body.len()
            + text(&self.ordering_key)
            + text(&self.destination)
            + pairs(&self.headers)
            + pairs(&self.options)
    }
}

/// Leaves out URL, header values and body, which can contain credentials and payloads.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("destination", &self.destination)
            .field("headers", &self.headers.len())
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}
