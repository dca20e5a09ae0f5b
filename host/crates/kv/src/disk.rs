//! The state of modules in a file.
//!
//! One file per data folder, `kv.redb`: a table per module from key to end and value, and one that says which modules
//! were removed and when. redb because it is one file, written in Rust, transactional, checks what it reads, and locks
//! the file against a second host. Opening checks every page: a file that is damaged, or somebody else's, is an error
//! and stays as it is.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};

/// Name of the file.
const FILE: &str = "kv.redb";

/// What the file holds, by name.
const ABOUT: TableDefinition<&str, &str> = TableDefinition::new("hookhost");
const CONTENT: (&str, &str) = ("content", "state of modules, version 1");

/// Removed modules and when that was seen, in milliseconds since 1970.
const REMOVED: TableDefinition<&str, u64> = TableDefinition::new("removed");

/// Before the name of a module, the name of its table.
const PREFIX: &str = "module/";

/// End in place of a time for values that have none.
const NEVER: u64 = u64::MAX;

/// Pages that are kept in memory. The state itself is; this is for the inner pages of the tables.
const CACHE_BYTES: usize = 4 << 20;

/// The data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The folder cannot be made.
    #[error("the data folder {} cannot be made", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The system refuses a thread.
    #[error("no thread can be started to write the state of modules")]
    Thread(#[source] std::io::Error),
    /// Another process has it.
    #[error("{} is in use by another hookhost; each needs a data folder of its own", file.display())]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// The file is there but cannot be used.
    #[error("{} cannot be used: {reason}; move it away to begin without the state of modules", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A value as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) value: Bytes,
    /// When it ends, in milliseconds since 1970.
    pub(crate) end: Option<u64>,
}

/// What has changed in the state of one module.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) module: Arc<str>,
    /// Nothing that was kept is worth keeping.
    pub(crate) reset: bool,
    /// Keys, and their values unless they are gone.
    pub(crate) keys: Vec<(Arc<str>, Option<Saved>)>,
}

/// The file, open and locked.
pub(crate) struct Disk {
    path: PathBuf,
    state: State,
}

enum State {
    Open(Database),
    /// After an error: it is opened anew by whoever needs it next.
    Failed,
    Closed,
}

type Table<'n> = TableDefinition<'n, &'static str, (u64, &'static [u8])>;

fn table_name(module: &str) -> String {
    format!("{PREFIX}{module}")
}

impl Disk {
    /// Opens the file in a folder; makes both if they are not there, closed to others.
    pub(crate) fn open(dir: &Path) -> Result<Disk, DataError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|source| DataError::Folder {
            dir: dir.to_owned(),
            source,
        })?;
        let path = dir.join(FILE);
        let state = State::Open(open(&path)?);
        Ok(Disk { path, state })
    }

    /// Lets go of the file, which another process may open from then on; everything else is an error afterwards.
    pub(crate) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// The open file; after an error it is opened again first.
    fn database(&mut self) -> Result<&Database, String> {
        if matches!(self.state, State::Failed) {
            self.state = State::Open(open(&self.path).map_err(|error| error.to_string())?);
        }
        match &self.state {
            State::Open(database) => Ok(database),
            State::Failed | State::Closed => Err(format!("{} is closed", self.path.display())),
        }
    }

    /// Does something with the file, which is opened anew the next time if it fails.
    fn with<T>(&mut self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, String> {
        let done = work(self.database()?);
        done.map_err(|error| {
            self.state = State::Failed;
            format!("{}: {error}", self.path.display())
        })
    }

    /// All that is kept for a module, which counts as removed no longer.
    pub(crate) fn load(&mut self, module: &str) -> Result<Vec<(String, Saved)>, String> {
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
                let saved = Saved {
                    value: Bytes::copy_from_slice(bytes),
                    end: (end != NEVER).then_some(end),
                };
                list.push((key.value().to_owned(), saved));
            }
            Ok(list)
        })
    }

    /// Writes changes, all or none of them.
    pub(crate) fn write(&mut self, changes: &[Changed]) -> Result<(), String> {
        self.with(|database| {
            let transaction = database.begin_write()?;
            for Changed { module, reset, keys } in changes {
                let name = table_name(module);
                if *reset {
                    transaction.delete_table(Table::new(&name))?;
                }
                let mut table = transaction.open_table(Table::new(&name))?;
                for (key, saved) in keys {
                    match saved {
                        Some(Saved { value, end }) => {
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

    /// Every module of which something is kept, and since when it has been removed.
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

    /// Says since when a module has been removed, or that it has not.
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

    /// Forgets modules.
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

fn open(path: &Path) -> Result<Database, DataError> {
    let unusable = |reason: String| DataError::Unusable {
        file: path.to_owned(),
        reason,
    };
    // What is damaged in a way that nobody has thought of makes the library panic, in spite of its checks.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .set_check_integrity_on_open(true)
            .create(path)?;
        about(&database)?;
        Ok::<_, redb::Error>(database)
    }));
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(redb::Error::DatabaseAlreadyOpen)) => Err(DataError::InUse { file: path.to_owned() }),
        Ok(Err(redb::Error::Corrupted(reason))) => {
            Err(unusable(format!("it is damaged or of another kind ({reason})")))
        }
        Ok(Err(redb::Error::Io(error))) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(unusable("it is damaged or of another kind".to_owned()))
        }
        Ok(Err(error)) => Err(unusable(error.to_string())),
        Err(_) => Err(unusable("it is damaged".to_owned())),
    }
}

/// Writes into a new file what it holds, and checks that of an old one.
fn about(database: &Database) -> Result<(), redb::Error> {
    let read = database.begin_read()?;
    if read.list_tables()?.next().is_some() {
        let other = |text: String| Err(redb::Error::Corrupted(text));
        let Ok(table) = read.open_table(ABOUT) else {
            return other("it does not say what it holds".to_owned());
        };
        return match table.get(CONTENT.0)? {
            Some(content) if content.value() == CONTENT.1 => Ok(()),
            Some(content) => other(format!("it holds {:?}, not {:?}", content.value(), CONTENT.1)),
            None => other("it does not say what it holds".to_owned()),
        };
    }
    drop(read);
    let transaction = database.begin_write()?;
    transaction.open_table(ABOUT)?.insert(CONTENT.0, CONTENT.1)?;
    transaction.open_table(REMOVED)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
impl Disk {
    /// As after an error, and the file to be opened next is this one.
    pub(crate) fn lose(&mut self, path: &Path) {
        self.state = State::Failed;
        self.path = path.to_owned();
    }
}
