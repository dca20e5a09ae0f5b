//! Any packets, any bytes, in any order: nothing panics, and the events can have happened in their order.

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
        (any::<bool>(), one).prop_map(|(from_client, (first, body))| (from_client, first, body)),
        0..80,
    )
}

proptest! {
    /// Any packets in any order and both directions: nothing panics, memory is bounded, each end is told once and
    /// nothing after it.
    #[test]
    fn any_packets(version in 3u8..6, list in packets(), expiry in any::<bool>(), cause in 0usize..4) {
        let recorder = Recorder::new();
        let connect = Connect { session_expiry: u32::from(expiry) * 60, ..connect(version) };
        let mut client = open_with(connect, &recorder, 1);
        for (from_client, first, body) in list {
            pass(&mut client, if from_client { C } else { U }, first, &body, &recorder);
            prop_assert!(client.kept() <= 2 * MAX_PENDING_BYTES);
        }
        let cause = [EndCause::ClientClosed, EndCause::UpstreamClosed, EndCause::KeepAlive, EndCause::Stopping][cause].clone();
        client.end(cause.clone(), &recorder);
        client.end(cause, &recorder);
        let hooks = recorder.hooks();
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
        let recorder = Recorder::new();
        let mut client = open(version, &recorder);
        let mut framers = [Framer::new(1000), Framer::new(1000)];
        for (from_client, bytes) in pieces {
            let from = if from_client { C } else { U };
            let mut input = &bytes[..];
            while let Some(piece) = framers[usize::from(from_client)].next(&mut input) {
                match piece {
                    Piece::Packet(frame) => client.packet(from, frame, &recorder),
                    Piece::TooLong => client.too_long(from, &recorder),
                    Piece::Broken => client.broken(from, &recorder),
                }
            }
        }
        client.end(EndCause::ClientClosed, &recorder);
        prop_assert_eq!(recorder.hooks().iter().filter(|hook| **hook == Hook::ClientDisconnected).count(), 1);
    }

    /// Any CONNECT and CONNACK.
    #[test]
    fn any_opening(body in proptest::collection::vec(any::<u8>(), 0..60), answer in proptest::collection::vec(any::<u8>(), 0..30), version in 3u8..6) {
        let named = [&b"\0\x04MQTT"[..], &[version], &body].concat();
        for body in [&body, &named] {
            let Ok(connect) = packet::connect(body) else { continue };
            let recorder = Recorder::new();
            let version = connect.version;
            let mut client = TestClient::connect(socket_info(1), connect, &recorder);
            client.announce(&recorder);
            if let Ok(connack) = packet::connack(version, &answer) {
                client.connack(&connack, &recorder);
            }
            client.end(EndCause::ClientClosed, &recorder);
        }
    }

    /// Subscriptions against a model: the active ones are those that were granted and not removed.
    #[test]
    fn subscriptions_against_a_model(steps in proptest::collection::vec((0u8..3, 0usize..4, 0u8..4), 0..40)) {
        let filters = ["a", "b", "a/+", "$share/g/a"];
        let recorder = Recorder::new();
        let mut client = open(5, &recorder);
        let mut model = std::collections::HashMap::new();
        for (index, (what, filter, qos)) in steps.into_iter().enumerate() {
            let [high, low] = (index as u16 + 1).to_be_bytes();
            let name = filters[filter];
            let mut body = vec![high, low, 0, 0, name.len() as u8];
            body.extend(name.as_bytes());
            if what == 2 {
                pass(&mut client, C, 0xa2, &body, &recorder);
                let code = if model.remove(name).is_some() { 0 } else { 17 };
                pass(&mut client, U, 0xb0, &[high, low, 0, code], &recorder);
                let expected = if code == 0 { vec![Hook::ClientUnsubscribe, Hook::SessionUnsubscribed] } else { vec![Hook::ClientUnsubscribe] };
                prop_assert_eq!(recorder.hooks(), expected);
            } else {
                body.push(qos.min(2));
                pass(&mut client, C, 0x82, &body, &recorder);
                let code = if qos == 3 { 135 } else { qos };
                pass(&mut client, U, 0x90, &[high, low, 0, code], &recorder);
                let was_there = model.contains_key(name);
                if code < 128 {
                    model.insert(name, code);
                }
                let is_new: Vec<bool> = recorder.events.borrow().iter().filter_map(|detail| match detail {
                    Detail::ClientSubscribe(subscription) => Some(subscription.is_new),
                    _ => None,
                }).collect();
                prop_assert_eq!(is_new, [!was_there]);
                prop_assert_eq!(recorder.hooks().len(), if code < 128 { 3 } else { 2 });
            }
            prop_assert_eq!(client.session().held_subscriptions(), model.len());
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
