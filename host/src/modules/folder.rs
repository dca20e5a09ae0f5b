//! The modules folder: which files belong to which module, and what has changed since it was last looked at.
//!
//! `NAME.wasm` is a module and `NAME.toml` its settings; names are letters, digits, `_` and `-`. Hidden and temporary
//! files, folders and all other files play no part. [`scan`] reads the folder; [`Listing::changes`] compares two scans
//! by content and is pure, so that touching a file changes nothing. What is remembered of a file is its hash.
//!
//! Code may have tens of megabytes, and most of it is known already. So a scan hashes it without holding it; who wants the
//! content reads it once more, holds it for as long as it is needed, and gets it if it still has that hash
//! ([`Content::bytes`]). Code that has not been touched
//! since it was hashed is not read again ([`Known`]).
//!
//! The default module `webhook` is always there: its `.wasm` takes the place of the one in the binary.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

/// Largest `.wasm` that is read. Python modules have some 19 MB; more than this would take minutes to compile.
pub(super) const MOST_WASM: u64 = 256 << 20;
/// Largest `.toml` that is read.
pub(super) const MOST_TOML: u64 = 1 << 20;

/// So much of a file is hashed at a time: it stays in the processor's cache.
const CHUNK: usize = 256 << 10;
/// So long a file must have been left alone before it was hashed for its times to tell whether it was touched since: clocks
/// of files are coarse, and what is written through memory is dated late.
const QUIET: Duration = Duration::from_secs(60);

/// Name of a module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ModuleName(Arc<str>);

/// A text that cannot be a module's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a module's name consists of letters, digits, '_' and '-'")]
pub(super) struct BadName;

impl FromStr for ModuleName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<ModuleName, BadName> {
        let good = !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if good {
            Ok(ModuleName(text.into()))
        } else {
            Err(BadName)
        }
    }
}

impl ModuleName {
    /// The default module.
    pub(super) const WEBHOOK: &str = "webhook";

    pub(super) fn webhook() -> ModuleName {
        ModuleName(Self::WEBHOOK.into())
    }

    pub(super) fn is_webhook(&self) -> bool {
        &*self.0 == Self::WEBHOOK
    }

    pub(super) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl Borrow<str> for ModuleName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is remembered of a file: equal prints mean equal content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Print {
    /// SHA-256 of the content.
    Content([u8; 32]),
    /// Larger than it may be; so many bytes.
    TooLarge(u64),
    /// It could not be read.
    Unreadable(io::ErrorKind),
}

/// A file of a scan.
#[derive(Debug, Clone)]
pub(super) struct Content {
    pub(super) print: Print,
    /// Bytes of what the print stands for.
    pub(super) size: u64,
    /// Where it can be read, if it is not held.
    path: Option<PathBuf>,
    /// The content, if it is held; empty unless the print is [`Print::Content`].
    bytes: Option<Bytes>,
}

/// Why content cannot be had that was there a moment ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// The file is another one by now, or gone.
    Changed,
    /// It cannot be read.
    Unreadable(io::ErrorKind),
}

impl Content {
    /// Content that was read.
    pub(super) fn of(bytes: Bytes) -> Content {
        Content::new(Print::Content(Sha256::digest(&bytes).into()), bytes)
    }

    fn new(print: Print, bytes: Bytes) -> Content {
        Content {
            print,
            size: bytes.len() as u64,
            path: None,
            bytes: Some(bytes),
        }
    }

    /// Content that was read, as by [`read`]; empty if it was not.
    pub(super) fn held(&self) -> Bytes {
        self.bytes.clone().unwrap_or_default()
    }

    /// Exactly what the print says. What a scan did not hold is read from the file each time; what the file is by now is no
    /// concern of whoever has seen the print, so another content is none.
    pub(super) fn bytes(&self) -> Result<Bytes, Lost> {
        let Some(path) = &self.path else {
            return Ok(self.held());
        };
        let now = read(path, MOST_WASM).ok_or(Lost::Changed)?;
        match now.print {
            Print::Unreadable(kind) => Err(Lost::Unreadable(kind)),
            print if print == self.print => Ok(now.held()),
            _ => Err(Lost::Changed),
        }
    }
}

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

/// The files of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files<T> {
    pub(super) wasm: Option<T>,
    pub(super) toml: Option<T>,
}

/// The files of all modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listing<T>(pub(super) BTreeMap<ModuleName, Files<T>>);

/// One look at the folder.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) files: Listing<Content>,
    /// Files that end in `.wasm` but cannot be modules because of their names.
    pub(super) misnamed: Vec<String>,
}

/// What has become of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It was not there before.
    New,
    /// It was there, and its code, its settings or both are different.
    Replaced,
    /// It is no longer there.
    Removed,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Wasm(ModuleName),
    Toml(ModuleName),
    Misnamed,
    Other,
}

impl<T> Default for Files<T> {
    fn default() -> Self {
        Files { wasm: None, toml: None }
    }
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Listing(BTreeMap::new())
    }
}

impl Listing<Content> {
    /// The listing without the bytes.
    pub(super) fn prints(&self) -> Listing<Print> {
        let prints = |(name, files): (&ModuleName, &Files<Content>)| (name.clone(), files.prints());
        Listing(self.0.iter().map(prints).collect())
    }
}

impl Listing<Print> {
    /// What has changed from this listing to a later one, by name.
    pub(super) fn changes(&self, later: &Listing<Print>) -> Vec<(ModuleName, Change)> {
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(later.0.keys()).collect();
        let change = |name: &&ModuleName| {
            let (before, now) = (self.of(name), later.of(name));
            let there = |files: &Files<Print>| name.is_webhook() || files.wasm.is_some();
            let change = match (there(&before), there(&now)) {
                (false, false) => return None,
                (false, true) => Change::New,
                (true, false) => Change::Removed,
                (true, true) if before == now => return None,
                (true, true) => Change::Replaced,
            };
            Some(((*name).clone(), change))
        };
        names.iter().filter_map(change).collect()
    }

    /// Settings of modules that are not there.
    pub(super) fn orphans(&self) -> impl Iterator<Item = &ModuleName> {
        let orphan = |(name, files): &(&ModuleName, &Files<Print>)| files.wasm.is_none() && !name.is_webhook();
        self.0.iter().filter(orphan).map(|(name, _)| name)
    }
}

impl<T: Clone> Listing<T> {
    /// The files of one module; the default module may have none.
    pub(super) fn of(&self, name: &ModuleName) -> Files<T> {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

impl Files<Content> {
    /// What is remembered of them.
    pub(super) fn prints(&self) -> Files<Print> {
        let print = |content: &Option<Content>| content.as_ref().map(|content| content.print);
        Files {
            wasm: print(&self.wasm),
            toml: print(&self.toml),
        }
    }
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
                scan.files.0.entry(name).or_default().wasm = Some(match print {
                    Print::Content(_) => Content {
                        print,
                        size,
                        path: Some(path),
                        bytes: None,
                    },
                    none => Content::new(none, Bytes::new()),
                });
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

/// Opens a regular file; none if it is a folder. What else there is, such as a pipe, is an error and is not waited for.
fn open(path: &Path) -> io::Result<Option<(File, Metadata)>> {
    let mut options = File::options();
    // A pipe would otherwise be open when somebody writes to it, which may be never. Regular files do not care.
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

/// None if there is no such file (any more), or if it is a folder.
pub(super) fn read(path: &Path, limit: u64) -> Option<Content> {
    let without = |print| Some(Content::new(print, Bytes::new()));
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
        Ok(Some((bytes, length))) if bytes.len() as u64 > limit => without(Print::TooLarge(length.max(limit + 1))),
        Ok(Some((bytes, _))) => Some(Content::of(bytes.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => without(Print::Unreadable(error.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("pipe.wasm");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
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

    fn listing(files: &[(&str, Option<u8>, Option<u8>)]) -> Listing<Print> {
        let files = files.iter().map(|(module, wasm, toml)| {
            (
                name(module),
                Files {
                    wasm: wasm.map(print),
                    toml: toml.map(print),
                },
            )
        });
        Listing(files.collect())
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
    fn changes_are_found_by_content() {
        for (before, now, expected) in [
            (listing(&[]), listing(&[]), vec![]),
            (listing(&[]), listing(&[("a", Some(1), None)]), vec![("a", Change::New)]),
            (
                listing(&[("a", Some(1), None)]),
                listing(&[("a", Some(1), None)]),
                vec![],
            ),
            (
                listing(&[("a", Some(1), None)]),
                listing(&[("a", Some(2), None)]),
                vec![("a", Change::Replaced)],
            ),
            (
                listing(&[("a", Some(1), None)]),
                listing(&[("a", Some(1), Some(1))]),
                vec![("a", Change::Replaced)],
            ),
            (
                listing(&[("a", Some(1), Some(1))]),
                listing(&[("a", Some(1), None)]),
                vec![("a", Change::Replaced)],
            ),
            (
                listing(&[("a", Some(1), Some(1))]),
                listing(&[("a", None, Some(1))]),
                vec![("a", Change::Removed)],
            ),
            (listing(&[]), listing(&[("a", None, Some(1))]), vec![]),
            (
                listing(&[("a", None, Some(1))]),
                listing(&[("a", Some(1), Some(1))]),
                vec![("a", Change::New)],
            ),
            // The default module is there without files.
            (
                listing(&[]),
                listing(&[("webhook", Some(1), None)]),
                vec![("webhook", Change::Replaced)],
            ),
            (
                listing(&[("webhook", Some(1), None)]),
                listing(&[]),
                vec![("webhook", Change::Replaced)],
            ),
            (
                listing(&[]),
                listing(&[("webhook", None, Some(1))]),
                vec![("webhook", Change::Replaced)],
            ),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(module, change)| (name(module), change))
                .collect();
            assert_eq!(before.changes(&now), expected, "{before:?} to {now:?}");
        }
    }

    #[test]
    fn settings_alone_are_orphans() {
        let listing = listing(&[
            ("a", None, Some(1)),
            ("b", Some(1), Some(1)),
            ("webhook", None, Some(1)),
        ]);
        assert_eq!(listing.orphans().collect::<Vec<_>>(), [&name("a")]);
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

    proptest! {
        /// Carrying out the changes leads from one listing to the other.
        #[test]
        fn changes_lead_from_one_to_the_other(
            before in proptest::collection::btree_map("[ab]|webhook", (0u8..3, 0u8..3), 0..4),
            now in proptest::collection::btree_map("[ab]|webhook", (0u8..3, 0u8..3), 0..4),
        ) {
            let listing = |files: &BTreeMap<String, (u8, u8)>| -> Listing<Print> {
                let file = |byte: u8| (byte > 0).then(|| print(byte));
                Listing(files.iter().map(|(module, (wasm, toml))| (name(module), Files { wasm: file(*wasm), toml: file(*toml) })).collect())
            };
            let modules = |listing: &Listing<Print>| -> BTreeMap<ModuleName, Files<Print>> {
                let mut modules = listing.0.clone();
                modules.entry(ModuleName::webhook()).or_default();
                modules.retain(|name, files| name.is_webhook() || files.wasm.is_some());
                modules
            };
            let (before, now) = (listing(&before), listing(&now));
            let mut carried_out = modules(&before);
            for (name, change) in before.changes(&now) {
                let gone = carried_out.remove(&name);
                prop_assert_eq!(gone.is_none(), change == Change::New);
                if change != Change::Removed {
                    carried_out.insert(name.clone(), now.of(&name));
                }
            }
            prop_assert_eq!(carried_out, modules(&now));
        }
    }
}
