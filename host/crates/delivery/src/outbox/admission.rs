//! Which requests get a place in the outbox on disk, and what happens when it is full.

use std::sync::{PoisonError, mpsc};
use std::time::Duration;

use super::super::on_disk::{OnDisk, WhenFull};
use super::super::request::OutboxRequest;
use super::super::target::key_of;
use super::{Inboxes, Message, OutboxClosed, extent};

/// While every request is being sent, none can be dropped. The wait before the outbox looks again for one.
const NOTHING_TO_DROP_WAIT: Duration = Duration::from_millis(50);

impl Inboxes {
    /// Takes capacity on disk. Returns the requests that are not dropped.
    pub(super) fn admit(&self, requests: Vec<OutboxRequest>) -> Result<Vec<OutboxRequest>, OutboxClosed> {
        let Some(on_disk) = &self.on_disk else {
            return Ok(requests);
        };
        on_disk.wait_until_restored();
        match on_disk.when_full {
            WhenFull::Wait => {
                let (count, bytes) = extent(&requests);
                on_disk.capacity.acquire(count, bytes)?;
                Ok(requests)
            }
            WhenFull::DropNewest => {
                let (admitted, dropped): (Vec<_>, Vec<_>) = requests.into_iter().partition(|request| {
                    let fits = on_disk.capacity.has_room_for(1, request.size());
                    if fits {
                        on_disk.capacity.add(1, request.size());
                    }
                    fits
                });
                self.counts.all.full(dropped.len());
                for request in &dropped {
                    self.counts.destination(key_of(request)).full();
                }
                Ok(admitted)
            }
            WhenFull::DropOldest => {
                self.acquire_by_dropping(on_disk, extent(&requests))?;
                Ok(requests)
            }
        }
    }

    /// Takes capacity on disk. Has the oldest requests dropped, one part after another, until enough is free.
    fn acquire_by_dropping(&self, on_disk: &OnDisk, (count, bytes): (usize, usize)) -> Result<(), OutboxClosed> {
        let acquire = |time| on_disk.capacity.acquire_within(count, bytes, time);
        if acquire(Duration::ZERO)? {
            return Ok(());
        }
        // The lock protects no data, so a panic of another thread leaves nothing inconsistent.
        let _only = on_disk.dropping.lock().unwrap_or_else(PoisonError::into_inner);
        while !acquire(Duration::ZERO)? {
            // The threads answer when they have dropped what the last round asked for.
            let oldest = self.oldest_part();
            if acquire(oldest.map_or(NOTHING_TO_DROP_WAIT, |_| Duration::ZERO))? {
                break;
            }
            if let Some(number) = oldest {
                self.send_to_all(|| Message::DropUpTo(number));
            }
        }
        Ok(())
    }

    /// Returns a number in the journal: the oldest part of the waiting requests of one thread has numbers up to this one, and
    /// no other thread has an older part. `None` if no request waits.
    fn oldest_part(&self) -> Option<u64> {
        let (answer, answers) = mpsc::channel();
        self.send_to_all(move || Message::FindOldest(answer.clone()));
        answers.iter().min()
    }

    fn send_to_all(&self, message: impl Fn() -> Message) {
        for inbox in &self.inboxes {
            // A thread that has ended has no requests.
            inbox.send(message()).ok();
        }
    }
}
