//! A follower: a bounded queue of what its filter admits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::entry::Activity;
use crate::filter::ActivityFilter;

/// Entries that wait for a follower.
const MAX_WAITING: usize = 4_096;

/// The writing end, in the log.
pub(crate) struct Feed {
    filter: ActivityFilter,
    queue: Sender<Activity>,
    lost: Arc<AtomicU64>,
}

/// Gets what happens, in order. Ends when it is dropped.
pub struct Follower {
    queue: Receiver<Activity>,
    lost: Arc<AtomicU64>,
}

/// The next entry of a follower.
#[derive(Debug, PartialEq, Eq)]
pub struct Followed {
    /// Entries that were lost before it, because the follower did not read in time.
    pub lost: u64,
    /// The entry.
    pub activity: Activity,
}

pub(crate) fn pair(filter: ActivityFilter) -> (Feed, Follower) {
    let (sender, queue) = channel(MAX_WAITING);
    let lost = Arc::new(AtomicU64::new(0));
    let feed = Feed {
        filter,
        queue: sender,
        lost: Arc::clone(&lost),
    };
    (feed, Follower { queue, lost })
}

impl Feed {
    /// Passes an entry if the filter admits it. Returns whether the follower still exists.
    pub(crate) fn offer(&self, activity: &Activity) -> bool {
        if !self.filter.admits_activity(activity) {
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
}
