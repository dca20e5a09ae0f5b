//! What packets of a client say, and RMQTT does not pass on: properties of CONNECT that have their default values, whether a
//! CONNECT has a client id, and the user properties of SUBSCRIBE and UNSUBSCRIBE. The relay sees the bytes.
//!
//! The relay reads a packet before RMQTT handles the ones before it. So the user properties of a filter are those of the
//! last packet about it that the client has sent. If a client sends a second SUBSCRIBE of the same filter before the first
//! one is answered, the events of both have the properties of the second one.

use std::collections::VecDeque;

use bytestring::ByteString;

use hookhost_event::{Pairs, Properties};
use hookhost_relay::packet::{Connect, Packet};

/// SUBSCRIBE and UNSUBSCRIBE packets whose user properties are kept for one client. At the limit, the oldest ones are
/// forgotten, and the events about their filters have no user properties.
const MAX_PACKETS: usize = 16;
/// Bytes of memory that these packets take for one client; the same happens at this limit. A packet that is larger is not
/// kept.
const MAX_BYTES: usize = 64 << 10;

/// Of a CONNECT.
#[derive(Debug, Default)]
pub(super) struct SentConnect {
    /// Whether it has no client id, so that RMQTT assigns one.
    pub(super) has_assigned_id: bool,
    /// Its properties.
    pub(super) properties: Option<Box<Properties>>,
}

impl SentConnect {
    /// What a CONNECT says.
    pub(super) fn of(connect: &Connect) -> SentConnect {
        SentConnect {
            has_assigned_id: connect.client_id.is_empty(),
            properties: connect.properties.clone(),
        }
    }
}

/// The user properties of SUBSCRIBE and UNSUBSCRIBE packets, the newest last, within [`MAX_PACKETS`] and [`MAX_BYTES`].
#[derive(Debug, Default)]
pub(super) struct SentUserProperties(VecDeque<FilterPacket>);

#[derive(Debug)]
struct FilterPacket {
    subscribes: bool,
    filters: Vec<ByteString>,
    user: Pairs,
}

impl FilterPacket {
    /// Bytes of memory that it takes.
    fn bytes(&self) -> usize {
        let texts = self.user.iter().flat_map(|(name, value)| [name, value]);
        let bytes_of = |text: &ByteString| size_of::<ByteString>() + text.len();
        texts.chain(&self.filters).map(bytes_of).sum()
    }
}

impl SentUserProperties {
    /// A client has sent a packet. Only SUBSCRIBE and UNSUBSCRIBE are kept.
    pub(super) fn add(&mut self, packet: Packet) {
        let (subscribes, filters, properties): (_, Vec<ByteString>, _) = match packet {
            Packet::Subscribe {
                filters, properties, ..
            } => {
                let filters = filters.into_iter().map(|requested| requested.filter);
                (true, filters.collect(), properties)
            }
            Packet::Unsubscribe {
                filters, properties, ..
            } => (false, filters, properties),
            _ => return,
        };
        for known in self.0.iter_mut().filter(|known| known.subscribes == subscribes) {
            known.filters.retain(|filter| !filters.contains(filter));
        }
        self.0.retain(|known| !known.filters.is_empty());
        let user = properties.map(|properties| properties.user).unwrap_or_default();
        if user.is_empty() {
            return;
        }
        self.0.push_back(FilterPacket {
            subscribes,
            filters,
            user,
        });
        while self.0.len() > MAX_PACKETS || self.bytes() > MAX_BYTES {
            self.0.pop_front();
        }
    }

    fn bytes(&self) -> usize {
        self.0.iter().map(FilterPacket::bytes).sum()
    }

    /// The user properties of the last SUBSCRIBE, or UNSUBSCRIBE, of a filter; `filter` is without `$share/GROUP/`.
    pub(super) fn of(&self, subscribes: bool, filter: &str) -> Pairs {
        let is_about = |packet: &&FilterPacket| {
            packet.subscribes == subscribes && packet.filters.iter().any(|sent| is_same(sent, filter))
        };
        let packet = self.0.iter().rev().find(is_about);
        packet.map(|packet| packet.user.clone()).unwrap_or_default()
    }
}

/// Whether a filter is what the client has sent, without the part about a group.
fn is_same(sent: &str, filter: &str) -> bool {
    let Some(before) = sent.strip_suffix(filter) else {
        return false;
    };
    let group = before.strip_prefix("$share/").and_then(|rest| rest.strip_suffix('/'));
    matches!(before, "" | "$queue/") || group.is_some_and(|group| !group.contains('/'))
}

#[cfg(test)]
mod tests {
    use hookhost_relay::packet::RequestedFilter;

    use super::*;

    fn properties(value: Option<&str>) -> Option<Box<Properties>> {
        let user = vec![("k".into(), value?.into())];
        Some(Box::new(Properties {
            standard: Vec::new(),
            user,
        }))
    }

    fn subscribe(filters: &[&str], value: Option<&str>) -> Packet {
        let requested = |filter: &&str| RequestedFilter {
            filter: (*filter).into(),
            qos: 0,
            no_local: false,
            retain_as_published: false,
            retain_handling: 0,
        };
        Packet::Subscribe {
            id: 1,
            filters: filters.iter().map(requested).collect(),
            identifier: None,
            properties: properties(value),
        }
    }

    #[test]
    fn the_last_packet_about_a_filter_counts() {
        let mut sent = SentUserProperties::default();
        let value = |sent: &SentUserProperties, subscribes, filter: &str| {
            let pairs = sent.of(subscribes, filter);
            pairs.first().map(|(_, value)| value.to_string())
        };
        sent.add(subscribe(&["a", "b", "$share/g/c/#"], Some("1")));
        assert_eq!(value(&sent, true, "a").as_deref(), Some("1"));
        assert_eq!(value(&sent, true, "c/#").as_deref(), Some("1"));
        assert_eq!(value(&sent, true, "#"), None);
        assert_eq!(value(&sent, false, "a"), None);
        sent.add(Packet::Unsubscribe {
            id: 2,
            filters: vec!["a".into()],
            properties: properties(Some("2")),
        });
        sent.add(subscribe(&["a"], None));
        assert_eq!(value(&sent, true, "a"), None);
        assert_eq!(value(&sent, true, "b").as_deref(), Some("1"));
        assert_eq!(value(&sent, false, "a").as_deref(), Some("2"));
        for n in 0..MAX_PACKETS {
            sent.add(subscribe(&[&n.to_string()], Some("3")));
        }
        assert_eq!((value(&sent, true, "b"), sent.0.len()), (None, MAX_PACKETS));
    }
    #[test]
    fn packets_with_many_filters_are_bounded_by_their_bytes() {
        let mut sent = SentUserProperties::default();
        for packet in 0..MAX_PACKETS {
            let filters: Vec<String> = (0..1_000).map(|n| format!("{packet}/{n}")).collect();
            let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
            sent.add(subscribe(&filters, Some("v")));
            assert!(sent.bytes() <= MAX_BYTES, "{}", sent.bytes());
            assert_eq!(sent.of(true, filters[999]).len(), 1);
        }
    }
}
