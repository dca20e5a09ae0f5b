//! EMQX 5's cache of authorization decisions, as far as `authz_source` shows it.
//!
//! EMQX keeps the last [`MAX_DECISIONS`] decisions of a connection for [`MAX_AGE_MS`] and reports `cache` for an operation
//! that it has decided before: the same action on the same topic. EMQX compares QoS and retain flag too, which the event
//! does not have. Superusers are not cached. hookhost decides each time; this only remembers what EMQX would remember. All
//! events of a client reach the same instance.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use hookhost_guest::event::{Access, Authorization};

/// How long EMQX keeps a decision.
const MAX_AGE_MS: u64 = 60_000;
/// How many decisions EMQX keeps of a connection.
const MAX_DECISIONS: usize = 32;
/// Number of connections with decisions that are not too old. If there are more, all decisions are forgotten.
const MAX_CONNECTIONS: usize = 10_000;

/// The decisions of all connections.
#[derive(Debug, Clone, Default)]
pub(super) struct DecisionCache {
    /// By the hash of client id and address.
    connections: HashMap<u64, Decisions>,
}

/// The hashes of the operations of a connection, and when they were decided, in milliseconds; the latest one last.
type Decisions = VecDeque<(u64, u64)>;

impl DecisionCache {
    /// Adds a decision of the time `now_ms`. Returns whether EMQX has the decision in its cache.
    pub(super) fn decide(&mut self, decision: &Authorization, now_ms: u64) -> bool {
        if decision.source == "superuser" {
            return false;
        }
        let is_fresh = |(_, at): &(u64, u64)| now_ms.saturating_sub(*at) < MAX_AGE_MS;
        let client = &decision.client;
        let peer = client.peer.as_ref().map(|peer| (&peer.ip, peer.port));
        let connection = hash(&(&client.id, peer));
        if self.connections.len() >= MAX_CONNECTIONS && !self.connections.contains_key(&connection) {
            self.connections.retain(|_, decisions| decisions.iter().any(is_fresh));
            if self.connections.len() >= MAX_CONNECTIONS {
                self.connections.clear();
            }
        }
        let is_publish = decision.access == Access::Publish;
        let operation = hash(&(is_publish, &decision.topic));
        let decisions = self.connections.entry(connection).or_default();
        decisions.retain(is_fresh);
        if decisions.iter().any(|(known, _)| *known == operation) {
            return true;
        }
        if decisions.len() == MAX_DECISIONS {
            decisions.pop_front();
        }
        decisions.push_back((operation, now_ms));
        false
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_guest::testing;

    fn publish(client: &str, topic: &str) -> Authorization {
        Authorization {
            client: testing::client(client),
            access: Access::Publish,
            topic: topic.into(),
            allowed: true,
            source: "default".into(),
        }
    }

    #[test]
    fn a_decision_is_cached_for_a_minute() {
        let mut cache = DecisionCache::default();
        let decision = publish("c", "t");
        for (now, expected) in [(0, false), (59_999, true), (60_000, false), (60_001, true)] {
            assert_eq!(cache.decide(&decision, now), expected, "{now}");
        }
    }

    #[test]
    fn another_operation_or_connection_is_decided_again() {
        let mut cache = DecisionCache::default();
        let decision = publish("c", "t");
        assert!(!cache.decide(&decision, 0));
        let mut moved = decision.client.clone();
        if let Some(peer) = &mut moved.peer {
            peer.port += 1;
        }
        for (what, other) in [
            ("topic", publish("c", "u")),
            ("client", publish("d", "t")),
            (
                "connection",
                Authorization {
                    client: moved,
                    ..decision.clone()
                },
            ),
            (
                "access",
                Authorization {
                    access: Access::Subscribe,
                    ..decision.clone()
                },
            ),
        ] {
            assert!(!cache.decide(&other, 0), "{what}");
            assert!(cache.decide(&other, 0), "{what}");
        }
        let superuser = Authorization {
            source: "superuser".into(),
            ..decision.clone()
        };
        assert!(!cache.decide(&superuser, 0));
        assert!(cache.decide(&decision, 0));
    }

    #[test]
    fn it_is_bounded() {
        let mut cache = DecisionCache::default();
        for number in 0..=MAX_DECISIONS {
            assert!(!cache.decide(&publish("c", &number.to_string()), 0));
        }
        assert!(cache.decide(&publish("c", "1"), 0));
        assert!(!cache.decide(&publish("c", "0"), 0), "the oldest one is forgotten");
        for number in 0..2 * MAX_CONNECTIONS {
            cache.decide(&publish(&number.to_string(), "t"), 0);
        }
        assert!(cache.connections.len() <= MAX_CONNECTIONS);
    }

    #[test]
    fn old_decisions_make_way() {
        let mut cache = DecisionCache::default();
        for number in 1..MAX_CONNECTIONS {
            cache.decide(&publish(&number.to_string(), "t"), 0);
        }
        cache.decide(&publish("late", "t"), MAX_AGE_MS - 1);
        cache.decide(&publish("new", "t"), MAX_AGE_MS);
        assert_eq!(cache.connections.len(), 2);
        assert!(cache.decide(&publish("late", "t"), MAX_AGE_MS));
    }
}
