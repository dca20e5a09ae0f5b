//! What can be asked of running modules and done to them from outside: their states, what is desired, and the
//! quarantine.

use std::sync::Arc;

use super::control::Controller;
use super::desired::{Applied, Desired, ReloadableSettings};
use super::folder::FolderListing;
use super::quarantine::QuarantinedEvent;
use super::state::ModuleState;
use hookhost_hooks::OfferError;
use hookhost_settings::Problem;

/// Looks at running modules and acts on them. Clones are the same.
#[derive(Clone)]
pub struct Handle(Arc<Controller>);

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
    /// The active generation did not ask for events of this kind or topic.
    #[error("generation {generation} of module {module} does not ask for such events")]
    NotWanted {
        /// The module.
        module: Arc<str>,
        /// The active generation.
        generation: u32,
    },
    /// The module's queue does not take it.
    #[error(transparent)]
    Queue(#[from] OfferError),
}

impl Handle {
    pub(super) fn new(controller: Arc<Controller>) -> Handle {
        Handle(controller)
    }

    /// All modules as they are now, by name.
    pub fn states(&self) -> Vec<ModuleState> {
        self.0.states()
    }

    /// One module as it is now.
    pub fn state(&self, module: &str) -> Option<ModuleState> {
        self.states().into_iter().find(|state| &*state.name == module)
    }

    /// Has the modules become what is desired, as far as they load, and gives what was done. Blocks the calling thread for
    /// as long as loading takes; calls from several threads wait for one another.
    pub fn apply(&self, desired: Desired) -> Applied {
        self.0.apply(desired)
    }

    /// What the default module finds wrong with settings, without activating them. Blocks as [`apply`](Handle::apply).
    pub fn check(&self, settings: ReloadableSettings, folder: &FolderListing) -> Vec<Problem> {
        self.0.check(settings, folder)
    }

    /// Events in the quarantine, of one module or of all: newest first, at most `limit`, with numbers below `before`.
    pub fn quarantined(&self, module: Option<&str>, before: Option<u64>, limit: usize) -> Vec<Arc<QuarantinedEvent>> {
        self.0.quarantine.list(module, before, limit)
    }

    /// One entry of the quarantine.
    pub fn entry(&self, id: u64) -> Option<Arc<QuarantinedEvent>> {
        self.0.quarantine.get(id)
    }

    /// Numbers of all entries of a module, oldest first.
    pub fn entries_of(&self, module: &str) -> Vec<u64> {
        self.0.quarantine.ids(module)
    }

    /// Hands an event of the quarantine to its module again, behind what waits in the module's queue. Returns the event,
    /// which has left the quarantine, and the number of the active generation. If the module fails again, the event comes back
    /// under a new number.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]; the entry is where it was.
    pub fn replay(&self, id: u64) -> Result<(QuarantinedEvent, u32), ReplayError> {
        self.0.replay(id)
    }

    /// Forgets an entry of the quarantine, and gives it.
    pub fn discard(&self, id: u64) -> Option<QuarantinedEvent> {
        self.0.quarantine.take(id)
    }
}
