//! Which acknowledgements of one client have to wait, on their way from RMQTT's hooks to the client's relay.
//!
//! RMQTT answers each publish at once. The hook that routes the publish registers here what its acknowledgement has to
//! wait for, before RMQTT writes it. The relay takes what is registered before it looks at RMQTT's next bytes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use hookhost_contract::Completion;

/// What acknowledgements have to wait for, by packet identifier.
#[derive(Default)]
pub(super) struct ExpectedAcks {
    list: Mutex<Vec<(u16, Completion)>>,
    /// Whether the list may contain anything. The relay reads it for each piece of input.
    has_any: AtomicBool,
}

impl ExpectedAcks {
    /// The acknowledgement of this publish has to wait.
    pub(super) fn add(&self, packet_id: u16, completion: Completion) {
        // The list is valid after each change, so a panic leaves a valid one.
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.push((packet_id, completion));
        self.has_any.store(true, Ordering::Release);
    }

    /// Removes and returns what was added since the last call.
    pub(super) fn take(&self) -> Vec<(u16, Completion)> {
        if !self.has_any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        self.has_any.store(false, Ordering::Release);
        std::mem::take(&mut *list)
    }
}

#[cfg(test)]
mod tests {
    use hookhost_contract::ticket;

    use super::*;

    #[test]
    fn what_is_added_is_taken_once_and_in_order() {
        let expected = ExpectedAcks::default();
        assert!(expected.take().is_empty());
        for packet_id in [3, 1] {
            expected.add(packet_id, ticket().1);
        }
        let ids = || -> Vec<u16> { expected.take().into_iter().map(|(id, _)| id).collect() };
        assert_eq!(ids(), [3, 1]);
        assert!(ids().is_empty());
    }
}
