//! The modules that run, and how they become others.
//!
//! A [`Registry`] holds what is in force for each name. [`Registry::look`] compares the folder with what it saw last
//! and carries out what has changed, one module after the other: load completely, then publish in one step. What does
//! not load changes nothing but the module's state. Loading happens without holding the lock that
//! [`Registry::states`] takes; only one look is carried out at a time.
//!
//! A generation that has handled events is remembered when another takes its place, code and all. If that one fails
//! (see `health.rs`), [`Registry::roll_back`] puts the former in force again, under its own number and in one step, as
//! any generation. What the files are was seen already: they are loaded again when they change, or when somebody asks.
//!
//! What the host's configuration gives to modules is new to all of them. One whose files are not in force, because they do
//! not load or were rolled back, goes on as it is, loaded once more from what it was loaded from.
//!
//! A module that was compiled quickly is compiled once more when it is in force. [`Registry::improve`] then has the same
//! generation go on in the better code, in one step and with new instances, as for a reload. Until then it is not given up
//! for being slow.
//!
//! A module's queues stay when its generation changes. If its number of instances or its bounds change as well, new
//! queues take over in one step, and their workers begin when the old ones have emptied theirs, so that the order of
//! each client is kept. What a module keeps in `kv` stays at least until the module is removed.

mod better;
mod force;
mod given;
mod look;
mod roll;

use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use tracing::{error, info, warn};

use super::ReplayError;
use super::explain;
use super::folder::{Content, Files, ModuleName};
use super::generation::lock;
use super::load::{Compiled, LoadError, Loader};
use super::optimiser::Optimiser;
use super::quarantine::{Entry, Quarantine};
use super::state::ModuleState;
use hookhost_delivery::Outbox;
use hookhost_hooks::Bus;
use look::Seen;
use roll::{Module, Roll};

/// All modules of the host by name.
pub(super) struct Registry {
    /// Itself, for those who may ask for a rollback.
    me: Weak<Registry>,
    loader: Loader,
    /// None if its thread could not be started: modules stay as they are compiled.
    optimiser: Option<Optimiser>,
    bus: Bus,
    outbox: Arc<dyn Outbox>,
    pub(super) quarantine: Arc<Quarantine>,
    /// What the folder looked like; locked while a look is carried out.
    seen: Mutex<Seen>,
    roll: Mutex<Roll>,
}

impl Registry {
    pub(super) fn new(loader: Loader, bus: Bus, outbox: Arc<dyn Outbox>, quarantine: Arc<Quarantine>) -> Arc<Registry> {
        Arc::new_cyclic(|me: &Weak<Registry>| Registry {
            me: me.clone(),
            optimiser: Registry::optimiser(me, &loader),
            loader,
            bus,
            outbox,
            quarantine,
            seen: Mutex::default(),
            roll: Mutex::default(),
        })
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

    /// The code that is in force.
    fn compiled(&self, name: &ModuleName) -> Option<Compiled> {
        let roll = lock(&self.roll);
        let running = roll.modules.get(name).and_then(|module| module.running.as_ref());
        running.map(|running| running.release.compiled.clone())
    }

    /// What was loaded to be what is in force; the code may be elsewhere by now.
    fn files_in_force(&self, name: &ModuleName) -> Option<Files<Content>> {
        let roll = lock(&self.roll);
        let running = roll.modules.get(name)?.running.as_ref()?;
        Some(running.release.files.clone())
    }

    /// Loads what is in force once more, for what modules are given by now; none if nothing is in force. What is known of
    /// the files in the folder stays.
    fn put_again(&self, name: &ModuleName) -> Option<Result<u32, LoadError>> {
        let files = self.files_in_force(name)?;
        Some(self.put_from(name, &files, false))
    }

    /// Loads a module and puts it in force; gives the number of its generation.
    fn put(&self, name: &ModuleName, files: &Files<Content>) -> Result<u32, LoadError> {
        self.put_from(name, files, true)
    }

    /// The same, whether these are the `latest` files or not.
    fn put_from(&self, name: &ModuleName, files: &Files<Content>, latest: bool) -> Result<u32, LoadError> {
        let began = Instant::now();
        let kv = self.loader.kv(name);
        let (number, compiled) = {
            let mut roll = lock(&self.roll);
            let module = roll.module(name, || self.common(name));
            let compiled = module.running.as_ref().map(|running| running.release.compiled.clone());
            (module.number + 1, compiled)
        };
        let loaded = self.loader.load(name, files, number, &kv, compiled.as_ref())?;
        let (origin, hooks) = (loaded.origin, loaded.generation.interests.hooks().count());
        let task = self.loader.task(name, &loaded);
        let better = self.optimiser.as_ref().zip(task);
        self.publish(name, loaded, better.is_some(), latest)?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        info!(module = %name, generation = number, ?origin, hooks, took_ms, "module in force");
        // Not before it is in force, so that it is found there.
        if let Some((optimiser, task)) = better {
            optimiser.add(task);
        }
        Ok(number)
    }

    /// Hands an entry of the quarantine to its module once more: it leaves the quarantine for the queue. Gives the
    /// number of the generation in force.
    pub(super) fn replay(&self, id: u64) -> Result<(Entry, u32), ReplayError> {
        let entry = self.quarantine.take(id).ok_or(ReplayError::Unknown(id))?;
        match self.queue(&entry) {
            Ok(generation) => Ok((entry, generation)),
            Err(error) => {
                self.quarantine.put_back(entry);
                Err(error)
            }
        }
    }

    fn queue(&self, entry: &Entry) -> Result<u32, ReplayError> {
        let roll = lock(&self.roll);
        let running = roll
            .modules
            .get(&*entry.module)
            .and_then(|module| module.running.as_ref());
        let running = running.ok_or_else(|| ReplayError::NoModule(Arc::clone(&entry.module)))?;
        let generation = &running.release.generation;
        let detail = &entry.event.detail;
        if !generation.interests.wants(detail.hook(), detail.subject()) {
            return Err(ReplayError::NotWanted {
                module: Arc::clone(&entry.module),
                generation: generation.number,
            });
        }
        running.attachment.offer(Arc::clone(&entry.event))?;
        Ok(generation.number)
    }

    /// Notes why files are not in force, and gives that as a text.
    fn reject(&self, name: &ModuleName, error: &LoadError) -> String {
        let reason = explain(error);
        let mut roll = lock(&self.roll);
        let module = roll.module(name, || self.common(name));
        match &module.running {
            Some(running) => {
                let generation = running.release.generation.number;
                error!(module = %name, generation, reason, "module not loaded; the generation in force stays");
            }
            None => error!(module = %name, reason, "module not loaded"),
        }
        module.rejected = Some(reason.clone());
        module.missed = matches!(error, LoadError::Changed { .. });
        reason
    }

    fn names_of(&self, chosen: impl Fn(&Module) -> bool) -> Vec<ModuleName> {
        let roll = lock(&self.roll);
        let modules = roll.modules.iter().filter(|(_, module)| chosen(module));
        modules.map(|(name, _)| name.clone()).collect()
    }
}
