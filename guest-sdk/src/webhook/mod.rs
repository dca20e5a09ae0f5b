//! The default module as a library: webhook rules, and the bodies that RMQTT, EMQX 4, EMQX 5 and NanoMQ send.
//!
//! [`Webhook`] is the whole module. A module with the same rules and a body of its own takes [`Rules`] alone:
//!
//! ```
//! use hookhost_guest::webhook::Rules;
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

pub mod cloudevents;
mod columns;
mod content;
mod documented;
mod emqx4;
mod emqx_reason;
mod encoding;
mod event_fields;
mod fields;
#[cfg(test)]
mod fixtures;
mod format;
mod key;
mod nanomq;
mod parse;
mod parts;
mod property;
mod reason;
pub mod rmqtt;
mod rules;
mod shape;
pub mod sql;
mod template;
mod words;

pub use cloudevents::{CloudEvents, CloudEventsMode};
pub use encoding::Encoding;
pub use event_fields::EventFields;
pub use fields::{Fields, Lookup, Path};
pub use format::Format;
pub use key::RuleKey;
pub use rules::{Rule, Rules};
pub use shape::{BodyText, Method, Shape};
pub use template::{BodyTemplate, DotSegment, HeaderTemplate, Template, TemplateError, UrlTemplate};
pub use words::event_name;

use serde_json::Value;

use crate::event::{Event, Interest};
use crate::module::{Host, Module};
use crate::problems::Problems;
use crate::request::Outcome;

/// The default module: rules that say which events go where, each in the form of a broker, as a CloudEvent or as the user
/// has written it.
///
/// Its settings are described at [`Rules::parse`].
#[derive(Debug)]
pub struct Webhook(Rules);

impl Module for Webhook {
    type Config = Value;

    fn new(config: Value, host: &Host) -> Result<Self, Problems> {
        let rules = Rules::parse(&config, host)?;
        for key in rules.without_url() {
            crate::warn!("{key} has no URL and is passed over: give it 'urls', or give 'urls' for all rules");
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
