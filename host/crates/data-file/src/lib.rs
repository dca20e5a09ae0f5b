//! One file of a data folder: opens it, checks it, and opens it again after a failure.
//!
//! The file is a [redb] database. It has tables, transactions, and a lock against a second host. It also names what it
//! contains and the version of its [`Format`]; any other file is refused and not changed. This crate knows nothing about
//! the records in the tables. Each crate that keeps data has a format and a [`DataFile`] of its own.

mod format;
mod unflushed;

use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::Database;

pub use format::{Flush, Format};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The folder cannot be created.
    #[error("the data folder {} cannot be created; choose another one with --data or [data] dir", dir.display())]
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
    /// The user of the process may not write it.
    #[error(
        "this user may not write {}; give the data folder to the user with chown, or choose another one with --data or \
         [data] dir", file.display()
    )]
    NotPermitted {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file exists but cannot be used.
    #[error("{} cannot be used: {reason}; move it away to start {fresh_start}", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: String,
        /// How the host starts without the file.
        fresh_start: &'static str,
    },
    /// An operation has failed. The next one opens the file again.
    #[error("{}: {reason}", file.display())]
    Failed {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: String,
    },
}

/// Creates a data folder if it is missing, closed to other users.
///
/// # Errors
///
/// [`FileError::Folder`].
fn create_folder(dir: &Path) -> Result<(), FileError> {
    let created = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    created.map_err(|source| FileError::Folder {
        dir: dir.to_owned(),
        source,
    })
}

/// An open file. Threads share it; reads do not wait for a commit.
pub struct DataFile {
    path: PathBuf,
    format: &'static Format,
    flush: Flush,
    /// `None` after a failure.
    database: Mutex<Option<Arc<Database>>>,
}

impl DataFile {
    /// Opens the file in `dir`. Creates both if they are missing, closed to other users.
    ///
    /// # Errors
    ///
    /// [`FileError`] if the folder cannot be created or the file cannot be used.
    pub fn open(dir: &Path, format: &'static Format, flush: Flush) -> Result<DataFile, FileError> {
        create_folder(dir)?;
        let path = dir.join(format.file);
        let database = format.open(&path, flush)?;
        Ok(DataFile {
            path,
            format,
            flush,
            database: Mutex::new(Some(Arc::new(database))),
        })
    }

    /// Runs an operation. If it fails, the next one opens the file again.
    ///
    /// # Errors
    ///
    /// [`FileError::Failed`] if the operation fails, another one if the file cannot be opened again.
    pub fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, FileError> {
        let database = {
            let mut shared = self.lock();
            match &*shared {
                Some(database) => Arc::clone(database),
                None => Arc::clone(shared.insert(Arc::new(self.format.open(&self.path, self.flush)?))),
            }
        };
        caught(|| work(&database)).map_err(|reason| {
            self.lock().take();
            self.failed(reason)
        })
    }

    /// Moves the records together and returns the free space of the file to the file system. All other operations wait
    /// meanwhile. Returns false without a change if one of them is running. Takes as long as writing the records again.
    ///
    /// # Errors
    ///
    /// [`FileError::Failed`]; no record is lost.
    pub fn compact(&self) -> Result<bool, FileError> {
        let mut shared = self.lock();
        let Some(database) = shared.as_mut().and_then(Arc::get_mut) else {
            return Ok(false);
        };
        match caught(|| database.compact()) {
            Ok(_) => Ok(true),
            Err(reason) => {
                shared.take();
                Err(self.failed(reason))
            }
        }
    }

    /// Returns the size of the file in bytes; 0 if the system does not tell.
    pub fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }

    fn failed(&self, reason: String) -> FileError {
        FileError::Failed {
            file: self.path.clone(),
            reason,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Database>>> {
        // The value is replaced as a whole, so a panic leaves a valid one.
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs an operation of redb, which may panic on unexpected damage despite its checks. Returns what went wrong.
fn caught<T, E: Into<redb::Error>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.into().to_string()),
        Err(_) => Err(DAMAGED.to_owned()),
    }
}

const DAMAGED: &str = "it is damaged";

#[cfg(test)]
mod tests;
