//! Tests of the circuit breaker.

use proptest::prelude::*;

use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Ends attempts that were admitted; the last change.
fn run(breaker: &mut Breaker, attempts: usize, has_failed: bool, now: Instant) -> Option<Change> {
    let policy = BreakerPolicy::default();
    let mut last = None;
    for _ in 0..attempts {
        last = breaker.ended(&policy, Admission::Send, has_failed, now).or(last);
    }
    last
}

#[test]
fn it_opens_when_most_attempts_of_the_last_seconds_fail() {
    let now = Instant::now();
    for (answered, failed, opens) in [
        (0, 19, false),
        (0, 20, true),
        (3, 20, false),
        (2, 18, true),
        (100, 100, false),
    ] {
        let mut breaker = Breaker::default();
        run(&mut breaker, answered, false, now);
        assert_eq!(
            run(&mut breaker, failed, true, now).is_some(),
            opens,
            "{answered} {failed}"
        );
    }
    // What was long ago does not count.
    let mut breaker = Breaker::default();
    run(&mut breaker, 1000, false, now);
    run(&mut breaker, 10, true, now + seconds(6));
    assert_eq!(run(&mut breaker, 9, true, now + seconds(12)), None);
    assert_eq!(
        run(&mut breaker, 1, true, now + seconds(12)),
        Some(Change::Opened(now + seconds(13)))
    );
}

#[test]
fn one_probe_decides_and_pauses_grow() {
    let policy = BreakerPolicy::default();
    let mut now = Instant::now();
    let mut breaker = Breaker::default();
    run(&mut breaker, 20, true, now);
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        let until = now + seconds(pause);
        assert_eq!(breaker.open_until(), Some(until));
        let early = until - Duration::from_millis(1);
        assert_eq!(breaker.admit(early, TIMEOUT), Admission::Wait(until));
        now = until;
        assert_eq!(breaker.admit(now, TIMEOUT), Admission::Probe);
        assert!(matches!(breaker.admit(now, TIMEOUT), Admission::Wait(until) if until > now));
        // Attempts of before decide nothing.
        assert_eq!(breaker.ended(&policy, Admission::Send, false, now), None);
        assert!(breaker.ended(&policy, Admission::Probe, true, now).is_some());
    }
    now += seconds(30);
    assert_eq!(breaker.admit(now, TIMEOUT), Admission::Probe);
    assert_eq!(
        breaker.ended(&policy, Admission::Probe, false, now),
        Some(Change::Closed)
    );
    assert!(breaker.is_closed());
    assert_eq!(breaker.admit(now, TIMEOUT), Admission::Send);
    assert_eq!(run(&mut breaker, 19, true, now), None, "the counts begin again");
}

#[test]
fn a_probe_that_is_lost_is_followed_by_another() {
    let now = Instant::now();
    let mut breaker = Breaker::default();
    run(&mut breaker, 20, true, now);
    let now = now + seconds(1);
    assert_eq!(breaker.admit(now, TIMEOUT), Admission::Probe);
    assert!(matches!(breaker.admit(now + TIMEOUT, TIMEOUT), Admission::Wait(_)));
    assert_eq!(breaker.admit(now + seconds(6), TIMEOUT), Admission::Probe);
}

proptest! {
    /// A caller that waits as told always gets to send, and while the breaker is open only one probe is under way.
    #[test]
    fn it_never_stays_open(steps in prop::collection::vec((any::<bool>(), 0..3000_u64), 0..400)) {
        let policy = BreakerPolicy::default();
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        for (has_failed, wait) in steps {
            now += Duration::from_millis(wait);
            match breaker.admit(now, TIMEOUT) {
                Admission::Wait(until) => {
                    prop_assert!(until > now && until <= now + policy.max_pause);
                    now = until;
                }
                admission => {
                    if admission == Admission::Probe {
                        prop_assert!(matches!(breaker.admit(now, TIMEOUT), Admission::Wait(_)));
                    }
                    breaker.ended(&policy, admission, has_failed, now);
                }
            }
        }
        while let Admission::Wait(until) = breaker.admit(now, TIMEOUT) {
            now = until;
        }
        breaker.ended(&policy, Admission::Probe, false, now);
        prop_assert!(breaker.is_closed());
    }
}
