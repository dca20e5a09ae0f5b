//! Where dead letters are: in the collection of this host, or in the stream of the hosts that share an outbox.
//!
//! A letter that NATS does not accept because of its size stays in the collection of the host that has given up the
//! request. So do the letters of a host from the time before its outbox was shared. All have different numbers: those of
//! the stream begin at [`FIRST_SHARED_LETTER`].

use std::time::{Duration, Instant};

use bytes::Bytes;
use hookhost_dead_letters::{Collection, Usage};
use hookhost_jetstream::{FIRST_SHARED_LETTER, LetterEnd, LetterEnded, ReadError, SharedDeadLetters};
use hookhost_settings::error_line;

use super::dead_letter::{DEAD_LETTERS, DeadLetter};
use super::dead_letters::DeadLetterError;

/// The dead letters of this host, or of all hosts. Clones are handles of the same letters.
#[derive(Clone)]
pub(super) struct LetterStore {
    pub(super) local: Collection,
    /// `None`: the outbox is not shared.
    pub(super) shared: Option<SharedDeadLetters>,
}

impl LetterStore {
    /// Stores a letter. `record` is the number of its request in the outbox. `ended` runs when the letter survives a crash,
    /// or is dropped because another host sends its request again. Does not block.
    pub(super) fn put(&self, record: Option<u64>, letter: &DeadLetter, ended: LetterEnded) {
        if let (Some(shared), Some(record)) = (&self.shared, record)
            && let Some(bytes) = letter.encode_within(shared.max_bytes())
        {
            return shared.put(record, bytes, ended);
        }
        let stored = Box::new(|| ended(LetterEnd::Stored));
        self.local.put(DEAD_LETTERS, letter.at, &letter.encode(), Some(stored));
    }

    /// Returns the bytes of a letter; `None`: there is none with this number.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError::Unreadable`], [`DeadLetterError::Unavailable`].
    pub(super) fn get(&self, id: u64) -> Result<Option<Bytes>, DeadLetterError> {
        if let Some(shared) = self.shared_with(id) {
            return shared.get(id).map_err(unavailable);
        }
        let kept = self.local.get(id);
        let kept = kept.map_err(|error| DeadLetterError::Unreadable(error_line(&error)))?;
        Ok(kept.map(|kept| kept.content))
    }

    /// Removes a letter. Returns whether it existed.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError::Unavailable`].
    pub(super) fn remove(&self, id: u64) -> Result<bool, DeadLetterError> {
        match self.shared_with(id) {
            Some(shared) => shared.remove(id).map_err(unavailable),
            None => Ok(self.local.remove(id)),
        }
    }

    /// Passes the letters with numbers below `before` to `visit`, newest first, until it returns false. Letters of this host
    /// that cannot be read are passed as errors.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError::Unavailable`].
    pub(super) fn visit(
        &self,
        before: Option<u64>,
        mut visit: impl FnMut(u64, Result<Bytes, DeadLetterError>) -> bool,
    ) -> Result<(), DeadLetterError> {
        if let Some(shared) = self.shared_with(before.unwrap_or(u64::MAX)) {
            let mut newest = shared.newest(before).map_err(unavailable)?;
            loop {
                let page = newest.next_page().map_err(unavailable)?;
                if page.is_empty() {
                    break;
                }
                for (number, bytes) in page {
                    if !visit(number, Ok(bytes)) {
                        return Ok(());
                    }
                }
            }
        }
        for number in self.local.numbers(None, before, usize::MAX) {
            // It may have been dropped meanwhile.
            let letter = self.get(number).transpose();
            if letter.is_some_and(|letter| !visit(number, letter)) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits until all letters are stored, for at most `time`. Returns whether they are.
    pub(super) fn flush(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let left = || end.saturating_duration_since(Instant::now());
        self.local.flush(time) && self.shared.as_ref().is_none_or(|shared| shared.flush(left()))
    }

    /// Returns how many letters there are, their bytes, and how many the limits of this host have dropped.
    pub(super) fn usage(&self) -> Usage {
        let mut usage = self.local.usage(DEAD_LETTERS);
        if let Some(shared) = &self.shared {
            let (records, bytes) = shared.usage();
            usage.records += records;
            usage.bytes += bytes;
        }
        usage
    }

    /// The stream, if a letter with this number is there.
    fn shared_with(&self, id: u64) -> Option<&SharedDeadLetters> {
        self.shared.as_ref().filter(|_| id >= FIRST_SHARED_LETTER)
    }
}

fn unavailable(error: ReadError) -> DeadLetterError {
    DeadLetterError::Unavailable(error.to_string())
}
