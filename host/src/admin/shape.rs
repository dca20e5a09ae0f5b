//! What the API's answers look like. `docs/admin.md` says what each field means; a field keeps its name and meaning, and
//! others may come beside it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reload;
use hookhost_broker::EngineState;
use hookhost_event::{Millis, json};
use hookhost_modules::{ConfigurationOutcome, ModuleState, Origin, QuarantinedEvent};

/// Any answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What is the matter.
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

/// `GET /modules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modules {
    /// By name.
    pub modules: Vec<Module>,
}

/// `GET /modules/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// `running`, `backing off`, `rolled back`, `draining` or `rejected`.
    pub state: String,
    /// Why the files in the folder are not in force, and why it backs off.
    pub problem: Option<String>,
    /// What is in force.
    pub generation: Option<Generation>,
    /// Its queues.
    pub queue: Option<Queue>,
    /// What became of its events.
    pub events: Events,
    /// What became of its requests.
    pub requests: Requests,
    /// What the quarantine holds of it.
    pub quarantine: Held,
}

/// A generation in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Counts the loads under the module's name.
    pub number: u32,
    /// `file` or `built-in`.
    pub origin: String,
    /// Number of instances.
    pub instances: usize,
    /// Hooks that it is interested in, as events name them.
    pub hooks: Vec<String>,
    /// URL prefixes that its requests may name.
    pub egress: Vec<String>,
}

/// The queues of a module together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Events that wait.
    pub events: usize,
    /// Bytes that they keep.
    pub bytes: usize,
    /// Events that were taken.
    pub accepted: u64,
    /// Events that were not taken because a queue was full.
    pub dropped_full: u64,
    /// Events that were not taken because they are larger than a queue.
    pub dropped_oversized: u64,
}

/// Events by what became of them, since the host started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// The module gave requests.
    pub answered: u64,
    /// It had nothing to send.
    pub ignored: u64,
    /// It said that it could not handle them.
    pub failed: u64,
    /// It trapped on them.
    pub trapped: u64,
    /// It did not answer in time.
    pub timed_out: u64,
    /// A newer generation did not want them.
    pub skipped: u64,
    /// Taken back out of the quarantine after a rollback.
    pub taken_back: u64,
    /// Given up when a module was removed that could not run.
    pub abandoned: u64,
}

/// Requests by what became of them, since the host started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Handed to delivery.
    pub accepted: u64,
    /// Refused, such as those to places that were not granted.
    pub refused: u64,
}

/// What the quarantine holds of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Events.
    pub events: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Events that had to go for others.
    pub evicted: u64,
}

/// `POST /modules/rescan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescan {
    /// The modules folder.
    pub folder: Option<String>,
    /// Why it could not be listed.
    pub problem: Option<String>,
    /// Modules that were loaded.
    pub loaded: Vec<Loaded>,
    /// Modules whose files do not load.
    pub rejected: Vec<Rejected>,
    /// Modules that are gone.
    pub removed: Vec<String>,
    /// Modules that are what they were.
    pub unchanged: Vec<String>,
    /// Files that have no effect, and why.
    pub ignored: Vec<String>,
    /// What became of the configuration.
    #[serde(default)]
    pub configuration: Option<Reread>,
}

/// A configuration that was read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reread {
    /// `unchanged`, `in force` or `refused`.
    pub state: String,
    /// Everything that is wrong with it.
    pub problems: Vec<String>,
    /// What is worth knowing although nothing is wrong, such as what needs a restart.
    pub warnings: Vec<String>,
}

/// A module that was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// The number of its new generation.
    pub generation: u32,
}

/// A module that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejected {
    /// Its name.
    pub name: String,
    /// Why.
    pub problem: String,
}

/// `GET /broker`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broker {
    /// The engine: `rmqtt` or `gateway`.
    pub engine: String,
    /// Where MQTT is served.
    pub listen: SocketAddr,
    /// Sessions that the engine can see, those of clients that are away included.
    pub sessions: usize,
    /// How many of them are connected.
    pub connected: usize,
    /// What the engine counts since its start.
    pub counters: BTreeMap<String, u64>,
}

impl From<EngineState> for Broker {
    fn from(state: EngineState) -> Broker {
        let counters = state.counters.into_iter();
        Broker {
            engine: state.engine.to_owned(),
            listen: state.listen,
            sessions: state.sessions,
            connected: state.connected,
            counters: counters.map(|(name, count)| (name.to_owned(), count)).collect(),
        }
    }
}

/// `DELETE /clients/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kicked {
    /// The client whose connection and session end.
    pub kicked: String,
}

/// `GET /quarantine`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantine {
    /// Newest first.
    pub entries: Vec<Quarantined>,
    /// Whether there are more with lower numbers.
    pub more: bool,
}

/// An event that was set aside; `GET /quarantine/{id}` has the event as well.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quarantined {
    /// Its number.
    pub id: u64,
    /// When, in UTC.
    pub at: String,
    /// Which module failed.
    pub module: String,
    /// Which generation of it.
    pub generation: u32,
    /// `trapped`, `timed out` or `failed`.
    pub fault: String,
    /// Why, in the module's words.
    pub text: String,
    /// What happened, as events name it.
    pub hook: String,
    /// The event's id.
    pub event_id: String,
    /// Whom it is about.
    pub client: Option<String>,
    /// Its topic or topic filter.
    pub topic: Option<String>,
    /// The event itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Value>,
}

/// `POST /quarantine/{id}/replay` and `POST /quarantine/replay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// Events that were handed to their modules.
    pub replayed: Vec<u64>,
    /// Events that were not, and are still there.
    pub left: Vec<Left>,
}

/// An event that could not be handed to its module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Its number.
    pub id: u64,
    /// Why.
    pub error: String,
}

/// `DELETE /quarantine/{id}` and `DELETE /quarantine`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Events that are forgotten.
    pub dropped: Vec<u64>,
}

impl From<ModuleState> for Module {
    fn from(state: ModuleState) -> Module {
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
            },
            quarantine: Held {
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
            // Every key of the form is a text, and nothing else can go wrong in memory.
            event: serde_json::to_value(&*entry.event).ok(),
            ..Quarantined::brief(entry)
        }
    }
}

/// `2026-11-22T10:00:01.000Z`.
fn time(at: Millis) -> String {
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
