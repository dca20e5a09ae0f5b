//! Any packets, any bytes, in any order: nothing panics, and what is told is a story that can be true.

use proptest::prelude::*;

use super::*;
use crate::frame::{Framer, Piece, header};

/// Packets of any kind, most of them valid or nearly so.
fn packets() -> impl Strategy<Value = Vec<(bool, u8, Vec<u8>)>> {
    let id = 0u16..6;
    let topic = prop_oneof![
        Just(""),
        Just("t"),
        Just("t/1"),
        Just("a/#"),
        Just("$share/g/t"),
        Just("температура")
    ];
    let text = |text: &str| [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
    let publish =
        (id.clone(), topic.clone(), 0u8..4, any::<bool>(), 0u8..13).prop_map(move |(id, topic, qos, five, alias)| {
            let mut body = text(topic);
            if qos > 0 {
                body.extend(id.to_be_bytes());
            }
            match (five, alias) {
                (true, 0) => body.push(0),
                (true, alias) => body.extend([3, 0x23, 0, alias]),
                _ => {}
            }
            body.push(b'x');
            (0x30 | qos << 1, body)
        });
    let ack = (
        prop_oneof![Just(0x40), Just(0x50), Just(0x62), Just(0x70)],
        id.clone(),
        proptest::option::of(any::<u8>()),
    )
        .prop_map(|(first, id, code)| {
            let mut body = id.to_be_bytes().to_vec();
            body.extend(code);
            (first, body)
        });
    let subscribe =
        (id.clone(), topic.clone(), any::<bool>(), any::<u8>()).prop_map(move |(id, topic, five, options)| {
            let mut body = id.to_be_bytes().to_vec();
            if five {
                body.push(0);
            }
            body.extend(text(topic));
            body.push(options);
            (0x82, body)
        });
    let unsubscribe = (id.clone(), topic, any::<bool>()).prop_map(move |(id, topic, five)| {
        let mut body = id.to_be_bytes().to_vec();
        if five {
            body.push(0);
        }
        body.extend(text(topic));
        (0xa2, body)
    });
    let answer =
        (prop_oneof![Just(0x90), Just(0xb0)], id, any::<bool>(), any::<u8>()).prop_map(|(first, id, five, code)| {
            let mut body = id.to_be_bytes().to_vec();
            if five {
                body.push(0);
            }
            body.push(code);
            (first, body)
        });
    let other = prop_oneof![
        Just((0xc0, Vec::new())),
        Just((0xd0, Vec::new())),
        Just((0xe0, Vec::new())),
        Just((0xe0, vec![4]))
    ];
    let any_at_all = (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40));
    let one = prop_oneof![
        8 => publish,
        8 => ack,
        3 => subscribe,
        2 => unsubscribe,
        4 => answer,
        1 => other,
        2 => any_at_all,
    ];
    proptest::collection::vec(
        (any::<bool>(), one).prop_map(|(client, (first, body))| (client, first, body)),
        0..80,
    )
}

proptest! {
    /// Any packets in any order and both directions: nothing panics, memory is bounded, each end is told once and
    /// nothing after it.
    #[test]
    fn any_packets(version in 3u8..6, list in packets(), expiry in any::<bool>(), cause in 0usize..4) {
        let ears = Ears::new();
        let connect = Connect { session_expiry: u32::from(expiry) * 60, ..connect(version) };
        let mut machine = open_with(connect, &ears, 1);
        for (client, first, body) in list {
            pass(&mut machine, if client { C } else { U }, first, &body, &ears);
            prop_assert!(machine.kept() <= 2 * KEPT);
        }
        let cause = [Cause::ClientClosed, Cause::UpstreamClosed, Cause::KeepAlive, Cause::Stopping][cause].clone();
        machine.end(cause.clone(), &ears);
        machine.end(cause, &ears);
        let hooks = ears.hooks();
        let count = |hook| hooks.iter().filter(|other| **other == hook).count();
        prop_assert_eq!(count(Hook::ClientDisconnected), 1);
        prop_assert_eq!(count(Hook::SessionTerminated), usize::from(!expiry));
        prop_assert!(count(Hook::MessageAcked) <= count(Hook::MessageDelivered));
        prop_assert!(count(Hook::SessionSubscribed) <= count(Hook::ClientSubscribe));
        let end = hooks.iter().position(|hook| *hook == Hook::ClientDisconnected);
        prop_assert!(hooks.len() - end.unwrap_or(0) <= 2, "nothing comes after the end");
    }

    /// Any bytes, cut anywhere, from both sides.
    #[test]
    fn any_bytes(version in 3u8..6, pieces in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..40)) {
        let ears = Ears::new();
        let mut machine = open(version, &ears);
        let mut framers = [Framer::new(1000), Framer::new(1000)];
        for (client, bytes) in pieces {
            let from = if client { C } else { U };
            let mut input = &bytes[..];
            while let Some(piece) = framers[usize::from(client)].next(&mut input) {
                match piece {
                    Piece::Packet(frame) => machine.packet(from, frame, &ears),
                    Piece::TooLong => machine.too_long(from, &ears),
                    Piece::Broken => machine.broken(from, &ears),
                }
            }
        }
        machine.end(Cause::ClientClosed, &ears);
        prop_assert_eq!(ears.hooks().iter().filter(|hook| **hook == Hook::ClientDisconnected).count(), 1);
    }

    /// Any CONNECT and CONNACK.
    #[test]
    fn any_opening(body in proptest::collection::vec(any::<u8>(), 0..60), answer in proptest::collection::vec(any::<u8>(), 0..30), version in 3u8..6) {
        let named = [&b"\0\x04MQTT"[..], &[version], &body].concat();
        for body in [&body, &named] {
            let Ok(connect) = packet::connect(body) else { continue };
            let ears = Ears::new();
            let version = connect.version;
            let mut machine = Machine::connect(facts(1), connect, &ears);
            machine.announce(&ears);
            if let Ok(connack) = packet::connack(version, &answer) {
                machine.connack(&connack, &ears);
            }
            machine.end(Cause::ClientClosed, &ears);
        }
    }

    /// Subscriptions against a model: what is told to be in force is what was granted and not given up.
    #[test]
    fn subscriptions_against_a_model(steps in proptest::collection::vec((0u8..3, 0usize..4, 0u8..4), 0..40)) {
        let filters = ["a", "b", "a/+", "$share/g/a"];
        let ears = Ears::new();
        let mut machine = open(5, &ears);
        let mut model = std::collections::HashMap::new();
        for (index, (what, filter, qos)) in steps.into_iter().enumerate() {
            let [high, low] = (index as u16 + 1).to_be_bytes();
            let name = filters[filter];
            let mut body = vec![high, low, 0, 0, name.len() as u8];
            body.extend(name.as_bytes());
            if what == 2 {
                pass(&mut machine, C, 0xa2, &body, &ears);
                let code = if model.remove(name).is_some() { 0 } else { 17 };
                pass(&mut machine, U, 0xb0, &[high, low, 0, code], &ears);
                let expected = if code == 0 { vec![Hook::ClientUnsubscribe, Hook::SessionUnsubscribed] } else { vec![Hook::ClientUnsubscribe] };
                prop_assert_eq!(ears.hooks(), expected);
            } else {
                body.push(qos.min(2));
                pass(&mut machine, C, 0x82, &body, &ears);
                let code = if qos == 3 { 135 } else { qos };
                pass(&mut machine, U, 0x90, &[high, low, 0, code], &ears);
                let was_there = model.contains_key(name);
                if code < 128 {
                    model.insert(name, code);
                }
                let is_new: Vec<bool> = ears.told.borrow().iter().filter_map(|detail| match detail {
                    Detail::ClientSubscribe(subscription) => Some(subscription.is_new),
                    _ => None,
                }).collect();
                prop_assert_eq!(is_new, [!was_there]);
                prop_assert_eq!(ears.hooks().len(), if code < 128 { 3 } else { 2 });
            }
            prop_assert_eq!(machine.memory().subscriptions(), model.len());
        }
    }
}

#[test]
fn a_header_is_what_the_framer_reads() {
    let mut bytes = Vec::new();
    header(&mut bytes, 0x30, 200);
    bytes.extend([0; 200]);
    let mut framer = Framer::new(200);
    let mut input = &bytes[..];
    assert!(matches!(framer.next(&mut input), Some(Piece::Packet(frame)) if frame.body.len() == 200));
}
