//! What the receiver records of one run: which webhooks arrived, how often, in which order and how late.

use serde_json::json;

use crate::stamp::{ENCODED, Stamp, now};

/// Maximum latency that is recorded exactly, in microseconds. Longer latencies are not distinguished.
const LONGEST: usize = 2_000_000;
/// Nanoseconds in a step of the time line.
const STEP: u64 = 10_000_000;

/// The record of one run.
pub(crate) struct Page {
    run: u16,
    begun: u64,
    publishers: Vec<Publisher>,
    /// Webhooks without a stamp of this run.
    foreign: u64,
    received: u64,
    /// Requests, and their bytes with their heads.
    requests: u64,
    bytes: u64,
    doubled: u64,
    /// Webhooks that arrived after one with a higher number of the same publisher.
    disordered: u64,
    first: u64,
    last: u64,
    /// The longest latency, in microseconds.
    longest: u64,
    /// Count per microsecond of latency.
    latencies: Vec<u32>,
    /// Count per [`STEP`] since the beginning.
    line: Vec<u32>,
}

#[derive(Default, Clone)]
struct Publisher {
    seen: Vec<u64>,
    highest: Option<u32>,
}

impl Page {
    /// An empty record.
    pub(crate) fn new(run: u16, publishers: usize) -> Page {
        Page {
            run,
            begun: now(),
            publishers: vec![Publisher::default(); publishers],
            foreign: 0,
            received: 0,
            requests: 0,
            bytes: 0,
            doubled: 0,
            disordered: 0,
            first: 0,
            last: 0,
            longest: 0,
            latencies: vec![0; LONGEST + 1],
            line: Vec::new(),
        }
    }

    /// Records a request of `length` bytes, with one event or a batch of them.
    pub(crate) fn enter(&mut self, body: &[u8], length: usize) {
        self.bytes += length as u64;
        self.requests += 1;
        let key = b"\"payload\":\"";
        let mut rest = body;
        let mut is_empty = true;
        while let Some(at) = rest.windows(key.len()).position(|window| window == key) {
            rest = &rest[at + key.len()..];
            self.enter_event(Stamp::decode(rest));
            rest = &rest[ENCODED.min(rest.len())..];
            is_empty = false;
        }
        if is_empty {
            self.enter_event(None);
        }
    }

    fn enter_event(&mut self, stamp: Option<Stamp>) {
        let stamp = stamp.filter(|stamp| stamp.run == self.run);
        let Some((stamp, publisher)) =
            stamp.and_then(|stamp| Some((stamp, self.publishers.get_mut(usize::from(stamp.publisher))?)))
        else {
            self.foreign += 1;
            return;
        };
        let (word, bit) = (stamp.number as usize / 64, 1u64 << (stamp.number % 64));
        if publisher.seen.len() <= word {
            publisher.seen.resize(word + 1, 0);
        }
        if publisher.seen[word] & bit != 0 {
            self.doubled += 1;
            return;
        }
        publisher.seen[word] |= bit;
        self.disordered += u64::from(publisher.highest.is_some_and(|highest| highest > stamp.number));
        publisher.highest = publisher.highest.max(Some(stamp.number));

        let now = now();
        if self.received == 0 {
            self.first = now;
        }
        self.received += 1;
        self.last = now;
        let latency = now.saturating_sub(stamp.sent) / 1000;
        self.longest = self.longest.max(latency);
        self.latencies[(latency as usize).min(LONGEST)] += 1;
        let step = (now.saturating_sub(self.begun) / STEP) as usize;
        if self.line.len() <= step {
            self.line.resize(step + 1, 0);
        }
        self.line[step] += 1;
    }

    /// The record as JSON. `between` counts the webhooks that arrived between two times, rounded to the step.
    pub(crate) fn report(&self, from: u64, to: u64) -> String {
        let step = |time: u64| (time.saturating_sub(self.begun) / STEP) as usize;
        let line = self
            .line
            .get(step(from).min(self.line.len())..step(to).min(self.line.len()));
        let between: u64 = line.unwrap_or_default().iter().map(|count| u64::from(*count)).sum();
        json!({
            "received": self.received,
            "requests": self.requests,
            "bytes": self.bytes,
            "doubled": self.doubled,
            "disordered": self.disordered,
            "foreign": self.foreign,
            "first": self.first,
            "last": self.last,
            "between": between,
            "longest": self.longest,
            "p50": self.percentile(0.50),
            "p99": self.percentile(0.99),
        })
        .to_string()
    }

    /// The latency in microseconds that this share of all webhooks did not exceed.
    fn percentile(&self, part: f64) -> usize {
        let rank = (self.received as f64 * part).ceil() as u64;
        let mut passed = 0;
        for (latency, count) in self.latencies.iter().enumerate() {
            passed += u64::from(*count);
            if passed >= rank {
                return latency;
            }
        }
        LONGEST
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;

    use super::*;

    #[test]
    fn each_webhook_is_entered_once() {
        let mut page = Page::new(1, 2);
        let body = |run, publisher, number| {
            let stamp = Stamp {
                run,
                publisher,
                number,
                sent: now(),
            };
            let text = base64::engine::general_purpose::STANDARD.encode([&stamp.bytes()[..], b"x"].concat());
            format!("{{\"dup\":false,\"payload\":\"{text}\",\"ts\":1}}").into_bytes()
        };
        for (run, publisher, number) in [
            (1, 0, 0),
            (1, 1, 0),
            (1, 0, 2),
            (1, 0, 1),
            (1, 0, 1),
            (2, 0, 5),
            (1, 2, 0),
        ] {
            page.enter(&body(run, publisher, number), 1);
        }
        page.enter(b"{}", 1);
        let batch = [&b"["[..], &body(1, 1, 1), b",", &body(1, 1, 2), b"]"].concat();
        page.enter(&batch, 1);
        assert_eq!(
            (page.received, page.doubled, page.disordered, page.foreign),
            (6, 1, 1, 3)
        );
        assert!(page.percentile(0.99) < LONGEST);
    }
}
