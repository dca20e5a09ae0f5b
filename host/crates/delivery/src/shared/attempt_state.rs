//! What other hosts have to know about the failed attempts of a request, and its bytes.
//!
//! The bytes begin with the version of their form. Times are relative to the time at which they were written, which NATS
//! knows, because the clocks of two hosts differ.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use hookhost_jetstream::AttemptState;
use tokio::time::Instant;
use tracing::warn;

use super::super::attempt::Attempts;
use super::super::dead_letter::put_attempts;
use super::super::record::{Reader, RecordError};

/// The form of the bytes.
const VERSION: u8 = 1;

/// Limit of the text of an attempt, in bytes. A state has up to 50 of them and is written after each attempt.
const MAX_OUTCOME_BYTES: usize = 256;

/// Returns what to keep at `now` about attempts of which the next one begins at `next`.
pub(in super::super) fn encode(attempts: &Attempts, now: Instant, next: Instant) -> Bytes {
    let mut state = BytesMut::new();
    state.put_u8(VERSION);
    state.put_u32_le(attempts.count);
    let since_first = attempts.first.map_or(Duration::ZERO, |first| now - first);
    for time in [since_first, next - now] {
        state.put_u64_le(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
    let cut = attempts.failed.iter().map(|attempt| {
        let mut attempt = attempt.clone();
        let end = attempt.outcome.floor_char_boundary(MAX_OUTCOME_BYTES);
        attempt.outcome.truncate(end);
        attempt
    });
    put_attempts(&mut state, cut.collect::<Vec<_>>().iter());
    state.freeze()
}

/// What other hosts have kept about the attempts of a record.
pub(super) fn of_record(record: u64, state: AttemptState) -> Option<Box<Attempts>> {
    match decode(state.bytes, state.written.into()) {
        Ok(attempts) => Some(Box::new(attempts)),
        Err(error) => {
            warn!(record, error = %error, "the attempts of other hosts cannot be read; the request begins with the first one");
            None
        }
    }
}

/// Reads the attempts from a state that was written at this time.
///
/// # Errors
///
/// [`RecordError`] if it has another version or is damaged.
fn decode(state: Bytes, written: Instant) -> Result<Attempts, RecordError> {
    let mut reader = Reader(state);
    match reader.u8()? {
        VERSION => {}
        version => return Err(RecordError::Version(version)),
    }
    let count = reader.u32()?;
    let (since_first, wait) = (reader.u64()?, reader.u64()?);
    let failed = reader.attempts()?;
    reader.end()?;
    Ok(Attempts {
        count,
        first: written.checked_sub(Duration::from_micros(since_first)),
        last: None,
        next: written.checked_add(Duration::from_micros(wait)),
        failed,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::super::retry::Outcome;
    use super::*;

    #[test]
    fn another_host_knows_the_attempts_and_the_times_on_its_own_clock() {
        let second = Duration::from_secs(1);
        let begin = Instant::now();
        let mut attempts = Attempts::default();
        attempts.begin(begin);
        let at = SystemTime::UNIX_EPOCH + 1000 * second;
        attempts.fail(at, second, &Outcome::Failed("é".repeat(200)));
        attempts.begin(begin + 3 * second);
        let refused = Outcome::Refused {
            status: 503,
            retry_after: None,
        };
        attempts.fail(at + second, second, &refused);
        let state = encode(&attempts, begin + 4 * second, begin + 10 * second);
        // The other clock shows this when the state is written.
        let written = begin + 1000 * second;
        let read = decode(state.clone(), written).unwrap();
        assert_eq!((read.count, read.first), (2, Some(written - 4 * second)));
        assert_eq!(read.next, Some(written + 6 * second));
        assert_eq!(read.failed[0].outcome, "é".repeat(128));
        assert_eq!(read.failed[1], attempts.failed[1]);
        for length in 0..state.len() {
            assert!(decode(state.slice(..length), written).is_err(), "{length}");
        }
    }
}
