//! Conversions from and to other types.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::Value;

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
            Value::Big(_) => Json::from(value.as_float()),
            Value::Float(number) => Json::from(number),
            Value::Atom(text) | Value::Text(text) => Json::from(text),
            Value::Bytes(bytes) => Json::from(String::from_utf8_lossy(&bytes)),
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
