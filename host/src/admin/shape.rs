//! The JSON of the API's answers. `docs/admin.md` describes each field. A field keeps its name and meaning. New fields
//! may be added.

mod activity;
mod delivery;
mod module;
mod quarantine;
mod webhook;

pub use activity::{Deliveries, Delivery, Outcome, TapLine};
pub use delivery::{
    Attempt, DeadCounts, DeadLetter, DeadLetterCounts, DeadLetters, Destination, DestinationCounts, Destinations,
    DroppedCounts, EventOfLetter, LastError, Resent, Waiting,
};
pub use module::{
    Events, Generation, Loaded, Module, Modules, QuarantineCounts, Queue, Rejected, Requests, Reread, Rescan,
};
pub use quarantine::{Dropped, Left, Quarantine, Quarantined, Replayed};
pub(super) use webhook::event_json;
pub use webhook::{
    ChangedWebhooks, EventTrial, FieldProblem, TestedRequest, TriedRequest, Webhook, WebhookTest, WebhookTrial,
    Webhooks,
};

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Given;
use crate::status::HostStatus;
use crate::version;
use hookhost_broker::{ClientState, EngineState};
use hookhost_event::{Millis, json};
use hookhost_listener::ListenerState;
use hookhost_modules::ModuleState;

/// Every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error text.
    pub error: String,
    /// The mistakes in the settings that the request contains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<FieldProblem>,
}

/// `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`.
    pub status: String,
    /// Version of the host.
    pub version: String,
}

/// `GET /readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Whether broker, outbox and all modules work.
    pub ready: bool,
    /// What does not work.
    pub problems: Vec<String>,
}

/// `GET /session`, `POST /session` and `DELETE /session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What requests that change something must repeat in `X-CSRF-Token`; `null` without a session.
    pub csrf: Option<String>,
    /// What this request may do: `admin` or `viewer`.
    pub role: String,
}

/// `GET /log` and `PUT /log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// The directives that select the log lines.
    pub filter: String,
}

/// `GET /overview`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

/// `GET /clients`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clients {
    /// The clients, sorted by id.
    pub clients: Vec<Client>,
    /// How many clients match, with those beyond the limit.
    pub total: usize,
}

/// A session of an MQTT client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Client id.
    pub id: String,
    /// User name.
    pub username: Option<String>,
    /// Address of the connection, or of the last one.
    pub address: Option<String>,
    /// 3, 4 or 5 for MQTT 3.1, 3.1.1 and 5.0.
    pub protocol_version: u8,
    /// Whether the client is connected.
    pub connected: bool,
    /// When the connection, or the last one, was accepted, in UTC.
    pub connected_at: Option<String>,
    /// Keep alive in seconds.
    pub keep_alive: u16,
    /// Whether the client asked for a clean start.
    pub clean_start: bool,
    /// Number of subscriptions.
    pub subscriptions: usize,
    /// Messages that wait to be sent.
    pub queued: usize,
    /// Messages that were sent and not acknowledged.
    pub unconfirmed: usize,
}

/// `GET /configuration`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The settings that were given, by key. All others have their default.
    pub settings: Vec<GivenSetting>,
    /// Mistakes in rules of another broker's file, which the active configuration leaves out.
    pub left_out: Vec<String>,
}

/// A setting that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenSetting {
    /// The key, such as `mqtt.listen`.
    pub key: String,
    /// The value; `null` if it may be a secret.
    pub value: Option<Value>,
    /// Where it was given: a flag, a variable, or a file with the line.
    pub source: String,
}

/// `GET /broker`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    /// The engine: `rmqtt` or `gateway`.
    pub engine: String,
    /// Address of the first listener.
    pub listen: String,
    /// All listeners.
    pub listeners: Vec<Listener>,
    /// Sessions known to the engine, including those of disconnected clients.
    pub sessions: usize,
    /// Connected clients.
    pub connected: usize,
    /// Counters of the engine since its start.
    pub counters: BTreeMap<String, u64>,
}

/// A listener for MQTT clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// `tcp`, `tls`, `ws`, `wss` or `unix`.
    pub kind: String,
    /// Its address or the path of its socket.
    pub address: String,
}

impl From<&ListenerState> for Listener {
    fn from(state: &ListenerState) -> Listener {
        Listener {
            name: state.name.to_string(),
            kind: state.kind.name().to_owned(),
            address: state.address.to_string(),
        }
    }
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
            delivery: status.delivery.into(),
        }
    }
}

impl From<ClientState> for Client {
    fn from(state: ClientState) -> Client {
        Client {
            id: state.client.id.to_string(),
            username: state.client.username.as_ref().map(ToString::to_string),
            address: state.client.peer.map(|peer| peer.to_string()),
            protocol_version: state.client.protocol_version,
            connected: state.connected,
            connected_at: state.connected_at.map(time),
            keep_alive: state.keep_alive,
            clean_start: state.clean_start,
            subscriptions: state.subscriptions,
            queued: state.queued,
            unconfirmed: state.unconfirmed,
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

impl From<EngineState> for Broker {
    fn from(state: EngineState) -> Broker {
        let counters = state.counters.into_iter();
        let listeners: Vec<Listener> = state.listeners.iter().map(Listener::from).collect();
        Broker {
            engine: state.engine.to_owned(),
            listen: listeners
                .first()
                .map(|listener| listener.address.clone())
                .unwrap_or_default(),
            listeners,
            sessions: state.sessions,
            connected: state.connected,
            counters: counters.map(|(name, count)| (name.to_owned(), count)).collect(),
        }
    }
}

/// `DELETE /clients/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kicked {
    /// Id of the disconnected client.
    pub kicked: String,
}

/// `2026-11-22T10:00:01.000Z`.
pub(super) fn time(at: Millis) -> String {
    let at = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_millis);
    at.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
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
