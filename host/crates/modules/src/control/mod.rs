//! The modules that run, and how they become others.
//!
//! The [`Controller`] holds the [`ModuleTable`]. [`Controller::apply`] takes what is desired, asks the reconciler what that
//! means, and carries it out, one module after the other: load completely, then activate in one step. What does not load
//! changes nothing but the module's state. Loading happens without the lock that [`Controller::states`] takes; one call
//! of `apply` at a time.
//!
//! A generation that has handled events is remembered when another one replaces it, code and all. If that one fails
//! (see `health.rs`), the controller rolls back: the former becomes active again, under its own number and in one step, as
//! any generation. The files of the failed one are loaded again when they change, or when somebody asks.
//!
//! What the host's configuration says is new to all modules. One whose files are not active, because they do not load or
//! were rolled back, is loaded once more from what it was loaded from.
//!
//! A module's queues stay when its generation changes. If its number of instances or its bounds change as well, new
//! queues take over in one step, and their workers begin when the old ones have emptied theirs, so that the order of
//! each client is kept. What a module keeps in `kv` stays at least until the module is retired.

mod activation;
mod apply;
mod reconcile;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use tracing::{error, info, warn};

use super::ReplayError;
use super::folder::{Content, Files, ModuleName};
use super::generation::lock;
use super::load::{LoadError, Loader};
use super::quarantine::{Quarantine, QuarantinedEvent};
use super::state::{ModuleState, Record};
use super::supervisor::Supervisor;
use super::worker::Common;
use hookhost_delivery::Outbox;
use hookhost_hooks::Bus;
use hookhost_settings::error_line;
use table::{Module, ModuleTable, Release};

/// All modules of the host.
pub(super) struct Controller {
    /// Itself, for those who may ask for a rollback.
    me: Weak<Controller>,
    loader: Loader,
    bus: Bus,
    outbox: Arc<dyn Outbox>,
    pub(super) quarantine: Arc<Quarantine>,
    table: Mutex<ModuleTable>,
    /// Locked while something is applied.
    applying: Mutex<()>,
}

impl Controller {
    pub(super) fn new(
        loader: Loader,
        bus: Bus,
        outbox: Arc<dyn Outbox>,
        quarantine: Arc<Quarantine>,
    ) -> Arc<Controller> {
        Arc::new_cyclic(|me| Controller {
            me: me.clone(),
            loader,
            bus,
            outbox,
            quarantine,
            table: Mutex::default(),
            applying: Mutex::default(),
        })
    }

    /// Detaches all modules, lets their workers empty their queues until `until`, and waits for them.
    pub(super) fn stop(&self, until: Instant) {
        let modules = {
            let mut table = self.table();
            // What is being applied just now activates nothing any more.
            table.is_stopped = true;
            std::mem::take(&mut table.modules)
        };
        let sets = modules.into_values().flat_map(|module| {
            let active = module.active.map(|active| active.workers);
            module.draining.into_iter().chain(active)
        });
        let sets: Vec<_> = sets.collect();
        sets.iter().for_each(|workers| workers.active.stop(until));
        for workers in sets {
            for thread in workers.join(until) {
                warn!(thread, "a module is still busy and is left behind");
            }
        }
    }

    /// All modules as they are, by name.
    pub(super) fn states(&self) -> Vec<ModuleState> {
        self.table().states()
    }

    /// Loads a module from files and activates it; gives the number of its generation. `is_latest`: these are the files in the
    /// folder.
    fn load(&self, name: &ModuleName, files: &Files<Content>, is_latest: bool) -> Result<u32, LoadError> {
        let began = Instant::now();
        let (number, compiled) = {
            let mut table = self.table();
            let module = self.module(&mut table, name);
            let compiled = module.active.as_ref().map(|active| active.release.compiled.clone());
            (module.number + 1, compiled)
        };
        let kv = self.loader.kv(name);
        let loaded = self.loader.load(name, files, number, &kv, compiled.as_ref())?;
        let (origin, hooks) = (loaded.origin, loaded.generation.interests.hooks().count());
        {
            let mut table = self.table();
            if table.is_stopped {
                return Ok(number);
            }
            let seen = is_latest.then(|| files.hashes());
            self.module(&mut table, name)
                .activate(&self.bus, Release::from(loaded), seen)?;
        }
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(module = %name, generation = number, ?origin, hooks, took_ms, "module activated");
        Ok(number)
    }

    /// Loads the active release once more, for what the host's configuration says by now; none if nothing is active. What is
    /// known of the files in the folder stays.
    fn reload_active(&self, name: &ModuleName) -> Option<Result<u32, LoadError>> {
        let files = self.active_files(name)?;
        Some(self.load(name, &files, false))
    }

    /// Notes why the files in the folder are not active, and gives that as a text.
    fn reject(&self, name: &ModuleName, files: &Files<Content>, error: &LoadError) -> String {
        let reason = error_line(error);
        let mut table = self.table();
        let module = self.module(&mut table, name);
        match &module.active {
            Some(active) => {
                let generation = active.release.generation.number;
                error!(module = %name, generation, reason, "module not loaded; the previous version keeps running");
            }
            None => error!(module = %name, reason, "module not loaded"),
        }
        module.rejected = Some(reason.clone());
        // What was changed meanwhile may be what it was before: it is loaded in any case.
        let is_known = !matches!(error, LoadError::Changed { .. });
        module.seen = is_known.then(|| files.hashes());
        reason
    }

    /// Rolls back from a generation that has failed.
    fn roll_back(&self, name: &ModuleName, failed: u32, reason: &str) {
        let mut table = self.table();
        let Some(module) = table.modules.get_mut(name) else {
            return;
        };
        match module.roll_back(&self.bus, failed, reason) {
            Ok(None) => {}
            Ok(Some(generation)) => error!(module = %name, failed, generation, reason, "module rolled back"),
            Err(error) => {
                let cause = error_line(&error);
                error!(module = %name, generation = failed, reason, cause, "module cannot be rolled back");
            }
        }
    }

    /// Ends a module whose files are gone.
    fn retire(&self, name: &ModuleName) {
        self.loader.forget(name);
        let mut table = self.table();
        if let Some(generation) = table.modules.get_mut(name).and_then(Module::retire) {
            info!(module = %name, generation, "module removed");
        }
    }

    /// Hands an event of the quarantine to its module once more: it leaves the quarantine for the queue. Gives the number of
    /// the active generation.
    pub(super) fn replay(&self, id: u64) -> Result<(QuarantinedEvent, u32), ReplayError> {
        let event = self.quarantine.take(id).ok_or(ReplayError::Unknown(id))?;
        match self.queue(&event) {
            Ok(generation) => Ok((event, generation)),
            Err(error) => {
                self.quarantine.put_back(event);
                Err(error)
            }
        }
    }

    fn queue(&self, quarantined: &QuarantinedEvent) -> Result<u32, ReplayError> {
        let module = &quarantined.module;
        let table = self.table();
        let active = table.active(module);
        let active = active.ok_or_else(|| ReplayError::NoModule(Arc::clone(module)))?;
        let generation = &active.release.generation;
        let detail = &quarantined.event.detail;
        if !generation.interests.wants(detail.hook(), detail.subject()) {
            return Err(ReplayError::NotWanted {
                module: Arc::clone(module),
                generation: generation.number,
            });
        }
        active.attachment.offer(Arc::clone(&quarantined.event))?;
        Ok(generation.number)
    }

    fn table(&self) -> MutexGuard<'_, ModuleTable> {
        lock(&self.table)
    }

    fn module<'a>(&self, table: &'a mut ModuleTable, name: &ModuleName) -> &'a mut Module {
        table.module(name, || self.common(name))
    }

    /// What the workers of a module have in common, made once for each name.
    fn common(&self, name: &ModuleName) -> Arc<Common> {
        let (controller, of) = (self.me.clone(), name.clone());
        let roll_back = move |generation, reason: String| {
            if let Some(controller) = controller.upgrade() {
                controller.roll_back(&of, generation, &reason);
            }
        };
        Arc::new(Common {
            module: name.shared(),
            outbox: Arc::clone(&self.outbox),
            record: Record::new(),
            supervisor: Supervisor::new(name.shared(), Box::new(roll_back)),
            quarantine: Arc::clone(&self.quarantine),
            nice: self.loader.nice(),
        })
    }

    /// What the active release was loaded from; the code may be elsewhere by now.
    fn active_files(&self, name: &ModuleName) -> Option<Files<Content>> {
        let table = self.table();
        Some(table.modules.get(name)?.active.as_ref()?.release.files.clone())
    }
}
