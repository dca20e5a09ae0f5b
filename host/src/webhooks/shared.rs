//! Webhooks that several hosts share: the keys of a bucket of NATS, one for each webhook, with its settings as JSON.
//!
//! Every host has all of them in memory, and a copy in its data folder: the file that would contain the webhooks of the host if
//! it did not share them. A host that starts without NATS uses the copy. Until NATS is back, webhooks cannot be changed.
//!
//! The entity tag of a webhook is the revision of its key, so it is the same on all hosts. A change is written with the
//! revisions that it replaces: if another host was faster, it is checked again with the newer settings.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value as Json;
use tracing::{error, warn};

use super::store::{WebhookStore, text_below};
use super::{ChangeError, Table};
use crate::config::{Config, SharedWebhook, SharedWebhooks};
use hookhost_jetstream::{KeyChange, KeyValue, KeyWriteError, SharedKeys, SharedOutbox};
use hookhost_settings::error_line;

/// How the first line of a copy begins.
const COPY_HEAD: &str = "# Copy of the webhooks in the bucket ";
/// Added to the name of the file with the webhooks that the host had before it shared them.
const OWN_ENDING: &str = "before-sharing";

/// The webhooks at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The webhooks.
    pub(crate) webhooks: SharedWebhooks,
    /// The revision that a change of a name replaces; a name that is missing has none.
    revisions: BTreeMap<String, u64>,
}

/// The shared webhooks.
pub(crate) struct SharedWebhookStore {
    keys: SharedKeys,
    /// The bucket in messages.
    name: PathBuf,
    /// The copy in the data folder, or one in memory.
    copy: WebhookStore,
    /// What is in effect; `None`: the copy.
    active: Option<SharedWebhooks>,
}

impl SharedWebhookStore {
    /// The webhooks in the bucket of an outbox. If the bucket was never written, it gets those of the data folder, which are
    /// part of `config`.
    ///
    /// # Errors
    ///
    /// The copy in the data folder cannot be read.
    pub(crate) fn open(outbox: &SharedOutbox, bucket: &str, config: &Config) -> io::Result<SharedWebhookStore> {
        Ok(SharedWebhookStore {
            keys: SharedKeys::open(outbox, bucket, known_webhooks(config)),
            name: PathBuf::from(format!("bucket {bucket}")),
            copy: WebhookStore::new(config.data.as_ref().map(|data| data.dir.as_path()))?,
            active: None,
        })
    }

    /// The bucket in messages.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// The bucket.
    pub(crate) fn keys(&self) -> SharedKeys {
        self.keys.clone()
    }

    /// The webhooks as they are in the bucket; `None`: they were not read yet.
    pub(crate) fn snapshot(&self) -> Option<Snapshot> {
        self.keys.values().map(|values| Snapshot::new(&self.name, values))
    }

    /// Whether these webhooks are in effect.
    pub(crate) fn is_active(&self, webhooks: &SharedWebhooks) -> bool {
        self.active.as_ref() == Some(webhooks)
    }

    /// Writes a table of all webhooks. `before` is what it is a change of.
    ///
    /// # Errors
    ///
    /// `Ok(false)`: another host was faster, and there is a newer snapshot. [`ChangeError`] otherwise.
    pub(crate) fn write(&self, before: &Snapshot, table: &Table) -> Result<bool, ChangeError> {
        let changes = before.changes(table).map_err(ChangeError::Write)?;
        match self.keys.write(&changes) {
            Ok(()) => Ok(true),
            Err(KeyWriteError::Conflict) => Ok(false),
            Err(error @ KeyWriteError::Refused(_)) => Err(ChangeError::Write(error.to_string())),
            Err(error) => Err(ChangeError::Unreachable(error.to_string())),
        }
    }

    /// Why webhooks cannot be changed at the moment.
    pub(crate) fn trouble(&self) -> Option<ChangeError> {
        self.keys.trouble().map(ChangeError::Unreachable)
    }

    /// These webhooks are in effect: updates the copy.
    pub(crate) fn set_active(&mut self, webhooks: SharedWebhooks) {
        if let Err(error) = self.write_copy(&webhooks) {
            let error = error_line(&error);
            error!(
                error,
                "the copy of the shared webhooks cannot be written; a start without NATS uses older ones"
            );
        }
        self.active = Some(webhooks);
    }

    fn write_copy(&mut self, webhooks: &SharedWebhooks) -> io::Result<()> {
        let text = copy_text(self.keys.bucket(), webhooks);
        let known = self.copy.read()?.text;
        if known == text {
            return Ok(());
        }
        if let Some(file) = self
            .copy
            .file()
            .filter(|_| !known.is_empty() && !known.starts_with(COPY_HEAD))
        {
            let kept = file.with_extension(format!("toml.{OWN_ENDING}"));
            fs::copy(file, &kept)?;
            warn!(
                file = %kept.display(),
                "the hosts share their webhooks now; those that only this host had are in this file; to add them, run: \
                 hookhost webhooks create --file FILE"
            );
        }
        let new = self.copy.prepare(text)?;
        self.copy.commit(new)
    }
}

/// The entity tag of a revision.
pub(super) fn etag(revision: u64) -> String {
    format!("r{revision}")
}

/// The kept webhooks of a configuration, as values of keys.
fn known_webhooks(config: &Config) -> BTreeMap<String, Bytes> {
    let kept = config.webhooks.iter().filter(|webhook| webhook.is_kept);
    let kept = kept.map(|webhook| (webhook.name.clone(), webhook.json()));
    let left_out = config
        .left_out_webhooks
        .iter()
        .map(|webhook| (webhook.name.clone(), webhook.json()));
    kept.chain(left_out)
        .map(|(name, json)| (name, json.to_string().into()))
        .collect()
}

/// The text of the copy. A webhook that TOML cannot express is left out; this host does not use it anyway.
fn copy_text(bucket: &str, webhooks: &SharedWebhooks) -> String {
    let head = format!(
        "{COPY_HEAD}{bucket} of NATS, for a start without NATS. hookhost\n\
         # replaces this file at each change; it does not read your changes.\n\n"
    );
    let mut table = Table::new();
    for (name, webhook) in &webhooks.webhooks {
        let one = Table::from([(name.clone(), Arc::clone(&webhook.settings))]);
        if text_below("", &one).is_ok() {
            table.extend(one);
        }
    }
    text_below(&head, &table).unwrap_or(head)
}

impl Snapshot {
    fn new(place: &Path, values: BTreeMap<String, KeyValue>) -> Snapshot {
        let revisions = values
            .iter()
            .map(|(name, value)| (name.clone(), value.revision))
            .collect();
        let webhook = |(name, KeyValue { revision, value })| {
            let settings = serde_json::from_slice(&value?).unwrap_or(Json::Null);
            let settings = Arc::new(settings);
            Some((name, SharedWebhook { settings, revision }))
        };
        Snapshot {
            webhooks: SharedWebhooks {
                place: place.to_owned(),
                webhooks: values.into_iter().filter_map(webhook).collect(),
            },
            revisions,
        }
    }

    /// The settings by name.
    pub(crate) fn table(&self) -> Table {
        let webhooks = self.webhooks.webhooks.iter();
        webhooks
            .map(|(name, webhook)| (name.clone(), Arc::clone(&webhook.settings)))
            .collect()
    }

    /// The entity tag of a webhook; empty if it does not exist.
    pub(crate) fn tag(&self, name: &str) -> String {
        self.webhooks
            .webhooks
            .get(name)
            .map_or_else(String::new, |webhook| etag(webhook.revision))
    }

    /// The keys that a new table changes.
    ///
    /// # Errors
    ///
    /// What JSON cannot express.
    fn changes(&self, table: &Table) -> Result<Vec<KeyChange>, String> {
        let before = self.table();
        let gone = before
            .keys()
            .filter(|name| !table.contains_key(*name))
            .map(|name| (name, None));
        let new = table
            .iter()
            .filter(|(name, settings)| before.get(*name) != Some(*settings));
        let mut changes = Vec::new();
        for (name, settings) in gone.chain(new.map(|(name, settings)| (name, Some(settings)))) {
            let value = settings.map(|settings| serde_json::to_vec(&**settings));
            let value = value.transpose().map_err(|error| error.to_string())?;
            changes.push(KeyChange {
                key: name.clone(),
                revision: self.revisions.get(name).copied().unwrap_or(0),
                value: value.map(Bytes::from),
                lifetime: None,
            });
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn snapshot(values: &[(&str, u64, Option<&'static str>)]) -> Snapshot {
        let value = |(name, revision, value): &(&str, u64, Option<&'static str>)| {
            let value = value.map(|value| Bytes::from_static(value.as_bytes()));
            (
                name.to_string(),
                KeyValue {
                    revision: *revision,
                    value,
                },
            )
        };
        Snapshot::new(Path::new("bucket b"), values.iter().map(value).collect())
    }

    #[test]
    fn changes_name_the_revisions_that_they_replace() {
        let before = snapshot(&[
            ("same", 1, Some("{}")),
            ("other", 2, Some("{}")),
            ("gone", 3, Some("{}")),
            ("again", 4, None),
        ]);
        let mut table = before.table();
        table.remove("gone");
        for name in ["other", "again", "new"] {
            table.insert(name.to_owned(), Arc::new(json!({"url": "u"})));
        }
        let changes = before.changes(&table).unwrap();
        let shown: Vec<_> = changes
            .iter()
            .map(|change| (change.key.as_str(), change.revision, change.value.is_some()))
            .collect();
        assert_eq!(
            shown,
            [
                ("gone", 3, false),
                ("again", 4, true),
                ("new", 0, true),
                ("other", 2, true)
            ]
        );
        assert_eq!(
            (before.tag("same"), before.tag("again")),
            ("r1".to_owned(), String::new())
        );
    }

    #[test]
    fn the_copy_contains_what_toml_can_express() {
        let snapshot = snapshot(&[
            ("a", 1, Some("{\"url\":\"http://h/\"}")),
            ("newer", 2, Some("{\"url\":null}")),
            ("text", 3, Some("no JSON")),
        ]);
        assert_eq!(*snapshot.webhooks.webhooks["text"].settings, Json::Null);
        let text = copy_text("b", &snapshot.webhooks);
        assert!(
            text.starts_with("# Copy of the webhooks in the bucket b of NATS"),
            "{text}"
        );
        assert!(text.ends_with("\n\n[webhooks.a]\nurl = \"http://h/\"\n"), "{text}");
    }
}
