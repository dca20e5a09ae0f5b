//! Limits how often one kind of failure is logged, so that failing receivers do not fill the log.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// One kind of log line, logged at most once per interval.
pub(super) struct Notice {
    interval: Duration,
    last: Cell<Option<Instant>>,
    left_out: Cell<u64>,
}

impl Notice {
    /// Creates a notice that is logged at most once per `interval`.
    pub(super) fn new(interval: Duration) -> Notice {
        Notice {
            interval,
            last: Cell::new(None),
            left_out: Cell::new(0),
        }
    }

    /// Returns `Some` if the line is due now, with the number of lines left out since the last one.
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
