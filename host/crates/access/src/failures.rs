//! The delay after failed logins. Pure: the time comes in as an argument.
//!
//! Failures are counted for each pair of address and user name, and for each address. After a few failures a login
//! waits before it is checked. The wait doubles with each failure, and parallel logins wait one after the other. A login
//! with a password that was verified before does not wait, so one broken device does not slow down the others behind
//! the same address. A login that would wait for more than twice the longest wait is refused as busy.
//!
//! | counted | failures without a wait | first wait | longest wait |
//! | --- | --- | --- | --- |
//! | address and user name | 3 | 500 ms | `login_delay` (10 s) |
//! | address | 20 | 500 ms | 1 s |
//!
//! A count ends ten minutes after its last failure. The tables are bounded: at the limit the older half is
//! removed.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Entries in each table.
const MAX_ENTRIES: usize = 10_000;
/// When a count ends.
const MEMORY: Duration = Duration::from_secs(600);
/// The first wait.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Failures of a pair, and of an address, without a wait.
const FREE_PAIR_FAILURES: u32 = 3;
const FREE_ADDRESS_FAILURES: u32 = 20;
/// The longest wait for the failures of an address.
const MAX_ADDRESS_WAIT: Duration = Duration::from_secs(1);

/// Counts failed logins.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    pairs: Table<u64>,
    addresses: Table<IpAddr>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Table<K>(HashMap<K, Count>);

impl<K> Default for Table<K> {
    fn default() -> Self {
        Table(HashMap::new())
    }
}

#[derive(Debug)]
struct Count {
    failures: u32,
    last: Instant,
    /// Before this time no login is checked.
    next: Instant,
}

impl Failures {
    /// How long a login has to wait before it is checked; `None` if too many logins wait already. `max_wait`: the
    /// longest wait for a pair.
    pub(crate) fn wait(
        &mut self,
        address: Option<IpAddr>,
        username: &str,
        max_wait: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let pair = self.pair(address, username);
        let by_pair = self.pairs.wait(&pair, FREE_PAIR_FAILURES, max_wait, now)?;
        let max_wait = max_wait.min(MAX_ADDRESS_WAIT);
        let of_address = |address| {
            self.addresses
                .wait(&network(address), FREE_ADDRESS_FAILURES, max_wait, now)
        };
        Some(by_pair.max(address.map_or(Some(Duration::ZERO), of_address)?))
    }

    /// A login has failed.
    pub(crate) fn failed(&mut self, address: Option<IpAddr>, username: &str, now: Instant) {
        let pair = self.pair(address, username);
        self.pairs.failed(pair, now);
        if let Some(address) = address {
            self.addresses.failed(network(address), now);
        }
    }

    /// A login has succeeded.
    pub(crate) fn succeeded(&mut self, address: Option<IpAddr>, username: &str) {
        let pair = self.pair(address, username);
        self.pairs.0.remove(&pair);
    }

    /// User names may be long, so a hash is kept. Two names with the same hash share a count.
    fn pair(&self, address: Option<IpAddr>, username: &str) -> u64 {
        self.hasher.hash_one((address.map(network), username))
    }
}

/// The address, or the /64 network of an IPv6 address, because one machine has all of it.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address => address,
    }
}

impl<K: Hash + Eq + Copy> Table<K> {
    fn wait(&mut self, key: &K, free: u32, max_wait: Duration, now: Instant) -> Option<Duration> {
        let Some(count) = self.0.get_mut(key) else {
            return Some(Duration::ZERO);
        };
        if now.saturating_duration_since(count.last) > MEMORY {
            self.0.remove(key);
            return Some(Duration::ZERO);
        }
        let Some(doublings) = count.failures.checked_sub(free) else {
            return Some(Duration::ZERO);
        };
        let step = FIRST_WAIT.saturating_mul(1 << doublings.min(16)).min(max_wait);
        let start = count.next.max(count.last + step).max(now);
        let wait = start.saturating_duration_since(now);
        if wait > 2 * max_wait {
            return None;
        }
        // Parallel logins wait one after the other.
        count.next = start + step;
        Some(wait)
    }

    fn forget_older_half(&mut self) {
        let mut times: Vec<Instant> = self.0.values().map(|count| count.last).collect();
        let (_, median, _) = times.select_nth_unstable(MAX_ENTRIES / 2);
        let median = *median;
        self.0.retain(|_, count| count.last > median);
    }

    fn failed(&mut self, key: K, now: Instant) {
        if self.0.len() >= MAX_ENTRIES && !self.0.contains_key(&key) {
            self.0
                .retain(|_, count| now.saturating_duration_since(count.last) <= MEMORY);
            if self.0.len() >= MAX_ENTRIES {
                self.forget_older_half();
            }
        }
        let count = self.0.entry(key).or_insert(Count {
            failures: 0,
            last: now,
            next: now,
        });
        count.failures = count.failures.saturating_add(1);
        count.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(10);

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn the_wait_doubles_up_to_the_limit_and_ends() {
        let (mut failures, mut now) = (Failures::default(), Instant::now());
        let (one, other) = (ip("10.0.0.1"), ip("10.0.0.2"));
        let mut waits = Vec::new();
        for _ in 0..9 {
            let wait = failures.wait(one, "alice", MAX, now).unwrap();
            waits.push(wait.as_millis());
            now += wait;
            failures.failed(one, "alice", now);
        }
        assert_eq!(waits, [0, 0, 0, 500, 1_000, 2_000, 4_000, 8_000, 10_000]);
        assert_eq!(failures.wait(one, "bob", MAX, now), Some(Duration::ZERO));
        assert_eq!(failures.wait(other, "alice", MAX, now), Some(Duration::ZERO));
        assert_eq!(
            failures.wait(one, "alice", Duration::ZERO, now + MAX),
            Some(Duration::ZERO),
            "off"
        );
        assert_eq!(
            failures.wait(one, "alice", MAX, now + MEMORY + MAX),
            Some(Duration::ZERO)
        );
        failures.succeeded(one, "alice");
        assert_eq!(failures.wait(one, "alice", MAX, now), Some(Duration::ZERO));
    }

    #[test]
    fn parallel_logins_wait_one_after_the_other() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        (0..4).for_each(|_| failures.failed(ip("10.0.0.1"), "alice", now));
        let mut wait = || {
            failures
                .wait(ip("10.0.0.1"), "alice", MAX, now)
                .map(|wait| wait.as_secs())
        };
        let waits: Vec<Option<u64>> = (0..22).map(|_| wait()).collect();
        let expected: Vec<Option<u64>> = (1..=20).map(Some).chain([None, None]).collect();
        assert_eq!(waits, expected);
    }

    #[test]
    fn an_address_that_tries_many_names_waits() {
        let (mut failures, now) = (Failures::default(), Instant::now());
        for number in 0..100 {
            failures.failed(ip("2001:db8::1"), &number.to_string(), now);
        }
        assert_eq!(
            failures.wait(ip("2001:db8::2"), "new", MAX, now),
            Some(MAX_ADDRESS_WAIT),
            "same network"
        );
        assert_eq!(
            failures.wait(ip("2001:db8:1::2"), "new", MAX, now),
            Some(Duration::ZERO)
        );
    }

    #[test]
    fn the_tables_are_bounded() {
        let (mut failures, start) = (Failures::default(), Instant::now());
        let address = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
        let count = 2 * MAX_ENTRIES as u32;
        for number in 0..count {
            let now = start + Duration::from_millis(u64::from(number));
            (0..4).for_each(|_| failures.failed(address(number), "alice", now));
        }
        assert!(failures.pairs.0.len() <= MAX_ENTRIES && failures.addresses.0.len() <= MAX_ENTRIES);
        let end = start + Duration::from_millis(u64::from(count));
        assert_eq!(failures.wait(address(0), "alice", MAX, end), Some(Duration::ZERO));
        assert_ne!(
            failures.wait(address(count - 1), "alice", MAX, end),
            Some(Duration::ZERO)
        );
    }
}
