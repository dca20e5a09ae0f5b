//! One OS thread of a module: its queue, its warm instance, and its error handling.
//!
//! A worker takes the events in its queue, passes them to the instance in one call, and puts the returned requests into
//! the outbox.
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

mod activity;
mod failures;
mod instance_slot;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tracing::warn;

use self::failures::Failures;
use self::instance_slot::InstanceSlot;
use super::generation::{ActiveGeneration, Template};
use super::quarantine::{Fault, Quarantine};
use super::requests::prepare;
use super::state::{ModuleRecord, add};
use super::supervisor::Supervisor;
use hookhost_activity::ActivityLog;
use hookhost_contract::{Outcome, Ticket};
use hookhost_delivery::priority;
use hookhost_delivery::{Outbox, OutboxRequest};
use hookhost_event::Event;
use hookhost_hooks::{Inbox, Queued, Version};
use hookhost_wasm::CallError;

/// What all workers of a module share.
pub(super) struct WorkerContext {
    pub(super) module: Arc<str>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) record: ModuleRecord,
    pub(super) supervisor: Supervisor,
    pub(super) quarantine: Arc<Quarantine>,
    /// Niceness of their threads.
    pub(super) nice: i32,
    /// The log of what became of events.
    pub(super) activity: ActivityLog,
}

/// The parts of one thread.
pub(super) struct Worker<T: Template> {
    context: Arc<WorkerContext>,
    inbox: Inbox,
    active: Arc<ActiveGeneration<T>>,
    slot: InstanceSlot<T>,
    /// Events that were taken from the queue and have no outcome yet, in order.
    pending: VecDeque<Queued>,
    /// How many of them, from the first one on, get a separate call each.
    alone: usize,
    failures: Failures,
    /// The events of the last call.
    events: Vec<Arc<Event>>,
    /// Their tickets, once the call has succeeded or the event is given up.
    tickets: Vec<Option<Ticket>>,
}

/// The worker has to end: its deadline has passed, or delivery accepts no more requests.
struct Over;

impl<T: Template> Worker<T> {
    pub(super) fn new(context: Arc<WorkerContext>, inbox: Inbox, active: Arc<ActiveGeneration<T>>) -> Worker<T> {
        Worker {
            slot: InstanceSlot::new(Arc::clone(&context), active.latest()),
            failures: Failures::new(Arc::clone(&context)),
            context,
            inbox,
            active,
            pending: VecDeque::new(),
            alone: 0,
            events: Vec::new(),
            tickets: Vec::new(),
        }
    }

    /// Works until the queue has ended and is empty, or until the active generation says that it is over.
    pub(super) fn run(mut self) {
        priority::lower(self.context.nice);
        let mut batch = Vec::new();
        loop {
            let more = self.inbox.next_batch(&mut batch, self.slot.most());
            self.pending.extend(batch.drain(..));
            // A rollback may still follow the last event.
            if !more && !self.failures.has_doubtful() {
                break;
            }
            if self.pending.is_empty() && self.follow_while_idle(more).is_err() || self.work().is_err() {
                self.abandon();
                break;
            }
            if !more {
                break;
            }
        }
        self.slot.recover();
    }

    /// Gives up the events that are left. If the module is being removed, their publishers do not wait for them. If the
    /// host stops, they are not acknowledged.
    fn abandon(&mut self) {
        let waiting = if self.active.is_retired() {
            self.pending.drain(..).map(Queued::abandon).count() + self.inbox.abandon()
        } else {
            self.pending.len() + self.inbox.waiting()
        };
        add(&self.context.record.abandoned, waiting);
    }

    /// Handles a possible new generation: makes its instance now. The first event does not wait for it, and the old
    /// instance frees its memory.
    fn follow_while_idle(&mut self, more: bool) -> Result<(), Over> {
        self.follow()?;
        if more && let Err(error) = self.slot.create() {
            self.slot.back_off(&error);
        }
        Ok(())
    }

    /// Handles every pending event until it has an outcome.
    fn work(&mut self) -> Result<(), Over> {
        while !self.pending.is_empty() {
            self.ready()?;
            let alone = self.alone > 0;
            let count = if alone {
                1
            } else {
                self.pending.len().min(self.slot.most())
            };
            match self.call(count) {
                Ok(outcomes) => {
                    add(&self.context.record.skipped, count - self.events.len());
                    self.done(count);
                    self.settle(outcomes)?;
                }
                Err(_) if !alone => self.alone = count,
                Err(error) => {
                    self.failures.forget_call();
                    self.done(count);
                    #[expect(clippy::expect_used, reason = "a call without events does not fail")]
                    let event = self.events.first().expect("the call had an event");
                    let ticket = self.tickets.pop().flatten();
                    self.failures.failed_alone(self.slot.number(), event, ticket, &error);
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
            self.failures.report_call(self.slot.number());
        }
    }

    /// Follows the active generation and makes an instance of it, however long that takes.
    fn ready(&mut self) -> Result<(), Over> {
        loop {
            self.follow()?;
            let time = match self.context.supervisor.pause(self.slot.number()) {
                Some(time) => time,
                None => match self.slot.create() {
                    Ok(()) => return Ok(()),
                    Err(error) => self.slot.back_off(&error),
                },
            };
            if !self.active.wait(self.slot.current(), time) {
                return Err(Over);
            }
        }
    }

    fn follow(&mut self) -> Result<(), Over> {
        let current = self.active.current().ok_or(Over)?;
        let before = self.slot.number();
        if self.slot.follow(current) {
            self.alone = 0;
            self.failures.forget_call();
            let doubtful = self.failures.take_doubtful();
            // Only a rollback lowers the number.
            if self.slot.number() < before {
                self.take_back(doubtful);
            }
        }
        Ok(())
    }

    /// Puts events that are still in the quarantine before all others. They are retried in batches again.
    fn take_back(&mut self, doubtful: VecDeque<u64>) {
        for id in doubtful.into_iter().rev() {
            if let Some(entry) = self.context.quarantine.take(id) {
                add(&self.context.record.taken_back, 1);
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

    /// Hands over the first pending events that the module subscribes to, and leaves them in `self.events`.
    fn call(&mut self, count: usize) -> Result<Vec<Outcome>, CallError> {
        self.events.clear();
        let wanted = self
            .pending
            .iter()
            .take(count)
            .filter(|queued| self.slot.current().wants(queued));
        self.events.extend(wanted.map(|queued| Arc::clone(&queued.event)));
        if self.events.is_empty() {
            return Ok(Vec::new());
        }
        let began = Instant::now();
        let outcomes = self.slot.call(&self.events);
        let events = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        self.context
            .record
            .durations
            .add(began.elapsed() / events, events.into());
        self.failures.called(&outcomes);
        outcomes
    }

    /// Carries out the outcomes of `self.events`.
    fn settle(&mut self, outcomes: Vec<Outcome>) -> Result<(), Over> {
        let (generation, record) = (&self.slot.current().generation, &self.context.record);
        let module = &self.context.module;
        self.context.report_outcomes(generation.number, &self.events, &outcomes);
        let mut prepared = Vec::new();
        let (mut ignored, mut answered) = (0, 0);
        let tickets = std::mem::take(&mut self.tickets);
        for ((event, outcome), ticket) in self.events.iter().zip(outcomes).zip(&tickets) {
            match outcome {
                Outcome::Ignore => ignored += 1,
                Outcome::Fail(text) => {
                    add(&record.failed, 1);
                    self.failures
                        .quarantine(generation.number, event, ticket.clone(), Fault::Failed, text);
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
        if requests > 0 && self.context.outbox.append(prepared).is_err() {
            add(&record.abandoned, answered);
            return Err(Over);
        }
        tickets.into_iter().flatten().for_each(Ticket::complete);
        add(&record.requests, requests);
        add(&record.answered, answered);
        Ok(())
    }
}
