//! What is known of the attempts of requests that have failed, in the key-value bucket `NAME-attempts`.
//!
//! A host writes the key `PARTITION.SEQUENCE` of a record after each failed attempt that another one follows, and deletes it
//! when the record ends. A record whose first attempt succeeds has no key. A host that takes over a partition reads the keys
//! before the records. The writes are not acknowledged: if one is lost, the next owner knows one attempt less.
//!
//! NATS says when a key was written and what time it is now, so the clocks of two hosts are never compared.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message};
use bytes::Bytes;
use chrono::DateTime;
use serde_json::{Value, json};

use super::api::{Api, ApiError, code, header, header_number};
use super::bucket::prepare_bucket;
use super::bucket_form::{is_deletion, mark_deletion};
use super::outbox_record::AttemptState;
use super::records;
use super::settings::Settings;

/// How long the server keeps a key that is not written again: longer than the longest wait between attempts, 30 days. A key
/// outlives its record only if its host fails at this moment.
const KEY_AGE: &str = "1440h";

/// How long the server keeps the mark of a deleted key.
const MARK_AGE: &str = "1m";

/// Keys in one answer.
const MAX_PAGE: usize = 256;

/// The bucket.
#[derive(Clone)]
pub(super) struct AttemptStates {
    api: Api,
    name: String,
    replicas: u8,
}

impl AttemptStates {
    /// The bucket of these settings, which may not exist.
    pub(super) fn of(api: &Api, settings: &Settings) -> AttemptStates {
        AttemptStates {
            api: api.clone(),
            name: format!("{}-attempts", settings.name),
            replicas: settings.replicas,
        }
    }

    /// Creates the bucket if it does not exist.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub(super) async fn prepare(&self) -> Result<(), ApiError> {
        prepare_bucket(&self.api, &self.name, self.replicas).await
    }

    /// Writes the key of a record. Does not wait for an acknowledgement.
    pub(super) async fn write(&self, number: u64, state: Bytes) {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-TTL", KEY_AGE);
        self.publish(number, headers, state).await;
    }

    /// Deletes the key of a record. Does not wait for an acknowledgement.
    pub(super) async fn delete(&self, number: u64) {
        let mut headers = HeaderMap::new();
        mark_deletion(&mut headers, MARK_AGE);
        self.publish(number, headers, Bytes::new()).await;
    }

    async fn publish(&self, number: u64, headers: HeaderMap, value: Bytes) {
        let (partition, sequence) = records::place(number);
        let subject = format!("$KV.{}.{partition}.{sequence}", self.name);
        // Without a connection the state is lost. The next owner knows less then.
        self.api.client.publish_with_headers(subject, headers, value).await.ok();
    }

    /// Reads the keys of these partitions, by the numbers of their records.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub(super) async fn read(&self, partitions: &BTreeSet<u16>) -> Result<HashMap<u64, AttemptState>, ApiError> {
        let stream = format!("KV_{}", self.name);
        let info = match self.api.ask(&format!("STREAM.INFO.{stream}"), &Value::Null).await {
            // Somebody has deleted it, or every host was older so far.
            Err(error) if error.code() == Some(code::NO_STREAM) => {
                self.prepare().await?;
                return Ok(HashMap::new());
            }
            info => info?,
        };
        let mut states = HashMap::new();
        if info.pointer("/state/messages").and_then(Value::as_u64) == Some(0) {
            return Ok(states);
        }
        let (asked, now) = (
            Instant::now(),
            info.get("ts").and_then(Value::as_str).and_then(nanos_of),
        );
        let mut from = 1;
        loop {
            let question = json!({
                "seq": from,
                "next_by_subj": format!("$KV.{}.>", self.name),
                "batch": MAX_PAGE,
            });
            let (messages, end) = self.api.read_many(&stream, &question).await?;
            for message in &messages {
                if let Some((number, written)) = self.key(message)
                    && partitions.contains(&records::place(number).0)
                {
                    let age = now.map_or(0, |now| now.saturating_sub(written));
                    let age = Duration::from_nanos(u64::try_from(age).unwrap_or(0));
                    let state = AttemptState {
                        bytes: message.payload.clone(),
                        written: asked.checked_sub(age).unwrap_or(asked),
                    };
                    states.insert(number, state);
                }
            }
            let last = messages.last().and_then(|last| header_number(last, "Nats-Sequence"));
            let left = end.and_then(|end| header_number(&end, "Nats-Num-Pending"));
            match last {
                Some(last) if left.unwrap_or(0) > 0 => from = last + 1,
                _ => return Ok(states),
            }
        }
    }

    /// The record of a key, and when the key was written by the clock of the server; `None` for the mark of a deleted key.
    fn key(&self, message: &Message) -> Option<(u64, i64)> {
        if is_deletion(message) {
            return None;
        }
        let key = header(message, "Nats-Subject")?.strip_prefix("$KV.")?;
        let (partition, sequence) = key.strip_prefix(&self.name)?.strip_prefix('.')?.split_once('.')?;
        let number = records::number(partition.parse().ok()?, sequence.parse().ok()?);
        Some((number, nanos_of(header(message, "Nats-Time-Stamp")?)?))
    }
}

/// Nanoseconds since 1970 of a time as NATS writes it.
fn nanos_of(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_server_are_read() {
        for (text, nanos) in [
            ("1970-01-01T00:00:01.000000002Z", Some(1_000_000_002)),
            ("1970-01-01T01:00:00.5+01:00", Some(500_000_000)),
            ("yesterday", None),
        ] {
            assert_eq!(nanos_of(text), nanos, "{text}");
        }
    }
}
