//! The thread that keeps the mirror like the object store, and the store like the modules that work.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

use super::mirror::Mirror;
use super::plan::{Plan, ROLLED_BACK, module_files, module_of, plan};
use super::turn::Turn;
use crate::module_files::MAX_WASM_BYTES;
use crate::reload;
use hookhost_jetstream::{ObjectError, ObjectInfo, SharedKeys, SharedObjects, object_digest};
use hookhost_modules::{self as modules, ModuleState, Status};

/// The store must be unchanged for this time, because a module can have two files.
const SETTLE_TIME: Duration = Duration::from_millis(500);
/// The wait after a failure. Other hosts can take the turn meanwhile.
const RETRY: Duration = Duration::from_secs(5);
/// The time between two looks at the modules.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The ending of the objects of a disabled module.
pub(crate) const DISABLED: &str = ".disabled";

/// Keeps mirror and store alike.
pub(crate) struct Rollout {
    objects: SharedObjects,
    turn: Turn,
    mirror: Mirror,
    /// How long new modules are observed.
    wait: Duration,
    /// The name of this host in reasons.
    host: String,
    /// The files of the store, and since when they are as they are.
    seen: Option<(BTreeMap<String, ObjectInfo>, Instant)>,
    /// What the log reports already.
    reported: Option<String>,
    /// When this host tries again after a failure.
    retry_at: Option<Instant>,
}

/// The running thread. Dropping it ends the thread.
pub(crate) struct RolloutThread {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

enum Signal {
    /// The store or the turn has changed.
    Changed,
    End,
}

impl Drop for RolloutThread {
    fn drop(&mut self) {
        self.signals.send(Signal::End).ok();
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            thread.join().ok();
        }
    }
}

impl Rollout {
    /// For the modules in a store. `turns` is the bucket of the turn, `host` the name of this host, and `id` differs between
    /// all hosts.
    pub(crate) fn new(
        objects: SharedObjects,
        turns: SharedKeys,
        mirror: Mirror,
        wait: Duration,
        (host, id): (String, String),
    ) -> Rollout {
        Rollout {
            objects,
            turn: Turn::new(turns, id),
            mirror,
            wait,
            host,
            seen: None,
            reported: None,
            retry_at: None,
        }
    }

    /// Fills a new mirror, before the modules of the host are loaded. Without NATS it stays empty. Blocks.
    ///
    /// # Errors
    ///
    /// The store has another form, or the mirror cannot be written.
    pub(crate) fn prepare(&mut self, limit: Duration) -> anyhow::Result<()> {
        let is_read = self.objects.keys().wait_until_read(limit).map_err(anyhow::Error::msg)?;
        if !self.mirror.is_new() {
            return Ok(());
        }
        if !is_read {
            warn!("NATS cannot be reached; the host starts without the modules of the bucket");
            return Ok(());
        }
        let files = module_files(&self.objects.list().unwrap_or_default());
        let plan = plan(self.mirror.versions(), &files);
        self.replace(&files, &plan)
    }

    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub(crate) fn start(mut self, reload: reload::Handle, modules: modules::Handle) -> io::Result<RolloutThread> {
        let (signals, receiver) = channel();
        for keys in [self.objects.keys(), self.turn.keys()] {
            let signals = signals.clone();
            keys.set_on_change(move || drop(signals.send(Signal::Changed)));
        }
        let thread = thread::Builder::new().name("modules-bucket".to_owned());
        let thread = thread.spawn(move || self.run(&receiver, &reload, &modules))?;
        Ok(RolloutThread {
            signals,
            thread: Some(thread),
        })
    }

    fn run(&mut self, signals: &Receiver<Signal>, reload: &reload::Handle, modules: &modules::Handle) {
        while let Ok(Signal::Changed) | Err(RecvTimeoutError::Timeout) = signals.recv_timeout(LOOK_INTERVAL) {
            if self.retry_at.is_some_and(|at| Instant::now() < at) {
                continue;
            }
            let done = self.step(signals, reload, modules);
            self.retry_at = done.is_err().then(|| Instant::now() + RETRY);
            let reason = done.as_ref().err().map(ToString::to_string);
            if done.is_err() {
                // Only this host may have failed, for example because its disk is full.
                self.turn.end();
            }
            if let Some(reason) = reason.as_ref().filter(|reason| self.reported.as_ref() != Some(reason)) {
                error!(reason, "the modules of the bucket cannot be used; trying again");
            }
            self.reported = reason;
            if done.is_ok_and(|is_over| is_over) {
                break;
            }
        }
        self.turn.end();
    }

    /// Does what is to be done now. Returns whether the host stops.
    fn step(
        &mut self,
        signals: &Receiver<Signal>,
        reload: &reload::Handle,
        modules: &modules::Handle,
    ) -> anyhow::Result<bool> {
        let Some(list) = self.objects.list() else {
            return Ok(false);
        };
        if list.is_empty() && !self.mirror.versions().is_empty() {
            anyhow::bail!(
                "the bucket {} is new and empty; this host keeps its modules",
                self.objects.keys().bucket()
            );
        }
        let files = module_files(&list);
        let plan = plan(self.mirror.versions(), &files);
        // A module that fails long after its turn.
        let is_rolled_back = |state: &ModuleState| state.status == Status::RolledBack;
        let failed = self.failed(modules, |state| {
            is_rolled_back(state) && !plan.modules.contains(&*state.name)
        });
        for (module, reason) in failed {
            self.restore(&module, &reason, false)?;
        }
        if plan == Plan::default() {
            self.seen = None;
            return Ok(false);
        }
        match &self.seen {
            Some((seen, since)) if *seen == files => {
                if since.elapsed() < SETTLE_TIME {
                    return Ok(false);
                }
            }
            _ => {
                self.seen = Some((files, Instant::now()));
                return Ok(false);
            }
        }
        if plan.needs_turn && !self.turn.take() {
            return Ok(false);
        }
        self.replace(&files, &plan)?;
        for (module, reason) in &plan.rolled_back {
            error!(module, reason, "module rolled back on all hosts");
        }
        reload.use_folder();
        let mut is_over = false;
        if plan.needs_turn {
            // The watcher of the folder may have been faster, so the state counts, and not what this reload did.
            let states = modules.states().into_iter();
            let refused = states.filter(|state| plan.modules.contains(&*state.name));
            match refused.filter_map(|state| Some((state.name, state.problem?))).next() {
                Some((module, reason)) => self.restore(&module, &reason, true)?,
                None => is_over = self.observe(&plan, signals, modules)?,
            }
            self.turn.end();
        }
        Ok(is_over)
    }

    /// Watches new modules for a time. Returns whether the host stops.
    fn observe(&mut self, plan: &Plan, signals: &Receiver<Signal>, modules: &modules::Handle) -> anyhow::Result<bool> {
        let begin = Instant::now();
        info!(modules = ?plan.modules, "modules of the bucket are active on this host");
        while begin.elapsed() < self.wait {
            self.turn.renew();
            match signals.recv_timeout(LOOK_INTERVAL) {
                Ok(Signal::End) | Err(RecvTimeoutError::Disconnected) => return Ok(true),
                Ok(Signal::Changed) | Err(RecvTimeoutError::Timeout) => {}
            }
            let is_failed = |state: &ModuleState| {
                let is_failed = matches!(state.status, Status::RolledBack | Status::BackingOff);
                is_failed && plan.modules.contains(&*state.name)
            };
            if let Some((module, reason)) = self.failed(modules, is_failed).pop() {
                self.restore(&module, &reason, true)?;
                return Ok(false);
            }
            let files = module_files(&self.objects.list().unwrap_or_default());
            if !self::plan(self.mirror.versions(), &files).rolled_back.is_empty() {
                // Another host has put back previous files, which this host has to use now.
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// The modules of the mirror that fail, with the reasons.
    fn failed(&self, modules: &modules::Handle, is_failed: impl Fn(&ModuleState) -> bool) -> Vec<(String, String)> {
        let states = modules.states().into_iter();
        let failed = states
            .filter(|state| is_failed(state) && self.mirror.versions().contains_key(&format!("{}.wasm", state.name)));
        let reason = |problem: Option<String>| problem.unwrap_or_else(|| "it fails".to_owned());
        failed
            .map(|state| (state.name.to_string(), reason(state.problem)))
            .collect()
    }

    /// Fetches the files that differ, and replaces the mirror.
    fn replace(&mut self, files: &BTreeMap<String, ObjectInfo>, plan: &Plan) -> anyhow::Result<()> {
        let mut new = BTreeMap::new();
        for (name, info) in files {
            if self.mirror.versions().get(name) != Some(&info.digest) {
                if info.size > MAX_WASM_BYTES {
                    anyhow::bail!("{name} has {} bytes; a module has at most {MAX_WASM_BYTES}", info.size);
                }
                new.insert(name.clone(), self.objects.get(info)?);
            }
        }
        let versions = files
            .iter()
            .map(|(name, info)| (name.clone(), info.digest.clone()))
            .collect();
        let is_rolled_back = |module: &str| plan.rolled_back.contains_key(module);
        Ok(self.mirror.replace(versions, &new, &plan.modules, is_rolled_back)?)
    }

    /// Writes the previous files of a module back into the store. Without them a module that is `new` is disabled.
    fn restore(&self, module: &str, reason: &str, is_new: bool) -> anyhow::Result<()> {
        let reason = format!("{}: {reason}", self.host);
        let list = self.objects.list().unwrap_or_default();
        let previous = self.mirror.previous(module)?;
        let current = |name: &str| list.get(name).filter(|info| !info.deleted);
        let names = ["wasm", "toml"].map(|ending| format!("{module}.{ending}"));
        let mut is_written = false;
        for name in names.iter().filter(|_| previous.contains_key(&names[0])) {
            let done = match (previous.get(name), current(name)) {
                (Some(content), Some(info)) if info.digest == object_digest(content) => continue,
                (Some(content), info) => {
                    let notes = BTreeMap::from([(ROLLED_BACK.to_owned(), reason.clone())]);
                    self.objects.put(name, content, info.or(list.get(name)), notes)
                }
                (None, Some(info)) => self.objects.remove(info),
                (None, None) => continue,
            };
            is_written |= is_done(done)?;
        }
        for name in names.iter().filter(|_| is_new && previous.is_empty()) {
            let Some(info) = current(name) else { continue };
            let disabled = format!("{name}{DISABLED}");
            let done = self.objects.rename(info, &disabled, list.get(&disabled));
            is_written |= is_done(done)?;
        }
        if is_written {
            error!(
                module,
                reason, "a module of the bucket has failed; its previous version is put back for all hosts"
            );
        }
        Ok(())
    }
}

/// Whether the store has taken a write. If another host was faster, its write counts.
fn is_done(done: Result<(), ObjectError>) -> anyhow::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(ObjectError::Conflict) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The disabled modules in a store.
pub(crate) fn disabled(list: &BTreeMap<String, ObjectInfo>) -> Vec<String> {
    let names = list.values().filter(|info| !info.deleted);
    let names = names.filter_map(|info| info.name.strip_suffix(DISABLED)?.strip_suffix(".wasm"));
    names
        .filter(|name| module_of(&format!("{name}.wasm")).is_some())
        .map(str::to_owned)
        .collect()
}
