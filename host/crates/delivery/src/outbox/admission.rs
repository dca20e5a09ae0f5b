//! Which requests get a place in the outbox on disk, and what happens when it is full.

use std::time::Duration;

use super::super::on_disk::WhenFull;
use super::super::request::OutboxRequest;
use super::super::target::key_of;
use super::{Inboxes, Message, OutboxClosed, extent};

/// How long the outbox waits for a part of the requests to be dropped before it drops another part.
const DROP_WAIT: Duration = Duration::from_millis(50);

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
                let (count, bytes) = extent(&requests);
                while !on_disk.capacity.acquire_within(count, bytes, DROP_WAIT)? {
                    let below = on_disk.oldest_part();
                    for inbox in &self.inboxes {
                        // A thread that has ended has no requests.
                        inbox.send(Message::DropBelow(below)).ok();
                    }
                }
                Ok(requests)
            }
        }
    }
}
