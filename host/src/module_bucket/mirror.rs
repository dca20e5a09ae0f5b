//! The folder with the files of the object store.
//!
//! ```text
//! DATA/modules-bucket/current ──> 7        a link, which is replaced in one step
//! DATA/modules-bucket/7/NAME.wasm, NAME.toml
//! DATA/modules-bucket/7/.versions.json     the hashes of these files
//! DATA/modules-bucket/7/.previous/         the files of modules before their last change
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::plan::{Versions, module_of};
use crate::new_file::sync_folder;

/// The folder below the data folder.
const FOLDER: &str = "modules-bucket";
/// The link to the files that have effect.
const CURRENT: &str = "current";
/// The file with the hashes.
const VERSIONS: &str = ".versions.json";
/// The folder with the files that were replaced.
const PREVIOUS: &str = ".previous";

/// The modules folder of a host whose modules are in an object store. It exists after the first change.
pub(crate) fn mirror_dir(data: &Path) -> PathBuf {
    data.join(FOLDER).join(CURRENT)
}

/// The folder and what it contains.
#[derive(Debug)]
pub(crate) struct Mirror {
    root: PathBuf,
    versions: Versions,
}

impl Mirror {
    /// The mirror in a data folder, which may not exist yet.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub(crate) fn open(data: &Path) -> io::Result<Mirror> {
        let root = data.join(FOLDER);
        let versions = match fs::read(root.join(CURRENT).join(VERSIONS)) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Versions::new(),
            Err(error) => return Err(error),
        };
        Ok(Mirror { root, versions })
    }

    /// Whether nothing was put into it yet.
    pub(crate) fn is_new(&self) -> bool {
        !self.root.join(CURRENT).exists()
    }

    /// The files with the hashes of their content.
    pub(super) fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The files that a module had before its last change, by name; empty if it had none.
    ///
    /// # Errors
    ///
    /// They cannot be read.
    pub(super) fn previous(&self, module: &str) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let dir = self.root.join(CURRENT).join(PREVIOUS);
        let mut files = BTreeMap::new();
        for name in names(&dir)?.into_iter().filter(|name| module_of(name) == Some(module)) {
            let content = fs::read(dir.join(&name))?;
            files.insert(name, content);
        }
        Ok(files)
    }

    /// Replaces the folder by one with these files. `new` has the content of those that differ. Modules in `rolled_back` have
    /// no previous files from then on.
    ///
    /// # Errors
    ///
    /// It cannot be written. The folder is as before.
    pub(super) fn replace(
        &mut self,
        versions: Versions,
        new: &BTreeMap<String, Vec<u8>>,
        changed: &BTreeSet<String>,
        is_rolled_back: impl Fn(&str) -> bool,
    ) -> io::Result<()> {
        let current = self.root.join(CURRENT);
        let number = fs::read_link(&current).ok();
        let number = number.and_then(|path| path.to_str()?.parse::<u64>().ok()).unwrap_or(0) + 1;
        let dir = self.root.join(number.to_string());
        // It is left from a crash.
        remove(&dir)?;
        fs::create_dir_all(dir.join(PREVIOUS))?;
        for name in versions.keys() {
            match new.get(name) {
                Some(content) => fs::write(dir.join(name), content)?,
                None => fs::hard_link(current.join(name), dir.join(name))?,
            }
        }
        let is_changed = |name: &str| module_of(name).is_some_and(|module| changed.contains(module));
        let replaced = names(&current)?.into_iter().filter(|name| is_changed(name));
        for name in replaced.filter(|name| !module_of(name).is_some_and(&is_rolled_back)) {
            fs::hard_link(current.join(&name), dir.join(PREVIOUS).join(&name))?;
        }
        for name in names(&current.join(PREVIOUS))?
            .into_iter()
            .filter(|name| !is_changed(name))
        {
            fs::hard_link(current.join(PREVIOUS).join(&name), dir.join(PREVIOUS).join(&name))?;
        }
        fs::write(dir.join(VERSIONS), serde_json::to_vec(&versions)?)?;
        for name in names(&dir)?.iter().map(String::as_str).chain([VERSIONS]) {
            fs::File::open(dir.join(name))?.sync_all()?;
        }
        sync_folder(&dir.join(VERSIONS))?;
        let link = self.root.join(".current.new");
        remove(&link)?;
        symlink(number.to_string(), &link)?;
        fs::rename(&link, &current)?;
        sync_folder(&current)?;
        self.versions = versions;
        // What cannot be removed has no effect.
        for old in fs::read_dir(&self.root)?.flatten() {
            let name = old.file_name();
            if name
                .to_str()
                .and_then(|name| name.parse::<u64>().ok())
                .is_some_and(|old| old != number)
            {
                remove(&old.path()).ok();
            }
        }
        Ok(())
    }
}

/// The files of modules in a folder; empty if it does not exist.
fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().into_string().unwrap_or_default());
    let names: io::Result<Vec<String>> = entries.map(name).collect();
    Ok(names?.into_iter().filter(|name| module_of(name).is_some()).collect())
}

/// Removes a folder or a link, if it exists.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    removed.or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        let text = |(name, text): &(&str, &str)| ((*name).to_owned(), text.as_bytes().to_vec());
        texts.iter().map(text).collect()
    }

    /// Replaces the mirror by one with these files and versions.
    fn replace(mirror: &mut Mirror, files: &[(&str, &str)], new: &[&str], changed: &str, is_rolled_back: bool) {
        let versions = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        let new = files
            .iter()
            .filter(|(name, _)| new.contains(name))
            .copied()
            .collect::<Vec<_>>();
        let changed = BTreeSet::from([changed.to_owned()]);
        mirror
            .replace(versions, &texts(&new), &changed, |_| is_rolled_back)
            .unwrap();
    }

    #[test]
    fn a_mirror_keeps_the_previous_files_of_each_module() {
        let data = tempfile::tempdir().unwrap();
        let mut mirror = Mirror::open(data.path()).unwrap();
        assert!(mirror.is_new());
        replace(
            &mut mirror,
            &[("a.wasm", "1"), ("a.toml", "1")],
            &["a.wasm", "a.toml"],
            "a",
            false,
        );
        assert!(!mirror.is_new() && mirror.previous("a").unwrap().is_empty());
        replace(
            &mut mirror,
            &[("a.wasm", "2"), ("a.toml", "1")],
            &["a.wasm"],
            "a",
            false,
        );
        replace(
            &mut mirror,
            &[("a.wasm", "2"), ("a.toml", "1"), ("b.wasm", "1")],
            &["b.wasm"],
            "b",
            false,
        );
        let mut mirror = Mirror::open(data.path()).unwrap();
        assert_eq!(
            mirror.previous("a").unwrap(),
            texts(&[("a.wasm", "1"), ("a.toml", "1")])
        );
        assert!(mirror.previous("b").unwrap().is_empty());
        assert_eq!(mirror.versions()["a.wasm"], "2");
        let dir = mirror_dir(data.path());
        assert_eq!(fs::read_to_string(dir.join("a.wasm")).unwrap(), "2");
        replace(
            &mut mirror,
            &[("a.wasm", "1"), ("a.toml", "1"), ("b.wasm", "1")],
            &["a.wasm"],
            "a",
            true,
        );
        assert!(mirror.previous("a").unwrap().is_empty());
        assert_eq!(names(&dir).unwrap().len(), 3);
        // The link and its folder.
        assert_eq!(fs::read_dir(data.path().join(FOLDER)).unwrap().count(), 2);
    }
}
