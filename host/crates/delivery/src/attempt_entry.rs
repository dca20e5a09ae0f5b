//! What the activity log of the host says about an attempt.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hookhost_activity::{AttemptAction, AttemptEntry, AttemptResult, AttemptSpan, Subject, TraceParent, cut};

use super::excerpt::Excerpt;
use super::job::Job;
use super::record::millis;
use super::request::OutboxRequest;
use super::retry::Outcome;
use super::sender::SenderState;
use super::target::Route;

impl SenderState {
    /// Records the last attempt of a job, and what happens to its request now.
    ///
    /// `answer` is the body of the answer, as far as it has arrived.
    pub(super) fn record_attempt(&self, job: &Job, outcome: &Outcome, result: AttemptResult, answer: Option<&Excerpt>) {
        let (request, target) = (&job.request, &job.target);
        // This is called as soon as the attempt has ended.
        let took = job.attempts.last.map_or(Duration::ZERO, |began| began.elapsed());
        let is_delivered = result == AttemptResult::Delivered;
        target.destination.counts.attempted(outcome, took);
        self.counts.activity.attempt(AttemptEntry {
            number: 0,
            at: millis(SystemTime::now()),
            subject: Subject {
                event: cut(&request.id),
                hook: cut(&request.event.hook),
                client: cut(&request.event.client),
                topic: cut(&request.event.topic),
            },
            request: job.number,
            module: Arc::clone(&request.source),
            generation: request.generation,
            url: Arc::clone(&target.shown),
            destination: Arc::clone(&target.destination.label),
            attempt: job.attempts.count,
            result,
            status: outcome.status(),
            text: if is_delivered {
                "".into()
            } else {
                cut(&outcome.to_string())
            },
            answer: answer.map_or_else(Box::default, |answer| cut(&String::from_utf8_lossy(&answer.bytes()))),
            took: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            span: self.counts.activity.sampling().and_then(|_| span(job, outcome, took)),
        });
    }
}

/// What the spans of an attempt need. `None` if its request has no sampled trace.
fn span(job: &Job, outcome: &Outcome, took: Duration) -> Option<AttemptSpan> {
    let request = &job.request;
    let parent = request.span.as_deref().copied().or_else(|| header(request))?;
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Some(AttemptSpan {
        request: parent,
        action: match &job.route {
            Route::Http(_) | Route::Batch(_) => AttemptAction::Http(request.method.as_str()),
            Route::Line(_) => AttemptAction::Write,
            Route::Message(..) => AttemptAction::Publish,
        },
        ended: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
        took: (*outcome != Outcome::Expired).then_some(took),
        since_first: job.attempts.first.map_or(Duration::ZERO, |began| began.elapsed()),
    })
}

/// The sampled trace that the header of a request names.
fn header(request: &OutboxRequest) -> Option<TraceParent> {
    let mut headers = request.headers.iter();
    let (_, value) = headers.find(|(name, _)| name.eq_ignore_ascii_case("traceparent"))?;
    TraceParent::parse(value).filter(|parent| parent.is_sampled())
}
