//! The consumer of a host: reads the records of its partitions from the first one on.
//!
//! A session ends with its consumer, when a message is missing, or when the server is silent. The caller then opens a new
//! one, which begins at the first record that is not acknowledged.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::{Message, Subject, Subscriber};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};

use super::api::{Api, ApiError, code};
use super::random_id::random_id;
use super::stream::nanos;

/// Records that are requested at once.
const BATCH: usize = 200;

/// How long a request for records waits at the server.
const PULL_TIME: Duration = Duration::from_secs(20);

/// How often the server shows that it still has the request.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// After this time without a heartbeat the session is over.
const SILENCE: Duration = Duration::from_secs(11);

/// A record counts as lost by the server after this time. It is not used: a lost record ends the session.
const ACK_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The server deletes a consumer that makes no requests for this time.
const INACTIVE: Duration = Duration::from_secs(300);

/// Room for headers, in addition to the largest message.
const PULL_HEADER_BYTES: usize = 64 << 10;

/// Begins the names of consumers. The id of the host follows, and a number.
const NAME_PREFIX: &str = "host-";

/// A record from the stream.
pub(super) struct ReadRecord {
    pub(super) partition: u16,
    /// Its place in the stream.
    pub(super) sequence: u64,
    /// Where its acknowledgement goes.
    pub(super) reply: Subject,
    pub(super) bytes: Bytes,
}

/// A consumer that delivers records.
pub(super) struct Session {
    api: Api,
    /// The subject of requests for records.
    pull_subject: String,
    inbox: String,
    messages: Subscriber,
    /// Counts the requests for records. The answers to a request go to `INBOX.NUMBER`.
    requests: u64,
    /// Records that the server may still send for the last request.
    requested: usize,
    /// The number that the next message of the consumer has.
    next: u64,
    /// The consumer is lost, or a record is missing.
    is_over: bool,
}

impl Session {
    /// Creates a consumer of a host for these partitions; `None`: for all. Other consumers must not have one of them.
    ///
    /// # Errors
    ///
    /// [`ApiError`].
    pub(super) async fn open(
        api: &Api,
        stream: &str,
        host: &str,
        partitions: Option<&BTreeSet<u16>>,
    ) -> Result<Session, ApiError> {
        let name = format!("{NAME_PREFIX}{host}-{}", random_id());
        let filters: Vec<String> = match partitions {
            Some(partitions) => partitions.iter().map(|number| format!("{stream}.{number}")).collect(),
            None => vec![format!("{stream}.*")],
        };
        let body = json!({
            "stream_name": stream,
            "action": "create",
            "config": {
                "name": name,
                "filter_subjects": filters,
                "deliver_policy": "all",
                "ack_policy": "explicit",
                "ack_wait": nanos(ACK_WAIT),
                "max_ack_pending": -1,
                "max_deliver": -1,
                "mem_storage": true,
                "inactive_threshold": nanos(INACTIVE),
            },
        });
        let inbox = api.client.new_inbox();
        let messages = api.client.subscribe(format!("{inbox}.*")).await;
        let messages = messages.map_err(|error| ApiError::NoAnswer(error.to_string()))?;
        api.ask(&format!("CONSUMER.CREATE.{stream}.{name}"), &body).await?;
        Ok(Session {
            api: api.clone(),
            pull_subject: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"),
            inbox,
            messages,
            requests: 0,
            requested: 0,
            next: 1,
            is_over: false,
        })
    }

    /// Waits for records, and returns those that have arrived. `None`: the session is over.
    pub(super) async fn next(&mut self) -> Option<Vec<ReadRecord>> {
        if self.is_over {
            return None;
        }
        let mut records = Vec::new();
        while records.is_empty() {
            if self.requested == 0 {
                self.pull().await?;
            }
            let message = tokio::time::timeout(SILENCE, self.messages.next()).await.ok()??;
            self.take(message, &mut records)?;
        }
        while self.requested > 0
            && let Some(Some(message)) = self.messages.next().now_or_never()
        {
            // What has arrived before the end of the session is used.
            if self.take(message, &mut records).is_none() {
                self.is_over = true;
                break;
            }
        }
        Some(records)
    }

    async fn pull(&mut self) -> Option<()> {
        let body = json!({
            "batch": BATCH,
            "max_bytes": self.api.client.max_payload() + PULL_HEADER_BYTES,
            "expires": nanos(PULL_TIME),
            "idle_heartbeat": nanos(HEARTBEAT),
        });
        let body = body.to_string().into();
        self.requests += 1;
        let reply = format!("{}.{}", self.inbox, self.requests);
        let sent = self
            .api
            .client
            .publish_with_reply(self.pull_subject.clone(), reply, body);
        tokio::time::timeout(SILENCE, sent).await.ok()?.ok()?;
        self.requested = BATCH;
        Some(())
    }

    fn take(&mut self, message: Message, records: &mut Vec<ReadRecord>) -> Option<()> {
        if let Some(status) = message.status.map(|status| status.as_u16()) {
            let text = message.description.unwrap_or_default();
            let number = message
                .subject
                .rsplit('.')
                .next()
                .and_then(|number| number.parse().ok());
            return match end_of_request(status, &text) {
                RequestEnd::Continues => Some(()),
                RequestEnd::Over => {
                    if number == Some(self.requests) {
                        self.requested = 0;
                    }
                    Some(())
                }
                RequestEnd::ConsumerLost => None,
            };
        }
        let partition = message.subject.rsplit('.').next()?.parse().ok()?;
        let reply = message.reply?;
        let (sequence, number) = ack_numbers(&reply)?;
        if number != self.next {
            return None;
        }
        self.next += 1;
        self.requested = self.requested.saturating_sub(1);
        records.push(ReadRecord {
            partition,
            sequence,
            reply,
            bytes: message.payload,
        });
        Some(())
    }
}

/// What a status says about a request for records.
#[derive(Debug, PartialEq, Eq)]
enum RequestEnd {
    /// The server still has the request.
    Continues,
    /// It has expired, or the server has sent what it asked for.
    Over,
    /// The consumer or the stream is gone, or its leader has changed.
    ConsumerLost,
}

/// Reads the status of a message without content (NATS ADR-13).
fn end_of_request(status: u16, text: &str) -> RequestEnd {
    let text = text.to_ascii_lowercase();
    match status {
        100 => RequestEnd::Continues,
        404 | 408 => RequestEnd::Over,
        409 if text.contains("maxbytes") || text.contains("batch completed") => RequestEnd::Over,
        _ => RequestEnd::ConsumerLost,
    }
}

/// Deletes the consumers of the hosts that `is_stale` accepts.
///
/// # Errors
///
/// [`ApiError`].
pub(super) async fn delete_all(api: &Api, stream: &str, is_stale: impl Fn(&str) -> bool) -> Result<(), ApiError> {
    let mut names: Vec<Value> = Vec::new();
    loop {
        let question = json!({ "offset": names.len() });
        let page = api.ask(&format!("CONSUMER.NAMES.{stream}"), &question).await?;
        match page.get("consumers").and_then(Value::as_array) {
            Some(more) if !more.is_empty() => names.extend_from_slice(more),
            _ => break,
        }
    }
    let names = names.iter().filter_map(Value::as_str);
    for name in names.filter(|name| host_of(name).is_some_and(&is_stale)) {
        match api.ask(&format!("CONSUMER.DELETE.{stream}.{name}"), &Value::Null).await {
            Err(error) if error.code() != Some(code::NO_CONSUMER) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The id of the host of a consumer; `None` for consumers that hookhost has not created.
fn host_of(name: &str) -> Option<&str> {
    let (host, _) = name.strip_prefix(NAME_PREFIX)?.split_once('-')?;
    Some(host)
}

/// The sequence of a message in the stream and its number in the consumer, from the subject of its acknowledgement:
/// `$JS.ACK.STREAM.CONSUMER.DELIVERIES.SEQUENCE.NUMBER.TIME.PENDING`, or with domain and account before the stream and a
/// random part at the end (NATS ADR-15).
pub(super) fn ack_numbers(reply: &str) -> Option<(u64, u64)> {
    let parts: Vec<&str> = reply.split('.').collect();
    let first = match parts.len() {
        9 => 5,
        11.. => 7,
        _ => return None,
    };
    Some((parts.get(first)?.parse().ok()?, parts.get(first + 1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_statuses_end_the_session() {
        use RequestEnd::{ConsumerLost, Continues, Over};
        for (status, text, end) in [
            (100, "Idle Heartbeat", Continues),
            (404, "No Messages", Over),
            (408, "Request Timeout", Over),
            (409, "Message Size Exceeds MaxBytes", Over),
            (409, "Batch Completed", Over),
            (409, "Consumer Deleted", ConsumerLost),
            (409, "Leadership Change", ConsumerLost),
            (503, "", ConsumerLost),
        ] {
            assert_eq!(end_of_request(status, text), end, "{status} {text}");
        }
    }

    #[test]
    fn the_host_of_a_consumer_is_a_part_of_its_name() {
        for (name, host) in [("host-3f2a-01", Some("3f2a")), ("host-", None), ("mine", None)] {
            assert_eq!(host_of(name), host, "{name}");
        }
    }

    #[test]
    fn the_numbers_of_both_forms_are_found() {
        for (reply, expected) in [
            ("$JS.ACK.o.partition-1-a.1.2.7.1796032102456421520.1", Some((2, 7))),
            (
                "$JS.ACK.hub.Ab12.o.partition-1-a.1.2.7.1796032102456421520.1.x9",
                Some((2, 7)),
            ),
            ("$JS.ACK.o.c.1.2.x.1.1", None),
            ("_INBOX.a", None),
        ] {
            assert_eq!(ack_numbers(reply), expected, "{reply}");
        }
    }
}
