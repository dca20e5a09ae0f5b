//! Detects when files are complete: two looks at them, [`SETTLE_TIME`] apart, have the same result.
//!
//! Pure, except for [`Snapshot::take`], which reads the state of the files from the system.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hookhost_modules::{FileStamp, ModulesFolder};

/// Time between two looks. A program that copies a file writes more often than that, and file clocks are more precise.
pub(super) const SETTLE_TIME: Duration = Duration::from_millis(20);
/// Files that never settle are used as they are after this time.
const MAX_SETTLE_TIME: Duration = Duration::from_millis(500);

/// The state of the modules folder and of the configuration files at one moment, without their content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    folder: Result<BTreeMap<PathBuf, FileStamp>, io::ErrorKind>,
    files: BTreeMap<PathBuf, Option<FileStamp>>,
}

impl Snapshot {
    pub(super) fn take(dir: Option<&Path>, files: &[PathBuf]) -> Snapshot {
        Snapshot {
            folder: dir.map_or(Ok(BTreeMap::new()), list).map_err(|error| error.kind()),
            files: files
                .iter()
                .map(|file| (file.clone(), FileStamp::of_path(file)))
                .collect(),
        }
    }

    /// The same without the configuration files, so that the next look sees them as new.
    pub(super) fn without_files(self) -> Snapshot {
        Snapshot {
            files: BTreeMap::new(),
            ..self
        }
    }

    pub(super) fn has_same_files(&self, other: &Snapshot) -> bool {
        self.files == other.files
    }
}

fn list(dir: &Path) -> io::Result<BTreeMap<PathBuf, FileStamp>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut files = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        let is_temporary = entry.file_name().to_str().is_some_and(ModulesFolder::is_temporary);
        let path = entry.path();
        if let Some(stamp) = (!is_temporary).then(|| FileStamp::of_path(&path)).flatten() {
            files.insert(path, stamp);
        }
    }
    Ok(files)
}

/// Files that have changed and may be incomplete.
#[derive(Debug)]
pub(super) struct Settling<S> {
    since: Instant,
    last: S,
    last_at: Instant,
}

/// The result of a look at files.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// They have changed since the last look, or the last look is too recent: look again.
    No,
    /// They are complete.
    Yes,
    /// They change all the time.
    Never,
}

impl<S: PartialEq> Settling<S> {
    /// The files have changed.
    pub(super) fn new(seen: S, now: Instant) -> Settling<S> {
        Settling {
            since: now,
            last: seen,
            last_at: now,
        }
    }

    /// When to look again.
    pub(super) fn due(&self) -> Instant {
        (self.last_at + SETTLE_TIME).min(self.since + MAX_SETTLE_TIME)
    }

    /// The result of the next look.
    pub(super) fn look(&mut self, seen: S, now: Instant) -> Settled {
        let is_due = now >= self.last_at + SETTLE_TIME;
        if is_due && seen == self.last {
            return Settled::Yes;
        }
        (self.last, self.last_at) = (seen, now);
        if now >= self.since + MAX_SETTLE_TIME {
            Settled::Never
        } else {
            Settled::No
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at these times in milliseconds show these contents, the first one at 0. Returns the results of all but the
    /// first.
    fn story(looks: &[(u64, char)]) -> String {
        let start = Instant::now();
        let mut settling = Settling::new(looks[0].1, start);
        let settled =
            looks[1..].iter().map(
                |(at, seen)| match settling.look(*seen, start + Duration::from_millis(*at)) {
                    Settled::No => '.',
                    Settled::Yes => 'Y',
                    Settled::Never => 'N',
                },
            );
        settled.collect()
    }

    #[test]
    fn files_are_complete_when_two_looks_are_the_same() {
        for (looks, expected) in [
            (&[(0, 'a'), (20, 'a')][..], "Y"),
            (&[(0, 'a'), (19, 'a')], "."),
            (&[(0, 'a'), (20, 'b'), (40, 'b')], ".Y"),
            (&[(0, 'a'), (20, 'b'), (30, 'b'), (49, 'b'), (69, 'b')], "...Y"),
            (&[(0, 'a'), (20, 'b'), (40, 'a'), (60, 'a')], "..Y"),
            (&[(0, 'a'), (480, 'b'), (500, 'c')], ".N"),
            (&[(0, 'a'), (480, 'b'), (500, 'b')], ".Y"),
            (&[(0, 'a'), (10_000, 'a')], "Y"),
            (&[(0, 'a'), (10_000, 'b')], "N"),
        ] {
            assert_eq!(story(looks), expected, "{looks:?}");
        }
    }

    #[test]
    fn the_next_look_is_due_soon_and_never_later_than_the_longest_wait() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut settling = Settling::new('a', start);
        assert_eq!(settling.due(), after(20));
        settling.look('b', after(450));
        assert_eq!(settling.due(), after(470));
        settling.look('c', after(490));
        assert_eq!(settling.due(), after(500));
    }

    #[test]
    fn a_snapshot_shows_what_matters_of_a_folder_and_of_files() {
        let root = tempfile::tempdir().unwrap();
        let (dir, file) = (root.path().join("modules"), root.path().join("hookhost.toml"));
        let mut before = Snapshot::take(Some(&dir), std::slice::from_ref(&file));
        let mut differs = |what: &str, expected: (bool, bool)| {
            let now = Snapshot::take(Some(&dir), std::slice::from_ref(&file));
            assert_eq!((now != before, !now.has_same_files(&before)), expected, "{what}");
            before = now;
        };
        differs("nothing", (false, false));
        std::fs::create_dir(&dir).unwrap();
        differs("an empty folder", (false, false));
        std::fs::write(dir.join("a.wasm"), "1").unwrap();
        differs("a module", (true, false));
        std::fs::write(dir.join(".a.wasm.tmp"), "1").unwrap();
        differs("a temporary file", (false, false));
        std::fs::write(dir.join("a.wasm"), "12").unwrap();
        differs("another size", (true, false));
        std::fs::rename(dir.join("a.wasm"), dir.join("b.wasm")).unwrap();
        differs("another name", (true, false));
        std::fs::write(&file, "").unwrap();
        differs("a file of the configuration", (true, true));
        std::fs::remove_file(&file).unwrap();
        differs("which is gone", (true, true));
    }
}
