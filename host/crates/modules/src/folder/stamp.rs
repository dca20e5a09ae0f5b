//! Tells a file from what it was before, without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a file must have been left alone before its stamp tells for certain whether it was touched since: clocks of files
/// are coarse, and what is written through memory is dated late.
pub(super) const QUIET: Duration = Duration::from_secs(60);

/// Tells a file from what it was before: which it is, its size, and when it was changed. Only the system sets the last of
/// its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    file: (u64, u64),
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    /// The stamp of a file, where links lead; none if there is no such file.
    pub fn of_path(path: &Path) -> Option<FileStamp> {
        std::fs::metadata(path).ok().map(|file| FileStamp::of(&file))
    }

    pub(super) fn of(file: &Metadata) -> FileStamp {
        FileStamp {
            file: (file.dev(), file.ino()),
            size: file.len(),
            written: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// Whether it had been left alone for long enough to tell whether it was touched since.
    pub(super) fn is_quiet(&self, now: SystemTime) -> bool {
        let since = now
            .checked_sub(QUIET)
            .and_then(|since| since.duration_since(UNIX_EPOCH).ok());
        let since = since.and_then(|since| i64::try_from(since.as_secs()).ok());
        since.is_some_and(|since| self.written.0 < since && self.changed.0 < since)
    }
}
