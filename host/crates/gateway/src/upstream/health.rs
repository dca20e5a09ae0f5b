//! Whether an upstream works, and when it is tried again after a failure. Pure: the caller reports what happens and when.

use std::time::Duration;

/// The pause after the first failure. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: an upstream that is back has clients again after this.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The health of one upstream. A new one is up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Health {
    is_down: bool,
    /// How often it went down, or a probe failed, since a client's CONNECT was answered last.
    in_a_row: u32,
    /// All failures.
    failures: u64,
    /// Why it failed last, as long as no CONNECT has been answered since.
    error: Option<String>,
}

impl Health {
    /// The attempt of a client has failed. Returns true if it is down only now: then it has to be tried again after
    /// [`pause`](Health::pause). Many clients may fail at once; together they count as one failure for the pause.
    pub(crate) fn failed(&mut self, why: &str) -> bool {
        let is_new = !std::mem::replace(&mut self.is_down, true);
        self.in_a_row = self.in_a_row.saturating_add(u32::from(is_new));
        self.failures += 1;
        self.error = Some(why.to_owned());
        is_new
    }

    /// A probe has failed: the next pause is longer.
    pub(crate) fn probe_failed(&mut self, why: &str) {
        if !self.failed(why) {
            self.in_a_row = self.in_a_row.saturating_add(1);
        }
    }

    /// A connection attempt has succeeded: clients may use it again. The next failure makes the pause longer all the same,
    /// because a broker that accepts connections may still answer no CONNECT. Returns true if it was down.
    pub(crate) fn reached(&mut self) -> bool {
        std::mem::replace(&mut self.is_down, false)
    }

    /// It has answered a client's CONNECT. Returns true if it was down.
    pub(crate) fn worked(&mut self) -> bool {
        self.in_a_row = 0;
        self.error = None;
        self.reached()
    }

    /// Whether it is left out.
    pub(crate) fn is_down(&self) -> bool {
        self.is_down
    }

    /// Whether nothing has failed since a CONNECT was answered last.
    pub(crate) fn is_well(&self) -> bool {
        self.in_a_row == 0
    }

    /// How long it is left out before the next connection attempt.
    pub(crate) fn pause(&self) -> Duration {
        let doubled = 1 << self.in_a_row.saturating_sub(1).min(16);
        (FIRST_PAUSE * doubled).min(MAX_PAUSE)
    }

    /// All failures since the start.
    pub(crate) fn failures(&self) -> u64 {
        self.failures
    }

    /// Why it failed last; `None` if it has answered a CONNECT since.
    pub(crate) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_a_connect_is_answered() {
        let mut health = Health::default();
        assert!(!health.is_down() && health.is_well() && health.error().is_none());
        assert!(health.failed("refused"));
        // Clients that were sent there before.
        assert!((0..100).all(|_| !health.failed("refused")));
        for (number, seconds) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
            assert_eq!(health.pause(), Duration::from_secs(seconds), "{number}");
            assert!(health.is_down());
            health.probe_failed("refused");
        }
        // It accepts connections and answers no CONNECT.
        assert!(health.reached() && !health.reached() && !health.is_well());
        assert_eq!(health.error(), Some("refused"));
        assert!(health.failed("no answer"));
        assert_eq!(health.pause(), Duration::from_secs(30));
        assert!(health.worked() && !health.worked() && health.is_well());
        assert_eq!((health.failures(), health.error()), (109, None));
        assert!(health.failed("refused"));
        assert_eq!(health.pause(), Duration::from_secs(1));
    }
}
