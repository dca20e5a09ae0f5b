//! Webhook bodies as text. The order of keys is part of the format, so tests compare bodies as they arrive. Values that
//! differ from run to run are replaced by placeholders after a check of their form:
//!
//! | key | placeholder | form |
//! | --- | --- | --- |
//! | `time` | `"<time>"` | `YYYY-MM-DD HH:MM:SS.mmm` |
//! | `ts`, `pts`, `timestamp`, `*_at` | `<ms>`, `<s>` | milliseconds or seconds since 1970, at most ten minutes old |
//! | `ipaddress`, `from_ipaddress`, `peername`, `sockname` | `"<addr>"` | `127.0.0.1:PORT`; unchanged without a port |
//! | `id` | `"<id>"` | 32 hexadecimal digits |
//!
//! A `null` is unchanged.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use serde_json::Value;

/// Milliseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_millis() as u64)
}

/// The body with placeholders. Panics if it is not a JSON object or if a volatile field has another form.
pub fn normalised(body: &str) -> String {
    if let Err(error) = serde_json::from_str::<Value>(body) {
        panic!("{error} in body {body}");
    }
    let fields: Vec<String> = fields(body)
        .into_iter()
        .map(|(key, value)| match placeholder(key, value) {
            Ok(Some(placeholder)) => format!("\"{key}\":{placeholder}"),
            Ok(None) => format!("\"{key}\":{value}"),
            Err(expected) => panic!("{key} is {value}, not {expected}, in body {body}"),
        })
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn placeholder(key: &str, value: &str) -> Result<Option<&'static str>, &'static str> {
    match key {
        _ if value == "null" => Ok(None),
        // EMQX 5 has no address of the publisher of a will.
        "peername" if value == "\"undefined\"" => Ok(None),
        "time" => is_time(value.trim_matches('"'))
            .then_some(Some("\"<time>\""))
            .ok_or("a local time"),
        "ts" | "pts" | "timestamp" | "connected_at" | "disconnected_at" | "created_at" | "publish_received_at" => {
            let at = value.parse::<u64>().unwrap_or_default();
            match (is_recent(at), is_recent(at * 1000)) {
                (true, _) => Ok(Some("<ms>")),
                (_, true) => Ok(Some("<s>")),
                _ => Err("a time in milliseconds or seconds"),
            }
        }
        "id" => {
            let digits = value.trim_matches('"');
            let is_id = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_id.then_some(Some("\"<id>\"")).ok_or("32 hexadecimal digits")
        }
        "ipaddress" if value == "\"127.0.0.1\"" => Ok(None),
        "ipaddress" | "from_ipaddress" | "peername" | "sockname" => {
            let port = value
                .strip_prefix("\"127.0.0.1:")
                .and_then(|rest| rest.strip_suffix('"'));
            port.and_then(|port| port.parse::<u16>().ok())
                .map(|_| Some("\"<addr>\""))
                .ok_or("an address")
        }
        _ => Ok(None),
    }
}

/// Whether milliseconds since 1970 are at most ten minutes ago.
pub fn is_recent(at: u64) -> bool {
    (now() + 1000).checked_sub(at).is_some_and(|age| age < 600_000)
}

/// Whether the text has the form `YYYY-MM-DD HH:MM:SS.mmm`.
pub fn is_time(value: &str) -> bool {
    let pattern = b"dddd-dd-dd dd:dd:dd.ddd";
    value.len() == pattern.len()
        && value.bytes().zip(pattern).all(|(got, want)| {
            if *want == b'd' {
                got.is_ascii_digit()
            } else {
                got == *want
            }
        })
}

/// Keys and values of the outer object in their original text, which is known to be JSON without white space.
fn fields(body: &str) -> Vec<(&str, &str)> {
    let inner = body
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or_else(|| panic!("no object: {body}"));
    let mut fields = Vec::new();
    let (mut start, mut colon) = (0, None);
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in inner.bytes().chain([b',']).enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => (),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b':' if depth == 0 && colon.is_none() => colon = Some(at),
            b',' if depth == 0 => {
                let colon = colon
                    .take()
                    .unwrap_or_else(|| panic!("white space or an empty object: {body}"));
                fields.push((inner[start..colon].trim_matches('"'), &inner[colon + 1..at]));
                start = at + 1;
            }
            _ => (),
        }
    }
    fields
}

/// The client that defines the order of an event: the receiver if there is one, else the publisher.
pub fn subject(body: &Value) -> &str {
    body["clientid"]
        .as_str()
        .or_else(|| body["from_clientid"].as_str())
        .or_else(|| body["from_client_id"].as_str())
        .unwrap_or_default()
}

/// The name of the event in the body.
pub fn name(body: &Value) -> &str {
    // EMQX 5 also has an `action`: the requested permission.
    body["event"]
        .as_str()
        .or_else(|| body["action"].as_str())
        .unwrap_or_default()
}

/// The decoded payload of a message event.
pub fn payload(body: &Value) -> Vec<u8> {
    let text = body["payload"]
        .as_str()
        .unwrap_or_else(|| panic!("no payload in {body}"));
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// Panics with a readable comparison unless both lists are equal.
pub fn check(of: &str, got: &[String], expected: &[String]) {
    if got == expected {
        return;
    }
    let mut text = format!("the webhooks of {of} are not as expected\n");
    for index in 0..got.len().max(expected.len()) {
        match (expected.get(index), got.get(index)) {
            (Some(expected), Some(got)) if got == expected => text.push_str(&format!("  same     {got}\n")),
            (expected, got) => {
                let none = "(none)".to_owned();
                let (expected, got) = (expected.unwrap_or(&none), got.unwrap_or(&none));
                text.push_str(&format!("  expected {expected}\n  got      {got}\n"));
            }
        }
    }
    panic!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_replace_what_is_volatile_and_keep_the_order() {
        let body = format!(
            r#"{{"node":1,"ipaddress":"127.0.0.1:5","a":"x,\"}}{{:","opts":{{"qos":1,"id":[1,2]}},"ts":{},"pts":null,"time":"2026-11-22 10:00:00.123"}}"#,
            now()
        );
        let expected = r#"{"node":1,"ipaddress":"<addr>","a":"x,\"}{:","opts":{"qos":1,"id":[1,2]},"ts":<ms>,"pts":null,"time":"<time>"}"#;
        assert_eq!(normalised(&body), expected);
    }

    #[test]
    #[should_panic(expected = "not a local time")]
    fn a_time_of_another_shape_is_refused() {
        normalised(r#"{"time":"2026-11-22T10:00:00Z"}"#);
    }
}
