//! The requests that wait in each partition, as quantities that flow: arrivals at a rate, and hosts with a capacity.

use std::time::Duration;

/// Requests in all partitions.
pub(super) struct Load {
    /// New requests a second in each partition.
    rates: Vec<f64>,
    waiting: Vec<f64>,
    /// Requests that one host can send in a second.
    capacity: f64,
}

impl Load {
    /// Nothing waits.
    pub(super) fn new(rates: Vec<f64>, capacity: f64) -> Load {
        Load {
            waiting: vec![0.0; rates.len()],
            rates,
            capacity,
        }
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> f64 {
        self.waiting.iter().sum()
    }

    /// Lets this time pass, in which these hosts send the requests of the partitions. A host that cannot send everything
    /// sends the same share of each partition.
    pub(super) fn pass(&mut self, time: Duration, owners: &[Option<usize>]) {
        let time = time.as_secs_f64();
        for (waiting, rate) in self.waiting.iter_mut().zip(&self.rates) {
            *waiting += rate * time;
        }
        for host in owners
            .iter()
            .flatten()
            .copied()
            .collect::<std::collections::BTreeSet<_>>()
        {
            let is_own = |(_, owner): &(&mut f64, &Option<usize>)| **owner == Some(host);
            let total: f64 = self
                .waiting
                .iter_mut()
                .zip(owners)
                .filter(is_own)
                .map(|(waiting, _)| *waiting)
                .sum();
            let left = (1.0 - self.capacity * time / total.max(f64::MIN_POSITIVE)).max(0.0);
            let own = self.waiting.iter_mut().zip(owners).filter(is_own);
            own.for_each(|(waiting, _)| *waiting *= left);
        }
    }
}
