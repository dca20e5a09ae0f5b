//! The columns of EMQX 5's rule engine (5.8.9), or what `select` or `body` make of them.

use hookhost_guest::{Body, Event, Hook};

use super::{BodyFormat, Content, MatchedEvent, emqx};
use crate::key::RuleKey;
use crate::records::is_system;
use crate::sql::{Columns, Value};
use crate::template::{BodyTemplate, SelectedRow, TemplateError, UrlTemplate};

pub(super) struct Emqx5;

impl BodyFormat for Emqx5 {
    fn name(&self) -> &'static str {
        "emqx5"
    }

    fn hooks(&self, key: RuleKey) -> &'static [Hook] {
        emqx::hooks(key)
    }

    fn content(&self, matched: &MatchedEvent<'_>) -> Option<Content> {
        Some(content(matched))
    }

    /// EMQX 5 does not report the broker's own messages as long as `rule_engine.ignore_sys_message` is on.
    fn reports(&self, key: RuleKey, event: &Event, _as_documented: bool) -> bool {
        emqx::reports_drop(key, event) && emqx::reports_connack(key, event) && !event.message().is_some_and(is_system)
    }

    fn is_usual(&self, key: RuleKey) -> bool {
        matches!(
            key,
            RuleKey::ClientConnack
                | RuleKey::ClientConnected
                | RuleKey::ClientDisconnected
                | RuleKey::ClientAuthenticated
                | RuleKey::ClientAuthorized
                | RuleKey::SessionSubscribed
                | RuleKey::SessionUnsubscribed
                | RuleKey::MessagePublish
                | RuleKey::MessageDelivered
                | RuleKey::MessageAcked
                | RuleKey::MessageDropped
                | RuleKey::DeliveryDropped
        )
    }

    fn settings(&self) -> &'static [&'static str] {
        &["emqx_version", "payload_encoding", "body", "select"]
    }

    fn renders_selection(&self) -> bool {
        true
    }

    fn keeps_content_type(&self) -> bool {
        true
    }

    fn parse_body(&self, text: &str) -> Result<BodyTemplate, TemplateError> {
        Ok(BodyTemplate::parse_emqx5(text))
    }

    fn parse_url(&self, text: &str) -> Result<UrlTemplate, TemplateError> {
        UrlTemplate::parse_emqx5(text)
    }
}

/// The selected columns as JSON, or the rendered `body` of the rule.
fn content(matched: &MatchedEvent<'_>) -> Content {
    let MatchedEvent {
        rule, row, selected, ..
    } = *matched;
    if let Some(body) = &rule.shape.body {
        let all;
        let selected = match selected {
            Some(selected) => selected,
            None => {
                all = Value::object(row.all());
                &all
            }
        };
        return Content::json(body.render_emqx5(&SelectedRow::new(selected)));
    }
    let mut out = String::with_capacity(512);
    match selected {
        Some(selected) => selected.push(&mut out),
        None => row.push(&mut out),
    }
    Content::json(Body::Text(out))
}

#[cfg(test)]
mod tests;
