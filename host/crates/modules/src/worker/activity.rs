//! Records in the host's activity log what the module did with each event.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::WorkerContext;
use crate::trace_context::TraceContext;
use hookhost_activity::{HandledEvent, cut};
use hookhost_contract::Outcome;
use hookhost_event::Event;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// When and how long the module was called.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CallTime {
    /// When the call ended, in nanoseconds since 1970.
    ended: u64,
    took: Duration,
    /// How many events the call had.
    events: usize,
}

impl CallTime {
    /// A call that has just ended.
    pub(super) fn ended_now(took: Duration, events: usize) -> CallTime {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        CallTime {
            ended: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            took,
            events,
        }
    }
}

impl WorkerContext {
    /// Records the outcomes of a call, except those that fail.
    pub(super) fn record_outcomes(&self, generation: u32, call: CallTime, events: &[Arc<Event>], outcomes: &[Outcome]) {
        let handled = |(event, outcome): (&'_ Arc<Event>, &Outcome)| {
            let (word, requests) = match outcome {
                Outcome::Deliver(requests) if !requests.is_empty() => ("answered", requests.len()),
                Outcome::Ignore | Outcome::Deliver(_) => ("ignored", 0),
                // The quarantine records it.
                Outcome::Fail(_) => return None,
            };
            Some(self.handled(generation, call, event, word, requests, ""))
        };
        let events = events.iter().zip(outcomes);
        self.activity
            .handled(events.filter_map(|(event, outcome)| Some((&**event, handled((event, outcome))?))));
    }

    /// Records what the module did with one event.
    pub(super) fn record_outcome(
        &self,
        generation: u32,
        call: CallTime,
        event: &Event,
        outcome: &'static str,
        text: &str,
    ) {
        let handled = self.handled(generation, call, event, outcome, 0, text);
        self.activity.handled([(event, handled)]);
    }

    fn handled(
        &self,
        generation: u32,
        call: CallTime,
        event: &Event,
        outcome: &'static str,
        requests: usize,
        text: &str,
    ) -> HandledEvent {
        // Without an exporter the trace is not needed.
        let sampling = self.activity.sampling();
        HandledEvent {
            event: event.id,
            received: event.at.0,
            at: call.ended / NANOS_PER_MILLI,
            call: call.took,
            call_events: call.events,
            module: Arc::clone(&self.module),
            generation,
            outcome,
            requests,
            text: cut(text),
            span: sampling.and_then(|sampling| TraceContext::of(event, Some(sampling))?.call_span(call.ended)),
        }
    }
}
