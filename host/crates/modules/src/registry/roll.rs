//! What is known of each module, and what of it is in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::crew::Crew;
use crate::folder::{Content, Files, ModuleName};
use crate::generation::{Blueprint, Generation};
use crate::load::Compiled;
use crate::state::{GenerationState, ModuleState, Origin, Status};
use crate::worker::Common;
use hookhost_hooks::{Attachment, QueueLimits};

#[derive(Default)]
pub(super) struct Roll {
    pub(super) modules: BTreeMap<ModuleName, Module>,
    /// Nothing is put in force any more.
    pub(super) stopped: bool,
}

/// What is known under one name.
pub(super) struct Module {
    pub(super) common: Arc<Common>,
    /// Number of the last generation.
    pub(super) number: u32,
    pub(super) running: Option<Running>,
    /// Crews that still empty their queues, oldest first.
    pub(super) leaving: Vec<Crew<Blueprint>>,
    /// What to go back to if what is in force fails.
    pub(super) last_good: Option<Release>,
    /// Which generation was given up for the one in force, and why.
    pub(super) rolled_back: Option<(u32, String)>,
    /// Why the files are not in force.
    pub(super) rejected: Option<String>,
    /// They were not loaded as they had been seen: if they are so again, nothing seems to have changed.
    pub(super) missed: bool,
}

/// What is in force.
pub(super) struct Running {
    pub(super) attachment: Attachment,
    pub(super) crew: Crew<Blueprint>,
    pub(super) release: Release,
}

/// What can be put in force: a generation, what it was made from, and how it is run.
#[derive(Clone)]
pub(super) struct Release {
    pub(super) generation: Arc<Generation<Blueprint>>,
    pub(super) compiled: Compiled,
    /// The code may be elsewhere by now.
    pub(super) files: Files<Content>,
    pub(super) origin: Origin,
    pub(super) instances: usize,
    pub(super) queue: QueueLimits,
}

impl Roll {
    pub(super) fn module(&mut self, name: &ModuleName, common: impl FnOnce() -> Arc<Common>) -> &mut Module {
        let module = self.modules.entry(name.clone());
        module.or_insert_with(|| Module::new(common()))
    }
}

impl Module {
    pub(super) fn new(common: Arc<Common>) -> Module {
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
    pub(super) fn releases(&self) -> impl Iterator<Item = &Release> {
        let running = self.running.as_ref().map(|running| &running.release);
        running.into_iter().chain(&self.last_good)
    }

    /// What there will be to go back to when another release takes the place of what is in force: this one if it has
    /// handled events and does not back off, else the one before. If there is none, one that has not failed yet is
    /// better than nothing.
    pub(super) fn last_good_if_replaced(&self) -> Option<Release> {
        let running = self.running.as_ref().map(|running| &running.release);
        let supervisor = &self.common.supervisor;
        let now = running.filter(|_| supervisor.is_good());
        let untried = || running.filter(|_| supervisor.backing_off().is_none());
        now.or(self.last_good.as_ref()).or_else(untried).cloned()
    }

    /// Forgets the crews that have ended; whether there is anything left.
    pub(super) fn is_in_use(&mut self) -> bool {
        self.leaving.retain(|crew| !crew.has_ended());
        self.running.is_some() || self.rejected.is_some() || !self.leaving.is_empty()
    }

    pub(super) fn state(&self, name: &ModuleName) -> ModuleState {
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
    pub(super) fn runs_like(&self, other: &Release) -> bool {
        (self.instances, self.queue) == (other.instances, other.queue)
    }

    pub(super) fn state(&self) -> GenerationState {
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
