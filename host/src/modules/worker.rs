//! One OS thread of a module: its queue, its warm instance, and what to do when that fails.
//!
//! A worker takes what waits in its queue, hands it over in one call, and puts the requests that come back into the
//! outbox. It follows the [`Slot`]: when another generation is in force, the old instance goes before the next call.
//!
//! After a call that failed the instance is thrown away and each event of the batch is handled again, in a call of its
//! own and by a new instance. An event that fails again is set aside; no outcome of a failed call is ever used, so each
//! of the other events is handled exactly once. When no instance can be made the worker waits, 100 ms doubling to
//! 30 s, and its events wait in the queue.
//!
//! Blocking is meant: while the outbox is full the worker waits in it, its queue fills, and the queue's policy rules.

use std::sync::Arc;
use std::time::Duration;

use tracing::{error, warn};

use super::generation::{CreateError, Current, Handler, Slot, Template};
use super::requests::prepare;
use super::state::{Record, add};
use crate::delivery::Outbox;
use crate::event::Event;
use crate::hooks::{Inbox, Queued};
use crate::wasm::{CallError, Outcome};

/// How much of a text that a module gives goes into the log.
const LONGEST_TEXT: usize = 1000;

/// What one thread works with.
pub(super) struct Worker<T: Template> {
    module: Arc<str>,
    inbox: Inbox,
    slot: Arc<Slot<T>>,
    outbox: Arc<dyn Outbox>,
    record: Arc<Record>,
    seat: Option<Seat<T>>,
    backoff: Backoff,
    /// Most events that the next call gets: fewer than the generation allows after a call that took too long.
    most: usize,
    events: Vec<Arc<Event>>,
}

/// The generation that the worker has followed to, and its instance as long as that is alive.
struct Seat<T: Template> {
    current: Current<T>,
    instance: Option<T::Handler>,
}

/// The worker has to end: time is up, or nobody takes requests any more.
struct Over;

impl<T: Template> Worker<T> {
    pub(super) fn new(
        module: Arc<str>,
        inbox: Inbox,
        slot: Arc<Slot<T>>,
        outbox: Arc<dyn Outbox>,
        record: Arc<Record>,
    ) -> Worker<T> {
        let (seat, backoff) = (None, Backoff::new());
        Worker {
            module,
            inbox,
            slot,
            outbox,
            record,
            seat,
            backoff,
            most: usize::MAX,
            events: Vec::new(),
        }
    }

    /// Works until the queue has ended and is empty, or until the slot says that it is over.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let allowed = self
                .seat
                .as_ref()
                .map_or(usize::MAX, |seat| seat.current.generation.batch);
            // Before the first generation is known one event at a time is certainly allowed.
            let most = if self.seat.is_some() { self.most.min(allowed) } else { 1 };
            if !self.inbox.next_batch(&mut batch, most) {
                break;
            }
            let worked = if batch.is_empty() {
                self.look_round()
            } else {
                self.work(&batch)
            };
            if worked.is_err() {
                add(&self.record.abandoned, self.inbox.waiting());
                break;
            }
        }
        self.recover();
    }

    /// There may be a new generation: makes its instance now, so that the first event does not wait for it and the old
    /// one does not keep its memory.
    fn look_round(&mut self) -> Result<(), Over> {
        self.follow()?;
        if let Err(error) = self.create() {
            self.back_off(&error);
        }
        Ok(())
    }

    /// Brings every event of a batch to its end.
    fn work(&mut self, batch: &[Queued]) -> Result<(), Over> {
        let mut rest = batch;
        let mut alone = false;
        while !rest.is_empty() {
            self.ready().inspect_err(|_| add(&self.record.abandoned, rest.len()))?;
            let (now, later) = rest.split_at(if alone { 1 } else { rest.len().min(self.most) });
            match self.call(now) {
                Ok(outcomes) => {
                    add(&self.record.skipped, now.len() - self.events.len());
                    self.settle(outcomes)
                        .inspect_err(|_| add(&self.record.abandoned, later.len()))?;
                }
                Err(_) if !alone => {
                    alone = true;
                    continue;
                }
                Err(error) => self.set_aside_failed_call(&error),
            }
            rest = later;
        }
        Ok(())
    }

    /// Follows to the generation in force and has an instance of it, however long that takes.
    fn ready(&mut self) -> Result<(), Over> {
        loop {
            self.follow()?;
            let Err(error) = self.create() else { return Ok(()) };
            let time = self.back_off(&error);
            let Some(seat) = &self.seat else { return Err(Over) };
            if !self.slot.wait(&seat.current, time) {
                return Err(Over);
            }
        }
    }

    fn follow(&mut self) -> Result<(), Over> {
        let current = self.slot.current().ok_or(Over)?;
        match &mut self.seat {
            // The version may be newer although the generation is the same.
            Some(seat) if seat.current.is(&current) => seat.current = current,
            _ => {
                // The old instance first: two at a time may be more than the machine has room for.
                self.seat = None;
                self.recover();
                self.most = current.generation.batch;
                self.seat = Some(Seat {
                    current,
                    instance: None,
                });
            }
        }
        Ok(())
    }

    fn create(&mut self) -> Result<(), CreateError> {
        let Some(seat) = &mut self.seat else { return Ok(()) };
        if seat.instance.is_none() {
            seat.instance = Some(seat.current.generation.template.create()?);
            self.recover();
        }
        Ok(())
    }

    /// Says why there is no instance and how long to wait for the next attempt.
    fn back_off(&mut self, error: &CreateError) -> Duration {
        let reason = super::explain(error);
        let generation = self.generation();
        let first = self.backoff.is_fresh();
        let time = self.backoff.fail();
        error!(module = %self.module, generation, reason, retry_in = ?time, "no instance of the module can be made");
        if first {
            self.record.back_off(reason);
        }
        time
    }

    fn recover(&mut self) {
        if !self.backoff.is_fresh() {
            self.backoff = Backoff::new();
            self.record.recover();
        }
    }

    fn generation(&self) -> u32 {
        self.seat.as_ref().map_or(0, |seat| seat.current.generation.number)
    }

    /// Hands over those events that are wanted, and leaves them in `self.events`.
    fn call(&mut self, queued: &[Queued]) -> Result<Vec<Outcome>, CallError> {
        self.events.clear();
        let Some(seat) = &mut self.seat else {
            return Err(CallError::Dead);
        };
        self.events.extend(
            queued
                .iter()
                .filter(|queued| seat.current.wants(queued))
                .map(|queued| Arc::clone(&queued.event)),
        );
        if self.events.is_empty() {
            return Ok(Vec::new());
        }
        let instance = seat.instance.as_mut().ok_or(CallError::Dead)?;
        let outcomes = instance.handle(&self.events).and_then(|outcomes| {
            let (events, got) = (self.events.len(), outcomes.len());
            if events == got {
                Ok(outcomes)
            } else {
                Err(CallError::WrongOutcomeCount { events, outcomes: got })
            }
        });
        match &outcomes {
            Ok(_) if self.events.len() == self.most => self.most = (self.most + 1).min(seat.current.generation.batch),
            Ok(_) => {}
            Err(error) => {
                seat.instance = None;
                // The deadline is that of a call: a slow module gets through with fewer events at a time.
                if error.depends_on_time() {
                    self.most = (self.events.len() / 2).max(1);
                }
                add(&self.record.failed_calls, 1);
                if let Some(held_back) = self.record.call_lines.pass() {
                    let (module, generation, events) = (&*self.module, self.generation(), self.events.len());
                    let reason = super::explain(error);
                    warn!(
                        module,
                        generation,
                        events,
                        reason = cut(&reason),
                        lines_held_back = held_back,
                        "call failed"
                    );
                }
            }
        }
        outcomes
    }

    /// Carries out what came of `self.events`.
    fn settle(&mut self, outcomes: Vec<Outcome>) -> Result<(), Over> {
        let Some(seat) = &self.seat else { return Err(Over) };
        let generation = &seat.current.generation;
        let mut prepared = Vec::new();
        let (mut ignored, mut answered) = (0, 0);
        for (event, outcome) in self.events.iter().zip(outcomes) {
            match outcome {
                Outcome::Ignore => ignored += 1,
                Outcome::Fail(text) => {
                    add(&self.record.failed, 1);
                    self.say_set_aside(event, &text, "the module could not handle an event");
                }
                Outcome::Deliver(requests) if requests.is_empty() => ignored += 1,
                Outcome::Deliver(requests) => {
                    answered += 1;
                    for request in requests {
                        match prepare(request, event, &generation.egress, &self.module, generation.number) {
                            Ok(request) => prepared.push(request),
                            Err(refusal) => {
                                add(&self.record.refused_requests, 1);
                                if let Some(held_back) = self.record.refusal_lines.pass() {
                                    let (module, generation) = (&*self.module, generation.number);
                                    warn!(module, generation, event = %event.id, reason = %refusal,
                                        lines_held_back = held_back, "request refused");
                                }
                            }
                        }
                    }
                }
            }
        }
        let requests = prepared.len();
        if requests > 0 && self.outbox.append(prepared).is_err() {
            add(&self.record.ignored, ignored);
            add(&self.record.abandoned, answered);
            return Err(Over);
        }
        add(&self.record.requests, requests);
        add(&self.record.ignored, ignored);
        add(&self.record.answered, answered);
        Ok(())
    }

    /// The one event of the last call has failed twice, the second time alone.
    fn set_aside_failed_call(&self, error: &CallError) {
        let Some(event) = self.events.first() else { return };
        let (counter, what) = if error.depends_on_time() {
            (&self.record.timed_out, "the module did not answer to an event in time")
        } else {
            (&self.record.trapped, "the module trapped on an event")
        };
        add(counter, 1);
        self.say_set_aside(event, &super::explain(error), what);
    }

    fn say_set_aside(&self, event: &Event, text: &str, what: &'static str) {
        if let Some(held_back) = self.record.aside_lines.pass() {
            let (module, generation, hook) = (&*self.module, self.generation(), event.detail.hook().name());
            let text = cut(text);
            error!(event = %event.id, hook, module, generation, text, what, lines_held_back = held_back, "event set aside");
        }
    }
}

fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(LONGEST_TEXT)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

/// How long to wait after each failure in a row.
#[derive(Debug)]
struct Backoff {
    next: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(30);

    fn new() -> Backoff {
        Backoff { next: Self::FIRST }
    }

    fn is_fresh(&self) -> bool {
        self.next == Self::FIRST
    }

    fn fail(&mut self) -> Duration {
        let now = self.next;
        self.next = (self.next * 2).min(Self::LONGEST);
        now
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
