//! Runs the modules and changes them while they run.
//!
//! The [`Controller`] holds the [`ModuleTable`]. [`Controller::apply`] takes the desired state and asks the reconciler
//! for the actions. It carries them out one module after the other: it loads a module completely, then activates it in
//! one step. A module that does not load changes only its recorded state. Loading does not hold the lock that
//! [`Controller::states`] takes. One call of `apply` runs at a time.
//!
//! When a new generation replaces one that has handled events, the controller keeps the previous one, including its
//! code. If the new generation fails (see `health.rs`), the controller rolls back. The previous generation becomes
//! active again, under its own number and in one step. The files of the failed generation are loaded again when they
//! change, or on request.
//!
//! A change of the host's configuration reaches all modules. If a module's files are not active, because they do not
//! load or were rolled back, the controller reloads the active release instead.
//!
//! A module keeps its queues when its generation changes. If its number of instances or its limits change as well, new
//! queues replace the old ones in one step. The new workers start when the old ones have emptied their queues. This
//! keeps the order of each client. The module's `kv` entries stay at least until the module is retired.

mod activation;
mod apply;
mod reconcile;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use tracing::{error, info, warn};

use super::folder::{Content, Files, ModuleName};
use super::generation::lock;
use super::load::{LoadError, Loader, ModuleSource};
use super::quarantine::{Quarantine, QuarantinedEvent};
use super::state::{ModuleRecord, ModuleState, Origin};
use super::supervisor::Supervisor;
use super::worker::WorkerContext;
use super::{ReplayError, RollBackError};
use hookhost_delivery::{Outbox, Receivers};
use hookhost_hooks::Bus;
use hookhost_settings::error_line;
use table::{Module, ModuleTable, Release};

/// All modules of the host.
pub(super) struct Controller {
    /// A reference to itself, for callbacks that request a rollback.
    me: Weak<Controller>,
    loader: Loader,
    bus: Bus,
    outbox: Arc<dyn Outbox>,
    pub(super) quarantine: Arc<Quarantine>,
    table: Mutex<ModuleTable>,
    /// Locked during `apply`.
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
            // An `apply` that is still running activates nothing from here on.
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
                warn!(
                    thread,
                    "a module did not stop within the grace period; hookhost exits without it"
                );
            }
        }
    }

    /// The current state of all modules, by name.
    pub(super) fn states(&self) -> Vec<ModuleState> {
        self.table().states()
    }

    /// Loads a module from files and activates it. Returns the number of its generation.
    ///
    /// `is_latest`: these are the files in the folder.
    fn load(&self, name: &ModuleName, files: &Files<Content>, is_latest: bool) -> Result<u32, LoadError> {
        let began = Instant::now();
        let (number, compiled) = {
            let mut table = self.table();
            let module = self.module(&mut table, name);
            let compiled = module.active.as_ref().map(|active| active.release.compiled.clone());
            (module.number + 1, compiled)
        };
        let kv = self.loader.kv(name);
        let loaded = self.loader.load(ModuleSource {
            name,
            files,
            number,
            kv: &kv,
            compiled: compiled.as_ref(),
        })?;
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

    /// Reloads the active release with the current configuration of the host. Returns `None` if nothing is active.
    ///
    /// The record of the files in the folder does not change.
    fn reload_active(&self, name: &ModuleName) -> Option<Result<u32, LoadError>> {
        let files = self.active_files(name)?;
        Some(self.load(name, &files, false))
    }

    /// Records why the files in the folder are not active, and returns the reason as text.
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
        // A file that changed during the load may get its old content back, so the next run loads it in any case.
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

    /// Rolls back the active generation of a module because an operator asks for it.
    pub(super) fn roll_back_active(&self, name: &str) -> Result<u32, RollBackError> {
        let mut table = self.table();
        let not_running = || RollBackError::NotRunning(name.to_owned());
        let module = table.modules.get_mut(name).ok_or_else(not_running)?;
        let active = module.active.as_ref().ok_or_else(not_running)?;
        if active.release.origin == Origin::BuiltIn {
            return Err(RollBackError::BuiltIn);
        }
        let number = active.release.generation.number;
        let rolled_back = module.roll_back(&self.bus, number, "an operator asked for it");
        let previous = rolled_back.map_err(|error| RollBackError::Failed(error_line(&error)))?;
        let previous = previous.ok_or_else(|| RollBackError::NoPrevious(name.to_owned()))?;
        info!(module = %name, from = number, generation = previous, "module rolled back by an operator");
        Ok(previous)
    }

    /// Retires a module whose files are gone.
    fn retire(&self, name: &ModuleName) {
        self.loader.forget(name);
        let mut table = self.table();
        if let Some(generation) = table.modules.get_mut(name).and_then(Module::retire) {
            info!(module = %name, generation, "module removed");
        }
    }

    /// The receivers of requests that modules make now.
    pub(super) fn receivers(&self) -> Arc<Receivers> {
        self.loader.reloadable().receivers
    }

    /// Retries a quarantined event: moves it from the quarantine to the queue of its module. Returns the number of the
    /// active generation.
    pub(super) fn replay(&self, id: u64) -> Result<(QuarantinedEvent, u32), ReplayError> {
        let event = self.quarantine.take(id).ok_or(ReplayError::Unknown(id))?;
        match self.queue(&event) {
            Ok(generation) => Ok((event, generation)),
            Err(error) => {
                self.quarantine.put_back(&event);
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
        table.module(name, || self.context(name))
    }

    /// What the workers of a module share, made once for each name.
    fn context(&self, name: &ModuleName) -> Arc<WorkerContext> {
        let (controller, of) = (self.me.clone(), name.clone());
        let roll_back = move |generation, reason: String| {
            if let Some(controller) = controller.upgrade() {
                controller.roll_back(&of, generation, &reason);
            }
        };
        Arc::new(WorkerContext {
            module: name.shared(),
            outbox: Arc::clone(&self.outbox),
            record: ModuleRecord::new(),
            supervisor: Supervisor::new(name.shared(), Box::new(roll_back)),
            quarantine: Arc::clone(&self.quarantine),
            nice: self.loader.nice(),
            activity: self.loader.activity(),
        })
    }

    /// The source of the active release. The code may have moved since.
    fn active_files(&self, name: &ModuleName) -> Option<Files<Content>> {
        let table = self.table();
        Some(table.modules.get(name)?.active.as_ref()?.release.files.clone())
    }
}
