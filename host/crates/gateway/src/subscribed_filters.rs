//! The filters of all sessions, for gateways that see every client: whether any client subscribes to a topic.
//!
//! Filters without a wildcard are looked up. Filters with one are compared one after the other, each once, however many
//! sessions hold it.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use hookhost_event::TopicFilter;

/// The filters of all sessions, and how many hold each.
#[derive(Default)]
pub(super) struct SubscribedFilters(RwLock<FilterCounts>);

#[derive(Default)]
struct FilterCounts {
    exact: HashMap<Box<str>, usize>,
    wild: HashMap<TopicFilter, usize>,
}

impl SubscribedFilters {
    /// A session holds a filter.
    pub(super) fn add(&self, filter: &TopicFilter) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if is_wild(filter) {
            *table.wild.entry(filter.clone()).or_default() += 1;
        } else {
            *table.exact.entry(filter.as_str().into()).or_default() += 1;
        }
    }

    /// A session does not hold the filter any more.
    pub(super) fn remove(&self, filter: &TopicFilter) {
        let mut table = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if is_wild(filter) {
            if let Some(count) = table.wild.get_mut(filter) {
                *count -= 1;
                if *count == 0 {
                    table.wild.remove(filter);
                }
            }
        } else if let Some(count) = table.exact.get_mut(filter.as_str()) {
            *count -= 1;
            if *count == 0 {
                table.exact.remove(filter.as_str());
            }
        }
    }

    /// Whether any session subscribes to a topic.
    pub(super) fn matches(&self, topic: &str) -> bool {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        table.exact.contains_key(topic) || table.wild.keys().any(|filter| filter.matches(topic))
    }
}

fn is_wild(filter: &TopicFilter) -> bool {
    filter.as_str().contains(['+', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_count_as_long_as_anybody_holds_them() {
        let filters = SubscribedFilters::default();
        let filter = |text: &str| text.parse::<TopicFilter>().unwrap();
        for text in ["a/b", "a/b", "c/+"] {
            filters.add(&filter(text));
        }
        assert!(filters.matches("a/b") && filters.matches("c/d") && !filters.matches("a/c"));
        filters.remove(&filter("a/b"));
        filters.remove(&filter("c/+"));
        assert!(filters.matches("a/b") && !filters.matches("c/d"));
        filters.remove(&filter("a/b"));
        assert!(!filters.matches("a/b"));
    }
}
