//! The store: collects changes from all clients and writes them in commits, on a thread of its own.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::batch::Batch;
use crate::file::{File, Numbers};
use crate::{Changes, Contents, MessageRecord, StoreError, StoredMessage};

/// How long the thread waits after a failed commit before it tries again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How often a commit that keeps failing is logged.
const FAILURE_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Sessions and retained messages on disk. Dropping it writes what is pending, unless the disk fails.
pub struct Store {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    pending: Mutex<Pending>,
    /// Signals that `pending` has changed.
    changed: Condvar,
    next_session: AtomicU64,
    next_message: AtomicU64,
    commits: AtomicU64,
    failures: AtomicU64,
}

struct Pending {
    batch: Batch,
    /// Whether anything was submitted since the last commit began.
    is_dirty: bool,
    closing: bool,
    /// The commit that will write the batch.
    next: Arc<Progress>,
    /// The commit that is being written, or was written last.
    current: Arc<Progress>,
}

/// Counters of a store since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreCounters {
    /// Commits on disk.
    pub commits: u64,
    /// Attempts to write a commit that have failed.
    pub failures: u64,
}

#[derive(Default)]
struct Progress {
    is_finished: AtomicBool,
    finished: Notify,
}

impl Progress {
    fn finish(&self) {
        self.is_finished.store(true, Ordering::Release);
        self.finished.notify_waiters();
    }
}

/// A commit that changes are part of.
#[must_use = "the changes are not on the disk before this commit has finished"]
pub struct Commit(Arc<Progress>);

impl Commit {
    /// Waits until the commit is on the disk, or the store is closed.
    pub async fn finished(&self) {
        let finished = self.0.finished.notified();
        tokio::pin!(finished);
        finished.as_mut().enable();
        if !self.0.is_finished.load(Ordering::Acquire) {
            finished.await;
        }
    }
}

impl Store {
    /// Opens the file in the folder `dir`, creates both if they are missing, and returns its contents.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the folder cannot be created, the file cannot be used or read, or no thread can be created.
    pub fn open(dir: &Path) -> Result<(Store, Contents), StoreError> {
        let file = File::open(dir)?;
        let (contents, next) = file.read()?;
        if contents.damaged > 0 {
            tracing::error!(
                values = contents.damaged,
                file = %dir.join(crate::file::FORMAT.file).display(),
                "the file of sessions is damaged in part; these values are lost"
            );
        }
        let shared = Arc::new(Shared {
            pending: Mutex::new(Pending {
                batch: Batch::default(),
                is_dirty: false,
                closing: false,
                next: Arc::default(),
                current: Arc::new(Progress {
                    is_finished: AtomicBool::new(true),
                    finished: Notify::new(),
                }),
            }),
            changed: Condvar::new(),
            next_session: AtomicU64::new(next.session),
            next_message: AtomicU64::new(next.message),
            commits: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        });
        let writer = std::thread::Builder::new().name("sessions".to_owned());
        let writer = writer.spawn({
            let shared = Arc::clone(&shared);
            move || shared.write_all(file)
        });
        let writer = Mutex::new(Some(writer.map_err(StoreError::Thread)?));
        Ok((Store { shared, writer }, contents))
    }

    /// The number of a new session.
    pub fn new_session(&self) -> u64 {
        self.shared.next_session.fetch_add(1, Ordering::Relaxed)
    }

    /// A message that [`Changes::enqueue`] can refer to. It is stored with its first delivery.
    pub fn new_message(&self, message: &MessageRecord) -> Arc<StoredMessage> {
        let number = self.shared.next_message.fetch_add(1, Ordering::Relaxed);
        Arc::new(StoredMessage::new(number, message))
    }

    /// Adds changes to the next commit. Never waits for the disk.
    pub fn submit(&self, changes: Changes) -> Commit {
        let mut pending = self.shared.lock();
        if changes.is_empty() || pending.closing {
            return pending.last_commit();
        }
        pending.batch.add(changes);
        pending.is_dirty = true;
        let commit = Commit(Arc::clone(&pending.next));
        drop(pending);
        self.shared.changed.notify_one();
        commit
    }

    /// The commit after which everything submitted so far is on the disk.
    pub fn last_commit(&self) -> Commit {
        self.shared.lock().last_commit()
    }

    /// Writes what is pending, unless the disk fails, and closes the file. Later changes have no effect.
    pub fn close(&self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_one();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the thread that writes sessions has panicked");
        }
    }

    /// Counters since the store was opened.
    pub fn counters(&self) -> StoreCounters {
        StoreCounters {
            commits: self.shared.commits.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl Pending {
    fn last_commit(&self) -> Commit {
        Commit(Arc::clone(if self.is_dirty { &self.next } else { &self.current }))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        // A panic cannot leave it in a state that is not valid.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes commits until the store is closed and nothing is pending.
    fn write_all(&self, file: File) {
        loop {
            let mut pending = self.lock();
            while !pending.is_dirty {
                if pending.closing {
                    return;
                }
                pending = self.changed.wait(pending).unwrap_or_else(PoisonError::into_inner);
            }
            pending.is_dirty = false;
            let batch = std::mem::take(&mut pending.batch);
            let progress = std::mem::take(&mut pending.next);
            pending.current = Arc::clone(&progress);
            drop(pending);
            let written = batch.is_empty() || self.write(&file, &batch);
            progress.finish();
            if !written {
                self.lock().next.finish();
                return;
            }
        }
    }

    /// Writes a commit, as often as it takes; false if the store is closed before that.
    fn write(&self, file: &File, batch: &Batch) -> bool {
        let mut logged: Option<Instant> = None;
        loop {
            let next = Numbers {
                session: self.next_session.load(Ordering::Relaxed),
                message: self.next_message.load(Ordering::Relaxed),
            };
            let Err(error) = file.write(batch, next) else {
                if logged.is_some() {
                    tracing::info!("sessions can be written again");
                }
                self.commits.fetch_add(1, Ordering::Relaxed);
                return true;
            };
            self.failures.fetch_add(1, Ordering::Relaxed);
            if logged.is_none_or(|at| at.elapsed() >= FAILURE_LOG_INTERVAL) {
                logged = Some(Instant::now());
                tracing::error!(%error, "cannot write sessions; publishers of persistent messages wait until it succeeds");
            }
            let pending = self.lock();
            let waited = self
                .changed
                .wait_timeout_while(pending, RETRY_INTERVAL, |pending| !pending.closing)
                .unwrap_or_else(PoisonError::into_inner);
            if waited.0.closing {
                tracing::error!("sessions could not be written at the end; their last changes are lost");
                return false;
            }
        }
    }
}
