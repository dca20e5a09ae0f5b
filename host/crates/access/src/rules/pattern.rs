//! The topics of a rule: filters that may contain the client's id and user name.
//!
//! | placeholder | replaced by |
//! | --- | --- |
//! | `%c`, `${clientid}` | the client id |
//! | `%u`, `${username}` | the user name |
//!
//! A client chooses its id and perhaps its user name. If such a text contains `+`, `#` or `/`, the filter of an `allow`
//! rule could cover topics of other clients, so the rule does not match this client. The filter of a `deny` rule becomes
//! `#` from the level with such a text on.

use std::borrow::Cow;

use hookhost_shared::topic::{FilterError, TopicFilter};

use super::filters::{covers, overlaps};
use super::{Action, Operation, Permission};
use crate::Identity;

/// A filter of a rule, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    text: Box<str>,
    /// Whether it is compared as a text, wildcards included.
    is_literal: bool,
}

/// What a placeholder is replaced by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    ClientId,
    Username,
}

const PLACEHOLDERS: [(&str, Placeholder); 4] = [
    ("%c", Placeholder::ClientId),
    ("${clientid}", Placeholder::ClientId),
    ("%u", Placeholder::Username),
    ("${username}", Placeholder::Username),
];

/// The first placeholder in a text: what is before it, itself, and what is after it.
fn split(text: &str) -> Option<(&str, Placeholder, &str)> {
    let found = PLACEHOLDERS
        .iter()
        .filter_map(|(name, placeholder)| Some((text.find(name)?, name, *placeholder)));
    let (at, name, placeholder) = found.min_by_key(|(at, ..)| *at)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, placeholder, rest.strip_prefix(*name)?))
}

impl TopicPattern {
    /// A filter with or without placeholders.
    ///
    /// # Errors
    ///
    /// The text, with any level for each placeholder, is not a topic filter.
    pub fn filter(text: &str) -> Result<TopicPattern, FilterError> {
        let mut example = String::new();
        let mut rest = text;
        while let Some((before, _, after)) = split(rest) {
            example.push_str(before);
            example.push('x');
            rest = after;
        }
        example.push_str(rest);
        example.parse::<TopicFilter>()?;
        Ok(TopicPattern {
            text: text.into(),
            is_literal: false,
        })
    }

    /// A text that a topic or a filter must be equal to, wildcards included. It may contain placeholders.
    pub fn literal(text: &str) -> TopicPattern {
        TopicPattern {
            text: text.into(),
            is_literal: true,
        }
    }

    /// Whether it depends on the client.
    pub(super) fn has_placeholders(&self) -> bool {
        split(&self.text).is_some()
    }

    /// The filter for one client; `None` if it cannot match this client.
    pub(super) fn for_client(&self, client: &Identity, permission: Permission) -> Option<ClientFilter> {
        let text = self.fill(client, permission)?;
        if self.is_literal {
            return Some(ClientFilter::Equal(text.into()));
        }
        // With a level that became too long it is no filter any more, and matches no topic.
        text.parse().ok().map(ClientFilter::Matching)
    }

    /// The text for one client.
    fn fill(&self, client: &Identity, permission: Permission) -> Option<Cow<'_, str>> {
        if !self.has_placeholders() {
            return Some(Cow::Borrowed(&self.text));
        }
        let mut filled = String::new();
        for (index, level) in self.text.split('/').enumerate() {
            if index > 0 {
                filled.push('/');
            }
            let start = filled.len();
            let mut rest = level;
            while let Some((before, placeholder, after)) = split(rest) {
                let value = match placeholder {
                    Placeholder::ClientId => Some(&*client.client_id),
                    Placeholder::Username => client.username.as_deref(),
                };
                let value = value.filter(|value| !value.is_empty())?;
                filled.push_str(before);
                if value.contains(['+', '#', '/', '\0']) && !(self.is_literal && permission == Permission::Deny) {
                    if permission == Permission::Allow {
                        return None;
                    }
                    filled.truncate(start);
                    filled.push('#');
                    return Some(Cow::Owned(filled));
                }
                filled.push_str(value);
                rest = after;
            }
            filled.push_str(rest);
        }
        Some(Cow::Owned(filled))
    }
}

/// A filter of a rule, for one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClientFilter {
    /// Matches every topic and filter.
    Everything,
    /// Matches as a topic filter.
    Matching(TopicFilter),
    /// Matches this text only.
    Equal(Box<str>),
}

impl ClientFilter {
    /// Whether it matches an operation; `permission` is that of its rule.
    pub(super) fn matches(&self, permission: Permission, operation: &Operation<'_>) -> bool {
        match (self, operation.action) {
            (ClientFilter::Everything, _) => true,
            (ClientFilter::Equal(text), _) => **text == *operation.topic,
            (ClientFilter::Matching(filter), Action::Publish) => filter.matches(operation.topic),
            (ClientFilter::Matching(filter), Action::Subscribe) => match permission {
                Permission::Allow => covers(filter.as_str(), operation.topic),
                Permission::Deny => overlaps(filter.as_str(), operation.topic),
            },
        }
    }
}
