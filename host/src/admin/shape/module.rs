//! Modules and what a rescan does: `GET /modules`, `POST /rescan`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::reload;
use hookhost_event::json;
use hookhost_modules::{ConfigurationOutcome, ModuleState, Origin};

/// `GET /modules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Modules {
    /// Sorted by name.
    pub modules: Vec<Module>,
    /// Mistakes in rules of another broker's file, which the active configuration leaves out.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// Modules in the folder that are disabled, by name.
    #[serde(default)]
    pub disabled: Vec<String>,
}

/// `GET /modules/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// What it costs.
    #[serde(default)]
    pub cost: Cost,
    /// Whether it can be rolled back to its previous generation.
    #[serde(default)]
    pub can_roll_back: bool,
}

/// What a module costs, since the host started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cost {
    /// Events in its calls, failed calls included.
    pub events: u64,
    /// Time of these calls, in microseconds.
    pub took_us: u64,
    /// Bytes of the linear memory of all its instances.
    pub memory: usize,
}

/// `POST /modules/{name}/roll-back`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RolledBack {
    /// Name of the module.
    pub name: String,
    /// The generation that is active now.
    pub generation: u32,
}

/// An active generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineCounts {
    /// Number of events.
    pub events: usize,
    /// Bytes of the events.
    pub bytes: usize,
    /// Events dropped to make room for newer ones.
    pub evicted: u64,
}

/// `POST /modules/rescan`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reread {
    /// `unchanged`, `in force` or `refused`.
    pub state: String,
    /// All errors.
    pub problems: Vec<String>,
    /// Warnings, such as settings that need a restart.
    pub warnings: Vec<String>,
}

/// A loaded module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Loaded {
    /// Name of the module.
    pub name: String,
    /// Number of the new generation.
    pub generation: u32,
}

/// A module that did not load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rejected {
    /// Name of the module.
    pub name: String,
    /// The reason.
    pub problem: String,
}

impl Module {
    /// A module of which `dead` requests became dead letters.
    pub(in super::super) fn new(state: ModuleState, dead: u64) -> Module {
        let (counts, quarantined) = (state.counts, state.quarantined);
        let (durations, memory, can_roll_back) = (state.durations, state.memory, state.can_roll_back);
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
            cost: Cost {
                events: durations.counts.iter().sum(),
                took_us: u64::try_from(durations.sum.as_micros()).unwrap_or(u64::MAX),
                memory,
            },
            can_roll_back,
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
