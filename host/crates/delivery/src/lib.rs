//! Delivery: sends the requests of modules to their receivers.
//!
//! ```text
//! Outbox::append ──(batch per thread)──> sender thread: queue ──> attempt ──> delivered | retry at | dropped
//!  bounded; blocks                        order, limits (pure)     http, file, stdout      (policy, pure)
//! ```
//!
//! With a store the requests are also on disk (`journal.rs`), from `append` until they are delivered or dropped. A window
//! of them is in memory. A new process sends what the previous one has left (`restore.rs`).
//!
//! **Guarantees.** The crate sends every accepted request until its receiver has accepted it, or gives it up and counts
//! the reason. A request that the policy gives up becomes a dead letter ([`Dead`]): the request was invalid, the module
//! chose a host without a public address, the time for retries was over, the answer was final, or the request had expired.
//! Nothing is kept of a dropped request ([`Dropped`]): there was no room for it, its record on disk was damaged, or
//! delivery stopped without a store. A receiver may get a request twice, because its response was late or lost.
//! While the process runs, no request is lost without being counted. Requests with the same destination (scheme, host
//! and port; a file; standard output) and ordering key are sent one after another, in the order of `append`. Each waits
//! until the previous one is delivered or dropped. Requests with another key or destination do not wait for it, except
//! for capacity in the outbox.
//!
//! **Limits.**
//!
//! - Requests and bytes in the outbox: [`Settings::queue_requests`], [`Settings::queue_bytes`].
//! - Concurrent requests per destination: [`Terms::concurrency_limit`]. Below it, the number adapts (`concurrency.rs`).
//! - Requests per second: [`Terms::rate_limit`].
//! - Without a store, the part of the outbox for a destination that is down: as much as is free.
//! - Concurrent requests over all destinations: sixteen times [`Terms::concurrency_limit`], so that no set of URLs can use
//!   up all sockets.
//! - The time of one attempt and of all attempts.
//! - The bytes read of a response, and the time for it after the status line.
//!
//! **Threads.** The crate runs a few threads, each with its own runtime, connections and queue. They share only
//! counters, because each ordering key belongs to one thread. Their priority is slightly below that of the threads that
//! serve MQTT clients (`nice`). A much lower priority would halve the throughput: the thread would yield to a receiver
//! on the same machine after each request.
//!
//! Each receiver has its own credentials, signatures, TLS settings and terms ([`Destination`]). The requests that
//! modules make never contain them.
//!
//! Terms and destinations may change at any time. Each request keeps the receivers that were active when it was made
//! ([`Receivers`]). No request therefore gets credentials meant for another one, and the order is kept across the
//! change.
//!
//! Requests whose host was chosen by a module reach public addresses only ([`Reach`], `guard.rs`).
//!
//! Requests may be sent together ([`Batching`]). A destination that does not work gets a probe now and then
//! ([`BreakerPolicy`]).
//!
//! The crate follows redirects only if the policy says so, and uses proxies of the environment only if a setting says so.
//! It never logs bodies or credentials.

mod address;
mod attempt;
mod attempt_counts;
mod attempt_entry;
mod batch;
mod batch_group;
mod batching;
mod breaker;
mod capacity;
mod clients;
mod compaction;
mod concurrency;
mod counters;
mod dead_letter;
mod dead_letter_filter;
mod dead_letters;
mod delivery;
mod destination;
mod destination_counts;
mod direct;
mod drain;
mod end;
mod endpoint;
mod excerpt;
mod file;
mod flow;
mod gate;
mod guard;
mod http;
mod http_options;
mod intake;
mod jitter;
mod job;
mod journal;
mod lagging;
mod letter_store;
mod lines;
mod monitor;
mod notice;
mod oauth2;
mod on_disk;
mod outbox;
mod prefix;
pub mod priority;
mod probe;
mod publish;
mod queue;
mod record;
mod report;
mod request;
mod restore;
mod retry;
mod retry_on;
mod secret;
mod sender;
mod sender_gate;
mod settings;
mod shared;
mod signing;
mod stdout;
mod stored;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod token_bucket;
mod worker;

pub use attempt::Attempt;
pub use attempt_counts::AttemptCounts;
pub use batching::{BatchFormat, Batching, BatchingError};
pub use breaker::BreakerPolicy;
pub use clients::{check_tls, http_client};
pub use counters::{Counters, Dead, Dropped};
pub use dead_letter::DeadLetter;
pub use dead_letter_filter::DeadLetterFilter;
pub use dead_letters::{DeadLetterError, DeadLetters};
pub use delivery::{Delivery, StartError, Storage};
pub use destination::{Destination, DestinationError, DestinationSelector, Destinations, Receivers, Terms};
pub use destination_counts::{DestinationState, LastError};
pub use endpoint::{check_header, header_name};
pub use file::{FileSettings, FileSync};
pub use gate::BreakerState;
pub use http_options::{Compression, HttpOptions, HttpVersion, Proxy, ProxyError};
pub use journal::Sync;
pub use lagging::LaggingKey;
pub use monitor::Monitor;
pub use oauth2::{ClientAuth, OAuth2};
pub use on_disk::WhenFull;
pub use outbox::{Outbox, OutboxClosed};
pub use prefix::{UrlPrefix, UrlPrefixError, below};
pub use probe::{FailureKind, Probe, ProbeFailure, ProbeRequest, probe};
pub use publish::{MAX_REPUBLISHES, Publication, PublishFailure, Publisher, Publishing};
pub use request::{EventSummary, OutboxRequest, Reach, shown};
pub use retry::{Reason, RetryPolicy, RetryPreset};
pub use retry_on::{RetryOn, RetryOnError, Statuses};
pub use secret::{Secret, is_secret_name};
pub use settings::{DiskSettings, Settings};
pub use signing::{SigningKey, SigningKeyError};
pub use stdout::StdoutFormat;
pub use tls::{Certificates, Identity, PemError, PrivateKey, ServerName, Tls};
pub use token_bucket::RateLimit;
