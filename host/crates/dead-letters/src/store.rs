//! [`Store`] and [`Collection`]: what callers see.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tracing::error;

use super::file::{Changes, File, StoreError};
use super::index::Index;
use super::record::{self, Parts, StoredRecord};
use super::{Kind, Limits, Usage, writer};

/// Runs once when a record is on disk, or at once in a store without a file. Must not block.
pub type Stored = Box<dyn FnOnce() + Send>;

/// The collections, and the thread that writes them. Dropping it writes what is pending.
pub struct Store {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The records of one kind. Clones share them.
#[derive(Clone)]
pub struct Collection {
    shared: Arc<Shared>,
    kind: Kind,
}

pub(crate) struct Shared {
    /// `None` without a data folder.
    pub(crate) file: Option<File>,
    pub(crate) state: Mutex<State>,
    /// Wakes the thread that writes.
    pub(crate) work: Condvar,
    /// Wakes callers of [`Collection::flush`].
    pub(crate) committed: Condvar,
}

pub(crate) struct State {
    pub(crate) parts: [Part; 2],
    /// Commits that have started and ended, and those that have failed.
    pub(crate) started: u64,
    pub(crate) ended: u64,
    pub(crate) failed: u64,
    pub(crate) is_closed: bool,
    /// The thread has ended.
    pub(crate) is_over: bool,
}

/// The state of one collection.
pub(crate) struct Part {
    pub(crate) index: Index,
    /// The next number.
    pub(crate) next: u64,
    /// The changes since the last commit; without a file the content of all records.
    pub(crate) pending: Changes,
    /// What the running commit writes.
    pub(crate) writing: Arc<Changes>,
    /// What to run after the commit of `pending`.
    pub(crate) stored: Vec<Stored>,
}

impl Store {
    /// Creates a store in memory. `limits` are those of each kind.
    pub fn in_memory(limits: impl Fn(Kind) -> Limits) -> Store {
        let parts = Kind::ALL.map(|kind| Part::new(limits(kind)));
        Store {
            shared: Arc::new(Shared::new(None, parts)),
            thread: None,
        }
    }

    /// Opens the file in `dir`. Creates both if they are missing, closed to other users. `limits` are those of each kind.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the folder cannot be created or the file cannot be used.
    pub fn open(dir: &Path, limits: impl Fn(Kind) -> Limits) -> Result<Store, StoreError> {
        let file = File::open(dir)?;
        let mut parts = Kind::ALL.map(|kind| Part::new(limits(kind)));
        for (part, kind) in parts.iter_mut().zip(Kind::ALL) {
            part.load(&file, kind)?;
        }
        let shared = Arc::new(Shared::new(Some(file), parts));
        let thread = writer::start(&shared).map_err(StoreError::Thread)?;
        Ok(Store {
            shared,
            thread: Some(thread),
        })
    }

    /// Returns the records of one kind.
    pub fn collection(&self, kind: Kind) -> Collection {
        Collection {
            shared: Arc::clone(&self.shared),
            kind,
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.work.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread that writes dead letters has panicked");
        }
    }
}

impl Collection {
    /// Keeps a record and returns its number. `at` is the time in milliseconds since 1970. `stored` runs when the record
    /// is on disk, also if the limits have dropped it by then.
    pub fn put(&self, group: &str, at: u64, content: &[u8], stored: Option<Stored>) -> u64 {
        let bytes = record::encode(group, at, content);
        let mut state = self.shared.lock();
        let part = state.part(self.kind);
        let number = part.next;
        part.next += 1;
        let is_on_disk = self.shared.file.is_some();
        let evicted = part.index.insert(number, group, at, content.len());
        part.put(number, bytes, evicted, is_on_disk);
        let now = match stored {
            Some(stored) if is_on_disk => {
                part.stored.push(stored);
                None
            }
            stored => stored,
        };
        drop(state);
        self.shared.work.notify_one();
        if let Some(stored) = now {
            stored();
        }
        number
    }

    /// Puts a record back that was taken.
    pub fn put_back(&self, group: &str, kept: &StoredRecord) {
        let bytes = record::encode(group, kept.at, &kept.content);
        let mut state = self.shared.lock();
        let part = state.part(self.kind);
        let evicted = part.index.insert(kept.number, group, kept.at, kept.content.len());
        part.put(kept.number, bytes, evicted, self.shared.file.is_some());
        drop(state);
        self.shared.work.notify_one();
    }

    /// Returns a record.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file cannot be read or the record is damaged.
    pub fn get(&self, number: u64) -> Result<Option<StoredRecord>, StoreError> {
        let mut state = self.shared.lock();
        let part = state.part(self.kind);
        if !part.index.contains(number) {
            return Ok(None);
        }
        let bytes = part.pending.get(&number).or_else(|| part.writing.get(&number)).cloned();
        drop(state);
        let bytes = match (bytes, &self.shared.file) {
            (Some(bytes), _) => bytes,
            (None, Some(file)) => file.get(self.kind, number)?,
            (None, None) => None,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        let Parts { at, content, .. } = record::decode(bytes).ok_or(StoreError::Damaged { number })?;
        Ok(Some(StoredRecord { number, at, content }))
    }

    /// Removes a record. Returns whether it existed.
    pub fn remove(&self, number: u64) -> bool {
        let mut state = self.shared.lock();
        let part = state.part(self.kind);
        let existed = part.index.remove(number);
        if existed {
            part.forget(number, self.shared.file.is_some());
        }
        drop(state);
        self.shared.work.notify_one();
        existed
    }

    /// Returns numbers below `before`, newest first: at most `count`, of one group or of all. Drops what is too old.
    pub fn numbers(&self, group: Option<&str>, before: Option<u64>, count: usize) -> Vec<u64> {
        let mut state = self.shared.lock();
        let part = state.part(self.kind);
        part.expire(self.shared.file.is_some());
        part.index.numbers(group, before.unwrap_or(u64::MAX), count)
    }

    /// Returns how much a group has.
    pub fn usage(&self, group: &str) -> Usage {
        self.shared.lock().part(self.kind).index.usage(group)
    }

    /// Waits until all records are on disk, for at most `time`. Returns whether they are.
    pub fn flush(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut state = self.shared.lock();
        if self.shared.file.is_none() {
            return true;
        }
        let is_pending = state.parts.iter().any(|part| !part.pending.is_empty());
        let commit = state.started + u64::from(is_pending);
        let failed = state.failed;
        self.shared.work.notify_one();
        while state.ended < commit {
            let left = end.saturating_duration_since(Instant::now());
            if state.is_over || state.failed > failed || left.is_zero() {
                return false;
            }
            let woken = self.shared.committed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Shared {
    fn new(file: Option<File>, parts: [Part; 2]) -> Shared {
        let state = State {
            parts,
            started: 0,
            ended: 0,
            failed: 0,
            is_closed: false,
            is_over: false,
        };
        Shared {
            file,
            state: Mutex::new(state),
            work: Condvar::new(),
            committed: Condvar::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held would be a bug in this crate; the maps are valid after each statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn part(&mut self, kind: Kind) -> &mut Part {
        // In the order of `Kind::ALL`.
        let [requests, events] = &mut self.parts;
        match kind {
            Kind::Requests => requests,
            Kind::Events => events,
        }
    }
}

impl Part {
    fn new(limits: Limits) -> Part {
        Part {
            index: Index::new(limits),
            next: 1,
            pending: BTreeMap::new(),
            writing: Arc::default(),
            stored: Vec::new(),
        }
    }

    /// Reads what the file has. Damaged records are removed.
    fn load(&mut self, file: &File, kind: Kind) -> Result<(), StoreError> {
        let mut damaged = Vec::new();
        let mut gone = Vec::new();
        let index = &mut self.index;
        self.next = file.load(kind, |number, bytes| match record::decode(bytes) {
            Some(Parts { at, group, content }) => gone.extend(index.insert(number, &group, at, content.len())),
            None => damaged.push(number),
        })?;
        if !damaged.is_empty() {
            error!(
                records = damaged.len(),
                "records of dead letters are damaged and removed"
            );
        }
        let removed = damaged.into_iter().chain(gone);
        self.pending.extend(removed.map(|number| (number, None)));
        Ok(())
    }

    /// Adds the bytes of a record, and removes those of the records that have to go because of it.
    fn put(&mut self, number: u64, bytes: Bytes, evicted: Vec<u64>, is_on_disk: bool) {
        self.pending.insert(number, Some(bytes));
        for number in evicted {
            self.forget(number, is_on_disk);
        }
    }

    /// Drops the records that are too old.
    pub(crate) fn expire(&mut self, is_on_disk: bool) {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        for number in self.index.expire(now) {
            self.forget(number, is_on_disk);
        }
    }

    /// Removes the content of a record that is no longer in the index.
    fn forget(&mut self, number: u64, is_on_disk: bool) {
        if is_on_disk {
            self.pending.insert(number, None);
        } else {
            self.pending.remove(&number);
        }
    }
}
