//! Says when everything that an event caused is kept, so that its publisher may get its acknowledgement.
//!
//! An engine that holds back a PUBACK or PUBREC makes a pair with [`ticket`]. The [`Ticket`] travels with the event
//! through the queues of modules; each request that a module makes of the event gets a clone. The code that has stored a
//! part, or has nothing to store, calls [`Ticket::complete`]. The [`Completion`] becomes ready when the last clone is
//! complete.
//!
//! A ticket that is dropped before it is complete, for example at shutdown, makes the completion ready with [`Lost`]. The
//! engine then ends the connection without an acknowledgement, and the client sends the publish again when it reconnects.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// A part of the work that an event causes. Clones are further parts.
pub struct Ticket {
    parts: Arc<Parts>,
    is_complete: bool,
}

/// Becomes ready when every part of the work is complete, or when one is lost. Clones become ready together.
#[derive(Clone)]
#[must_use = "without waiting for it, the publish is acknowledged at once"]
pub struct Completion(Arc<Parts>);

/// A part of the work was dropped before it was complete: the publish must not be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost;

struct Parts {
    /// Tickets that still exist.
    open: AtomicUsize,
    /// Whether a ticket was dropped before it was complete.
    is_lost: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

/// Makes a ticket, and what becomes ready when it and all its clones are complete.
pub fn ticket() -> (Ticket, Completion) {
    let parts = Arc::new(Parts {
        open: AtomicUsize::new(1),
        is_lost: AtomicBool::new(false),
        wakers: Mutex::default(),
    });
    let ticket = Ticket {
        parts: Arc::clone(&parts),
        is_complete: false,
    };
    (ticket, Completion(parts))
}

impl Ticket {
    /// This part is on disk, or needs no storage.
    pub fn complete(mut self) {
        self.is_complete = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_complete {
            self.parts.is_lost.store(true, Ordering::Release);
        }
        let was_last = self.parts.open.fetch_sub(1, Ordering::AcqRel) == 1;
        if was_last || !self.is_complete {
            let wakers = std::mem::take(&mut *self.parts.lock());
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

impl Clone for Ticket {
    fn clone(&self) -> Ticket {
        self.parts.open.fetch_add(1, Ordering::Relaxed);
        Ticket {
            parts: Arc::clone(&self.parts),
            is_complete: false,
        }
    }
}

/// Tickets of one event are equal.
impl PartialEq for Ticket {
    fn eq(&self, other: &Ticket) -> bool {
        Arc::ptr_eq(&self.parts, &other.parts)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").finish_non_exhaustive()
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Completion").field(&self.result()).finish()
    }
}

impl Completion {
    /// Returns whether every part is complete.
    pub fn is_complete(&self) -> bool {
        self.result() == Some(Ok(()))
    }

    /// Returns whether a part was dropped before it was complete.
    pub fn is_lost(&self) -> bool {
        self.result() == Some(Err(Lost))
    }

    /// The result; `None` while a part is open and none is lost.
    fn result(&self) -> Option<Result<(), Lost>> {
        let is_over = self.0.open.load(Ordering::Acquire) == 0;
        if self.0.is_lost.load(Ordering::Acquire) {
            return Some(Err(Lost));
        }
        is_over.then_some(Ok(()))
    }
}

impl Future for Completion {
    type Output = Result<(), Lost>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(result) = self.result() {
            return Poll::Ready(result);
        }
        let mut wakers = self.0.lock();
        // The last part may have ended before the lock was taken; it has not seen this waker then.
        if let Some(result) = self.result() {
            return Poll::Ready(result);
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
        assert!(!woken.0.load(Ordering::SeqCst) && !completion.is_complete());
        second.complete();
        assert!(woken.0.load(Ordering::SeqCst));
        assert_eq!(Pin::new(&mut completion).poll(&mut cx), Poll::Ready(Ok(())));
    }

    #[test]
    fn a_part_that_is_dropped_is_lost_at_once() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let (first, mut completion) = ticket();
        assert_eq!(Pin::new(&mut completion).poll(&mut cx), Poll::Pending);
        drop(first.clone());
        assert!(woken.0.load(Ordering::SeqCst), "the other part is open still");
        assert_eq!(Pin::new(&mut completion).poll(&mut cx), Poll::Ready(Err(Lost)));
        first.complete();
        assert!(!completion.is_complete());
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
