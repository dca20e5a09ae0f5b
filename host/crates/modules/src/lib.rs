//! Modules: from files in a folder to workers that turn events into requests.
//!
//! ```text
//! desired ──> reconcile: what has changed ──> load: settings, compile, instance, configure
//!                                                 │ everything is valid: activate in one step
//!                                                 ▼
//! bus ──(queue per module and shard)──> worker: batch ──> instance ──> outcomes ──(egress)──> outbox
//! ```
//!
//! Ownership of the data: a module has a **name**, its file name without `.wasm`. The name owns the queues on the bus,
//! the workers, the counters and, on the [`KvStores`], the module's `kv` state. They stay when the file is replaced. A
//! **generation** owns compiled code, configuration, limits, interests and grants. It never changes and is replaced as
//! a whole. Each worker owns one instance.
//!
//! **Guarantees.** A file that does not load changes nothing, and the log reports why. Exactly one generation handles
//! each event that a queue has accepted, or the event is counted with the reason ([`Counts`]). Events of one client are
//! handled in order. A trap affects only the event that causes it. A module can send only to places in its grants. The
//! built-in module `webhook` is part of the binary. A `webhook.wasm` in the folder replaces it until the file is
//! removed.
//!
//! [`Handle::apply`] is the only entry: the caller passes the desired state ([`Desired`]), which is the files of the
//! folder and the host's configuration. Both take effect as a new generation, or not at all. A request is sent with the
//! settings and the credentials of the generation that made it.
//!
//! A generation that fails on every event is rolled back to the previous one. Without a previous one the module pauses
//! between its attempts and its events wait (`health.rs` has the rules). An event goes into the quarantine if the
//! module fails on it, alone and in a new instance, or answers with `fail`. An operator can inspect and replay it there
//! ([`Handle`]).
//!
//! **Limits.** Queues: events and bytes. Instances: memory and time. Batches: number. Files: size. Log lines: per
//! second. Compiling: time. Quarantine: events and bytes for each module. Threads: one per instance.

mod builtin;
mod control;
mod desired;
mod durable;
mod egress;
mod folder;
mod generation;
mod handle;
mod health;
mod instances;
mod load;
mod quarantine;
mod requests;
mod settings;
mod state;
mod supervisor;
mod trace_context;
pub mod trial;
mod worker;
mod worker_set;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use desired::{Applied, ConfigurationOutcome, Desired, DesiredConfiguration, ReloadableSettings};
pub use egress::Refusal;
pub use folder::{FileStamp, FolderListing, ModulesFolder};
pub use handle::{Handle, ReplayError, RollBackError};
pub use instances::Instances;
pub use load::LoadError;
pub use quarantine::{Fault, QuarantineUsage, QuarantinedEvent};
pub use state::{Counts, GenerationState, ModuleState, Origin, Status};

use control::Controller;
use folder::ModuleName;
use load::{Loader, ModuleSource};
use quarantine::Quarantine;

use hookhost_activity::ActivityLog;
use hookhost_dead_letters::Collection;
use hookhost_delivery::Outbox;
use hookhost_event::{Hook, Node};
use hookhost_hooks::{Bus, QueueLimits};
use hookhost_kv::{Kv, KvBounds, KvStores};
use hookhost_wasm as wasm;
use hookhost_wasm::Engine;

/// What modules need to know of their host, and the defaults of their own settings.
#[derive(Clone)]
pub struct Settings {
    /// The modules folder, which may appear later. With `None` there is only the built-in module.
    pub dir: Option<PathBuf>,
    /// The name of the host's node, which modules receive.
    pub node: Node,
    /// The settings that may change while they run.
    pub reloadable: ReloadableSettings,
    /// Limits of each queue.
    pub queue: QueueLimits,
    /// Number of instances of a module. It is also the number of clients whose events the module handles at the same
    /// time.
    pub instances: Instances,
    /// The limits of an instance.
    pub limits: wasm::Limits,
    /// Time after which the compiler of a module is killed. Default 60 s: ten times what Python needs on two
    /// processors.
    pub compile_time: Duration,
    /// Size limit of a `.wasm` in bytes. Files above 256 MiB are never read.
    pub module_size: u64,
    /// The stores of the modules' state.
    pub stores: KvStores,
    /// Maximum number of events in one call, at least 1. Default 64: above that the cost of a call per event hardly
    /// falls, and a failed call costs more.
    pub batch: usize,
    /// The events in quarantine, one group for each module.
    pub quarantine: Collection,
    /// Niceness of the threads of modules, one for each instance; 0 leaves it unchanged.
    pub nice: i32,
    /// Why `acknowledge = "durable"` is refused; `None` if requests are kept on disk.
    pub not_durable: Option<&'static str>,
    /// The log of what became of events.
    pub activity: ActivityLog,
}

/// The result of `check` for one module.
#[derive(Debug)]
pub struct Report {
    /// Its name, or the name of a file that is not a module.
    pub module: Arc<str>,
    /// The module that would run, or why it would not be loaded.
    pub result: Result<Plan, LoadError>,
}

/// The properties of a module if it were started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The source of its code.
    pub origin: Origin,
    /// Number of instances.
    pub instances: usize,
    /// The hooks it is interested in.
    pub hooks: Vec<Hook>,
    /// The URL prefixes that its requests may name.
    pub egress: Vec<String>,
}

/// How long dropped modules may take to end. Idle workers end within a millisecond.
const DROP_GRACE: Duration = Duration::from_millis(100);

/// The running modules.
pub struct Modules {
    controller: Arc<Controller>,
}

impl Modules {
    /// Loads the modules of a folder and attaches them to the bus. [`Handle::apply`] changes them later.
    ///
    /// A module in the folder that does not load is reported in the log and in [`states`](Handle::states). The others
    /// run. Blocks the calling thread until all modules are compiled.
    ///
    /// # Errors
    ///
    /// [`LoadError`] if the built-in module in the binary rejects its configuration (unless a `webhook.wasm` replaces
    /// it). Nothing runs then.
    pub fn start(
        settings: Settings,
        engine: Engine,
        bus: Bus,
        outbox: Arc<dyn Outbox>,
        folder: FolderListing,
    ) -> Result<(Modules, Applied), LoadError> {
        let quarantine = Arc::new(Quarantine::new(settings.quarantine.clone()));
        let controller = Controller::new(Loader::new(engine, settings), bus, outbox, quarantine);
        // From here on a drop stops everything that has been started.
        let modules = Modules { controller };
        let applied = modules.controller.start(folder)?;
        Ok((modules, applied))
    }

    /// Loads everything as [`start`](Modules::start) would, and starts nothing. Also reports files in the folder that
    /// can have no effect.
    pub fn check(settings: Settings, engine: Engine) -> Vec<Report> {
        let mut folder = ModulesFolder::new(settings.dir.clone());
        let listing = match folder.list() {
            Ok(listing) => listing,
            Err(error) => {
                let folder = settings.dir.map(|dir| dir.display().to_string());
                return vec![Report {
                    module: folder.unwrap_or_default().into(),
                    result: Err(error),
                }];
            }
        };
        let loader = Loader::new(engine, settings);
        let mut files = listing.files.0.clone();
        files.entry(ModuleName::webhook()).or_default();
        let modules = files
            .iter()
            .filter(|(name, files)| name.is_webhook() || files.wasm.is_some());
        let report = |(name, files): (&ModuleName, _)| {
            let result = loader.load(ModuleSource {
                name,
                files,
                number: 1,
                kv: &Kv::new(KvBounds::default()),
                compiled: None,
            });
            Report {
                module: name.shared(),
                result: result.map(|loaded| loaded.plan()),
            }
        };
        let strays = loader.strays(&listing).into_iter().map(|(module, error)| Report {
            module,
            result: Err(error),
        });
        modules.map(report).chain(strays).collect()
    }

    /// Reads and controls the modules, from any thread. Has no effect once they have stopped.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.controller))
    }

    /// Takes no further events, handles the queued events, and waits for the workers, for at most `deadline` in total.
    ///
    /// Events that are not handled by then are counted as abandoned. A worker that is still busy, in a call or waiting
    /// for the outbox, is left running with a line in the log. Blocks the calling thread.
    pub fn stop(mut self, deadline: Duration) {
        self.end(Instant::now() + deadline);
    }

    fn end(&mut self, until: Instant) {
        self.controller.stop(until);
    }
}

/// Without [`stop`](Modules::stop), events that are not handled within 100 ms are abandoned.
impl Drop for Modules {
    fn drop(&mut self) {
        self.end(Instant::now() + DROP_GRACE);
    }
}

#[cfg(test)]
mod tests;
