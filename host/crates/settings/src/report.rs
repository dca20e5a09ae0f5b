//! What reading has found: problems, items that are left out, unknown keys, warnings and notes.
//!
//! A file of another broker has items: rules, actions, connectors. Each item is read with a report of its own
//! ([`Report::item`]). If an item has problems, only this item is left out ([`Report::add_item`]).

use std::cell::RefCell;

use super::suggestion::suggestion;
use super::{Place, Problem, variables};

/// How the text about an unknown key begins if it is a mistake.
const UNKNOWN: &str = "unknown key";
/// How it begins if the key is ignored.
const UNKNOWN_AND_IGNORED: &str = "unknown key, ignored";

/// What an unknown key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownKeys {
    /// A problem that suggests the nearest key of the whole configuration.
    #[default]
    Problem,
    /// Listed in [`Findings::unknown`], with the nearest key of the same table.
    Listed,
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
    /// Mistakes in items, such as rules, that are left out. The rest of the configuration can be used.
    pub left_out: Vec<Problem>,
    /// Unknown keys, which are ignored.
    pub unknown: Vec<Problem>,
    /// What is ignored or does nothing.
    pub warnings: Vec<Problem>,
    /// Known keys without a meaning in hookhost, each with the reason.
    pub ignored: Vec<Problem>,
    /// What needs no attention, but is worth a comment in a converted file.
    pub notes: Vec<Problem>,
}

impl Findings {
    /// The same findings for a user who accepts no guess: items that are left out and unknown keys are problems.
    pub fn strict(mut self) -> Findings {
        self.problems.append(&mut self.left_out);
        self.problems.extend(self.unknown.drain(..).map(|problem| Problem {
            text: problem.text.replacen(UNKNOWN_AND_IGNORED, UNKNOWN, 1),
            ..problem
        }));
        self
    }

    fn append(&mut self, mut more: Findings) {
        self.problems.append(&mut more.problems);
        self.left_out.append(&mut more.left_out);
        self.unknown.append(&mut more.unknown);
        self.warnings.append(&mut more.warnings);
        self.ignored.append(&mut more.ignored);
        self.notes.append(&mut more.notes);
    }
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

    /// Adds a known key that has no meaning here. The text is the reason.
    pub fn ignored(&self, place: &Place, reason: impl Into<String>) {
        self.findings.borrow_mut().ignored.push(place.problem(reason));
    }

    /// Adds a mistake of an item that is left out.
    pub fn left_out(&self, problem: Problem) {
        self.findings.borrow_mut().left_out.push(problem);
    }

    /// The report of one item of this configuration.
    pub fn item(&self) -> Report {
        Report::new(self.unknown_keys)
    }

    /// Adds the findings of an item. Returns whether it has no problems; otherwise it must be left out.
    pub fn add_item(&self, item: Report) -> bool {
        let mut findings = item.finish();
        let is_good = findings.problems.is_empty();
        findings.left_out.append(&mut findings.problems);
        self.add(findings);
        is_good
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
        self.findings.borrow_mut().append(more);
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
        match self.unknown_keys {
            // The nearest key is known when all sections have been read.
            UnknownKeys::Problem => self.unknown.borrow_mut().push((place.clone(), path.to_owned())),
            UnknownKeys::Listed => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                self.unknown_name(place, key, &known);
            }
        }
    }

    /// Adds an unknown name that is ignored.
    pub fn unknown_name(&self, place: &Place, name: &str, known: &[&str]) {
        let suggestion = suggestion(name, known, str::to_owned);
        let problem = place.problem(format!("{UNKNOWN_AND_IGNORED}; {suggestion}"));
        self.findings.borrow_mut().unknown.push(problem);
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
                .push(place.problem(format!("{UNKNOWN}; {suggestion}")));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str) -> Place {
        Place::flag(key)
    }

    #[test]
    fn an_item_with_problems_is_left_out() {
        let report = Report::new(UnknownKeys::Listed);
        let bad = report.item();
        bad.problem(&place("bad"), "is wrong");
        bad.warning(&place("bad"), "is odd");
        assert!(!report.add_item(bad));
        let good = report.item();
        good.unknown_name(&place("colour"), "colour", &["size"]);
        assert!(report.add_item(good));
        let findings = report.finish();
        let unknown = place("colour").problem("unknown key, ignored; known are size");
        let expected = Findings {
            left_out: vec![place("bad").problem("is wrong")],
            warnings: vec![place("bad").problem("is odd")],
            unknown: vec![unknown],
            ..Findings::default()
        };
        assert_eq!(findings, expected);
        let strict = findings.strict();
        let refused = place("colour").problem("unknown key; known are size");
        assert_eq!(strict.problems, [place("bad").problem("is wrong"), refused]);
        assert_eq!(
            (strict.left_out.len(), strict.unknown.len(), strict.warnings.len()),
            (0, 0, 1)
        );
    }
}
