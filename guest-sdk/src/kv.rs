//! State that outlives an instance and a swap of the module.
//!
//! It is shared by all instances of the module, hidden from other modules and bounded by the host. What a call writes
//! is undone if the call panics, because its events are then handled again. A time to live is counted in whole seconds,
//! rounded up; without one a value stays until it is removed. Each call crosses the border of the sandbox, which takes
//! some 0.3 µs.
//!
//! In native tests each thread, and so each test, has a store of its own, which begins empty, knows no bound and lets
//! nothing expire.
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

/// A bound of the store is reached; the text says which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Full(String);

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Full {}

/// The value of a key; that of a counter is its decimal digits.
pub fn get(key: &str) -> Option<Vec<u8>> {
    store::get(key)
}

/// Stores a value.
pub fn set(key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Result<(), Full> {
    store::set(key, value.as_ref(), seconds(ttl)).map_err(Full)
}

/// Stores a value and gives the one before: one call to see whether something has changed.
pub fn swap(key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Result<Option<Vec<u8>>, Full> {
    store::swap(key, value.as_ref(), seconds(ttl)).map_err(Full)
}

/// Stores a value if the key has none, and tells whether it did: one call to see whether something is new.
pub fn insert(key: &str, value: impl AsRef<[u8]>, ttl: Option<Duration>) -> Result<bool, Full> {
    store::insert(key, value.as_ref(), seconds(ttl)).map_err(Full)
}

/// Adds to a counter, which starts at 0 and whose time to live counts from its start; gives the sum.
pub fn add(key: &str, amount: i64, ttl: Option<Duration>) -> Result<i64, Full> {
    store::add(key, amount, seconds(ttl)).map_err(Full)
}

/// Removes a key; tells whether it had a value.
pub fn remove(key: &str) -> bool {
    store::remove(key)
}

fn seconds(ttl: Option<Duration>) -> Option<u32> {
    let ttl = ttl?;
    let whole = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
    Some(u32::try_from(whole).unwrap_or(u32::MAX))
}

/// What stands in for the host in native tests.
#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    thread_local! {
        static STORE: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(super) fn get(key: &str) -> Option<Vec<u8>> {
        STORE.with_borrow(|store| store.get(key).cloned())
    }

    pub(super) fn set(key: &str, value: &[u8], ttl: Option<u32>) -> Result<(), String> {
        swap(key, value, ttl).map(drop)
    }

    pub(super) fn swap(key: &str, value: &[u8], _ttl: Option<u32>) -> Result<Option<Vec<u8>>, String> {
        Ok(STORE.with_borrow_mut(|store| store.insert(key.to_owned(), value.to_owned())))
    }

    pub(super) fn insert(key: &str, value: &[u8], ttl: Option<u32>) -> Result<bool, String> {
        if get(key).is_some() {
            return Ok(false);
        }
        set(key, value, ttl).map(|()| true)
    }

    pub(super) fn add(key: &str, amount: i64, ttl: Option<u32>) -> Result<i64, String> {
        let before = match get(key) {
            None => 0,
            Some(value) => {
                let digits = String::from_utf8_lossy(&value);
                digits
                    .parse()
                    .map_err(|_| format!("the value of {key} is no counter"))?
            }
        };
        let sum = i64::saturating_add(before, amount);
        set(key, sum.to_string().as_bytes(), ttl).map(|()| sum)
    }

    pub(super) fn remove(key: &str) -> bool {
        STORE.with_borrow_mut(|store| store.remove(key).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
