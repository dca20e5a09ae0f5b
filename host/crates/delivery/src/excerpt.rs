//! The beginning of the body of an answer, which may arrive after the head has decided about the request.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;

/// Limit of the bytes that are kept.
const MAX_BYTES: usize = 2 << 10;

/// Reads what [`ExcerptWriter`] has written.
#[derive(Clone, Default)]
pub(super) struct Excerpt(Rc<Shared>);

/// Collects the beginning of a body. Dropping it ends the excerpt.
pub(super) struct ExcerptWriter(Rc<Shared>);

#[derive(Default)]
struct Shared {
    bytes: RefCell<Vec<u8>>,
    is_complete: Cell<bool>,
    completed: Notify,
}

impl Excerpt {
    /// Creates an empty excerpt with its writer.
    pub(super) fn new() -> (Excerpt, ExcerptWriter) {
        let excerpt = Excerpt::default();
        let writer = ExcerptWriter(Rc::clone(&excerpt.0));
        (excerpt, writer)
    }

    /// Returns whether no more bytes follow.
    pub(super) fn is_complete(&self) -> bool {
        self.0.is_complete.get()
    }

    /// Waits until no more bytes follow. One task may wait.
    pub(super) async fn completed(&self) {
        while !self.is_complete() {
            self.0.completed.notified().await;
        }
    }

    /// Returns the bytes that have arrived.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.bytes.borrow().clone()
    }
}

impl ExcerptWriter {
    /// Adds bytes, up to the limit.
    pub(super) fn push(&self, bytes: &[u8]) {
        let mut kept = self.0.bytes.borrow_mut();
        let room = MAX_BYTES - kept.len();
        kept.extend(bytes.iter().take(room));
        if kept.len() == MAX_BYTES {
            self.0.complete();
        }
    }
}

impl Drop for ExcerptWriter {
    fn drop(&mut self) {
        self.0.complete();
    }
}

impl Shared {
    fn complete(&self) {
        self.is_complete.set(true);
        self.completed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_is_kept() {
        let (excerpt, writer) = Excerpt::new();
        writer.push(b"one");
        writer.push(b" two");
        assert_eq!((excerpt.bytes(), excerpt.is_complete()), (b"one two".to_vec(), false));
        writer.push(&[b'x'; 5000]);
        assert_eq!((excerpt.bytes().len(), excerpt.is_complete()), (MAX_BYTES, true));
        writer.push(b"more");
        let (short, writer) = Excerpt::new();
        drop(writer);
        assert!(short.is_complete() && short.bytes().is_empty());
    }
}
