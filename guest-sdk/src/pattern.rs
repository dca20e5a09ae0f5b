//! Topic filters with named wildcards: `devices/{id}/temp`.
//!
//! A pattern is parsed once, when the module is configured. It has the topic filter for an interest, and it returns the
//! values of its names for a topic, without copying them.

use std::fmt;

use crate::topic::{FilterError, TopicFilter};

/// A topic filter with named wildcards.
///
/// `{name}` matches one level, like `+`. `{*name}` at the end matches all further levels, like `#`. A pattern may also
/// contain `+` and `#`.
///
/// ```
/// use hookhost_guest::pattern::TopicPattern;
///
/// let pattern: TopicPattern = "devices/{id}/{*path}".parse().unwrap();
/// assert_eq!(pattern.filter().as_str(), "devices/+/#");
///
/// let found = pattern.captures("devices/k7/rooms/1/temp").unwrap();
/// assert_eq!(found.get("id"), Some("k7"));
/// assert_eq!(found.get("path"), Some("rooms/1/temp"));
/// assert!(pattern.captures("sensors/k7").is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPattern {
    filter: TopicFilter,
    /// The names in order, each with the index of its level.
    names: Vec<(usize, Box<str>)>,
    /// The index of the level `{*name}`, if there is one.
    rest: Option<usize>,
}

/// Why a text is not a topic pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternError {
    /// With its names replaced by `+` and `#`, the text is not a valid topic filter.
    Filter(FilterError),
    /// Braces do not enclose a whole level, or a name is missing.
    Braces,
    /// A name occurs twice.
    Repeated(Box<str>),
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PatternError::Filter(error) => error.fmt(f),
            PatternError::Braces => {
                f.write_str("a name must be a whole level of a topic pattern: '{name}' or '{*name}'")
            }
            PatternError::Repeated(name) => write!(f, "the name '{name}' occurs twice in the topic pattern"),
        }
    }
}

impl std::error::Error for PatternError {}

impl std::str::FromStr for TopicPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let mut filter = String::with_capacity(text.len());
        let mut names: Vec<(usize, Box<str>)> = Vec::new();
        let mut rest = None;
        for (at, level) in text.split('/').enumerate() {
            if at > 0 {
                filter.push('/');
            }
            let Some(inside) = level.strip_prefix('{').and_then(|level| level.strip_suffix('}')) else {
                if level.contains(['{', '}']) {
                    return Err(PatternError::Braces);
                }
                filter.push_str(level);
                continue;
            };
            let name = inside.strip_prefix('*').unwrap_or(inside);
            if name.is_empty() || name.contains(['{', '}', '*']) {
                return Err(PatternError::Braces);
            }
            if names.iter().any(|(_, known)| **known == *name) {
                return Err(PatternError::Repeated(name.into()));
            }
            if inside.starts_with('*') {
                rest = Some(at);
            }
            filter.push(if inside.starts_with('*') { '#' } else { '+' });
            names.push((at, name.into()));
        }
        let filter = filter.parse().map_err(PatternError::Filter)?;
        Ok(TopicPattern { filter, names, rest })
    }
}

impl TopicPattern {
    /// The topic filter that matches the same topics as the pattern.
    pub fn filter(&self) -> &TopicFilter {
        &self.filter
    }

    /// Whether the pattern has a name.
    pub fn has(&self, name: &str) -> bool {
        self.names.iter().any(|(_, known)| **known == *name)
    }

    /// The values of the names in a topic; `None` if the topic does not match.
    pub fn captures<'a>(&'a self, topic: &'a str) -> Option<Captures<'a>> {
        self.filter.matches(topic).then_some(Captures { pattern: self, topic })
    }
}

impl<'de> serde::Deserialize<'de> for TopicPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The values of the names of a pattern in a topic.
#[derive(Debug, Clone, Copy)]
pub struct Captures<'a> {
    pattern: &'a TopicPattern,
    topic: &'a str,
}

impl<'a> Captures<'a> {
    /// The value of a name: one level, or all further levels for `{*name}`. `None` if the pattern has no such name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let (level, _) = self.pattern.names.iter().find(|(_, known)| **known == *name)?;
        Some(self.at(*level))
    }

    /// All names with their values, in the order of the pattern.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let captures = *self;
        self.pattern
            .names
            .iter()
            .map(move |(level, name)| (&**name, captures.at(*level)))
    }

    fn at(&self, level: usize) -> &'a str {
        let mut rest = self.topic;
        for _ in 0..level {
            match split_level(rest).1 {
                Some(after) => rest = after,
                // `a/{*rest}` matches `a`, and `rest` is then empty.
                None => return "",
            }
        }
        if self.pattern.rest == Some(level) {
            return rest;
        }
        split_level(rest).0
    }
}

/// The first level, and the text after its slash. A loop over the bytes is faster than `str::split_once` here, because
/// levels are short.
fn split_level(topic: &str) -> (&str, Option<&str>) {
    let slash = topic.bytes().position(|byte| byte == b'/');
    let split = slash.and_then(|at| Some((topic.get(..at)?, topic.get(at + 1..)?)));
    split.map_or((topic, None), |(level, rest)| (level, Some(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> TopicPattern {
        text.parse().unwrap()
    }

    #[test]
    fn names_have_the_values_of_their_levels() {
        for (text, filter, topic, expected) in [
            ("a/b", "a/b", "a/b", &[][..]),
            ("{a}", "+", "x", &[("a", "x")]),
            ("{a}/+/{b}", "+/+/+", "1/2/3", &[("a", "1"), ("b", "3")]),
            ("/{a}/", "/+/", "/x/", &[("a", "x")]),
            ("{a}/#", "+/#", "x/y/z", &[("a", "x")]),
            ("d/{*rest}", "d/#", "d/x/y", &[("rest", "x/y")]),
            ("d/{*rest}", "d/#", "d", &[("rest", "")]),
            ("{*all}", "#", "x/y", &[("all", "x/y")]),
            ("{grün}/x", "+/x", "é/x", &[("grün", "é")]),
        ] {
            let pattern = pattern(text);
            assert_eq!(pattern.filter().as_str(), filter);
            let captures = pattern.captures(topic).unwrap();
            assert_eq!(captures.iter().collect::<Vec<_>>(), expected, "{text} on {topic}");
            assert_eq!(captures.get("other"), None);
        }
        assert!(pattern("{a}/x").captures("$SYS/x").is_none());
    }

    #[test]
    fn malformed_patterns_say_why() {
        for (text, error) in [
            ("a/{", PatternError::Braces),
            ("a/{}", PatternError::Braces),
            ("a/{*}", PatternError::Braces),
            ("a/x{b}", PatternError::Braces),
            ("a/{b}c", PatternError::Braces),
            ("a/{{b}}", PatternError::Braces),
            ("{a}/{a}", PatternError::Repeated("a".into())),
            ("{*a}/b", PatternError::Filter(FilterError::MultiLevelWildcard)),
            ("", PatternError::Filter(FilterError::Empty)),
        ] {
            assert_eq!(text.parse::<TopicPattern>(), Err(error), "{text:?}");
        }
    }
}
