//! Formats a webhook as a line for people: time, event, client, topic, payload.
//!
//! Each body format has these values under a few field names, and this module relies only on the names. A body without
//! them stays unchanged. RMQTT's bodies always have the payload as base64, and only they have `from_clientid`. The
//! payload is therefore decoded if that field is present.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Local, NaiveDateTime, Utc};
use serde_json::{Map, Value};

/// Limit of the characters shown of a text payload.
const MAX_PAYLOAD_CHARS: usize = 200;
/// Limit of the bytes shown of a binary payload.
const MAX_PAYLOAD_BYTES: usize = 16;
/// Width of the event column: the longest event is `session_unsubscribed`.
const EVENT_WIDTH: usize = 20;

/// Returns the line of a body, without line ending and control characters. Returns `None` if the body is not about an
/// MQTT event.
pub(super) fn readable(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    // A batch of CloudEvents contains one event.
    let body = body
        .as_array()
        .and_then(|batch| batch.first())
        .unwrap_or(&body)
        .as_object()?;
    let event = text(body, &["event", "action", "type"])?;
    // If a CloudEvent is not about a message, its data is an object of fields.
    let fields = body.get("data").and_then(Value::as_object).unwrap_or(body);
    let client =
        text(fields, &["clientid", "from_clientid", "from_client_id"]).or_else(|| text(body, &["fromclientid"]));
    let topic = text(fields, &["topic"]).or_else(|| text(body, &["subject"]));
    if client.is_none() && topic.is_none() {
        return None;
    }
    let mut line = format!("{}  {:EVENT_WIDTH$}", time(body).format("%H:%M:%S%.3f"), escaped(event));
    let reason = text(fields, &["reason", "conn_ack"]).map(escaped);
    let columns = [client.map(escaped), topic.map(escaped), payload(body), reason];
    for column in columns.into_iter().flatten() {
        line.push_str("  ");
        line.push_str(&column);
    }
    Some(line)
}

/// Returns the first of these fields that is a text.
fn text<'a>(fields: &'a Map<String, Value>, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| fields.get(*name)?.as_str())
}

/// Returns the time of the event in the local time zone, or the current time if the body has none.
fn time(body: &Map<String, Value>) -> DateTime<Local> {
    let milliseconds = ["ts", "timestamp"].iter().find_map(|name| body.get(*name)?.as_i64());
    let utc = milliseconds.and_then(DateTime::from_timestamp_millis).or_else(|| {
        let text = text(body, &["time"])?;
        let with_zone = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
        let without = || NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").map(|time| time.and_utc());
        with_zone.or_else(|_| without()).ok()
    });
    utc.unwrap_or_else(Utc::now).with_timezone(&Local)
}

/// Returns the published payload.
fn payload(body: &Map<String, Value>) -> Option<String> {
    let has_base64 = body.contains_key("from_clientid");
    let payload = body
        .get("payload")
        .or_else(|| body.get("data").filter(|data| !data.is_object()));
    match (payload, body.get("data_base64")) {
        (Some(Value::String(text)), _) if has_base64 => Some(decoded(text)),
        (Some(Value::String(text)), _) => Some(shortened(text)),
        (Some(Value::Null) | None, Some(Value::String(text))) => Some(decoded(text)),
        (Some(Value::Null) | None, _) => None,
        (Some(json), _) => Some(shortened(&json.to_string())),
    }
}

/// Decodes base64. Returns the bytes as text if they are valid UTF-8, otherwise their number and the first of them.
fn decoded(base64: &str) -> String {
    let Ok(bytes) = BASE64.decode(base64) else {
        return shortened(base64);
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => shortened(text),
        Err(_) => {
            let first = bytes.iter().take(MAX_PAYLOAD_BYTES);
            let first: Vec<String> = first.map(|byte| format!("{byte:02x}")).collect();
            let more = if bytes.len() > MAX_PAYLOAD_BYTES { " …" } else { "" };
            format!("({} bytes: {}{more})", bytes.len(), first.join(" "))
        }
    }
}

/// Cuts a text to the length that is shown.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_PAYLOAD_CHARS) {
        Some((end, _)) => {
            let shown = escaped(text.get(..end).unwrap_or_default());
            format!("{shown}… ({} bytes)", text.len())
        }
        None => escaped(text),
    }
}

/// Escapes the control characters of a text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            escaped.extend(char.escape_default());
        } else {
            escaped.push(char);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the line without its time.
    fn line(body: &str) -> Option<String> {
        let line = readable(body.as_bytes())?;
        let (time, rest) = line.split_once("  ").unwrap();
        assert_eq!(time.len(), "12:34:56.789".len(), "{line}");
        Some(rest.to_owned())
    }

    #[test]
    fn bodies_of_all_formats() {
        for (body, expected) in [
            (
                r#"{"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"MjEuNQ==","ts":1790000001000,"time":"2026-11-22 10:00:01.000","from_node":1,"from_clientid":"c1","action":"message_publish"}"#,
                "message_publish       c1  t/1  21.5",
            ),
            (
                r#"{"topic":"t/1","payload":"aGVsbG8=","clientid":"c2","from_clientid":"c1","action":"message_delivered"}"#,
                "message_delivered     c2  t/1  hello",
            ),
            (
                r#"{"node":1,"clientid":"c1","username":"undefined","time":"2026-11-22 10:00:01.000","action":"client_connect"}"#,
                "client_connect        c1",
            ),
            (
                r#"{"clientid":"c1","reason":"normal","action":"client_disconnected"}"#,
                "client_disconnected   c1  normal",
            ),
            (
                r#"{"ts":1,"topic":"t/1","qos":0,"payload":"aGVsbG8=","from_client_id":"c1","action":"message_publish"}"#,
                "message_publish       c1  t/1  aGVsbG8=",
            ),
            (
                r#"{"timestamp":1,"event":"message.publish","clientid":"c1","topic":"t","payload":{"a":1}}"#,
                "message.publish       c1  t  {\"a\":1}",
            ),
            (
                r#"{"specversion":"1.0","type":"io.hookhost.message-publish.v1","subject":"t/1","time":"2026-09-21T14:13:21.002Z","fromclientid":"c1","data":{"a":1}}"#,
                "io.hookhost.message-publish.v1  c1  t/1",
            ),
            (
                r#"[{"specversion":"1.0","type":"x","subject":"t/1","data_base64":"AP8="}]"#,
                "x                     t/1  (2 bytes: 00 ff)",
            ),
        ] {
            assert_eq!(line(body).as_deref(), Some(expected), "{body}");
        }
    }

    #[test]
    fn other_bodies_stay_as_they_are() {
        for body in ["", "text", "5", "[]", "{}", r#"{"id":"c1"}"#, r#"{"action":"x"}"#] {
            assert_eq!(readable(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn payloads_are_text_or_bytes_and_never_control_the_terminal() {
        let publish = |payload: &[u8]| {
            let payload = BASE64.encode(payload);
            line(&format!(
                r#"{{"action":"a","from_clientid":"c","topic":"\u001b[2J","payload":"{payload}"}}"#
            ))
        };
        let before = format!("{:EVENT_WIDTH$}  c  \\u{{1b}}[2J  ", "a");
        let expect = |payload: &[u8], shown: &str| assert_eq!(publish(payload), Some(format!("{before}{shown}")));
        expect("é\n\u{1b}]0;x\u{7}\u{9b}".as_bytes(), "é\\n\\u{1b}]0;x\\u{7}\\u{9b}");
        expect(&[0, 255], "(2 bytes: 00 ff)");
        let long: Vec<u8> = (0..=255).collect();
        expect(&long, "(256 bytes: 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f …)");
        expect("é".repeat(300).as_bytes(), &format!("{}… (600 bytes)", "é".repeat(200)));
    }

    #[test]
    fn the_time_is_that_of_the_event() {
        let at = |body: &str| {
            let body: Value = serde_json::from_str(body).unwrap();
            time(body.as_object().unwrap()).timestamp_millis()
        };
        assert_eq!(at(r#"{"ts":1790000001002}"#), 1790000001002);
        assert_eq!(at(r#"{"timestamp":1790000001002}"#), 1790000001002);
        assert_eq!(at(r#"{"time":"2026-09-21 14:13:21.002"}"#), 1790000001002);
        assert_eq!(at(r#"{"time":"2026-09-21T14:13:21.002Z"}"#), 1790000001002);
        assert!((Utc::now().timestamp_millis() - at("{}")).abs() < 60_000);
    }
}
