//! Reads the records of one partition and hands them over in order, as long as this host owns it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_nats::Subject;
use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};

use super::api::Api;
use super::consumer::Session;
use super::records::{Delivered, Records};
use super::shared_outbox::Fetched;

/// The wait before a consumer that cannot be created is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// What the readers of all partitions share.
pub(super) struct ReaderContext {
    pub(super) api: Api,
    pub(super) stream: String,
    pub(super) records: Arc<Records>,
    /// Where records go.
    pub(super) feed: mpsc::Sender<Fetched>,
    /// Where acknowledgements go.
    pub(super) acks: mpsc::UnboundedSender<Subject>,
    /// Counts the connections.
    pub(super) connections: watch::Receiver<u64>,
    /// Makes the names of consumers unique.
    pub(super) sessions: AtomicU64,
}

/// Reads a partition until `stop` is true or gone. `owner` is the id of this host.
pub(super) async fn read(context: Arc<ReaderContext>, partition: u16, owner: String, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        biased;
        _ = stop.wait_for(|is_stopped| *is_stopped) => {}
        () = read_sessions(&context, partition, &owner) => {}
    }
}

/// Opens one session after another. Ends if nothing takes the records.
async fn read_sessions(context: &ReaderContext, partition: u16, owner: &str) {
    let mut connections = context.connections.clone();
    loop {
        connections.mark_unchanged();
        let number = context.sessions.fetch_add(1, Relaxed);
        let opened = Session::open(&context.api, &context.stream, partition, &format!("{owner}-{number}")).await;
        let mut session = match opened {
            Ok(session) => session,
            Err(error) => {
                warn!(partition, error = %error, "a partition of the outbox cannot be read; trying again");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        loop {
            let records = tokio::select! {
                biased;
                // Messages may be lost with the connection. An error means that the client is gone.
                _ = connections.changed() => break,
                records = session.next() => records,
            };
            let Some(records) = records else { break };
            let mut fetched = Vec::with_capacity(records.len());
            for record in records {
                match context.records.delivered(partition, record.sequence, &record.reply) {
                    Delivered::New(number) => fetched.push((number, record.bytes)),
                    Delivered::Known => {}
                    Delivered::Ended => {
                        // Without a receiver the outbox is closed.
                        context.acks.send(record.reply).ok();
                    }
                }
            }
            if !fetched.is_empty() && context.feed.send(fetched).await.is_err() {
                return;
            }
        }
        debug!(partition, "the consumer of a partition is created anew");
    }
}
