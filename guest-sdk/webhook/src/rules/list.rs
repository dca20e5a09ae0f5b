//! The rules of one key, looked up by topic.

use std::ops::Range;

use super::Rule;
use crate::key::RuleKey;
use hookhost_guest::topic::FilterTree;

/// Rules that are tried one after the other; more are looked up by topic. So few are tried faster than they are looked up.
const MAX_TRIED: usize = 16;

/// The rules of one key, in the order of the configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleList {
    rules: Vec<Rule>,
    /// The rules that match some topics only, by position.
    by_topic: FilterTree<usize>,
    /// The other rules.
    any_topic: Vec<usize>,
}

impl RuleList {
    pub(super) fn add(&mut self, key: RuleKey, rule: Rule) {
        let position = self.rules.len();
        if rule.topics.is_empty() || !rule.shape.format.uses_topics(key) {
            self.any_topic.push(position);
        } else {
            for filter in &rule.topics {
                self.by_topic.insert(filter.clone(), position);
            }
        }
        self.rules.push(rule);
    }

    pub(super) fn as_slice(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules that may match events with this topic or filter, in order. [`Rule::matches`] decides.
    pub(super) fn candidates(&self, subject: Option<&str>) -> impl Iterator<Item = &Rule> {
        let positions = match subject {
            Some(subject) if self.rules.len() > MAX_TRIED => Positions::Some(self.found(subject).into_iter()),
            _ => Positions::All(0..self.rules.len()),
        };
        positions.filter_map(|position| self.rules.get(position))
    }

    fn found(&self, subject: &str) -> Vec<usize> {
        let mut found = self.any_topic.clone();
        self.by_topic.find(subject, |position| found.push(*position));
        if let Some(visible) = super::without_dollar(subject) {
            // In some formats a wildcard matches it.
            self.by_topic.find(&visible, |position| found.push(*position));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

enum Positions {
    All(Range<usize>),
    Some(std::vec::IntoIter<usize>),
}

impl Iterator for Positions {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        match self {
            Positions::All(positions) => positions.next(),
            Positions::Some(positions) => positions.next(),
        }
    }
}
