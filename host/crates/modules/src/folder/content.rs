//! What is in a file, and what is remembered of it.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

/// Bytes of the largest `.wasm` that is read. Python modules have some 19 MB; more than this would take minutes to compile.
pub(crate) const MAX_WASM_BYTES: u64 = 256 << 20;
/// Bytes of the largest `.toml` that is read.
pub(crate) const MAX_TOML_BYTES: u64 = 1 << 20;

/// Tells what is in a file: equal hashes mean equal content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileHash {
    /// SHA-256 of the content.
    Content([u8; 32]),
    /// Larger than the limit; its number of bytes.
    TooLarge(u64),
    /// It could not be read.
    Unreadable(io::ErrorKind),
}

/// A file of a scan.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) hash: FileHash,
    /// Bytes of what the hash stands for.
    pub(crate) size: u64,
    /// Where it can be read, if it is not held.
    path: Option<PathBuf>,
    /// The content, if it is held; empty unless the hash is [`FileHash::Content`].
    bytes: Option<Bytes>,
}

/// Why content cannot be had that was there a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The file is another one by now, or gone.
    Changed,
    /// It cannot be read.
    Unreadable(io::ErrorKind),
}

impl Content {
    /// Content that was read.
    pub(crate) fn of(bytes: Bytes) -> Content {
        Content::new(FileHash::Content(Sha256::digest(&bytes).into()), bytes)
    }

    /// Content that is read when it is needed.
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

    /// Content that was read, as by [`read`]; empty if it was not.
    pub(crate) fn held(&self) -> Bytes {
        self.bytes.clone().unwrap_or_default()
    }

    /// Exactly the content that has the hash. Content that a listing did not hold is read from the file each time.
    ///
    /// # Errors
    ///
    /// [`Lost`] if the file has another content by now.
    pub(crate) fn bytes(&self) -> Result<Bytes, Lost> {
        let Some(path) = &self.path else {
            return Ok(self.held());
        };
        let now = read(path, MAX_WASM_BYTES).ok_or(Lost::Changed)?;
        match now.hash {
            FileHash::Unreadable(kind) => Err(Lost::Unreadable(kind)),
            hash if hash == self.hash => Ok(now.held()),
            _ => Err(Lost::Changed),
        }
    }
}

/// Opens a regular file; none if it is a folder. What else there is, such as a pipe, is an error and is not waited for.
pub(super) fn open(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    let mut options = File::options();
    // Opening a pipe would otherwise wait until another program writes to it. Regular files do not care.
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

/// None if there is no such file (any more), or if it is a folder.
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
