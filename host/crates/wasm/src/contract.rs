//! What goes in and out of an instance besides events, in types of the host's own.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::bindings::hookhost::hook::types as wit;
use hookhost_event::{Hook, Node};

/// What a module is told about its host and about itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The host's node.
    pub node: Node,
    /// Name under which the module is loaded.
    pub module: Arc<str>,
    /// Counts the loads under this name.
    pub generation: u32,
}

/// What a module wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// The kind of event.
    pub hook: Hook,
    /// Topic filters, as the module wrote them and unchecked; for [`Hook::Other`] names of events; empty: everything.
    pub filters: Vec<String>,
}

/// A mistake in a module's settings, in the module's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: keys and indices joined by dots; empty: the whole.
    pub key: String,
    /// What is wrong and what was expected.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            f.write_str(&self.text)
        } else {
            write!(f, "{}: {}", self.key, self.text)
        }
    }
}

/// HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
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

/// A request that a module wants to be sent. Nothing in it is checked but its size.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Method; without meaning for `file:` and `stdout:`.
    pub method: Method,
    /// URL, or with a destination a path below that one's URL, or empty.
    pub url: String,
    /// Header names and values in the order given.
    pub headers: Vec<(String, String)>,
    /// Body; the buffer that it was read from the guest into, not a copy of it.
    pub body: Bytes,
    /// Requests with the same key keep their order; none: the event's client; empty: no order.
    pub ordering_key: Option<String>,
    /// Destination in the host's configuration.
    pub destination: Option<String>,
    /// Further wishes by name.
    pub options: Vec<(String, String)>,
}

/// Leaves out URL, header values and body: they may hold credentials and what devices say.
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

/// What a module makes of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to send.
    Ignore,
    /// Send these, in this order.
    Deliver(Vec<Request>),
    /// The module could not handle the event; the text is the module's, as it is.
    Fail(String),
}

/// What each text, pair and request counts beside its bytes, so that a million empty ones are not free.
const PART: usize = 64;

impl Outcome {
    /// Size in bytes as [`Limits::outcome_bytes`](super::Limits::outcome_bytes) counts it.
    pub(super) fn size(&self) -> usize {
        let pairs = |list: &[(String, String)]| list.iter().map(|(a, b)| PART + a.len() + b.len()).sum::<usize>();
        match self {
            Outcome::Ignore => 0,
            Outcome::Fail(text) => PART + text.len(),
            Outcome::Deliver(requests) => requests
                .iter()
                .map(|request| {
                    PART + request.url.len()
                        + request.body.len()
                        + request.ordering_key.as_ref().map_or(0, |key| PART + key.len())
                        + request.destination.as_ref().map_or(0, |name| PART + name.len())
                        + pairs(&request.headers)
                        + pairs(&request.options)
                })
                .sum(),
        }
    }
}

impl From<wit::Outcome> for Outcome {
    fn from(outcome: wit::Outcome) -> Outcome {
        match outcome {
            wit::Outcome::Ignore => Outcome::Ignore,
            wit::Outcome::Deliver(requests) => Outcome::Deliver(requests.into_iter().map(Request::from).collect()),
            wit::Outcome::Fail(text) => Outcome::Fail(text),
        }
    }
}

impl From<wit::Request> for Request {
    fn from(request: wit::Request) -> Request {
        Request {
            method: match request.method {
                wit::Method::Get => Method::Get,
                wit::Method::Post => Method::Post,
                wit::Method::Put => Method::Put,
                wit::Method::Patch => Method::Patch,
                wit::Method::Delete => Method::Delete,
            },
            url: request.url,
            headers: request.headers,
            body: match request.body {
                wit::Body::Text(text) => Bytes::from(text),
                wit::Body::Bytes(bytes) => Bytes::from(bytes),
            },
            ordering_key: request.ordering_key,
            destination: request.destination,
            options: request.options,
        }
    }
}

impl From<wit::Interest> for Interest {
    fn from(interest: wit::Interest) -> Interest {
        Interest {
            hook: interest.hook.into(),
            filters: interest.filters,
        }
    }
}

impl From<wit::Problem> for Problem {
    fn from(problem: wit::Problem) -> Problem {
        Problem {
            key: problem.key,
            text: problem.text,
        }
    }
}

/// Writes the two enums of hooks down once, for both directions.
macro_rules! hooks {
    ($($name:ident),* $(,)?) => {
        impl From<wit::Hook> for Hook {
            fn from(hook: wit::Hook) -> Hook {
                match hook { $(wit::Hook::$name => Hook::$name,)* }
            }
        }

        impl From<Hook> for wit::Hook {
            fn from(hook: Hook) -> wit::Hook {
                match hook { $(Hook::$name => wit::Hook::$name,)* }
            }
        }
    };
}

hooks!(
    ClientConnect,
    ClientConnack,
    ClientConnected,
    ClientDisconnected,
    ClientAuthenticated,
    ClientAuthorized,
    ClientSubscribe,
    ClientUnsubscribe,
    SessionCreated,
    SessionResumed,
    SessionSubscribed,
    SessionUnsubscribed,
    SessionDiscarded,
    SessionTakenOver,
    SessionTerminated,
    MessagePublish,
    MessageDelivered,
    MessageAcked,
    MessageDropped,
    MessageRefused,
    DeliveryDropped,
    MessageQueued,
    DeliveryLost,
    Other,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_go_there_and_back_in_the_order_of_the_contract() {
        for (place, hook) in Hook::ALL.into_iter().enumerate() {
            let there = wit::Hook::from(hook);
            assert_eq!(there as usize, place);
            assert_eq!(Hook::from(there), hook);
        }
    }

    fn request() -> Request {
        Request {
            method: Method::Post,
            url: "http://user:secret@h/".into(),
            headers: vec![("authorization".into(), "secret".into())],
            body: Bytes::from_static(b"secret"),
            ordering_key: None,
            destination: None,
            options: vec![],
        }
    }

    #[test]
    fn debug_keeps_secrets() {
        let text = format!("{:?}", Outcome::Deliver(vec![request()]));
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn sizes() {
        assert_eq!(Outcome::Ignore.size(), 0);
        assert_eq!(Outcome::Deliver(vec![]).size(), 0);
        assert_eq!(Outcome::Fail("four".into()).size(), PART + 4);
        assert_eq!(
            Outcome::Deliver(vec![request(); 2]).size(),
            2 * (PART + 21 + PART + 19 + 6)
        );
    }
}
