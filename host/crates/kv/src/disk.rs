//! Stores the state of modules in a file.
//!
//! Each data folder contains one file, `kv.redb`. It has one table per module, from key to expiry time and value.
//! Another table lists the removed modules with the time of removal. hookhost uses redb because it needs only one file
//! and is written in Rust. It is transactional, verifies what it reads, and locks the file against a second host.
//! Opening checks every page. A damaged or foreign file is an error and stays unchanged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use hookhost_data_file::{DataFile, FileError, Flush, Format};

/// The state itself is in memory; the page cache is for the inner pages of the tables.
static FORMAT: Format = Format {
    file: "kv.redb",
    content: "state of modules, version 1",
    earlier: &[],
    fresh_start: "without the state of modules",
    cache_bytes: 4 << 20,
    checks_every_page: true,
    create_tables: |transaction| {
        transaction.open_table(REMOVED)?;
        Ok(())
    },
};

/// Removed modules with the time when the removal was noticed, in milliseconds since 1970.
const REMOVED: TableDefinition<&str, u64> = TableDefinition::new("removed");

/// The prefix of a table name, before the name of the module.
const PREFIX: &str = "module/";

/// The expiry time of values that never expire.
const NEVER: u64 = u64::MAX;

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system refuses to create a thread.
    #[error("cannot start the thread that writes the state of modules")]
    Thread(#[source] std::io::Error),
}

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredValue {
    pub(crate) value: Bytes,
    /// When the value expires, in milliseconds since 1970.
    pub(crate) end: Option<u64>,
}

/// The changes to the state of one module.
#[derive(Debug, Default)]
pub(crate) struct StoreChanges {
    pub(crate) module: Arc<str>,
    /// Whether to delete the stored state before applying `keys`.
    pub(crate) reset: bool,
    /// Changed keys with their new values; `None` removes the key.
    pub(crate) keys: Vec<(Arc<str>, Option<StoredValue>)>,
}

/// The file, open and locked; `None` after [`Disk::close`].
pub(crate) struct Disk(Option<DataFile>);

type Table<'n> = TableDefinition<'n, &'static str, (u64, &'static [u8])>;

fn table_name(module: &str) -> String {
    format!("{PREFIX}{module}")
}

impl Disk {
    /// Opens the file in a folder. Creates both if they are missing, closed to other users.
    ///
    /// # Errors
    ///
    /// [`DataError`] if the folder cannot be created or the file cannot be used.
    pub(crate) fn open(dir: &Path) -> Result<Disk, DataError> {
        Ok(Disk(Some(DataFile::open(dir, &FORMAT, Flush::Always)?)))
    }

    /// Closes the file, so that another process may open it. Every later operation returns an error.
    pub(crate) fn close(&mut self) {
        self.0 = None;
    }

    /// Runs an operation on the file. If it fails, the next operation opens the file again.
    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, String> {
        match &self.0 {
            Some(file) => file.with(work).map_err(|error| error.to_string()),
            None => Err(format!("{} is closed", FORMAT.file)),
        }
    }

    /// Returns the stored state of a module, and marks the module as present.
    pub(crate) fn load(&mut self, module: &str) -> Result<Vec<(String, StoredValue)>, String> {
        if self.modules()?.get(module).is_some_and(Option::is_some) {
            self.mark(module, None)?;
        }
        let name = table_name(module);
        self.with(|database| {
            let mut list = Vec::new();
            let transaction = database.begin_read()?;
            let table = match transaction.open_table(Table::new(&name)) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(list),
                table => table?,
            };
            for entry in table.iter()? {
                let (key, value) = entry?;
                let (end, bytes) = value.value();
                let saved = StoredValue {
                    value: Bytes::copy_from_slice(bytes),
                    end: (end != NEVER).then_some(end),
                };
                list.push((key.value().to_owned(), saved));
            }
            Ok(list)
        })
    }

    /// Writes all changes in one transaction, or none of them.
    pub(crate) fn write(&mut self, changes: &[StoreChanges]) -> Result<(), String> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            for StoreChanges { module, reset, keys } in changes {
                let name = table_name(module);
                if *reset {
                    transaction.delete_table(Table::new(&name))?;
                }
                let mut table = transaction.open_table(Table::new(&name))?;
                for (key, saved) in keys {
                    match saved {
                        Some(StoredValue { value, end }) => {
                            table.insert(&**key, (end.unwrap_or(NEVER), &**value))?;
                        }
                        None => drop(table.remove(&**key)?),
                    }
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }

    /// Returns every module with stored state, and the time of its removal if it was removed.
    pub(crate) fn modules(&mut self) -> Result<BTreeMap<String, Option<u64>>, String> {
        self.with(|database| {
            let transaction = database.begin_read()?;
            let removed = transaction.open_table(REMOVED)?;
            let mut modules = BTreeMap::new();
            for table in transaction.list_tables()? {
                if let Some(module) = redb::TableHandle::name(&table).strip_prefix(PREFIX) {
                    let since = removed.get(module)?.map(|since| since.value());
                    modules.insert(module.to_owned(), since);
                }
            }
            Ok(modules)
        })
    }

    /// Marks a module as removed since a time, or as present.
    pub(crate) fn mark(&mut self, module: &str, removed: Option<u64>) -> Result<(), String> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            {
                let mut table = transaction.open_table(REMOVED)?;
                match removed {
                    Some(since) => drop(table.insert(module, since)?),
                    None => drop(table.remove(module)?),
                }
            }
            transaction.commit()?;
            Ok(())
        })
    }

    /// Deletes the state of modules.
    pub(crate) fn forget(&mut self, modules: &[String]) -> Result<(), String> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            for module in modules {
                transaction.delete_table(Table::new(&table_name(module)))?;
                transaction.open_table(REMOVED)?.remove(module.as_str())?;
            }
            transaction.commit()?;
            Ok(())
        })
    }
}

#[cfg(test)]
impl Disk {
    /// Simulates an error of the disk; the next operation opens the file again.
    pub(crate) fn fail(&self) {
        let failed = self.with(|_| Err::<(), _>(redb::Error::Corrupted("by a test".to_owned())));
        assert!(failed.is_err());
    }
}
