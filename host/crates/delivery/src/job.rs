//! A request on its way through a sender thread.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::request::Reach;
use super::target::{Route, Target};
use hookhost_contract::Method;

/// A checked request, ready to send. Boxed, because it moves several times.
pub(super) struct Job {
    pub(super) target: Rc<Target>,
    pub(super) route: Route,
    pub(super) method: Method,
    pub(super) reach: Reach,
    pub(super) body: Bytes,
    pub(super) received: Instant,
    pub(super) expires: Option<Instant>,
    pub(super) first_attempt: Option<Instant>,
    pub(super) attempts: u32,
    /// The bytes of capacity that the job returns when it ends.
    pub(super) size: usize,
    pub(super) id: String,
    /// The message id of a signed request; the same for each attempt.
    pub(super) message_id: Option<String>,
    pub(super) source: Arc<str>,
    pub(super) generation: u32,
}
