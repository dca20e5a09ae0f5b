//! The modules folder: which files belong to which module, and what has changed since it was last looked at.
//!
//! `NAME.wasm` is a module and `NAME.toml` its settings; names are letters, digits, `_` and `-`. Hidden and temporary
//! files, folders and all other files play no part. [`scan`] reads the folder; [`Listing::changes`] compares two scans
//! by content and is pure, so that touching a file changes nothing. Content is held while it is loaded and then
//! forgotten: what is remembered of a file is its hash.
//!
//! The default module `webhook` is always there: its `.wasm` takes the place of the one in the binary.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::config::file::must_be_regular;

/// Largest `.wasm` that is read. Python modules have some 40 MB; more than this would take minutes to compile.
pub(super) const MOST_WASM: u64 = 256 << 20;
/// Largest `.toml` that is read.
pub(super) const MOST_TOML: u64 = 1 << 20;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) print: Print,
    /// The content; empty unless the print is [`Print::Content`].
    pub(super) bytes: Bytes,
}

impl Content {
    /// Content that was read.
    pub(super) fn of(bytes: Bytes) -> Content {
        Content {
            print: Print::Content(Sha256::digest(&bytes).into()),
            bytes,
        }
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
        let print = |content: &Option<Content>| content.as_ref().map(|content| content.print);
        let prints = |files: &Files<Content>| Files {
            wasm: print(&files.wasm),
            toml: print(&files.toml),
        };
        Listing(
            self.0
                .iter()
                .map(|(name, files)| (name.clone(), prints(files)))
                .collect(),
        )
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

    fn of(&self, name: &ModuleName) -> Files<Print> {
        self.0.get(name).cloned().unwrap_or_default()
    }
}

/// Reads the folder. One that does not exist is an empty one.
///
/// # Errors
///
/// That of the system if the folder cannot be listed. A file that cannot be read is no error but a [`Print`].
pub(super) fn scan(dir: &Path) -> io::Result<Scan> {
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
        let limit = if matches!(kind, Kind::Wasm(_)) {
            MOST_WASM
        } else {
            MOST_TOML
        };
        match kind {
            Kind::Other => {}
            Kind::Misnamed => scan.misnamed.push(file_name.to_owned()),
            Kind::Wasm(ref name) | Kind::Toml(ref name) => {
                // Opening a pipe waits for somebody who writes, perhaps forever.
                let content = match must_be_regular(&path) {
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => Some(Content {
                        print: Print::Unreadable(error.kind()),
                        bytes: Bytes::new(),
                    }),
                    _ => read(&path, limit),
                };
                let Some(content) = content else { continue };
                let files = scan.files.0.entry(name.clone()).or_default();
                *if matches!(kind, Kind::Wasm(_)) {
                    &mut files.wasm
                } else {
                    &mut files.toml
                } = Some(content);
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

/// None if there is no such file (any more), or if it is a folder.
pub(super) fn read(path: &Path, limit: u64) -> Option<Content> {
    let without = |print| {
        Some(Content {
            print,
            bytes: Bytes::new(),
        })
    };
    let content = File::open(path).and_then(|file| {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
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
        let scan = scan(dir.path()).unwrap();
        let print = scan.files.0[&name("pipe")].wasm.as_ref().unwrap().print;
        assert_eq!(print, Print::Unreadable(io::ErrorKind::InvalidInput));
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
        assert!(scan(&dir.path().join("none")).unwrap().files.0.is_empty());
        std::fs::write(dir.path().join("a.wasm"), "code").unwrap();
        std::fs::write(dir.path().join("a.toml"), "").unwrap();
        std::fs::write(dir.path().join("b c.wasm"), "").unwrap();
        std::fs::write(dir.path().join("big.toml"), vec![b'#'; MOST_TOML as usize + 1]).unwrap();
        std::fs::create_dir(dir.path().join("dir.wasm")).unwrap();
        let first = scan(dir.path()).unwrap();
        assert_eq!(first.misnamed, ["b c.wasm"]);
        assert_eq!(first.files.0.keys().collect::<Vec<_>>(), [&name("a"), &name("big")]);
        assert_eq!(&first.files.0[&name("a")].wasm.as_ref().unwrap().bytes[..], b"code");
        let big = first.files.0[&name("big")].toml.as_ref().unwrap();
        assert_eq!(big.print, Print::TooLarge(MOST_TOML + 1));

        // The same content written again is no change.
        std::fs::write(dir.path().join("a.wasm"), "code").unwrap();
        let second = scan(dir.path()).unwrap();
        assert_eq!(first.files.prints().changes(&second.files.prints()), []);
        assert!(scan(&dir.path().join("a.wasm")).is_err());
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
