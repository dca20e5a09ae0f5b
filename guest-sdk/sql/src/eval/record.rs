//! Names and values that a rule has selected so far.
//!
//! EMQX keeps columns of events and names that a statement gives in one map with two kinds of keys. Both kinds may have the
//! same name. A name finds the one that the statement gave; a path into the payload finds the column. In a body the
//! statement's names come first.

use std::borrow::Cow;

use super::path::{inside, nth};
use crate::syntax::{Path, Step};
use crate::value::{Entries, Value, find, insert};

/// Names and values.
#[derive(Debug, Clone, Default)]
pub(super) struct Record<'e> {
    /// Names that the statement gives.
    pub(super) named: Entries<'e>,
    /// Columns of the event, and the item of FOREACH if it has no name.
    pub(super) columns: Entries<'e>,
}

impl<'e> Record<'e> {
    /// The value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&Value<'e>> {
        find(&self.named, name).or_else(|| find(&self.columns, name))
    }

    /// The value that paths into the payload begin with.
    pub(super) fn payload_mut(&mut self) -> Option<&mut Value<'e>> {
        let is_payload = |(name, _): &&mut (Cow<'e, str>, Value<'e>)| *name == "payload";
        let of_columns = self.columns.iter_mut().find(is_payload);
        let entry = match of_columns {
            Some(entry) => Some(entry),
            None => self.named.iter_mut().find(is_payload),
        };
        entry.map(|(_, value)| value)
    }

    /// Sets the value at a path. A value on the way that is not an object is replaced by one. `as_column`: a new name is
    /// the name of a column.
    pub(super) fn put(&mut self, path: &'e Path, value: Value<'e>, as_column: bool) {
        let has = |entries: &Entries<'e>| find(entries, &path.name).is_some();
        let (one, other) = match as_column {
            true => (&mut self.columns, &mut self.named),
            false => (&mut self.named, &mut self.columns),
        };
        let entries = if !has(one) && has(other) { other } else { one };
        if path.steps.is_empty() {
            insert(entries, Cow::Borrowed(&path.name), value);
            return;
        }
        let current = match entries.iter_mut().find(|(name, _)| *name == path.name) {
            Some((_, current)) => std::mem::replace(current, Value::Undefined),
            None => Value::Undefined,
        };
        let changed = put_inside(current, &path.steps, value);
        insert(entries, Cow::Borrowed(&path.name), changed);
    }

    /// Adds columns, which replace columns of the same name.
    pub(super) fn merge_columns(&mut self, columns: Entries<'e>) {
        if self.columns.is_empty() {
            self.columns = columns;
            crate::value::sort(&mut self.columns);
            return;
        }
        for (name, value) in columns {
            insert(&mut self.columns, name, value);
        }
    }

    /// Adds the names and columns of another record, which replace those of the same name.
    pub(super) fn merge(&mut self, other: &Record<'e>) {
        for (name, value) in &other.named {
            insert(&mut self.named, name.clone(), value.clone());
        }
        self.merge_columns(other.columns.clone());
    }

    /// The record as an object: names of the statement first, each kind in descending order.
    pub(super) fn into_value(mut self) -> Value<'e> {
        self.named.append(&mut self.columns);
        Value::Object(self.named)
    }
}

fn put_inside<'e>(current: Value<'e>, steps: &'e [Step], value: Value<'e>) -> Value<'e> {
    let Some((first, further)) = steps.split_first() else {
        return value;
    };
    match (current, first) {
        (Value::Object(mut entries), Step::Key(key)) => {
            let known = entries.iter_mut().find(|(name, _)| name == key);
            let below = known.map_or(Value::Undefined, |(_, known)| {
                std::mem::replace(known, Value::Undefined)
            });
            insert(&mut entries, Cow::Borrowed(key), put_inside(below, further, value));
            Value::Object(entries)
        }
        (current, Step::Key(key)) => {
            // A text that is JSON is looked into, and then replaced.
            let below = inside(&current, std::slice::from_ref(first), &|_| Value::Undefined);
            Value::Object(vec![(Cow::Borrowed(key.as_str()), put_inside(below, further, value))])
        }
        (Value::List(mut list), Step::Index(index)) => {
            if let Some(known) = nth(list.len(), *index).and_then(|at| list.get_mut(at)) {
                let below = std::mem::replace(known, Value::Undefined);
                *known = put_inside(below, further, value);
            }
            Value::List(list)
        }
        (Value::List(mut list), Step::Front) => {
            list.insert(0, put_inside(Value::Undefined, further, value));
            Value::List(list)
        }
        (Value::List(mut list), Step::Back) => {
            list.push(put_inside(Value::Undefined, further, value));
            Value::List(list)
        }
        (list @ Value::List(_), Step::At(_)) => list,
        (_, _) => Value::List(vec![put_inside(Value::Undefined, further, value)]),
    }
}
