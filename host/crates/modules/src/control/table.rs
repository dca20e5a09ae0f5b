//! The table of modules: the record of each name, and its active release.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::folder::{Content, FileHash, Files, ModuleName};
use super::super::generation::{Blueprint, Generation};
use super::super::load::Compiled;
use super::super::state::{GenerationState, ModuleState, Origin, Status};
use super::super::worker::WorkerContext;
use super::super::worker_set::WorkerSet;
use hookhost_hooks::{Attachment, QueueLimits};

/// All modules by name.
#[derive(Default)]
pub(super) struct ModuleTable {
    pub(super) modules: BTreeMap<ModuleName, Module>,
    /// The host is stopping: no release becomes active from now on.
    pub(super) is_stopped: bool,
}

/// The record of one name.
pub(super) struct Module {
    pub(super) context: Arc<WorkerContext>,
    /// Number of the last generation.
    pub(super) number: u32,
    pub(super) active: Option<Active>,
    /// Worker sets that are still emptying their queues, oldest first.
    pub(super) draining: Vec<WorkerSet<Blueprint>>,
    /// The release to roll back to if the active one fails.
    pub(super) last_good: Option<Release>,
    /// The generation that was rolled back to the active one, and why.
    pub(super) rolled_back: Option<(u32, String)>,
    /// Why the files in the folder are not active.
    pub(super) rejected: Option<String>,
    /// The files that were loaded or rejected last. With `None`, the files in the folder are loaded in any case.
    pub(super) seen: Option<Files<FileHash>>,
}

/// The release that handles the events, and the queues and workers that run it.
pub(super) struct Active {
    pub(super) attachment: Attachment,
    pub(super) workers: WorkerSet<Blueprint>,
    pub(super) release: Release,
}

/// A release that can be activated: a generation, its source, and how it runs.
#[derive(Clone)]
pub(super) struct Release {
    pub(super) generation: Arc<Generation<Blueprint>>,
    pub(super) compiled: Compiled,
    /// The code may have moved since.
    pub(super) files: Files<Content>,
    pub(super) origin: Origin,
    pub(super) instances: usize,
    pub(super) queue: QueueLimits,
}

/// What the [reconciler](super::reconcile) needs to know of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ModuleFacts {
    /// The files that were loaded or rejected last.
    pub(super) seen: Option<Files<FileHash>>,
    /// The files of the active release.
    pub(super) active: Option<Files<FileHash>>,
    pub(super) is_rejected: bool,
    pub(super) is_rolled_back: bool,
}

impl ModuleTable {
    /// Returns the module of that name. `context` makes it if it is new.
    pub(super) fn module(&mut self, name: &ModuleName, context: impl FnOnce() -> Arc<WorkerContext>) -> &mut Module {
        let module = self.modules.entry(name.clone());
        module.or_insert_with(|| Module::new(context()))
    }

    pub(super) fn active(&self, name: &str) -> Option<&Active> {
        self.modules.get(name)?.active.as_ref()
    }

    pub(super) fn facts(&self) -> BTreeMap<ModuleName, ModuleFacts> {
        let modules = self.modules.iter();
        modules.map(|(name, module)| (name.clone(), module.facts())).collect()
    }

    /// Removes modules that have nothing left.
    pub(super) fn forget_unused(&mut self) {
        self.modules.retain(|_, module| module.is_in_use());
    }

    /// All modules that have something left, by name.
    pub(super) fn states(&mut self) -> Vec<ModuleState> {
        let used = self
            .modules
            .iter_mut()
            .filter_map(|(name, module)| module.is_in_use().then(|| module.state(name)));
        used.collect()
    }
}

impl Module {
    fn new(context: Arc<WorkerContext>) -> Module {
        Module {
            context,
            number: 0,
            active: None,
            draining: Vec::new(),
            last_good: None,
            rolled_back: None,
            rejected: None,
            seen: None,
        }
    }

    fn facts(&self) -> ModuleFacts {
        ModuleFacts {
            seen: self.seen.clone(),
            active: self.active.as_ref().map(|active| active.release.files.hashes()),
            is_rejected: self.rejected.is_some(),
            is_rolled_back: self.rolled_back.is_some(),
        }
    }

    /// The release to roll back to when another one replaces the active release.
    ///
    /// This is the active release if it has handled events and does not back off, else the kept previous one. Without a
    /// previous one it is the active release, unless that backs off.
    pub(super) fn last_good_if_replaced(&self) -> Option<Release> {
        let active = self.active.as_ref().map(|active| &active.release);
        let supervisor = &self.context.supervisor;
        let good = active.filter(|_| supervisor.is_good());
        let untried = || active.filter(|_| supervisor.backing_off().is_none());
        good.or(self.last_good.as_ref()).or_else(untried).cloned()
    }

    /// Removes the worker sets that have ended. Returns whether anything is left.
    fn is_in_use(&mut self) -> bool {
        self.draining.retain(|workers| !workers.has_ended());
        self.active.is_some() || self.rejected.is_some() || !self.draining.is_empty()
    }

    fn state(&self, name: &ModuleName) -> ModuleState {
        let context = &self.context;
        let backing_off = context
            .supervisor
            .backing_off()
            .or_else(|| context.record.backing_off());
        let rolled_back = self.rolled_back.as_ref();
        let status = match &self.active {
            Some(_) if backing_off.is_some() => Status::BackingOff,
            Some(_) if rolled_back.is_some() => Status::RolledBack,
            Some(_) => Status::Running,
            None if !self.draining.is_empty() => Status::Draining,
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
            generation: self.active.as_ref().map(|active| active.release.state()),
            queue: self.active.as_ref().map(|active| active.attachment.state()),
            counts: context.record.counts(),
            durations: context.record.durations.counts(),
            memory: context.record.memory.load(Ordering::Relaxed),
            quarantined: context.quarantine.usage(&context.module),
            can_roll_back: self.last_good.is_some()
                && self
                    .active
                    .as_ref()
                    .is_some_and(|active| active.release.origin == Origin::File),
        }
    }
}

impl Release {
    /// Whether the same queues and workers can serve both.
    pub(super) fn runs_like(&self, other: &Release) -> bool {
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
