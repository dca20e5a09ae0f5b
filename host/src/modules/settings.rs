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

use std::fmt;
use std::path::Path;
use std::time::Duration;

use hookhost_guest::nearest::nearest;
use serde_json::{Map, Value as Json};

use super::egress::Grant;
use crate::config::document::{self, Node, Table, Value};
use crate::config::units::{parse_duration, parse_size};
use crate::config::{Given, Place, Places, Problem, Source};
use crate::hooks::{Overflow, QueueLimits};
use crate::wasm::Limits;

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
const LIMITS: [&str; 11] = [
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
const MOST_INSTANCES: usize = 256;
/// Most events of a batch: what one call holds in the guest's memory.
const MOST_BATCH: usize = 4096;
/// What linear memory with 32-bit addresses can be.
const MOST_MEMORY: usize = 4 << 30;
/// A page of linear memory: with less no module starts.
const LEAST_MEMORY: usize = 64 << 10;
const MOST_EVENTS: usize = 100_000_000;
const LONGEST_DEADLINE: Duration = Duration::from_secs(3600);

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

/// Collects what is wrong.
struct Reader<'p> {
    path: &'p Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn place(&self, key: &str, line: usize) -> Place {
        Place {
            source: Source::File {
                path: self.path.to_owned(),
                line: Some(line),
            },
            key: key.to_owned(),
        }
    }

    fn problem(&mut self, key: &str, line: usize, text: impl Into<String>) {
        let problem = self.place(key, line).problem(text);
        self.problems.push(problem);
    }

    fn unknown(&mut self, section: &str, key: &str, line: usize, known: &[&str]) {
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

    fn limits(&mut self, table: Table) -> Overrides {
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

    fn egress(&mut self, table: Table) -> Vec<Grant> {
        let mut allow = Vec::new();
        for (key, node) in table {
            match (key.as_str(), node.value) {
                ("allow", Value::List(prefixes)) => {
                    for (index, prefix) in prefixes.iter().enumerate() {
                        let path = format!("egress.allow[{index}]");
                        let Value::Text(text) = &prefix.value else {
                            let text = format!("is {}, but must be a URL", prefix.value.kind());
                            self.problem(&path, prefix.line, text);
                            continue;
                        };
                        match text.parse::<Grant>() {
                            Ok(grant) => allow.push(grant),
                            Err(error) => self.problem(&path, prefix.line, error.to_string()),
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

    fn size(&mut self, key: &str, node: &Node, range: std::ops::RangeInclusive<usize>) -> Option<usize> {
        let Value::Text(text) = &node.value else {
            let kind = node.value.kind();
            self.problem(
                key,
                node.line,
                format!("is {kind}, but must be a size such as \"64MiB\""),
            );
            return None;
        };
        let problem = match parse_size(text) {
            Ok(size) if range.contains(&size) => return Some(size),
            Ok(size) if size < *range.start() => format!("must be at least {} bytes", range.start()),
            Ok(_) => format!("must be at most {} bytes", range.end()),
            Err(error) => error.to_string(),
        };
        self.problem(key, node.line, problem);
        None
    }

    fn duration(&mut self, key: &str, node: &Node) -> Option<Duration> {
        let Value::Text(text) = &node.value else {
            let kind = node.value.kind();
            self.problem(
                key,
                node.line,
                format!("is {kind}, but must be a duration such as \"500ms\""),
            );
            return None;
        };
        let problem = match parse_duration(text) {
            Ok(Duration::ZERO) => "must be longer than nothing".to_owned(),
            Ok(duration) if duration > LONGEST_DEADLINE => "must be at most an hour".to_owned(),
            Ok(duration) => return Some(duration),
            Err(error) => error.to_string(),
        };
        self.problem(key, node.line, problem);
        None
    }

    fn number(&mut self, key: &str, node: &Node, range: std::ops::RangeInclusive<usize>) -> Option<usize> {
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

    fn json_table(&mut self, key: &str, table: Table) -> Map<String, Json> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn host() -> Allowance {
        Allowance {
            limits: Limits::default(),
            queue: QueueLimits::default(),
            instances: 2,
            batch: 64,
            compile_time: Duration::from_secs(60),
        }
    }

    fn problems(text: &str) -> Vec<String> {
        ModuleSettings::parse(text.as_bytes(), Path::new("m.toml"))
            .unwrap_err()
            .problems
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        let settings = ModuleSettings::parse(b"", Path::new("m.toml")).unwrap();
        assert_eq!((settings.config.as_ref(), settings.allow.len()), (None, 0));
        assert_eq!(settings.over(host()), host());
    }

    #[test]
    fn everything_can_be_said() {
        let settings = ModuleSettings::parse(
            br#"
            [config]
            name = "x"
            at = 2024-02-03T04:05:06Z
            deep = { list = [1, 2.5, true, {}] }
            [limits]
            memory = "64MiB"
            table_elements = 1000
            deadline = "500ms"
            start_deadline = "20s"
            compile_time = "2m"
            outcome_bytes = "1KiB"
            instances = 3
            batch = 16
            queue_events = 100
            queue_bytes = "1MiB"
            overflow = "wait"
            [egress]
            allow = ["https://example.com/hooks", "stdout:"]
            "#,
            Path::new("m.toml"),
        )
        .unwrap();
        let config = json!({"name": "x", "at": "2024-02-03T04:05:06Z", "deep": {"list": [1, 2.5, true, {}]}});
        assert_eq!(settings.config.clone().map(Json::Object), Some(config));
        assert_eq!(settings.allow.len(), 2);
        let queue = QueueLimits {
            events: 100,
            bytes: 1 << 20,
            overflow: Overflow::Wait,
        };
        let limits = Limits {
            memory: 64 << 20,
            table_elements: 1000,
            deadline: Duration::from_millis(500),
            start_deadline: Duration::from_secs(20),
            outcome_bytes: 1024,
        };
        assert_eq!(
            settings.over(host()),
            Allowance {
                limits,
                queue,
                instances: 3,
                batch: 16,
                compile_time: Duration::from_secs(120),
            }
        );
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_keys() {
        let text = r#"
            egres = 1
            config = "secret"
            [limits]
            memory = 64
            memry = "1MiB"
            deadline = "0s"
            start_deadline = "5 parsecs"
            instances = 0
            batch = "many"
            queue_bytes = "0B"
            overflow = "panic"
            [egress]
            allow = ["not a url",
                5, "https://ok.example"]
            deny = []
        "#;
        let got = problems(text);
        let expected = [
            "m.toml:2: egres: is not a key of a module's settings; did you mean egress?",
            "m.toml:3: config: is a string, but must be a table",
            "m.toml:5: limits.memory: is an integer, but must be a size such as \"64MiB\"",
            "m.toml:6: limits.memry: is not a key of a module's settings; did you mean memory?",
            "m.toml:7: limits.deadline: must be longer than nothing",
            "m.toml:8: limits.start_deadline: ",
            "m.toml:9: limits.instances: must be a whole number from 1 to 256",
            "m.toml:10: limits.batch: must be a whole number from 1 to 4096",
            "m.toml:11: limits.queue_bytes: must be at least 1 bytes",
            "m.toml:12: limits.overflow: must be \"drop\"",
            "m.toml:14: egress.allow[0]: ",
            "m.toml:15: egress.allow[1]: is an integer, but must be a URL",
            "m.toml:16: egress.deny: is not a key of a module's settings; known are allow",
        ];
        assert_eq!(got.len(), expected.len(), "{got:#?}");
        for (got, expected) in got.iter().zip(expected) {
            assert!(got.starts_with(expected), "{expected} in {got:#?}");
        }
        assert!(!got.concat().contains("secret"));
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line_but_not_its_content() {
        assert_eq!(
            problems("[limits]\nmemry = \"hidden\nbatch = 1\nbatch = 2\n"),
            [
                "m.toml:2: is not TOML: invalid basic string, expected `\"`",
                "m.toml:4: is not TOML: duplicate key",
            ]
        );
        let binary = ModuleSettings::parse(b"\xff", Path::new("m.toml")).unwrap_err();
        assert_eq!(binary.problems[0].to_string(), "m.toml: is not UTF-8");
        assert_eq!(
            problems("[config]\nx = nan"),
            ["m.toml:2: config.x: is no number that JSON knows"]
        );
    }

    #[test]
    fn every_limit_is_documented() {
        let page = include_str!("../../../docs/limits.md");
        for key in LIMITS {
            assert!(page.contains(&format!("\n| `{key}` |")), "{key}");
        }
    }

    #[test]
    fn debug_keeps_the_configuration() {
        let settings = ModuleSettings::parse(b"[config]\ntoken = 'hidden'", Path::new("m.toml")).unwrap();
        assert!(!format!("{settings:?}").contains("hidden"));
    }
}
