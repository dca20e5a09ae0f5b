//! Dead letters that several hosts share, in the stream `NAME-dead-letters`.
//!
//! A letter is stored before the record of its request leaves the outbox. If the host stops in between, or loses the
//! partition, the next owner sends the request again, so a letter that waits for NATS needs no place on the disk. The server
//! recognises a letter by the record of its request, if it is stored again within two minutes.
//!
//! The number of a letter is its sequence in the stream. The first one is the time in seconds at which the stream was
//! created, so the numbers are greater than those of letters that a host keeps for itself, which begin at 1.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Message;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::api::{Api, ApiError, code, header_number};
use super::outbox_record::ReadError;
use super::pages::Backward;
use super::stream;

/// Room for the headers of a letter.
const MAX_LETTER_HEADER_BYTES: usize = 256;

/// Letters in one answer.
const MAX_PAGE: usize = 256;

/// Bytes in one answer, unless it has one letter.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// The numbers of shared letters begin above this one.
pub const FIRST_SHARED_LETTER: u64 = 1_000_000_000;

/// How a letter that waited has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetterEnd {
    /// It is stored.
    Stored,
    /// It is dropped, because another host sends its request again.
    Moved,
}

/// Runs once when a letter has ended, on the thread of the outbox. Must not block.
pub type LetterEnded = Box<dyn FnOnce(LetterEnd) + Send>;

/// A letter that waits until it is stored.
pub(super) struct WaitingLetter {
    /// The number of the record of its request.
    pub(super) record: u64,
    pub(super) bytes: Bytes,
    pub(super) ended: LetterEnded,
}

/// The letters of all hosts. Clones are handles of the same stream. The functions block the calling thread for a few
/// seconds at most; never call them from an async task.
#[derive(Clone)]
pub struct SharedDeadLetters {
    pub(super) runtime: Handle,
    pub(super) api: Api,
    /// The name of the stream.
    pub(super) stream: Arc<str>,
    pub(super) waiting: mpsc::UnboundedSender<WaitingLetter>,
    /// How many letters wait.
    pub(super) count: watch::Sender<usize>,
    /// True: the outbox is closed, so that its thread ends.
    pub(super) closing: watch::Receiver<bool>,
    /// True: its thread has ended, and the runtime with it.
    pub(super) ended: watch::Receiver<bool>,
    /// The last known number and bytes of letters.
    pub(super) usage: Arc<Mutex<(usize, usize)>>,
}

impl SharedDeadLetters {
    /// The largest letter that the server accepts, in bytes.
    pub fn max_bytes(&self) -> usize {
        self.api.client.max_payload().saturating_sub(MAX_LETTER_HEADER_BYTES)
    }

    /// Stores the letter of the request with this record in the background, also after an outage. `ended` runs when it has
    /// ended; it does not run if the outbox is closed before. Does not block.
    pub fn put(&self, record: u64, bytes: Bytes, ended: LetterEnded) {
        self.count.send_modify(|count| *count += 1);
        let letter = WaitingLetter { record, bytes, ended };
        // Without a receiver the outbox is closed; the request is sent again then.
        self.waiting.send(letter).ok();
    }

    /// Waits until no letter waits, for at most `time` and not after the end of the outbox's thread. Returns whether none
    /// waits.
    pub fn flush(&self, time: Duration) -> bool {
        let (mut count, mut ended) = (self.count.subscribe(), self.ended.clone());
        let wait = async {
            let is_empty = count.wait_for(|count| *count == 0);
            tokio::select! {
                biased;
                // The clock of the runtime has ended, too. The waits after this one must not use it.
                _ = ended.wait_for(|ended| *ended) => {}
                _ = tokio::time::timeout(time, is_empty) => {}
            }
        };
        self.runtime.block_on(wait);
        *self.count.borrow() == 0
    }

    /// Returns a letter; `None`: there is none with this number.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if NATS does not answer.
    pub fn get(&self, number: u64) -> Result<Option<Bytes>, ReadError> {
        self.run(stream::read(&self.api, &self.stream, number))?
            .map_err(ReadError::of)
    }

    /// Removes a letter. Returns whether it existed.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if NATS does not answer. The letter may be removed then.
    pub fn remove(&self, number: u64) -> Result<bool, ReadError> {
        let question = json!({ "seq": number, "no_erase": true });
        let subject = format!("STREAM.MSG.DELETE.{}", self.stream);
        match self.run(self.api.ask(&subject, &question))? {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(code::NO_SEQUENCE) => Ok(false),
            // The server answers so for a number below the first or above the last one.
            Err(error) if error.code() == Some(code::NOT_DELETED) => match self.get(number)? {
                None => Ok(false),
                Some(_) => Err(ReadError::of(error)),
            },
            Err(error) => Err(ReadError::of(error)),
        }
    }

    /// Reads letters with numbers below `before`, newest first; `None`: all.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if NATS does not answer.
    pub fn newest(&self, before: Option<u64>) -> Result<NewestLetters<'_>, ReadError> {
        let state = self.state()?;
        let number = |name: &str| state.get(name).and_then(Value::as_u64).unwrap_or(0);
        let end = number("last_seq") + 1;
        let before = before.map_or(end, |before| before.min(end));
        Ok(NewestLetters {
            letters: self,
            place: Backward::new(number("first_seq"), before),
        })
    }

    /// Returns the number of letters and their bytes in the stream. While there is no connection, those that were last
    /// known.
    pub fn usage(&self) -> (usize, usize) {
        // Nobody waits for the lock while the server is asked.
        let state = self.api.is_connected().then(|| self.state());
        let mut known = self.usage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Ok(state)) = state {
            let number = |name: &str| state.get(name).and_then(Value::as_u64).unwrap_or(0);
            let count = |name: &str| usize::try_from(number(name)).unwrap_or(usize::MAX);
            *known = (count("messages"), count("bytes"));
        }
        *known
    }

    fn state(&self) -> Result<Value, ReadError> {
        let subject = format!("STREAM.INFO.{}", self.stream);
        let info = self.run(self.api.ask(&subject, &Value::Null))?;
        let mut info = info.map_err(ReadError::of)?;
        Ok(info.get_mut("state").map(Value::take).unwrap_or_default())
    }

    /// Runs a request, unless the outbox is closed.
    fn run<T>(&self, request: impl Future<Output = T>) -> Result<T, ReadError> {
        let mut closing = self.closing.clone();
        let result = self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = closing.wait_for(|is_closing| *is_closing) => None,
                result = request => Some(result),
            }
        });
        result.ok_or_else(|| ReadError::of(ApiError::NoAnswer("the outbox is closed".to_owned())))
    }

    /// Reads letters from a number on, ascending, and says whether there are later ones.
    async fn page(&self, from: u64) -> Result<(Vec<(u64, Bytes)>, bool), ApiError> {
        let question = json!({
            "seq": from,
            "next_by_subj": &*self.stream,
            "batch": MAX_PAGE,
            "max_bytes": MAX_PAGE_BYTES,
        });
        let (messages, end) = self.api.read_many(&self.stream, &question).await?;
        let letter = |message: Message| {
            let number = header_number(&message, "Nats-Sequence")?;
            Some((number, message.payload))
        };
        let left = end.and_then(|end| header_number(&end, "Nats-Num-Pending"));
        Ok((messages.into_iter().filter_map(letter).collect(), left.unwrap_or(0) > 0))
    }
}

/// Reads letters from the newest to the oldest.
pub struct NewestLetters<'a> {
    letters: &'a SharedDeadLetters,
    place: Backward,
}

impl NewestLetters<'_> {
    /// Returns the next letters with their numbers; empty at the end.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if NATS does not answer.
    pub fn next_page(&mut self) -> Result<Vec<(u64, Bytes)>, ReadError> {
        while let Some(from) = self.place.from() {
            let page = self.letters.run(self.letters.page(from))?;
            let (messages, has_more) = page.map_err(ReadError::of)?;
            let next = self.place.take(messages, has_more);
            if !next.is_empty() {
                return Ok(next);
            }
        }
        Ok(Vec::new())
    }
}
