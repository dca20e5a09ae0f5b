//! hookhost: an MQTT broker host whose hook events go to sandboxed WebAssembly modules.

pub mod app;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod event;
pub mod logging;
pub mod sink;
pub mod wasm;
