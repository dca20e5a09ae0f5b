//! The modules folder: which files belong to which module, and what has changed since it was last looked at.
//!
//! `NAME.wasm` is a module and `NAME.toml` its settings; names are letters, digits, `_` and `-`. Hidden and temporary
//! files, folders and all other files play no part. [`scan`] reads the folder; [`Listing::changes`] compares two scans
//! by content and is pure, so that touching a file changes nothing. What is remembered of a file is its hash.
//!
//! Code may have tens of megabytes, and most of it is known already. So a scan hashes it without holding it; who wants the
//! content reads it once more, holds it for as long as it is needed, and gets it if it still has that hash
//! ([`Content::bytes`]). Code that has not been touched since it was hashed is not read again ([`Known`]).
//!
//! The default module `webhook` is always there: its `.wasm` takes the place of the one in the binary.

mod content;
mod listing;
mod name;

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use content::open;
pub(super) use content::{Content, Lost, MOST_TOML, MOST_WASM, Print, read};
pub(super) use listing::{Change, Files, Listing};
pub(super) use name::ModuleName;

/// So much of a file is hashed at a time: it stays in the processor's cache.
const CHUNK: usize = 256 << 10;
/// So long a file must have been left alone before it was hashed for its times to tell whether it was touched since: clocks
/// of files are coarse, and what is written through memory is dated late.
const QUIET: Duration = Duration::from_secs(60);

/// What a scan passes on to the next: code files that need not be read again as long as nobody touches them.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<PathBuf, (Stamp, Hashed)>);

/// What a code file is: its print, and how many bytes that is of.
type Hashed = (Print, u64);

/// Tells a file from what it was before: which it is, its size, and when it was changed. Only the system sets the last of
/// its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &Metadata) -> Stamp {
        Stamp {
            file: (file.dev(), file.ino()),
            size: file.len(),
            written: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }

    /// Whether it had been left alone for long enough to tell whether it was touched since.
    fn is_quiet(&self, now: SystemTime) -> bool {
        let since = now
            .checked_sub(QUIET)
            .and_then(|since| since.duration_since(UNIX_EPOCH).ok());
        let since = since.and_then(|since| i64::try_from(since.as_secs()).ok());
        since.is_some_and(|since| self.written.0 < since && self.changed.0 < since)
    }
}

/// One look at the folder.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) files: Listing<Content>,
    /// Files that end in `.wasm` but cannot be modules because of their names.
    pub(super) misnamed: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Wasm(ModuleName),
    Toml(ModuleName),
    Misnamed,
    Other,
}

impl Scan {
    /// The modules that have code in the folder.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&ModuleName, &Files<Content>)> {
        self.files.0.iter().filter(|(_, files)| files.wasm.is_some())
    }
}

/// Reads the folder, but for what is known. One that does not exist is an empty one.
///
/// # Errors
///
/// That of the system if the folder cannot be listed. A file that cannot be read is no error but a [`Print`].
pub(super) fn scan(dir: &Path, known: &mut Known) -> io::Result<Scan> {
    scan_at(dir, known, SystemTime::now())
}

/// The same at another time.
fn scan_at(dir: &Path, known: &mut Known, now: SystemTime) -> io::Result<Scan> {
    let before = std::mem::take(known);
    let mut scan = Scan::default();
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
                if let Some(content) = read(&path, MOST_TOML) {
                    scan.files.0.entry(name).or_default().toml = Some(content);
                }
            }
            Kind::Wasm(name) => {
                let Some((stamp, hashed)) = hashed(&path, &before) else {
                    continue;
                };
                let (print, size) = hashed;
                if let Some(stamp) = stamp.filter(|stamp| stamp.is_quiet(now)) {
                    known.0.insert(path.clone(), (stamp, hashed));
                }
                scan.files.0.entry(name).or_default().wasm = Some(Content::on_disk(print, size, path));
            }
        }
    }
    scan.misnamed.sort();
    Ok(scan)
}

fn kind(file_name: &str) -> Kind {
    // What editors and copying programs leave: `.x.wasm.swp`, `.x.wasm.Ab12`, `#x.toml#`, `x.toml~`; the last two do not
    // end as they would have to.
    if file_name.starts_with(['.', '#', '~']) {
        return Kind::Other;
    }
    match file_name.rsplit_once('.') {
        Some((name, "wasm")) => name.parse().map_or(Kind::Misnamed, Kind::Wasm),
        Some((name, "toml")) => name.parse().map_or(Kind::Other, Kind::Toml),
        _ => Kind::Other,
    }
}

/// What a code file is, and what tells whether it is touched from then on; none if there is no such file (any more), or if
/// it is a folder.
fn hashed(path: &Path, known: &Known) -> Option<(Option<Stamp>, Hashed)> {
    let hashed = open(path).and_then(|opened| {
        let Some((file, metadata)) = opened else {
            return Ok(None);
        };
        // From before it is read: what happens meanwhile is a touch.
        let stamp = Stamp::of(&metadata);
        if let Some((_, hashed)) = known.0.get(path).filter(|(before, _)| *before == stamp) {
            return Ok(Some((stamp, *hashed)));
        }
        let mut hash = Sha256::new();
        let read = io::copy(
            &mut BufReader::with_capacity(CHUNK, file.take(MOST_WASM + 1)),
            &mut hash,
        )?;
        let print = if read > MOST_WASM {
            Print::TooLarge(metadata.len().max(read))
        } else {
            Print::Content(hash.finalize().into())
        };
        Ok(Some((stamp, (print, read))))
    });
    match hashed {
        Ok(hashed) => hashed.map(|(stamp, hashed)| (Some(stamp), hashed)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some((None, (Print::Unreadable(error.kind()), 0))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("pipe.wasm");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
        let scan = scan(dir.path(), &mut Known::default()).unwrap();
        let print = scan.files.0[&name("pipe")].wasm.as_ref().unwrap().print;
        assert_eq!(print, Print::Unreadable(io::ErrorKind::InvalidInput));

        // Nor one that has taken the place of a file since it was looked at.
        let file = dir.path().join("file.wasm");
        std::fs::write(&file, "code").unwrap();
        let scan = super::scan(dir.path(), &mut Known::default()).unwrap();
        std::fs::rename(&fifo, &file).unwrap();
        let content = scan.files.0[&name("file")].wasm.as_ref().unwrap();
        assert_eq!(
            content.bytes().unwrap_err(),
            Lost::Unreadable(io::ErrorKind::InvalidInput)
        );
    }

    fn name(text: &str) -> ModuleName {
        text.parse().unwrap()
    }

    fn print(byte: u8) -> Print {
        Print::Content([byte; 32])
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
        let scan = |dir: &Path| scan(dir, &mut Known::default());
        assert!(scan(&dir.path().join("none")).unwrap().files.0.is_empty());
        std::fs::write(dir.path().join("a.wasm"), "code").unwrap();
        std::fs::write(dir.path().join("a.toml"), "").unwrap();
        std::fs::write(dir.path().join("b c.wasm"), "").unwrap();
        std::fs::write(dir.path().join("big.toml"), vec![b'#'; MOST_TOML as usize + 1]).unwrap();
        std::fs::create_dir(dir.path().join("dir.wasm")).unwrap();
        let first = scan(dir.path()).unwrap();
        assert_eq!(first.misnamed, ["b c.wasm"]);
        assert_eq!(first.files.0.keys().collect::<Vec<_>>(), [&name("a"), &name("big")]);
        assert_eq!(
            &first.files.0[&name("a")].wasm.as_ref().unwrap().bytes().unwrap()[..],
            b"code"
        );
        let big = first.files.0[&name("big")].toml.as_ref().unwrap();
        assert_eq!(big.print, Print::TooLarge(MOST_TOML + 1));

        // The same content written again is no change.
        std::fs::write(dir.path().join("a.wasm"), "code").unwrap();
        let second = scan(dir.path()).unwrap();
        assert_eq!(first.files.prints().changes(&second.files.prints()), []);
        assert!(scan(&dir.path().join("a.wasm")).is_err());
    }

    #[test]
    fn content_is_what_its_print_says_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wasm");
        let code = || {
            let scan = scan(dir.path(), &mut Known::default()).unwrap();
            scan.files.0[&name("a")].wasm.clone().unwrap()
        };
        std::fs::write(&path, "code").unwrap();
        let content = code();
        assert_eq!(content.print, Content::of(Bytes::from_static(b"code")).print);
        assert_eq!(content.bytes().unwrap(), "code");
        assert_eq!(content.held(), "", "tens of megabytes for each file");
        std::fs::write(&path, "coda").unwrap();
        assert_eq!(content.bytes(), Err(Lost::Changed));
        std::fs::write(&path, "code").unwrap();
        assert_eq!(content.bytes().unwrap(), "code");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(content.bytes(), Err(Lost::Changed));
        let large = File::create(&path).unwrap();
        large.set_len(MOST_WASM + 5).unwrap();
        assert_eq!(code().print, Print::TooLarge(MOST_WASM + 5));
        assert_eq!(code().bytes().unwrap(), "");
    }

    /// What is known is made another print here, so that it can be told from what was read.
    #[test]
    fn code_is_read_again_when_it_was_touched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wasm");
        std::fs::write(&path, "code").unwrap();
        let content = Content::of(Bytes::from_static(b"code")).print;
        let mut known = Known::default();
        let (now, later) = (SystemTime::now(), SystemTime::now() + QUIET + Duration::from_secs(5));
        let seen = |known: &mut Known, now| {
            scan_at(dir.path(), known, now)
                .unwrap()
                .files
                .prints()
                .of(&name("a"))
                .wasm
        };
        assert_eq!(seen(&mut known, now), Some(content));
        assert!(known.0.is_empty(), "it was written a moment ago");
        assert_eq!(seen(&mut known, later), Some(content));
        known.0.get_mut(&path).unwrap().1 = (print(7), 4);
        for _ in 0..2 {
            assert_eq!(seen(&mut known, later), Some(print(7)), "it is not read again");
        }
        // The same content, size and time of writing: the system dates it all the same.
        let before = std::fs::metadata(&path).unwrap();
        while Stamp::of(&std::fs::metadata(&path).unwrap()) == Stamp::of(&before) {
            std::fs::write(&path, "code").unwrap();
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(before.modified().unwrap())
                .unwrap();
        }
        assert_eq!(seen(&mut known, later), Some(content));
        known.0.get_mut(&path).unwrap().1 = (print(7), 4);
        let other = dir.path().join("b");
        std::fs::write(&other, "coda").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(
            seen(&mut known, later),
            Some(Content::of(Bytes::from_static(b"coda")).print)
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(seen(&mut known, later), None);
        assert!(known.0.is_empty(), "it is forgotten");
    }
}
