//! The queues of one module on a bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::{Instant, timeout_at};

use super::counters::{DropCounts, ModuleCounters};
use super::interest_table::Version;
use super::queue::{Overflow, Queued, Refused, Sender};
use super::weight::{MIN_EVENT_BYTES, weight};
use hookhost_event::{Event, Millis};

/// The queues of one attachment and what became of the events that it was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    /// Name of the module.
    pub module: Arc<str>,
    /// Number of queues.
    pub shards: usize,
    /// Events in the queues.
    pub events: usize,
    /// Bytes that the events in the queues and in the batches being handled keep.
    pub bytes: usize,
    /// The oldest event in the queues is not older than this; `None` if they are empty.
    pub oldest: Option<Millis>,
    /// Events that a queue took since the process started.
    pub accepted: u64,
    /// Events that no queue took, by reason.
    pub dropped: DropCounts,
}

/// Why a queue did not take an event that was offered to it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// No room just now.
    #[error("the module's queue is full")]
    Full,
    /// Larger than the queue's bound in bytes.
    #[error("the event is larger than the module's queue")]
    Oversized,
    /// The reader of the queue has ended.
    #[error("the module has ended")]
    Closed,
}

/// The queues of an attachment.
pub(super) struct ModuleQueues {
    pub(super) module: Arc<str>,
    overflow: Overflow,
    shards: Box<[Shard]>,
    counters: Arc<ModuleCounters>,
}

/// One queue.
struct Shard {
    sender: Sender,
    /// A wait for room has timed out, and the queue has not been half empty since.
    is_stalled: AtomicBool,
}

impl ModuleQueues {
    pub(super) fn new(
        module: Arc<str>,
        overflow: Overflow,
        shards: Vec<Sender>,
        counters: Arc<ModuleCounters>,
    ) -> ModuleQueues {
        ModuleQueues {
            module,
            overflow,
            shards: shards.into_iter().map(Shard::new).collect(),
            counters,
        }
    }

    /// The shard that an event goes into.
    pub(super) fn shard_of(&self, event: &Event) -> usize {
        shard(client_id(event), self.shards.len())
    }

    /// Wakes the readers of the queues.
    pub(super) fn wake(&self) {
        self.shards.iter().for_each(|shard| shard.sender.wake());
    }

    /// False if an event of this client is certain to be dropped; it is counted as dropped then.
    pub(super) fn has_room(&self, client_id: &str) -> bool {
        let shard = self.shard(shard(client_id, self.shards.len()));
        if self.may_wait(shard) || shard.sender.has_room_for(MIN_EVENT_BYTES) {
            return true;
        }
        self.counters.count_full(&self.module);
        false
    }

    /// Puts an event into the queue of its shard. Returns it if it has to wait for room.
    pub(super) fn offer(&self, shard: usize, queued: Queued, weight: usize) -> Option<Queued> {
        let shard = self.shard(shard);
        let refused = match shard.sender.offer(queued, weight) {
            Err(Refused::Full(queued)) if queued.ticket.is_some() || self.may_wait(shard) => return Some(queued),
            other => other.err(),
        };
        if shard.is_stalled.load(Ordering::Relaxed) && shard.sender.is_half_empty() {
            shard.is_stalled.store(false, Ordering::Relaxed);
        }
        self.counters.count(&self.module, refused);
        None
    }

    /// Whether an event without a ticket waits for room in a queue.
    fn may_wait(&self, shard: &Shard) -> bool {
        matches!(self.overflow, Overflow::Wait(_)) && !shard.is_stalled.load(Ordering::Relaxed)
    }

    /// Puts an event that no other module gets into its queue, chosen by no interests; never waits for room.
    pub(super) fn offer_alone(&self, event: Arc<Event>) -> Result<(), OfferError> {
        let weight = weight(&event);
        let version = Version::default();
        let shard = self.shard(self.shard_of(&event));
        shard
            .sender
            .offer(
                Queued {
                    event,
                    version,
                    ticket: None,
                },
                weight,
            )
            .map_err(|refused| match refused {
                Refused::Full(_) => OfferError::Full,
                Refused::Oversized => OfferError::Oversized,
                Refused::Closed => OfferError::Closed,
            })?;
        self.counters.count(&self.module, None);
        Ok(())
    }

    /// Waits for room, and counts what became of the event, also if the caller no longer waits. The time limit counts from
    /// `start`. An event with a ticket has no time limit.
    pub(super) async fn wait(&self, shard: usize, queued: Queued, weight: usize, start: Instant) {
        let shard = self.shard(shard);
        let mut waiting = Waiting(Some(self));
        let sending = match self.overflow {
            Overflow::Wait(limit) if queued.ticket.is_none() => {
                timeout_at(start + limit, shard.sender.send(queued, weight)).await
            }
            _ => Ok(shard.sender.send(queued, weight).await),
        };
        waiting.0 = None;
        match sending {
            Ok(sent) => self.counters.count(&self.module, sent.err()),
            Err(_) => {
                shard.is_stalled.store(true, Ordering::Relaxed);
                self.counters.count_full(&self.module);
            }
        }
    }

    /// Counts an event as dropped, because its wait for room was cancelled: for example, its client has disconnected.
    pub(super) fn give_up(&self) {
        self.counters.count_full(&self.module);
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "a shard is a remainder by the number of shards, of which `Bus::attach` makes at least one"
    )]
    fn shard(&self, shard: usize) -> &Shard {
        &self.shards[shard]
    }

    pub(super) fn state(&self) -> QueueState {
        let depths = self.shards.iter().map(|shard| shard.sender.depth());
        let (events, bytes) = depths.fold((0, 0), |sum, depth| (sum.0 + depth.0, sum.1 + depth.1));
        QueueState {
            module: Arc::clone(&self.module),
            shards: self.shards.len(),
            events,
            bytes,
            oldest: self.shards.iter().filter_map(|shard| shard.sender.oldest()).min(),
            accepted: self.counters.accepted(),
            dropped: self.counters.dropped(),
        }
    }
}

/// An event that waits for room. Counted as dropped if the wait is cancelled.
struct Waiting<'a>(Option<&'a ModuleQueues>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(queues) = self.0 {
            queues.give_up();
        }
    }
}

impl Shard {
    fn new(sender: Sender) -> Shard {
        Shard {
            sender,
            is_stalled: AtomicBool::new(false),
        }
    }
}

/// The client whose event it is; events without a client share the shard of the empty client id.
fn client_id(event: &Event) -> &str {
    event.detail.client().map_or("", |client| &client.id)
}

/// The shard of a client.
pub(super) fn shard(id: &str, shards: usize) -> usize {
    if shards < 2 {
        return 0;
    }
    // FNV-1a: the same in every run, and client ids are short. A client that picks its id to land in one shard makes
    // that queue long, as it could by publishing more.
    let fnv = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    // The last bytes, which tell numbered clients apart, have hardly reached the other bits yet: mix them.
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed >> 32) as usize) % shards
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_event::{Detail, OtherEvent};
    use hookhost_testing::events as testing;

    #[test]
    fn a_client_stays_in_its_shard_and_clients_spread() {
        let mut used = [0; 4];
        for client in 0..100 {
            let event = testing::publish(&format!("client-{client}"), "t", b"");
            let place = shard(client_id(&event), 4);
            assert_eq!(shard(client_id(&event), 4), place);
            used[place] += 1;
        }
        assert!(used.iter().all(|count| *count > 10), "{used:?}");
        let without = Detail::Other(OtherEvent {
            name: "x".into(),
            client: None,
            data: "{}".into(),
        });
        let event = Event {
            detail: without,
            ..testing::publish("c", "t", b"")
        };
        assert_eq!(client_id(&event), "");
        assert_eq!(shard("c", 1), 0);
    }
}
