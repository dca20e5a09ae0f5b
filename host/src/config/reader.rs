//! Settings out of layers: each key is looked up in the layers from the strongest to the weakest, checked where it was
//! found, and given as a type that cannot be wrong afterwards.
//!
//! Keys are `section.key`. A key is known because somebody reads it, so there is no second list of keys to keep: what
//! is left unread at the end is unknown. A problem takes nothing away from the reading: all of them are collected.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::document::{Node, Table, Value};
use super::problem::{Problem, Source, suggestion};
use super::units::{UnitError, format_duration, format_size, parse_duration, parse_size};

/// What was given for a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Given {
    /// By the environment or a flag: a text that is read as whatever is wanted; a list is separated by blanks.
    Text(String),
    /// By a flag that may be repeated.
    Texts(Vec<String>),
    /// By a file.
    Node(Node),
}

/// Where a value was given and what the key is called there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    pub(crate) source: Source,
    pub(crate) key: String,
}

impl Given {
    /// Whether it is a text of blanks or a list of nothing.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Given::Text(text) => text.trim().is_empty(),
            Given::Texts(texts) => texts.is_empty(),
            Given::Node(node) => matches!(&node.value, Value::List(list) if list.is_empty()),
        }
    }
}

impl Place {
    /// A problem of this place.
    pub(crate) fn problem(&self, text: impl Into<String>) -> Problem {
        Problem {
            source: self.source.clone(),
            key: self.key.clone(),
            text: text.into(),
        }
    }

    /// A place inside this one; `below` is appended to the key, `line` counts if this is a file.
    pub(crate) fn inside(&self, below: &str, line: usize) -> Place {
        let source = match &self.source {
            Source::File { path, .. } => Source::File {
                path: path.clone(),
                line: Some(line),
            },
            other => other.clone(),
        };
        Place {
            source,
            key: format!("{}{below}", self.key),
        }
    }
}

/// The values of one source by key.
pub(super) type Layer = BTreeMap<String, (Place, Given)>;

/// Sections that hold a table for each name.
const NAMED: [&str; 1] = ["destinations"];

/// Tables inside of those that are settings by settings; others are settings as a whole.
const INNER: [&str; 3] = ["basic", "sign", "tls"];

/// A file's tables as a layer; what stands outside of a table keeps its single name. Each named table is there itself,
/// empty, and each of its settings.
pub(super) fn file_layer(path: &std::path::Path, table: Table) -> Layer {
    let mut layer = Layer::new();
    let mut put = |key: String, node: Node| {
        let source = Source::File {
            path: path.to_owned(),
            line: Some(node.line),
        };
        layer.insert(key.clone(), (Place { source, key }, Given::Node(node)));
    };
    for (section, node) in table {
        match node.value {
            Value::Table(entries) if NAMED.contains(&section.as_str()) => {
                for (name, node) in entries {
                    flatten(&mut put, format!("{section}.{name}"), node, true);
                }
            }
            Value::Table(entries) => entries
                .into_iter()
                .for_each(|(key, node)| put(format!("{section}.{key}"), node)),
            value => put(section, Node { line: node.line, value }),
        }
    }
    layer
}

/// A table that is settings by settings: itself without them, if it is a named one, and each of them.
fn flatten(put: &mut impl FnMut(String, Node), path: String, node: Node, named: bool) {
    let line = node.line;
    let Value::Table(entries) = node.value else {
        return put(path, node);
    };
    if named {
        let value = Value::Table(Table::new());
        put(path.clone(), Node { line, value });
    }
    for (key, node) in entries {
        let path = format!("{path}.{key}");
        if named && INNER.contains(&key.as_str()) {
            flatten(put, path, node, false);
        } else {
            put(path, node);
        }
    }
}

const PREFIX: &str = "HOOKHOST_";

/// The variables `HOOKHOST_SECTION__KEY` as a layer. Others are not looked at, as an orchestrator may have put them
/// there (`HOOKHOST_SERVICE_HOST`); an empty one counts as not given.
pub(super) fn environment_layer<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Layer {
    let mut layer = Layer::new();
    for (name, value) in variables {
        let Some(path) = name
            .strip_prefix(PREFIX)
            .filter(|path| path.contains("__") && !value.is_empty())
        else {
            continue;
        };
        let place = Place {
            source: Source::Environment,
            key: name.to_owned(),
        };
        layer.insert(
            path.replace("__", ".").to_ascii_lowercase(),
            (place, Given::Text(value.to_owned())),
        );
    }
    layer
}

/// Reads keys out of layers and collects what is wrong.
pub(super) struct Reader {
    /// The strongest first.
    layers: Vec<Layer>,
    known: Vec<String>,
    /// Known keys that are tables, which a file alone can give.
    tables: Vec<String>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(layers: Vec<Layer>) -> Reader {
        let (known, tables, problems, warnings) = Default::default();
        Reader {
            layers,
            known,
            tables,
            problems,
            warnings,
        }
    }

    pub(super) fn section(&mut self, name: impl Into<Cow<'static, str>>) -> Section<'_> {
        let name = name.into();
        Section { reader: self, name }
    }

    /// The names of the tables in a section that holds one for each name, each with the place of the weakest layer that
    /// has it. What stands there instead of a table is a problem, and no name.
    pub(super) fn names(&mut self, section: &str) -> Vec<(String, Place)> {
        let mut names = BTreeMap::new();
        let prefix = format!("{section}.");
        for (path, (place, given)) in self.layers.iter().rev().flatten() {
            let Some(rest) = path.strip_prefix(&prefix) else {
                continue;
            };
            if !rest.contains('.')
                && !matches!(
                    given,
                    Given::Node(Node {
                        value: Value::Table(_),
                        ..
                    })
                )
            {
                self.problems.push(place.problem("should be a table"));
            } else if let Some(name) = rest.split('.').next() {
                names.entry(name.to_owned()).or_insert_with(|| place.clone());
            }
        }
        let tables = self.layers.iter().flat_map(BTreeMap::keys).filter(|path| {
            let rest = path.strip_prefix(&prefix);
            rest.is_some_and(|rest| !rest.contains('.'))
        });
        let tables: BTreeSet<String> = tables.cloned().collect();
        self.tables.extend(tables);
        names.into_iter().collect()
    }

    /// What the strongest layer says about a key.
    fn find(layers: &[Layer], path: &str) -> Option<(Place, Given)> {
        layers.iter().find_map(|layer| layer.get(path)).cloned()
    }

    /// What is in force of everything that was given: for each key what the strongest layer says.
    pub(super) fn given(&self) -> Layer {
        let weakest_first = self.layers.iter().rev().flatten();
        weakest_first
            .map(|(path, given)| (path.clone(), given.clone()))
            .collect()
    }

    /// Reports every key that nobody has read, and gives the known ones.
    pub(super) fn finish(&mut self) -> Vec<String> {
        for (path, (place, given)) in self.layers.iter().flatten() {
            let from_file = matches!(given, Given::Node(_));
            let table = self.tables.contains(path);
            if table && !from_file {
                self.problems
                    .push(place.problem("is a table, which only a file can give"));
            }
            if table || self.known.contains(path) {
                continue;
            }
            let section = format!("{path}.");
            if self.known.iter().any(|known| known.starts_with(&section)) {
                self.problems.push(place.problem("should be a table"));
                continue;
            }
            let known = self.known.iter().chain(self.tables.iter().filter(|_| from_file));
            let mut known: Vec<&str> = known.map(String::as_str).collect();
            known.sort_unstable();
            let suggestion = suggestion(path, &known, |known| match place.source {
                Source::Environment => format!("{PREFIX}{}", known.replace('.', "__").to_ascii_uppercase()),
                _ => known.to_owned(),
            });
            self.problems.push(place.problem(format!("unknown key; {suggestion}")));
        }
        let mut known = self.known.clone();
        known.append(&mut self.tables.clone());
        known
    }
}

/// One section being read. Every method takes the key, what holds if nothing is given, and the bounds; a value that
/// breaks them is a problem, and the default is given so that the reading goes on.
pub(super) struct Section<'r> {
    reader: &'r mut Reader,
    name: Cow<'static, str>,
}

impl Section<'_> {
    /// What was given for a key that is not a scalar, as it stands.
    pub(super) fn table(&mut self, key: &str) -> Option<(Place, Given)> {
        let path = format!("{}.{key}", self.name);
        let found = Reader::find(&self.reader.layers, &path).filter(|(_, given)| matches!(given, Given::Node(_)));
        self.reader.tables.push(path);
        found
    }

    pub(super) fn problem(&mut self, problem: Problem) {
        self.reader.problems.push(problem);
    }

    pub(super) fn warning(&mut self, warning: Problem) {
        self.reader.warnings.push(warning);
    }

    /// A text that is read together with its place; none if it was not given or is wrong.
    pub(super) fn text_at<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<(Place, T)> {
        let place = self.place(key);
        let value = self.text(key, None, |text| read(text).map(Some));
        place.zip(value)
    }

    /// Whether any layer says something about a key.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.place(key).is_some()
    }

    /// What the strongest layer says about a key, as it stands there; whether that is right is not asked.
    pub(super) fn given(&self, key: &str) -> Option<(Place, Given)> {
        Reader::find(&self.reader.layers, &format!("{}.{key}", self.name))
    }

    /// A problem found after reading; none if the key was not given, because a default is never wrong.
    pub(super) fn problem_of(&mut self, key: &str, text: &str) {
        if let Some(place) = self.place(key) {
            self.reader.problems.push(place.problem(text));
        }
    }

    fn place(&self, key: &str) -> Option<Place> {
        self.given(key).map(|(place, _)| place)
    }

    fn optional<T>(&mut self, key: &str, read: impl FnOnce(&Given) -> Result<T, String>) -> Option<T> {
        let path = format!("{}.{key}", self.name);
        let found = Reader::find(&self.reader.layers, &path);
        self.reader.known.push(path);
        let (place, given) = found?;
        match read(&given) {
            Ok(value) => Some(value),
            Err(text) => {
                self.reader.problems.push(place.problem(text));
                None
            }
        }
    }

    pub(super) fn duration(&mut self, key: &str, default: Duration, bounds: RangeInclusive<Duration>) -> Duration {
        let read = |given: &Given| {
            let expected = "a duration such as \"1m30s\"";
            let duration = text(given)
                .ok_or_else(|| mismatch(given, expected))
                .and_then(|text| unit(parse_duration(text)));
            let shown = || (format_duration(*bounds.start()), format_duration(*bounds.end()));
            within(duration?, &bounds, shown)
        };
        self.optional(key, read).unwrap_or(default)
    }

    pub(super) fn size(&mut self, key: &str, default: usize, bounds: RangeInclusive<usize>) -> usize {
        let read = |given: &Given| {
            let size = match (text(given), integer(given)) {
                (Some(text), _) => unit(parse_size(text)),
                (None, Some(number)) => usize::try_from(number).map_err(|_| "should not be negative".to_owned()),
                (None, None) => Err(mismatch(given, "a size such as \"64MiB\"")),
            };
            within(size?, &bounds, || {
                (format_size(*bounds.start()), format_size(*bounds.end()))
            })
        };
        self.optional(key, read).unwrap_or(default)
    }

    /// A duration in whole seconds, as the protocol counts some.
    pub(super) fn seconds(&mut self, key: &str, default: u16) -> u16 {
        let bounds = Duration::ZERO..=Duration::from_secs(u64::from(u16::MAX));
        let duration = self.duration(key, Duration::from_secs(u64::from(default)), bounds);
        if duration.subsec_nanos() != 0 {
            self.problem_of(key, "should be whole seconds, as MQTT counts");
        }
        // The bounds leave nothing that does not fit.
        u16::try_from(duration.as_secs()).unwrap_or(u16::MAX)
    }

    pub(super) fn count<T: TryFrom<i64>>(&mut self, key: &str, default: T, bounds: RangeInclusive<i64>) -> T {
        let read = |given: &Given| {
            let number = integer(given).ok_or_else(|| mismatch(given, "a whole number"))?;
            let number = within(number, &bounds, || {
                (bounds.start().to_string(), bounds.end().to_string())
            })?;
            T::try_from(number).map_err(|_| "is too large".to_owned())
        };
        self.optional(key, read).unwrap_or(default)
    }

    pub(super) fn optional_count(&mut self, key: &str, bounds: RangeInclusive<i64>) -> Option<usize> {
        // Zero stands for "not given" and is below every bound that is asked for.
        Some(self.count(key, 0_usize, bounds)).filter(|count| *count != 0)
    }

    pub(super) fn fraction(&mut self, key: &str, default: f64, bounds: RangeInclusive<f64>) -> f64 {
        let read = |given: &Given| {
            let number = match given {
                Given::Node(Node {
                    value: Value::Float(number),
                    ..
                }) => Some(*number),
                Given::Node(Node {
                    value: Value::Integer(number),
                    ..
                }) => Some(*number as f64),
                Given::Text(text) => text.trim().parse().ok(),
                _ => None,
            };
            let number = number.ok_or_else(|| mismatch(given, "a number"))?;
            within(number, &bounds, || {
                (bounds.start().to_string(), bounds.end().to_string())
            })
        };
        self.optional(key, read).unwrap_or(default)
    }

    pub(super) fn boolean(&mut self, key: &str, default: bool) -> bool {
        let read = |given: &Given| match given {
            Given::Node(Node {
                value: Value::Boolean(truth),
                ..
            }) => Ok(*truth),
            Given::Text(text) if text.trim() == "true" => Ok(true),
            Given::Text(text) if text.trim() == "false" => Ok(false),
            _ => Err(mismatch(given, "true or false")),
        };
        self.optional(key, read).unwrap_or(default)
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, default: T, choices: &[(&str, T)]) -> T {
        let read = |given: &Given| {
            let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
            let chosen = text(given).and_then(|text| choices.iter().find(|(name, _)| *name == text.trim()));
            chosen
                .map(|(_, value)| *value)
                .ok_or_else(|| format!("should be {}", names.join(" or ")))
        };
        self.optional(key, read).unwrap_or(default)
    }

    /// A text, turned into what `read` makes of it.
    pub(super) fn text<T>(&mut self, key: &str, default: T, read: impl FnOnce(&str) -> Result<T, String>) -> T {
        let read = |given: &Given| text(given).ok_or_else(|| mismatch(given, "a string")).and_then(read);
        self.optional(key, read).unwrap_or(default)
    }

    pub(super) fn address(&mut self, key: &str, default: SocketAddr) -> SocketAddr {
        let expected = "should be an address with a port, such as \"127.0.0.1:1883\" or \"[::]:1883\"";
        self.text(key, default, |text| {
            text.trim().parse().map_err(|_| expected.to_owned())
        })
    }

    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key, None, |text| match text {
            "" => Err("is empty".to_owned()),
            text => Ok(Some(PathBuf::from(text))),
        })
    }

    /// A list of texts, each checked by `read`, with the place of the list; `None` if it was not given. Each bad element
    /// is a problem of its own.
    pub(super) fn list<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<(Place, Vec<T>)> {
        self.elements(key, false, read)
    }

    /// As [`Section::list`]; a file may also give a single text, whose parts are separated by blanks.
    pub(super) fn texts<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<(Place, Vec<T>)> {
        self.elements(key, true, read)
    }

    fn elements<T>(
        &mut self,
        key: &str,
        single: bool,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<(Place, Vec<T>)> {
        let path = format!("{}.{key}", self.name);
        let found = Reader::find(&self.reader.layers, &path);
        self.reader.known.push(path);
        let (place, given) = found?;
        let mut list = Vec::new();
        let mut put = |element: Result<&str, String>, place: Place| match element.and_then(&read) {
            Ok(value) => list.push(value),
            Err(text) => self.reader.problems.push(place.problem(text)),
        };
        match &given {
            Given::Text(text) => text.split_whitespace().for_each(|text| put(Ok(text), place.clone())),
            Given::Texts(texts) => texts.iter().for_each(|text| put(Ok(text), place.clone())),
            Given::Node(Node {
                value: Value::Text(text),
                ..
            }) if single => text.split_whitespace().for_each(|text| put(Ok(text), place.clone())),
            Given::Node(Node {
                value: Value::List(nodes),
                ..
            }) => {
                for (index, node) in nodes.iter().enumerate() {
                    let element = match &node.value {
                        Value::Text(text) => Ok(text.as_str()),
                        other => Err(format!("should be a string, not {}", other.kind())),
                    };
                    put(element, place.inside(&format!("[{index}]"), node.line));
                }
            }
            Given::Node(_) if single => put(Err(mismatch(&given, "a string or a list of strings")), place.clone()),
            Given::Node(_) => put(Err(mismatch(&given, "a list of strings")), place.clone()),
        }
        Some((place, list))
    }
}

fn text(given: &Given) -> Option<&str> {
    match given {
        Given::Text(text)
        | Given::Node(Node {
            value: Value::Text(text),
            ..
        }) => Some(text),
        _ => None,
    }
}

fn integer(given: &Given) -> Option<i64> {
    match given {
        Given::Text(text) => text.trim().replace('_', "").parse().ok(),
        Given::Node(Node {
            value: Value::Integer(number),
            ..
        }) => Some(*number),
        _ => None,
    }
}

fn mismatch(given: &Given, expected: &str) -> String {
    match given {
        Given::Node(node) => format!("should be {expected}, not {}", node.value.kind()),
        _ => format!("should be {expected}"),
    }
}

fn unit<T>(read: Result<T, UnitError>) -> Result<T, String> {
    read.map_err(|error| error.to_string())
}

fn within<T: PartialOrd>(
    value: T,
    bounds: &RangeInclusive<T>,
    shown: impl FnOnce() -> (String, String),
) -> Result<T, String> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    let (low, high) = shown();
    Err(format!("should be between {low} and {high}"))
}
