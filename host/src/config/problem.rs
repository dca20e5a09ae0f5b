//! What is wrong with a configuration, where, and what was probably meant.
//!
//! A problem repeats the key and never the value: values may hold passwords.

use std::fmt;
use std::path::PathBuf;

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Source {
    /// The command line; the key is the flag.
    Flag,
    /// The environment; the key is the variable.
    Environment,
    /// A file and, where it is known, the line, counted from 1.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line.
        line: Option<usize>,
    },
    /// A module, which said so itself; the key is one of its own configuration.
    Module(String),
}

/// One mistake, or one thing that an operator should know, with the place to look at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it stands.
    pub source: Source,
    /// Which setting, such as `delivery.http_timeout`; empty if it is about the whole source.
    pub key: String,
    /// What is the matter, as the rest of a sentence that begins with the key.
    pub text: String,
}

impl Problem {
    /// A problem of a whole file, such as one that cannot be read.
    pub fn of_file(path: impl Into<PathBuf>, text: impl Into<String>) -> Problem {
        let source = Source::File {
            path: path.into(),
            line: None,
        };
        Problem {
            source,
            key: String::new(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Flag => {}
            Source::Environment => f.write_str("environment: ")?,
            Source::File { path, line: Some(line) } => write!(f, "{}:{line}: ", path.display())?,
            Source::File { path, line: None } => write!(f, "{}: ", path.display())?,
            Source::Module(name) => write!(f, "module {name}: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

/// The known name that was probably meant. Dotted names are also compared by their last word alone, so that a key in
/// the wrong section is found.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    known.into_iter().min_by_key(|candidate| {
        let misplaced = distance(&last(name), &last(candidate)) + usize::from(candidate.contains('.'));
        distance(name, candidate).min(misplaced)
    })
}

/// How many letters have to be put in, left out, replaced or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // Rows of the usual table, the last two and the one being filled.
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut previous = None;
    for (row, letter) in from.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let mut cost = at(&above, column) + usize::from(letter != *other);
            cost = cost.min(at(&above, column + 1) + 1).min(at(&current, column) + 1);
            let swapped = column > 0 && previous == Some(*other) && to.get(column - 1) == Some(&letter);
            if swapped {
                cost = cost.min(at(&before, column - 1) + 1);
            }
            current.push(cost);
        }
        before = std::mem::replace(&mut above, current);
        previous = Some(letter);
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let cases = [
            ("", "", 0),
            ("abc", "abc", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("message_publsh", "message_publish", 1),
            ("htpp", "http", 1),
            ("kitten", "sitting", 3),
            ("ünit", "unit", 1),
        ];
        for (from, to, expected) in cases {
            assert_eq!(distance(from, to), expected, "{from} {to}");
            assert_eq!(distance(to, from), expected, "{to} {from}");
        }
    }

    #[test]
    fn the_nearest_name_may_be_in_another_section() {
        let known = ["mqtt.listen", "delivery.http_timeout", "delivery.connect_timeout"];
        let cases = [
            ("mqtt.lisen", "mqtt.listen"),
            ("listen", "mqtt.listen"),
            ("mqtt.http_timeout", "delivery.http_timeout"),
            ("delivery.conect_timeout", "delivery.connect_timeout"),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known), Some(expected), "{name}");
        }
        assert_eq!(nearest("x", []), None);
    }

    #[test]
    fn a_problem_says_where() {
        let problem = |source, key: &str| {
            Problem {
                source,
                key: key.to_owned(),
                text: "is wrong".to_owned(),
            }
            .to_string()
        };
        let file = |line| Source::File {
            path: "a.toml".into(),
            line,
        };
        assert_eq!(problem(Source::Flag, "--listen"), "--listen: is wrong");
        assert_eq!(
            problem(Source::Environment, "HOOKHOST_LOG"),
            "environment: HOOKHOST_LOG: is wrong"
        );
        assert_eq!(problem(file(Some(3)), "mqtt.listen"), "a.toml:3: mqtt.listen: is wrong");
        assert_eq!(problem(file(None), ""), "a.toml: is wrong");
        assert_eq!(
            problem(Source::Module("webhook".into()), "rule.x"),
            "module webhook: rule.x: is wrong"
        );
    }
}
