//! Keeps dead letters of delivery and events in quarantine until an operator decides about them.
//!
//! ```text
//! Collection::put ──> pending ──(commit of the store's thread)──> dead-letters.redb      get: pending, or else the file
//! ```
//!
//! A [`Store`] has two [`Collection`]s, one of each [`Kind`]. A collection numbers its records from 1 and never uses a
//! number twice. A record belongs to a group, such as a module. [`Limits`] apply to each group: beyond them its oldest
//! records are dropped and counted. The numbers, times and sizes of all records are in memory (`index.rs`); the content is
//! on disk ([`file`]). Without a data folder the content is in memory too, and a restart loses it.
//!
//! Callers never wait for the disk: changes wait in memory for the next commit. [`Collection::put`] takes a function that
//! runs when the record is on disk. If the disk fails, the changes stay in memory and the thread tries again.

mod file;
mod index;
mod record;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::time::Duration;

pub use file::StoreError;
pub use hookhost_data_file::FileError;
pub use record::StoredRecord;
pub use store::{Collection, Store, Stored};

/// What a collection contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Requests that could not be delivered.
    Requests,
    /// Events that modules could not handle.
    Events,
}

impl Kind {
    const ALL: [Kind; 2] = [Kind::Requests, Kind::Events];
}

/// Limits of each group of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of records.
    pub records: usize,
    /// Maximum bytes of the records, with 64 bytes for each in addition to its content.
    pub bytes: usize,
    /// Maximum age of a record; `None` for no limit.
    pub age: Option<Duration>,
}

/// The records of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Number of records.
    pub records: usize,
    /// Their bytes, as in [`Limits::bytes`].
    pub bytes: usize,
    /// Records dropped because of the limits, since the start.
    pub evicted: u64,
}
