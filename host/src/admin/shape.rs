//! The JSON of the API's answers. `docs/admin.md` describes each field. A field keeps its name and meaning. New fields
//! may be added.

mod delivery;

pub use delivery::{
    Attempt, DeadCounts, DeadLetter, DeadLetterCounts, DeadLetters, Destination, DestinationCounts, Destinations,
    DroppedCounts, EventOfLetter, LastError, NotResent, Resent, Waiting,
};

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Given;
use crate::reload;
use crate::status::HostStatus;
use crate::version;
use hookhost_activity::{AttemptEntry, OutcomeEntry};
use hookhost_broker::{ClientState, EngineState};
use hookhost_event::{Millis, json};
use hookhost_listener::ListenerState;
use hookhost_modules::{ConfigurationOutcome, ModuleState, Origin, QuarantinedEvent};

/// Every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The error text.
    pub error: String,
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

/// `GET /deliveries`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliveries {
    /// Attempts, newest first.
    pub deliveries: Vec<Delivery>,
    /// Whether there are more, with lower numbers.
    pub more: bool,
}

/// An attempt to deliver a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Number of the attempt; a later one has a greater number.
    pub number: u64,
    /// When it ended, in UTC.
    pub at: String,
    /// Id of the event that caused the request.
    pub event: String,
    /// Hook of the event, under its name in the event JSON.
    pub hook: String,
    /// Client id of the event; empty if it has none.
    pub client: String,
    /// Topic or topic filter of the event; empty if it has none.
    pub topic: String,
    /// The module that made the request.
    pub module: String,
    /// Its generation.
    pub generation: u32,
    /// The URL without credentials and query.
    pub url: String,
    /// Name of the configured destination; scheme, host and port, or a file, without one.
    pub destination: String,
    /// Number of the attempt for its request, from 1.
    pub attempt: u32,
    /// `delivered`, `retried` or `dropped`.
    pub result: String,
    /// HTTP status of the answer; `null` without an answer.
    pub status: Option<u16>,
    /// What happened; empty if the request is delivered.
    pub text: String,
    /// How long the attempt took, in milliseconds.
    pub took_ms: u64,
}

/// What a module did with an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// When, in UTC.
    pub at: String,
    /// Id of the event.
    pub event: String,
    /// Its hook, under its name in the event JSON.
    pub hook: String,
    /// Its client id; empty if it has none.
    pub client: String,
    /// Its topic or topic filter; empty if it has none.
    pub topic: String,
    /// The module.
    pub module: String,
    /// Its generation.
    pub generation: u32,
    /// `answered`, `ignored`, `failed`, `trapped` or `timed out`.
    pub outcome: String,
    /// Number of requests that the module returned.
    pub requests: usize,
    /// Why it failed; empty if it did not.
    pub text: String,
}

/// A line of `GET /tap`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TapLine {
    /// What a module did with an event.
    Outcome(Outcome),
    /// An attempt to deliver a request.
    Attempt(Delivery),
    /// The reader was too slow.
    Lost {
        /// Lines that were left out.
        lines: u64,
    },
}

impl Delivery {
    pub(super) fn of(entry: &AttemptEntry) -> Delivery {
        Delivery {
            number: entry.number,
            at: time(Millis(entry.at)),
            event: entry.subject.event.to_string(),
            hook: entry.subject.hook.to_string(),
            client: entry.subject.client.to_string(),
            topic: entry.subject.topic.to_string(),
            module: entry.module.to_string(),
            generation: entry.generation,
            url: entry.url.to_string(),
            destination: entry.destination.to_string(),
            attempt: entry.attempt,
            result: entry.result.name().to_owned(),
            status: entry.status,
            text: entry.text.to_string(),
            took_ms: entry.took,
        }
    }
}

impl Outcome {
    pub(super) fn of(entry: &OutcomeEntry) -> Outcome {
        Outcome {
            at: time(Millis(entry.at)),
            event: entry.subject.event.to_string(),
            hook: entry.subject.hook.to_string(),
            client: entry.subject.client.to_string(),
            topic: entry.subject.topic.to_string(),
            module: entry.module.to_string(),
            generation: entry.generation,
            outcome: entry.outcome.to_owned(),
            requests: entry.requests,
            text: entry.text.to_string(),
        }
    }
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

/// `GET /modules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modules {
    /// Sorted by name.
    pub modules: Vec<Module>,
    /// Mistakes in rules of another broker's file, which the active configuration leaves out.
    #[serde(default)]
    pub left_out: Vec<String>,
}

/// `GET /modules/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Name of the module.
    pub name: String,
    /// `running`, `backing off`, `rolled back`, `draining` or `rejected`.
    pub state: String,
    /// Why the files in the folder are not active, or why the module backs off.
    pub problem: Option<String>,
    /// The active generation.
    pub generation: Option<Generation>,
    /// The queues of the module.
    pub queue: Option<Queue>,
    /// Event counts by result.
    pub events: Events,
    /// Request counts by result.
    pub requests: Requests,
    /// Its events in the quarantine.
    pub quarantine: QuarantineCounts,
}

/// An active generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Number of the load; each load under the name of the module adds 1.
    pub number: u32,
    /// `file` or `built-in`.
    pub origin: String,
    /// Number of instances.
    pub instances: usize,
    /// Hooks that it subscribes to, under their names in the event JSON.
    pub hooks: Vec<String>,
    /// URL prefixes that its requests may go to.
    pub egress: Vec<String>,
}

/// The queues of a module in total.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Waiting events.
    pub events: usize,
    /// Bytes of the waiting events.
    pub bytes: usize,
    /// Accepted events.
    pub accepted: u64,
    /// Events dropped because a queue was full.
    pub dropped_full: u64,
    /// Events dropped because they are larger than a queue.
    pub dropped_oversized: u64,
}

/// Event counts by result, since the host started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// The module returned requests.
    pub answered: u64,
    /// The module returned no requests.
    pub ignored: u64,
    /// The module reported a failure.
    pub failed: u64,
    /// The module trapped.
    pub trapped: u64,
    /// The module did not answer in time.
    pub timed_out: u64,
    /// A newer generation does not subscribe to them.
    pub skipped: u64,
    /// Replayed from the quarantine after a rollback.
    pub taken_back: u64,
    /// Dropped because the module was removed while it could not run.
    pub abandoned: u64,
}

/// Request counts by result, since the host started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Passed to delivery.
    pub accepted: u64,
    /// Refused, for example because the URL is not granted.
    pub refused: u64,
    /// Sent no more: they became dead letters.
    #[serde(default)]
    pub dead: u64,
}

/// Events of a module in the quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineCounts {
    /// Number of events.
    pub events: usize,
    /// Bytes of the events.
    pub bytes: usize,
    /// Events dropped to make room for newer ones.
    pub evicted: u64,
}

/// `POST /modules/rescan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescan {
    /// The modules folder.
    pub folder: Option<String>,
    /// Why it cannot be listed.
    pub problem: Option<String>,
    /// Loaded modules.
    pub loaded: Vec<Loaded>,
    /// Modules that did not load.
    pub rejected: Vec<Rejected>,
    /// Removed modules.
    pub removed: Vec<String>,
    /// Modules without changes.
    pub unchanged: Vec<String>,
    /// Files that have no effect, and why.
    pub ignored: Vec<String>,
    /// Result of the reload of the configuration.
    #[serde(default)]
    pub configuration: Option<Reread>,
}

/// A reloaded configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reread {
    /// `unchanged`, `in force` or `refused`.
    pub state: String,
    /// All errors.
    pub problems: Vec<String>,
    /// Warnings, such as settings that need a restart.
    pub warnings: Vec<String>,
}

/// A loaded module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// Name of the module.
    pub name: String,
    /// Number of the new generation.
    pub generation: u32,
}

/// A module that did not load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Name of the module.
    pub name: String,
    /// The reason.
    pub problem: String,
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

/// `GET /quarantine`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantine {
    /// Newest first.
    pub entries: Vec<Quarantined>,
    /// Whether there are more entries, with lower numbers.
    pub more: bool,
}

/// An event in the quarantine; only `GET /quarantine/{id}` includes the event itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Number of the entry.
    pub id: u64,
    /// Time of the failure, in UTC.
    pub at: String,
    /// The module that failed.
    pub module: String,
    /// Its generation.
    pub generation: u32,
    /// `trapped`, `timed out` or `failed`.
    pub fault: String,
    /// The error text of the module.
    pub text: String,
    /// Hook of the event, under its name in the event JSON.
    pub hook: String,
    /// Id of the event.
    pub event_id: String,
    /// Client id of the event.
    pub client: Option<String>,
    /// Topic or topic filter of the event.
    pub topic: Option<String>,
    /// The event itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Value>,
}

/// `POST /quarantine/{id}/replay` and `POST /quarantine/replay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// Replayed events.
    pub replayed: Vec<u64>,
    /// Events that could not be replayed and stay in the quarantine.
    pub left: Vec<Left>,
}

/// An event that could not be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Number of the entry.
    pub id: u64,
    /// The reason.
    pub error: String,
}

/// `DELETE /quarantine/{id}` and `DELETE /quarantine`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Dropped events.
    pub dropped: Vec<u64>,
}

impl Module {
    /// A module of which `dead` requests became dead letters.
    pub(super) fn new(state: ModuleState, dead: u64) -> Module {
        let (counts, quarantined) = (state.counts, state.quarantined);
        Module {
            name: state.name.to_string(),
            state: state.status.name().to_owned(),
            problem: state.problem,
            generation: state.generation.map(|generation| Generation {
                number: generation.number,
                origin: match generation.origin {
                    Origin::BuiltIn => "built-in".to_owned(),
                    Origin::File => "file".to_owned(),
                },
                instances: generation.instances,
                hooks: generation
                    .hooks
                    .into_iter()
                    .map(|hook| json::hook_name(hook).to_owned())
                    .collect(),
                egress: generation.egress,
            }),
            queue: state.queue.map(|queue| Queue {
                events: queue.events,
                bytes: queue.bytes,
                accepted: queue.accepted,
                dropped_full: queue.dropped.full,
                dropped_oversized: queue.dropped.oversized,
            }),
            events: Events {
                answered: counts.answered,
                ignored: counts.ignored,
                failed: counts.failed,
                trapped: counts.trapped,
                timed_out: counts.timed_out,
                skipped: counts.skipped,
                taken_back: counts.taken_back,
                abandoned: counts.abandoned,
            },
            requests: Requests {
                accepted: counts.requests,
                refused: counts.refused_requests,
                dead,
            },
            quarantine: QuarantineCounts {
                events: quarantined.events,
                bytes: quarantined.bytes,
                evicted: quarantined.evicted,
            },
        }
    }
}

impl From<reload::Rescan> for Rescan {
    fn from(rescan: reload::Rescan) -> Rescan {
        let reload::Rescan {
            folder,
            problem,
            applied,
            warnings,
        } = rescan;
        let names = |names: Vec<Arc<str>>| names.iter().map(ToString::to_string).collect();
        let configuration = applied.configuration.map(|outcome| {
            let (state, problems) = match outcome {
                ConfigurationOutcome::Unchanged => ("unchanged", Vec::new()),
                ConfigurationOutcome::Active => ("in force", Vec::new()),
                ConfigurationOutcome::Rejected(problems) => ("refused", problems),
            };
            Reread {
                state: state.to_owned(),
                problems,
                warnings,
            }
        });
        Rescan {
            folder: folder.map(|folder| folder.display().to_string()),
            problem,
            loaded: applied
                .loaded
                .into_iter()
                .map(|(name, generation)| Loaded {
                    name: name.to_string(),
                    generation,
                })
                .collect(),
            rejected: applied
                .rejected
                .into_iter()
                .map(|(name, problem)| Rejected {
                    name: name.to_string(),
                    problem,
                })
                .collect(),
            removed: names(applied.removed),
            unchanged: names(applied.unchanged),
            ignored: applied.ignored,
            configuration,
        }
    }
}

impl Quarantined {
    /// An entry without its event.
    pub(super) fn brief(entry: &QuarantinedEvent) -> Quarantined {
        let detail = &entry.event.detail;
        Quarantined {
            id: entry.id,
            at: time(entry.at),
            module: entry.module.to_string(),
            generation: entry.generation,
            fault: entry.fault.name().to_owned(),
            text: entry.text.clone(),
            hook: json::hook_name(detail.hook()).to_owned(),
            event_id: entry.event.id.to_string(),
            client: detail.client().map(|client| client.id.to_string()),
            topic: detail.subject().map(str::to_owned),
            event: None,
        }
    }

    /// An entry with its event.
    pub(super) fn whole(entry: &QuarantinedEvent) -> Quarantined {
        Quarantined {
            // All keys of the form are texts, so writing to memory cannot fail.
            event: serde_json::to_value(&*entry.event).ok(),
            ..Quarantined::brief(entry)
        }
    }
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
