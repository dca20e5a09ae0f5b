//! The file of a store: `dead-letters.redb`, with one table for each collection.
//!
//! The file is locked: a second host cannot open it. It contains the version of its format, and another version is
//! refused. It uses redb, as the outbox and the state of modules do.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::Kind;

/// The name of the file.
const FILE: &str = "dead-letters.redb";

/// The entry that identifies the format of the file.
const ABOUT: TableDefinition<&str, &str> = TableDefinition::new("hookhost");
const CONTENT: (&str, &str) = ("content", "dead letters, version 1");

/// The next number of each collection, by the name of its table.
const NEXT: TableDefinition<&str, u64> = TableDefinition::new("next");

/// Limit of the page cache in memory.
const CACHE_BYTES: usize = 4 << 20;

/// Why a store cannot be used.
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
    /// The system refuses to create a thread.
    #[error("cannot start the thread that writes dead letters")]
    Thread(#[source] std::io::Error),
    /// Another process uses the file.
    #[error("{} is in use by another hookhost; each needs its own data folder", file.display())]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// The file exists but cannot be used.
    #[error("{} cannot be used: {reason}; move it away to start without dead letters", file.display())]
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
    #[error("record {number} of the dead letters is damaged")]
    Damaged {
        /// Its number.
        number: u64,
    },
}

/// The changes of a collection: new content by number, or `None` for a removed record.
pub(crate) type Changes = BTreeMap<u64, Option<Bytes>>;

/// The open file.
pub(crate) struct File {
    path: PathBuf,
    /// `None` after a failure.
    database: Mutex<Option<Arc<Database>>>,
}

type Table<'n> = TableDefinition<'n, u64, &'static [u8]>;

impl Kind {
    fn table(self) -> &'static str {
        match self {
            Kind::Requests => "requests",
            Kind::Events => "events",
        }
    }
}

impl File {
    /// Opens the file in `dir`. Creates both if they are missing, closed to other users.
    pub(crate) fn open(dir: &Path) -> Result<File, StoreError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| StoreError::Folder {
            dir: dir.to_owned(),
            source,
        })?;
        let path = dir.join(FILE);
        Ok(File {
            database: Mutex::new(Some(Arc::new(open(&path)?))),
            path,
        })
    }

    /// Calls `each` with the records of a collection, in order. Returns the next number.
    pub(crate) fn load(&self, kind: Kind, mut each: impl FnMut(u64, Bytes)) -> Result<u64, StoreError> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let mut last = 0;
            for record in transaction.open_table(Table::new(kind.table()))?.iter()? {
                let (number, bytes) = record?;
                last = number.value();
                each(last, Bytes::copy_from_slice(bytes.value()));
            }
            let next = transaction.open_table(NEXT)?.get(kind.table())?;
            Ok(next.map_or(1, |next| next.value()).max(last + 1))
        })
    }

    /// Writes changes of collections, each with its next number, in one commit: all of it, or nothing.
    pub(crate) fn write(&self, changes: &[(Kind, Arc<Changes>, u64)]) -> Result<(), StoreError> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            for (kind, changes, next) in changes.iter().filter(|(_, changes, _)| !changes.is_empty()) {
                let mut table = transaction.open_table(Table::new(kind.table()))?;
                for (number, bytes) in &**changes {
                    match bytes {
                        Some(bytes) => drop(table.insert(number, &**bytes)?),
                        None => drop(table.remove(number)?),
                    }
                }
                transaction.open_table(NEXT)?.insert(kind.table(), next)?;
            }
            transaction.commit()?;
            Ok(())
        })
    }

    /// Returns the bytes of a record.
    pub(crate) fn get(&self, kind: Kind, number: u64) -> Result<Option<Bytes>, StoreError> {
        self.with(|database| {
            let table = database.begin_read()?.open_table(Table::new(kind.table()))?;
            let bytes = table.get(number)?;
            Ok(bytes.map(|bytes| Bytes::copy_from_slice(bytes.value())))
        })
    }

    /// Runs an operation on the file. If it fails, the next one opens the file again.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let database = {
            let mut shared = self.lock();
            match &*shared {
                Some(database) => Arc::clone(database),
                None => Arc::clone(shared.insert(Arc::new(open(&self.path)?))),
            }
        };
        // redb may panic on unexpected damage, despite its checks.
        let reason = match catch_unwind(AssertUnwindSafe(|| work(&database))) {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it is damaged".to_owned(),
        };
        self.lock().take();
        Err(StoreError::Failed {
            file: self.path.clone(),
            reason,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Database>>> {
        // The value is replaced as a whole, so a panic leaves a valid one.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(file: &Path) -> Result<Database, StoreError> {
    let unusable = |reason: String| StoreError::Unusable {
        file: file.to_owned(),
        reason,
    };
    // Opening a damaged file may panic.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        builder.create(file)
    }));
    let database = match opened {
        Ok(Ok(database)) => database,
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => return Err(StoreError::InUse { file: file.to_owned() }),
        Ok(Err(error)) => return Err(unusable(error.to_string())),
        Err(_) => return Err(unusable("it is damaged".to_owned())),
    };
    match catch_unwind(AssertUnwindSafe(|| prepare(&database))) {
        Ok(Ok(None)) => Ok(database),
        Ok(Ok(Some(found))) => Err(unusable(format!(
            "it contains {found:?}, and this version reads {:?}",
            CONTENT.1
        ))),
        Ok(Err(error)) => Err(unusable(error.to_string())),
        Err(_) => Err(unusable("it is damaged".to_owned())),
    }
}

/// Creates the tables of a new file. Returns the format of a file with another format.
fn prepare(database: &Database) -> Result<Option<String>, redb::Error> {
    let transaction = database.begin_write()?;
    {
        let is_new = transaction.list_tables()?.next().is_none();
        let mut about = transaction.open_table(ABOUT)?;
        let found = about.get(CONTENT.0)?.map(|found| found.value().to_owned());
        match found {
            Some(found) if found == CONTENT.1 => {}
            Some(found) => return Ok(Some(found)),
            None if is_new => drop(about.insert(CONTENT.0, CONTENT.1)?),
            None => return Ok(Some("something else".to_owned())),
        }
        transaction.open_table(NEXT)?;
        for kind in Kind::ALL {
            transaction.open_table(Table::new(kind.table()))?;
        }
    }
    transaction.commit()?;
    Ok(None)
}
