//! Time limits that end a connection. Pure: the caller notes what happens and when, and asks what is due.

use std::time::Duration;

use tokio::time::Instant;

use super::inspector::EndCause;

/// What has a time, and since when it runs.
pub(crate) struct Liveness {
    /// The client was heard last, or was kept from speaking until then.
    pub(crate) heard: Instant,
    /// How long it may be silent.
    pub(crate) silence: Option<Duration>,
    /// Since when something waits for the client to read it.
    pub(crate) stalled: Option<Instant>,
    /// Since when a PINGREQ waits for any answer.
    pub(crate) pinged: Option<Instant>,
    /// When one side has closed, and the other one must not take longer.
    pub(crate) closing: Option<Instant>,
}

impl Liveness {
    /// Nothing but the client's keep alive, in seconds; 0: none. `backoff`: half of the multiple of it that it may be
    /// silent.
    pub(crate) fn new(now: Instant, keep_alive: u16, backoff: f32) -> Liveness {
        let silence = Duration::from_secs(u64::from(keep_alive)).mul_f32(2.0 * backoff);
        Liveness {
            heard: now,
            silence: (keep_alive > 0).then_some(silence),
            stalled: None,
            pinged: None,
            closing: None,
        }
    }

    /// What is due next, and when; no cause: the other side has had its time. `listens`: whether the client could be
    /// heard if it spoke. `send` and `answer`: how long a client may not read, and an upstream not answer; 0: for ever.
    pub(crate) fn due(&self, listens: bool, send: Duration, answer: Duration) -> Option<(Instant, Option<EndCause>)> {
        let limit =
            |since: Option<Instant>, span: Duration| since.filter(|_| !span.is_zero()).map(|since| since + span);
        let dues = [
            self.silence
                .filter(|_| listens)
                .map(|silence| (self.heard + silence, Some(EndCause::KeepAlive))),
            limit(self.stalled, send).map(|due| (due, Some(EndCause::TooSlow))),
            limit(self.pinged, answer).map(|due| (due, Some(EndCause::UpstreamSilent))),
            self.closing.map(|due| (due, None)),
        ];
        dues.into_iter().flatten().min_by_key(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_all_is_due() {
        let second = Duration::from_secs(1);
        let now = Instant::now();
        let mut liveness = Liveness::new(now, 10, 0.75);
        assert_eq!(
            liveness.due(true, second, second),
            Some((now + 15 * second, Some(EndCause::KeepAlive)))
        );
        assert_eq!(liveness.due(false, second, second), None);
        liveness.closing = Some(now + 12 * second);
        assert_eq!(liveness.due(true, second, second), Some((now + 12 * second, None)));
        liveness.stalled = Some(now + second);
        liveness.pinged = Some(now + 2 * second);
        assert_eq!(
            liveness.due(true, second, second),
            Some((now + 2 * second, Some(EndCause::TooSlow)))
        );
        assert_eq!(
            liveness.due(true, Duration::ZERO, second),
            Some((now + 3 * second, Some(EndCause::UpstreamSilent)))
        );
        assert_eq!(Liveness::new(now, 0, 0.75).due(true, second, second), None);
    }
}
