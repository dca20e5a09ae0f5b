//! `file:` destinations: each request becomes a line at the end of a file.
//!
//! The file is opened for each batch of lines and closed afterwards. Another program may therefore move it at any time;
//! the next batch creates a new file. The host rotates files if its settings say so (`file/rotation.rs`). Idle
//! destinations hold no open file. Missing folders of the path are created.

mod rotation;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::lines::Open;

pub use rotation::{FileSettings, FileSync};

/// A file that lines are appended to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Appending {
    path: PathBuf,
    settings: FileSettings,
}

impl Appending {
    /// Parses the part after `file:` of a URL: `///path`, `//localhost/path` or `/path`, with percent-encoding.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL.
    pub(super) fn parse(rest: &str, settings: FileSettings) -> Result<Appending, String> {
        let path = match rest.strip_prefix("//") {
            None => rest,
            Some(authority) => authority.strip_prefix("localhost").unwrap_or(authority),
        };
        if !path.starts_with('/') {
            return Err("a file URL needs three slashes and a whole path: file:///folder/name".into());
        }
        if path.contains(['?', '#']) {
            return Err("a file URL has neither query nor fragment; write ? as %3F and # as %23".into());
        }
        let bytes = decode(path).ok_or("`%` in a file URL needs two hex digits after it")?;
        if bytes.contains(&0) || bytes.ends_with(b"/") {
            return Err("a file URL must name a file".into());
        }
        let path = path_of(bytes)?;
        Ok(Appending { path, settings })
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Open for Appending {
    fn open(&self) -> io::Result<Box<dyn Write>> {
        self.settings.rotate(&self.path, SystemTime::now())?;
        let open = || File::options().append(true).create(true).open(&self.path);
        let file = match (open(), self.path.parent()) {
            (Err(error), Some(folder)) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(folder)?;
                open()?
            }
            (result, _) => result?,
        };
        Ok(match self.settings.sync {
            FileSync::Never => Box::new(file),
            FileSync::Always => Box::new(Synced(file)),
        })
    }

    /// Line breaks within the body become spaces. In JSON this does not change the meaning.
    fn push_line(&self, body: &[u8], line: &mut Vec<u8>) {
        line.extend(
            body.iter()
                .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }),
        );
    }
}

/// A file whose content is on the disk after `flush`.
struct Synced(File);

impl Write for Synced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.sync_data() {
            // A device or a pipe.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
            result => result,
        }
    }
}

/// Decodes `%` and two digits. `None` if digits are missing.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let digits = part
            .get(..2)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(part.get(2..)?.as_bytes());
    }
    Some(bytes)
}

#[cfg(unix)]
fn path_of(bytes: Vec<u8>) -> Result<PathBuf, String> {
    use std::os::unix::ffi::OsStringExt;
    Ok(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn path_of(bytes: Vec<u8>) -> Result<PathBuf, String> {
    String::from_utf8(bytes)
        .map(PathBuf::from)
        .map_err(|_| "a file URL must be UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_urls() {
        for (rest, want) in [
            ("///var/log/hook.log", "/var/log/hook.log"),
            ("//localhost/a", "/a"),
            ("/a", "/a"),
            ("///a%20b/%c3%A9", "/a b/é"),
            ("///ü/$x", "/ü/$x"),
        ] {
            assert_eq!(
                Appending::parse(rest, FileSettings::default()).unwrap().path(),
                Path::new(want),
                "{rest}"
            );
        }
        for rest in [
            "",
            "//",
            "///",
            "a",
            "//host/a",
            "//localhosta",
            "///a/",
            "///a?b",
            "///a#b",
            "///a%",
            "///a%+1",
            "///%00",
            "///a%é",
        ] {
            assert!(Appending::parse(rest, FileSettings::default()).is_err(), "{rest}");
        }
    }

    #[test]
    fn folders_are_created_and_lines_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/hook.log");
        let of = |path: &Path| Appending {
            path: path.to_owned(),
            settings: FileSettings {
                sync: FileSync::Always,
                ..FileSettings::default()
            },
        };
        let file = of(&path);
        file.open().unwrap().write_all(b"1\n").unwrap();
        file.open().unwrap().flush().unwrap();
        file.open().unwrap().write_all(b"2\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"1\n2\n");
        fs::rename(&path, folder.path().join("rotated")).unwrap();
        file.open().unwrap().write_all(b"3\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"3\n");
        assert!(of(folder.path()).open().is_err(), "a folder is no file");
    }

    #[test]
    fn one_body_is_one_line() {
        let mut line = Vec::new();
        Appending::parse("/x", FileSettings::default())
            .unwrap()
            .push_line(b"{\n \"a\":\r\n1}\t\xff", &mut line);
        assert_eq!(line, b"{  \"a\":  1}\t\xff");
    }
}
