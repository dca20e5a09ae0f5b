//! The changes of one commit.

use redb::{ReadableTable, Table, WriteTransaction};

use super::chunk::{self, CheckedRecord, Records};
use super::live::LivePositions;
use super::{CHUNKS, LIVE, live_positions};

/// A chunk is written again when its records have at most this part of its bytes. The file has at most about twice the bytes
/// of its records then, and each byte is written at most about twice.
const MAX_SPARSE_PART: usize = 2;

/// A smaller chunk is not written again: it shares a page of the file with others.
const MIN_SPARSE_BYTES: usize = 8 << 10;

/// The tables in a transaction.
pub(crate) struct Tables<'a> {
    chunks: Table<'a, u64, &'static [u8]>,
    live: Table<'a, u64, &'static [u8]>,
}

impl<'a> Tables<'a> {
    pub(crate) fn open(transaction: &'a WriteTransaction) -> Result<Tables<'a>, redb::Error> {
        Ok(Tables {
            chunks: transaction.open_table(CHUNKS)?,
            live: transaction.open_table(LIVE)?,
        })
    }

    /// Adds records. They replace those of the same numbers.
    pub(crate) fn put(&mut self, mut records: Records) -> Result<(), redb::Error> {
        self.take_overlapping(&mut records)?;
        for numbers in chunk::split(&records) {
            let first = numbers.start;
            let positions = records
                .range(numbers.clone())
                .map(|(number, _)| (number - first) as usize);
            let live = LivePositions::new(positions);
            self.chunks.insert(first, &*chunk::encode(&records, numbers))?;
            self.live.insert(first, &*live.encode())?;
        }
        Ok(())
    }

    /// Deletes the chunks whose numbers overlap with those of `records`, and adds their other records to them. There are such
    /// chunks only if a commit that seemed to fail was complete.
    fn take_overlapping(&mut self, records: &mut Records) -> Result<(), redb::Error> {
        let (Some((&lowest, _)), Some((&highest, _))) = (records.first_key_value(), records.last_key_value()) else {
            return Ok(());
        };
        let mut before = highest;
        loop {
            let Some((first, live)) = self.chunk_of(before)? else {
                return Ok(());
            };
            if first + live.end() <= lowest {
                return Ok(());
            }
            let chunk = self.chunks.remove(first)?;
            for position in live.iter() {
                let chunk = chunk.as_ref().map_or(&[][..], |chunk| chunk.value());
                let number = first + position as u64;
                records.entry(number).or_insert_with(|| chunk::record(chunk, position));
            }
            drop(chunk);
            self.live.remove(first)?;
            let Some(next) = first.checked_sub(1) else {
                return Ok(());
            };
            before = next;
        }
    }

    /// Removes records. Numbers without a record are ignored.
    pub(crate) fn remove(&mut self, numbers: &[u64]) -> Result<(), redb::Error> {
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        let mut numbers = numbers.into_iter().peekable();
        while let Some(number) = numbers.next() {
            let Some((first, mut live)) = self.chunk_of(number)? else {
                continue;
            };
            let (before, end) = (live.count(), first + live.end());
            live.remove((number - first) as usize);
            while let Some(number) = numbers.next_if(|number| *number < end) {
                live.remove((number - first) as usize);
            }
            let after = live.count();
            if after == 0 {
                self.chunks.remove(first)?;
                self.live.remove(first)?;
            } else if after < before {
                self.live.insert(first, &*live.encode())?;
                // Looking at the bytes at each removal would cost more than it saves.
                if after.ilog2() < before.ilog2() {
                    self.shrink(first, &live)?;
                }
            }
        }
        Ok(())
    }

    /// Writes a chunk again if little of it is left.
    fn shrink(&mut self, first: u64, live: &LivePositions) -> Result<(), redb::Error> {
        let records: Records = {
            let Some(chunk) = self.chunks.get(first)? else {
                return Ok(());
            };
            let chunk = chunk.value();
            if chunk.len() < MIN_SPARSE_BYTES {
                return Ok(());
            }
            let positions = live.iter();
            let records = positions.map(|position| (first + position as u64, chunk::record(chunk, position)));
            let records: Records = records.collect();
            let bytes: usize = records.values().map(CheckedRecord::len).sum();
            if bytes > chunk.len() / MAX_SPARSE_PART {
                return Ok(());
            }
            records
        };
        let numbers = first..first + live.end();
        self.chunks.insert(first, &*chunk::encode(&records, numbers))?;
        Ok(())
    }

    /// Returns the only chunk that can have this number, with what is left of it.
    fn chunk_of(&self, number: u64) -> Result<Option<(u64, LivePositions)>, redb::Error> {
        let Some(entry) = self.live.range(..=number)?.next_back() else {
            return Ok(None);
        };
        let (first, set) = entry?;
        let live = live_positions(&self.chunks, first.value(), set.value())?;
        Ok(Some((first.value(), live)))
    }
}
