//! Topic aliases of one direction.

use std::collections::HashMap;

use bytestring::ByteString;

use super::connection_state::Budget;

/// The topics of one direction's aliases.
#[derive(Default)]
pub(super) struct Aliases {
    topics: HashMap<u16, ByteString>,
    maximum: u16,
}

/// The topic of a packet that has a topic, an alias, or both.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    /// The topic.
    Topic(ByteString),
    /// The alias is 0 or above the maximum.
    OutOfRange,
    /// No topic is known for the alias.
    Unknown,
}

impl Aliases {
    /// No aliases yet; the receiver accepts them up to this maximum.
    pub(super) fn new(maximum: u16) -> Aliases {
        Aliases {
            topics: HashMap::new(),
            maximum,
        }
    }

    /// Whether the receiver accepts aliases at all.
    pub(super) fn any(&self) -> bool {
        self.maximum > 0
    }

    /// The topic of a packet, which sets an alias if it has both. An alias that the budget does not allow is unknown later.
    pub(super) fn resolve(&mut self, topic: ByteString, alias: Option<u16>, budget: &mut Budget) -> Resolved {
        let Some(alias) = alias else {
            return if topic.is_empty() {
                Resolved::Unknown
            } else {
                Resolved::Topic(topic)
            };
        };
        if alias == 0 || alias > self.maximum {
            return Resolved::OutOfRange;
        }
        if topic.is_empty() {
            return match self.topics.get(&alias) {
                Some(topic) => Resolved::Topic(topic.clone()),
                None => Resolved::Unknown,
            };
        }
        if let Some(old) = self.topics.remove(&alias) {
            budget.give_back(old.len());
        }
        if budget.take(topic.len()) {
            // A copy: the topic shares its memory with the whole packet.
            self.topics.insert(alias, ByteString::from(&*topic));
        }
        Resolved::Topic(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_set_used_and_replaced_within_bounds() {
        let mut aliases = Aliases::new(2);
        let mut budget = Budget::new(1000);
        let mut resolve = |topic: &'static str, alias| aliases.resolve(topic.into(), alias, &mut budget);
        assert_eq!(resolve("", Some(1)), Resolved::Unknown);
        assert_eq!(resolve("a", Some(1)), Resolved::Topic("a".into()));
        assert_eq!(resolve("", Some(1)), Resolved::Topic("a".into()));
        assert_eq!(resolve("b", Some(1)), Resolved::Topic("b".into()));
        assert_eq!(resolve("", Some(1)), Resolved::Topic("b".into()));
        assert_eq!(resolve("a", Some(0)), Resolved::OutOfRange);
        assert_eq!(resolve("a", Some(3)), Resolved::OutOfRange);
        assert_eq!(resolve("", None), Resolved::Unknown);
        assert_eq!(resolve("c", None), Resolved::Topic("c".into()));
    }

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let mut aliases = Aliases::new(u16::MAX);
        let mut budget = Budget::new(10_000);
        for alias in 1..=u16::MAX {
            let topic = ByteString::from("t".repeat(1000));
            assert_eq!(
                aliases.resolve(topic.clone(), Some(alias), &mut budget),
                Resolved::Topic(topic)
            );
        }
        assert_eq!(
            aliases.topics.len(),
            10_000 / (1000 + super::super::connection_state::ENTRY_BYTES)
        );
        assert_eq!(aliases.resolve("".into(), Some(9), &mut budget), Resolved::Unknown);
    }
}
