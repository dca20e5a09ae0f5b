//! What listeners count since the start.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of all listeners.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Connections that were accepted and got a task.
    pub(crate) accepted: AtomicU64,
    /// Connections above `max_connections`.
    pub(crate) refused_total: AtomicU64,
    /// Connections above `max_connections_per_address`.
    pub(crate) refused_address: AtomicU64,
    /// How often accepting waited because of `max_connection_rate`.
    pub(crate) rate_waits: AtomicU64,
    /// How often the system could not accept a connection.
    pub(crate) accept_errors: AtomicU64,
    /// Connections without a byte in time, or whose handshake took too long.
    pub(crate) timed_out: AtomicU64,
    /// Connections with an invalid PROXY header.
    pub(crate) proxy_failed: AtomicU64,
    /// Failed TLS handshakes.
    pub(crate) tls_failed: AtomicU64,
    /// Failed WebSocket upgrades.
    pub(crate) websocket_failed: AtomicU64,
}

impl Counters {
    /// Counts one more.
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
        [
            ("accepted", &self.accepted),
            ("connections_refused", &self.refused_total),
            ("connections_refused_per_address", &self.refused_address),
            ("connection_rate_waits", &self.rate_waits),
            ("accept_errors", &self.accept_errors),
            ("handshakes_timed_out", &self.timed_out),
            ("proxy_headers_invalid", &self.proxy_failed),
            ("tls_handshakes_failed", &self.tls_failed),
            ("websocket_upgrades_failed", &self.websocket_failed),
        ]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
        .to_vec()
    }
}
