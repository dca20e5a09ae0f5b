//! What a request for an event contains, and what a format makes it from.

use hookhost_guest::{Body, Event, Node};

use crate::columns::Row;
use crate::key::RuleKey;
use crate::rules::Rule;
use crate::sql::Value;

/// The content of a request.
pub(crate) struct Content {
    /// Headers with lower-case names, `content-type` among them.
    pub(crate) headers: Vec<(String, String)>,
    /// The body.
    pub(crate) body: Body,
}

impl Content {
    /// A JSON body.
    pub(crate) fn json(body: Body) -> Content {
        Content::new(body, "application/json")
    }

    /// A body of a content type.
    pub(crate) fn new(body: Body, content_type: &str) -> Content {
        // Most formats add one header.
        let mut headers = Vec::with_capacity(2);
        headers.push(("content-type".to_owned(), content_type.to_owned()));
        Content { headers, body }
    }
}

/// An event and a rule that matches it.
pub(crate) struct MatchedEvent<'a> {
    /// The key of the rule.
    pub(crate) key: RuleKey,
    /// The rule.
    pub(crate) rule: &'a Rule,
    /// The event.
    pub(crate) event: &'a Event,
    /// The node of the host, for clients that are not on another node.
    pub(crate) node: &'a Node,
    /// The event as columns and as fields.
    pub(crate) row: &'a Row<'a>,
    /// What the rule's `select` made of the row; `None` if the rule selects everything.
    pub(crate) selected: Option<&'a Value<'a>>,
}
