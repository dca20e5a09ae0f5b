//! Keys whose requests lag: they go out one after another, or batch after batch, and more wait than the receiver answers in
//! time.

use std::time::{Duration, Instant};

/// A key lags if its waiting requests need longer than this, when each attempt takes as long as the last one.
const LAG: Duration = Duration::from_secs(10);

/// How long a key counts as lagging after the last answer with which it lagged. The next answer can take as long.
const MEMORY: Duration = Duration::from_secs(60);

/// The longest part of a key that is shown, in characters.
const MAX_KEY_CHARS: usize = 64;

/// A key whose requests lag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaggingKey {
    /// The beginning of the ordering key.
    pub key: String,
    /// Requests that wait behind those that are being sent.
    pub waiting: usize,
    /// How many requests of the key the last attempt had; more than one in a batch.
    pub at_once: usize,
    /// How long the receiver took for the last answer.
    pub answer_time: Duration,
}

impl LaggingKey {
    /// The key as lagging, if its requests need longer than [`LAG`].
    pub(super) fn of(key: &str, waiting: usize, at_once: usize, answer_time: Duration) -> Option<LaggingKey> {
        (backlog(waiting, at_once, answer_time) > LAG).then(|| LaggingKey {
            key: key.chars().take(MAX_KEY_CHARS).collect(),
            waiting,
            at_once,
            answer_time,
        })
    }

    /// How long the requests that wait need, if each attempt has as many of them as the last one.
    pub fn backlog(&self) -> Duration {
        backlog(self.waiting, self.at_once, self.answer_time)
    }
}

fn backlog(waiting: usize, at_once: usize, answer_time: Duration) -> Duration {
    let attempts = waiting.div_ceil(at_once.max(1));
    answer_time.saturating_mul(u32::try_from(attempts).unwrap_or(u32::MAX))
}

/// The key of a destination that lags most.
#[derive(Default)]
pub(super) struct WorstKey(Option<(LaggingKey, Instant)>);

impl WorstKey {
    /// Notes that a key lags.
    pub(super) fn note(&mut self, key: LaggingKey, now: Instant) {
        let is_worst = match &self.0 {
            Some((known, at)) => key.key == known.key || key.backlog() >= known.backlog() || is_over(*at, now),
            None => true,
        };
        if is_worst {
            self.0 = Some((key, now));
        }
    }

    /// The key that lags most; `None` if none has done so lately.
    pub(super) fn get(&self, now: Instant) -> Option<&LaggingKey> {
        let (key, at) = self.0.as_ref()?;
        (!is_over(*at, now)).then_some(key)
    }
}

fn is_over(at: Instant, now: Instant) -> bool {
    now.saturating_duration_since(at) > MEMORY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_with_the_longest_backlog_counts_until_it_is_forgotten() {
        let second = Duration::from_secs(1);
        let key = |name: &str, waiting| LaggingKey::of(name, waiting, 1, second);
        assert_eq!(key("k", 10), None);
        assert_eq!(LaggingKey::of("k", 1000, 100, second), None);
        let batches = LaggingKey::of("k", 1001, 100, second).unwrap();
        assert_eq!(batches.backlog(), 11 * second);
        let (now, mut worst) = (Instant::now(), WorstKey::default());
        let name = |worst: &WorstKey, after: u32| worst.get(now + after * second).map(|key| key.key.clone());
        assert_eq!(name(&worst, 0), None);
        worst.note(key("a", 20).unwrap(), now);
        worst.note(key("b", 15).unwrap(), now + second);
        assert_eq!(name(&worst, 1).as_deref(), Some("a"));
        worst.note(key("a", 12).unwrap(), now + second);
        worst.note(key("b", 14).unwrap(), now + second);
        assert_eq!(name(&worst, 1).as_deref(), Some("b"));
        assert_eq!(name(&worst, 61).as_deref(), Some("b"));
        assert_eq!(name(&worst, 62), None);
        worst.note(key("c", 11).unwrap(), now + 62 * second);
        assert_eq!(name(&worst, 62).as_deref(), Some("c"));
        let long = LaggingKey::of(&"\"ü\n".repeat(100), 11, 1, second).unwrap();
        assert_eq!(
            long.key,
            format!("{}\"", "\"ü\n".repeat(21)),
            "64 characters, none of them changed"
        );
    }
}
