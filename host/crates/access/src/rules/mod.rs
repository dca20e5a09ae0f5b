//! Rules of access control: which client may publish or subscribe to what. Pure.
//!
//! A [`RuleSet`] is an ordered list; the first [`Rule`] that matches decides. For a publish, a rule matches if its filter
//! matches the topic. For a subscription, `allow` matches if the rule's filter covers the requested one, and `deny`
//! matches if both have a topic in common. A subscription with a wildcard therefore never receives a topic that a
//! narrower rule denies.
//!
//! A set is compiled once. Rules for everybody without placeholders are in one tree of filters. The other rules are
//! looked up by user name and client id, and compiled for each client ([`ClientRules`]), so that a publish costs two
//! look-ups whatever the number of rules.

mod acl_file;
mod filters;
mod operation;
mod pattern;
pub(crate) mod read;
mod who;

use std::collections::HashMap;

use hookhost_shared::topic::{FilterTree, TopicFilter};

pub use acl_file::{AclFileError, parse_acl_file};
pub use operation::{Action, Operation, OwnedOperation};
pub use pattern::TopicPattern;
pub use read::{read_file, read_rules};
pub use who::{TextMatch, Who};

use crate::Identity;
use pattern::ClientFilter;

/// How many filters of one client are compared one after the other. More are a tree.
const MAX_LISTED_FILTERS: usize = 16;

/// Whether a rule allows or denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// The client may.
    Allow,
    /// The client may not.
    Deny,
}

/// The actions that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actions {
    /// Publish only.
    Publish,
    /// Subscribe only.
    Subscribe,
    /// Both.
    All,
}

impl Actions {
    fn contain(self, action: Action) -> bool {
        match self {
            Actions::All => true,
            Actions::Publish => action == Action::Publish,
            Actions::Subscribe => action == Action::Subscribe,
        }
    }
}

/// A set of QoS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QosSet(u8);

impl QosSet {
    /// 0, 1 and 2.
    pub const ALL: QosSet = QosSet(0b111);
    /// No QoS.
    pub const NONE: QosSet = QosSet(0);

    /// The set with a QoS; above 2 it stays as it is.
    #[must_use]
    pub fn with(self, qos: u8) -> QosSet {
        if qos > 2 { self } else { QosSet(self.0 | 1 << qos) }
    }

    fn contains(self, qos: u8) -> bool {
        qos <= 2 && self.0 & 1 << qos != 0
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it decides.
    pub permission: Permission,
    /// Which clients it is about.
    pub who: Who,
    /// Which actions it is about.
    pub actions: Actions,
    /// Which QoS it is about.
    pub qos: QosSet,
    /// Which retain flag of a publish it is about; `None`: both.
    pub retain: Option<bool>,
    /// The topics; `None`: all topics, also those that begin with `$`.
    pub topics: Option<Vec<TopicPattern>>,
}

impl Rule {
    fn applies(&self, operation: &Operation<'_>) -> bool {
        let retain = self.retain.filter(|_| operation.action == Action::Publish);
        self.actions.contain(operation.action)
            && self.qos.contains(operation.qos)
            && retain.is_none_or(|retain| retain == operation.retain)
    }
}

/// Rules in order, compiled.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// Rules for everybody, whose filters have no placeholders.
    everybody: FilterIndex,
    by_username: HashMap<Box<str>, Vec<u32>>,
    by_client_id: HashMap<Box<str>, Vec<u32>>,
    /// All other rules.
    others: Vec<u32>,
}

/// Two sets are equal if they have the same rules in the same order.
impl PartialEq for RuleSet {
    fn eq(&self, other: &RuleSet) -> bool {
        self.rules == other.rules
    }
}

/// The rules of a set that concern one client.
#[derive(Debug, Clone, Default)]
pub struct ClientRules(FilterIndex);

/// Filters by the number of their rule.
#[derive(Debug, Clone, Default)]
struct FilterIndex {
    /// All filters, in the order of their rules.
    filters: Vec<(u32, ClientFilter)>,
    /// The same by topic, if they are many, for publishes; without those that a tree cannot look up.
    tree: Option<FilterTree<u32>>,
    /// Filters that match every topic, if there is a tree.
    unlisted: Vec<u32>,
}

impl FilterIndex {
    fn new(filters: Vec<(u32, ClientFilter)>) -> FilterIndex {
        if filters.len() <= MAX_LISTED_FILTERS {
            return FilterIndex {
                filters,
                ..FilterIndex::default()
            };
        }
        let (mut tree, mut unlisted) = (FilterTree::new(), Vec::new());
        for (number, filter) in &filters {
            match filter {
                ClientFilter::Everything => unlisted.push(*number),
                ClientFilter::Matching(filter) => tree.insert(filter.clone(), *number),
                // Equal to a filter; a topic is equal to it only if it has no wildcards.
                ClientFilter::Equal(text) => {
                    if let Ok(filter) = text.parse::<TopicFilter>()
                        && !text.contains(['+', '#'])
                    {
                        tree.insert(filter, *number);
                    }
                }
            }
        }
        FilterIndex {
            filters,
            tree: Some(tree),
            unlisted,
        }
    }

    /// The first rule that `applies` and has a matching filter.
    fn first(&self, rules: &[Rule], operation: &Operation<'_>) -> Option<u32> {
        let rule = |number: u32| rules.get(number as usize);
        let applies = |number: u32| rule(number).is_some_and(|rule| rule.applies(operation));
        if let (Some(tree), Action::Publish) = (&self.tree, operation.action) {
            let mut first = self.unlisted.iter().copied().find(|number| applies(*number));
            tree.find(operation.topic, |number| {
                if first.is_none_or(|first| *number < first) && applies(*number) {
                    first = Some(*number);
                }
            });
            return first;
        }
        let matching = self.filters.iter().find(|(number, filter)| {
            rule(*number).is_some_and(|rule| rule.applies(operation) && filter.matches(rule.permission, operation))
        });
        matching.map(|(number, _)| *number)
    }
}

impl RuleSet {
    /// Compiles rules.
    pub fn new(rules: Vec<Rule>) -> RuleSet {
        let mut set = RuleSet::default();
        let mut everybody = Vec::new();
        for (number, rule) in (0..).zip(&rules) {
            match &rule.who {
                Who::Everybody if !rule.has_placeholders() => {
                    everybody.extend(rule.filters_for(&Identity::default()).map(|filter| (number, filter)));
                }
                Who::Username(TextMatch::Equal(name)) => {
                    set.by_username.entry(name.clone()).or_default().push(number);
                }
                Who::ClientId(TextMatch::Equal(id)) => set.by_client_id.entry(id.clone()).or_default().push(number),
                _ => set.others.push(number),
            }
        }
        set.everybody = FilterIndex::new(everybody);
        set.rules = rules;
        set
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// The rules that concern one client. Costs one look-up and one comparison for each rule that is not about a single
    /// user name or client id.
    pub fn for_client(&self, client: &Identity) -> ClientRules {
        let of = |index: &HashMap<Box<str>, Vec<u32>>, text: &str| index.get(text).cloned().unwrap_or_default();
        let mut numbers = self.others.clone();
        numbers.extend(
            client
                .username
                .as_deref()
                .map(|name| of(&self.by_username, name))
                .unwrap_or_default(),
        );
        numbers.extend(of(&self.by_client_id, &client.client_id));
        numbers.sort_unstable();
        let rules = numbers
            .into_iter()
            .filter_map(|number| Some((number, self.rules.get(number as usize)?)));
        let concerning = rules.filter(|(_, rule)| rule.who.includes(client));
        let filters =
            concerning.flat_map(|(number, rule)| rule.filters_for(client).map(move |filter| (number, filter)));
        ClientRules(FilterIndex::new(filters.collect()))
    }

    /// What the first matching rule decides; `None` if no rule matches.
    pub fn decide(&self, client: &ClientRules, operation: &Operation<'_>) -> Option<Permission> {
        let everybody = self.everybody.first(&self.rules, operation);
        let own = client.0.first(&self.rules, operation);
        let number = match (everybody, own) {
            (Some(one), Some(other)) => one.min(other),
            (one, other) => one.or(other)?,
        };
        self.rules.get(number as usize).map(|rule| rule.permission)
    }
}

impl Rule {
    fn has_placeholders(&self) -> bool {
        self.topics.iter().flatten().any(TopicPattern::has_placeholders)
    }

    /// The filters for one client.
    fn filters_for(&self, client: &Identity) -> impl Iterator<Item = ClientFilter> {
        let everything = self.topics.is_none().then_some(ClientFilter::Everything);
        let patterns = self.topics.iter().flatten();
        let filters = patterns.filter_map(|pattern| pattern.for_client(client, self.permission));
        everything.into_iter().chain(filters)
    }
}

#[cfg(test)]
mod tests;
