//! Values and how EMQX compares them.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value as Json;

use crate::json::{push_bool, push_number, push_string};

/// A value of a column, of a field inside one, or of the SQL itself.
///
/// A missing value is [`Value::Undefined`]. It is equal to another missing value, and every other comparison with it is
/// false, even `!=`. In a body it is the text `undefined`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// The value is missing.
    Undefined,
    /// JSON's null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Value<'a>>),
    /// Names and values, with names in descending order and without duplicates.
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// A borrowed text.
    pub fn text(text: &'a str) -> Value<'a> {
        Value::Text(Cow::Borrowed(text))
    }

    /// A text, or [`Value::Undefined`] for `None`.
    pub fn optional(text: Option<&'a str>) -> Value<'a> {
        text.map_or(Value::Undefined, Value::text)
    }

    /// An object. If a name occurs twice, the later value is used.
    pub fn object(entries: impl IntoIterator<Item = (Cow<'a, str>, Value<'a>)>) -> Value<'a> {
        let mut object = Vec::new();
        for (name, value) in entries {
            insert(&mut object, name, value);
        }
        Value::Object(object)
    }

    /// The same value without borrowed texts.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Undefined => Value::Undefined,
            Value::Null => Value::Null,
            Value::Bool(truth) => Value::Bool(truth),
            Value::Integer(number) => Value::Integer(number),
            Value::Float(number) => Value::Float(number),
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::List(list) => Value::List(list.into_iter().map(Value::into_owned).collect()),
            Value::Object(object) => Value::Object(
                object
                    .into_iter()
                    .map(|(name, value)| (Cow::Owned(name.into_owned()), value.into_owned()))
                    .collect(),
            ),
        }
    }

    /// Appends the value as JSON.
    pub(crate) fn push(&self, out: &mut String) {
        match self {
            Value::Undefined => out.push_str("\"undefined\""),
            Value::Null => out.push_str("null"),
            Value::Bool(truth) => push_bool(out, *truth),
            Value::Integer(number) => push_number(out, *number),
            Value::Float(number) => out.push_str(&Json::from(*number).to_string()),
            Value::Text(text) => push_string(out, text),
            Value::List(list) => {
                out.push('[');
                for (at, value) in list.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    value.push(out);
                }
                out.push(']');
            }
            Value::Object(object) => {
                out.push('{');
                for (at, (name, value)) in object.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    push_string(out, name);
                    out.push(':');
                    value.push(out);
                }
                out.push('}');
            }
        }
    }

    /// Compares two values as EMQX does. Returns `None` if EMQX cannot compare them; the rule then fails.
    ///
    /// A text is converted to a number if it is compared with a number. Booleans and null are converted to text if they are
    /// compared with a text. Otherwise the order is: numbers, booleans and null, objects, lists, texts.
    pub(super) fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        match (self, other) {
            (Value::Integer(_) | Value::Float(_), Value::Text(text)) => Some(self.order(&number(text)?)),
            (Value::Text(text), Value::Integer(_) | Value::Float(_)) => Some(number(text)?.order(other)),
            (Value::Text(text), Value::Bool(_) | Value::Null) => Some((**text).cmp(other.atom())),
            (Value::Bool(_) | Value::Null, Value::Text(text)) => Some(self.atom().cmp(text)),
            _ => Some(self.order(other)),
        }
    }

    fn atom(&self) -> &'static str {
        match self {
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Null => "null",
            _ => "undefined",
        }
    }

    fn order(&self, other: &Value<'_>) -> Ordering {
        match (self, other) {
            (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
            (Value::Text(left), Value::Text(right)) => left.cmp(right),
            (Value::List(left), Value::List(right)) => in_order(left, right),
            (Value::Object(left), Value::Object(right)) => left.len().cmp(&right.len()).then_with(|| {
                // Erlang compares the keys first, from the lowest.
                let keys = left.iter().rev().map(|(name, _)| name);
                keys.cmp(right.iter().rev().map(|(name, _)| name)).then_with(|| {
                    let pairs = left.iter().zip(right).rev();
                    let mut orders = pairs.map(|((_, left), (_, right))| left.order(right));
                    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
                })
            }),
            _ => match (self.as_float(), other.as_float()) {
                (Some(left), Some(right)) => left.total_cmp(&right),
                _ => self
                    .rank()
                    .cmp(&other.rank())
                    .then_with(|| self.atom().cmp(other.atom())),
            },
        }
    }

    fn as_float(&self) -> Option<f64> {
        match self {
            Value::Integer(number) => Some(*number as f64),
            // -0.0 is 0.0 here.
            Value::Float(number) => Some(*number + 0.0),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Integer(_) | Value::Float(_) => 0,
            Value::Undefined | Value::Null | Value::Bool(_) => 1,
            Value::Object(_) => 2,
            Value::List(_) => 3,
            Value::Text(_) => 4,
        }
    }
}

fn in_order(left: &[Value<'_>], right: &[Value<'_>]) -> Ordering {
    let mut orders = left.iter().zip(right).map(|(left, right)| left.order(right));
    orders
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
}

/// Sets the value of a name.
pub(super) fn insert<'a>(object: &mut Vec<(Cow<'a, str>, Value<'a>)>, name: Cow<'a, str>, value: Value<'a>) {
    match object.binary_search_by(|(known, _)| name.as_ref().cmp(known.as_ref())) {
        Ok(at) => {
            if let Some((_, known)) = object.get_mut(at) {
                *known = value;
            }
        }
        Err(at) => object.insert(at, (name, value)),
    }
}

/// Parses a number in the syntax of Erlang: digits, or digits with a fraction and an optional exponent.
pub(super) fn number(text: &str) -> Option<Value<'static>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let integer = text.parse().map(Value::Integer);
        return integer.or_else(|_| text.parse().map(Value::Float)).ok();
    }
    let (whole, fraction) = digits.split_once('.')?;
    let is_digit = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_digit());
    if !is_digit(whole.bytes().next()) || !is_digit(fraction.bytes().next()) {
        return None;
    }
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
        .map(Value::Float)
}

impl<'a> From<&'a Json> for Value<'a> {
    fn from(json: &'a Json) -> Value<'a> {
        match json {
            Json::Null => Value::Null,
            Json::Bool(truth) => Value::Bool(*truth),
            Json::Number(number) => number
                .as_i128()
                .map_or_else(|| Value::Float(number.as_f64().unwrap_or_default()), Value::Integer),
            Json::String(text) => Value::text(text),
            Json::Array(list) => Value::List(list.iter().map(Value::from).collect()),
            Json::Object(object) => Value::object(
                object
                    .iter()
                    .map(|(name, value)| (Cow::Borrowed(name.as_str()), Value::from(value))),
            ),
        }
    }
}

/// For templates: a missing value is null, and an integer that is too large for JSON is a float.
impl From<Value<'_>> for Json {
    fn from(value: Value<'_>) -> Json {
        match value {
            Value::Undefined | Value::Null => Json::Null,
            Value::Bool(truth) => Json::from(truth),
            Value::Integer(number) => match (u64::try_from(number), i64::try_from(number)) {
                (Ok(number), _) => Json::from(number),
                (_, Ok(number)) => Json::from(number),
                _ => Json::from(number as f64),
            },
            Value::Float(number) => Json::from(number),
            Value::Text(text) => Json::from(text),
            Value::List(list) => Json::Array(list.into_iter().map(Json::from).collect()),
            Value::Object(object) => Json::Object(
                object
                    .into_iter()
                    .map(|(name, value)| (name.into_owned(), Json::from(value)))
                    .collect(),
            ),
        }
    }
}

impl From<&Value<'_>> for Json {
    fn from(value: &Value<'_>) -> Json {
        Json::from(value.clone())
    }
}

macro_rules! from_integers {
    ($($type:ty),*) => {
        $(impl From<$type> for Value<'_> {
            fn from(number: $type) -> Self {
                Value::Integer(number.into())
            }
        })*
    };
}

from_integers!(u8, u16, u32, u64);

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::text(text)
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::Text(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Value::Text(text)
    }
}

/// `None` is [`Value::Undefined`].
impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Undefined, Into::into)
    }
}
