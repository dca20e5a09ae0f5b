//! What the end-to-end tests and the load bench stand on: the real binary as a child process ([`host`]), real MQTT
//! clients ([`client`], and [`raw`] where bytes matter), a real HTTP receiver that can be told to misbehave ([`sink`]),
//! and the comparison of webhook bodies with literal ones ([`body`], [`scene`]).
//!
//! Everything waits for a condition with a deadline; what was there instead, and the host's log, is part of the failure.
//! Ports are the system's choice and each host has a directory of its own, so tests run side by side.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is test code"
)]

pub mod binary;
pub mod body;
pub mod client;
pub mod flow;
pub mod host;
pub mod languages;
pub mod mosquitto;
pub mod packet;
pub mod process;
pub mod raw;
pub mod scene;
pub mod sink;
pub mod tls;

use std::time::Duration;

/// How long a test waits for something that takes milliseconds on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The two protocol versions that every step of a client's life is tried with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.0.
    V5,
}

impl Version {
    /// The protocol level in CONNECT.
    pub fn level(self) -> u8 {
        match self {
            Version::V311 => 4,
            Version::V5 => 5,
        }
    }
}

/// Raises the soft limit of open files to the hard one, for this process and the hosts that it starts, and returns it.
pub fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // A refusal leaves the soft limit as it was, which is what the return value then says.
    if setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .is_err()
    {
        return limit.current.unwrap_or(1024);
    }
    limit.maximum.unwrap_or(1 << 20)
}
