//! Evaluates clauses for one event.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value as Json;

use super::parser::{Comparison, Condition, Field, Operand, Select, Step, Test};
use super::value::{Value, insert};
use crate::environment::Columns;
use crate::failure::Failure;
use hookhost_shared::topic::TopicFilter;

/// The event for which clauses are evaluated. Its payload is parsed once, when a clause first uses a field of it.
pub struct Scope<'e, C> {
    columns: &'e C,
    payload: OnceCell<Option<Json>>,
}

/// Names and values of a body.
type Object<'s> = Vec<(Cow<'s, str>, Value<'s>)>;

impl<'e, C: Columns> Scope<'e, C> {
    /// A scope with the columns of an event.
    pub fn new(columns: &'e C) -> Scope<'e, C> {
        Scope {
            columns,
            payload: OnceCell::new(),
        }
    }

    /// Evaluates SELECT and returns an object.
    ///
    /// # Errors
    ///
    /// [`Failure`] if a clause has no value; the rule then sends nothing for this event.
    pub fn select<'s>(&'s self, select: &'s Select) -> Result<Value<'s>, Failure> {
        let mut selected = Vec::new();
        for field in &select.fields {
            match field {
                Field::All => {
                    for (name, value) in self.columns.all() {
                        insert(&mut selected, name, value);
                    }
                }
                Field::As(operand, names) => {
                    let value = match operand {
                        Operand::Path(head, steps) if steps.is_empty() && find(&selected, head).is_none() => {
                            self.columns.shown(head)
                        }
                        operand => self.value(operand, &selected)?,
                    };
                    put(&mut selected, names, value);
                }
            }
        }
        Ok(Value::Object(selected))
    }

    /// Whether WHERE is true for the event. A name in `selected`, the result of SELECT, takes precedence over the column with
    /// the same name.
    ///
    /// # Errors
    ///
    /// [`Failure`] if a clause has no value; the rule then sends nothing for this event.
    pub fn holds(&self, condition: &Condition, selected: Option<&Value<'_>>) -> Result<bool, Failure> {
        let selected = match selected {
            Some(Value::Object(selected)) => selected.as_slice(),
            _ => &[],
        };
        self.test(&condition.0, selected)
    }

    fn test(&self, test: &Test, selected: &[(Cow<'_, str>, Value<'_>)]) -> Result<bool, Failure> {
        match test {
            Test::All(tests) => {
                for test in tests {
                    if !self.test(test, selected)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Test::Any(tests) => {
                for test in tests {
                    if self.test(test, selected)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Test::Not(test) => match &**test {
                // `not` of a value that is not a boolean is also false.
                Test::Truth(operand) => Ok(self.value(operand, selected)? == Value::Bool(false)),
                test => Ok(!self.test(test, selected)?),
            },
            Test::Truth(operand) => Ok(self.value(operand, selected)? == Value::Bool(true)),
            Test::Compare(left, comparison, right) => {
                compare(&self.value(left, selected)?, *comparison, &self.value(right, selected)?)
            }
        }
    }

    fn value<'s>(&'s self, operand: &'s Operand, selected: &[(Cow<'s, str>, Value<'s>)]) -> Result<Value<'s>, Failure> {
        let (head, steps) = match operand {
            Operand::Constant(value) => return Ok(borrowed(value)),
            Operand::Path(head, steps) => (head, steps),
        };
        if let Some(value) = find(selected, head) {
            let inside = step(value.clone(), steps);
            if inside != Value::Undefined {
                return Ok(inside);
            }
        }
        if head != "payload" || steps.is_empty() {
            return Ok(step(self.columns.get(head), steps));
        }
        let payload = self.payload.get_or_init(|| match self.columns.get("payload") {
            Value::Text(text) => serde_json::from_str(&text).ok(),
            other => Some(Json::from(&other)),
        });
        let payload = payload.as_ref().ok_or(Failure::PayloadIsNotJson)?;
        Ok(step_json(payload, steps))
    }
}

fn find<'o, 's>(object: &'o [(Cow<'s, str>, Value<'s>)], name: &str) -> Option<&'o Value<'s>> {
    object.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// A constant. Its text is borrowed.
fn borrowed<'s>(value: &'s Value<'static>) -> Value<'s> {
    match value {
        Value::Text(text) => Value::text(text),
        value => value.clone(),
    }
}

/// Sets the value at a path of names. A value on the path that is not an object is replaced by an object.
fn put<'s>(object: &mut Object<'s>, names: &'s [String], value: Value<'s>) {
    let Some((name, inside)) = names.split_first() else {
        return;
    };
    if inside.is_empty() {
        insert(object, Cow::Borrowed(name), value);
        return;
    }
    if !matches!(find(object, name), Some(Value::Object(_))) {
        insert(object, Cow::Borrowed(name), Value::Object(Vec::new()));
    }
    let entry = object.iter_mut().find(|(known, _)| known == name);
    if let Some((_, Value::Object(object))) = entry {
        put(object, inside, value);
    }
}

/// The value at a path inside another value. A text is parsed as JSON.
fn step<'s>(value: Value<'s>, steps: &[Step]) -> Value<'s> {
    let Some((first, further)) = steps.split_first() else {
        return value;
    };
    let inside = match (value, first) {
        (Value::Object(object), Step::Key(key)) => {
            object.into_iter().find(|(name, _)| name == key).map(|(_, value)| value)
        }
        (Value::List(mut list), Step::Index(index)) => {
            nth(list.len(), *index).and_then(|at| (at < list.len()).then(|| list.swap_remove(at)))
        }
        (Value::Text(text), _) => {
            let json = serde_json::from_str::<Json>(&text).ok();
            return json.map_or(Value::Undefined, |json| step_json(&json, steps).into_owned());
        }
        _ => None,
    };
    inside.map_or(Value::Undefined, |value| step(value, further))
}

fn step_json<'s>(json: &'s Json, steps: &[Step]) -> Value<'s> {
    let Some((first, further)) = steps.split_first() else {
        return Value::from(json);
    };
    let inside = match (json, first) {
        (Json::Object(object), Step::Key(key)) => object.get(key),
        (Json::Array(list), Step::Index(index)) => nth(list.len(), *index).and_then(|at| list.get(at)),
        (Json::String(text), _) => {
            let json = serde_json::from_str::<Json>(text).ok();
            return json.map_or(Value::Undefined, |json| step_json(&json, steps).into_owned());
        }
        _ => None,
    };
    inside.map_or(Value::Undefined, |value| step_json(value, further))
}

/// Converts an SQL index, which counts from 1 or with negative numbers from the end.
fn nth(length: usize, index: i64) -> Option<usize> {
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    if index > 0 {
        distance.checked_sub(1)
    } else {
        length.checked_sub(distance).filter(|_| index < 0)
    }
}

fn compare(left: &Value<'_>, comparison: Comparison, right: &Value<'_>) -> Result<bool, Failure> {
    if *left == Value::Undefined || *right == Value::Undefined {
        // Two missing values are equal, and a missing topic matches a missing filter. All other comparisons are false.
        let equal = !matches!(comparison, Comparison::Unequal | Comparison::Less | Comparison::Greater);
        return Ok(left == right && equal);
    }
    if comparison == Comparison::Matches {
        let (Value::Text(topic), Value::Text(filter)) = (left, right) else {
            return Err(Failure::NotATopic);
        };
        return Ok(filter.parse::<TopicFilter>().is_ok_and(|filter| filter.matches(topic)));
    }
    let Some(order) = left.compare(right) else {
        let text = match (left, right) {
            (Value::Text(text), _) | (_, Value::Text(text)) => text.to_string(),
            _ => String::new(),
        };
        return Err(Failure::NotANumber(text));
    };
    Ok(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::Unequal => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
        Comparison::Matches => false,
    })
}
