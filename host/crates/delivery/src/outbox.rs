//! The [`Outbox`], the queue between modules and sender threads, and [`Inboxes`], its implementation.
//!
//! An outbox delivers every accepted request or counts it as dropped. [`Inboxes`] passes each batch to the inboxes of the
//! sender threads. A [`Capacity`] limits the requests and bytes in memory.
//!
//! Without a data folder, a request counts from acceptance until it is delivered or dropped. With a data folder
//! ([`OnDisk`]) every request is also in the journal, and a second capacity limits what is there. A sender thread leaves
//! the content of waiting requests on the disk when the memory is half full. The first capacity is then the window of
//! requests in memory.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use hookhost_contract::Ticket;
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;

use super::capacity::Capacity;
use super::counters::Counts;
use super::journal::{Journal, NewRecord};
use super::request::OutboxRequest;
use super::target::key_of;

/// Accepts requests for delivery.
pub trait Outbox: Send + Sync {
    /// Accepts all of `requests`, in this order, or none of them.
    ///
    /// Blocks the calling OS thread while the outbox is full. This back-pressure slows down the caller that produces
    /// the requests. Never call it from an async task. Requests of different callers may be interleaved.
    ///
    /// # Errors
    ///
    /// [`OutboxClosed`] if delivery has stopped or stops during the wait.
    fn append(&self, requests: Vec<OutboxRequest>) -> Result<(), OutboxClosed>;
}

/// Delivery has stopped: the outbox accepts no more requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("delivery has stopped")]
pub struct OutboxClosed;

/// The requests that a sender thread receives at once, in order.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) requests: Vec<OutboxRequest>,
    /// Their numbers in the journal; empty without a data folder.
    pub(super) records: Vec<u64>,
}

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
    inboxes: Vec<UnboundedSender<Batch>>,
    hash: RandomState,
    turn: AtomicUsize,
}

/// The requests in the data folder.
pub(super) struct OnDisk {
    pub(super) journal: Arc<Journal>,
    /// Limits the requests in the journal.
    pub(super) capacity: Arc<Capacity>,
    pub(super) when_full: WhenFull,
    /// Whether the requests of the previous process are in the inboxes. New requests wait for that, because they come
    /// later.
    is_restored: Mutex<bool>,
    restored: Condvar,
}

/// What happens to new requests while the outbox on disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Modules wait, so their event queues fill.
    #[default]
    Wait,
    /// New requests are dropped and counted.
    DropNewest,
}

impl WhenFull {
    /// All values, by their names in a configuration.
    pub const NAMES: [(&'static str, WhenFull); 2] = [("wait", WhenFull::Wait), ("drop-newest", WhenFull::DropNewest)];
}

impl OnDisk {
    /// Requests of the previous process are not restored yet.
    pub(super) fn new(journal: Arc<Journal>, capacity: Arc<Capacity>, when_full: WhenFull) -> OnDisk {
        OnDisk {
            journal,
            capacity,
            when_full,
            is_restored: Mutex::new(false),
            restored: Condvar::new(),
        }
    }

    /// Removes a request of `size` bytes that has ended.
    pub(super) fn remove(&self, size: usize, record: u64) {
        self.journal.remove(record);
        self.capacity.release(1, size);
    }

    /// Lets new requests in.
    pub(super) fn set_restored(&self) {
        *self.is_restored.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.restored.notify_all();
        self.journal.set_restored();
    }

    /// Returns whether the requests of the previous process are in the inboxes.
    pub(super) fn is_restored(&self) -> bool {
        *self.is_restored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until_restored(&self) {
        let mut is_restored = self.is_restored.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_restored {
            is_restored = self.restored.wait(is_restored).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Inboxes {
    /// Creates an outbox that feeds `inboxes` and is limited by `window`.
    pub(super) fn new(
        window: Arc<Capacity>,
        on_disk: Option<Arc<OnDisk>>,
        counts: Arc<Counts>,
        inboxes: Vec<UnboundedSender<Batch>>,
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

    /// Hands over requests of a previous process, with their numbers in the journal. Blocks like [`Outbox::append`].
    pub(super) fn restore(&self, requests: Vec<(u64, OutboxRequest)>) -> Result<(), OutboxClosed> {
        let mut batches: Vec<Batch> = self.inboxes.iter().map(|_| Batch::default()).collect();
        for (record, request) in requests {
            if let Some(batch) = batches.get_mut(self.thread_for(&request)) {
                batch.requests.push(request);
                batch.records.push(record);
            }
        }
        for (thread, batch) in batches
            .into_iter()
            .enumerate()
            .filter(|(_, batch)| !batch.requests.is_empty())
        {
            let (count, bytes) = extent(&batch.requests);
            if let Some(on_disk) = &self.on_disk {
                on_disk.capacity.add(count, bytes);
            }
            self.window.acquire(count, bytes)?;
            self.send(thread, batch)?;
        }
        Ok(())
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
        self.send(thread, Batch { requests, records })
    }

    fn send(&self, thread: usize, batch: Batch) -> Result<(), OutboxClosed> {
        let (requests, bytes) = extent(&batch.requests);
        let sent = self.inboxes.get(thread).is_some_and(|inbox| inbox.send(batch).is_ok());
        if sent {
            self.counts.all.accepted(requests);
            Ok(())
        } else {
            self.release((requests, bytes));
            Err(OutboxClosed)
        }
    }

    /// Takes capacity on disk. Returns the requests that are not dropped.
    fn admit(&self, requests: Vec<OutboxRequest>) -> Result<Vec<OutboxRequest>, OutboxClosed> {
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
        // A destination that is down keeps up to half of the memory: more than the other half would wait for it.
        let (most_requests, most_bytes) = self.window.half();
        let mut part = Vec::new();
        let mut bytes = 0;
        for request in requests {
            let size = request.size();
            if !part.is_empty() && (part.len() >= most_requests || bytes + size > most_bytes) {
                self.append_when_there_is_room(std::mem::take(&mut part))?;
                bytes = 0;
            }
            bytes += size;
            part.push(request);
        }
        self.append_when_there_is_room(part)
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
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::super::request::Reach;
    use super::*;
    use hookhost_contract::Method;

    fn request(url: &str, key: &str) -> OutboxRequest {
        OutboxRequest {
            id: String::new(),
            event: Default::default(),
            source: "test".into(),
            generation: 1,
            method: Method::Post,
            url: url.into(),
            receivers: None,
            via: Default::default(),
            reach: Reach::Anywhere,
            headers: Vec::new(),
            body: Default::default(),
            ordering_key: key.into(),
            batching: None,
            expires: None,
            republishes: 0,
            ticket: None,
        }
    }

    #[test]
    fn a_key_has_one_thread_and_so_has_a_file() {
        let capacity = Arc::new(Capacity::new(1000, 1 << 20));
        let (senders, mut inboxes): (Vec<_>, Vec<_>) = (0..3).map(|_| unbounded_channel()).unzip();
        let outbox = Inboxes::new(Arc::clone(&capacity), None, Arc::default(), senders);
        for _ in 0..20 {
            let urls = ["http://a", "HTTPS://b", "file:///x"];
            let batch = urls
                .iter()
                .flat_map(|url| ["", "k1", "k2", "k3", "k4"].map(|key| request(url, key)));
            outbox.append(batch.collect()).unwrap();
        }
        let mut threads_of = std::collections::BTreeMap::<String, std::collections::BTreeSet<usize>>::new();
        let mut total = 0;
        for (thread, inbox) in inboxes.iter_mut().enumerate() {
            while let Ok(batch) = inbox.try_recv() {
                for request in batch.requests {
                    total += 1;
                    let name = if request.url.starts_with("file") {
                        request.url
                    } else {
                        request.ordering_key
                    };
                    threads_of.entry(name).or_default().insert(thread);
                }
            }
        }
        assert_eq!(total, 300);
        for (name, threads) in threads_of {
            assert_eq!(threads.len(), if name.is_empty() { 3 } else { 1 }, "{name}");
        }
        drop(inboxes);
        let taken = capacity.taken();
        assert_eq!(outbox.append(vec![request("http://a", "")]), Err(OutboxClosed));
        assert_eq!(capacity.taken(), taken, "what is not accepted takes no capacity");
    }
}
