//! The generation that a worker follows, and its warm instance.
//!
//! The instance is made when it is needed and kept until a call fails or another generation is followed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::error;

use super::WorkerContext;
use crate::generation::{CreateError, Current, Handler, Template};
use crate::health::Backoff;
use crate::state::add;
use hookhost_contract::Outcome;
use hookhost_event::Event;
use hookhost_settings::error_line;
use hookhost_wasm::CallError;

/// A followed generation with at most one instance.
pub(super) struct InstanceSlot<T: Template> {
    context: Arc<WorkerContext>,
    current: Current<T>,
    instance: Option<T::Handler>,
    /// Most events of the next call. After a call that timed out this is below the limit of the generation.
    most: usize,
    /// Failed attempts in a row to make an instance.
    attempts: u32,
    backoff: Backoff,
}

impl<T: Template> InstanceSlot<T> {
    /// Follows a generation; has no instance yet.
    pub(super) fn new(context: Arc<WorkerContext>, current: Current<T>) -> InstanceSlot<T> {
        InstanceSlot {
            context,
            instance: None,
            most: current.generation.batch,
            current,
            attempts: 0,
            backoff: Backoff::new(),
        }
    }

    pub(super) fn current(&self) -> &Current<T> {
        &self.current
    }

    /// The number of the generation.
    pub(super) fn number(&self) -> u32 {
        self.current.generation.number
    }

    /// Most events of the next call.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Follows the active generation. Returns whether it is another one than before.
    pub(super) fn follow(&mut self, current: Current<T>) -> bool {
        // The version may be newer although the generation is the same.
        let is_other = !self.current.is(&current);
        if is_other {
            // Drop the old instance first: two at a time may need more memory than the machine has.
            self.instance = None;
            self.recover();
            self.backoff = Backoff::new();
            self.most = current.generation.batch;
        }
        self.current = current;
        is_other
    }

    /// Creates the instance, unless there is one already.
    pub(super) fn create(&mut self) -> Result<(), CreateError> {
        if self.instance.is_none() {
            self.instance = Some(self.current.generation.template.create()?);
            self.recover();
        }
        Ok(())
    }

    /// Logs why there is no instance. Returns the delay before the next attempt.
    pub(super) fn back_off(&mut self, error: &CreateError) -> Duration {
        let reason = error_line(error);
        let generation = self.number();
        let time = self.backoff.fail(Instant::now());
        self.attempts += 1;
        error!(module = %self.context.module, generation, reason, retry_in = ?time, "cannot create an instance of the module");
        self.context.supervisor.unmade(generation, self.attempts, &reason);
        if self.attempts == 1 {
            self.context.record.back_off(reason);
        }
        time
    }

    /// Ends a series of failed attempts.
    pub(super) fn recover(&mut self) {
        if std::mem::take(&mut self.attempts) > 0 {
            self.backoff.recover(Instant::now());
            self.context.record.recover();
        }
    }

    /// Hands events over; each gets one outcome. An instance whose call fails is dropped.
    ///
    /// There must be an instance ([`create`](InstanceSlot::create)).
    pub(super) fn call(&mut self, events: &[Arc<Event>]) -> Result<Vec<Outcome>, CallError> {
        #[expect(clippy::expect_used, reason = "the worker calls only when `create` has succeeded")]
        let instance = self.instance.as_mut().expect("an instance is ready");
        let called = instance.handle(events).and_then(|outcomes| match outcomes.len() {
            got if got == events.len() => Ok(outcomes),
            got => Err(CallError::WrongOutcomeCount {
                events: events.len(),
                outcomes: got,
            }),
        });
        match &called {
            Ok(_) => {
                self.context.supervisor.handled(self.number());
                if events.len() == self.most {
                    self.most = (self.most + 1).min(self.current.generation.batch);
                }
            }
            Err(error) => {
                self.instance = None;
                // The deadline applies to a call: a slow module succeeds with fewer events at a time.
                if error.depends_on_time() {
                    self.most = (events.len() / 2).max(1);
                }
                add(&self.context.record.failed_calls, 1);
            }
        }
        called
    }
}
