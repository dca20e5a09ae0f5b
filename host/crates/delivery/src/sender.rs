//! A sender thread: receives requests from its inbox and keeps their order.
//!
//! Each thread has its own single-threaded runtime, HTTP client and [`Queue`], without locks. One task receives requests
//! and wakes up for retries. *Workers* make the attempts (`worker.rs`). Each worker is a task that sends one job or batch
//! after another and ends when the queue has nothing ready. The limit of concurrent requests also limits the number of
//! workers.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::capacity::Capacity;
use super::counters::Counts;
use super::destination::Receivers;
use super::destination_counts::DestinationKey;
use super::http::Http;
use super::job::{Item, Job, Stored};
use super::outbox::{Batch, OnDisk};
use super::publish::Publisher;
use super::queue::Queue;
use super::report::Report;
use super::request::{OutboxRequest, shown};
use super::target::{Route, Targets};
use super::{Settings, StartError};
use crate::priority;
use hookhost_dead_letters::Collection;

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
    pub(super) http: Http,
    /// The receivers of requests that bring none of their own.
    receivers: Arc<Receivers>,
    targets: RefCell<Targets>,
    pub(super) queue: RefCell<Queue<Item>>,
    threads: usize,
    /// The requests in memory.
    pub(super) window: Arc<Capacity>,
    pub(super) on_disk: Option<Arc<OnDisk>>,
    pub(super) counts: Arc<Counts>,
    pub(super) jitter: Jitter,
    /// Wakes the serving task, which then checks the queue again.
    pub(super) changed: Notify,
    /// When the serving task wakes up by itself.
    pub(super) alarm: Cell<Option<Instant>>,
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
            targets: RefCell::new(Targets::new(settings.stdout, Arc::clone(&counts)).with(settings.files, publisher)),
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
                    self.queue.borrow_mut().stop_gathering();
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
        // A destination that is down takes at most as much of the memory as is left to the others.
        if record.is_none()
            && self.window.is_half_taken()
            && self.window.exceeds_free(destination.counts.waiting())
            && destination.gate.is_down(Instant::now().into_std())
        {
            destination.counts.full();
            self.counts.all.overflowed();
            self.report.overflowed(&destination.label);
            return self.release(size, None);
        }
        destination.counts.accepted(request.event.at, size);
        destination
            .flow
            .set_max(target.terms().concurrency_limit / self.threads);
        let batching = request.batching.filter(|_| target.is_http());
        let group = batching.map(|batching| {
            batching.format.check(&request.body)?;
            self.targets.borrow_mut().group(&target, &request, batching)
        });
        let group = match group.transpose() {
            Ok(group) => group,
            Err(error) => {
                return self.refuse(&destination.counts, &destination.label, request, record, &error);
            }
        };
        let gathering = group.as_ref().map(|group| group.gathering());
        let id = group.as_ref().map_or(destination.id, |group| group.id());
        let (key, item) = match record {
            Some(record) if self.window.is_half_taken() => {
                self.window.release(1, size);
                let stored = Stored {
                    record,
                    size,
                    event_at: request.event.at,
                    body_bytes: request.body.len() + 1,
                    target,
                    group,
                    halvings: 0,
                    attempts: 0,
                    first_attempt: None,
                };
                (request.ordering_key, Item::Stored(stored))
            }
            record => match group.map_or_else(|| target.route(&request.headers), |group| Ok(Route::Batch(group))) {
                Ok(route) => {
                    let (key, job) = Job::new(target, route, request, record);
                    (key, Item::Job(job))
                }
                Err(error) => {
                    return self.refuse(&destination.counts, &destination.label, request, record, &error);
                }
            },
        };
        let mut queue = self.queue.borrow_mut();
        queue.push(id, &destination.flow.slots, gathering, &key, item);
    }

    /// Starts a worker for each job that is ready.
    fn dispatch(self: &Rc<Self>, due: Option<Instant>) {
        if due.is_some() {
            self.queue.borrow_mut().resume(Instant::now().into_std());
        }
        while let Some(work) = self.next_work() {
            spawn_local(Rc::clone(self).run_worker(work));
        }
    }

    /// Returns whether no job is left that can be sent before `end`.
    fn is_finished(&self, end: Instant) -> bool {
        let mut queue = self.queue.borrow_mut();
        let is_waiting = queue.is_active() || self.unfinished.get() > 0;
        let now = Instant::now();
        now >= end || !is_waiting && queue.next_due(now.into_std()).is_none_or(|due| due > end.into_std())
    }
}

/// A generator of random numbers that need not be secret (SplitMix64).
pub(super) struct Jitter(Cell<u64>);

impl Jitter {
    fn new() -> Jitter {
        Jitter(Cell::new(RandomState::new().hash_one(0)))
    }

    /// Returns a number of at least 0 and less than 1.
    pub(super) fn next(&self) -> f64 {
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
