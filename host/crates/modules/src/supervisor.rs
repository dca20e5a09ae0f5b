//! The health of one module over all its workers, and the actions that follow from it.
//!
//! Workers report the outcome of events, and [`Health`] decides. The worker whose report led to a rollback carries it
//! out at once, on its own thread. A pause applies to all workers of the module. In normal operation a report reads one
//! flag and takes no lock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::generation::lock;
use super::health::{Health, InitialHealth, Verdict};
use hookhost_event::{ByteString, Event};

/// Carries out a rollback from a generation, for a reason. Called without any lock.
pub(super) type RollBack = Box<dyn Fn(u32, String) + Send + Sync>;

/// Supervises one module over all its generations.
pub(super) struct Supervisor {
    module: std::sync::Arc<str>,
    state: Mutex<State>,
    /// [`Health::is_calm`], readable without the lock.
    calm: AtomicBool,
    roll_back: RollBack,
}

struct State {
    health: Health,
    /// Why it backs off, if it does.
    reason: String,
}

impl Supervisor {
    pub(super) fn new(module: std::sync::Arc<str>, roll_back: RollBack) -> Supervisor {
        let nothing = InitialHealth {
            generation: 0,
            proven: false,
            predecessor: false,
        };
        Supervisor {
            module,
            state: Mutex::new(State {
                health: Health::new(nothing),
                reason: String::new(),
            }),
            calm: AtomicBool::new(false),
            roll_back,
        }
    }

    /// Records that a generation is about to become active: its record starts empty.
    pub(super) fn begin(&self, initial: InitialHealth) {
        let mut state = lock(&self.state);
        state.health = Health::new(initial);
        self.calm.store(state.health.is_calm(), Ordering::Relaxed);
    }

    /// Whether the active generation is worth rolling back to.
    pub(super) fn is_good(&self) -> bool {
        lock(&self.state).health.is_good()
    }

    /// Why the module backs off, if it does.
    pub(super) fn backing_off(&self) -> Option<String> {
        let state = lock(&self.state);
        state.health.is_backing_off().then(|| state.reason.clone())
    }

    /// Records that a generation has handled events.
    pub(super) fn handled(&self, generation: u32) {
        // A failure that another worker reports at the same time may be forgotten or not. Either order is correct.
        if self.calm.load(Ordering::Relaxed) {
            return;
        }
        let mut state = lock(&self.state);
        if state.health.handled(generation, Instant::now()) {
            info!(module = %self.module, generation, "module handles events again");
        }
        self.calm.store(state.health.is_calm(), Ordering::Relaxed);
    }

    /// Records that a generation has failed on an event, alone and in a new instance.
    pub(super) fn failed(&self, generation: u32, event: &Event, why: &str) {
        let no_client = ByteString::new();
        let client = event.detail.client().map_or(&no_client, |client| &client.id);
        let mut state = lock(&self.state);
        let events = state.health.run() + 1;
        let verdict = state.health.failed(generation, client, Instant::now());
        self.calm.store(state.health.is_calm(), Ordering::Relaxed);
        let reason = || format!("it failed on {events} events in a row, the last time because {why}");
        match verdict {
            Verdict::GoOn => {}
            Verdict::Pause(time) => {
                state.reason = reason();
                let reason = &state.reason;
                error!(module = %self.module, generation, reason, retry_in = ?time, "module backs off, its events wait");
            }
            Verdict::RollBack => {
                drop(state);
                (self.roll_back)(generation, reason());
            }
        }
    }

    /// Records that a worker could not make an instance, `attempts` times in a row.
    pub(super) fn unmade(&self, generation: u32, attempts: u32, why: &str) {
        let verdict = lock(&self.state).health.unmade(generation, attempts);
        if verdict == Verdict::RollBack {
            let reason = format!("no instance could be made {attempts} times in a row, the last time because {why}");
            (self.roll_back)(generation, reason);
        }
    }

    /// How long a worker has to wait before it may hand the next event to a generation.
    pub(super) fn pause(&self, generation: u32) -> Option<Duration> {
        if self.calm.load(Ordering::Relaxed) {
            return None;
        }
        lock(&self.state).health.pause(generation, Instant::now())
    }
}
