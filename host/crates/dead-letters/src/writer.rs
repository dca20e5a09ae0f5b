//! The thread that writes pending changes, in commits that do not overlap.

use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hookhost_settings::error_line;
use tracing::{error, info};

use super::Kind;
use super::file::File;
use super::store::{Shared, State, Stored};

/// How long a change waits, so that a commit contains the changes of this time.
const INTERVAL: Duration = Duration::from_millis(10);

/// The wait before a failed commit is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often the thread looks for records that are too old.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(60);

/// Starts the thread. It ends when the store is closed, after a last commit.
pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let shared = Arc::clone(shared);
    let thread = thread::Builder::new().name("dead-letters".to_owned());
    thread.spawn(move || {
        let over = Over(&shared);
        if let Some(file) = &shared.file {
            commit_all(&shared, file);
        }
        drop(over);
    })
}

/// Says at the end of the thread, also by a panic, that no commit follows.
struct Over<'a>(&'a Shared);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
        self.0.committed.notify_all();
    }
}

fn commit_all(shared: &Shared, file: &File) {
    let mut failures = 0_u32;
    loop {
        let mut state = shared.lock();
        while state.parts.iter().all(|part| part.pending.is_empty()) {
            if state.is_closed {
                return;
            }
            state = wait(shared, state, EXPIRE_INTERVAL);
            state.parts.iter_mut().for_each(|part| part.expire(true));
        }
        let end = Instant::now() + if failures == 0 { INTERVAL } else { RETRY };
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || state.is_closed {
                break;
            }
            state = wait(shared, state, left);
        }
        let is_last = state.is_closed;
        state.started += 1;
        let mut stored: Vec<Vec<Stored>> = Vec::new();
        let changes = Kind::ALL.map(|kind| {
            let part = state.part(kind);
            part.writing = Arc::new(std::mem::take(&mut part.pending));
            stored.push(std::mem::take(&mut part.stored));
            (kind, Arc::clone(&part.writing), part.next)
        });
        drop(state);
        match file.write(&changes) {
            Ok(()) => {
                if failures > 0 {
                    info!(failures, "dead letters can be written again");
                }
                failures = 0;
                stored.into_iter().flatten().for_each(|stored| stored());
                let mut state = shared.lock();
                state.parts.iter_mut().for_each(|part| part.writing = Arc::default());
                state.ended = state.started;
            }
            Err(error) => {
                failures += 1;
                // Powers of two: the log shows that it goes on, and does not fill.
                if failures.is_power_of_two() {
                    let error = error_line(&error);
                    error!(
                        error,
                        failures, "dead letters cannot be written; they are in memory only"
                    );
                }
                put_back(shared, changes.into_iter().map(|(kind, ..)| kind).zip(stored));
                if is_last {
                    return;
                }
            }
        }
        shared.committed.notify_all();
    }
}

/// Puts back what could not be written, below what has changed meanwhile.
fn put_back(shared: &Shared, parts: impl Iterator<Item = (Kind, Vec<Stored>)>) {
    let mut state = shared.lock();
    state.failed += 1;
    for (kind, stored) in parts {
        let part = state.part(kind);
        for (number, bytes) in &*std::mem::take(&mut part.writing) {
            part.pending.entry(*number).or_insert_with(|| bytes.clone());
        }
        part.stored.extend(stored);
    }
}

fn wait<'a>(shared: &Shared, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
    let woken = shared.work.wait_timeout(state, time);
    woken.unwrap_or_else(PoisonError::into_inner).0
}
