//! RMQTT's web-hook plugin (0.24).

mod body;
mod reason;

use hookhost_guest::{Body, Detail, DropReason, Event, Hook};

use super::{BodyFormat, Content, MatchedEvent};
use crate::key::RuleKey;
use crate::records::is_system;

pub(super) struct Rmqtt;

impl BodyFormat for Rmqtt {
    fn name(&self) -> &'static str {
        "rmqtt"
    }

    fn hooks(&self, key: RuleKey) -> &'static [Hook] {
        match key {
            RuleKey::MessagePublish => &[Hook::MessagePublish, Hook::MessageRefused],
            RuleKey::MessageDropped => &[Hook::DeliveryDropped, Hook::MessageRefused],
            key if key <= RuleKey::OfflineMessage => key.hook(),
            _ => &[],
        }
    }

    fn content(&self, matched: &MatchedEvent<'_>) -> Option<Content> {
        let MatchedEvent {
            key, rule, event, node, ..
        } = *matched;
        let body = body::body(key, event, node.id, &rule.action, rule.shape.as_documented)?;
        let mut content = Content::json(Body::Text(body));
        content.headers.push(("accept".to_owned(), "*/*".to_owned()));
        Some(content)
    }

    /// RMQTT reports a publish before it checks permission, so it reports a refused one twice. It does not report what
    /// happens to the broker's own messages, nor that a client does not get its own message.
    fn reports(&self, key: RuleKey, event: &Event, _as_documented: bool) -> bool {
        match (key, &event.detail) {
            (RuleKey::MessagePublish, Detail::MessageRefused(drop)) => {
                matches!(drop.reason, DropReason::NotAuthorized | DropReason::Invalid)
            }
            (RuleKey::MessagePublish, _) => true,
            (RuleKey::MessageDropped, Detail::DeliveryDropped(drop)) if drop.reason == DropReason::NoLocal => false,
            // RMQTT accepts wildcards in the topic of a publish.
            (RuleKey::MessageDropped, Detail::MessageRefused(drop)) if drop.message.topic.contains(['+', '#']) => false,
            _ => !event.message().is_some_and(is_system),
        }
    }

    /// RMQTT ignores the topics of rules for dropped messages.
    fn uses_topics(&self, key: RuleKey) -> bool {
        key.has_subject() && key != RuleKey::MessageDropped
    }

    fn refusal(&self, setting: &str) -> &'static str {
        match setting {
            "payload_encoding" => ", whose payloads are always base64",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests;
