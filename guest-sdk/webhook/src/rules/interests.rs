//! The events that rules need.

use std::collections::BTreeSet;

use super::{Rule, Rules, begins_wild};
use crate::key::RuleKey;
use hookhost_guest::event::{Hook, Interest};
use hookhost_guest::topic::TopicFilter;

impl Rules {
    /// The interests that cover every event that a rule matches, and as few other events as possible.
    pub fn interests(&self) -> Vec<Interest> {
        let mut wanted: Vec<Wanted<'_>> = Vec::new();
        for key in RuleKey::ALL {
            for rule in self.of(key) {
                let all = rule.needs_all(key);
                let own = rule.shape.format.hooks(key).iter().map(|hook| (hook, all));
                let further = rule.further_hooks(key).iter().map(|hook| (hook, true));
                for (hook, all) in own.chain(further) {
                    let position = wanted.iter().position(|known| known.interest.hook == *hook);
                    let position = position.unwrap_or_else(|| {
                        wanted.push(Wanted::new(*hook));
                        wanted.len() - 1
                    });
                    if let Some(wanted) = wanted.get_mut(position) {
                        wanted.add(rule, all);
                    }
                }
            }
        }
        wanted.into_iter().map(|wanted| wanted.interest).collect()
    }
}

impl Rule {
    /// Whether the rule needs all events of its hooks, with any topic.
    fn needs_all(&self, key: RuleKey) -> bool {
        let format = self.shape.format;
        let covers_dollar =
            |topic: &TopicFilter| format.implementation().wildcards_match_dollar() && begins_wild(topic);
        !format.uses_topics(key) || self.topics.is_empty() || self.topics.iter().any(covers_dollar)
    }
}

/// The interest of rules in one hook.
struct Wanted<'r> {
    interest: Interest,
    /// Whether a rule needs all events; the interest then has no filters.
    all: bool,
    known: BTreeSet<&'r str>,
}

impl<'r> Wanted<'r> {
    fn new(hook: Hook) -> Wanted<'r> {
        Wanted {
            interest: Interest::every(hook),
            all: false,
            known: BTreeSet::new(),
        }
    }

    fn add(&mut self, rule: &'r Rule, needs_all: bool) {
        self.all |= needs_all;
        if self.all {
            self.interest.filters.clear();
            return;
        }
        for filter in rule.topics.iter().map(TopicFilter::as_str) {
            if self.known.insert(filter) {
                self.interest.filters.push(filter.to_owned());
            }
        }
    }
}
