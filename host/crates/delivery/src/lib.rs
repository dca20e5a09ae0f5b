//! Delivery: from the requests that modules return to what their receivers have taken.
//!
//! ```text
//! Outbox::append ──(batch per thread)──> sender thread: queue ──> attempt ──> delivered | retry at | dropped
//!  bounded; blocks                        order, limits (pure)     http, file, stdout      (policy, pure)
//! ```
//!
//! **Promises.** Every accepted request is sent until its receiver has taken it, or is dropped with a reason that is
//! counted: it was invalid, its time for retries was over, or delivery stopped. A receiver may see a request twice
//! (its answer came too late or was lost) but, while the process lives, never zero times without such a count.
//! Requests with the same destination (scheme, host and port; a file; standard output) and ordering key are sent one
//! after another in the order of `append`; the next waits until the one before is delivered or dropped. Other keys
//! and other destinations do not wait for it, except for capacity in the outbox.
//!
//! **Bounds.** Requests and bytes in the outbox ([`Settings::queue_requests`], [`Settings::queue_bytes`]); requests
//! under way per destination ([`Terms::concurrency_limit`]) and, so that no set of URLs can use up all sockets, over
//! all destinations (sixteen times that); the time of one attempt and of all of them; how much of an answer is read.
//!
//! **Threads.** A few threads of its own, each with its own runtime, connections and queue, which share nothing but
//! counters: an ordering key belongs to one thread. Their priority is a little below that of the threads which serve MQTT
//! clients (`nice`) and not far below: a thread that gives way to a receiver on the same machine after each request sends
//! half as many.
//!
//! Credentials, signatures, TLS and terms of single receivers are theirs ([`Destination`]); what a module makes never
//! holds them.
//!
//! Terms and destinations may change at any time: each request brings those that it was made under ([`Receivers`]), so that
//! none gets credentials that were meant for another one, and order is kept across the change.
//!
//! Requests whose host a module chose itself reach public addresses only ([`Reach`], `guard.rs`).
//!
//! Nothing here follows redirects or uses proxies of the environment, and nothing shows bodies or credentials.

mod address;
mod clients;
mod counters;
mod destination;
mod direct;
mod endpoint;
mod file;
mod guard;
mod http;
mod lines;
mod notice;
mod outbox;
mod prefix;
pub mod priority;
mod queue;
mod request;
mod retry;
mod secret;
mod sender;
mod signing;
mod stdout;
mod target;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;
use tracing::error;

use counters::Counts;
use outbox::{Capacity, Memory};
use sender::Sender;

pub use clients::check_tls;
pub use counters::{Counters, Dropped};
pub use destination::{Destination, DestinationError, Destinations, Receivers, Terms, Via};
pub use endpoint::check_header;
pub use outbox::{Outbox, OutboxClosed};
pub use prefix::{UrlPrefix, UrlPrefixError, below};
pub use request::{OutboxRequest, Reach, shown};
pub use secret::Secret;
pub use signing::{SigningKey, SigningKeyError};
pub use stdout::StdoutFormat;
pub use tls::{Certificates, Identity, PemError, PrivateKey, ServerName, Tls};

/// How to deliver.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Sender threads, at least 1. One sends some 45,000 small requests a second over loopback.
    pub threads: usize,
    /// How requests are sent that belong to no destination.
    pub terms: Terms,
    /// Requests in the outbox, those under way included.
    pub queue_requests: usize,
    /// Their bytes, as [`OutboxRequest::size`] counts.
    pub queue_bytes: usize,
    /// Niceness of the sender threads; 0 leaves them as they are. 1, so that MQTT clients get somewhat more when processors
    /// are short. With more, a receiver on the same machine goes first and every request costs a wake-up.
    pub nice: i32,
    /// What `stdout:` prints.
    pub stdout: StdoutFormat,
    /// Receivers with credentials, TLS and terms of their own.
    pub destinations: Destinations,
}

impl Default for Settings {
    /// The defaults of RMQTT's web-hook where it has the setting.
    fn default() -> Settings {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Settings {
            // A sender is idle most of its time at usual rates; a broker needs the other cores more.
            threads: if cores <= 4 { 1 } else { cores / 4 },
            terms: Terms::default(),
            // Some seconds of a full load, or a minute of a modest one with its receiver down.
            queue_requests: 100_000,
            queue_bytes: 64 << 20,
            nice: 1,
            stdout: StdoutFormat::Auto,
            destinations: Destinations::default(),
        }
    }
}

/// Delivery could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A sender thread or its runtime could not be made.
    #[error("cannot start a sender thread")]
    Thread(#[source] std::io::Error),
}

/// The running senders. Dropping it instead of calling [`Delivery::stop`] stops them without any grace.
pub struct Delivery {
    outbox: Arc<Memory>,
    capacity: Arc<Capacity>,
    counts: Arc<Counts>,
    senders: Vec<Sender>,
}

impl Delivery {
    /// Starts the sender threads.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the system refuses threads; nothing runs then.
    pub fn start(settings: &Settings) -> Result<Delivery, StartError> {
        let capacity = Arc::new(Capacity::new(settings.queue_requests, settings.queue_bytes));
        let counts = Arc::new(Counts::default());
        let senders = (0..settings.threads.max(1))
            .map(|number| Sender::start(number, settings, Arc::clone(&capacity), Arc::clone(&counts)))
            .collect::<Result<Vec<_>, _>>()?;
        let inboxes = senders.iter().map(|sender| sender.inbox.clone()).collect();
        let outbox = Arc::new(Memory::new(Arc::clone(&capacity), Arc::clone(&counts), inboxes));
        Ok(Delivery {
            outbox,
            capacity,
            counts,
            senders,
        })
    }

    /// The outbox that feeds the senders.
    pub fn outbox(&self) -> Arc<dyn Outbox> {
        Arc::clone(&self.outbox) as Arc<dyn Outbox>
    }

    /// The counters now.
    pub fn counters(&self) -> Counters {
        self.counts.read(&self.capacity)
    }

    /// Accepts nothing more, goes on with what is accepted for at most `grace`, and joins the threads.
    ///
    /// A retry that is not due within `grace` is not waited for. What is left is counted as [`Dropped::closed`].
    /// Blocks the calling thread.
    pub fn stop(mut self, grace: Duration) -> Counters {
        /// Nobody waits longer, and the clock cannot overflow.
        const MAX_GRACE: Duration = Duration::from_secs(24 * 3600);
        self.capacity.close();
        let deadline = Instant::now() + grace.min(MAX_GRACE);
        let threads: Vec<_> = self.senders.drain(..).map(|sender| sender.stop(deadline)).collect();
        for thread in threads {
            if thread.join().is_err() {
                error!("a sender thread has panicked");
            }
        }
        self.counters()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.capacity.close();
    }
}
