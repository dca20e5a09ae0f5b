//! The dead letters of a running host: shown, sent again, dropped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tracing::error;

use super::dead_letter::{DEAD_LETTERS, DeadLetter};
use super::dead_letter_filter::DeadLetterFilter;
use super::destination::Receivers;
use super::letter_store::LetterStore;
use super::on_disk::OnDisk;
use super::outbox::Inboxes;
use super::shared::SharedIntake;
use hookhost_dead_letters::Usage;
use hookhost_jetstream::FIRST_SHARED_LETTER;
use hookhost_settings::error_line;

/// How many letters are sent again in one commit.
const RESEND_BATCH: usize = 256;

/// How long a letter that is sent again may take until it is on disk.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that the host has given up; those of all hosts, if several share the outbox. Clones share them. The functions
/// block the calling thread, for a few seconds at most while NATS does not answer.
#[derive(Clone)]
pub struct DeadLetters {
    pub(super) letters: LetterStore,
    pub(super) outbox: Arc<Inboxes>,
    pub(super) on_disk: Option<Arc<OnDisk>>,
    pub(super) shared: Option<Arc<SharedIntake>>,
    /// Locked while letters are sent again, so that each is sent once.
    pub(super) resending: Arc<Mutex<()>>,
}

/// Why dead letters cannot be read, dropped or sent again. The letter is still there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DeadLetterError {
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
    /// NATS, which has the letters and the outbox, does not answer.
    #[error("NATS cannot be used now: {0}")]
    Unavailable(String),
    /// Delivery has stopped.
    #[error("delivery has stopped")]
    Closed,
}

impl DeadLetters {
    /// Returns letters that match the filter, newest first: at most `limit`, with numbers below `before`. Letters that
    /// cannot be read are left out and logged.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError::Unavailable`].
    pub fn list(
        &self,
        filter: &DeadLetterFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let mut letters = Vec::new();
        self.letters.visit(before, |id, bytes| {
            match bytes.and_then(|bytes| decode(id, bytes)) {
                Ok(letter) if filter.matches(&letter) => letters.push(letter),
                Ok(_) => {}
                Err(error) => error!(
                    id,
                    error = error_line(&error),
                    "cannot read a dead letter; it is left out"
                ),
            }
            letters.len() < limit
        })?;
        Ok(letters)
    }

    /// Returns the numbers of all letters that match the filter, oldest first.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError::Unavailable`].
    pub fn ids(&self, filter: &DeadLetterFilter) -> Result<Vec<u64>, DeadLetterError> {
        let letters = self.list(filter, None, usize::MAX)?;
        Ok(letters.iter().rev().map(|letter| letter.id).collect())
    }

    /// Returns one letter.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError::Unknown`], [`DeadLetterError::Unreadable`], [`DeadLetterError::Unavailable`].
    pub fn get(&self, id: u64) -> Result<DeadLetter, DeadLetterError> {
        let bytes = self.letters.get(id)?.ok_or(DeadLetterError::Unknown(id))?;
        decode(id, bytes)
    }

    /// Drops a letter. Returns whether it existed.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError::Unavailable`].
    pub fn remove(&self, id: u64) -> Result<bool, DeadLetterError> {
        self.letters.remove(id)
    }

    /// Sends letters again, in this order, behind the requests that wait. A request keeps its id. Its expiry is ignored.
    /// It uses `receivers`. A letter is removed when its request is in the outbox, with a data folder on disk.
    ///
    /// If two hosts send a letter again at the same time, its request is in the shared outbox once.
    ///
    /// # Errors
    ///
    /// One result for each letter, in the same order.
    pub fn resend(&self, ids: &[u64], receivers: &Arc<Receivers>) -> Vec<(u64, Result<(), DeadLetterError>)> {
        let _one = self.resending.lock().unwrap_or_else(PoisonError::into_inner);
        let chunks = ids.chunks(RESEND_BATCH);
        chunks.flat_map(|ids| self.resend_batch(ids, receivers)).collect()
    }

    fn resend_batch(&self, ids: &[u64], receivers: &Arc<Receivers>) -> Vec<(u64, Result<(), DeadLetterError>)> {
        let mut results: Vec<(u64, Result<(), DeadLetterError>)> = Vec::with_capacity(ids.len());
        for id in ids {
            // A request at a time: as many as there is room for.
            results.push((*id, self.append(*id, receivers)));
        }
        let is_on_disk = match &self.on_disk {
            Some(on_disk) => on_disk.journal.flush(COMMIT_TIMEOUT),
            None => true,
        };
        for (id, result) in results.iter_mut().filter(|(_, result)| result.is_ok()) {
            *result = if is_on_disk {
                self.letters.remove(*id).map(drop)
            } else {
                Err(DeadLetterError::NotOnDisk)
            };
        }
        results
    }

    fn append(&self, id: u64, receivers: &Arc<Receivers>) -> Result<(), DeadLetterError> {
        let mut request = self.get(id)?.request;
        request.receivers = Some(Arc::clone(receivers));
        request.expires = None;
        if let Some(shared) = &self.shared {
            // The letters of this host have numbers that other hosts use, too.
            return shared.resend((id >= FIRST_SHARED_LETTER).then_some(id), request);
        }
        match self.outbox.append_now(vec![request]) {
            Ok(true) => Ok(()),
            Ok(false) => Err(DeadLetterError::Full),
            Err(_) => Err(DeadLetterError::Closed),
        }
    }

    /// Returns how many letters there are, their bytes, and how many the limits of this host have dropped since the start.
    /// Dead letters that the limits of NATS have dropped are not counted.
    pub fn usage(&self) -> Usage {
        self.letters.usage()
    }

    /// The same for the letters that only this host has. Does not block.
    pub fn local_usage(&self) -> Usage {
        self.letters.local.usage(DEAD_LETTERS)
    }
}

fn decode(id: u64, bytes: Bytes) -> Result<DeadLetter, DeadLetterError> {
    DeadLetter::decode(id, bytes).map_err(|error| DeadLetterError::Unreadable(error_line(&error)))
}
