//! Key-value state that is kept when an instance ends or the module is replaced by a new version.
//!
//! All instances of the module share it, and other modules cannot read it. The host limits its size. If a call of the
//! module panics, the host undoes the changes of that call, because it handles the events again. A time to live is in
//! whole seconds, rounded up; an entry without one does not expire. Each function here calls the host and takes about
//! 0.3 µs.
//!
//! In native tests each thread, and so each test, has a store of its own, which is empty at first and has no limit. Its
//! clock stands still until the test calls [`testing::pass`](crate::testing::pass).
//!
//! ```
//! use hookhost_guest::kv;
//!
//! assert_eq!(kv::swap("last/k7", "21.5", None)?, None);
//! assert_eq!(kv::get("last/k7").as_deref(), Some(&b"21.5"[..]));
//! assert_eq!(kv::add("count", 2, None)?, 2);
//! # Ok::<(), kv::Full>(())
//! ```

use std::fmt;
use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::bindings::hookhost::hook::kv as store;
#[cfg(not(target_arch = "wasm32"))]
use native as store;

/// The store refused a change: a limit is reached, or the value of a counter is not a number. The text says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full(String);

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Full {}

/// Returns the value of a key. The value of a counter is its decimal digits.
pub fn get(key: &str) -> Option<Vec<u8>> {
    store::get(key)
}

/// Stores a value.
///
/// # Errors
///
/// If a limit of the host is reached.
pub fn set(key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Result<(), Full> {
    store::set(key, value.as_ref(), seconds(ttl)).map_err(Full)
}

/// Stores a value and returns the previous one, for example to detect a change.
///
/// # Errors
///
/// If a limit of the host is reached.
pub fn swap(key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Result<Option<Vec<u8>>, Full> {
    store::swap(key, value.as_ref(), seconds(ttl)).map_err(Full)
}

/// Stores a value if the key has none, for example to detect a new device. Returns whether the value was stored.
///
/// # Errors
///
/// If a limit of the host is reached.
pub fn insert(key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Result<bool, Full> {
    store::insert(key, value.as_ref(), seconds(ttl)).map_err(Full)
}

/// Adds to a counter and returns the sum. A counter starts at 0, and its time to live starts with its first addition.
///
/// # Errors
///
/// If a limit of the host is reached or the value of the key is not a number.
pub fn add(key: &str, amount: i64, ttl: Option<Duration>) -> Result<i64, Full> {
    store::add(key, amount, seconds(ttl)).map_err(Full)
}

/// Removes a key. Returns whether it had a value.
pub fn remove(key: &str) -> bool {
    store::remove(key)
}

fn seconds(ttl: Option<Duration>) -> Option<u32> {
    let ttl = ttl?;
    let whole = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
    Some(u32::try_from(whole).unwrap_or(u32::MAX))
}

/// Replaces the host in native tests: a store for each thread, with a clock that the test moves.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod native {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[derive(Default)]
    struct Store {
        now: Duration,
        entries: BTreeMap<String, KvEntry>,
    }

    struct KvEntry {
        value: Vec<u8>,
        /// When the entry expires; `None`: never.
        end: Option<Duration>,
    }

    thread_local! {
        static STORE: RefCell<Store> = RefCell::default();
    }

    impl Store {
        fn end(&self, ttl: Option<u32>) -> Option<Duration> {
            ttl.map(|seconds| self.now + Duration::from_secs(seconds.into()))
        }

        /// The entry of a key, if it has not expired.
        fn entry(&self, key: &str) -> Option<&KvEntry> {
            self.entries
                .get(key)
                .filter(|entry| entry.end.is_none_or(|end| end > self.now))
        }

        fn put(&mut self, key: &str, value: &[u8], end: Option<Duration>) -> Option<Vec<u8>> {
            let before = self.entry(key).map(|entry| entry.value.clone());
            let value = value.to_owned();
            self.entries.insert(key.to_owned(), KvEntry { value, end });
            before
        }
    }

    pub(crate) fn pass(time: Duration) {
        STORE.with_borrow_mut(|store| store.now = store.now.saturating_add(time));
    }

    pub(super) fn get(key: &str) -> Option<Vec<u8>> {
        STORE.with_borrow(|store| store.entry(key).map(|entry| entry.value.clone()))
    }

    pub(super) fn set(key: &str, value: &[u8], ttl: Option<u32>) -> Result<(), String> {
        swap(key, value, ttl).map(drop)
    }

    pub(super) fn swap(key: &str, value: &[u8], ttl: Option<u32>) -> Result<Option<Vec<u8>>, String> {
        Ok(STORE.with_borrow_mut(|store| {
            let end = store.end(ttl);
            store.put(key, value, end)
        }))
    }

    pub(super) fn insert(key: &str, value: &[u8], ttl: Option<u32>) -> Result<bool, String> {
        if get(key).is_some() {
            return Ok(false);
        }
        set(key, value, ttl).map(|()| true)
    }

    pub(super) fn add(key: &str, amount: i64, ttl: Option<u32>) -> Result<i64, String> {
        STORE.with_borrow_mut(|store| {
            let (before, end) = match store.entry(key) {
                None => (0, store.end(ttl)),
                Some(KvEntry { value, end }) => {
                    let count = String::from_utf8_lossy(value).parse();
                    (count.map_err(|_| format!("the value of {key} is not a counter"))?, *end)
                }
            };
            let sum = i64::saturating_add(before, amount);
            store.put(key, sum.to_string().as_bytes(), end);
            Ok(sum)
        })
    }

    pub(super) fn remove(key: &str) -> bool {
        STORE.with_borrow_mut(|store| {
            let was_there = store.entry(key).is_some();
            store.entries.remove(key);
            was_there
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn values_and_counters() {
        assert!(insert("a", "1", None).unwrap());
        assert!(!insert("a", "2", None).unwrap());
        assert_eq!(swap("a", b"3", None).unwrap(), Some(b"1".to_vec()));
        assert_eq!(add("a", -5, None), Ok(-2));
        assert_eq!(get("a"), Some(b"-2".to_vec()));
        assert!(remove("a"));
        assert!(!remove("a"));
        set("b", "text", None).unwrap();
        assert!(add("b", 1, None).is_err());
    }

    #[test]
    fn what_has_a_time_to_live_goes_when_it_is_up() {
        let minute = Some(Duration::from_secs(60));
        set("a", "1", minute).unwrap();
        set("b", "1", None).unwrap();
        add("count", 1, minute).unwrap();
        testing::pass(Duration::from_secs(59));
        assert_eq!(add("count", 1, minute), Ok(2));
        assert!(!insert("a", "2", None).unwrap());
        testing::pass(Duration::from_secs(1));
        assert_eq!((get("a"), get("b")), (None, Some(b"1".to_vec())));
        assert_eq!(
            add("count", 1, minute),
            Ok(1),
            "the time of a counter counts from its start"
        );
        assert!(!remove("a"));
        assert!(insert("a", "2", minute).unwrap());
    }

    #[test]
    fn a_time_to_live_is_rounded_up() {
        for (ttl, expected) in [
            (None, None),
            (Some(Duration::ZERO), Some(0)),
            (Some(Duration::from_millis(1)), Some(1)),
            (Some(Duration::from_secs(60)), Some(60)),
            (Some(Duration::from_millis(60_001)), Some(61)),
            (Some(Duration::MAX), Some(u32::MAX)),
        ] {
            assert_eq!(seconds(ttl), expected);
        }
    }
}
