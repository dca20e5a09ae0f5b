//! A configuration with problems, and what else can be checked of it.

use super::webhook::RulesFrom;
use super::{Config, Problem};
use hookhost_import::Broker;
use hookhost_settings::Mistakes;

/// A configuration that is refused, with all its problems.
///
/// Problems that modules report are not among them at first: show them [`rest`](Refused::rest) and
/// [`add`](Mistakes::add) what they report.
#[derive(Debug)]
pub struct Refused {
    /// The problems, ordered by place.
    pub problems: Vec<Problem>,
    /// The configuration in which each invalid value is replaced by its default.
    pub(super) rest: Box<Config>,
    /// Whether the rules that the operator wrote are in it.
    pub(super) has_rules: bool,
}

impl Refused {
    /// The configuration without its invalid values, to find more problems. Nothing may be started with it.
    pub fn rest(&self) -> &Config {
        &self.rest
    }

    /// Whether [`rest`](Refused::rest) has the rules that the operator wrote. It does not if a file cannot be read; then
    /// problems that a module reports are not the operator's.
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
