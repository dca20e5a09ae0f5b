//! The modules folder: the files of each module, and the changes since the last listing.
//!
//! `NAME.wasm` is a module and `NAME.toml` its settings; names are letters, digits, `_` and `-`. Hidden and temporary
//! files, folders and all other files are ignored. A [`FolderListing`] has the hash of each file, so touching a file is
//! not a change.
//!
//! Code may have tens of megabytes, and most of it is already loaded. A listing therefore hashes code but does not keep
//! it. The loader reads the file again and accepts it only with the same hash ([`Content::bytes`]). Code that has not
//! been touched since it was hashed is not read again ([`KnownFiles`]).
//!
//! The built-in module `webhook` always exists. A `webhook.wasm` in the folder replaces the code in the binary.

mod content;
mod listing;
mod name;
mod stamp;

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::load::LoadError;
use content::open;
pub(super) use content::{Content, FileHash, MAX_TOML_BYTES, MAX_WASM_BYTES, read};
pub(super) use listing::{Files, Listing};
pub(super) use name::ModuleName;
pub use stamp::FileStamp;

/// Files are hashed in blocks of this size, which stay in the processor's cache.
const CHUNK: usize = 256 << 10;

/// The state that one listing passes to the next: code files that need no second read as long as they are not touched.
#[derive(Debug, Default)]
pub(super) struct KnownFiles(BTreeMap<PathBuf, (FileStamp, Hashed)>);

/// The identity of a code file: its hash, and the number of hashed bytes.
type Hashed = (FileHash, u64);

/// The modules folder, and the known state of its files.
#[derive(Debug)]
pub struct ModulesFolder {
    dir: Option<PathBuf>,
    known: KnownFiles,
}

impl ModulesFolder {
    /// Size limit of the code of a module in bytes.
    pub const MAX_WASM_BYTES: u64 = MAX_WASM_BYTES;

    /// Whether a text is a valid module name: letters, digits, `_` and `-`.
    pub fn is_name(text: &str) -> bool {
        text.parse::<ModuleName>().is_ok()
    }

    /// The folder, which may appear later. With `None` there is only the built-in module.
    pub fn new(dir: Option<PathBuf>) -> ModulesFolder {
        ModulesFolder {
            dir,
            known: KnownFiles::default(),
        }
    }

    /// The path of the folder.
    pub fn dir(&self) -> Option<&PathBuf> {
        self.dir.as_ref()
    }

    /// Lists the modules in the folder, and reads files that have been touched since the last listing.
    ///
    /// # Errors
    ///
    /// If the folder exists but cannot be listed. An unreadable file is not an error.
    pub fn list(&mut self) -> Result<FolderListing, LoadError> {
        let Some(dir) = &self.dir else {
            return Ok(FolderListing::default());
        };
        scan(dir, &mut self.known).map_err(|source| LoadError::Folder {
            folder: dir.display().to_string(),
            source,
        })
    }

    /// Makes the next listing read all files, touched or not.
    pub fn forget(&mut self) {
        self.known = KnownFiles::default();
    }

    /// Whether a file name is hidden or temporary, so that the file is ignored. Editors and copying programs write such
    /// files first: `.x.wasm.swp`, `.x.wasm.Ab12`, `#x.toml#`.
    pub fn is_temporary(file_name: &str) -> bool {
        file_name.starts_with(['.', '#', '~'])
    }
}

/// The content of the modules folder.
#[derive(Debug, Clone, Default)]
pub struct FolderListing {
    pub(super) files: Listing<Content>,
    /// Files that end in `.wasm` but have an invalid module name.
    pub(super) misnamed: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Wasm(ModuleName),
    Toml(ModuleName),
    Misnamed,
    Other,
}

/// Reads the folder, except for the known files. A folder that does not exist counts as empty.
///
/// # Errors
///
/// The error of the system if the folder cannot be listed. An unreadable file is not an error but a [`FileHash`].
pub(super) fn scan(dir: &Path, known: &mut KnownFiles) -> io::Result<FolderListing> {
    scan_at(dir, known, SystemTime::now())
}

/// The same at a given time.
fn scan_at(dir: &Path, known: &mut KnownFiles, now: SystemTime) -> io::Result<FolderListing> {
    let before = std::mem::take(known);
    let mut scan = FolderListing::default();
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(scan),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let Some(file_name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let kind = kind(file_name);
        match kind {
            Kind::Other => {}
            Kind::Misnamed => scan.misnamed.push(file_name.to_owned()),
            Kind::Toml(name) => {
                if let Some(content) = read(&path, MAX_TOML_BYTES) {
                    scan.files.0.entry(name).or_default().toml = Some(content);
                }
            }
            Kind::Wasm(name) => {
                let Some((stamp, hashed)) = hashed(&path, &before) else {
                    continue;
                };
                let (hash, size) = hashed;
                if let Some(stamp) = stamp.filter(|stamp| stamp.is_quiet(now)) {
                    known.0.insert(path.clone(), (stamp, hashed));
                }
                scan.files.0.entry(name).or_default().wasm = Some(Content::on_disk(hash, size, path));
            }
        }
    }
    scan.misnamed.sort();
    Ok(scan)
}

fn kind(file_name: &str) -> Kind {
    // Other extensions, such as `x.toml~`, are never modules.
    if ModulesFolder::is_temporary(file_name) {
        return Kind::Other;
    }
    match file_name.rsplit_once('.') {
        Some((name, "wasm")) => name.parse().map_or(Kind::Misnamed, Kind::Wasm),
        Some((name, "toml")) => name.parse().map_or(Kind::Other, Kind::Toml),
        _ => Kind::Other,
    }
}

/// The identity of a code file, and the stamp that later reveals a change. `None` if the file does not exist, or if it
/// is a folder.
fn hashed(path: &Path, known: &KnownFiles) -> Option<(Option<FileStamp>, Hashed)> {
    let hashed = open(path).and_then(|opened| {
        let Some((file, metadata)) = opened else {
            return Ok(None);
        };
        // The stamp is from before the read, so a change during the read is seen as a touch.
        let stamp = FileStamp::of(&metadata);
        if let Some((_, hashed)) = known.0.get(path).filter(|(before, _)| *before == stamp) {
            return Ok(Some((stamp, *hashed)));
        }
        let mut hash = Sha256::new();
        let read = io::copy(
            &mut BufReader::with_capacity(CHUNK, file.take(MAX_WASM_BYTES + 1)),
            &mut hash,
        )?;
        let hash = if read > MAX_WASM_BYTES {
            FileHash::TooLarge(metadata.len().max(read))
        } else {
            FileHash::Content(hash.finalize().into())
        };
        Ok(Some((stamp, (hash, read))))
    });
    match hashed {
        Ok(hashed) => hashed.map(|(stamp, hashed)| (Some(stamp), hashed)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some((None, (FileHash::Unreadable(error.kind()), 0))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use std::time::Duration;

    use bytes::Bytes;

    use super::content::ContentError;
    use super::*;

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("pipe.wasm");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
        let scan = scan(dir.path(), &mut KnownFiles::default()).unwrap();
        let hash = scan.files.0[&name("pipe")].wasm.as_ref().unwrap().hash;
        assert_eq!(hash, FileHash::Unreadable(io::ErrorKind::InvalidInput));

        // Nor a file that has replaced another one since the last listing.
        let file = dir.path().join("file.wasm");
        std::fs::write(&file, "code").unwrap();
        let scan = super::scan(dir.path(), &mut KnownFiles::default()).unwrap();
        std::fs::rename(&fifo, &file).unwrap();
        let content = scan.files.0[&name("file")].wasm.as_ref().unwrap();
        assert_eq!(
            content.bytes().unwrap_err(),
            ContentError::Unreadable(io::ErrorKind::InvalidInput)
        );
    }

    fn name(text: &str) -> ModuleName {
        text.parse().unwrap()
    }

    fn hash(byte: u8) -> FileHash {
        FileHash::Content([byte; 32])
    }

    #[test]
    fn files_are_told_by_their_names() {
        for (file_name, expected) in [
            ("a.wasm", Kind::Wasm(name("a"))),
            ("A_b-9.toml", Kind::Toml(name("A_b-9"))),
            ("webhook.wasm", Kind::Wasm(name("webhook"))),
            (".a.wasm", Kind::Other),
            (".wasm", Kind::Other),
            ("..data", Kind::Other),
            (".a.wasm.swp", Kind::Other),
            ("a.wasm.tmp", Kind::Other),
            ("a.wasm~", Kind::Other),
            ("#a.toml#", Kind::Other),
            ("~a.wasm", Kind::Other),
            ("a b.wasm", Kind::Misnamed),
            ("a.b.wasm", Kind::Misnamed),
            ("ä.wasm", Kind::Misnamed),
            ("a b.toml", Kind::Other),
            ("README.md", Kind::Other),
            ("wasm", Kind::Other),
        ] {
            assert_eq!(kind(file_name), expected, "{file_name}");
        }
    }

    #[test]
    fn a_folder_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let scan = |dir: &Path| scan(dir, &mut KnownFiles::default());
        assert!(scan(&dir.path().join("none")).unwrap().files.0.is_empty());
        std::fs::write(dir.path().join("a.wasm"), "code").unwrap();
        std::fs::write(dir.path().join("a.toml"), "").unwrap();
        std::fs::write(dir.path().join("b c.wasm"), "").unwrap();
        std::fs::write(dir.path().join("big.toml"), vec![b'#'; MAX_TOML_BYTES as usize + 1]).unwrap();
        std::fs::create_dir(dir.path().join("dir.wasm")).unwrap();
        let first = scan(dir.path()).unwrap();
        assert_eq!(first.misnamed, ["b c.wasm"]);
        assert_eq!(first.files.0.keys().collect::<Vec<_>>(), [&name("a"), &name("big")]);
        assert_eq!(
            &first.files.0[&name("a")].wasm.as_ref().unwrap().bytes().unwrap()[..],
            b"code"
        );
        let big = first.files.0[&name("big")].toml.as_ref().unwrap();
        assert_eq!(big.hash, FileHash::TooLarge(MAX_TOML_BYTES + 1));

        // Writing the same content again is not a change.
        std::fs::write(dir.path().join("a.wasm"), "code").unwrap();
        let second = scan(dir.path()).unwrap();
        assert_eq!(first.files.hashes(), second.files.hashes());
        assert!(scan(&dir.path().join("a.wasm")).is_err());
    }

    #[test]
    fn content_is_what_its_print_says_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wasm");
        let code = || {
            let scan = scan(dir.path(), &mut KnownFiles::default()).unwrap();
            scan.files.0[&name("a")].wasm.clone().unwrap()
        };
        std::fs::write(&path, "code").unwrap();
        let content = code();
        assert_eq!(content.hash, Content::of(Bytes::from_static(b"code")).hash);
        assert_eq!(content.bytes().unwrap(), "code");
        assert_eq!(content.held(), "", "tens of megabytes for each file");
        std::fs::write(&path, "coda").unwrap();
        assert_eq!(content.bytes(), Err(ContentError::Changed));
        std::fs::write(&path, "code").unwrap();
        assert_eq!(content.bytes().unwrap(), "code");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(content.bytes(), Err(ContentError::Changed));
        let large = File::create(&path).unwrap();
        large.set_len(MAX_WASM_BYTES + 5).unwrap();
        assert_eq!(code().hash, FileHash::TooLarge(MAX_WASM_BYTES + 5));
        assert_eq!(code().bytes().unwrap(), "");
    }

    /// This replaces the known hash, so that a test can tell it from one that was read.
    #[test]
    fn code_is_read_again_when_it_was_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wasm");
        std::fs::write(&path, "code").unwrap();
        let content = Content::of(Bytes::from_static(b"code")).hash;
        let mut known = KnownFiles::default();
        let (now, later) = (
            SystemTime::now(),
            SystemTime::now() + stamp::QUIET + Duration::from_secs(5),
        );
        let seen = |known: &mut KnownFiles, now| {
            scan_at(dir.path(), known, now)
                .unwrap()
                .files
                .hashes()
                .of(&name("a"))
                .wasm
        };
        assert_eq!(seen(&mut known, now), Some(content));
        assert!(known.0.is_empty(), "it was written a moment ago");
        assert_eq!(seen(&mut known, later), Some(content));
        known.0.get_mut(&path).unwrap().1 = (hash(7), 4);
        for _ in 0..2 {
            assert_eq!(seen(&mut known, later), Some(hash(7)), "it is not read again");
        }
        // The same content, size and modification time: the system still sets the time of the change.
        let before = std::fs::metadata(&path).unwrap();
        while FileStamp::of(&std::fs::metadata(&path).unwrap()) == FileStamp::of(&before) {
            std::fs::write(&path, "code").unwrap();
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(before.modified().unwrap())
                .unwrap();
        }
        assert_eq!(seen(&mut known, later), Some(content));
        known.0.get_mut(&path).unwrap().1 = (hash(7), 4);
        let other = dir.path().join("b");
        std::fs::write(&other, "coda").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(
            seen(&mut known, later),
            Some(Content::of(Bytes::from_static(b"coda")).hash)
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(seen(&mut known, later), None);
        assert!(known.0.is_empty(), "it is forgotten");
    }
}
