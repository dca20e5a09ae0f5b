//! Reading the files of a configuration: regular files of limited size.
//!
//! Opening another kind of file may block forever. For example, a named pipe waits for a writer, and a running host
//! must not block on it. Files that the process was started with (`/dev/stdin`, or `/dev/fd/3` for a shell's `<(…)`)
//! have a writer, but can be read only once.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Size limit of a configuration file in bytes. 32 MiB: ten times what 10,000 rules of EMQX 5 need, and small enough for a
/// wrong file.
const LIMIT: u64 = 32 << 20;

/// When a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// At the start of the process, which may have inherited open files.
    Start,
    /// After the start.
    Running,
}

/// Reads a whole file. Blocks.
///
/// # Errors
///
/// The file cannot be read, is not a regular file, or is larger than 32 MiB.
pub(super) fn read(path: &Path, time: Time) -> io::Result<Vec<u8>> {
    if time == Time::Running || !is_inherited(path) {
        must_be_regular(path)?;
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "larger than 32 MiB"));
    }
    Ok(bytes)
}

/// Checks that a file is a regular file, without opening it.
///
/// # Errors
///
/// The file is not a regular file, or its metadata cannot be read.
pub(crate) fn must_be_regular(path: &Path) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder"));
    }
    if !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    Ok(())
}

/// Whether a path names a file that was open when the process started.
fn is_inherited(path: &Path) -> bool {
    path == Path::new("/dev/stdin")
        || ["/dev/fd", "/proc/self/fd"]
            .iter()
            .any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_before_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "text").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for time in [Time::Start, Time::Running] {
            let error = |path: &Path| read(path, time).unwrap_err().to_string();
            // Opening it would block until there is a writer.
            assert_eq!(error(&fifo), "it is not a regular file");
            assert_eq!(error(dir.path()), "it is a folder");
            assert_eq!(error(Path::new("/dev/zero")), "it is not a regular file");
            assert_eq!(
                error(&dir.path().join("none")),
                "No such file or directory (os error 2)"
            );
            assert_eq!(read(&link, time).unwrap(), b"text");
        }
    }

    #[test]
    fn a_pipe_is_read_once_at_the_start() {
        use std::io::Write as _;
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"node.id = 2").unwrap();
        drop(writer);
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        let path = Path::new(&path);
        let refused = read(path, Time::Running).unwrap_err();
        assert_eq!(refused.to_string(), "it is not a regular file");
        assert_eq!(read(path, Time::Start).unwrap(), b"node.id = 2");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        File::create(&path).unwrap().set_len(LIMIT + 1).unwrap();
        assert_eq!(
            read(&path, Time::Running).unwrap_err().to_string(),
            "larger than 32 MiB"
        );
    }
}
