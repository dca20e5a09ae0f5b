//! The result: one row for each figure with the median, its ratio to a reference figure, and all rounds.

use std::fmt;
use std::time::Duration;

/// The reference figure of each row.
const RATIOS: &[(&str, &str)] = &[
    ("gateway: publishes/s, no rule matches", "mosquitto alone: publishes/s"),
    ("no rule matches: publishes/s", "engine alone: publishes/s"),
    ("all match: publishes/s", "engine alone: publishes/s"),
    ("all match: webhooks/s while publishing", "sink alone: requests/s"),
    (
        "all match: webhooks/s, first publish to last webhook",
        "sink alone: requests/s",
    ),
    ("batches of 100: publishes/s", "engine alone: publishes/s"),
    ("on disk: publishes/s", "engine alone: publishes/s"),
    ("durable: publishes/s", "engine alone: publishes/s"),
    (
        "two hosts on NATS: webhooks/s, first publish to last webhook",
        "one host on NATS: webhooks/s, first publish to last webhook",
    ),
    ("two gateways in front of NATS: publishes/s", "NATS alone: publishes/s"),
    (
        "no rule matches: processor µs per publish",
        "engine alone: processor µs per publish",
    ),
    ("watched: webhooks/s", "not watched: webhooks/s"),
    (
        "watched: processor µs per webhook",
        "not watched: processor µs per webhook",
    ),
    ("host: connects/s", "mosquitto: connects/s"),
    ("host: connects/s over TLS", "mosquitto: connects/s over TLS"),
    (
        "host: connects/s over WebSocket",
        "mosquitto: connects/s over WebSocket",
    ),
    ("host: publishes/s", "mosquitto: publishes/s"),
    ("host: publishes/s over TLS", "host: publishes/s"),
    ("host: publishes/s over WebSocket", "host: publishes/s"),
    ("mosquitto: publishes/s over TLS", "mosquitto: publishes/s"),
    (
        "host: retained messages/s stored",
        "mosquitto: retained messages/s stored",
    ),
];

/// Figures by name, in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<(String, Vec<f64>)>,
}

impl Table {
    /// Adds the results of one round.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64) {
        let name = name.into();
        match self.rows.iter_mut().find(|(row, _)| *row == name) {
            Some((_, values)) => values.push(value),
            None => self.rows.push((name, vec![value])),
        }
    }

    fn median(&self, name: &str) -> Option<f64> {
        let mut values = self.rows.iter().find(|(row, _)| row == name)?.1.clone();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<54} {:>10}  {:<28} rounds", "", "median", "ratio")?;
        for (name, values) in &self.rows {
            let median = self.median(name).unwrap_or(f64::NAN);
            let ratio = RATIOS.iter().find(|(row, _)| row == name).and_then(|(_, base)| {
                let base_name = base.split(':').next().unwrap_or(base);
                Some(format!("{:.2} of {base_name}", median / self.median(base)?))
            });
            let rounds: Vec<_> = values.iter().map(|value| figure(*value)).collect();
            let ratio = ratio.unwrap_or_default();
            writeln!(f, "{name:<54} {:>10}  {ratio:<28} {}", figure(median), rounds.join(" "))?;
        }
        Ok(())
    }
}

/// Formats large figures without fractions and small ones with fractions.
fn figure(value: f64) -> String {
    match value {
        value if value == 0.0 || value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Microseconds for each of `count` items.
pub(crate) fn micros(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}

/// Converts kilobytes to megabytes.
pub(crate) fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_median_and_the_ratio() {
        let mut table = Table::default();
        for value in [100.0, 300.0, 200.0] {
            table.add("engine alone: publishes/s", value);
            table.add("all match: publishes/s", value / 2.0);
        }
        let text = table.to_string();
        let words: Vec<_> = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert!(
            words.contains(&"engine alone: publishes/s 200 100 300 200".to_owned()),
            "{text}"
        );
        assert!(
            words.contains(&"all match: publishes/s 100 0.50 of engine alone 50.0 150 100".to_owned()),
            "{text}"
        );
    }
}
