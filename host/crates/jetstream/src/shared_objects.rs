//! [`SharedObjects`]: an object store of NATS (NATS ADR-20), whose list every host has in memory.
//!
//! ```text
//! $O.BUCKET.C.ID     the content of an object, in chunks
//! $O.BUCKET.M.NAME   what is known about it: the id of its content, its size and its hash
//! ```
//!
//! An object is written before its name: a reader finds the whole content, or the previous object. The tools of NATS know the
//! store: `nats object put BUCKET FILE`.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::api::{Api, ApiError};
use super::bucket_form::BucketForm;
use super::key_write::{KeyChange, KeyWriteError};
use super::last_messages::{Begin, LastMessages};
use super::random_id::random_id;
use super::shared_keys::SharedKeys;
use super::shared_outbox::SharedOutbox;

/// Size of a chunk, as the tools of NATS write them.
const CHUNK_BYTES: usize = 128 << 10;

/// What an object store knows about an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    /// Its name.
    pub name: String,
    bucket: String,
    nuid: String,
    /// Its size in bytes.
    pub size: u64,
    #[serde(default = "no_time")]
    mtime: String,
    chunks: u64,
    /// `SHA-256=` and the hash of its content, in base64 for URLs.
    #[serde(default)]
    pub digest: String,
    /// It was removed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deleted: bool,
    /// What was noted about it.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Counts the writes of the whole store.
    #[serde(skip)]
    pub revision: u64,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The server knows the time of a message. The tools of NATS expect this one in its content.
fn no_time() -> String {
    "0001-01-01T00:00:00Z".to_owned()
}

/// Why an object was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// Another host has written it meanwhile.
    #[error("another host has changed it")]
    Conflict,
    /// NATS cannot be reached, or refuses the request.
    #[error("{0}")]
    Unavailable(String),
    /// The content is not the one that the store describes.
    #[error("the content of the object does not have the size and the hash that its store names")]
    Damaged,
}

impl From<ApiError> for ObjectError {
    fn from(error: ApiError) -> ObjectError {
        ObjectError::Unavailable(error.to_string())
    }
}

impl From<KeyWriteError> for ObjectError {
    fn from(error: KeyWriteError) -> ObjectError {
        match error {
            KeyWriteError::Conflict => ObjectError::Conflict,
            error => ObjectError::Unavailable(error.to_string()),
        }
    }
}

/// An object store. Clones are handles of the same store.
#[derive(Clone)]
pub struct SharedObjects {
    keys: SharedKeys,
    api: Api,
    runtime: tokio::runtime::Handle,
}

impl std::fmt::Debug for SharedObjects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SharedObjects").field(&self.keys.bucket()).finish()
    }
}

impl SharedObjects {
    /// Opens a store on the connection of an outbox, and creates it if it does not exist. Does not block.
    pub fn open(outbox: &SharedOutbox, bucket: &str) -> SharedObjects {
        let parts = outbox.parts();
        let form = BucketForm {
            configuration: json!({
                "name": format!("OBJ_{bucket}"),
                "subjects": [format!("$O.{bucket}.C.>"), format!("$O.{bucket}.M.>")],
                "storage": "file",
                "num_replicas": parts.replicas,
                "discard": "new",
                "allow_direct": true,
                "allow_rollup_hdrs": true,
            }),
            prefix: format!("$O.{bucket}.M."),
            removes_earlier: true,
        };
        SharedObjects {
            keys: SharedKeys::open_as(outbox, bucket, form, BTreeMap::new()),
            api: parts.api,
            runtime: parts.runtime,
        }
    }

    /// The list of the store: its values are only what is known about objects.
    pub fn keys(&self) -> &SharedKeys {
        &self.keys
    }

    /// The objects by name, removed ones included; `None` before the list was read for the first time. An object that cannot
    /// be understood is left out.
    pub fn list(&self) -> Option<BTreeMap<String, ObjectInfo>> {
        let objects = self.keys.values()?.into_values().filter_map(|value| {
            let mut info: ObjectInfo = serde_json::from_slice(&value.value?).ok()?;
            info.revision = value.revision;
            Some((info.name.clone(), info))
        });
        Some(objects.collect())
    }

    /// Reads an object. Blocks the calling thread. Never call it from an async task.
    ///
    /// # Errors
    ///
    /// [`ObjectError`].
    pub fn get(&self, info: &ObjectInfo) -> Result<Vec<u8>, ObjectError> {
        let content = self.runtime.block_on(self.read(info))?;
        if content.len() as u64 != info.size || object_digest(&content) != info.digest {
            return Err(ObjectError::Damaged);
        }
        Ok(content)
    }

    async fn read(&self, info: &ObjectInfo) -> Result<Vec<u8>, ObjectError> {
        let bucket = self.keys.bucket();
        let filter = format!("$O.{bucket}.C.{}", info.nuid);
        let mut messages = LastMessages::open(&self.api, &format!("OBJ_{bucket}"), &filter, Begin::First).await?;
        let mut content = Vec::new();
        while !messages.is_current() {
            let message = messages.next().await;
            let lost = || ObjectError::Unavailable("the connection to NATS is lost".to_owned());
            content.extend_from_slice(&message.ok_or_else(lost)?.bytes);
            if content.len() as u64 > info.size {
                return Err(ObjectError::Damaged);
            }
        }
        Ok(content)
    }

    /// Writes an object with notes, in place of `replaced`; `None`: no object had its name before. Blocks the calling thread.
    /// Never call it from an async task.
    ///
    /// # Errors
    ///
    /// [`ObjectError`].
    pub fn put(
        &self,
        name: &str,
        content: &[u8],
        replaced: Option<&ObjectInfo>,
        metadata: BTreeMap<String, String>,
    ) -> Result<(), ObjectError> {
        let bucket = self.keys.bucket().to_owned();
        let nuid = random_id() + &random_id();
        let subject = format!("$O.{bucket}.C.{nuid}");
        let mut chunks = 0;
        for chunk in content.chunks(CHUNK_BYTES) {
            let sent = self
                .api
                .publish(subject.clone(), HeaderMap::new(), Bytes::copy_from_slice(chunk));
            self.runtime.block_on(sent)?;
            chunks += 1;
        }
        let info = ObjectInfo {
            name: name.to_owned(),
            bucket,
            nuid: nuid.clone(),
            size: content.len() as u64,
            mtime: no_time(),
            chunks,
            digest: object_digest(content),
            deleted: false,
            metadata,
            revision: replaced.map_or(0, |replaced| replaced.revision),
        };
        match self.write(&info) {
            Ok(()) => {
                if let Some(replaced) = replaced {
                    self.remove_content(&replaced.nuid);
                }
                Ok(())
            }
            Err(ObjectError::Conflict) => {
                self.remove_content(&nuid);
                Err(ObjectError::Conflict)
            }
            // The name may be written: then its content must stay.
            Err(error) => Err(error),
        }
    }

    /// Removes an object. Blocks the calling thread. Never call it from an async task.
    ///
    /// # Errors
    ///
    /// [`ObjectError`].
    pub fn remove(&self, info: &ObjectInfo) -> Result<(), ObjectError> {
        self.write(&removed(info))?;
        self.remove_content(&info.nuid);
        Ok(())
    }

    /// Gives an object another name, without its notes; `replaced` is the removed object that had it. Blocks the calling
    /// thread. Never call it from an async task.
    ///
    /// # Errors
    ///
    /// [`ObjectError`]. The object may have both names then.
    pub fn rename(&self, info: &ObjectInfo, name: &str, replaced: Option<&ObjectInfo>) -> Result<(), ObjectError> {
        let renamed = ObjectInfo {
            name: name.to_owned(),
            revision: replaced.map_or(0, |replaced| replaced.revision),
            metadata: BTreeMap::new(),
            ..info.clone()
        };
        self.write(&renamed)?;
        self.write(&removed(info))
    }

    /// Writes what is known about an object, in place of its revision.
    fn write(&self, info: &ObjectInfo) -> Result<(), ObjectError> {
        let value = serde_json::to_vec(info).map_err(|error| ObjectError::Unavailable(error.to_string()))?;
        let change = KeyChange {
            key: BASE64.encode(&info.name),
            revision: info.revision,
            value: Some(value.into()),
            lifetime: None,
        };
        Ok(self.keys.write(&[change])?)
    }

    /// Removes the chunks of an object that has no name anymore. Chunks that stay take space and have no effect.
    fn remove_content(&self, nuid: &str) {
        let bucket = self.keys.bucket();
        let subject = format!("STREAM.PURGE.OBJ_{bucket}");
        let filter = json!({ "filter": format!("$O.{bucket}.C.{nuid}") });
        self.runtime.block_on(self.api.ask(&subject, &filter)).ok();
    }
}

/// What is known about an object that is removed.
fn removed(info: &ObjectInfo) -> ObjectInfo {
    ObjectInfo {
        size: 0,
        chunks: 0,
        digest: String::new(),
        deleted: true,
        ..info.clone()
    }
}

/// The hash of a content, as an object store writes it.
pub fn object_digest(content: &[u8]) -> String {
    format!("SHA-256={}", BASE64.encode(Sha256::digest(content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_of_nats_write_is_understood() {
        let text = json!({
            "name": "a.wasm", "bucket": "b", "nuid": "N1", "size": 3, "mtime": "2026-01-01T00:00:00Z", "chunks": 1,
            "digest": object_digest(b"abc"), "options": { "max_chunk_size": 131_072 },
        });
        let info: ObjectInfo = serde_json::from_value(text).unwrap();
        assert_eq!((info.size, info.deleted, info.metadata.len()), (3, false, 0));
        assert_eq!(info.digest, "SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=");
        let text = serde_json::to_value(removed(&info)).unwrap();
        assert_eq!(
            (&text["deleted"], &text["size"], &text["digest"]),
            (&json!(true), &json!(0), &json!(""))
        );
    }
}
