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
//! - Without a store, the part of the outbox that a destination may take while it is down: as much as is free.
//! - Concurrent requests over all destinations: sixteen times that limit. No set of URLs can use up all sockets.
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
mod attempt_entry;
mod batch;
mod batch_group;
mod batching;
mod breaker;
mod capacity;
mod clients;
mod concurrency;
mod counters;
mod dead_letter;
mod dead_letter_filter;
mod dead_letters;
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

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hookhost_dead_letters::Collection;
use hookhost_jetstream::SharedOutbox;
use hookhost_outbox::Store;
use thiserror::Error;
use tokio::time::Instant;
use tracing::error;

use capacity::Capacity;
use counters::Counts;
use journal::Journal;
use on_disk::OnDisk;
use outbox::Inboxes;
use sender::Sender;
use shared::SharedIntake;

pub use attempt::Attempt;
pub use batching::{BatchFormat, Batching, BatchingError};
pub use breaker::BreakerPolicy;
pub use clients::{check_tls, http_client};
pub use counters::{Counters, Dead, Dropped};
pub use dead_letter::DeadLetter;
pub use dead_letter_filter::DeadLetterFilter;
pub use dead_letters::{DeadLetters, ResendError};
pub use destination::{Destination, DestinationError, Destinations, Receivers, Terms, Via};
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

/// Delivery could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A sender thread or its runtime could not be created.
    #[error("cannot start a sender thread")]
    Thread(#[source] std::io::Error),
}

/// Where requests are until they are delivered or given up, apart from the memory.
pub enum Storage {
    /// Nowhere else.
    Memory,
    /// In the data folder. A new process sends those of the previous one first.
    Disk(Store),
    /// In an outbox that several hosts share. Each host delivers a part of its requests.
    Shared(SharedOutbox),
}

impl From<Option<Store>> for Storage {
    fn from(store: Option<Store>) -> Storage {
        store.map_or(Storage::Memory, Storage::Disk)
    }
}

/// The running sender threads. Dropping it without [`Delivery::stop`] stops them without a grace period.
pub struct Delivery {
    outbox: Arc<Inboxes>,
    window: Arc<Capacity>,
    on_disk: Option<Arc<OnDisk>>,
    shared: Option<Arc<SharedIntake>>,
    counts: Arc<Counts>,
    letters: Collection,
    resending: Arc<Mutex<()>>,
    senders: Vec<Sender>,
    /// The threads of the journal, which restore requests and commit; or the one that receives shared requests.
    journal_threads: Vec<JoinHandle<()>>,
}

impl Delivery {
    /// Starts the sender threads. `storage` keeps requests until they are delivered or dropped. Requests that the host has
    /// given up become records of `letters`.
    ///
    /// Requests to `mqtt:` URLs go to the publisher; they are invalid without one.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the system cannot create the threads; none is left running.
    pub fn start(
        settings: &Settings,
        storage: impl Into<Storage>,
        letters: Collection,
        publisher: Option<Arc<dyn Publisher>>,
    ) -> Result<Delivery, StartError> {
        let window = Arc::new(Capacity::new(settings.queue_requests, settings.queue_bytes));
        let counts = Arc::new(Counts::default());
        let mut journal_threads = Vec::new();
        let (mut on_disk, mut shared) = (None, None);
        match storage.into() {
            Storage::Memory => {}
            Storage::Shared(outbox) => shared = Some(outbox),
            Storage::Disk(store) => {
                let DiskSettings {
                    sync,
                    max_bytes,
                    when_full,
                } = settings.disk;
                let capacity = Arc::new(Capacity::new(usize::MAX, max_bytes));
                let (journal, thread) = Journal::start(store, sync, Arc::clone(&capacity))?;
                journal_threads.push(thread);
                on_disk = Some(Arc::new(OnDisk::new(journal, capacity, when_full)));
            }
        }
        let senders = (0..settings.threads.max(1))
            .map(|number| {
                Sender::start(
                    number,
                    settings,
                    publisher.clone(),
                    Arc::clone(&window),
                    (on_disk.clone(), shared.clone()),
                    letters.clone(),
                    Arc::clone(&counts),
                )
            })
            .collect::<Result<Vec<_>, _>>()?;
        let inboxes = senders.iter().map(|sender| sender.inbox.clone()).collect();
        let outbox = Inboxes::new(Arc::clone(&window), on_disk.clone(), Arc::clone(&counts), inboxes);
        let outbox = Arc::new(outbox);
        if let Some(on_disk) = &on_disk {
            journal_threads.push(restore::start(on_disk, &outbox, &counts)?);
        }
        let shared = shared.map(|shared| SharedIntake::start(shared, &outbox, &letters, &counts));
        let shared = shared.transpose()?.map(|(shared, thread)| {
            journal_threads.push(thread);
            shared
        });
        Ok(Delivery {
            outbox,
            window,
            on_disk,
            shared,
            counts,
            letters,
            resending: Arc::default(),
            senders,
            journal_threads,
        })
    }

    /// Returns the outbox that feeds the sender threads.
    pub fn outbox(&self) -> Arc<dyn Outbox> {
        match &self.shared {
            Some(shared) => Arc::clone(shared) as Arc<dyn Outbox>,
            None => Arc::clone(&self.outbox) as Arc<dyn Outbox>,
        }
    }

    /// Returns the current values of the counters.
    pub fn counters(&self) -> Counters {
        self.monitor().counters()
    }

    /// Returns a view of the counters.
    pub fn monitor(&self) -> Monitor {
        Monitor {
            window: Arc::clone(&self.window),
            on_disk: self.on_disk.clone(),
            counts: Arc::clone(&self.counts),
        }
    }

    /// Returns the dead letters.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters {
            collection: self.letters.clone(),
            outbox: Arc::clone(&self.outbox),
            on_disk: self.on_disk.clone(),
            shared: self.shared.clone(),
            resending: Arc::clone(&self.resending),
        }
    }

    /// Accepts no more requests, continues to send the accepted ones for at most `grace`, and joins the threads.
    ///
    /// Does not wait for a retry that is due after `grace`. The requests left are counted as [`Dropped::closed`], or stay
    /// on disk for the next start. Blocks the calling thread.
    pub fn stop(mut self, grace: Duration) -> Counters {
        /// Limit of `grace`, so that the clock cannot overflow.
        const MAX_GRACE: Duration = Duration::from_secs(24 * 3600);
        /// Limit of the wait for the disk of the dead letters.
        const MAX_LETTERS_FLUSH: Duration = Duration::from_secs(5);
        self.close();
        let deadline = Instant::now() + grace.min(MAX_GRACE);
        let threads: Vec<_> = self.senders.drain(..).map(|sender| sender.stop(deadline)).collect();
        for thread in threads {
            if thread.join().is_err() {
                error!("a sender thread has panicked");
            }
        }
        // The last dead letters leave the outbox when they are on disk. Otherwise they are sent again after a restart.
        if !self.letters.flush(MAX_LETTERS_FLUSH) {
            error!("the last dead letters cannot be written");
        }
        if let Some(on_disk) = &self.on_disk {
            on_disk.journal.close();
        }
        if let Some(shared) = &self.shared {
            shared.outbox.close();
        }
        for thread in self.journal_threads.drain(..) {
            if thread.join().is_err() {
                error!("a thread of the outbox has panicked");
            }
        }
        let mut counters = self.counters();
        if self.on_disk.is_none() {
            // The rest is counted as closed.
            (counters.queued_requests, counters.queued_bytes) = (0, 0);
        }
        counters
    }

    fn close(&self) {
        self.window.close();
        if let Some(shared) = &self.shared {
            // What has not begun is delivered by other hosts, or after the next start.
            shared.outbox.close_intake();
            self.outbox.drop_moved();
        }
        if let Some(on_disk) = &self.on_disk {
            on_disk.capacity.close();
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.close();
        if let Some(on_disk) = &self.on_disk {
            on_disk.journal.close();
        }
        if let Some(shared) = &self.shared {
            shared.outbox.close();
        }
    }
}
