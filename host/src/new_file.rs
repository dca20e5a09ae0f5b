//! Replaces a file in one step: a new file is written beside it, flushed to the disk, and then takes its name.
//!
//! A reader finds the old content or the new one, never a part. After a crash, the file has its old content, and the new
//! file may be left beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A new file that has not replaced another one yet. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct NewFile {
    file: File,
    path: PathBuf,
}

impl NewFile {
    /// Creates a file with these permissions, from which the process's mask is removed.
    ///
    /// # Errors
    ///
    /// It exists already, or its folder cannot be written.
    pub(crate) fn create(path: PathBuf, mode: u32) -> io::Result<NewFile> {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        Ok(NewFile { file, path })
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Flushes the content to the disk, and takes the place of `target`, which is in the same folder. After a failure of the
    /// machine, `target` may have its old content until [`sync_folder`] has returned.
    ///
    /// # Errors
    ///
    /// The content or the folder cannot be written; `target` is unchanged.
    pub(crate) fn replace(self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, target)
    }
}

impl Write for NewFile {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        self.file.write(content)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // It is gone already if it has replaced another one.
        fs::remove_file(&self.path).ok();
    }
}

/// Flushes the folder of a file to the disk: the names of its files survive a failure of the machine.
///
/// # Errors
///
/// The folder cannot be opened or flushed.
pub(crate) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_in_one_step() {
        let dir = tempfile::tempdir().unwrap();
        let [target, beside] = ["target", "beside"].map(|name| dir.path().join(name));
        fs::write(&target, "old").unwrap();
        let mut new = NewFile::create(beside.clone(), 0o600).unwrap();
        new.write_all(b"new").unwrap();
        assert_eq!(
            NewFile::create(beside.clone(), 0o600).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read_to_string(&target).unwrap(), "old");
        new.replace(&target).unwrap();
        sync_folder(&target).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!beside.exists());
    }

    #[test]
    fn a_file_that_replaces_none_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("beside");
        drop(NewFile::create(path.clone(), 0o600).unwrap());
        assert!(!path.exists());
        let new = NewFile::create(path.clone(), 0o600).unwrap();
        new.replace(&dir.path().join("missing/target")).unwrap_err();
        assert!(!path.exists());
    }
}
