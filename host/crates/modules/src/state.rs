//! The visible state of modules, and the counters behind it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::generation::lock;
use super::quarantine::QuarantineUsage;
use hookhost_activity::{DurationCounts, Durations};
use hookhost_event::Hook;
use hookhost_hooks::{QueueState, Throttle};

/// The current state of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleState {
    /// Its name.
    pub name: Arc<str>,
    /// Its status.
    pub status: Status,
    /// Why the files in the folder are not active, and why it backs off.
    pub problem: Option<String>,
    /// The active generation, if there is one.
    pub generation: Option<GenerationState>,
    /// Its queues, if a generation is active.
    pub queue: Option<QueueState>,
    /// What happened to its events since the host started, over all generations.
    pub counts: Counts,
    /// How long its events took: the time of a call, divided by its events.
    pub durations: DurationCounts,
    /// Bytes of the linear memory of all its instances.
    pub memory: usize,
    /// The counts of its quarantine.
    pub quarantined: QuarantineUsage,
    /// Whether an operator can roll it back: its code is a file, and the host keeps a previous generation.
    pub can_roll_back: bool,
}

/// The active generation of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GenerationState {
    /// Counts the loads under the module's name, from 1.
    pub number: u32,
    /// The source of its code.
    pub origin: Origin,
    /// Number of instances, each with its own thread and queue.
    pub instances: usize,
    /// The hooks it is interested in.
    pub hooks: Vec<Hook>,
    /// The URL prefixes that its requests may name.
    pub egress: Vec<String>,
}

/// The source of a module's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the host's own binary.
    BuiltIn,
    /// From the modules folder.
    File,
}

impl Status {
    /// As a word: `running`, `backing off`, `rolled back`, `draining`, `rejected`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::BackingOff => "backing off",
            Status::RolledBack => "rolled back",
            Status::Draining => "draining",
            Status::Rejected => "rejected",
        }
    }
}

/// The status of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It handles events.
    Running,
    /// It cannot make an instance, or it fails on every event. The host retries, and events wait in the queue.
    BackingOff,
    /// It handles events in an earlier generation than its files: the newer one failed.
    RolledBack,
    /// It was removed and handles the rest of its queue.
    Draining,
    /// Its files did not load and no other generation is active.
    Rejected,
}

/// Events by outcome, and requests. Each event that a worker took from the queue or the quarantine counts once. It
/// counts among `ignored`, `answered`, `failed`, `trapped`, `timed_out`, `skipped` and `abandoned`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// The module had nothing to send.
    pub ignored: u64,
    /// The module returned requests.
    pub answered: u64,
    /// The module reported that it could not handle them. They are in the quarantine.
    pub failed: u64,
    /// The module trapped on them, alone and in a new instance. They are in the quarantine.
    pub trapped: u64,
    /// The module timed out on them, alone and in a new instance. They are in the quarantine.
    pub timed_out: u64,
    /// A newer generation did not subscribe to them.
    pub skipped: u64,
    /// Taken back out of the quarantine after a rollback, for the previous generation.
    pub taken_back: u64,
    /// Abandoned because the host stopped, or because a module was removed that could not run.
    pub abandoned: u64,
    /// Calls of the module, failed ones included.
    pub calls: u64,
    /// Calls that trapped or timed out. The first failed call of a batch does not affect its events.
    pub failed_calls: u64,
    /// Requests that were handed to delivery.
    pub requests: u64,
    /// Requests that were refused, such as those to places without a grant.
    pub refused_requests: u64,
}

/// The counters and reports of the workers of one module, over all its generations.
pub(super) struct ModuleRecord {
    pub(super) ignored: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) trapped: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) taken_back: AtomicU64,
    pub(super) abandoned: AtomicU64,
    pub(super) calls: AtomicU64,
    pub(super) failed_calls: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) refused_requests: AtomicU64,
    pub(super) durations: Durations,
    /// Bytes of the linear memory of all instances.
    pub(super) memory: AtomicUsize,
    /// Limit the log lines about quarantined events, refused requests and failed calls.
    pub(super) quarantine_lines: Throttle,
    pub(super) refusal_lines: Throttle,
    pub(super) call_lines: Throttle,
    /// Workers that cannot make an instance now, and the latest reason.
    backing_off: AtomicUsize,
    reason: Mutex<Option<String>>,
}

impl ModuleRecord {
    pub(super) fn new() -> ModuleRecord {
        let zero = || AtomicU64::new(0);
        ModuleRecord {
            ignored: zero(),
            answered: zero(),
            failed: zero(),
            trapped: zero(),
            timed_out: zero(),
            skipped: zero(),
            taken_back: zero(),
            abandoned: zero(),
            calls: zero(),
            failed_calls: zero(),
            requests: zero(),
            refused_requests: zero(),
            durations: Durations::default(),
            memory: AtomicUsize::new(0),
            quarantine_lines: Throttle::new(),
            refusal_lines: Throttle::new(),
            call_lines: Throttle::new(),
            backing_off: AtomicUsize::new(0),
            reason: Mutex::new(None),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            ignored: read(&self.ignored),
            answered: read(&self.answered),
            failed: read(&self.failed),
            trapped: read(&self.trapped),
            timed_out: read(&self.timed_out),
            skipped: read(&self.skipped),
            taken_back: read(&self.taken_back),
            abandoned: read(&self.abandoned),
            calls: read(&self.calls),
            failed_calls: read(&self.failed_calls),
            requests: read(&self.requests),
            refused_requests: read(&self.refused_requests),
        }
    }

    /// Records that a worker begins to back off, and why.
    pub(super) fn back_off(&self, reason: String) {
        *lock(&self.reason) = Some(reason);
        self.backing_off.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that a worker no longer backs off.
    pub(super) fn recover(&self) {
        self.backing_off.fetch_sub(1, Ordering::Relaxed);
    }

    /// Why workers back off, if any do.
    pub(super) fn backing_off(&self) -> Option<String> {
        (self.backing_off.load(Ordering::Relaxed) > 0).then(|| lock(&self.reason).clone().unwrap_or_default())
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(amount as u64, Ordering::Relaxed);
}
