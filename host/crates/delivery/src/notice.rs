//! How often one kind of failure is logged: receivers that are down must not fill the log.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// One kind of log line, at most one within each interval.
pub(super) struct Notice {
    interval: Duration,
    last: Cell<Option<Instant>>,
    left_out: Cell<u64>,
}

impl Notice {
    /// A line that may appear once within `interval`.
    pub(super) fn new(interval: Duration) -> Notice {
        Notice {
            interval,
            last: Cell::new(None),
            left_out: Cell::new(0),
        }
    }

    /// Whether to log now; then, how many lines were left out since the last one.
    pub(super) fn due(&self, now: Instant) -> Option<u64> {
        if self
            .last
            .get()
            .is_some_and(|last| now.saturating_duration_since(last) < self.interval)
        {
            self.left_out.set(self.left_out.get() + 1);
            return None;
        }
        self.last.set(Some(now));
        Some(self.left_out.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_within_each_interval() {
        let start = Instant::now();
        let notice = Notice::new(Duration::from_secs(10));
        for (second, want) in [
            (0, Some(0)),
            (1, None),
            (9, None),
            (10, Some(2)),
            (19, None),
            (50, Some(1)),
            (60, Some(0)),
        ] {
            assert_eq!(notice.due(start + Duration::from_secs(second)), want, "at {second}");
        }
    }
}
