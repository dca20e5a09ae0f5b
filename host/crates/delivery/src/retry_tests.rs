//! Tests of the retry policy: tables of outcomes and decisions.

use super::*;

fn policy() -> RetryPolicy {
    RetryPolicy {
        initial_interval: Duration::from_millis(500),
        multiplier: 2.0,
        max_interval: Duration::from_secs(10),
        max_elapsed_time: Duration::from_secs(60),
        ..RetryPolicy::default()
    }
}

fn refused(status: u16, after: Option<u64>) -> Outcome {
    Outcome::Refused {
        status,
        retry_after: after.map(Duration::from_secs),
    }
}

fn failed() -> Outcome {
    Outcome::Failed("connection refused".into())
}

/// The decision in milliseconds after the attempt.
#[derive(Debug, PartialEq)]
enum Then {
    Delivered,
    Retry(u64),
    Pause(u64),
    GiveUp(Reason),
}

fn decide(policy: &RetryPolicy, outcome: &Outcome, attempt: u32, elapsed_ms: u64, random: f64) -> Then {
    let first = Instant::now();
    let now = first + Duration::from_millis(elapsed_ms);
    let timing = Timing {
        attempt,
        first,
        now,
        expires: None,
    };
    let after = |at: Instant| u64::try_from((at - now).as_millis()).unwrap();
    match policy.decide(outcome, timing, random) {
        Decision::Delivered => Then::Delivered,
        Decision::RetryAt(at) => Then::Retry(after(at)),
        Decision::Pause(until) => Then::Pause(after(until)),
        Decision::GiveUp(reason) => Then::GiveUp(reason),
    }
}

#[test]
fn waits_grow_to_the_cap_and_vary_by_half() {
    for (attempt, random, want) in [
        (1, 0.5, 500),
        (2, 0.5, 1000),
        (3, 0.5, 2000),
        (5, 0.5, 8000),
        (6, 0.5, 10_000),
        (4_000_000_000, 0.5, 10_000),
        (1, 0.0, 250),
        (1, 0.999, 749),
        (6, 0.0, 5000),
        (0, 0.5, 500),
    ] {
        let got = decide(&policy(), &failed(), attempt, 1000, random);
        assert_eq!(got, Then::Retry(want), "attempt {attempt}, random {random}");
    }
    for multiplier in [0.1, 1.0, -3.0, f64::NAN] {
        let flat = RetryPolicy { multiplier, ..policy() };
        assert_eq!(decide(&flat, &failed(), 9, 0, 0.5), Then::Retry(500), "× {multiplier}");
    }
    let steep = RetryPolicy {
        multiplier: f64::INFINITY,
        ..policy()
    };
    assert_eq!(decide(&steep, &failed(), 2, 0, 0.5), Then::Retry(10_000));
}

/// What follows the first attempt.
#[test]
fn policies_by_name() {
    use Then::{Delivered, GiveUp, Pause, Retry};
    let table = [
        // outcome, standard, emqx4, emqx5, nanomq, rmqtt
        (
            Outcome::Accepted(Some(200)),
            [Delivered, Delivered, Delivered, Delivered, Delivered],
        ),
        (
            failed(),
            [Retry(500), Retry(0), Retry(0), GiveUp(Reason::Failed), Retry(500)],
        ),
        (
            Outcome::TimedOut,
            [
                Retry(500),
                GiveUp(Reason::Failed),
                Retry(0),
                GiveUp(Reason::Failed),
                Retry(500),
            ],
        ),
    ];
    for (outcome, wants) in table {
        for ((name, preset), want) in RetryPreset::NAMES.iter().zip(wants) {
            assert_eq!(
                decide(&(*preset).into(), &outcome, 1, 0, 0.5),
                want,
                "{name}: {outcome}"
            );
        }
    }
    for (statuses, wants) in [
        (
            vec![429, 503],
            [
                Retry(500),
                GiveUp(Reason::Refused),
                Retry(0),
                GiveUp(Reason::Refused),
                Retry(500),
            ],
        ),
        (
            vec![408, 425, 500, 502, 504],
            [
                Retry(500),
                GiveUp(Reason::Refused),
                GiveUp(Reason::Refused),
                GiveUp(Reason::Refused),
                Retry(500),
            ],
        ),
        (
            vec![
                100, 101, 301, 302, 307, 400, 401, 404, 413, 422, 501, 505, 599, 600, 999,
            ],
            [
                GiveUp(Reason::Refused),
                GiveUp(Reason::Refused),
                GiveUp(Reason::Refused),
                GiveUp(Reason::Refused),
                Retry(500),
            ],
        ),
    ] {
        for status in statuses {
            for ((name, preset), want) in RetryPreset::NAMES.iter().zip(&wants) {
                assert_eq!(
                    decide(&(*preset).into(), &refused(status, None), 1, 0, 0.5),
                    *want,
                    "{name}: {status}"
                );
            }
        }
    }
    let gone = refused(410, None);
    let got = RetryPreset::NAMES.map(|(_, preset)| decide(&preset.into(), &gone, 1, 0, 0.5));
    assert_eq!(
        got,
        [
            Pause(60_000),
            GiveUp(Reason::Refused),
            GiveUp(Reason::Refused),
            GiveUp(Reason::Refused),
            Retry(500)
        ]
    );
    for (outcome, reason) in [
        (Outcome::Invalid("url".into()), Reason::Invalid),
        (Outcome::Barred("address".into()), Reason::Barred),
        (Outcome::Expired, Reason::Expired),
    ] {
        for (name, preset) in RetryPreset::NAMES {
            assert_eq!(decide(&preset.into(), &outcome, 1, 0, 0.5), GiveUp(reason), "{name}");
        }
    }
}

#[test]
fn retry_after_lengthens_within_bounds() {
    for (status, after, want) in [
        (429, Some(3), 3150),
        (503, Some(3), 3150),
        (500, Some(3), 3150),
        (503, Some(0), 500),
        (503, Some(1_000_000), 10_500),
        (429, None, 500),
    ] {
        let got = decide(&policy(), &refused(status, after), 1, 0, 0.5);
        assert_eq!(got, Then::Retry(want), "{status} {after:?}");
    }
    let listed = RetryPolicy {
        delays: vec![Duration::from_secs(1), Duration::from_secs(5)],
        ..policy()
    };
    for (attempt, want) in [(1, 3150), (2, 5250)] {
        assert_eq!(
            decide(&listed, &refused(503, Some(3)), attempt, 0, 0.5),
            Then::Retry(want)
        );
    }
}

#[test]
fn the_last_attempt_is_when_the_time_is_over() {
    let down = refused(500, None);
    assert_eq!(decide(&policy(), &down, 6, 49_000, 0.5), Then::Retry(10_000));
    assert_eq!(decide(&policy(), &down, 6, 51_000, 0.5), Then::Retry(9_000));
    assert_eq!(
        decide(&policy(), &refused(503, Some(9)), 1, 59_999, 0.5),
        Then::Retry(1)
    );
    assert_eq!(decide(&policy(), &down, 7, 60_000, 0.5), Then::GiveUp(Reason::TimeOver));
    let once = RetryPolicy {
        max_elapsed_time: Duration::ZERO,
        ..policy()
    };
    assert_eq!(decide(&once, &down, 1, 0, 0.5), Then::GiveUp(Reason::TimeOver));
    let forever = RetryPolicy {
        max_elapsed_time: Duration::MAX,
        max_interval: Duration::MAX,
        ..policy()
    };
    assert_eq!(decide(&forever, &down, 1, 90_000, 0.5), Then::Retry(500));
    let year = 365 * 24 * 3_600_000;
    assert_eq!(
        decide(&forever, &down, u32::MAX, 90_000, 0.5),
        Then::Retry(year),
        "no overflow"
    );
}

#[test]
fn a_list_of_delays_ends_with_the_last() {
    let listed = RetryPolicy {
        delays: [0, 5, 7200].map(Duration::from_secs).to_vec(),
        max_elapsed_time: Duration::from_secs(1),
        ..policy()
    };
    for (attempt, random, want) in [
        (1, 0.9, Then::Retry(0)),
        (2, 0.0, Then::Retry(5000)),
        (2, 0.5, Then::Retry(5250)),
        (3, 0.0, Then::Retry(7_200_000)),
        (4, 0.0, Then::GiveUp(Reason::TimeOver)),
        (u32::MAX, 0.0, Then::GiveUp(Reason::TimeOver)),
    ] {
        assert_eq!(
            decide(&listed, &failed(), attempt, 99_000, random),
            want,
            "attempt {attempt}"
        );
    }
}

#[test]
fn a_request_that_would_expire_first_is_given_up() {
    let first = Instant::now();
    let decide = |expires_ms: u64| {
        let timing = Timing {
            attempt: 1,
            first,
            now: first,
            expires: Some(first + Duration::from_millis(expires_ms)),
        };
        policy().decide(&failed(), timing, 0.5)
    };
    assert_eq!(decide(499), Decision::GiveUp(Reason::Expired));
    assert_eq!(decide(500), Decision::RetryAt(first + Duration::from_millis(500)));
}
