//! hookhost: an MQTT broker host whose hook events go to sandboxed WebAssembly modules.
//!
//! The path of an event: `broker` → `hooks` → `modules` (which call `wasm`) → `delivery`. All of them use the types of
//! `hookhost_event`. [`app`] connects them. `ARCHITECTURE.md` describes all parts.

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod engine;
mod fleet;
pub mod logging;
mod module_bucket;
mod module_files;
mod new_file;
mod publisher;
pub mod record;
pub mod reload;
pub mod sink;
pub mod status;
pub mod version;
pub mod webhooks;

/// One thread makes events, a second one makes requests, and a third one drops both; an allocator has to be fast at
/// freeing memory in another thread. Compared with glibc's allocator, a webhook takes a quarter less processor time.
/// jemalloc also gives memory back: its background thread returns what has not been used for 10 seconds to the system,
/// even if the threads that used it sleep. It is set here so that benchmarks and tests use it as well.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
