//! Exports spans to an OpenTelemetry collector: OTLP over HTTP with JSON.
//!
//! ```text
//! ActivityLog ──(entries with a sampled trace)──> bounded queue ──> thread `otlp`: spans, batches ──> POST /v1/traces
//! ```
//!
//! | file | content |
//! | --- | --- |
//! | `span.rs` | the spans of an entry: pure |
//! | `encode.rs` | spans as a request, and the answer to it: pure |
//! | `export.rs` | the thread: collects, sends, retries once |
//!
//! Spans are made of the entries that `hookhost trace` shows. The parts of the host put an entry into the queue and never
//! wait. While the collector is slow or down, the queue fills; further entries are dropped and counted.
//!
//! Source: <https://opentelemetry.io/docs/specs/otlp/>.

mod encode;
mod export;
mod span;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hookhost_activity::{Follower, LostEntries, SampleRatio};
use hookhost_delivery::Secret;

pub use export::{Exporter, StartError};

/// Where spans go, and which events get them.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The URL of the collector for traces, such as `http://127.0.0.1:4318/v1/traces`.
    pub url: String,
    /// Headers of each request, such as `authorization`.
    pub headers: Vec<(String, Secret)>,
    /// The share of the events without a trace that begin one.
    pub sample_ratio: SampleRatio,
}

/// The process that the spans belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The name of the node, which distinguishes hosts: `service.instance.id`.
    pub instance: String,
    /// The version of the host: `service.version`.
    pub version: &'static str,
}

/// How many spans were exported. Clones count the same.
#[derive(Debug, Clone)]
pub struct ExportCounters(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    exported: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    /// Of the queue.
    lost: LostEntries,
}

/// [`ExportCounters`] at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportCounts {
    /// Spans that the collector accepted.
    pub exported: u64,
    /// Spans that the collector refused.
    pub rejected: u64,
    /// Spans that were given up, because the collector could not be reached or failed.
    pub failed: u64,
    /// Entries that were lost before they became spans, because the queue was full.
    pub dropped: u64,
}

impl ExportCounters {
    /// The counts now.
    pub fn read(&self) -> ExportCounts {
        ExportCounts {
            exported: self.0.exported.load(Relaxed),
            rejected: self.0.rejected.load(Relaxed),
            failed: self.0.failed.load(Relaxed),
            dropped: self.0.lost.count(),
        }
    }

    fn of(follower: &Follower) -> ExportCounters {
        ExportCounters(Arc::new(Counters {
            lost: follower.lost(),
            ..Counters::default()
        }))
    }

    fn add(&self, exported: u64, rejected: u64, failed: u64) {
        self.0.exported.fetch_add(exported, Relaxed);
        self.0.rejected.fetch_add(rejected, Relaxed);
        self.0.failed.fetch_add(failed, Relaxed);
    }
}
