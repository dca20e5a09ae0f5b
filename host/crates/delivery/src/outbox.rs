//! The [`Outbox`], the queue between modules and sender threads, and [`Inboxes`], its implementation.
//!
//! An outbox delivers every accepted request or counts it as dropped. [`Inboxes`] passes each batch to the inboxes of the
//! sender threads. A [`Capacity`] limits the requests and bytes in memory.
//!
//! Without a data folder, a request counts from acceptance until it is delivered or dropped. With a data folder
//! ([`OnDisk`]) every request is also in the journal, and a second capacity limits what is there. A sender thread leaves
//! the content of waiting requests on the disk when an eighth of the memory is taken. The first capacity is then the
//! window of requests in memory.

mod admission;
mod message;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use hookhost_contract::Ticket;
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;

use super::capacity::Capacity;
use super::counters::Counts;
use super::destination::Receivers;
use super::journal::NewRecord;
use super::on_disk::OnDisk;
use super::request::OutboxRequest;
pub(super) use message::{Batch, Message, RestoredRequest};

/// Accepts requests for delivery.
pub trait Outbox: Send + Sync {
    /// Accepts all of `requests`, in this order. An accepted request is delivered or counted: a full outbox on disk drops
    /// new or old requests if [`WhenFull`](super::WhenFull) says so.
    ///
    /// Blocks the calling OS thread while the outbox is full. This back-pressure slows down the caller that produces
    /// the requests. Never call it from an async task. Requests of different callers may be interleaved.
    ///
    /// # Errors
    ///
    /// [`OutboxClosed`] if delivery has stopped or stops during the wait. The first of the requests may be accepted then, if
    /// there are several sender threads or the requests need more than half of the memory.
    fn append(&self, requests: Vec<OutboxRequest>) -> Result<(), OutboxClosed>;

    /// Sets the receivers of requests that other hosts have accepted, after a reload. Without effect unless the outbox is
    /// shared: requests of this host bring their receivers.
    fn set_receivers(&self, _receivers: &Arc<Receivers>) {}
}

/// Delivery has stopped: the outbox accepts no more requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("delivery has stopped")]
pub struct OutboxClosed;

/// The outbox, with one inbox per sender thread.
///
/// A request with an ordering key goes to the thread selected by the hash of the key. The threads therefore need no
/// coordination to keep the order. The hash of the URL selects the thread of `file:` and `stdout:` requests, so each
/// file has one writer.
pub(super) struct Inboxes {
    /// The requests in memory.
    window: Arc<Capacity>,
    on_disk: Option<Arc<OnDisk>>,
    counts: Arc<Counts>,
    inboxes: Vec<UnboundedSender<Message>>,
    hash: RandomState,
    turn: AtomicUsize,
}

impl Inboxes {
    /// Creates an outbox that feeds `inboxes` and is limited by `window`.
    pub(super) fn new(
        window: Arc<Capacity>,
        on_disk: Option<Arc<OnDisk>>,
        counts: Arc<Counts>,
        inboxes: Vec<UnboundedSender<Message>>,
    ) -> Inboxes {
        Inboxes {
            window,
            on_disk,
            counts,
            inboxes,
            hash: RandomState::new(),
            turn: AtomicUsize::new(0),
        }
    }

    fn thread_for(&self, request: &OutboxRequest) -> usize {
        let http = request
            .url
            .get(..4)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"));
        let number = match (http, request.ordering_key.is_empty()) {
            (false, _) => self.hash.hash_one(&request.url) as usize,
            (true, false) => self.hash.hash_one(&request.ordering_key) as usize,
            (true, true) => self.turn.fetch_add(1, SeqCst),
        };
        number.checked_rem(self.inboxes.len()).unwrap_or(0)
    }

    /// Makes the sender threads drop the requests that other hosts deliver.
    pub(super) fn drop_moved(&self) {
        for inbox in &self.inboxes {
            // A thread that has ended has no requests.
            inbox.send(Message::DropMoved).ok();
        }
    }

    /// Hands over requests of a previous process or of a shared outbox. Blocks like [`Outbox::append`].
    pub(super) fn restore(&self, restored: Vec<RestoredRequest>) -> Result<(), OutboxClosed> {
        let mut batches: Vec<Batch> = self.inboxes.iter().map(|_| Batch::default()).collect();
        for RestoredRequest {
            record,
            request,
            attempts,
        } in restored
        {
            if let Some(batch) = batches.get_mut(self.thread_for(&request)) {
                batch.requests.push(request);
                batch.records.push(record);
                batch.attempts.extend(attempts.map(|attempts| (record, attempts)));
            }
        }
        for (thread, batch) in batches.into_iter().enumerate() {
            let Batch {
                requests,
                records,
                mut attempts,
            } = batch;
            let mut records = records.into_iter();
            for requests in self.parts(requests) {
                let (count, bytes) = extent(&requests);
                if let Some(on_disk) = &self.on_disk {
                    on_disk.capacity.add(count, bytes);
                }
                self.window.acquire(count, bytes)?;
                let records: Vec<u64> = records.by_ref().take(count).collect();
                let own = records
                    .iter()
                    .filter_map(|record| Some((*record, attempts.remove(record)?)));
                let batch = Batch {
                    requests,
                    attempts: own.collect(),
                    records,
                };
                self.send(thread, batch)?;
            }
        }
        Ok(())
    }

    /// Divides requests into parts that have at most half of the window each, in order. A destination that is down keeps
    /// up to half of the window: more than the other half would wait for it.
    fn parts(&self, requests: Vec<OutboxRequest>) -> Vec<Vec<OutboxRequest>> {
        let (most_requests, most_bytes) = self.window.half();
        let mut parts: Vec<Vec<OutboxRequest>> = Vec::new();
        let mut bytes = 0;
        for request in requests {
            let size = request.size();
            match parts.last_mut() {
                Some(part) if part.len() < most_requests && bytes + size <= most_bytes => {
                    bytes += size;
                    part.push(request);
                }
                _ => {
                    bytes = size;
                    parts.push(vec![request]);
                }
            }
        }
        parts
    }

    /// Writes requests to the journal, if there is one, and sends them to a thread.
    fn hand_over(&self, thread: usize, mut requests: Vec<OutboxRequest>) -> Result<(), OutboxClosed> {
        let records = match &self.on_disk {
            None => {
                // Nothing can be kept longer than that.
                let tickets = requests.iter_mut().filter_map(|request| request.ticket.take());
                tickets.for_each(Ticket::complete);
                Vec::new()
            }
            Some(on_disk) => match on_disk.journal.append(requests.iter_mut().map(NewRecord::of).collect()) {
                Ok(numbers) => numbers.collect(),
                Err(closed) => {
                    self.release(extent(&requests));
                    return Err(closed);
                }
            },
        };
        let batch = Batch {
            requests,
            records,
            attempts: HashMap::new(),
        };
        self.send(thread, batch)
    }

    fn send(&self, thread: usize, batch: Batch) -> Result<(), OutboxClosed> {
        let (requests, bytes) = extent(&batch.requests);
        let sent = self
            .inboxes
            .get(thread)
            .is_some_and(|inbox| inbox.send(Message::Batch(batch)).is_ok());
        if sent {
            self.counts.all.accepted(requests);
            Ok(())
        } else {
            self.release((requests, bytes));
            Err(OutboxClosed)
        }
    }

    fn release(&self, (count, bytes): (usize, usize)) {
        self.window.release(count, bytes);
        if let Some(on_disk) = &self.on_disk {
            on_disk.capacity.release(count, bytes);
        }
    }
}

impl Outbox for Inboxes {
    fn append(&self, requests: Vec<OutboxRequest>) -> Result<(), OutboxClosed> {
        if requests.is_empty() {
            return if self.window.is_closed() {
                Err(OutboxClosed)
            } else {
                Ok(())
            };
        }
        if self.on_disk.is_none() {
            return self.append_when_there_is_room(requests);
        }
        let mut parts = self.parts(requests).into_iter();
        parts.try_for_each(|part| self.append_when_there_is_room(part))
    }
}

impl Inboxes {
    /// Accepts all of `requests` if there is room for them now. Returns whether it has. Does not wait for room.
    pub(super) fn append_now(&self, requests: Vec<OutboxRequest>) -> Result<bool, OutboxClosed> {
        let (count, bytes) = extent(&requests);
        if self.window.is_closed() {
            return Err(OutboxClosed);
        }
        if let Some(on_disk) = &self.on_disk {
            on_disk.wait_until_restored();
            if !on_disk.capacity.has_room_for(count, bytes) {
                return Ok(false);
            }
        }
        if !self.window.has_room_for(count, bytes) {
            return Ok(false);
        }
        if let Some(on_disk) = &self.on_disk {
            on_disk.capacity.add(count, bytes);
        }
        self.window.add(count, bytes);
        self.distribute(requests).map(|()| true)
    }

    /// Takes capacity for all of `requests` at once. If the outbox on disk is full and does not wait, those without room
    /// are dropped.
    fn append_when_there_is_room(&self, requests: Vec<OutboxRequest>) -> Result<(), OutboxClosed> {
        let requests = self.admit(requests)?;
        if requests.is_empty() {
            return Ok(());
        }
        let (count, bytes) = extent(&requests);
        self.window.acquire(count, bytes)?;
        self.distribute(requests)
    }

    /// Hands over requests for which capacity is taken.
    fn distribute(&self, requests: Vec<OutboxRequest>) -> Result<(), OutboxClosed> {
        if self.inboxes.len() <= 1 {
            return self.hand_over(0, requests);
        }
        let mut batches: Vec<Vec<OutboxRequest>> = self.inboxes.iter().map(|_| Vec::new()).collect();
        for request in requests {
            if let Some(batch) = batches.get_mut(self.thread_for(&request)) {
                batch.push(request);
            }
        }
        let mut result = Ok(());
        for (thread, batch) in batches.into_iter().enumerate().filter(|(_, batch)| !batch.is_empty()) {
            result = result.and(self.hand_over(thread, batch));
        }
        result
    }
}

fn extent(batch: &[OutboxRequest]) -> (usize, usize) {
    (batch.len(), batch.iter().map(OutboxRequest::size).sum())
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
