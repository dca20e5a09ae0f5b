//! Expressions and conditions.

use std::cmp::Ordering;

use hookhost_shared::topic::TopicFilter;

use super::path::{inside, part};
use super::record::Record;
use super::{Context, Scope};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::syntax::{Call, Case, Comparison, Expression, Path, Test};
use crate::value::Value;
use crate::value::arithmetic::negate;

/// Maximum number of items of a range such as `[1..1000]`.
const MAX_RANGE: i64 = 100_000;

impl<'e> Scope<'e> {
    /// The value of an expression.
    pub(super) fn value(&self, expression: &'e Expression, context: &Context<'_, 'e>) -> Result<Value<'e>, Failure> {
        Ok(match expression {
            Expression::Constant(Value::Text(text)) => Value::text(text),
            Expression::Constant(value) => value.clone(),
            Expression::Path(path) => self.path(path, context)?,
            Expression::Range(begin, end) => range(*begin, *end)?,
            Expression::Part(path, begin, end) => match self.path(path, context)? {
                Value::List(list) => part(list, *begin, *end).map(Value::List).ok_or(Failure::EmptyRange)?,
                _ => return Err(Failure::NotAList),
            },
            Expression::List(items) => {
                let items = items.iter().map(|item| self.value(item, context));
                Value::List(items.collect::<Result<_, _>>()?)
            }
            Expression::Negative(inside) => negate(&self.value(inside, context)?)?,
            Expression::Arithmetic(first, operators) => {
                let mut result = self.value(first, context)?;
                for (operator, right) in operators {
                    result = operator.apply(&result, &self.value(right, context)?)?;
                }
                result
            }
            Expression::Compare(comparison, sides) => {
                let [left, right] = &**sides;
                let (left, right) = (self.value(left, context)?, self.value(right, context)?);
                Value::Bool(compare(&left, *comparison, &right)?)
            }
            Expression::Case(case) => self.case(case, context)?,
            Expression::Call(call) => self.call(call, context)?,
        })
    }

    fn case(&self, case: &'e Case, context: &Context<'_, 'e>) -> Result<Value<'e>, Failure> {
        for (condition, value) in &case.branches {
            let is_met = match (&case.on, condition) {
                (None, condition) => self.test(condition, context)? == Some(true),
                (Some(on), Test::Value(when)) => self.value(when, context)? == self.value(on, context)?,
                (Some(_), _) => return Err(Failure::NotACondition),
            };
            if is_met {
                return self.value(value, context);
            }
        }
        case.otherwise
            .as_ref()
            .map_or(Ok(Value::Undefined), |value| self.value(value, context))
    }

    fn call(&self, call: &'e Call, context: &Context<'_, 'e>) -> Result<Value<'e>, Failure> {
        let arguments = call.arguments.iter().map(|argument| self.value(argument, context));
        let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
        let Some(function) = call.function else {
            return Err(Failure::UnknownFunction(format!(
                "{}/{}",
                call.name.name,
                arguments.len()
            )));
        };
        let environment = Environment {
            columns: context.selected.is_none().then_some(self.columns),
            system: self.system,
        };
        (function.call)(&arguments, &environment)
    }

    /// Whether a condition is true; `None` if it is neither true nor false.
    pub(super) fn test(&self, test: &'e Test, context: &Context<'_, 'e>) -> Result<Option<bool>, Failure> {
        Ok(match test {
            Test::All(tests) => self.joined(tests, true, context)?,
            Test::Any(tests) => self.joined(tests, false, context)?,
            Test::Not(inside) => match &**inside {
                Test::Value(value) => Some(self.value(value, context)? == Value::Bool(false)),
                // EMQX evaluates `not` of values only.
                _ => return Err(Failure::NotACondition),
            },
            Test::In(value, values) => {
                let value = self.value(value, context)?;
                let mut is_in = false;
                for known in values {
                    is_in |= self.value(known, context)? == value;
                }
                Some(is_in)
            }
            Test::Value(
                value @ (Expression::Compare(..) | Expression::Call(_) | Expression::Constant(Value::Bool(_))),
            ) => match self.value(value, context)? {
                Value::Bool(truth) => Some(truth),
                _ => None,
            },
            // Words without parentheses are not conditions in EMQX, even if they are true.
            Test::Value(_) => return Err(Failure::NotACondition),
        })
    }

    /// Conditions from the left, until one decides.
    fn joined(&self, tests: &'e [Test], go_on: bool, context: &Context<'_, 'e>) -> Result<Option<bool>, Failure> {
        let Some((last, before)) = tests.split_last() else {
            return Ok(Some(go_on));
        };
        for test in before {
            match self.test(test, context)? {
                Some(truth) if truth == go_on => {}
                Some(truth) => return Ok(Some(truth)),
                None => return Err(Failure::NotACondition),
            }
        }
        self.test(last, context)
    }

    /// The value at a path: first in what was selected, then in names and columns.
    pub(super) fn path(&self, path: &Path, context: &Context<'_, 'e>) -> Result<Value<'e>, Failure> {
        if let Some(selected) = context.selected {
            let value = self.path_in(path, selected, false)?;
            if value != Value::Undefined {
                return Ok(value);
            }
        }
        self.path_in(path, context.names, true)
    }

    fn path_in(&self, path: &Path, record: &Record<'e>, with_columns: bool) -> Result<Value<'e>, Failure> {
        let column = |name: &str| match with_columns {
            true => self.columns.get(name),
            false => Value::Undefined,
        };
        let by_name = |name: &str| match record.get(name) {
            Some(value) => value.clone(),
            None => column(name),
        };
        if path.steps.is_empty() {
            return Ok(by_name(&path.name));
        }
        if path.name == "payload" {
            let payload = match crate::value::find(&record.columns, "payload") {
                Some(payload) => payload.clone(),
                None => match column("payload") {
                    Value::Undefined => by_name("payload"),
                    payload => payload,
                },
            };
            if payload.as_bytes().is_some() {
                return self.decoded(payload, |payload| step_into(payload, path));
            }
            return Ok(step_into(&payload, path));
        }
        let index = |index: &Path| inside(&by_name(&index.name), &index.steps, &|_| Value::Undefined);
        match record.get(&path.name) {
            Some(value) => Ok(inside(value, &path.steps, &index)),
            None => Ok(inside(&column(&path.name), &path.steps, &index)),
        }
    }
}

/// The value at a path inside the payload. Paths that are indexes begin in the payload too.
fn step_into<'e>(payload: &Value<'e>, path: &Path) -> Value<'e> {
    inside(payload, &path.steps, &|index| {
        let name = payload.get(&index.name);
        name.map_or(Value::Undefined, |value| {
            inside(value, &index.steps, &|_| Value::Undefined)
        })
    })
}

fn range<'e>(begin: i64, end: i64) -> Result<Value<'e>, Failure> {
    // Erlang allows an end just before the beginning.
    let count = end.saturating_sub(begin).saturating_add(1);
    if !(0..=MAX_RANGE).contains(&count) {
        return Err(Failure::EmptyRange);
    }
    Ok(Value::List(
        (begin..=end).map(|number| Value::Integer(number.into())).collect(),
    ))
}

fn compare(left: &Value<'_>, comparison: Comparison, right: &Value<'_>) -> Result<bool, Failure> {
    if comparison == Comparison::Undefined {
        return Err(Failure::NotACondition);
    }
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
        let text = [left, right].into_iter().find(|side| side.as_bytes().is_some());
        return Err(Failure::NotANumber(text.map(Value::to_json).unwrap_or_default()));
    };
    Ok(match comparison {
        Comparison::Equal => order == Ordering::Equal,
        Comparison::Unequal => order != Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
        Comparison::Matches | Comparison::Undefined => false,
    })
}
