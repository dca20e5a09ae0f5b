//! The last attempts to deliver a request, and live followers of outcomes and attempts (`hookhost tap`).
//!
//! ```text
//! module threads ──(outcome)──> OutcomeLog ──┐
//! sender threads ──(attempt)──> AttemptLog ──┴─> followers: bounded queues, one for each
//! ```
//!
//! An [`ActivityLog`] is shared by the parts of a host. It keeps the last attempts in memory, and the last failed attempts
//! apart from them, so that successes do not displace failures. Both are bounded in number, bytes and age. It also keeps
//! what modules did with the last events: together this is what happened to one event (`hookhost trace`). A follower gets
//! the entries that match its filter. If it reads too slowly, it loses lines and gets their number; the host never waits.
//!
//! [`Durations`] count how long attempts and calls of modules took.
//!
//! The exporter of spans is a follower too: [`ActivityLog::export`]. From then on, entries carry the trace of their event.
//!
//! Texts are cut and copied: no entry keeps a payload or the buffer of a packet alive.

mod attempt_log;
mod durations;
mod entry;
mod filter;
mod follower;
mod outcome_log;
pub mod trace_parent;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub use durations::{DURATION_BOUNDS, DurationCounts, Durations};
pub use entry::{
    Activity, AttemptAction, AttemptEntry, AttemptResult, AttemptSpan, CallSpan, HandledEvent, OutcomeEntry, Subject,
    cut,
};
pub use filter::{ActivityFilter, AttemptQuery};
pub use follower::{Followed, Follower, LostEntries};
pub use trace_parent::{SampleRatio, TraceParent};

use attempt_log::AttemptLog;
use follower::{Feed, Selection};
use hookhost_event::{Event, Id};
use outcome_log::OutcomeLog;

/// What became of events on one host. Clones are the same log.
#[derive(Clone, Default)]
pub struct ActivityLog(Arc<Shared>);

#[derive(Default)]
struct Shared {
    attempts: Mutex<AttemptLog>,
    outcomes: Mutex<OutcomeLog>,
    feeds: Mutex<Vec<Feed>>,
    /// How many of `feeds` want entries without a trace, read without the lock.
    followers: AtomicUsize,
    /// Set once spans are exported.
    sampling: OnceLock<SampleRatio>,
}

impl ActivityLog {
    /// An empty log without followers.
    pub fn new() -> ActivityLog {
        ActivityLog::default()
    }

    /// Records an attempt to deliver a request.
    pub fn attempt(&self, entry: AttemptEntry) {
        let activity = Activity::Attempt(lock(&self.0.attempts).push(entry));
        if self.is_followed() || activity.is_traced() {
            self.pass(&activity);
        }
    }

    /// Records what a module did with events, in order, and passes it to followers.
    pub fn handled<'e>(&self, events: impl IntoIterator<Item = (&'e Event, HandledEvent)>) {
        let is_followed = self.is_followed();
        let mut entries = Vec::new();
        let mut outcomes = lock(&self.0.outcomes);
        for (event, handled) in events {
            if is_followed || handled.span.is_some() {
                entries.push(OutcomeEntry {
                    subject: Subject::of(event),
                    handled: handled.clone(),
                });
            }
            outcomes.push(handled);
        }
        drop(outcomes);
        for entry in entries {
            self.pass(&Activity::Outcome(Arc::new(entry)));
        }
    }

    /// What modules did with an event, oldest first, if it was one of the last events.
    pub fn outcomes_of(&self, event: Id) -> Vec<HandledEvent> {
        lock(&self.0.outcomes).of(event)
    }

    /// Whether there are followers that want entries without a trace.
    fn is_followed(&self) -> bool {
        self.0.followers.load(Ordering::Relaxed) > 0
    }

    /// The recorded attempts that match, newest first, at most `limit`. `now` is in milliseconds since 1970.
    pub fn attempts(&self, query: &AttemptQuery, now: u64, limit: usize) -> Vec<Arc<AttemptEntry>> {
        lock(&self.0.attempts).list(query, now, limit)
    }

    /// Follows from now on.
    pub fn follow(&self, filter: ActivityFilter) -> Follower {
        self.add(Selection::Filtered(filter))
    }

    /// Follows all entries with a sampled trace from now on. From now on, entries carry the sampled trace of their event,
    /// and this share of the events without a trace begins one. Call it once: the share cannot be changed.
    pub fn export(&self, ratio: SampleRatio) -> Follower {
        let follower = self.add(Selection::Traced);
        self.0.sampling.get_or_init(|| ratio);
        follower
    }

    /// The share of the events without a trace that begin one; `None` if spans are not exported.
    pub fn sampling(&self) -> Option<SampleRatio> {
        self.0.sampling.get().copied()
    }

    fn add(&self, selection: Selection) -> Follower {
        let (feed, follower) = follower::pair(selection);
        let mut feeds = lock(&self.0.feeds);
        feeds.push(feed);
        self.count(&feeds);
        follower
    }

    fn count(&self, feeds: &[Feed]) {
        let filtered = feeds
            .iter()
            .filter(|feed| matches!(feed.selection, Selection::Filtered(_)));
        self.0.followers.store(filtered.count(), Ordering::Relaxed);
    }

    /// Passes something to all followers, and forgets those that have gone.
    fn pass(&self, activity: &Activity) {
        let mut feeds = lock(&self.0.feeds);
        feeds.retain(|feed| feed.offer(activity));
        self.count(&feeds);
    }
}

/// A panic under a lock leaves no partial change.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
