//! The outcomes that a retry policy retries, and the words for them in a configuration.

use std::str::FromStr;

/// Which outcomes are retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryOn {
    /// Connection errors, broken connections and invalid answers.
    pub connection: bool,
    /// Attempts without an answer before `http_timeout`.
    pub timeout: bool,
    /// The statuses.
    pub statuses: Statuses,
}

/// A set of HTTP statuses other than 2xx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statuses {
    /// All of them.
    Any,
    /// The members. 100 to 611: bit `status - 100`.
    These([u128; 4]),
}

/// A word that does not say what is retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("should be connection, timeout, any, a status such as 503, or a class of statuses such as 5xx")]
pub struct RetryOnError;

impl Statuses {
    /// A set with these members. A status outside of 100 to 599 is left out.
    pub const fn of(list: &[u16]) -> Statuses {
        let mut bits = [0; 4];
        let mut place = 0;
        while place < list.len() {
            #[expect(clippy::indexing_slicing, reason = "both indices are checked")]
            if list[place] >= 100 && list[place] < 600 {
                let bit = list[place] as usize - 100;
                bits[bit / 128] |= 1 << (bit % 128);
            }
            place += 1;
        }
        Statuses::These(bits)
    }

    /// Returns whether a status is in the set.
    pub(super) fn contains(&self, status: u16) -> bool {
        let Statuses::These(bits) = self else { return true };
        let bit = usize::from(status).wrapping_sub(100);
        bits.get(bit / 128).is_some_and(|bits| bits >> (bit % 128) & 1 == 1)
    }

    fn with(self, other: Statuses) -> Statuses {
        let (Statuses::These(mut both), Statuses::These(other)) = (self, other) else {
            return Statuses::Any;
        };
        both.iter_mut().zip(other).for_each(|(one, other)| *one |= other);
        Statuses::These(both)
    }
}

impl RetryOn {
    /// Retries nothing.
    pub const NOTHING: RetryOn = RetryOn {
        connection: false,
        timeout: false,
        statuses: Statuses::These([0; 4]),
    };

    /// Retries what either of them retries.
    pub fn with(self, other: RetryOn) -> RetryOn {
        RetryOn {
            connection: self.connection || other.connection,
            timeout: self.timeout || other.timeout,
            statuses: self.statuses.with(other.statuses),
        }
    }
}

/// Reads one word: `connection`, `timeout`, `any` (every answer other than 2xx), a status, or a class of statuses such
/// as `5xx`.
impl FromStr for RetryOn {
    type Err = RetryOnError;

    fn from_str(word: &str) -> Result<RetryOn, RetryOnError> {
        let mut on = RetryOn::NOTHING;
        match word {
            "connection" => on.connection = true,
            "timeout" => on.timeout = true,
            "any" => on.statuses = Statuses::Any,
            word => {
                let class = word.strip_suffix("xx").map(|digit| (digit, 100));
                let (digits, size) = class.unwrap_or((word, 1));
                let digits = digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(digits);
                let number: u16 = digits.and_then(|digits| digits.parse().ok()).ok_or(RetryOnError)?;
                let first = number.checked_mul(size);
                let first = first.filter(|first| (100..600).contains(first) && first / 100 != 2);
                let first = first.ok_or(RetryOnError)?;
                let list: Vec<u16> = (first..first + size).collect();
                on.statuses = Statuses::of(&list);
            }
        }
        Ok(on)
    }
}

#[cfg(test)]
mod tests {
    use super::super::RetryPolicy;
    use super::*;

    #[test]
    fn words_of_retry_on() {
        let on = |words: &[&str]| {
            let mut words = words.iter().map(|word| word.parse());
            words.try_fold(RetryOn::NOTHING, |on, word: Result<RetryOn, _>| Ok(on.with(word?)))
        };
        let standard = ["connection", "timeout", "408", "425", "429", "500", "502", "503", "504"];
        assert_eq!(on(&standard), Ok(RetryPolicy::default().on));
        let classes = on(&["5xx", "404"]).unwrap();
        for (status, want) in [
            (403, false),
            (404, true),
            (499, false),
            (500, true),
            (599, true),
            (600, false),
        ] {
            assert_eq!(classes.statuses.contains(status), want, "{status}");
        }
        assert!(!classes.connection && !classes.timeout);
        let any = on(&["any", "503"]).unwrap();
        assert!(
            [0, 99, 302, 999, 65_535]
                .iter()
                .all(|status| any.statuses.contains(*status))
        );
        for word in [
            "", "2xx", "200", "299", "99", "600", "6xx", "xx", "-1", "any ", "+503", "Timeout", "65535xx",
        ] {
            assert_eq!(on(&[word]), Err(RetryOnError), "{word}");
        }
    }
}
