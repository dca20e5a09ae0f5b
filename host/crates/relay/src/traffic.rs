//! Counts what passes between clients and a broker: packets by type, messages by QoS, and bytes.
//!
//! The counters exist [`SHARDS`] times, and a connection uses one of them, so that threads rarely write the same cache
//! line. Reading adds them up. The framer of a direction counts each packet when it has read its length.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::inspector::Side;

/// How many times the counters exist.
const SHARDS: usize = 16;
/// The packet types of MQTT, from 0 to 15.
const TYPES: usize = 16;
/// The QoS levels.
const LEVELS: usize = 3;
/// The type of PUBLISH.
const PUBLISH: usize = 3;

/// The names of the packet types, by type. 0 is not a type.
pub const PACKET_TYPES: [&str; TYPES] = [
    "reserved",
    "connect",
    "connack",
    "publish",
    "puback",
    "pubrec",
    "pubrel",
    "pubcomp",
    "subscribe",
    "suback",
    "unsubscribe",
    "unsuback",
    "pingreq",
    "pingresp",
    "disconnect",
    "auth",
];

/// The counters of one engine. Clones are the same counters.
#[derive(Clone, Default)]
pub struct Traffic(Arc<Shards>);

#[derive(Default)]
struct Shards {
    shards: [Shard; SHARDS],
    /// The shard of the next connection, modulo their number.
    next: AtomicUsize,
}

/// Aligned, so that no two shards have a cache line in common.
#[derive(Default)]
#[repr(align(128))]
struct Shard {
    received: DirectionCounters,
    sent: DirectionCounters,
}

#[derive(Default)]
struct DirectionCounters {
    packets: [AtomicU64; TYPES],
    messages: [AtomicU64; LEVELS],
    bytes: AtomicU64,
}

/// What has passed in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DirectionCounts {
    /// Packets by type; [`PACKET_TYPES`] has their names.
    pub packets: [u64; TYPES],
    /// PUBLISH packets by QoS; repeated ones included.
    pub messages: [u64; LEVELS],
    /// Bytes of all these packets.
    pub bytes: u64,
}

/// What has passed since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrafficCounts {
    /// From clients.
    pub received: DirectionCounts,
    /// To clients.
    pub sent: DirectionCounts,
}

/// The counters of one connection, in one direction.
pub(crate) struct PacketCounter {
    traffic: Traffic,
    shard: usize,
    from: Side,
}

impl Traffic {
    /// The counters of a new connection: for the packets of the client, and for those of the upstream.
    pub(crate) fn connection(&self) -> [PacketCounter; 2] {
        let shard = self.0.next.fetch_add(1, Relaxed) % SHARDS;
        [Side::Client, Side::Upstream].map(|from| PacketCounter {
            traffic: self.clone(),
            shard,
            from,
        })
    }

    /// Counts a CONNECT of `bytes` bytes. The rest of a connection is counted by its relay.
    pub fn connect(&self, bytes: usize) {
        let shard = self.0.next.load(Relaxed) % SHARDS;
        if let Some(shard) = self.0.shards.get(shard) {
            shard.received.count(super::packet::kind::CONNECT << 4, bytes);
        }
    }

    /// The counts of all connections.
    pub fn counts(&self) -> TrafficCounts {
        let mut counts = TrafficCounts::default();
        for shard in &self.0.shards {
            shard.received.add_to(&mut counts.received);
            shard.sent.add_to(&mut counts.sent);
        }
        counts
    }
}

impl PacketCounter {
    /// Counts a packet with this first byte and this length, header included.
    pub(crate) fn count(&self, first: u8, bytes: usize) {
        if let Some(shard) = self.traffic.0.shards.get(self.shard) {
            match self.from {
                Side::Client => shard.received.count(first, bytes),
                Side::Upstream => shard.sent.count(first, bytes),
            }
        }
    }
}

impl DirectionCounters {
    fn count(&self, first: u8, bytes: usize) {
        let kind = usize::from(first >> 4);
        let level = usize::from(first >> 1 & 3);
        if let Some(packets) = self.packets.get(kind) {
            packets.fetch_add(1, Relaxed);
        }
        if let Some(messages) = self.messages.get(level).filter(|_| kind == PUBLISH) {
            messages.fetch_add(1, Relaxed);
        }
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    fn add_to(&self, counts: &mut DirectionCounts) {
        let add = |sums: &mut [u64], counters: &[AtomicU64]| {
            for (sum, counter) in sums.iter_mut().zip(counters) {
                *sum += counter.load(Relaxed);
            }
        };
        add(&mut counts.packets, &self.packets);
        add(&mut counts.messages, &self.messages);
        counts.bytes += self.bytes.load(Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Framer, header};

    #[test]
    fn packets_are_counted_by_type_qos_and_bytes_however_they_are_cut() {
        let packets: [(u8, usize); 7] = [
            (0x30, 200),
            (0x32, 10),
            (0x3a, 10),
            (0x34, 0),
            (0x40, 2),
            (0x36, 1),
            (0xe0, 0),
        ];
        let mut bytes = Vec::new();
        for (first, length) in packets {
            header(&mut bytes, first, length);
            bytes.resize(bytes.len() + length, 7);
        }
        for cut in 1..bytes.len() {
            let traffic = Traffic::default();
            let [from_client, _] = traffic.connection();
            // The first packet is too long to be collected, and is counted, too.
            let mut framer = Framer::counted(100, from_client);
            for mut input in [&bytes[..cut], &bytes[cut..]] {
                while framer.next(&mut input).is_some() {}
            }
            let TrafficCounts { received, sent } = traffic.counts();
            assert_eq!(
                (received.packets[3], received.packets[4], received.packets[14]),
                (5, 1, 1),
                "{cut}"
            );
            assert_eq!(received.messages, [1, 2, 1], "QoS 3 is not counted; cut at {cut}");
            assert_eq!(received.bytes, bytes.len() as u64);
            assert_eq!(sent, DirectionCounts::default());
        }
    }

    #[test]
    fn connections_and_directions_add_up() {
        let traffic = Traffic::default();
        for _ in 0..2 * SHARDS + 1 {
            traffic.connect(14);
            let [_, from_upstream] = traffic.connection();
            from_upstream.count(0x20, 4);
        }
        let TrafficCounts { received, sent } = traffic.counts();
        let connections = 2 * SHARDS as u64 + 1;
        assert_eq!((received.packets[1], received.bytes), (connections, 14 * connections));
        assert_eq!((sent.packets[2], sent.bytes), (connections, 4 * connections));
        assert_eq!(sent.messages, [0; 3]);
    }
}
