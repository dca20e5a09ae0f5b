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
use tracing::{info, warn};

use super::capacity::Capacity;
use super::counters::Counts;
use super::destination::Receivers;
use super::destination_counts::DestinationKey;
use super::end::End;
use super::excerpt::Excerpt;
use super::http::{Http, Sent};
use super::job::{Item, Job, Stored};
use super::outbox::{Batch, OnDisk};
use super::publish::Publisher;
use super::queue::{Queue, Taken};
use super::record;
use super::report::Report;
use super::request::{OutboxRequest, shown};
use super::retry::{Decision, Outcome, Reason, Timing};
use super::target::{Route, Targets};
use super::{Settings, StartError};
use crate::priority;
use hookhost_dead_letters::Collection;
use hookhost_settings::error_line;

/// Slow receivers may use up all slots of this many destinations before other destinations get fewer slots.
const SLOW_DESTINATIONS: usize = 16;

/// The wait before a request is read again from a disk that cannot be read.
const UNREADABLE_RETRY: Duration = Duration::from_secs(1);

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
        publisher: Option<Arc<dyn Publisher>>,
        window: Arc<Capacity>,
        on_disk: Option<Arc<OnDisk>>,
        letters: Collection,
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
                run(
                    runtime,
                    SenderState::new(&settings, publisher, window, on_disk, letters, counts),
                    batches,
                    stopped,
                );
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
    let _closing = CloseCapacity(Arc::clone(&state.window), state.on_disk.clone());
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, Rc::new(state).serve(inbox, stop));
    drop(tasks);
    // A write to an unresponsive file system would otherwise delay the shutdown.
    runtime.shutdown_background();
}

/// Closes the capacity when the thread ends, also by a panic. The thread then returns no more capacity, so no caller
/// may wait for it.
struct CloseCapacity(Arc<Capacity>, Option<Arc<OnDisk>>);

impl Drop for CloseCapacity {
    fn drop(&mut self) {
        self.0.close();
        if let Some(on_disk) = &self.1 {
            on_disk.capacity.close();
        }
    }
}

/// The state shared by the tasks of one thread.
pub(super) struct SenderState {
    http: Http,
    /// The receivers of requests that bring none of their own.
    receivers: Arc<Receivers>,
    targets: RefCell<Targets>,
    pub(super) queue: RefCell<Queue<Item>>,
    threads: usize,
    /// The requests in memory.
    pub(super) window: Arc<Capacity>,
    pub(super) on_disk: Option<Arc<OnDisk>>,
    pub(super) counts: Arc<Counts>,
    jitter: Jitter,
    /// Wakes the serving task, which then checks the queue again.
    pub(super) changed: Notify,
    /// When the serving task wakes up by itself.
    alarm: Cell<Option<Instant>>,
    pub(super) stopping: Cell<bool>,
    pub(super) report: Report,
    pub(super) letters: Collection,
    /// Dead letters that wait for the body of the answer.
    pub(super) unfinished: Cell<usize>,
}

impl SenderState {
    fn new(
        settings: &Settings,
        publisher: Option<Arc<dyn Publisher>>,
        window: Arc<Capacity>,
        on_disk: Option<Arc<OnDisk>>,
        letters: Collection,
        counts: Arc<Counts>,
    ) -> SenderState {
        let threads = settings.threads.max(1);
        let widest = settings.terms.concurrency_limit.max(settings.destinations.widest()) / threads;
        SenderState {
            http: Http::new(),
            receivers: Arc::new(Receivers::from(settings)),
            targets: RefCell::new(Targets::new(settings.stdout, Arc::clone(&counts)).with(publisher)),
            queue: RefCell::new(Queue::new(widest.max(1).saturating_mul(SLOW_DESTINATIONS))),
            threads,
            window,
            on_disk,
            counts,
            jitter: Jitter::new(),
            changed: Notify::new(),
            alarm: Cell::new(None),
            stopping: Cell::new(false),
            report: Report::new(),
            letters,
            unfinished: Cell::new(0),
        }
    }

    /// Receives batches and wakes parked jobs until the thread is told to stop. Then continues until no job is left
    /// that can be sent before the deadline.
    async fn serve(self: Rc<Self>, mut inbox: UnboundedReceiver<Batch>, mut stop: oneshot::Receiver<Instant>) {
        let mut end = None;
        let mut is_open = true;
        loop {
            let now = Instant::now().into_std();
            let due = self.queue.borrow_mut().next_due(now).map(Instant::from_std);
            let alarm = [due, end].into_iter().flatten().min();
            self.alarm.set(alarm);
            tokio::select! {
                biased;
                batch = inbox.recv(), if is_open => match batch {
                    Some(Batch { requests, records }) => {
                        let records = records.into_iter().map(Some).chain(std::iter::repeat(None));
                        requests.into_iter().zip(records).for_each(|(request, record)| self.take_in(request, record));
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
        let left = self.queue.borrow().len() + self.unfinished.get();
        if left > 0 && self.on_disk.is_some() {
            info!(requests = left, "these requests wait on disk for the next start");
        } else if left > 0 {
            self.counts.all.closed(left);
            warn!(requests = left, "delivery stopped before these requests were delivered");
        }
    }

    /// Puts a request into the queue. Its content stays on the disk if it is there and much is in memory already.
    fn take_in(self: &Rc<Self>, request: OutboxRequest, record: Option<u64>) {
        let receivers = request.receivers.as_ref().unwrap_or(&self.receivers);
        let target = self
            .targets
            .borrow_mut()
            .target(&self.http, receivers, &request.url, &request.via);
        let target = match target {
            Ok(target) => target,
            Err(error) => {
                let unknown = self.counts.destination(DestinationKey::unknown());
                unknown.accepted(request.event.at, request.size());
                return self.refuse(&unknown, &shown(&request.url), request, record, &error);
            }
        };
        let size = request.size();
        let destination = Rc::clone(&target.destination);
        destination.counts.accepted(request.event.at, size);
        destination
            .slots
            .set_limit(target.terms().concurrency_limit / self.threads);
        let (key, item) = match record {
            Some(record) if self.window.is_half_taken() => {
                self.window.release(1, size);
                let stored = Stored {
                    record,
                    size,
                    event_at: request.event.at,
                    target,
                    attempts: 0,
                    first_attempt: None,
                };
                (request.ordering_key, Item::Stored(stored))
            }
            record => match target.route(&request.headers) {
                Ok(route) => {
                    let (key, job) = Job::new(target, route, request, record);
                    (key, Item::Job(job))
                }
                Err(error) => {
                    let destination = &target.destination;
                    return self.refuse(&destination.counts, &destination.label, request, record, &error);
                }
            },
        };
        let mut queue = self.queue.borrow_mut();
        queue.push(destination.id, &destination.slots, None, &key, item);
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

    fn next_job(self: &Rc<Self>) -> Option<(Taken, Box<Job>)> {
        loop {
            let (taken, item) = self.queue.borrow_mut().next()?;
            match item {
                Item::Job(job) => return Some((taken, job)),
                Item::Stored(stored) => {
                    if let Some(ready) = self.load(taken, stored) {
                        return Some(ready);
                    }
                }
            }
        }
    }

    /// Reads a request from the disk. Returns `None` if it is retried later or dropped.
    fn load(self: &Rc<Self>, taken: Taken, stored: Stored) -> Option<(Taken, Box<Job>)> {
        self.window.add(1, stored.size);
        let record = match self.on_disk.as_ref()?.journal.get(stored.record) {
            Ok(record) => record.ok_or_else(|| "it is missing".to_owned()),
            Err(error) if error.is_damage() => Err(error_line(&error)),
            Err(error) => {
                // The disk may work again.
                self.report.unreadable(&error);
                self.window.release(1, stored.size);
                let at = std::time::Instant::now() + UNREADABLE_RETRY;
                self.queue.borrow_mut().retry(taken, Item::Stored(stored), at);
                self.wake_by(at);
                return None;
            }
        };
        let request = record.and_then(|record| record::decode(record).map_err(|error| error.to_string()));
        match request {
            Ok(request) => match stored.target.route(&request.headers) {
                Ok(route) => {
                    let (_, mut job) = Job::new(stored.target, route, request, Some(stored.record));
                    (job.attempts.count, job.attempts.first) = (stored.attempts, stored.first_attempt);
                    return Some((taken, job));
                }
                Err(error) => {
                    let destination = &stored.target.destination;
                    self.refuse(
                        &destination.counts,
                        &destination.label,
                        request,
                        Some(stored.record),
                        &error,
                    );
                }
            },
            Err(error) => {
                self.report.damaged(stored.record, &error);
                self.counts.all.damaged();
                stored.target.destination.counts.damaged(stored.event_at, stored.size);
                self.release(stored.size, Some(stored.record));
            }
        }
        self.queue.borrow_mut().done(taken);
        None
    }

    /// Returns whether no job is left that can be sent before `end`.
    fn is_finished(&self, end: Instant) -> bool {
        let mut queue = self.queue.borrow_mut();
        let is_waiting = queue.is_active() || self.unfinished.get() > 0;
        let now = Instant::now();
        now >= end || !is_waiting && queue.next_due(now.into_std()).is_none_or(|due| due > end.into_std())
    }

    /// Runs a worker: attempts this job, then other jobs while any is ready.
    async fn work(self: Rc<Self>, job: (Taken, Box<Job>)) {
        let mut next = Some(job);
        while let Some((taken, mut job)) = next {
            let (outcome, answer) = self.attempt(&taken, &mut job).await;
            self.settle(taken, job, outcome, answer);
            next = self.next_job();
        }
    }

    async fn attempt(&self, taken: &Taken, job: &mut Job) -> (Outcome, Option<Excerpt>) {
        let start = Instant::now();
        if job.expires.is_some_and(|expires| expires < start) {
            return (Outcome::Expired, None);
        }
        job.attempts.begin(start);
        let request = &job.request;
        let body = request.body.clone();
        let terms = job.target.terms();
        let outcome = match &job.route {
            Route::Http(to) => {
                let sent = Sent {
                    reach: request.reach,
                    method: request.method,
                    body,
                    encoding: None,
                    id: job.message_id.as_deref(),
                    terms,
                };
                timeout(terms.http_timeout, self.http.attempt(to, &sent)).await
            }
            Route::Line(to) => timeout(terms.http_timeout, to.attempt(body)).await.map(without_answer),
            Route::Message(to, headers) => {
                let republishes = request.republishes.saturating_add(1);
                let attempt = to.attempt(&request.source, headers, body, republishes);
                timeout(terms.http_timeout, attempt).await.map(without_answer)
            }
        };
        let duration = start.elapsed();
        self.report.lag(job, &self.queue.borrow(), taken, duration);
        let (outcome, answer) = outcome.unwrap_or((Outcome::TimedOut, None));
        if outcome != Outcome::Taken {
            let now = SystemTime::now();
            job.attempts.fail(now, duration, &outcome);
            job.target.destination.counts.failed(now, &outcome);
        }
        (outcome, answer)
    }

    /// Handles the outcome of an attempt: ends the job, or retries it.
    fn settle(self: &Rc<Self>, taken: Taken, job: Box<Job>, outcome: Outcome, answer: Option<Excerpt>) {
        if outcome == Outcome::Taken {
            return self.end(taken, job, End::Delivered);
        }
        let now = Instant::now().into_std();
        let timing = Timing {
            attempt: job.attempts.count,
            first: job.attempts.first.map_or(now, Instant::into_std),
            now,
            expires: job.expires.map(Instant::into_std),
        };
        let reason = match job.target.terms().retry.decide(&outcome, timing, self.jitter.next()) {
            Decision::Delivered => return self.end(taken, job, End::Delivered),
            Decision::RetryAt(at) => {
                self.counts.all.retried();
                job.target.destination.counts.retried();
                self.report.retry(&job, &outcome, at.saturating_duration_since(now));
                let size = job.size;
                let item = if self.window.is_half_taken() {
                    job.store()
                } else {
                    Item::Job(job)
                };
                if let Item::Stored(_) = item {
                    self.window.release(1, size);
                }
                self.queue.borrow_mut().retry(taken, item, at);
                return self.wake_by(at);
            }
            Decision::Pause(until) => {
                let pause = until.saturating_duration_since(now);
                self.report.paused(&job, pause);
                job.target.destination.counts.paused(pause);
                self.queue.borrow_mut().pause(job.target.destination.id, until);
                self.wake_by(until);
                Reason::Refused
            }
            Decision::GiveUp(reason) => reason,
        };
        let dead = End::Dead {
            reason,
            outcome,
            answer,
        };
        self.end(taken, job, dead);
    }

    /// Makes the serving task check the queue at this time.
    fn wake_by(&self, at: std::time::Instant) {
        if self.alarm.get().is_none_or(|alarm| at < alarm.into_std()) || self.stopping.get() {
            self.changed.notify_one();
        }
    }
}

/// The outcome of an attempt at a receiver that does not answer with a body.
fn without_answer(outcome: Outcome) -> (Outcome, Option<Excerpt>) {
    (outcome, None)
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
