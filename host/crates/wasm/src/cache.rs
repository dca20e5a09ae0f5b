//! The cache of compiled code on disk. It avoids compiling a module twice.
//!
//! Each file contains the code of one `.wasm` for one kind of engine. Its name is `HASH-FIT.cwasm`: the SHA-256 of the
//! `.wasm`, and a hash of everything that decides whether code fits an engine. This includes the version of wasmtime,
//! its settings and the CPU features.
//!
//! A file is written under a temporary name, synced to disk and renamed, so a file with its final name is complete. It
//! is never changed afterwards, only removed. The host maps a file instead of reading it. Loading 6 MB takes half a
//! millisecond, and the kernel can share and drop the mapped pages.
//!
//! The host runs the code in the folder without a check. The folder therefore belongs to the user of the host and is
//! closed to all other users. If that is not possible, there is no cache.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tracing::warn;
use wasmtime::Engine;
use wasmtime::component::Component as Code;

use super::native;

/// The SHA-256 of a `.wasm`.
pub(super) type Digest = [u8; 32];

/// Limit of the bytes in the folder. Beyond it, the least recently used file is removed first.
const MAX_BYTES: u64 = 512 << 20;

/// A folder of compiled code for one engine.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    dir: PathBuf,
    fit: u64,
}

impl Cache {
    /// Creates the folder if it is missing, and closes it to other users.
    ///
    /// # Errors
    ///
    /// Errors of the system, and an error for a folder that belongs to another user.
    pub(super) fn open(dir: &Path, engine: &Engine) -> io::Result<Cache> {
        let mut fit = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut fit);
        Ok(Cache {
            dir: own(dir)?,
            fit: fit.finish(),
        })
    }

    /// Returns the code compiled from the `.wasm` with this hash, if the cache has it.
    pub(super) fn find(&self, engine: &Engine, wasm: &Digest) -> Option<Code> {
        let path = self.path(wasm);
        let file = File::open(&path).ok()?;
        let found = file.metadata().ok()?;
        // The folder may have been open to other users before hookhost closed it.
        if found.uid() != rustix::process::geteuid().as_raw() || found.permissions().mode() & 0o022 != 0 {
            warn!(file = %path.display(), "removing compiled code that other users could have written");
            fs::remove_file(&path).ok();
            return None;
        }
        // Marks the file as used. A failure is ignored, because a cache on a read-only disk still works.
        file.set_modified(SystemTime::now()).ok();
        let code = native::mapped(engine, &path);
        let code = code.inspect_err(|error| {
            warn!(file = %path.display(), error = format!("{error:#}"), "removing unusable compiled code");
            fs::remove_file(&path).ok();
        });
        code.ok()
    }

    /// Stores the code compiled from the `.wasm` with this hash. Removes old files beyond the size limit.
    pub(super) fn keep(&self, wasm: &Digest, code: &[u8]) -> io::Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // Hosts in different containers may have the same process id.
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let new = format!("{}-{}-{number}.new", std::process::id(), now.as_nanos());
        let new = self.dir.join(new);
        let written = write(&new, code).and_then(|()| fs::rename(&new, self.path(wasm)));
        if written.is_err() {
            fs::remove_file(&new).ok();
        }
        shrink(&self.dir, MAX_BYTES)?;
        written
    }

    fn path(&self, wasm: &Digest) -> PathBuf {
        let hash: String = wasm.iter().map(|byte| format!("{byte:02x}")).collect();
        self.dir.join(format!("{hash}-{:016x}.cwasm", self.fit))
    }
}

/// Writes a new file that only this user can read. The file is synced to disk on return.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Removes the oldest files until at most `most` bytes are left. Running code stays mapped until it ends, because only
/// the name of its file is removed.
fn shrink(dir: &Path, most: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_ours = path
            .extension()
            .is_some_and(|extension| extension == "cwasm" || extension == "new");
        // Another host may have removed the file in the meantime.
        if let (true, Ok(file)) = (is_ours, fs::metadata(&path)) {
            files.push((file.modified()?, file.len(), path));
        }
    }
    files.sort();
    let mut bytes: u64 = files.iter().map(|(_, len, _)| len).sum();
    for (_, len, path) in files {
        if bytes <= most {
            break;
        }
        fs::remove_file(path).ok();
        bytes -= len;
    }
    Ok(())
}

/// Creates the folder, or closes an existing one to other users. Rejects a folder of another user, because the host
/// runs the code in it without a check.
fn own(dir: &Path) -> io::Result<PathBuf> {
    let dir = std::path::absolute(dir)?;
    DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    let found = fs::metadata(&dir)?;
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the folder belongs to another user",
        ));
    }
    if found.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(&dir, Permissions::from_mode(0o700))?;
    }
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::compile::{compile, config};

    const WASM: &[u8] = b"(component)";

    fn engine(metered: bool) -> Engine {
        Engine::new(&config(metered)).unwrap()
    }

    fn code(metered: bool) -> Vec<u8> {
        let wasm = wat::parse_bytes(WASM).unwrap();
        compile(&wasm, metered, None).unwrap()
    }

    fn files(dir: &Path) -> Vec<PathBuf> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn the_folder_and_its_files_are_closed_to_others() {
        let temp = tempfile::tempdir().unwrap();
        let new = temp.path().join("a/b");
        let open = temp.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        for dir in [new, open] {
            let cache = Cache::open(&dir, &engine(false)).unwrap();
            assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
            cache.keep(&[1; 32], &code(false)).unwrap();
            let [file] = &files(&dir)[..] else { panic!("one file") };
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_was_kept_is_found_by_the_engines_that_it_fits() {
        let temp = tempfile::tempdir().unwrap();
        let (plain, metered) = (engine(false), engine(true));
        let cache = Cache::open(temp.path(), &plain).unwrap();
        let other = Cache::open(temp.path(), &metered).unwrap();
        assert!(cache.find(&plain, &[1; 32]).is_none());
        cache.keep(&[1; 32], &code(false)).unwrap();
        assert!(cache.find(&plain, &[1; 32]).is_some());
        assert!(cache.find(&plain, &[2; 32]).is_none(), "another content");
        assert!(other.find(&metered, &[1; 32]).is_none(), "another engine");
        other.keep(&[1; 32], &code(true)).unwrap();
        assert!(other.find(&metered, &[1; 32]).is_some());
        assert!(cache.find(&plain, &[1; 32]).is_some(), "beside it");
    }

    #[test]
    fn what_cannot_be_used_is_removed() {
        let temp = tempfile::tempdir().unwrap();
        let engine = engine(false);
        let cache = Cache::open(temp.path(), &engine).unwrap();
        for bad in [&b""[..], b"no code", &code(true)] {
            cache.keep(&[1; 32], bad).unwrap();
            assert!(cache.find(&engine, &[1; 32]).is_none());
            assert_eq!(files(temp.path()), [] as [PathBuf; 0]);
        }
    }

    #[test]
    fn what_others_could_have_written_is_removed() {
        let temp = tempfile::tempdir().unwrap();
        let engine = engine(false);
        let cache = Cache::open(temp.path(), &engine).unwrap();
        cache.keep(&[1; 32], &code(false)).unwrap();
        let [file] = &files(temp.path())[..] else {
            panic!("one file")
        };
        fs::set_permissions(file, Permissions::from_mode(0o620)).unwrap();
        assert!(cache.find(&engine, &[1; 32]).is_none());
        assert_eq!(files(temp.path()), [] as [PathBuf; 0]);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let temp = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for (name, age) in [
            ("a.cwasm", 3),
            ("b.new", 4),
            ("c.cwasm", 1),
            ("d.cwasm", 2),
            ("e.txt", 9),
        ] {
            let path = temp.path().join(name);
            write(&path, &[0; 100]).unwrap();
            let file = File::open(path).unwrap();
            file.set_modified(now - Duration::from_secs(age)).unwrap();
        }
        let left = |most| {
            shrink(temp.path(), most).unwrap();
            let files = files(temp.path());
            let mut names: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
            names.sort_unstable();
            names.join(" ")
        };
        assert_eq!(left(400), "a.cwasm b.new c.cwasm d.cwasm e.txt");
        assert_eq!(left(399), "a.cwasm c.cwasm d.cwasm e.txt");
        assert_eq!(left(200), "c.cwasm d.cwasm e.txt");
        assert_eq!(left(0), "e.txt", "which is nobody's");
    }
}
