//! [`SharedOutbox`]: the handle of the outbox, and its thread.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_nats::Subject;
use bytes::Bytes;
use thiserror::Error;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, warn};

use super::api::Api;
use super::bucket::Bucket;
use super::client;
use super::coordinator::Coordinator;
use super::lease::Lease;
use super::publish::StreamPublisher;
use super::reader::ReaderContext;
use super::records::{self, Records};
use super::settings::Settings;
use super::stream::{self, StreamError};

/// Batches of records that wait between readers and delivery.
const FEED_BATCHES: usize = 16;

/// Room for the headers of a record.
const HEADER_BYTES: usize = 1024;

/// How long the start waits for JetStream.
const PREPARE_WAIT: Duration = Duration::from_secs(10);

/// The wait before JetStream is asked again.
const PREPARE_RETRY: Duration = Duration::from_millis(500);

/// How long the last acknowledgements may take at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// A record to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// Its partition: see [`partition`](super::partition).
    pub partition: u16,
    /// Its content, at most [`SharedOutbox::max_record_bytes`].
    pub bytes: Bytes,
}

/// Records to deliver, with their numbers. Those of one partition come in the order of the stream.
pub type Fetched = Vec<(u64, Bytes)>;

/// What is called when this host has given up records.
pub(super) type OnLost = Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>;

/// The outbox accepts no more records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the shared outbox is closed")]
pub struct Closed;

/// A record cannot be read now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ReadError(String);

/// The outbox cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// No server can be reached.
    #[error("cannot connect to NATS: {0}; check the addresses in `outbox` of [delivery]")]
    Connect(String),
    /// A setting is invalid.
    #[error("{0}")]
    Settings(String),
    /// The stream has another form, or JetStream refuses a request.
    #[error("cannot use JetStream: {0}")]
    JetStream(String),
    /// The thread or its runtime cannot be created.
    #[error("cannot start the thread of the shared outbox")]
    Thread(#[source] std::io::Error),
}

/// Requests that several hosts share. Clones are handles of the same outbox.
#[derive(Clone)]
pub struct SharedOutbox(Arc<Inner>);

struct Inner {
    runtime: Handle,
    api: Api,
    publisher: StreamPublisher,
    partitions: u16,
    records: Arc<Records>,
    lease: Arc<Lease>,
    acks: mpsc::UnboundedSender<Subject>,
    /// True: `append` returns an error.
    closing: watch::Sender<bool>,
    on_lost: OnLost,
    feed: Mutex<Option<mpsc::Receiver<Fetched>>>,
    thread: Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>,
}

impl SharedOutbox {
    /// Connects, creates or checks the stream, and begins to read. `node` is the name of this host in the bucket. Blocks
    /// the calling thread for at most about 20 s.
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub fn start(settings: &Settings, node: &str) -> Result<SharedOutbox, StartError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let (connected, connections) = watch::channel(0);
        let prepared = runtime.block_on(async {
            let api = Api {
                client: client::connect(settings, connected).await?,
            };
            let bucket = prepare(&api, settings).await?;
            Ok((api, bucket))
        });
        let (api, bucket) = prepared?;
        let records = Arc::new(Records::new(settings.partitions));
        let lease = Arc::new(Lease::new(Instant::now()));
        let (feed, fetched) = mpsc::channel(FEED_BATCHES);
        let (acks, to_acknowledge) = mpsc::unbounded_channel();
        let context = Arc::new(ReaderContext {
            api: api.clone(),
            stream: settings.name.clone(),
            records: Arc::clone(&records),
            feed,
            acks: acks.clone(),
            connections,
            sessions: AtomicU64::new(0),
        });
        let on_lost = OnLost::default();
        let coordinator = Coordinator::new(
            bucket,
            context,
            Arc::clone(&lease),
            settings.lease,
            node.to_owned(),
            Arc::clone(&on_lost),
        );
        let publisher = StreamPublisher {
            api: api.clone(),
            stream: settings.name.clone(),
            id: random_id(),
            next: AtomicU64::new(0),
        };
        let handle = runtime.handle().clone();
        let (close, closed) = oneshot::channel();
        let thread = start_thread(runtime, api.clone(), coordinator, to_acknowledge, closed)?;
        Ok(SharedOutbox(Arc::new(Inner {
            runtime: handle,
            api,
            publisher,
            partitions: settings.partitions,
            records,
            lease,
            acks,
            closing: watch::Sender::new(false),
            on_lost,
            feed: Mutex::new(Some(fetched)),
            thread: Mutex::new(Some((close, thread))),
        })))
    }

    /// The number of partitions.
    pub fn partitions(&self) -> u16 {
        self.0.partitions
    }

    /// The largest record that the server accepts, in bytes.
    pub fn max_record_bytes(&self) -> usize {
        self.0.api.client.max_payload().saturating_sub(HEADER_BYTES)
    }

    /// Stores records in this order. Blocks the calling thread until they are stored, also while NATS cannot be reached or
    /// the stream is full. Never call it from an async task.
    ///
    /// # Errors
    ///
    /// [`Closed`] after [`SharedOutbox::close_intake`]; a part of the records may be stored then.
    pub fn append(&self, records: &[NewRecord]) -> Result<(), Closed> {
        self.0
            .runtime
            .block_on(self.0.publisher.store(records, self.0.closing.subscribe()))
    }

    /// The records that this host delivers. `Some` for the first call.
    pub fn feed(&self) -> Option<mpsc::Receiver<Fetched>> {
        self.0.feed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Sets what is called when other hosts deliver records of this host from now on, so that [`SharedOutbox::holds`] is
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
    pub fn holds(&self, number: u64) -> bool {
        self.0.lease.is_valid(Instant::now()) && self.0.records.holds(number)
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
            .map_err(|error| ReadError(error.to_string()))
    }

    /// The attempt has failed and is followed by another one.
    pub fn rest(&self, number: u64) {
        self.0.records.rest(number);
    }

    /// The record has ended: acknowledges it, so that it leaves the stream. Without effect if another host delivers it.
    pub fn end(&self, number: u64) {
        if let Some(reply) = self.0.records.end(number, Instant::now()) {
            // Without a receiver the outbox is closed; the record is delivered again then.
            self.0.acks.send(reply).ok();
        }
    }

    /// Ends the intake: `append` returns an error, and no attempt begins. Attempts that are under way may end.
    pub fn close_intake(&self) {
        self.0.closing.send_replace(true);
        self.0.lease.end();
        (0..self.0.partitions).for_each(|partition| self.0.records.close(partition));
    }

    /// Gives up all partitions and ends the thread. Blocks the calling thread for a few seconds at most.
    pub fn close(&self) {
        self.close_intake();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((close, thread)) = thread {
            // A thread that has ended needs no signal.
            close.send(()).ok();
            if thread.join().is_err() {
                error!("the thread of the shared outbox has panicked");
            }
        }
    }
}

/// Creates or checks stream and bucket. Waits for a cluster that is starting.
async fn prepare(api: &Api, settings: &Settings) -> Result<Bucket, StartError> {
    let end = Instant::now() + PREPARE_WAIT;
    loop {
        let prepared = async {
            stream::prepare(api, settings).await?;
            Ok(Bucket::prepare(api, settings).await?)
        };
        match prepared.await {
            Ok(bucket) => return Ok(bucket),
            Err(StreamError::Api(error)) if Instant::now() < end => {
                warn!(error = %error, "JetStream cannot be used yet; trying again");
                tokio::time::sleep(PREPARE_RETRY).await;
            }
            Err(error) => return Err(StartError::JetStream(error.to_string())),
        }
    }
}

fn start_thread(
    runtime: Runtime,
    api: Api,
    mut coordinator: Coordinator,
    mut acks: mpsc::UnboundedReceiver<Subject>,
    closed: oneshot::Receiver<()>,
) -> Result<JoinHandle<()>, StartError> {
    let thread = thread::Builder::new().name("shared-outbox".to_owned());
    let run = async move {
        let client = api.client.clone();
        let acknowledge = async {
            while let Some(reply) = acks.recv().await {
                // An acknowledgement that is lost is repeated when the record comes again.
                client.publish(reply, Bytes::from_static(b"+ACK")).await.ok();
            }
        };
        tokio::select! {
            () = coordinator.run(closed) => {}
            () = acknowledge => {}
        }
        let rest = async {
            while let Ok(reply) = acks.try_recv() {
                client.publish(reply, Bytes::from_static(b"+ACK")).await.ok();
            }
            client.flush().await.ok();
        };
        tokio::time::timeout(FLUSH_TIMEOUT, rest).await.ok();
        coordinator.give_up_all().await;
    };
    thread.spawn(move || runtime.block_on(run)).map_err(StartError::Thread)
}

/// Sixteen random hex digits, as an id of a process.
pub(super) fn random_id() -> String {
    let mut bytes = [0; 8];
    // Without randomness the time keeps processes apart.
    if getrandom::fill(&mut bytes).is_err() {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        bytes = (now.unwrap_or_default().as_nanos() as u64 ^ u64::from(std::process::id())).to_be_bytes();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
