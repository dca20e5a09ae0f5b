//! Events in a file, one on each line (NDJSON).

use super::{Problem, read};
use crate::{Event, Id};

/// A line that is no event.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", told(*.line, .problems))]
pub struct LineError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it, each with the path of its key.
    pub problems: Vec<Problem>,
}

/// `line 3: message.topik: is not …`, a line of text for each problem.
fn told(line: usize, problems: &[Problem]) -> String {
    let told = problems.iter().map(|Problem { key, text }| {
        let separator = if key.is_empty() { "" } else { ": " };
        format!("line {line}: {key}{separator}{text}")
    });
    told.collect::<Vec<_>>().join("\n")
}

/// Reads a file of events; empty lines are passed over. An event without an id has the number of its line as its id.
pub fn lines(text: &str) -> Lines<'_> {
    Lines {
        lines: text.lines().enumerate(),
    }
}

/// The events of a file, each or what is wrong with its line.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
}

impl Iterator for Lines<'_> {
    type Item = Result<Event, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, text) = self.lines.find(|(_, text)| !text.trim().is_empty())?;
        let line = index + 1;
        let event = read(text, Id(line as u128));
        Some(event.map_err(|problems| LineError {
            line,
            problems: problems.into(),
        }))
    }
}
