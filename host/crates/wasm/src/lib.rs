//! Modules as WebAssembly components: compile one, make warm instances of it, hand them batches of events.
//!
//! The data and who owns it:
//!
//! - [`Engine`] is made once per process. It owns the cache of compiled code on disk, the linker and the one
//!   thread that makes deadlines tick; it is a handle, and the thread ends with the last clone and the last instance.
//!   Compiling is done in a process of its own (`compile.rs`).
//! - [`Component`] is one module, compiled and with its imports and exports checked. Clones share the code.
//! - [`Instance`] is one running copy with its own memory. It belongs to one OS thread at a time, takes calls one after
//!   the other, and is thrown away after the first call that fails: what a trap leaves behind is never used again.
//! - [`Kv`](hookhost_kv::Kv) is what a module keeps beyond its instances. All instances of a module share one; the [`KvStores`](hookhost_kv::KvStores) has them by
//!   name, and on disk if there is a data folder.
//!
//! The way of a batch: [`Event`](hookhost_event::Event)s are lent to the bindings (`lower.rs`: no text and no payload is
//! copied on this side), wasmtime copies them into the guest, and the answer comes back as [`Outcome`](hookhost_contract::Outcome)s that share
//! nothing with the guest.
//!
//! What bounds a guest: linear memory, tables and handles ([`Limits`], summed over the whole instance); the time of a
//! call, also while it waits on a clock ([`CallError::Deadline`]); the size of what it returns; the state it keeps
//! ([`KvBounds`](hookhost_kv::KvBounds)); the lines it logs (`stdio.rs`: per second and in length). WASI is there because compilers link it,
//! with nothing granted: no files, no environment, no arguments, no sockets, no name resolution. Clocks and random
//! numbers work.
//!
//! Calls are synchronous. They must come from a thread of the caller's own (or `spawn_blocking`), never from inside an
//! async task, and that thread needs the usual 2 MiB of stack. Nothing outside this directory sees a type of wasmtime or
//! of the generated bindings.

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
