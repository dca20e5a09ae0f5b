//! Functions that split and join texts.

use std::collections::HashSet;

use super::clusters::{Places, split};
use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::value::Value;

pub(super) const THEME: Theme = Theme {
    title: "Splitting and joining texts",
    functions: &[
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

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    /// As recorded from EMQX; what has CR and LF or accents is compared with Erlang 25.2.3.
    #[test]
    fn as_recorded() {
        check(&[
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
            ("split('ae\u{301}x', 'e')", "[\"ae\u{301}x\"]"),
            ("split('a\r\nb', '\n')", r#"["a\r","b"]"#),
            ("split('a\r\nb', '\r')", r#"["a\r\nb"]"#),
            ("split('aaa', 'aa', 'trailing_notrim')", r#"["a",""]"#),
            ("tokens('a\r\nb', '\n')", r#"["a\r","b"]"#),
            ("tokens('a\r\nb', '\r\n')", r#"["a\r\nb"]"#),
            ("tokens('a,b\r\n,c\n', ',', 'nocrlf')", r#"["a","b","c"]"#),
        ]);
    }
}
