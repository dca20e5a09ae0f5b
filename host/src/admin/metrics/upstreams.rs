//! Metrics of the brokers behind a gateway. Their label is an address in the settings.

use std::fmt;

use super::families::Families;
use super::int;
use hookhost_broker::{UpstreamState, UpstreamStatus};

pub(super) fn upstreams(out: &mut Families<'_>, upstreams: &[UpstreamState]) -> fmt::Result {
    let help = "1 if the gateway sends clients to this broker, else 0";
    let mut samples = out.gauge("broker_upstream_up", help, None);
    for upstream in upstreams {
        let is_up = upstream.status == UpstreamStatus::Up;
        samples.int(&[("upstream", &upstream.address)], i64::from(is_up))?;
    }
    let mut samples = out.gauge("broker_upstream_connections", "Connections to this broker", None);
    for upstream in upstreams {
        samples.int(&[("upstream", &upstream.address)], int(upstream.connections))?;
    }
    let mut samples = out.counter("broker_upstream_failures", "Failed attempts to use this broker");
    for upstream in upstreams {
        samples.count(&[("upstream", &upstream.address)], upstream.failures)?;
    }
    Ok(())
}
