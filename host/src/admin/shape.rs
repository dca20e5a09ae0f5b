//! The JSON of the API's answers. `docs/admin.md` describes each field. A field keeps its name and meaning. New fields
//! may be added.

mod activity;
mod broker;
mod dead_letter;
mod destination;
mod host;
mod module;
mod quarantine;
mod trace;
mod upstream;
mod webhook;

pub use activity::{Deliveries, Delivery, Handled, Outcome, TapLine};
pub use broker::{Broker, Client, Clients, Kicked, Listener};
pub use dead_letter::{Attempt, DeadLetter, DeadLetterCounts, DeadLetters, EventOfLetter, Resent};
pub use destination::{
    Attempts, DeadCounts, Destination, DestinationCounts, Destinations, DroppedCounts, LastError, Waiting,
};
pub use host::{Host, HostState, Hosts};
pub use module::{
    Cost, Events, Generation, Loaded, Module, Modules, QuarantineCounts, Queue, Rejected, Requests, Reread, Rescan,
    RolledBack,
};
pub use quarantine::{Dropped, Left, Quarantine, Quarantined, Replayed};
pub use trace::EventTrace;
pub use upstream::Upstream;
pub(super) use webhook::event_json;
pub use webhook::{
    ChangedWebhooks, EventTrial, FieldProblem, TestedRequest, TriedRequest, Webhook, WebhookTest, WebhookTrial,
    Webhooks,
};

use std::collections::BTreeMap;
use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::config::Given;
use crate::status::HostStatus;
use crate::version;
use hookhost_event::{Millis, json};
use hookhost_modules::ModuleState;

/// Every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The error text.
    pub error: String,
    /// The mistakes in the settings that the request contains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<FieldProblem>,
}

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Version of the host.
    pub version: String,
}

/// `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// Whether broker, outbox and all modules work.
    pub ready: bool,
    /// What does not work.
    pub problems: Vec<String>,
}

/// `GET /session`, `POST /session` and `DELETE /session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// What requests that change something must repeat in `X-CSRF-Token`; `null` without a session.
    pub csrf: Option<String>,
    /// What this request may do: `admin` or `viewer`.
    pub role: String,
}

/// `GET /log` and `PUT /log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Log {
    /// The directives that select the log lines.
    pub filter: String,
}

/// `GET /overview`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Overview {
    /// When it was read, in UTC.
    pub at: String,
    /// When the host started, in UTC.
    pub started: String,
    /// Version of the host.
    pub version: String,
    /// What does not work; empty if the host is ready.
    pub problems: Vec<String>,
    /// The broker engine; `null` if it does not answer.
    pub broker: Option<Broker>,
    /// Events by hook, under their names in the event JSON.
    pub events: BTreeMap<String, u64>,
    /// The modules, sorted by name.
    pub modules: Vec<Module>,
    /// The counters of delivery.
    pub delivery: DestinationCounts,
    /// The attempts to deliver requests, since the start.
    #[serde(default)]
    pub attempts: Attempts,
}

/// `GET /configuration`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Configuration {
    /// The settings that were given, by key. All others have their default.
    pub settings: Vec<GivenSetting>,
    /// Mistakes in rules of another broker's file, which the active configuration leaves out.
    pub left_out: Vec<String>,
}

/// A setting that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GivenSetting {
    /// The key, such as `mqtt.listen`.
    pub key: String,
    /// The value; `null` if it may be a secret.
    pub value: Option<Value>,
    /// Where it was given: a flag, a variable, or a file with the line.
    pub source: String,
}

impl From<HostStatus> for Overview {
    fn from(status: HostStatus) -> Overview {
        let problems = status.problems();
        let emitted = status.emitted.into_iter();
        let dead_of = |module: &ModuleState| status.dead_of_modules.get(&module.name).copied().unwrap_or(0);
        let modules = status.modules.into_iter();
        let modules = modules.map(|module| {
            let dead = dead_of(&module);
            Module::new(module, dead)
        });
        let modules = modules.collect();
        Overview {
            at: time(status.at),
            started: time(status.started),
            version: version::VERSION.to_owned(),
            problems,
            broker: status.engine.map(Into::into),
            events: emitted
                .map(|(hook, count)| (json::hook_name(hook).to_owned(), count))
                .collect(),
            modules,
            attempts: Attempts::of(&status.destinations),
            delivery: status.delivery.into(),
        }
    }
}

impl From<Given> for GivenSetting {
    fn from(given: Given) -> GivenSetting {
        let Given { key, value, place } = given;
        GivenSetting {
            key,
            value,
            source: place.to_string(),
        }
    }
}

/// `2026-11-22T10:00:01.000Z`.
pub(super) fn time(at: Millis) -> String {
    let at = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_millis);
    at.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The same of a time of the system.
fn system_time(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    time(Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time(Millis(1_790_000_001_000)), "2026-09-21T14:13:21.000Z");
        assert_eq!(time(Millis(u64::MAX)), "1970-01-01T00:00:00.000Z");
    }
}
