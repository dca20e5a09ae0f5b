//! Batches of a sender thread: collects the requests of a group, sends them as one HTTP request, and ends each of them.
//!
//! A batch that the receiver refuses is sent again in smaller parts, half as large each time: at once after a final
//! answer, with the next retry after another one. So one request that the receiver does not accept fails alone in the
//! end, and the others are delivered. No request is repeated for longer than its retry policy allows.

use std::rc::Rc;
use std::time::{Instant as Clock, SystemTime};

use tokio::time::{Instant, timeout};

use super::batch_group::BatchGroup;
use super::breaker::Admission;
use super::excerpt::Excerpt;
use super::http::Sent;
use super::job::{Item, Job};
use super::queue::{Taken, TakenLane};
use super::retry::Outcome;
use super::sender::SenderState;
use super::signing::batch_id;
use super::worker::Next;

/// Requests that will be sent together. The contents of some may be on the disk or in the shared outbox.
pub(super) struct GatheredBatch {
    group: Rc<BatchGroup>,
    lanes: Vec<TakenLane<Item>>,
}

/// Requests that are sent together.
pub(super) struct EventBatch {
    group: Rc<BatchGroup>,
    lanes: Vec<BatchLane>,
}

/// The requests of one key, in order.
struct BatchLane {
    taken: Taken,
    #[expect(clippy::vec_box, reason = "the queue hands out boxes")]
    jobs: Vec<Box<Job>>,
    /// Requests whose records could not be used.
    dropped: usize,
    /// Requests that go back to the head of the lane, in order.
    back: Vec<Item>,
    /// When these are sent again; `None`: as soon as possible.
    at: Option<Clock>,
}

impl SenderState {
    /// Collects the requests that are sent together with the first one.
    pub(super) fn gather(&self, first: (Taken, Item), group: &Rc<BatchGroup>) -> GatheredBatch {
        let batching = group.batching();
        let halvings = first.1.halvings();
        let most = (batching.max_events >> halvings.min(32)).max(1);
        let (mut count, mut bytes) = (1, first.1.body_bytes());
        let lanes = self.queue.borrow_mut().gather(first, |item| {
            let is_alike = item.group().is_some_and(|other| Rc::ptr_eq(other, group)) && item.halvings() == halvings;
            let longer = bytes + item.body_bytes();
            let is_due = item.waits_until(Instant::now).is_none();
            let fits = is_alike && is_due && count < most && longer <= batching.max_bytes;
            if fits {
                (count, bytes) = (count + 1, longer);
            }
            fits
        });
        let items = lanes.iter().flat_map(|lane| &lane.items);
        let stored: Vec<usize> = items.filter_map(Item::stored_size).collect();
        self.window.add(stored.len(), stored.iter().sum());
        let group = Rc::clone(group);
        GatheredBatch { group, lanes }
    }

    /// Reads the requests of a batch. Returns `None` if none of them can be read.
    pub(super) async fn load_batch(self: &Rc<Self>, gathered: GatheredBatch) -> Option<EventBatch> {
        let GatheredBatch { group, lanes } = gathered;
        let loaded = lanes.into_iter().map(|lane| self.load_lane(lane));
        let lanes = futures::future::join_all(loaded).await;
        let (lanes, unreadable): (Vec<_>, Vec<_>) = lanes.into_iter().partition(|lane| !lane.jobs.is_empty());
        unreadable.into_iter().for_each(|lane| self.return_lane(lane, 0));
        (!lanes.is_empty()).then_some(EventBatch { group, lanes })
    }

    /// Reads the requests of a lane that are not in memory.
    async fn load_lane(self: &Rc<Self>, lane: TakenLane<Item>) -> BatchLane {
        let mut loaded = BatchLane {
            taken: lane.taken,
            jobs: Vec::with_capacity(lane.items.len()),
            dropped: 0,
            back: Vec::new(),
            at: None,
        };
        for item in lane.items {
            // What follows an unreadable request of its key waits for it.
            if !loaded.back.is_empty() {
                if let Some(size) = item.stored_size() {
                    self.window.release(1, size);
                }
                loaded.back.push(item);
                continue;
            }
            let job = match item {
                Item::Job(job) => job,
                Item::Stored(stored) => match self.load(stored).await {
                    Ok(job) => job,
                    Err(None) => {
                        loaded.dropped += 1;
                        continue;
                    }
                    Err(Some((stored, at))) => {
                        loaded.back.push(Item::Stored(stored));
                        loaded.at = Some(at);
                        continue;
                    }
                },
            };
            if self.begin(job.record) {
                loaded.jobs.push(job);
            } else {
                self.drop_moved_item(&Item::Job(job));
                loaded.dropped += 1;
            }
        }
        loaded
    }

    /// Sends a batch and handles its outcome.
    pub(super) async fn send_batch(self: &Rc<Self>, mut batch: EventBatch, admission: Admission) {
        let start = Instant::now();
        let expired = |job: &Job| job.expires.is_some_and(|expires| expires < start);
        let is_alive = batch.lanes.iter().flat_map(|lane| &lane.jobs).any(|job| !expired(job));
        let (outcome, answer) = if is_alive {
            self.attempt_batch(&mut batch, start, expired, admission).await
        } else {
            (Outcome::Expired, None)
        };
        let sent = batch
            .lanes
            .iter()
            .flat_map(|lane| &lane.jobs)
            .filter(|job| !expired(job));
        let is_single = sent.take(2).count() < 2;
        for mut lane in batch.lanes {
            let mut ended = 0;
            let mut back = Vec::new();
            for mut job in lane.jobs.drain(..) {
                let outcome = if expired(&job) { &Outcome::Expired } else { &outcome };
                if let Outcome::Refused { status, .. } = outcome
                    && !is_single
                {
                    let is_final = self.is_final(&job, outcome);
                    // 429 and 503 say nothing about the events.
                    if is_final || !matches!(status, 429 | 503) {
                        job.halvings = job.halvings.saturating_add(1);
                    }
                    if is_final {
                        job.attempts.undo();
                        self.rest(job.record);
                        back.push(Item::Job(job));
                        continue;
                    }
                }
                match self.conclude(&lane.taken, job, outcome, answer.clone()) {
                    Next::Ended => ended += 1,
                    Next::Retry(item, at) => {
                        lane.at = lane.at.max(Some(at));
                        back.push(item);
                    }
                }
            }
            back.append(&mut lane.back);
            lane.back = back;
            self.return_lane(lane, ended);
        }
        if self.queue.borrow().has_new_gathering() {
            self.changed.notify_one();
        }
    }

    async fn attempt_batch(
        &self,
        batch: &mut EventBatch,
        start: Instant,
        expired: impl Fn(&Job) -> bool,
        admission: Admission,
    ) -> (Outcome, Option<Excerpt>) {
        let jobs = batch.lanes.iter_mut().flat_map(|lane| &mut lane.jobs);
        jobs.filter(|job| !expired(job))
            .for_each(|job| job.attempts.begin(start));
        let jobs = batch.lanes.iter().flat_map(|lane| &lane.jobs);
        let jobs = jobs.filter(|job| !expired(job)).map(|job| &**job);
        let Some(first) = jobs.clone().next() else {
            return (Outcome::Expired, None);
        };
        let terms = first.target.terms();
        let ids: Option<Vec<&str>> = jobs.clone().map(|job| job.message_id.as_deref()).collect();
        let id = ids.map(|ids| batch_id(&ids));
        let sent = Sent {
            reach: first.request.reach,
            method: first.request.method,
            body: batch
                .group
                .batching()
                .format
                .join(jobs.clone().map(|job| &job.request.body)),
            encoding: None,
            id: id.as_deref(),
            attempt: first.attempts.count,
            terms,
        };
        let attempt = self.http.attempt(&batch.group.prepared, &sent);
        let (outcome, answer) = timeout(terms.http_timeout, attempt)
            .await
            .unwrap_or((Outcome::TimedOut, None));
        let duration = start.elapsed();
        for lane in &batch.lanes {
            if let Some(job) = lane.jobs.first() {
                self.note_lag(&lane.taken, job, lane.jobs.len(), duration);
            }
        }
        self.leave(&first.target, admission, &outcome, duration);
        if !outcome.is_accepted() {
            let now = SystemTime::now();
            first.target.destination.counts.failed(now, &outcome);
            let jobs = batch.lanes.iter_mut().flat_map(|lane| &mut lane.jobs);
            jobs.filter(|job| !expired(job))
                .for_each(|job| job.attempts.fail(now, duration, &outcome));
        }
        (outcome, answer)
    }

    /// Returns a lane to the queue, of which `ended` requests of the batch have ended.
    fn return_lane(&self, lane: BatchLane, ended: usize) {
        let ended = ended + lane.dropped;
        self.queue.borrow_mut().settle(lane.taken, ended, lane.back, lane.at);
        if let Some(at) = lane.at {
            self.wake_by(at);
        }
        self.wake_if_stopping();
    }
}
