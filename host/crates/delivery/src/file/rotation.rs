//! Rotation of the files that requests are written to.
//!
//! A full or old file gets the time of its rotation as a suffix: `hook.log.20260131T120000Z`. The oldest files with such a
//! suffix are deleted.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

/// How files are written, rotated and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSettings {
    /// The file is rotated before a write if it has at least this many bytes; `None`: never because of its size.
    pub max_bytes: Option<u64>,
    /// The file is rotated at each multiple of this time since 1970-01-01 UTC; `None`: never because of its age.
    pub max_age: Option<Duration>,
    /// How many rotated files are kept, at least 1.
    pub keep: usize,
    /// When lines are on the disk.
    pub sync: FileSync,
}

/// When lines are on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileSync {
    /// When the operating system writes them.
    #[default]
    Never,
    /// Before they count as delivered (`fdatasync` after each write; one write has all lines that wait).
    Always,
}

impl FileSync {
    /// All values, by their names in a configuration.
    pub const NAMES: [(&'static str, FileSync); 2] = [("never", FileSync::Never), ("always", FileSync::Always)];
}

impl Default for FileSettings {
    /// Files are not rotated here: another program may do that.
    fn default() -> FileSettings {
        FileSettings {
            max_bytes: None,
            max_age: None,
            keep: 10,
            sync: FileSync::default(),
        }
    }
}

impl FileSettings {
    /// Rotates a file if it is full or old at this time.
    pub(super) fn rotate(&self, path: &Path, now: SystemTime) -> io::Result<()> {
        if self.max_bytes.is_none() && self.max_age.is_none() {
            return Ok(());
        }
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            metadata => metadata?,
        };
        // A device or a pipe cannot be rotated.
        if !metadata.is_file() || metadata.len() == 0 {
            return Ok(());
        }
        let is_full = self.max_bytes.is_some_and(|max| metadata.len() >= max);
        let written = metadata.modified()?;
        let is_old = self.max_age.is_some_and(|age| period(now, age) > period(written, age));
        if is_full || is_old {
            let stamp = DateTime::<Utc>::from(now).format("%Y%m%dT%H%M%SZ").to_string();
            fs::rename(path, free_name(path, &stamp))?;
            self.delete_oldest(path)?;
        }
        Ok(())
    }

    fn delete_oldest(&self, path: &Path) -> io::Result<()> {
        let mut rotated = rotated(path)?;
        let surplus = rotated.len().saturating_sub(self.keep.max(1));
        rotated.truncate(surplus);
        for old in rotated {
            match fs::remove_file(old) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The number of a period of this length since 1970.
fn period(at: SystemTime, length: Duration) -> u128 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() / length.as_millis().max(1)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{suffix}"));
    name.into()
}

/// A name with this stamp that no file has. Several rotations within a second get a number.
fn free_name(path: &Path, stamp: &str) -> PathBuf {
    let first = with_suffix(path, stamp);
    let mut numbered = (2..=9999_u32).map(|number| with_suffix(path, &format!("{stamp}-{number:04}")));
    if !first.exists() {
        return first;
    }
    numbered.find(|name| !name.exists()).unwrap_or(first)
}

/// The rotated files of a path, the oldest first.
fn rotated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(Vec::new());
    };
    let prefix = [name.as_encoded_bytes(), b"."].concat();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let suffix = name.as_encoded_bytes().strip_prefix(&prefix[..]);
        if suffix.is_some_and(is_stamp) {
            found.push(folder.join(name));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a suffix is the time of a rotation: `20260131T120000Z`, and `-0002` for the second one within a second.
fn is_stamp(suffix: &[u8]) -> bool {
    let (stamp, number) = suffix.split_at_checked(16).unwrap_or((suffix, b""));
    let is_time = stamp.len() == 16
        && stamp.iter().enumerate().all(|(place, byte)| match place {
            8 => *byte == b'T',
            15 => *byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    let is_number = match number {
        [] => true,
        [b'-', digits @ ..] => digits.len() == 4 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_time && is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_is_rotated_and_the_oldest_are_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.log");
        let settings = FileSettings {
            max_bytes: Some(10),
            keep: 2,
            ..FileSettings::default()
        };
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_860_800 + seconds);
        settings.rotate(&path, at(0)).unwrap();
        for other in [
            "hook.log.1",
            "hook.log.20260131T120000Z.gz",
            "other.log.20200101T000000Z",
        ] {
            fs::write(folder.path().join(other), "other").unwrap();
        }
        let others = names(folder.path());
        for (second, content, rotated) in [
            (0, "123456789", vec![]),
            (0, "1234567890", vec!["hook.log.20260131T120000Z"]),
            (
                0,
                "2234567890",
                vec!["hook.log.20260131T120000Z", "hook.log.20260131T120000Z-0002"],
            ),
            (
                1,
                "3234567890",
                vec!["hook.log.20260131T120000Z-0002", "hook.log.20260131T120001Z"],
            ),
        ] {
            fs::write(&path, content).unwrap();
            settings.rotate(&path, at(second)).unwrap();
            assert_eq!(path.exists(), rotated.is_empty(), "{content}");
            let mut expected: Vec<String> = rotated
                .iter()
                .map(|name| (*name).to_owned())
                .chain(others.clone())
                .collect();
            expected.retain(|name| path.exists() || name != "hook.log");
            if path.exists() {
                expected.push("hook.log".to_owned());
            }
            expected.sort();
            assert_eq!(names(folder.path()), expected);
            if let Some(last) = rotated.last() {
                assert_eq!(fs::read_to_string(folder.path().join(last)).unwrap(), content);
            }
        }
    }

    #[test]
    fn a_file_is_rotated_when_a_new_period_begins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.log");
        let settings = FileSettings {
            max_age: Some(DAY),
            ..FileSettings::default()
        };
        fs::write(&path, "x").unwrap();
        let written = fs::metadata(&path).unwrap().modified().unwrap();
        let since = written.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let day_begins = written - Duration::from_millis(u64::try_from(since.as_millis()).unwrap() % 86_400_000);
        let next_day = day_begins + DAY;
        settings.rotate(&path, next_day - Duration::from_secs(1)).unwrap();
        assert!(path.exists(), "the same day");
        settings.rotate(&path, next_day + Duration::from_secs(1)).unwrap();
        assert!(!path.exists());
        assert_eq!(names(folder.path()).len(), 1);
    }

    #[test]
    fn an_empty_file_and_a_device_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.log");
        let settings = FileSettings {
            max_bytes: Some(0),
            max_age: Some(Duration::from_millis(1)),
            ..FileSettings::default()
        };
        fs::write(&path, "").unwrap();
        settings.rotate(&path, SystemTime::now() + DAY).unwrap();
        settings
            .rotate(Path::new("/dev/null"), SystemTime::now() + DAY)
            .unwrap();
        assert!(path.exists() && Path::new("/dev/null").exists());
    }
}
