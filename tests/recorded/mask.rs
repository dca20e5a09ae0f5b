//! Replaces what differs from run to run by words in `< >`, after a check of its form.
//!
//! | word | instead of |
//! | --- | --- |
//! | `<ms>`, `<s>` | milliseconds or seconds since 1970, at most ten minutes old |
//! | `<local time>` | `YYYY-MM-DD HH:MM:SS.mmm` |
//! | `<port>` | a port behind `127.0.0.1:` |
//! | `<id>` | 32 upper-case hexadecimal digits |
//! | `<assigned>` | a client id that the broker has made up |
//! | `<64 times 0123456789abcdef>` | 64 repetitions of 16 characters |

use hookhost_tests::body::{is_recent, is_time};

/// A body of a recording, whose words for numbers are in quotes there.
pub(crate) fn of_recording(body: &str) -> String {
    body.replace("\"<ms>\"", "<ms>")
        .replace("\"<s>\"", "<s>")
        .replace("<node>", "emqx@127.0.0.1")
        .replace('\x7f', r"\x7f")
}

/// The part of a body that is compared. NanoMQ puts a NUL before the messages on its status topic for clients of MQTT 5, so
/// that nothing of the payload is in the body. hookhost sends the payload.
pub(crate) fn compared<'a>(step: &str, body: &'a str) -> &'a str {
    let is_cut = step.starts_with("v5") && body.contains("\"topic\":\"$SYS/brokers/client_status/");
    let end = body.find(",\"payload\":").filter(|_| is_cut);
    end.and_then(|end| body.get(..end)).unwrap_or(body)
}

/// A text with words for what differs from run to run.
pub(crate) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let length = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(length);
        if let Some(time) = rest.get(..LOCAL_TIME_BYTES).filter(|time| is_time(time)) {
            out.push_str("<local time>");
            rest = &rest[time.len()..];
            continue;
        }
        match word(&out, run) {
            Some(word) => out.push_str(word),
            None => push_repeated(&mut out, run),
        }
        let next = after.chars().next();
        match next {
            // Not allowed in a file of TOML.
            Some('\x7f') => out.push_str(r"\x7f"),
            next => out.extend(next),
        }
        rest = &after[next.map_or(0, char::len_utf8)..];
    }
    out
}

/// Adds a run; many repetitions of its first 16 characters as their number.
fn push_repeated(out: &mut String, run: &str) {
    let unit = run.get(..16).unwrap_or(run);
    let times = run.as_bytes().chunks(unit.len().max(1));
    let times = times.take_while(|part| *part == unit.as_bytes()).count();
    if times < 60 || unit.len() < 16 {
        return out.push_str(run);
    }
    out.push_str(&format!("<{times} times {unit}>{}", &run[times * unit.len()..]));
}

const LOCAL_TIME_BYTES: usize = "2026-11-29 18:00:06.820".len();

/// Whether the character is part of a number or of an id.
fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

/// The word for a number or an id that follows a text; `None` if it is the same in every run.
fn word(before: &str, run: &str) -> Option<&'static str> {
    let is_hex = |digit: fn(u8) -> bool| run.bytes().all(|byte| byte.is_ascii_digit() || digit(byte));
    let number = || run.parse::<u64>().ok();
    match run.len() {
        13 if number().is_some_and(is_recent) => Some("<ms>"),
        10 if number().is_some_and(|seconds| is_recent(seconds * 1000)) => Some("<s>"),
        2..=5 if before.ends_with("127.0.0.1:") && number().is_some() => Some("<port>"),
        32 if is_hex(|byte| (b'A'..=b'F').contains(&byte)) => Some("<id>"),
        32 if is_hex(|byte| (b'a'..=b'f').contains(&byte)) => Some("<assigned>"),
        36 if is_hex(|byte| (b'a'..=b'f').contains(&byte) || byte == b'-') => Some("<assigned>"),
        _ => None,
    }
}

#[test]
fn only_what_differs_from_run_to_run_is_masked() {
    let now = hookhost_tests::body::now();
    let body = format!(
        r#"{{"ts":{now},"s":{},"time":"2026-11-29 18:00:06.820","peer":"127.0.0.1:54321","node":"n@127.0.0.1","n":1700000000000,"id":"{}","clientid":"{}"}}"#,
        now / 1000,
        "0A".repeat(16),
        "0a".repeat(16),
    );
    let expected = r#"{"ts":<ms>,"s":<s>,"time":"<local time>","peer":"127.0.0.1:<port>","node":"n@127.0.0.1","n":1700000000000,"id":"<id>","clientid":"<assigned>"}"#;
    assert_eq!(masked(&body), expected);
}
