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
//! [`ModuleSettings::parse`] is pure and reports all mistakes at once, each with its key; a key that nobody knows is a
//! mistake. What is not said stays as the host has it ([`ModuleSettings::over`]). Values are never repeated in a
//! problem: they may be secrets.

use std::fmt;
use std::time::Duration;

use hookhost_guest::nearest::nearest;
use serde_json::{Map, Value};

use super::egress::Grant;
use crate::config::units::{parse_duration, parse_size};
use crate::hooks::{Overflow, QueueLimits};
use crate::wasm::{Limits, Problem};

/// The settings of one module, checked.
#[derive(Clone, Default, PartialEq)]
pub(super) struct ModuleSettings {
    /// `[config]` as JSON; none if there is no such section.
    pub(super) config: Option<Map<String, Value>>,
    /// `[egress] allow`.
    pub(super) allow: Vec<Grant>,
    limits: Overrides,
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
    /// Reads the file's content.
    ///
    /// # Errors
    ///
    /// All mistakes, in the order of the file's sections.
    pub(super) fn parse(content: &[u8]) -> Result<ModuleSettings, Vec<Problem>> {
        let whole = |text: String| {
            vec![Problem {
                key: String::new(),
                text,
            }]
        };
        let text = std::str::from_utf8(content).map_err(|_| whole("is not UTF-8".to_owned()))?;
        let file: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| whole(syntax(text, &error)))?;
        let mut reader = Reader { problems: Vec::new() };
        let mut settings = ModuleSettings::default();
        for (key, value) in file {
            match (key.as_str(), value) {
                ("config", toml::Value::Table(table)) => settings.config = Some(reader.json_table("config", table)),
                ("limits", toml::Value::Table(table)) => settings.limits = reader.limits(table),
                ("egress", toml::Value::Table(table)) => settings.allow = reader.egress(table),
                (known, other) if SECTIONS.contains(&known) => {
                    reader.problem(known, format!("is {}, but must be a table", kind(&other)));
                }
                (unknown, _) => reader.unknown("", unknown, &SECTIONS),
            }
        }
        if reader.problems.is_empty() {
            Ok(settings)
        } else {
            Err(reader.problems)
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

/// Where a TOML error is and what it says; not the line itself, which may hold a secret.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| before.matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line} is not TOML: {}", error.message()),
        None => format!("is not TOML: {}", error.message()),
    }
}

fn kind(value: &toml::Value) -> &'static str {
    match value {
        toml::Value::String(_) => "a text",
        toml::Value::Integer(_) | toml::Value::Float(_) => "a number",
        toml::Value::Boolean(_) => "true or false",
        toml::Value::Datetime(_) => "a date or time",
        toml::Value::Array(_) => "a list",
        toml::Value::Table(_) => "a table",
    }
}

/// Collects what is wrong.
struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    fn problem(&mut self, key: &str, text: impl Into<String>) {
        self.problems.push(Problem {
            key: key.to_owned(),
            text: text.into(),
        });
    }

    fn unknown(&mut self, section: &str, key: &str, known: &[&str]) {
        let path = if section.is_empty() {
            key.to_owned()
        } else {
            format!("{section}.{key}")
        };
        let hint = match nearest(key, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("known are {}", known.join(", ")),
        };
        self.problem(&path, format!("is not a key of a module's settings; {hint}"));
    }

    fn limits(&mut self, table: toml::Table) -> Overrides {
        let mut limits = Overrides::default();
        for (key, value) in table {
            let path = format!("limits.{key}");
            match key.as_str() {
                "memory" => limits.memory = self.size(&path, &value, LEAST_MEMORY..=MOST_MEMORY),
                "outcome_bytes" => limits.outcome_bytes = self.size(&path, &value, 1..=MOST_MEMORY),
                "queue_bytes" => limits.queue_bytes = self.size(&path, &value, 1..=usize::MAX),
                "deadline" => limits.deadline = self.duration(&path, &value),
                "start_deadline" => limits.start_deadline = self.duration(&path, &value),
                "compile_time" => limits.compile_time = self.duration(&path, &value),
                "table_elements" => limits.table_elements = self.number(&path, &value, 1..=u32::MAX as usize),
                "instances" => limits.instances = self.number(&path, &value, 1..=MOST_INSTANCES),
                "batch" => limits.batch = self.number(&path, &value, 1..=MOST_BATCH),
                "queue_events" => limits.queue_events = self.number(&path, &value, 1..=MOST_EVENTS),
                "overflow" => limits.overflow = self.overflow(&path, &value),
                unknown => self.unknown("limits", unknown, &LIMITS),
            }
        }
        limits
    }

    fn egress(&mut self, table: toml::Table) -> Vec<Grant> {
        let mut allow = Vec::new();
        for (key, value) in table {
            match (key.as_str(), value) {
                ("allow", toml::Value::Array(prefixes)) => {
                    for (index, prefix) in prefixes.iter().enumerate() {
                        let path = format!("egress.allow.{index}");
                        match prefix.as_str().map(str::parse::<Grant>) {
                            Some(Ok(grant)) => allow.push(grant),
                            Some(Err(error)) => self.problem(&path, error.to_string()),
                            None => self.problem(&path, format!("is {}, but must be a URL", kind(prefix))),
                        }
                    }
                }
                ("allow", other) => {
                    self.problem(
                        "egress.allow",
                        format!("is {}, but must be a list of URLs", kind(&other)),
                    );
                }
                (unknown, _) => self.unknown("egress", unknown, &EGRESS),
            }
        }
        allow
    }

    fn size(&mut self, key: &str, value: &toml::Value, range: std::ops::RangeInclusive<usize>) -> Option<usize> {
        let Some(text) = value.as_str() else {
            self.problem(key, format!("is {}, but must be a size such as \"64MiB\"", kind(value)));
            return None;
        };
        match parse_size(text) {
            Ok(size) if range.contains(&size) => return Some(size),
            Ok(size) if size < *range.start() => self.problem(key, format!("must be at least {} bytes", range.start())),
            Ok(_) => self.problem(key, format!("must be at most {} bytes", range.end())),
            Err(error) => self.problem(key, error.to_string()),
        }
        None
    }

    fn duration(&mut self, key: &str, value: &toml::Value) -> Option<Duration> {
        let Some(text) = value.as_str() else {
            self.problem(
                key,
                format!("is {}, but must be a duration such as \"500ms\"", kind(value)),
            );
            return None;
        };
        match parse_duration(text) {
            Ok(Duration::ZERO) => self.problem(key, "must be longer than nothing"),
            Ok(duration) if duration > LONGEST_DEADLINE => self.problem(key, "must be at most an hour"),
            Ok(duration) => return Some(duration),
            Err(error) => self.problem(key, error.to_string()),
        }
        None
    }

    fn number(&mut self, key: &str, value: &toml::Value, range: std::ops::RangeInclusive<usize>) -> Option<usize> {
        let number = value.as_integer().and_then(|number| usize::try_from(number).ok());
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.problem(
                key,
                format!("must be a whole number from {} to {}", range.start(), range.end()),
            );
        }
        number
    }

    fn overflow(&mut self, key: &str, value: &toml::Value) -> Option<Overflow> {
        match value.as_str() {
            Some("drop") => Some(Overflow::Drop),
            Some("wait") => Some(Overflow::Wait),
            _ => {
                self.problem(
                    key,
                    "must be \"drop\" (a full queue drops new events) or \"wait\" (clients wait for room)",
                );
                None
            }
        }
    }

    fn json_table(&mut self, key: &str, table: toml::Table) -> Map<String, Value> {
        let entries = table.into_iter().map(|(name, value)| {
            let value = self.json(&format!("{key}.{name}"), value);
            (name, value)
        });
        entries.collect()
    }

    fn json(&mut self, key: &str, value: toml::Value) -> Value {
        match value {
            toml::Value::String(text) => Value::String(text),
            toml::Value::Integer(number) => Value::from(number),
            toml::Value::Boolean(flag) => Value::Bool(flag),
            toml::Value::Datetime(time) => Value::String(time.to_string()),
            toml::Value::Float(number) => serde_json::Number::from_f64(number).map_or_else(
                || {
                    self.problem(key, "is no number that JSON knows");
                    Value::Null
                },
                Value::Number,
            ),
            toml::Value::Array(values) => {
                let values = values.into_iter().enumerate();
                Value::Array(
                    values
                        .map(|(index, value)| self.json(&format!("{key}.{index}"), value))
                        .collect(),
                )
            }
            toml::Value::Table(table) => Value::Object(self.json_table(key, table)),
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
        ModuleSettings::parse(text.as_bytes())
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        let settings = ModuleSettings::parse(b"").unwrap();
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
        )
        .unwrap();
        let config = json!({"name": "x", "at": "2024-02-03T04:05:06Z", "deep": {"list": [1, 2.5, true, {}]}});
        assert_eq!(settings.config.clone().map(Value::Object), Some(config));
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
            allow = ["not a url", 5, "https://ok.example"]
            deny = []
        "#;
        let got = problems(text);
        for expected in [
            "egres: is not a key of a module's settings; did you mean egress?",
            "config: is a text, but must be a table",
            "limits.memory: is a number, but must be a size such as \"64MiB\"",
            "limits.memry: is not a key of a module's settings; did you mean memory?",
            "limits.deadline: must be longer than nothing",
            "limits.start_deadline: ",
            "limits.instances: must be a whole number from 1 to 256",
            "limits.batch: must be a whole number from 1 to 4096",
            "limits.queue_bytes: must be at least 1 bytes",
            "limits.overflow: must be \"drop\"",
            "egress.allow.0: ",
            "egress.allow.1: is a number, but must be a URL",
            "egress.deny: is not a key of a module's settings; known are allow",
        ] {
            assert!(
                got.iter().any(|problem| problem.starts_with(expected)),
                "{expected} in {got:#?}"
            );
        }
        assert_eq!(got.len(), 13, "{got:#?}");
        assert!(!got.concat().contains("secret"));
    }

    #[test]
    fn what_is_no_toml_is_told_with_its_line_but_not_its_content() {
        assert_eq!(
            problems("a = 1\ntoken = \"hidden")[0].find("line 2 is not TOML: "),
            Some(0)
        );
        assert!(!problems("a = 1\ntoken = \"hidden")[0].contains("hidden"));
        assert_eq!(ModuleSettings::parse(b"\xff").unwrap_err()[0].text, "is not UTF-8");
        assert_eq!(
            problems("[config]\nx = nan"),
            ["config.x: is no number that JSON knows"]
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
        let settings = ModuleSettings::parse(b"[config]\ntoken = 'hidden'").unwrap();
        assert!(!format!("{settings:?}").contains("hidden"));
    }
}
