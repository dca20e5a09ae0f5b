//! One upstream: its connections, its health, and whether it is being drained.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::balance::{Candidate, affinity};
use super::dial::Address;
use super::health::Health;
use hookhost_broker::{UpstreamState, UpstreamStatus};

/// One upstream. It exists as long as it is listed or has connections.
pub(crate) struct Target {
    pub(super) address: Address,
    /// Its address as the settings write it.
    name: String,
    state: Mutex<TargetState>,
    connections: AtomicUsize,
    /// Set while it is not listed any more.
    drain: watch::Sender<Option<Drain>>,
    /// What is known of its MQTT versions. Locked during a probe, so that there is one at a time.
    pub(crate) version_probe: tokio::sync::Mutex<Option<VersionProbe>>,
}

/// How long the result of a [`VersionProbe`] is used. Another broker may listen at the address later.
const VERSION_PROBE_LIFETIME: Duration = Duration::from_secs(60);

/// Which MQTT versions the upstream has answered.
pub(crate) struct VersionProbe {
    supports_only_3_1_1: bool,
    at: Instant,
}

impl VersionProbe {
    /// A result of now.
    pub(crate) fn new(supports_only_3_1_1: bool) -> VersionProbe {
        VersionProbe {
            supports_only_3_1_1,
            at: Instant::now(),
        }
    }

    /// Whether the upstream supports MQTT 3.1.1 only; `None` if the result is too old.
    pub(crate) fn current(&self) -> Option<bool> {
        (self.at.elapsed() < VERSION_PROBE_LIFETIME).then_some(self.supports_only_3_1_1)
    }
}

/// Health, and whether a task probes the upstream.
#[derive(Default)]
pub(super) struct TargetState {
    pub(super) health: Health,
    /// Whether a task tries to connect to it until it is up.
    pub(super) is_probed: bool,
}

/// The connections of an upstream that a reload has removed are closed evenly over a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drain {
    pub(super) since: Instant,
    pub(super) over: Duration,
}

impl Drain {
    /// When this connection is closed. Numbers of connections follow each other.
    fn due(self, number: u64) -> Instant {
        // Multiples of the golden ratio, of which only the fraction counts, are spread evenly.
        let fraction = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.since + self.over.mul_f64(fraction as f64 / f64::from(u32::MAX))
    }
}

impl Target {
    pub(super) fn new(address: Address) -> Arc<Target> {
        Arc::new(Target {
            name: address.to_string(),
            address,
            state: Mutex::default(),
            connections: AtomicUsize::new(0),
            drain: watch::Sender::new(None),
            version_probe: tokio::sync::Mutex::default(),
        })
    }

    /// Its address as the settings write it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn state(&self) -> MutexGuard<'_, TargetState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What decides whether a client is sent to it.
    pub(super) fn candidate(&self, client_id: Option<&str>) -> Candidate {
        Candidate {
            is_down: self.state().health.is_down(),
            connections: self.connections.load(Ordering::Relaxed),
            affinity: client_id.map(|client_id| affinity(client_id, &self.name)),
        }
    }

    /// A client is sent to it.
    pub(crate) fn enter(self: &Arc<Target>) -> UpstreamGuard {
        self.connections.fetch_add(1, Ordering::Relaxed);
        UpstreamGuard(Arc::clone(self))
    }

    /// It has answered a CONNECT.
    pub(crate) fn worked(&self) {
        let mut state = self.state();
        if !state.health.is_well() && state.health.worked() {
            tracing::info!(upstream = self.name, "the upstream broker is up again");
        }
    }

    /// Closes its connections evenly over this time, or, with `None`, no longer does so.
    pub(super) fn drain(&self, over: Option<Duration>) {
        let since = Instant::now();
        self.drain.send_replace(over.map(|over| Drain { since, over }));
    }

    /// Whether the settings list it.
    pub(super) fn is_listed(&self) -> bool {
        self.drain.borrow().is_none()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// For people and metrics.
    pub(super) fn report(&self) -> UpstreamState {
        let state = self.state();
        UpstreamState {
            address: self.name.clone(),
            status: match (self.is_listed(), state.health.is_down()) {
                (false, _) => UpstreamStatus::Draining,
                (true, true) => UpstreamStatus::Down,
                (true, false) => UpstreamStatus::Up,
            },
            connections: self.connections(),
            failures: state.health.failures(),
            error: state.health.error().map(str::to_owned),
        }
    }
}

/// A connection to an upstream, from the attempt to its end.
pub(crate) struct UpstreamGuard(Arc<Target>);

impl UpstreamGuard {
    /// Waits until this connection has to be closed because its upstream is being drained.
    pub(crate) async fn drained(&self, number: u64) {
        let mut drain = self.0.drain.subscribe();
        loop {
            let due = drain.borrow_and_update().map(|drain| drain.due(number));
            let until_due = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = until_due => return,
                // The sender lives in the target of this guard.
                _ = drain.changed() => {}
            }
        }
    }
}

impl Drop for UpstreamGuard {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_closed_evenly() {
        let drain = Drain {
            since: Instant::now(),
            over: Duration::from_secs(10),
        };
        for first in [0, 5_000_000] {
            let mut counts = [0; 10];
            for number in first..first + 1000 {
                let after = drain.due(number) - drain.since;
                counts[(after.as_secs() as usize).min(9)] += 1;
            }
            assert!(counts.iter().all(|count| (95..=105).contains(count)), "{counts:?}");
        }
        let at_once = Drain {
            over: Duration::ZERO,
            ..drain
        };
        assert_eq!(at_once.due(7), drain.since);
    }
}
