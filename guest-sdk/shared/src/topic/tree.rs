//! Many topic filters, looked up by topic.
//!
//! The filters are a tree by level. A lookup follows the levels of the topic, and at each level also `+`, so its cost
//! hardly depends on the number of filters. A leaf has a few filters, which are matched one after the other. It becomes a
//! branch when it has more than [`LEAF_FILTERS`]. A branch is at most [`MAX_DEPTH`] levels below the root, so a filter of
//! thousands of levels costs no more memory than its text.

use std::collections::BTreeMap;

use super::TopicFilter;

/// Filters of a leaf before it becomes a branch. So few are matched faster than they are looked up.
const LEAF_FILTERS: usize = 8;

/// Levels of a filter by which it is looked up; leaves at this depth stay leaves.
const MAX_DEPTH: usize = 32;

/// Values by topic filter.
///
/// ```
/// use hookhost_shared::topic::FilterTree;
///
/// let mut tree = FilterTree::new();
/// tree.insert("sport/+".parse()?, "any sport");
/// tree.insert("sport/tennis".parse()?, "tennis");
/// let mut found = Vec::new();
/// tree.find("sport/tennis", |value| found.push(*value));
/// found.sort_unstable();
/// assert_eq!(found, ["any sport", "tennis"]);
/// assert!(!tree.contains("sport"));
/// # Ok::<(), hookhost_shared::topic::FilterError>(())
/// ```
#[derive(Debug, Clone)]
pub struct FilterTree<T> {
    /// The first one is the root. Nodes refer to each other by index.
    nodes: Vec<Node<T>>,
}

#[derive(Debug, Clone)]
enum Node<T> {
    Leaf(Vec<(TopicFilter, T)>),
    Branch(Branch<T>),
}

#[derive(Debug, Clone)]
struct Branch<T> {
    /// The next node by level.
    levels: BTreeMap<Box<str>, usize>,
    /// The next node for `+`, which is any level.
    any: Option<usize>,
    /// Values of the filters that end here.
    here: Vec<T>,
    /// Values of the filters that end here with `#`.
    below: Vec<T>,
}

impl<T> Default for Branch<T> {
    fn default() -> Branch<T> {
        Branch {
            levels: BTreeMap::new(),
            any: None,
            here: Vec::new(),
            below: Vec::new(),
        }
    }
}

impl<T> Default for FilterTree<T> {
    fn default() -> FilterTree<T> {
        FilterTree::new()
    }
}

impl<T> FilterTree<T> {
    /// A tree without filters.
    pub fn new() -> FilterTree<T> {
        FilterTree {
            nodes: vec![Node::Leaf(Vec::new())],
        }
    }

    /// Adds a value under a filter. One filter may have several values.
    pub fn insert(&mut self, filter: TopicFilter, value: T) {
        self.insert_below(0, 0, filter, value);
    }

    /// Adds a value to the node `at`, which is `depth` levels below the root.
    fn insert_below(&mut self, mut at: usize, mut depth: usize, filter: TopicFilter, value: T) {
        let new = self.nodes.len();
        while let Some(node) = self.nodes.get_mut(at) {
            let branch = match node {
                Node::Leaf(filters) => {
                    filters.push((filter, value));
                    if filters.len() > LEAF_FILTERS && depth < MAX_DEPTH {
                        let filters = std::mem::take(filters);
                        *node = Node::Branch(Branch::default());
                        for (filter, value) in filters {
                            self.insert_below(at, depth, filter, value);
                        }
                    }
                    return;
                }
                Node::Branch(branch) => branch,
            };
            at = match filter.as_str().split('/').nth(depth) {
                None => return branch.here.push(value),
                Some("#") => return branch.below.push(value),
                Some("+") => *branch.any.get_or_insert(new),
                Some(level) => match branch.levels.get(level) {
                    Some(next) => *next,
                    None => *branch.levels.entry(level.into()).or_insert(new),
                },
            };
            if at == new {
                self.nodes.push(Node::Leaf(Vec::new()));
            }
            depth += 1;
        }
    }

    /// Calls `found` with each value whose filter [matches](TopicFilter::matches) the topic, in no particular order.
    pub fn find<'t>(&'t self, topic: &str, mut found: impl FnMut(&'t T)) {
        self.search(topic, |value| {
            found(value);
            false
        });
    }

    /// Whether any filter matches the topic.
    pub fn contains(&self, topic: &str) -> bool {
        self.search(topic, |_| true)
    }

    /// Calls `found` with the value of each matching filter until it returns true. Returns whether it did.
    fn search<'t>(&'t self, topic: &str, mut found: impl FnMut(&'t T) -> bool) -> bool {
        // A wildcard at the beginning does not match `$`.
        let is_hidden = topic.starts_with('$');
        // Nodes still to visit, each with the levels after it. It allocates only where a topic takes two ways.
        let mut open: Vec<(usize, Option<&str>)> = Vec::new();
        let mut next = Some((0, Some(topic)));
        while let Some((at, rest)) = next.take().or_else(|| open.pop()) {
            let branch = match self.nodes.get(at) {
                Some(Node::Branch(branch)) => branch,
                Some(Node::Leaf(filters)) => {
                    let mut matching = filters.iter().filter(|(filter, _)| filter.matches(topic));
                    if matching.any(|(_, value)| found(value)) {
                        return true;
                    }
                    continue;
                }
                None => continue,
            };
            let sees_wildcards = at != 0 || !is_hidden;
            if sees_wildcards && branch.below.iter().any(&mut found) {
                return true;
            }
            let Some(rest) = rest else {
                if branch.here.iter().any(&mut found) {
                    return true;
                }
                continue;
            };
            let (level, rest) = match rest.bytes().position(|byte| byte == b'/') {
                Some(slash) => (rest.get(..slash).unwrap_or_default(), rest.get(slash + 1..)),
                None => (rest, None),
            };
            next = branch.levels.get(level).map(|next| (*next, rest));
            if let Some(any) = branch.any.filter(|_| sees_wildcards) {
                match next {
                    Some(_) => open.push((any, rest)),
                    None => next = Some((any, rest)),
                }
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(filters: &[&str]) -> FilterTree<usize> {
        let mut tree = FilterTree::new();
        for (number, filter) in filters.iter().enumerate() {
            tree.insert(filter.parse().unwrap(), number);
        }
        tree
    }

    fn found(tree: &FilterTree<usize>, topic: &str) -> Vec<usize> {
        let mut found = Vec::new();
        tree.find(topic, |number| found.push(*number));
        found.sort_unstable();
        found
    }

    #[test]
    fn all_filters_that_match_are_found() {
        let filters = [
            "#", "+", "a", "a/#", "a/+", "+/b", "a/b", "a/b/#", "$SYS/#", "+/+/c", "a/b", "/",
        ];
        let tree = tree(&filters);
        for (topic, expected) in [
            ("a", &[0, 1, 2, 3][..]),
            ("a/b", &[0, 3, 4, 5, 6, 7, 10]),
            ("a/b/c", &[0, 3, 7, 9]),
            ("a/x/c", &[0, 3, 9]),
            ("$SYS/b", &[8]),
            ("$SYS", &[8]),
            ("/", &[0, 11]),
            ("x/", &[0]),
            // The filter of a subscription in place of a topic.
            ("a/+", &[0, 3, 4]),
        ] {
            assert_eq!(found(&tree, topic), expected, "{topic}");
            assert!(tree.contains(topic), "{topic}");
        }
        assert!(!FilterTree::<()>::new().contains("a"));
        // Fewer filters are one leaf.
        assert_eq!(found(&self::tree(&["a/+", "#"]), "a/b"), [0, 1]);
    }

    #[test]
    fn long_filters_take_little_memory_and_no_deep_stack() {
        let long = "/".repeat(65_535);
        let wild = format!("+{}", "/+".repeat(32_767));
        let filters: Vec<&str> = [&long, &wild]
            .into_iter()
            .cycle()
            .take(100)
            .map(String::as_str)
            .collect();
        let tree = tree(&filters);
        assert!(tree.nodes.len() < 100, "{} nodes", tree.nodes.len());
        assert_eq!(found(&tree, &long).len(), 50);
        assert_eq!(found(&tree, &"/".repeat(32_767)).len(), 50);
    }

    proptest! {
        #[test]
        fn agrees_with_the_filters_one_by_one(
            filters in proptest::collection::vec("(\\+|[ab$]{0,2})(/(\\+|[ab]{0,1})){0,3}(/#)?", 1..40),
            topic in "[ab$]{0,2}(/[ab]{0,1}){0,4}",
        ) {
            prop_assume!(!topic.is_empty());
            let filters: Vec<&str> = filters.iter().map(String::as_str).filter(|filter| !filter.is_empty()).collect();
            let matches = |filter: &str| filter.parse::<TopicFilter>().unwrap().matches(&topic);
            let expected: Vec<usize> = (0..filters.len()).filter(|number| matches(filters[*number])).collect();
            let tree = tree(&filters);
            prop_assert_eq!(found(&tree, &topic), expected.clone());
            prop_assert_eq!(tree.contains(&topic), !expected.is_empty());
        }
    }
}
