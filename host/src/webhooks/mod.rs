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
//! - `shared.rs`: the same for webhooks that several hosts share, in a bucket of NATS;
//! - `queue.rs`: the changes that wait;
//! - `test.rs`: what a webhook would send for an event, and sending it once.

mod change;
mod queue;
mod secret;
mod shared;
mod store;
mod test;

pub use change::{Change, ChangeError, Edit, FieldProblem, etag};
pub(crate) use change::{Table, Tags, apply, edited, setting};
pub(crate) use queue::{ChangeQueue, WaitingChange};
pub use secret::{HIDDEN, masked, shown_header};
pub(crate) use shared::SharedWebhookStore;
pub(crate) use store::{KeptStore, WebhookStore, text};
pub use test::{TestError, Tested, alone, is_event, test, try_event};
pub(crate) use test::{outcome, sample};

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{LeftOutWebhook, NamedWebhook, Problem, WEBHOOKS};
use serde_json::Value as Json;

/// Settings that are shown although they have mistakes.
const SHOWN_WITH_MISTAKES: [&str; 5] = ["enabled", "url", "events", "topics", "where"];

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
    /// The revision of a webhook that several hosts share.
    pub revision: Option<u64>,
    /// Why this host does not use it; empty if it does.
    pub problems: Vec<Problem>,
}

impl ListedWebhook {
    /// The entity tag. All hosts have the same one for a webhook that they share.
    pub fn etag(&self) -> String {
        self.revision.map_or_else(|| etag(&self.settings), shared::etag)
    }

    /// The settings as they may be shown.
    pub fn shown_settings(&self) -> Json {
        let mut shown = masked(&self.settings);
        if let Json::Object(shown) = &mut shown {
            // A key of a newer version may be a secret.
            let own = format!("{WEBHOOKS}.{}.", self.name);
            let keys = self
                .problems
                .iter()
                .filter_map(|problem| problem.place.key.strip_prefix(&own));
            for key in keys.filter_map(|key| key.split(['.', '[']).next()) {
                if let Some(value) = shown.get_mut(key).filter(|_| !SHOWN_WITH_MISTAKES.contains(&key)) {
                    *value = HIDDEN.into();
                }
            }
        }
        shown
    }

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
            revision: None,
            problems: Vec::new(),
        }
    }
}

impl From<&LeftOutWebhook> for ListedWebhook {
    fn from(webhook: &LeftOutWebhook) -> ListedWebhook {
        let settings = webhook.json();
        ListedWebhook {
            name: webhook.name.clone(),
            is_enabled: settings.get("enabled") != Some(&Json::Bool(false)),
            can_change: true,
            source: webhook.settings.place.to_string(),
            settings: Arc::new(if settings.is_object() {
                settings
            } else {
                Json::Object(Default::default())
            }),
            revision: None,
            problems: webhook.problems.clone(),
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
            revision: None,
            problems: Vec::new(),
        };
        assert_eq!(listed("rule.message_publish.0").rule_event(), Some("message_publish"));
        assert_eq!(listed("rule").rule_event(), None);
        let text = format!("{:?}", listed("w"));
        assert!(text.contains("\"w\"") && !text.contains("hidden"), "{text}");
    }

    #[test]
    fn a_setting_that_this_version_does_not_know_is_hidden() {
        let problem = |key: &str| hookhost_settings::Place::flag(format!("webhooks.w.{key}")).problem("unknown key");
        let webhook = ListedWebhook {
            name: "w".to_owned(),
            is_enabled: true,
            can_change: true,
            source: String::new(),
            settings: Arc::new(json!({"url": "http://h/", "api_keys": ["x"], "bearer": "y", "qos": 1})),
            revision: Some(7),
            problems: vec![problem("api_keys[0]"), problem("url")],
        };
        let expected = json!({"url": "http://h/", "api_keys": HIDDEN, "bearer": HIDDEN, "qos": 1});
        assert_eq!(webhook.shown_settings(), expected);
        assert_eq!(webhook.etag(), "r7");
    }
}
