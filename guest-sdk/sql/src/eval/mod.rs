//! Evaluates clauses for one event.
//!
//! A [`Context`] is what an expression sees: in SELECT and DO first the [`Record`] of what was selected so far, then the
//! names of FOREACH and the columns of the event. In WHERE and INCASE there is one map of both, in which selected names
//! replace columns.

mod expression;
mod path;
mod record;

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::environment::{Columns, System};
use crate::failure::Failure;
use crate::json;
use crate::syntax::{Condition, Expression, Field, Foreach, Name, Path, Select, Test};
use crate::value::{Value, insert};
use record::Record;

/// The event for which clauses are evaluated. Its payload is parsed once, when a clause first uses a field of it.
pub struct Scope<'e> {
    columns: &'e dyn Columns,
    system: &'e dyn System,
    payload: OnceCell<Value<'e>>,
}

/// What a rule sends for an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Selected<'e> {
    /// Nothing: WHERE is false, or FOREACH has no items.
    Nothing,
    /// One body with all columns.
    Everything,
    /// One body for each of these objects.
    Bodies(Vec<Value<'e>>),
}

/// What an expression sees.
struct Context<'c, 'e> {
    /// What was selected so far; `None` in WHERE and INCASE.
    selected: Option<&'c Record<'e>>,
    /// Names besides the columns of the event.
    names: &'c Record<'e>,
}

impl<'e> Scope<'e> {
    /// A scope with the columns of an event.
    pub fn new(columns: &'e dyn Columns, system: &'e dyn System) -> Scope<'e> {
        Scope {
            columns,
            system,
            payload: OnceCell::new(),
        }
    }

    /// Evaluates the clauses of a rule; a rule without `select` selects everything.
    ///
    /// # Errors
    ///
    /// [`Failure`] if a clause has no value; the rule then sends nothing for this event.
    pub fn evaluate(
        &self,
        select: Option<&'e Select>,
        condition: Option<&'e Condition>,
    ) -> Result<Selected<'e>, Failure> {
        let none = Record::default();
        let Some(select) = select.filter(|select| !select.is_everything()) else {
            return Ok(match self.is_met(condition.map(|condition| &condition.test), &none)? {
                true => Selected::Everything,
                false => Selected::Nothing,
            });
        };
        let condition = condition.map(|condition| &condition.test);
        let Some(foreach) = &select.foreach else {
            let selected = self.select(&select.fields, &none)?;
            return Ok(match self.is_met(condition, &selected)? {
                true => Selected::Bodies(vec![selected.into_value()]),
                false => Selected::Nothing,
            });
        };
        let (names, item, items) = self.collect(&select.fields)?;
        if !self.is_met(condition, &names)? {
            return Ok(Selected::Nothing);
        }
        let bodies = self.each(foreach, names, item, items)?;
        Ok(match bodies.is_empty() {
            true => Selected::Nothing,
            false => Selected::Bodies(bodies),
        })
    }

    fn is_met(&self, test: Option<&'e Test>, names: &Record<'e>) -> Result<bool, Failure> {
        let Some(test) = test else { return Ok(true) };
        let context = Context { selected: None, names };
        self.test(test, &context)?.ok_or(Failure::NotACondition)
    }

    /// Evaluates the fields of SELECT or DO.
    fn select(&self, fields: &'e [Field], names: &Record<'e>) -> Result<Record<'e>, Failure> {
        let mut selected = Record::default();
        for field in fields {
            match field {
                Field::All => {
                    selected.merge_columns(self.columns.all());
                    selected.merge(names);
                }
                Field::As(expression, name) => {
                    let context = Context {
                        selected: Some(&selected),
                        names,
                    };
                    let value = self.shown(expression, &context)?;
                    self.put(&mut selected, name, value)?;
                }
            }
        }
        Ok(selected)
    }

    /// Evaluates the fields of FOREACH: all names, the name of the items, and the items.
    fn collect(&self, fields: &'e [Field]) -> Result<(Record<'e>, Item<'e>, Vec<Value<'e>>), Failure> {
        let none = Record::default();
        let mut names = Record::default();
        let mut last = (Item::Unnamed, Vec::new());
        for field in fields {
            // EMQX cannot evaluate `*` in FOREACH.
            let Field::As(expression, name) = field else {
                return Err(Failure::NotAList);
            };
            let context = Context {
                selected: Some(&names),
                names: &none,
            };
            let value = self.value(expression, &context)?;
            let item = match name {
                Name::Given(path) if path.steps.is_empty() => Item::Named(&path.name),
                Name::Given(_) => Item::Lost,
                Name::Own(_) | Name::Timed(_) => Item::Unnamed,
            };
            let items = match &value {
                Value::List(items) => items.clone(),
                _ => Vec::new(),
            };
            last = (item, items);
            self.put(&mut names, name, value)?;
        }
        let (item, items) = last;
        Ok((names, item, items))
    }

    /// The bodies for the items of FOREACH.
    fn each(
        &self,
        foreach: &'e Foreach,
        mut names: Record<'e>,
        item: Item<'e>,
        items: Vec<Value<'e>>,
    ) -> Result<Vec<Value<'e>>, Failure> {
        let mut bodies = Vec::new();
        for value in items {
            match item {
                Item::Unnamed => insert(&mut names.columns, Cow::Borrowed("item"), value),
                Item::Named(name) => insert(&mut names.named, Cow::Borrowed(name), value),
                Item::Lost => {}
            }
            if !self.is_met(foreach.condition.as_ref(), &names)? {
                continue;
            }
            let body = match foreach.each.is_empty() {
                true => {
                    let mut body = Record::default();
                    body.merge_columns(self.columns.all());
                    body.merge(&names);
                    body
                }
                false => self.select(&foreach.each, &names)?,
            };
            bodies.push(body.into_value());
        }
        Ok(bodies)
    }

    /// The value of a field. A column that is selected as it is appears as in a body.
    fn shown(&self, expression: &'e Expression, context: &Context<'_, 'e>) -> Result<Value<'e>, Failure> {
        if let Expression::Path(Path { name, steps }) = expression
            && steps.is_empty()
        {
            let selected = context.selected.and_then(|selected| selected.get(name));
            let selected = selected.filter(|value| **value != Value::Undefined);
            return Ok(match selected.or_else(|| context.names.get(name)) {
                Some(value) => value.clone(),
                None => self.columns.shown(name),
            });
        }
        self.value(expression, context)
    }

    /// Sets the value of a field in a body.
    fn put(&self, record: &mut Record<'e>, name: &'e Name, value: Value<'e>) -> Result<(), Failure> {
        let (path, is_own) = match name {
            Name::Given(path) => (path, false),
            Name::Own(path) => (path, true),
            Name::Timed(begin) => {
                let name = format!("{begin}{}", self.system.now_ns());
                insert(&mut record.named, name.into(), value);
                return Ok(());
            }
        };
        let into_payload = path.name == "payload" && !path.steps.is_empty();
        if into_payload
            && let Some(payload) = record.payload_mut()
            && payload.as_bytes().is_some()
        {
            let text = std::mem::replace(payload, Value::Undefined);
            *payload = self.decoded(text, Value::clone)?;
        }
        let as_column = is_own && into_payload && self.columns.get("payload") != Value::Undefined;
        record.put(path, value, as_column);
        Ok(())
    }

    /// What a function returns for the payload as JSON. As in EMQX, the first payload that was decoded for the event is used
    /// for every text that is a payload.
    fn decoded<T>(&self, payload: Value<'e>, read: impl FnOnce(&Value<'e>) -> T) -> Result<T, Failure> {
        if let Some(decoded) = self.payload.get() {
            return Ok(read(decoded));
        }
        let decoded = match payload {
            Value::Text(Cow::Borrowed(text)) => json::read(text),
            Value::Text(Cow::Owned(text)) => json::read(&text).map(Value::into_owned),
            _ => None,
        };
        let decoded = decoded.ok_or(Failure::PayloadIsNotJson)?;
        Ok(read(self.payload.get_or_init(|| decoded)))
    }
}

/// The name of the items of FOREACH.
#[derive(Clone, Copy)]
enum Item<'e> {
    /// `item`, because there is no AS.
    Unnamed,
    /// The name after AS.
    Named(&'e str),
    /// No name finds the items, because there is a path after AS.
    Lost,
}
