//! Carries out the outcomes of a call: requests go into the outbox, failures into the quarantine.

use tracing::warn;

use super::{Over, Worker};
use crate::generation::Template;
use crate::quarantine::Fault;
use crate::requests::prepare;
use crate::state::add;
use crate::trace_context::TraceContext;
use hookhost_activity::trace_parent::call_span;
use hookhost_contract::{Outcome, Ticket};
use hookhost_delivery::OutboxRequest;

impl<T: Template> Worker<T> {
    /// Carries out the outcomes of `self.events`.
    pub(super) fn settle(&mut self, outcomes: Vec<Outcome>) -> Result<(), Over> {
        let (generation, record) = (&self.slot.current().generation, &self.context.record);
        let module = &self.context.module;
        let call = self.failures.last_call();
        self.context
            .record_outcomes(generation.number, call, &self.events, &outcomes);
        let sampling = self.context.activity.sampling();
        let is_exported = sampling.is_some();
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
                    let trace = TraceContext::of(event, sampling);
                    let trace = trace.map(|trace| (trace, call_span(event.id, module, generation.number)));
                    for (place, mut request) in requests.into_iter().enumerate() {
                        let span = trace
                            .as_ref()
                            .and_then(|(trace, call)| trace.add_to(&mut request, *call, place));
                        match prepare(request, event, &generation.egress, module, generation.number) {
                            Ok(request) => prepared.push(OutboxRequest {
                                // Without an export, no one reads it.
                                span: span.filter(|_| is_exported).map(Box::new),
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
