//! JSON text, written directly into a buffer.
//!
//! The default module builds a body for every event. For speed it uses neither a tree of values nor a formatter. The text
//! is the same as that of serde_json.

/// The text before the first value of an object: `{"name":`.
macro_rules! first {
    ($name:literal) => {
        concat!("{\"", $name, "\":")
    };
}

/// The text before a further value of an object: `,"name":`.
macro_rules! next {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

pub(crate) use {first, next};

/// Appends a string with its quotes.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends a string without quotes: escapes quotes, backslashes and control characters.
pub(crate) fn push_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    // Every byte that needs an escape is ASCII, so the text can be split before and after it.
    while let Some(at) = rest
        .bytes()
        .position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = special.chars();
        match characters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(control) => {
                out.push_str(if control < '\u{10}' { "\\u000" } else { "\\u001" });
                out.extend(char::from_digit(u32::from(control) & 0xf, 16));
            }
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
}

/// Writes an object. `key` is the text before each value, made with [`first`] or [`next`].
#[derive(Debug, Default)]
pub(crate) struct ObjectWriter(pub(crate) String);

impl ObjectWriter {
    /// An integer.
    pub(crate) fn number(&mut self, key: &str, value: impl itoa::Integer) {
        self.0.push_str(key);
        push_number(&mut self.0, value);
    }

    /// True or false.
    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.0.push_str(key);
        push_bool(&mut self.0, value);
    }

    /// A string.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.0.push_str(key);
        push_string(&mut self.0, value);
    }

    /// A string, or null.
    pub(crate) fn optional(&mut self, key: &str, value: Option<&str>) {
        self.0.push_str(key);
        match value {
            Some(value) => push_string(&mut self.0, value),
            None => self.0.push_str("null"),
        }
    }

    /// Text that is already JSON.
    pub(crate) fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

/// Appends an integer.
pub(crate) fn push_number(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Appends `true` or `false`.
pub(crate) fn push_bool(out: &mut String, value: bool) {
    out.push_str(if value { "true" } else { "false" });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn special_characters_are_escaped() {
        for (text, expected) in [
            ("", r#""""#),
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\n\r\t\u{8}\u{c}", r#""\n\r\t\b\f""#),
            ("\0\u{1}\u{f}\u{10}\u{1f}", r#""\u0000\u0001\u000f\u0010\u001f""#),
            ("\u{7f}é温😀", "\"\u{7f}é温😀\""),
        ] {
            let mut out = String::new();
            push_string(&mut out, text);
            assert_eq!(out, expected);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in any::<String>(), number in any::<i64>()) {
            let mut out = String::new();
            push_string(&mut out, &text);
            prop_assert_eq!(&out, &serde_json::to_string(&text).unwrap());
            out.clear();
            push_number(&mut out, number);
            prop_assert_eq!(&out, &number.to_string());
        }
    }
}
