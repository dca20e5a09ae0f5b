//! A chunk: records of nearly consecutive numbers as one value of the file, and the set of those that are left.
//!
//! ```text
//! count: u32 | for each position: end of its record: u32, checksum of its record: u32 | records
//! ```
//!
//! The position of a record is its number minus the first number of the chunk. A position without a record has no bytes.
//! A damaged position affects no other record, because each record is found and checked with its own entry.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

/// Limit of the bytes of a chunk with more than one record. redb stores a value of this size in 32 KiB, with its key.
const MAX_CHUNK_BYTES: usize = (32 << 10) - 256;

/// Limit of the positions of a chunk.
const MAX_POSITIONS: u64 = 512;

const COUNT_BYTES: usize = 4;
const ENTRY_BYTES: usize = 8;

/// The bytes of a record with their checksum, which does not match if the record is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckedRecord {
    bytes: Bytes,
    checksum: u32,
}

impl CheckedRecord {
    /// A record with a checksum that was read with it.
    pub(crate) fn read(bytes: Bytes, checksum: u32) -> CheckedRecord {
        CheckedRecord { bytes, checksum }
    }

    /// The stand-in for a record that was not found. Its checksum does not match.
    pub(crate) fn damaged() -> CheckedRecord {
        CheckedRecord::read(Bytes::new(), 1)
    }

    /// Returns the record, or `None` if it is damaged.
    pub(crate) fn into_bytes(self) -> Option<Bytes> {
        (crc32fast::hash(&self.bytes) == self.checksum).then_some(self.bytes)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl From<&Bytes> for CheckedRecord {
    fn from(record: &Bytes) -> CheckedRecord {
        CheckedRecord::read(record.clone(), crc32fast::hash(record))
    }
}

/// Records with their numbers, in order.
pub(crate) type Records = BTreeMap<u64, CheckedRecord>;

/// Divides records into chunks: the numbers of each.
pub(crate) fn split(records: &Records) -> Vec<Range<u64>> {
    let mut chunks: Vec<Range<u64>> = Vec::new();
    let mut bytes = 0;
    for (&number, record) in records {
        if let Some(chunk) = chunks.last_mut() {
            // An empty position costs an entry, and a gap in the numbers has no records at all.
            let entries = usize::try_from(number + 1 - chunk.start).unwrap_or(usize::MAX);
            let size = entries.saturating_mul(ENTRY_BYTES).saturating_add(bytes + record.len());
            if number - chunk.start < MAX_POSITIONS && size <= MAX_CHUNK_BYTES {
                chunk.end = number + 1;
                bytes += record.len();
                continue;
            }
        }
        chunks.push(number..number + 1);
        bytes = record.len();
    }
    chunks
}

/// Returns the chunk of the records in this range, which [`split`] has made.
pub(crate) fn encode(records: &Records, numbers: Range<u64>) -> Vec<u8> {
    let positions = numbers.end - numbers.start;
    let bytes: usize = records.range(numbers.clone()).map(|(_, record)| record.len()).sum();
    let index = positions as usize * ENTRY_BYTES;
    let mut chunk = Vec::with_capacity(COUNT_BYTES + index + bytes);
    chunk.extend_from_slice(&(positions as u32).to_le_bytes());
    let mut end = 0_u32;
    for number in numbers.clone() {
        let record = records.get(&number);
        end += record.map_or(0, CheckedRecord::len) as u32;
        chunk.extend_from_slice(&end.to_le_bytes());
        chunk.extend_from_slice(&record.map_or(0, |record| record.checksum).to_le_bytes());
    }
    for (_, record) in records.range(numbers) {
        chunk.extend_from_slice(&record.bytes);
    }
    chunk
}

/// Returns how many positions a chunk says that it has; 0 if it is damaged.
pub(crate) fn positions(chunk: &[u8]) -> usize {
    let count = number_at(chunk, 0).unwrap_or(0) as usize;
    if count as u64 <= MAX_POSITIONS { count } else { 0 }
}

/// Returns the positions that had a record when the chunk was written.
pub(crate) fn occupied(chunk: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let has_record = |position: &usize| record(chunk, *position) != CheckedRecord::from(&Bytes::new());
    (0..positions(chunk)).filter(has_record)
}

/// Returns the record at a position.
pub(crate) fn record(chunk: &[u8], position: usize) -> CheckedRecord {
    find(chunk, position).unwrap_or_else(CheckedRecord::damaged)
}

fn find(chunk: &[u8], position: usize) -> Option<CheckedRecord> {
    let count = positions(chunk);
    let entry = |position: usize| COUNT_BYTES + position * ENTRY_BYTES;
    if position >= count {
        return None;
    }
    let start = match position.checked_sub(1) {
        Some(previous) => number_at(chunk, entry(previous))? as usize,
        None => 0,
    };
    let end = number_at(chunk, entry(position))? as usize;
    let checksum = number_at(chunk, entry(position) + 4)?;
    let bytes = chunk.get(entry(count)..)?.get(start..end)?;
    Some(CheckedRecord::read(Bytes::copy_from_slice(bytes), checksum))
}

fn number_at(chunk: &[u8], at: usize) -> Option<u32> {
    let bytes = chunk.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(sizes: &[(u64, usize)]) -> Records {
        let record = |number, size| CheckedRecord::from(&Bytes::from(vec![number as u8; size]));
        let records = sizes.iter().map(|&(number, size)| (number, record(number, size)));
        records.collect()
    }

    #[test]
    fn chunks_are_limited_in_bytes_and_positions() {
        let one = |numbers: Range<u64>| [numbers].to_vec();
        for (sizes, expected) in [
            (vec![], vec![]),
            (vec![(5, 10), (6, 10), (9, 10)], one(5..10)),
            (vec![(0, 20_000), (1, 10_000), (2, 10_000)], vec![0..2, 2..3]),
            (vec![(0, 90_000), (1, 90_000)], vec![0..1, 1..2]),
            (vec![(0, 1), (511, 1), (512, 1)], vec![0..512, 512..513]),
            (vec![(0, 1), (u64::MAX - 1, 1)], vec![0..1, u64::MAX - 1..u64::MAX]),
        ] {
            assert_eq!(split(&records(&sizes)), expected, "{sizes:?}");
        }
    }

    #[test]
    fn a_damaged_chunk_has_damaged_records_only_where_it_is_damaged() {
        let records = records(&[(5, 10), (6, 12), (8, 3)]);
        let chunk = encode(&records, 5..9);
        assert_eq!(positions(&chunk), 4);
        for (number, expected) in &records {
            assert_eq!(&record(&chunk, (number - 5) as usize), expected);
        }
        assert_eq!(record(&chunk, 4).into_bytes(), None);
        for at in 0..chunk.len() {
            let mut damaged = chunk.clone();
            damaged[at] ^= 0x41;
            let mut left = 0;
            for (number, expected) in &records {
                if let Some(found) = record(&damaged, (number - 5) as usize).into_bytes() {
                    assert_eq!(found, expected.bytes, "byte {at}");
                    left += 1;
                }
            }
            assert!(left < 3 || (24..28).contains(&at), "byte {at} is not checked");
            assert!(left >= 1 || at < COUNT_BYTES, "byte {at} damages everything");
            damaged.truncate(at);
            assert_eq!(record(&damaged, 3).into_bytes(), None);
        }
    }
}
