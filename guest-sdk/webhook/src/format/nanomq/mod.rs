//! NanoMQ's web hook (0.25).

mod body;

use hookhost_guest::{Detail, EndReason, Event, Hook};

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

    /// NanoMQ does not report refused subscriptions, nor the end of a connection whose session stays, unless the client
    /// sent DISCONNECT.
    fn reports(&self, _key: RuleKey, event: &Event, as_documented: bool) -> bool {
        match &event.detail {
            Detail::ClientSubscribe(subscription) => subscription.code < 128,
            Detail::ClientDisconnected(disconnection) => {
                as_documented
                    || disconnection.connection.clean_start
                    || disconnection.end.reason == EndReason::Disconnect
            }
            _ => true,
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
