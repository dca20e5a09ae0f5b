//! Better code for what was compiled quickly.

use std::sync::{Arc, Weak};

use tracing::{debug, warn};

use super::Registry;
use super::roll::{Module, Release, Running};
use crate::explain;
use crate::folder::{ModuleName, Print};
use crate::generation::{Blueprint, Generation, lock};
use crate::load::Loader;
use crate::optimiser::{Optimiser, Task};
use hookhost_wasm::Component;

impl Registry {
    pub(super) fn optimiser(me: &Weak<Registry>, loader: &Loader) -> Option<Optimiser> {
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

    /// Whether quickly compiled code of this content is in force or remembered.
    pub(in super::super) fn can_improve(&self, code: Option<Print>) -> bool {
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
}
