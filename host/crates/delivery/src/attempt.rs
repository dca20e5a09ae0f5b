//! The attempts to send one request, as its dead letter shows them.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::retry::Outcome;

/// Limit of the attempts that a request remembers. The oldest are forgotten first.
const MAX_REMEMBERED: usize = 50;

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// The HTTP status of the answer; `None` without an answer.
    pub status: Option<u16>,
    /// What happened, in one line.
    pub outcome: String,
}

/// The attempts of a request in this process, and with a shared outbox in others.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempts {
    /// How many have begun.
    pub(super) count: u32,
    /// When the first one began.
    pub(super) first: Option<Instant>,
    /// When the last one began.
    pub(super) last: Option<Instant>,
    /// When the next one may begin, if another host has made the previous one.
    pub(super) next: Option<Instant>,
    /// The last failed ones, oldest first. Requests that are delivered at once need no memory for them.
    pub(super) failed: VecDeque<Attempt>,
}

impl Attempts {
    /// Counts an attempt that begins now.
    pub(super) fn begin(&mut self, now: Instant) {
        self.first.get_or_insert(now);
        self.next = None;
        self.last = Some(now);
        self.count = self.count.saturating_add(1);
    }

    /// Does not count the last attempt, which says nothing about this request.
    pub(super) fn undo(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// Remembers an attempt that has failed at `end`, after `duration`.
    pub(super) fn fail(&mut self, end: SystemTime, duration: Duration, outcome: &Outcome) {
        if self.failed.len() >= MAX_REMEMBERED {
            self.failed.pop_front();
        }
        self.failed.push_back(Attempt {
            at: end.checked_sub(duration).unwrap_or(SystemTime::UNIX_EPOCH),
            duration,
            status: outcome.status(),
            outcome: outcome.to_string(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_failed_attempts_are_remembered() {
        let mut attempts = Attempts::default();
        let (begin, second) = (
            SystemTime::UNIX_EPOCH + Duration::from_secs(1000),
            Duration::from_secs(1),
        );
        for number in 0..60 {
            attempts.begin(Instant::now());
            attempts.fail(begin + number * second, second, &Outcome::TimedOut);
        }
        assert_eq!((attempts.count, attempts.failed.len()), (60, 50));
        assert_eq!(
            attempts.failed.front(),
            Some(&Attempt {
                at: begin + 9 * second,
                duration: second,
                status: None,
                outcome: "the attempt timed out".to_owned(),
            })
        );
    }
}
