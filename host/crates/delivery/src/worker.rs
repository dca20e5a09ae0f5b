//! The attempts of a sender thread. A worker sends one request or batch after another, and ends when the queue has nothing
//! ready.

use std::rc::Rc;
use std::time::{Duration, Instant as Clock, SystemTime};

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::batch::GatheredBatch;
use super::breaker::Admission;
use super::end::End;
use super::endpoint::Prepared;
use super::excerpt::Excerpt;
use super::gate::Entry;
use super::http::Sent;
use super::job::{Item, Job, Stored};
use super::lagging::LaggingKey;
use super::queue::Taken;
use super::retry::{Decision, Outcome, Reason, Timing};
use super::sender::SenderState;
use super::target::Route;
use hookhost_activity::AttemptResult;

/// What a worker sends at once.
pub(super) struct Work {
    what: What,
    /// The answer of the gate of its destination.
    admission: Admission,
}

enum What {
    /// One request.
    Job(Taken, Box<Job>),
    /// One request, whose content is read first.
    Stored(Taken, Stored),
    /// Several requests in one, whose contents are read first.
    Batch(GatheredBatch),
}

/// What follows an attempt of a job.
pub(super) enum Next {
    /// The request has ended.
    Ended,
    /// It is sent again at this time.
    Retry(Item, Clock),
}

impl SenderState {
    /// Returns what is to be sent next, if anything is ready.
    pub(super) fn next_work(self: &Rc<Self>) -> Option<Work> {
        loop {
            let (taken, item) = self.queue.borrow_mut().next()?;
            if self.is_moved(&item) {
                self.drop_moved_item(&item);
                self.queue.borrow_mut().done(taken);
                continue;
            }
            if let Some(next) = item.waits_until(Instant::now) {
                let next = next.into_std();
                self.queue.borrow_mut().retry(taken, item, next);
                self.wake_by(next);
                continue;
            }
            let admission = match self.enter(&item) {
                Entry::Open(admission) => admission,
                Entry::Closed { until, .. } => {
                    let mut queue = self.queue.borrow_mut();
                    let id = item.queue_id();
                    queue.retry(taken, item, until);
                    queue.pause(id, until);
                    self.wake_by(until);
                    continue;
                }
            };
            if let Some(group) = item.group().cloned() {
                let what = What::Batch(self.gather((taken, item), &group));
                return Some(Work { what, admission });
            }
            let what = match item {
                Item::Job(job) => What::Job(taken, job),
                Item::Stored(stored) => {
                    // Taken now: until the request is read, new ones must not use its memory.
                    self.window.add(1, stored.size);
                    What::Stored(taken, stored)
                }
            };
            return Some(Work { what, admission });
        }
    }

    /// Runs a worker: sends this, then more while anything is ready.
    pub(super) async fn run_worker(self: Rc<Self>, work: Work) {
        let mut next = Some(work);
        while let Some(Work { what, admission }) = next {
            match what {
                What::Job(taken, job) if !self.begin(job.record) => {
                    self.drop_moved_item(&Item::Job(job));
                    self.queue.borrow_mut().done(taken);
                    self.wake_if_stopping();
                }
                What::Job(taken, mut job) => {
                    let (outcome, answer) = self.attempt(&taken, &mut job, admission).await;
                    match self.conclude(&taken, job, &outcome, answer) {
                        Next::Ended => self.queue.borrow_mut().done(taken),
                        Next::Retry(item, at) => {
                            self.queue.borrow_mut().retry(taken, item, at);
                            self.wake_by(at);
                        }
                    }
                    self.wake_if_stopping();
                }
                What::Stored(taken, stored) => match self.load(stored).await {
                    Ok(job) => {
                        let what = What::Job(taken, job);
                        next = Some(Work { what, admission });
                        continue;
                    }
                    Err(None) => {
                        self.queue.borrow_mut().done(taken);
                        self.wake_if_stopping();
                    }
                    Err(Some((stored, at))) => {
                        self.queue.borrow_mut().retry(taken, Item::Stored(stored), at);
                        self.wake_by(at);
                    }
                },
                What::Batch(gathered) => {
                    if let Some(batch) = self.load_batch(gathered).await {
                        self.send_batch(batch, admission).await;
                    }
                }
            }
            next = self.next_work();
        }
    }

    async fn attempt(&self, taken: &Taken, job: &mut Job, admission: Admission) -> (Outcome, Option<Excerpt>) {
        let start = Instant::now();
        if job.expires.is_some_and(|expires| expires < start) {
            return (Outcome::Expired, None);
        }
        job.attempts.begin(start);
        let request = &job.request;
        let body = request.body.clone();
        let terms = job.target.terms();
        let over_http = async |to: &Prepared, body: Bytes| {
            let sent = Sent {
                reach: request.reach,
                method: request.method,
                body,
                encoding: None,
                id: job.message_id.as_deref(),
                attempt: job.attempts.count,
                terms,
            };
            timeout(terms.http_timeout, self.http.attempt(to, &sent)).await
        };
        let outcome = match &job.route {
            Route::Http(to) => over_http(to, body).await,
            // A batch of one.
            Route::Batch(group) => {
                let body = group.batching().format.join(std::iter::once(&body));
                over_http(&group.prepared, body).await
            }
            Route::Line(to) => timeout(terms.http_timeout, to.attempt(body)).await.map(without_answer),
            Route::Message(to, headers) => {
                let republishes = request.republishes.saturating_add(1);
                let attempt = to.attempt(&request.source, headers, body, republishes);
                timeout(terms.http_timeout, attempt).await.map(without_answer)
            }
        };
        let duration = start.elapsed();
        self.note_lag(taken, job, 1, duration);
        let (outcome, answer) = outcome.unwrap_or((Outcome::TimedOut, None));
        self.leave(&job.target, admission, &outcome, duration);
        if !outcome.is_accepted() {
            let now = SystemTime::now();
            job.attempts.fail(now, duration, &outcome);
            job.target.destination.counts.failed(now, &outcome);
        }
        (outcome, answer)
    }

    /// Notes that the key of a job lags, if it does after an attempt with `at_once` of its requests.
    pub(super) fn note_lag(&self, taken: &Taken, job: &Job, at_once: usize, duration: Duration) {
        if let (Some(key), waiting) = self.queue.borrow().behind(taken)
            && let Some(lagging) = LaggingKey::of(key, waiting, at_once, duration)
        {
            self.report.lag(job, &lagging);
            job.target.destination.counts.lags(lagging);
        }
    }

    /// Ends a job after an attempt, or says when it is sent again. The caller returns it to the queue.
    pub(super) fn conclude(
        self: &Rc<Self>,
        taken: &Taken,
        job: Box<Job>,
        outcome: &Outcome,
        answer: Option<Excerpt>,
    ) -> Next {
        let now = Clock::now();
        let reason = match self.decide(&job, outcome, now) {
            Decision::Delivered => {
                self.end(taken, job, End::Delivered(outcome.clone()));
                return Next::Ended;
            }
            Decision::RetryAt(at) => {
                self.counts.all.retried();
                job.target.destination.counts.retried();
                self.record_attempt(&job, outcome, AttemptResult::Retried, answer.as_ref());
                self.report.retry(&job, outcome, at.saturating_duration_since(now));
                self.keep_attempts(&job, Instant::from_std(now), Instant::from_std(at));
                self.rest(job.record);
                // The partition is being given up, or the host stops: another host makes the next attempt.
                if self.is_record_moved(job.record) {
                    self.drop_moved_item(&Item::Job(job));
                    return Next::Ended;
                }
                let size = job.size;
                let item = if self.window.is_eighth_taken() {
                    job.store()
                } else {
                    Item::Job(job)
                };
                if let Item::Stored(_) = item {
                    self.window.release(1, size);
                }
                return Next::Retry(item, at);
            }
            Decision::Pause(until) => {
                let pause = until.saturating_duration_since(now);
                self.report.paused(&job, pause);
                job.target.destination.counts.paused(pause);
                job.target.destination.gate.pause(until);
                self.queue.borrow_mut().pause(job.queue_id(), until);
                self.wake_by(until);
                Reason::Refused
            }
            Decision::GiveUp(reason) => reason,
        };
        let dead = End::Dead {
            reason,
            outcome: outcome.clone(),
            answer,
        };
        self.end(taken, job, dead);
        Next::Ended
    }

    /// Returns whether the request is dropped because of this answer.
    pub(super) fn is_final(&self, job: &Job, outcome: &Outcome) -> bool {
        let decision = self.decide(job, outcome, Clock::now());
        decision == Decision::GiveUp(Reason::Refused)
    }

    fn decide(&self, job: &Job, outcome: &Outcome, now: Clock) -> Decision {
        let timing = Timing {
            attempt: job.attempts.count,
            first: job.attempts.first.map_or(now, Instant::into_std),
            now,
            expires: job.expires.map(Instant::into_std),
        };
        job.target.terms().retry.decide(outcome, timing, self.jitter.next())
    }

    /// Makes the serving task check the queue at this time.
    pub(super) fn wake_by(&self, at: std::time::Instant) {
        if self.alarm.get().is_none_or(|alarm| at < alarm.into_std()) || self.stopping.get() {
            self.changed.notify_one();
        }
    }
}

/// The outcome of an attempt at a receiver that does not answer with a body.
fn without_answer(outcome: Outcome) -> (Outcome, Option<Excerpt>) {
    (outcome, None)
}
