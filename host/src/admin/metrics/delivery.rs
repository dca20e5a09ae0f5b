//! Metrics of the outbox and of destinations.

use std::fmt;
use std::time::{Duration, SystemTime};

use prometheus_client::registry::Unit;

use super::families::Families;
use super::int;
use crate::status::HostStatus;
use hookhost_delivery::BreakerState;
use hookhost_event::Millis;

pub(super) fn delivery(out: &mut Families<'_>, status: &HostStatus) -> fmt::Result {
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
    let (requests, bytes) = status.waiting_for_nats;
    let help = "Requests that wait in the data folder until NATS can be used, and are not accepted yet";
    out.gauge("nats_waiting_requests", help, None).int(&[], int(requests))?;
    out.gauge("nats_waiting", "Bytes of these requests", Some(&Unit::Bytes))
        .int(&[], int(bytes))?;
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
pub(super) fn destinations(out: &mut Families<'_>, status: &HostStatus) -> fmt::Result {
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
    let help = "Limit of the requests that a destination gets at the same time, as it has adapted";
    let mut samples = out.gauge("destination_concurrency", help, None);
    for (labels, state) in all() {
        samples.int(&labels, int(state.concurrency))?;
    }
    let help = "1 for the state of the circuit breaker of a destination, 0 for the others";
    let mut samples = out.gauge("destination_breaker", help, None);
    for ([destination, url], state) in all() {
        for breaker in [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen] {
            let labels = [destination, url, ("state", breaker.as_str())];
            samples.int(&labels, i64::from(state.breaker == breaker))?;
        }
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
    let help =
        "Attempts to deliver a request, by class of the HTTP status or other outcome; each request of a batch counts";
    let mut samples = out.counter("destination_attempts", help);
    for ([destination, url], state) in all() {
        for (outcome, count) in state.attempts.by_outcome() {
            samples.count(&[destination, url, ("outcome", outcome)], count)?;
        }
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
