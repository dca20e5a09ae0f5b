//! [`SharedOutbox`]: the handle of the outbox, and its thread.

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, watch};
use tracing::error;

use super::api::Api;
use super::attempt_states::AttemptStates;
use super::bucket::Bucket;
use super::context::{HostContext, Outgoing};
use super::dead_letters::SharedDeadLetters;
use super::lease::Lease;
use super::outbox_record::{AppendError, Closed, Fetched, OutboxRecord, ReadError};
use super::publish::StreamPublisher;
use super::random_id::random_id;
use super::records::{self, Ended, Records};
use super::settings::Settings;
use super::sharing_host::SharingHost;
use super::start::{self, EndOfThread, OutboxThread, Queues, StartError, WhenUnreachable};
use super::stream;

/// Batches of records that wait between readers and delivery.
const FEED_BATCHES: usize = 16;

/// Room for the headers of a record.
const MAX_RECORD_HEADER_BYTES: usize = 1024;

/// What is called when this host has given up records.
pub(super) type OnLost = Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>;

/// Requests that several hosts share. Clones are handles of the same outbox.
#[derive(Clone)]
pub struct SharedOutbox(Arc<Inner>);

struct Inner {
    runtime: Handle,
    api: Api,
    publisher: StreamPublisher,
    bucket: Bucket,
    replicas: u8,
    connections: watch::Receiver<u64>,
    /// What the key of this host says about it.
    state: watch::Sender<String>,
    partitions: u16,
    records: Arc<Records>,
    lease: Arc<Lease>,
    acks: mpsc::UnboundedSender<Outgoing>,
    /// True: `append` returns an error.
    closing: watch::Sender<bool>,
    on_lost: OnLost,
    dead_letters: SharedDeadLetters,
    feed: Mutex<Option<mpsc::Receiver<Fetched>>>,
    thread: Mutex<Option<OutboxThread>>,
}

/// The connection of an outbox.
pub(super) struct OutboxParts {
    pub(super) runtime: Handle,
    pub(super) api: Api,
    /// Counts the connections.
    pub(super) connections: watch::Receiver<u64>,
    pub(super) replicas: u8,
}

impl SharedOutbox {
    /// Connects, creates or checks the stream, and begins to read. Blocks the calling thread for at most about 20 s.
    ///
    /// # Errors
    ///
    /// [`StartError`]. If NATS cannot be reached, `when_unreachable` decides.
    pub fn start(settings: &Settings, when_unreachable: WhenUnreachable) -> Result<SharedOutbox, StartError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let (connected, connections) = watch::channel(0);
        let (api, bucket) = runtime.block_on(start::connect(settings, connected, when_unreachable))?;
        let records = Arc::new(Records::new(settings.partitions));
        let lease = Arc::new(Lease::new(Instant::now()));
        let (feed, fetched) = mpsc::channel(FEED_BATCHES);
        let (acks, to_acknowledge) = mpsc::unbounded_channel();
        let (ready, is_ready) = watch::channel(bucket.is_some());
        let on_lost = OnLost::default();
        let (state, reported) = watch::channel(String::new());
        let publisher = StreamPublisher {
            api: api.clone(),
            stream: settings.name.clone(),
            id: random_id(),
            next: AtomicU64::new(0),
            ready: is_ready,
        };
        let context = HostContext {
            settings: settings.clone(),
            state: reported,
            api: api.clone(),
            states: AttemptStates::of(&api, settings),
            records: Arc::clone(&records),
            lease: Arc::clone(&lease),
            feed,
            acks: acks.clone(),
            connections,
            is_reading: AtomicBool::new(false),
            is_stream_missing: AtomicBool::new(false),
            on_lost: Arc::clone(&on_lost),
        };
        let (handle, connections) = (runtime.handle().clone(), context.connections.clone());
        let (letters, waiting_letters) = mpsc::unbounded_channel();
        let (closing, ended) = (watch::Sender::new(false), watch::Sender::new(false));
        let dead_letters = SharedDeadLetters {
            runtime: handle.clone(),
            api: api.clone(),
            stream: stream::dead_letters_name(settings).into(),
            waiting: letters,
            count: watch::Sender::new(0),
            closing: closing.subscribe(),
            ended: ended.subscribe(),
            usage: Arc::default(),
        };
        let queues = Queues {
            acks: to_acknowledge,
            letters: waiting_letters,
            letter_count: dead_letters.count.clone(),
        };
        let end = EndOfThread {
            closing: closing.clone(),
            ended,
        };
        let thread = start::start_thread(runtime, context, bucket, ready, queues, end)?;
        Ok(SharedOutbox(Arc::new(Inner {
            runtime: handle,
            bucket: Bucket::of(&api, settings),
            replicas: settings.replicas,
            connections,
            state,
            api,
            publisher,
            partitions: settings.partitions,
            records,
            lease,
            acks,
            closing,
            on_lost,
            dead_letters,
            feed: Mutex::new(Some(fetched)),
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// Sets what other hosts read about this one, such as JSON. They get it within a third of the lease.
    pub fn set_state(&self, state: String) {
        self.0.state.send_replace(state);
    }

    /// Reads the hosts that share the outbox, with this one. Works in every tokio runtime with timers.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if NATS does not answer.
    pub async fn hosts(&self) -> Result<Vec<SharingHost>, ReadError> {
        let hosts = self.0.bucket.hosts().await;
        hosts.map_err(ReadError::of)
    }

    /// What buckets on the same connection need.
    pub(super) fn parts(&self) -> OutboxParts {
        OutboxParts {
            runtime: self.0.runtime.clone(),
            api: self.0.api.clone(),
            connections: self.0.connections.clone(),
            replicas: self.0.replicas,
        }
    }

    /// The number of partitions.
    pub fn partitions(&self) -> u16 {
        self.0.partitions
    }

    /// Blocks the calling thread until the connection and the stream can be used. Returns at once if they could be used
    /// at any time before. Never call it from an async task.
    ///
    /// # Errors
    ///
    /// [`Closed`] after [`SharedOutbox::close_intake`].
    pub fn wait_until_ready(&self) -> Result<(), Closed> {
        let closing = self.0.closing.subscribe();
        self.0.runtime.block_on(self.0.publisher.wait_until_ready(closing))
    }

    /// Returns whether [`SharedOutbox::wait_until_ready`] would return at once.
    pub fn is_ready(&self) -> bool {
        *self.0.publisher.ready.borrow()
    }

    /// The largest record that the server accepts, in bytes. A guess until the outbox is ready.
    pub fn max_record_bytes(&self) -> usize {
        self.0.api.client.max_payload().saturating_sub(MAX_RECORD_HEADER_BYTES)
    }

    /// Stores records in this order. Blocks the calling thread until they are stored, also while NATS cannot be reached or
    /// the stream is full. Never call it from an async task.
    ///
    /// # Errors
    ///
    /// [`Closed`] after [`SharedOutbox::close_intake`]; a part of the records may be stored then.
    pub fn append(&self, records: &[OutboxRecord]) -> Result<(), Closed> {
        self.0
            .runtime
            .block_on(self.0.publisher.store(records, self.0.closing.subscribe()))
    }

    /// Tries to store records in this order. Blocks the calling thread for a few seconds at most. Never call it from an
    /// async task.
    ///
    /// # Errors
    ///
    /// [`AppendError`].
    pub fn try_append(&self, records: &[OutboxRecord]) -> Result<(), AppendError> {
        self.try_to(self.0.publisher.try_store(records))
    }

    /// Tries to store a record once, however many hosts try it: within two minutes the server recognises `id`. Blocks the
    /// calling thread for a few seconds at most. Never call it from an async task.
    ///
    /// # Errors
    ///
    /// [`AppendError`].
    pub fn try_append_once(&self, record: &OutboxRecord, id: &str) -> Result<(), AppendError> {
        self.try_to(self.0.publisher.try_store_once(record, id))
    }

    /// Stores records, unless the outbox is closed.
    fn try_to(&self, store: impl Future<Output = Result<(), AppendError>>) -> Result<(), AppendError> {
        let mut closing = self.0.closing.subscribe();
        self.0.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = closing.wait_for(|is_closing| *is_closing) => Err(AppendError::Closed),
                stored = store => stored,
            }
        })
    }

    /// The dead letters of all hosts.
    pub fn dead_letters(&self) -> &SharedDeadLetters {
        &self.0.dead_letters
    }

    /// The records that this host delivers. `Some` for the first call.
    pub fn feed(&self) -> Option<mpsc::Receiver<Fetched>> {
        self.0.feed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Sets what is called when other hosts deliver records of this host from now on, so that [`SharedOutbox::delivers`] is
    /// false for them. It must not block. Only the first call has an effect.
    pub fn set_on_lost(&self, on_lost: impl Fn() + Send + Sync + 'static) {
        self.0.on_lost.set(Box::new(on_lost)).ok();
    }

    /// Asks whether an attempt may be made now, and marks the record. If it returns true, [`SharedOutbox::rest`] or
    /// [`SharedOutbox::end`] has to follow.
    pub fn begin(&self, number: u64) -> bool {
        self.0.lease.is_valid(Instant::now()) && self.0.records.begin(number)
    }

    /// Returns whether this host still delivers a record.
    pub fn delivers(&self, number: u64) -> bool {
        self.0.lease.is_valid(Instant::now()) && self.0.records.is_pending(number)
    }

    /// Reads a record again. Returns `None` if it is not in the stream. Works in every tokio runtime with timers.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if NATS does not answer.
    pub async fn read(&self, number: u64) -> Result<Option<Bytes>, ReadError> {
        let sequence = records::sequence(number);
        stream::read(&self.0.api, &self.0.publisher.stream, sequence)
            .await
            .map_err(ReadError::of)
    }

    /// Keeps what is known of the attempts of a record, for the host that delivers it next: [`FetchedRecord::state`](super::FetchedRecord::state). Call it
    /// before [`SharedOutbox::rest`]. Without effect if another host delivers the record. Does not block.
    pub fn keep_state(&self, number: u64, state: Bytes) {
        if !self.0.lease.has_expired(Instant::now()) && self.0.records.set_has_state(number) {
            // Without a receiver the outbox is closed.
            self.0.acks.send(Outgoing::State(number, state)).ok();
        }
    }

    /// The attempt has failed and is followed by another one.
    pub fn rest(&self, number: u64) {
        self.0.records.rest(number);
    }

    /// The record has ended: acknowledges it, so that it leaves the stream. Without effect if another host delivers it.
    pub fn end(&self, number: u64) {
        if let Some(Ended { reply, has_state }) = self.0.records.end(number, Instant::now()) {
            // Without a receiver the outbox is closed; the record is delivered again then.
            self.0.acks.send(Outgoing::Ack(reply)).ok();
            if has_state {
                self.0.acks.send(Outgoing::NoState(number)).ok();
            }
        }
    }

    /// Ends the intake: `append` returns an error, and no attempt begins. Attempts that are under way may end.
    pub fn close_intake(&self) {
        self.0.closing.send_replace(true);
        self.0.lease.end();
        (0..self.0.partitions).for_each(|partition| self.0.records.close(partition));
    }

    /// Gives up all partitions soon, because this host can deliver no more. Does not block.
    pub fn give_up(&self) {
        self.close_intake();
        let mut thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &mut *thread {
            thread.begin_stop();
        }
    }

    /// Gives up all partitions and ends the thread. Blocks the calling thread for a few seconds at most.
    pub fn close(&self) {
        self.close_intake();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.stop().is_err()) {
            error!("the thread of the shared outbox has panicked");
        }
    }
}
