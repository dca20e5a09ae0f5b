//! The files that a configuration includes: `include "other.conf"` in HOCON, `include other.conf` in the lines of EMQX 4.
//!
//! As in EMQX, a path is relative to the folder of the file that includes it, a missing file is left out unless the
//! statement says `required`, and a file must not include itself. hookhost also bounds how much is included.

use std::io;
use std::path::{Component, Path, PathBuf};

use hookhost_settings::{Files, Place};

/// A line of one of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    /// The number of the file.
    pub(super) file: usize,
    pub(super) line: usize,
}

/// Includes of one configuration, those of the same file counted each time.
const INCLUDES: usize = 200;
/// Bytes of all included text.
const BYTES: usize = 16 << 20;

/// The files of one configuration.
pub(super) struct Includes<'f> {
    files: &'f Files<'f>,
    /// The first file and those that it includes, by number.
    pub(super) paths: Vec<PathBuf>,
    /// Files that do not exist.
    pub(super) missing: Vec<PathBuf>,
    /// Missing files that would contain users or access rules, because of the keys around their statement.
    pub(super) missing_restrictions: Vec<(At, MissingRestriction)>,
    /// Mistakes in all files.
    pub(super) errors: Vec<(At, String)>,
    /// Warnings about all files.
    pub(super) warnings: Vec<(At, String)>,
    /// The numbers of the files that include each other down to the one that is being read.
    open: Vec<usize>,
    bytes: usize,
}

/// A missing file that would contain users or access rules.
pub(super) struct MissingRestriction {
    pub(super) text: String,
    pub(super) is_about_users: bool,
    pub(super) is_about_rules: bool,
}

/// An included file.
pub(super) struct Loaded {
    pub(super) file: usize,
    pub(super) text: String,
}

impl<'f> Includes<'f> {
    pub(super) fn of(first: &Path, files: &'f Files<'f>) -> Includes<'f> {
        let (missing, missing_restrictions, errors, warnings) = Default::default();
        Includes {
            files,
            paths: vec![first.to_owned()],
            missing,
            missing_restrictions,
            errors,
            warnings,
            open: vec![0],
            bytes: 0,
        }
    }

    /// For a text that is no file.
    pub(super) fn none() -> Includes<'static> {
        Includes::of(Path::new(""), &|_| Err(io::ErrorKind::Unsupported.into()))
    }

    /// Reads a file that is included at a place. `None` if it does not exist and need not.
    pub(super) fn load(&mut self, at: At, name: &str, is_required: bool) -> Result<Option<Loaded>, String> {
        let folder = self
            .paths
            .get(at.file)
            .and_then(|path| path.parent())
            .unwrap_or(Path::new(""));
        let path = folder.join(name);
        let normal = normal(&path);
        let is_open = |file: &usize| self.paths.get(*file).is_some_and(|open| self::normal(open) == normal);
        if let Some(from) = self.open.iter().position(is_open) {
            let circle = self.open.iter().skip(from).filter_map(|file| self.paths.get(*file));
            let names: String = circle.map(|path| format!("{} includes ", path.display())).collect();
            return Err(format!("{names}{}: a file must not include itself", path.display()));
        }
        if self.paths.len() > INCLUDES {
            return Err(format!("includes more than {INCLUDES} files"));
        }
        let cannot = |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", path.display());
        let bytes = match (self.files)(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_required => {
                let text = format!(
                    "{} does not exist and is left out; include required(\"…\") makes this an error",
                    path.display()
                );
                self.warnings.push((at, text));
                self.missing.push(path);
                return Ok(None);
            }
            Err(error) => {
                let text = cannot(&error);
                self.missing.push(path);
                return Err(text);
            }
            Ok(bytes) => bytes,
        };
        let text = String::from_utf8(bytes).map_err(|_| cannot(&"not UTF-8"))?;
        self.bytes += text.len();
        if self.bytes > BYTES {
            return Err(format!("includes more than {} MiB", BYTES >> 20));
        }
        let file = self.paths.len();
        self.paths.push(path);
        self.open.push(file);
        Ok(Some(Loaded { file, text }))
    }

    /// A file that does not exist is included below these keys.
    pub(super) fn note_missing(&mut self, at: At, name: &str, keys: &[String]) {
        let has = |names: &[&str]| keys.iter().any(|key| names.contains(&key.as_str()));
        let (is_about_users, is_about_rules) = match keys.first().map(String::as_str) {
            Some("auth") if has(&["acl"]) => (false, true),
            Some("auth") if has(&["password"]) => (true, false),
            Some("auth") => (true, true),
            Some("authentication") => (true, false),
            Some("authorization") => (false, true),
            _ => (false, false),
        };
        if is_about_users || is_about_rules {
            let key = keys.join(".");
            let text = format!(
                "{key} includes {name}, which does not exist: this file may contain users or access rules; put it there, or \
                 use an own [[authentication]] and [access]"
            );
            let missing = MissingRestriction {
                text,
                is_about_users,
                is_about_rules,
            };
            self.missing_restrictions.push((at, missing));
        }
    }

    /// The place of a line.
    pub(super) fn place(&self, at: At, key: &str) -> Place {
        let path = self.paths.get(at.file).map_or(Path::new(""), PathBuf::as_path);
        Place::line(path, at.line, key)
    }

    /// All files that are included, also those that do not exist.
    pub(super) fn included(&self) -> impl Iterator<Item = PathBuf> {
        self.paths.iter().skip(1).chain(&self.missing).cloned()
    }

    /// Marks a file as read.
    pub(super) fn leave(&mut self, file: usize) {
        self.open.retain(|open| *open != file);
    }
}

/// A path without `.` and `..`, as far as the text shows.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_without_dots() {
        for (path, expected) in [
            ("a/./b", "a/b"),
            ("a/../b", "b"),
            ("../a", "../a"),
            ("a/../../b", "../b"),
            ("/a/../b", "/b"),
            ("./a", "a"),
        ] {
            assert_eq!(normal(Path::new(path)), Path::new(expected), "{path}");
        }
    }

    #[test]
    fn the_number_of_files_is_bounded() {
        let files: &Files<'_> = &|_| Ok(Vec::new());
        let mut includes = Includes::of(Path::new("a"), files);
        let at = At { file: 0, line: 1 };
        for _ in 0..INCLUDES {
            let loaded = includes.load(at, "b", false).ok().flatten();
            includes.leave(loaded.map_or(0, |loaded| loaded.file));
        }
        let refused = includes.load(at, "b", false).err();
        assert_eq!(refused.as_deref(), Some("includes more than 200 files"));
    }
}
