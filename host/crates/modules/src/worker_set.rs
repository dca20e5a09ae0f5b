//! The threads of one module that share an active generation: started together, and awaited together.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::generation::{ActiveGeneration, Template, lock};
use super::worker::Worker;

/// The workers of a module over one set of queues.
pub(super) struct WorkerSet<T: Template> {
    pub(super) active: Arc<ActiveGeneration<T>>,
    threads: Vec<JoinHandle<()>>,
    ended: Arc<Ended>,
}

/// Reports when all threads of a worker set have ended.
struct Ended {
    running: Mutex<usize>,
    changed: Condvar,
}

/// Counts a thread as ended, however it ends.
struct EndGuard(Arc<Ended>);

impl<T: Template> WorkerSet<T> {
    /// Starts a thread for each worker. They begin when the threads of the previous worker sets have ended, because the
    /// events in those queues are older.
    ///
    /// # Errors
    ///
    /// The error of the system if it refuses a thread. Threads that were started end when their queues do.
    pub(super) fn start<'a>(
        module: &str,
        active: Arc<ActiveGeneration<T>>,
        workers: Vec<Worker<T>>,
        before: impl Iterator<Item = &'a WorkerSet<T>>,
    ) -> io::Result<WorkerSet<T>> {
        let ended = Arc::new(Ended {
            running: Mutex::new(0),
            changed: Condvar::new(),
        });
        let before: Vec<_> = before.map(|worker_set| Arc::clone(&worker_set.ended)).collect();
        let start = |(number, worker): (usize, Worker<T>)| {
            let before = before.clone();
            *lock(&ended.running) += 1;
            let leaving = EndGuard(Arc::clone(&ended));
            thread::Builder::new()
                .name(format!("{module}/{number}"))
                .spawn(move || {
                    let _leaving = leaving;
                    before.iter().for_each(|before| before.wait());
                    worker.run();
                })
        };
        let threads = workers.into_iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(WorkerSet { active, threads, ended })
    }

    /// Whether all threads have ended.
    pub(super) fn has_ended(&self) -> bool {
        *lock(&self.ended.running) == 0
    }

    /// Waits for the threads until `until`. Returns the names of those that are still busy then.
    pub(super) fn join(self, until: Instant) -> Vec<String> {
        if self.ended.wait_until(until) {
            for thread in self.threads {
                // The panic was already reported.
                drop(thread.join());
            }
            return Vec::new();
        }
        let busy = self.threads.iter().filter(|thread| !thread.is_finished());
        busy.map(|thread| thread.thread().name().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Ended {
    fn wait(&self) {
        let running = lock(&self.running);
        drop(
            self.changed
                .wait_while(running, |running| *running > 0)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Whether all threads have ended in time.
    fn wait_until(&self, until: Instant) -> bool {
        let time = until.saturating_duration_since(Instant::now());
        let waited = self
            .changed
            .wait_timeout_while(lock(&self.running), time, |running| *running > 0);
        *waited.unwrap_or_else(PoisonError::into_inner).0 == 0
    }
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        *lock(&self.0.running) -= 1;
        self.0.changed.notify_all();
    }
}
