//! Values of columns, of payloads and of the SQL itself.
//!
//! [`compare`] has the order of EMQX, [`arithmetic`] the operators on numbers, [`text`] the texts of values,
//! [`decimal`] those of floats, and [`convert`] conversions from and to other types.

pub(crate) mod arithmetic;
mod compare;
mod convert;
pub(crate) mod decimal;
pub(crate) mod text;

use std::borrow::Cow;

use num_bigint::BigInt;

use crate::json::{push_bool, push_bytes, push_emqx_string, push_float, push_number};

/// Names and values of an object, with names in descending order and without duplicates.
pub type Entries<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// A value of a column, of a field inside one, or of the SQL itself.
///
/// A missing value is [`Value::Undefined`]. It is equal to another missing value, and every other comparison with it is
/// false, even `!=`. In a body it is the text `undefined`.
///
/// `==` in Rust is EMQX's exact equality: 1 and 1.0 are different. [`Value::compare`] is `=` of the SQL.
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
    /// An integer that does not fit into [`Value::Integer`]. Created by [`Value::big`] only.
    Big(Box<BigInt>),
    /// A number with a fraction; always finite.
    Float(f64),
    /// A word of EMQX, such as the reason `normal` or the event `client.connected`. In bodies and comparisons it is a text;
    /// functions that need a text refuse it, as in EMQX.
    Atom(Cow<'a, str>),
    /// A text.
    Text(Cow<'a, str>),
    /// Bytes that are not UTF-8. Created by [`Value::bytes`] only.
    Bytes(Cow<'a, [u8]>),
    /// A list.
    List(Vec<Value<'a>>),
    /// An object.
    Object(Entries<'a>),
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

    /// A word of EMQX; see [`Value::Atom`].
    pub fn atom(word: impl Into<Cow<'a, str>>) -> Value<'a> {
        Value::Atom(word.into())
    }

    /// Bytes: a text if they are UTF-8.
    pub fn bytes(bytes: impl Into<Cow<'a, [u8]>>) -> Value<'a> {
        match bytes.into() {
            Cow::Borrowed(bytes) => match str::from_utf8(bytes) {
                Ok(text) => Value::text(text),
                Err(_) => Value::Bytes(Cow::Borrowed(bytes)),
            },
            Cow::Owned(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Value::Text(text.into()),
                Err(error) => Value::Bytes(error.into_bytes().into()),
            },
        }
    }

    /// An integer of any size.
    pub fn big(number: BigInt) -> Value<'a> {
        match i128::try_from(&number) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Big(Box::new(number)),
        }
    }

    /// An object. If a name occurs twice, the later value is used.
    pub fn object(entries: impl IntoIterator<Item = (Cow<'a, str>, Value<'a>)>) -> Value<'a> {
        let mut entries: Entries<'a> = entries.into_iter().collect();
        sort(&mut entries);
        Value::Object(entries)
    }

    /// The bytes of a text; `None` for other values, [`Value::Atom`] included.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Text(text) => Some(text.as_bytes()),
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A text; `None` for other values, bytes that are not UTF-8 included.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An integer of any size; `None` for other values.
    pub fn as_integer(&self) -> Option<BigInt> {
        match self {
            Value::Integer(number) => Some(BigInt::from(*number)),
            Value::Big(number) => Some((**number).clone()),
            _ => None,
        }
    }

    /// A number as a float; `None` for other values and for integers that are too large for a float.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Integer(number) => Some(*number as f64),
            Value::Big(number) => num_traits::ToPrimitive::to_f64(&**number).filter(|number| number.is_finite()),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Whether the value is a number.
    pub fn is_number(&self) -> bool {
        matches!(self, Value::Integer(_) | Value::Big(_) | Value::Float(_))
    }

    /// The value of a name in an object; `None` if there is none or the value is not an object.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        match self {
            Value::Object(entries) => find(entries, name),
            _ => None,
        }
    }

    /// The same value without borrowed texts.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Undefined => Value::Undefined,
            Value::Null => Value::Null,
            Value::Bool(truth) => Value::Bool(truth),
            Value::Integer(number) => Value::Integer(number),
            Value::Big(number) => Value::Big(number),
            Value::Float(number) => Value::Float(number),
            Value::Atom(word) => Value::Atom(Cow::Owned(word.into_owned())),
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Value::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
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
    pub fn push(&self, out: &mut String) {
        match self {
            Value::Undefined => out.push_str("\"undefined\""),
            Value::Null => out.push_str("null"),
            Value::Bool(truth) => push_bool(out, *truth),
            Value::Integer(number) => push_number(out, *number),
            Value::Big(number) => out.push_str(&number.to_string()),
            Value::Float(number) => push_float(out, *number),
            Value::Atom(text) | Value::Text(text) => push_emqx_string(out, text),
            Value::Bytes(bytes) => push_bytes(out, bytes),
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
                    push_emqx_string(out, name);
                    out.push(':');
                    value.push(out);
                }
                out.push('}');
            }
        }
    }
}

/// The value of a name.
pub(crate) fn find<'o, 'a>(entries: &'o [(Cow<'a, str>, Value<'a>)], name: &str) -> Option<&'o Value<'a>> {
    entries.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// Sets the value of a name.
pub(crate) fn insert<'a>(entries: &mut Entries<'a>, name: Cow<'a, str>, value: Value<'a>) {
    match entries.binary_search_by(|(known, _)| name.as_ref().cmp(known.as_ref())) {
        Ok(at) => {
            if let Some((_, known)) = entries.get_mut(at) {
                *known = value;
            }
        }
        Err(at) => entries.insert(at, (name, value)),
    }
}

/// Sorts entries by name in descending order. If a name occurs twice, the later value stays.
pub(crate) fn sort(entries: &mut Entries<'_>) {
    if entries.is_sorted_by(|(one, _), (next, _)| one > next) {
        return;
    }
    entries.sort_by(|(one, _), (next, _)| next.cmp(one));
    entries.dedup_by(|(later, value), (name, kept)| {
        let is_same = later == name;
        if is_same {
            std::mem::swap(value, kept);
        }
        is_same
    });
}

#[cfg(test)]
mod tests;
