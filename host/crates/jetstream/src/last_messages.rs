//! Reads the last message of each subject of a stream, and then every new one.
//!
//! It is the watch of NATS' key-value stores and object stores (NATS ADR-8, ADR-20): a consumer that the server pushes to this
//! host. It ends when a message is missing, or when the server is silent. The caller then opens a new one.

use std::time::Duration;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};

use super::api::{Api, ApiError, header};
use super::bucket_form::is_deletion;
use super::consumer::ack_numbers;
use super::random_id::random_id;
use super::stream::nanos;

/// How often the server shows that the consumer still exists.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// After this time without a message or a heartbeat, the consumer is lost.
const SILENCE: Duration = Duration::from_secs(5);

/// The server deletes a consumer without a connection after this time.
const INACTIVE: Duration = Duration::from_secs(30);

/// Which messages of each subject are read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// The last one.
    Last,
    /// All of them.
    First,
}

/// A message of the stream.
pub(super) struct StreamMessage {
    pub(super) subject: String,
    pub(super) sequence: u64,
    /// Whether it is the mark of a deleted key.
    pub(super) is_deletion: bool,
    pub(super) bytes: Bytes,
}

/// A consumer that pushes messages.
pub(super) struct LastMessages {
    api: Api,
    messages: Subscriber,
    /// The number that the next message of the consumer has.
    next: u64,
    /// How many messages the stream had for it when it was created.
    existing: u64,
}

impl LastMessages {
    /// Creates a consumer for the subjects that match a filter.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub(super) async fn open(api: &Api, stream: &str, filter: &str, begin: Begin) -> Result<LastMessages, ApiError> {
        let name = format!("watch-{}", random_id());
        let inbox = api.client.new_inbox();
        let body = json!({
            "stream_name": stream,
            "action": "create",
            "config": {
                "name": name,
                "deliver_subject": inbox,
                "filter_subject": filter,
                "deliver_policy": match begin { Begin::Last => "last_per_subject", Begin::First => "all" },
                "ack_policy": "none",
                "max_deliver": 1,
                "mem_storage": true,
                "num_replicas": 1,
                "flow_control": true,
                "idle_heartbeat": nanos(HEARTBEAT),
                "inactive_threshold": nanos(INACTIVE),
            },
        });
        let messages = api.client.subscribe(inbox).await;
        let messages = messages.map_err(|error| ApiError::NoAnswer(error.to_string()))?;
        let subject = format!("CONSUMER.CREATE.{stream}.{name}.{filter}");
        let created = api.ask(&subject, &body).await?;
        let number = |path: &str| created.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        Ok(LastMessages {
            api: api.clone(),
            messages,
            next: 1,
            existing: number("/num_pending") + number("/delivered/consumer_seq"),
        })
    }

    /// Whether all messages have arrived that existed when the consumer was created.
    pub(super) fn is_current(&self) -> bool {
        self.next > self.existing
    }

    /// Waits for the next message; `None`: the consumer is lost.
    pub(super) async fn next(&mut self) -> Option<StreamMessage> {
        loop {
            let message = tokio::time::timeout(SILENCE, self.messages.next()).await.ok()??;
            if message.status.is_some() {
                self.control(message).await?;
                continue;
            }
            let (sequence, number) = ack_numbers(message.reply.as_deref()?)?;
            if number != self.next {
                return None;
            }
            self.next += 1;
            return Some(StreamMessage {
                subject: message.subject.to_string(),
                sequence,
                is_deletion: is_deletion(&message),
                bytes: message.payload,
            });
        }
    }

    /// Heartbeats and flow control; `None`: the consumer is lost.
    async fn control(&mut self, message: Message) -> Option<()> {
        if message.status.map(|status| status.as_u16()) != Some(100) {
            return None;
        }
        let last = header(&message, "Nats-Last-Consumer").and_then(|last| last.parse::<u64>().ok());
        if last.is_some_and(|last| last >= self.next) {
            return None;
        }
        let stalled = header(&message, "Nats-Consumer-Stalled").map(str::to_owned);
        let reply = message.reply.as_ref().map(ToString::to_string).or(stalled);
        if let Some(reply) = reply {
            self.api.client.publish(reply, Bytes::new()).await.ok()?;
        }
        Some(())
    }
}
