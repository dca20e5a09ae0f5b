//! How long things took: counts in ranges, for histograms.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The upper bounds of the ranges; one more range is for everything longer.
pub const DURATION_BOUNDS: [Duration; 14] = [
    Duration::from_micros(10),
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_micros(2500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];

/// Counts durations. It takes no lock.
#[derive(Debug, Default)]
pub struct Durations {
    counts: [AtomicU64; DURATION_BOUNDS.len() + 1],
    sum_nanos: AtomicU64,
}

/// The counts of [`Durations`] at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DurationCounts {
    /// How many there were in each range of [`DURATION_BOUNDS`], and above. A range includes its bound.
    pub counts: [u64; DURATION_BOUNDS.len() + 1],
    /// Their sum.
    pub sum: Duration,
}

impl Durations {
    /// Counts a duration `times` times.
    pub fn add(&self, duration: Duration, times: u64) {
        let range = DURATION_BOUNDS.partition_point(|bound| *bound < duration);
        if let Some(count) = self.counts.get(range) {
            count.fetch_add(times, Relaxed);
        }
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanos.fetch_add(nanos.saturating_mul(times), Relaxed);
    }

    /// The counts. A duration that is added at the same time may be missing in a part of them.
    pub fn counts(&self) -> DurationCounts {
        DurationCounts {
            counts: self.counts.each_ref().map(|count| count.load(Relaxed)),
            sum: Duration::from_nanos(self.sum_nanos.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_first_range_that_includes_it() {
        let durations = Durations::default();
        for (micros, times) in [
            (0, 1),
            (10, 2),
            (11, 1),
            (1_000, 1),
            (1_001, 4),
            (30_000_000, 1),
            (30_000_001, 1),
        ] {
            durations.add(Duration::from_micros(micros), times);
        }
        let DurationCounts { counts, sum } = durations.counts();
        assert_eq!(counts, [3, 1, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(sum, Duration::from_micros(20 + 11 + 1_000 + 4_004 + 60_000_001));
    }

    #[test]
    fn the_bounds_grow() {
        assert!(DURATION_BOUNDS.is_sorted_by(|a, b| a < b));
    }
}
