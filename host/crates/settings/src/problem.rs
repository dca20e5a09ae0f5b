//! What is wrong with a configuration, where, and what was probably meant.
//!
//! A problem repeats the key and never the value: values may hold passwords.

use std::fmt;
use std::path::PathBuf;

use hookhost_shared::nearest::nearest;

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

    /// The same where it is clear which module is meant, and only the place in a file is worth telling.
    pub fn without_module(&self) -> String {
        match &self.source {
            Source::Module(_) if self.key.is_empty() => self.text.clone(),
            Source::Module(_) => format!("{}: {}", self.key, self.text),
            _ => self.to_string(),
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

/// What to say about a key that nobody knows: the known one that was probably meant, or else all that could have been.
/// `shown` turns a key into what it is called where the unknown one was found.
pub fn suggestion(key: &str, known: &[&str], shown: impl Fn(&str) -> String) -> String {
    let meant = meant(key, known);
    if !meant.is_empty() {
        let verb = if meant.len() == 1 { "one is" } else { "ones are" };
        let meant: Vec<String> = meant.into_iter().map(&shown).collect();
        return format!("the nearest known {verb} {}", meant.join(" and "));
    }
    let section = key.split_once('.').map_or("", |(section, _)| section);
    let inside = |known: &&&str| known.split_once('.').is_some_and(|(other, _)| other == section);
    let siblings: Vec<String> = known.iter().filter(inside).map(|known| shown(known)).collect();
    if !siblings.is_empty() {
        return format!("known are {}", siblings.join(", "));
    }
    let mut sections: Vec<&str> = known
        .iter()
        .map(|known| known.split('.').next().unwrap_or_default())
        .collect();
    sections.dedup();
    format!("known are {}", sections.join(", "))
}

/// The right word in the wrong section, or else a word that was mistyped. Several sections may have it.
fn meant<'a>(key: &str, known: &[&'a str]) -> Vec<&'a str> {
    let last = |key: &'a str| key.rsplit('.').next().unwrap_or_default();
    let word = key.rsplit('.').next().unwrap_or_default();
    let with = |word: &str| -> Vec<&'a str> { known.iter().copied().filter(|known| last(known) == word).collect() };
    let same = with(word);
    if !same.is_empty() {
        return same;
    }
    match nearest(key, known.iter().copied()) {
        Some(mistyped) => vec![mistyped],
        None => nearest(word, known.iter().map(|known| last(known)))
            .map(with)
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_probably_meant() {
        let known = [
            "delivery.connect_timeout",
            "delivery.http_timeout",
            "delivery.queue_bytes",
            "hooks.queue_bytes",
            "mqtt.listen",
            "mqtt.send_timeout",
        ];
        let cases = [
            ("mqtt.lisen", "the nearest known one is mqtt.listen"),
            ("listen", "the nearest known one is mqtt.listen"),
            ("mqtt.http_timeout", "the nearest known one is delivery.http_timeout"),
            (
                "delivery.conect_timeout",
                "the nearest known one is delivery.connect_timeout",
            ),
            ("lissten", "the nearest known one is mqtt.listen"),
            (
                "queue_bytes",
                "the nearest known ones are delivery.queue_bytes and hooks.queue_bytes",
            ),
            ("mqtt.x", "known are mqtt.listen, mqtt.send_timeout"),
            ("frobnicate.x", "known are delivery, hooks, mqtt"),
        ];
        for (key, expected) in cases {
            assert_eq!(suggestion(key, &known, str::to_owned), expected, "{key}");
        }
        assert_eq!(suggestion("a", &["abc", "def"], str::to_owned), "known are abc, def");
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
