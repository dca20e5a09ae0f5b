//! Activates a release and retires a module. Each happens in one step.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::folder::FileHash;
use super::super::folder::Files;
use super::super::generation::ActiveGeneration;
use super::super::health::InitialHealth;
use super::super::load::{LoadError, Loaded};
use super::super::worker::Worker;
use super::super::worker_set::WorkerSet;
use super::table::{Active, Module, Release};
use hookhost_hooks::{Bus, Version};

/// How long the workers of a retired module try to make an instance before they abandon the events in their queues.
const RETIRE_TIME: Duration = Duration::from_secs(30);

impl From<Loaded> for Release {
    fn from(loaded: Loaded) -> Release {
        let Loaded {
            generation,
            limits,
            origin,
            compiled,
            files,
        } = loaded;
        Release {
            generation: Arc::new(generation),
            compiled,
            files,
            origin,
            instances: limits.instances,
            queue: limits.queue,
        }
    }
}

impl Module {
    /// Activates a release, and keeps the previous one if it is worth rolling back to.
    ///
    /// `seen` are the files in the folder if the release was loaded from them. Their recorded error is then cleared.
    ///
    /// # Errors
    ///
    /// If the system refuses threads. Nothing has changed then.
    pub(super) fn activate(
        &mut self,
        bus: &Bus,
        release: Release,
        seen: Option<Files<FileHash>>,
    ) -> Result<(), LoadError> {
        let last_good = self.last_good_if_replaced();
        let initial = InitialHealth {
            generation: release.generation.number,
            proven: false,
            predecessor: last_good.is_some(),
        };
        self.run(bus, release, initial)?;
        self.number += 1;
        self.last_good = last_good;
        if seen.is_some() {
            (self.rolled_back, self.rejected, self.seen) = (None, None, seen);
        }
        Ok(())
    }

    /// Rolls back from the generation `failed` to the last good release. Returns the number of its generation.
    ///
    /// Does nothing if another generation is active by now, or if there is no good release.
    ///
    /// # Errors
    ///
    /// As for [`activate`](Module::activate).
    pub(super) fn roll_back(&mut self, bus: &Bus, failed: u32, reason: &str) -> Result<Option<u32>, LoadError> {
        let is_active = |active: &Active| active.release.generation.number == failed;
        if !self.active.as_ref().is_some_and(is_active) {
            return Ok(None);
        }
        let Some(release) = self.last_good.take() else {
            return Ok(None);
        };
        let generation = release.generation.number;
        let initial = InitialHealth {
            generation,
            proven: true,
            predecessor: false,
        };
        self.run(bus, release, initial)?;
        self.rolled_back = Some((failed, reason.to_owned()));
        Ok(Some(generation))
    }

    /// Takes no further events and lets the workers empty their queues. Returns the generation that was active.
    pub(super) fn retire(&mut self) -> Option<u32> {
        (self.last_good, self.rolled_back, self.rejected, self.seen) = (None, None, None, None);
        let Active {
            attachment,
            workers,
            release,
        } = self.active.take()?;
        workers.active.leave(Instant::now() + RETIRE_TIME);
        drop(attachment);
        self.draining.push(workers);
        Some(release.generation.number)
    }

    /// Moves the workers to a release and updates the interests on the bus, in one step. Changes nothing on an error.
    fn run(&mut self, bus: &Bus, release: Release, initial: InitialHealth) -> Result<(), LoadError> {
        let generation = Arc::clone(&release.generation);
        let interests = generation.interests.clone();
        let context = Arc::clone(&self.context);
        // Must run before the first report about the generation, but only once its activation is certain.
        let begin = || context.supervisor.begin(initial);
        match &mut self.active {
            Some(active) if active.release.runs_like(&release) => {
                let Active {
                    attachment, workers, ..
                } = active;
                workers.active.publish(generation, || {
                    begin();
                    attachment.set_interests(interests)
                });
                active.release = release;
            }
            active => {
                let current = Arc::new(ActiveGeneration::new(Arc::clone(&generation)));
                let (attachment, inboxes) = bus.attach(&context.module, release.instances, release.queue);
                let worker = |inbox| Worker::new(Arc::clone(&context), inbox, Arc::clone(&current));
                let list = inboxes.into_iter().map(worker).collect();
                let before = self
                    .draining
                    .iter()
                    .chain(active.as_ref().map(|active| &active.workers));
                let workers = WorkerSet::start(&context.module, Arc::clone(&current), list, before);
                let workers = workers.map_err(|source| LoadError::Threads {
                    module: Arc::clone(&context.module),
                    source,
                })?;

                let old = active.take();
                let mut version = Version::default();
                current.publish(Arc::clone(&generation), || {
                    begin();
                    version = match &old {
                        Some(old) => attachment.replace(&old.attachment, interests),
                        None => attachment.set_interests(interests),
                    };
                    version
                });
                if let Some(Active {
                    attachment, workers, ..
                }) = old
                {
                    // Events in the old queues get the same priority as new ones.
                    workers.active.publish(generation, || version);
                    workers.active.leave(Instant::now() + RETIRE_TIME);
                    // The workers know the active generation now, so their queues may end.
                    drop(attachment);
                    self.draining.push(workers);
                }
                *active = Some(Active {
                    attachment,
                    workers,
                    release,
                });
            }
        }
        Ok(())
    }
}
