//! What a module's `NAME.toml` says.
//!
//! ```toml
//! [config]                  # handed to the module as JSON
//! threshold = 21.5
//!
//! [limits]
//! memory = "64MiB"
//! deadline = "500ms"
//!
//! [egress]
//! allow = ["https://example.com/hooks"]
//! ```
//!
//! [`ModuleSettings::parse`] is pure and reports all mistakes at once, each with its line and key; a key that nobody knows
//! is a mistake. What is not said stays as the host has it ([`ModuleSettings::over`]). Values are never repeated in a
//! problem: they may be secrets.

mod reader;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::egress::Grant;
use hookhost_hooks::{Overflow, QueueLimits};
use hookhost_settings::document::{self, Node, Value};
use hookhost_settings::{Given, Places, Problem};
use hookhost_wasm::Limits;
use reader::{MOST_BATCH, MOST_INSTANCES, Reader};

/// The settings of one module, checked.
#[derive(Clone, Default, PartialEq)]
pub(super) struct ModuleSettings {
    /// `[config]` as JSON; none if there is no such section.
    pub(super) config: Option<Map<String, Json>>,
    /// Where its keys stand.
    pub(super) places: Places,
    /// `[egress] allow`.
    pub(super) allow: Vec<Grant>,
    limits: Overrides,
}

/// Settings with mistakes.
#[derive(Debug)]
pub(super) struct Wrong {
    /// All of them.
    pub(super) problems: Vec<Problem>,
    /// The settings without them, to ask the module for its own mistakes.
    pub(super) rest: Box<ModuleSettings>,
}

/// Leaves out the configuration: it may hold secrets.
impl fmt::Debug for ModuleSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleSettings")
            .field("limits", &self.limits)
            .field("allow", &self.allow)
            .finish_non_exhaustive()
    }
}

/// What one module may use, all of it decided.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Allowance {
    pub(super) limits: Limits,
    pub(super) queue: QueueLimits,
    pub(super) instances: usize,
    pub(super) batch: usize,
    pub(super) compile_time: Duration,
}

/// `[limits]`, as far as it is there.
#[derive(Debug, Clone, Default, PartialEq)]
struct Overrides {
    memory: Option<usize>,
    table_elements: Option<usize>,
    deadline: Option<Duration>,
    start_deadline: Option<Duration>,
    compile_time: Option<Duration>,
    outcome_bytes: Option<usize>,
    instances: Option<usize>,
    batch: Option<usize>,
    queue_events: Option<usize>,
    queue_bytes: Option<usize>,
    overflow: Option<Overflow>,
}

const SECTIONS: [&str; 3] = ["config", "limits", "egress"];

impl ModuleSettings {
    /// Reads the content of a file, whose path is for its mistakes.
    ///
    /// # Errors
    ///
    /// All mistakes, in the order of the file, and what holds apart from them.
    pub(super) fn parse(content: &[u8], path: &Path) -> Result<ModuleSettings, Wrong> {
        let text = std::str::from_utf8(content).map_err(|_| Wrong {
            problems: vec![Problem::of_file(path, "is not UTF-8")],
            rest: Box::default(),
        })?;
        let (file, errors) = document::parse(text);
        let mut reader = Reader {
            path,
            problems: Vec::new(),
        };
        let mut settings = ModuleSettings::default();
        // What a broken file seems to say would only add mistakes that are none.
        for (line, error) in &errors {
            reader.problem("", *line, format!("is not TOML: {error}"));
        }
        for (key, node) in file.into_iter().filter(|_| errors.is_empty()) {
            match (key.as_str(), node.value) {
                ("config", value @ Value::Table(_)) => {
                    let given = Given::Node(Node { line: node.line, value });
                    // A module names keys inside of its configuration, which it knows as a whole.
                    settings.places.note("", &reader.place("config", node.line), &given);
                    if let Given::Node(Node {
                        value: Value::Table(table),
                        ..
                    }) = given
                    {
                        settings.config = Some(reader.json_table("config", table));
                    }
                }
                ("limits", Value::Table(table)) => settings.limits = reader.limits(table),
                ("egress", Value::Table(table)) => settings.allow = reader.egress(table),
                (known, other) if SECTIONS.contains(&known) => {
                    reader.problem(known, node.line, format!("is {}, but must be a table", other.kind()));
                }
                (unknown, _) => reader.unknown("", unknown, node.line, &SECTIONS),
            }
        }
        reader.problems.sort();
        if reader.problems.is_empty() {
            Ok(settings)
        } else {
            Err(Wrong {
                problems: reader.problems,
                rest: Box::new(settings),
            })
        }
    }

    /// What the module may use: its own limits, and the host's where it has none.
    pub(super) fn over(&self, host: Allowance) -> Allowance {
        let own = &self.limits;
        Allowance {
            limits: Limits {
                memory: own.memory.unwrap_or(host.limits.memory),
                table_elements: own.table_elements.unwrap_or(host.limits.table_elements),
                deadline: own.deadline.unwrap_or(host.limits.deadline),
                start_deadline: own.start_deadline.unwrap_or(host.limits.start_deadline),
                outcome_bytes: own.outcome_bytes.unwrap_or(host.limits.outcome_bytes),
            },
            queue: QueueLimits {
                events: own.queue_events.unwrap_or(host.queue.events),
                bytes: own.queue_bytes.unwrap_or(host.queue.bytes),
                overflow: own.overflow.unwrap_or(host.queue.overflow),
            },
            instances: own.instances.unwrap_or(host.instances).clamp(1, MOST_INSTANCES),
            batch: own.batch.unwrap_or(host.batch).clamp(1, MOST_BATCH),
            compile_time: own.compile_time.unwrap_or(host.compile_time),
        }
    }

    /// Whether they say how many instances there are to be.
    pub(super) fn has_instances(&self) -> bool {
        self.limits.instances.is_some()
    }
}

#[cfg(test)]
mod tests;
