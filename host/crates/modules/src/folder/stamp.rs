//! Detects whether a file was changed, without reading it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a file must be unchanged before its stamp reliably reveals later changes. File clocks are coarse, and
/// writes through memory get their time late.
pub(super) const QUIET: Duration = Duration::from_secs(60);

/// Identifies the state of a file: the file itself, its size, and the times of its changes. Only the system sets the
/// last of these times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    file: (u64, u64),
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl FileStamp {
    /// The stamp of a file, after following links; `None` if the file does not exist.
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

    /// Whether the file was unchanged for long enough to make the stamp reliable.
    pub(super) fn is_quiet(&self, now: SystemTime) -> bool {
        let since = now
            .checked_sub(QUIET)
            .and_then(|since| since.duration_since(UNIX_EPOCH).ok());
        let since = since.and_then(|since| i64::try_from(since.as_secs()).ok());
        since.is_some_and(|since| self.written.0 < since && self.changed.0 < since)
    }
}
