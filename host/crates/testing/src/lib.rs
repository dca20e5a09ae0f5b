//! Parts of tests that several crates share: events, an engine that keeps the events it emits, an MQTT client that writes
//! packets byte by byte (so that no codec is tested with itself), and scripts of client behaviour for any engine.

pub mod client;
pub mod durable;
pub mod engine;
pub mod events;
pub mod scripts;
