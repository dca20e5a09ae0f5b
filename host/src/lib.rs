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
mod module_files;
mod new_file;
mod publisher;
pub mod record;
pub mod reload;
pub mod sink;
pub mod status;
pub mod version;
pub mod webhooks;

/// One thread makes events, a second one makes requests, and a third one drops both. This allocator is fast at freeing
/// memory in another thread. Compared with glibc's allocator, a webhook takes a quarter less processor time. It is set
/// here so that benchmarks and tests use it as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
