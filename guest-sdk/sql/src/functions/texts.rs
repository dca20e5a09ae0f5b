//! Functions for texts.

use std::collections::HashSet;

use super::clusters::{
    Places, clusters, find, find_last, slice, split, without_leading_blanks, without_trailing_blanks,
};
use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::value::Value;

/// Longest text that `pad` makes, in bytes.
const MAX_PADDED_BYTES: usize = 1024 * 1024;

pub(super) const THEME: Theme = Theme {
    title: "Texts",
    functions: &[
        function!(
            "lower",
            1..=1,
            "lower(text)",
            "The text in lower case.",
            |arguments| match arguments {
                [Value::Text(text)] => Some(Value::from(
                    text.chars().flat_map(char::to_lowercase).collect::<String>()
                )),
                _ => None,
            }
        ),
        function!(
            "upper",
            1..=1,
            "upper(text)",
            "The text in upper case.",
            |arguments| match arguments {
                [Value::Text(text)] => Some(Value::from(text.to_uppercase())),
                _ => None,
            }
        ),
        function!(
            "ltrim",
            1..=1,
            "ltrim(text)",
            "The text without blanks at the beginning.",
            |arguments| match arguments {
                [text] => without_leading_blanks(text.as_bytes()?).map(bytes),
                _ => None,
            }
        ),
        function!(
            "rtrim",
            1..=1,
            "rtrim(text)",
            "The text without blanks at the end.",
            |arguments| match arguments {
                [text] => without_trailing_blanks(text.as_bytes()?).map(bytes),
                _ => None,
            }
        ),
        function!(
            "trim",
            1..=1,
            "trim(text)",
            "The text without blanks at both ends.",
            |arguments| match arguments {
                [text] => without_leading_blanks(text.as_bytes()?)
                    .and_then(without_trailing_blanks)
                    .map(bytes),
                _ => None,
            }
        ),
        function!(
            "reverse",
            1..=1,
            "reverse(text)",
            "The text backwards.",
            |arguments| match arguments {
                [Value::Text(text)] => Some(Value::from(clusters(text).rev().collect::<String>())),
                _ => None,
            }
        ),
        function!(
            "rm_prefix",
            2..=2,
            "rm_prefix(text, prefix)",
            "The text without the prefix, or the text if it begins otherwise.",
            |arguments| match arguments {
                [text, prefix] => {
                    let prefix = prefix.as_bytes()?;
                    let rest = text.as_bytes().and_then(|text| text.strip_prefix(prefix));
                    Some(rest.map_or_else(|| text.clone().into_owned(), bytes))
                }
                _ => None,
            }
        ),
        function!(
            "strlen",
            1..=1,
            "strlen(text)",
            "The number of characters of the text.",
            |arguments| match arguments {
                [Value::Text(text)] => Some(Value::Integer(clusters(text).count() as i128)),
                _ => None,
            }
        ),
        function!(
            "substr",
            2..=3,
            "substr(text, start[, length])",
            "The text from a character on, at most `length` characters. 0 is the first.",
            |arguments| match arguments {
                [text, Value::Integer(start)] =>
                    slice(text.as_bytes()?, usize::try_from(*start).ok()?, None).map(bytes),
                [text, Value::Integer(start), Value::Integer(length)] => {
                    let [start, length] = [start, length].map(|number| usize::try_from(*number).ok());
                    slice(text.as_bytes()?, start?, Some(length?)).map(bytes)
                }
                _ => None,
            }
        ),
        function!(
            "split",
            2..=3,
            "split(text, separator[, option])",
            "The parts of the text between separators, without empty ones. The option `'leading'` splits at the first \
             separator only, `'trailing'` at the last; `'notrim'`, `'leading_notrim'` and `'trailing_notrim'` keep empty \
             parts.",
            split_text
        ),
        function!(
            "tokens",
            2..=3,
            "tokens(text, separators[, 'nocrlf'])",
            "The parts of the text between bytes of `separators`, without empty ones. `'nocrlf'` separates at line breaks \
             too.",
            tokens
        ),
        function!(
            "concat",
            1..=2,
            "concat(list), concat(x, y)",
            "The texts of two values or of a list, joined. Other values are converted as by `str`.",
            |arguments| match arguments {
                [Value::List(list)] => joined(list, b""),
                [_, _] => joined(arguments, b""),
                _ => None,
            }
            .filter(|text| !matches!(text, Value::Bytes(_)))
        ),
        function!(
            "pad",
            2..=4,
            "pad(text, length[, position[, characters]])",
            "The text, filled up to a number of characters with blanks or other characters at its end (`'trailing'`), its \
             beginning (`'leading'`) or on both sides (`'both'`). Characters beyond Latin-1 are refused; a character of \
             Latin-1 is one byte.",
            pad
        ),
        function!(
            "replace",
            3..=4,
            "replace(text, pattern, replacement[, option])",
            "The text with the pattern replaced everywhere (`'all'`), only at its first place (`'leading'`) or its last one \
             (`'trailing'`).",
            |arguments| {
                let (text, pattern, replacement, places) = match arguments {
                    [text, pattern, replacement] => (text, pattern, replacement, Places::All),
                    [text, pattern, replacement, option] => {
                        let places = match option.as_text()? {
                            "all" => Places::All,
                            "leading" => Places::First,
                            "trailing" => Places::Last,
                            _ => return None,
                        };
                        (text, pattern, replacement, places)
                    }
                    _ => return None,
                };
                let parts = split(text.as_bytes()?, pattern.as_text()?, places);
                Some(Value::bytes(parts.join(replacement.as_bytes()?)))
            }
        ),
        function!(
            "ascii",
            1..=1,
            "ascii(text)",
            "The first byte of the text.",
            |arguments| match arguments {
                [text] => text.as_bytes()?.first().map(|byte| Value::from(*byte)),
                _ => None,
            }
        ),
        function!(
            "find",
            2..=3,
            "find(text, pattern[, option])",
            "The text from the first place of the pattern on (`'leading'`), or from the last one (`'trailing'`); an empty \
             text if there is none.",
            |arguments| {
                let (text, pattern, is_last) = match arguments {
                    [text, pattern] => (text, pattern, false),
                    [text, pattern, Value::Text(option)] if option == "leading" => (text, pattern, false),
                    [text, pattern, Value::Text(option)] if option == "trailing" => (text, pattern, true),
                    _ => return None,
                };
                let (text, pattern) = (text.as_bytes()?, pattern.as_text()?);
                let place = match (pattern, is_last) {
                    ("", _) => Some(0),
                    (pattern, true) => find_last(text, pattern),
                    (pattern, false) => find(text, pattern, 0),
                };
                Some(bytes(place.and_then(|at| text.get(at..)).unwrap_or_default()))
            }
        ),
        function!(
            "join_to_string",
            1..=2,
            "join_to_string([separator, ]list)",
            "The texts of the values in the list, with `, ` or another separator between them.",
            |arguments| match arguments {
                [Value::List(list)] => joined(list, b", "),
                [separator, Value::List(list)] => joined(list, separator.as_bytes()?),
                _ => None,
            }
        ),
        function!(
            "join_to_sql_values_string",
            1..=1,
            "join_to_sql_values_string(list)",
            "The values in the list for `VALUES (…)` of SQL: numbers as they are, other values in quotes.",
            |arguments| match arguments {
                [Value::List(list)] => {
                    let values: Vec<Vec<u8>> = list.iter().map(sql_value).collect();
                    Some(Value::bytes(values.join(&b", "[..])))
                }
                _ => None,
            }
        ),
        function!(
            "unescape",
            1..=1,
            "unescape(text)",
            "The text with escapes such as `\\n`, `\\t`, `\\\\` and `\\x41` replaced by their characters; other escapes are \
             refused.",
            |arguments| match arguments {
                [Value::Text(text)] => unescape(text).map(Value::from),
                _ => None,
            }
        ),
    ],
};

fn bytes(bytes: &[u8]) -> Value<'static> {
    Value::bytes(bytes.to_vec())
}

fn split_text(arguments: &[Value<'_>]) -> Option<Value<'static>> {
    let (text, separator, option) = match arguments {
        [text, separator] => (text, separator, None),
        [text, separator, option] => (text, separator, Some(option.as_text()?)),
        _ => return None,
    };
    let (places, keeps_empty) = match option {
        None => (Places::All, false),
        Some("notrim") => (Places::All, true),
        Some("leading") => (Places::First, false),
        Some("leading_notrim") => (Places::First, true),
        Some("trailing") => (Places::Last, false),
        Some("trailing_notrim") => (Places::Last, true),
        Some(_) => return None,
    };
    let parts = split(text.as_bytes()?, separator.as_text()?, places);
    Some(Value::List(
        parts
            .into_iter()
            .filter(|part| keeps_empty || !part.is_empty())
            .map(bytes)
            .collect(),
    ))
}

/// Separators are single bytes; CR and LF together count as one character, which is none of them.
fn tokens(arguments: &[Value<'_>]) -> Option<Value<'static>> {
    let (text, separators, at_breaks) = match arguments {
        [text, separators] => (text, separators, false),
        [text, separators, Value::Text(option)] if option == "nocrlf" => (text, separators, true),
        _ => return None,
    };
    let text = text.as_bytes()?;
    let mut set: HashSet<u8> = separators.as_bytes()?.iter().copied().collect();
    if at_breaks {
        set.extend(*b"\r\n");
    }
    let (mut tokens, mut begin, mut at) = (Vec::new(), 0, 0);
    while let Some(byte) = text.get(at) {
        let is_break = *byte == b'\r' && text.get(at + 1) == Some(&b'\n');
        let is_separator = set.contains(byte);
        let width = if is_break && is_separator { 2 } else { 1 };
        if is_separator && (!is_break || at_breaks) {
            tokens.extend(text.get(begin..at).filter(|token| !token.is_empty()).map(bytes));
            begin = at + width;
        }
        at += width;
    }
    tokens.extend(text.get(begin..).filter(|token| !token.is_empty()).map(bytes));
    Some(Value::List(tokens))
}

fn joined(values: &[Value<'_>], separator: &[u8]) -> Option<Value<'static>> {
    let texts: Vec<Vec<u8>> = values.iter().map(Value::to_bytes).collect();
    Some(Value::bytes(texts.join(separator)))
}

fn pad(arguments: &[Value<'_>]) -> Option<Value<'static>> {
    let (text, length, position, characters) = match arguments {
        [Value::Text(text), Value::Integer(length)] => (text, length, "trailing", " "),
        [Value::Text(text), Value::Integer(length), position] => (text, length, position.as_text()?, " "),
        [Value::Text(text), Value::Integer(length), position, characters] => {
            (text, length, position.as_text()?, characters.as_text()?)
        }
        _ => return None,
    };
    let missing = usize::try_from(*length)
        .unwrap_or_default()
        .saturating_sub(clusters(text).count());
    let before = match position {
        "trailing" => 0,
        "leading" => missing,
        "both" => missing / 2,
        _ => return None,
    };
    if missing == 0 {
        return Some(Value::from(text.clone().into_owned()));
    }
    let unit: Option<Vec<u8>> = characters.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    let unit = unit?;
    if missing.saturating_mul(unit.len()) > MAX_PADDED_BYTES {
        return None;
    }
    let (before, behind) = (unit.repeat(before), unit.repeat(missing - before));
    Some(Value::bytes([before.as_slice(), text.as_bytes(), &behind].concat()))
}

/// A value as SQL.
fn sql_value(value: &Value<'_>) -> Vec<u8> {
    let text = match value {
        Value::Integer(_) | Value::Big(_) | Value::Float(_) => return value.to_bytes(),
        Value::List(_) => value.to_json().into_bytes(),
        value => value.to_bytes(),
    };
    let mut quoted = vec![b'\''];
    for byte in text {
        if matches!(byte, b'\'' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'\'');
    quoted
}

/// `None` for an escape that is not known, and for a hexadecimal number that is not a character.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut characters = escaped.chars();
        // A backslash at the end stays.
        let Some(kind) = characters.next() else {
            out.push('\\');
            return Some(out);
        };
        rest = characters.as_str();
        out.push(match kind {
            '\\' | '\'' | '"' | '?' => kind,
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'a' => '\u{7}',
            'x' => {
                let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
                let (number, behind) = rest.split_at(digits);
                rest = behind;
                char::from_u32(u32::from_str_radix(number, 16).ok()?)?
            }
            _ => return None,
        });
    }
    Some(out + rest)
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("lower('ABC')", "\"abc\""),
            ("lower('')", "\"\""),
            ("lower(1)", "fails"),
            ("lower(hexstr2bin('FFFE0041C3800A'))", "fails"),
            ("upper('MiXed')", "\"MIXED\""),
            ("upper(7)", "fails"),
            ("ltrim('  a b ')", "\"a b \""),
            ("ltrim('  pad me\t')", "\"pad me\\t\""),
            ("ltrim(5)", "fails"),
            ("rtrim('  pad me\t')", "\"  pad me\""),
            ("rtrim(null)", "fails"),
            ("trim('  a b ')", "\"a b\""),
            ("trim('')", "\"\""),
            ("trim(1.5)", "fails"),
            ("reverse('abc')", "\"cba\""),
            ("reverse('')", "\"\""),
            ("reverse(12)", "fails"),
            ("rm_prefix('a', 'abc')", "\"a\""),
            ("rm_prefix('abc', 5)", "fails"),
            ("strlen('abc')", "3"),
            ("strlen('')", "0"),
            ("strlen('äÖ€😀')", "4"),
            ("strlen('e\u{301}')", "1"),
            ("strlen('👨\u{200d}👩\u{200d}👧')", "1"),
            ("strlen('\t\n')", "2"),
            ("strlen(hexstr2bin('FFFE0041C3800A'))", "fails"),
            ("substr('abcdef', 2)", "\"cdef\""),
            ("substr('abcdef', 0)", "\"abcdef\""),
            ("substr('abcdef', 6)", "\"\""),
            ("substr('abcdef', 9)", "\"\""),
            ("substr('abcdef', -2)", "fails"),
            ("substr('abcdef', 1, 2)", "\"bc\""),
            ("substr(123, 1)", "fails"),
            ("substr('abc', '1')", "fails"),
            ("split('a,b,,c', ',')", r#"["a","b","c"]"#),
            ("split('abc', ',')", r#"["abc"]"#),
            ("split('a,b,c', ',', 'leading')", r#"["a","b,c"]"#),
            ("split('a,b,c', ',', 'trailing')", r#"["a,b","c"]"#),
            ("split(',b,c', ',', 'leading')", r#"["b,c"]"#),
            ("split('a', '')", r#"["a"]"#),
            ("split('äÖ€😀', '€')", r#"["äÖ","😀"]"#),
            ("split('a--b', '--')", r#"["a","b"]"#),
            ("split('', ',')", "[]"),
            ("split('a,b', ',', 'both')", "fails"),
            ("tokens('a,b;;c', ',;')", r#"["a","b","c"]"#),
            ("tokens('', ',')", "[]"),
            ("tokens('abc', '')", r#"["abc"]"#),
            ("tokens(5, ',')", "fails"),
            ("tokens('a,b,,c', ',', 'x')", "fails"),
            ("concat('a', 'b')", "\"ab\""),
            ("concat('a', 1)", "\"a1\""),
            ("concat(1, 2)", "\"12\""),
            ("concat('only')", "fails"),
            ("concat(1.0, 0.1)", "\"1.00.1\""),
            ("concat(1e3, '')", "\"1000.0\""),
            ("pad('ab', 5)", "\"ab   \""),
            ("pad('abcdef', 3)", "\"abcdef\""),
            ("pad('ab', 5, 'leading', '0')", "\"000ab\""),
            ("pad('ab', 6, 'both', 'xy')", "\"xyxyabxyxy\""),
            ("pad('7', 3, 'trailing', 'ä')", "\"7\u{fffd}\u{fffd}\""),
            ("pad('ab', -1)", "\"ab\""),
            ("pad('ab', 5, 'left')", "fails"),
            ("replace('aXbX', 'X', '-')", "\"a-b-\""),
            ("replace('abc', 'x', '-')", "\"abc\""),
            ("replace('aaa', 'aa', 'b')", "\"ba\""),
            ("replace('äÖ€😀', '€', 'EUR')", "\"äÖEUR😀\""),
            ("replace('  pad me\t', ' ', '')", "\"padme\\t\""),
            ("replace(5, '5', '6')", "fails"),
            ("replace('abc', 'b', 5)", "fails"),
            ("replace('a.b', '.', '')", "\"ab\""),
            ("ascii('A')", "65"),
            ("ascii('ä')", "195"),
            ("ascii('')", "fails"),
            ("find('eeabcabcee', 'abc')", "\"abcabcee\""),
            ("find('eeabcabcee', 'abc', 'leading')", "\"abcabcee\""),
            ("find('eeabcabcee', 'abc', 'trailing')", "\"abcee\""),
            ("find('äÖ€😀', '€')", "\"€😀\""),
            ("find('abc', '')", "\"abc\""),
            ("find('abc', 'x')", "\"\""),
            ("find('abc', 'b', 'middle')", "fails"),
            ("join_to_string(['a', 'b'])", "\"a, b\""),
            ("join_to_string('-', ['a', 1, true])", "\"a-1-true\""),
            ("join_to_string([])", "\"\""),
            ("join_to_string(',', [null()])", "\"undefined\""),
            ("join_to_string(1, ['a', 'b'])", "fails"),
            ("join_to_string(', ', [[1, 2], [3]])", "\"[1,2], [3]\""),
            ("join_to_string('', [5, 3, 9, 1])", "\"5391\""),
            (
                "join_to_sql_values_string(['a', 1, 1.5, true])",
                "\"'a', 1, 1.5, 'true'\"",
            ),
            (
                "join_to_sql_values_string([1, 'two', 3.5, true, null, map('{\"z\":3}')])",
                r#""1, 'two', 3.5, 'true', 'null', '{\"z\":3}'""#,
            ),
            ("join_to_sql_values_string('abc')", "fails"),
            ("join_to_sql_values_string(['a\\b'])", r#""'a\\\\b'""#),
            (r"unescape('a\nb\tc')", r#""a\nb\tc""#),
            (r"unescape('\x41\x42')", "\"AB\""),
            (r"unescape('\x1F600')", "\"😀\""),
            (r"unescape('\x41g')", "\"Ag\""),
            (r"unescape('\r\b\f\v')", r#""\r\b\f\u000b""#),
            ("unescape(5)", "fails"),
            (r"unescape('end\')", r#""end\\""#),
        ]);
    }

    /// Compared with Erlang 25.2.3.
    #[test]
    fn as_erlang() {
        check(&[
            ("lower('aAΣ')", "\"aaσ\""),
            ("upper('ß')", "\"SS\""),
            ("split('ae\u{301}x', 'e')", "[\"ae\u{301}x\"]"),
            ("split('a\r\nb', '\n')", r#"["a\r","b"]"#),
            ("split('a\r\nb', '\r')", r#"["a\r\nb"]"#),
            ("split('aaa', 'aa', 'trailing_notrim')", r#"["a",""]"#),
            ("bin2hexstr(replace(hexstr2bin('FF2CFE'), ',', 'x'))", "\"FF78FE\""),
            ("trim(hexstr2bin('20FF20'))", "fails"),
            ("bin2hexstr(trim(hexstr2bin('61FF6220')))", "\"61FF62\""),
            ("bin2hexstr(rtrim(hexstr2bin('FF')))", "\"FF\""),
            ("ltrim(hexstr2bin('FF'))", "fails"),
            ("bin2hexstr(substr(hexstr2bin('61FF6220'), 1))", "\"FF6220\""),
            ("substr(hexstr2bin('61FF6220'), 2)", "fails"),
            ("substr(hexstr2bin('61FF6220'), 0, 1)", "fails"),
            ("substr('abc', 1, 0)", "\"\""),
            ("substr('abc', 1, -1)", "fails"),
            ("substr('abc', 5, 2)", "\"\""),
            ("tokens('a\r\nb', '\n')", r#"["a\r","b"]"#),
            ("tokens('a\r\nb', '\r\n')", r#"["a\r\nb"]"#),
            ("tokens('a,b\r\n,c\n', ',', 'nocrlf')", r#"["a","b","c"]"#),
            ("pad('ab', 5, 'both')", "\" ab  \""),
            ("pad('ab', 6, 'leading', '')", "\"ab\""),
            ("pad('7', 3, 'trailing', '€')", "fails"),
            (r"unescape('\L')", "fails"),
            (r"unescape('\xG1')", "fails"),
            (r"unescape('\x11000000')", "fails"),
            (r"unescape('\x0000754C')", "\"界\""),
        ]);
    }
}
