//! The identity of a message, carried through RMQTT.
//!
//! RMQTT's messages have no id; subscribers get changed copies of what was published. One field travels with every copy
//! and is unused in this build: `delay_interval`, which RMQTT reads only with its feature `delayed`; that feature must
//! stay off. A [`MessageTag`] is written there when a message is published. It holds a number and the flags that RMQTT
//! changes on the way: QoS, retain and DUP as published. Retained messages get a flag of their own when they are read
//! from the store.
//!
//! The number has 27 bits. A message id also holds when and from where its publisher connected and the run of the host,
//! so an id repeats only if one connection publishes two messages exactly 134,217,728 messages of the whole host apart.
//! A message gets a tag only if a module is interested in its deliveries. Copies without a tag get an id from the
//! addresses of their bytes; it is the same for all events of one delivery.

use std::sync::atomic::{AtomicU32, Ordering};

use ::rmqtt::codec::types::QoS;
use ::rmqtt::types::{Id as ClientKey, Publish};

use hookhost_event::Id;

const NUMBER_BITS: u32 = 27;
const RETAIN: u32 = 1 << 27;
const DUP: u32 = 1 << 28;
const STORED: u32 = 1 << 29;
const QOS_SHIFT: u32 = 30;

/// The content of a tag; without a tag, what the copy itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageTag {
    /// QoS as published.
    pub(super) qos: u8,
    /// Retain flag as published.
    pub(super) retain: bool,
    /// DUP flag as published.
    pub(super) dup: bool,
    /// Whether this copy comes from the retained messages.
    pub(super) stored: bool,
}

impl MessageTag {
    /// The tag of a message.
    pub(super) fn of(publish: &Publish) -> MessageTag {
        match publish.delay_interval {
            Some(bits) => MessageTag {
                qos: (bits >> QOS_SHIFT) as u8,
                retain: bits & RETAIN != 0,
                dup: bits & DUP != 0,
                stored: bits & STORED != 0,
            },
            None => MessageTag {
                qos: publish.qos.value(),
                retain: publish.retain,
                dup: false,
                stored: false,
            },
        }
    }
}

/// Marks a copy as one that comes from the retained messages.
pub(super) fn mark_stored(publish: &mut Publish) {
    let bits = publish.delay_interval.unwrap_or_else(|| flags(publish));
    publish.delay_interval = Some(bits | STORED);
}

fn flags(publish: &Publish) -> u32 {
    let qos = match publish.qos {
        QoS::AtMostOnce => 0,
        QoS::AtLeastOnce => 1,
        QoS::ExactlyOnce => 2,
    };
    qos << QOS_SHIFT | if publish.retain { RETAIN } else { 0 } | if publish.dup { DUP } else { 0 }
}

/// Gives numbers to messages and reads ids from them.
pub(super) struct MessageNumbers {
    epoch: u32,
    next: AtomicU32,
}

impl MessageNumbers {
    /// Numbers for one run of the host, identified by `epoch`.
    pub(super) fn new(epoch: u64) -> MessageNumbers {
        MessageNumbers {
            epoch: (epoch ^ epoch >> 32) as u32,
            next: AtomicU32::new(1),
        }
    }

    /// Tags a message that was just published.
    pub(super) fn tag(&self, publish: &mut Publish) {
        publish.delay_interval = Some(flags(publish) | self.next());
    }

    /// The id of a message that is just being published, tagged or not.
    pub(super) fn first_id(&self, publisher: &ClientKey, publish: &Publish) -> Id {
        match number(publish) {
            Some(_) => self.id(publisher, publish),
            None => self.numbered(publisher, self.next()),
        }
    }

    /// The id of a message.
    pub(super) fn id(&self, publisher: &ClientKey, publish: &Publish) -> Id {
        match number(publish) {
            Some(number) => self.numbered(publisher, number),
            // A copy without a number was published untagged: the addresses of its bytes identify it.
            None => {
                let place = publish.topic.as_ptr() as u64 ^ (publish.payload.as_ptr() as u64).rotate_left(24);
                // The top bit keeps these apart from numbered ones of the same run, most of the time.
                from(
                    publisher,
                    place ^ (publish.create_time.unwrap_or_default() as u64).rotate_left(40) | 1 << 63,
                )
            }
        }
    }

    fn numbered(&self, publisher: &ClientKey, number: u32) -> Id {
        from(publisher, u64::from(self.epoch) << 32 | u64::from(number))
    }

    fn next(&self) -> u32 {
        self.next.fetch_add(1, Ordering::Relaxed) & ((1 << NUMBER_BITS) - 1)
    }
}

/// The number in a tag.
fn number(publish: &Publish) -> Option<u32> {
    publish
        .delay_interval
        .map(|bits| bits & ((1 << NUMBER_BITS) - 1))
        .filter(|number| *number != 0)
}

/// Every id begins with when and from where the publisher connected.
fn from(publisher: &ClientKey, low: u64) -> Id {
    let port = publisher.remote_addr.map_or(0, |address| address.port());
    let high = (publisher.create_time as u64) << 16 | u64::from(port);
    Id(u128::from(high) << 64 | u128::from(low))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use ::rmqtt::types::CodecPublish;
    use bytes::Bytes;

    use super::*;

    fn publish(qos: QoS, retain: bool, dup: bool) -> Publish {
        Publish::from(CodecPublish {
            dup,
            retain,
            qos,
            topic: "t".into(),
            packet_id: None,
            payload: Bytes::new(),
            properties: None,
        })
    }

    #[test]
    fn a_tag_survives_what_rmqtt_changes() {
        let numbers = MessageNumbers::new(7);
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for (retain, dup) in [(false, false), (true, false), (false, true), (true, true)] {
                let mut message = publish(qos, retain, dup);
                numbers.tag(&mut message);
                message.qos = QoS::AtMostOnce;
                message.retain = !retain;
                message.dup = !dup;
                assert_eq!(
                    MessageTag::of(&message),
                    MessageTag {
                        qos: qos.value(),
                        retain,
                        dup,
                        stored: false
                    }
                );
                mark_stored(&mut message);
                assert_eq!(
                    MessageTag::of(&message),
                    MessageTag {
                        qos: qos.value(),
                        retain,
                        dup,
                        stored: true
                    }
                );
            }
        }
    }

    #[test]
    fn copies_have_one_id_and_messages_have_their_own() {
        let numbers = MessageNumbers::new(7);
        let publisher = ClientKey::from(1, "c".into());
        let ids: HashSet<_> = (0..1000)
            .map(|_| {
                // Everything alike, and the same empty payload at the same address.
                let mut message = publish(QoS::AtLeastOnce, false, false);
                numbers.tag(&mut message);
                let id = numbers.id(&publisher, &message);
                let mut copy = message.clone().create_time(5);
                mark_stored(&mut copy);
                assert_eq!(numbers.id(&publisher, &copy), id);
                id
            })
            .collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn the_first_id_is_that_of_the_tag_or_a_new_one() {
        let numbers = MessageNumbers::new(7);
        let publisher = ClientKey::from(1, "c".into());
        let mut message = publish(QoS::AtMostOnce, false, false);
        let untagged = [0; 3].map(|_| numbers.first_id(&publisher, &message));
        numbers.tag(&mut message);
        let tagged = [0; 3].map(|_| numbers.first_id(&publisher, &message));
        assert_eq!(tagged, [numbers.id(&publisher, &message); 3]);
        let all: HashSet<_> = untagged.into_iter().chain(tagged).collect();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn without_a_tag_a_message_says_what_it_is() {
        let message = publish(QoS::ExactlyOnce, true, true);
        assert_eq!(
            MessageTag::of(&message),
            MessageTag {
                qos: 2,
                retain: true,
                dup: false,
                stored: false
            }
        );
        let numbers = MessageNumbers::new(7);
        let publisher = ClientKey::from(1, "c".into());
        assert_eq!(
            numbers.id(&publisher, &message),
            numbers.id(&publisher, &message.clone())
        );
    }
}
