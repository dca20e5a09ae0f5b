//! Counters of the events that the queues of a module took and dropped.
//!
//! Counters belong to the name of a module and last as long as the process. A drop is logged at most once a second.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::warn;

use super::queue::Refused;
use super::throttle::Throttle;

/// Events that a module did not get since the process started, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DropCounts {
    /// Its queue was full.
    pub full: u64,
    /// The event was larger than its queue.
    pub oversized: u64,
    /// The reader of its queue had ended.
    pub closed: u64,
}

/// Counts of one module, over all its attachments.
pub(super) struct ModuleCounters {
    accepted: AtomicU64,
    full: AtomicU64,
    oversized: AtomicU64,
    closed: AtomicU64,
    warning: Throttle,
}

impl Default for ModuleCounters {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        ModuleCounters {
            accepted: zero(),
            full: zero(),
            oversized: zero(),
            closed: zero(),
            warning: Throttle::new(),
        }
    }
}

impl ModuleCounters {
    /// The events that a queue took.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The events that no queue took.
    pub(super) fn dropped(&self) -> DropCounts {
        DropCounts {
            full: self.full.load(Ordering::Relaxed),
            oversized: self.oversized.load(Ordering::Relaxed),
            closed: self.closed.load(Ordering::Relaxed),
        }
    }

    /// Counts an event that a queue took, or refused.
    pub(super) fn count(&self, module: &str, refused: Option<Refused>) {
        let (counter, reason) = match refused {
            None => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Some(Refused::Full(_)) => return self.count_full(module),
            Some(Refused::Oversized) => (&self.oversized, "the event is larger than the queue"),
            Some(Refused::Closed) => (&self.closed, "the module has ended"),
        };
        self.drop_event(module, counter, reason);
    }

    /// Counts an event for which a queue had no room.
    pub(super) fn count_full(&self, module: &str) {
        self.drop_event(module, &self.full, "the queue is full");
    }

    fn drop_event(&self, module: &str, counter: &AtomicU64, reason: &str) {
        let dropped = counter.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(suppressed) = self.warning.pass() {
            warn!(module, reason, dropped, lines_suppressed = suppressed, "event dropped");
        }
    }
}
