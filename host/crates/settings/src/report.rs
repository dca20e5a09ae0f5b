//! What reading has found: problems, warnings and notes.

use std::cell::RefCell;

use super::suggestion::suggestion;
use super::{Place, Problem, variables};

/// What an unknown key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownKeys {
    /// A problem that suggests the nearest key of the whole configuration.
    #[default]
    Problem,
    /// A problem in a file and a warning in the environment, with the nearest key of the same table.
    ProblemInFiles,
    /// A warning with the nearest key of the same table.
    Warning,
}

/// Collects what reading finds. It is shared by all sections of a configuration, so that reading goes on after a
/// problem and reports all of them.
#[derive(Debug, Default)]
pub struct Report {
    unknown_keys: UnknownKeys,
    findings: RefCell<Findings>,
    /// Paths of the keys that are read, and whether each is a table, which only a file can give.
    known: RefCell<Vec<(String, bool)>>,
    /// Places and paths of the unread keys.
    unknown: RefCell<Vec<(Place, String)>>,
}

/// Everything that reading has found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Findings {
    /// Mistakes: the configuration cannot be used.
    pub problems: Vec<Problem>,
    /// What is ignored or does nothing.
    pub warnings: Vec<Problem>,
    /// What needs no attention, but is worth a comment in a converted file.
    pub notes: Vec<Problem>,
}

impl Report {
    /// A report that treats unknown keys as given.
    pub fn new(unknown_keys: UnknownKeys) -> Report {
        Report {
            unknown_keys,
            ..Report::default()
        }
    }

    /// Adds a mistake of a place. The text continues a sentence that begins with the key.
    pub fn problem(&self, place: &Place, text: impl Into<String>) {
        self.add_problem(place.problem(text));
    }

    /// Adds a warning about a place.
    pub fn warning(&self, place: &Place, text: impl Into<String>) {
        self.add_warning(place.problem(text));
    }

    /// Adds a note about a place.
    pub fn note(&self, place: &Place, text: impl Into<String>) {
        self.findings.borrow_mut().notes.push(place.problem(text));
    }

    /// Adds a mistake.
    pub fn add_problem(&self, problem: Problem) {
        self.findings.borrow_mut().problems.push(problem);
    }

    /// Adds a warning.
    pub fn add_warning(&self, warning: Problem) {
        self.findings.borrow_mut().warnings.push(warning);
    }

    /// Adds what another report has found.
    pub fn add(&self, more: Findings) {
        let mut findings = self.findings.borrow_mut();
        findings.problems.extend(more.problems);
        findings.warnings.extend(more.warnings);
        findings.notes.extend(more.notes);
    }

    /// Adds the problem of a result that has one.
    pub fn check<T>(&self, result: Result<T, Problem>) -> Option<T> {
        result.map_err(|problem| self.add_problem(problem)).ok()
    }

    /// How many mistakes there are so far; unknown keys may not be among them yet.
    pub fn problem_count(&self) -> usize {
        self.findings.borrow().problems.len()
    }

    /// Whether a mistake of this place, or of something below it, is already reported.
    pub fn has_problem_below(&self, place: &Place) -> bool {
        let is_below = |known: &Place| known.source == place.source && known.key.starts_with(&place.key);
        self.findings
            .borrow()
            .problems
            .iter()
            .any(|known| is_below(&known.place))
    }

    /// Reports an unread key.
    pub(crate) fn unknown_key(&self, place: &Place, path: &str, key: &str, known: &[String]) {
        let is_problem = match self.unknown_keys {
            // The nearest key is known when all sections have been read.
            UnknownKeys::Problem => {
                self.unknown.borrow_mut().push((place.clone(), path.to_owned()));
                return;
            }
            UnknownKeys::ProblemInFiles => !place.is_variable(),
            UnknownKeys::Warning => false,
        };
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        self.unknown_name(place, key, &known, is_problem);
    }

    /// Reports a name that is none of the known ones: a problem, or a warning that it is ignored.
    pub fn unknown_name(&self, place: &Place, name: &str, known: &[&str], is_problem: bool) {
        let suggestion = suggestion(name, known, str::to_owned);
        if is_problem {
            self.problem(place, format!("unknown key; {suggestion}"));
        } else {
            self.warning(place, format!("unknown key, ignored; {suggestion}"));
        }
    }

    /// Adds a key that a section reads, by its path.
    pub(crate) fn known_key(&self, path: String, is_table: bool) {
        self.known.borrow_mut().push((path, is_table));
    }

    /// The paths of all keys that sections have read, such as `delivery.http_timeout`.
    pub fn known_keys(&self) -> Vec<String> {
        self.known.borrow().iter().map(|(path, _)| path.clone()).collect()
    }

    /// All findings, unknown keys included.
    pub fn finish(self) -> Findings {
        let mut findings = self.findings.into_inner();
        let mut known = self.known.into_inner();
        known.sort_unstable();
        known.dedup();
        for (place, path) in self.unknown.into_inner() {
            let usable = known.iter().filter(|(_, is_table)| !is_table || place.is_file());
            let usable: Vec<&str> = usable.map(|(path, _)| path.as_str()).collect();
            let suggestion = suggestion(&path, &usable, |known| match place.is_variable() {
                true => variables::name(known),
                false => known.to_owned(),
            });
            findings
                .problems
                .push(place.problem(format!("unknown key; {suggestion}")));
        }
        findings
    }
}
