//! Which connections may come in: limits in all, per address, and per second. Pure but for a lock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdmissionError {
    /// All listeners together have as many as they may.
    Total,
    /// Its address has as many as it may.
    Address,
}

/// The connections of all listeners.
#[derive(Debug)]
pub(crate) struct Admission {
    max_total: usize,
    /// 0: no limit.
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    /// Only if there is a limit per address; addresses without connections are removed.
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that was let in. It counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Admission {
    /// No connection yet. `max_per_address` 0: no limit.
    pub(crate) fn new(max_total: usize, max_per_address: usize) -> Admission {
        Admission {
            max_total,
            max_per_address,
            open: Mutex::default(),
        }
    }

    /// A panic under the lock leaves counters that are off by one at most.
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection in, whose address is still to be named with [`Permit::name_address`].
    pub(crate) fn admit(self: &Arc<Admission>) -> Result<Permit, AdmissionError> {
        let mut open = self.open();
        if open.total >= self.max_total {
            return Err(AdmissionError::Total);
        }
        open.total += 1;
        Ok(Permit {
            admission: Arc::clone(self),
            address: None,
        })
    }
}

impl Permit {
    /// Counts the connection for its address, which a PROXY header may have named. Unix sockets have none.
    ///
    /// # Errors
    ///
    /// [`AdmissionError::Address`] if the address has as many connections as it may.
    pub(crate) fn name_address(&mut self, address: Option<IpAddr>) -> Result<(), AdmissionError> {
        let limit = self.admission.max_per_address;
        let Some(address) = address.map(group).filter(|_| limit > 0) else {
            return Ok(());
        };
        let mut open = self.admission.open();
        let count = open.by_address.entry(address).or_default();
        if *count >= limit {
            return Err(AdmissionError::Address);
        }
        *count += 1;
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.admission.open();
        open.total = open.total.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(count) = open.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

/// Addresses that count as one: an IPv4 address, or the first 64 bits of an IPv6 address, which one subscriber has for
/// itself.
fn group(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(four) => IpAddr::V4(four),
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
    }
}

/// Limits connections per second, and the connections of a burst. Times are since any fixed moment.
#[derive(Debug)]
pub(crate) struct ConnectionRate {
    /// Time for one connection; zero: no limit.
    interval: Duration,
    /// When the next connection is due if none is saved up.
    due: Duration,
}

impl ConnectionRate {
    /// `rate` connections in a second; 0: no limit.
    pub(crate) fn new(rate: u32) -> ConnectionRate {
        ConnectionRate {
            interval: Duration::from_secs(1).checked_div(rate).unwrap_or_default(),
            due: Duration::ZERO,
        }
    }

    /// Takes note of a connection at `now`; returns how long to wait before the next one is accepted.
    pub(crate) fn take(&mut self, now: Duration) -> Duration {
        if self.interval.is_zero() {
            return Duration::ZERO;
        }
        // Up to a second's connections may come at once.
        self.due = self.due.max(now.saturating_sub(Duration::from_secs(1))) + self.interval;
        self.due.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn all_connections_together_are_limited() {
        let admission = Arc::new(Admission::new(2, 0));
        let one = admission.admit().unwrap();
        let two = admission.admit().unwrap();
        assert_eq!(admission.admit().unwrap_err(), AdmissionError::Total);
        drop(one);
        let three = admission.admit().unwrap();
        assert_eq!(admission.admit().unwrap_err(), AdmissionError::Total);
        drop((two, three));
        assert_eq!(admission.open().total, 0);
    }

    #[test]
    fn connections_of_one_address_are_limited() {
        let admission = Arc::new(Admission::new(100, 2));
        let named = |address| {
            let mut permit = admission.admit().unwrap();
            permit.name_address(address).map(|()| permit)
        };
        let four: Vec<_> = (0..2).map(|_| named(ip("10.0.0.1")).unwrap()).collect();
        assert_eq!(named(ip("::ffff:10.0.0.1")).unwrap_err(), AdmissionError::Address);
        let other = named(ip("10.0.0.2")).unwrap();
        let six: Vec<_> = ["1:2:3:4::1", "1:2:3:4:5::2"].map(|six| named(ip(six)).unwrap()).into();
        assert_eq!(named(ip("1:2:3:4::9")).unwrap_err(), AdmissionError::Address);
        let unix: Vec<_> = (0..5).map(|_| named(None).unwrap()).collect();
        drop(four);
        drop(named(ip("10.0.0.1")).unwrap());
        drop((other, six, unix));
        let open = admission.open();
        assert_eq!((open.total, open.by_address.len()), (0, 0));
    }

    proptest! {
        #[test]
        fn no_more_connections_are_accepted_than_the_rate_allows(rate in 1u32..1_000, gaps in prop::collection::vec(0u64..50, 1..300)) {
            let mut limit = ConnectionRate::new(rate);
            let mut now = Duration::from_secs(100);
            let mut times = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                times.push(now);
                now += limit.take(now);
            }
            // In no span of time more than a second's burst and what the span allows.
            for (first, from) in times.iter().enumerate() {
                for (count, to) in times[first..].iter().enumerate() {
                    let allowed = f64::from(rate) * (1.0 + (*to - *from).as_secs_f64()) + 2.0;
                    prop_assert!(count as f64 <= allowed, "{count} in {:?}", *to - *from);
                }
            }
        }
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut limit = ConnectionRate::new(0);
        assert!((0..1_000).all(|_| limit.take(Duration::ZERO).is_zero()));
    }
}
