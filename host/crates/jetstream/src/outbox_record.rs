//! Records that are stored and read, and why that fails.

use std::time::Instant;

use bytes::Bytes;
use thiserror::Error;

use super::api::ApiError;

/// A record to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRecord {
    /// Its partition: see [`partition`](super::partition()).
    pub partition: u16,
    /// Its content, at most [`SharedOutbox::max_record_bytes`](super::SharedOutbox::max_record_bytes).
    pub bytes: Bytes,
}

/// A record to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchedRecord {
    /// Its number.
    pub number: u64,
    /// Its content.
    pub bytes: Bytes,
    /// What is known of its failed attempts.
    pub state: Option<AttemptState>,
}

/// What a host has kept about the failed attempts of a record:
/// [`SharedOutbox::keep_state`](super::SharedOutbox::keep_state).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptState {
    /// The content.
    pub bytes: Bytes,
    /// When it was written: the age that it has by the clock of NATS, on the clock of this host.
    pub written: Instant,
}

/// Records to deliver. Those of one partition come in the order of the stream.
pub type Fetched = Vec<FetchedRecord>;

/// The outbox accepts no more records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the shared outbox is closed")]
pub struct Closed;

/// Records could not be stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AppendError {
    /// The outbox accepts no more records.
    #[error("the shared outbox is closed")]
    Closed,
    /// NATS cannot be reached, or refuses them.
    #[error("{error}")]
    Unavailable {
        /// This many of the records are stored, the first ones. Some of the others may be stored, too.
        stored: usize,
        /// Why the others are not.
        error: String,
    },
}

/// A record cannot be read now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ReadError(String);

impl ReadError {
    pub(super) fn of(error: ApiError) -> ReadError {
        ReadError(error.to_string())
    }
}
