//! Steps into values.

use std::borrow::Cow;

use crate::json;
use crate::syntax::{Path, Step};
use crate::value::Value;

/// Returns the value at a path inside another value, or [`Value::Undefined`] if the path leads nowhere. Parses a text on the
/// path as JSON.
/// `origin` returns what a path leads to that is used as an index.
pub(super) fn inside<'e>(value: &Value<'e>, steps: &[Step], origin: &dyn Fn(&Path) -> Value<'e>) -> Value<'e> {
    let Some((first, further)) = steps.split_first() else {
        return value.clone();
    };
    let found = match (value, first) {
        (Value::Text(text), _) => {
            let decoded = match text {
                Cow::Borrowed(text) => json::read(text),
                Cow::Owned(text) => json::read(text).map(Value::into_owned),
            };
            return decoded.map_or(Value::Undefined, |decoded| inside(&decoded, steps, origin));
        }
        (Value::Object(_), Step::Key(key)) => value.get(key),
        (Value::List(list), Step::Index(index)) => nth(list.len(), *index).and_then(|at| list.get(at)),
        (Value::List(list), Step::At(path)) => match origin(path) {
            Value::Integer(index) => {
                let index = i64::try_from(index).ok();
                index
                    .and_then(|index| nth(list.len(), index))
                    .and_then(|at| list.get(at))
            }
            _ => None,
        },
        _ => None,
    };
    found.map_or(Value::Undefined, |value| inside(value, further, origin))
}

/// Converts an index, which counts from 1 or with negative numbers from the end.
pub(super) fn nth(length: usize, index: i64) -> Option<usize> {
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    if index > 0 {
        distance.checked_sub(1)
    } else {
        length.checked_sub(distance).filter(|_| index < 0)
    }
}

/// The items from one index to another one, both included and as in [`nth`].
pub(super) fn part<'e>(mut list: Vec<Value<'e>>, begin: i64, end: i64) -> Option<Vec<Value<'e>>> {
    let length = i64::try_from(list.len()).ok()?;
    let place = |index: i64| match index {
        0 => None,
        index if index > 0 => Some(index),
        index => Some(length.saturating_add(index).saturating_add(1)),
    };
    let (begin, end) = (place(begin)?, place(end)?);
    // EMQX fails if the place before the first item is the beginning, or if the part would have a negative length.
    let count = end.saturating_sub(begin).saturating_add(1);
    if begin < 1 || count < 0 {
        return None;
    }
    let (begin, count) = (usize::try_from(begin - 1).ok()?, usize::try_from(count).ok()?);
    if begin >= list.len() {
        return Some(Vec::new());
    }
    let mut part = list.split_off(begin);
    part.truncate(count);
    Some(part)
}
