//! The base of the end-to-end tests and the load bench. It has the real binary as a child process ([`host`]), real MQTT
//! clients ([`client`], and [`raw`] where bytes matter), and a real HTTP receiver that misbehaves on request
//! ([`sink`]). It compares webhook bodies with literal ones ([`body`], [`scene`]).
//!
//! Every wait has a condition and a timeout. A failure shows the actual state and the host's log. The system chooses
//! the ports and each host has its own directory, so tests run in parallel.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this crate is test code"
)]

pub mod binary;
pub mod body;
pub mod client;
pub mod crash;
pub mod flow;
pub mod host;
pub mod http;
pub mod http2;
pub mod languages;
pub mod metrics;
pub mod mosquitto;
pub mod nats;
pub mod packet;
pub mod process;
pub mod proxy;
pub mod publishers;
pub mod pypi;
pub mod raw;
pub mod scene;
pub mod sink;
pub mod system;
pub mod tls;

use std::time::Duration;

/// Timeout of a wait for something that takes milliseconds on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The two protocol versions. Tests run every step of a client's life with both.
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
    // If the system refuses, the soft limit is unchanged, and the return value is that limit.
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
