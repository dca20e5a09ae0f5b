//! Detects changes of the modules folder and of the configuration files.
//!
//! One thread waits for events of the system. It also looks every two seconds, because a file may be a link, or be on a
//! file system without events. After a change it waits until the files are [complete](super::settle) and then calls
//! back. The callback reads their content.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::settle::{Settled, Settling, Snapshot};
use super::watched::{Watched, WatchedFiles};

/// How often to look at files for which the system sends no events.
const POLL: Duration = Duration::from_secs(2);

/// Watches a folder and files. Ends when it is dropped, without waiting for the callback.
pub(super) struct FolderWatcher<T> {
    signals: Sender<Signal<T>>,
    thread: Option<JoinHandle<()>>,
}

/// Requests a reload as long as the watcher lives.
pub(super) struct ReloadTrigger<T>(Sender<Signal<T>>);

impl<T> Clone for ReloadTrigger<T> {
    fn clone(&self) -> ReloadTrigger<T> {
        ReloadTrigger(self.0.clone())
    }
}

/// Why the callback is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The folder has changed.
    Folder,
    /// A configuration file has changed, and perhaps the folder, too.
    File,
    /// A caller requested it.
    Asked,
    /// A caller requested a reload because of webhooks. Files and folder may be as they are.
    Webhooks,
}

enum Signal<T> {
    /// The system sent an event.
    Changed,
    /// Reload now, for this reason, and return the result.
    Reload(Reason, Sender<T>),
    End,
}

/// A watched folder, before the first callback. Changes from now on are noticed.
pub(super) struct Prepared<T> {
    watched: Watched,
    signals: (Sender<Signal<T>>, Receiver<Signal<T>>),
}

impl<T: Send + 'static> FolderWatcher<T> {
    /// Starts to watch a folder and files, which need not exist.
    pub(super) fn prepare(dir: Option<&Path>, files: WatchedFiles) -> io::Result<Prepared<T>> {
        let signals = channel();
        let sender = signals.0.clone();
        // The receiver is gone when the watcher ends.
        let changed = move || drop(sender.send(Signal::Changed));
        let watched = Watched::new(dir, files, changed)?;
        Ok(Prepared { watched, signals })
    }
}

impl<T: Send + 'static> Prepared<T> {
    /// Starts the thread of the callback.
    pub(super) fn start(self, reload: impl FnMut(Reason) -> T + Send + 'static) -> io::Result<FolderWatcher<T>> {
        let Prepared {
            watched,
            signals: (signals, receiver),
        } = self;
        // The files were read before they were watched, so they may have changed since.
        let seen = watched.snapshot().without_files();
        let thread = thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || run(watched, seen, &receiver, reload))?;
        Ok(FolderWatcher {
            signals,
            thread: Some(thread),
        })
    }
}

impl<T> FolderWatcher<T> {
    pub(super) fn reload_trigger(&self) -> ReloadTrigger<T> {
        ReloadTrigger(self.signals.clone())
    }
}

impl<T> ReloadTrigger<T> {
    /// Requests the callback, waits until it has returned, and returns its result. Returns `None` if the watcher has
    /// ended.
    pub(super) fn ask(&self, reason: Reason) -> Option<T> {
        let (done, wait) = channel();
        self.0.send(Signal::Reload(reason, done)).ok()?;
        wait.recv().ok()
    }
}

impl<T> ReloadTrigger<T> {
    /// Requests the callback, and does not wait for it.
    pub(super) fn notify(&self, reason: Reason) {
        // Nothing waits for the result, and the watcher may have ended.
        self.0.send(Signal::Reload(reason, channel().0)).ok();
    }
}

impl<T> Drop for FolderWatcher<T> {
    fn drop(&mut self) {
        drop(self.signals.send(Signal::End));
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            drop(thread.join());
        }
    }
}

/// `seen` is the state of the files at the last read.
fn run<T>(
    mut watched: Watched,
    mut seen: Snapshot,
    signals: &Receiver<Signal<T>>,
    mut reload: impl FnMut(Reason) -> T,
) {
    let mut settling: Option<Settling<Snapshot>> = None;
    // Whether a write may have been in progress when `seen` was read. The files may then change without looking
    // different.
    let mut is_doubtful = false;
    loop {
        let wait = settling.as_ref().map_or(POLL, |settling| {
            settling.due().saturating_duration_since(Instant::now())
        });
        match signals.recv_timeout(wait) {
            Ok(Signal::Changed) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Signal::Reload(Reason::Webhooks, done)) => {
                done.send(reload(Reason::Webhooks)).ok();
                continue;
            }
            Ok(Signal::Reload(reason, done)) => {
                settling = None;
                // Watch first, then look: changes in between are noticed.
                watched.follow();
                seen = watched.snapshot();
                // The caller may no longer wait.
                done.send(reload(reason)).ok();
                continue;
            }
            Ok(Signal::End) | Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        if settling.as_ref().is_some_and(|settling| now < settling.due()) {
            continue;
        }
        watched.follow();
        let looked = watched.snapshot();
        let Some(files) = &mut settling else {
            if is_doubtful || looked != seen {
                settling = Some(Settling::new(looked, now));
            }
            continue;
        };
        let settled = files.look(looked.clone(), now);
        if settled == Settled::No {
            continue;
        }
        settling = None;
        let has_same_files = looked.has_same_files(&seen) && !is_doubtful;
        is_doubtful = settled == Settled::Never;
        seen = looked;
        reload(if has_same_files { Reason::Folder } else { Reason::File });
    }
}

#[cfg(test)]
#[path = "watcher_tests.rs"]
mod tests;
