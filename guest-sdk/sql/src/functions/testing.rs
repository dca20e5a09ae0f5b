//! Calls of functions in tests.

use std::cell::RefCell;

use super::find;
use crate::environment::{Environment, System, Table};
use crate::value::Value;

/// A system that stands still at 2023-11-14T22:13:20.123456789Z, with one environment variable and tables of its own.
#[derive(Default)]
pub(super) struct StillSystem {
    tables: RefCell<Vec<(Table, Value<'static>, Value<'static>)>>,
}

impl System for StillSystem {
    fn now_ns(&self) -> i128 {
        1_700_000_000_123_456_789
    }

    fn local_offset(&self) -> i32 {
        7200
    }

    fn random(&self) -> u64 {
        0x0123_4567_89ab_cdef
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "SQLTEST").then(|| "set ä".to_owned())
    }

    fn get(&self, table: Table, key: &Value<'_>) -> Option<Value<'static>> {
        let tables = self.tables.borrow();
        let found = tables.iter().find(|(of, known, _)| *of == table && known == key);
        found.map(|(_, _, value)| value.clone())
    }

    fn put(&self, table: Table, key: &Value<'_>, value: Option<Value<'static>>) {
        let mut tables = self.tables.borrow_mut();
        tables.retain(|(of, known, _)| *of != table || known != key);
        tables.extend(value.map(|value| (table, key.clone().into_owned(), value)));
    }
}

/// Checks expressions: each with its value as JSON, or `fails`. The expressions share one [`StillSystem`].
pub(super) fn check(cases: &[(&str, &str)]) {
    let system = StillSystem::default();
    let mut wrong = String::new();
    for (expression, expected) in cases {
        let value = value(expression, &system).map_or_else(|| "fails".to_owned(), |value| value.to_json());
        if value != *expected {
            wrong += &format!("{expression}\n      is {value}\n  not is {expected}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// The value of a literal, a list or a call; `None` if a call fails.
fn value(expression: &str, system: &StillSystem) -> Option<Value<'static>> {
    let (value, rest) = parse(expression.trim(), system);
    assert_eq!(rest, "", "{expression}");
    value
}

fn parse<'e>(text: &'e str, system: &StillSystem) -> (Option<Value<'static>>, &'e str) {
    if let Some(rest) = text.strip_prefix('\'') {
        let (inside, rest) = rest.split_once('\'').unwrap();
        return (Some(Value::from(inside.to_owned())), rest);
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (values, rest) = parse_list(rest, ']', system);
        return (values.map(Value::List), rest);
    }
    let end = text.find([',', ')', ']', '(']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if let Some(rest) = rest.strip_prefix('(') {
        let (arguments, rest) = parse_list(rest, ')', system);
        let function = find(word).unwrap_or_else(|| panic!("no function {word}"));
        let value = arguments.and_then(|arguments| {
            assert!(function.arguments.contains(&arguments.len()), "{text}");
            let environment = Environment { columns: None, system };
            (function.call)(&arguments, &environment).ok()
        });
        return (value, rest);
    }
    let value = match word {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        word => crate::json::read(word).unwrap_or_else(|| panic!("{word}")).into_owned(),
    };
    (Some(value), rest)
}

fn parse_list<'e>(mut text: &'e str, end: char, system: &StillSystem) -> (Option<Vec<Value<'static>>>, &'e str) {
    let mut values = Some(Vec::new());
    if let Some(rest) = text.strip_prefix(end) {
        return (values, rest);
    }
    loop {
        let (value, rest) = parse(text.trim_start(), system);
        values = values.zip(value).map(|(mut values, value)| {
            values.push(value);
            values
        });
        match rest.strip_prefix(end) {
            Some(rest) => return (values, rest),
            None => text = rest.strip_prefix(',').unwrap_or_else(|| panic!("{rest}")),
        }
    }
}
