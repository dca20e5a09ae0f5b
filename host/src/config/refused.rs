//! A configuration with mistakes, and what can still be asked of it: whether there are more.

use super::formats::Format;
use super::webhook::RulesFrom;
use super::{Config, Problem, Source};

/// Everything that is wrong with a configuration.
///
/// What modules think of it is not among that at first: [`rest`](Refused::rest) can be shown to them, and
/// [`add`](Refused::add) takes what they say.
#[derive(Debug)]
pub struct Refused {
    /// The mistakes, by place.
    pub problems: Vec<Problem>,
    /// What holds if a wrong value counts as not given.
    pub(super) rest: Box<Config>,
    /// Whether the rules that somebody meant are in it.
    pub(super) has_rules: bool,
}

impl Refused {
    /// The configuration without its mistakes, to find more of them; nothing may be started with it.
    pub fn rest(&self) -> &Config {
        &self.rest
    }

    /// Whether [`rest`](Refused::rest) has the rules that were meant. It has none, or others, if a file cannot be read:
    /// what a module says about those is no mistake of anybody.
    pub fn has_rules(&self) -> bool {
        self.has_rules
    }

    /// Adds mistakes that modules have found, so that all stand by place, but for those that are known: a value that has been called wrong, and the
    /// rules of brokers whose files are checked as they stand.
    pub fn add(&mut self, more: impl IntoIterator<Item = Problem>) {
        let told = self.problems.len();
        for problem in more {
            let is_known = |known: &Problem| known.source == problem.source && known.key == problem.key;
            let known = self.problems.get(..told).unwrap_or_default();
            if !known.iter().any(is_known) && !self.is_verified(&problem.source) {
                self.problems.push(problem);
            }
        }
        self.problems.sort();
    }

    fn is_verified(&self, source: &Source) -> bool {
        let RulesFrom::Broker { format, path } = &self.rest.webhook.rules else {
            return false;
        };
        // RMQTT's rules are those of the module itself.
        *format != Format::Rmqtt && matches!(source, Source::File { path: other, .. } if Some(other) == path.as_ref())
    }
}
