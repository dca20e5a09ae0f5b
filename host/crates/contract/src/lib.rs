//! What a module returns: its interests, the outcome of an event, the requests to send, the problems of its settings. Also
//! the [`Ticket`], which reports when the requests of an event are stored.
//!
//! These are the types of `wit/hook.wit` that a module returns, independent of Wasm. Engines, the module host and delivery
//! share them, so each idea has one type. Nothing here is checked: the part that uses a value checks it.

mod request;
mod ticket;

use std::fmt;

use hookhost_event::Hook;

pub use request::{Method, Request};
pub use ticket::{Completion, Lost, Ticket, ticket};

/// Events that a module wants: those of one hook, all of them or those that one of the filters matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    /// The kind of event.
    pub hook: Hook,
    /// Topic filters, as the module wrote them; for [`Hook::Other`] names of events, compared exactly. Empty: all events
    /// of the hook, those with a subject that begins with `$` too.
    pub filters: Vec<String>,
}

/// What a module makes of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to send.
    Ignore,
    /// Send these, in this order. An empty list means the same as [`Outcome::Ignore`].
    Deliver(Vec<Request>),
    /// The module could not handle the event; the text is the module's, unchanged.
    Fail(String),
}

/// An error in a module's settings, in the module's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: keys and indices joined by dots; empty for the whole.
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

/// What each text, pair and request counts in addition to its bytes, so that a million empty ones are not free.
const PART_BYTES: usize = 64;

impl Outcome {
    /// Memory that the outcome takes, in bytes: its texts and bodies, and a fixed cost for each part.
    pub fn size(&self) -> usize {
        match self {
            Outcome::Ignore => 0,
            Outcome::Fail(text) => PART_BYTES + text.len(),
            Outcome::Deliver(requests) => requests.iter().map(Request::size).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

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
        assert_eq!(Outcome::Fail("four".into()).size(), PART_BYTES + 4);
        assert_eq!(
            Outcome::Deliver(vec![request(); 2]).size(),
            2 * (PART_BYTES + 21 + PART_BYTES + 19 + 6)
        );
    }
}
