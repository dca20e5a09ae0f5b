//! What the gateway remembers of a session from one connection to the next.
//!
//! Subscriptions, so that it is known whether one is new; QoS 2 publishes that are not complete, so that a repeated one
//! is not taken for another; and deliveries without confirmation. Bounded: what does not fit is forgotten.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytestring::ByteString;

use super::filters::Filters;
use hookhost_event::{Delivery, Properties, TopicFilter};

/// Bytes of one session.
const MOST: usize = 16 << 20;
/// Bytes of deliveries that a session may keep while its client is away.
const AWAY: usize = 64 << 10;
const FIXED: usize = 160;

/// What is known of a session.
pub(super) struct Memory {
    subscriptions: HashMap<ByteString, Held>,
    /// How many of them are of shared groups.
    shared: usize,
    /// How many of them ask for the retain flag as it was published.
    retain_as_published: usize,
    /// QoS 2 publishes of the client that are not complete.
    incomplete: HashSet<u16>,
    unconfirmed: HashMap<u16, Box<Unconfirmed>>,
    bytes: usize,
    /// Bytes of `unconfirmed`.
    bytes_unconfirmed: usize,
    /// Where the filters of all sessions are, if they are wanted together.
    all: Option<Arc<Filters>>,
}

/// A subscription.
pub(super) struct Held {
    pub(super) qos: u8,
    pub(super) group: Option<ByteString>,
    /// None for what is no filter.
    pub(super) filter: Option<TopicFilter>,
    pub(super) retain_as_published: bool,
}

/// A delivery that the client has not confirmed.
pub(super) struct Unconfirmed {
    pub(super) delivery: Delivery,
    /// What PUBREC said, once it has passed.
    pub(super) received: Option<(u8, Option<Box<Properties>>)>,
}

impl Memory {
    /// Of a session that has nothing yet.
    pub(super) fn new(all: Option<Arc<Filters>>) -> Memory {
        Memory {
            all,
            subscriptions: HashMap::new(),
            shared: 0,
            retain_as_published: 0,
            incomplete: HashSet::new(),
            unconfirmed: HashMap::new(),
            bytes: 0,
            bytes_unconfirmed: 0,
        }
    }

    /// How many subscriptions there are.
    pub(super) fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// The QoS of a subscription, by its filter as sent.
    pub(super) fn subscribed(&self, filter: &str) -> Option<u8> {
        self.subscriptions.get(filter).map(|held| held.qos)
    }

    /// A subscription is in force; false if it has to be forgotten.
    pub(super) fn subscribe(&mut self, filter: &ByteString, held: Held) -> bool {
        self.unsubscribe(filter);
        let weight = 2 * filter.len() + FIXED;
        if self.bytes + weight > MOST {
            return false;
        }
        self.bytes += weight;
        self.shared += usize::from(held.group.is_some());
        self.retain_as_published += usize::from(held.retain_as_published);
        if let (Some(all), Some(filter)) = (&self.all, &held.filter) {
            all.add(filter);
        }
        // A copy: the filter shares its memory with the whole packet.
        self.subscriptions.insert(ByteString::from(&**filter), held);
        true
    }

    /// A subscription is given up.
    pub(super) fn unsubscribe(&mut self, filter: &str) {
        if let Some(held) = self.subscriptions.remove(filter) {
            if let (Some(all), Some(filter)) = (&self.all, &held.filter) {
                all.remove(filter);
            }
            self.bytes -= 2 * filter.len() + FIXED;
            self.shared -= usize::from(held.group.is_some());
            self.retain_as_published -= usize::from(held.retain_as_published);
        }
    }

    /// The shared group through which a message on this topic comes, if it cannot have come otherwise.
    pub(super) fn group(&self, topic: &str) -> Option<ByteString> {
        if self.shared == 0 {
            return None;
        }
        let matches = |held: &&Held| held.filter.as_ref().is_some_and(|filter| filter.matches(topic));
        let mut matching = self.subscriptions.values().filter(matches);
        let group = matching.next()?.group.clone()?;
        matching
            .all(|held| held.group.as_ref() == Some(&group))
            .then_some(group)
    }

    /// Whether the retain flag of a message may be that of its publish.
    pub(super) fn keeps_retain(&self) -> bool {
        self.retain_as_published > 0
    }

    /// A QoS 2 publish has come; false if it is one that was there before.
    pub(super) fn begin(&mut self, id: u16) -> bool {
        self.incomplete.insert(id)
    }

    /// A QoS 2 publish is complete.
    pub(super) fn complete(&mut self, id: u16) {
        self.incomplete.remove(&id);
    }

    /// A delivery waits for its confirmation; false if it has to be forgotten.
    pub(super) fn keep(&mut self, id: u16, delivery: Delivery) -> bool {
        drop(self.confirmed(id));
        let weight = weight(&delivery);
        if self.bytes + weight > MOST {
            return false;
        }
        self.bytes += weight;
        self.bytes_unconfirmed += weight;
        self.unconfirmed.insert(
            id,
            Box::new(Unconfirmed {
                delivery,
                received: None,
            }),
        );
        true
    }

    /// The delivery that waits under this packet identifier.
    pub(super) fn unconfirmed(&mut self, id: u16) -> Option<&mut Unconfirmed> {
        self.unconfirmed.get_mut(&id).map(|unconfirmed| &mut **unconfirmed)
    }

    /// The delivery that waits no longer.
    pub(super) fn confirmed(&mut self, id: u16) -> Option<Box<Unconfirmed>> {
        let unconfirmed = self.unconfirmed.remove(&id)?;
        let weight = weight(&unconfirmed.delivery);
        self.bytes -= weight;
        self.bytes_unconfirmed -= weight;
        Some(unconfirmed)
    }

    /// The client is away: keeps little of what is under way.
    pub(super) fn rest(&mut self) {
        if self.bytes_unconfirmed > AWAY {
            self.bytes -= self.bytes_unconfirmed;
            self.bytes_unconfirmed = 0;
            self.unconfirmed = HashMap::new();
        }
    }

    /// Bytes that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(all) = &self.all {
            self.subscriptions
                .values()
                .filter_map(|held| held.filter.as_ref())
                .for_each(|filter| all.remove(filter));
        }
    }
}

fn weight(delivery: &Delivery) -> usize {
    size_of::<Unconfirmed>() + FIXED + delivery.message.topic.len() + delivery.message.payload.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(filter: &str, group: Option<&str>) -> Held {
        Held {
            qos: 1,
            group: group.map(ByteString::from),
            filter: filter.parse().ok(),
            retain_as_published: false,
        }
    }

    #[test]
    fn a_group_is_known_if_nothing_else_matches() {
        let mut memory = Memory::new(None);
        memory.subscribe(&"$share/g/t/+".into(), held("t/+", Some("g")));
        assert_eq!(memory.group("t/1").as_deref(), Some("g"));
        assert_eq!(memory.group("u"), None);
        memory.subscribe(&"t/1".into(), held("t/1", None));
        assert_eq!(memory.group("t/1"), None);
        assert_eq!(memory.group("t/2").as_deref(), Some("g"));
        memory.unsubscribe("$share/g/t/+");
        assert_eq!((memory.group("t/2"), memory.subscriptions()), (None, 1));
    }

    #[test]
    fn subscriptions_are_bounded() {
        let mut memory = Memory::new(None);
        let mut kept = 0;
        for number in 0..300 {
            let filter = ByteString::from(format!("{number}{}", "x".repeat(60_000)));
            kept += usize::from(memory.subscribe(&filter, held("x", None)));
        }
        assert!(memory.kept() <= MOST && kept > 100, "{kept}");
        assert_eq!(memory.subscriptions(), kept);
    }
}
