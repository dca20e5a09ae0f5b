//! Requests in an outbox that several hosts share.
//!
//! `append` stores requests and returns; it does not send them. A thread receives the records of the partitions that this
//! host delivers, from whatever host they come, and passes them to the sender threads. Before each attempt a sender thread
//! asks whether this host still delivers the record. If not, it drops the request and counts it as moved.

use hookhost_contract::Ticket;
use hookhost_dead_letters::Collection;
use hookhost_jetstream::{NewRecord, SharedOutbox, partition};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use tracing::error;

use super::StartError;
use super::attempt::Attempts;
use super::counters::Counts;
use super::dead_letter::DEAD_LETTERS;
use super::destination::Receivers;
use super::destination_counts::DestinationKey;
use super::end::letter;
use super::job::Item;
use super::outbox::{Inboxes, Outbox, OutboxClosed};
use super::record;
use super::request::{OutboxRequest, shown};
use super::retry::{Outcome, Reason};
use super::sender::SenderState;
use super::target::key_of;

/// The intake of a shared outbox.
pub(super) struct SharedIntake {
    pub(super) outbox: SharedOutbox,
    letters: Collection,
    counts: Arc<Counts>,
    /// The receivers of the last request. Records do not contain them, because they contain secrets.
    receivers: Mutex<Option<Arc<Receivers>>>,
}

impl SharedIntake {
    /// Starts the thread that receives records.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the system cannot create the thread.
    pub(super) fn start(
        outbox: SharedOutbox,
        inboxes: &Arc<Inboxes>,
        letters: &Collection,
        counts: &Arc<Counts>,
    ) -> Result<(Arc<SharedIntake>, JoinHandle<()>), StartError> {
        let lost = Arc::clone(inboxes);
        outbox.set_on_lost(move || lost.drop_moved());
        let intake = Arc::new(SharedIntake {
            outbox,
            letters: letters.clone(),
            counts: Arc::clone(counts),
            receivers: Mutex::default(),
        });
        let (shared, inboxes) = (Arc::clone(&intake), Arc::clone(inboxes));
        let thread = thread::Builder::new().name("outbox-shared".to_owned());
        let thread = thread
            .spawn(move || shared.receive(&inboxes))
            .map_err(StartError::Thread)?;
        Ok((intake, thread))
    }

    /// Passes records to the sender threads until the outbox or delivery ends.
    fn receive(&self, inboxes: &Inboxes) {
        let Some(mut feed) = self.outbox.feed() else { return };
        while let Some(records) = feed.blocking_recv() {
            let receivers = self.receivers.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut requests = Vec::with_capacity(records.len());
            for (number, bytes) in records {
                match record::decode(bytes) {
                    Ok(mut request) => {
                        request.receivers.clone_from(&receivers);
                        requests.push((number, request));
                    }
                    Err(error) => self.drop_damaged(number, &error),
                }
            }
            if inboxes.restore(requests).is_err() {
                return;
            }
        }
    }

    fn drop_damaged(&self, number: u64, error: &record::RecordError) {
        error!(record = number, error = %error, "request dropped: its record in the shared outbox cannot be used");
        self.counts.all.accepted(1);
        self.counts.all.damaged();
        let unknown = self.counts.destination(DestinationKey::unknown());
        unknown.accepted(0, 0);
        unknown.damaged(0, 0);
        self.outbox.end(number);
    }

    /// Makes the record of a request, or a dead letter if it is too large.
    fn record(&self, request: OutboxRequest) -> Option<NewRecord> {
        let bytes = record::encode(&request);
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
        Some(NewRecord {
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
        let stored = move || {
            all.dead(&module, Reason::Invalid);
            destination.dead(event_at, size, Reason::Invalid);
        };
        self.letters
            .put(DEAD_LETTERS, letter.at, &letter.encode(), Some(Box::new(stored)));
    }
}

impl Outbox for SharedIntake {
    fn append(&self, mut requests: Vec<OutboxRequest>) -> Result<(), OutboxClosed> {
        let tickets: Vec<Ticket> = requests
            .iter_mut()
            .filter_map(|request| request.ticket.take())
            .collect();
        if let Some(receivers) = requests.iter().rev().find_map(|request| request.receivers.clone()) {
            *self.receivers.lock().unwrap_or_else(PoisonError::into_inner) = Some(receivers);
        }
        let records: Vec<NewRecord> = requests
            .into_iter()
            .filter_map(|request| self.record(request))
            .collect();
        self.outbox.append(&records).map_err(|_| OutboxClosed)?;
        tickets.into_iter().for_each(Ticket::complete);
        Ok(())
    }
}

impl SenderState {
    /// Asks whether this host delivers a request, and marks its record. True for requests that are not shared.
    pub(super) fn begin(&self, record: Option<u64>) -> bool {
        match (&self.shared, record) {
            (Some(shared), Some(record)) => shared.begin(record),
            _ => true,
        }
    }

    /// Returns whether another host delivers a request.
    pub(super) fn is_moved(&self, item: &Item) -> bool {
        match (&self.shared, item.record()) {
            (Some(shared), Some(record)) => !shared.holds(record),
            _ => false,
        }
    }

    /// The attempt of a request is followed by another one.
    pub(super) fn rest(&self, record: Option<u64>) {
        if let (Some(shared), Some(record)) = (&self.shared, record) {
            shared.rest(record);
        }
    }

    /// Forgets a request that another host delivers. The caller has removed it from the queue, or does so.
    pub(super) fn drop_moved_item(&self, item: &Item) {
        let (event_at, size) = match item {
            Item::Job(job) => {
                self.window.release(1, job.size);
                (job.request.event.at, job.size)
            }
            Item::Stored(stored) => (stored.event_at, stored.size),
        };
        self.counts.all.moved();
        item.target().destination.counts.moved(event_at, size);
    }

    /// Forgets the requests that other hosts deliver, up to the first one of each key that this host delivers.
    pub(super) fn drop_moved(&self) {
        if self.shared.is_some() {
            let dropped = self.queue.borrow_mut().remove_heads(|item| self.is_moved(item));
            dropped.iter().for_each(|item| self.drop_moved_item(item));
        }
    }
}
