//! EMQX 4's web-hook plugin (4.4.19).

mod body;

use hookhost_guest::{Detail, EndReason, Event, Hook};

use super::documented::{self, Page};
use super::{BodyFormat, Content, MatchedEvent, emqx};
use crate::key::RuleKey;

pub(super) use body::ip;

pub(super) struct Emqx4;

impl BodyFormat for Emqx4 {
    fn name(&self) -> &'static str {
        "emqx4"
    }

    fn hooks(&self, key: RuleKey) -> &'static [Hook] {
        match key {
            RuleKey::SessionCreated => &[],
            key if key <= RuleKey::MessageDropped => emqx::hooks(key),
            _ => &[],
        }
    }

    fn content(&self, matched: &MatchedEvent<'_>) -> Option<Content> {
        let MatchedEvent {
            key, rule, event, node, ..
        } = *matched;
        let body = match rule.shape.as_documented {
            true => documented::body(Page::Emqx4, key, rule, event),
            false => body::body(key, rule, event, &node.name),
        };
        body.map(Content::json)
    }

    /// EMQX 4 checks permission before it reports a subscription. It does not report the end of a connection whose
    /// session continues on another connection or was discarded, and no messages of `$SYS/`.
    fn reports(&self, key: RuleKey, event: &Event, as_documented: bool) -> bool {
        match &event.detail {
            Detail::ClientSubscribe(subscription) => as_documented || subscription.code < 128,
            Detail::ClientDisconnected(disconnection) => {
                let elsewhere = [EndReason::TakenOver, EndReason::Discarded];
                as_documented || !elsewhere.contains(&disconnection.end.reason)
            }
            _ => {
                let is_sys = event
                    .message()
                    .is_some_and(|message| message.topic.starts_with("$SYS/"));
                emqx::reports_drop(key, event) && emqx::reports_connack(key, event) && !is_sys
            }
        }
    }

    fn settings(&self) -> &'static [&'static str] {
        &["emqx_version", "payload_encoding"]
    }

    fn default_action(&self, key: RuleKey, as_documented: bool) -> &'static str {
        match key {
            RuleKey::SessionUnsubscribed if as_documented => "session_unsubscribe",
            _ => key.name(),
        }
    }
}

#[cfg(test)]
mod tests;
