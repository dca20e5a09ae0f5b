//! Metrics of the broker engine, and of the events that it emits.

use std::fmt;

use super::families::Families;
use super::{int, upstreams};
use crate::status::HostStatus;
use hookhost_broker::{PACKET_TYPES, TrafficCounts};
use hookhost_event::json::hook_name;

pub(super) fn broker(out: &mut Families<'_>, status: &HostStatus) -> fmt::Result {
    if let Some(engine) = &status.engine {
        out.gauge("broker_connections", "Connected MQTT clients", None)
            .int(&[], int(engine.connected))?;
        out.gauge(
            "broker_sessions",
            "MQTT sessions, of connected and disconnected clients",
            None,
        )
        .int(&[], int(engine.sessions))?;
        traffic(out, &engine.traffic)?;
        if !engine.counters.is_empty() {
            let mut samples = out.gauge(
                "broker_engine",
                "Counters of the broker engine, by their name in GET /broker",
                None,
            );
            for (name, count) in &engine.counters {
                samples.int(&[("counter", name)], i64::try_from(*count).unwrap_or(i64::MAX))?;
            }
        }
        upstreams::upstreams(out, &engine.upstreams)?;
    }
    Ok(())
}

/// What has passed between clients and the engine. All types and levels are there, also those that did not occur.
fn traffic(out: &mut Families<'_>, counts: &TrafficCounts) -> fmt::Result {
    let directions = [("received", &counts.received), ("sent", &counts.sent)];
    let mut samples = out.counter("mqtt_packets", "MQTT packets from and to clients, by type");
    for (direction, counts) in directions {
        for (kind, count) in PACKET_TYPES.iter().zip(counts.packets) {
            samples.count(&[("direction", direction), ("type", kind)], count)?;
        }
    }
    let mut samples = out.counter("mqtt_messages", "PUBLISH packets from and to clients, by QoS");
    for (direction, counts) in directions {
        for (level, count) in ["0", "1", "2"].iter().zip(counts.messages) {
            samples.count(&[("direction", direction), ("qos", level)], count)?;
        }
    }
    let mut samples = out.counter("mqtt_bytes", "Bytes of the MQTT packets from and to clients");
    for (direction, counts) in directions {
        samples.count(&[("direction", direction)], counts.bytes)?;
    }
    Ok(())
}

/// Events by hook.
pub(super) fn events(out: &mut Families<'_>, status: &HostStatus) -> fmt::Result {
    let mut samples = out.counter("events", "Events that at least one module wanted");
    for (hook, count) in &status.emitted {
        samples.count(&[("hook", hook_name(*hook))], *count)?;
    }
    Ok(())
}
