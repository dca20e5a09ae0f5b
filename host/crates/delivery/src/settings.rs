//! Settings of delivery.

use super::destination::{Destinations, Terms};
use super::file::FileSettings;
use super::journal::Sync;
use super::on_disk::WhenFull;
use super::stdout::StdoutFormat;

/// Settings of delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Number of sender threads, at least 1. One thread sends about 45,000 small requests per second over loopback.
    pub threads: usize,
    /// The terms of requests that belong to no destination.
    pub terms: Terms,
    /// Limit of the requests in the outbox, including those being sent.
    pub queue_requests: usize,
    /// Limit of their bytes, counted by [`OutboxRequest::size`](crate::OutboxRequest::size).
    pub queue_bytes: usize,
    /// Niceness of the sender threads; 0 leaves it unchanged. The default is 1, so MQTT clients get slightly more CPU
    /// time under CPU pressure. With a higher value, a receiver on the same machine runs first and every request costs
    /// a wake-up.
    pub nice: i32,
    /// The requests on disk; without effect if delivery has no store.
    pub disk: DiskSettings,
    /// What `stdout:` prints.
    pub stdout: StdoutFormat,
    /// How `file:` URLs are written.
    pub files: FileSettings,
    /// Receivers with their own credentials, TLS settings and terms.
    pub destinations: Destinations,
}

impl Default for Settings {
    /// Returns the defaults of RMQTT's web-hook for the settings that it has.
    fn default() -> Settings {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Settings {
            // A sender thread is mostly idle at usual rates; the broker needs the other cores more.
            threads: if cores <= 4 { 1 } else { cores / 4 },
            terms: Terms::default(),
            // Enough for some seconds of full load, or a minute of moderate load while the receiver is down.
            queue_requests: 100_000,
            queue_bytes: 64 << 20,
            nice: 1,
            disk: DiskSettings::default(),
            stdout: StdoutFormat::Auto,
            files: FileSettings::default(),
            destinations: Destinations::default(),
        }
    }
}

/// Settings of the requests on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSettings {
    /// When a request is on the disk.
    pub sync: Sync,
    /// Limit of the requests on disk in bytes, counted by [`OutboxRequest::size`](crate::OutboxRequest::size). The file can
    /// be twice as large. `when_full` decides what happens at the limit. Default: 10 GiB.
    pub max_bytes: usize,
    /// What happens to new requests at that limit.
    pub when_full: WhenFull,
}

impl Default for DiskSettings {
    fn default() -> DiskSettings {
        DiskSettings {
            sync: Sync::default(),
            max_bytes: 10 << 30,
            when_full: WhenFull::default(),
        }
    }
}
