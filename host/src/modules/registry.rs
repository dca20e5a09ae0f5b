//! The modules that run, and how they become others.
//!
//! A [`Registry`] holds what is in force for each name. [`Registry::look`] compares the folder with what it saw last
//! and carries out what has changed, one module after the other: load completely, then publish in one step. What does
//! not load changes nothing but the module's state. Loading happens without holding the lock that
//! [`Registry::states`] takes; only one look is carried out at a time.
//!
//! A module's queues stay when its generation changes. If its number of instances or its bounds change as well, new
//! queues take over in one step, and their workers begin when the old ones have emptied theirs, so that the order of
//! each client is kept. What a module keeps in `kv` stays at least until the module is removed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::crew::Crew;
use super::explain;
use super::folder::{self, Change, Content, Files, Listing, ModuleName, Print};
use super::generation::{Blueprint, Generation, Slot, lock};
use super::load::{Compiled, LoadError, Loaded, Loader};
use super::state::{GenerationState, ModuleState, Origin, Record, Status};
use super::worker::Worker;
use crate::delivery::Outbox;
use crate::hooks::{Attachment, Bus, QueueLimits, Version};

/// How long the workers of a removed module try to make an instance before what is in their queues is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// All modules of the host by name.
pub(super) struct Registry {
    loader: Loader,
    bus: Bus,
    outbox: Arc<dyn Outbox>,
    /// What the folder looked like; locked while a look is carried out.
    seen: Mutex<Seen>,
    roll: Mutex<Roll>,
}

#[derive(Default)]
struct Roll {
    modules: BTreeMap<ModuleName, Module>,
    /// Nothing is put in force any more.
    stopped: bool,
}

#[derive(Default)]
struct Seen {
    files: Listing<Print>,
    /// Files that were reported as strays.
    strays: Vec<Arc<str>>,
    /// Whether the folder could not be listed, so that this is said once.
    unlisted: bool,
}

/// What is known under one name.
struct Module {
    record: Arc<Record>,
    /// Number of the last generation.
    number: u32,
    running: Option<Running>,
    /// Crews that still empty their queues, oldest first.
    leaving: Vec<Crew<Blueprint>>,
    /// Why the files are not in force.
    rejected: Option<String>,
}

/// What is in force.
struct Running {
    attachment: Attachment,
    crew: Crew<Blueprint>,
    generation: Arc<Generation<Blueprint>>,
    compiled: Compiled,
    origin: Origin,
    instances: usize,
    queue: QueueLimits,
}

impl Registry {
    pub(super) fn new(loader: Loader, bus: Bus, outbox: Arc<dyn Outbox>) -> Registry {
        Registry {
            loader,
            bus,
            outbox,
            seen: Mutex::default(),
            roll: Mutex::default(),
        }
    }

    /// The first look: every module is new. Those that do not load are reported and left out.
    ///
    /// # Errors
    ///
    /// If the folder cannot be listed, or if the default module in the binary is wanted and does not load.
    pub(super) fn start(&self) -> Result<(), LoadError> {
        let mut seen = lock(&self.seen);
        let scan = self.scan()?;
        let webhook = ModuleName::webhook();
        let files = scan.files.0.get(&webhook).cloned().unwrap_or_default();
        if let Err(error) = self.put(&webhook, &files) {
            if files.wasm.is_none() {
                return Err(error);
            }
            // As if the file had come while the one in the binary ran: it changes nothing.
            let built_in = Files { wasm: None, ..files };
            if let Err(other) = self.put(&webhook, &built_in) {
                error!(module = %webhook, reason = explain(&other), "the built-in module does not take its place");
            }
            self.reject(&webhook, &error);
        }
        for (name, files) in scan
            .files
            .0
            .iter()
            .filter(|(name, files)| !name.is_webhook() && files.wasm.is_some())
        {
            if let Err(error) = self.put(name, files) {
                self.reject(name, &error);
            }
        }
        self.report_strays(&scan, &mut seen);
        seen.files = scan.files.prints();
        Ok(())
    }

    /// Looks at the folder and carries out what has changed. With `again`, files that did not load are tried again
    /// although they have not changed.
    pub(super) fn look(&self, again: bool) {
        let mut seen = lock(&self.seen);
        let scan = match self.scan() {
            Ok(scan) => scan,
            Err(error) => {
                if !std::mem::replace(&mut seen.unlisted, true) {
                    error!(reason = explain(&error), "modules stay as they are");
                }
                return;
            }
        };
        seen.unlisted = false;
        let prints = scan.files.prints();
        let mut changes = seen.files.changes(&prints);
        if again {
            let changed: Vec<_> = changes.iter().map(|(name, _)| name.clone()).collect();
            let rejected = self.rejected().into_iter().filter(|name| !changed.contains(name));
            changes.extend(rejected.map(|name| (name, Change::Replaced)).collect::<Vec<_>>());
        }
        for (name, change) in changes {
            let files = scan.files.0.get(&name).cloned().unwrap_or_default();
            match change {
                Change::Removed => self.remove(&name),
                Change::New | Change::Replaced => {
                    if let Err(error) = self.put(&name, &files) {
                        self.reject(&name, &error);
                    }
                }
            }
        }
        self.report_strays(&scan, &mut seen);
        seen.files = prints;
        lock(&self.roll).modules.retain(|_, module| module.is_in_use());
    }

    /// Detaches all modules, lets their workers empty their queues until `until`, and waits for them.
    pub(super) fn stop(&self, until: Instant) {
        let modules = {
            let mut roll = lock(&self.roll);
            // A look that is being carried out just now puts nothing in force any more.
            roll.stopped = true;
            std::mem::take(&mut roll.modules)
        };
        let mut crews = Vec::new();
        for (_, module) in modules {
            crews.extend(module.leaving);
            if let Some(running) = module.running {
                crews.push(running.crew);
            }
        }
        crews.iter().for_each(|crew| crew.slot.stop(until));
        for crew in crews {
            for thread in crew.join(until) {
                warn!(thread, "a module is still busy and is left behind");
            }
        }
    }

    /// All modules as they are, by name.
    pub(super) fn states(&self) -> Vec<ModuleState> {
        let mut roll = lock(&self.roll);
        let used = roll
            .modules
            .iter_mut()
            .filter_map(|(name, module)| module.is_in_use().then(|| module.state(name)));
        used.collect()
    }

    fn scan(&self) -> Result<folder::Scan, LoadError> {
        let Some(dir) = self.loader.dir() else {
            return Ok(folder::Scan::default());
        };
        folder::scan(dir).map_err(|source| LoadError::Folder {
            folder: dir.display().to_string(),
            source,
        })
    }

    /// Loads a module and puts it in force.
    fn put(&self, name: &ModuleName, files: &Files<Content>) -> Result<(), LoadError> {
        let began = Instant::now();
        let kv = self.loader.kv(name);
        let (number, compiled) = {
            let mut roll = lock(&self.roll);
            let module = roll.module(name);
            let compiled = module.running.as_ref().map(|running| running.compiled.clone());
            (module.number + 1, compiled)
        };
        let loaded = self.loader.load(name, files, number, &kv, compiled.as_ref())?;
        let (origin, hooks) = (loaded.origin, loaded.generation.interests.hooks().count());
        self.publish(name, loaded)?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(module = %name, generation = number, ?origin, hooks, took_ms, "module in force");
        Ok(())
    }

    fn publish(&self, name: &ModuleName, loaded: Loaded) -> Result<(), LoadError> {
        let mut roll = lock(&self.roll);
        if roll.stopped {
            return Ok(());
        }
        let module = roll.module(name);
        let Loaded {
            generation,
            allowance,
            origin,
            compiled,
        } = loaded;
        let generation = Arc::new(generation);
        let interests = generation.interests.clone();
        let (instances, queue) = (allowance.instances, allowance.queue);
        match &mut module.running {
            Some(running) if (running.instances, running.queue) == (instances, queue) => {
                let Running { attachment, crew, .. } = running;
                crew.slot
                    .publish(Arc::clone(&generation), || attachment.set_interests(interests));
                (running.generation, running.compiled, running.origin) = (generation, compiled, origin);
            }
            running => {
                let slot = Arc::new(Slot::new(Arc::clone(&generation)));
                let (attachment, inboxes) = self.bus.attach(&name.shared(), instances, queue);
                let worker = |inbox| {
                    let (slot, outbox, record) =
                        (Arc::clone(&slot), Arc::clone(&self.outbox), Arc::clone(&module.record));
                    Worker::new(name.shared(), inbox, slot, outbox, record)
                };
                let workers = inboxes.into_iter().map(worker).collect();
                let before = module
                    .leaving
                    .iter()
                    .chain(running.as_ref().map(|running| &running.crew));
                let crew = Crew::start(&name.shared(), Arc::clone(&slot), workers, before).map_err(|source| {
                    LoadError::Threads {
                        module: name.shared(),
                        source,
                    }
                })?;

                let old = running.take().map(|old| (old.attachment, old.crew));
                let (old_attachment, old_crew) = old.unzip();
                let mut version = Version::default();
                slot.publish(Arc::clone(&generation), || {
                    version = match old_attachment {
                        Some(old) => attachment.replace(old, interests),
                        None => attachment.set_interests(interests),
                    };
                    version
                });
                if let Some(old) = old_crew {
                    // What waits in the old queues is no worse off than what comes.
                    old.slot.publish(Arc::clone(&generation), || version);
                    old.slot.leave(Instant::now() + PATIENCE);
                    module.leaving.push(old);
                }
                *running = Some(Running {
                    attachment,
                    crew,
                    generation,
                    compiled,
                    origin,
                    instances,
                    queue,
                });
            }
        }
        module.number += 1;
        module.rejected = None;
        Ok(())
    }

    /// Detaches a module and lets it empty its queue.
    fn remove(&self, name: &ModuleName) {
        self.loader.forget(name);
        let mut roll = lock(&self.roll);
        let Some(module) = roll.modules.get_mut(name) else {
            return;
        };
        module.rejected = None;
        if let Some(Running {
            attachment,
            crew,
            generation,
            ..
        }) = module.running.take()
        {
            crew.slot.leave(Instant::now() + PATIENCE);
            drop(attachment);
            info!(module = %name, generation = generation.number, "module removed");
            module.leaving.push(crew);
        }
    }

    fn reject(&self, name: &ModuleName, error: &LoadError) {
        let reason = explain(error);
        let mut roll = lock(&self.roll);
        let module = roll.module(name);
        match &module.running {
            Some(running) => {
                let generation = running.generation.number;
                error!(module = %name, generation, reason, "module not loaded; the generation in force stays");
            }
            None => error!(module = %name, reason, "module not loaded"),
        }
        module.rejected = Some(reason);
    }

    fn rejected(&self) -> Vec<ModuleName> {
        let roll = lock(&self.roll);
        roll.modules
            .iter()
            .filter(|(_, module)| module.rejected.is_some())
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Says once of each stray file that it is one.
    fn report_strays(&self, scan: &folder::Scan, seen: &mut Seen) {
        let strays = self.loader.strays(scan);
        for (name, error) in &strays {
            if !seen.strays.contains(name) {
                warn!(reason = explain(error), "file in the modules folder ignored");
            }
        }
        seen.strays = strays.into_iter().map(|(name, _)| name).collect();
    }
}

impl Roll {
    fn module(&mut self, name: &ModuleName) -> &mut Module {
        self.modules.entry(name.clone()).or_insert_with(Module::new)
    }
}

impl Module {
    fn new() -> Module {
        Module {
            record: Arc::new(Record::new()),
            number: 0,
            running: None,
            leaving: Vec::new(),
            rejected: None,
        }
    }

    /// Forgets the crews that have ended; whether there is anything left.
    fn is_in_use(&mut self) -> bool {
        self.leaving.retain(|crew| !crew.has_ended());
        self.running.is_some() || self.rejected.is_some() || !self.leaving.is_empty()
    }

    fn state(&self, name: &ModuleName) -> ModuleState {
        let backing_off = self.record.backing_off();
        let status = match (&self.running, &backing_off) {
            (Some(_), None) => Status::Running,
            (Some(_), Some(_)) => Status::BackingOff,
            (None, _) if !self.leaving.is_empty() => Status::Draining,
            (None, _) => Status::Rejected,
        };
        let generation = self.running.as_ref().map(|running| GenerationState {
            number: running.generation.number,
            origin: running.origin,
            instances: running.instances,
            hooks: running.generation.interests.hooks().collect(),
            egress: running
                .generation
                .egress
                .grants()
                .iter()
                .map(ToString::to_string)
                .collect(),
        });
        let problem = self.rejected.clone().or(backing_off);
        ModuleState {
            name: name.shared(),
            status,
            problem,
            generation,
            counts: self.record.counts(),
        }
    }
}
