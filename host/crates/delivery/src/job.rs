//! A request on its way through a sender thread: in memory ([`Job`]), or on disk with a place in the queue ([`Stored`]).

use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::attempt::Attempts;
use super::batch_group::BatchGroup;
use super::queue::{DestinationId, Size};
use super::request::OutboxRequest;
use super::signing::message_id;
use super::target::{Route, Target};

/// The number of the next request without a place on disk.
static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

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
    /// Its number in the activity log: the one in the journal, or one of this process.
    pub(super) number: u64,
    /// The message id of a request that is signed or has it in a header; the same for each attempt.
    pub(super) message_id: Option<String>,
    /// How often a batch with this request was refused. Each time, the next batch is half as large.
    pub(super) halvings: u8,
}

/// What the queue of a sender thread contains.
pub(super) enum Item {
    /// A request in memory.
    Job(Box<Job>),
    /// A request whose content is on disk.
    Stored(Stored),
}

impl Item {
    /// Returns the requests that it may be sent with; `None`: it is sent alone.
    pub(super) fn group(&self) -> Option<&Rc<BatchGroup>> {
        match self {
            Item::Job(job) => job.group(),
            Item::Stored(stored) => stored.group.as_ref(),
        }
    }

    /// Returns how often a batch with this request was refused.
    pub(super) fn halvings(&self) -> u8 {
        match self {
            Item::Job(job) => job.halvings,
            Item::Stored(stored) => stored.tried.as_ref().map_or(0, |tried| tried.halvings),
        }
    }

    /// Returns its number in the journal; `None` without a data folder.
    pub(super) fn record(&self) -> Option<u64> {
        match self {
            Item::Job(job) => job.record,
            Item::Stored(stored) => Some(stored.record),
        }
    }

    /// Returns the bytes that it needs in memory when it is read; `None` if it is in memory.
    pub(super) fn stored_size(&self) -> Option<usize> {
        match self {
            Item::Job(_) => None,
            Item::Stored(stored) => Some(stored.size),
        }
    }

    /// Returns when its next attempt may begin, if another host has made the previous one and this time is later than `now`.
    pub(super) fn waits_until(&self, now: impl FnOnce() -> Instant) -> Option<Instant> {
        let next = match self {
            Item::Job(job) => job.attempts.next,
            Item::Stored(stored) => stored.tried.as_ref().and_then(|tried| tried.next),
        };
        next.filter(|next| now() < *next)
    }

    /// Returns where it is sent.
    pub(super) fn target(&self) -> &Target {
        match self {
            Item::Job(job) => &job.target,
            Item::Stored(stored) => &stored.target,
        }
    }

    /// Returns the id of its destination in the queue.
    pub(super) fn queue_id(&self) -> DestinationId {
        self.group().map_or(self.target().destination.id, |group| group.id())
    }

    /// Returns the bytes that a batch needs for it.
    pub(super) fn body_bytes(&self) -> usize {
        match self {
            Item::Job(job) => job.body_bytes(),
            Item::Stored(stored) => stored.body_bytes,
        }
    }
}

impl Size for Item {
    fn size(&self) -> usize {
        self.body_bytes()
    }
}

/// The place of a request on disk. Small, because a million of them may wait.
pub(super) struct Stored {
    pub(super) record: u64,
    pub(super) size: usize,
    pub(super) event_at: u64,
    /// The bytes that a batch needs for it.
    pub(super) body_bytes: usize,
    pub(super) target: Rc<Target>,
    pub(super) group: Option<Rc<BatchGroup>>,
    /// What is known of its attempts; `None` before the first one.
    pub(super) tried: Option<Box<Tried>>,
}

/// What a place on disk remembers of the attempts.
pub(super) struct Tried {
    count: u32,
    first: Option<Instant>,
    next: Option<Instant>,
    halvings: u8,
}

impl Tried {
    /// What is remembered of these attempts.
    pub(super) fn of(attempts: &Attempts, halvings: u8) -> Tried {
        Tried {
            count: attempts.count,
            first: attempts.first,
            next: attempts.next,
            halvings,
        }
    }
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
        let has_id = target.terms().http.id_header.is_some();
        let message_id = match &route {
            Route::Http(to) if has_id || to.is_signed() => Some(message_id(&request)),
            Route::Batch(group) if has_id || group.prepared.is_signed() => Some(message_id(&request)),
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
            number: record.unwrap_or_else(|| NEXT_NUMBER.fetch_add(1, Ordering::Relaxed)),
            message_id,
            halvings: 0,
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
                body_bytes: self.body_bytes(),
                group: self.group().cloned(),
                tried: Some(Box::new(Tried::of(&self.attempts, self.halvings))),
                target: self.target,
            }),
            None => Item::Job(self),
        }
    }
}

impl Job {
    /// Returns the requests that it may be sent with; `None`: it is sent alone.
    fn group(&self) -> Option<&Rc<BatchGroup>> {
        match &self.route {
            Route::Batch(group) => Some(group),
            _ => None,
        }
    }

    fn body_bytes(&self) -> usize {
        self.request.body.len() + 1
    }

    /// Returns the id of its destination in the queue.
    pub(super) fn queue_id(&self) -> DestinationId {
        self.group().map_or(self.target.destination.id, |group| group.id())
    }
}

impl Stored {
    /// Returns how the request is sent.
    ///
    /// # Errors
    ///
    /// What is wrong with its headers.
    pub(super) fn route(&self, request: &OutboxRequest) -> Result<Route, String> {
        match &self.group {
            Some(group) => Ok(Route::Batch(Rc::clone(group))),
            None => self.target.route(&request.headers),
        }
    }

    /// Makes a job again.
    pub(super) fn into_job(self, route: Route, request: OutboxRequest) -> Box<Job> {
        let (_, mut job) = Job::new(self.target, route, request, Some(self.record));
        if let Some(tried) = self.tried {
            (job.attempts.count, job.attempts.first) = (tried.count, tried.first);
            job.halvings = tried.halvings;
        }
        job
    }
}

/// Returns the time on the monotonic clock, now or later; a time that this clock cannot express is far away.
fn instant(at: SystemTime) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let left = at.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.min(FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_waits_on_disk_needs_little_memory() {
        assert!(size_of::<Item>() <= 56, "{}", size_of::<Item>());
    }
}
