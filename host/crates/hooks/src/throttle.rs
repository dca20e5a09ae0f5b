//! Limits the log lines that clients or modules can cause.
//!
//! [`Throttle`] allows one line per second and counts the lines that it suppressed since the last one. Lock-free: in a
//! race, the lines of the losing threads count as suppressed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Allows one log line per second.
#[derive(Debug)]
pub struct Throttle {
    start: Instant,
    /// Milliseconds after `start` from which the next line may be written.
    next: AtomicU64,
    suppressed: AtomicU64,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle::new()
    }
}

impl Throttle {
    const INTERVAL_MS: u64 = 1000;

    /// A throttle that allows the first line at once.
    pub fn new() -> Throttle {
        Throttle {
            start: Instant::now(),
            next: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }

    /// Whether to write a line now; if so, how many lines were suppressed since the last one.
    pub fn pass(&self) -> Option<u64> {
        self.pass_at(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn pass_at(&self, now_ms: u64) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        let after = now_ms.saturating_add(Self::INTERVAL_MS);
        if now_ms < next
            || self
                .next
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.suppressed.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_per_second_and_a_count_of_the_rest() {
        let throttle = Throttle::new();
        let lines: Vec<_> = [0, 1, 999, 1000, 1001, 5000].map(|now| throttle.pass_at(now)).into();
        assert_eq!(lines, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
