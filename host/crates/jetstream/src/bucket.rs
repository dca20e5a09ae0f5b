//! The key-value bucket with the keys of hosts and partitions, such as `host.3f2a…` and `partition.12`.
//!
//! It is a bucket as the tools of NATS know it: `nats kv ls NAME-hosts`. A write names the revision that it replaces.

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use serde_json::json;

use super::api::{Api, ApiError, code, header_number};
use super::membership::Snapshot;
use super::settings::Settings;

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
        let name = format!("{}-hosts", settings.name);
        let configuration = json!({
            "name": format!("KV_{name}"),
            "subjects": [format!("$KV.{name}.>")],
            "max_msgs_per_subject": 1,
            "storage": "file",
            "num_replicas": settings.replicas,
            "discard": "new",
            "allow_direct": true,
            "allow_rollup_hdrs": true,
            "deny_delete": true,
            "allow_msg_ttl": true,
        });
        match api.ask(&format!("STREAM.CREATE.KV_{name}"), &configuration).await {
            Ok(_) => {}
            // An operator has changed it, for example its replicas.
            Err(error) if error.code() == Some(code::OTHER_STREAM) => {}
            Err(error) => return Err(error),
        }
        Ok(Bucket { api: api.clone(), name })
    }

    /// Writes a key whose last revision is `revision`; 0: it does not exist. Returns the new revision, or `None` if the key
    /// has another revision.
    ///
    /// # Errors
    ///
    /// [`ApiError`]. After [`ApiError::NoAnswer`] the key may be written.
    pub(super) async fn write(&self, key: &str, revision: u64, value: &str) -> Result<Option<u64>, ApiError> {
        self.change(key, revision, &[], Bytes::copy_from_slice(value.as_bytes()))
            .await
    }

    /// Deletes a key. The result is that of [`Bucket::write`].
    ///
    /// # Errors
    ///
    /// [`ApiError`]. After [`ApiError::NoAnswer`] the key may be deleted.
    pub(super) async fn delete(&self, key: &str, revision: u64) -> Result<Option<u64>, ApiError> {
        let headers = [("KV-Operation", "DEL"), ("Nats-TTL", MARK_AGE)];
        self.change(key, revision, &headers, Bytes::new()).await
    }

    async fn change(
        &self,
        key: &str,
        revision: u64,
        more: &[(&'static str, &'static str)],
        value: Bytes,
    ) -> Result<Option<u64>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Expected-Last-Subject-Sequence", revision.to_string());
        for (name, value) in more {
            headers.insert(*name, *value);
        }
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
        let question = json!({ "multi_last": [format!("$KV.{}.>", self.name)] });
        let (messages, end) = self.api.read_many(&format!("KV_{}", self.name), &question).await?;
        let mut snapshot = Snapshot::default();
        messages.iter().for_each(|message| self.add(&mut snapshot, message));
        if let Some(last) = end.and_then(|end| header_number(&end, "Nats-UpTo-Sequence")) {
            snapshot.last = last;
        }
        Ok(snapshot)
    }

    fn add(&self, snapshot: &mut Snapshot, message: &Message) {
        let prefix = format!("$KV.{}.", self.name);
        let header = |name: &str| message.headers.as_ref()?.get(name).map(|value| value.as_str());
        let (Some(subject), Some(revision)) = (header("Nats-Subject"), header_number(message, "Nats-Sequence")) else {
            return;
        };
        snapshot.last = snapshot.last.max(revision);
        let is_deleted = header("KV-Operation").is_some();
        match subject.strip_prefix(&prefix).and_then(|key| key.split_once('.')) {
            Some(("host", id)) if !is_deleted => {
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

/// The key of a host.
pub(super) fn host_key(id: &str) -> String {
    format!("host.{id}")
}

/// The key of a partition.
pub(super) fn partition_key(partition: u16) -> String {
    format!("partition.{partition}")
}
