//! The thread that exports.
//!
//! It waits for entries, collects what arrives within [`MAX_DELAY`], and sends that as one request. Meanwhile the queue of
//! the [`Follower`] fills; it is bounded. A request that fails is retried once, then its spans are given up.
//!
//! When the host stops, the thread sends what waits, once. The host waits for it no longer than it says.

use std::future::pending;
use std::io;
use std::sync::mpsc;
use std::time::Duration;

use hookhost_activity::{ActivityLog, Follower};
use hookhost_delivery::{Secret, Tls, http_client, shown};
use hookhost_settings::error_line;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use crate::encode::{Verdict, body, verdict};
use crate::span::{RecentEvents, Span, add};
use crate::{ExportCounters, Resource, Settings};

/// Limit of the spans of a request, as in OpenTelemetry's SDKs. One entry more may add two.
const MAX_SPANS: usize = 512;
/// How long a span waits for others.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// Timeout of a request, as in OpenTelemetry's SDKs.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a retry waits if the collector names no time, and at most.
const RETRY_DELAY: Duration = Duration::from_secs(1);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);
/// Limit of an answer in bytes. The rest is not read.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// The exporter cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The thread or its runtime cannot start.
    #[error("cannot start the thread that exports spans")]
    Thread(#[from] io::Error),
    /// The HTTP client or a header of its requests is invalid; the text says why.
    #[error("cannot export spans: {0}")]
    Client(String),
}

/// A running export of spans. Without [`stop`](Exporter::stop), what waits is lost when it is dropped.
pub struct Exporter {
    counters: ExportCounters,
    /// Dropped to stop the thread.
    running: oneshot::Sender<()>,
    ended: mpsc::Receiver<()>,
}

/// What the thread owns.
struct Export {
    url: String,
    headers: HeaderMap,
    client: Client,
    resource: Resource,
    follower: Follower,
    recent: RecentEvents,
    counters: ExportCounters,
    /// Ends when the host stops.
    stopping: oneshot::Receiver<()>,
    is_stopping: bool,
    /// Whether the last request failed.
    is_failing: bool,
}

impl Exporter {
    /// Starts to export the entries of a log that have a sampled trace.
    ///
    /// # Errors
    ///
    /// The thread cannot start, or a header is invalid.
    pub fn start(settings: &Settings, resource: Resource, log: &ActivityLog) -> Result<Exporter, StartError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (running, stopping) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let headers = headers(settings).map_err(StartError::Client)?;
        let client = http_client(&Tls::default(), CONNECT_TIMEOUT).map_err(StartError::Client)?;
        let follower = log.export(settings.sample_ratio);
        let counters = ExportCounters::of(&follower);
        let mut export = Export {
            url: settings.url.clone(),
            headers,
            client,
            resource,
            follower,
            recent: RecentEvents::default(),
            counters: counters.clone(),
            stopping,
            is_stopping: false,
            is_failing: false,
        };
        std::thread::Builder::new().name("otlp".to_owned()).spawn(move || {
            runtime.block_on(export.run());
            drop(end);
        })?;
        Ok(Exporter {
            counters,
            running,
            ended,
        })
    }

    /// What it has exported.
    pub fn counters(&self) -> ExportCounters {
        self.counters.clone()
    }

    /// Sends what waits, once, and waits for that for at most `deadline`.
    pub fn stop(self, deadline: Duration) {
        drop(self.running);
        if self.ended.recv_timeout(deadline) == Err(mpsc::RecvTimeoutError::Timeout) {
            warn!("the last spans were not exported within the grace period");
        }
    }
}

fn headers(settings: &Settings) -> Result<HeaderMap, String> {
    let header = |(name, value): &(String, Secret)| {
        let invalid = |_| format!("the header {name} has an invalid value");
        let mut value = HeaderValue::from_str(value.expose()).map_err(invalid)?;
        value.set_sensitive(true);
        let name = HeaderName::try_from(name).map_err(|_| "the name of a header is invalid".to_owned())?;
        Ok((name, value))
    };
    let mut headers: HeaderMap = settings.headers.iter().map(header).collect::<Result<_, String>>()?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(headers)
}

impl Export {
    async fn run(&mut self) {
        while !self.is_stopping {
            let spans = self.collect().await;
            self.send(&spans).await;
        }
        // They are few enough for one last request.
        let mut rest = Vec::new();
        while let Some(activity) = self.follower.try_recv() {
            add(&activity, &mut self.recent, &mut rest);
        }
        self.send(&rest).await;
    }

    /// Waits for entries, and then for more of them.
    async fn collect(&mut self) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut end = None;
        while spans.len() < MAX_SPANS {
            let activity = tokio::select! {
                activity = self.follower.recv() => activity,
                () = reached(end) => break,
                _ = &mut self.stopping => None,
            };
            // Without a log there is nothing to follow.
            let Some(activity) = activity else {
                self.is_stopping = true;
                break;
            };
            add(&activity, &mut self.recent, &mut spans);
            end.get_or_insert_with(|| Instant::now() + MAX_DELAY);
        }
        spans
    }

    /// Sends spans, at most twice, and counts what became of them.
    async fn send(&mut self, spans: &[Span]) {
        if spans.is_empty() {
            return;
        }
        let body = body(&self.resource, spans).to_string();
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let mut result = self.attempt(&body).await;
        if let Err(Failure { retry: Some(delay), .. }) = result
            && !self.is_stopping
        {
            // The host does not wait for a retry when it stops.
            tokio::select! {
                () = sleep(delay) => {}
                _ = &mut self.stopping => self.is_stopping = true,
            }
            result = self.attempt(&body).await;
        }
        let has_failed = !matches!(result, Ok((0, _)));
        match result {
            Ok((rejected, reason)) => {
                let rejected = rejected.min(count);
                self.counters.add(count - rejected, rejected, 0);
                if rejected > 0 && !self.is_failing {
                    warn!(url = shown(&self.url), rejected, reason, "the collector rejected spans");
                }
            }
            Err(Failure { text, is_refusal, .. }) => {
                let (rejected, failed) = if is_refusal { (count, 0) } else { (0, count) };
                self.counters.add(0, rejected, failed);
                if !self.is_failing {
                    let url = shown(&self.url);
                    warn!(
                        url,
                        reason = text,
                        "cannot export spans; they are lost until the collector accepts them"
                    );
                }
            }
        }
        if self.is_failing && !has_failed {
            info!("spans are exported again");
        }
        self.is_failing = has_failed;
    }

    /// Sends a body once. Returns how many of its spans the collector rejected, and why.
    async fn attempt(&self, body: &str) -> Result<(u64, String), Failure> {
        let exchange = async {
            let request = self.client.post(&self.url).headers(self.headers.clone());
            let response = request.body(body.to_owned()).send().await?;
            let status = response.status().as_u16();
            let retry_after = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok());
            let retry_after = retry_after.map(str::to_owned);
            Ok((status, retry_after, read(response).await?))
        };
        let retryable = |text: String| Failure {
            text,
            retry: Some(RETRY_DELAY),
            is_refusal: false,
        };
        let (status, retry_after, answer) = match timeout(REQUEST_TIMEOUT, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                let error: reqwest::Error = error;
                return Err(retryable(error_line(&error.without_url())));
            }
            Err(_) => return Err(retryable("no answer in time".to_owned())),
        };
        let text = format!("answered with status {status}");
        match verdict(status, retry_after.as_deref(), &answer) {
            Verdict::Accepted { rejected, reason } => Ok((rejected, reason)),
            Verdict::Retry { after } => Err(Failure {
                retry: Some(after.unwrap_or(RETRY_DELAY).min(MAX_RETRY_DELAY)),
                ..retryable(text)
            }),
            Verdict::Refused => Err(Failure {
                text,
                retry: None,
                is_refusal: true,
            }),
        }
    }
}

/// Waits for a time; `None`: forever.
async fn reached(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => pending().await,
    }
}

/// Why a request failed.
struct Failure {
    text: String,
    /// When it may be sent again; `None`: never.
    retry: Option<Duration>,
    /// Whether the collector refused the spans.
    is_refusal: bool,
}

/// The beginning of an answer.
async fn read(mut response: Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() < MAX_ANSWER_BYTES
        && let Some(part) = response.chunk().await?
    {
        body.extend_from_slice(&part);
    }
    Ok(body)
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
