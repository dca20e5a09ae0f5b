//! Where requests wait for their senders: the [`Outbox`], and the one that keeps them in memory.
//!
//! The interface promises only that accepted requests will be delivered or accounted for; a durable outbox keeps the
//! same promise across a restart. [`Memory`] hands each batch to the senders' inboxes and is bounded by a [`Capacity`]
//! that counts requests and bytes from acceptance to the end of the request, wherever it is in between.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;

use super::counters::Counts;
use super::request::OutboxRequest;

/// Takes requests for delivery.
pub trait Outbox: Send + Sync {
    /// Accepts all of `requests`, in this order, or none.
    ///
    /// Blocks the calling OS thread while the outbox is full; that back-pressure is meant to reach whoever produces
    /// requests, so never call it from an async task. Requests of different callers may be interleaved.
    ///
    /// # Errors
    ///
    /// [`OutboxClosed`] once delivery has stopped, also when it stops during the wait.
    fn append(&self, requests: Vec<OutboxRequest>) -> Result<(), OutboxClosed>;
}

/// Delivery has stopped: nothing is accepted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("delivery has stopped")]
pub struct OutboxClosed;

/// What a sender thread receives: requests in order, together with nothing else.
pub(super) type Batch = Vec<OutboxRequest>;

/// The outbox in memory: one inbox per sender thread.
///
/// A request with an ordering key goes to the thread that the key's hash chooses, so that its order needs no
/// agreement between threads. `file:` and `stdout:` requests are chosen by URL instead: one file has one writer.
pub(super) struct Memory {
    capacity: Arc<Capacity>,
    counts: Arc<Counts>,
    inboxes: Vec<UnboundedSender<Batch>>,
    hash: RandomState,
    turn: AtomicUsize,
}

impl Memory {
    /// An outbox that feeds `inboxes`, within `capacity`.
    pub(super) fn new(capacity: Arc<Capacity>, counts: Arc<Counts>, inboxes: Vec<UnboundedSender<Batch>>) -> Memory {
        Memory {
            capacity,
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

    fn hand_over(&self, thread: usize, batch: Batch) -> Result<(), OutboxClosed> {
        let (requests, bytes) = extent(&batch);
        let sent = self.inboxes.get(thread).is_some_and(|inbox| inbox.send(batch).is_ok());
        if sent {
            self.counts.accepted(requests);
            Ok(())
        } else {
            self.capacity.release(requests, bytes);
            Err(OutboxClosed)
        }
    }
}

impl Outbox for Memory {
    fn append(&self, requests: Vec<OutboxRequest>) -> Result<(), OutboxClosed> {
        if requests.is_empty() {
            return if self.capacity.is_closed() {
                Err(OutboxClosed)
            } else {
                Ok(())
            };
        }
        let (count, bytes) = extent(&requests);
        self.capacity.acquire(count, bytes)?;
        if self.inboxes.len() <= 1 {
            return self.hand_over(0, requests);
        }
        let mut batches: Vec<Batch> = self.inboxes.iter().map(|_| Batch::new()).collect();
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

/// How much may wait or be under way at once, over all threads.
///
/// Callers line up at `line`, so the first to wait is the first to be let in and a large batch is not overtaken for
/// ever. A batch beyond a bound is let in when nothing else is left, or it could never be. Whoever has to wait is woken
/// not at the first free place but when a quarter is free: a wake-up per request would cost more than the request.
pub(super) struct Capacity {
    limits: (usize, usize),
    requests: AtomicUsize,
    bytes: AtomicUsize,
    closed: AtomicBool,
    line: Mutex<()>,
    /// Held by the first in line while it decides to wait, and by those who wake it.
    gate: Mutex<()>,
    /// The first in line waits until no more than this is taken; meaningless while nobody waits.
    resume: (AtomicUsize, AtomicUsize),
    waiting: AtomicBool,
    opened: Condvar,
}

impl Capacity {
    /// Capacity for so many requests and so many bytes.
    pub(super) fn new(requests: usize, bytes: usize) -> Capacity {
        Capacity {
            limits: (requests.max(1), bytes.max(1)),
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            line: Mutex::new(()),
            gate: Mutex::new(()),
            resume: (AtomicUsize::new(0), AtomicUsize::new(0)),
            waiting: AtomicBool::new(false),
            opened: Condvar::new(),
        }
    }

    /// Takes capacity, blocking the thread until there is some.
    fn acquire(&self, requests: usize, bytes: usize) -> Result<(), OutboxClosed> {
        let _first = lock(&self.line);
        // Only the first in line takes capacity, so what is free now cannot be gone a moment later.
        let below = (
            self.limits.0.saturating_sub(requests),
            self.limits.1.saturating_sub(bytes),
        );
        if !self.is_closed() && !self.is_taken_at_most(below) {
            self.resume.0.store(below.0.min(self.limits.0 / 4 * 3), SeqCst);
            self.resume.1.store(below.1.min(self.limits.1 / 4 * 3), SeqCst);
            let mut gate = lock(&self.gate);
            self.waiting.store(true, SeqCst);
            while !self.is_closed() && !self.may_resume() {
                gate = self.opened.wait(gate).unwrap_or_else(PoisonError::into_inner);
            }
            self.waiting.store(false, SeqCst);
        }
        if self.is_closed() {
            return Err(OutboxClosed);
        }
        self.requests.fetch_add(requests, SeqCst);
        self.bytes.fetch_add(bytes, SeqCst);
        Ok(())
    }

    /// Gives capacity back.
    pub(super) fn release(&self, requests: usize, bytes: usize) {
        self.requests.fetch_sub(requests, SeqCst);
        self.bytes.fetch_sub(bytes, SeqCst);
        // The waiter says that it waits before it looks at the counts, and this changes the counts before it asks
        // whether somebody waits: one of the two notices.
        if self.waiting.load(SeqCst) && self.may_resume() {
            self.wake();
        }
    }

    /// Lets nobody in any more, those who wait included.
    pub(super) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.wake();
    }

    /// Requests and bytes taken.
    pub(super) fn taken(&self) -> (usize, usize) {
        (self.requests.load(SeqCst), self.bytes.load(SeqCst))
    }

    fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    fn may_resume(&self) -> bool {
        self.is_taken_at_most((self.resume.0.load(SeqCst), self.resume.1.load(SeqCst)))
    }

    fn is_taken_at_most(&self, most: (usize, usize)) -> bool {
        let (requests, bytes) = self.taken();
        requests == 0 || (requests <= most.0 && bytes <= most.1)
    }

    fn wake(&self) {
        // With the gate held a waiter is either still deciding, and will see what changed, or asleep.
        drop(lock(&self.gate));
        self.opened.notify_all();
    }
}

/// These mutexes protect no data, so a panic elsewhere leaves nothing half done.
fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use tokio::sync::mpsc::unbounded_channel;

    use super::super::request::Reach;
    use super::*;
    use hookhost_contract::Method;

    fn request(url: &str, key: &str) -> OutboxRequest {
        OutboxRequest {
            id: String::new(),
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
        }
    }

    fn until(what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < end, "not in time: {what}");
            // Between two looks, so that the threads looked at have the processor.
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// A thread that takes capacity; the channel says when it has.
    fn take(capacity: &Arc<Capacity>, requests: usize, bytes: usize) -> mpsc::Receiver<Result<(), OutboxClosed>> {
        let (sender, taken) = mpsc::channel();
        let capacity = Arc::clone(capacity);
        thread::spawn(move || sender.send(capacity.acquire(requests, bytes)));
        taken
    }

    #[test]
    fn who_finds_no_room_waits_until_a_quarter_is_free() {
        let capacity = Arc::new(Capacity::new(8, 800));
        capacity.acquire(8, 8).unwrap();
        let taken = take(&capacity, 1, 1);
        until("waiting", || capacity.waiting.load(SeqCst));
        capacity.release(1, 1);
        assert!(capacity.waiting.load(SeqCst), "one free place does not wake");
        capacity.release(1, 1);
        assert_eq!(taken.recv(), Ok(Ok(())));
        assert_eq!(capacity.taken(), (7, 7));
        // By bytes alone, and all that is asked for must fit.
        let taken = take(&capacity, 1, 799);
        until("waiting", || capacity.waiting.load(SeqCst));
        capacity.release(6, 6);
        assert_eq!(taken.recv(), Ok(Ok(())));
        assert_eq!(capacity.taken(), (2, 800));
    }

    #[test]
    fn a_batch_beyond_the_bound_is_let_in_alone() {
        let capacity = Arc::new(Capacity::new(2, 100));
        capacity.acquire(1, 1).unwrap();
        let taken = take(&capacity, 5, 1000);
        until("waiting", || capacity.waiting.load(SeqCst));
        assert_eq!(capacity.taken(), (1, 1));
        capacity.release(1, 1);
        assert_eq!(taken.recv(), Ok(Ok(())));
        assert_eq!(capacity.taken(), (5, 1000));
    }

    #[test]
    fn closing_ends_the_wait_of_all() {
        let capacity = Arc::new(Capacity::new(1, 100));
        capacity.acquire(1, 1).unwrap();
        let waiting: Vec<_> = (0..3).map(|_| take(&capacity, 1, 1)).collect();
        until("waiting", || capacity.waiting.load(SeqCst));
        capacity.close();
        for taken in waiting {
            assert_eq!(taken.recv(), Ok(Err(OutboxClosed)));
        }
        assert_eq!(capacity.acquire(1, 1), Err(OutboxClosed));
        assert_eq!(capacity.taken(), (1, 1));
    }

    #[test]
    fn room_is_neither_lost_nor_made_under_contention() {
        let capacity = Arc::new(Capacity::new(10, 10_000));
        let threads: Vec<_> = (1..=4)
            .map(|size| {
                let capacity = Arc::clone(&capacity);
                thread::spawn(move || {
                    for _ in 0..2000 {
                        capacity.acquire(size, 10 * size).unwrap();
                        assert!(capacity.taken().0 <= 10);
                        capacity.release(size, 10 * size);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(capacity.taken(), (0, 0));
    }

    #[test]
    fn a_key_has_one_thread_and_so_has_a_file() {
        let capacity = Arc::new(Capacity::new(1000, 1 << 20));
        let (senders, mut inboxes): (Vec<_>, Vec<_>) = (0..3).map(|_| unbounded_channel()).unzip();
        let outbox = Memory::new(Arc::clone(&capacity), Arc::default(), senders);
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
                for request in batch {
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
