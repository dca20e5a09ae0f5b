//! The result: one row for each figure, with the median and the result of each round; and the stopwatch.

use std::fmt;
use std::time::{Duration, Instant};

/// The duration of one round.
const ROUND: Duration = Duration::from_millis(200);

/// Microseconds per event when `handle` takes this number of events at once. Calls it repeatedly, after a warm-up.
pub(crate) fn micros_per_round(events: usize, mut handle: impl FnMut()) -> f64 {
    for _ in 0..3 {
        handle();
    }
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < ROUND {
        for _ in 0..4 {
            handle();
        }
        calls += 4;
    }
    start.elapsed().as_secs_f64() * 1e6 / (calls * events) as f64
}

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
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<50} {:>10}  rounds", "", "median")?;
        for (name, values) in &self.rows {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let median = sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN);
            let rounds: Vec<_> = values.iter().map(|value| figure(*value)).collect();
            writeln!(f, "{name:<50} {:>10}  {}", figure(median), rounds.join(" "))?;
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
