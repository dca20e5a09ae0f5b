//! A configuration with problems, and the parts of it that can still be checked.

use super::webhook::RulesFrom;
use super::{Config, Problem};
use hookhost_import::Broker;
use hookhost_settings::Mistakes;

/// A configuration that is rejected, with all its problems.
///
/// At first it does not include the problems that modules report. To include them, pass [`rest`](Refused::rest) to the
/// modules and [`add`](Mistakes::add) their reports.
#[derive(Debug)]
pub struct Refused {
    /// The problems, ordered by place.
    pub problems: Vec<Problem>,
    /// The configuration in which each invalid value is replaced by its default.
    pub(super) rest: Box<Config>,
    /// Whether it contains the operator's rules.
    pub(super) has_rules: bool,
}

impl Refused {
    /// The configuration without its invalid values, for finding more problems. Must not be used to start anything.
    pub fn rest(&self) -> &Config {
        &self.rest
    }

    /// Whether [`rest`](Refused::rest) has the operator's rules. It does not if a file cannot be read. Problems that a
    /// module then reports are not the operator's.
    pub fn has_rules(&self) -> bool {
        self.has_rules
    }

    /// The problems alone. The rules of EMQX and NanoMQ files count as checked.
    pub fn mistakes(self) -> Mistakes {
        let checked = match &self.rest.webhook.rules {
            // RMQTT's rules are checked by the module itself.
            RulesFrom::Broker { broker, path } if *broker != Broker::Rmqtt => path.clone(),
            _ => None,
        };
        let problems = self.problems;
        Mistakes { problems, checked }
    }
}
