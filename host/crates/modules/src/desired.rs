//! The desired state, and the result of applying it.

use std::sync::Arc;

use serde_json::Value;

use super::folder::FolderListing;
use hookhost_delivery::Receivers;
use hookhost_settings::Places;

/// The part of the host's configuration that modules get and that may change while they run.
#[derive(Clone)]
pub struct ReloadableSettings {
    /// Configuration of the built-in module unless `webhook.toml` has a `[config]`.
    pub webhook_config: Value,
    /// The position of its keys, for the place of an error.
    pub places: Arc<Places>,
    /// The receivers of requests, and the destinations that requests may name.
    pub receivers: Arc<Receivers>,
}

/// The position of a key does not count as a difference.
impl PartialEq for ReloadableSettings {
    fn eq(&self, other: &ReloadableSettings) -> bool {
        self.webhook_config == other.webhook_config && self.receivers == other.receivers
    }
}

/// The desired state.
pub struct Desired {
    /// The files of the modules folder.
    pub folder: FolderListing,
    /// The host's configuration.
    pub configuration: DesiredConfiguration,
    /// Whether to retry files that did not load or were rolled back, although they have not changed.
    pub retry: bool,
}

/// The current configuration of the host.
pub enum DesiredConfiguration {
    /// It was not read again: the last one stays active.
    Unread,
    /// It is valid so far. If the built-in module rejects it, the previous one stays active.
    Valid(ReloadableSettings),
    /// It has these errors. The previous one stays active.
    Invalid(Vec<String>),
}

impl Desired {
    /// The modules of a folder. Nothing else has changed.
    pub fn of(folder: FolderListing) -> Desired {
        Desired {
            folder,
            configuration: DesiredConfiguration::Unread,
            retry: false,
        }
    }
}

/// What was done to reach the desired state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Applied {
    /// Modules that were loaded or reloaded, with the numbers of their generations.
    pub loaded: Vec<(Arc<str>, u32)>,
    /// Modules whose files do not load, and why.
    pub rejected: Vec<(Arc<str>, String)>,
    /// Modules whose files are gone.
    pub removed: Vec<Arc<str>>,
    /// Modules whose files are unchanged.
    pub unchanged: Vec<Arc<str>>,
    /// Files that can have no effect, and why.
    pub ignored: Vec<String>,
    /// The result of reading the host's configuration again; `None` if it was not read again.
    pub configuration: Option<ConfigurationOutcome>,
}

/// The result of reading a configuration again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigurationOutcome {
    /// It gives modules the same as before.
    Unchanged,
    /// The modules use it.
    Active,
    /// It has these errors, its own or those that the built-in module found. Modules use the previous one.
    Rejected(Vec<String>),
}

impl Applied {
    pub(super) fn has_changed(&self, module: &str) -> bool {
        let loaded = self.loaded.iter().map(|(name, _)| name);
        let rejected = self.rejected.iter().map(|(name, _)| name);
        loaded
            .chain(rejected)
            .chain(&self.removed)
            .any(|name| &**name == module)
    }
}
