//! The decisions of authorisation that a connection has got a short time ago.
//!
//! Brokers cache decisions for a while. The engine decides every time, so that changed rules apply at once; events only say
//! that a decision is repeated. As in EMQX, a connection has the last 32 decisions for a minute.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hookhost_access::rules::{Operation, OwnedOperation};

/// Decisions that one connection has.
const MAX_DECISIONS: usize = 32;
/// How long it has them.
const LIFETIME: Duration = Duration::from_secs(60);

/// The decisions of one connection, the oldest first.
#[derive(Default)]
pub(super) struct RecentDecisions(VecDeque<RecentDecision>);

struct RecentDecision {
    operation: OwnedOperation,
    allowed: bool,
    at: Instant,
}

impl RecentDecisions {
    /// Whether a decision of less than a minute ago was the same for the same operation. Adds the decision if not.
    pub(super) fn is_repeated(&mut self, operation: &Operation<'_>, allowed: bool, now: Instant) -> bool {
        if let Some(place) = self.0.iter().position(|recent| recent.operation == *operation) {
            let is_same =
                |recent: &RecentDecision| recent.allowed == allowed && now.duration_since(recent.at) < LIFETIME;
            if self.0.get(place).is_some_and(is_same) {
                return true;
            }
            self.0.remove(place);
        }
        if self.0.len() >= MAX_DECISIONS {
            self.0.pop_front();
        }
        self.0.push_back(RecentDecision {
            operation: operation.into(),
            allowed,
            at: now,
        });
        false
    }
}

#[cfg(test)]
mod tests {
    use hookhost_access::rules::Action;

    use super::*;

    #[test]
    fn a_decision_is_repeated_within_a_minute() {
        let start = Instant::now();
        let mut decisions = RecentDecisions::default();
        let operation = |action, topic, qos, retain| Operation {
            action,
            topic,
            qos,
            retain,
        };
        let publish = |topic| operation(Action::Publish, topic, 1, false);
        for (seconds, operation, allowed, expected) in [
            (0, publish("a"), true, false),
            (59, publish("a"), true, true),
            (60, publish("a"), true, false),
            (61, publish("a"), true, true),
            (61, operation(Action::Subscribe, "a", 1, false), true, false),
            (61, operation(Action::Publish, "a", 0, false), true, false),
            (61, operation(Action::Publish, "a", 1, true), true, false),
            (61, publish("b"), true, false),
            (62, publish("a"), false, false),
            (63, publish("a"), false, true),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(
                decisions.is_repeated(&operation, allowed, now),
                expected,
                "{seconds} {operation:?}"
            );
        }
        let now = start + Duration::from_secs(64);
        let topics: Vec<String> = (0..MAX_DECISIONS).map(|n| n.to_string()).collect();
        for topic in &topics {
            assert!(!decisions.is_repeated(&publish(topic), true, now), "{topic}");
        }
        assert!(!decisions.is_repeated(&publish("b"), true, now), "it is forgotten");
        assert!(decisions.is_repeated(&publish("31"), true, now));
    }
}
