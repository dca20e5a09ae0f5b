//! The dead letters of a running host: shown, sent again, dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tracing::error;

use super::dead_letter::{DEAD_LETTERS, DeadLetter};
use super::dead_letter_filter::DeadLetterFilter;
use super::destination::Receivers;
use super::on_disk::OnDisk;
use super::outbox::{Inboxes, Outbox};
use super::shared::SharedIntake;
use hookhost_dead_letters::{Collection, Usage};
use hookhost_settings::error_line;

/// How many letters are sent again in one commit.
const RESEND_BATCH: usize = 256;

/// How long a letter that is sent again may take until it is on disk.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that the host has given up. Clones share them.
#[derive(Clone)]
pub struct DeadLetters {
    pub(super) collection: Collection,
    pub(super) outbox: Arc<Inboxes>,
    pub(super) on_disk: Option<Arc<OnDisk>>,
    pub(super) shared: Option<Arc<SharedIntake>>,
    /// Locked while letters are sent again, so that each is sent once.
    pub(super) resending: Arc<Mutex<()>>,
}

/// Why a dead letter was not sent again. It is still there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResendError {
    /// There is no letter of this number.
    #[error("there is no dead letter {0}")]
    Unknown(u64),
    /// The outbox has no room.
    #[error("the outbox is full; send the letter again when requests have been delivered")]
    Full,
    /// The outbox cannot be written.
    #[error("the outbox cannot be written now; the request is sent, and the letter is kept")]
    NotOnDisk,
    /// The store of dead letters cannot be read, or the letter is damaged.
    #[error("{0}")]
    Unreadable(String),
    /// Delivery has stopped.
    #[error("delivery has stopped")]
    Closed,
}

impl DeadLetters {
    /// Returns letters that match the filter, newest first: at most `limit`, with numbers below `before`. Letters that
    /// cannot be read are left out and logged.
    pub fn list(&self, filter: &DeadLetterFilter, before: Option<u64>, limit: usize) -> Vec<DeadLetter> {
        let numbers = self.collection.numbers(None, before, usize::MAX);
        let letters = numbers.into_iter().filter_map(|number| match self.get(number) {
            Ok(letter) => Some(letter),
            // It was dropped meanwhile.
            Err(ResendError::Unknown(_)) => None,
            Err(error) => {
                error!(
                    id = number,
                    error = error_line(&error),
                    "cannot read a dead letter; it is left out"
                );
                None
            }
        });
        letters.filter(|letter| filter.matches(letter)).take(limit).collect()
    }

    /// Returns the numbers of all letters that match the filter, oldest first.
    pub fn ids(&self, filter: &DeadLetterFilter) -> Vec<u64> {
        let letters = self.list(filter, None, usize::MAX);
        letters.iter().rev().map(|letter| letter.id).collect()
    }

    /// Returns one letter.
    ///
    /// # Errors
    ///
    /// [`ResendError::Unknown`], [`ResendError::Unreadable`].
    pub fn get(&self, id: u64) -> Result<DeadLetter, ResendError> {
        let unreadable = |error: &dyn std::error::Error| ResendError::Unreadable(error_line(error));
        let kept = self.collection.get(id).map_err(|error| unreadable(&error))?;
        let kept = kept.ok_or(ResendError::Unknown(id))?;
        DeadLetter::decode(id, kept.content).map_err(|error| unreadable(&error))
    }

    /// Drops a letter. Returns whether it existed.
    pub fn remove(&self, id: u64) -> bool {
        self.collection.remove(id)
    }

    /// Sends letters again, in this order, behind the requests that wait. A request keeps its id. Its expiry is ignored.
    /// It uses `receivers`. A letter is removed when its request is in the outbox, with a data folder on disk.
    ///
    /// Blocks the calling thread until then.
    ///
    /// # Errors
    ///
    /// One result for each letter, in the same order.
    pub fn resend(&self, ids: &[u64], receivers: &Arc<Receivers>) -> Vec<(u64, Result<(), ResendError>)> {
        let _one = self.resending.lock().unwrap_or_else(PoisonError::into_inner);
        let chunks = ids.chunks(RESEND_BATCH);
        chunks.flat_map(|ids| self.resend_batch(ids, receivers)).collect()
    }

    fn resend_batch(&self, ids: &[u64], receivers: &Arc<Receivers>) -> Vec<(u64, Result<(), ResendError>)> {
        let mut results: Vec<(u64, Result<(), ResendError>)> = Vec::with_capacity(ids.len());
        for id in ids {
            // A request at a time: as many as there is room for.
            results.push((*id, self.append(*id, receivers)));
        }
        let is_on_disk = match &self.on_disk {
            Some(on_disk) => on_disk.journal.flush(COMMIT_TIMEOUT),
            None => true,
        };
        for (id, result) in results.iter_mut().filter(|(_, result)| result.is_ok()) {
            if is_on_disk {
                self.collection.remove(*id);
            } else {
                *result = Err(ResendError::NotOnDisk);
            }
        }
        results
    }

    fn append(&self, id: u64, receivers: &Arc<Receivers>) -> Result<(), ResendError> {
        let mut request = self.get(id)?.request;
        request.receivers = Some(Arc::clone(receivers));
        request.expires = None;
        if let Some(shared) = &self.shared {
            return shared.append(vec![request]).map_err(|_| ResendError::Closed);
        }
        match self.outbox.append_now(vec![request]) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ResendError::Full),
            Err(_) => Err(ResendError::Closed),
        }
    }

    /// Returns how many letters there are, their bytes, and how many the limits have dropped since the start.
    pub fn usage(&self) -> Usage {
        self.collection.usage(DEAD_LETTERS)
    }
}
