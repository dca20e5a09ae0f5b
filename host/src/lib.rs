//! hookhost: an MQTT broker host whose hook events go to sandboxed WebAssembly modules.
//!
//! The way of one event: `broker` → `hooks` → `modules` (which call `wasm`) → `delivery`. All of them speak of the
//! types of `hookhost_event`; [`app`] knows them all and connects them. `ARCHITECTURE.md` has the whole picture.

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod engine;
pub mod logging;
pub mod record;
pub mod reload;
pub mod sink;

/// Events are made in one thread, requests in a second one, and both end in a third: what is freed in another thread than
/// it was allocated in is what this allocator is good at. Beside glibc's a webhook takes a quarter less processor time.
/// Here, so that benches and tests have it as well.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
