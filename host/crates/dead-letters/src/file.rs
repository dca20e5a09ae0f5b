//! The file of a store: `dead-letters.redb`, with one table for each collection.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use hookhost_data_file::{DataFile, FileError, Flush, Format};

use super::Kind;

static FORMAT: Format = Format {
    file: "dead-letters.redb",
    content: "dead letters, version 1",
    earlier: &[],
    fresh_start: "without dead letters",
    cache_bytes: 4 << 20,
    checks_every_page: false,
    create_tables: |transaction| {
        transaction.open_table(NEXT)?;
        for kind in Kind::ALL {
            transaction.open_table(Table::new(kind.table()))?;
        }
        Ok(())
    },
};

/// The next number of each collection, by the name of its table.
const NEXT: TableDefinition<&str, u64> = TableDefinition::new("next");

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system refuses to create a thread.
    #[error("cannot start the thread that writes dead letters")]
    Thread(#[source] std::io::Error),
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
pub(crate) struct File(DataFile);

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
    pub(crate) fn open(dir: &Path) -> Result<File, FileError> {
        DataFile::open(dir, &FORMAT, Flush::Always).map(File)
    }

    /// Calls `each` with the records of a collection, in order. Returns the next number.
    pub(crate) fn load(&self, kind: Kind, mut each: impl FnMut(u64, Bytes)) -> Result<u64, FileError> {
        self.0.with(|database| {
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
    pub(crate) fn write(&self, changes: &[(Kind, Arc<Changes>, u64)]) -> Result<(), FileError> {
        self.0.with(|database| {
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
    pub(crate) fn get(&self, kind: Kind, number: u64) -> Result<Option<Bytes>, FileError> {
        self.0.with(|database| {
            let table = database.begin_read()?.open_table(Table::new(kind.table()))?;
            let bytes = table.get(number)?;
            Ok(bytes.map(|bytes| Bytes::copy_from_slice(bytes.value())))
        })
    }
}
