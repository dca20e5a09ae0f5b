//! hookhost: an MQTT broker host whose hook events go to sandboxed WebAssembly modules.

pub mod delivery;
pub mod event;
