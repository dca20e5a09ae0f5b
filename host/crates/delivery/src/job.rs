//! A request on its way through a sender thread: in memory ([`Job`]), or on disk with a place in the queue ([`Stored`]).

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::attempt::Attempts;
use super::queue::Size;
use super::request::OutboxRequest;
use super::signing::message_id;
use super::target::{Route, Target};

/// A checked request, ready to send. Boxed, because it moves several times.
pub(super) struct Job {
    pub(super) target: Rc<Target>,
    pub(super) route: Route,
    /// The request. Its ordering key is in the queue.
    pub(super) request: OutboxRequest,
    /// When the request expires.
    pub(super) expires: Option<Instant>,
    pub(super) attempts: Attempts,
    /// The bytes of capacity that the job returns when it ends.
    pub(super) size: usize,
    /// Its number in the journal.
    pub(super) record: Option<u64>,
    /// The message id of a signed request; the same for each attempt.
    pub(super) message_id: Option<String>,
}

/// What the queue of a sender thread contains.
pub(super) enum Item {
    /// A request in memory.
    Job(Box<Job>),
    /// A request whose content is on disk.
    Stored(Stored),
}

impl Size for Item {
    fn size(&self) -> usize {
        match self {
            Item::Job(job) => job.size,
            Item::Stored(stored) => stored.size,
        }
    }
}

/// The place of a request on disk.
pub(super) struct Stored {
    pub(super) record: u64,
    pub(super) size: usize,
    pub(super) event_at: u64,
    pub(super) target: Rc<Target>,
    pub(super) attempts: u32,
    pub(super) first_attempt: Option<Instant>,
}

impl Job {
    /// Makes a job of a request, and returns the ordering key with it.
    pub(super) fn new(
        target: Rc<Target>,
        route: Route,
        mut request: OutboxRequest,
        record: Option<u64>,
    ) -> (String, Box<Job>) {
        let size = request.size();
        let message_id = match &route {
            Route::Http(to) if to.is_signed() => Some(message_id(&request)),
            _ => None,
        };
        let ordering_key = std::mem::take(&mut request.ordering_key);
        let job = Job {
            target,
            route,
            expires: request.expires.map(instant),
            request,
            attempts: Attempts::default(),
            size,
            record,
            message_id,
        };
        (ordering_key, Box::new(job))
    }

    /// Returns the place of the request on disk, or the job itself if it has none. The request forgets what happened in its
    /// attempts, because a place must be small.
    pub(super) fn store(self: Box<Job>) -> Item {
        match self.record {
            Some(record) => Item::Stored(Stored {
                record,
                size: self.size,
                event_at: self.request.event.at,
                target: self.target,
                attempts: self.attempts.count,
                first_attempt: self.attempts.first,
            }),
            None => Item::Job(self),
        }
    }
}

/// Returns the time on the monotonic clock, now or later; a time that this clock cannot express is far away.
fn instant(at: SystemTime) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let left = at.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.min(FAR)
}
