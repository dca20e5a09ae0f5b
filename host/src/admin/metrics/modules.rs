//! Metrics of modules, their queues and the quarantine.

use std::fmt;

use prometheus_client::registry::Unit;

use super::families::Families;
use super::{int, seconds};
use crate::status::HostStatus;
use hookhost_modules::{ModuleState, Status};

/// What a module may do; `state` of `hookhost_module_state`.
const STATES: [Status; 5] = [
    Status::Running,
    Status::BackingOff,
    Status::RolledBack,
    Status::Draining,
    Status::Rejected,
];

pub(super) fn queues(out: &mut Families<'_>, modules: &[ModuleState], now: u64) -> fmt::Result {
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

pub(super) fn modules(out: &mut Families<'_>, status: &HostStatus) -> fmt::Result {
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
    let mut samples = out.counter("module_calls", "Calls of a module, each with one event or more");
    for module in modules {
        samples.count(&[("module", &module.name)], module.counts.calls)?;
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
    let help = "Bytes of the linear memory of all instances of a module";
    let mut samples = out.gauge("module_memory", help, Some(&Unit::Bytes));
    for module in modules {
        samples.int(&[("module", &module.name)], int(module.memory))?;
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
