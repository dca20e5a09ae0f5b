//! Webhooks that people create and change while the host runs.
//!
//! A webhook is a piece of the configuration: the table `[webhooks.NAME]`. The configuration file has such tables, and so
//! has `webhooks.toml` in the data folder, which this part writes. Without a data folder the text of that file is in memory.
//! A change makes a new text, and the host reloads its configuration with it, as after a change of the configuration file:
//!
//! ```text
//! API ──> ChangeQueue ──> reload thread: check each change ──> new text ──> configuration ──> modules.apply ──> file
//! ```
//!
//! The reload thread takes all changes that wait and applies them together, so many changes at a time need few reloads. A
//! change that is refused changes nothing. The new text is on the disk before the modules get it, and replaces the file
//! after they have accepted it.
//!
//! - `change.rs`: changes and their checks: pure;
//! - `secret.rs`: what a webhook shows, and secrets that a change keeps: pure;
//! - `store.rs`: the file;
//! - `queue.rs`: the changes that wait;
//! - `test.rs`: what a webhook would send for an event, and sending it once.

mod change;
mod queue;
mod secret;
mod store;
mod test;

pub use change::{Change, ChangeError, Edit, FieldProblem, etag};
pub(crate) use change::{Table, apply, edited, setting};
pub(crate) use queue::{ChangeQueue, WaitingChange};
pub use secret::{HIDDEN, masked, shown_header};
pub(crate) use store::{WebhookStore, text};
pub use test::{TestError, Tested, alone, is_event, test, try_event};
pub(crate) use test::{outcome, sample};

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::NamedWebhook;
use serde_json::Value as Json;

/// A webhook or rule of the running host.
#[derive(Clone, PartialEq)]
pub struct ListedWebhook {
    /// The name; for a rule of `[webhook.rule]` its key, such as `rule.message_publish.0`. No name of a webhook has a dot.
    pub name: String,
    /// Whether events cause requests.
    pub is_enabled: bool,
    /// Whether it can be changed here; otherwise it is part of a configuration file.
    pub can_change: bool,
    /// Where it is defined.
    pub source: String,
    /// Its settings, with their secrets.
    pub settings: Arc<Json>,
}

impl ListedWebhook {
    /// The event of a rule of the configuration; `None` for a named webhook.
    pub fn rule_event(&self) -> Option<&str> {
        self.name.strip_prefix("rule.")?.split('.').next()
    }
}

/// Without settings, which contain secrets.
impl fmt::Debug for ListedWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ListedWebhook");
        shown.field("name", &self.name).field("is_enabled", &self.is_enabled);
        shown.field("source", &self.source).finish_non_exhaustive()
    }
}

/// All webhooks of the running host.
#[derive(Debug, Clone, Default)]
pub struct Webhooks {
    /// The named webhooks by name, then the rules of the configuration.
    pub list: Arc<[ListedWebhook]>,
    /// The file that keeps them; `None`: they are in memory.
    pub file: Option<PathBuf>,
}

impl From<&NamedWebhook> for ListedWebhook {
    fn from(webhook: &NamedWebhook) -> ListedWebhook {
        ListedWebhook {
            name: webhook.name.clone(),
            is_enabled: webhook.is_enabled,
            can_change: webhook.is_kept,
            source: webhook.place.to_string(),
            settings: Arc::new(webhook.json()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_are_told_from_webhooks_and_debug_hides_settings() {
        let listed = |name: &str| ListedWebhook {
            name: name.to_owned(),
            is_enabled: true,
            can_change: false,
            source: "h.toml:1".to_owned(),
            settings: Arc::new(json!({"bearer": "hidden"})),
        };
        assert_eq!(listed("rule.message_publish.0").rule_event(), Some("message_publish"));
        assert_eq!(listed("rule").rule_event(), None);
        let text = format!("{:?}", listed("w"));
        assert!(text.contains("\"w\"") && !text.contains("hidden"), "{text}");
    }
}
