//! Until when this host may deliver, by its own monotonic clock.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

use super::stream::nanos;

/// Shared by all threads of the host.
pub(super) struct Lease {
    base: Instant,
    /// Nanoseconds after `base`.
    until: AtomicU64,
}

impl Lease {
    /// A lease that is over already.
    pub(super) fn new(base: Instant) -> Lease {
        Lease {
            base,
            until: AtomicU64::new(0),
        }
    }

    /// Sets the end.
    pub(super) fn set(&self, until: Instant) {
        self.until
            .store(nanos(until.saturating_duration_since(self.base)), SeqCst);
    }

    /// Ends it now.
    pub(super) fn end(&self) {
        self.until.store(0, SeqCst);
    }

    /// Returns whether it is over because of the time, and not by [`Lease::end`].
    pub(super) fn has_expired(&self, now: Instant) -> bool {
        self.until.load(SeqCst) != 0 && !self.is_valid(now)
    }

    /// Returns whether the host may deliver at this time.
    pub(super) fn is_valid(&self, now: Instant) -> bool {
        nanos(now.saturating_duration_since(self.base)) < self.until.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_lease_ends_by_itself_and_by_command() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let lease = Lease::new(start);
        assert!(!lease.is_valid(start));
        lease.set(start + 3 * second);
        assert!(lease.is_valid(start) && lease.is_valid(start + 2 * second));
        assert!(!lease.has_expired(start));
        assert!(!lease.is_valid(start + 3 * second) && lease.has_expired(start + 3 * second));
        lease.end();
        assert!(!lease.is_valid(start) && !lease.has_expired(start));
    }
}
