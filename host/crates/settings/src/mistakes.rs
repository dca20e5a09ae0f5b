//! The problems of a configuration that is refused, and those that modules add.

use std::path::PathBuf;

use crate::{Problem, Source};

/// The problems of a configuration that is refused.
#[derive(Debug, Default)]
pub struct Mistakes {
    /// The problems, ordered by place.
    pub problems: Vec<Problem>,
    /// A file whose rules have been checked already: problems of modules with it are not added.
    pub checked: Option<PathBuf>,
}

impl Mistakes {
    /// Adds the problems that modules report, ordered by place. Problems of a place that has one already are left out, and
    /// so are problems of [`checked`](Mistakes::checked).
    pub fn add(&mut self, more: impl IntoIterator<Item = Problem>) {
        let before = self.problems.len();
        for problem in more {
            let is_known = |known: &Problem| known.place == problem.place;
            let known = self.problems.get(..before).unwrap_or_default();
            if !known.iter().any(is_known) && !self.is_checked(&problem.place.source) {
                self.problems.push(problem);
            }
        }
        self.problems.sort();
    }

    fn is_checked(&self, source: &Source) -> bool {
        matches!(source, Source::File { path, .. } if Some(&**path) == self.checked.as_deref())
    }
}
