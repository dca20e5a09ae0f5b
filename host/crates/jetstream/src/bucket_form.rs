//! How a bucket of NATS stores its keys in a stream (NATS ADR-8, ADR-20).

use async_nats::{HeaderMap, Message};
use serde_json::{Value, json};

use super::api::header;

/// The header of a mark that a client has written when it deleted a key.
const OPERATION: &str = "KV-Operation";
/// The header of a mark that the server has written.
const MARKER_REASON: &str = "Nats-Marker-Reason";

/// How the keys of a bucket are stored.
pub(super) struct BucketForm {
    /// The configuration of the stream.
    pub(super) configuration: Value,
    /// The subject of a key is this and the key.
    pub(super) prefix: String,
    /// Each write removes the earlier messages of its key, because the stream keeps more than one.
    pub(super) removes_earlier: bool,
}

impl BucketForm {
    /// The form of a key-value bucket, which keeps the last value of each key.
    pub(super) fn key_value(bucket: &str, replicas: u8) -> BucketForm {
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

    /// The stream of the bucket.
    pub(super) fn stream(&self) -> &str {
        let name = self.configuration.get("name").and_then(Value::as_str);
        name.unwrap_or_default()
    }

    /// The subject of a key.
    pub(super) fn subject(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// Makes a message the mark of a deleted key. The server forgets the mark after `age`, such as `1h`.
pub(super) fn mark_deletion(headers: &mut HeaderMap, age: &str) {
    headers.insert(OPERATION, "DEL");
    headers.insert("Nats-TTL", age);
}

/// Whether a message is the mark of a deleted key.
pub(super) fn is_deletion(message: &Message) -> bool {
    [OPERATION, MARKER_REASON]
        .iter()
        .any(|name| header(message, name).is_some())
}

/// The same for headers as `STREAM.MSG.GET` answers them.
pub(super) fn are_of_deletion(headers: &str) -> bool {
    let names = headers.lines().filter_map(|line| Some(line.split_once(':')?.0));
    names.into_iter().any(|name| name == OPERATION || name == MARKER_REASON)
}

/// The last revision of a bucket that was never written; `None`: it has messages, or has had some.
pub(super) fn unwritten(info: &Value) -> Option<u64> {
    let number = |path: &str| info.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let (last, first) = (number("/state/last_seq"), number("/config/first_seq"));
    (number("/state/messages") == 0 && last == first.saturating_sub(1)).then_some(last)
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
}
