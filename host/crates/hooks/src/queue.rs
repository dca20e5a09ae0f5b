//! One queue of events, from the tasks of an engine to one OS thread of a module.
//!
//! It is bounded by the number of events and by their bytes. The bytes of a batch count until the next batch is taken,
//! so the bound covers waiting events and the batch being handled. Adding an event takes no lock, and wakes the thread
//! only if it sleeps. A queue ends when its last sender is dropped; its events can still be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, TryAcquireError, mpsc};

use super::interest_table::Version;
use hookhost_contract::Ticket;
use hookhost_event::{Event, Millis};

/// What happens to an event for which a queue has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// The event is dropped and counted; MQTT clients never wait.
    Drop,
    /// The task that emits the event waits for room, and with it the client that caused the event, for at most this time.
    /// Then the queue is *stalled*: its events are dropped and counted, without a wait, until it is half empty.
    Wait(Duration),
}

impl Overflow {
    /// The limit of [`Overflow::Wait`] by default.
    pub const DEFAULT_WAIT: Duration = Duration::from_secs(1);

    /// The policy of the settings `overflow` and `overflow_wait`; what is not given has the value of `default`.
    pub fn from_settings(waits: Option<bool>, limit: Option<Duration>, default: Overflow) -> Overflow {
        let default_limit = match default {
            Overflow::Wait(limit) => Some(limit),
            Overflow::Drop => None,
        };
        if waits.unwrap_or(default_limit.is_some()) {
            Overflow::Wait(limit.or(default_limit).unwrap_or(Overflow::DEFAULT_WAIT))
        } else {
            Overflow::Drop
        }
    }
}

/// One second: a publisher that is faster than the receiver is slowed down and loses nothing, and a dead receiver is
/// hardly noticed.
impl Default for Overflow {
    fn default() -> Overflow {
        Overflow::Wait(Overflow::DEFAULT_WAIT)
    }
}

/// Bounds of one queue. A module has a queue per instance, each with these bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Maximum number of waiting events; values below 1 are treated as 1.
    pub events: usize,
    /// Maximum number of bytes of waiting events and the batch being handled: payloads, texts and a fixed cost for each
    /// event. An event that is larger is dropped and counted, whatever the policy.
    pub bytes: usize,
    /// What happens to an event that does not fit.
    pub overflow: Overflow,
}

/// Ten thousand events are one second of a busy broker, so a reload or a slow batch drops nothing; 64 MiB is enough for
/// that many events of 6 KiB.
impl Default for QueueLimits {
    fn default() -> Self {
        QueueLimits {
            events: 10_000,
            bytes: 64 << 20,
            overflow: Overflow::default(),
        }
    }
}

/// An event in a queue.
#[derive(Debug, Clone)]
pub struct Queued {
    /// The event, shared with the other queues that it is in.
    pub event: Arc<Event>,
    /// Version of the interests that chose the event.
    pub version: Version,
    /// What the reader completes when everything that it made of the event is kept, if the publisher's acknowledgement
    /// waits for it.
    pub ticket: Option<Ticket>,
}

impl Queued {
    /// Nothing handles the event: its module has ended. Its publisher need not wait for it.
    pub fn abandon(self) {
        if let Some(ticket) = self.ticket {
            ticket.complete();
        }
    }

    fn closed(self) -> Refused {
        self.abandon();
        Refused::Closed
    }
}

enum Item {
    Event {
        queued: Queued,
        weight: u32,
    },
    /// Wakes a sleeping thread; never waits for room.
    Wake,
}

/// Why a queue did not take an event.
#[derive(Debug)]
pub(super) enum Refused {
    /// No room just now.
    Full(Queued),
    /// Larger than the queue's bound in bytes.
    Oversized,
    /// The reader of the queue has ended.
    Closed,
}

/// The writing end; senders share one queue.
pub(super) struct Sender {
    items: mpsc::Sender<Item>,
    /// One permit for each free byte.
    room: Arc<Semaphore>,
    bytes: usize,
    oldest: Arc<OldestWaiting>,
}

/// The reading end of one queue, for one OS thread.
pub struct Inbox {
    items: mpsc::Receiver<Item>,
    room: Arc<Semaphore>,
    taken: Vec<Item>,
    /// Bytes of the batch that was returned last.
    held: usize,
    oldest: Arc<OldestWaiting>,
}

/// The time of an event that is not newer than the oldest event in the queue; of no meaning while the queue is empty.
///
/// It is the time of the event that came into the empty queue, or of the last event that the reader took.
#[derive(Default)]
struct OldestWaiting(AtomicU64);

impl OldestWaiting {
    fn set(&self, event: &Event) {
        self.0.store(event.at.0, Ordering::Relaxed);
    }
}

/// Creates a queue with these bounds; the policy is applied by the caller.
pub(super) fn queue(limits: QueueLimits) -> (Sender, Inbox) {
    let (sender, receiver) = mpsc::channel(limits.events.clamp(1, Semaphore::MAX_PERMITS));
    let bytes = limits.bytes.min(Semaphore::MAX_PERMITS);
    let room = Arc::new(Semaphore::new(bytes));
    let oldest = Arc::new(OldestWaiting::default());
    let inbox = Inbox {
        items: receiver,
        room: Arc::clone(&room),
        taken: Vec::new(),
        held: 0,
        oldest: Arc::clone(&oldest),
    };
    (
        Sender {
            items: sender,
            room,
            bytes,
            oldest,
        },
        inbox,
    )
}

impl Sender {
    /// Adds an event if there is room.
    pub(super) fn offer(&self, queued: Queued, weight: usize) -> Result<(), Refused> {
        let weight = self.fitting(&queued, weight)?;
        match self.room.try_acquire_many(weight) {
            Err(TryAcquireError::NoPermits) => Err(Refused::Full(queued)),
            Err(TryAcquireError::Closed) => Err(queued.closed()),
            Ok(room) => {
                self.note_first(&queued.event);
                match self.items.try_send(Item::Event { queued, weight }) {
                    Ok(()) => {
                        room.forget();
                        Ok(())
                    }
                    Err(TrySendError::Full(Item::Event { queued, .. })) => Err(Refused::Full(queued)),
                    Err(TrySendError::Closed(Item::Event { queued, .. })) => Err(queued.closed()),
                    Err(_) => Err(Refused::Closed),
                }
            }
        }
    }

    /// Adds an event. Waits while the queue has no room; calls that wait are served in order.
    pub(super) async fn send(&self, queued: Queued, weight: usize) -> Result<(), Refused> {
        let weight = self.fitting(&queued, weight)?;
        let Ok(room) = self.room.acquire_many(weight).await else {
            return Err(queued.closed());
        };
        let Ok(place) = self.items.reserve().await else {
            return Err(queued.closed());
        };
        // Nothing is awaited from here on: a cancelled sender gives back what it has, or has sent.
        room.forget();
        self.note_first(&queued.event);
        place.send(Item::Event { queued, weight });
        Ok(())
    }

    /// Whether an event of this weight would be taken just now. An event that can never be taken has room: why it is
    /// refused is for [`offer`](Self::offer) to say.
    pub(super) fn has_room_for(&self, weight: usize) -> bool {
        let never = weight > self.bytes || self.items.is_closed();
        never || (self.items.capacity() > 0 && self.room.available_permits() >= weight)
    }

    /// Remembers the time of an event that comes into an empty queue.
    fn note_first(&self, event: &Event) {
        if self.items.capacity() == self.items.max_capacity() {
            self.oldest.set(event);
        }
    }

    /// The time of an event that is not newer than the oldest waiting event; `None` if the queue is empty.
    pub(super) fn oldest(&self) -> Option<Millis> {
        let (events, _) = self.depth();
        (events > 0).then(|| Millis(self.oldest.0.load(Ordering::Relaxed)))
    }

    /// The bytes that an event takes. An event with a ticket must not be dropped: if it is larger than the queue, it waits
    /// until the queue is empty.
    fn fitting(&self, queued: &Queued, weight: usize) -> Result<u32, Refused> {
        let weight = if queued.ticket.is_some() {
            weight.min(self.bytes)
        } else {
            weight
        };
        if weight > self.bytes {
            Err(Refused::Oversized)
        } else {
            u32::try_from(weight).map_err(|_| Refused::Oversized)
        }
    }

    /// Lets the reader return from [`Inbox::next_batch`] even if there is no event. Does nothing if the queue is full.
    pub(super) fn wake(&self) {
        // Full or closed: either way the reader is not asleep.
        drop(self.items.try_send(Item::Wake));
    }

    /// Whether at most half of both bounds is used.
    pub(super) fn is_half_empty(&self) -> bool {
        let (events, bytes) = self.depth();
        events <= self.items.max_capacity() / 2 && bytes <= self.bytes / 2
    }

    /// Events and bytes in the queue.
    pub(super) fn depth(&self) -> (usize, usize) {
        (
            self.items.max_capacity() - self.items.capacity(),
            self.bytes - self.room.available_permits(),
        )
    }
}

impl Inbox {
    /// Waits for events and moves up to `max` of them into `batch`; never waits to fill it.
    ///
    /// Returns true with an empty batch when the interests have changed; false when the queue has ended and is empty.
    /// Clears `batch` first. Blocks the thread; panics in an async task.
    pub fn next_batch(&mut self, batch: &mut Vec<Queued>, max: usize) -> bool {
        batch.clear();
        self.release();
        if self.items.blocking_recv_many(&mut self.taken, max.max(1)) == 0 {
            return false;
        }
        for item in self.taken.drain(..) {
            if let Item::Event { queued, weight } = item {
                self.held += weight as usize;
                batch.push(queued);
            }
        }
        if let Some(last) = batch.last() {
            self.oldest.set(&last.event);
        }
        true
    }

    /// Abandons the events that are waiting, because their module has been removed; returns their number.
    pub fn abandon(&mut self) -> usize {
        let mut count = 0;
        while let Ok(item) = self.items.try_recv() {
            if let Item::Event { queued, .. } = item {
                queued.abandon();
                count += 1;
            }
        }
        count
    }

    /// How many events are waiting.
    pub fn waiting(&self) -> usize {
        self.items.len()
    }

    fn release(&mut self) {
        self.room.add_permits(std::mem::take(&mut self.held));
    }
}

/// Senders that wait for room get `Refused::Closed`.
impl Drop for Inbox {
    fn drop(&mut self) {
        self.room.close();
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
