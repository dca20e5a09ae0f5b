//! Prints a request in readable form.
//!
//! JSON is printed with one element on a line and its keys in their original order. Terminal control characters are
//! never printed.

use std::net::SocketAddr;

use hyper::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use serde::de::IgnoredAny;

/// Method, target and sender; the significant headers; the body; an empty line. `body` is the beginning of a body of
/// `length` bytes.
pub(super) fn request(head: &Parts, peer: SocketAddr, body: &[u8], length: usize) -> String {
    let mut text = String::with_capacity(2 * body.len() + 256);
    text.push_str(&format!(
        "{} {} from {peer}, {length} bytes
",
        head.method, head.uri
    ));
    for (name, value) in &head.headers {
        if ![ACCEPT, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING].contains(name) {
            let value = printable(&String::from_utf8_lossy(value.as_bytes()), false);
            text.push_str(&format!("  {name}: {value}\n"));
        }
    }
    if !body.is_empty() {
        let body_text = String::from_utf8_lossy(body);
        let complete = body.len() == length;
        match serde_json::from_str::<IgnoredAny>(&body_text) {
            Ok(_) if complete => text.push_str(&printable(&set_out(&body_text), true)),
            _ => text.push_str(&printable(&body_text, true)),
        }
        text.push_str(if complete { "\n" } else { "…\n" });
    }
    text.push('\n');
    text
}

/// The text with every control character escaped, except for line ends if they are allowed.
fn printable(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if lines => out.push(c),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Valid JSON, with a line for each element. Two blanks for each level; the reader allows 128 levels.
fn set_out(json: &str) -> String {
    let mut out = String::with_capacity(2 * json.len());
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let mut opened = false;
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    for c in json.chars() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        if c.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(c, '}' | ']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        // An empty list or object stays on its line.
        if opened != closes {
            line(&mut out, depth);
        }
        opened = matches!(c, '{' | '[');
        out.push(c);
        match c {
            '"' => in_string = true,
            '{' | '[' => depth += 1,
            ',' => line(&mut out, depth),
            ':' => out.push(' '),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn json_is_set_out_in_its_own_order() {
        let cases = [
            ("1", "1"),
            ("{}", "{}"),
            ("[ ]", "[]"),
            (
                r#"{"b":[1,{}],"a":"x\"{,\\"}"#,
                "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": \"x\\\"{,\\\\\"\n}",
            ),
            ("[[],[\n1 ]]", "[\n  [],\n  [\n    1\n  ]\n]"),
        ];
        for (json, expected) in cases {
            assert_eq!(set_out(json), expected, "{json}");
        }
    }

    #[test]
    fn a_terminal_obeys_nothing() {
        assert_eq!(printable("a\x1b[31m\r\n\u{9b}ü", true), "a\\u{1b}[31m\\u{d}\n\\u{9b}ü");
        assert_eq!(printable("a\nb", false), "a\\u{a}b");
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i64>().prop_map(Into::into),
            ".*".prop_map(Into::into)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(".{0,3}", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn setting_out_is_what_serde_does(json in any_json()) {
            prop_assert_eq!(set_out(&json.to_string()), serde_json::to_string_pretty(&json).unwrap());
        }
    }
}
