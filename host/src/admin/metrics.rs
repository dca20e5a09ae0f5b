//! The state of the host in Prometheus' text format: pure.
//!
//! All values are counters that the parts of the host keep anyway. A label has few values: names of modules, which the
//! operator chooses, and words of this file. No label contains anything that a client chooses.

mod families;
mod upstreams;

use std::fmt;
use std::time::{Duration, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::registry::{Registry, Unit};

use families::Families;

use crate::status::HostStatus;
use crate::version;
use hookhost_event::Millis;
use hookhost_event::json::hook_name;
use hookhost_modules::{ModuleState, Status};

/// The media type of [`text`].
pub(super) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// What a module may do; `state` of `hookhost_module_state`.
const STATES: [Status; 5] = [
    Status::Running,
    Status::BackingOff,
    Status::RolledBack,
    Status::Draining,
    Status::Rejected,
];

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
        broker(&mut out, self)?;
        queues(&mut out, &self.modules, self.at.0)?;
        modules(&mut out, self)?;
        delivery(&mut out, self)?;
        destinations(&mut out, self)
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

fn broker(out: &mut Families<'_>, status: &HostStatus) -> fmt::Result {
    if let Some(engine) = &status.engine {
        out.gauge("broker_connections", "Connected MQTT clients", None)
            .int(&[], int(engine.connected))?;
        out.gauge(
            "broker_sessions",
            "MQTT sessions, of connected and disconnected clients",
            None,
        )
        .int(&[], int(engine.sessions))?;
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
    let mut samples = out.counter("events", "Events that at least one module wanted");
    for (hook, count) in &status.emitted {
        samples.count(&[("hook", hook_name(*hook))], *count)?;
    }
    Ok(())
}

fn queues(out: &mut Families<'_>, modules: &[ModuleState], now: u64) -> fmt::Result {
    let queues = || {
        modules
            .iter()
            .filter_map(|module| Some((&*module.name, module.queue.as_ref()?)))
    };
    let mut samples = out.counter("module_queued_events", "Events that the queues of a module took");
    for (module, queue) in queues() {
        samples.count(&[("module", module)], queue.accepted)?;
    }
    let mut samples = out.counter(
        "module_dropped_events",
        "Events that the queues of a module did not take",
    );
    for (module, queue) in queues() {
        let drops = &queue.dropped;
        for (reason, count) in [
            ("full", drops.full),
            ("oversized", drops.oversized),
            ("closed", drops.closed),
        ] {
            samples.count(&[("module", module), ("reason", reason)], count)?;
        }
    }
    let mut samples = out.gauge("module_queue_events", "Events that wait for a module", None);
    for (module, queue) in queues() {
        samples.int(&[("module", module)], int(queue.events))?;
    }
    let help = "Bytes of the events that wait for a module and of those that it handles";
    let mut samples = out.gauge("module_queue", help, Some(&Unit::Bytes));
    for (module, queue) in queues() {
        samples.int(&[("module", module)], int(queue.bytes))?;
    }
    let help = "The oldest event that waits for a module is not older than this; 0 if none waits";
    let mut samples = out.gauge("module_queue_age", help, Some(&Unit::Seconds));
    for (module, queue) in queues() {
        let age = queue.oldest.map_or(0, |oldest| now.saturating_sub(oldest.0));
        samples.float(&[("module", module)], seconds(age))?;
    }
    Ok(())
}

fn modules(out: &mut Families<'_>, status: &HostStatus) -> fmt::Result {
    let modules = &*status.modules;
    let mut samples = out.gauge("module_state", "1 for the state of a module, 0 for all others", None);
    for module in modules {
        for state in STATES {
            let labels = [("module", &*module.name), ("state", state.name())];
            samples.int(&labels, i64::from(module.status == state))?;
        }
    }
    let generations = || {
        modules
            .iter()
            .filter_map(|module| Some((&*module.name, module.generation.as_ref()?)))
    };
    let mut samples = out.gauge("module_generation", "Number of the active generation of a module", None);
    for (module, generation) in generations() {
        samples.int(&[("module", module)], i64::from(generation.number))?;
    }
    let mut samples = out.gauge(
        "module_instances",
        "Instances of a module, each with a thread and a queue",
        None,
    );
    for (module, generation) in generations() {
        samples.int(&[("module", module)], int(generation.instances))?;
    }
    let mut samples = out.counter("module_events", "Events that left the queue of a module, by outcome");
    for module in modules {
        let counts = &module.counts;
        for (outcome, count) in [
            ("answered", counts.answered),
            ("ignored", counts.ignored),
            ("failed", counts.failed),
            ("trapped", counts.trapped),
            ("timed_out", counts.timed_out),
            ("skipped", counts.skipped),
            ("abandoned", counts.abandoned),
        ] {
            samples.count(&[("module", &module.name), ("outcome", outcome)], count)?;
        }
    }
    let help = "Events that a rollback took out of the quarantine; each counts in hookhost_module_events_total again";
    let mut samples = out.counter("module_taken_back_events", help);
    for module in modules {
        samples.count(&[("module", &module.name)], module.counts.taken_back)?;
    }
    let mut samples = out.counter("module_failed_calls", "Calls of a module that trapped or timed out");
    for module in modules {
        samples.count(&[("module", &module.name)], module.counts.failed_calls)?;
    }
    let help = "Time that a module took for an event: the time of a call, divided by its events";
    let mut samples = out.histogram("module_event_duration", help);
    for module in modules {
        samples.durations(&[("module", &module.name)], &module.durations)?;
    }
    let mut samples = out.counter("module_requests", "Requests that a module returned");
    for module in modules {
        let counts = &module.counts;
        for (result, count) in [("accepted", counts.requests), ("refused", counts.refused_requests)] {
            samples.count(&[("module", &module.name), ("result", result)], count)?;
        }
    }
    let mut samples = out.counter("module_dead_requests", "Requests of a module that became dead letters");
    for (module, count) in &status.dead_of_modules {
        samples.count(&[("module", module)], *count)?;
    }
    quarantine(out, modules)
}

fn quarantine(out: &mut Families<'_>, modules: &[ModuleState]) -> fmt::Result {
    let mut samples = out.gauge("quarantine_events", "Events of a module in the quarantine", None);
    for module in modules {
        samples.int(&[("module", &module.name)], int(module.quarantined.events))?;
    }
    let mut samples = out.gauge(
        "quarantine",
        "Bytes of the events in the quarantine",
        Some(&Unit::Bytes),
    );
    for module in modules {
        samples.int(&[("module", &module.name)], int(module.quarantined.bytes))?;
    }
    let help = "Events that the quarantine dropped to make room for newer ones";
    let mut samples = out.counter("quarantine_evicted_events", help);
    for module in modules {
        samples.count(&[("module", &module.name)], module.quarantined.evicted)?;
    }
    Ok(())
}

fn delivery(out: &mut Families<'_>, status: &HostStatus) -> fmt::Result {
    let counters = &status.delivery;
    let help = "Requests that the outbox accepted: delivered, dead, dropped and waiting ones together";
    out.counter("outbox_accepted_requests", help)
        .count(&[], counters.accepted)?;
    out.gauge(
        "outbox_requests",
        "Requests that wait for delivery or are being sent",
        None,
    )
    .int(&[], int(counters.queued_requests))?;
    out.gauge("outbox", "Bytes of these requests", Some(&Unit::Bytes))
        .int(&[], int(counters.queued_bytes))?;
    let oldest = status
        .destinations
        .iter()
        .filter_map(|destination| destination.oldest)
        .min();
    let help = "Age of the oldest event with a request that waits; 0 if none waits";
    out.gauge("outbox_age", help, Some(&Unit::Seconds))
        .float(&[], oldest.map_or(0.0, |oldest| age(oldest, status.at)))?;
    out.counter("delivered_requests", "Requests that their receivers accepted")
        .count(&[], counters.delivered)?;
    out.counter(
        "retried_attempts",
        "Failed attempts that are followed by another attempt",
    )
    .count(&[], counters.retried)?;
    let mut samples = out.counter("dead_requests", "Requests that became dead letters, by reason");
    for (reason, count) in counters.dead.by_reason() {
        samples.count(&[("reason", reason)], count)?;
    }
    let mut samples = out.counter("dropped_requests", "Requests of which nothing is kept, by reason");
    for (reason, count) in counters.dropped.by_reason() {
        samples.count(&[("reason", reason)], count)?;
    }
    Ok(())
}

/// At most about a thousand destinations have counters of their own.
fn destinations(out: &mut Families<'_>, status: &HostStatus) -> fmt::Result {
    let all = || {
        status.destinations.iter().map(|state| {
            let name = state.name.as_deref().unwrap_or_default();
            ([("destination", name), ("url", &*state.url)], state)
        })
    };
    let mut samples = out.gauge(
        "destination_requests",
        "Requests that wait for a destination or are being sent",
        None,
    );
    for (labels, state) in all() {
        samples.int(&labels, int(state.counters.queued_requests))?;
    }
    let help = "Age of the oldest event with a request that waits for a destination; 0 if none waits";
    let mut samples = out.gauge("destination_age", help, Some(&Unit::Seconds));
    for (labels, state) in all() {
        samples.float(&labels, state.oldest.map_or(0.0, |oldest| age(oldest, status.at)))?;
    }
    let help = "Time that the waiting requests of the ordering key that lags most need; 0 if none lags";
    let mut samples = out.gauge("destination_lag", help, Some(&Unit::Seconds));
    for (labels, state) in all() {
        let lagging = state.lagging.as_ref();
        samples.float(&labels, lagging.map_or(0.0, |lagging| lagging.backlog().as_secs_f64()))?;
    }
    let mut samples = out.counter("destination_delivered_requests", "Requests that a destination accepted");
    for (labels, state) in all() {
        samples.count(&labels, state.counters.delivered)?;
    }
    let help = "Failed attempts to a destination that are followed by another attempt";
    let mut samples = out.counter("destination_retried_attempts", help);
    for (labels, state) in all() {
        samples.count(&labels, state.counters.retried)?;
    }
    let mut samples = out.counter(
        "destination_dead_requests",
        "Requests to a destination that became dead letters",
    );
    for (labels, state) in all() {
        samples.count(&labels, state.counters.dead.total())?;
    }
    let help = "Time of the attempts to deliver a request; each request of a batch counts";
    let mut samples = out.histogram("destination_attempt_duration", help);
    for (labels, state) in all() {
        samples.durations(&labels, &state.durations)?;
    }
    Ok(())
}

fn age(time: SystemTime, now: Millis) -> f64 {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(now.0);
    now.duration_since(time).unwrap_or_default().as_secs_f64()
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
