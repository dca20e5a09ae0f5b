//! The shield against packets that no real client sends.

use proptest::prelude::*;

use super::super::connect::ShieldedConnect;
use super::*;
use crate::frame::{Framer, Piece};
use crate::packet::Connect;

fn shield(version: u8) -> Shield {
    Shield::new(version, false)
}

fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut framer = Framer::new(usize::MAX);
    let mut found = Vec::new();
    while let Some(piece) = framer.next(&mut bytes) {
        match piece {
            Piece::Packet(frame) => found.push((frame.first, frame.body.to_vec())),
            _ => panic!("no packet"),
        }
    }
    assert!(framer.is_between(), "half a packet");
    found
}

#[test]
fn a_repeated_qos_2_publish_goes_up_once() {
    let mut shield = shield(4);
    let body = b"\0\x01t\0\x07x";
    let mut out = Out::default();
    shield.up(Frame { first: 0x34, body }, &mut out).unwrap();
    assert_eq!(frames(&out.up), [(0x34, b"\0\x03t/t\0\x07\0x".to_vec())]);
    let mut out = Out::default();
    shield.up(Frame { first: 0x3c, body }, &mut out).unwrap();
    assert_eq!((frames(&out.up), frames(&out.down)), (vec![], vec![(0x50, vec![0, 7])]));
    for expected in [(true, false), (false, true)] {
        let mut out = Out::default();
        shield
            .up(
                Frame {
                    first: 0x62,
                    body: &[0, 7],
                },
                &mut out,
            )
            .unwrap();
        assert_eq!((!out.up.is_empty(), !out.down.is_empty()), expected);
    }
}

#[test]
fn a_disconnect_that_keeps_the_will_closes_without_a_word() {
    let mut shield = shield(5);
    let mut out = Out::default();
    shield
        .up(
            Frame {
                first: 0xe0,
                body: &[4, 0],
            },
            &mut out,
        )
        .unwrap();
    assert!(out.close && out.up.is_empty());
}

#[test]
fn topics_of_nobody_here_do_not_go_down() {
    let mut shield = shield(5);
    let mut out = Out::default();
    shield
        .down(
            Frame {
                first: 0x30,
                body: b"\0\x01t\0x",
            },
            &mut out,
        )
        .unwrap();
    assert!(out.down.is_empty());
}

#[test]
fn connects_that_it_cannot_serve_are_refused_with_their_code() {
    let will = |topic: &str| crate::packet::Will {
        topic: topic.into(),
        payload: bytes::Bytes::new(),
        qos: 0,
        retain: false,
        delay: 0,
        properties: None,
    };
    let connect = crate::packet::connect(b"\0\x04MQTT\x05\x02\0\0\0\0\x01c").unwrap();
    for (connect, code) in [
        (
            Connect {
                authentication_method: true,
                ..connect.clone()
            },
            140,
        ),
        (
            Connect {
                will: Some(will("a/#")),
                ..connect.clone()
            },
            144,
        ),
        (
            Connect {
                will: Some(will(&"x".repeat(65_535))),
                ..connect
            },
            144,
        ),
    ] {
        assert_eq!(
            ShieldedConnect::new(&connect, "secret", ByteString::new).err(),
            Some(code)
        );
    }
}

proptest! {
    /// Whatever comes from the client: what goes up is whole, names only topics with a prefix and no group.
    #[test]
    fn any_packets(version in 3u8..6, list in proptest::collection::vec((any::<bool>(), any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..30)) {
        let mut shield = shield(version);
        for (client, first, body) in list {
            let mut out = Out::default();
            let frame = Frame { first, body: &body };
            let passed = if client { shield.up(frame, &mut out) } else { shield.down(frame, &mut out) };
            if passed.is_err() {
                break;
            }
            for (first, body) in frames(&out.up) {
                if first >> 4 == kind::PUBLISH {
                    let topic = packet::topic(&body).unwrap();
                    prop_assert!(names::outside(topic).is_some_and(is_topic));
                }
            }
            frames(&out.down);
        }
    }
}
