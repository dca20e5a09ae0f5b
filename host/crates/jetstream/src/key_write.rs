//! Changes of the keys of a bucket: one atomic batch, with the revisions that it replaces.

use std::time::Duration;

use async_nats::HeaderMap;
use bytes::Bytes;
use serde_json::{Value, json};

use super::api::{ApiError, TIMEOUT, code};
use super::bucket_form::{are_of_deletion, mark_deletion};
use super::key_table::KeyUpdate;
use super::random_id::random_id;
use super::shared_keys::{Inner, State};

/// Keys of one write. The server accepts this many messages in an atomic batch.
pub(super) const MAX_BATCH: usize = 1_000;

/// How long the server keeps the mark of a deleted key. A host that was away for longer reads all keys anew.
const MARK_AGE: &str = "1h";

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The key: letters, digits, `-`, `_`, `=`, `/` and dots between them.
    pub key: String,
    /// The revision that the change replaces, also that of a deletion; 0: the key does not exist.
    pub revision: u64,
    /// The new value; `None` deletes the key.
    pub value: Option<Bytes>,
    /// The server deletes the key after this time, in whole seconds; `None`: it does not.
    pub lifetime: Option<Duration>,
}

/// Why keys were not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyWriteError {
    /// A key has another revision: another host has changed it. The newer values are known now.
    #[error("another host has changed it")]
    Conflict,
    /// NATS cannot be reached, or the bucket cannot be used. Nothing is changed.
    #[error("{0}")]
    Unavailable(String),
    /// NATS has not answered in time. The change may have effect.
    #[error("NATS has not confirmed the change, which may have effect: {0}")]
    Unconfirmed(String),
    /// There are too many keys in one change.
    #[error("one change has at most {MAX_BATCH} keys")]
    TooMany,
    /// NATS refuses the change, for example because a value is too large.
    #[error("NATS refuses the change: {0}")]
    Refused(String),
}

impl Inner {
    /// Changes keys, all or none.
    ///
    /// # Errors
    ///
    /// [`KeyWriteError`].
    pub(super) async fn write(&self, changes: &[KeyChange]) -> Result<(), KeyWriteError> {
        if changes.is_empty() {
            return Ok(());
        }
        if changes.len() > MAX_BATCH {
            return Err(KeyWriteError::TooMany);
        }
        let state = self.state.borrow().clone();
        match state {
            State::Current if self.api.is_connected() => {}
            State::Current => return Err(KeyWriteError::Unavailable("NATS cannot be reached".to_owned())),
            State::Away(reason) | State::OtherForm(reason) => return Err(KeyWriteError::Unavailable(reason)),
        }
        let last = match self.publish(changes, None).await {
            Ok(last) => last,
            Err(error) if error.code() == Some(code::OTHER_REVISION) => {
                for change in changes {
                    self.read_again(&change.key).await.map_err(unavailable)?;
                }
                self.changed();
                return Err(KeyWriteError::Conflict);
            }
            Err(ApiError::NoAnswer(text)) => return Err(KeyWriteError::Unconfirmed(text)),
            Err(error) => return Err(KeyWriteError::Refused(error.to_string())),
        };
        // The messages of a batch have consecutive sequences.
        let first = last.saturating_sub(changes.len() as u64 - 1);
        let mut known = self.lock();
        for (change, revision) in changes.iter().zip(first..) {
            known.table.apply(KeyUpdate {
                key: change.key.clone(),
                revision,
                value: change.value.clone(),
            });
        }
        Ok(())
    }

    /// Publishes changes as a batch, which is stored as a whole or not at all. `last` is the last revision that the whole
    /// bucket must have. Returns the revision of the last change.
    pub(super) async fn publish(&self, changes: &[KeyChange], last: Option<u64>) -> Result<u64, ApiError> {
        let batch = (changes.len() > 1).then(random_id);
        let mut revision = 0;
        for (change, number) in changes.iter().zip(1_usize..) {
            let mut headers = HeaderMap::new();
            match last {
                // A bucket without messages has no revisions of keys.
                Some(last) if number == 1 => headers.insert("Nats-Expected-Last-Sequence", last.to_string()),
                Some(_) => {}
                None => headers.insert("Nats-Expected-Last-Subject-Sequence", change.revision.to_string()),
            }
            if change.value.is_none() {
                mark_deletion(&mut headers, MARK_AGE);
            }
            if let Some(lifetime) = change.lifetime {
                headers.insert("Nats-TTL", format!("{}s", lifetime.as_secs()));
            }
            if self.form.removes_earlier {
                headers.insert("Nats-Rollup", "sub");
            }
            if let Some(batch) = &batch {
                headers.insert("Nats-Batch-Id", &**batch);
                headers.insert("Nats-Batch-Sequence", number.to_string());
                if number == changes.len() {
                    headers.insert("Nats-Batch-Commit", "1");
                }
            }
            let (subject, value) = (self.form.subject(&change.key), change.value.clone().unwrap_or_default());
            if number == changes.len() {
                revision = self.api.publish(subject, headers, value).await?;
            } else {
                let sent = self.api.client.publish_with_headers(subject, headers, value);
                let sent = tokio::time::timeout(TIMEOUT, sent).await;
                let sent = sent.map_err(|_| ApiError::NoAnswer("there is no connection".to_owned()))?;
                sent.map_err(|error| ApiError::NoAnswer(error.to_string()))?;
            }
        }
        Ok(revision)
    }

    /// Asks the leader for the value of a key.
    async fn read_again(&self, key: &str) -> Result<(), ApiError> {
        let question = json!({ "last_by_subj": self.form.subject(key) });
        let answer = self
            .api
            .ask(&format!("STREAM.MSG.GET.{}", self.form.stream()), &question)
            .await;
        let answer = match answer {
            Err(error) if error.code() == Some(code::NO_MESSAGE) => {
                self.lock().table.forget(key);
                return Ok(());
            }
            answer => answer?,
        };
        let update = stored(key, &answer).ok_or_else(|| ApiError::Unreadable("a key without revision".to_owned()))?;
        self.lock().table.apply(update);
        Ok(())
    }
}

fn unavailable(error: ApiError) -> KeyWriteError {
    KeyWriteError::Unavailable(error.to_string())
}

/// A key as `STREAM.MSG.GET` answers it.
fn stored(key: &str, answer: &Value) -> Option<KeyUpdate> {
    use base64::Engine as _;
    let message = answer.get("message")?;
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).ok();
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let headers = decode(text("hdrs").unwrap_or_default())?;
    let is_deletion = are_of_deletion(&String::from_utf8_lossy(&headers));
    let value = decode(text("data").unwrap_or_default())?;
    Some(KeyUpdate {
        key: key.to_owned(),
        revision: message.get("seq")?.as_u64()?,
        value: (!is_deletion).then(|| value.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_key_is_a_value_or_the_mark_of_a_deletion() {
        // The headers of the second one are `NATS/1.0` and `KV-Operation: DEL`.
        let value = json!({"message": {"seq": 3, "data": "e30="}});
        let mark = json!({"message": {"seq": 4, "hdrs": "TkFUUy8xLjANCktWLU9wZXJhdGlvbjogREVMDQoNCg=="}});
        let read = |answer| stored("k", &answer).map(|update| (update.revision, update.value));
        assert_eq!(read(value), Some((3, Some(Bytes::from_static(b"{}")))));
        assert_eq!(read(mark), Some((4, None)));
        assert_eq!(read(json!({})), None);
    }
}
