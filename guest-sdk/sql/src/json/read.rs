//! Reads JSON.

use std::borrow::Cow;

use num_bigint::BigInt;

use crate::value::{Value, sort};

/// Maximum nesting of lists and objects.
const MAX_DEPTH: usize = 128;

/// Reads one JSON value and borrows its texts where they contain no escapes; `None` if the text is not JSON or nests more
/// than 128 levels deep.
///
/// Integers keep all digits. A number with a fraction or an exponent is a float; one that is too large for a float is an
/// error. If a name occurs twice in an object, the later value is used.
pub fn read(text: &str) -> Option<Value<'_>> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(MAX_DEPTH)?;
    reader.skip_space();
    (reader.at == text.len()).then_some(value)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether the next byte is this one, which is then skipped.
    fn take(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    fn word(&mut self, word: &str, value: Value<'t>) -> Option<Value<'t>> {
        let rest = self.text.get(self.at..)?;
        self.at += word.len();
        rest.starts_with(word).then_some(value)
    }

    fn value(&mut self, depth: usize) -> Option<Value<'t>> {
        self.skip_space();
        match self.peek()? {
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.list(depth.checked_sub(1)?),
            b'"' => self.string().map(Value::Text),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value<'t>> {
        self.at += 1;
        let mut entries = Vec::new();
        self.skip_space();
        if self.take(b'}') {
            return Some(Value::Object(entries));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return None;
            }
            let name = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return None;
            }
            let value = self.value(depth)?;
            entries.push((name, value));
            self.skip_space();
            if self.take(b'}') {
                sort(&mut entries);
                return Some(Value::Object(entries));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value<'t>> {
        self.at += 1;
        let mut values = Vec::new();
        self.skip_space();
        if self.take(b']') {
            return Some(Value::List(values));
        }
        loop {
            values.push(self.value(depth)?);
            self.skip_space();
            if self.take(b']') {
                return Some(Value::List(values));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    /// Reads a string, which begins with a quote.
    fn string(&mut self) -> Option<Cow<'t, str>> {
        self.at += 1;
        let mut unescaped: Option<String> = None;
        loop {
            let rest = self.text.get(self.at..)?;
            let length = rest
                .bytes()
                .position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20)?;
            let (plain, special) = rest.split_at(length);
            self.at += length + 1;
            match special.bytes().next()? {
                b'"' => {
                    return Some(match unescaped {
                        None => Cow::Borrowed(plain),
                        Some(text) => Cow::Owned(text + plain),
                    });
                }
                b'\\' => {
                    let text = unescaped.get_or_insert_default();
                    text.push_str(plain);
                    let escaped = self.escape()?;
                    unescaped.as_mut()?.push(escaped);
                }
                _ => return None,
            }
        }
    }

    /// The character of an escape, behind the backslash.
    fn escape(&mut self) -> Option<char> {
        let kind = self.peek()?;
        self.at += 1;
        Some(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                if !(0xd800..0xe000).contains(&first) {
                    return char::from_u32(first);
                }
                if !(self.take(b'\\') && self.take(b'u')) {
                    return None;
                }
                let second = self.unit()?;
                let pair = char::decode_utf16([u16::try_from(first).ok()?, u16::try_from(second).ok()?]).next()?;
                return pair.ok();
            }
            _ => return None,
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    }

    fn digits(&mut self) -> usize {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - begin
    }

    fn number(&mut self) -> Option<Value<'t>> {
        let begin = self.at;
        self.take(b'-');
        let is_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (is_zero && whole > 1) {
            return None;
        }
        let mut is_float = false;
        if self.take(b'.') {
            is_float = true;
            if self.digits() == 0 {
                return None;
            }
        }
        if self.take(b'e') || self.take(b'E') {
            is_float = true;
            let _sign = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return None;
            }
        }
        let text = self.text.get(begin..self.at)?;
        if is_float {
            let number: f64 = text.parse().ok()?;
            return number.is_finite().then_some(Value::Float(number));
        }
        match text.parse() {
            Ok(number) => Some(Value::Integer(number)),
            Err(_) => text.parse::<BigInt>().ok().map(Value::big),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value as Json;

    fn written(text: &str) -> Option<String> {
        let mut out = String::new();
        read(text)?.push(&mut out);
        Some(out)
    }

    #[test]
    fn values() {
        for (text, expected) in [
            ("null", "null"),
            (" true ", "true"),
            ("[1, -2.50, 1e3, 1E-7, -0]", "[1,-2.5,1000.0,1e-7,0]"),
            (
                "123456789012345678901234567890123456789012345",
                "123456789012345678901234567890123456789012345",
            ),
            (
                r#"{"a": 1, "c": {"x": []}, "b": "ä\u00e4\n\ud83d\ude00\/", "a": 2}"#,
                "{\"c\":{\"x\":[]},\"b\":\"ää\\n😀/\",\"a\":2}",
            ),
            ("{}", "{}"),
        ] {
            assert_eq!(written(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn texts_that_are_not_json() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "+1",
            "1.",
            ".5",
            "1e",
            "-",
            "nul",
            "1 2",
            "'x'",
            "\"\n\"",
            "\"a",
            "\"\\x\"",
            "\"\\ud83d\"",
            "\"\\ud83dx\"",
            "\"\\u00g0\"",
            "1e400",
            "[1 2]",
            "{\"a\" 1}",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
        assert_eq!(written(&"[".repeat(5000)), None);
        assert!(written(&format!("{}1{}", "[".repeat(128), "]".repeat(128))).is_some());
    }

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            // serde_json reads floats with many digits less exactly.
            any::<i32>().prop_map(|number| Json::from(f64::from(number) / 8.0)),
            any::<String>().prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|entries| Json::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(value in json()) {
            for text in [serde_json::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
                let read = read(&text).unwrap();
                prop_assert_eq!(Json::from(&read), value.clone());
                let mut out = String::new();
                read.push(&mut out);
                prop_assert_eq!(serde_json::from_str::<Json>(&out).unwrap(), value.clone());
            }
        }

        #[test]
        fn accepts_what_serde_json_accepts(text in "[\\[\\]{}\",:0-9eE.+\\- a\\\\ut]{0,12}") {
            prop_assert_eq!(read(&text).is_some(), serde_json::from_str::<Json>(&text).is_ok(), "{}", text);
        }
    }
}
