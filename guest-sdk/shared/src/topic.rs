//! Topic filters as MQTT 5.0 defines them in §4.7 and §4.8.2.
//!
//! The host and its modules use the same implementation, so a rule of a module matches exactly the topics that the host's
//! interests match. A filter is parsed once. Matching compares level by level and does not allocate. [`FilterTree`] looks
//! up many filters at once.

mod tree;

use std::fmt;

pub use tree::FilterTree;

/// A valid topic filter without the prefix of a shared subscription.
///
/// ```
/// use hookhost_shared::topic::TopicFilter;
///
/// let filter: TopicFilter = "sport/+/#".parse().unwrap();
/// assert!(filter.matches("sport/tennis"));
/// assert!(filter.matches("sport/tennis/player1"));
/// assert!(!filter.matches("sport"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TopicFilter {
    text: Box<str>,
    shape: Shape,
}

/// How to match a filter. Most filters in use are one of the first two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Shape {
    /// `#`: all topics except those that begin with `$`.
    Everything,
    /// No wildcard: compare the text.
    Exact,
    /// With wildcards: compare level by level.
    Levels,
}

/// Why a text is not a topic filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FilterError {
    /// The filter, or the part after a share name, is empty.
    Empty,
    /// Longer than the 65,535 bytes that an MQTT string may have.
    TooLong,
    /// U+0000 is not allowed in MQTT text.
    Nul,
    /// `#` is not the whole last level.
    MultiLevelWildcard,
    /// `+` is not a whole level.
    SingleLevelWildcard,
    /// `$share/` without a name, with a wildcard in the name, or without a filter.
    Share,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FilterError::Empty => "a topic filter must not be empty",
            FilterError::TooLong => "a topic filter must not be longer than 65,535 bytes",
            FilterError::Nul => "a topic filter must not contain U+0000",
            FilterError::MultiLevelWildcard => "'#' must be the whole last level of a topic filter",
            FilterError::SingleLevelWildcard => "'+' must be a whole level of a topic filter",
            FilterError::Share => "a shared subscription is '$share/NAME/FILTER', with no wildcard in NAME",
        })
    }
}

impl std::error::Error for FilterError {}

impl TopicFilter {
    /// The text of the filter.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the filter matches a topic.
    ///
    /// A filter that begins with a wildcard does not match a topic that begins with `$`. `a/#` matches `a`. `topic` may also
    /// be the filter of a subscription; its wildcards are then compared like other levels.
    pub fn matches(&self, topic: &str) -> bool {
        match self.shape {
            Shape::Exact => *self.text == *topic,
            Shape::Everything => !topic.starts_with('$'),
            Shape::Levels => self.matches_levels(topic),
        }
    }

    /// Compares byte by byte. That is faster than the string searches of the standard library, because levels are short.
    fn matches_levels(&self, topic: &str) -> bool {
        if topic.starts_with('$') && self.text.starts_with(['+', '#']) {
            return false;
        }
        let (mut filter, mut topic) = (self.text.as_bytes(), topic.as_bytes());
        loop {
            // Both texts are at the start of a level. A wildcard is a whole level, and nothing follows `#`.
            match filter {
                [b'#', ..] => return true,
                [b'+', rest @ ..] => {
                    filter = rest;
                    while let [byte, rest @ ..] = topic
                        && *byte != b'/'
                    {
                        topic = rest;
                    }
                }
                _ => {
                    while let ([wanted, filter_rest @ ..], [byte, topic_rest @ ..]) = (filter, topic)
                        && wanted == byte
                        && *byte != b'/'
                    {
                        (filter, topic) = (filter_rest, topic_rest);
                    }
                }
            }
            match (filter, topic) {
                ([], []) | ([b'/', b'#'], []) => return true,
                ([b'/', filter_rest @ ..], [b'/', topic_rest @ ..]) => (filter, topic) = (filter_rest, topic_rest),
                _ => return false,
            }
        }
    }
}

impl std::str::FromStr for TopicFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if text.is_empty() {
            return Err(FilterError::Empty);
        }
        if text.len() > usize::from(u16::MAX) {
            return Err(FilterError::TooLong);
        }
        if text.contains('\0') {
            return Err(FilterError::Nul);
        }
        let mut wildcards = false;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            match level {
                "#" if levels.peek().is_none() => wildcards = true,
                "+" => wildcards = true,
                _ if level.contains('#') => return Err(FilterError::MultiLevelWildcard),
                _ if level.contains('+') => return Err(FilterError::SingleLevelWildcard),
                _ => {}
            }
        }
        let shape = match (text, wildcards) {
            ("#", _) => Shape::Everything,
            (_, true) => Shape::Levels,
            (_, false) => Shape::Exact,
        };
        Ok(TopicFilter {
            text: text.into(),
            shape,
        })
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> serde::Deserialize<'de> for TopicFilter {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A topic filter as a SUBSCRIBE packet contains it: with or without the prefix of a shared subscription.
///
/// ```
/// use hookhost_shared::topic::SharedFilter;
///
/// let shared: SharedFilter = "$share/workers/jobs/#".parse().unwrap();
/// assert_eq!(shared.group.as_deref(), Some("workers"));
/// assert_eq!(shared.filter.as_str(), "jobs/#");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFilter {
    /// `g` of `$share/g/…`; `$queue` for the older `$queue/…`.
    pub group: Option<Box<str>>,
    /// The filter without the prefix.
    pub filter: TopicFilter,
}

impl std::str::FromStr for SharedFilter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if let Some(rest) = text.strip_prefix("$queue/") {
            return Ok(SharedFilter {
                group: Some("$queue".into()),
                filter: rest.parse()?,
            });
        }
        let Some(rest) = text.strip_prefix("$share/") else {
            return Ok(SharedFilter {
                group: None,
                filter: text.parse()?,
            });
        };
        let (group, filter) = rest.split_once('/').ok_or(FilterError::Share)?;
        if group.is_empty() || group.contains(['+', '#']) || filter.is_empty() {
            return Err(FilterError::Share);
        }
        Ok(SharedFilter {
            group: Some(group.into()),
            filter: filter.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(text: &str) -> TopicFilter {
        text.parse().unwrap()
    }

    #[test]
    fn matching_follows_the_standard() {
        for (text, topic, expected) in [
            ("a", "a", true),
            ("a", "A", false),
            ("a/#", "a", true),
            ("a/#", "a/", true),
            ("a/#", "a/b/c", true),
            ("a/#", "ab", false),
            ("#", "a/b", true),
            ("#", "/", true),
            ("+", "a", true),
            ("+", "a/b", false),
            ("+/+", "/a", true),
            ("/+", "/a", true),
            ("+", "/a", false),
            ("a/+", "a", false),
            ("a/+", "a/", true),
            ("a/+/c", "a/b/c", true),
            ("a/+/c", "a//c", true),
            ("a/+/#", "a/b", true),
            ("a/+/#", "a", false),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("$SYS/#", "$SYS", true),
            ("$SYS/+", "$SYS/x", true),
            ("a/#", "a/$b", true),
            ("température/+", "température/küche", true),
            ("温度/#", "温度/台所", true),
            // The filter of a subscription in place of a topic.
            ("a/+", "a/+", true),
            ("a/#", "a/+/b", true),
            ("a/b", "a/+", false),
        ] {
            assert_eq!(filter(text).matches(topic), expected, "{text} on {topic}");
        }
    }

    #[test]
    fn malformed_filters_say_why() {
        for (text, error) in [
            ("", FilterError::Empty),
            ("a/#/b", FilterError::MultiLevelWildcard),
            ("a#", FilterError::MultiLevelWildcard),
            ("#/", FilterError::MultiLevelWildcard),
            ("a+/b", FilterError::SingleLevelWildcard),
            ("++", FilterError::SingleLevelWildcard),
            ("a\0b", FilterError::Nul),
        ] {
            assert_eq!(text.parse::<TopicFilter>(), Err(error), "{text:?}");
        }
        assert_eq!("x".repeat(65_536).parse::<TopicFilter>(), Err(FilterError::TooLong));
    }

    #[test]
    fn shares_are_taken_off() {
        for (text, group, rest) in [
            ("a/b", None, "a/b"),
            ("$share/g/a/+", Some("g"), "a/+"),
            ("$share/g//", Some("g"), "/"),
            ("$queue/a/#", Some("$queue"), "a/#"),
            ("$SYS/#", None, "$SYS/#"),
        ] {
            let shared: SharedFilter = text.parse().unwrap();
            assert_eq!(
                (shared.group.as_deref(), shared.filter.as_str()),
                (group, rest),
                "{text}"
            );
        }
        for text in [
            "$share/g",
            "$share//a",
            "$share/g/",
            "$share/+/a",
            "$share/g#/a",
            "$share/",
        ] {
            assert_eq!(text.parse::<SharedFilter>(), Err(FilterError::Share), "{text}");
        }
        assert_eq!("$queue/".parse::<SharedFilter>(), Err(FilterError::Empty));
    }

    /// The definition of §4.7 word by word, on lists of levels, as slow as it likes.
    fn model(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) => true,
            ([], []) => true,
            ([wanted, filter @ ..], [level, topic @ ..]) => (*wanted == "+" || wanted == level) && model(filter, topic),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            filter in "(\\+|[ab$]{0,2})(/(\\+|[ab]{0,1})){0,3}(/#)?",
            topic in "[ab$]{0,2}(/[ab]{0,1}){0,4}",
        ) {
            prop_assume!(!filter.is_empty() && !topic.is_empty());
            let filter_levels: Vec<_> = filter.split('/').collect();
            let topic_levels: Vec<_> = topic.split('/').collect();
            let hidden = topic.starts_with('$') && filter.starts_with(['+', '#']);
            let expected = !hidden && model(&filter_levels, &topic_levels);
            prop_assert_eq!(super::tests::filter(&filter).matches(&topic), expected);
        }

        #[test]
        fn a_topic_matches_itself(topic in "[^+#\0]{1,40}") {
            prop_assert!(filter(&topic).matches(&topic));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}") {
            if let Ok(filter) = text.parse::<TopicFilter>() {
                prop_assert_eq!(filter.as_str(), text.as_str());
            }
        }
    }
}
