//! A follower: a bounded queue of what its filter admits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::entry::Activity;
use crate::filter::ActivityFilter;

/// Entries that wait for a follower.
const MAX_WAITING: usize = 4_096;

/// What a follower gets.
pub(crate) enum Selection {
    /// Entries that a filter admits.
    Filtered(ActivityFilter),
    /// Entries with a trace that is exported.
    Traced,
}

/// The writing end, in the log.
pub(crate) struct Feed {
    pub(crate) selection: Selection,
    queue: Sender<Activity>,
    lost: Arc<AtomicU64>,
}

/// Gets what happens, in order. Ends when it is dropped.
pub struct Follower {
    queue: Receiver<Activity>,
    lost: Arc<AtomicU64>,
}

/// Counts the entries that a follower has lost, because it did not read in time.
#[derive(Debug, Clone, Default)]
pub struct LostEntries(Arc<AtomicU64>);

/// The next entry of a follower.
#[derive(Debug, PartialEq, Eq)]
pub struct Followed {
    /// Entries that were lost before it, because the follower did not read in time.
    pub lost: u64,
    /// The entry.
    pub activity: Activity,
}

pub(crate) fn pair(selection: Selection) -> (Feed, Follower) {
    let (sender, queue) = channel(MAX_WAITING);
    let lost = Arc::new(AtomicU64::new(0));
    let feed = Feed {
        selection,
        queue: sender,
        lost: Arc::clone(&lost),
    };
    (feed, Follower { queue, lost })
}

impl Feed {
    /// Passes an entry if the follower wants it. Returns whether the follower still exists.
    pub(crate) fn offer(&self, activity: &Activity) -> bool {
        let is_wanted = match &self.selection {
            Selection::Filtered(filter) => filter.admits_activity(activity),
            Selection::Traced => activity.is_traced(),
        };
        if !is_wanted {
            return !self.queue.is_closed();
        }
        match self.queue.try_send(activity.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

impl Follower {
    /// Waits for the next entry. `None` if the log is gone.
    pub async fn next(&mut self) -> Option<Followed> {
        let activity = self.queue.recv().await?;
        // The lost entries came after those that wait in the queue, so this may report them early, but never twice.
        let lost = self.lost.swap(0, Ordering::Relaxed);
        Some(Followed { lost, activity })
    }

    /// Waits for the next entry, as [`next`](Follower::next), and leaves the count of lost entries to [`Follower::lost`].
    pub async fn recv(&mut self) -> Option<Activity> {
        self.queue.recv().await
    }

    /// The next entry, if one waits.
    pub fn try_recv(&mut self) -> Option<Activity> {
        self.queue.try_recv().ok()
    }

    /// Counts the entries that are lost, except those that [`next`](Follower::next) has reported.
    pub fn lost(&self) -> LostEntries {
        LostEntries(Arc::clone(&self.lost))
    }
}

impl LostEntries {
    /// How many there are now.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
