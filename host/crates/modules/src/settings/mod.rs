//! The settings of one module, `NAME.toml`.
//!
//! ```toml
//! acknowledge = "durable"   # acknowledge publishes when the module's requests are on disk
//!
//! [config]                  # passed to the module as JSON
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
//! [`ModuleSettings::parse`] is pure and reports all problems at once, each with its line and key; unknown keys are
//! problems. A setting that is not given has the host's value ([`ModuleSettings::over`]). Problems never repeat values,
//! which may be secrets.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use hookhost_hooks::{Overflow, QueueLimits};
use hookhost_settings::{JsonDates, Place, Places, Problem, Report, Section, document};
use hookhost_wasm::Limits;
use serde_json::{Map, Value as Json};

use super::egress::Grant;

/// Instances of a module, each with its own thread.
const MAX_INSTANCES: usize = 256;
/// Events of a batch, which one call holds in the guest's memory.
const MAX_BATCH: usize = 4096;
/// Bytes of linear memory with 32-bit addresses.
const MAX_MEMORY: usize = 4 << 30;
/// A page of linear memory: no module starts with less.
const MIN_MEMORY: usize = 64 << 10;
const MAX_QUEUE_EVENTS: i64 = 100_000_000;
const MAX_QUEUE_BYTES: usize = 1 << 40;
const MAX_DEADLINE: Duration = Duration::from_secs(3600);

/// The settings of one module, checked.
#[derive(Clone, Default, PartialEq)]
pub(super) struct ModuleSettings {
    /// `[config]` as JSON; `None` if there is no such section.
    pub(super) config: Option<Map<String, Json>>,
    /// The positions of its keys.
    pub(super) places: Places,
    /// `[egress] allow`.
    pub(super) allow: Vec<Grant>,
    /// `acknowledge = "durable"`: all publishes that the module subscribes to are durable.
    pub(super) is_durable: bool,
    limits: Overrides,
}

/// Settings with problems.
#[derive(Debug)]
pub(super) struct InvalidSettings {
    /// All problems.
    pub(super) problems: Vec<Problem>,
    /// The settings without the invalid values. With them the module can check its configuration for further problems.
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

/// The limits of one module.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ModuleLimits {
    pub(super) limits: Limits,
    pub(super) queue: QueueLimits,
    pub(super) instances: usize,
    pub(super) batch: usize,
    pub(super) compile_time: Duration,
}

/// The keys of `[limits]` that are given.
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
    waits: Option<bool>,
    overflow_wait: Option<Duration>,
}

impl ModuleSettings {
    /// Reads the content of a file. The path is used for places only.
    ///
    /// # Errors
    ///
    /// All problems, by line, and the settings without the invalid values.
    pub(super) fn parse(content: &[u8], path: &Path) -> Result<ModuleSettings, InvalidSettings> {
        let text = std::str::from_utf8(content).map_err(|_| InvalidSettings {
            problems: vec![Problem::of_file(path, "is not UTF-8")],
            rest: Box::default(),
        })?;
        let (table, errors) = document::parse(path, text);
        let report = Report::default();
        let mut settings = ModuleSettings::default();
        // A broken file would only lead to false problems.
        if errors.is_empty() {
            settings.read(Section::root(&report, Place::file(path), table));
        }
        let mut problems = report.finish().problems;
        problems.extend(errors);
        problems.sort();
        if problems.is_empty() {
            return Ok(settings);
        }
        Err(InvalidSettings {
            problems,
            rest: Box::new(settings),
        })
    }

    fn read(&mut self, mut root: Section<'_>) {
        let report = root.report();
        if let Some(config) = root.whole_table("config") {
            // A module names keys inside its configuration. It knows the configuration as a whole.
            self.places.add("", config);
            match config.to_json(report, JsonDates::Text) {
                Json::Object(config) => self.config = Some(config),
                _ => report.add_problem(config.mismatch("a table")),
            }
        }
        let acknowledge = [("immediately", false), ("durable", true)];
        self.is_durable = root.choice("acknowledge", false, &acknowledge);
        self.limits = Overrides::read(root.section("limits"));
        let mut egress = root.section("egress");
        let allow = egress.list("allow", |text| text.parse::<Grant>().map_err(|error| error.to_string()));
        self.allow = allow.map_or_else(Vec::new, |(_, allow)| allow);
    }

    /// The limits of the module: its own limits, and the host's as defaults.
    pub(super) fn over(&self, host: ModuleLimits) -> ModuleLimits {
        let own = &self.limits;
        ModuleLimits {
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
                overflow: Overflow::from_settings(own.waits, own.overflow_wait, host.queue.overflow),
            },
            instances: own.instances.unwrap_or(host.instances).clamp(1, MAX_INSTANCES),
            batch: own.batch.unwrap_or(host.batch).clamp(1, MAX_BATCH),
            compile_time: own.compile_time.unwrap_or(host.compile_time),
        }
    }

    /// Whether the number of instances is given.
    pub(super) fn has_instances(&self) -> bool {
        self.limits.instances.is_some()
    }
}

impl Overrides {
    fn read(mut at: Section<'_>) -> Overrides {
        let deadline = Duration::from_millis(1)..=MAX_DEADLINE;
        let mut size = |key, bounds| Some(at.optional(key, |setting| setting.size(bounds))?.1);
        let memory = size("memory", MIN_MEMORY..=MAX_MEMORY);
        let outcome_bytes = size("outcome_bytes", 1..=MAX_MEMORY);
        let queue_bytes = size("queue_bytes", 1..=MAX_QUEUE_BYTES);
        let mut duration = |key| Some(at.optional(key, |setting| setting.duration(deadline.clone()))?.1);
        let [deadline, start_deadline, compile_time] =
            ["deadline", "start_deadline", "compile_time"].map(&mut duration);
        let day = Duration::from_secs(24 * 3600);
        let overflow_wait = at.optional("overflow_wait", |setting| {
            setting.duration(Duration::from_millis(1)..=day)
        });
        let overflow_wait = overflow_wait.map(|(_, limit)| limit);
        let mut count = |key, most| Some(at.optional(key, |setting| setting.integer(1..=most))?.1);
        Overrides {
            memory,
            table_elements: count("table_elements", i64::from(u32::MAX)),
            deadline,
            start_deadline,
            compile_time,
            outcome_bytes,
            instances: count("instances", MAX_INSTANCES as i64),
            batch: count("batch", MAX_BATCH as i64),
            queue_events: count("queue_events", MAX_QUEUE_EVENTS),
            queue_bytes,
            waits: at.choice("overflow", None, &[("drop", Some(false)), ("wait", Some(true))]),
            overflow_wait,
        }
    }
}

#[cfg(test)]
mod tests;
