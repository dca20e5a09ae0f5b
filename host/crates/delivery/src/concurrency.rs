//! How many requests a receiver gets at once: adapts to its errors and its latency. Pure and without a clock.
//!
//! The limit grows by one and shrinks by a factor (AIMD, as TCP's window). It is decided anew after each *round*: as many
//! requests as the limit, at least [`MIN_ROUND`]. In a round:
//!
//! | what happened | new limit |
//! | --- | --- |
//! | more than a tenth of the requests met an overloaded receiver | half |
//! | the latency is twice the usual one, and above [`LOW_LATENCY`] | three quarters |
//! | the limit was reached | one more; twice as much before the first decrease |
//! | anything else | unchanged |
//!
//! The usual latency is a moving average over some twenty rounds. A receiver that is always slow is therefore not
//! throttled; one that becomes slow under load is. Below [`LOW_LATENCY`] a change says more about the scheduler of this
//! machine than about the receiver.

use std::time::Duration;

/// The limit at the start. A receiver that answers within a millisecond needs no more; others reach 128 within two
/// rounds.
const START: usize = 32;

/// Latencies below this one never reduce the limit.
const LOW_LATENCY: Duration = Duration::from_millis(20);

/// A shorter round would say too little.
const MIN_ROUND: usize = 10;

/// The weight of a round in the usual latency.
const ROUND_WEIGHT: f64 = 1.0 / 20.0;

/// What a request says about the load of its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Answered, whatever the answer was.
    Answered,
    /// No answer in time, or an answer such as 429 or 503.
    Overloaded,
}

/// The limit of one receiver.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Concurrency {
    limit: usize,
    max: usize,
    /// Whether the limit has never been reduced since the start, so that it may double.
    is_starting: bool,
    /// The usual latency in seconds; `None` before the first round.
    usual: Option<f64>,
    round: Round,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Round {
    requests: usize,
    overloaded: usize,
    /// The latencies of the answered requests, in seconds.
    latency: f64,
    was_limit_reached: bool,
}

impl Concurrency {
    /// Starts with a limit of 32, or with `max` if that is lower. 0 is treated as 1.
    pub(super) fn new(max: usize) -> Concurrency {
        let max = max.max(1);
        Concurrency {
            limit: START.min(max),
            max,
            is_starting: true,
            usual: None,
            round: Round::default(),
        }
    }

    /// Returns the limit: at least 1, at most the maximum.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Changes the maximum; 0 is treated as 1.
    pub(super) fn set_max(&mut self, max: usize) {
        let max = max.max(1);
        if self.is_starting && self.limit == self.max {
            // Nothing is known yet that speaks against more.
            self.limit = self.limit.max(START.min(max));
        }
        self.max = max;
        self.limit = self.limit.min(max);
    }

    /// Starts again with one request, because the receiver comes back after an outage.
    pub(super) fn restart(&mut self) {
        *self = Concurrency {
            limit: 1,
            ..Concurrency::new(self.max)
        };
    }

    /// Notes the end of a request. `under_way` is the number of requests that were being sent at its end, itself
    /// included.
    pub(super) fn ended(&mut self, load: Load, latency: Duration, under_way: usize) {
        let round = &mut self.round;
        round.requests += 1;
        match load {
            Load::Answered => round.latency += latency.as_secs_f64(),
            Load::Overloaded => round.overloaded += 1,
        }
        round.was_limit_reached |= under_way >= self.limit;
        if round.requests >= self.limit.max(MIN_ROUND) {
            let round = std::mem::take(&mut self.round);
            self.decide(round);
        }
    }

    fn decide(&mut self, round: Round) {
        if round.overloaded * 10 > round.requests {
            self.reduce_to(self.limit / 2);
            return;
        }
        let latency = round.latency / (round.requests - round.overloaded) as f64;
        let usual = *self.usual.get_or_insert(latency);
        self.usual = Some(usual + (latency - usual) * ROUND_WEIGHT);
        if latency > LOW_LATENCY.as_secs_f64() && latency > 2.0 * usual {
            self.reduce_to(self.limit - self.limit.div_ceil(4));
        } else if round.was_limit_reached {
            let more = if self.is_starting { self.limit } else { 1 };
            self.limit = (self.limit + more).min(self.max);
        }
    }

    fn reduce_to(&mut self, limit: usize) {
        self.limit = limit.max(1);
        self.is_starting = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// Ends `rounds` full rounds.
    fn run(concurrency: &mut Concurrency, rounds: usize, load: Load, latency: Duration) {
        for _ in 0..rounds {
            let limit = concurrency.limit();
            (0..limit.max(MIN_ROUND)).for_each(|_| concurrency.ended(load, latency, limit));
        }
    }

    #[test]
    fn a_healthy_receiver_has_its_maximum_after_two_rounds() {
        let mut concurrency = Concurrency::new(128);
        assert_eq!(concurrency.limit(), 32);
        run(&mut concurrency, 1, Load::Answered, MILLISECOND);
        assert_eq!(concurrency.limit(), 64);
        run(&mut concurrency, 1, Load::Answered, 3 * MILLISECOND);
        assert_eq!(concurrency.limit(), 128);
        run(&mut concurrency, 9, Load::Answered, MILLISECOND);
        assert_eq!(concurrency.limit(), 128);
        // Jitter of a busy machine is no reason to slow down.
        for latency in [1, 15, 2, 19, 1] {
            run(&mut concurrency, 3, Load::Answered, latency * MILLISECOND);
        }
        assert_eq!(concurrency.limit(), 128);
    }

    #[test]
    fn an_overloaded_receiver_gets_less_and_then_more_step_by_step() {
        let mut concurrency = Concurrency::new(128);
        run(&mut concurrency, 2, Load::Answered, MILLISECOND);
        run(&mut concurrency, 1, Load::Overloaded, MILLISECOND);
        assert_eq!(concurrency.limit(), 64);
        run(&mut concurrency, 10, Load::Overloaded, MILLISECOND);
        assert_eq!(concurrency.limit(), 1);
        run(&mut concurrency, 5, Load::Answered, MILLISECOND);
        assert_eq!(concurrency.limit(), 6);
        // Less than a tenth.
        for number in 0..180 {
            let load = if number % 30 == 0 {
                Load::Overloaded
            } else {
                Load::Answered
            };
            concurrency.ended(load, MILLISECOND, 128);
        }
        assert!(concurrency.limit() > 10, "{concurrency:?}");
    }

    #[test]
    fn a_receiver_that_becomes_slow_gets_less_and_one_that_is_always_slow_does_not() {
        let mut concurrency = Concurrency::new(128);
        run(&mut concurrency, 20, Load::Answered, 300 * MILLISECOND);
        assert_eq!(concurrency.limit(), 128);
        run(&mut concurrency, 1, Load::Answered, 5000 * MILLISECOND);
        assert_eq!(concurrency.limit(), 96);
        run(&mut concurrency, 2, Load::Answered, 5000 * MILLISECOND);
        assert_eq!(concurrency.limit(), 54);
        // The new latency becomes the usual one.
        run(&mut concurrency, 200, Load::Answered, 5000 * MILLISECOND);
        assert_eq!(concurrency.limit(), 128);
    }

    #[test]
    fn it_grows_only_if_more_is_needed() {
        let mut concurrency = Concurrency::new(128);
        (0..1000).for_each(|_| concurrency.ended(Load::Answered, MILLISECOND, 5));
        assert_eq!(concurrency.limit(), 32);
    }

    #[test]
    fn after_an_outage_it_starts_with_one() {
        let mut concurrency = Concurrency::new(128);
        concurrency.restart();
        let limits: Vec<usize> = (0..9)
            .map(|_| {
                run(&mut concurrency, 1, Load::Answered, MILLISECOND);
                concurrency.limit()
            })
            .collect();
        assert_eq!(limits, [2, 4, 8, 16, 32, 64, 128, 128, 128]);
    }

    #[test]
    fn a_new_maximum_applies_at_once() {
        let mut concurrency = Concurrency::new(4);
        assert_eq!(concurrency.limit(), 4);
        concurrency.set_max(128);
        assert_eq!(concurrency.limit(), 32);
        concurrency.set_max(2);
        assert_eq!(concurrency.limit(), 2);
        concurrency.set_max(0);
        assert_eq!(concurrency.limit(), 1);
    }

    proptest! {
        #[test]
        fn the_limit_stays_within_its_bounds(
            max in 0..200_usize,
            ends in prop::collection::vec((any::<bool>(), 0..10_000_u64, 0..300_usize), 0..2000),
        ) {
            let mut concurrency = Concurrency::new(max);
            for (is_overloaded, latency, under_way) in ends {
                let load = if is_overloaded { Load::Overloaded } else { Load::Answered };
                concurrency.ended(load, Duration::from_millis(latency), under_way);
                prop_assert!((1..=max.max(1)).contains(&concurrency.limit()));
            }
        }
    }
}
