//! Functions that convert values to other kinds.

use super::math::integer;
use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::json;
use crate::value::decimal::with_decimals;
use crate::value::text::number;
use crate::value::{Entries, Value};

pub(super) const THEME: Theme = Theme {
    title: "Conversions",
    functions: &[
        function!(
            "str",
            1..=1,
            "str(value)",
            "The value as a text: numbers in digits, at most 10 of them after the point; objects and lists as JSON.",
            |arguments| match arguments {
                [value] => Some(Value::bytes(value.to_bytes())),
                _ => None,
            }
        ),
        function!(
            "str_utf8",
            1..=1,
            "str_utf8(value)",
            "The value as a text in UTF-8; a list of code points and texts is joined.",
            |arguments| match arguments {
                [value] => characters(value).map(Value::from),
                _ => None,
            }
        ),
        function!(
            "str_utf16_le",
            1..=1,
            "str_utf16_le(value)",
            "The bytes of the value as a text in UTF-16, little-endian.",
            |arguments| match arguments {
                [value] => {
                    let units = characters(value)?
                        .encode_utf16()
                        .flat_map(u16::to_le_bytes)
                        .collect::<Vec<u8>>();
                    Some(Value::bytes(units))
                }
                _ => None,
            }
        ),
        function!(
            "bool",
            1..=1,
            "bool(value)",
            "`true` for `true`, `'true'` and 1; `false` for `false`, `'false'` and 0.",
            |arguments| match arguments {
                [Value::Bool(truth)] => Some(Value::Bool(*truth)),
                [Value::Text(text)] => text.parse().ok().map(Value::Bool),
                [number] if number.as_float() == Some(1.0) => Some(Value::Bool(true)),
                [number] if number.as_float() == Some(0.0) => Some(Value::Bool(false)),
                _ => None,
            }
        ),
        function!(
            "int",
            1..=1,
            "int(value)",
            "A number, a number in a text, or a boolean as an integer; the next lower one for a fraction.",
            |arguments| match arguments {
                [value] => to_integer(value),
                _ => None,
            }
        ),
        function!(
            "float",
            1..=2,
            "float(value[, decimals])",
            "A number, or a number in a text, as a float, rounded to this number of decimals.",
            to_float
        ),
        function!(
            "float2str",
            2..=2,
            "float2str(float, decimals)",
            "The float as a text with at most this number of decimals; zeros at the end are left out.",
            |arguments| match arguments {
                [Value::Float(number), Value::Integer(decimals)] => {
                    with_decimals(*number, usize::try_from(*decimals).ok()?, true).map(Value::from)
                }
                _ => None,
            }
        ),
        function!(
            "map",
            1..=1,
            "map(value)",
            "An object, or the JSON object in a text.",
            |arguments| match arguments {
                [value] => map(value).map(Value::Object),
                _ => None,
            }
        ),
    ],
};

/// The text of a value; of a list, the texts and code points in it.
fn characters(value: &Value<'_>) -> Option<String> {
    fn push(out: &mut String, list: &[Value<'_>]) -> Option<()> {
        for item in list {
            match item {
                Value::Integer(code) => out.push(char::from_u32(u32::try_from(*code).ok()?)?),
                Value::Text(text) => out.push_str(text),
                Value::List(list) => push(out, list)?,
                _ => return None,
            }
        }
        Some(())
    }
    if let Value::List(list) = value {
        let mut out = String::new();
        return push(&mut out, list).map(|()| out);
    }
    String::from_utf8(value.to_bytes()).ok()
}

/// A number in a text, or in a list of characters.
fn parsed(value: &Value<'_>) -> Option<Value<'static>> {
    match value {
        Value::Text(text) => number(text),
        Value::List(_) => number(&characters(value)?),
        _ => None,
    }
}

fn to_integer(value: &Value<'_>) -> Option<Value<'static>> {
    match value {
        Value::Integer(_) | Value::Big(_) => Some(value.clone().into_owned()),
        Value::Float(number) => integer(number.floor()),
        Value::Bool(truth) => Some(Value::Integer(i128::from(*truth))),
        value => to_integer(&parsed(value)?),
    }
}

fn to_float(arguments: &[Value<'_>]) -> Option<Value<'static>> {
    let (value, decimals) = match arguments {
        [value] => (value, None),
        [value, Value::Integer(decimals @ 1..)] => (value, Some(usize::try_from(*decimals).ok()?)),
        _ => return None,
    };
    let float = match parsed(value) {
        Some(number) => number.as_float()?,
        None => value.as_float()?,
    };
    match decimals {
        None => Some(Value::Float(float)),
        Some(decimals) => with_decimals(float, decimals, false)?.parse().ok().map(Value::Float),
    }
}

/// The entries of an object, or of the JSON object in a text. An empty list counts as an empty object.
pub(super) fn map(value: &Value<'_>) -> Option<Entries<'static>> {
    match value {
        Value::Object(_) => match value.clone().into_owned() {
            Value::Object(entries) => Some(entries),
            _ => None,
        },
        Value::Text(text) => match json::read(text)?.into_owned() {
            Value::Object(entries) => Some(entries),
            _ => None,
        },
        Value::List(list) if list.is_empty() => Some(Entries::new()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("str(1)", "\"1\""),
            ("str(1.5)", "\"1.5\""),
            ("str(true)", "\"true\""),
            ("str('x')", "\"x\""),
            (
                "str(json_decode('{\"x\":1,\"y\":{\"z\":\"deep\"},\"a-b\":2,\"a b\":3}'))",
                r#""{\"y\":{\"z\":\"deep\"},\"x\":1,\"a-b\":2,\"a b\":3}""#,
            ),
            ("str(['x', 'y', 'z'])", r#""[\"x\",\"y\",\"z\"]""#),
            ("str([])", "\"\""),
            ("str([5, 3, 9, 1])", "\"[5,3,9,1]\""),
            ("str(12345678901234567890)", "\"12345678901234567890\""),
            ("str(-0.5)", "\"-0.5\""),
            ("str(123456789.123456789)", "\"123456789.123456791\""),
            ("str(1.0e21)", "\"1000000000000000000000.0\""),
            ("str([72, 105])", "\"Hi\""),
            ("str([300, 8364])", "\"[300,8364]\""),
            ("str_utf8('äÖ€😀')", "\"äÖ€😀\""),
            ("str_utf8(1)", "\"1\""),
            ("str_utf8(hexstr2bin('FFFE0041C3800A'))", "fails"),
            ("base64_encode(str_utf16_le('aä€'))", "\"YQDkAKwg\""),
            ("bool('true')", "true"),
            ("bool('false')", "false"),
            ("bool(1)", "true"),
            ("bool(0)", "false"),
            ("bool(true)", "true"),
            ("bool(1.0)", "true"),
            ("bool(0.0)", "false"),
            ("bool('True')", "fails"),
            ("bool(null)", "fails"),
            ("int('42')", "42"),
            ("int(3.9)", "3"),
            ("int('3.9')", "3"),
            ("int(true)", "1"),
            ("int(-3.9)", "-4"),
            ("int('abc')", "fails"),
            ("int('1.5e3')", "1500"),
            ("int('-0')", "0"),
            ("int('+7')", "7"),
            ("int(' 42')", "fails"),
            ("int(null())", "fails"),
            ("int(1.0e20)", "100000000000000000000"),
            ("int('12345678901234567890')", "12345678901234567890"),
            ("int([5, 3, 9, 1])", "fails"),
            ("float('1.5')", "1.5"),
            ("float(3)", "3.0"),
            ("float('42')", "42.0"),
            ("float('abc')", "fails"),
            ("float(1.5, 0)", "fails"),
            ("float(21.5, 1)", "21.5"),
            ("float(-0.05, 1)", "-0.1"),
            ("float(2.345, 2)", "2.35"),
            ("float(12345678901234567890)", "12345678901234567000.0"),
            ("float(1.23456789012345678, 10)", "1.2345678901"),
            ("float2str(1.5, 2)", "\"1.5\""),
            ("float2str(1.0, 3)", "\"1.0\""),
            ("float2str(21.5, 5)", "\"21.5\""),
            ("float2str(1, 2)", "fails"),
            ("float2str(1.55, 0)", "\"2\""),
            ("map('{\"a\":1,\"b\":{\"c\":[1]}}')", r#"{"b":{"c":[1]},"a":1}"#),
            ("map('nope')", "fails"),
            ("map([])", "{}"),
            ("map(['x'])", "fails"),
        ]);
    }

    /// Compared with Erlang 25.2.3.
    #[test]
    fn as_erlang() {
        check(&[
            ("str([72, 228])", "\"Hä\""),
            ("str(0.15)", "\"0.15\""),
            ("str(0.00000000001)", "\"0.0\""),
            ("float2str(0.15, 1)", "\"0.2\""),
            ("float2str(20.2, 16)", "\"20.1999999999999993\""),
            ("float2str(1.5, 254)", "fails"),
            ("str_utf8([[228], 8364, 'ab'])", "\"ä€ab\""),
            ("str_utf8([1.5])", "fails"),
            ("int([52, 50])", "42"),
            ("int('1e3')", "fails"),
            ("float('1.')", "fails"),
            ("float('1.5e400')", "fails"),
        ]);
    }
}
