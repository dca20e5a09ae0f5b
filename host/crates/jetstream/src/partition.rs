//! Which partition a record belongs to. Pure.

use sha2::{Digest, Sha256};

/// Returns the partition of the requests with this ordering key and destination: below `count`, and the same on every host
/// and in every version. A `count` of 0 is treated as 1.
pub fn partition(ordering_key: &str, destination: &str, count: u16) -> u16 {
    let mut hash = Sha256::new();
    // The length keeps ("a", "bc") apart from ("ab", "c").
    hash.update((ordering_key.len() as u64).to_be_bytes());
    hash.update(ordering_key);
    hash.update(destination);
    let digest = hash.finalize();
    let number = digest
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    u16::try_from(number % u64::from(count.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// These numbers must not change: hosts of two versions would deliver the requests of a key at the same time.
    #[test]
    fn the_partition_of_a_key_never_changes() {
        for (key, destination, count, expected) in [
            ("client-1", "https://example.com", 64, 61),
            ("client-2", "https://example.com", 64, 38),
            ("", "", 64, 58),
            ("é", "crm", 3, 0),
        ] {
            assert_eq!(partition(key, destination, count), expected, "{key} {destination}");
        }
    }

    proptest! {
        #[test]
        fn a_partition_is_below_the_count(key in ".*", destination in ".*", count in 0_u16..500) {
            prop_assert!(partition(&key, &destination, count) < count.max(1));
        }
    }

    #[test]
    fn keys_are_spread_evenly() {
        let mut counts = [0; 64];
        for number in 0..64_000 {
            counts[usize::from(partition(&format!("client-{number}"), "https://example.com", 64))] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
