//! Records on disk: written in commits, read in order, removed in any order.
//!
//! One file, `outbox.redb`, in a folder. It maps numbers to records. A record has a checksum, so
//! that damage of the disk is found when it is read; a damaged record does not affect others. The file is locked: a
//! second host cannot open it. It contains the version of its format, and another version is refused.
//!
//! The store has no threads and no queue; `hookhost-delivery` collects the changes for a commit. It uses redb, as the
//! state of modules does: one file, transactions, and reads that do not wait for a commit.

mod unflushed;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use unflushed::Unflushed;

/// The name of the file.
const FILE: &str = "outbox.redb";

/// The entry that identifies the format of the file.
const ABOUT: TableDefinition<&str, &str> = TableDefinition::new("hookhost");
const CONTENT: (&str, &str) = ("content", "outbox, version 2");

/// The format before. The file is the same, and `hookhost-delivery` reads the records of both; a host that reads only this
/// one must not open a file with records of the new one.
const PREVIOUS: &str = "outbox, version 1";

/// Limit of the page cache in memory.
const CACHE_BYTES: usize = 32 << 20;

/// The length of the checksum before each record.
const CHECKSUM_BYTES: usize = 4;

/// The records by number.
const RECORDS: TableDefinition<u64, &[u8]> = TableDefinition::new("requests");

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder cannot be created.
    #[error("the folder {} cannot be created", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Another process uses the file.
    #[error("{} is in use by another hookhost; each needs its own data folder", file.display())]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// The file exists but cannot be used.
    #[error("{} cannot be used: {reason}; move it away to start with an empty outbox", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: String,
    },
    /// An operation has failed. The next one opens the file again.
    #[error("{}: {reason}", file.display())]
    Failed {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: String,
    },
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

/// When the changes of a commit are on the disk itself, and not only with the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// When [`Store::write`] returns.
    Always,
    /// When the operating system writes them. A crash of the machine can make the file unusable.
    Never,
}

/// The open file.
pub struct Store {
    file: PathBuf,
    flush: Flush,
    /// `None` after a failure.
    database: Mutex<Option<Arc<Database>>>,
    next: u64,
}

impl Store {
    /// Opens the file in `dir`. Creates both if they are missing, closed to other users.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the folder cannot be created or the file cannot be used.
    pub fn open(dir: &Path, flush: Flush) -> Result<Store, StoreError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| StoreError::Folder {
            dir: dir.to_owned(),
            source,
        })?;
        let file = dir.join(FILE);
        let mut store = Store {
            database: Mutex::new(Some(Arc::new(open(&file, flush)?))),
            file,
            flush,
            next: 0,
        };
        store.next = store.with(|database| {
            let last = database
                .begin_read()?
                .open_table(RECORDS)?
                .last()?
                .map(|(number, _)| number.value());
            Ok(last.map_or(0, |last| last + 1))
        })?;
        Ok(store)
    }

    /// Returns a number above those of all records that the store had when it was opened.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Writes and removes records in one commit: all of it, or nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`]. The commit may then be complete or missing, but not in part.
    pub fn write(&self, put: &BTreeMap<u64, Bytes>, remove: &[u64]) -> Result<(), StoreError> {
        self.with(|database| {
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
        })
    }

    /// Returns a record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] if the file cannot be read, [`StoreError::Damaged`] if the record is damaged.
    pub fn get(&self, number: u64) -> Result<Option<Bytes>, StoreError> {
        let value = self.with(|database| {
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
    /// [`StoreError::Failed`] if the file cannot be read.
    pub fn range(&self, from: u64, count: usize) -> Result<Vec<Numbered>, StoreError> {
        self.with(|database| {
            let records = database.begin_read()?.open_table(RECORDS)?;
            let mut list = Vec::new();
            for record in records.range(from..)?.take(count) {
                let (number, value) = record?;
                let number = number.value();
                list.push((number, checked(number, Bytes::copy_from_slice(value.value()))));
            }
            Ok(list)
        })
    }

    /// Returns the size of the file in bytes; 0 if the system does not tell.
    pub fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.file).map_or(0, |metadata| metadata.len())
    }

    /// Moves the records together and returns the free space of the file to the file system. All other operations wait
    /// meanwhile. Returns false without a change if one of them is running. Takes as long as writing the records again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`]; no record is lost.
    pub fn compact(&self) -> Result<bool, StoreError> {
        let mut shared = self.lock();
        let Some(database) = shared.as_mut().and_then(Arc::get_mut) else {
            return Ok(false);
        };
        let reason = match catch_unwind(AssertUnwindSafe(|| database.compact())) {
            Ok(Ok(_)) => return Ok(true),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it is damaged".to_owned(),
        };
        shared.take();
        Err(self.failed(reason))
    }

    fn failed(&self, reason: String) -> StoreError {
        StoreError::Failed {
            file: self.file.clone(),
            reason,
        }
    }

    /// Runs an operation on the file; reads do not wait for a commit. If it fails, the file is opened again later.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let database = {
            let mut shared = self.lock();
            match &*shared {
                Some(database) => Arc::clone(database),
                None => Arc::clone(shared.insert(Arc::new(open(&self.file, self.flush)?))),
            }
        };
        // redb may panic on unexpected damage, despite its checks.
        let reason = match catch_unwind(AssertUnwindSafe(|| work(&database))) {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it is damaged".to_owned(),
        };
        self.lock().take();
        Err(self.failed(reason))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Database>>> {
        // The value is replaced as a whole, so a panic leaves a valid one.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
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

fn open(file: &Path, flush: Flush) -> Result<Database, StoreError> {
    let unusable = |reason: String| StoreError::Unusable {
        file: file.to_owned(),
        reason,
    };
    // Opening a damaged file may panic.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        match flush {
            Flush::Always => builder.create(file),
            Flush::Never => {
                let mut options = OpenOptions::new();
                let opened = options.read(true).write(true).create(true).truncate(false).open(file)?;
                builder.create_with_backend(Unflushed::new(opened)?)
            }
        }
    }));
    let database = match opened {
        Ok(Ok(database)) => database,
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => return Err(StoreError::InUse { file: file.to_owned() }),
        Ok(Err(error)) => return Err(unusable(error.to_string())),
        Err(_) => return Err(unusable("it is damaged".to_owned())),
    };
    let prepared = catch_unwind(AssertUnwindSafe(|| prepare(&database)));
    match prepared {
        Ok(Ok(None)) => Ok(database),
        Ok(Ok(Some(found))) => Err(unusable(format!(
            "it contains {found:?}, and this version reads {:?}",
            CONTENT.1
        ))),
        Ok(Err(error)) => Err(unusable(error.to_string())),
        Err(_) => Err(unusable("it is damaged".to_owned())),
    }
}

/// Creates the tables of a new file, and marks one of the previous format as a new one. Returns the format of a file with another format.
fn prepare(database: &Database) -> Result<Option<String>, redb::Error> {
    let transaction = database.begin_write()?;
    {
        let is_new = transaction.list_tables()?.next().is_none();
        let mut about = transaction.open_table(ABOUT)?;
        let found = about.get(CONTENT.0)?.map(|found| found.value().to_owned());
        match found {
            Some(found) if found == CONTENT.1 => {}
            Some(found) if found == PREVIOUS => drop(about.insert(CONTENT.0, CONTENT.1)?),
            Some(found) => return Ok(Some(found)),
            None if is_new => drop(about.insert(CONTENT.0, CONTENT.1)?),
            None => return Ok(Some("something else".to_owned())),
        }
        transaction.open_table(RECORDS)?;
    }
    transaction.commit()?;
    Ok(None)
}

#[cfg(test)]
mod tests;
