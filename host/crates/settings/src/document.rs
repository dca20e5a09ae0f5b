//! TOML text as a tree of settings.
//!
//! All syntax errors of a text are reported together. The TOML parser bounds the nesting, and [`MAX_KEY_BYTES`] the
//! length of keys, each of which is repeated for everything below it.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::join;
use super::{Place, Problem, Setting, Table, Value};

/// Bytes of a whole key, such as `webhook.rule.message_publish[0].topics`.
pub const MAX_KEY_BYTES: usize = 1024;

/// Reads a document; the path is for places only. Returns what could be read, and all syntax errors.
///
/// The line of a setting is that of its key, or of itself if it has none. An error never shows the text around it, which
/// may be a password.
pub fn parse(path: &Path, text: &str) -> (Table, Vec<Problem>) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut reading = Reading {
        path: path.into(),
        newlines: text.match_indices('\n').map(|(at, _)| at).collect(),
        errors: Vec::new(),
    };
    for error in errors {
        let line = reading.line(error.span().map_or(0, |span| span.start));
        reading.error(line, error.message());
    }
    let table = reading.table("", root.into_inner());
    (table, reading.errors)
}

struct Reading {
    path: Arc<Path>,
    newlines: Vec<usize>,
    errors: Vec<Problem>,
}

impl Reading {
    fn line(&self, offset: usize) -> usize {
        self.newlines.partition_point(|newline| *newline < offset) + 1
    }

    fn error(&mut self, line: usize, text: &str) {
        let place = Place::line(Arc::clone(&self.path), line, "");
        self.errors.push(place.problem(text));
    }

    fn table(&mut self, key: &str, table: DeTable<'_>) -> Table {
        let entries = table.into_iter().map(|(name, value)| {
            let line = self.line(name.span().start);
            let name = name.into_inner().into_owned();
            let setting = self.setting(join(key, &name), line, value.into_inner());
            (name, setting)
        });
        entries.collect()
    }

    fn element(&mut self, key: String, element: Spanned<DeValue<'_>>) -> Setting {
        let line = self.line(element.span().start);
        self.setting(key, line, element.into_inner())
    }

    fn setting(&mut self, key: String, line: usize, value: DeValue<'_>) -> Setting {
        let value = match value {
            _ if key.len() > MAX_KEY_BYTES => {
                self.error(line, &format!("a key of more than {MAX_KEY_BYTES} bytes"));
                return Setting::new(Place::line(Arc::clone(&self.path), line, ""), Value::Boolean(false));
            }
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => {
                    self.error(line, "an integer that does not fit in 64 bits");
                    Value::Integer(0)
                }
            },
            // The parser has checked the spelling; an overflow becomes infinite and is refused where it is read.
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(boolean) => Value::Boolean(boolean),
            DeValue::Datetime(date) => Value::Date(date.to_string()),
            DeValue::Array(list) => {
                let elements = list.into_iter().enumerate();
                Value::List(
                    elements
                        .map(|(index, element)| self.element(format!("{key}[{index}]"), element))
                        .collect(),
                )
            }
            DeValue::Table(table) => Value::Table(self.table(&key, table)),
        };
        Setting::new(Place::line(Arc::clone(&self.path), line, key), value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_know_their_places() {
        let text = "a = 1\n[b]\nc = [\n  0x10,\n  1_000.5,\n]\nd.e = true\nf = 2020-01-01\n";
        let (table, errors) = parse(Path::new("f"), text);
        assert_eq!(errors, []);
        let setting = |line, key: &str, value| Setting::new(Place::line(Path::new("f"), line, key), value);
        assert_eq!(table["a"], setting(1, "a", Value::Integer(1)));
        let Value::Table(b) = &table["b"].value else {
            panic!("a table")
        };
        let list = vec![
            setting(4, "b.c[0]", Value::Integer(16)),
            setting(5, "b.c[1]", Value::Float(1000.5)),
        ];
        assert_eq!(b["c"], setting(3, "b.c", Value::List(list)));
        let inner = Table::from([("e".to_owned(), setting(7, "b.d.e", Value::Boolean(true)))]);
        assert_eq!(b["d"], setting(7, "b.d", Value::Table(inner)));
        assert_eq!(b["f"], setting(8, "b.f", Value::Date("2020-01-01".to_owned())));
    }

    #[test]
    fn all_syntax_errors_come_at_once_and_show_no_value() {
        let text = "a = \"secret\nb = 1\nb = 2\nc = 99999999999999999999\nd = \n";
        let (_, errors) = parse(Path::new("f"), text);
        let places: Vec<String> = errors.iter().map(|problem| problem.place.to_string()).collect();
        assert_eq!(places, ["f:1", "f:3", "f:5", "f:4"], "{errors:?}");
        assert!(!format!("{errors:?}").contains("secret"), "{errors:?}");
    }

    #[test]
    fn deep_nesting_and_long_keys_are_errors() {
        let deep = format!("a = {}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(!parse(Path::new("f"), &deep).1.is_empty());
        let long = format!("{} = [{}]", "a".repeat(100_000), "1,".repeat(100_000));
        assert_eq!(parse(Path::new("f"), &long).1.len(), 1);
    }
}
