//! Modules: from files in a folder to workers that turn events into requests.
//!
//! ```text
//! folder ──(watch: settle)──> look: changes by content ──> load: settings, compile, instance, configure
//!                                                             │ all well: publish in one step
//!                                                             ▼
//! bus ──(queue per module and shard)──> worker: batch ──> instance ──> outcomes ──(egress)──> outbox
//! ```
//!
//! The data and who owns it: a module is known by its **name**, the file's name without `.wasm`. To the name belong its
//! queues on the bus, its workers, its counters and, on the [`KvStores`], what it keeps in `kv`; they stay when the file
//! is replaced. To a **generation** belong compiled code, configuration, limits, interests and grants; it never changes
//! and is replaced whole. Instances belong to workers, one each.
//!
//! **Promises.** A file that does not load changes nothing and says why. Every event that a queue has taken is handled
//! by exactly one generation, or is counted with the reason why not ([`Counts`]); events of one client are handled in
//! their order. A trap costs the event that causes it and no other. A module can name only what it was granted. The
//! default module `webhook` is inside the binary; a `webhook.wasm` takes its place, and goes the other way when it is
//! removed.
//!
//! The host's configuration may be read again, too ([`Source`]). What it gives to modules takes effect as a file of the
//! folder does: as a new generation, or not at all. A request is sent on the terms and with the credentials of the
//! generation that made it.
//!
//! A generation that fails on everything is rolled back to the one before; without one the module pauses between its
//! attempts and its events wait (`health.rs` has the rules). An event that a module fails on, alone and in a new
//! instance, or answers with `fail`, goes into the quarantine, where it can be looked at and handled again ([`Handle`]).
//!
//! **Bounds.** Queues by events and bytes, instances by memory and time, batches by number, files by size, log lines
//! by second, compiling by time, the quarantine by events and bytes for each module. Threads: one per instance, one that
//! watches the folder and loads, at most two that compile quickly, as many that compile well what is too slow otherwise,
//! and as many that compile once more what was compiled quickly to be in force soon.

mod builtin;
mod compiler;
mod crew;
mod egress;
mod folder;
mod generation;
mod handle;
mod health;
mod instances;
mod load;
mod optimiser;
mod quarantine;
mod registry;
mod requests;
mod settings;
mod state;
mod supervisor;
pub mod trial;
mod watch;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use egress::Refusal;
pub use handle::{Handle, Outcome, ReplayError, Reread, Rescan};
pub use instances::Instances;
pub use load::LoadError;
pub use quarantine::{Bounds, Entry, Fault, Held};
pub use state::{Counts, GenerationState, ModuleState, Origin, Status};

use folder::{Known, ModuleName};
use load::Loader;
use quarantine::Quarantine;
use registry::Registry;
use watch::{Reason, Watch, Watched};

use hookhost_delivery::{Outbox, Receivers};
use hookhost_event::{Hook, Node};
use hookhost_hooks::{Bus, QueueLimits};
use hookhost_kv::{Kv, KvBounds, KvStores};
use hookhost_settings::{Mistakes, Places};
use hookhost_wasm as wasm;
use hookhost_wasm::Engine;

/// What modules need to know of their host, and what they get unless their own settings say otherwise.
#[derive(Clone)]
pub struct Settings {
    /// The modules folder, which may appear later; none: there is only the default module.
    pub dir: Option<PathBuf>,
    /// The host's node, as modules are told.
    pub node: Node,
    /// What may be given anew while they run.
    pub given: Given,
    /// Bounds of each queue.
    pub queue: QueueLimits,
    /// Instances of a module: so many clients' events are handled at the same time.
    pub instances: Instances,
    /// What an instance may use.
    pub limits: wasm::Limits,
    /// How long compiling a module may take. 60 s: ten times what Python takes on two processors.
    pub compile_time: Duration,
    /// Bytes of a `.wasm`; more than 256 MiB are never read.
    pub module_size: u64,
    /// Where modules keep their state.
    pub stores: KvStores,
    /// Most events of one call, at least 1. With 64 the cost of a call is spread thin; more only makes a failed call
    /// dearer.
    pub batch: usize,
    /// What the quarantine may hold for each module.
    pub quarantine: Bounds,
    /// Niceness of the threads of modules, one for each instance; 0 leaves them as they are.
    pub nice: i32,
}

/// What a host's configuration gives to modules, and may give anew while they run ([`Source`]).
#[derive(Clone)]
pub struct Given {
    /// Configuration of the default module unless `webhook.toml` has a `[config]`.
    pub webhook_config: serde_json::Value,
    /// Where its keys stand, to be told with their mistakes.
    pub places: Arc<Places>,
    /// Who gets requests, and which destinations these may name.
    pub receivers: Arc<Receivers>,
}

/// Where something stands makes no difference.
impl PartialEq for Given {
    fn eq(&self, other: &Given) -> bool {
        self.webhook_config == other.webhook_config && self.receivers == other.receivers
    }
}

/// A configuration that was read again.
pub struct Fresh {
    /// What it gives, or what is wrong with it: then what is in force stays.
    pub given: Result<Given, Flawed>,
    /// What an operator should know although nothing is wrong.
    pub warnings: Vec<String>,
}

/// A configuration that was read again and has mistakes.
pub struct Flawed {
    /// The mistakes.
    pub refused: Mistakes,
    /// What it gives apart from them, for the default module to look for more; none if that is not what was meant.
    pub rest: Option<Given>,
}

/// Where the configuration can be read again.
pub trait Source: Send + 'static {
    /// Its files, by absolute paths: when one of them changes, it is read again.
    fn files(&self) -> Vec<PathBuf>;
    /// Reads it. May block.
    fn read(&mut self) -> Fresh;
}

/// Modules could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The modules folder cannot be listed, or the default module does not load.
    #[error("modules cannot be started")]
    Load(#[source] LoadError),
    /// The modules folder cannot be watched.
    #[error("no thread can be started to watch the modules folder")]
    Watch(#[source] std::io::Error),
}

/// What `check` found out about one module.
#[derive(Debug)]
pub struct Report {
    /// Its name, or that of a file which is no module.
    pub module: Arc<str>,
    /// What it would be, or why it would not be loaded.
    pub result: Result<Plan, LoadError>,
}

/// What a module would be if it were started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// Where its code is from.
    pub origin: Origin,
    /// Number of instances.
    pub instances: usize,
    /// The hooks it is interested in.
    pub hooks: Vec<Hook>,
    /// The URL prefixes that its requests may name.
    pub egress: Vec<String>,
}

/// The running modules.
pub struct Modules {
    registry: Arc<Registry>,
    watch: Option<Watch<Rescan>>,
}

impl Modules {
    /// Loads what there is, attaches it to the bus, and follows the folder from then on; and the configuration, if there
    /// is a source for it.
    ///
    /// A module in the folder that does not load is reported in the log and in [`states`](Handle::states), and the
    /// others run. Takes as long as compiling them does; blocks the calling thread.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the default module in the binary refuses its configuration (unless a `webhook.wasm` takes its
    /// place), or if the folder is there but cannot be listed. Nothing runs then.
    pub fn start(
        settings: Settings,
        engine: Engine,
        bus: Bus,
        outbox: Arc<dyn Outbox>,
        source: Option<Box<dyn Source>>,
    ) -> Result<Modules, StartError> {
        let files = Watched::default();
        let mut source = source.map(|source| Followed::new(source, Arc::clone(&files)));
        let watch = (settings.dir.is_some() || source.is_some())
            .then(|| watch::prepare(settings.dir.as_deref(), files))
            .transpose()
            .map_err(StartError::Watch)?;
        let quarantine = Arc::new(Quarantine::new(settings.quarantine));
        let registry = Registry::new(Loader::new(&engine, settings), bus, outbox, quarantine);
        // From here on dropping it stops what has been started.
        let mut modules = Modules {
            registry: Arc::clone(&registry),
            watch: None,
        };
        modules.registry.start().map_err(StartError::Load)?;
        if let Some(watch) = watch {
            let look = move |reason| {
                let fresh = source
                    .as_mut()
                    .filter(|_| reason != Reason::Noticed || registry.has_refused())
                    .map(Followed::read);
                registry.look(reason == Reason::Asked, fresh)
            };
            modules.watch = Some(watch.start(look).map_err(StartError::Watch)?);
        }
        Ok(modules)
    }

    /// Loads everything as [`start`](Modules::start) would, and starts nothing. Files in the folder that can have no
    /// effect are reported as well.
    pub fn check(settings: Settings, engine: Engine) -> Vec<Report> {
        let loader = Loader::new(&engine, settings);
        let scan = match loader.dir().map(|dir| (dir, folder::scan(dir, &mut Known::default()))) {
            None => folder::Scan::default(),
            Some((_, Ok(scan))) => scan,
            Some((dir, Err(source))) => {
                let folder = dir.display().to_string();
                let error = LoadError::Folder {
                    folder: folder.clone(),
                    source,
                };
                return vec![Report {
                    module: folder.into(),
                    result: Err(error),
                }];
            }
        };
        let mut files = scan.files.0.clone();
        files.entry(ModuleName::webhook()).or_default();
        let modules = files
            .iter()
            .filter(|(name, files)| name.is_webhook() || files.wasm.is_some());
        let report = |(name, files): (&ModuleName, _)| {
            let result = loader.load(name, files, 1, &Kv::new(KvBounds::default()), None);
            Report {
                module: name.shared(),
                result: result.map(|loaded| loaded.plan()),
            }
        };
        let strays = loader.strays(&scan).into_iter().map(|(module, error)| Report {
            module,
            result: Err(error),
        });
        modules.map(report).chain(strays).collect()
    }

    /// Looks at the modules and acts on them, from any thread; of no effect once they have stopped.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.registry), self.watch.as_ref().map(Watch::asker))
    }

    /// Takes no further events, handles what is queued, and waits for the workers, all of it for at most `deadline`.
    ///
    /// What is not handled by then is counted as abandoned, and a worker that is still busy (in a call, or waiting
    /// for room in the outbox) is left behind with a line in the log. Blocks the calling thread.
    pub fn stop(mut self, deadline: Duration) {
        self.end(Instant::now() + deadline);
    }

    fn end(&mut self, until: Instant) {
        drop(self.watch.take());
        self.registry.stop(until);
    }
}

/// A source and the files that are watched for it.
struct Followed {
    source: Box<dyn Source>,
    files: Watched,
}

impl Followed {
    fn new(source: Box<dyn Source>, files: Watched) -> Followed {
        *generation::lock(&files) = source.files();
        Followed { source, files }
    }

    fn read(&mut self) -> Fresh {
        let fresh = self.source.read();
        *generation::lock(&self.files) = self.source.files();
        fresh
    }
}

/// Without [`stop`](Modules::stop) queued events are not waited for.
impl Drop for Modules {
    fn drop(&mut self) {
        self.end(Instant::now());
    }
}

/// An error and all its causes in one line.
pub fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
