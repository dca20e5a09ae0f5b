//! Requests that several hosts share, in a stream of NATS JetStream.
//!
//! ```text
//! append ──(one atomic batch)──> stream NAME, subject NAME.PARTITION
//!                                    │ one consumer for each host, with the partitions that it owns
//! delivery <──(feed, in order)── reader                     begin, rest, end ──> acknowledgement
//!                                    ▲
//! coordinator: host keys (leases) and partition keys (owners) in the bucket NAME-hosts
//! ```
//!
//! **Data.** The crate knows records: bytes in a partition. `hookhost-delivery` chooses the partition ([`partition`]) and
//! encodes requests. A record counts as stored when JetStream has acknowledged its batch. A batch is stored as a whole or
//! not at all, so a lost connection cannot change the order of a key. Its first record has an id (`Nats-Msg-Id`), with which the
//! server recognises a batch that is sent again within two minutes.
//!
//! **Who delivers a partition.** Each host writes its key `host.ID` every third of the lease ([`Settings::lease`]). A key
//! that did not change for a whole lease, by the clock of the host that watches it, is deleted: the write names the last
//! revision, so it fails if the owner has renewed the key meanwhile. The partitions of a host without a key are free. A host
//! claims its share of the free ones with a write that names the last revision, too (`membership.rs`, pure). No clocks of
//! two machines are compared.
//!
//! **Fence.** A host whose last confirmed renewal was *sent* more than five sixths of a lease ago, by its own monotonic
//! clock, starts no attempt ([`SharedOutbox::begin`]) and gives up all its partitions. It then starts anew under another
//! id. A new owner deletes the consumers of hosts that have stopped, and creates its own one, which reads from the first
//! record. A work-queue stream accepts one consumer per subject, so the previous owner can read nothing anymore.
//! An attempt that is under way when a host is paused ends late; the new owner repeats its request.
//!
//! Pinned clients of priority groups are not used: a new pinned client gets new messages before the unacknowledged ones of
//! the previous client, which breaks the order.
//!
//! **Dead letters.** A request that a host has given up becomes a message of the stream `NAME-dead-letters`
//! ([`SharedDeadLetters`]), and leaves the outbox afterwards. All hosts see the letters of all.
//!
//! **Buckets.** Webhooks that people create while hosts run are keys of a bucket whose values each host has in memory
//! ([`SharedKeys`]). Modules can be the objects of a store ([`SharedObjects`]).
//!
//! **Attempts.** The bucket `NAME-attempts` has what is known of the failed attempts of a record (`attempt_states.rs`), so that
//! the host that takes over continues with the next one at its time.
//!
//! **Losses of the connection.** The reader then creates its consumer anew, and skips records that it has handed over
//! already (`records.rs`). Records that ended while their acknowledgement was lost are acknowledged again.
//!
//! **Own protocol code.** async-nats provides the connection. Its cargo feature `jetstream` is not used, because it enables
//! the feature `test-util` of tokio for the whole host. `api.rs` makes the few requests that are needed.

mod api;
mod attempt_states;
mod bucket;
mod bucket_form;
mod client;
mod consumer;
mod context;
mod coordinator;
mod dead_letter_writer;
mod dead_letters;
mod key_table;
mod key_watch;
mod key_write;
mod last_messages;
mod lease;
mod membership;
mod outbox_record;
mod pages;
mod partition;
mod publish;
mod random_id;
mod reader;
mod records;
mod renewal;
mod settings;
mod shared_keys;
mod shared_objects;
mod shared_outbox;
mod sharing_host;
#[cfg(test)]
mod simulation;
mod start;
mod stream;

pub use dead_letters::{FIRST_SHARED_LETTER, LetterEnd, LetterEnded, NewestLetters, SharedDeadLetters};
pub use key_table::KeyValue;
pub use key_write::{KeyChange, KeyWriteError};
pub use outbox_record::{AppendError, AttemptState, Closed, Fetched, FetchedRecord, OutboxRecord, ReadError};
pub use partition::partition;
pub use settings::{Credentials, LetterLimits, Settings, TlsSettings};
pub use shared_keys::SharedKeys;
pub use shared_objects::{ObjectError, ObjectInfo, SharedObjects, object_digest};
pub use shared_outbox::SharedOutbox;
pub use sharing_host::SharingHost;
pub use start::{StartError, WhenUnreachable};
