//! Acknowledgements in the order that rumqttd demands.
//!
//! A client may acknowledge messages in any order; rumqttd ends a connection that does not acknowledge in the order in
//! which it sent. So an early acknowledgement waits for those before it, and one for nothing is dropped.

use std::collections::VecDeque;

/// The packets of rumqttd that await an acknowledgement, in order.
#[derive(Default)]
pub(super) struct AckOrder(VecDeque<(u16, Option<u8>)>);

impl AckOrder {
    /// rumqttd has sent a packet that has to be acknowledged.
    pub(super) fn sent(&mut self, id: u16) {
        self.0.push_back((id, None));
    }

    /// The client has sent an acknowledgement with this first byte. Returns those that may go to rumqttd now, in order.
    pub(super) fn acknowledged(&mut self, id: u16, first: u8) -> Vec<(u16, u8)> {
        let waits = |entry: &&mut (u16, Option<u8>)| entry.0 == id && entry.1.is_none();
        if let Some(entry) = self.0.iter_mut().find(waits) {
            entry.1 = Some(first);
        }
        let mut ready = Vec::new();
        while let Some((id, Some(first))) = self.0.front().copied() {
            ready.push((id, first));
            self.0.pop_front();
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_ones_wait_and_unknown_ones_stay_away() {
        let mut order = AckOrder::default();
        for id in 1..=3 {
            order.sent(id);
        }
        assert_eq!(order.acknowledged(9, 0x40), []);
        assert_eq!(order.acknowledged(3, 0x40), []);
        assert_eq!(order.acknowledged(1, 0x50), [(1, 0x50)]);
        assert_eq!(order.acknowledged(1, 0x40), [], "it was acknowledged before");
        assert_eq!(order.acknowledged(2, 0x40), [(2, 0x40), (3, 0x40)]);
    }
}
