//! The state of a session, which outlives its connections.
//!
//! Subscriptions show whether a subscription is new; QoS 2 publishes that are not complete show whether a publish is a
//! repetition; deliveries are kept until the client acknowledges them. The state is bounded: what does not fit is dropped.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bytestring::ByteString;

use super::subscribed_filters::SubscribedFilters;
use hookhost_contract::Completion;
use hookhost_event::{Delivery, Properties, TopicFilter};

/// Bytes that the state of one session may take.
const MAX_BYTES: usize = 16 << 20;
/// Bytes of deliveries that a session may keep while its client is away.
const MAX_PENDING_BYTES_AWAY: usize = 64 << 10;
/// What an entry takes besides its texts, roughly.
const ENTRY_BYTES: usize = 160;

/// What is known of a session.
#[derive(Default)]
pub(super) struct SessionState {
    subscriptions: HashMap<ByteString, GrantedSubscription>,
    /// How many of them are of shared groups.
    shared: usize,
    /// How many of them ask for the retain flag as it was published.
    retain_as_published: usize,
    /// QoS 2 publishes of the client that are not complete, and what their acknowledgement waits for.
    incomplete: HashMap<u16, Option<Completion>>,
    /// Deliveries that the client has not acknowledged, by packet identifier.
    pending: HashMap<u16, Box<PendingDelivery>>,
    bytes: usize,
    /// Bytes of `pending`.
    pending_bytes: usize,
    /// Counts the filters of all sessions, if this gateway knows every client.
    all: Option<Arc<SubscribedFilters>>,
}

/// A subscription.
pub(super) struct GrantedSubscription {
    pub(super) qos: u8,
    pub(super) group: Option<ByteString>,
    /// `None` for an invalid filter.
    pub(super) filter: Option<TopicFilter>,
    pub(super) retain_as_published: bool,
}

/// A delivery that the client has not acknowledged.
pub(super) struct PendingDelivery {
    pub(super) delivery: Delivery,
    /// What PUBREC said, once it has passed.
    pub(super) received: Option<(u8, Option<Box<Properties>>)>,
}

impl SessionState {
    /// The state of a new session. `all`: where the filters of all sessions are counted.
    pub(super) fn new(all: Option<Arc<SubscribedFilters>>) -> SessionState {
        let mut state = SessionState::default();
        state.all = all;
        state
    }

    /// How many subscriptions there are.
    pub(super) fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// The QoS of a subscription, by its filter as sent.
    pub(super) fn subscribed(&self, filter: &str) -> Option<u8> {
        self.subscriptions.get(filter).map(|granted| granted.qos)
    }

    /// A subscription is active. Returns false if the memory limit does not allow to keep it.
    pub(super) fn subscribe(&mut self, filter: &ByteString, granted: GrantedSubscription) -> bool {
        self.unsubscribe(filter);
        let bytes = 2 * filter.len() + ENTRY_BYTES;
        if self.bytes + bytes > MAX_BYTES {
            return false;
        }
        self.bytes += bytes;
        self.shared += usize::from(granted.group.is_some());
        self.retain_as_published += usize::from(granted.retain_as_published);
        if let (Some(all), Some(filter)) = (&self.all, &granted.filter) {
            all.add(filter);
        }
        // A copy: the filter shares its memory with the whole packet.
        self.subscriptions.insert(ByteString::from(&**filter), granted);
        true
    }

    /// A subscription ends.
    pub(super) fn unsubscribe(&mut self, filter: &str) {
        if let Some(granted) = self.subscriptions.remove(filter) {
            if let (Some(all), Some(filter)) = (&self.all, &granted.filter) {
                all.remove(filter);
            }
            self.bytes -= 2 * filter.len() + ENTRY_BYTES;
            self.shared -= usize::from(granted.group.is_some());
            self.retain_as_published -= usize::from(granted.retain_as_published);
        }
    }

    /// The shared group through which a message on this topic comes, if it cannot have come otherwise.
    pub(super) fn group(&self, topic: &str) -> Option<ByteString> {
        if self.shared == 0 {
            return None;
        }
        let matches =
            |granted: &&GrantedSubscription| granted.filter.as_ref().is_some_and(|filter| filter.matches(topic));
        let mut matching = self.subscriptions.values().filter(matches);
        let group = matching.next()?.group.clone()?;
        matching
            .all(|granted| granted.group.as_ref() == Some(&group))
            .then_some(group)
    }

    /// Whether the retain flag of a message may be that of its publish.
    pub(super) fn keeps_retain(&self) -> bool {
        self.retain_as_published > 0
    }

    /// A QoS 2 publish begins; false if it repeats one that is not complete.
    pub(super) fn begin(&mut self, id: u16) -> bool {
        match self.incomplete.entry(id) {
            Entry::Occupied(_) => false,
            Entry::Vacant(entry) => {
                entry.insert(None);
                true
            }
        }
    }

    /// The acknowledgement of an incomplete QoS 2 publish waits for this, also if the publish is repeated.
    pub(super) fn hold_ack(&mut self, id: u16, completion: Completion) {
        self.incomplete.insert(id, Some(completion));
    }

    /// What the acknowledgement of an incomplete QoS 2 publish waits for.
    pub(super) fn completion(&self, id: u16) -> Option<Completion> {
        self.incomplete.get(&id)?.clone()
    }

    /// A QoS 2 publish is complete.
    pub(super) fn complete(&mut self, id: u16) {
        self.incomplete.remove(&id);
    }

    /// Keeps a delivery until it is acknowledged; false if the memory limit does not allow it.
    pub(super) fn keep(&mut self, id: u16, delivery: Delivery) -> bool {
        drop(self.acknowledged(id));
        let bytes = delivery_bytes(&delivery);
        if self.bytes + bytes > MAX_BYTES {
            return false;
        }
        self.bytes += bytes;
        self.pending_bytes += bytes;
        self.pending.insert(
            id,
            Box::new(PendingDelivery {
                delivery,
                received: None,
            }),
        );
        true
    }

    /// The delivery that awaits an acknowledgement with this packet identifier.
    pub(super) fn pending(&mut self, id: u16) -> Option<&mut PendingDelivery> {
        self.pending.get_mut(&id).map(|pending| &mut **pending)
    }

    /// Removes the delivery with this packet identifier.
    pub(super) fn acknowledged(&mut self, id: u16) -> Option<Box<PendingDelivery>> {
        let pending = self.pending.remove(&id)?;
        let bytes = delivery_bytes(&pending.delivery);
        self.bytes -= bytes;
        self.pending_bytes -= bytes;
        Some(pending)
    }

    /// The client is away: drops the pending deliveries if they take much memory.
    pub(super) fn trim(&mut self) {
        if self.pending_bytes > MAX_PENDING_BYTES_AWAY {
            self.bytes -= self.pending_bytes;
            self.pending_bytes = 0;
            self.pending = HashMap::new();
        }
    }

    /// Bytes that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.bytes
    }
}

impl Drop for SessionState {
    fn drop(&mut self) {
        if let Some(all) = &self.all {
            self.subscriptions
                .values()
                .filter_map(|granted| granted.filter.as_ref())
                .for_each(|filter| all.remove(filter));
        }
    }
}

fn delivery_bytes(delivery: &Delivery) -> usize {
    size_of::<PendingDelivery>() + ENTRY_BYTES + delivery.message.topic.len() + delivery.message.payload.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(filter: &str, group: Option<&str>) -> GrantedSubscription {
        GrantedSubscription {
            qos: 1,
            group: group.map(ByteString::from),
            filter: filter.parse().ok(),
            retain_as_published: false,
        }
    }

    #[test]
    fn a_group_is_known_if_nothing_else_matches() {
        let mut memory = SessionState::new(None);
        memory.subscribe(&"$share/g/t/+".into(), granted("t/+", Some("g")));
        assert_eq!(memory.group("t/1").as_deref(), Some("g"));
        assert_eq!(memory.group("u"), None);
        memory.subscribe(&"t/1".into(), granted("t/1", None));
        assert_eq!(memory.group("t/1"), None);
        assert_eq!(memory.group("t/2").as_deref(), Some("g"));
        memory.unsubscribe("$share/g/t/+");
        assert_eq!((memory.group("t/2"), memory.subscriptions()), (None, 1));
    }

    #[test]
    fn subscriptions_are_bounded() {
        let mut memory = SessionState::new(None);
        let mut kept = 0;
        for number in 0..300 {
            let filter = ByteString::from(format!("{number}{}", "x".repeat(60_000)));
            kept += usize::from(memory.subscribe(&filter, granted("x", None)));
        }
        assert!(memory.kept() <= MAX_BYTES && kept > 100, "{kept}");
        assert_eq!(memory.subscriptions(), kept);
    }
}
