//! WebAssembly components as modules: compiles a module, creates warm instances and calls them with batches of events.
//!
//! The types and what each owns:
//!
//! - [`Engine`] is created once per process. It owns the cache of compiled code on disk, the linker and the one thread
//!   that increments the epoch for deadlines. It is a handle. The thread ends with the last clone and the last
//!   instance. A child process compiles modules (`compile.rs`).
//! - [`Component`] is one compiled module whose imports and exports have been checked. Clones share the code.
//! - [`Instance`] is one running copy with its own memory. It belongs to one OS thread at a time and handles one call
//!   after another. It is dropped after the first failed call, so state left by a trap is never used again.
//! - [`Kv`](hookhost_kv::Kv) is the state of a module that outlives its instances. All instances of a module share it.
//!   [`KvStores`](hookhost_kv::KvStores) contains the states by module name, and stores them on disk if there is a data
//!   folder.
//!
//! How a batch is handled: the host lends its [`Event`](hookhost_event::Event)s to the bindings (`lower.rs`) without
//! copying texts and payloads. wasmtime copies them into the guest. The answer comes back as
//! [`Outcome`](hookhost_contract::Outcome)s that share no memory with the guest.
//!
//! Limits of a guest:
//!
//! - Linear memory, tables and handles: [`Limits`], summed over the whole instance.
//! - The time of a call, including its waits on a clock: [`CallError::Deadline`].
//! - The size of its answer: [`Limits::outcome_bytes`].
//! - Its state: [`KvBounds`](hookhost_kv::KvBounds).
//! - Its log lines: `stdio.rs`, in length and per second.
//!
//! WASI is available because compilers link it, but it grants no access: no files, environment, arguments, sockets or
//! name resolution. Clocks and random numbers work.
//!
//! Calls are synchronous. Make them from a thread of your own (or `spawn_blocking`), never from inside an async task.
//! The thread needs the usual stack of 2 MiB. Types of wasmtime and of the generated bindings are private to this
//! crate.

mod bindings;
mod cache;
mod child;
mod compile;
mod component;
mod contract;
mod engine;
mod error;
mod host;
mod instance;
mod limits;
mod lines;
mod lower;
mod native;
mod stdio;
#[cfg(test)]
mod tests;

pub use compile::{COMMAND as COMPILE_COMMAND, compile_standard_input};
pub use component::{Anatomy, Component};
pub use contract::Identity;
pub use engine::{Engine, EngineSettings};
pub use error::{CallError, ConfigureError, EngineError, LoadError};
pub use instance::Instance;
pub use limits::Limits;
