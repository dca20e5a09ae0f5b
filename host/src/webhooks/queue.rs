//! The changes that wait for the reload thread.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Change, ChangeError};

/// Changes that wait. Clones are the same queue.
#[derive(Clone, Default)]
pub(crate) struct ChangeQueue(Arc<Mutex<Vec<WaitingChange>>>);

/// Changes that belong together, with the way back to the one who wants them.
pub(crate) struct WaitingChange {
    /// They are applied all or not at all.
    pub(crate) changes: Vec<Change>,
    answer: Sender<Result<(), ChangeError>>,
}

impl ChangeQueue {
    /// Adds changes, and returns where the answer arrives.
    pub(crate) fn push(&self, changes: Vec<Change>) -> Receiver<Result<(), ChangeError>> {
        let (answer, receiver) = channel();
        self.lock().push(WaitingChange { changes, answer });
        receiver
    }

    /// Takes all changes that wait.
    pub(crate) fn take(&self) -> Vec<WaitingChange> {
        std::mem::take(&mut *self.lock())
    }

    /// A panic under the lock leaves no partial change: each change is one operation on the list.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<WaitingChange>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitingChange {
    /// Tells the result. The one who wants it may have left.
    pub(crate) fn answer(self, result: Result<(), ChangeError>) {
        self.answer.send(result).ok();
    }
}
