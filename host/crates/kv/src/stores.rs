//! The stores of all modules by name: in memory, and with a data folder on disk as well.
//!
//! [`KvStores`] returns the [`Kv`] of a module. Modules read and write memory only; they never wait for a disk. With a
//! data folder every `Kv` tracks which of its keys have changed. One thread writes these keys to the file, at most once
//! per [`WRITE_INTERVAL`], and when the stores are closed.
//!
//! A host that stops in order loses nothing. A crash or a power failure loses the changes of the last interval, and those
//! that waited for a busy disk. Keys are written one by one, so after a crash only some of the keys that one call changed
//! may be on disk. While the disk cannot be written, modules keep running; the changes are written once it can.
//!
//! The state of a removed module stays on disk for [`DataSettings::keep_removed`], so that the module finds it when it is
//! added again. A module that has not been loaded within an hour of the start counts as removed. Without a data folder the
//! state of a removed module is dropped at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tracing::{error, info, warn};

use super::disk::{DataError, Disk, StoreChanges, StoredValue};
use super::{Kv, KvBounds};

/// How long changes are collected before they are written together.
const WRITE_INTERVAL: Duration = Duration::from_millis(100);

/// Keys that are read while the lock is held once.
const KEYS_PER_LOCK: usize = 256;

/// How often expired state of removed modules is deleted, and how long after the start a module may still be loaded before it
/// counts as removed.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3600);

/// The wait after the first failed write. It doubles with each further failure, up to [`MAX_RETRY_WAIT`].
const MIN_RETRY_WAIT: Duration = Duration::from_secs(1);
const MAX_RETRY_WAIT: Duration = Duration::from_secs(30);

/// Where the state of modules is kept on disk, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSettings {
    /// The folder; created if it does not exist. One host at a time can use it.
    pub dir: std::path::PathBuf,
    /// How long the state of a removed module is kept; zero drops it at once. Default 7 days: enough time to notice that a
    /// file is missing.
    pub keep_removed: Duration,
}

/// One moment on two clocks: the monotonic clock of this process, and the wall clock that is stored on disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at: Instant,
    /// Milliseconds since 1970.
    pub(crate) wall: u64,
}

impl Now {
    fn read() -> Now {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Now {
            at: Instant::now(),
            wall: since.map_or(0, milliseconds),
        }
    }

    /// Converts an expiry to the wall clock, in milliseconds since 1970.
    pub(crate) fn to_wall(self, end: Instant) -> u64 {
        self.wall
            .saturating_add(milliseconds(end.saturating_duration_since(self.at)))
    }

    /// Converts an expiry of the wall clock to the monotonic clock; `None` if it has passed. The result is never further
    /// away than the longest time to live, even if the wall clock was changed.
    pub(crate) fn to_instant(self, end: u64) -> Option<Instant> {
        const MAX_TTL: Duration = Duration::from_secs(u32::MAX as u64);
        let left = Duration::from_millis(end.checked_sub(self.wall).filter(|left| *left > 0)?);
        self.at.checked_add(left.min(MAX_TTL))
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The stores of all modules, by name. Clones share everything.
#[derive(Clone)]
pub struct KvStores(Arc<Inner>);

struct Inner {
    keep_removed: Duration,
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// The stores in memory. Code that needs both locks takes this one before that of the disk.
    open: Mutex<BTreeMap<Arc<str>, OpenStore>>,
    /// `None` without a data folder.
    disk: Option<Mutex<Disk>>,
    closing: Mutex<bool>,
    changed: Condvar,
}

struct OpenStore {
    kv: Arc<Kv>,
    /// The module was removed; the store is dropped when its last user is gone.
    removed: bool,
}

impl KvStores {
    /// Stores in memory only: they last as long as the module is loaded.
    pub fn in_memory() -> KvStores {
        KvStores::new(None, Duration::ZERO)
    }

    fn new(disk: Option<Disk>, keep_removed: Duration) -> KvStores {
        let shared = Shared {
            open: Mutex::default(),
            disk: disk.map(Mutex::new),
            closing: Mutex::new(false),
            changed: Condvar::new(),
        };
        KvStores(Arc::new(Inner {
            keep_removed,
            shared: Arc::new(shared),
            writer: Mutex::new(None),
        }))
    }

    /// Opens the stores of a data folder and starts the thread that writes them. Checks the whole file, which takes longer
    /// the larger it is.
    ///
    /// # Errors
    ///
    /// [`DataError`] names the file or folder that cannot be used; it is left unchanged.
    pub fn open(settings: &DataSettings) -> Result<KvStores, DataError> {
        let stores = KvStores::new(Some(Disk::open(&settings.dir)?), settings.keep_removed);
        let (shared, keep) = (Arc::clone(&stores.0.shared), settings.keep_removed);
        let started = std::thread::Builder::new()
            .name("kv-writer".to_owned())
            .spawn(move || shared.run(keep));
        *lock(&stores.0.writer) = Some(started.map_err(DataError::Thread)?);
        Ok(stores)
    }

    /// The store of a module. The first call reads it from disk, if it is there; otherwise the store is empty.
    pub fn kv(&self, module: &str) -> Arc<Kv> {
        let mut open = lock(&self.0.shared.open);
        if let Some(found) = open.get_mut(module) {
            found.removed = false;
            return Arc::clone(&found.kv);
        }
        let kv = match &self.0.shared.disk {
            Some(disk) => load(&mut lock(disk), module),
            None => Kv::new(KvBounds::default()),
        };
        let store = OpenStore {
            kv: Arc::clone(&kv),
            removed: false,
        };
        open.insert(module.into(), store);
        kv
    }

    /// Marks a module as removed. Its store is dropped at once, or kept for [`DataSettings::keep_removed`].
    pub fn remove(&self, module: &str) {
        let Inner {
            shared, keep_removed, ..
        } = &*self.0;
        let mut open = lock(&shared.open);
        if shared.disk.is_none() {
            open.remove(module);
        } else if let Some(found) = open.get_mut(module) {
            found.removed = true;
            if keep_removed.is_zero() {
                found.kv.stop_tracking();
                found.kv = Kv::emptied(KvBounds::default());
            }
        }
    }

    /// Writes all changes and closes the file; later changes stay in memory. Blocks the calling thread while it writes.
    /// Another host can use the folder afterwards, even while clones of this value exist.
    pub fn close(&self) {
        self.0.end();
    }
}

/// Reads the store of a module from disk.
fn load(disk: &mut Disk, module: &str) -> Arc<Kv> {
    let kept = disk.load(module).unwrap_or_else(|reason| {
        error!(
            module,
            reason, "the stored state of the module cannot be read; the module starts with an empty store"
        );
        Vec::new()
    });
    let (kv, left_out) = Kv::restored(KvBounds::default(), kept, Now::read());
    let keys = kv.usage().keys;
    if keys > 0 {
        info!(module, keys, "the module's stored state is loaded");
    }
    if left_out > 0 {
        warn!(
            module,
            left_out, "the module's stored state exceeds its limits; the rest is dropped"
        );
    }
    kv
}

impl Default for KvStores {
    fn default() -> KvStores {
        KvStores::in_memory()
    }
}

impl Inner {
    fn end(&self) {
        *lock(&self.shared.closing) = true;
        self.shared.changed.notify_all();
        if let Some(thread) = lock(&self.writer).take() {
            // A panic was reported when it happened.
            drop(thread.join());
        }
        if let Some(disk) = &self.shared.disk {
            lock(disk).close();
        }
    }
}

/// The last changes are written even without [`close`](KvStores::close).
impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn run(&self, keep: Duration) {
        let Some(disk) = &self.disk else { return };
        let mut next_look = Instant::now() + CLEANUP_INTERVAL;
        self.forget_removed(disk, keep, false);
        let (mut wait, mut failed) = (WRITE_INTERVAL, false);
        loop {
            let closing = lock(&self.closing);
            let closing = *self
                .changed
                .wait_timeout_while(closing, wait, |closing| !*closing)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            match self.write(disk) {
                Ok(()) if failed => {
                    info!("the state of modules is written to disk again");
                    (wait, failed) = (WRITE_INTERVAL, false);
                }
                Ok(()) => {}
                Err(reason) if failed && !closing => {
                    wait = (wait * 2).min(MAX_RETRY_WAIT);
                    warn!(reason, retry_in = ?wait, "the state of modules is still not written to disk");
                }
                Err(reason) => {
                    (wait, failed) = (MIN_RETRY_WAIT, true);
                    error!(reason, "the state of modules is not written to disk");
                }
            }
            if closing {
                return;
            }
            if Instant::now() >= next_look {
                next_look += CLEANUP_INTERVAL;
                self.forget_removed(disk, keep, true);
            }
        }
    }

    /// Writes what has changed since the last call. After an error everything counts as changed.
    fn write(&self, disk: &Mutex<Disk>) -> Result<(), String> {
        let open: Vec<_> = lock(&self.open)
            .iter()
            .map(|(module, store)| (Arc::clone(module), Arc::clone(&store.kv)))
            .collect();
        let changes: Vec<StoreChanges> = open.iter().filter_map(|(module, kv)| changed(module, kv)).collect();
        if !changes.is_empty() {
            let written = lock(disk).write(&changes);
            if let Err(reason) = written {
                open.iter().for_each(|(_, kv)| kv.track_all());
                return Err(reason);
            }
        }
        drop((open, changes));
        let mut gone = Vec::new();
        // Held to the end, so that a module that is loaded again meanwhile is not marked as removed.
        let mut open = lock(&self.open);
        open.retain(|module, OpenStore { kv, removed }| {
            let stays = !*removed || Arc::strong_count(kv) > 1 || kv.has_changed();
            if !stays {
                gone.push(Arc::clone(module));
            }
            stays
        });
        let now = Now::read().wall;
        gone.iter().try_for_each(|module| lock(disk).mark(module, Some(now)))
    }

    /// Deletes the state of modules that were removed longer ago than it is kept. With `all_loaded`, modules that have not
    /// been loaded since the start count as removed.
    fn forget_removed(&self, disk: &Mutex<Disk>, keep: Duration, all_loaded: bool) {
        // Held to the end, as above.
        let open = lock(&self.open);
        let now = Now::read().wall;
        let mut disk = lock(disk);
        let mut forget = || {
            let mut modules = disk.modules()?;
            modules.retain(|module, _| !open.contains_key(module.as_str()));
            if all_loaded {
                for (module, _) in modules.iter().filter(|(_, since)| since.is_none()) {
                    disk.mark(module, Some(now))?;
                }
            }
            let over = overdue(&modules, now, keep);
            if !over.is_empty() {
                disk.forget(&over)?;
                info!(modules = over.join(", "), "the state of removed modules is deleted");
            }
            Ok::<_, String>(())
        };
        if let Err(reason) = forget() {
            warn!(reason, "the state of removed modules cannot be deleted yet");
        }
    }
}

/// The modules that were removed longer ago than their state is kept.
fn overdue(modules: &BTreeMap<String, Option<u64>>, now: u64, keep: Duration) -> Vec<String> {
    let is_over = |since: u64| now.saturating_sub(since) >= milliseconds(keep);
    let over = modules.iter().filter(|(_, since)| since.is_some_and(is_over));
    over.map(|(module, _)| module.clone()).collect()
}

/// The changed keys of a module with their current values; `None` if nothing has changed.
fn changed(module: &Arc<str>, kv: &Kv) -> Option<StoreChanges> {
    let (reset, names) = kv.take_changed()?;
    let mut keys = Vec::with_capacity(names.len());
    for chunk in names.chunks(KEYS_PER_LOCK) {
        kv.read(chunk, Now::read(), &mut keys);
    }
    let module = Arc::clone(module);
    Some(StoreChanges { module, reset, keys })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The form in which an entry is stored on disk.
pub(crate) fn saved(value: bytes::Bytes, end: Option<Instant>, now: Now) -> StoredValue {
    let end = end.map(|end| now.to_wall(end));
    StoredValue { value, end }
}

#[cfg(test)]
#[path = "stores_tests.rs"]
mod tests;
