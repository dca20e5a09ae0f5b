//! Acknowledgements of the upstream that wait until what their publishes caused is on disk.
//!
//! The engine says which publishes of the client have to wait. When the upstream answers one of them, its PUBACK or PUBREC
//! is taken out of the stream and written later. MQTT demands acknowledgements in the order of the publishes, so later
//! ones wait behind it. All other packets pass. So all publishes in the window of a client wait for one commit together.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::direction::Direction;
use super::frame::{Frame, Framer, Piece};
use super::packet::kind;
use hookhost_contract::Completion;

/// Above this number of held packets the client is not read. No client that keeps to MQTT has more: each packet
/// identifier is in use once.
const MAX_HELD_PACKETS: usize = u16::MAX as usize;
/// Code of MQTT 5 for a client whose acknowledgement cannot be sent: implementation specific error.
const LOST: u8 = 131;

/// The held acknowledgements of one connection.
#[derive(Default)]
pub struct HeldAcks {
    /// What the acknowledgements depend on that the upstream has not sent yet, by packet identifier.
    expected: HashMap<u16, Completion>,
    /// The packets that wait, in order. `None`: only for those before it.
    waiting: VecDeque<(Vec<u8>, Option<Completion>)>,
    passing: Passing,
    is_lost: bool,
}

/// How the bytes of the upstream are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Passing {
    /// As they come.
    #[default]
    Whole,
    /// As they come up to the end of the packet that has begun, then packet by packet.
    ByNextPacket,
    /// Packet by packet, so that an acknowledgement can be held back.
    ByPacket,
}

impl HeldAcks {
    /// The acknowledgement of this publish has to wait. Call it before the upstream's answer is inspected.
    pub fn expect(&mut self, id: u16, completion: Completion) {
        self.expected.insert(id, completion);
    }

    /// Whether no acknowledgement waits or will have to.
    pub fn is_empty(&self) -> bool {
        self.expected.is_empty() && self.waiting.is_empty()
    }

    /// Whether the client is not to be read, because it publishes without waiting for acknowledgements.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_HELD_PACKETS
    }

    /// The code of MQTT 5 with which the connection has to end, because an acknowledgement can never be sent.
    pub fn violation(&self) -> Option<u8> {
        self.is_lost.then_some(LOST)
    }

    /// Finds the packets in a piece of the upstream's bytes and takes out the acknowledgements that have to wait. `see`
    /// gets everything that is found. Returns whether the piece passes as it is; otherwise what passes is added to the
    /// direction's `out`.
    pub fn pass(&mut self, piece: &[u8], direction: &mut Direction, mut see: impl FnMut(&Piece<'_>)) -> bool {
        let Direction { framer, out, .. } = direction;
        let mut input = piece;
        if self.passing == Passing::Whole {
            if self.is_empty() {
                while let Some(found) = framer.next(&mut input) {
                    see(&found);
                }
                return true;
            }
            self.passing = match framer.is_between() {
                true => Passing::ByPacket,
                false => Passing::ByNextPacket,
            };
        }
        loop {
            out.extend_from_slice(framer.unseen(&mut input));
            if framer.is_between() {
                self.passing = Passing::ByPacket;
            }
            if !self.pass_next(&mut input, framer, out, &mut see) {
                break;
            }
        }
        if self.is_empty() && framer.is_between() {
            self.passing = Passing::Whole;
        }
        false
    }

    /// Passes on what is found next; returns whether there was anything.
    fn pass_next(
        &mut self,
        input: &mut &[u8],
        framer: &mut Framer,
        out: &mut Vec<u8>,
        see: &mut impl FnMut(&Piece<'_>),
    ) -> bool {
        let before = *input;
        let found = framer.next(input);
        if let Some(found) = &found {
            see(found);
        }
        let taken = before.get(..before.len() - input.len()).unwrap_or_default();
        let is_found = found.is_some();
        match found {
            // The beginning of this packet was passed on as it came.
            _ if self.passing == Passing::ByNextPacket => {
                out.extend_from_slice(taken);
                if is_found {
                    self.passing = Passing::ByPacket;
                }
            }
            Some(Piece::Packet(frame)) if self.hold(frame) => {}
            Some(Piece::Packet(frame)) => frame.write(out),
            Some(Piece::TooLong | Piece::Broken) => out.extend_from_slice(framer.head()),
            None => {}
        }
        is_found
    }

    /// Takes a packet of the upstream out of the stream, if it is an acknowledgement that has to wait. Returns whether it
    /// did.
    pub fn hold(&mut self, frame: Frame<'_>) -> bool {
        let [high, low, ..] = *frame.body else { return false };
        if !matches!(frame.kind(), kind::PUBACK | kind::PUBREC) {
            return false;
        }
        let completion = self.expected.remove(&u16::from_be_bytes([high, low]));
        let completion = completion.filter(|completion| !completion.is_complete());
        if completion.is_none() && self.waiting.is_empty() {
            return false;
        }
        self.waiting.push_back((frame.packet(), completion));
        true
    }

    /// Writes the packets that need not wait any longer to the end of `out`. The task is woken when more can be written.
    pub fn release(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) {
        while let Some((packet, completion)) = self.waiting.front_mut() {
            if let Some(completion) = completion {
                match Pin::new(completion).poll(cx) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => {
                        self.is_lost = true;
                        return;
                    }
                }
            }
            out.append(packet);
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;
    use hookhost_contract::ticket;

    fn frame(first: u8, body: &[u8]) -> Frame<'_> {
        Frame { first, body }
    }

    fn release(acks: &mut HeldAcks) -> Vec<u8> {
        let mut out = Vec::new();
        acks.release(&mut Context::from_waker(Waker::noop()), &mut out);
        out
    }

    #[test]
    fn acknowledgements_keep_their_order_and_other_packets_pass() {
        let mut acks = HeldAcks::default();
        assert!(!acks.hold(frame(0x40, &[0, 1])) && acks.is_empty());
        let (first, of_first) = ticket();
        let (second, of_second) = ticket();
        acks.expect(2, of_first);
        acks.expect(4, of_second);
        assert!(acks.hold(frame(0x40, &[0, 2, 0x10])));
        assert!(acks.hold(frame(0x50, &[0, 3])), "waits behind the one before it");
        assert!(acks.hold(frame(0x40, &[0, 4])));
        for other in [
            frame(0xd0, &[]),
            frame(0x70, &[0, 2]),
            frame(0x90, &[0, 2, 0]),
            frame(0x40, &[]),
        ] {
            assert!(!acks.hold(other), "{other:?}");
        }
        second.complete();
        assert!(release(&mut acks).is_empty());
        first.complete();
        assert_eq!(release(&mut acks), [0x40, 3, 0, 2, 0x10, 0x50, 2, 0, 3, 0x40, 2, 0, 4]);
        assert!(acks.is_empty());
        let (early, of_early) = ticket();
        acks.expect(5, of_early);
        early.complete();
        assert!(!acks.hold(frame(0x40, &[0, 5])), "it is complete already");
    }

    #[test]
    fn a_lost_publish_is_never_acknowledged_and_ends_the_connection() {
        let mut acks = HeldAcks::default();
        let (lost, completion) = ticket();
        acks.expect(1, completion);
        assert!(acks.hold(frame(0x40, &[0, 1])));
        assert_eq!((release(&mut acks), acks.violation()), (Vec::new(), None));
        drop(lost);
        assert_eq!((release(&mut acks), acks.violation()), (Vec::new(), Some(131)));
    }

    #[test]
    fn a_client_that_ignores_acknowledgements_is_not_read_at_the_limit() {
        let mut acks = HeldAcks::default();
        let (_open, completion) = ticket();
        acks.expect(1, completion);
        for count in 0..MAX_HELD_PACKETS {
            assert!(!acks.is_full(), "{count}");
            assert!(acks.hold(frame(0x40, &[0, 1])));
        }
        assert!(acks.is_full());
    }

    proptest! {
        /// Packets of all lengths, of which some are acknowledgements that wait, in pieces: what passes and what is
        /// released later are the packets that came, each kind in its order.
        #[test]
        fn any_cut_holds_the_same_packets_back(
            list in proptest::collection::vec((any::<bool>(), 2usize..40), 1..12),
            cuts in proptest::collection::vec(1usize..30, 1..6),
            first_held in 0usize..12,
        ) {
            let mut direction = Direction::new(20);
            let mut acks = HeldAcks::default();
            let (open, completion) = ticket();
            let (mut passed, mut held, mut expected_now, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for (place, (is_ack, length)) in list.iter().enumerate() {
                let id = place as u8;
                let body = if *is_ack { vec![0, id] } else { vec![id; *length] };
                let packet = frame(if *is_ack { 0x40 } else { 0x30 }, &body).packet();
                if *is_ack && place >= first_held {
                    held.extend_from_slice(&packet);
                } else {
                    expected_now.extend_from_slice(&packet);
                }
                bytes.push((place, packet));
            }
            // A completion is registered before the upstream writes the first byte of its acknowledgement.
            let mut pending: Vec<u8> = Vec::new();
            let mut cuts = cuts.iter().cycle();
            let mut inspect = |pending: &mut Vec<u8>, acks: &mut HeldAcks, all: bool| {
                while !pending.is_empty() {
                    let cut = *cuts.next().unwrap();
                    if cut > pending.len() && !all {
                        return;
                    }
                    let piece: Vec<u8> = pending.drain(..cut.min(pending.len())).collect();
                    if acks.pass(&piece, &mut direction, |_| {}) {
                        passed.extend_from_slice(&piece);
                    } else {
                        passed.append(&mut direction.out);
                    }
                }
            };
            for (place, packet) in bytes {
                if place >= first_held && packet[0] == 0x40 {
                    inspect(&mut pending, &mut acks, false);
                    acks.expect(place as u16, completion.clone());
                }
                pending.extend_from_slice(&packet);
            }
            inspect(&mut pending, &mut acks, true);
            prop_assert_eq!(&passed, &expected_now);
            prop_assert!(release(&mut acks).is_empty());
            open.complete();
            prop_assert_eq!(release(&mut acks), held);
            prop_assert!(acks.is_empty());
        }
    }
}
