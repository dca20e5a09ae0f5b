//! The requests that may be sent together: those with the same destination, URL, method, headers and batching.
//!
//! A group is a destination of the queue. It keeps its id while a request refers to it, also over a change of the
//! configuration, so that the order of each key is kept. Its headers are those of one configuration: requests of two
//! configurations never share a batch.

use std::collections::HashMap;
use std::rc::Rc;

use super::batching::Batching;
use super::endpoint::Prepared;
use super::queue::{DestinationId, Gathering};
use super::request::{OutboxRequest, Reach};
use super::target::{Headers, Route, Target};
use hookhost_contract::Method;

/// Limit of the ids that are remembered without a request that refers to them.
const MAX_IDS: usize = 1024;

/// Limit of the groups remembered per URL.
const MAX_GROUPS: usize = 4;

/// Requests that may be sent together.
pub(super) struct BatchGroup {
    id: Rc<DestinationId>,
    key: GroupKey,
    /// The URL and headers of a batch.
    pub(super) prepared: Rc<Prepared>,
}

/// What requests of one URL must have in common to be sent together.
#[derive(Debug, Clone, PartialEq)]
struct GroupKey {
    batching: Batching,
    method: Method,
    reach: Reach,
    headers: Headers,
}

/// The groups of one URL that were used last.
#[derive(Default)]
pub(super) struct BatchGroups {
    known: Vec<Rc<BatchGroup>>,
    /// The index in `known` that is replaced next.
    oldest: usize,
}

/// The ids of groups.
#[derive(Default)]
pub(super) struct GroupIds(HashMap<String, Rc<DestinationId>>);

impl BatchGroup {
    /// The id in the queue.
    pub(super) fn id(&self) -> DestinationId {
        *self.id
    }

    /// How its requests are sent together.
    pub(super) fn batching(&self) -> &Batching {
        &self.key.batching
    }

    /// When the queue has gathered enough of its requests.
    pub(super) fn gathering(&self) -> Gathering {
        let Batching {
            max_events,
            max_bytes,
            max_delay,
            ..
        } = self.key.batching;
        Gathering {
            count: max_events,
            bytes: max_bytes,
            delay: max_delay,
        }
    }
}

impl BatchGroups {
    /// Returns the group of a request to `target`. `next` returns an id that is not used yet.
    ///
    /// # Errors
    ///
    /// What is wrong with the headers.
    pub(super) fn group(
        &mut self,
        target: &Target,
        request: &OutboxRequest,
        batching: Batching,
        ids: &mut GroupIds,
        next: impl FnOnce() -> DestinationId,
    ) -> Result<Rc<BatchGroup>, String> {
        let found = self.known.iter().find(|known| known.key.fits(request, batching));
        if let Some(found) = found {
            return Ok(Rc::clone(found));
        }
        let mut headers = request.headers.clone();
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        headers.push(("content-type".to_owned(), batching.format.content_type().to_owned()));
        let Route::Http(prepared) = target.route(&headers)? else {
            return Err("only requests over HTTP can be sent together".to_owned());
        };
        let key = GroupKey {
            batching,
            method: request.method,
            reach: request.reach,
            headers: request.headers.clone(),
        };
        // The headers are part of the name, because requests with other headers cannot wait in the same lane.
        let name = format!("{:?} {} {key:?}", target.destination.id, request.url);
        let id = ids.id(name, next);
        let group = Rc::new(BatchGroup { id, key, prepared });
        if self.known.len() < MAX_GROUPS {
            self.known.push(Rc::clone(&group));
        } else if let Some(place) = self.known.get_mut(self.oldest % MAX_GROUPS) {
            *place = Rc::clone(&group);
            self.oldest = self.oldest.wrapping_add(1);
        }
        Ok(group)
    }
}

impl GroupKey {
    fn fits(&self, request: &OutboxRequest, batching: Batching) -> bool {
        self.batching == batching
            && self.method == request.method
            && self.reach == request.reach
            && self.headers == request.headers
    }
}

impl GroupIds {
    fn id(&mut self, name: String, next: impl FnOnce() -> DestinationId) -> Rc<DestinationId> {
        if self.0.len() >= MAX_IDS && !self.0.contains_key(&name) {
            self.0.retain(|_, id| Rc::strong_count(id) > 1);
        }
        Rc::clone(self.0.entry(name).or_insert_with(|| Rc::new(next())))
    }
}
