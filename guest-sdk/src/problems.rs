//! Mistakes in a module's configuration: all of them at once, each with the key where it is.

use std::fmt;

use serde::de::DeserializeOwned;

pub use crate::bindings::hookhost::hook::types::Problem;

/// A list of mistakes, which refuses a configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// No mistake so far.
    pub fn new() -> Problems {
        Problems::default()
    }

    /// One mistake.
    pub fn one(key: impl Into<String>, text: impl fmt::Display) -> Problems {
        let mut problems = Problems::new();
        problems.add(key, text);
        problems
    }

    /// Adds a mistake; the key is keys and indices joined by dots, such as `rules.3.topic`, or empty for the whole.
    pub fn add(&mut self, key: impl Into<String>, text: impl fmt::Display) {
        self.0.push(Problem {
            key: key.into(),
            text: text.to_string(),
        });
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// An error if there is any mistake.
    pub fn check(self) -> Result<(), Problems> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// One mistake a line: `key: text`.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let line_end = if at == 0 { "" } else { "\n" };
            let separator = if problem.key.is_empty() { "" } else { ": " };
            write!(f, "{line_end}{}{separator}{}", problem.key, problem.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Vec<Problem> {
    fn from(problems: Problems) -> Vec<Problem> {
        problems.0
    }
}

/// Reads a configuration, which is JSON text.
pub(crate) fn parse<T: DeserializeOwned>(config: &str) -> Result<T, Problems> {
    let mut reader = serde_json::Deserializer::from_str(config);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = path(error.path());
        // serde_json adds line and column, which mean nothing to somebody who wrote TOML.
        let text = error.inner().to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        Problems::one(path, text)
    })
}

/// Keys and indices joined by dots.
fn path(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    });
    segments.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[serde(rename = "url")]
        _url: String,
        #[serde(rename = "limits", default)]
        _limits: Vec<Limit>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limit {
        #[serde(rename = "max")]
        _max: u8,
    }

    #[test]
    fn a_mistake_names_its_key() {
        for (config, expected) in [
            (r#"{}"#, "missing field `url`"),
            (r#"{"url":1}"#, "url: invalid type: integer `1`, expected a string"),
            (
                r#"{"url":"x","limits":[{"max":1},{"max":300}]}"#,
                "limits.1.max: invalid value: integer `300`, expected u8",
            ),
            (
                r#"{"url":"x","limits":[{"min":1}]}"#,
                "limits.0.min: unknown field `min`, expected `max`",
            ),
            (r#"{"url":"x""#, "EOF while parsing an object"),
        ] {
            assert_eq!(parse::<Config>(config).unwrap_err().to_string(), expected, "{config}");
        }
        assert!(parse::<Config>(r#"{"url":"x"}"#).is_ok());
    }

    #[test]
    fn several_mistakes_are_several_lines() {
        let mut problems = Problems::new();
        assert!(problems.clone().check().is_ok());
        problems.add("a.0", "wrong");
        problems.add("", "empty");
        assert_eq!(problems.to_string(), "a.0: wrong\nempty");
        assert_eq!(problems.check().unwrap_err().iter().count(), 2);
    }
}
