//! The built-in module: webhook rules, and the request bodies that RMQTT, EMQX 4, EMQX 5 and NanoMQ send.
//!
//! [`Webhook`] is the complete module. A module that combines the rules with a body of its own uses [`Rules`]:
//!
//! ```
//! use hookhost_webhook::Rules;
//! use hookhost_guest::{Event, Host, Interest, Module, Outcome, Problems, testing};
//! use serde_json::{Value, json};
//!
//! struct Lines(Rules);
//!
//! impl Module for Lines {
//!     type Config = Value;
//!
//!     fn new(config: Value, host: &Host) -> Result<Self, Problems> {
//!         Ok(Lines(Rules::parse(&config, host)?))
//!     }
//!
//!     fn interests(&self) -> Vec<Interest> {
//!         self.0.interests()
//!     }
//!
//!     fn on_event(&mut self, event: &Event) -> Outcome {
//!         self.0.outcome(event, |_, rule| Some(format!("{} {}", rule.action, event.subject().unwrap_or_default())))
//!     }
//! }
//!
//! let rules = json!({"urls": ["http://127.0.0.1:5656/"], "rule": {"message_publish": [{"action": "seen"}]}});
//! let mut lines: Lines = testing::configure(rules).unwrap();
//! let outcome = lines.on_event(&testing::publish("a/b", b"1"));
//! assert_eq!(outcome.requests()[0].body_str(), Some("seen a/b"));
//! ```

mod batch;
mod columns;
mod encoding;
mod event_fields;
mod fields;
#[cfg(test)]
mod fixtures;
mod format;
mod json;
mod key;
mod order;
mod parse;
mod property;
mod records;
mod rules;
mod shape;
pub mod sql;
mod system;
mod template;
mod words;

pub use batch::Batch;
pub use encoding::Encoding;
pub use event_fields::EventFields;
pub use fields::{Fields, Lookup, Path};
pub use format::{CloudEvents, CloudEventsMode, EXTENSIONS, EmqxVersion, Encoded, Format};
pub use key::RuleKey;
pub use order::Order;
pub use rules::{Rule, Rules};
pub use shape::Shape;
pub use template::{BodyTemplate, DotSegment, HeaderTemplate, Template, TemplateError, UrlTemplate};
pub use words::event_name;

use hookhost_guest::{Event, Host, Interest, Module, Outcome, Problems};
use serde_json::Value;

/// The built-in module. Its rules say which events are sent to which URLs. The body of a request has the format of a
/// broker, is a CloudEvent, or is a template that the user has written.
///
/// [`Rules::parse`] describes the settings.
#[derive(Debug)]
pub struct Webhook(Rules);

impl Module for Webhook {
    type Config = Value;

    fn new(config: Value, host: &Host) -> Result<Self, Problems> {
        let rules = Rules::parse(&config, host)?;
        for key in rules.without_url() {
            hookhost_guest::warn!("{key} has no URL and is ignored: set 'urls' for the rule or for all rules");
        }
        for warning in rules.warnings() {
            hookhost_guest::warn!("{warning}");
        }
        Ok(Webhook(rules))
    }

    fn interests(&self) -> Vec<Interest> {
        self.0.interests()
    }

    fn on_event(&mut self, event: &Event) -> Outcome {
        self.0.webhooks(event)
    }
}

#[cfg(feature = "component")]
hookhost_guest::export!(Webhook);
