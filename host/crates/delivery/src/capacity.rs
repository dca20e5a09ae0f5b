//! How many requests and bytes a part of the outbox may hold, and the callers that wait for more.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::outbox::OutboxClosed;

/// Limits the requests and bytes that wait or are being sent, over all threads.
///
/// Callers queue at `line`, so capacity is granted in order of arrival and a large batch is not starved. A batch larger
/// than a limit is accepted when no other request is left; otherwise it would wait forever. A blocked caller wakes when
/// a quarter of the capacity is free, not at the first free place. One wake-up per request would cost more than the
/// request itself.
pub(super) struct Capacity {
    limits: (usize, usize),
    requests: AtomicUsize,
    bytes: AtomicUsize,
    closed: AtomicBool,
    line: Mutex<()>,
    /// Locked by the first caller in the line while it decides to wait, and by a thread that wakes it.
    gate: Mutex<()>,
    /// The first caller in the line waits until at most this many requests and bytes are taken. Unused while no caller
    /// waits.
    resume: (AtomicUsize, AtomicUsize),
    waiting: AtomicBool,
    opened: Condvar,
}

impl Capacity {
    /// Creates a capacity of `requests` requests and `bytes` bytes. A value of 0 is treated as 1.
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

    /// Takes capacity. Blocks the thread until enough is free.
    pub(super) fn acquire(&self, requests: usize, bytes: usize) -> Result<(), OutboxClosed> {
        let _first = lock(&self.line);
        // Only the first caller in the line takes capacity, so free capacity stays free until that caller takes it.
        let below = (
            self.limits.0.saturating_sub(requests),
            self.limits.1.saturating_sub(bytes),
        );
        if !self.is_closed() && !self.has_room_for(requests, bytes) {
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
        self.add(requests, bytes);
        Ok(())
    }

    /// Takes capacity. Blocks the thread until enough is free, for at most `time`. Returns whether it was.
    pub(super) fn acquire_within(&self, requests: usize, bytes: usize, time: Duration) -> Result<bool, OutboxClosed> {
        let _first = lock(&self.line);
        if !self.is_closed() && !self.has_room_for(requests, bytes) {
            self.resume.0.store(self.limits.0.saturating_sub(requests), SeqCst);
            self.resume.1.store(self.limits.1.saturating_sub(bytes), SeqCst);
            let gate = lock(&self.gate);
            self.waiting.store(true, SeqCst);
            let is_waiting = |(): &mut ()| !self.is_closed() && !self.may_resume();
            let waited = self.opened.wait_timeout_while(gate, time, is_waiting);
            self.waiting.store(false, SeqCst);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
        if self.is_closed() {
            return Err(OutboxClosed);
        }
        let has_room = self.has_room_for(requests, bytes);
        if has_room {
            self.add(requests, bytes);
        }
        Ok(has_room)
    }

    /// Takes capacity without waiting, beyond the limit if necessary.
    pub(super) fn add(&self, requests: usize, bytes: usize) {
        self.requests.fetch_add(requests, SeqCst);
        self.bytes.fetch_add(bytes, SeqCst);
    }

    /// Returns whether [`Capacity::acquire`] would not wait.
    pub(super) fn has_room_for(&self, requests: usize, bytes: usize) -> bool {
        self.is_taken_at_most((
            self.limits.0.saturating_sub(requests),
            self.limits.1.saturating_sub(bytes),
        ))
    }

    /// Returns whether more than half of the requests or bytes are taken.
    pub(super) fn is_half_taken(&self) -> bool {
        let (requests, bytes) = self.taken();
        requests > self.limits.0 / 2 || bytes > self.limits.1 / 2
    }

    /// Returns whether more than an eighth of the requests or bytes are taken.
    pub(super) fn is_eighth_taken(&self) -> bool {
        let (requests, bytes) = self.taken();
        requests > self.limits.0 / 8 || bytes > self.limits.1 / 8
    }

    /// Returns half of the requests, at least 1, and half of the bytes.
    pub(super) fn half(&self) -> (usize, usize) {
        ((self.limits.0 / 2).max(1), self.limits.1 / 2)
    }

    /// Returns whether a holder of these requests and bytes has more than what is free. One holder that is bounded by this
    /// leaves half of the capacity to others, two of them leave a third.
    pub(super) fn exceeds_free(&self, (requests, bytes): (usize, usize)) -> bool {
        let taken = self.taken();
        requests > self.limits.0.saturating_sub(taken.0) || bytes > self.limits.1.saturating_sub(taken.1)
    }

    /// Returns capacity.
    pub(super) fn release(&self, requests: usize, bytes: usize) {
        self.requests.fetch_sub(requests, SeqCst);
        self.bytes.fetch_sub(bytes, SeqCst);
        // The waiter sets `waiting` before it reads the counts. This function changes the counts before it reads
        // `waiting`. At least one of the two therefore sees the change of the other.
        if self.waiting.load(SeqCst) && self.may_resume() {
            self.wake();
        }
    }

    /// Rejects all further callers, including those that wait.
    pub(super) fn close(&self) {
        self.closed.store(true, SeqCst);
        self.wake();
    }

    /// Returns the requests and bytes taken.
    pub(super) fn taken(&self) -> (usize, usize) {
        (self.requests.load(SeqCst), self.bytes.load(SeqCst))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// Waits for this time, or until the capacity is closed; returns whether it is.
    pub(super) fn is_closed_within(&self, time: Duration) -> bool {
        let gate = lock(&self.gate);
        let waited = self.opened.wait_timeout_while(gate, time, |()| !self.is_closed());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        self.is_closed()
    }

    fn may_resume(&self) -> bool {
        self.is_taken_at_most((self.resume.0.load(SeqCst), self.resume.1.load(SeqCst)))
    }

    fn is_taken_at_most(&self, most: (usize, usize)) -> bool {
        let (requests, bytes) = self.taken();
        requests == 0 || (requests <= most.0 && bytes <= most.1)
    }

    fn wake(&self) {
        // This thread holds the gate, so a waiter either sleeps or has yet to check and will see the change.
        drop(lock(&self.gate));
        self.opened.notify_all();
    }
}

/// Locks a mutex. The mutexes of this file protect no data, so a panic of another thread leaves nothing inconsistent.
fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Instant;

    use super::*;

    fn until(what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < end, "not in time: {what}");
            // Sleeps between two checks, so that the other threads can run.
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts a thread that takes capacity. The channel receives the result.
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
        // The limit of bytes applies alone, and the whole request must fit.
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
}
