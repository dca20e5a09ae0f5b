//! JSON text: written directly into a buffer, and read as [`Value`](crate::Value)s.
//!
//! A body is built for every event. For speed the writer uses neither a tree of values nor a formatter. The text is the
//! same as that of serde_json, except for floats, which are written as EMQX writes them.

mod lenient;
mod read;

pub use lenient::text_of;
pub use read::read;

/// Appends a string with its quotes.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends a string with its quotes, as EMQX does; see [`push_emqx_escaped`].
pub fn push_emqx_string(out: &mut String, text: &str) {
    out.push('"');
    push_emqx_escaped(out, text);
    out.push('"');
}

/// Appends a string without quotes, as EMQX does: the hexadecimal digits of control characters are upper case.
pub fn push_emqx_escaped(out: &mut String, text: &str) {
    push_with_digits(out, text, b"0123456789ABCDEF");
}

/// Appends a string without quotes: escapes quotes, backslashes and control characters.
pub fn push_escaped(out: &mut String, text: &str) {
    push_with_digits(out, text, b"0123456789abcdef");
}

fn push_with_digits(out: &mut String, text: &str, digits: &[u8; 16]) {
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
                out.extend(digits.get(control as usize & 0xf).map(|digit| char::from(*digit)));
            }
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
}

/// Appends an integer.
pub fn push_number(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Appends `true` or `false`.
pub fn push_bool(out: &mut String, value: bool) {
    out.push_str(if value { "true" } else { "false" });
}

/// Appends a float as EMQX does: the shortest digits that read back as the same number, with at least one digit after the
/// point; below 0.000001 and from 1e21 with an exponent (`1e-7`, `1.5e+300`). Negative zero is `0.0`.
pub fn push_float(out: &mut String, number: f64) {
    use std::fmt::Write;

    let mut shortest = String::new();
    // Writing into a string does not fail.
    if write!(shortest, "{:e}", number.abs()).is_err() {
        return;
    }
    let (digits, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (first, rest) = digits.split_once('.').unwrap_or((digits, ""));
    if number < 0.0 {
        out.push('-');
    }
    let zeros = |out: &mut String, count: i32| out.extend((0..count).map(|_| '0'));
    if !(-6..21).contains(&exponent) {
        out.push_str(digits);
        out.push_str(if exponent < 0 { "e" } else { "e+" });
        push_number(out, exponent);
    } else if exponent < 0 {
        out.push_str("0.");
        zeros(out, -exponent - 1);
        out.push_str(first);
        out.push_str(rest);
    } else {
        out.push_str(first);
        // The exponent is not negative here and the digits are at most 17.
        let whole = rest.len().min(exponent as usize);
        let (whole, fraction) = rest.split_at(whole);
        out.push_str(whole);
        zeros(out, exponent - whole.len() as i32);
        out.push('.');
        out.push_str(if fraction.is_empty() { "0" } else { fraction });
    }
}

/// Appends bytes as a string with its quotes; [`text_of`] describes what happens to bytes that are not UTF-8.
pub fn push_bytes(out: &mut String, bytes: &[u8]) {
    push_emqx_string(out, &text_of(bytes));
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

    #[test]
    fn emqx_has_upper_case_digits() {
        let mut out = String::new();
        push_emqx_string(&mut out, "\u{b}\u{1f}\n\u{0}ä");
        assert_eq!(out, r#""\u000B\u001F\n\u0000ä""#);
    }

    #[test]
    fn floats() {
        for (number, expected) in [
            (0.0, "0.0"),
            (-0.0, "0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.30000000000000004, "0.30000000000000004"),
            (1e3, "1000.0"),
            (0.000001, "0.000001"),
            (1e-7, "1e-7"),
            (-1.25e-10, "-1.25e-10"),
            (12345678901234567890.0, "12345678901234567000.0"),
            (123456789012345678901.0, "123456789012345680000.0"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
        ] {
            let mut out = String::new();
            push_float(&mut out, number);
            assert_eq!(out, expected);
        }
    }

    proptest! {
        #[test]
        fn floats_read_back(number in any::<f64>().prop_filter("finite", |number| number.is_finite())) {
            let mut out = String::new();
            push_float(&mut out, number);
            prop_assert_eq!(out.parse::<f64>().unwrap(), number);
        }

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
