//! What can be asked of running modules and done to them from outside: their states, a look at the folder, and the
//! quarantine.

use std::path::PathBuf;
use std::sync::Arc;

use super::quarantine::Entry;
use super::registry::Registry;
use super::state::ModuleState;
use super::watch::Asker;
use hookhost_hooks::Unqueued;

/// Looks at running modules and acts on them. Clones are the same.
#[derive(Clone)]
pub struct Handle(Arc<Inner>);

struct Inner {
    registry: Arc<Registry>,
    asker: Option<Asker<Rescan>>,
}

/// What a look at the modules folder has found and done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Rescan {
    /// The folder; none: the host has none, and there is nothing to look at.
    pub folder: Option<PathBuf>,
    /// Why the folder could not be listed; nothing was done then.
    pub problem: Option<String>,
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
    /// What became of the configuration; none: it was not read again.
    pub configuration: Option<Reread>,
}

/// What became of a configuration that was read again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reread {
    /// How it ended.
    pub outcome: Outcome,
    /// Everything that is wrong with it.
    pub problems: Vec<String>,
    /// What an operator should know although nothing is wrong, such as what needs a restart.
    pub warnings: Vec<String>,
}

/// How reading a configuration again ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It gives modules what it gave before.
    Unchanged,
    /// What it gives is in force.
    InForce,
    /// It has mistakes; what was in force stays.
    Refused,
}

impl Outcome {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Unchanged => "unchanged",
            Outcome::InForce => "in force",
            Outcome::Refused => "refused",
        }
    }
}

/// Why an event of the quarantine was not handed to its module again. It is still in the quarantine, unless there was
/// none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no such entry (any more).
    #[error("there is no event {0} in the quarantine")]
    Unknown(u64),
    /// The module is not there.
    #[error("module {0} is not running")]
    NoModule(Arc<str>),
    /// The generation in force did not ask for events of this kind or topic.
    #[error("generation {generation} of module {module} does not ask for such events")]
    NotWanted {
        /// The module.
        module: Arc<str>,
        /// The generation in force.
        generation: u32,
    },
    /// The module's queue does not take it.
    #[error(transparent)]
    Queue(#[from] Unqueued),
}

impl Handle {
    pub(super) fn new(registry: Arc<Registry>, asker: Option<Asker<Rescan>>) -> Handle {
        Handle(Arc::new(Inner { registry, asker }))
    }

    /// All modules as they are now, by name.
    pub fn states(&self) -> Vec<ModuleState> {
        self.0.registry.states()
    }

    /// One module as it is now.
    pub fn state(&self, module: &str) -> Option<ModuleState> {
        self.states().into_iter().find(|state| &*state.name == module)
    }

    /// Reads the configuration again, looks at the folder now, tries again what did not load or was rolled back, and returns when that is done. Blocks
    /// the calling thread for as long as loading takes.
    pub fn rescan(&self) -> Rescan {
        let asked = self.0.asker.as_ref().and_then(Asker::look);
        asked.unwrap_or_default()
    }

    /// Events in the quarantine, of one module or of all: newest first, at most `limit`, with numbers below `before`.
    pub fn quarantined(&self, module: Option<&str>, before: Option<u64>, limit: usize) -> Vec<Arc<Entry>> {
        self.0.registry.quarantine.list(module, before, limit)
    }

    /// One entry of the quarantine.
    pub fn entry(&self, id: u64) -> Option<Arc<Entry>> {
        self.0.registry.quarantine.get(id)
    }

    /// Numbers of all entries of a module, oldest first.
    pub fn entries_of(&self, module: &str) -> Vec<u64> {
        self.0.registry.quarantine.ids(module)
    }

    /// Hands an event of the quarantine to its module again, behind what waits in the module's queue; gives the entry,
    /// which has left the quarantine, and the generation in force. If the module fails again, the event comes back
    /// under a new number.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; the entry is where it was.
    pub fn replay(&self, id: u64) -> Result<(Entry, u32), ReplayError> {
        self.0.registry.replay(id)
    }

    /// Forgets an entry of the quarantine, and gives it.
    pub fn discard(&self, id: u64) -> Option<Entry> {
        self.0.registry.quarantine.take(id)
    }
}

impl Rescan {
    /// Whether something was loaded, removed or refused.
    pub fn has_news(&self) -> bool {
        let configuration = self.configuration.as_ref();
        let is_same = configuration.is_none_or(|reread| reread.outcome == Outcome::Unchanged);
        !(is_same && self.loaded.is_empty() && self.rejected.is_empty() && self.removed.is_empty())
    }
}
