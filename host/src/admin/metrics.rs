//! The state of the host in Prometheus' text format: pure.
//!
//! All values are counters that the parts of the host keep anyway. A label has few values: names of modules, which the
//! operator chooses, and words of this file. No label contains anything that a client chooses.

mod broker;
mod delivery;
mod families;
mod modules;
mod spans;
mod upstreams;

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::registry::{Registry, Unit};

use families::Families;

use crate::status::HostStatus;
use crate::version;

/// The media type of [`text`].
pub(super) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// The metrics of a host.
///
/// # Errors
///
/// Never in practice: it writes into memory.
pub(super) fn text(status: HostStatus) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("hookhost");
    registry.register_collector(Box::new(status));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for HostStatus {
    fn encode(&self, encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut out = Families(encoder);
        host(&mut out, self)?;
        broker::broker(&mut out, self)?;
        broker::events(&mut out, self)?;
        modules::queues(&mut out, &self.modules, self.at.0)?;
        modules::modules(&mut out, self)?;
        delivery::delivery(&mut out, self)?;
        delivery::destinations(&mut out, self)?;
        spans::spans(&mut out, self.spans.as_ref())
    }
}

fn host(out: &mut Families<'_>, status: &HostStatus) -> fmt::Result {
    let build = [
        ("version", version::VERSION),
        ("commit", version::COMMIT),
        ("interface", version::INTERFACE),
    ];
    out.gauge(
        "build_info",
        "Version of the host and of the interface of modules, always 1",
        None,
    )
    .int(&build, 1)?;
    out.gauge("start_time", "When the host started, since 1970", Some(&Unit::Seconds))
        .float(&[], seconds(status.started.0))?;
    out.gauge("ready", "1 if broker, outbox and all modules work, else 0", None)
        .int(&[], i64::from(status.problems().is_empty()))
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
