//! What a worker keeps about failed calls, and the way of their events into the quarantine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{error, warn};

use super::WorkerContext;
use crate::health::EVENTS_OF_FEW;
use crate::quarantine::{Fault, QuarantinedEvent};
use crate::state::add;
use hookhost_contract::{Outcome, Ticket};
use hookhost_event::{Event, Millis};
use hookhost_settings::error_line;
use hookhost_wasm::CallError;

/// Most characters of a module's text that the log shows.
const MAX_LOGGED_CHARS: usize = 1000;

/// The failed calls of one worker.
pub(super) struct Failures {
    context: Arc<WorkerContext>,
    /// Why the call with the events failed that are now handled one by one, until the reason is logged.
    call: Option<String>,
    /// Quarantine numbers of the events on which the generation has failed since it last handled one. They may not be
    /// the cause.
    doubtful: VecDeque<u64>,
}

impl Failures {
    pub(super) fn new(context: Arc<WorkerContext>) -> Failures {
        Failures {
            context,
            call: None,
            doubtful: VecDeque::new(),
        }
    }

    /// Whether a rollback may still bring events back.
    pub(super) fn has_doubtful(&self) -> bool {
        !self.doubtful.is_empty()
    }

    /// Takes the quarantine numbers of the events on which the generation has failed since it last handled one.
    pub(super) fn take_doubtful(&mut self) -> VecDeque<u64> {
        std::mem::take(&mut self.doubtful)
    }

    /// A call has ended.
    pub(super) fn called(&mut self, outcomes: &Result<Vec<Outcome>, CallError>) {
        match outcomes {
            Ok(_) => self.doubtful.clear(),
            Err(error) => self.call = Some(error_line(error)),
        }
    }

    /// Forgets why the last call failed: it need not be logged.
    pub(super) fn forget_call(&mut self) {
        self.call = None;
    }

    /// Logs that a call failed, unless one of its events is in the quarantine: that has been logged.
    pub(super) fn report_call(&mut self, generation: u32) {
        if let Some(reason) = self.call.take()
            && let Some(held_back) = self.context.record.call_lines.pass()
        {
            let module = &*self.context.module;
            warn!(
                module,
                generation,
                reason = cut(&reason),
                lines_held_back = held_back,
                "call failed; its events were handled one by one"
            );
        }
    }

    /// Handles an event that has failed twice, the second time alone.
    pub(super) fn failed_alone(
        &mut self,
        generation: u32,
        event: &Arc<Event>,
        ticket: Option<Ticket>,
        error: &CallError,
    ) {
        let record = &self.context.record;
        let (counter, fault) = if error.depends_on_time() {
            (&record.timed_out, Fault::TimedOut)
        } else {
            (&record.trapped, Fault::Trapped)
        };
        add(counter, 1);
        let reason = error_line(error);
        let id = self.quarantine(generation, event, ticket, fault, description(&reason, error));
        if self.doubtful.len() == EVENTS_OF_FEW {
            self.doubtful.pop_front();
        }
        self.doubtful.push_back(id);
        self.context.supervisor.failed(generation, event, cut(&reason));
    }

    /// Puts an event into the quarantine; its ticket is complete when it is on disk there. Returns its number there.
    pub(super) fn quarantine(
        &self,
        generation: u32,
        event: &Arc<Event>,
        ticket: Option<Ticket>,
        fault: Fault,
        text: String,
    ) -> u64 {
        let WorkerContext {
            module,
            record,
            quarantine,
            ..
        } = &*self.context;
        self.context.report_outcome(generation, event, fault.name(), 0, &text);
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

/// The description of a failure: the reason, and the place in the module if the module carries names.
fn description(reason: &str, error: &CallError) -> String {
    let mut text = reason.to_owned();
    if let CallError::Trap { frames, .. } = error {
        for frame in frames {
            text.push_str("\n  in ");
            text.push_str(frame);
        }
    }
    text
}

pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn cut(text: &str) -> &str {
    text.char_indices()
        .nth(MAX_LOGGED_CHARS)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut(&"é".repeat(5000)).chars().count(), MAX_LOGGED_CHARS);
        assert_eq!(cut("short"), "short");
    }
}
