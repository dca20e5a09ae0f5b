//! Notices that the modules folder has changed, or one of some files.
//!
//! One thread waits for the system's word, lets the folder settle (a quiet time, shorter for what was renamed, and a
//! longest wait under steady writing), and then calls back; what has really changed is for the callee to find out. The
//! folder itself is watched and the nearest folder above it that exists, so that one which appears later, is replaced,
//! or is a link that is turned round is noticed too. Events only say "look": their names are not trusted with more.
//! The files, those of the configuration, are watched by way of the folders that they are in; what else happens there is
//! not looked at. A file may be a link, or lie on a system that tells nothing, so its size and time are compared as well.
//! Every two seconds the thread makes sure that it still watches the right folders; where the system cannot watch, it
//! looks. A file that is found to be another one without having been told of is given time to become whole, too.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::{debug, warn};

use super::generation::lock;

/// So long nothing may happen before the folder is looked at: a copy writes more often than that.
const QUIET: Duration = Duration::from_millis(50);
/// So long if files were only renamed into the folder or out of it: they are whole, and perhaps another one follows.
const QUIET_RENAMED: Duration = Duration::from_millis(10);
/// So long a file may not change on a system that tells nothing, where it is looked at twice: longer than whoever writes it
/// pauses, and than such systems take to show it.
const QUIET_UNTOLD: Duration = Duration::from_millis(200);
/// So long a look is put off while things go on happening.
const LONGEST: Duration = Duration::from_millis(500);
/// How often to look after what the system does not tell.
const POLL: Duration = Duration::from_secs(2);

/// A watched folder; ends when it is dropped, without waiting for the callback.
pub(super) struct Watch<T> {
    signals: Sender<Signal<T>>,
    thread: Option<JoinHandle<()>>,
}

/// Somebody who may ask for a look.
pub(super) struct Asker<T>(Sender<Signal<T>>);

/// Why the callback is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Something has happened in the folder, or the time to look has come.
    Noticed,
    /// One of the files has changed, and perhaps the folder, too.
    File,
    /// Somebody asked for it.
    Asked,
}

enum Signal<T> {
    /// Something has happened.
    Changed(Sign),
    /// Look now, and tell what came of it.
    Look(Sender<T>),
    End,
}

/// The files that are watched, by absolute paths; whoever has a clone may name others.
pub(super) type Watched = Arc<Mutex<Vec<PathBuf>>>;

/// What an event means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sign {
    /// So long it has to be quiet afterwards.
    quiet: Duration,
    /// Whether it is about one of the files.
    file: bool,
}

/// What is watched in the system.
struct Eyes {
    dir: Option<PathBuf>,
    files: Watched,
    /// What the files were when they were looked at last.
    stamps: Vec<(PathBuf, Option<Stamp>)>,
    /// The same for a glance, which is only to see whether somebody is writing.
    glanced: Vec<(PathBuf, Option<Stamp>)>,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeMap<PathBuf, Identity>,
    /// That something cannot be watched was said already.
    complained: bool,
}

/// Tells a folder from another one that has taken its place.
type Identity = (u64, u64);

/// Tells a file from what it was before: which it is, its size, and when it was written.
type Stamp = (Identity, u64, i64, i64);

/// A folder that is watched, but not yet listened to: what happens from now on will be noticed.
pub(super) struct Prepared<T> {
    eyes: Eyes,
    signals: (Sender<Signal<T>>, Receiver<Signal<T>>),
}

/// Begins to watch a folder and files, which need not exist.
pub(super) fn prepare<T: Send + 'static>(dir: Option<&Path>, files: Watched) -> io::Result<Prepared<T>> {
    let dir = dir.map(std::path::absolute).transpose()?;
    let signals = channel();
    let (sender, watched_dir, watched_files) = (signals.0.clone(), dir.clone(), Arc::clone(&files));
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let lost = Sign {
            quiet: QUIET,
            file: true,
        };
        let sign = |event| sign(&event, watched_dir.as_deref(), &lock(&watched_files));
        if let Some(sign) = event.map_or(Some(lost), sign) {
            // Nobody listens when the watch ends.
            drop(sender.send(Signal::Changed(sign)));
        }
    });
    let watcher = watcher
        .inspect_err(|error| warn!(%error, "the system cannot watch folders"))
        .ok();
    let mut eyes = Eyes {
        dir,
        files,
        // The first look compares: somebody may have written since the files were read.
        stamps: Vec::new(),
        glanced: Vec::new(),
        watcher,
        watched: BTreeMap::new(),
        complained: false,
    };
    eyes.follow();
    Ok(Prepared { eyes, signals })
}

impl<T: Send + 'static> Prepared<T> {
    /// Starts the thread that calls back.
    pub(super) fn start(self, look: impl FnMut(Reason) -> T + Send + 'static) -> io::Result<Watch<T>> {
        let Prepared {
            eyes,
            signals: (signals, receiver),
        } = self;
        let thread = thread::Builder::new()
            .name("modules-watch".to_owned())
            .spawn(move || run(eyes, &receiver, look))?;
        Ok(Watch {
            signals,
            thread: Some(thread),
        })
    }
}

impl<T> Watch<T> {
    /// Somebody who may ask for a look as long as the watch goes on.
    pub(super) fn asker(&self) -> Asker<T> {
        Asker(self.signals.clone())
    }
}

impl<T> Asker<T> {
    /// Has the callback called with [`Reason::Asked`], waits until it has returned, and gives what it returned; none if
    /// the watch has ended.
    pub(super) fn look(&self) -> Option<T> {
        let (done, wait) = channel();
        self.0.send(Signal::Look(done)).ok()?;
        wait.recv().ok()
    }
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        drop(self.signals.send(Signal::End));
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            drop(thread.join());
        }
    }
}

fn run<T>(mut eyes: Eyes, signals: &Receiver<Signal<T>>, mut look: impl FnMut(Reason) -> T) {
    let mut changes: Option<Changes> = None;
    loop {
        let time = changes
            .as_ref()
            .map_or(POLL, |changes| changes.due().saturating_duration_since(Instant::now()));
        let signal = signals.recv_timeout(time);
        match signal {
            Ok(Signal::Changed(sign)) => {
                let now = Instant::now();
                let changes = changes.get_or_insert(Changes::new(now));
                changes.add(now, sign.quiet);
                changes.file |= sign.file;
                // Steady changes must not keep the look from ever being due.
                if now < changes.due() {
                    continue;
                }
            }
            Ok(Signal::Look(done)) => {
                changes = None;
                eyes.follow();
                eyes.compare();
                // Whoever asked may have given up.
                done.send(look(Reason::Asked)).ok();
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {
                // Nobody has told of it, so nobody tells when it is over, either.
                if changes.as_ref().is_none_or(|changes| changes.untold) && eyes.glance() {
                    let now = Instant::now();
                    let changes = changes.get_or_insert(Changes::new(now));
                    changes.add(now, QUIET_UNTOLD);
                    (changes.file, changes.untold) = (true, true);
                    if now < changes.due() {
                        continue;
                    }
                } else if changes.is_none() && eyes.are_open() {
                    continue;
                }
            }
            Ok(Signal::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
        let file = changes.take().is_some_and(|changes| changes.file);
        // Watch first, look then: what happens in between is noticed.
        eyes.follow();
        look(if eyes.compare() || file {
            Reason::File
        } else {
            Reason::Noticed
        });
    }
}

/// What has happened since the last look.
#[derive(Debug)]
struct Changes {
    first: Instant,
    last: Instant,
    quiet: Duration,
    /// Whether a file was among it.
    file: bool,
    /// The system did not tell; the files were found to be others.
    untold: bool,
}

impl Changes {
    fn new(first: Instant) -> Changes {
        Changes {
            first,
            last: first,
            quiet: Duration::ZERO,
            file: false,
            untold: false,
        }
    }

    /// Another change, after which it has to be quiet for so long.
    fn add(&mut self, at: Instant, quiet: Duration) {
        self.last = at;
        self.quiet = self.quiet.max(quiet);
    }

    /// When to look, if nothing more happens.
    fn due(&self) -> Instant {
        (self.last + self.quiet).min(self.first + LONGEST)
    }
}

/// What an event means; none if it cannot mean that a module or a file has changed. Looking makes events itself: those of
/// opening and reading must not make anybody look again.
fn sign(event: &notify::Event, dir: Option<&Path>, files: &[PathBuf]) -> Option<Sign> {
    if event.need_rescan() {
        return Some(Sign {
            quiet: QUIET,
            file: true,
        });
    }
    let quiet = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => QUIET,
        EventKind::Access(_) => return None,
        EventKind::Modify(ModifyKind::Name(RenameMode::From | RenameMode::To | RenameMode::Both)) => QUIET_RENAMED,
        _ => QUIET,
    };
    // Below the folder, the folder itself, or one above it.
    let concerns = |path: &PathBuf| dir.is_some_and(|dir| path.starts_with(dir) || dir.starts_with(path));
    let is_file = |path: &PathBuf| files.iter().any(|file| file.starts_with(path));
    let file = event.paths.iter().any(is_file);
    (file || event.paths.is_empty() || event.paths.iter().any(concerns)).then_some(Sign { quiet, file })
}

impl Eyes {
    /// Whether what is watched is what should be: a folder that was moved together with those above it tells nobody.
    fn are_open(&self) -> bool {
        self.watcher.is_some() && self.wanted() == self.watched
    }

    /// Watches what there is now to watch. What changes while this is done is caught by doing it again.
    fn follow(&mut self) {
        const TRIES: usize = 3;
        for _ in 0..TRIES {
            if !self.adjust() {
                return;
            }
        }
    }

    /// The folder if it is there, the nearest one above it that is, and those that the files are in.
    fn wanted(&self) -> BTreeMap<PathBuf, Identity> {
        let above = |path: &Path| {
            path.ancestors()
                .skip(1)
                .find(|path| path.is_dir())
                .map(Path::to_path_buf)
        };
        let itself = self.dir.clone().filter(|path| path.is_dir());
        let of_files = lock(&self.files)
            .iter()
            .filter_map(|file| above(file))
            .collect::<Vec<_>>();
        let there = [self.dir.as_deref().and_then(above), itself];
        let there = there.into_iter().flatten().chain(of_files);
        there
            .filter_map(|path| identity(&path).map(|identity| (path, identity)))
            .collect()
    }

    fn stamps(&self) -> Vec<(PathBuf, Option<Stamp>)> {
        let files = lock(&self.files);
        files.iter().map(|file| (file.clone(), stamp(file))).collect()
    }

    /// Whether a file is not what it was at the last glance or look.
    fn glance(&mut self) -> bool {
        let stamps = self.stamps();
        let differ = stamps != self.glanced;
        self.glanced = stamps;
        differ
    }

    /// Whether a file is not what it was when it was looked at last; what the files are now is what counts from now on.
    fn compare(&mut self) -> bool {
        let stamps = self.stamps();
        let differ = stamps != self.stamps;
        self.glanced.clone_from(&stamps);
        self.stamps = stamps;
        differ
    }

    /// Whether anything had to be changed.
    fn adjust(&mut self) -> bool {
        let wanted = self.wanted();
        let Some(watcher) = &mut self.watcher else { return false };
        if wanted == self.watched {
            return false;
        }
        for path in self
            .watched
            .keys()
            .filter(|path| wanted.get(*path) != self.watched.get(*path))
        {
            // The system forgets a folder that is gone by itself.
            drop(watcher.unwatch(path));
        }
        let mut watched = BTreeMap::new();
        for (path, identity) in wanted {
            if self.watched.get(&path) != Some(&identity)
                && let Err(error) = watcher.watch(&path, RecursiveMode::NonRecursive)
            {
                if !std::mem::replace(&mut self.complained, true) {
                    warn!(folder = %path.display(), %error, "folder cannot be watched; it is looked at now and then");
                }
                continue;
            }
            debug!(folder = %path.display(), "folder watched");
            watched.insert(path, identity);
        }
        let changed = watched != self.watched;
        self.watched = watched;
        changed
    }
}

fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path)
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()))
}

/// What a file is now, where links lead; none if there is none.
fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    let identity = (metadata.dev(), metadata.ino());
    Some((identity, metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
