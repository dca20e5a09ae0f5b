//! A dead letter, and its bytes on disk. Pure.
//!
//! A letter begins with the version of its form. Numbers are little-endian, texts and bodies are as in
//! [`record`](super::record). The request at the end has its own version.

use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};

use super::attempt::Attempt;
use super::record::{Reader, RecordError, length, millis, put_bytes, put_request};
use super::request::{OutboxRequest, shown};
use super::retry::Reason;
use super::secret::is_secret_name;
use super::signing::message_id;

/// The group of all dead letters in their collection.
pub(super) const DEAD_LETTERS: &str = "";

/// The form of a letter.
const VERSION: u8 = 1;

/// Reasons and their numbers in a letter.
const REASONS: [(Reason, u8); 6] = [
    (Reason::Refused, 1),
    (Reason::Failed, 2),
    (Reason::TimeOver, 3),
    (Reason::Expired, 4),
    (Reason::Invalid, 5),
    (Reason::Barred, 6),
];

/// A request that the host has given up.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Its number; later letters have greater ones.
    pub id: u64,
    /// When it became a dead letter, in milliseconds since 1970.
    pub at: u64,
    /// Why.
    pub reason: Reason,
    /// Why, in words: the outcome of the last attempt.
    pub text: String,
    /// The name of its destination, or scheme, host and port of one without a name.
    pub destination: String,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// The first 2 KiB of the body of the last answer.
    pub answer: Bytes,
    /// How many attempts were made since the start of the host; with a shared outbox by all hosts.
    pub attempt_count: u32,
    /// The last 50 of them, oldest first. While an eighth of the memory of the outbox was taken, the host remembered only
    /// their number.
    pub attempts: Vec<Attempt>,
    /// The request. It may have credentials in its URL and headers.
    pub request: OutboxRequest,
}

/// What is shown instead of a secret.
const HIDDEN: &str = "***";

impl DeadLetter {
    /// Returns the id of the request, which stays the same when it is sent again: the value of `webhook-id`.
    pub fn webhook_id(&self) -> String {
        message_id(&self.request)
    }

    /// Returns the URL without user, password, query and fragment.
    pub fn shown_url(&self) -> String {
        shown(&self.request.url)
    }

    /// Returns the headers that the module set, with `***` for values that may be secrets.
    pub fn shown_headers(&self) -> Vec<(&str, &str)> {
        let headers = self.request.headers.iter();
        let headers = headers.map(|(name, value)| {
            let shown = if is_secret_name(name) { HIDDEN } else { value };
            (name.as_str(), shown)
        });
        headers.collect()
    }

    /// Returns the bytes of a letter, without its number.
    pub(super) fn encode(&self) -> Bytes {
        let mut letter = BytesMut::with_capacity(self.request.size());
        letter.put_u8(VERSION);
        let reason = REASONS.iter().find(|(reason, _)| *reason == self.reason);
        letter.put_u8(reason.map_or(0, |(_, number)| *number));
        letter.put_u64_le(self.at);
        letter.put_u16_le(self.status.unwrap_or(0));
        letter.put_u32_le(self.attempt_count);
        for text in [self.text.as_bytes(), self.destination.as_bytes(), &self.answer] {
            put_bytes(&mut letter, text);
        }
        put_attempts(&mut letter, self.attempts.iter());
        put_request(&mut letter, &self.request);
        letter.freeze()
    }

    /// Returns the bytes of a letter, at most `most`: if necessary without the answer and the attempts. `None`: the request
    /// is too large.
    pub(super) fn encode_within(&self, most: usize) -> Option<Bytes> {
        let whole = self.encode();
        if whole.len() <= most {
            return Some(whole);
        }
        let short = DeadLetter {
            answer: Bytes::new(),
            attempts: Vec::new(),
            ..self.clone()
        };
        Some(short.encode()).filter(|short| short.len() <= most)
    }

    /// Reads the letter with the number `id`.
    pub(super) fn decode(id: u64, letter: Bytes) -> Result<DeadLetter, RecordError> {
        let mut reader = Reader(letter);
        match reader.u8()? {
            VERSION => {}
            version => return Err(RecordError::Version(version)),
        }
        let reason = reader.u8()?;
        let reason = REASONS.iter().find(|(_, number)| *number == reason);
        let (reason, _) = reason.ok_or(RecordError::Damaged)?;
        let (at, status, attempt_count) = (reader.u64()?, reader.u16()?, reader.u32()?);
        let (text, destination, answer) = (reader.text()?, reader.text()?, reader.bytes()?);
        let attempts = reader.attempts()?;
        let request = reader.request()?;
        reader.end()?;
        Ok(DeadLetter {
            id,
            at,
            reason: *reason,
            text,
            destination,
            status: is_status(status),
            answer,
            attempt_count,
            attempts,
            request,
        })
    }
}

/// Appends failed attempts.
pub(super) fn put_attempts<'a>(to: &mut BytesMut, attempts: impl ExactSizeIterator<Item = &'a Attempt>) {
    to.put_u32_le(length(attempts.len()));
    for attempt in attempts {
        to.put_u64_le(millis(attempt.at));
        to.put_u64_le(u64::try_from(attempt.duration.as_micros()).unwrap_or(u64::MAX));
        to.put_u16_le(attempt.status.unwrap_or(0));
        put_bytes(to, attempt.outcome.as_bytes());
    }
}

impl Reader {
    /// Reads failed attempts.
    pub(super) fn attempts<T: FromIterator<Attempt>>(&mut self) -> Result<T, RecordError> {
        let attempts = (0..self.u32()?).map(|_| {
            let (at, duration, status) = (self.u64()?, self.u64()?, self.u16()?);
            Ok(Attempt {
                at: self.time(at)?.unwrap_or(SystemTime::UNIX_EPOCH),
                duration: Duration::from_micros(duration),
                status: is_status(status),
                outcome: self.text()?,
            })
        });
        attempts.collect()
    }
}

/// 0 is no status.
fn is_status(number: u16) -> Option<u16> {
    (number != 0).then_some(number)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::record::tests::request;
    use super::*;

    /// A letter with a value in each field.
    pub(crate) fn letter() -> DeadLetter {
        let attempt = |status: Option<u16>, outcome: &str| Attempt {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123),
            duration: Duration::from_micros(1234),
            status,
            outcome: outcome.to_owned(),
        };
        DeadLetter {
            id: 5,
            at: 1_790_000_001_000,
            reason: Reason::Refused,
            text: "answered with status 422".to_owned(),
            destination: "crm".to_owned(),
            status: Some(422),
            answer: Bytes::from_static(b"\xffno"),
            attempt_count: 7,
            attempts: vec![attempt(None, "timed out"), attempt(Some(422), "é")],
            request: request(),
        }
    }

    #[test]
    fn the_bytes_give_the_letter_back() {
        for (reason, _) in REASONS {
            let whole = DeadLetter { reason, ..letter() };
            let empty = DeadLetter {
                text: String::new(),
                status: None,
                answer: Bytes::new(),
                attempts: vec![],
                ..whole.clone()
            };
            for letter in [whole, empty] {
                assert_eq!(DeadLetter::decode(5, letter.encode()).as_ref(), Ok(&letter));
            }
        }
    }

    #[test]
    fn a_letter_that_is_too_large_loses_its_attempts_and_no_part_of_its_request() {
        let whole = letter();
        let most = whole.encode().len();
        assert_eq!(whole.encode_within(most), Some(whole.encode()));
        let short = DeadLetter::decode(5, whole.encode_within(most - 1).unwrap()).unwrap();
        let expected = DeadLetter {
            answer: Bytes::new(),
            attempts: vec![],
            ..whole.clone()
        };
        assert_eq!(short, expected);
        assert_eq!(whole.encode_within(short.encode().len() - 1), None);
    }

    #[test]
    fn damaged_bytes_are_an_error() {
        let bytes = letter().encode();
        for length in 0..bytes.len() {
            assert!(DeadLetter::decode(5, bytes.slice(..length)).is_err(), "{length}");
        }
        let mut later = bytes.to_vec();
        later[0] = 2;
        assert_eq!(DeadLetter::decode(5, later.into()), Err(RecordError::Version(2)));
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut letter = letter();
        letter.request.url = "https://user:hidden@host/a?token=hidden".to_owned();
        letter.request.headers = ["Authorization", "x-api-key", "Cookie", "content-type"]
            .map(|name| (name.to_owned(), "hidden".to_owned()))
            .into();
        assert_eq!(letter.shown_url(), "https://host/a");
        let values: Vec<&str> = letter.shown_headers().into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, ["***", "***", "***", "hidden"]);
    }

    #[test]
    fn reasons_have_names() {
        for (reason, _) in REASONS {
            let named = Reason::named(&reason.name().replace(' ', "-")).unwrap();
            assert_eq!(named.name(), reason.name());
        }
        assert_eq!(Reason::named("lost"), None);
    }
}
