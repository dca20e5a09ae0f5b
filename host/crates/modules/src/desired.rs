//! What should run, and what came of it.

use std::sync::Arc;

use serde_json::Value;

use super::folder::FolderListing;
use hookhost_delivery::Receivers;
use hookhost_settings::Places;

/// What the host's configuration says to modules and may change while they run.
#[derive(Clone)]
pub struct ReloadableSettings {
    /// Configuration of the default module unless `webhook.toml` has a `[config]`.
    pub webhook_config: Value,
    /// Where its keys stand, to name the place of an error.
    pub places: Arc<Places>,
    /// Who gets requests, and which destinations these may name.
    pub receivers: Arc<Receivers>,
}

/// Where something stands makes no difference.
impl PartialEq for ReloadableSettings {
    fn eq(&self, other: &ReloadableSettings) -> bool {
        self.webhook_config == other.webhook_config && self.receivers == other.receivers
    }
}

/// What should run.
pub struct Desired {
    /// The files of the modules folder.
    pub folder: FolderListing,
    /// What the host's configuration says.
    pub configuration: DesiredConfiguration,
    /// Whether files that did not load or were rolled back are tried again although they have not changed.
    pub retry: bool,
}

/// What the host's configuration says by now.
pub enum DesiredConfiguration {
    /// It was not read again: what it said last holds.
    Unread,
    /// It has no errors of its own. The default module may reject it: then what it said before holds.
    Valid(ReloadableSettings),
    /// It has these errors. What it said before holds.
    Invalid(Vec<String>),
}

impl Desired {
    /// The modules of a folder; nothing else has changed.
    pub fn of(folder: FolderListing) -> Desired {
        Desired {
            folder,
            configuration: DesiredConfiguration::Unread,
            retry: false,
        }
    }
}

/// What was done to have the modules become what is desired.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Applied {
    /// Modules that were loaded, new or once more, and the numbers of their generations.
    pub loaded: Vec<(Arc<str>, u32)>,
    /// Modules whose files do not load, and why.
    pub rejected: Vec<(Arc<str>, String)>,
    /// Modules whose files are gone.
    pub removed: Vec<Arc<str>>,
    /// Modules whose files are what they were.
    pub unchanged: Vec<Arc<str>>,
    /// Files that can have no effect, and why.
    pub ignored: Vec<String>,
    /// What became of the host's configuration; none: it was not read again.
    pub configuration: Option<ConfigurationOutcome>,
}

/// What became of a configuration that was read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigurationOutcome {
    /// It says the same to modules as before.
    Unchanged,
    /// The modules use it.
    Active,
    /// It has these errors, its own or those that the default module found. Modules use the one before.
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
