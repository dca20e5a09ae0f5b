//! Hosts that share an outbox.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Waiting, time};
use crate::status::HostStatus;
use crate::version;
use hookhost_jetstream::SharingHost;

/// Problems of a host that others get. The rest is in its own admin API.
const MAX_PROBLEMS: usize = 10;

/// `GET /hosts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hosts {
    /// The hosts that share the outbox, by name; empty if this host shares its outbox with no others.
    pub hosts: Vec<Host>,
}

/// A host that shares the outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Host {
    /// Its id, which is another one after each start, and after each time at which it has lost its lease.
    pub id: String,
    /// The number of partitions of the outbox that it delivers.
    pub partitions: usize,
    /// What it has last reported; `null` if it has reported nothing yet, or if its version reports other values.
    pub state: Option<HostState>,
}

/// What a host reports every five seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HostState {
    /// Its name: `name` of `[node]`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The address of its admin API, or `off`.
    pub admin: String,
    /// When it has reported this, in UTC, by its own clock.
    pub at: String,
    /// When it started, in UTC.
    pub started: String,
    /// What does not work, at most ten entries; empty if the host is ready.
    pub problems: Vec<String>,
    /// Connected MQTT clients; `null` if its broker engine does not answer.
    pub connected: Option<usize>,
    /// Events per second that at least one module wanted, since the previous report.
    pub events_per_second: f64,
    /// Delivered requests per second, since the previous report.
    pub webhooks_per_second: f64,
    /// Its requests that wait or are being sent.
    pub waiting: Waiting,
}

impl HostState {
    /// The state of a host now. Its rates are those since `before`; 0 without it.
    pub(crate) fn new(name: &str, admin: &str, now: &HostStatus, before: Option<&HostStatus>) -> HostState {
        let events = |status: &HostStatus| status.emitted.iter().map(|(_, count)| count).sum::<u64>();
        let rate = |count: &dyn Fn(&HostStatus) -> u64| {
            before.map_or(0.0, |before| {
                let millis = now.at.0.saturating_sub(before.at.0).max(1);
                // One digit after the point.
                let rate = count(now).saturating_sub(count(before)) as f64 * 1000.0 / millis as f64;
                (rate * 10.0).round() / 10.0
            })
        };
        let mut problems = now.problems();
        problems.truncate(MAX_PROBLEMS);
        HostState {
            name: name.to_owned(),
            version: version::VERSION.to_owned(),
            admin: admin.to_owned(),
            at: time(now.at),
            started: time(now.started),
            problems,
            connected: now.engine.as_ref().map(|engine| engine.connected),
            events_per_second: rate(&events),
            webhooks_per_second: rate(&|status| status.delivery.delivered),
            waiting: Waiting {
                requests: now.delivery.queued_requests,
                bytes: now.delivery.queued_bytes,
            },
        }
    }
}

impl From<SharingHost> for Host {
    fn from(host: SharingHost) -> Host {
        Host {
            id: host.id,
            partitions: host.partitions,
            state: serde_json::from_slice(&host.state).ok(),
        }
    }
}

impl Host {
    /// The name, or the id of a host that has not reported yet.
    pub(crate) fn name(&self) -> &str {
        self.state.as_ref().map_or(&self.id, |state| &state.name)
    }
}
