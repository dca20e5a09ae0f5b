//! The last attempts to deliver a request, and live followers of outcomes and attempts (`hookhost tap`).
//!
//! ```text
//! module threads ──(outcome of an event)──┐
//! sender threads ──(attempt)──> AttemptLog └──> followers: bounded queues, one for each
//! ```
//!
//! An [`ActivityLog`] is shared by the parts of a host. It keeps the last attempts in memory, and the last failed attempts
//! apart from them, so that successes do not displace failures. Both are bounded in number, bytes and age. A follower gets
//! the entries that match its filter. If it reads too slowly, it loses lines and gets their number; the host never waits.
//!
//! [`Durations`] count how long attempts and calls of modules took.
//!
//! Texts are cut and copied: no entry keeps a payload or the buffer of a packet alive.

mod attempt_log;
mod durations;
mod entry;
mod filter;
mod follower;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use durations::{DURATION_BOUNDS, DurationCounts, Durations};
pub use entry::{Activity, AttemptEntry, AttemptResult, OutcomeEntry, Subject, cut};
pub use filter::{ActivityFilter, AttemptQuery};
pub use follower::{Followed, Follower};

use attempt_log::AttemptLog;
use follower::Feed;

/// What became of events on one host. Clones are the same log.
#[derive(Clone, Default)]
pub struct ActivityLog(Arc<Shared>);

#[derive(Default)]
struct Shared {
    attempts: Mutex<AttemptLog>,
    feeds: Mutex<Vec<Feed>>,
    /// The length of `feeds`, read without the lock.
    followers: AtomicUsize,
}

impl ActivityLog {
    /// An empty log without followers.
    pub fn new() -> ActivityLog {
        ActivityLog::default()
    }

    /// Records an attempt to deliver a request.
    pub fn attempt(&self, entry: AttemptEntry) {
        let entry = lock(&self.0.attempts).push(entry);
        if self.is_followed() {
            self.pass(&Activity::Attempt(entry));
        }
    }

    /// Passes the outcome of an event to followers; `entry` is called only if there are any.
    pub fn outcome(&self, entry: impl FnOnce() -> OutcomeEntry) {
        if self.is_followed() {
            self.pass(&Activity::Outcome(Arc::new(entry())));
        }
    }

    /// Whether anybody follows.
    pub fn is_followed(&self) -> bool {
        self.0.followers.load(Ordering::Relaxed) > 0
    }

    /// The recorded attempts that match, newest first, at most `limit`. `now` is in milliseconds since 1970.
    pub fn attempts(&self, query: &AttemptQuery, now: u64, limit: usize) -> Vec<Arc<AttemptEntry>> {
        lock(&self.0.attempts).list(query, now, limit)
    }

    /// Follows from now on.
    pub fn follow(&self, filter: ActivityFilter) -> Follower {
        let (feed, follower) = follower::pair(filter);
        let mut feeds = lock(&self.0.feeds);
        feeds.push(feed);
        self.0.followers.store(feeds.len(), Ordering::Relaxed);
        follower
    }

    /// Passes something to all followers, and forgets those that have gone.
    fn pass(&self, activity: &Activity) {
        let mut feeds = lock(&self.0.feeds);
        feeds.retain(|feed| feed.offer(activity));
        self.0.followers.store(feeds.len(), Ordering::Relaxed);
    }
}

/// A panic under a lock leaves no partial change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
