//! Runs one module outside of a host: inspects its file, its grants and its outcomes for events.
//!
//! A [`Subject`] is a `.wasm` with its settings. The trial uses the code with which a host loads modules. Whatever a
//! host would reject is rejected here with the same message. Loading a subject gives a [`Trial`].
//!
//! A trial hands over one event at a time and reports its outcome ([`TrialResult`]). The same interests, limits and grants
//! apply. A new instance handles a failed event a second time, and state is kept between events. Nothing is sent, and
//! the state ends with the trial.

mod result;
mod subject;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use result::{TrialOutcome, TrialRequest, TrialResult};
pub use subject::Subject;

use super::generation::{Blueprint, Generation, Template, lock};
use super::load::Loaded;
use super::requests::prepare;
use super::settings::ModuleLimits;
use hookhost_contract::Outcome;
use hookhost_event::{Event, Hook};
use hookhost_hooks::Overflow;
use hookhost_settings::{error_line, format_duration, format_size};
use hookhost_wasm::Instance;

/// The factor by which the timeout of a call grows when its instructions are counted.
const METERED_DEADLINE_FACTOR: u32 = 10;

/// A module that was loaded, with one instance.
pub struct Trial {
    module: Arc<str>,
    generation: Generation<Blueprint>,
    limits: ModuleLimits,
    instance: Option<Instance>,
    started: Duration,
}

/// A limit of a module, as readable text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The key in `[limits]`.
    pub key: &'static str,
    /// Its value in the notation of the settings.
    pub value: String,
}

impl Trial {
    pub(crate) fn new(module: Arc<str>, loaded: Loaded, started: Duration) -> Trial {
        let Loaded { generation, limits, .. } = loaded;
        let instance = lock(&generation.template.spare).take();
        Trial {
            module,
            generation,
            limits,
            instance,
            started,
        }
    }

    /// The same limits with ten times the timeout for each call: an engine that counts instructions is slower.
    #[must_use]
    pub fn patient(mut self) -> Trial {
        let limits = &mut self.generation.template.limits;
        limits.deadline = limits.deadline.saturating_mul(METERED_DEADLINE_FACTOR);
        // This instance was made with the old limits.
        self.instance = None;
        self
    }

    /// Its subscriptions: hooks, each with its filters. A hook without filters means every event of it.
    pub fn interests(&self) -> impl Iterator<Item = (Hook, Vec<&str>)> {
        let interests = &self.generation.interests;
        interests.hooks().map(|hook| (hook, interests.filters(hook)))
    }

    /// The URL prefixes that its requests may name.
    pub fn egress(&self) -> Vec<String> {
        self.generation
            .egress
            .grants()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// The limits of the module.
    pub fn limits(&self) -> Vec<Limit> {
        let ModuleLimits {
            limits,
            queue,
            instances,
            batch,
            ..
        } = &self.limits;
        let overflow = match queue.overflow {
            Overflow::Drop => "drop".to_owned(),
            Overflow::Wait(limit) => format!("wait for at most {}", format_duration(limit)),
        };
        [
            ("memory", format_size(limits.memory)),
            ("deadline", format_duration(limits.deadline)),
            ("start_deadline", format_duration(limits.start_deadline)),
            ("outcome_bytes", format_size(limits.outcome_bytes)),
            ("table_elements", limits.table_elements.to_string()),
            ("instances", instances.to_string()),
            ("batch", batch.to_string()),
            ("queue_events", queue.events.to_string()),
            ("queue_bytes", format_size(queue.bytes)),
            ("overflow", overflow),
        ]
        .map(|(key, value)| Limit { key, value })
        .into()
    }

    /// The time it took to make the instance and to configure it.
    pub fn started(&self) -> Duration {
        self.started
    }

    /// Bytes of linear memory of the instance; `None` without an instance.
    pub fn memory(&self) -> Option<usize> {
        self.instance.as_ref().map(Instance::memory)
    }

    /// Hands over one event and returns its outcome.
    pub fn handle(&mut self, event: &Arc<Event>) -> TrialResult {
        let detail = &event.detail;
        if !self.generation.interests.wants(detail.hook(), detail.subject()) {
            return TrialResult::without_call(event.id, TrialOutcome::NotWanted);
        }
        let mut is_again = false;
        loop {
            let mut instance = match self
                .instance
                .take()
                .map_or_else(|| self.generation.template.create(), Ok)
            {
                Ok(instance) => instance,
                Err(error) => return TrialResult::without_call(event.id, TrialOutcome::NoInstance(error_line(&error))),
            };
            let start = Instant::now();
            let outcomes = instance.handle(std::slice::from_ref(event));
            let (time, fuel) = (start.elapsed(), instance.fuel());
            let outcome = match outcomes {
                Ok(outcomes) => {
                    self.instance = Some(instance);
                    #[expect(
                        clippy::expect_used,
                        reason = "one event, one outcome: anything else is an error of the call"
                    )]
                    let outcome = outcomes.into_iter().next().expect("the event's outcome");
                    self.outcome(event, outcome)
                }
                // A failed instance is never reused.
                Err(_) if !is_again => {
                    is_again = true;
                    continue;
                }
                Err(error) if error.depends_on_time() => TrialOutcome::TimedOut(error_line(&error)),
                Err(error) => TrialOutcome::Trapped(error_line(&error)),
            };
            return TrialResult {
                event: event.id,
                outcome,
                time: Some(time),
                fuel,
                is_again,
            };
        }
    }

    fn outcome(&self, event: &Event, outcome: Outcome) -> TrialOutcome {
        match outcome {
            Outcome::Ignore => TrialOutcome::Ignored,
            Outcome::Deliver(requests) if requests.is_empty() => TrialOutcome::Ignored,
            Outcome::Fail(text) => TrialOutcome::Failed(text),
            Outcome::Deliver(requests) => {
                let Generation { egress, number, .. } = &self.generation;
                let requests = requests.into_iter().map(|request| {
                    let named = TrialRequest::of(&request);
                    match prepare(request, event, egress, &self.module, *number) {
                        Ok(request) => TrialRequest {
                            url: request.url,
                            ordering_key: Some(request.ordering_key),
                            ..named
                        },
                        Err(refusal) => TrialRequest {
                            refused: Some(refusal.to_string()),
                            ..named
                        },
                    }
                });
                TrialOutcome::Delivered(requests.collect())
            }
        }
    }
}
