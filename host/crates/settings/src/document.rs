//! TOML text as a tree whose every value knows its line, so that a problem can name it.
//!
//! All syntax errors of a text are reported together. Nesting is bounded by the TOML reader.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and the line of its key, or of itself if it has none, counted from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

/// Names and their values.
pub type Table = BTreeMap<String, Node>;

/// A TOML value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// A date, a time or both, as it is written; the host's own settings have no use for one.
    Date(String),
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What it is, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Boolean(_) => "a boolean",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

impl Node {
    /// The same as JSON; tells the line and the kind of the first value that JSON does not have.
    pub fn to_json(&self) -> Result<serde_json::Value, (usize, &'static str)> {
        use serde_json::Value as Json;
        Ok(match &self.value {
            Value::Text(text) => Json::from(text.as_str()),
            Value::Integer(number) => Json::from(*number),
            Value::Float(number) if number.is_finite() => Json::from(*number),
            Value::Float(_) => return Err((self.line, "a float without a value")),
            Value::Boolean(truth) => Json::from(*truth),
            Value::Date(_) => return Err((self.line, self.value.kind())),
            Value::List(nodes) => Json::Array(nodes.iter().map(Node::to_json).collect::<Result<_, _>>()?),
            Value::Table(table) => {
                let entries = table.iter().map(|(key, node)| Ok((key.clone(), node.to_json()?)));
                Json::Object(entries.collect::<Result<_, _>>()?)
            }
        })
    }
}

/// Reads a whole document; what is wrong comes with its line. The table then holds what could be read.
pub fn parse(text: &str) -> (Table, Vec<(usize, String)>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut reading = Reading {
        newlines: text.match_indices('\n').map(|(at, _)| at).collect(),
        errors: Vec::new(),
    };
    for error in errors {
        // The error's own `Display` would show the line of the file, and with it what may be a password.
        let line = reading.line(error.span().map_or(0, |span| span.start));
        reading.errors.push((line, error.message().to_owned()));
    }
    let table = reading.table(root.into_inner());
    (table, reading.errors)
}

struct Reading {
    newlines: Vec<usize>,
    errors: Vec<(usize, String)>,
}

impl Reading {
    fn line(&self, offset: usize) -> usize {
        self.newlines.partition_point(|newline| *newline < offset) + 1
    }

    fn table(&mut self, table: DeTable<'_>) -> Table {
        let entries = table.into_iter().map(|(key, value)| {
            let line = self.line(key.span().start);
            (
                key.into_inner().into_owned(),
                Node {
                    line,
                    value: self.value(line, value.into_inner()),
                },
            )
        });
        entries.collect()
    }

    fn element(&mut self, element: Spanned<DeValue<'_>>) -> Node {
        let line = self.line(element.span().start);
        Node {
            line,
            value: self.value(line, element.into_inner()),
        }
    }

    fn value(&mut self, line: usize, value: DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => {
                    self.errors
                        .push((line, "an integer that does not fit in 64 bits".to_owned()));
                    Value::Integer(0)
                }
            },
            // The reader has checked the spelling; what overflows becomes infinite and is refused where it is used.
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(truth) => Value::Boolean(truth),
            DeValue::Datetime(date) => Value::Date(date.to_string()),
            DeValue::Array(list) => Value::List(list.into_iter().map(|element| self.element(element)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_lines() {
        let (table, errors) = parse("a = 1\n[b]\nc = [\n  0x10,\n  1_000.5,\n]\nd.e = true\nf = 2020-01-01\n");
        assert_eq!(errors, []);
        let node = |line, value| Node { line, value };
        assert_eq!(table["a"], node(1, Value::Integer(1)));
        let Value::Table(b) = &table["b"].value else {
            panic!("a table")
        };
        assert_eq!(
            b["c"],
            node(
                3,
                Value::List(vec![node(4, Value::Integer(16)), node(5, Value::Float(1000.5))])
            )
        );
        assert_eq!(
            b["d"],
            node(
                7,
                Value::Table(Table::from([("e".to_owned(), node(7, Value::Boolean(true)))]))
            )
        );
        assert_eq!(b["f"], node(8, Value::Date("2020-01-01".to_owned())));
        assert_eq!(table["a"].to_json(), Ok(serde_json::json!(1)));
        assert_eq!(table["b"].to_json(), Err((8, "a date")));
    }

    #[test]
    fn all_syntax_errors_come_at_once_and_show_no_value() {
        let (_, errors) = parse("a = \"secret\nb = 1\nb = 2\nc = 99999999999999999999\nd = \n");
        let lines: Vec<usize> = errors.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3, 5, 4], "{errors:?}");
        assert!(!format!("{errors:?}").contains("secret"), "{errors:?}");
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_an_overflow() {
        let (_, errors) = parse(&format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000)));
        assert!(!errors.is_empty());
    }
}
