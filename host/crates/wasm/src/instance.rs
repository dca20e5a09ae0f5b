//! One running copy of a module. It is configured once, then called with batches until it fails or is replaced.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bumpalo::Bump;
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::bindings::HookModule;
use super::bindings::hookhost::hook::types::HostInfo;
use super::component::Component;
use super::contract::Identity;
use super::error::{CallError, ConfigureError, LoadError};
use super::host::{DeadlineReached, State};
use super::limits::{Limits, Refusal};
use super::lines::{Source, clean};
use super::lower;
use super::stdio;
use hookhost_contract::{Interest, Outcome, Problem};
use hookhost_event::Event;
use hookhost_kv::Kv;

/// Limit of the bytes that `configure` may return: interests with their filters, or problems.
const CONFIGURE_BYTES: usize = 1 << 20;

/// Limit of the answer to `configure` for each byte of the configuration, if that is more. A configuration of thousands of
/// rules names as many filters, and each filter takes some 30 bytes more in the answer than in the configuration.
const CONFIGURE_BYTES_PER_BYTE: usize = 32;

/// Limit of the handles of component resources that a guest may have.
const HANDLES: usize = 10_000;

/// Limit of the stack frames that an error contains, and of the bytes of each name.
const FRAMES: usize = 8;
const FRAME_BYTES: usize = 120;

/// A running module, used by one thread at a time. The [crate page](super) describes its abilities and limits.
///
/// After any [`CallError`] the instance is dead. The host undoes the changes that the call made to [`Kv`]. Every later
/// call fails with [`CallError::Dead`]. Drop the instance and create a new one.
pub struct Instance {
    store: Store<State>,
    exports: HookModule,
    identity: Identity,
    limits: Limits,
    /// Memory for the texts of a batch that are not lent; reset after each batch.
    arena: Bump,
    dead: bool,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("module", &self.identity.module)
            .field("generation", &self.identity.generation)
            .field("dead", &self.dead)
            .finish_non_exhaustive()
    }
}

impl Instance {
    pub(super) fn new(
        component: &Component,
        identity: &Identity,
        limits: &Limits,
        kv: &Arc<Kv>,
    ) -> Result<Instance, LoadError> {
        let source = Source {
            module: Arc::clone(&identity.module),
            generation: identity.generation,
        };
        let mut store = Store::new(
            component.pre().engine(),
            State::new(source, limits, kv, component.is_metered(), Instant::now()),
        );
        store.limiter(|state| &mut state.limiter);
        store.set_max_component_handles(HANDLES);
        store.set_hostcall_fuel(CONFIGURE_BYTES);
        // Each tick compares the clock with the deadline. An early or late tick therefore does not move the deadline.
        store.epoch_deadline_callback(|store| {
            if Instant::now() >= store.data().deadline {
                return Err(DeadlineReached.into());
            }
            Ok(UpdateDeadline::Continue(1))
        });
        start_call(&mut store, limits.start_deadline, CONFIGURE_BYTES);
        let instance = match component.pre().instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => return Err(start_error(&mut store, &error, limits)),
        };
        let exports = match component.exports().load(&mut store, &instance) {
            Ok(exports) => exports,
            Err(error) => return Err(LoadError::OtherTypes(format!("{error:#}"))),
        };
        end_call(&mut store);
        let (identity, limits) = (identity.clone(), limits.clone());
        Ok(Instance {
            store,
            exports,
            identity,
            limits,
            arena: Bump::new(),
            dead: false,
        })
    }

    /// Passes the module its settings, a JSON object. Returns the interests of the module. Call it once, before
    /// [`handle`](Instance::handle).
    ///
    /// The call may take up to [`Limits::start_deadline`]. After an error the instance must not be used.
    pub fn configure(&mut self, config: &str) -> Result<Vec<Interest>, ConfigureError> {
        if self.dead {
            return Err(ConfigureError::Call(CallError::Dead));
        }
        let answer_bytes = CONFIGURE_BYTES.max(config.len().saturating_mul(CONFIGURE_BYTES_PER_BYTE));
        start_call(&mut self.store, self.limits.start_deadline, answer_bytes);
        let host = HostInfo {
            node: lower::node(&self.identity.node),
            version: env!("CARGO_PKG_VERSION"),
            module: &self.identity.module,
            generation: self.identity.generation,
        };
        let handler = self.exports.hookhost_hook_handler();
        let answer = handler.call_configure(&mut self.store, host, config);
        match answer {
            Ok(answer) => {
                end_call(&mut self.store);
                let interests = answer
                    .map_err(|problems| ConfigureError::Refused(problems.into_iter().map(Problem::from).collect()))?;
                Ok(interests.into_iter().map(Interest::from).collect())
            }
            Err(error) => {
                let error = call_error(&mut self.store, &error, self.limits.start_deadline, answer_bytes);
                Err(ConfigureError::Call(self.fail(error)))
            }
        }
    }

    /// Passes a batch to the module. Returns one outcome per event, in the order of the events.
    ///
    /// The call may take up to [`Limits::deadline`] for the whole batch. If it fails, no event of the batch counts as
    /// handled. The caller then passes each event alone to a new instance, and quarantines an event that fails again.
    pub fn handle(&mut self, events: &[Arc<Event>]) -> Result<Vec<Outcome>, CallError> {
        if self.dead {
            return Err(CallError::Dead);
        }
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let answer_bytes = self.limits.answer_bytes(events.len());
        start_call(&mut self.store, self.limits.deadline, answer_bytes);
        let batch = lower::events(&self.arena, events);
        let handler = self.exports.hookhost_hook_handler();
        let answer = handler.call_handle(&mut self.store, batch);
        self.arena.reset();
        let outcomes = match answer {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let error = call_error(&mut self.store, &error, self.limits.deadline, answer_bytes);
                return Err(self.fail(error));
            }
        };
        if outcomes.len() != events.len() {
            return Err(self.fail(CallError::WrongOutcomeCount {
                events: events.len(),
                outcomes: outcomes.len(),
            }));
        }
        let outcomes: Vec<Outcome> = outcomes.into_iter().map(Outcome::from).collect();
        // This check is separate from the limit of the whole answer, so that a failure does not depend on other events
        // of the batch.
        let limit = self.limits.outcome_bytes;
        let too_large = outcomes
            .iter()
            .map(Outcome::size)
            .enumerate()
            .find(|(_, bytes)| *bytes > limit);
        if let Some((event, bytes)) = too_large {
            return Err(self.fail(CallError::OutcomeTooLarge { event, bytes, limit }));
        }
        end_call(&mut self.store);
        Ok(outcomes)
    }

    /// Returns the bytes of linear memory of the instance. The memory of a guest never shrinks.
    pub fn memory(&self) -> usize {
        self.store.data().limiter.memory()
    }

    /// Returns the fuel used by the last call, about one unit per instruction. Returns `None` unless the engine is
    /// metered.
    pub fn fuel(&self) -> Option<u64> {
        let left = self.store.data().metered.then(|| self.store.get_fuel().ok())??;
        Some(u64::MAX - left)
    }

    fn fail(&mut self, error: CallError) -> CallError {
        self.dead = true;
        self.store.data_mut().kv.undo(Instant::now());
        error
    }
}

/// Sets the limits of one call.
fn start_call(store: &mut Store<State>, time: Duration, answer_bytes: usize) {
    store.set_epoch_deadline(1);
    store.set_hostcall_fuel(answer_bytes);
    if store.data().metered {
        // The fuel is only read and never runs out. `metered` guarantees that this call succeeds.
        store.set_fuel(u64::MAX).ok();
    }
    let state = store.data_mut();
    state.deadline = Instant::now() + time;
    state.limiter.take_refusal();
}

/// Ends a successful call: commits its changes and logs its output.
fn end_call(store: &mut Store<State>) {
    let state = store.data_mut();
    state.kv.commit();
    stdio::lock(&state.output).end_call(Instant::now());
}

/// Returns why the instance could not be created.
fn start_error(store: &mut Store<State>, error: &wasmtime::Error, limits: &Limits) -> LoadError {
    let error = call_error(store, error, limits.start_deadline, CONFIGURE_BYTES);
    store.data_mut().kv.undo(Instant::now());
    match error {
        // Start code returns nothing, so the guest has not run: there was no space for the instance.
        CallError::UnreadableAnswer { message, .. } => LoadError::NoRoom(message),
        error => LoadError::Start(error),
    }
}

/// Converts an error of wasmtime by its type; its text is only passed on.
fn call_error(store: &mut Store<State>, error: &wasmtime::Error, time: Duration, answer_bytes: usize) -> CallError {
    if error.is::<DeadlineReached>() {
        stdio::lock(&store.data().output).end_call(Instant::now());
        return CallError::Deadline { limit: time };
    }
    let state = store.data_mut();
    let words = stdio::lock(&state.output).last_words(Instant::now());
    let message = words.unwrap_or_else(|| clean(error.root_cause().to_string().as_bytes(), stdio::WORDS_BYTES));
    match state.limiter.take_refusal() {
        Some(Refusal::Memory(wanted)) => {
            return CallError::Memory {
                wanted,
                limit: state.limiter.memory_limit(),
                message,
            };
        }
        Some(Refusal::Table(wanted)) => {
            return CallError::Table {
                wanted,
                limit: state.limiter.table_limit(),
            };
        }
        None => {}
    }
    // An error of a host function (such as a text that is too long) is neither a trap nor an exit. It has the stack of
    // the guest.
    if error.is::<Trap>() || error.is::<I32Exit>() || error.is::<WasmBacktrace>() {
        return CallError::Trap {
            message,
            frames: frames(error),
        };
    }
    CallError::UnreadableAnswer {
        limit: answer_bytes,
        message,
    }
}

/// Returns the functions on the stack of the guest, innermost first. Leaves out the functions of Rust's runtime, such
/// as those of a panic.
fn frames(error: &wasmtime::Error) -> Vec<String> {
    const RUNTIME: [&str; 8] = [
        "std::", "core::", "alloc::", "<std::", "<core::", "<alloc::", "__rust", "abort",
    ];
    let Some(stack) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    let names = stack.frames().iter().filter_map(|frame| frame.func_name());
    let names = names.map(|name| format!("{:#}", rustc_demangle::demangle(name)));
    let names = names.filter(|name| !RUNTIME.iter().any(|runtime| name.starts_with(runtime)));
    names
        .take(FRAMES)
        .map(|name| clean(name.as_bytes(), FRAME_BYTES))
        .collect()
}
