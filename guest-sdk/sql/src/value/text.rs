//! Texts of values, and numbers in texts.

use num_bigint::BigInt;

use super::Value;
use super::decimal::with_decimals;

/// Most digits after the point of a float in a text.
const MAX_DECIMALS: usize = 10;

impl Value<'_> {
    /// The bytes that EMQX's `str` and `+` make of a value: digits for numbers, the words of `true` or `null`, JSON for
    /// objects and lists. A list of printable Latin-1 characters is a text. Floats have at most 10 digits after the point.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Value::Undefined => b"undefined".to_vec(),
            Value::Float(number) => {
                let text = with_decimals(*number, MAX_DECIMALS, true);
                text.unwrap_or_else(|| number.to_string()).into_bytes()
            }
            Value::Atom(text) | Value::Text(text) => text.as_bytes().to_vec(),
            Value::Bytes(bytes) => bytes.to_vec(),
            Value::List(list) => match list.iter().map(printable).collect::<Option<String>>() {
                Some(text) => text.into_bytes(),
                None => self.to_json().into_bytes(),
            },
            value => value.to_json().into_bytes(),
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.push(&mut out);
        out
    }
}

/// A character of Latin-1 that Erlang prints.
fn printable(value: &Value<'_>) -> Option<char> {
    let Value::Integer(number) = value else { return None };
    let byte = u8::try_from(*number).ok()?;
    matches!(byte, 8..=13 | 27 | 32..=126 | 160..).then(|| char::from(byte))
}

/// Parses a number in the syntax of Erlang: digits, or digits with a fraction and an optional exponent.
pub(crate) fn number(text: &str) -> Option<Value<'static>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let integer = text.parse().map(Value::Integer);
        return integer.ok().or_else(|| text.parse::<BigInt>().ok().map(Value::big));
    }
    let (whole, fraction) = digits.split_once('.')?;
    let is_digit = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_digit());
    let mantissa = fraction.split(['e', 'E']).next().unwrap_or_default();
    if whole.is_empty() || !whole.bytes().all(|c| c.is_ascii_digit()) || !is_digit(mantissa.bytes().last()) {
        return None;
    }
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .map(Value::Float)
}
