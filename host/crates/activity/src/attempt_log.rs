//! The last attempts, in two bounded rings: all, and failed ones. Pure: the caller tells the time.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::entry::{AttemptEntry, AttemptResult};
use crate::filter::AttemptQuery;

/// Limits of each ring.
const MAX_ATTEMPTS: usize = 1_000;
const MAX_BYTES: usize = 2 << 20;
/// Older attempts are not shown, and leave when newer ones come: 24 hours, in milliseconds.
const MAX_AGE: u64 = 24 * 3600 * 1000;

/// The last attempts.
#[derive(Debug, Default)]
pub(crate) struct AttemptLog {
    next: u64,
    all: Ring,
    failed: Ring,
}

/// Attempts from the oldest to the newest.
#[derive(Debug, Default)]
struct Ring {
    entries: VecDeque<Arc<AttemptEntry>>,
    bytes: usize,
}

impl AttemptLog {
    /// Adds an attempt and gives it its number. Drops the oldest ones beyond the limits.
    pub(crate) fn push(&mut self, mut entry: AttemptEntry) -> Arc<AttemptEntry> {
        self.next += 1;
        entry.number = self.next;
        let entry = Arc::new(entry);
        if entry.result != AttemptResult::Delivered {
            self.failed.push(Arc::clone(&entry));
        }
        self.all.push(Arc::clone(&entry));
        entry
    }

    /// The attempts that match, newest first.
    pub(crate) fn list(&self, query: &AttemptQuery, now: u64, limit: usize) -> Vec<Arc<AttemptEntry>> {
        let oldest = self.all.entries.front().map_or(0, |entry| entry.number);
        // Newer failed ones are among all.
        let failed = self.failed.entries.iter().rev().filter(|entry| entry.number < oldest);
        let newest_first = self.all.entries.iter().rev().chain(failed);
        newest_first
            .filter(|entry| now.saturating_sub(entry.at) <= MAX_AGE && query.admits(entry))
            .take(limit)
            .cloned()
            .collect()
    }
}

impl Ring {
    fn push(&mut self, entry: Arc<AttemptEntry>) {
        let now = entry.at;
        self.bytes += entry.size();
        self.entries.push_back(entry);
        while let Some(oldest) = self.entries.front()
            && (self.entries.len() > MAX_ATTEMPTS || self.bytes > MAX_BYTES || now.saturating_sub(oldest.at) > MAX_AGE)
        {
            self.bytes -= oldest.size();
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::attempt;

    fn numbers(log: &AttemptLog, query: &AttemptQuery, now: u64) -> Vec<u64> {
        log.list(query, now, 9).iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn failures_outlive_successes() {
        let mut log = AttemptLog::default();
        log.push(attempt("c", "t", AttemptResult::Dropped));
        for _ in 0..2 * MAX_ATTEMPTS {
            log.push(attempt("c", "t", AttemptResult::Delivered));
        }
        log.push(attempt("c", "t", AttemptResult::Retried));
        let failed = AttemptQuery {
            failed: true,
            ..AttemptQuery::default()
        };
        assert_eq!(numbers(&log, &failed, 0), [2 * MAX_ATTEMPTS as u64 + 2, 1]);
        assert_eq!(log.all.entries.len(), MAX_ATTEMPTS);
        let all = log.list(&AttemptQuery::default(), 0, usize::MAX);
        assert_eq!(all.len(), MAX_ATTEMPTS + 1);
        assert!(
            all.windows(2).all(|pair| pair[0].number > pair[1].number),
            "newest first"
        );
    }

    #[test]
    fn bytes_and_age_are_bounded() {
        let mut log = AttemptLog::default();
        for _ in 0..MAX_ATTEMPTS {
            let mut entry = attempt("c", "t", AttemptResult::Delivered);
            entry.text = "x".repeat(10_000).into();
            log.push(entry);
        }
        assert!(
            log.all.bytes <= MAX_BYTES && log.all.entries.len() > 100,
            "{}",
            log.all.entries.len()
        );
        assert_eq!(
            numbers(&log, &AttemptQuery::default(), MAX_AGE + 1),
            [0; 0],
            "too old to be shown"
        );
        let mut late = attempt("c", "t", AttemptResult::Delivered);
        late.at = 2 * MAX_AGE;
        log.push(late);
        assert_eq!(log.all.entries.len(), 1);
        assert_eq!(log.all.bytes, log.all.entries[0].size());
    }
}
