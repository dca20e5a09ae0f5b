//! What a sender thread does when a request ends: delivered, or given up.
//!
//! A request that is given up becomes a dead letter. Until the letter is on disk or in NATS, the request keeps its record in the
//! outbox and its capacity: a crash in between repeats it, and never loses it. The next request of the same key does not
//! wait for that.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hookhost_activity::AttemptResult;
use hookhost_jetstream::LetterEnd;
use tokio::task::spawn_local;
use tokio::time::timeout;

use super::attempt::Attempts;
use super::dead_letter::DeadLetter;
use super::destination_counts::DestinationCounts;
use super::excerpt::Excerpt;
use super::job::Job;
use super::queue::Taken;
use super::record::millis;
use super::request::OutboxRequest;
use super::retry::{Outcome, Reason};
use super::sender::SenderState;

/// How long a dead letter waits for the body of the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// How a request ends.
pub(super) enum End {
    /// Its receiver has accepted it: the outcome of the last attempt.
    Delivered(Outcome),
    /// It is given up and becomes a dead letter.
    Dead {
        /// Why.
        reason: Reason,
        /// The outcome of the last attempt.
        outcome: Outcome,
        /// The body of the last answer, which may still arrive.
        answer: Option<Excerpt>,
    },
}

/// A request that the host has given up.
struct Dead {
    letter: DeadLetter,
    size: usize,
    record: Option<u64>,
    counts: Arc<DestinationCounts>,
}

impl SenderState {
    /// Ends a job. The caller returns it to the queue.
    pub(super) fn end(self: &Rc<Self>, taken: &Taken, job: Box<Job>, end: End) {
        match end {
            End::Delivered(outcome) => {
                self.record_attempt(&job, &outcome, AttemptResult::Delivered, None);
                self.counts.all.delivered();
                job.target.destination.counts.delivered(job.request.event.at, job.size);
                self.release(job.size, job.record);
            }
            End::Dead {
                reason,
                outcome,
                answer,
            } => {
                self.record_attempt(&job, &outcome, AttemptResult::Dropped, answer.as_ref());
                self.report.gave_up(&job, reason, &outcome);
                let Job {
                    target,
                    mut request,
                    attempts,
                    size,
                    record,
                    ..
                } = *job;
                request.ordering_key = self.queue.borrow().key(taken).unwrap_or_default().to_owned();
                let destination = &target.destination;
                let letter = letter(&destination.label, request, attempts, reason, &outcome);
                let counts = Arc::clone(&destination.counts);
                self.bury(
                    Dead {
                        letter,
                        size,
                        record,
                        counts,
                    },
                    answer,
                );
            }
        }
    }

    /// Ends a request that is invalid, so that it cannot become a job. `destination` is the name of its destination.
    pub(super) fn refuse(
        self: &Rc<Self>,
        counts: &Arc<DestinationCounts>,
        destination: &str,
        request: OutboxRequest,
        record: Option<u64>,
        error: &str,
    ) {
        self.report.invalid(&request, error);
        let outcome = Outcome::Invalid(error.to_owned());
        let size = request.size();
        let letter = letter(destination, request, Attempts::default(), Reason::Invalid, &outcome);
        let counts = Arc::clone(counts);
        self.bury(
            Dead {
                letter,
                size,
                record,
                counts,
            },
            None,
        );
    }

    /// Puts a request into the dead letters, when the beginning of the answer is there.
    fn bury(self: &Rc<Self>, mut dead: Dead, answer: Option<Excerpt>) {
        let Some(answer) = answer else { return self.keep(dead) };
        if answer.is_complete() {
            dead.letter.answer = answer.bytes().into();
            return self.keep(dead);
        }
        self.unfinished.set(self.unfinished.get() + 1);
        let state = Rc::clone(self);
        spawn_local(async move {
            // A body that does not arrive in time is left out.
            timeout(ANSWER_TIMEOUT, answer.completed()).await.ok();
            dead.letter.answer = answer.bytes().into();
            state.keep(dead);
            state.unfinished.set(state.unfinished.get() - 1);
            state.wake_if_stopping();
        });
    }

    fn keep(&self, dead: Dead) {
        let Dead {
            letter,
            size,
            record,
            counts,
        } = dead;
        let (all, window, on_disk) = (Arc::clone(&self.counts), Arc::clone(&self.window), self.on_disk.clone());
        let shared = self.shared.clone();
        let (event_at, reason) = (letter.request.event.at, letter.reason);
        let module = Arc::clone(&letter.request.source);
        let ended = move |end: LetterEnd| {
            match end {
                LetterEnd::Stored => {
                    all.dead(&module, reason);
                    counts.dead(event_at, size, reason);
                }
                LetterEnd::Moved => {
                    all.all.moved();
                    counts.moved(event_at, size);
                }
            }
            window.release(1, size);
            if let (Some(on_disk), Some(record)) = (on_disk, record) {
                on_disk.remove(size, record);
            }
            if let (Some(shared), Some(record), LetterEnd::Stored) = (shared, record, end) {
                shared.end(record);
            }
        };
        self.letters.put(record, &letter, Box::new(ended));
    }

    /// Returns the capacity of a request that has ended, and removes it from the disk or the shared outbox.
    pub(super) fn release(&self, size: usize, record: Option<u64>) {
        self.window.release(1, size);
        if let (Some(shared), Some(record)) = (&self.shared, record) {
            shared.end(record);
        }
        if let (Some(on_disk), Some(record)) = (&self.on_disk, record) {
            on_disk.remove(size, record);
        }
    }

    pub(super) fn wake_if_stopping(&self) {
        if self.stopping.get() {
            self.changed.notify_one();
        }
    }
}

pub(super) fn letter(
    destination: &str,
    request: OutboxRequest,
    attempts: Attempts,
    reason: Reason,
    outcome: &Outcome,
) -> DeadLetter {
    DeadLetter {
        id: 0,
        at: millis(SystemTime::now()),
        reason,
        text: outcome.to_string(),
        destination: destination.to_owned(),
        status: attempts.failed.iter().rev().find_map(|attempt| attempt.status),
        answer: Default::default(),
        attempt_count: attempts.count,
        attempts: attempts.failed.into(),
        request,
    }
}
