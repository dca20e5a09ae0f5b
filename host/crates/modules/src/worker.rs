//! One OS thread of a module: its queue, its warm instance, and its error handling.
//!
//! A worker takes the events in its queue, hands them over in one call, and puts the returned requests into the outbox.
//! It follows the [`ActiveGeneration`]: when another generation is active, the worker drops the old instance before the
//! next call.
//!
//! After a failed call the worker drops the instance. It then retries each event of the call in a call of its own, with
//! a new instance. An event that fails again goes into the quarantine. No outcome of a failed call is ever used, so
//! each of the other events is handled exactly once.
//!
//! When no instance can be made, the worker backs off, 100 ms doubling to 30 s, and its events wait in the queue. They
//! also wait while the [`Supervisor`] pauses the module because it fails on everything.
//!
//! After a rollback the worker takes back from the quarantine the events on which the bad generation has failed since
//! it last handled one. It begins with those. Nothing was sent for these events or for later ones, so nothing is lost
//! or out of order.
//!
//! Blocking is intended: while the outbox is full, the worker waits, its queue fills, and the queue's policy applies.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tracing::{error, warn};

use super::generation::{ActiveGeneration, CreateError, Current, Handler, Template};
use super::health::{Backoff, EVENTS_OF_FEW};
use super::quarantine::{Fault, Quarantine, QuarantinedEvent};
use super::requests::prepare;
use super::state::{Record, add};
use super::supervisor::Supervisor;
use hookhost_activity::ActivityLog;
use hookhost_contract::{Outcome, Ticket};
use hookhost_delivery::priority;
use hookhost_delivery::{Outbox, OutboxRequest};
use hookhost_event::{Event, Millis};
use hookhost_hooks::{Inbox, Queued, Version};
use hookhost_settings::error_line;
use hookhost_wasm::CallError;

/// Most characters of a module's text that the log shows.
const MAX_LOGGED_CHARS: usize = 1000;

/// What all workers of a module share.
pub(super) struct Common {
    pub(super) module: Arc<str>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) record: Record,
    pub(super) supervisor: Supervisor,
    pub(super) quarantine: Arc<Quarantine>,
    /// Niceness of their threads.
    pub(super) nice: i32,
    /// The log of what became of events.
    pub(super) activity: ActivityLog,
}

/// The parts of one thread.
pub(super) struct Worker<T: Template> {
    common: Arc<Common>,
    inbox: Inbox,
    active: Arc<ActiveGeneration<T>>,
    slot: Option<InstanceSlot<T>>,
    unmade: Unmade,
    /// Most events of the next call. After a call that timed out this is below the limit of the generation.
    most: usize,
    /// Events that were taken from the queue and have no outcome yet, in order.
    pending: VecDeque<Queued>,
    /// How many of them, from the first one on, get a separate call each.
    alone: usize,
    /// Why the call with these events failed, until the reason is logged.
    failed_call: Option<String>,
    /// Quarantine numbers of the events on which the generation has failed since it last handled one. They may not be
    /// the cause.
    doubtful: VecDeque<u64>,
    /// The events of the last call.
    events: Vec<Arc<Event>>,
    /// Their tickets, once the call has succeeded or the event is given up.
    tickets: Vec<Option<Ticket>>,
}

/// The generation that the worker follows, and its instance while that is alive.
struct InstanceSlot<T: Template> {
    current: Current<T>,
    instance: Option<T::Handler>,
}

/// Attempts to make an instance.
struct Unmade {
    /// Failed attempts in a row.
    attempts: u32,
    backoff: Backoff,
}

/// The worker has to end: its deadline has passed, or delivery accepts no more requests.
struct Over;

impl<T: Template> Worker<T> {
    pub(super) fn new(common: Arc<Common>, inbox: Inbox, active: Arc<ActiveGeneration<T>>) -> Worker<T> {
        Worker {
            common,
            inbox,
            active,
            slot: None,
            unmade: Unmade::new(),
            most: usize::MAX,
            pending: VecDeque::new(),
            alone: 0,
            failed_call: None,
            doubtful: VecDeque::new(),
            events: Vec::new(),
            tickets: Vec::new(),
        }
    }

    /// Works until the queue has ended and is empty, or until the active generation says that it is over.
    pub(super) fn run(mut self) {
        priority::lower(self.common.nice);
        let mut batch = Vec::new();
        loop {
            let allowed = self
                .slot
                .as_ref()
                .map_or(usize::MAX, |slot| slot.current.generation.batch);
            // Before the first generation is known, the batch limit is one event.
            let most = if self.slot.is_some() { self.most.min(allowed) } else { 1 };
            let more = self.inbox.next_batch(&mut batch, most);
            self.pending.extend(batch.drain(..));
            // A rollback may still follow the last event.
            if !more && self.doubtful.is_empty() {
                break;
            }
            if self.pending.is_empty() && self.look_round(more).is_err() || self.work().is_err() {
                self.abandon();
                break;
            }
            if !more {
                break;
            }
        }
        self.recover();
    }

    /// Gives up the events that are left. If the module is being removed, their publishers do not wait for them. If the
    /// host stops, they are not acknowledged.
    fn abandon(&mut self) {
        let waiting = if self.active.is_retired() {
            self.pending.drain(..).map(Queued::abandon).count() + self.inbox.abandon()
        } else {
            self.pending.len() + self.inbox.waiting()
        };
        add(&self.common.record.abandoned, waiting);
    }

    /// Handles a possible new generation: makes its instance now. The first event does not wait for it, and the old
    /// instance frees its memory.
    fn look_round(&mut self, more: bool) -> Result<(), Over> {
        self.follow()?;
        if more && let Err(error) = self.create() {
            self.back_off(&error);
        }
        Ok(())
    }

    /// Handles every pending event until it has an outcome.
    fn work(&mut self) -> Result<(), Over> {
        while !self.pending.is_empty() {
            self.ready()?;
            let alone = self.alone > 0;
            let count = if alone { 1 } else { self.pending.len().min(self.most) };
            match self.call(count) {
                Ok(outcomes) => {
                    add(&self.common.record.skipped, count - self.events.len());
                    self.done(count);
                    self.settle(outcomes)?;
                }
                Err(_) if !alone => self.alone = count,
                Err(error) => {
                    self.failed_call = None;
                    self.done(count);
                    self.quarantine_failed_call(&error);
                }
            }
        }
        Ok(())
    }

    /// Removes the first events from the pending ones.
    ///
    /// Keeps the tickets of those that the call had; the others are complete.
    fn done(&mut self, count: usize) {
        self.tickets.clear();
        let mut handled = self.events.iter().peekable();
        for queued in self.pending.drain(..count) {
            if handled.next_if(|event| Arc::ptr_eq(event, &queued.event)).is_some() {
                self.tickets.push(queued.ticket);
            } else {
                if let Some(ticket) = queued.ticket {
                    ticket.complete();
                }
            }
        }
        let were_alone = self.alone > 0;
        self.alone = self.alone.saturating_sub(count);
        if were_alone && self.alone == 0 {
            self.report_failed_call();
        }
    }

    /// Follows the active generation and makes an instance of it, however long that takes.
    fn ready(&mut self) -> Result<(), Over> {
        loop {
            self.follow()?;
            let time = match self.common.supervisor.pause(self.generation()) {
                Some(time) => time,
                None => match self.create() {
                    Ok(()) => return Ok(()),
                    Err(error) => self.back_off(&error),
                },
            };
            #[expect(clippy::expect_used, reason = "`follow` has been called: there is a generation")]
            let slot = self.slot.as_ref().expect("a generation is followed");
            if !self.active.wait(&slot.current, time) {
                return Err(Over);
            }
        }
    }

    fn follow(&mut self) -> Result<(), Over> {
        let current = self.active.current().ok_or(Over)?;
        match &mut self.slot {
            // The version may be newer although the generation is the same.
            Some(slot) if slot.current.is(&current) => slot.current = current,
            _ => {
                let before = self.generation();
                // Drop the old instance first: two at a time may need more memory than the machine has.
                self.slot = None;
                self.recover();
                self.unmade = Unmade::new();
                self.most = current.generation.batch;
                (self.alone, self.failed_call) = (0, None);
                let doubtful = std::mem::take(&mut self.doubtful);
                // Only a rollback lowers the number.
                if current.generation.number < before {
                    self.take_back(doubtful);
                }
                self.slot = Some(InstanceSlot {
                    current,
                    instance: None,
                });
            }
        }
        Ok(())
    }

    /// Puts events that are still in the quarantine before all others. They are retried in batches again.
    fn take_back(&mut self, doubtful: VecDeque<u64>) {
        for id in doubtful.into_iter().rev() {
            if let Some(entry) = self.common.quarantine.take(id) {
                add(&self.common.record.taken_back, 1);
                self.alone = 0;
                self.pending.push_front(Queued {
                    event: entry.event,
                    // The worker checks again whether the active generation subscribes to it.
                    version: Version::default(),
                    ticket: None,
                });
            }
        }
    }

    fn create(&mut self) -> Result<(), CreateError> {
        #[expect(clippy::expect_used, reason = "`follow` has been called: there is a generation")]
        let slot = self.slot.as_mut().expect("a generation is followed");
        if slot.instance.is_none() {
            slot.instance = Some(slot.current.generation.template.create()?);
            self.recover();
        }
        Ok(())
    }

    /// Logs why there is no instance and the delay before the next attempt.
    fn back_off(&mut self, error: &CreateError) -> Duration {
        let reason = error_line(error);
        let generation = self.generation();
        let time = self.unmade.backoff.fail(Instant::now());
        self.unmade.attempts += 1;
        error!(module = %self.common.module, generation, reason, retry_in = ?time, "no instance of the module can be made");
        let attempts = self.unmade.attempts;
        self.common.supervisor.unmade(generation, attempts, &reason);
        if attempts == 1 {
            self.common.record.back_off(reason);
        }
        time
    }

    fn recover(&mut self) {
        if std::mem::take(&mut self.unmade.attempts) > 0 {
            self.unmade.backoff.recover(Instant::now());
            self.common.record.recover();
        }
    }

    fn generation(&self) -> u32 {
        self.slot.as_ref().map_or(0, |slot| slot.current.generation.number)
    }

    /// Logs that a call failed, unless one of its events is in the quarantine: that has been logged.
    fn report_failed_call(&mut self) {
        if let Some(reason) = self.failed_call.take()
            && let Some(held_back) = self.common.record.call_lines.pass()
        {
            let (module, generation) = (&*self.common.module, self.generation());
            warn!(
                module,
                generation,
                reason = cut(&reason),
                lines_held_back = held_back,
                "call failed; its events were handled one by one"
            );
        }
    }

    /// Hands over the first pending events that the module subscribes to, and leaves them in `self.events`.
    fn call(&mut self, count: usize) -> Result<Vec<Outcome>, CallError> {
        self.events.clear();
        #[expect(clippy::expect_used, reason = "`follow` has been called: there is a generation")]
        let slot = self.slot.as_mut().expect("a generation is followed");
        self.events.extend(
            self.pending
                .iter()
                .take(count)
                .filter(|queued| slot.current.wants(queued))
                .map(|queued| Arc::clone(&queued.event)),
        );
        if self.events.is_empty() {
            return Ok(Vec::new());
        }
        #[expect(clippy::expect_used, reason = "`ready` has been called: there is an instance")]
        let instance = slot.instance.as_mut().expect("an instance is ready");
        let outcomes = instance.handle(&self.events).and_then(|outcomes| {
            let (events, got) = (self.events.len(), outcomes.len());
            if events == got {
                Ok(outcomes)
            } else {
                Err(CallError::WrongOutcomeCount { events, outcomes: got })
            }
        });
        let (generation, record) = (slot.current.generation.number, &self.common.record);
        if outcomes.is_ok() {
            self.doubtful.clear();
            self.common.supervisor.handled(generation);
        }
        match &outcomes {
            Ok(_) if self.events.len() == self.most => self.most = (self.most + 1).min(slot.current.generation.batch),
            Ok(_) => {}
            Err(error) => {
                slot.instance = None;
                // The deadline applies to a call: a slow module succeeds with fewer events at a time.
                if error.depends_on_time() {
                    self.most = (self.events.len() / 2).max(1);
                }
                add(&record.failed_calls, 1);
                self.failed_call = Some(error_line(error));
            }
        }
        outcomes
    }

    /// Carries out the outcomes of `self.events`.
    fn settle(&mut self, outcomes: Vec<Outcome>) -> Result<(), Over> {
        self.report_outcomes(&outcomes);
        #[expect(clippy::expect_used, reason = "`follow` has been called: there is a generation")]
        let slot = self.slot.as_ref().expect("a generation is followed");
        let (generation, record) = (&slot.current.generation, &self.common.record);
        let module = &self.common.module;
        let mut prepared = Vec::new();
        let (mut ignored, mut answered) = (0, 0);
        let tickets = std::mem::take(&mut self.tickets);
        for ((event, outcome), ticket) in self.events.iter().zip(outcomes).zip(&tickets) {
            match outcome {
                Outcome::Ignore => ignored += 1,
                Outcome::Fail(text) => {
                    add(&record.failed, 1);
                    self.quarantine(event, ticket.clone(), Fault::Failed, text);
                }
                Outcome::Deliver(requests) if requests.is_empty() => ignored += 1,
                Outcome::Deliver(requests) => {
                    answered += 1;
                    for request in requests {
                        match prepare(request, event, &generation.egress, module, generation.number) {
                            Ok(request) => prepared.push(OutboxRequest {
                                ticket: ticket.clone(),
                                ..request
                            }),
                            Err(refusal) => {
                                add(&record.refused_requests, 1);
                                if let Some(held_back) = record.refusal_lines.pass() {
                                    let generation = generation.number;
                                    warn!(module = &**module, generation, event = %event.id, reason = %refusal,
                                        lines_suppressed = held_back, "request refused");
                                }
                            }
                        }
                    }
                }
            }
        }
        let requests = prepared.len();
        add(&record.ignored, ignored);
        if requests > 0 && self.common.outbox.append(prepared).is_err() {
            add(&record.abandoned, answered);
            return Err(Over);
        }
        tickets.into_iter().flatten().for_each(Ticket::complete);
        add(&record.requests, requests);
        add(&record.answered, answered);
        Ok(())
    }

    /// Handles an event that has failed twice, the second time alone.
    fn quarantine_failed_call(&mut self, error: &CallError) {
        #[expect(clippy::expect_used, reason = "a call without events does not fail")]
        let event = self.events.first().cloned().expect("the call had an event");
        let record = &self.common.record;
        let (counter, fault) = if error.depends_on_time() {
            (&record.timed_out, Fault::TimedOut)
        } else {
            (&record.trapped, Fault::Trapped)
        };
        add(counter, 1);
        let why = error_line(error);
        let ticket = self.tickets.pop().flatten();
        let id = self.quarantine(&event, ticket, fault, told(&why, error));
        if self.doubtful.len() == EVENTS_OF_FEW {
            self.doubtful.pop_front();
        }
        self.doubtful.push_back(id);
        self.common.supervisor.failed(self.generation(), &event, cut(&why));
    }

    /// Puts an event into the quarantine; its ticket is complete when it is on disk there. Returns its number there.
    fn quarantine(&self, event: &Arc<Event>, ticket: Option<Ticket>, fault: Fault, text: String) -> u64 {
        let Common {
            module,
            record,
            quarantine,
            ..
        } = &*self.common;
        let generation = self.generation();
        self.report_outcome(event, fault.name(), 0, &text);
        let line = record
            .quarantine_lines
            .pass()
            .map(|held_back| (held_back, cut(&text).to_owned()));
        let entry = QuarantinedEvent {
            id: 0,
            module: Arc::clone(module),
            generation,
            fault,
            text,
            at: now(),
            event: Arc::clone(event),
        };
        let id = quarantine.put(entry, ticket);
        if let Some((held_back, text)) = line {
            let hook = event.detail.hook().name();
            error!(quarantine = id, event = %event.id, hook, module = &**module, generation, fault = fault.name(), text,
                lines_suppressed = held_back, "event quarantined; for details run: hookhost quarantine show {id}");
        }
        id
    }
}

impl Unmade {
    fn new() -> Unmade {
        Unmade {
            attempts: 0,
            backoff: Backoff::new(),
        }
    }
}

/// The description of a failure: the reason, and the place in the module if the module carries names.
fn told(why: &str, error: &CallError) -> String {
    let mut text = why.to_owned();
    if let CallError::Trap { frames, .. } = error {
        for frame in frames {
            text.push_str("\n  in ");
            text.push_str(frame);
        }
    }
    text
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(MAX_LOGGED_CHARS)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

mod activity;
#[cfg(test)]
mod tests;
