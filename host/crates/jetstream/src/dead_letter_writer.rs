//! The task that stores dead letters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info};

use super::api::ApiError;
use super::context::HostContext;
use super::dead_letters::{LetterEnd, WaitingLetter};
use super::stream;

/// Letters that are sent before the first one is acknowledged.
const MAX_UNDER_WAY: usize = 64;

/// The wait before a letter is sent again.
const RETRY: Duration = Duration::from_millis(200);

/// The time between two log lines about letters that cannot be stored.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Stores letters until nothing can add one.
pub(super) async fn write(
    context: Arc<HostContext>,
    mut letters: mpsc::UnboundedReceiver<WaitingLetter>,
    count: watch::Sender<usize>,
) {
    let letters = futures::stream::poll_fn(move |task| letters.poll_recv(task));
    let stored = letters.for_each_concurrent(MAX_UNDER_WAY, async |letter| {
        let WaitingLetter { record, bytes, ended } = letter;
        ended(store(&context, record, &bytes).await);
        count.send_modify(|count| *count -= 1);
    });
    stored.await;
}

/// Stores a letter, or finds that another host has got its request. Tries until it succeeds.
async fn store(context: &HostContext, record: u64, bytes: &Bytes) -> LetterEnd {
    let (mut failures, mut report) = (0_u32, Instant::now());
    // The new owner sends the request again.
    while !context.records.is_lost(record) {
        match publish(context, record, bytes).await {
            Ok(()) => {
                if failures > 0 {
                    info!(failures, "dead letters can be written to NATS again");
                }
                return LetterEnd::Stored;
            }
            Err(error) => {
                failures += 1;
                if Instant::now() >= report {
                    report = Instant::now() + REPORT_INTERVAL;
                    error!(error = %error, failures, "a dead letter cannot be written to NATS; trying again");
                }
                // The stream may have been deleted.
                if context.api.is_connected()
                    && let Err(error) = stream::prepare_dead_letters(&context.api, &context.settings).await
                {
                    debug!(error = %error, "the stream of dead letters cannot be used");
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    context.records.rest(record);
    LetterEnd::Moved
}

async fn publish(context: &HostContext, record: u64, bytes: &Bytes) -> Result<(), ApiError> {
    // The client would keep the letter, and send it when it is connected again.
    if !context.api.is_connected() {
        return Err(ApiError::NoAnswer("there is no connection".to_owned()));
    }
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", record.to_string());
    let subject = stream::dead_letters_name(&context.settings);
    context.api.publish(subject, headers, bytes.clone()).await.map(drop)
}
