//! A rate limit: a token bucket. Pure; the caller passes in the time.

use std::time::{Duration, Instant};

/// How many requests a destination gets per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateLimit {
    /// Requests per second over a longer time; above 0.
    pub per_second: f64,
    /// Requests that may follow each other without a pause after a quiet time; at least 1.
    pub burst: u32,
}

/// The tokens of one destination. Each request takes one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TokenBucket {
    rate: RateLimit,
    tokens: f64,
    /// When `tokens` was right.
    at: Instant,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub(super) fn new(rate: RateLimit, now: Instant) -> TokenBucket {
        TokenBucket {
            rate,
            tokens: f64::from(rate.burst.max(1)),
            at: now,
        }
    }

    /// Changes the rate. Tokens above the new burst are lost.
    pub(super) fn set_rate(&mut self, rate: RateLimit, now: Instant) {
        self.fill(now);
        self.rate = rate;
        self.tokens = self.tokens.min(f64::from(rate.burst.max(1)));
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// When the next token is available, if there is no token now.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        self.fill(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        /// Limit of the wait, so that the clock cannot overflow.
        const MAX_WAIT: f64 = 3600.0;
        let wait = ((1.0 - self.tokens) / self.rate.per_second).clamp(0.000_1, MAX_WAIT);
        Err(now + Duration::from_secs_f64(wait))
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        let full = f64::from(self.rate.burst.max(1));
        self.tokens = (self.tokens + elapsed * self.rate.per_second).min(full);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let rate = RateLimit {
            per_second: 10.0,
            burst: 3,
        };
        let mut bucket = TokenBucket::new(rate, start);
        for (millis, wait) in [
            (0, None),
            (0, None),
            (0, None),
            (0, Some(100)),
            (50, Some(50)),
            (100, None),
            (100, Some(100)),
            // A clock that stands still or goes back adds nothing.
            (40, Some(100)),
            (10_100, None),
            (10_100, None),
            (10_100, None),
            (10_100, Some(100)),
        ] {
            let taken = bucket.take(at(millis)).map_err(|until| until - at(millis));
            match wait {
                None => assert_eq!(taken, Ok(()), "at {millis}"),
                Some(wait) => {
                    let error = taken.unwrap_err().as_secs_f64() * 1000.0;
                    assert!((error - f64::from(wait)).abs() < 1.0, "at {millis}: {error}");
                }
            }
        }
        bucket.set_rate(
            RateLimit {
                per_second: 1000.0,
                burst: 1,
            },
            at(20_000),
        );
        assert_eq!(bucket.take(at(20_000)), Ok(()));
        assert!(bucket.take(at(20_000)).is_err(), "the new burst holds");
        assert_eq!(bucket.take(at(20_001)), Ok(()));
    }

    proptest! {
        /// Never more than the burst and the rate allow, and a caller that waits as told gets a token.
        #[test]
        fn the_rate_is_kept(per_second in 0.1..1000.0_f64, burst in 1..50_u32, waits in prop::collection::vec(0..500_u64, 0..300)) {
            let start = Instant::now();
            let mut now = start;
            let mut bucket = TokenBucket::new(RateLimit { per_second, burst }, now);
            let mut taken = 0.0;
            for wait in waits {
                now += Duration::from_millis(wait);
                match bucket.take(now) {
                    Ok(()) => taken += 1.0,
                    Err(until) => {
                        prop_assert!(until > now);
                        now = until + Duration::from_micros(1);
                        prop_assert_eq!(bucket.take(now), Ok(()));
                        taken += 1.0;
                    }
                }
                let most = f64::from(burst) + (now - start).as_secs_f64() * per_second;
                prop_assert!(taken <= most + 0.001, "{taken} of {most}");
            }
        }
    }
}
