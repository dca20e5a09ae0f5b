//! Connects, creates or checks stream and bucket, and runs the thread of the outbox.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use super::api::Api;
use super::attempt_states::AttemptStates;
use super::bucket::Bucket;
use super::client;
use super::context::{HostContext, Outgoing};
use super::coordinator::Coordinator;
use super::dead_letter_writer;
use super::dead_letters::WaitingLetter;
use super::settings::Settings;
use super::stream::{self, StreamError};

/// How long the start waits for a connection, and then for JetStream.
const START_WAIT: Duration = Duration::from_secs(10);

/// The same if the outbox may start without NATS.
const SHORT_START_WAIT: Duration = Duration::from_secs(2);

/// The wait before JetStream is asked again.
const PREPARE_RETRY: Duration = Duration::from_millis(500);

/// The time between two log lines about a stream that cannot be used.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

/// How long the last acknowledgements may take at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// What happens if NATS cannot be reached at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnreachable {
    /// The start fails.
    Fail,
    /// The outbox starts, and becomes [ready](super::SharedOutbox::is_ready) when NATS can be reached.
    Wait,
}

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

/// What the thread takes from other threads.
pub(super) struct Queues {
    /// What is sent without an acknowledgement.
    pub(super) acks: mpsc::UnboundedReceiver<Outgoing>,
    /// Dead letters to store.
    pub(super) letters: mpsc::UnboundedReceiver<WaitingLetter>,
    /// How many of them wait.
    pub(super) letter_count: watch::Sender<usize>,
}

/// Ends what waits for the thread when it ends, also by a panic: nothing may use its runtime any longer.
pub(super) struct EndOfThread {
    /// True: the outbox stores and reads no more.
    pub(super) closing: watch::Sender<bool>,
    /// True: the thread has ended.
    pub(super) ended: watch::Sender<bool>,
}

impl Drop for EndOfThread {
    fn drop(&mut self) {
        self.closing.send_replace(true);
        self.ended.send_replace(true);
    }
}

/// The running thread.
pub(super) struct OutboxThread {
    /// `None`: the thread ends.
    close: Option<oneshot::Sender<()>>,
    thread: JoinHandle<()>,
}

impl OutboxThread {
    /// Makes the thread give up all partitions and end. Does not block.
    pub(super) fn begin_stop(&mut self) {
        if let Some(close) = self.close.take() {
            // A thread that has ended needs no signal.
            close.send(()).ok();
        }
    }

    /// Ends the thread, and waits for its end. An error means that it has panicked.
    pub(super) fn stop(mut self) -> thread::Result<()> {
        self.begin_stop();
        self.thread.join()
    }
}

/// Connects, and creates or checks stream and bucket. Returns no bucket if the outbox starts without NATS.
///
/// # Errors
///
/// [`StartError`].
pub(super) async fn connect(
    settings: &Settings,
    connections: watch::Sender<u64>,
    when_unreachable: WhenUnreachable,
) -> Result<(Api, Option<Bucket>), StartError> {
    let wait = match when_unreachable {
        WhenUnreachable::Fail => START_WAIT,
        WhenUnreachable::Wait => SHORT_START_WAIT,
    };
    let client = client::connect(settings, connections, Instant::now() + wait, when_unreachable).await?;
    let api = Api { client };
    let end = Instant::now() + wait;
    loop {
        match prepare(&api, settings).await {
            Ok(bucket) => return Ok((api, Some(bucket))),
            Err(StreamError::Api(error)) if Instant::now() < end => {
                warn!(error = %error, "JetStream cannot be used yet; trying again");
                tokio::time::sleep(PREPARE_RETRY).await;
            }
            Err(StreamError::Api(error)) if when_unreachable == WhenUnreachable::Wait => {
                warn!(error = %error, "JetStream cannot be used; the host starts without it");
                return Ok((api, None));
            }
            Err(error) => return Err(StartError::JetStream(error.to_string())),
        }
    }
}

/// Creates or checks streams and bucket.
///
/// # Errors
///
/// [`StreamError`].
pub(super) async fn prepare(api: &Api, settings: &Settings) -> Result<Bucket, StreamError> {
    stream::prepare(api, settings).await?;
    stream::prepare_dead_letters(api, settings).await?;
    AttemptStates::of(api, settings).prepare().await?;
    Ok(Bucket::prepare(api, settings).await?)
}

/// Tries [`prepare`] until it succeeds.
async fn prepare_later(api: &Api, settings: &Settings) -> Bucket {
    let mut report = Instant::now() + REPORT_INTERVAL;
    let mut is_reported = false;
    loop {
        match prepare(api, settings).await {
            Ok(bucket) => {
                info!("JetStream can be used");
                return bucket;
            }
            // A stream of another form is reported at once.
            Err(error) if Instant::now() >= report || (matches!(error, StreamError::Form { .. }) && !is_reported) => {
                report = Instant::now() + REPORT_INTERVAL;
                is_reported = true;
                error!(error = %error, "JetStream cannot be used; trying again");
            }
            Err(_) => {}
        }
        tokio::time::sleep(PREPARE_RETRY).await;
    }
}

/// Starts the thread, which runs `runtime`. Without a bucket it waits for NATS first. `ready` becomes true when records can
/// be stored.
///
/// # Errors
///
/// [`StartError::Thread`].
pub(super) fn start_thread(
    runtime: Runtime,
    context: HostContext,
    bucket: Option<Bucket>,
    ready: watch::Sender<bool>,
    queues: Queues,
    end: EndOfThread,
) -> Result<OutboxThread, StartError> {
    let (close, closed) = oneshot::channel();
    let thread = thread::Builder::new().name("shared-outbox".to_owned());
    let thread = thread.spawn(move || {
        let runtime = runtime;
        // Dropped before the runtime.
        let _end = end;
        runtime.block_on(run(context, bucket, ready, queues, closed));
    });
    let thread = thread.map_err(StartError::Thread)?;
    Ok(OutboxThread {
        close: Some(close),
        thread,
    })
}

async fn run(
    context: HostContext,
    bucket: Option<Bucket>,
    ready: watch::Sender<bool>,
    queues: Queues,
    mut closed: oneshot::Receiver<()>,
) {
    let api = context.api.clone();
    let bucket = match bucket {
        Some(bucket) => bucket,
        None => tokio::select! {
            biased;
            _ = &mut closed => return,
            bucket = prepare_later(&api, &context.settings) => bucket,
        },
    };
    ready.send_replace(true);
    let Queues {
        mut acks,
        letters,
        letter_count,
    } = queues;
    let states = context.states.clone();
    let context = Arc::new(context);
    tokio::spawn(dead_letter_writer::write(Arc::clone(&context), letters, letter_count));
    let mut coordinator = Coordinator::new(bucket, context);
    let acknowledge = async {
        while let Some(outgoing) = acks.recv().await {
            outgoing.send(&api, &states).await;
        }
    };
    tokio::select! {
        () = coordinator.run(closed) => {}
        () = acknowledge => {}
    }
    let rest = async {
        while let Ok(outgoing) = acks.try_recv() {
            outgoing.send(&api, &states).await;
        }
        api.client.flush().await.ok();
    };
    tokio::time::timeout(FLUSH_TIMEOUT, rest).await.ok();
    coordinator.give_up_all().await;
}
