//! What a file contains, and how it is opened.

use std::fs::OpenOptions;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Database, ReadableDatabase, TableDefinition, WriteTransaction};

use super::unflushed::Unflushed;
use super::{DAMAGED, FileError};

/// The entry that identifies the format of a file.
const ABOUT: TableDefinition<&str, &str> = TableDefinition::new("hookhost");
const CONTENT: &str = "content";

/// The content of a file.
#[derive(Debug)]
pub struct Format {
    /// The name of the file in its folder.
    pub file: &'static str,
    /// What the file contains, with the version of the format, such as `outbox, version 2`.
    pub content: &'static str,
    /// Earlier versions that can be used as they are. Opening such a file marks it with `content`.
    pub earlier: &'static [&'static str],
    /// How the host starts if the file is moved away, such as `with an empty outbox`: for errors.
    pub fresh_start: &'static str,
    /// Limit of the page cache in memory, in bytes.
    pub cache_bytes: usize,
    /// Whether opening checks every page. That takes time for a large file.
    pub checks_every_page: bool,
    /// Creates the tables of a new file; called at each opening.
    pub create_tables: fn(&WriteTransaction) -> Result<(), redb::Error>,
}

/// When the changes of a commit are on the disk itself, and not only with the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// When the commit returns.
    Always,
    /// When the operating system writes them. A crash of the machine can make the file unusable.
    Never,
}

/// Why a database is not used.
enum Refused {
    /// It has another content or another version.
    Other(String),
    Error(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for Refused {
    fn from(error: E) -> Refused {
        Refused::Error(error.into())
    }
}

impl Format {
    /// Opens a file, or creates it.
    ///
    /// # Errors
    ///
    /// [`FileError`] if another process uses the file, if it may not be written, if it is damaged, or if it contains
    /// something else.
    pub(super) fn open(&self, path: &Path, flush: Flush) -> Result<Database, FileError> {
        let unusable = |reason: String| FileError::Unusable {
            file: path.to_owned(),
            reason,
            fresh_start: self.fresh_start,
        };
        // redb may panic on unexpected damage, despite its checks.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let database = self.database(path, flush)?;
            self.prepare(&database)?;
            Ok(database)
        }));
        match opened {
            Ok(Ok(database)) => Ok(database),
            Ok(Err(Refused::Other(reason))) => Err(unusable(reason)),
            Ok(Err(Refused::Error(redb::Error::DatabaseAlreadyOpen))) => {
                Err(FileError::InUse { file: path.to_owned() })
            }
            Ok(Err(Refused::Error(redb::Error::Io(error)))) if error.kind() == io::ErrorKind::InvalidData => {
                Err(unusable(format!("{DAMAGED}, or another program wrote it")))
            }
            Ok(Err(Refused::Error(redb::Error::Io(source))))
                if matches!(
                    source.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                let file = path.to_owned();
                Err(FileError::NotPermitted { file, source })
            }
            Ok(Err(Refused::Error(error))) => Err(unusable(error.to_string())),
            Err(_) => Err(unusable(DAMAGED.to_owned())),
        }
    }

    fn database(&self, path: &Path, flush: Flush) -> Result<Database, Refused> {
        let mut builder = Builder::new();
        builder
            .set_cache_size(self.cache_bytes)
            .set_check_integrity_on_open(self.checks_every_page);
        Ok(match flush {
            Flush::Always => builder.create(path)?,
            Flush::Never => {
                let mut options = OpenOptions::new();
                let file = options.read(true).write(true).create(true).truncate(false).open(path);
                let file = file.map_err(redb::Error::Io)?;
                builder.create_with_backend(Unflushed::new(file)?)?
            }
        })
    }

    /// Creates the tables, and marks a new file and one of an earlier version with the content. A file with something else
    /// stays as it is.
    fn prepare(&self, database: &Database) -> Result<(), Refused> {
        let read = database.begin_read()?;
        let is_new = read.list_tables()?.next().is_none();
        // A missing table, or one with other types, does not state a format either.
        let about = read.open_table(ABOUT).ok();
        let found = match &about {
            Some(about) => about.get(CONTENT)?.map(|content| content.value().to_owned()),
            None => None,
        };
        match found {
            Some(found) if found != self.content && !self.earlier.contains(&&*found) => {
                let text = format!("its format is {found:?}, not {:?}", self.content);
                return Err(Refused::Other(text));
            }
            None if !is_new => return Err(Refused::Other("its format is not stated".to_owned())),
            Some(_) | None => {}
        }
        drop((about, read));
        let transaction = database.begin_write()?;
        transaction.open_table(ABOUT)?.insert(CONTENT, self.content)?;
        (self.create_tables)(&transaction)?;
        transaction.commit()?;
        Ok(())
    }
}
