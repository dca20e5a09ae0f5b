//! What modules did with the last events, in two bounded rings: events that were ignored, and all others. So events that
//! no rule is for do not displace those that caused requests. Pure.

use std::collections::VecDeque;

use hookhost_event::Id;

use crate::entry::HandledEvent;

/// Limit of each ring. An entry has about 100 bytes, and a text if the module failed.
const MAX_HANDLED: usize = 4_000;

/// What modules did with the last events.
#[derive(Debug, Default)]
pub(crate) struct OutcomeLog {
    ignored: VecDeque<HandledEvent>,
    others: VecDeque<HandledEvent>,
}

impl OutcomeLog {
    /// Adds what a module did with an event. Drops the oldest entry beyond the limit.
    pub(crate) fn push(&mut self, handled: HandledEvent) {
        let ring = if handled.is_ignored() {
            &mut self.ignored
        } else {
            &mut self.others
        };
        if ring.len() == MAX_HANDLED {
            ring.pop_front();
        }
        ring.push_back(handled);
    }

    /// What modules did with an event, oldest first.
    pub(crate) fn of(&self, event: Id) -> Vec<HandledEvent> {
        let all = self.ignored.iter().chain(&self.others);
        let mut found: Vec<HandledEvent> = all.filter(|handled| handled.event == event).cloned().collect();
        found.sort_by_key(|handled| handled.at);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::handled;

    #[test]
    fn ignored_events_do_not_displace_others() {
        let mut log = OutcomeLog::default();
        log.push(handled(1, "answered"));
        for number in 0..2 * MAX_HANDLED as u128 {
            log.push(handled(100 + number, "ignored"));
        }
        log.push(handled(1, "trapped"));
        let of = |id| -> Vec<&str> { log.of(Id(id)).iter().map(|handled| handled.outcome).collect() };
        assert_eq!(of(1), ["answered", "trapped"]);
        assert_eq!(of(100), [""; 0], "the oldest has left");
        assert_eq!(of(99 + 2 * MAX_HANDLED as u128), ["ignored"]);
        assert_eq!((log.ignored.len(), log.others.len()), (MAX_HANDLED, 2));
    }
}
