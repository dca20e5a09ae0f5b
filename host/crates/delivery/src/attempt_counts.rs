//! How the attempts at a destination ended, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::retry::Outcome;

/// The outcomes that are counted, as metrics name them.
const NAMES: [&str; 9] = [
    "2xx",
    "3xx",
    "4xx",
    "5xx",
    "other",
    "accepted",
    "failed",
    "timed_out",
    "not_sent",
];

/// Counts attempts by outcome. It takes no lock.
#[derive(Debug, Default)]
pub(super) struct AttemptTally([AtomicU64; NAMES.len()]);

/// The counts of attempts by outcome since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttemptCounts([u64; NAMES.len()]);

impl AttemptTally {
    /// Counts an attempt.
    pub(super) fn add(&self, outcome: &Outcome) {
        if let Some(count) = self.0.get(place(outcome)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Returns the counts.
    pub(super) fn counts(&self) -> AttemptCounts {
        AttemptCounts(self.0.each_ref().map(|count| count.load(Relaxed)))
    }
}

impl AttemptCounts {
    /// Returns all counts: by class of the HTTP status, such as `2xx`; `accepted` by a file, standard output or the broker;
    /// `failed` without a valid answer; `timed_out`; `not_sent`, because the request was invalid, barred or expired.
    pub fn by_outcome(&self) -> impl Iterator<Item = (&'static str, u64)> {
        NAMES.into_iter().zip(self.0)
    }
}

/// The index in [`NAMES`].
fn place(outcome: &Outcome) -> usize {
    match (outcome.status(), outcome) {
        (Some(status @ 200..600), _) => usize::from(status / 100 - 2),
        (Some(_), _) => 4,
        (None, Outcome::Accepted(_)) => 5,
        (None, Outcome::Failed(_) | Outcome::Refused { .. }) => 6,
        (None, Outcome::TimedOut) => 7,
        (None, Outcome::Invalid(_) | Outcome::Barred(_) | Outcome::Expired) => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_counts_under_its_name() {
        let refused = |status| Outcome::Refused {
            status,
            retry_after: None,
        };
        for (outcome, name) in [
            (Outcome::Accepted(Some(204)), "2xx"),
            (refused(302), "3xx"),
            (refused(422), "4xx"),
            (refused(599), "5xx"),
            (refused(999), "other"),
            (Outcome::Accepted(None), "accepted"),
            (Outcome::Failed("refused".into()), "failed"),
            (Outcome::TimedOut, "timed_out"),
            (Outcome::Expired, "not_sent"),
        ] {
            let tally = AttemptTally::default();
            tally.add(&outcome);
            let counted: Vec<_> = tally.counts().by_outcome().filter(|(_, count)| *count > 0).collect();
            assert_eq!(counted, [(name, 1)], "{outcome:?}");
        }
    }
}
