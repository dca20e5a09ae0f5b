//! The content of a file, and its hash.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

/// Size limit of a `.wasm` in bytes. Python modules have about 19 MB. A file above the limit would take minutes to
/// compile.
pub(crate) const MAX_WASM_BYTES: u64 = 256 << 20;
/// Size limit of a `.toml` in bytes.
pub(crate) const MAX_TOML_BYTES: u64 = 32 << 20;

/// Identifies the content of a file: equal hashes mean equal content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileHash {
    /// SHA-256 of the content.
    Content([u8; 32]),
    /// Larger than the limit, with its number of bytes.
    TooLarge(u64),
    /// It could not be read.
    Unreadable(io::ErrorKind),
}

/// A file of a scan.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) hash: FileHash,
    /// The number of bytes behind the hash.
    pub(crate) size: u64,
    /// The path to read it from, if it is not in memory.
    path: Option<PathBuf>,
    /// The content, if it is in memory. Empty unless the hash is [`FileHash::Content`].
    bytes: Option<Bytes>,
}

/// Why content that was listed cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentError {
    /// The file has changed or is gone.
    Changed,
    /// It cannot be read.
    Unreadable(io::ErrorKind),
}

impl Content {
    /// Content that is in memory.
    pub(crate) fn of(bytes: Bytes) -> Content {
        Content::new(FileHash::Content(Sha256::digest(&bytes).into()), bytes)
    }

    /// Content that is read on demand.
    pub(super) fn on_disk(hash: FileHash, size: u64, path: PathBuf) -> Content {
        match hash {
            FileHash::Content(_) => Content {
                hash,
                size,
                path: Some(path),
                bytes: None,
            },
            none => Content::new(none, Bytes::new()),
        }
    }

    fn new(hash: FileHash, bytes: Bytes) -> Content {
        Content {
            hash,
            size: bytes.len() as u64,
            path: None,
            bytes: Some(bytes),
        }
    }

    /// Content in memory, as by [`read`]; empty if it is not in memory.
    pub(crate) fn held(&self) -> Bytes {
        self.bytes.clone().unwrap_or_default()
    }

    /// Returns exactly the content that has the hash. Content that a listing did not keep is read from the file each
    /// time.
    ///
    /// # Errors
    ///
    /// [`ContentError`] if the file has other content by now.
    pub(crate) fn bytes(&self) -> Result<Bytes, ContentError> {
        let Some(path) = &self.path else {
            return Ok(self.held());
        };
        let now = read(path, MAX_WASM_BYTES).ok_or(ContentError::Changed)?;
        match now.hash {
            FileHash::Unreadable(kind) => Err(ContentError::Unreadable(kind)),
            hash if hash == self.hash => Ok(now.held()),
            _ => Err(ContentError::Changed),
        }
    }
}

/// Opens a regular file. Returns `None` for a folder. Anything else, such as a pipe, is an error and never blocks.
pub(super) fn open(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    let mut options = File::options();
    // Without this flag, opening a pipe blocks until another program writes to it. Regular files ignore the flag.
    options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Ok(None);
    }
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    Ok(Some((file, metadata)))
}

/// `None` if the file does not exist, or if it is a folder.
pub(crate) fn read(path: &Path, limit: u64) -> Option<Content> {
    let without = |hash| Some(Content::new(hash, Bytes::new()));
    let content = open(path).and_then(|opened| {
        let Some((file, metadata)) = opened else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(limit)).unwrap_or(0));
        file.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(Some((bytes, metadata.len())))
    });
    match content {
        Ok(None) => None,
        Ok(Some((bytes, length))) if bytes.len() as u64 > limit => without(FileHash::TooLarge(length.max(limit + 1))),
        Ok(Some((bytes, _))) => Some(Content::of(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => without(FileHash::Unreadable(error.kind())),
    }
}
