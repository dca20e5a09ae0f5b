//! A request on its way through a sender thread: in memory ([`Job`]), or on disk with a place in the queue ([`Stored`]).

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::time::Instant;

use super::request::{OutboxRequest, Reach};
use super::signing::message_id;
use super::target::{Route, Target};
use hookhost_contract::Method;

/// A checked request, ready to send. Boxed, because it moves several times.
pub(super) struct Job {
    pub(super) target: Rc<Target>,
    pub(super) route: Route,
    pub(super) method: Method,
    pub(super) reach: Reach,
    pub(super) body: Bytes,
    pub(super) expires: Option<Instant>,
    pub(super) first_attempt: Option<Instant>,
    pub(super) attempts: u32,
    /// The bytes of capacity that the job returns when it ends.
    pub(super) size: usize,
    /// Its number in the journal.
    pub(super) record: Option<u64>,
    pub(super) id: String,
    /// The message id of a signed request; the same for each attempt.
    pub(super) message_id: Option<String>,
    pub(super) source: Arc<str>,
    pub(super) generation: u32,
    /// As [`OutboxRequest::republishes`](super::OutboxRequest::republishes).
    pub(super) republishes: u8,
}

/// What the queue of a sender thread contains.
pub(super) enum Item {
    /// A request in memory.
    Job(Box<Job>),
    /// A request whose content is on disk.
    Stored(Stored),
}

/// The place of a request on disk.
pub(super) struct Stored {
    pub(super) record: u64,
    pub(super) size: usize,
    pub(super) target: Rc<Target>,
    pub(super) first_attempt: Option<Instant>,
    pub(super) attempts: u32,
}

impl Job {
    /// Makes a job of a request, and returns the ordering key with it.
    pub(super) fn new(
        target: Rc<Target>,
        route: Route,
        request: OutboxRequest,
        record: Option<u64>,
    ) -> (String, Box<Job>) {
        let size = request.size();
        let OutboxRequest {
            id,
            source,
            generation,
            method,
            url,
            reach,
            body,
            ordering_key,
            expires,
            republishes,
            ..
        } = request;
        let message_id = match &route {
            Route::Http(to) if to.is_signed() => Some(message_id(&id, &source, method, &url, &body)),
            _ => None,
        };
        let job = Job {
            target,
            route,
            method,
            reach,
            body,
            expires: expires.map(instant),
            first_attempt: None,
            attempts: 0,
            size,
            record,
            id,
            message_id,
            source,
            generation,
            republishes,
        };
        (ordering_key, Box::new(job))
    }

    /// Returns the place of the request on disk, if it has one. The caller drops the rest of the job.
    pub(super) fn stored(&self) -> Option<Stored> {
        Some(Stored {
            record: self.record?,
            size: self.size,
            target: Rc::clone(&self.target),
            first_attempt: self.first_attempt,
            attempts: self.attempts,
        })
    }
}

/// Returns the time on the monotonic clock, now or later; a time that this clock cannot express is far away.
fn instant(at: SystemTime) -> Instant {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let left = at.duration_since(SystemTime::now()).unwrap_or_default();
    Instant::now() + left.min(FAR)
}
