//! Reads the records of the partitions that this host owns, and hands them over in order.
//!
//! One task reads all partitions with one consumer, because in a cluster each consumer is an election group of its own. When
//! the partitions change, the task deletes its consumer and creates another one, which begins at the first record. Records
//! that were handed over before are skipped (`records.rs`).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use tracing::{debug, warn};

use super::api::{ApiError, code};
use super::consumer::{self, ReadRecord, Session};
use super::context::{HostContext, Outgoing};
use super::outbox_record::{AttemptState, Fetched, FetchedRecord};
use super::records::{self, Delivered};

/// The wait before a consumer is created again.
const RETRY: Duration = Duration::from_millis(200);

/// What the reader reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Assignment {
    /// The id of this host.
    pub(super) host: String,
    /// The partitions that it owns and does not give up.
    pub(super) partitions: BTreeSet<u16>,
    /// Counts the changes of host and partitions. After a change everything is read from the first record on, also if the
    /// partitions are the previous ones again.
    pub(super) changes: u64,
    /// The ids of all hosts that live. Consumers of others are deleted.
    pub(super) living: BTreeSet<String>,
}

/// Reads until `assignment` is gone. `opened` gets the partitions that the consumer of this host has.
pub(super) async fn read(
    context: Arc<HostContext>,
    mut assignment: watch::Receiver<Assignment>,
    opened: watch::Sender<BTreeSet<u16>>,
) {
    loop {
        let current = assignment.borrow_and_update().clone();
        let living = assignment.clone();
        tokio::select! {
            biased;
            changed = assignment.wait_for(|next| next.changes != current.changes) => if changed.is_err() { return },
            () = read_sessions(&context, &current, living, &opened) => return,
        }
    }
}

/// Opens one session after another. Ends if nothing takes the records.
async fn read_sessions(
    context: &HostContext,
    current: &Assignment,
    living: watch::Receiver<Assignment>,
    opened: &watch::Sender<BTreeSet<u16>>,
) {
    let mut connections = context.connections.clone();
    loop {
        context.is_reading.store(false, Relaxed);
        connections.mark_unchanged();
        // A host that was paused does not delete the consumers of hosts that started meanwhile.
        if !current.partitions.is_empty() && !context.lease.is_valid(Instant::now()) {
            tokio::time::sleep(RETRY).await;
            continue;
        }
        let living = living.borrow().living.clone();
        let mut session = match open(context, current, &living).await {
            Ok(session) => session,
            Err(error) => {
                if error.code() == Some(code::NO_STREAM) {
                    context.is_stream_missing.store(true, Relaxed);
                }
                warn!(error = %error, "the outbox cannot be read; trying again");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        // The previous owner writes no more.
        let mut states = match context.states.read(&current.partitions).await {
            Ok(states) => states,
            Err(error) => {
                warn!(error = %error, "the attempts of the outbox cannot be read; trying again");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        opened.send_replace(current.partitions.clone());
        let Some(session) = &mut session else {
            // There is nothing to read. The caller ends this wait.
            return std::future::pending().await;
        };
        context.is_reading.store(true, Relaxed);
        loop {
            let records = tokio::select! {
                biased;
                // Messages may be lost with the connection. An error means that the client is gone.
                _ = connections.changed() => break,
                records = session.next() => records,
            };
            let Some(records) = records else { break };
            // First the place, then the records: the caller may end this wait, and the records would be lost.
            let Ok(place) = context.feed.reserve().await else {
                return;
            };
            let fetched = take(context, records, &mut states);
            if !fetched.is_empty() {
                place.send(fetched);
            }
        }
        debug!("the consumer of the outbox is created anew");
        tokio::time::sleep(RETRY).await;
    }
}

/// Deletes the consumers of this host and of hosts that have stopped, and opens a session; `None` without partitions.
async fn open(
    context: &HostContext,
    current: &Assignment,
    living: &BTreeSet<String>,
) -> Result<Option<Session>, ApiError> {
    let is_own = |host: &str| host == current.host;
    if current.partitions.is_empty() {
        consumer::delete_all(&context.api, &context.settings.name, is_own).await?;
        return Ok(None);
    }
    let is_stale = |host: &str| is_own(host) || !living.contains(host);
    consumer::delete_all(&context.api, &context.settings.name, is_stale).await?;
    let has_all = current.partitions.len() == usize::from(context.records.count());
    let partitions = (!has_all).then_some(&current.partitions);
    let session = Session::open(&context.api, &context.settings.name, &current.host, partitions);
    session.await.map(Some)
}

/// Takes note of records. Returns those that are to be handed over.
fn take(context: &HostContext, records: Vec<ReadRecord>, states: &mut HashMap<u64, AttemptState>) -> Fetched {
    let mut fetched = Vec::with_capacity(records.len());
    for record in records {
        let state = states.remove(&records::number(record.partition, record.sequence));
        let (partition, sequence) = (record.partition, record.sequence);
        let delivered = context
            .records
            .delivered(partition, sequence, &record.reply, state.is_some());
        match delivered {
            Delivered::New(number) => fetched.push(FetchedRecord {
                number,
                // A copy: a part of the buffer of the connection would keep all of it in memory.
                bytes: Bytes::copy_from_slice(&record.bytes),
                state,
            }),
            Delivered::Known => {}
            Delivered::Ended => {
                // Without a receiver the outbox is closed.
                context.acks.send(Outgoing::Ack(record.reply)).ok();
            }
        }
    }
    fetched
}
