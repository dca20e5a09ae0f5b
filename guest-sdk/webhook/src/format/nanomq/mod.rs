//! NanoMQ's web hook (0.25).

mod body;
mod further;

use hookhost_guest::topic::TopicFilter;
use hookhost_guest::{Detail, Event, Hook};

use super::documented::{self, Page};
use super::{BodyFormat, Content, MatchedEvent};
use crate::encoding::Encoding;
use crate::key::RuleKey;

pub(super) use body::{answer, with_payload};

pub(super) struct Nanomq;

impl BodyFormat for Nanomq {
    fn name(&self) -> &'static str {
        "nanomq"
    }

    fn hooks(&self, key: RuleKey) -> &'static [Hook] {
        match key {
            RuleKey::SessionCreated | RuleKey::MessageDropped => &[],
            key if key <= RuleKey::MessageAcked => key.hook(),
            _ => &[],
        }
    }

    fn content(&self, matched: &MatchedEvent<'_>) -> Option<Content> {
        let MatchedEvent { key, rule, event, .. } = *matched;
        let body = match rule.shape.as_documented {
            true => documented::body(Page::Nanomq, key, rule, event),
            false => body::body(key, rule, event),
        };
        body.map(Content::json)
    }

    /// NanoMQ does not report refused subscriptions, nor the end of a connection without clean start: see [`further`].
    fn reports(&self, _key: RuleKey, event: &Event, as_documented: bool) -> bool {
        match &event.detail {
            Detail::ClientSubscribe(subscription) => subscription.code < 128,
            Detail::ClientDisconnected(disconnection) => as_documented || disconnection.connection.clean_start,
            _ => true,
        }
    }

    fn further(&self, event: &Event) -> Vec<Event> {
        further::further(event)
    }

    fn further_hooks(&self, key: RuleKey, topics: &[TopicFilter]) -> &'static [Hook] {
        match key {
            RuleKey::ClientDisconnected => &[Hook::ClientConnack, Hook::SessionDiscarded, Hook::SessionTerminated],
            RuleKey::MessagePublish if further::matches_status(topics) => &[
                Hook::ClientConnack,
                Hook::ClientDisconnected,
                Hook::SessionDiscarded,
                Hook::SessionTerminated,
            ],
            _ => &[],
        }
    }

    fn wildcards_match_dollar(&self) -> bool {
        true
    }

    fn settings(&self) -> &'static [&'static str] {
        &["payload_encoding"]
    }

    fn base62(&self) -> Encoding {
        Encoding::Base62Number
    }
}

#[cfg(test)]
mod tests;
