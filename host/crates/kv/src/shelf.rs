//! Where modules find their state: in memory, and with a data folder on disk as well.
//!
//! A [`Shelf`] gives each module its [`Kv`] by name. What is in memory is what holds; a module never waits for a disk.
//! With a data folder every `Kv` notes which of its keys have changed, and one thread writes those to the file, at most
//! every [`INTERVAL`], and when the shelf is closed. So a host that is stopped keeps everything; a crash, or a machine
//! that loses its power, costs the last moment: what was changed in the interval before, and while the disk was busy.
//! Keys are written one by one: of a call that changed several, some may be kept. While the disk cannot be written,
//! modules go on and everything is written once it can.
//!
//! When a module is removed, its state stays on disk for [`DataSettings::keep_removed`], for whoever puts it back; one
//! that is not there an hour after the start counts as removed. Without a data folder it is forgotten at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use tracing::{error, info, warn};

use super::disk::{Changed, DataError, Disk, Saved};
use super::{Kv, KvBounds};

/// How long changes wait for others, so that many are written at once.
const INTERVAL: Duration = Duration::from_millis(100);

/// Keys that are read under one lock.
const CHUNK: usize = 256;

/// How often it is looked for state that nobody needs any more, and for how long after the start a module may come.
const HOUSEKEEPING: Duration = Duration::from_secs(3600);

/// How long to wait after a failed write, and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where state is kept on disk, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSettings {
    /// The folder, made if it is not there. One host at a time.
    pub dir: std::path::PathBuf,
    /// How long the state of a removed module is kept; zero: it is forgotten at once. 7 days: long enough to come back
    /// from a holiday to a file that went missing.
    pub keep_removed: Duration,
}

/// The same moment on two clocks: one for what runs, one for what outlives the process.
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

    /// An end on the wall's clock.
    pub(crate) fn to_wall(self, end: Instant) -> u64 {
        self.wall
            .saturating_add(milliseconds(end.saturating_duration_since(self.at)))
    }

    /// An end on the clock of what runs; none if it is over. No longer away than a time to live can be, however the
    /// wall's clock was set meanwhile.
    pub(crate) fn to_instant(self, end: u64) -> Option<Instant> {
        const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);
        let left = Duration::from_millis(end.checked_sub(self.wall).filter(|left| *left > 0)?);
        self.at.checked_add(left.min(LONGEST))
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The state of all modules, by name. A handle: clones share everything.
#[derive(Clone)]
pub struct Shelf(Arc<Inner>);

struct Inner {
    keep_removed: Duration,
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    /// What is in memory. Locked before the disk by whoever needs both.
    open: Mutex<BTreeMap<Arc<str>, Shelved>>,
    /// None: memory is all.
    disk: Option<Mutex<Disk>>,
    closing: Mutex<bool>,
    changed: Condvar,
}

struct Shelved {
    kv: Arc<Kv>,
    /// The module is gone; the state goes when nobody uses it any more.
    removed: bool,
}

impl Shelf {
    /// Keeps state as long as the module is there.
    pub fn in_memory() -> Shelf {
        Shelf::new(None, Duration::ZERO)
    }

    fn new(disk: Option<Disk>, keep_removed: Duration) -> Shelf {
        let shared = Shared {
            open: Mutex::default(),
            disk: disk.map(Mutex::new),
            closing: Mutex::new(false),
            changed: Condvar::new(),
        };
        Shelf(Arc::new(Inner {
            keep_removed,
            shared: Arc::new(shared),
            writer: Mutex::new(None),
        }))
    }

    /// Keeps state in a folder. Checks all that is kept there, which takes a moment if it is much; starts one thread.
    ///
    /// # Errors
    ///
    /// [`DataError`], with the file at fault, which stays as it is.
    pub fn open(settings: &DataSettings) -> Result<Shelf, DataError> {
        let shelf = Shelf::new(Some(Disk::open(&settings.dir)?), settings.keep_removed);
        let (shared, keep) = (Arc::clone(&shelf.0.shared), settings.keep_removed);
        let started = std::thread::Builder::new()
            .name("kv-writer".to_owned())
            .spawn(move || shared.run(keep));
        *lock(&shelf.0.writer) = Some(started.map_err(DataError::Thread)?);
        Ok(shelf)
    }

    /// The state of a module: what is in memory, else what was kept, else none. Reads from the disk at the first time.
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
        let shelved = Shelved {
            kv: Arc::clone(&kv),
            removed: false,
        };
        open.insert(module.into(), shelved);
        kv
    }

    /// The module is removed. What its last instances write is no longer of interest, unless state is kept.
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
                found.kv.stop_noting();
                found.kv = Kv::anew(KvBounds::default());
            }
        }
    }

    /// Writes what has changed, and nothing from then on. Blocks the calling thread while it writes. The folder is free
    /// for another host afterwards, whoever still has a clone.
    pub fn close(&self) {
        self.0.end();
    }
}

/// What was kept for a module.
fn load(disk: &mut Disk, module: &str) -> Arc<Kv> {
    let kept = disk.load(module).unwrap_or_else(|reason| {
        error!(
            module,
            reason, "what a module has kept cannot be read; it begins without"
        );
        Vec::new()
    });
    let (kv, left_out) = Kv::restored(KvBounds::default(), kept, Now::read());
    let keys = kv.usage().keys;
    if keys > 0 {
        info!(module, keys, "the module finds what it has kept");
    }
    if left_out > 0 {
        warn!(
            module,
            left_out, "the module has kept more than it may; the rest is forgotten"
        );
    }
    kv
}

impl Default for Shelf {
    fn default() -> Shelf {
        Shelf::in_memory()
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

/// Without [`close`](Shelf::close) the last changes are written all the same.
impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn run(&self, keep: Duration) {
        let Some(disk) = &self.disk else { return };
        let mut next_look = Instant::now() + HOUSEKEEPING;
        self.forget_removed(disk, keep, false);
        let (mut wait, mut failed) = (INTERVAL, false);
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
                    (wait, failed) = (INTERVAL, false);
                }
                Ok(()) => {}
                Err(reason) if failed && !closing => {
                    wait = (wait * 2).min(LONGEST_WAIT);
                    warn!(reason, retry_in = ?wait, "the state of modules is still not written to disk");
                }
                Err(reason) => {
                    (wait, failed) = (FIRST_WAIT, true);
                    error!(reason, "the state of modules is not written to disk");
                }
            }
            if closing {
                return;
            }
            if Instant::now() >= next_look {
                next_look += HOUSEKEEPING;
                self.forget_removed(disk, keep, true);
            }
        }
    }

    /// Writes what has changed since the last time. After an error everything counts as changed.
    fn write(&self, disk: &Mutex<Disk>) -> Result<(), String> {
        let open: Vec<_> = lock(&self.open)
            .iter()
            .map(|(module, shelved)| (Arc::clone(module), Arc::clone(&shelved.kv)))
            .collect();
        let changes: Vec<Changed> = open.iter().filter_map(|(module, kv)| changed(module, kv)).collect();
        if !changes.is_empty() {
            let written = lock(disk).write(&changes);
            if let Err(reason) = written {
                open.iter().for_each(|(_, kv)| kv.note_all());
                return Err(reason);
            }
        }
        drop((open, changes));
        let mut gone = Vec::new();
        // Held to the end: who comes back meanwhile is not to be marked.
        let mut open = lock(&self.open);
        open.retain(|module, Shelved { kv, removed }| {
            let stays = !*removed || Arc::strong_count(kv) > 1 || kv.has_changed();
            if !stays {
                gone.push(Arc::clone(module));
            }
            stays
        });
        let now = Now::read().wall;
        gone.iter().try_for_each(|module| lock(disk).mark(module, Some(now)))
    }

    /// Forgets modules that were removed long enough ago; `all_came` if those that are there have come by now.
    fn forget_removed(&self, disk: &Mutex<Disk>, keep: Duration, all_came: bool) {
        // Held to the end, as above.
        let open = lock(&self.open);
        let now = Now::read().wall;
        let mut disk = lock(disk);
        let mut forget = || {
            let mut modules = disk.modules()?;
            modules.retain(|module, _| !open.contains_key(module.as_str()));
            if all_came {
                for (module, _) in modules.iter().filter(|(_, since)| since.is_none()) {
                    disk.mark(module, Some(now))?;
                }
            }
            let over = overdue(&modules, now, keep);
            if !over.is_empty() {
                disk.forget(&over)?;
                info!(
                    modules = over.join(", "),
                    "the state of modules that were removed is forgotten"
                );
            }
            Ok::<_, String>(())
        };
        if let Err(reason) = forget() {
            warn!(reason, "the state of removed modules is kept for longer");
        }
    }
}

/// Those that have been away for longer than they are kept.
fn overdue(modules: &BTreeMap<String, Option<u64>>, now: u64, keep: Duration) -> Vec<String> {
    let is_over = |since: u64| now.saturating_sub(since) >= milliseconds(keep);
    let over = modules.iter().filter(|(_, since)| since.is_some_and(is_over));
    over.map(|(module, _)| module.clone()).collect()
}

/// What has changed in the state of a module, as it is now; none if nothing has.
fn changed(module: &Arc<str>, kv: &Kv) -> Option<Changed> {
    let (reset, names) = kv.take_changed()?;
    let mut keys = Vec::with_capacity(names.len());
    for chunk in names.chunks(CHUNK) {
        kv.read(chunk, Now::read(), &mut keys);
    }
    let module = Arc::clone(module);
    Some(Changed { module, reset, keys })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is kept of an entry.
pub(crate) fn saved(value: bytes::Bytes, end: Option<Instant>, now: Now) -> Saved {
    let end = end.map(|end| now.to_wall(end));
    Saved { value, end }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
