//! [`Delivery`]: starts and stops the sender threads, and what keeps requests.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use hookhost_dead_letters::Collection;
use hookhost_jetstream::SharedOutbox;
use hookhost_outbox::{Store, StoreError};
use thiserror::Error;
use tokio::time::Instant;
use tracing::error;

use super::capacity::Capacity;
use super::counters::{Counters, Counts};
use super::dead_letters::DeadLetters;
use super::journal::Journal;
use super::letter_store::LetterStore;
use super::monitor::Monitor;
use super::on_disk::OnDisk;
use super::outbox::{Inboxes, Outbox};
use super::publish::Publisher;
use super::restore;
use super::sender::Sender;
use super::settings::{DiskSettings, Settings};
use super::shared::SharedIntake;

/// Delivery could not be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A sender thread or its runtime could not be created.
    #[error("cannot start a sender thread")]
    Thread(#[source] std::io::Error),
    /// The data folder cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where requests are until they are delivered or given up, apart from the memory.
pub enum Storage {
    /// Nowhere else.
    Memory,
    /// In the data folder. A new process sends those of the previous one first.
    Disk(Store),
    /// In an outbox that several hosts share. Each host delivers a part of its requests.
    Shared {
        /// The outbox.
        outbox: SharedOutbox,
        /// The outbox of the data folder: what it has goes to the shared outbox, and requests wait there while NATS cannot
        /// be used. `None`: modules wait then.
        backlog: Option<Store>,
    },
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
    letters: LetterStore,
    resending: Arc<Mutex<()>>,
    senders: Vec<Sender>,
    /// The threads of the journal, which restore requests and commit; or those of the shared outbox.
    journal_threads: Vec<JoinHandle<()>>,
}

impl Delivery {
    /// Starts the sender threads. `storage` keeps requests until they are delivered or dropped. Requests that the host has
    /// given up become records of `letters`, or dead letters of the shared outbox.
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
            Storage::Shared { outbox, backlog } => shared = Some((outbox, backlog)),
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
        let letters = LetterStore {
            local: letters,
            shared: shared.as_ref().map(|(outbox, _)| outbox.dead_letters().clone()),
        };
        let senders = (0..settings.threads.max(1))
            .map(|number| {
                Sender::start(
                    number,
                    settings,
                    publisher.clone(),
                    Arc::clone(&window),
                    (on_disk.clone(), shared.as_ref().map(|(outbox, _)| outbox.clone())),
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
        let shared = shared.map(|(shared, backlog)| {
            SharedIntake::start(shared, backlog, settings.disk.max_bytes, &outbox, &letters, &counts)
        });
        let shared = shared.transpose()?.map(|(shared, threads)| {
            journal_threads.extend(threads);
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
            shared: self.shared.clone(),
            counts: Arc::clone(&self.counts),
        }
    }

    /// Returns the dead letters.
    pub fn dead_letters(&self) -> DeadLetters {
        DeadLetters {
            letters: self.letters.clone(),
            outbox: Arc::clone(&self.outbox),
            on_disk: self.on_disk.clone(),
            shared: self.shared.clone(),
            resending: Arc::clone(&self.resending),
        }
    }

    /// Accepts no more requests, continues to send the accepted ones for at most `grace`, and joins the threads.
    ///
    /// Does not wait for a retry that is due after `grace`. The requests left are counted as [`Dropped::closed`](super::Dropped::closed), or stay
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
        if let Some(shared) = &self.shared {
            shared.report_left();
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
            shared.close();
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
