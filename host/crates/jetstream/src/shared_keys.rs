//! [`SharedKeys`]: a key-value bucket of NATS whose values every host has in memory.
//!
//! ```text
//! write ──(one atomic batch, with the revisions that it replaces)──> KV_BUCKET
//!                                                                      │ last message of each key, then every new one
//! values <── table in memory <── watch, on the thread of the outbox <──┘
//! ```
//!
//! **Changes.** A write names the revision of each key that it replaces. If another host was faster, nothing is written
//! ([`KeyWriteError::Conflict`]), and the writer gets the newer values first. There is no polling: the server sends each change
//! to all hosts.
//!
//! **A bucket that was never written** gets the values that this host knows: those of the last session, or the ones that the
//! caller has given at the start. So the first host brings its values along, and a bucket that was deleted by mistake is
//! filled again. Only one host can do it: its first write names the last revision of the whole bucket.
//!
//! **Without NATS** the values stay as they are, and a write is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_nats::HeaderMap;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{error, info};

use super::api::{Api, ApiError, TIMEOUT, code};
use super::key_table::{KeyTable, KeyUpdate, KeyValue};
use super::last_messages::{Begin, LastMessages, StreamMessage};
use super::random_id::random_id;
use super::shared_outbox::SharedOutbox;
use super::stream::{self, StreamError};

/// Keys of one write. The server accepts this many messages in an atomic batch.
const MAX_BATCH: usize = 1_000;

/// The wait before the bucket is read again after a failure.
const RETRY: Duration = Duration::from_millis(200);

/// The time between two log lines about a bucket that cannot be read.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

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

/// Whether the values are those of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// They were not read yet, or cannot be read at the moment, for this reason.
    Away(String),
    /// The bucket has another form, which the operator has to change.
    OtherForm(String),
    /// They are, and changes arrive.
    Current,
}

/// A key-value bucket whose values are in memory. Clones are handles of the same bucket.
#[derive(Clone)]
pub struct SharedKeys(Arc<Inner>);

struct Inner {
    runtime: Handle,
    api: Api,
    bucket: String,
    form: BucketForm,
    known: Mutex<Known>,
    state: watch::Sender<State>,
    on_change: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// How the keys of a bucket are stored.
pub(super) struct BucketForm {
    /// The configuration of the stream.
    pub(super) configuration: Value,
    /// The subject of a key is this and the key.
    pub(super) prefix: String,
    /// Each write removes the earlier messages of its key, because the stream keeps more than one.
    pub(super) removes_earlier: bool,
}

/// What is known about the bucket.
struct Known {
    table: KeyTable,
    /// When the stream of the bucket was created: revisions of another stream mean nothing.
    created: String,
    /// The values for a bucket that was never written, as long as nothing was read from it.
    first: BTreeMap<String, Bytes>,
}

impl SharedKeys {
    /// Opens a bucket on the connection of an outbox, and creates it if it does not exist. Does not block. `first` are the
    /// values for a bucket that was never written.
    pub fn open(outbox: &SharedOutbox, bucket: &str, first: BTreeMap<String, Bytes>) -> SharedKeys {
        let form = key_value_form(bucket, outbox.parts().replicas);
        SharedKeys::open_as(outbox, bucket, form, first)
    }

    /// The same for a bucket with another form.
    pub(super) fn open_as(
        outbox: &SharedOutbox,
        bucket: &str,
        form: BucketForm,
        first: BTreeMap<String, Bytes>,
    ) -> SharedKeys {
        let parts = outbox.parts();
        let keys = SharedKeys(Arc::new(Inner {
            runtime: parts.runtime.clone(),
            api: parts.api,
            bucket: bucket.to_owned(),
            form,
            known: Mutex::new(Known {
                table: KeyTable::default(),
                created: String::new(),
                first,
            }),
            state: watch::Sender::new(State::Away("it was not read yet".to_owned())),
            on_change: OnceLock::new(),
        }));
        parts.runtime.spawn(follow(Arc::clone(&keys.0), parts.connections));
        keys
    }

    /// The name of the bucket.
    pub fn bucket(&self) -> &str {
        &self.0.bucket
    }

    /// Sets what is called after a change of the values. It must not block. Only the first call has an effect.
    pub fn set_on_change(&self, on_change: impl Fn() + Send + Sync + 'static) {
        self.0.on_change.set(Box::new(on_change)).ok();
    }

    /// The values by key, deleted keys included; `None` before they were read for the first time.
    pub fn values(&self) -> Option<BTreeMap<String, KeyValue>> {
        let known = self.0.lock();
        (!known.created.is_empty()).then(|| known.table.values())
    }

    /// Why the values may be older than those of the bucket; `None`: every change arrives at once.
    pub fn trouble(&self) -> Option<String> {
        match &*self.0.state.borrow() {
            State::Current => None,
            State::Away(reason) | State::OtherForm(reason) => Some(reason.clone()),
        }
    }

    /// Waits until the values were read, at most for this time. Returns whether they were. Blocks the calling thread. Never
    /// call it from an async task.
    ///
    /// # Errors
    ///
    /// The bucket has another form.
    pub fn wait_until_read(&self, limit: Duration) -> Result<bool, String> {
        let mut state = self.0.state.subscribe();
        let read = async {
            state
                .wait_for(|state| !matches!(state, State::Away(_)))
                .await
                .map(|state| state.clone())
        };
        match self
            .0
            .runtime
            .block_on(async { tokio::time::timeout(limit, read).await })
        {
            Ok(Ok(State::OtherForm(reason))) => Err(reason),
            Ok(Ok(_)) => Ok(true),
            Ok(Err(_)) | Err(_) => Ok(false),
        }
    }

    /// Changes keys, all or none, and returns when most servers have the changes. Blocks the calling thread for a few seconds
    /// at most. Never call it from an async task.
    ///
    /// # Errors
    ///
    /// [`KeyWriteError`].
    pub fn write(&self, changes: &[KeyChange]) -> Result<(), KeyWriteError> {
        if changes.is_empty() {
            return Ok(());
        }
        if changes.len() > MAX_BATCH {
            return Err(KeyWriteError::TooMany);
        }
        self.0.runtime.block_on(self.0.write(changes))
    }
}

impl Inner {
    /// A panic under the lock leaves no partial change: each change is one operation.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(&self) -> &str {
        let name = self.form.configuration.get("name").and_then(Value::as_str);
        name.unwrap_or_default()
    }

    fn subject(&self, key: &str) -> String {
        format!("{}{key}", self.form.prefix)
    }

    fn changed(&self) {
        if let Some(on_change) = self.on_change.get() {
            on_change();
        }
    }

    async fn write(&self, changes: &[KeyChange]) -> Result<(), KeyWriteError> {
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
    async fn publish(&self, changes: &[KeyChange], last: Option<u64>) -> Result<u64, ApiError> {
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
                headers.insert("KV-Operation", "DEL");
                headers.insert("Nats-TTL", MARK_AGE);
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
            let (subject, value) = (self.subject(&change.key), change.value.clone().unwrap_or_default());
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
        let question = json!({ "last_by_subj": self.subject(key) });
        let answer = self
            .api
            .ask(&format!("STREAM.MSG.GET.{}", self.stream()), &question)
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

    /// Creates or checks the bucket, and reads it until the connection is lost.
    async fn session(&self, connections: &mut watch::Receiver<u64>) -> Result<(), StreamError> {
        let info = stream::prepare_stream(
            &self.api,
            self.form.configuration.clone(),
            stream::first_sequence(SystemTime::now()),
        )
        .await?;
        let created = info
            .get("created")
            .and_then(Value::as_str)
            .unwrap_or("unknown")
            .to_owned();
        // The content of objects is not known.
        if let Some(last) = unwritten(&info).filter(|_| !self.form.removes_earlier) {
            self.fill(last).await?;
        }
        let filter = self.subject(">");
        let mut messages = LastMessages::open(&self.api, self.stream(), &filter, Begin::Last).await?;
        let mut read = Some(KeyTable::default());
        loop {
            // All values are used at once, because a part of them would look as if the others were deleted.
            if messages.is_current()
                && let Some(table) = read.take()
            {
                self.use_table(table, created.clone());
            }
            let message = tokio::select! {
                biased;
                // Messages may be lost with the connection. An error means that the client is gone.
                _ = connections.changed() => return Ok(()),
                message = messages.next() => message,
            };
            let Some(update) = message.and_then(|message| self.update(message)) else {
                return Ok(());
            };
            let is_changed = match &mut read {
                Some(table) => {
                    table.apply(update);
                    false
                }
                None => self.lock().table.apply(update),
            };
            if is_changed {
                self.changed();
            }
        }
    }

    fn use_table(&self, table: KeyTable, created: String) {
        let mut known = self.lock();
        let table = match known.created == created {
            true => table.replace(&known.table),
            false => table,
        };
        let is_changed = table != known.table || known.created != created;
        (known.table, known.created) = (table, created);
        known.first.clear();
        drop(known);
        self.state.send_replace(State::Current);
        if is_changed {
            self.changed();
        }
    }

    /// Writes what this host knows into a bucket that was never written, and whose last revision is this.
    async fn fill(&self, mut last: u64) -> Result<(), ApiError> {
        let values = {
            let known = self.lock();
            let values = known.table.values();
            let values: BTreeMap<String, Bytes> = values
                .into_iter()
                .filter_map(|(key, known)| Some((key, known.value?)))
                .collect();
            if values.is_empty() { known.first.clone() } else { values }
        };
        let changes: Vec<KeyChange> = values
            .into_iter()
            .map(|(key, value)| KeyChange {
                key,
                revision: 0,
                value: Some(value),
                lifetime: None,
            })
            .collect();
        for batch in changes.chunks(MAX_BATCH) {
            last = match self.publish(batch, Some(last)).await {
                Ok(last) => last,
                // Another host has filled it.
                Err(ApiError::Refused { description, .. }) => {
                    info!(
                        bucket = self.bucket,
                        reason = description,
                        "the bucket is not filled by this host"
                    );
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
        }
        if !changes.is_empty() {
            info!(
                bucket = self.bucket,
                keys = changes.len(),
                "an empty bucket of NATS is filled"
            );
        }
        Ok(())
    }

    fn update(&self, message: StreamMessage) -> Option<KeyUpdate> {
        let key = message.subject.strip_prefix(&self.subject(""))?.to_owned();
        Some(KeyUpdate {
            key,
            revision: message.sequence,
            value: (!message.is_deletion).then(|| Bytes::copy_from_slice(&message.bytes)),
        })
    }
}

fn unavailable(error: ApiError) -> KeyWriteError {
    KeyWriteError::Unavailable(error.to_string())
}

/// The form of a key-value bucket.
fn key_value_form(bucket: &str, replicas: u8) -> BucketForm {
    BucketForm {
        configuration: json!({
            "name": format!("KV_{bucket}"),
            "subjects": [format!("$KV.{bucket}.>")],
            "max_msgs_per_subject": 1,
            "storage": "file",
            "num_replicas": replicas,
            "discard": "new",
            "allow_atomic": true,
            "allow_direct": true,
            "allow_rollup_hdrs": true,
            "deny_delete": true,
            "allow_msg_ttl": true,
        }),
        prefix: format!("$KV.{bucket}."),
        removes_earlier: false,
    }
}

/// The last revision of a bucket that was never written; `None`: it has messages, or has had some.
fn unwritten(info: &Value) -> Option<u64> {
    let number = |path: &str| info.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let (last, first) = (number("/state/last_seq"), number("/config/first_seq"));
    (number("/state/messages") == 0 && last == first.saturating_sub(1)).then_some(last)
}

/// A key as `STREAM.MSG.GET` answers it.
fn stored(key: &str, answer: &Value) -> Option<KeyUpdate> {
    use base64::Engine as _;
    let message = answer.get("message")?;
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).ok();
    let text = |name: &str| message.get(name).and_then(Value::as_str);
    let headers = decode(text("hdrs").unwrap_or_default())?;
    let headers = String::from_utf8_lossy(&headers).into_owned();
    let is_deletion = headers.contains("KV-Operation:") || headers.contains("Nats-Marker-Reason:");
    let value = decode(text("data").unwrap_or_default())?;
    Some(KeyUpdate {
        key: key.to_owned(),
        revision: message.get("seq")?.as_u64()?,
        value: (!is_deletion).then(|| value.into()),
    })
}

/// Reads the bucket again and again, until the runtime ends.
async fn follow(keys: Arc<Inner>, mut connections: watch::Receiver<u64>) {
    let mut report = Instant::now();
    loop {
        connections.mark_unchanged();
        let state = match keys.session(&mut connections).await {
            // The client reports the loss of its connection.
            Ok(()) => State::Away("the connection to NATS is lost".to_owned()),
            Err(error) => {
                if Instant::now() >= report {
                    report = Instant::now() + REPORT_INTERVAL;
                    error!(bucket = keys.bucket, error = %error, "a bucket of NATS cannot be read; trying again");
                }
                match error {
                    StreamError::Form { .. } => State::OtherForm(error.to_string()),
                    StreamError::Api(error) => State::Away(format!("NATS cannot be reached: {error}")),
                }
            }
        };
        keys.state.send_replace(state);
        tokio::time::sleep(RETRY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_without_messages_may_have_had_some() {
        for (info, expected) in [
            (
                json!({"config": {"first_seq": 7}, "state": {"messages": 0, "last_seq": 6}}),
                Some(6),
            ),
            (json!({"config": {}, "state": {"messages": 0, "last_seq": 0}}), Some(0)),
            (
                json!({"config": {"first_seq": 7}, "state": {"messages": 0, "last_seq": 7}}),
                None,
            ),
            (
                json!({"config": {"first_seq": 7}, "state": {"messages": 1, "last_seq": 7}}),
                None,
            ),
        ] {
            assert_eq!(unwritten(&info), expected, "{info}");
        }
    }

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
