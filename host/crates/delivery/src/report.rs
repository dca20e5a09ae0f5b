//! The log lines of a sender thread. Each kind of line is limited, so that failing receivers do not fill the log.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::job::Job;
use super::lagging::LaggingKey;
use super::notice::Notice;
use super::request::{OutboxRequest, shown};
use super::retry::{Outcome, Reason};

/// The kinds of lines.
pub(super) struct Report {
    retry: Notice,
    pause: Notice,
    refused: Notice,
    gave_up: Notice,
    expired: Notice,
    invalid: Notice,
    barred: Notice,
    lag: Notice,
    unreadable: Notice,
    damaged: Notice,
    breaker: Notice,
    overflow: Notice,
}

impl Report {
    /// Nothing is logged yet.
    pub(super) fn new() -> Report {
        let [second, ten, minute] = [1, 10, 60].map(Duration::from_secs);
        Report {
            retry: Notice::new(ten),
            pause: Notice::new(second),
            refused: Notice::new(second),
            gave_up: Notice::new(second),
            expired: Notice::new(second),
            invalid: Notice::new(second),
            barred: Notice::new(second),
            lag: Notice::new(minute),
            unreadable: Notice::new(ten),
            damaged: Notice::new(second),
            breaker: Notice::new(second),
            overflow: Notice::new(ten),
        }
    }

    /// A request that cannot become a job.
    pub(super) fn invalid(&self, request: &OutboxRequest, error: &str) {
        if let Some(left_out) = self.invalid.due(Instant::now()) {
            let (id, module, generation) = (&request.id, &*request.source, request.generation);
            let url = shown(&request.url);
            warn!(event = %id, module, generation, url, error, left_out, "request dropped: not valid");
        }
    }

    /// A failed attempt that is followed by another one.
    pub(super) fn retry(&self, job: &Job, outcome: &Outcome, wait: Duration) {
        if let Some(left_out) = self.retry.due(Instant::now()) {
            let (id, source, attempts) = (&job.request.id, &job.request.source, job.attempts.count);
            let url = &*job.target.shown;
            let what = "request failed; it will be retried";
            warn!(event = %id, module = %source, url, attempts, error = %outcome, ?wait, left_out, "{what}");
        }
    }

    /// A destination that gets no requests for a while.
    pub(super) fn paused(&self, job: &Job, pause: Duration) {
        if let Some(left_out) = self.pause.due(Instant::now()) {
            let url = &*job.target.shown;
            let what = "destination paused: its receiver is gone (410); `gone_pause` sets the time";
            warn!(url, ?pause, left_out, "{what}");
        }
    }

    /// A request that the host has given up.
    pub(super) fn gave_up(&self, job: &Job, reason: Reason, outcome: &Outcome) {
        let (notice, why) = match reason {
            Reason::Refused => (&self.refused, "request dropped: the answer of the receiver is final"),
            Reason::Failed => (
                &self.gave_up,
                "request dropped: the retry policy allows no other attempt",
            ),
            Reason::TimeOver => (&self.gave_up, "request dropped: the time for retries is over"),
            Reason::Expired => (&self.expired, "request dropped: it has expired"),
            Reason::Invalid => (&self.invalid, "request dropped: not valid"),
            Reason::Barred => (&self.barred, "request dropped: its host is not public"),
        };
        if let Some(left_out) = notice.due(Instant::now()) {
            let (id, source, attempts) = (&job.request.id, &job.request.source, job.attempts.count);
            let generation = job.request.generation;
            let url = &*job.target.shown;
            warn!(event = %id, module = %source, generation, url, attempts, error = %outcome, left_out, "{why}");
        }
    }

    /// The disk or the shared outbox cannot be read now.
    pub(super) fn unreadable(&self, error: &str) {
        if let Some(left_out) = self.unreadable.due(Instant::now()) {
            tracing::error!(error, left_out, "the outbox cannot be read; trying again");
        }
    }

    /// A request whose record cannot be used.
    pub(super) fn damaged(&self, record: u64, error: &str) {
        if let Some(left_out) = self.damaged.due(Instant::now()) {
            tracing::error!(
                record,
                error,
                left_out,
                "request dropped: its record in the outbox cannot be used"
            );
        }
    }

    /// A destination whose requests wait because most attempts fail.
    pub(super) fn breaker_opened(&self, destination: &str, pause: Duration, outcome: &Outcome) {
        if let Some(left_out) = self.breaker.due(Instant::now()) {
            let what = "circuit breaker open: most attempts fail, so the requests of this destination wait";
            warn!(destination, ?pause, error = %outcome, left_out, "{what}");
        }
    }

    /// A destination that works again.
    pub(super) fn breaker_closed(&self, destination: &str) {
        info!(destination, "circuit breaker closed: the destination works again");
    }

    /// A request of a destination that is down, for which there is no memory.
    pub(super) fn overflowed(&self, destination: &str) {
        if let Some(left_out) = self.overflow.due(Instant::now()) {
            let what = "request dropped: its destination is down, and its requests use their share of the memory";
            warn!(destination, left_out, "{what}");
        }
    }

    /// The oldest requests are dropped, because the outbox on disk is full.
    pub(super) fn dropped_oldest(&self, requests: usize) {
        if let Some(left_out) = self.overflow.due(Instant::now()) {
            let what = "the oldest requests are dropped: the outbox on disk is full";
            warn!(requests, left_out, "{what}");
        }
    }

    /// A key whose requests lag.
    pub(super) fn lag(&self, job: &Job, lagging: &LaggingKey) {
        if let Some(left_out) = self.lag.due(Instant::now()) {
            let LaggingKey {
                key,
                waiting,
                at_once,
                answer_time,
            } = lagging;
            let (module, url) = (&*job.request.source, &*job.target.shown);
            let what =
                "requests of one key lag: they go out one after another; set `order` of the rule to send more at once";
            warn!(module, url, key, waiting, at_once, ?answer_time, left_out, "{what}");
        }
    }
}
