//! The log lines of a sender thread. Each kind of line is limited, so that failing receivers do not fill the log.

use std::time::{Duration, Instant};

use tracing::warn;

use super::job::Job;
use super::notice::Notice;
use super::request::shown;
use super::retry::{Outcome, Reason};

/// When a key is reported as lagging: its request has waited for this time, and the requests behind it need as long.
pub(super) const LAG: Duration = Duration::from_secs(10);

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
        }
    }

    /// A request that cannot become a job.
    pub(super) fn invalid(&self, id: &str, source: &str, generation: u32, url: &str, error: &str) {
        if let Some(left_out) = self.invalid.due(Instant::now()) {
            let url = shown(url);
            warn!(
                event = id,
                module = source,
                generation,
                url,
                error,
                left_out,
                "request dropped: not valid"
            );
        }
    }

    /// A failed attempt that is followed by another one.
    pub(super) fn retry(&self, job: &Job, outcome: &Outcome, wait: Duration) {
        if let Some(left_out) = self.retry.due(Instant::now()) {
            let Job {
                id, source, attempts, ..
            } = job;
            let url = &job.target.shown;
            let what = "request failed, will be tried again";
            warn!(event = %id, module = %source, url, attempts, error = %outcome, ?wait, left_out, "{what}");
        }
    }

    /// A destination that gets no requests for a while.
    pub(super) fn paused(&self, job: &Job, pause: Duration) {
        if let Some(left_out) = self.pause.due(Instant::now()) {
            let url = &job.target.shown;
            let what = "destination paused: its receiver is gone (410); `gone_pause` sets the time";
            warn!(url, ?pause, left_out, "{what}");
        }
    }

    /// A request that is sent no more.
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
            let Job {
                id,
                source,
                generation,
                attempts,
                ..
            } = job;
            let url = &job.target.shown;
            warn!(event = %id, module = %source, generation, url, attempts, error = %outcome, left_out, "{why}");
        }
    }

    /// A key whose requests come in faster than the receiver answers them one after another. `behind` requests wait
    /// behind this one, which has waited itself.
    pub(super) fn lag(&self, job: &Job, key: Option<&str>, behind: usize, waited: Duration, answer_time: Duration) {
        let backlog = answer_time.saturating_mul(u32::try_from(behind).unwrap_or(u32::MAX));
        if let Some(key) = key
            && backlog > LAG
            && let Some(left_out) = self.lag.due(Instant::now())
        {
            let key: String = key.chars().take(64).flat_map(char::escape_debug).collect();
            let (module, url) = (&*job.source, &job.target.shown);
            let what =
                "requests of one key lag: they go out one after another; set `order` of the rule to send more at once";
            warn!(
                module,
                url,
                key,
                waiting = behind,
                ?waited,
                ?answer_time,
                left_out,
                "{what}"
            );
        }
    }
}
