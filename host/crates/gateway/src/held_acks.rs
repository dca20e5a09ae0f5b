//! Acknowledgements of the upstream that wait until what their publishes caused is on disk.
//!
//! The core says which publishes the client's acknowledgement depends on. When the upstream answers one of them, its
//! PUBACK or PUBREC is taken out of the stream, and written later. MQTT wants acknowledgements in the order of the
//! publishes, so those that come meanwhile wait behind it. All other packets pass.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::frame::Frame;
use crate::packet::kind;
use hookhost_contract::Completion;

/// The held acknowledgements of one connection. Their number is bounded by that of packet identifiers.
#[derive(Default)]
pub(crate) struct HeldAcks {
    /// What the acknowledgements depend on that the upstream has not sent yet, by packet identifier.
    expected: HashMap<u16, Completion>,
    /// The packets that wait, in order. `None`: only for those before it.
    waiting: VecDeque<(Vec<u8>, Option<Completion>)>,
}

impl HeldAcks {
    /// The acknowledgement of this publish has to wait.
    pub(crate) fn expect(&mut self, id: u16, completion: Completion) {
        self.expected.insert(id, completion);
    }

    /// Whether no acknowledgement waits or will have to.
    pub(crate) fn is_empty(&self) -> bool {
        self.expected.is_empty() && self.waiting.is_empty()
    }

    /// Takes a packet of the upstream out of the stream, if it is an acknowledgement that has to wait. Returns whether it
    /// did.
    pub(crate) fn hold(&mut self, frame: Frame<'_>) -> bool {
        let [high, low, ..] = *frame.body else { return false };
        if !matches!(frame.kind(), kind::PUBACK | kind::PUBREC) {
            return false;
        }
        let completion = self.expected.remove(&u16::from_be_bytes([high, low]));
        let completion = completion.filter(|completion| !completion.is_ready());
        if completion.is_none() && self.waiting.is_empty() {
            return false;
        }
        self.waiting.push_back((frame.packet(), completion));
        true
    }

    /// Writes the packets that need not wait any longer. The task is woken when more can be written.
    pub(crate) fn release(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) {
        while let Some((packet, completion)) = self.waiting.front_mut() {
            if let Some(completion) = completion
                && Pin::new(completion).poll(cx) == Poll::Pending
            {
                return;
            }
            out.append(packet);
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use hookhost_contract::ticket;

    fn frame(first: u8, body: &[u8]) -> Frame<'_> {
        Frame { first, body }
    }

    #[test]
    fn acknowledgements_keep_their_order_and_other_packets_pass() {
        let mut acks = HeldAcks::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut out = Vec::new();
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
        acks.release(&mut cx, &mut out);
        assert!(out.is_empty());
        first.complete();
        acks.release(&mut cx, &mut out);
        assert_eq!(out, [0x40, 3, 0, 2, 0x10, 0x50, 2, 0, 3, 0x40, 2, 0, 4]);
        assert!(acks.is_empty());
        let (early, of_early) = ticket();
        acks.expect(5, of_early);
        early.complete();
        assert!(!acks.hold(frame(0x40, &[0, 5])), "it is complete already");
    }
}
