//! Where a value was given, and problems with it.
//!
//! A problem repeats the key and never the value: values may hold passwords.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What a value was given by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Source {
    /// The command line; the key is the flag.
    Flag,
    /// The environment; the key is the variable.
    Environment,
    /// A file.
    File {
        /// The path as the user wrote it.
        path: Arc<Path>,
        /// The line, counted from 1; `None` for the whole file.
        line: Option<usize>,
    },
    /// A module that reported the problem itself; the key is one of the module's configuration.
    Module(String),
}

/// A source, and the name of the setting in that source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What the value was given by.
    pub source: Source,
    /// The name there, such as `delivery.http_timeout` or `--listen`; empty for the whole source.
    pub key: String,
}

impl Place {
    /// A flag of the command line, such as `--listen`.
    pub fn flag(name: impl Into<String>) -> Place {
        Place {
            source: Source::Flag,
            key: name.into(),
        }
    }

    /// A variable of the environment; an empty name is the whole environment.
    pub fn variable(name: impl Into<String>) -> Place {
        Place {
            source: Source::Environment,
            key: name.into(),
        }
    }

    /// A key in a line of a file. Lines count from 1.
    pub fn line(path: impl Into<Arc<Path>>, line: usize, key: impl Into<String>) -> Place {
        Place {
            source: Source::File {
                path: path.into(),
                line: Some(line),
            },
            key: key.into(),
        }
    }

    /// A whole file.
    pub fn file(path: impl Into<Arc<Path>>) -> Place {
        Place {
            source: Source::File {
                path: path.into(),
                line: None,
            },
            key: String::new(),
        }
    }

    /// A key of a module's configuration; an empty key is the whole module.
    pub fn module(name: impl Into<String>, key: impl Into<String>) -> Place {
        Place {
            source: Source::Module(name.into()),
            key: key.into(),
        }
    }

    /// Whether a file gave the value.
    pub fn is_file(&self) -> bool {
        matches!(self.source, Source::File { .. })
    }

    /// Whether a variable of the environment gave the value.
    pub fn is_variable(&self) -> bool {
        self.source == Source::Environment
    }

    /// The same source with a longer key: `.name` is appended, or `name` if the key is empty.
    pub fn below(&self, name: &str) -> Place {
        Place {
            source: self.source.clone(),
            key: join(&self.key, name),
        }
    }

    /// A problem with what was given at this place. The text continues a sentence that begins with the key.
    pub fn problem(&self, text: impl Into<String>) -> Problem {
        Problem {
            place: self.clone(),
            text: text.into(),
        }
    }
}

/// Joins the names of a table and of an entry with a dot; the root table has an empty name.
pub(crate) fn join(table: &str, entry: &str) -> String {
    match table {
        "" => entry.to_owned(),
        table => format!("{table}.{entry}"),
    }
}

/// The key, after the source: `hookhost.toml:3: mqtt.listen`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Flag => String::new(),
            Source::Environment => "environment".to_owned(),
            Source::File { path, line: Some(line) } => format!("{}:{line}", path.display()),
            Source::File { path, line: None } => path.display().to_string(),
            Source::Module(name) => format!("module {name}"),
        };
        let separator = if source.is_empty() || self.key.is_empty() {
            ""
        } else {
            ": "
        };
        write!(f, "{source}{separator}{}", self.key)
    }
}

/// A mistake, or something that an operator should know, with its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it is.
    pub place: Place,
    /// What is wrong and what to do, as the rest of a sentence that begins with the key.
    pub text: String,
}

impl Problem {
    /// A problem with a whole file, such as one that cannot be read.
    pub fn of_file(path: impl Into<Arc<Path>>, text: impl Into<String>) -> Problem {
        Place::file(path).problem(text)
    }

    /// The problem as one line, without the name of a module; for output about a single module.
    pub fn without_module(&self) -> String {
        match &self.place.source {
            Source::Module(_) if self.place.key.is_empty() => self.text.clone(),
            Source::Module(_) => format!("{}: {}", self.place.key, self.text),
            _ => self.to_string(),
        }
    }
}

/// One line: `hookhost.toml:3: mqtt.listen: should be …`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.to_string();
        let separator = if place.is_empty() { "" } else { ": " };
        write!(f, "{place}{separator}{}", self.text)
    }
}

/// An error and all its causes on one line, separated by `: `.
pub fn error_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_where_it_is() {
        let file = Path::new("a.toml");
        let cases = [
            (Place::flag("--listen"), "--listen: is wrong"),
            (Place::variable("HOOKHOST_LOG"), "environment: HOOKHOST_LOG: is wrong"),
            (Place::variable(""), "environment: is wrong"),
            (Place::line(file, 3, "mqtt.listen"), "a.toml:3: mqtt.listen: is wrong"),
            (Place::line(file, 3, ""), "a.toml:3: is wrong"),
            (Place::file(file), "a.toml: is wrong"),
            (Place::module("webhook", "rule.x"), "module webhook: rule.x: is wrong"),
        ];
        for (place, expected) in cases {
            assert_eq!(place.problem("is wrong").to_string(), expected);
        }
    }

    #[test]
    fn an_error_is_shown_with_its_causes() {
        let cause = std::io::Error::other("disk full");
        let error = std::io::Error::other(cause);
        assert_eq!(error_line(&error), "disk full");
        #[derive(Debug, thiserror::Error)]
        #[error("cannot write")]
        struct Write(#[source] std::io::Error);
        assert_eq!(
            error_line(&Write(std::io::Error::other("disk full"))),
            "cannot write: disk full"
        );
    }
}
