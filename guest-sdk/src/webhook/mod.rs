//! The default module as a library: webhook rules, and the bodies that RMQTT's web-hook plugin sends.
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
//!     fn new(config: Value, _: &Host) -> Result<Self, Problems> {
//!         Ok(Lines(Rules::parse(&config)?))
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
mod event_fields;
mod fields;
mod key;
mod parse;
mod reason;
pub mod rmqtt;
mod rules;
mod template;

pub use cloudevents::{CloudEvents, CloudEventsMode};
pub use event_fields::{EventFields, event_name};
pub use fields::{Fields, Lookup, Path};
pub use key::RuleKey;
pub use rules::{Rule, Rules};
pub use template::{BodyTemplate, DotSegment, HeaderTemplate, Template, TemplateError, UrlTemplate};

use serde_json::Value;

use crate::event::{Event, Interest};
use crate::module::{Host, Module};
use crate::problems::Problems;
use crate::request::Outcome;

/// The default module: rules that say which events go where, each as the JSON body that RMQTT sends.
///
/// Its settings are described at [`Rules::parse`].
#[derive(Debug)]
pub struct Webhook {
    rules: Rules,
    node: u32,
}

impl Module for Webhook {
    type Config = Value;

    fn new(config: Value, host: &Host) -> Result<Self, Problems> {
        let rules = Rules::parse(&config)?;
        for key in rules.without_url() {
            crate::warn!("{key} has no URL and is passed over: give it 'urls', or give 'urls' for all rules");
        }
        Ok(Webhook {
            rules,
            node: host.node.id,
        })
    }

    fn interests(&self) -> Vec<Interest> {
        self.rules.interests()
    }

    fn on_event(&mut self, event: &Event) -> Outcome {
        self.rules
            .outcome(event, |key, rule| rmqtt::body(key, event, self.node, &rule.action))
    }
}
