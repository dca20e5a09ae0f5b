//! Values of a module's settings as what they stand for, and all that is wrong with them.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use hookhost_shared::nearest::nearest;
use serde_json::{Map, Value as Json};

use super::Overrides;
use crate::egress::Grant;
use hookhost_hooks::Overflow;
use hookhost_settings::document::{Node, Table, Value};
use hookhost_settings::units::{parse_duration, parse_size};
use hookhost_settings::{Place, Problem, Source};

pub(super) const LIMITS: [&str; 11] = [
    "memory",
    "table_elements",
    "deadline",
    "start_deadline",
    "compile_time",
    "outcome_bytes",
    "instances",
    "batch",
    "queue_events",
    "queue_bytes",
    "overflow",
];
const EGRESS: [&str; 1] = ["allow"];

/// Most instances of a module, each with a thread of its own.
pub(super) const MOST_INSTANCES: usize = 256;
/// Most events of a batch: what one call holds in the guest's memory.
pub(super) const MOST_BATCH: usize = 4096;
/// What linear memory with 32-bit addresses can be.
const MOST_MEMORY: usize = 4 << 30;
/// A page of linear memory: with less no module starts.
const LEAST_MEMORY: usize = 64 << 10;
const MOST_EVENTS: usize = 100_000_000;
const LONGEST_DEADLINE: Duration = Duration::from_secs(3600);

/// Collects what is wrong.
pub(super) struct Reader<'p> {
    pub(super) path: &'p Path,
    pub(super) problems: Vec<Problem>,
}

impl Reader<'_> {
    pub(super) fn place(&self, key: &str, line: usize) -> Place {
        Place {
            source: Source::File {
                path: self.path.to_owned(),
                line: Some(line),
            },
            key: key.to_owned(),
        }
    }

    pub(super) fn problem(&mut self, key: &str, line: usize, text: impl Into<String>) {
        let problem = self.place(key, line).problem(text);
        self.problems.push(problem);
    }

    pub(super) fn unknown(&mut self, section: &str, key: &str, line: usize, known: &[&str]) {
        let path = if section.is_empty() {
            key.to_owned()
        } else {
            format!("{section}.{key}")
        };
        let hint = match nearest(key, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("known are {}", known.join(", ")),
        };
        self.problem(&path, line, format!("is not a key of a module's settings; {hint}"));
    }

    pub(super) fn limits(&mut self, table: Table) -> Overrides {
        let mut limits = Overrides::default();
        for (key, node) in table {
            let path = format!("limits.{key}");
            match key.as_str() {
                "memory" => limits.memory = self.size(&path, &node, LEAST_MEMORY..=MOST_MEMORY),
                "outcome_bytes" => limits.outcome_bytes = self.size(&path, &node, 1..=MOST_MEMORY),
                "queue_bytes" => limits.queue_bytes = self.size(&path, &node, 1..=usize::MAX),
                "deadline" => limits.deadline = self.duration(&path, &node),
                "start_deadline" => limits.start_deadline = self.duration(&path, &node),
                "compile_time" => limits.compile_time = self.duration(&path, &node),
                "table_elements" => limits.table_elements = self.number(&path, &node, 1..=u32::MAX as usize),
                "instances" => limits.instances = self.number(&path, &node, 1..=MOST_INSTANCES),
                "batch" => limits.batch = self.number(&path, &node, 1..=MOST_BATCH),
                "queue_events" => limits.queue_events = self.number(&path, &node, 1..=MOST_EVENTS),
                "overflow" => limits.overflow = self.overflow(&path, &node),
                unknown => self.unknown("limits", unknown, node.line, &LIMITS),
            }
        }
        limits
    }

    pub(super) fn egress(&mut self, table: Table) -> Vec<Grant> {
        let mut allow = Vec::new();
        for (key, node) in table {
            match (key.as_str(), node.value) {
                ("allow", Value::List(prefixes)) => {
                    for (index, prefix) in prefixes.iter().enumerate() {
                        let path = format!("egress.allow[{index}]");
                        match self.text(&path, prefix, "a URL").map(str::parse::<Grant>) {
                            Some(Ok(grant)) => allow.push(grant),
                            Some(Err(error)) => self.problem(&path, prefix.line, error.to_string()),
                            None => {}
                        }
                    }
                }
                ("allow", other) => {
                    let text = format!("is {}, but must be a list of URLs", other.kind());
                    self.problem("egress.allow", node.line, text);
                }
                (unknown, _) => self.unknown("egress", unknown, node.line, &EGRESS),
            }
        }
        allow
    }

    /// A text; anything else is a problem.
    fn text<'n>(&mut self, key: &str, node: &'n Node, expected: &str) -> Option<&'n str> {
        if let Value::Text(text) = &node.value {
            return Some(text);
        }
        let text = format!("is {}, but must be {expected}", node.value.kind());
        self.problem(key, node.line, text);
        None
    }

    fn size(&mut self, key: &str, node: &Node, range: RangeInclusive<usize>) -> Option<usize> {
        let problem = match parse_size(self.text(key, node, "a size such as \"64MiB\"")?) {
            Ok(size) if range.contains(&size) => return Some(size),
            Ok(size) if size < *range.start() => format!("must be at least {} bytes", range.start()),
            Ok(_) => format!("must be at most {} bytes", range.end()),
            Err(error) => error.to_string(),
        };
        self.problem(key, node.line, problem);
        None
    }

    fn duration(&mut self, key: &str, node: &Node) -> Option<Duration> {
        let problem = match parse_duration(self.text(key, node, "a duration such as \"500ms\"")?) {
            Ok(Duration::ZERO) => "must be longer than nothing".to_owned(),
            Ok(duration) if duration > LONGEST_DEADLINE => "must be at most an hour".to_owned(),
            Ok(duration) => return Some(duration),
            Err(error) => error.to_string(),
        };
        self.problem(key, node.line, problem);
        None
    }

    fn number(&mut self, key: &str, node: &Node, range: RangeInclusive<usize>) -> Option<usize> {
        let number = match node.value {
            Value::Integer(number) => usize::try_from(number).ok().filter(|number| range.contains(number)),
            _ => None,
        };
        if number.is_none() {
            self.problem(
                key,
                node.line,
                format!("must be a whole number from {} to {}", range.start(), range.end()),
            );
        }
        number
    }

    fn overflow(&mut self, key: &str, node: &Node) -> Option<Overflow> {
        match &node.value {
            Value::Text(text) if text == "drop" => Some(Overflow::Drop),
            Value::Text(text) if text == "wait" => Some(Overflow::Wait),
            _ => {
                self.problem(
                    key,
                    node.line,
                    "must be \"drop\" (a full queue drops new events) or \"wait\" (clients wait for room)",
                );
                None
            }
        }
    }

    pub(super) fn json_table(&mut self, key: &str, table: Table) -> Map<String, Json> {
        let entries = table.into_iter().map(|(name, node)| {
            let value = self.json(&format!("{key}.{name}"), node);
            (name, value)
        });
        entries.collect()
    }

    fn json(&mut self, key: &str, node: Node) -> Json {
        match node.value {
            Value::Date(date) => Json::String(date),
            Value::List(nodes) => {
                let nodes = nodes.into_iter().enumerate();
                Json::Array(
                    nodes
                        .map(|(index, node)| self.json(&format!("{key}[{index}]"), node))
                        .collect(),
                )
            }
            Value::Table(table) => Json::Object(self.json_table(key, table)),
            _ => node.to_json().unwrap_or_else(|(line, _)| {
                self.problem(key, line, "is no number that JSON knows");
                Json::Null
            }),
        }
    }
}
