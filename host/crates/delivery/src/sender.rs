//! A sender thread: receives batches from its inbox, keeps the order of requests and makes the attempts.
//!
//! Each thread has its own single-threaded runtime, HTTP client and [`Queue`], without locks. One task receives batches
//! and wakes up for retries. *Workers* make the attempts. Each worker is a task that sends one job after another and
//! ends when the queue has no job ready. The limit of concurrent requests also limits the number of workers.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use super::counters::Counts;
use super::destination::Receivers;
use super::http::{Http, Sent};
use super::job::Job;
use super::outbox::{Batch, Capacity};
use super::queue::{Queue, Taken};
use super::report::{LAG, Report};
use super::request::OutboxRequest;
use super::retry::{Decision, Outcome, Reason, Timing};
use super::signing::message_id;
use super::target::{Route, Targets};
use super::{Settings, StartError};
use crate::priority;

/// Slow receivers may use up all slots of this many destinations before other destinations get fewer slots.
const SLOW_DESTINATIONS: usize = 16;

/// A running sender thread. Dropping it makes the thread stop soon.
pub(super) struct Sender {
    /// Receives the batches of the thread.
    pub(super) inbox: UnboundedSender<Batch>,
    stop: oneshot::Sender<Instant>,
    thread: JoinHandle<()>,
}

impl Sender {
    /// Starts sender thread `number`.
    pub(super) fn start(
        number: usize,
        settings: &Settings,
        capacity: Arc<Capacity>,
        counts: Arc<Counts>,
    ) -> Result<Sender, StartError> {
        let (inbox, batches) = unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name("delivery-io")
            // Blocking threads resolve names and write files and standard output, one write per destination at a time.
            .max_blocking_threads(64)
            .build()
            .map_err(StartError::Thread)?;
        let settings = settings.clone();
        let thread = thread::Builder::new()
            .name(format!("delivery-{number}"))
            .spawn(move || {
                priority::lower(settings.nice);
                run(runtime, SenderState::new(&settings, capacity, counts), batches, stopped);
            })
            .map_err(StartError::Thread)?;
        Ok(Sender { inbox, stop, thread })
    }

    /// Tells the thread to finish its requests until `deadline`. Returns the handle of the thread, which ends when it
    /// has finished.
    pub(super) fn stop(self, deadline: Instant) -> JoinHandle<()> {
        // A thread that has already ended has no requests left.
        self.stop.send(deadline).ok();
        self.thread
    }
}

fn run(runtime: Runtime, state: SenderState, inbox: UnboundedReceiver<Batch>, stop: oneshot::Receiver<Instant>) {
    let _closing = CloseCapacity(Arc::clone(&state.capacity));
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, Rc::new(state).serve(inbox, stop));
    drop(tasks);
    // A write to an unresponsive file system would otherwise delay the shutdown.
    runtime.shutdown_background();
}

/// Closes the capacity when the thread ends, also by a panic. The thread then returns no more capacity, so no caller
/// may wait for it.
struct CloseCapacity(Arc<Capacity>);

impl Drop for CloseCapacity {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The state shared by the tasks of one thread.
struct SenderState {
    http: Http,
    /// The receivers of requests that bring none of their own.
    receivers: Arc<Receivers>,
    targets: RefCell<Targets>,
    queue: RefCell<Queue<Box<Job>>>,
    threads: usize,
    capacity: Arc<Capacity>,
    counts: Arc<Counts>,
    jitter: Jitter,
    /// Wakes the serving task, which then checks the queue again.
    changed: Notify,
    /// When the serving task wakes up by itself.
    alarm: Cell<Option<Instant>>,
    stopping: Cell<bool>,
    report: Report,
}

impl SenderState {
    fn new(settings: &Settings, capacity: Arc<Capacity>, counts: Arc<Counts>) -> SenderState {
        let threads = settings.threads.max(1);
        let limit = (settings.terms.concurrency_limit / threads).max(1);
        let widest = limit.max(settings.destinations.widest() / threads);
        SenderState {
            http: Http::new(),
            receivers: Arc::new(Receivers::from(settings)),
            targets: RefCell::new(Targets::new(settings.stdout)),
            queue: RefCell::new(Queue::new(limit, widest.saturating_mul(SLOW_DESTINATIONS))),
            threads,
            capacity,
            counts,
            jitter: Jitter::new(),
            changed: Notify::new(),
            alarm: Cell::new(None),
            stopping: Cell::new(false),
            report: Report::new(),
        }
    }

    /// Receives batches and wakes parked jobs until the thread is told to stop. Then continues until no job is left
    /// that can be sent before the deadline.
    async fn serve(self: Rc<Self>, mut inbox: UnboundedReceiver<Batch>, mut stop: oneshot::Receiver<Instant>) {
        let mut end = None;
        let mut is_open = true;
        loop {
            let due = self.queue.borrow().next_due().map(Instant::from_std);
            let alarm = [due, end].into_iter().flatten().min();
            self.alarm.set(alarm);
            tokio::select! {
                biased;
                batch = inbox.recv(), if is_open => match batch {
                    Some(batch) => {
                        let now = Instant::now();
                        batch.into_iter().for_each(|request| self.take_in(request, now));
                    }
                    None => is_open = false,
                },
                deadline = &mut stop, if end.is_none() => {
                    end = Some(deadline.unwrap_or_else(|_| Instant::now()));
                    self.stopping.set(true);
                    inbox.close();
                }
                () = self.changed.notified() => {}
                () = sleep_until(alarm.unwrap_or_else(Instant::now)), if alarm.is_some() => {}
            }
            self.dispatch(due);
            if let Some(end) = end
                && !is_open
                && self.is_finished(end)
            {
                break;
            }
        }
        let left = self.queue.borrow().len();
        self.counts.closed(left);
        if left > 0 {
            warn!(requests = left, "delivery stopped before these requests were delivered");
        }
    }

    fn take_in(&self, request: OutboxRequest, received: Instant) {
        let size = request.size();
        let OutboxRequest {
            id,
            source,
            generation,
            method,
            url,
            receivers,
            via,
            reach,
            headers,
            body,
            ordering_key,
            expires,
        } = request;
        let receivers = receivers.as_ref().unwrap_or(&self.receivers);
        let target = self.targets.borrow_mut().target(&self.http, receivers, &url, &via);
        match target.and_then(|target| Ok((target.route(headers)?, target))) {
            Ok((route, target)) => {
                let destination = target.destination.id;
                let limit = Some(target.terms().concurrency_limit / self.threads);
                let message_id = match &route {
                    Route::Http(to) if to.is_signed() => Some(message_id(&id, &source, method, &url, &body)),
                    _ => None,
                };
                let job = Box::new(Job {
                    target,
                    route,
                    method,
                    reach,
                    body,
                    received,
                    expires: expires.map(|at| instant(at, received)),
                    first_attempt: None,
                    attempts: 0,
                    size,
                    id,
                    message_id,
                    source,
                    generation,
                });
                self.queue.borrow_mut().push(destination, limit, &ordering_key, job);
            }
            Err(error) => {
                self.counts.gave_up(Reason::Invalid);
                self.capacity.release(1, size);
                self.report.invalid(&id, &source, generation, &url, &error);
            }
        }
    }

    /// Starts a worker for each job that is ready.
    fn dispatch(self: &Rc<Self>, due: Option<Instant>) {
        if due.is_some() {
            self.queue.borrow_mut().resume(Instant::now().into_std());
        }
        while let Some(job) = self.next_job() {
            spawn_local(Rc::clone(self).work(job));
        }
    }

    fn next_job(&self) -> Option<(Taken, Box<Job>)> {
        self.queue.borrow_mut().next()
    }

    /// Returns whether no job is left that can be sent before `end`.
    fn is_finished(&self, end: Instant) -> bool {
        let queue = self.queue.borrow();
        Instant::now() >= end || !queue.is_active() && queue.next_due().is_none_or(|due| due > end.into_std())
    }

    /// Runs a worker: attempts this job, then other jobs while any is ready.
    async fn work(self: Rc<Self>, job: (Taken, Box<Job>)) {
        let mut next = Some(job);
        while let Some((taken, mut job)) = next {
            let outcome = self.attempt(&taken, &mut job).await;
            self.settle(taken, job, outcome);
            next = self.next_job();
        }
    }

    async fn attempt(&self, taken: &Taken, job: &mut Job) -> Outcome {
        let start = Instant::now();
        if job.expires.is_some_and(|expires| expires < start) {
            return Outcome::Expired;
        }
        job.first_attempt.get_or_insert(start);
        job.attempts = job.attempts.saturating_add(1);
        let body = job.body.clone();
        let terms = job.target.terms();
        let outcome = match &job.route {
            Route::Http(to) => {
                let sent = Sent {
                    reach: job.reach,
                    method: job.method,
                    body,
                    id: job.message_id.as_deref(),
                    terms,
                };
                timeout(terms.http_timeout, self.http.attempt(to, &sent)).await
            }
            Route::Line(to) => timeout(terms.http_timeout, to.attempt(body)).await,
        };
        let waited = start.saturating_duration_since(job.received);
        if waited > LAG {
            let queue = self.queue.borrow();
            let (key, behind) = queue.behind(taken);
            self.report.lag(job, key, behind, waited, start.elapsed());
        }
        outcome.unwrap_or(Outcome::TimedOut)
    }

    /// Handles the outcome of an attempt: completes, retries or drops the job.
    fn settle(&self, taken: Taken, job: Box<Job>, outcome: Outcome) {
        if outcome == Outcome::Taken {
            self.counts.delivered();
            return self.end(taken, &job);
        }
        let now = Instant::now().into_std();
        let timing = Timing {
            attempt: job.attempts,
            first: job.first_attempt.map_or(now, Instant::into_std),
            now,
            expires: job.expires.map(Instant::into_std),
        };
        let reason = match job.target.terms().retry.decide(&outcome, timing, self.jitter.next()) {
            Decision::Delivered => return self.end(taken, &job),
            Decision::RetryAt(at) => {
                self.counts.retried();
                self.report.retry(&job, &outcome, at.saturating_duration_since(now));
                self.queue.borrow_mut().retry(taken, job, at);
                return self.wake_by(at);
            }
            Decision::Pause(until) => {
                self.report.paused(&job, until.saturating_duration_since(now));
                self.queue.borrow_mut().pause(job.target.destination.id, until);
                self.wake_by(until);
                Reason::Refused
            }
            Decision::GiveUp(reason) => reason,
        };
        self.counts.gave_up(reason);
        self.report.gave_up(&job, reason, &outcome);
        self.end(taken, &job);
    }

    /// Makes the serving task check the queue at this time.
    fn wake_by(&self, at: std::time::Instant) {
        if self.alarm.get().is_none_or(|alarm| at < alarm.into_std()) || self.stopping.get() {
            self.changed.notify_one();
        }
    }

    fn end(&self, taken: Taken, job: &Job) {
        self.queue.borrow_mut().done(taken);
        self.capacity.release(1, job.size);
        if self.stopping.get() {
            self.changed.notify_one();
        }
    }
}

/// Returns the time on the monotonic clock, now or later; a time that this clock cannot express is far away.
fn instant(at: SystemTime, now: Instant) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let left = at.duration_since(SystemTime::now()).unwrap_or_default();
    now + left.min(FAR)
}

/// A generator of random numbers that need not be secret (SplitMix64).
struct Jitter(Cell<u64>);

impl Jitter {
    fn new() -> Jitter {
        Jitter(Cell::new(RandomState::new().hash_one(0)))
    }

    /// Returns a number of at least 0 and less than 1.
    fn next(&self) -> f64 {
        let state = self.0.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_spread_over_its_range() {
        let jitter = Jitter::new();
        let numbers: Vec<f64> = (0..10_000).map(|_| jitter.next()).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        let mean = numbers.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.05, "{mean}");
    }
}
