//! How fast one client may publish. Pure: the time comes in as an argument.
//!
//! A client may use up the whole amount at once; it comes back evenly over the time of the rate.

use std::str::FromStr;
use std::time::{Duration, Instant};

use hookhost_settings::{parse_duration, parse_size};

/// An amount of messages or bytes in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    amount: u64,
    time: Duration,
}

impl FromStr for RateLimit {
    type Err = String;

    /// Reads `AMOUNT/TIME`, such as `100/1s` or `1MiB/10s`. Both must be above zero.
    fn from_str(text: &str) -> Result<RateLimit, String> {
        let limit = text.split_once('/').and_then(|(amount, time)| {
            let amount = u64::try_from(parse_size(amount).ok()?).ok()?;
            let time = parse_duration(time).ok()?;
            (amount > 0 && !time.is_zero()).then_some(RateLimit { amount, time })
        });
        limit.ok_or_else(|| "should be an amount in a time, such as \"100/1s\" or \"1MiB/1s\"".to_owned())
    }
}

/// What one client has used of its limit.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TokenBucket {
    /// When the whole amount is available again; `None`: now.
    full_at: Option<Instant>,
}

impl TokenBucket {
    /// Uses `units` of the limit. Returns whether they were available; with a full amount, any number is.
    pub(crate) fn take(&mut self, limit: RateLimit, units: u64, now: Instant) -> bool {
        let nanos = limit.time.as_nanos() * u128::from(units) / u128::from(limit.amount);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let used_until = self.full_at.filter(|full_at| *full_at > now);
        let Some(full_at) = used_until.unwrap_or(now).checked_add(cost) else {
            return false;
        };
        if used_until.is_some() && full_at.duration_since(now) > limit.time {
            return false;
        }
        self.full_at = Some(full_at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        for (text, expected) in [
            ("100/1s", Some((100, 1_000))),
            ("1KiB/500ms", Some((1_024, 500))),
            (" 5 / 1m ", Some((5, 60_000))),
            ("0/1s", None),
            ("5/0s", None),
            ("5", None),
            ("x/1s", None),
            ("", None),
        ] {
            let expected = expected.map(|(amount, time)| RateLimit {
                amount,
                time: Duration::from_millis(time),
            });
            assert_eq!(text.parse::<RateLimit>().ok(), expected, "{text}");
        }
    }

    #[test]
    fn the_amount_comes_back_evenly() {
        let rate: RateLimit = "4/1s".parse().unwrap();
        let start = Instant::now();
        let mut bucket = TokenBucket::default();
        let mut take = |units, millis| bucket.take(rate, units, start + Duration::from_millis(millis));
        let taken: Vec<bool> = (0..6).map(|_| take(1, 0)).collect();
        assert_eq!(taken, [true, true, true, true, false, false]);
        assert!(!take(1, 249));
        assert!(take(1, 250));
        assert!(!take(1, 499));
        assert!(take(1, 500));
        assert!(take(4, 5_000));
        assert!(!take(1, 5_000));
        // A message above the amount passes if nothing is used, and is paid for.
        assert!(take(8, 10_000));
        assert!(!take(1, 11_000));
        assert!(take(1, 11_250));
    }
}
