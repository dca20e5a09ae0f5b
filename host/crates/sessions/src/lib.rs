//! MQTT sessions and retained messages on disk.
//!
//! One file, `sessions.redb`, in the data folder. It contains sessions, their subscriptions, the QoS 1 and 2 messages
//! that wait for their clients, the ids of QoS 2 messages that their clients have published, and retained messages. The
//! crate knows neither the broker nor a clock: an engine describes what changes, and gets everything back at the next
//! start.
//!
//! # Data
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `sessions` | number of the session | [`SessionRecord`] |
//! | `subscriptions` | session, filter | [`SubscriptionRecord`] |
//! | `deliveries` | session, sequence number | [`DeliveryRecord`]; refers to a message |
//! | `messages` | number of the message | [`MessageRecord`]; shared by all its deliveries |
//! | `publishes` | session, packet id | fingerprint of a QoS 2 message from the client |
//! | `retained` | topic | [`MessageRecord`] |
//!
//! Numbers are never used twice. Each value begins with a checksum. A damaged value is skipped when the file is read
//! ([`Contents::damaged`]) and does not affect others. The file contains the version of its format; a file of another
//! version is refused. The file is locked: a second host cannot open it.
//!
//! # Commits
//!
//! [`Changes`] are applied together or not at all. [`Store::submit`] adds them to the next commit and returns at once;
//! [`Commit::finished`] waits until they are on the disk. One thread writes: the next commit starts when the last one has
//! ended, and contains everything that all clients have submitted in the meantime. A delivery that is acknowledged before it was
//! written is never written.
//!
//! After a crash the file contains the changes of all finished commits, and of no others. If the disk fails or is full,
//! the thread logs it and tries again until it succeeds; callers of [`Commit::finished`] wait until then.

mod batch;
mod changes;
mod encoding;
mod file;
mod records;
mod store;

pub use hookhost_data_file::FileError;

pub use changes::{Changes, StoredMessage};
pub use records::{
    Contents, DeliveryRecord, DeliveryState, MessageRecord, Properties, Publisher, PublisherKind, SessionRecord,
    StoredDelivery, StoredSession, SubscriptionOptions, SubscriptionRecord, WillRecord,
};
pub use store::{Commit, Store, StoreCounters};

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system refuses to create a thread.
    #[error("cannot start the thread that writes sessions")]
    Thread(#[source] std::io::Error),
}

#[cfg(test)]
mod tests;
