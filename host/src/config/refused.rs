//! A configuration with problems, and the parts of it that can still be checked.

use std::path::{Path, PathBuf};

use super::webhook::RulesFrom;
use super::{Config, Problem};
use hookhost_import::Broker;
use hookhost_settings::Source;

/// A configuration that is rejected, with all its problems.
///
/// At first it does not include the problems that modules report. To include them, pass [`rest`](Refused::rest) to the
/// modules and [`add`](Refused::add) their reports.
#[derive(Debug)]
pub struct Refused {
    /// The problems, ordered by place.
    pub problems: Vec<Problem>,
    /// The configuration in which each invalid value is replaced by its default.
    pub(super) rest: Box<Config>,
    /// Whether it contains the operator's rules.
    pub(super) has_rules: bool,
    /// As [`Loaded::files`](super::Loaded::files).
    pub(super) files: Vec<PathBuf>,
}

impl Refused {
    /// The configuration without its invalid values, for finding more problems. Must not be used to start anything.
    pub fn rest(&self) -> &Config {
        &self.rest
    }

    /// The files that were read for it: one of them has to change.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Whether [`rest`](Refused::rest) has the operator's rules. It does not if a file cannot be read. Problems that a
    /// module then reports are not the operator's.
    pub fn has_rules(&self) -> bool {
        self.has_rules
    }

    /// Adds the problems that modules report, ordered by place. Leaves out problems of a place that already has one, and
    /// problems of rules that were checked when they were imported.
    pub fn add(&mut self, more: impl IntoIterator<Item = Problem>) {
        let before = self.problems.len();
        for problem in more {
            let known = self.problems.get(..before).unwrap_or_default();
            let is_known = known.iter().any(|known| known.place == problem.place);
            if !is_known && !self.is_checked(&problem.place.source) {
                self.problems.push(problem);
            }
        }
        self.problems.sort();
    }

    /// Whether the rules of a file were checked when they were imported.
    fn is_checked(&self, source: &Source) -> bool {
        let checked: Option<&Path> = match &self.rest.webhook.rules {
            // RMQTT's rules are checked by the module itself.
            RulesFrom::Broker { broker, path } if *broker != Broker::Rmqtt => path.as_deref(),
            _ => None,
        };
        matches!(source, Source::File { path, .. } if Some(&**path) == checked)
    }
}
