//! Records on disk: written in commits, read in order, removed in any order.
//!
//! One file, `outbox.redb`, in a folder. It maps numbers to records. A record has a checksum, so that damage of the disk is
//! found when it is read; a damaged record does not affect others.
//!
//! The store has no threads and no queue; `hookhost-delivery` collects the changes for a commit.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use hookhost_data_file::{DataFile, Format};

pub use hookhost_data_file::{FileError, Flush};

/// The file. `hookhost-delivery` reads the records of both versions; a host that reads only the first one must not open a
/// file with records of the second.
static FORMAT: Format = Format {
    file: "outbox.redb",
    content: "outbox, version 2",
    earlier: &["outbox, version 1"],
    fresh_start: "with an empty outbox",
    cache_bytes: 32 << 20,
    checks_every_page: false,
    create_tables: |transaction| {
        transaction.open_table(RECORDS)?;
        Ok(())
    },
};

/// The length of the checksum before each record.
const CHECKSUM_BYTES: usize = 4;

/// The records by number.
const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("requests");

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
        let next = file.with(|database| {
            let last = database
                .begin_read()?
                .open_table(RECORDS)?
                .last()?
                .map(|(number, _)| number.value());
            Ok(last.map_or(0, |last| last + 1))
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
            {
                let mut records = transaction.open_table(RECORDS)?;
                let mut value = Vec::new();
                for (number, record) in put {
                    value.clear();
                    value.extend_from_slice(&crc32fast::hash(record).to_le_bytes());
                    value.extend_from_slice(record);
                    records.insert(number, &*value)?;
                }
                for number in remove {
                    records.remove(number)?;
                }
            }
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
        let value = self.file.with(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            let value = records.get(number)?;
            Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
        })?;
        value.map(|value| checked(number, value)).transpose()
    }

    /// Returns the records from the number `from` on, in order: at most `count`. Damaged ones are errors in the list.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`] if the file cannot be read.
    pub fn range(&self, from: u64, count: usize) -> Result<Vec<Numbered>, StoreError> {
        let list = self.file.with(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            let mut list = Vec::new();
            for record in records.range(from..)?.take(count) {
                let (number, value) = record?;
                let number = number.value();
                list.push((number, checked(number, Bytes::copy_from_slice(value.value()))));
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

/// Removes the checksum of a record.
fn checked(number: u64, mut value: Bytes) -> Result<Bytes, StoreError> {
    if value.len() >= CHECKSUM_BYTES {
        let checksum = value.split_to(CHECKSUM_BYTES);
        if checksum[..] == crc32fast::hash(&value).to_le_bytes() {
            return Ok(value);
        }
    }
    Err(StoreError::Damaged { number })
}

#[cfg(test)]
mod tests;
