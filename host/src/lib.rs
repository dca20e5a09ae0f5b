//! hookhost: an MQTT broker host whose hook events go to sandboxed WebAssembly modules.

pub mod config;
pub mod delivery;
pub mod event;
pub mod hooks;
pub mod modules;
pub mod wasm;
