//! Events in a file, one on each line (NDJSON).

use super::{Problem, read};
use crate::{Event, Id};

/// A line that is not an event: `line 3: message: missing field …`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("line {line}: {}{}{}", .problem.key, separator(.problem), .problem.text)]
pub struct LineError {
    /// Its number, from 1.
    pub line: usize,
    /// The first mistake in it, with the path of its key.
    pub problem: Problem,
}

fn separator(problem: &Problem) -> &'static str {
    if problem.key.is_empty() { "" } else { ": " }
}

/// Reads a file of events; empty lines are skipped. An event without an id has the number of its line as its id.
pub fn lines(text: &str) -> Lines<'_> {
    Lines {
        lines: text.lines().enumerate(),
    }
}

/// The events of a file, in order: each an event, or the error of its line.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
}

impl Iterator for Lines<'_> {
    type Item = Result<Event, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (index, text) = self.lines.find(|(_, text)| !text.trim().is_empty())?;
        let line = index + 1;
        Some(read(text, Id(line as u128)).map_err(|problem| LineError { line, problem }))
    }
}
