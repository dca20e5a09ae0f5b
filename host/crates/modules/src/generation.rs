//! One loaded state of a module, and the place where its workers find the active one.
//!
//! A [`Generation`] never changes. It is published into an [`ActiveGeneration`] in one step, together with the
//! interests on the bus. Workers check it before each call and follow it. [`Template`] is all that a worker needs to
//! know about WebAssembly: how to make an instance, and how to hand a batch to it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::egress::Egress;
use hookhost_contract::Outcome;
use hookhost_event::Event;
use hookhost_hooks::{Interests, Queued, Version};
use hookhost_kv::Kv;
use hookhost_wasm::{CallError, Component, ConfigureError, Identity, Instance, Limits, LoadError};

/// Makes instances that are ready for events.
pub(super) trait Template: Send + Sync + 'static {
    type Handler: Handler;

    /// May take as long as the start of a module may take.
    fn create(&self) -> Result<Self::Handler, CreateError>;
}

/// Handles batches of events. Must not be used after an error.
pub(super) trait Handler: Send {
    /// Returns one outcome for each event.
    fn handle(&mut self, events: &[Arc<Event>]) -> Result<Vec<Outcome>, CallError>;

    /// Bytes of its linear memory.
    fn memory(&self) -> usize;
}

/// Why there is no instance, although the module was loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CreateError {
    #[error(transparent)]
    Instantiate(#[from] LoadError),
    #[error(transparent)]
    Configure(#[from] ConfigureError),
}

/// Everything from which the instances of one generation are made.
pub(super) struct Blueprint {
    pub(super) component: Component,
    pub(super) identity: Identity,
    pub(super) limits: Limits,
    pub(super) kv: Arc<Kv>,
    /// The JSON for `configure`.
    pub(super) config: String,
    /// The instance that was made while the module was loaded. The first worker takes it.
    pub(super) spare: Mutex<Option<Instance>>,
}

impl Template for Blueprint {
    type Handler = Instance;

    fn create(&self) -> Result<Instance, CreateError> {
        if let Some(instance) = lock(&self.spare).take() {
            return Ok(instance);
        }
        let mut instance = self.component.instantiate(&self.identity, &self.limits, &self.kv)?;
        // The interests were checked when the module was loaded: the same settings give the same interests.
        instance.configure(&self.config)?;
        Ok(instance)
    }
}

impl Handler for Instance {
    fn handle(&mut self, events: &[Arc<Event>]) -> Result<Vec<Outcome>, CallError> {
        Instance::handle(self, events)
    }

    fn memory(&self) -> usize {
        Instance::memory(self)
    }
}

/// One loaded state of a module.
pub(super) struct Generation<T> {
    /// Counts the loads under the module's name, from 1.
    pub(super) number: u32,
    pub(super) interests: Interests,
    pub(super) egress: Egress,
    /// Most events of a call.
    pub(super) batch: usize,
    pub(super) template: T,
}

/// The active generation, as seen by a worker.
pub(super) struct Current<T> {
    pub(super) generation: Arc<Generation<T>>,
    /// The interests of this generation choose the events from this version on.
    version: Version,
}

impl<T> Clone for Current<T> {
    fn clone(&self) -> Self {
        Current {
            generation: Arc::clone(&self.generation),
            version: self.version,
        }
    }
}

impl<T> Current<T> {
    /// Whether the generation subscribes to an event. An older generation may have requested the event.
    pub(super) fn wants(&self, queued: &Queued) -> bool {
        let detail = &queued.event.detail;
        queued.version >= self.version || self.generation.interests.wants(detail.hook(), detail.subject())
    }

    pub(super) fn is(&self, other: &Current<T>) -> bool {
        Arc::ptr_eq(&self.generation, &other.generation)
    }
}

/// The deadline of workers.
#[derive(Debug, Clone, Copy)]
struct End {
    at: Instant,
    /// Whether they also give up in normal operation, only because the deadline has passed.
    hard: bool,
}

/// Holds the active generation of a module for its workers.
pub(super) struct ActiveGeneration<T> {
    state: Mutex<(Current<T>, Option<End>)>,
    changed: Condvar,
}

impl<T> ActiveGeneration<T> {
    pub(super) fn new(generation: Arc<Generation<T>>) -> ActiveGeneration<T> {
        let current = Current {
            generation,
            version: Version::default(),
        };
        ActiveGeneration {
            state: Mutex::new((current, None)),
            changed: Condvar::new(),
        }
    }

    /// Activates a generation. `announce` sets its interests on the bus and returns their version.
    ///
    /// Workers that check the active generation wait until both are done. A worker with an event that the new interests
    /// chose therefore finds the new generation, never the previous one.
    pub(super) fn publish(&self, generation: Arc<Generation<T>>, announce: impl FnOnce() -> Version) {
        let mut state = lock(&self.state);
        state.0 = Current {
            generation,
            version: announce(),
        };
        self.changed.notify_all();
    }

    /// The active generation, also after the deadline of workers.
    pub(super) fn latest(&self) -> Current<T> {
        lock(&self.state).0.clone()
    }

    /// The active generation; `None` if workers have to end now.
    pub(super) fn current(&self) -> Option<Current<T>> {
        let state = lock(&self.state);
        let over = state.1.is_some_and(|end| end.hard && Instant::now() >= end.at);
        (!over).then(|| state.0.clone())
    }

    /// Whether the module is being removed while the host goes on.
    pub(super) fn is_retired(&self) -> bool {
        lock(&self.state).1.is_some_and(|end| !end.hard)
    }

    /// Waits until a generation other than `known` is active, or until the timeout. Returns false if workers have to
    /// end, now or before the timeout: no other generation follows then.
    pub(super) fn wait(&self, known: &Current<T>, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            if state.1.is_some_and(|end| now.max(until) >= end.at) {
                return false;
            }
            if !state.0.is(known) || now >= until {
                return true;
            }
            state = self
                .changed
                .wait_timeout(state, until - now)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The module is being retired: workers empty their queues. Workers that cannot make an instance give up at `at`.
    pub(super) fn leave(&self, at: Instant) {
        self.end(End { at, hard: false });
    }

    /// The host is stopping: workers end at `at`, in any state.
    pub(super) fn stop(&self, at: Instant) {
        self.end(End { at, hard: true });
    }

    fn end(&self, end: End) {
        lock(&self.state).1 = Some(end);
        self.changed.notify_all();
    }
}

/// A panic under one of these locks leaves no partial change: each change is one assignment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
