//! Says when everything that an event caused is kept, so that its publisher may get its acknowledgement.
//!
//! An engine that holds back a PUBACK or PUBREC makes a pair with [`ticket`]. The [`Ticket`] travels with the event
//! through the queues of modules; each request that a module makes of the event gets a clone. Whoever has stored its
//! part, or has nothing to store, calls [`Ticket::complete`]. The [`Completion`] becomes ready when the last clone is
//! complete.
//!
//! A ticket that is dropped without being complete, for example at shutdown, stops that: the completion never becomes
//! ready, the publish is never acknowledged, and its client sends it again after it has reconnected.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// A part of the work that an event causes. Clones are further parts.
pub struct Ticket(Arc<Parts>);

/// Becomes ready when every part of the work is complete. Clones become ready together.
#[derive(Clone)]
#[must_use = "without waiting for it, the publish is acknowledged at once"]
pub struct Completion(Arc<Parts>);

struct Parts {
    /// Tickets that are not complete. Tickets that were dropped count for ever.
    open: AtomicUsize,
    wakers: Mutex<Vec<Waker>>,
}

/// Makes a ticket, and what becomes ready when it and all its clones are complete.
pub fn ticket() -> (Ticket, Completion) {
    let parts = Arc::new(Parts {
        open: AtomicUsize::new(1),
        wakers: Mutex::default(),
    });
    (Ticket(Arc::clone(&parts)), Completion(parts))
}

impl Ticket {
    /// This part is on disk, or needs no storage.
    pub fn complete(self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            let wakers = std::mem::take(&mut *self.0.lock());
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

impl Clone for Ticket {
    fn clone(&self) -> Ticket {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Ticket(Arc::clone(&self.0))
    }
}

/// Tickets of one event are equal.
impl PartialEq for Ticket {
    fn eq(&self, other: &Ticket) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

impl Completion {
    /// Returns whether every part is complete.
    pub fn is_ready(&self) -> bool {
        self.0.open.load(Ordering::Acquire) == 0
    }
}

impl Future for Completion {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_ready() {
            return Poll::Ready(());
        }
        let mut wakers = self.0.lock();
        // The last part may have been completed before the lock was taken; it has not seen this waker then.
        if self.is_ready() {
            return Poll::Ready(());
        }
        if !wakers.iter().any(|known| known.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Parts {
    /// The list is valid after each change, so a panic leaves a valid one.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_last_part_wakes_the_waiting_task() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let (first, mut completion) = ticket();
        let second = first.clone();
        assert_eq!(Pin::new(&mut completion).poll(&mut cx), Poll::Pending);
        first.complete();
        assert!(!woken.0.load(Ordering::SeqCst) && !completion.is_ready());
        second.complete();
        assert!(woken.0.load(Ordering::SeqCst));
        assert_eq!(Pin::new(&mut completion).poll(&mut cx), Poll::Ready(()));
    }

    #[test]
    fn a_part_that_is_dropped_is_never_complete() {
        let (first, completion) = ticket();
        drop(first.clone());
        first.complete();
        assert!(!completion.is_ready());
    }

    #[test]
    fn no_wake_up_is_lost_between_threads() {
        for _ in 0..500 {
            let (first, mut completion) = ticket();
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let mut cx = Context::from_waker(&waker);
            let thread = std::thread::spawn(move || first.complete());
            let polled = Pin::new(&mut completion).poll(&mut cx);
            thread.join().unwrap();
            assert!(polled.is_ready() || woken.0.load(Ordering::SeqCst));
        }
    }
}
