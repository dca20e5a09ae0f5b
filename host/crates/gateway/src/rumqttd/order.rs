//! Confirmations in the order that rumqttd wants.
//!
//! A client may confirm messages in any order; rumqttd ends a connection that does not confirm in the order in which it
//! sent. So confirmations that come early wait for those before them, and those for nothing are kept from it.

use std::collections::VecDeque;

/// What rumqttd has sent and waits for.
#[derive(Default)]
pub(super) struct Order(VecDeque<(u16, Option<u8>)>);

impl Order {
    /// Something was sent that is to be confirmed.
    pub(super) fn sent(&mut self, id: u16) {
        self.0.push_back((id, None));
    }

    /// A confirmation with this first byte has come; gives those that may go on now, in their order.
    pub(super) fn confirmed(&mut self, id: u16, first: u8) -> Vec<(u16, u8)> {
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
        let mut order = Order::default();
        for id in 1..=3 {
            order.sent(id);
        }
        assert_eq!(order.confirmed(9, 0x40), []);
        assert_eq!(order.confirmed(3, 0x40), []);
        assert_eq!(order.confirmed(1, 0x50), [(1, 0x50)]);
        assert_eq!(order.confirmed(1, 0x40), [], "it was confirmed before");
        assert_eq!(order.confirmed(2, 0x40), [(2, 0x40), (3, 0x40)]);
    }
}
