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
//!
//! `bucket_form.rs` has the stream of a bucket, `key_watch.rs` reads it, and `key_write.rs` changes it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::api::Api;
use super::bucket_form::BucketForm;
use super::key_table::{KeyTable, KeyValue};
use super::key_watch::follow;
use super::key_write::{KeyChange, KeyWriteError};
use super::shared_outbox::SharedOutbox;

/// Whether the values are those of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
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

pub(super) struct Inner {
    runtime: Handle,
    pub(super) api: Api,
    pub(super) bucket: String,
    pub(super) form: BucketForm,
    pub(super) known: Mutex<Known>,
    pub(super) state: watch::Sender<State>,
    on_change: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

/// What is known about the bucket.
pub(super) struct Known {
    pub(super) table: KeyTable,
    /// When the stream of the bucket was created: revisions of another stream mean nothing.
    pub(super) created: String,
    /// The values for a bucket that was never written, as long as nothing was read from it.
    pub(super) first: BTreeMap<String, Bytes>,
}

impl SharedKeys {
    /// Opens a bucket on the connection of an outbox, and creates it if it does not exist. Does not block. `first` are the
    /// values for a bucket that was never written.
    pub fn open(outbox: &SharedOutbox, bucket: &str, first: BTreeMap<String, Bytes>) -> SharedKeys {
        let form = BucketForm::key_value(bucket, outbox.parts().replicas);
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
        self.0.runtime.block_on(self.0.write(changes))
    }
}

impl Inner {
    /// A panic under the lock leaves no partial change: each change is one operation.
    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the caller that values have changed.
    pub(super) fn changed(&self) {
        if let Some(on_change) = self.on_change.get() {
            on_change();
        }
    }
}
