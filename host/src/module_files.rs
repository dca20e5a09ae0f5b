//! Changes to the files of the modules folder: a new module, and a module that is disabled or enabled.
//!
//! This writes and renames files. The folder is scanned afterwards, as after any other change of its files. A disabled
//! module keeps its files under names that end in `.disabled`, which a scan ignores.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::module_bucket::{DISABLED, disabled};
use crate::new_file::{NewFile, sync_folder};
use hookhost_jetstream::{ObjectInfo, SharedObjects};
use hookhost_modules::ModulesFolder;

/// The beginning of a WebAssembly file, core module or component.
const MAGIC: &[u8; 4] = b"\0asm";

/// A temporary file that nobody has written to for this long is from an upload that a crash interrupted: one that stalls is
/// given up earlier.
const MAX_UPLOAD_PAUSE: Duration = Duration::from_secs(300);

/// Changes happen one after the other.
static CHANGING: Mutex<()> = Mutex::new(());

/// Why the files were not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModuleFileError {
    /// There is no modules folder.
    #[error("this host has no modules folder: set [modules] dir, or --modules DIR")]
    NoFolder,
    /// The name is invalid.
    #[error("a module's name consists of letters, digits, '_' and '-'")]
    Name,
    /// There is no such file.
    #[error("the modules folder has no {0}")]
    Missing(String),
    /// The file to write exists already.
    #[error("the modules folder has {0} already")]
    Exists(String),
    /// The content is something else.
    #[error("this is not a WebAssembly file: it does not begin with the bytes 00 61 73 6D")]
    NotWasm,
    /// The content is too large.
    #[error("a module has at most {} MiB", MAX_WASM_BYTES >> 20)]
    TooLarge,
    /// The bucket that the hosts share cannot be changed.
    #[error("the bucket with the modules cannot be changed: {0}")]
    Bucket(String),
    /// The folder cannot be changed.
    #[error("{path} cannot be written: {source}")]
    Write {
        /// The file.
        path: String,
        /// The reason.
        source: io::Error,
    },
}

/// Limit of the size of a module, the same as for a file that is put into the folder.
pub(crate) const MAX_WASM_BYTES: u64 = ModulesFolder::MAX_WASM_BYTES;

/// The modules folder, or the object store that several hosts share.
#[derive(Debug, Clone)]
pub(crate) struct ModuleFiles {
    /// Where files are written: the modules folder, or a folder for uploads to the store.
    dir: Option<PathBuf>,
    bucket: Option<SharedObjects>,
}

/// A module that is being written to a temporary file. Dropping it before [`finish`](NewModule::finish) removes the file.
#[derive(Debug)]
pub(crate) struct NewModule {
    file: NewFile,
    target: PathBuf,
    written: u64,
    /// The first bytes, until they are checked.
    head: Vec<u8>,
    bucket: Option<SharedObjects>,
}

impl ModuleFiles {
    /// Of this folder; `None` if the host has none. With a bucket, the folder is its mirror. Removes the temporary files of
    /// interrupted uploads.
    pub(crate) fn new(dir: Option<PathBuf>, bucket: Option<SharedObjects>) -> ModuleFiles {
        let dir = match &bucket {
            Some(_) => dir.and_then(|mirror| mirror.parent().map(Path::to_owned)),
            None => dir,
        };
        let files = ModuleFiles { dir, bucket };
        files.remove_interrupted(SystemTime::now());
        files
    }

    /// Removes temporary files that are too old at this time to belong to an upload. Other hosts may use the same folder. What
    /// cannot be removed stays, because it has no effect.
    fn remove_interrupted(&self, now: SystemTime) {
        let entries = self.dir.iter().filter_map(|dir| fs::read_dir(dir).ok());
        for entry in entries.flatten().flatten() {
            let is_temporary = entry.file_name().to_str().is_some_and(is_temporary);
            let written = entry.metadata().and_then(|metadata| metadata.modified());
            let age = written.ok().and_then(|written| now.duration_since(written).ok());
            if is_temporary && age.is_some_and(|age| age > MAX_UPLOAD_PAUSE) {
                fs::remove_file(entry.path()).ok();
            }
        }
    }

    /// The disabled modules, by name. Empty if the folder cannot be listed.
    pub(crate) fn disabled(&self) -> Vec<String> {
        if let Some(bucket) = &self.bucket {
            return disabled(&bucket.list().unwrap_or_default());
        }
        let entries = self
            .dir
            .iter()
            .filter_map(|dir| fs::read_dir(dir).ok())
            .flatten()
            .flatten();
        let name = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let name = name.strip_suffix(DISABLED)?.strip_suffix(".wasm")?;
            ModulesFolder::is_name(name).then(|| name.to_owned())
        };
        let mut names: Vec<String> = entries.filter_map(name).collect();
        names.sort();
        names
    }

    /// Begins to write `NAME.wasm`.
    ///
    /// # Errors
    ///
    /// [`ModuleFileError`] if the name is invalid or the folder cannot be written.
    pub(crate) fn create(&self, name: &str) -> Result<NewModule, ModuleFileError> {
        let target = self.path(name, "wasm")?;
        self.remove_interrupted(SystemTime::now());
        // A scan ignores names with a dot in front.
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| failed(&target, io::Error::other(error)))?;
        let random = u64::from_ne_bytes(random);
        let temporary = target.with_file_name(format!(".{name}.wasm.{random:016x}"));
        if let Some(dir) = &self.dir {
            fs::create_dir_all(dir).map_err(|source| failed(dir, source))?;
        }
        let file = NewFile::create(temporary.clone(), 0o666).map_err(|source| failed(&temporary, source))?;
        Ok(NewModule {
            file,
            target,
            written: 0,
            head: Vec::new(),
            bucket: self.bucket.clone(),
        })
    }

    /// Renames the files of a module, so that a scan ignores them, or finds them again.
    ///
    /// # Errors
    ///
    /// [`ModuleFileError`] if there is no such file, or if the new name is in use. Then nothing changes.
    pub(crate) fn enable(&self, name: &str, is_enabled: bool) -> Result<(), ModuleFileError> {
        let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        let (wasm, toml) = (self.path(name, "wasm")?, self.path(name, "toml")?);
        if let Some(bucket) = &self.bucket {
            return enable_object(bucket, name, is_enabled);
        }
        let renames = [wasm, toml].map(|path| {
            let disabled = disabled_path(&path);
            match is_enabled {
                true => (disabled, path),
                false => (path, disabled),
            }
        });
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let [(wasm, _), _] = &renames;
        if !wasm.exists() {
            return Err(ModuleFileError::Missing(name(wasm)));
        }
        let existing = renames.iter().filter(|(from, _)| from.exists());
        let existing: Vec<&(PathBuf, PathBuf)> = existing.collect();
        if let Some((_, to)) = existing.iter().find(|(_, to)| to.exists()) {
            return Err(ModuleFileError::Exists(name(to)));
        }
        // The settings come first when a module is enabled, so that it never runs without them.
        let in_order: Vec<_> = match is_enabled {
            true => existing.into_iter().rev().collect(),
            false => existing,
        };
        for (from, to) in in_order {
            fs::rename(from, to).map_err(|source| failed(to, source))?;
        }
        Ok(())
    }

    fn path(&self, name: &str, extension: &str) -> Result<PathBuf, ModuleFileError> {
        let dir = self.dir.as_ref().ok_or(ModuleFileError::NoFolder)?;
        if !ModulesFolder::is_name(name) {
            return Err(ModuleFileError::Name);
        }
        Ok(dir.join(format!("{name}.{extension}")))
    }
}

impl NewModule {
    /// Adds content.
    ///
    /// # Errors
    ///
    /// [`ModuleFileError`] if it is too large, if it is not WebAssembly, or if it cannot be written.
    pub(crate) fn write(&mut self, content: &[u8]) -> Result<(), ModuleFileError> {
        self.written += content.len() as u64;
        if self.written > MAX_WASM_BYTES {
            return Err(ModuleFileError::TooLarge);
        }
        let missing = MAGIC.len().saturating_sub(self.head.len());
        self.head.extend(content.iter().take(missing));
        if !MAGIC.starts_with(&self.head) {
            return Err(ModuleFileError::NotWasm);
        }
        self.file
            .write_all(content)
            .map_err(|source| failed(self.file.path(), source))
    }

    /// Puts the module into the folder in one step, in place of one with its name.
    ///
    /// # Errors
    ///
    /// [`ModuleFileError`] if it is not WebAssembly, if a module with its name is disabled, or if it cannot be written. Then
    /// the folder is as before.
    pub(crate) fn finish(self) -> Result<(), ModuleFileError> {
        if self.head != MAGIC {
            return Err(ModuleFileError::NotWasm);
        }
        let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = &self.bucket {
            return self.upload(bucket);
        }
        let disabled = disabled_path(&self.target);
        if disabled.exists() {
            let name = disabled.file_name().unwrap_or_default();
            return Err(ModuleFileError::Exists(name.to_string_lossy().into_owned()));
        }
        let done = self.file.replace(&self.target).and_then(|()| sync_folder(&self.target));
        done.map_err(|source| failed(&self.target, source))
    }
}

impl NewModule {
    /// Puts the module into the object store.
    fn upload(&self, bucket: &SharedObjects) -> Result<(), ModuleFileError> {
        let name = self
            .target
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let list = listed(bucket)?;
        let is_disabled = list.get(&format!("{name}{DISABLED}")).is_some_and(|info| !info.deleted);
        if is_disabled {
            return Err(ModuleFileError::Exists(format!("{name}{DISABLED}")));
        }
        let content = fs::read(self.file.path()).map_err(|source| failed(self.file.path(), source))?;
        let put = bucket.put(&name, &content, list.get(&name), BTreeMap::new());
        put.map_err(|error| ModuleFileError::Bucket(error.to_string()))
    }
}

/// The objects of a store that can be changed.
fn listed(bucket: &SharedObjects) -> Result<BTreeMap<String, ObjectInfo>, ModuleFileError> {
    if let Some(reason) = bucket.keys().trouble() {
        return Err(ModuleFileError::Bucket(reason));
    }
    Ok(bucket.list().unwrap_or_default())
}

/// As [`ModuleFiles::enable`], in an object store.
fn enable_object(bucket: &SharedObjects, module: &str, is_enabled: bool) -> Result<(), ModuleFileError> {
    let list = listed(bucket)?;
    let existing = |name: &String| list.get(name).filter(|info| !info.deleted);
    let mut renames = ["wasm", "toml"].map(|ending| {
        let name = format!("{module}.{ending}");
        let disabled = format!("{name}{DISABLED}");
        if is_enabled { (disabled, name) } else { (name, disabled) }
    });
    let [(wasm, _), _] = &renames;
    if existing(wasm).is_none() {
        return Err(ModuleFileError::Missing(wasm.clone()));
    }
    if let Some((_, to)) = renames
        .iter()
        .find(|(from, to)| existing(from).is_some() && existing(to).is_some())
    {
        return Err(ModuleFileError::Exists(to.clone()));
    }
    if is_enabled {
        renames.reverse();
    }
    for (from, to) in &renames {
        if let Some(info) = existing(from) {
            let renamed = bucket.rename(info, to, list.get(to));
            renamed.map_err(|error| ModuleFileError::Bucket(error.to_string()))?;
        }
    }
    Ok(())
}

/// Whether a name is that of a temporary file: `.NAME.wasm.` and 16 hex digits.
fn is_temporary(name: &str) -> bool {
    let parts = name.strip_prefix('.').and_then(|name| name.split_once(".wasm."));
    let is_hex = |digits: &str| digits.len() == 16 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    parts.is_some_and(|(name, digits)| ModulesFolder::is_name(name) && is_hex(digits))
}

/// The name of a file of a disabled module.
fn disabled_path(path: &Path) -> PathBuf {
    let mut disabled = path.as_os_str().to_owned();
    disabled.push(DISABLED);
    disabled.into()
}

fn failed(path: &Path, source: io::Error) -> ModuleFileError {
    ModuleFileError::Write {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
#[path = "module_files_tests.rs"]
mod tests;
