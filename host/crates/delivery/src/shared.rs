//! Requests in an outbox that several hosts share.
//!
//! ```text
//! append ──> stream of NATS ──(the partitions of this host)──> receive ──> sender threads
//!    └─(NATS cannot be used)─> backlog in the data folder ──> forward ──> stream
//! ```
//!
//! `append` stores requests and returns; it does not send them. A thread receives the records of the partitions that this
//! host delivers, from whatever host they come, and passes them to the sender threads. Before each attempt a sender thread
//! asks whether this host still delivers the record. If not, it drops the request and counts it as moved. What is known of
//! failed attempts is kept in NATS, and comes with the record when another host receives it (`attempt_state.rs`).
//!
//! With a data folder, requests that NATS does not accept wait there ([`Backlog`]). While some wait, new ones wait behind
//! them, so the order is kept. The ticket of a request is complete when its record is in the stream.

mod attempt_state;
mod backlog;
mod forward;
mod moved;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use hookhost_contract::Ticket;
use hookhost_jetstream::{AppendError, FetchedRecord, OutboxRecord, SharedOutbox, partition};
use hookhost_outbox::Store;
use tracing::{error, info};

use super::StartError;
use super::attempt::Attempts;
use super::counters::Counts;
use super::dead_letters::DeadLetterError;
use super::destination::Receivers;
use super::destination_counts::DestinationKey;
use super::end::letter;
use super::letter_store::LetterStore;
use super::outbox::{Inboxes, Outbox, OutboxClosed, RestoredRequest};
use super::record::{self, RecordError};
use super::request::{OutboxRequest, shown};
use super::retry::{Outcome, Reason};
use super::target::key_of;
use backlog::{Backlog, PutError, Waiting};

/// The intake of a shared outbox.
pub(super) struct SharedIntake {
    pub(super) outbox: SharedOutbox,
    /// The requests that wait in the data folder; `None` without one.
    backlog: Option<Backlog>,
    letters: LetterStore,
    counts: Arc<Counts>,
    /// The receivers of requests; `None`: those at the start. Records do not contain them, because they contain secrets.
    receivers: Mutex<Option<Arc<Receivers>>>,
}

impl SharedIntake {
    /// Starts the threads that receive records, and that move records from the data folder. `store` is the outbox of the data
    /// folder, with at most `max_bytes`.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the data folder cannot be read, or the system cannot create a thread.
    pub(super) fn start(
        outbox: SharedOutbox,
        store: Option<Store>,
        max_bytes: usize,
        inboxes: &Arc<Inboxes>,
        letters: &LetterStore,
        counts: &Arc<Counts>,
    ) -> Result<(Arc<SharedIntake>, Vec<JoinHandle<()>>), StartError> {
        let lost = Arc::clone(inboxes);
        outbox.set_on_lost(move || lost.drop_moved());
        let backlog = store.map(|store| Backlog::new(store, max_bytes)).transpose()?;
        let intake = Arc::new(SharedIntake {
            outbox,
            backlog,
            letters: letters.clone(),
            counts: Arc::clone(counts),
            receivers: Mutex::default(),
        });
        let (receiving, inboxes) = (Arc::clone(&intake), Arc::clone(inboxes));
        let thread = |name: &str| thread::Builder::new().name(name.to_owned());
        let receiving = thread("outbox-shared").spawn(move || receiving.receive(&inboxes));
        let mut threads = vec![receiving.map_err(StartError::Thread)?];
        if intake.backlog.is_some() {
            let moving = Arc::clone(&intake);
            let moving = thread("outbox-forward").spawn(move || moving.forward());
            threads.push(moving.map_err(StartError::Thread)?);
        }
        Ok((intake, threads))
    }

    /// Passes records to the sender threads until the outbox or delivery ends.
    fn receive(&self, inboxes: &Inboxes) {
        let Some(mut feed) = self.outbox.feed() else { return };
        while let Some(records) = feed.blocking_recv() {
            let receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut requests = Vec::with_capacity(records.len());
            for FetchedRecord { number, bytes, state } in records {
                match record::decode(bytes) {
                    Ok(mut request) => {
                        request.receivers.clone_from(&receivers);
                        let attempts = state.and_then(|state| attempt_state::of_record(number, state));
                        requests.push(RestoredRequest {
                            record: number,
                            request,
                            attempts,
                        });
                    }
                    // It stays in the stream.
                    Err(error @ RecordError::Version(_)) => report_newer(number, error),
                    Err(error) => {
                        self.count_damaged(number, &error);
                        self.outbox.end(number);
                    }
                }
            }
            if inboxes.restore(requests).is_err() {
                return;
            }
        }
    }

    /// Counts a request whose record is damaged.
    fn count_damaged(&self, number: u64, error: &dyn std::fmt::Display) {
        error!(record = number, error = %error, "request dropped: its record cannot be used");
        self.counts.all.accepted(1);
        self.counts.all.damaged();
        let unknown = self.counts.destination(DestinationKey::unknown());
        unknown.accepted(0, 0);
        unknown.damaged(0, 0);
    }

    /// Makes the record of a request for the stream, or a dead letter if it is too large.
    fn record(&self, request: OutboxRequest, bytes: Bytes) -> Option<OutboxRecord> {
        let most = self.outbox.max_record_bytes();
        if bytes.len() > most {
            let text = format!(
                "the request has {} bytes, and NATS accepts {most}: see `max_payload` of NATS",
                bytes.len()
            );
            self.refuse(request, text);
            return None;
        }
        let key = if request.ordering_key.is_empty() {
            &request.id
        } else {
            &request.ordering_key
        };
        Some(OutboxRecord {
            partition: partition(key, &key_of(&request).url, self.outbox.partitions()),
            bytes,
        })
    }

    fn refuse(&self, request: OutboxRequest, text: String) {
        let destination = self.counts.destination(key_of(&request));
        let (event_at, size, module) = (request.event.at, request.size(), Arc::clone(&request.source));
        self.counts.all.accepted(1);
        destination.accepted(event_at, size);
        let shown = shown(&request.url);
        error!(
            url = shown,
            error = text,
            "request dropped: it does not fit into the shared outbox"
        );
        let letter = letter(
            &shown,
            request,
            Attempts::default(),
            Reason::Invalid,
            &Outcome::Invalid(text),
        );
        let all = Arc::clone(&self.counts);
        let stored = move |_| {
            all.dead(&module, Reason::Invalid);
            destination.dead(event_at, size, Reason::Invalid);
        };
        self.letters.put(None, &letter, Box::new(stored));
    }

    /// Stores requests in the stream. Returns those that NATS does not accept, and why.
    ///
    /// # Errors
    ///
    /// [`OutboxClosed`].
    fn append_to_stream(&self, requests: Vec<OutboxRequest>) -> Result<Option<(Vec<Waiting>, String)>, OutboxClosed> {
        let (mut records, mut tickets) = (Vec::with_capacity(requests.len()), Vec::with_capacity(requests.len()));
        for mut request in requests {
            let ticket = request.ticket.take();
            let bytes = record::encode(&request);
            match self.record(request, bytes) {
                Some(record) => {
                    records.push(record);
                    tickets.push(ticket);
                }
                // A dead letter needs no more storage.
                None => ticket.into_iter().for_each(Ticket::complete),
            }
        }
        let result = match self.backlog {
            Some(_) => self.outbox.try_append(&records),
            None => self.outbox.append(&records).map_err(|_| AppendError::Closed),
        };
        let (stored, error) = match result {
            Ok(()) => (records.len(), None),
            Err(AppendError::Closed) => return Err(OutboxClosed),
            Err(AppendError::Unavailable { stored, error }) => (stored, Some(error)),
        };
        let mut rest = records.into_iter().zip(tickets);
        let complete = rest.by_ref().take(stored).filter_map(|(_, ticket)| ticket);
        complete.for_each(Ticket::complete);
        let rest = rest.map(|(OutboxRecord { bytes, .. }, ticket)| Waiting { bytes, ticket });
        Ok(error.map(|error| (rest.collect(), error)))
    }

    /// Stores the request of a dead letter in the stream. `id` is the number of a letter that all hosts see.
    ///
    /// # Errors
    ///
    /// [`DeadLetterError::Unavailable`] if NATS cannot be used, or older requests wait for it; [`DeadLetterError::Closed`].
    pub(super) fn resend(&self, id: Option<u64>, request: OutboxRequest) -> Result<(), DeadLetterError> {
        if self.backlog.as_ref().is_some_and(|backlog| !backlog.is_empty()) {
            let text = "requests wait in the data folder; send the letter again when they are in NATS";
            return Err(DeadLetterError::Unavailable(text.to_owned()));
        }
        let bytes = record::encode(&request);
        // A request that is too large is a new dead letter then.
        let Some(record) = self.record(request, bytes) else {
            return Ok(());
        };
        let stored = match id {
            Some(id) => self.outbox.try_append_once(&record, &format!("dead-letter-{id}")),
            None => self.outbox.try_append(&[record]),
        };
        stored.map_err(|error| match error {
            AppendError::Closed => DeadLetterError::Closed,
            AppendError::Unavailable { error, .. } => DeadLetterError::Unavailable(error),
        })
    }

    /// Ends the intake. What waits in the data folder stays there.
    pub(super) fn close(&self) {
        self.outbox.close_intake();
        if let Some(backlog) = &self.backlog {
            backlog.close();
        }
    }

    /// Returns how many requests wait in the data folder, and their bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        self.backlog.as_ref().map_or((0, 0), Backlog::waiting)
    }

    /// Says how many requests are left in the data folder. Called at the end.
    pub(super) fn report_left(&self) {
        let (left, _) = self.waiting();
        if left > 0 {
            info!(
                requests = left,
                "these requests wait in the data folder for the next start"
            );
        }
    }
}

/// Reports a record that a later version of hookhost has written. It is kept.
fn report_newer(number: u64, error: RecordError) {
    error!(record = number, error = %error, "a request is kept for a later version of hookhost");
}

impl Outbox for SharedIntake {
    fn append(&self, requests: Vec<OutboxRequest>) -> Result<(), OutboxClosed> {
        let backlog = match &self.backlog {
            Some(backlog) => backlog,
            None => return self.append_to_stream(requests).map(drop),
        };
        let (mut waiting, reason) = if backlog.is_empty() && self.outbox.is_ready() {
            match self.append_to_stream(requests)? {
                None => return Ok(()),
                Some((rest, reason)) => (rest, Some(reason)),
            }
        } else {
            let wait = |mut request: OutboxRequest| Waiting {
                ticket: request.ticket.take(),
                bytes: record::encode(&request),
            };
            (requests.into_iter().map(wait).collect(), None)
        };
        loop {
            match backlog.put(waiting, reason.as_deref()) {
                Ok(()) => return Ok(()),
                Err(PutError::NotWritten(rest)) => waiting = rest,
                Err(PutError::Closed) => return Err(OutboxClosed),
            }
        }
    }

    fn set_receivers(&self, receivers: &Arc<Receivers>) {
        *self.receivers.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(receivers));
    }
}
