//! Reads a bucket on the thread of the outbox: all keys at first, and then each change.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use tracing::{error, info};

use super::api::ApiError;
use super::bucket_form::unwritten;
use super::key_table::{KeyTable, KeyUpdate};
use super::key_write::{KeyChange, MAX_BATCH};
use super::last_messages::{Begin, LastMessages, StreamMessage};
use super::shared_keys::{Inner, State};
use super::stream::{self, StreamError};

/// The wait before the bucket is read again after a failure.
const RETRY: Duration = Duration::from_millis(200);

/// The time between two log lines about a bucket that cannot be read.
const REPORT_INTERVAL: Duration = Duration::from_secs(30);

impl Inner {
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
        let filter = self.form.subject(">");
        let mut messages = LastMessages::open(&self.api, self.form.stream(), &filter, Begin::Last).await?;
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
        let key = message.subject.strip_prefix(&self.form.subject(""))?.to_owned();
        Some(KeyUpdate {
            key,
            revision: message.sequence,
            value: (!message.is_deletion).then(|| Bytes::copy_from_slice(&message.bytes)),
        })
    }
}

/// Reads the bucket again and again, until the runtime ends.
pub(super) async fn follow(keys: Arc<Inner>, mut connections: watch::Receiver<u64>) {
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
