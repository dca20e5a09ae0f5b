//! Records on disk: written in commits, read in order, removed in any order.
//!
//! One file, `outbox.redb`, in a folder. It maps numbers to records. A record has a checksum, so that damage of the disk is
//! found when it is read; a damaged record does not affect others.
//!
//! ```text
//! chunks   first number → the records of a commit, up to 32 KiB         written once
//! live     first number → the positions whose records are left          written when records are removed
//! ```
//!
//! Records of a commit share chunks, because an entry of the file costs much more than a record. A chunk without records is
//! deleted. A chunk with few records left is written again without the removed ones. The numbers of two chunks do not overlap:
//! the last chunk that starts at or before a number is the only one that can have its record.
//!
//! The store has no threads and no queue; `hookhost-delivery` collects the changes for a commit.

mod chunk;
mod commit;
mod live;
mod upgrade;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use hookhost_data_file::{DataFile, Format};

use chunk::CheckedRecord;
use commit::Tables;
use live::LivePositions;

pub use hookhost_data_file::{FileError, Flush};

/// The file. Earlier versions are converted when they are opened.
static FORMAT: Format = Format {
    file: "outbox.redb",
    content: "outbox, version 3",
    earlier: &["outbox, version 1", "outbox, version 2"],
    fresh_start: "with an empty outbox",
    cache_bytes: 8 << 20,
    checks_every_page: false,
    create_tables: |transaction| {
        transaction.open_table(CHUNKS)?;
        transaction.open_table(LIVE)?;
        Ok(())
    },
};

/// The chunks by their first number.
const CHUNKS: TableDefinition<u64, &[u8]> = TableDefinition::new("chunks");

/// Which positions of each chunk are left, by its first number.
const LIVE: TableDefinition<u64, &[u8]> = TableDefinition::new("live");

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The checksum of a record does not match.
    #[error("record {number} of the outbox is damaged")]
    Damaged {
        /// Its number.
        number: u64,
    },
}

impl StoreError {
    /// Returns whether a record is damaged, so that reading it again is of no use.
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Damaged { .. })
    }
}

/// A record with its number, or why it cannot be read.
pub type Numbered = (u64, Result<Bytes, StoreError>);

/// Some records that are next to each other, as they were when they were read.
#[derive(Debug)]
pub struct Chunk {
    first: u64,
    live: LivePositions,
    bytes: Bytes,
}

impl Chunk {
    /// Returns a copy of a record; an error if it is damaged, or `None` if the chunk does not have it.
    pub fn get(&self, number: u64) -> Option<Result<Bytes, StoreError>> {
        let position = number.checked_sub(self.first)? as usize;
        let is_live = self.live.contains(position);
        is_live.then(|| checked(number, chunk::record(&self.bytes, position)))
    }

    /// Returns the number of bytes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// The open file.
pub struct Store {
    file: DataFile,
    next: u64,
}

impl Store {
    /// Opens the file in `dir`. Creates both if they are missing, closed to other users.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the folder cannot be created or the file cannot be used.
    pub fn open(dir: &Path, flush: Flush) -> Result<Store, StoreError> {
        let file = DataFile::open(dir, &FORMAT, flush)?;
        file.with(upgrade::upgrade)?;
        let next = file.with(|database| {
            let read = database.begin_read()?;
            let (chunks, live) = (read.open_table(CHUNKS)?, read.open_table(LIVE)?);
            let Some((first, set)) = live.last()? else { return Ok(0) };
            Ok(first.value() + live_positions(&chunks, first.value(), set.value())?.end())
        })?;
        Ok(Store { file, next })
    }

    /// Returns a number above those of all records that the store had when it was opened.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Writes and removes records in one commit: all of it, or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`]. The commit may then be complete or missing, but not in part.
    pub fn write(&self, put: &BTreeMap<u64, Bytes>, remove: &[u64]) -> Result<(), StoreError> {
        let written = self.file.with(|database| {
            let transaction = database.begin_write()?;
            let put = put.iter().map(|(number, record)| (*number, record.into())).collect();
            let mut tables = Tables::open(&transaction)?;
            tables.put(put)?;
            tables.remove(remove)?;
            drop(tables);
            transaction.commit()?;
            Ok(())
        });
        Ok(written?)
    }

    /// Returns a record.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`] if the file cannot be read, [`StoreError::Damaged`] if the record is damaged.
    pub fn get(&self, number: u64) -> Result<Option<Bytes>, StoreError> {
        let chunk = self.chunk(number)?;
        chunk.and_then(|chunk| chunk.get(number)).transpose()
    }

    /// Returns the records that are next to a record in the file, if there is such a record. Reading them together costs
    /// little more than reading one.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`] if the file cannot be read.
    pub fn chunk(&self, number: u64) -> Result<Option<Chunk>, StoreError> {
        let found = self.file.with(|database| {
            let read = database.begin_read()?;
            let (chunks, live) = (read.open_table(CHUNKS)?, read.open_table(LIVE)?);
            let Some(entry) = live.range(..=number)?.next_back() else {
                return Ok(None);
            };
            let (first, set) = entry?;
            let first = first.value();
            let live = live_positions(&chunks, first, set.value())?;
            if !live.contains((number - first) as usize) {
                return Ok(None);
            }
            let chunk = chunks.get(first)?;
            let bytes = chunk.map_or_else(Bytes::new, |chunk| Bytes::copy_from_slice(chunk.value()));
            Ok(Some(Chunk { first, live, bytes }))
        })?;
        Ok(found)
    }

    /// Returns the records from the number `from` on, in order: at most `count`. Damaged ones are errors in the list.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`] if the file cannot be read.
    pub fn range(&self, from: u64, count: usize) -> Result<Vec<Numbered>, StoreError> {
        let list = self.file.with(|database| {
            let read = database.begin_read()?;
            let (chunks, live) = (read.open_table(CHUNKS)?, read.open_table(LIVE)?);
            let start = match live.range(..=from)?.next_back() {
                Some(entry) => entry?.0.value(),
                None => from,
            };
            let mut list = Vec::new();
            for entry in live.range(start..)? {
                let (first, set) = entry?;
                let first = first.value();
                let chunk = chunks.get(first)?;
                let chunk = chunk.as_ref().map_or(&[][..], |chunk| chunk.value());
                let set = LivePositions::decode(set.value());
                let set = set.unwrap_or_else(|| LivePositions::new(chunk::occupied(chunk)));
                for position in set.iter() {
                    let number = first + position as u64;
                    if number < from {
                        continue;
                    }
                    if list.len() == count {
                        return Ok(list);
                    }
                    list.push((number, checked(number, chunk::record(chunk, position))));
                }
            }
            Ok(list)
        });
        Ok(list?)
    }

    /// Returns the size of the file in bytes; 0 if the system does not tell.
    pub fn file_bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// Returns the free space of the file to the file system: see [`DataFile::compact`].
    ///
    /// # Errors
    ///
    /// [`StoreError::File`]; no record is lost.
    pub fn compact(&self) -> Result<bool, StoreError> {
        Ok(self.file.compact()?)
    }
}

/// Returns the positions of a chunk that are left. If the set is damaged, that is every record of the chunk: removed ones
/// come back, but none is lost.
fn live_positions(
    chunks: &impl ReadableTable<u64, &'static [u8]>,
    first: u64,
    set: &[u8],
) -> Result<LivePositions, redb::Error> {
    if let Some(live) = LivePositions::decode(set) {
        return Ok(live);
    }
    let chunk = chunks.get(first)?;
    let chunk = chunk.as_ref().map_or(&[][..], |chunk| chunk.value());
    Ok(LivePositions::new(chunk::occupied(chunk)))
}

fn checked(number: u64, record: CheckedRecord) -> Result<Bytes, StoreError> {
    record.into_bytes().ok_or(StoreError::Damaged { number })
}

#[cfg(test)]
mod tests;
