//! Access to running modules from outside: their states, the desired state, and the quarantine.

use std::sync::Arc;

use super::control::Controller;
use super::desired::{Applied, Desired, ReloadableSettings};
use super::folder::FolderListing;
use super::load::LoadError;
use super::quarantine::QuarantinedEvent;
use super::state::ModuleState;
use super::trial::Trial;
use hookhost_delivery::Receivers;
use hookhost_hooks::OfferError;
use hookhost_settings::Problem;

/// Reads and controls running modules. All clones refer to the same modules.
#[derive(Clone)]
pub struct Handle(Arc<Controller>);

/// Why a quarantined event was not replayed. The event stays in the quarantine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no entry of this number.
    #[error("there is no event {0} in the quarantine")]
    Unknown(u64),
    /// The module does not exist.
    #[error("module {0} is not running")]
    NoModule(Arc<str>),
    /// The active generation does not subscribe to events of this hook or topic.
    #[error("generation {generation} of module {module} does not ask for such events")]
    NotWanted {
        /// The module.
        module: Arc<str>,
        /// The active generation.
        generation: u32,
    },
    /// The module's queue does not accept it.
    #[error(transparent)]
    Queue(#[from] OfferError),
}

/// Why a module was not rolled back. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RollBackError {
    /// No generation of this module is active.
    #[error("module {0} is not running")]
    NotRunning(String),
    /// The host keeps no previous generation: the active one is the first, or was rolled back to.
    #[error("module {0} has no previous generation to roll back to")]
    NoPrevious(String),
    /// The built-in module has the rules and webhooks of the configuration.
    #[error(
        "the built-in module is not rolled back: change its rules in the configuration, and webhooks by their name"
    )]
    BuiltIn,
    /// The previous generation cannot run again; the text says why.
    #[error("the previous generation cannot run: {0}")]
    Failed(String),
}

impl Handle {
    pub(super) fn new(controller: Arc<Controller>) -> Handle {
        Handle(controller)
    }

    /// The current state of all modules, by name.
    pub fn states(&self) -> Vec<ModuleState> {
        self.0.states()
    }

    /// The current state of one module.
    pub fn state(&self, module: &str) -> Option<ModuleState> {
        self.states().into_iter().find(|state| &*state.name == module)
    }

    /// Rolls a module back to its previous generation, as the host does when a new one fails. Its files stay as they are, and
    /// are loaded again when they change or at a rescan. Returns the number of the generation that is active now.
    ///
    /// # Errors
    ///
    /// [`RollBackError`].
    pub fn roll_back(&self, module: &str) -> Result<u32, RollBackError> {
        self.0.roll_back_active(module)
    }

    /// The receivers of requests that modules make now.
    pub fn receivers(&self) -> Arc<Receivers> {
        self.0.receivers()
    }

    /// Brings the modules to the desired state, as far as they load. Returns what was done.
    ///
    /// Blocks the calling thread for as long as loading takes. Calls from several threads wait for one another.
    pub fn apply(&self, desired: Desired) -> Applied {
        self.0.apply(desired)
    }

    /// The errors that the built-in module finds in settings, without activating them. Blocks as
    /// [`apply`](Handle::apply).
    pub fn check(&self, settings: ReloadableSettings, folder: &FolderListing) -> Vec<Problem> {
        self.0.check(settings, folder)
    }

    /// Loads the module `webhook`, as it runs now, a second time with other settings. The trial sends nothing, and its state
    /// ends with it. Blocks as [`apply`](Handle::apply), but waits for no other call.
    ///
    /// # Errors
    ///
    /// As for a reload: the module rejects the settings, or does not start.
    pub fn webhook_trial(&self, settings: ReloadableSettings) -> Result<Trial, LoadError> {
        self.0.webhook_trial(settings)
    }

    /// Events in the quarantine, of one module or of all: newest first, at most `limit`, with numbers below `before`.
    pub fn quarantined(&self, module: Option<&str>, before: Option<u64>, limit: usize) -> Vec<QuarantinedEvent> {
        self.0.quarantine.list(module, before, limit)
    }

    /// One entry of the quarantine.
    pub fn entry(&self, id: u64) -> Option<QuarantinedEvent> {
        self.0.quarantine.get(id)
    }

    /// Numbers of all entries of a module or of all, oldest first.
    pub fn entries_of(&self, module: Option<&str>) -> Vec<u64> {
        self.0.quarantine.ids(module)
    }

    /// Replays an event of the quarantine: puts it at the end of its module's queue.
    ///
    /// Returns the event, which has left the quarantine, and the number of the active generation. If the module fails
    /// again, the event returns to the quarantine under a new number.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]. The entry is unchanged.
    pub fn replay(&self, id: u64) -> Result<(QuarantinedEvent, u32), ReplayError> {
        self.0.replay(id)
    }

    /// Drops an entry of the quarantine. Returns whether it existed.
    pub fn discard(&self, id: u64) -> bool {
        self.0.quarantine.remove(id)
    }
}
