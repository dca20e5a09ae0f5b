//! Functions for texts.

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
            "The text backwards. A character of Latin-1 is one byte; others are refused.",
            |arguments| match arguments {
                [Value::Text(text)] => latin1_bytes(clusters(text).rev().flat_map(str::chars)).map(Value::bytes),
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
            "The text from the first (`'leading'`) or last (`'trailing'`) occurrence of the pattern to its end; an empty \
             text without an occurrence.",
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

/// Characters of Latin-1, one byte for each; `None` if there are others. Erlang's lists of characters become bytes so.
fn latin1_bytes(characters: impl Iterator<Item = char>) -> Option<Vec<u8>> {
    characters.map(|c| u8::try_from(u32::from(c)).ok()).collect()
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
    let unit = latin1_bytes(characters.chars())?;
    if missing.saturating_mul(unit.len()) > MAX_PADDED_BYTES {
        return None;
    }
    let (before, behind) = (unit.repeat(before), unit.repeat(missing - before));
    Some(Value::bytes([before.as_slice(), text.as_bytes(), &behind].concat()))
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
            (r"unescape('a\nb\tc')", r#""a\nb\tc""#),
            (r"unescape('\x41\x42')", "\"AB\""),
            (r"unescape('\x1F600')", "\"😀\""),
            (r"unescape('\x41g')", "\"Ag\""),
            (r"unescape('\r\b\f\v')", r#""\r\b\f\u000B""#),
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
            ("bin2hexstr(reverse('aäb'))", "\"62E461\""),
            ("reverse('a€')", "fails"),
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
