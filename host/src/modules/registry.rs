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

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::crew::Crew;
use super::explain;
use super::folder::{self, Change, Content, Files, Known, Listing, ModuleName, Print};
use super::generation::{Blueprint, Generation, Slot, lock};
use super::health::Standing;
use super::load::{Compiled, Loaded, Loader};
use super::load_error::LoadError;
use super::optimiser::{Optimiser, Task};
use super::quarantine::{Entry, Quarantine};
use super::state::{GenerationState, ModuleState, Origin, Record, Status};
use super::supervisor::Supervisor;
use super::worker::{Common, Worker};
use super::{Flawed, Fresh, Given, Outcome, ReplayError, Reread, Rescan};
use crate::delivery::Outbox;
use crate::hooks::{Attachment, Bus, QueueLimits, Version};
use crate::wasm::Component;

/// How long the workers of a removed module try to make an instance before what is in their queues is given up.
const PATIENCE: Duration = Duration::from_secs(30);

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

#[derive(Default)]
struct Roll {
    modules: BTreeMap<ModuleName, Module>,
    /// Nothing is put in force any more.
    stopped: bool,
}

#[derive(Default)]
struct Seen {
    files: Listing<Print>,
    /// Code that need not be read again.
    known: Known,
    /// Files that were reported as strays.
    strays: Vec<Arc<str>>,
    /// Whether the folder could not be listed, so that this is said once.
    unlisted: bool,
    /// A configuration that waits for the folder.
    fresh: Option<Fresh>,
    /// What was wrong with the configuration when it was last read, if it was refused.
    refused: Option<Vec<String>>,
}

/// What is known under one name.
struct Module {
    common: Arc<Common>,
    /// Number of the last generation.
    number: u32,
    running: Option<Running>,
    /// Crews that still empty their queues, oldest first.
    leaving: Vec<Crew<Blueprint>>,
    /// What to go back to if what is in force fails.
    last_good: Option<Release>,
    /// Which generation was given up for the one in force, and why.
    rolled_back: Option<(u32, String)>,
    /// Why the files are not in force.
    rejected: Option<String>,
    /// They were not loaded as they had been seen: if they are so again, nothing seems to have changed.
    missed: bool,
}

/// What is in force.
struct Running {
    attachment: Attachment,
    crew: Crew<Blueprint>,
    release: Release,
}

/// What can be put in force: a generation, what it was made from, and how it is run.
#[derive(Clone)]
struct Release {
    generation: Arc<Generation<Blueprint>>,
    compiled: Compiled,
    /// The code may be elsewhere by now.
    files: Files<Content>,
    origin: Origin,
    instances: usize,
    queue: QueueLimits,
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

    fn optimiser(me: &Weak<Registry>, loader: &Loader) -> Option<Optimiser> {
        let (asked, told) = (me.clone(), me.clone());
        let wanted = move |task: &Task| {
            asked
                .upgrade()
                .is_some_and(|registry| registry.can_improve(task.code()))
        };
        let done = move |task: &Task, component: Option<Component>| {
            if let Some(registry) = told.upgrade() {
                match component {
                    Some(component) => registry.improve(task.code(), &component),
                    None => registry.leave(task.code()),
                }
            }
        };
        Optimiser::start(loader.optimising(), wanted, done)
            .inspect_err(|error| warn!(%error, "modules that are compiled quickly stay so"))
            .ok()
    }

    /// The first look: every module is new. Those that do not load are reported and left out.
    ///
    /// # Errors
    ///
    /// If the folder cannot be listed, or if the default module in the binary is wanted and does not load.
    pub(super) fn start(&self) -> Result<(), LoadError> {
        let mut seen = lock(&self.seen);
        let scan = self.scan(&mut seen.known)?;
        let webhook = ModuleName::webhook();
        let files = scan.files.of(&webhook);
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
        for (name, files) in scan.modules().filter(|(name, _)| !name.is_webhook()) {
            if let Err(error) = self.put(name, files) {
                self.reject(name, &error);
            }
        }
        self.report_strays(&scan, &mut seen);
        seen.files = scan.files.prints();
        Ok(())
    }

    /// Looks at the folder and carries out what has changed. With `again`, files that did not load or were rolled back
    /// are tried again although they have not changed. What a configuration gives that was read again is carried out
    /// first: the default module takes it, or all stays as it is.
    pub(super) fn look(&self, again: bool, fresh: Option<Fresh>) -> Rescan {
        let mut found = Rescan {
            folder: self.loader.dir().cloned(),
            ..Rescan::default()
        };
        let mut seen = lock(&self.seen);
        if fresh.is_some() {
            seen.fresh = fresh;
        }
        if again {
            // Whoever asks wants to know.
            seen.known = Known::default();
        }
        let scan = match self.scan(&mut seen.known) {
            Ok(scan) => scan,
            Err(error) => {
                let reason = explain(&error);
                if !std::mem::replace(&mut seen.unlisted, true) {
                    error!(reason, "modules stay as they are");
                }
                found.problem = Some(reason);
                return found;
            }
        };
        seen.unlisted = false;
        let prints = scan.files.prints();
        let mut changes = seen.files.changes(&prints);
        let missed = self.names_of(|module| module.missed).into_iter();
        let is_listed = |name: &ModuleName| changes.iter().any(|(changed, _)| changed == name);
        let missed: Vec<_> = missed.filter(|name| !is_listed(name)).collect();
        changes.extend(missed.into_iter().map(|name| (name, Change::Replaced)));
        let given_before = self.loader.given().receivers;
        let fresh = seen.fresh.take();
        let told = seen.refused.take();
        let refused = match fresh {
            Some(fresh) => {
                let known = told.filter(|_| !again);
                self.configure(fresh, &scan, again, &mut changes, &mut found, known.as_deref())
            }
            None => {
                seen.refused = told;
                None
            }
        };
        if let (Some(_), Some(reread)) = (&refused, &found.configuration) {
            seen.refused = Some(reread.problems.clone());
        }
        let given_anew = self.loader.given().receivers != given_before;
        if again {
            let changed: Vec<_> = changes.iter().map(|(name, _)| name.clone()).collect();
            // Another try does not change what is wrong with the configuration.
            let is_hopeless = |name: &ModuleName| refused.is_some() && name.is_webhook();
            let not_in_force = |module: &Module| module.rejected.is_some() || module.rolled_back.is_some();
            let more = self.names_of(not_in_force).into_iter();
            let was_tried = |name: &ModuleName| found.rejected.iter().any(|(tried, _)| **tried == *name.shared());
            let more = more.filter(|name| !changed.contains(name) && !is_hopeless(name) && !was_tried(name));
            changes.extend(more.map(|name| (name, Change::Replaced)).collect::<Vec<_>>());
        }
        for (name, change) in &changes {
            let files = scan.files.of(name);
            match change {
                Change::Removed => {
                    self.remove(name);
                    found.removed.push(name.shared());
                }
                Change::New | Change::Replaced => self.take_up(name, &files, given_anew, &mut found),
            }
        }
        if given_anew {
            for (name, files) in scan.modules() {
                let is_changed = changes.iter().any(|(changed, _)| changed == name);
                if name.is_webhook() || is_changed {
                    continue;
                }
                if self.has_given_way(name, files) {
                    self.renew(name, &mut found);
                } else {
                    self.take_up(name, files, true, &mut found);
                }
            }
        }
        if let Some(reason) = refused {
            self.note(&ModuleName::webhook(), reason);
        }
        found.ignored = self.report_strays(&scan, &mut seen);
        seen.files = prints;
        let mut roll = lock(&self.roll);
        roll.modules.retain(|_, module| module.is_in_use());
        let touched = |name: &Arc<str>| {
            let loaded = found.loaded.iter().map(|(name, _)| name);
            let rejected = found.rejected.iter().map(|(name, _)| name);
            loaded.chain(rejected).chain(&found.removed).any(|other| other == name)
        };
        let names = roll.modules.keys().map(ModuleName::shared);
        found.unchanged = names.filter(|name| !touched(name)).collect();
        found
    }

    /// What modules are given now.
    #[cfg(test)]
    pub(super) fn given(&self) -> Given {
        self.loader.given()
    }

    /// Whether the configuration was refused when it was last read: then whatever changes may be what it lacked, and it
    /// is to be read again.
    pub(super) fn has_refused(&self) -> bool {
        lock(&self.seen).refused.is_some()
    }

    /// Has the default module take what a configuration gives now, and with it the folder's files that are its own. If
    /// it does, all others are given the same. Changes that are carried out are taken out of the list. Gives
    /// the reason if it was refused; the log has it unless these mistakes are known already.
    fn configure(
        &self,
        fresh: Fresh,
        scan: &folder::Scan,
        again: bool,
        changes: &mut Vec<(ModuleName, Change)>,
        found: &mut Rescan,
        known: Option<&[String]>,
    ) -> Option<String> {
        let webhook = ModuleName::webhook();
        let Fresh { given, warnings } = fresh;
        let carried_out = match given {
            Ok(given) => self.give(&webhook, given, scan, again, changes, found),
            Err(Flawed { mut refused, rest }) => {
                let files = scan.files.of(&webhook);
                let compiled = self.compiled(&webhook);
                let mistakes = |rest| self.loader.mistakes_in(rest, &webhook, &files, compiled.as_ref());
                refused.add(rest.map(mistakes).unwrap_or_default());
                let problems: Vec<String> = refused.problems.iter().map(ToString::to_string).collect();
                let reason = format!("the configuration has mistakes: {}", problems.join("; "));
                Err((problems, reason))
            }
        };
        let (outcome, problems, reason) = match carried_out {
            Ok(outcome) => (outcome, Vec::new(), None),
            Err((problems, reason)) => (Outcome::Refused, problems, Some(reason)),
        };
        match outcome {
            Outcome::Unchanged => {}
            Outcome::InForce => info!("the configuration was read again and is in force"),
            Outcome::Refused if known == Some(&problems[..]) => {}
            Outcome::Refused => {
                problems.iter().for_each(|problem| error!("{problem}"));
                let mistakes = problems.len();
                error!(
                    mistakes,
                    "the configuration was read again and is refused; what is in force stays"
                );
            }
        }
        found.configuration = Some(Reread {
            outcome,
            problems,
            warnings,
        });
        reason
    }

    /// Gives what is wrong, one by one and as a reason, if the default module does not take it.
    fn give(
        &self,
        webhook: &ModuleName,
        mut given: Given,
        scan: &folder::Scan,
        again: bool,
        changes: &mut Vec<(ModuleName, Change)>,
        found: &mut Rescan,
    ) -> Result<Outcome, (Vec<String>, String)> {
        let before = self.loader.given();
        if given == before {
            // After mistakes the same as before is news to the module.
            if self.is_rejected(webhook) && !changes.iter().any(|(name, _)| name == webhook) {
                changes.push((webhook.clone(), Change::Replaced));
            }
            return Ok(Outcome::Unchanged);
        }
        if given.receivers == before.receivers {
            // The very same: delivery tells by that whether anything has changed.
            given.receivers = Arc::clone(&before.receivers);
        }
        self.loader.give(given);
        let files = scan.files.of(webhook);
        let is_changed = changes.iter().any(|(name, _)| name == webhook);
        changes.retain(|(name, _)| name != webhook);
        let stays = !again && !is_changed && self.has_given_way(webhook, &files);
        let (put, other) = if stays {
            let put = self.put_again(webhook);
            (put.unwrap_or_else(|| self.put(webhook, &files)), None)
        } else {
            let put = self.put(webhook, &files);
            let other = put.is_err().then(|| self.put_in_same_code(webhook, &files)).flatten();
            (put, other)
        };
        match put {
            Ok(generation) => found.loaded.push((webhook.shared(), generation)),
            Err(error) => {
                if !matches!(other, Some(Ok(_))) {
                    self.loader.give(before);
                }
                let reason = self.reject(webhook, &error);
                found.rejected.push((webhook.shared(), reason.clone()));
                // If there is other code, that is what refuses the configuration.
                match other.map_or(Err(error), |other| other) {
                    Ok(generation) => found.loaded.push((webhook.shared(), generation)),
                    Err(error) => {
                        let problems = match error.problems() {
                            [] => vec![explain(&error)],
                            mistakes => mistakes.iter().map(ToString::to_string).collect(),
                        };
                        return Err((problems, reason));
                    }
                }
            }
        }
        Ok(Outcome::InForce)
    }

    /// Loads a module from files that have changed, or because of what modules are `given_anew`: if they do not load, what
    /// is in force is given that.
    fn take_up(&self, name: &ModuleName, files: &Files<Content>, given_anew: bool, found: &mut Rescan) {
        match self.put(name, files) {
            Ok(generation) => found.loaded.push((name.shared(), generation)),
            Err(error) => {
                // The same files again would be no better.
                let in_force = self.files_in_force(name).filter(|_| given_anew);
                if in_force.is_some_and(|in_force| in_force.prints() != files.prints()) {
                    self.renew(name, found);
                }
                found.rejected.push((name.shared(), self.reject(name, &error)));
            }
        }
    }

    /// Gives what is in force what modules are given anew.
    fn renew(&self, name: &ModuleName, found: &mut Rescan) {
        match self.put_again(name) {
            None => {}
            Some(Ok(generation)) => found.loaded.push((name.shared(), generation)),
            Some(Err(error)) => found.rejected.push((name.shared(), self.reject(name, &error))),
        }
    }

    /// Whether a module was rolled back from these files to others.
    fn has_given_way(&self, name: &ModuleName, files: &Files<Content>) -> bool {
        let roll = lock(&self.roll);
        let module = roll.modules.get(name).filter(|module| module.rolled_back.is_some());
        let running = module.and_then(|module| module.running.as_ref());
        running.is_some_and(|running| running.release.files.prints() != files.prints())
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

    fn scan(&self, known: &mut Known) -> Result<folder::Scan, LoadError> {
        let Some(dir) = self.loader.dir() else {
            return Ok(folder::Scan::default());
        };
        folder::scan(dir, known).map_err(|source| LoadError::Folder {
            folder: dir.display().to_string(),
            source,
        })
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

    /// As [`put`](Registry::put), with the code that is in force, because the file beside these settings has never been:
    /// as at a start, a file that does not load keeps nothing else from taking effect. None if it is that file's code
    /// that is in force, or if there is no file.
    fn put_in_same_code(&self, name: &ModuleName, files: &Files<Content>) -> Option<Result<u32, LoadError>> {
        let file = files.wasm.as_ref()?.print;
        let in_force = self.files_in_force(name).unwrap_or_default().wasm;
        if in_force.as_ref().map(|content| content.print) == Some(file) {
            return None;
        }
        let files = Files {
            wasm: in_force,
            toml: files.toml.clone(),
        };
        let put = self.put(name, &files);
        if let Ok(generation) = put {
            info!(module = %name, generation, "configuration in force in the code that was there; the module's file does not load");
        }
        Some(put)
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

    /// Whether quickly compiled code of this content is in force or remembered.
    pub(super) fn can_improve(&self, code: Option<Print>) -> bool {
        let roll = lock(&self.roll);
        let mut releases = roll.modules.values().flat_map(Module::releases);
        releases.any(|release| release.compiled.is_improved_by(code))
    }

    /// Has every generation that runs in quickly compiled code of this content go on in better code.
    fn improve(&self, code: Option<Print>, component: &Component) {
        let quick: Vec<(ModuleName, Arc<Generation<Blueprint>>)> = {
            let roll = lock(&self.roll);
            let modules = roll.modules.iter();
            modules
                .flat_map(|(name, module)| module.releases().map(move |release| (name, release)))
                .filter(|(_, release)| release.compiled.is_improved_by(code))
                .map(|(name, release)| (name.clone(), Arc::clone(&release.generation)))
                .collect()
        };
        for (name, old) in quick {
            let generation = old.number;
            // Without the lock: the module's own code runs here.
            match old.in_other_code(component) {
                Ok(new) => {
                    if self.exchange(&name, &old, new, component) {
                        debug!(module = %name, generation, "module runs in optimised code");
                    }
                }
                Err(error) => {
                    let reason = explain(&error);
                    warn!(module = %name, generation, reason, "module stays in quickly compiled code");
                    if let Some(module) = lock(&self.roll).modules.get(&name) {
                        module.common.supervisor.not_improved(generation);
                    }
                }
            }
        }
    }

    /// There will be no better code of this content.
    fn leave(&self, code: Option<Print>) {
        let roll = lock(&self.roll);
        for module in roll.modules.values() {
            let running = module.running.as_ref().map(|running| &running.release);
            if let Some(release) = running.filter(|release| release.compiled.is_improved_by(code)) {
                module.common.supervisor.not_improved(release.generation.number);
            }
        }
    }

    /// Puts one form of a generation in the place of another one, wherever that is now; false if it is nowhere.
    fn exchange(
        &self,
        name: &ModuleName,
        old: &Arc<Generation<Blueprint>>,
        new: Generation<Blueprint>,
        component: &Component,
    ) -> bool {
        let mut roll = lock(&self.roll);
        let Some(module) = roll.modules.get_mut(name) else {
            return false;
        };
        let new = Arc::new(new);
        let mut found = false;
        let mut exchange = |release: &mut Release| {
            let is_it = Arc::ptr_eq(&release.generation, old);
            if is_it {
                release.generation = Arc::clone(&new);
                release.compiled.component = component.clone();
                found = true;
            }
            is_it
        };
        if let Some(release) = &mut module.last_good
            && exchange(release)
        {
            // It would keep its memory for a rollback that may never come.
            lock(&new.template.spare).take();
        }
        if let Some(Running {
            attachment,
            crew,
            release,
        }) = &mut module.running
            && exchange(release)
        {
            let interests = new.interests.clone();
            let supervisor = &module.common.supervisor;
            crew.slot.publish(Arc::clone(&new), || {
                // Before the first report about what the new code does.
                supervisor.improved(new.number);
                attachment.set_interests(interests)
            });
        }
        found
    }

    /// Puts what was loaded in force, and remembers what was in force before if that is worth going back to. `improving`:
    /// better code will come, or [`leave`](Registry::leave) says that it does not. With the `latest` files, nothing is amiss
    /// with them any more.
    fn publish(&self, name: &ModuleName, loaded: Loaded, improving: bool, latest: bool) -> Result<(), LoadError> {
        let mut roll = lock(&self.roll);
        if roll.stopped {
            return Ok(());
        }
        let module = roll.module(name, || self.common(name));
        let Loaded {
            generation,
            allowance,
            origin,
            compiled,
            files,
        } = loaded;
        let release = Release {
            generation: Arc::new(generation),
            compiled,
            files,
            origin,
            instances: allowance.instances,
            queue: allowance.queue,
        };
        let last_good = module.last_good_if_replaced();
        let standing = Standing {
            generation: release.generation.number,
            proven: false,
            predecessor: last_good.is_some(),
            improving,
        };
        self.put_in_force(name, module, release, standing)?;
        module.number += 1;
        module.last_good = last_good;
        if latest {
            (module.rolled_back, module.rejected, module.missed) = (None, None, false);
        }
        Ok(())
    }

    /// Puts the last good generation in force again because `failed`, the one in force, has failed. Nothing happens if
    /// another one is in force by now.
    fn roll_back(&self, name: &ModuleName, failed: u32, reason: String) {
        let mut roll = lock(&self.roll);
        let Some(module) = roll.modules.get_mut(name) else {
            return;
        };
        let running = module.running.as_ref();
        if running.is_none_or(|running| running.release.generation.number != failed) {
            return;
        }
        let Some(release) = module.last_good.take() else { return };
        let generation = release.generation.number;
        let standing = Standing {
            generation,
            proven: true,
            predecessor: false,
            // If it comes, it is welcome. There is nothing to go back to, so nothing depends on it.
            improving: false,
        };
        if let Err(error) = self.put_in_force(name, module, release, standing) {
            let cause = explain(&error);
            error!(module = %name, generation = failed, reason, cause, "module cannot be rolled back");
            return;
        }
        error!(module = %name, failed, generation, reason, "module rolled back");
        module.rolled_back = Some((failed, reason));
    }

    /// Has the workers of a module follow to a release, in one step together with its interests on the bus. Nothing
    /// has changed after an error.
    fn put_in_force(
        &self,
        name: &ModuleName,
        module: &mut Module,
        release: Release,
        standing: Standing,
    ) -> Result<(), LoadError> {
        let generation = Arc::clone(&release.generation);
        let interests = generation.interests.clone();
        let common = Arc::clone(&module.common);
        // Before the first report about it, and not before it is certain that it comes.
        let begin = || common.supervisor.begin(standing);
        match &mut module.running {
            Some(running) if running.release.runs_like(&release) => {
                let Running { attachment, crew, .. } = running;
                crew.slot.publish(generation, || {
                    begin();
                    attachment.set_interests(interests)
                });
                running.release = release;
            }
            running => {
                let slot = Arc::new(Slot::new(Arc::clone(&generation)));
                let (attachment, inboxes) = self.bus.attach(&name.shared(), release.instances, release.queue);
                let worker = |inbox| Worker::new(Arc::clone(&common), inbox, Arc::clone(&slot));
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

                let old = running.take();
                let mut version = Version::default();
                slot.publish(Arc::clone(&generation), || {
                    begin();
                    version = match &old {
                        Some(old) => attachment.replace(&old.attachment, interests),
                        None => attachment.set_interests(interests),
                    };
                    version
                });
                if let Some(Running { attachment, crew, .. }) = old {
                    // What waits in the old queues is no worse off than what comes.
                    crew.slot.publish(generation, || version);
                    crew.slot.leave(Instant::now() + PATIENCE);
                    // The queues end, now that their workers know which generation is in force.
                    drop(attachment);
                    module.leaving.push(crew);
                }
                *running = Some(Running {
                    attachment,
                    crew,
                    release,
                });
            }
        }
        Ok(())
    }

    /// What the workers of a module have in common, made once for each name.
    fn common(&self, name: &ModuleName) -> Arc<Common> {
        let (registry, of) = (self.me.clone(), name.clone());
        let roll_back = move |generation, reason| {
            if let Some(registry) = registry.upgrade() {
                registry.roll_back(&of, generation, reason);
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

    /// Detaches a module and lets it empty its queue.
    fn remove(&self, name: &ModuleName) {
        self.loader.forget(name);
        let mut roll = lock(&self.roll);
        let Some(module) = roll.modules.get_mut(name) else {
            return;
        };
        (module.last_good, module.rolled_back, module.rejected) = (None, None, None);
        module.missed = false;
        if let Some(Running {
            attachment,
            crew,
            release,
        }) = module.running.take()
        {
            crew.slot.leave(Instant::now() + PATIENCE);
            drop(attachment);
            info!(module = %name, generation = release.generation.number, "module removed");
            module.leaving.push(crew);
        }
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

    /// Notes why something else than what the files say is in force.
    fn note(&self, name: &ModuleName, reason: String) {
        lock(&self.roll).module(name, || self.common(name)).rejected = Some(reason);
    }

    fn is_rejected(&self, name: &ModuleName) -> bool {
        let roll = lock(&self.roll);
        roll.modules.get(name).is_some_and(|module| module.rejected.is_some())
    }

    fn names_of(&self, chosen: impl Fn(&Module) -> bool) -> Vec<ModuleName> {
        let roll = lock(&self.roll);
        let modules = roll.modules.iter().filter(|(_, module)| chosen(module));
        modules.map(|(name, _)| name.clone()).collect()
    }

    /// Says once of each stray file that it is one; gives what is to be said of all.
    fn report_strays(&self, scan: &folder::Scan, seen: &mut Seen) -> Vec<String> {
        let strays = self.loader.strays(scan);
        for (name, error) in &strays {
            if !seen.strays.contains(name) {
                warn!(reason = explain(error), "file in the modules folder ignored");
            }
        }
        let texts = strays.iter().map(|(_, error)| explain(error)).collect();
        seen.strays = strays.into_iter().map(|(name, _)| name).collect();
        texts
    }
}

impl Roll {
    fn module(&mut self, name: &ModuleName, common: impl FnOnce() -> Arc<Common>) -> &mut Module {
        let module = self.modules.entry(name.clone());
        module.or_insert_with(|| Module::new(common()))
    }
}

impl Module {
    fn new(common: Arc<Common>) -> Module {
        Module {
            common,
            number: 0,
            running: None,
            leaving: Vec::new(),
            last_good: None,
            rolled_back: None,
            rejected: None,
            missed: false,
        }
    }

    /// What is in force, and what there is to go back to.
    fn releases(&self) -> impl Iterator<Item = &Release> {
        let running = self.running.as_ref().map(|running| &running.release);
        running.into_iter().chain(&self.last_good)
    }

    /// What there will be to go back to when another release takes the place of what is in force: this one if it has
    /// handled events and does not back off, else the one before. If there is none, one that has not failed yet is
    /// better than nothing.
    fn last_good_if_replaced(&self) -> Option<Release> {
        let running = self.running.as_ref().map(|running| &running.release);
        let supervisor = &self.common.supervisor;
        let now = running.filter(|_| supervisor.is_good());
        let untried = || running.filter(|_| supervisor.backing_off().is_none());
        now.or(self.last_good.as_ref()).or_else(untried).cloned()
    }

    /// Forgets the crews that have ended; whether there is anything left.
    fn is_in_use(&mut self) -> bool {
        self.leaving.retain(|crew| !crew.has_ended());
        self.running.is_some() || self.rejected.is_some() || !self.leaving.is_empty()
    }

    fn state(&self, name: &ModuleName) -> ModuleState {
        let common = &self.common;
        let backing_off = common.supervisor.backing_off().or_else(|| common.record.backing_off());
        let rolled_back = self.rolled_back.as_ref();
        let status = match &self.running {
            Some(_) if backing_off.is_some() => Status::BackingOff,
            Some(_) if rolled_back.is_some() => Status::RolledBack,
            Some(_) => Status::Running,
            None if !self.leaving.is_empty() => Status::Draining,
            None => Status::Rejected,
        };
        let rolled_back = rolled_back.map(|(failed, reason)| format!("generation {failed} was rolled back: {reason}"));
        let problems: Vec<String> = [self.rejected.clone(), rolled_back, backing_off]
            .into_iter()
            .flatten()
            .collect();
        ModuleState {
            name: name.shared(),
            status,
            problem: Some(problems.join("; ")).filter(|text| !text.is_empty()),
            generation: self.running.as_ref().map(|running| running.release.state()),
            queue: self.running.as_ref().map(|running| running.attachment.state()),
            counts: common.record.counts(),
            held: common.quarantine.held(&common.module),
        }
    }
}

impl Release {
    /// Whether the same queues and workers can serve both.
    fn runs_like(&self, other: &Release) -> bool {
        (self.instances, self.queue) == (other.instances, other.queue)
    }

    fn state(&self) -> GenerationState {
        let Generation {
            number,
            interests,
            egress,
            ..
        } = &*self.generation;
        GenerationState {
            number: *number,
            origin: self.origin,
            instances: self.instances,
            hooks: interests.hooks().collect(),
            egress: egress.grants().iter().map(ToString::to_string).collect(),
        }
    }
}
