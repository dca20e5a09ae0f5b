//! The identity that a module receives, and conversions of its answers to types of `hookhost_contract`.

use std::sync::Arc;

use bytes::Bytes;

use super::bindings::hookhost::hook::types as wit;
use hookhost_contract::{Interest, Method, Outcome, Problem, Request};
use hookhost_event::Node;

/// What the host tells a module about the host and the module.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The node of the host.
    pub node: Node,
    /// The name under which the module is loaded.
    pub module: Arc<str>,
    /// The number of this load under the name.
    pub generation: u32,
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

#[cfg(test)]
mod tests {
    use hookhost_event::Hook;

    use super::*;

    #[test]
    fn hooks_go_there_and_back_in_the_order_of_the_contract() {
        for (place, hook) in Hook::ALL.into_iter().enumerate() {
            let there = wit::Hook::from(hook);
            assert_eq!(there as usize, place);
            assert_eq!(Hook::from(there), hook);
        }
    }
}
