//! Values as the types that are wanted, one method for each.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::{Given, Place, Reader};
use crate::document::{Node, Value};
use crate::problem::Problem;
use crate::units::{UnitError, format_duration, format_size, parse_duration, parse_size};

/// One section being read. Every method takes the key, what holds if nothing is given, and the bounds; a value that
/// breaks them is a problem, and the default is given so that the reading goes on.
pub struct Section<'r> {
    pub reader: &'r mut Reader,
    pub name: Cow<'static, str>,
}

impl Section<'_> {
    /// What was given for a key that is not a scalar, as it stands.
    pub fn table(&mut self, key: &str) -> Option<(Place, Given)> {
        let path = format!("{}.{key}", self.name);
        let found = Reader::find(&self.reader.layers, &path).filter(|(_, given)| matches!(given, Given::Node(_)));
        self.reader.tables.push(path);
        found
    }

    pub fn problem(&mut self, problem: Problem) {
        self.reader.problems.push(problem);
    }

    pub fn warning(&mut self, warning: Problem) {
        self.reader.warnings.push(warning);
    }

    /// A text that is read together with its place; none if it was not given or is wrong.
    pub fn text_at<T>(&mut self, key: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<(Place, T)> {
        let place = self.place(key);
        let value = self.text(key, None, |text| read(text).map(Some));
        place.zip(value)
    }

    /// Whether any layer says something about a key.
    pub fn is_given(&self, key: &str) -> bool {
        self.place(key).is_some()
    }

    /// What the strongest layer says about a key, as it stands there; whether that is right is not asked.
    pub fn given(&self, key: &str) -> Option<(Place, Given)> {
        Reader::find(&self.reader.layers, &format!("{}.{key}", self.name))
    }

    /// A problem found after reading; none if the key was not given, because a default is never wrong.
    pub fn problem_of(&mut self, key: &str, text: &str) {
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

    pub fn duration(&mut self, key: &str, default: Duration, bounds: RangeInclusive<Duration>) -> Duration {
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

    pub fn size(&mut self, key: &str, default: usize, bounds: RangeInclusive<usize>) -> usize {
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
    pub fn seconds(&mut self, key: &str, default: u16) -> u16 {
        let bounds = Duration::ZERO..=Duration::from_secs(u64::from(u16::MAX));
        let duration = self.duration(key, Duration::from_secs(u64::from(default)), bounds);
        if duration.subsec_nanos() != 0 {
            self.problem_of(key, "should be whole seconds, as MQTT counts");
        }
        // The bounds leave nothing that does not fit.
        u16::try_from(duration.as_secs()).unwrap_or(u16::MAX)
    }

    pub fn count<T: TryFrom<i64>>(&mut self, key: &str, default: T, bounds: RangeInclusive<i64>) -> T {
        let read = |given: &Given| {
            let number = integer(given).ok_or_else(|| mismatch(given, "a whole number"))?;
            let number = within(number, &bounds, || {
                (bounds.start().to_string(), bounds.end().to_string())
            })?;
            T::try_from(number).map_err(|_| "is too large".to_owned())
        };
        self.optional(key, read).unwrap_or(default)
    }

    pub fn optional_count(&mut self, key: &str, bounds: RangeInclusive<i64>) -> Option<usize> {
        // Zero stands for "not given" and is below every bound that is asked for.
        Some(self.count(key, 0_usize, bounds)).filter(|count| *count != 0)
    }

    pub fn fraction(&mut self, key: &str, default: f64, bounds: RangeInclusive<f64>) -> f64 {
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

    pub fn boolean(&mut self, key: &str, default: bool) -> bool {
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

    pub fn choice<T: Copy>(&mut self, key: &str, default: T, choices: &[(&str, T)]) -> T {
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
    pub fn text<T>(&mut self, key: &str, default: T, read: impl FnOnce(&str) -> Result<T, String>) -> T {
        let read = |given: &Given| text(given).ok_or_else(|| mismatch(given, "a string")).and_then(read);
        self.optional(key, read).unwrap_or(default)
    }

    pub fn address(&mut self, key: &str, default: SocketAddr) -> SocketAddr {
        let expected = "should be an address with a port, such as \"127.0.0.1:1883\" or \"[::]:1883\"";
        self.text(key, default, |text| {
            text.trim().parse().map_err(|_| expected.to_owned())
        })
    }

    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.text(key, None, |text| match text {
            "" => Err("is empty".to_owned()),
            text => Ok(Some(PathBuf::from(text))),
        })
    }

    /// A list of texts, each checked by `read`, with the place of the list; `None` if it was not given. Each bad element
    /// is a problem of its own.
    pub fn list<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<(Place, Vec<T>)> {
        self.elements(key, false, read)
    }

    /// As [`Section::list`]; a file may also give a single text, whose parts are separated by blanks.
    pub fn texts<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<(Place, Vec<T>)> {
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
