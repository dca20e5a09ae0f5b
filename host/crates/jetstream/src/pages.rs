//! Which numbers of a stream to ask for, to read it from its end to its beginning. Pure.
//!
//! JetStream reads forward only. [`Backward`] asks for the messages from a number on that is a window below the place
//! reached. The window grows where most numbers are missing, and shrinks where one answer does not have all messages.

/// The first window, in numbers.
const FIRST_WINDOW: u64 = 256;

/// A window whose answer has fewer messages grows.
const FEW_MESSAGES: usize = 64;

/// A place in a stream that is read backward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backward {
    /// The lowest number.
    first: u64,
    /// All messages from this number on are read.
    before: u64,
    window: u64,
}

impl Backward {
    /// Reads the messages from `first` on and below `before`.
    pub(super) fn new(first: u64, before: u64) -> Backward {
        Backward {
            first,
            before,
            window: FIRST_WINDOW,
        }
    }

    /// The number from which on to read; `None`: all is read.
    pub(super) fn from(&self) -> Option<u64> {
        (self.before > self.first).then(|| self.before.saturating_sub(self.window).max(self.first))
    }

    /// Takes the answer: messages from [`Backward::from`] on, ascending, and whether the stream has later ones. Returns the
    /// messages that are next, descending; empty: read again.
    pub(super) fn take<T>(&mut self, mut messages: Vec<(u64, T)>, has_more: bool) -> Vec<(u64, T)> {
        let Some(from) = self.from() else { return Vec::new() };
        let reaches_end = messages.last().is_some_and(|(number, _)| number + 1 >= self.before);
        if has_more && !reaches_end && self.before - from > 1 {
            self.window = ((self.before - from) / 2).max(1);
            return Vec::new();
        }
        messages.retain(|(number, _)| (from..self.before).contains(number));
        self.before = from;
        if messages.len() < FEW_MESSAGES {
            self.window = self.window.saturating_mul(2);
        }
        messages.reverse();
        messages
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Reads a stream of these numbers with answers of at most `most` messages. Returns what it has read and how many
    /// questions that took.
    fn read(numbers: &BTreeSet<u64>, before: u64, most: usize) -> (Vec<u64>, usize) {
        let mut place = Backward::new(1, before);
        let (mut all, mut questions) = (Vec::new(), 0);
        while let Some(from) = place.from() {
            questions += 1;
            let rest: Vec<(u64, ())> = numbers.range(from..).map(|number| (*number, ())).collect();
            let has_more = rest.len() > most;
            let answer = rest.into_iter().take(most).collect();
            all.extend(place.take(answer, has_more).into_iter().map(|(number, ())| number));
        }
        (all, questions)
    }

    proptest! {
        #[test]
        fn every_message_below_the_limit_comes_once_in_descending_order(
            numbers in prop::collection::btree_set(1_u64..5_000, 0..1_500),
            before in 1_u64..6_000,
            most in 1_usize..300,
        ) {
            let expected: Vec<u64> = numbers.range(..before).rev().copied().collect();
            prop_assert_eq!(read(&numbers, before, most).0, expected);
        }
    }

    #[test]
    fn a_long_gap_needs_few_questions() {
        let numbers = BTreeSet::from([1, 2, 10_000_000]);
        let (all, questions) = read(&numbers, 10_000_001, 256);
        assert_eq!(all, [10_000_000, 2, 1]);
        assert!(questions < 30, "{questions}");
    }
}
