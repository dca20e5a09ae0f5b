//! What a sender thread asks a shared outbox: whether this host still delivers a request.

use tokio::time::Instant;

use super::super::job::{Item, Job};
use super::super::sender::SenderState;
use super::attempt_state;

impl SenderState {
    /// Asks whether this host delivers a request, and marks its record. True for requests that are not shared.
    pub(in super::super) fn begin(&self, record: Option<u64>) -> bool {
        match (&self.shared, record) {
            (Some(shared), Some(record)) => shared.begin(record),
            _ => true,
        }
    }

    /// Returns whether another host delivers a request.
    pub(in super::super) fn is_moved(&self, item: &Item) -> bool {
        self.is_record_moved(item.record())
    }

    /// The same for the number of a record.
    pub(in super::super) fn is_record_moved(&self, record: Option<u64>) -> bool {
        match (&self.shared, record) {
            (Some(shared), Some(record)) => !shared.delivers(record),
            _ => false,
        }
    }

    /// Keeps the attempts of a request for the host that delivers it next, if the outbox is shared. The next one begins at
    /// `next`. [`SenderState::rest`] follows.
    pub(in super::super) fn keep_attempts(&self, job: &Job, now: Instant, next: Instant) {
        if let (Some(shared), Some(record)) = (&self.shared, job.record) {
            shared.keep_state(record, attempt_state::encode(&job.attempts, now, next));
        }
    }

    /// The attempt of a request is followed by another one.
    pub(in super::super) fn rest(&self, record: Option<u64>) {
        if let (Some(shared), Some(record)) = (&self.shared, record) {
            shared.rest(record);
        }
    }

    /// Forgets a request that another host delivers. The caller has removed it from the queue, or does so.
    pub(in super::super) fn drop_moved_item(&self, item: &Item) {
        let (event_at, size) = match item {
            Item::Job(job) => {
                self.window.release(1, job.size);
                (job.request.event.at, job.size)
            }
            Item::Stored(stored) => (stored.event_at, stored.size),
        };
        self.counts.all.moved();
        item.target().destination.counts.moved(event_at, size);
    }

    /// Forgets the requests that other hosts deliver, up to the first one of each key that this host delivers.
    pub(in super::super) fn drop_moved(&self) {
        if self.shared.is_some() {
            let dropped = self.queue.borrow_mut().remove_heads(|item| self.is_moved(item));
            dropped.iter().for_each(|item| self.drop_moved_item(item));
        }
    }
}
