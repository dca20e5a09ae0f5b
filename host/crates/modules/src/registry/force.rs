//! What comes in force, and what goes: each in one step.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::Registry;
use super::roll::{Module, Release, Running};
use crate::crew::Crew;
use crate::explain;
use crate::folder::ModuleName;
use crate::generation::{Slot, lock};
use crate::health::Standing;
use crate::load::{LoadError, Loaded};
use crate::state::Record;
use crate::supervisor::Supervisor;
use crate::worker::{Common, Worker};
use hookhost_hooks::Version;

/// How long the workers of a removed module try to make an instance before what is in their queues is given up.
const PATIENCE: Duration = Duration::from_secs(30);

impl Registry {
    /// Puts what was loaded in force, and remembers what was in force before if that is worth going back to. `improving`:
    /// better code will come, or [`leave`](Registry::leave) says that it does not. With the `latest` files, nothing is amiss
    /// with them any more.
    pub(super) fn publish(
        &self,
        name: &ModuleName,
        loaded: Loaded,
        improving: bool,
        latest: bool,
    ) -> Result<(), LoadError> {
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
    pub(super) fn common(&self, name: &ModuleName) -> Arc<Common> {
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

    /// Detaches a module and lets it empty its queue.
    pub(super) fn remove(&self, name: &ModuleName) {
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
}
