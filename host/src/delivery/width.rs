//! How many requests a thread keeps under way, within the limits: as few as keep it busy.
//!
//! Requests under way beyond those only spread the thread's work over more connections and memory, measured at a
//! quarter of its throughput with 128 of them; a slow receiver on the other hand needs all it may have. So the width
//! grows whenever the thread has nothing left to do although requests wait, and shrinks while it never comes to that.
//! Growing takes a few turns of the runtime, microseconds, so that no request waits noticeably for its turn.

/// The width of one thread. Pure; told what happens.
#[derive(Debug)]
pub(super) struct Width {
    now: usize,
    most: usize,
    ended: usize,
}

impl Width {
    /// Enough to make use of an answer that takes no longer than the thread's own work.
    const LEAST: usize = 8;

    /// A width that never needs to be more than `most`.
    pub(super) fn new(most: usize) -> Width {
        Width {
            now: Width::LEAST,
            most: most.max(Width::LEAST),
            ended: 0,
        }
    }

    /// Whether one more than these may be under way.
    pub(super) fn allows(&self, under_way: usize) -> bool {
        under_way < self.now
    }

    /// The thread would sleep now although requests wait for the width.
    pub(super) fn idle(&mut self) {
        self.ended = 0;
        self.now = (self.now + self.now / 4 + 1).min(self.most);
    }

    /// An attempt has ended.
    pub(super) fn ended(&mut self) {
        self.ended += 1;
        // Every connection has had its turns, and the thread has not been idle.
        if self.ended >= 4 * self.now {
            self.ended = 0;
            self.now = (self.now - self.now / 8).max(Width::LEAST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_while_idle_and_shrinks_while_busy() {
        let mut width = Width::new(100);
        assert!(width.allows(7) && !width.allows(8));
        for _ in 0..12 {
            width.idle();
        }
        assert!(
            width.allows(99) && !width.allows(100),
            "up to the bound, within a few turns"
        );
        for _ in 0..100_000 {
            width.ended();
        }
        assert!(width.allows(7) && !width.allows(16), "down to what keeps it busy");
    }
}
