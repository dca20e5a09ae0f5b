//! Rules that publish messages: URLs that begin with `mqtt:`.
//!
//! The sender of a message is the `action` of its rule, as EMQX 5 has the id of the rule. So a rule recognises its own
//! messages and does not publish again because of them; the host ends longer loops.

use super::Rule;
use crate::template::{UrlTemplate, push_percent};
use hookhost_guest::event::{Event, Origin};
use hookhost_guest::request::Request;

/// Whether the rule would publish because of its own message.
pub(super) fn repeats(rule: &Rule, url: &UrlTemplate, event: &Event) -> bool {
    let is_own = event
        .message()
        .is_some_and(|message| message.origin == Origin::Module && message.publisher.id == rule.action);
    let repeats = is_own && url.is_message();
    if repeats {
        hookhost_guest::debug!(
            "rule '{}' does not publish again because of its own message",
            rule.action
        );
    }
    repeats
}

/// A rendered URL with the rule as the sender, unless it names another one.
pub(super) fn with_sender(mut url: String, rule: &Rule) -> String {
    let query = url.split_once('?').map(|(_, query)| query);
    let is_named = query.is_some_and(|query| query.split('&').any(|parameter| parameter.starts_with("sender=")));
    if !is_named {
        url.push_str(if query.is_some() { "&sender=" } else { "?sender=" });
        for byte in rule.action.bytes() {
            match byte {
                byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => url.push(char::from(byte)),
                byte => push_percent(&mut url, byte),
            }
        }
    }
    url
}

/// The request as it fits its URL: the headers of a message are those of the rule, because they become user properties.
pub(super) fn fitting(mut request: Request, rule: &Rule) -> Request {
    if request.url.starts_with("mqtt:") {
        request
            .headers
            .retain(|(name, _)| rule.shape.headers.iter().any(|(own, _)| own == name));
        request.destination = None;
    }
    request
}
