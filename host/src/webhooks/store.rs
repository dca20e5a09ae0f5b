//! The text with the kept webhooks: a file in the data folder, or memory.
//!
//! A new text is written beside the file, flushed to the disk, and then takes the place of the file in one step. The file can
//! be read by its owner only, because it contains secrets.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{SharedWebhookStore, Table};
use crate::config::{KeptWebhooks, TextFile, WEBHOOKS, WEBHOOKS_FILE, is_absent};
use crate::new_file::{NewFile, sync_folder};

/// The first lines of the file.
const HEAD: &str = "# Webhooks that the dashboard, the command `hookhost webhooks` and the admin API have created.\n\
                    # hookhost rewrites this file at each change. After you edit it, run: hookhost modules rescan\n\n";
/// How the text is named in messages if it is in memory.
const IN_MEMORY: &str = "webhooks in memory";

/// Where the kept webhooks are.
pub(crate) enum KeptStore {
    /// In the data folder, or in the memory of this host.
    Own(WebhookStore),
    /// In a bucket that several hosts share.
    Shared(SharedWebhookStore),
}

impl KeptStore {
    /// The place for messages.
    pub(crate) fn name(&self) -> &Path {
        match self {
            KeptStore::Own(store) => store.name(),
            KeptStore::Shared(store) => store.name(),
        }
    }

    /// The file or the bucket; `None` in memory.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            KeptStore::Own(store) => store.file(),
            KeptStore::Shared(store) => Some(store.name()),
        }
    }

    /// The webhooks as they are now; `None`: they cannot be read, and the file in the data folder counts.
    pub(crate) fn read(&self) -> Option<KeptWebhooks> {
        match self {
            KeptStore::Own(store) => store.read().ok().map(KeptWebhooks::Own),
            KeptStore::Shared(store) => store.snapshot().map(|snapshot| KeptWebhooks::Shared(snapshot.webhooks)),
        }
    }

    /// These webhooks are in effect.
    pub(crate) fn set_active(&mut self, kept: KeptWebhooks) {
        match (self, kept) {
            (KeptStore::Own(store), KeptWebhooks::Own(file)) => store.text = file.text,
            (KeptStore::Shared(store), KeptWebhooks::Shared(webhooks)) => store.set_active(webhooks),
            // The copy in the data folder counts until the bucket was read.
            (KeptStore::Shared(_), KeptWebhooks::Own(_)) | (KeptStore::Own(_), KeptWebhooks::Shared(_)) => {}
        }
    }
}

/// The kept webhooks as text.
pub(crate) struct WebhookStore {
    /// `None`: in memory.
    path: Option<PathBuf>,
    /// The text that is in effect.
    text: String,
}

/// A text that does not have effect yet.
pub(crate) struct NewText {
    text: String,
    /// The file that contains it already; removed with this unless it is [committed](WebhookStore::commit).
    file: Option<NewFile>,
}

impl WebhookStore {
    /// The store of a data folder, or one in memory. `text` was read from it.
    pub(crate) fn new(data: Option<&Path>) -> io::Result<WebhookStore> {
        let mut store = WebhookStore {
            path: data.map(|dir| dir.join(WEBHOOKS_FILE)),
            text: String::new(),
        };
        store.text = store.read()?.text;
        Ok(store)
    }

    /// The file; `None` in memory.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The path for messages.
    pub(crate) fn name(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(IN_MEMORY))
    }

    /// The text as it is now: somebody may have edited the file.
    pub(crate) fn read(&self) -> io::Result<TextFile> {
        let text = match &self.path {
            None => Ok(self.text.clone()),
            Some(path) => fs::read_to_string(path),
        };
        let text = match text {
            Err(error) if is_absent(&error) => String::new(),
            text => text?,
        };
        Ok(TextFile {
            path: self.name().to_owned(),
            text,
        })
    }

    /// Whether the file is as it was when it took effect.
    pub(crate) fn is_unedited(&self) -> io::Result<bool> {
        Ok(self.read()?.text == self.text)
    }

    /// Writes a new text beside the file.
    pub(crate) fn prepare(&self, text: String) -> io::Result<NewText> {
        let Some(path) = &self.path else {
            return Ok(NewText { text, file: None });
        };
        let beside = path.with_extension("toml.new");
        // Another process never has the data folder, so a file that is left is from a crash.
        fs::remove_file(&beside).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let mut file = NewFile::create(beside, 0o600)?;
        file.write_all(text.as_bytes())?;
        file.file().sync_all()?;
        let file = Some(file);
        Ok(NewText { text, file })
    }

    /// Puts a new text in the place of the file. If only the folder cannot be written to the disk, the new text is in the
    /// file, but after a failure of the machine the old one may be.
    pub(crate) fn commit(&mut self, new: NewText) -> io::Result<()> {
        let NewText { text, file } = new;
        if let (Some(path), Some(file)) = (&self.path, file) {
            file.replace(path)?;
        }
        self.text = text;
        self.path.as_deref().map_or(Ok(()), sync_folder)
    }
}

/// Webhooks as the text of the file.
///
/// # Errors
///
/// What TOML cannot express.
pub(crate) fn text(table: &Table) -> Result<String, String> {
    text_below(HEAD, table)
}

/// Webhooks as a TOML text below a comment.
///
/// # Errors
///
/// What TOML cannot express.
pub(super) fn text_below(head: &str, table: &Table) -> Result<String, String> {
    let mut webhooks = toml::Table::new();
    for (name, settings) in table {
        let settings = toml::Value::try_from(Json::clone(settings)).map_err(|error| format!("{name}: {error}"))?;
        webhooks.insert(name.clone(), settings);
    }
    if webhooks.is_empty() {
        return Ok(head.to_owned());
    }
    let whole = toml::Table::from_iter([(WEBHOOKS.to_owned(), toml::Value::Table(webhooks))]);
    let body = toml::to_string(&whole).map_err(|error| error.to_string())?;
    Ok(format!("{head}{body}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn a_text_takes_the_place_of_the_file_in_one_step() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let mut store = WebhookStore::new(Some(dir.path())).unwrap();
        assert_eq!(store.read().unwrap().text, "");
        let new = store.prepare("one".to_owned()).unwrap();
        assert_eq!(store.read().unwrap().text, "", "not yet");
        store.commit(new).unwrap();
        let file = dir.path().join(WEBHOOKS_FILE);
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(store.is_unedited().unwrap());
        let refused = store.prepare("two".to_owned()).unwrap();
        drop(refused);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        fs::write(&file, "by hand").unwrap();
        assert!(!store.is_unedited().unwrap());
        assert_eq!(
            WebhookStore::new(Some(dir.path())).unwrap().read().unwrap().text,
            "by hand"
        );
    }

    #[test]
    fn the_text_is_toml_that_people_can_read() {
        let settings =
            json!({"url": "http://h/", "topics": ["a/#"], "headers": {"x-b": "\u{1}\"'ü"}, "rate_limit": 1.5});
        let table = Table::from([("w".to_owned(), Arc::new(settings.clone()))]);
        let text = text(&table).unwrap();
        assert!(text.contains("\n[webhooks.w]\n"), "{text}");
        let back: toml::Table = text.parse().unwrap();
        assert_eq!(serde_json::to_value(&back["webhooks"]["w"]).unwrap(), settings);
    }
}
