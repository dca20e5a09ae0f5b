//! A sender thread: receives requests from its inbox and keeps their order.
//!
//! Each thread has its own single-threaded runtime, HTTP client and [`Queue`], without locks. One task receives requests
//! and wakes up for retries. *Workers* make the attempts (`worker.rs`). Each worker is a task that sends one job or batch
//! after another and ends when the queue has nothing ready. The limit of concurrent requests also limits the number of
//! workers.

use std::cell::{Cell, RefCell};
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
use super::http::Http;
use super::jitter::Jitter;
use super::job::Item;
use super::letter_store::LetterStore;
use super::on_disk::OnDisk;
use super::outbox::Message;
use super::publish::Publisher;
use super::queue::Queue;
use super::report::Report;
use super::target::Targets;
use super::{Settings, StartError};
use crate::priority;
use hookhost_jetstream::SharedOutbox;

/// Slow receivers may use up all slots of this many destinations before other destinations get fewer slots.
const SLOW_DESTINATIONS: usize = 16;

/// A running sender thread. Dropping it makes the thread stop soon.
pub(super) struct Sender {
    /// Receives the batches of the thread.
    pub(super) inbox: UnboundedSender<Message>,
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
        kept: (Option<Arc<OnDisk>>, Option<SharedOutbox>),
        letters: LetterStore,
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
                    SenderState::new(&settings, publisher, window, kept, letters, counts),
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

fn run(runtime: Runtime, state: SenderState, inbox: UnboundedReceiver<Message>, stop: oneshot::Receiver<Instant>) {
    let _closing = EndOfThread {
        window: Arc::clone(&state.window),
        on_disk: state.on_disk.clone(),
        shared: state.shared.clone(),
    };
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, Rc::new(state).serve(inbox, stop));
    drop(tasks);
    // A write to an unresponsive file system would otherwise delay the shutdown.
    runtime.shutdown_background();
}

/// Closes the capacity when the thread ends, also by a panic. The thread then returns no more capacity, so no caller
/// may wait for it. After a panic, other hosts deliver the requests of a shared outbox.
struct EndOfThread {
    window: Arc<Capacity>,
    on_disk: Option<Arc<OnDisk>>,
    shared: Option<SharedOutbox>,
}

impl Drop for EndOfThread {
    fn drop(&mut self) {
        self.window.close();
        if let Some(on_disk) = &self.on_disk {
            on_disk.capacity.close();
        }
        if let Some(shared) = self.shared.as_ref().filter(|_| thread::panicking()) {
            shared.give_up();
        }
    }
}

/// The state shared by the tasks of one thread.
pub(super) struct SenderState {
    pub(super) http: Http,
    /// The receivers of requests that bring none of their own.
    pub(super) receivers: Arc<Receivers>,
    pub(super) targets: RefCell<Targets>,
    pub(super) queue: RefCell<Queue<Item>>,
    pub(super) threads: usize,
    /// The requests in memory.
    pub(super) window: Arc<Capacity>,
    pub(super) on_disk: Option<Arc<OnDisk>>,
    /// The outbox that has the requests, if several hosts share it.
    pub(super) shared: Option<SharedOutbox>,
    pub(super) counts: Arc<Counts>,
    pub(super) jitter: Jitter,
    /// Wakes the serving task, which then checks the queue again.
    pub(super) changed: Notify,
    /// When the serving task wakes up by itself.
    pub(super) alarm: Cell<Option<Instant>>,
    pub(super) stopping: Cell<bool>,
    pub(super) report: Report,
    pub(super) letters: LetterStore,
    /// Dead letters that wait for the body of the answer.
    pub(super) unfinished: Cell<usize>,
}

impl SenderState {
    fn new(
        settings: &Settings,
        publisher: Option<Arc<dyn Publisher>>,
        window: Arc<Capacity>,
        (on_disk, shared): (Option<Arc<OnDisk>>, Option<SharedOutbox>),
        letters: LetterStore,
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
            shared,
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
    async fn serve(self: Rc<Self>, mut inbox: UnboundedReceiver<Message>, mut stop: oneshot::Receiver<Instant>) {
        let mut end = None;
        let mut is_open = true;
        loop {
            let now = Instant::now().into_std();
            let due = self.queue.borrow_mut().next_due(now).map(Instant::from_std);
            let alarm = [due, end].into_iter().flatten().min();
            self.alarm.set(alarm);
            tokio::select! {
                biased;
                message = inbox.recv(), if is_open => match message {
                    Some(message) => self.receive(message),
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
        if left > 0 && self.shared.is_some() {
            info!(requests = left, "these requests wait in the shared outbox");
        } else if left > 0 && self.on_disk.is_some() {
            info!(requests = left, "these requests wait on disk for the next start");
        } else if left > 0 {
            self.counts.all.closed(left);
            warn!(requests = left, "delivery stopped before these requests were delivered");
        }
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
