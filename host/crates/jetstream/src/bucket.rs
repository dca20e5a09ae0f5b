//! The key-value bucket with the keys of hosts and partitions, such as `host.3f2a…` and `partition.12`.
//!
//! It is a bucket as the tools of NATS know it: `nats kv ls NAME-hosts`. A write names the revision that it replaces.

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use serde_json::json;

use super::api::{Api, ApiError, code, header, header_number};
use super::bucket_form::{BucketForm, is_deletion, mark_deletion};
use super::membership::Snapshot;
use super::settings::Settings;
use super::sharing_host::SharingHost;

/// How long the server keeps the mark of a deleted key. Longer than a host can be paused and then write with an old revision
/// that would match again: it cannot, because a missing key has no revision.
const MARK_AGE: &str = "1h";

/// The bucket.
#[derive(Clone)]
pub(super) struct Bucket {
    api: Api,
    name: String,
}

impl Bucket {
    /// Creates the bucket if it does not exist.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub(super) async fn prepare(api: &Api, settings: &Settings) -> Result<Bucket, ApiError> {
        let bucket = Bucket::of(api, settings);
        prepare_bucket(api, &bucket.name, settings.replicas).await?;
        Ok(bucket)
    }

    /// The bucket of these settings, which may not exist.
    pub(super) fn of(api: &Api, settings: &Settings) -> Bucket {
        Bucket {
            api: api.clone(),
            name: format!("{}-hosts", settings.name),
        }
    }

    /// Writes a key whose last revision is `revision`; 0: it does not exist. Returns the new revision, or `None` if the key
    /// has another revision.
    ///
    /// # Errors
    ///
    /// [`ApiError`]. After [`ApiError::NoAnswer`] the key may be written.
    pub(super) async fn write(&self, key: &str, revision: u64, value: &str) -> Result<Option<u64>, ApiError> {
        self.change(
            key,
            revision,
            HeaderMap::new(),
            Bytes::copy_from_slice(value.as_bytes()),
        )
        .await
    }

    /// Deletes a key. The result is that of [`Bucket::write`].
    ///
    /// # Errors
    ///
    /// [`ApiError`]. After [`ApiError::NoAnswer`] the key may be deleted.
    pub(super) async fn delete(&self, key: &str, revision: u64) -> Result<Option<u64>, ApiError> {
        let mut headers = HeaderMap::new();
        mark_deletion(&mut headers, MARK_AGE);
        self.change(key, revision, headers, Bytes::new()).await
    }

    async fn change(
        &self,
        key: &str,
        revision: u64,
        mut headers: HeaderMap,
        value: Bytes,
    ) -> Result<Option<u64>, ApiError> {
        headers.insert("Nats-Expected-Last-Subject-Sequence", revision.to_string());
        let subject = format!("$KV.{}.{key}", self.name);
        match self.api.publish(subject, headers, value).await {
            Ok(revision) => Ok(Some(revision)),
            Err(error) if error.code() == Some(code::OTHER_REVISION) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads all keys.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub(super) async fn read(&self) -> Result<Snapshot, ApiError> {
        let (messages, last) = self.messages().await?;
        Ok(self.snapshot(&messages, last))
    }

    /// Reads the hosts with the values of their keys.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub(super) async fn hosts(&self) -> Result<Vec<SharingHost>, ApiError> {
        let (messages, last) = self.messages().await?;
        let snapshot = self.snapshot(&messages, last);
        let values = messages.iter().filter_map(|message| {
            let Some(("host", id)) = self.key(message) else {
                return None;
            };
            let is_written = snapshot.hosts.contains_key(id);
            is_written.then(|| SharingHost::new(id, &snapshot, message.payload.clone()))
        });
        Ok(values.collect())
    }

    /// Reads the last message of each key, and the last revision in the bucket.
    async fn messages(&self) -> Result<(Vec<Message>, Option<u64>), ApiError> {
        let question = json!({ "multi_last": [format!("$KV.{}.>", self.name)] });
        let (messages, end) = self.api.read_many(&format!("KV_{}", self.name), &question).await?;
        let last = end.and_then(|end| header_number(&end, "Nats-UpTo-Sequence"));
        Ok((messages, last))
    }

    fn snapshot(&self, messages: &[Message], last: Option<u64>) -> Snapshot {
        let mut snapshot = Snapshot::default();
        messages.iter().for_each(|message| self.add(&mut snapshot, message));
        snapshot.last = last.unwrap_or(snapshot.last);
        snapshot
    }

    /// The kind of a key, `host` or `partition`, and what it is the key of.
    fn key<'a>(&self, message: &'a Message) -> Option<(&'a str, &'a str)> {
        let key = header(message, "Nats-Subject")?.strip_prefix("$KV.")?;
        key.strip_prefix(&self.name)?.strip_prefix('.')?.split_once('.')
    }

    fn add(&self, snapshot: &mut Snapshot, message: &Message) {
        let Some(revision) = header_number(message, "Nats-Sequence") else {
            return;
        };
        snapshot.last = snapshot.last.max(revision);
        match self.key(message) {
            Some(("host", id)) if !is_deletion(message) => {
                snapshot.hosts.insert(id.to_owned(), revision);
            }
            Some(("partition", partition)) => {
                if let Ok(partition) = partition.parse() {
                    let owner = String::from_utf8_lossy(&message.payload).into_owned();
                    snapshot.partitions.insert(partition, (revision, owner));
                }
            }
            _ => {}
        }
    }
}

/// Creates a bucket if it does not exist. It keeps the last value of each key.
///
/// # Errors
///
/// [`ApiError`].
pub(super) async fn prepare_bucket(api: &Api, name: &str, replicas: u8) -> Result<(), ApiError> {
    let form = BucketForm::key_value(name, replicas);
    match api
        .ask(&format!("STREAM.CREATE.{}", form.stream()), &form.configuration)
        .await
    {
        Ok(_) => Ok(()),
        // An operator has changed it, for example its replicas.
        Err(error) if error.code() == Some(code::OTHER_STREAM) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The key of a host.
pub(super) fn host_key(id: &str) -> String {
    format!("host.{id}")
}

/// The key of a partition.
pub(super) fn partition_key(partition: u16) -> String {
    format!("partition.{partition}")
}
