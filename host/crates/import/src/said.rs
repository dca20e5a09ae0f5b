//! What a broker's file or environment says, as values that each know their place.

use std::collections::BTreeMap;
use std::path::Path;

use hookhost_settings::document::{Node, Table, Value};
use hookhost_settings::reader::Place;
use hookhost_settings::units::{parse_duration, parse_size};
use hookhost_settings::{Problem, Source, suggestion};
use std::time::Duration;

/// A value and where it was said. Its place carries the whole key, or the variable.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) place: Place,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// A text, a number or a truth value.
    Scalar(Value),
    List(Vec<Said>),
    Table(BTreeMap<String, Said>),
}

/// A variable of the environment, or a line of a file that holds some.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) place: Place,
}

/// What reading has found out beside the settings.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
    /// What needs no attention when it works, but is worth a line in a conversion.
    pub(super) notes: Vec<Problem>,
}

impl Report {
    pub(super) fn problem(&mut self, place: &Place, text: impl Into<String>) {
        self.problems.push(place.problem(text));
    }

    pub(super) fn warning(&mut self, place: &Place, text: impl Into<String>) {
        self.warnings.push(place.problem(text));
    }

    pub(super) fn note(&mut self, place: &Place, text: impl Into<String>) {
        self.notes.push(place.problem(text));
    }

    /// Names parts of a broker's configuration that have nothing to do with webhooks, all at once and as they stand there.
    pub(super) fn elsewhere(&mut self, parts: &BTreeMap<String, Said>) {
        let mut parts: Vec<(&String, &Said)> = parts.iter().collect();
        parts.sort_by_key(|(_, said)| &said.place.source);
        let Some((_, first)) = parts.first() else { return };
        let place = Place {
            key: parts.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", "),
            ..first.place.clone()
        };
        let text = match parts.len() {
            1 => "is ignored: it is not about webhooks",
            _ => "are ignored: they are not about webhooks",
        };
        self.warning(&place, text);
    }

    /// A key that nobody knows: a mistake in a file whose broker refuses such, else worth a warning.
    pub(super) fn unknown(&mut self, place: &Place, key: &str, known: &[&str], strict: bool) {
        let suggestion = suggestion(key, known, str::to_owned);
        if strict && place.source != Source::Environment {
            self.problem(place, format!("unknown key; {suggestion}"));
        } else {
            self.warning(place, format!("is not known and is ignored; {suggestion}"));
        }
    }
}

/// A place in a file.
pub(super) fn place_in(path: &Path, line: usize, key: &str) -> Place {
    Place {
        source: Source::File {
            path: path.to_owned(),
            line: Some(line),
        },
        key: key.to_owned(),
    }
}

impl Said {
    /// A file's value; `key` is what it is called there.
    pub(super) fn in_file(path: &Path, key: &str, node: Node) -> Said {
        let place = place_in(path, node.line, key);
        let what = match node.value {
            Value::List(nodes) => What::List(
                nodes
                    .into_iter()
                    .enumerate()
                    .map(|(at, node)| Said::in_file(path, &format!("{key}[{at}]"), node))
                    .collect(),
            ),
            Value::Table(table) => What::Table(Said::table_in_file(path, key, table)),
            scalar => What::Scalar(scalar),
        };
        Said { place, what }
    }

    pub(super) fn table_in_file(path: &Path, key: &str, table: Table) -> BTreeMap<String, Said> {
        let named = |name: &str| match key {
            "" => name.to_owned(),
            key => format!("{key}.{name}"),
        };
        let entries = table.into_iter().map(|(name, node)| {
            let said = Said::in_file(path, &named(&name), node);
            (name, said)
        });
        entries.collect()
    }

    /// A variable's value: everything in it has the variable's place.
    pub(super) fn in_variable(place: &Place, node: Node) -> Said {
        let what = match node.value {
            Value::List(nodes) => What::List(nodes.into_iter().map(|node| Said::in_variable(place, node)).collect()),
            Value::Table(table) => What::Table(
                table
                    .into_iter()
                    .map(|(name, node)| (name, Said::in_variable(place, node)))
                    .collect(),
            ),
            scalar => What::Scalar(scalar),
        };
        let place = place.clone();
        Said { place, what }
    }

    pub(super) fn text(place: Place, text: impl Into<String>) -> Said {
        let what = What::Scalar(Value::Text(text.into()));
        Said { place, what }
    }

    fn kind(&self) -> &'static str {
        match &self.what {
            What::Scalar(value) => value.kind(),
            What::List(_) => "a list",
            What::Table(_) => "a table",
        }
    }

    /// Puts a stronger value over this one; tables are merged.
    pub(super) fn overlay(&mut self, stronger: Said) {
        match (&mut self.what, stronger) {
            (
                What::Table(table),
                Said {
                    what: What::Table(more),
                    ..
                },
            ) => {
                for (name, said) in more {
                    let known = table.keys().find(|known| known.eq_ignore_ascii_case(&name)).cloned();
                    match known.and_then(|known| table.get_mut(&known)) {
                        Some(weaker) => weaker.overlay(said),
                        None => drop(table.insert(name, said)),
                    }
                }
            }
            (_, stronger) => *self = stronger,
        }
    }

    fn mismatch(&self, report: &mut Report, expected: &str) {
        report.problem(&self.place, format!("should be {expected}, not {}", self.kind()));
    }

    /// A scalar as it was written.
    pub(super) fn as_text(&self, report: &mut Report) -> Option<String> {
        match &self.what {
            What::Scalar(Value::Text(text)) => Some(text.clone()),
            What::Scalar(Value::Integer(number)) => Some(number.to_string()),
            What::Scalar(Value::Float(number)) => Some(number.to_string()),
            What::Scalar(Value::Boolean(truth)) => Some(truth.to_string()),
            _ => {
                self.mismatch(report, "a string");
                None
            }
        }
    }

    pub(super) fn as_boolean(&self, report: &mut Report) -> Option<bool> {
        match &self.what {
            What::Scalar(Value::Boolean(truth)) => Some(*truth),
            What::Scalar(Value::Text(text)) if matches!(text.trim(), "true" | "on") => Some(true),
            What::Scalar(Value::Text(text)) if matches!(text.trim(), "false" | "off") => Some(false),
            What::Scalar(_) => {
                report.problem(&self.place, "should be true or false");
                None
            }
            _ => {
                self.mismatch(report, "true or false");
                None
            }
        }
    }

    pub(super) fn as_count(&self, report: &mut Report, bounds: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let number = match &self.what {
            What::Scalar(Value::Integer(number)) => Some(*number),
            What::Scalar(Value::Text(text)) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            None => self.mismatch(report, "a whole number"),
            Some(number) if bounds.contains(&number) => return Some(number),
            Some(_) => {
                let text = format!("should be between {} and {}", bounds.start(), bounds.end());
                report.problem(&self.place, text);
            }
        }
        None
    }

    /// A duration with units, or a number of milliseconds.
    pub(super) fn as_duration(
        &self,
        report: &mut Report,
        bounds: std::ops::RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let read = match &self.what {
            What::Scalar(Value::Integer(number)) => u64::try_from(*number)
                .ok()
                .map(Duration::from_millis)
                .ok_or_else(|| "is negative".to_owned()),
            What::Scalar(Value::Text(text)) => match text.trim().parse() {
                Ok(number) => Ok(Duration::from_millis(number)),
                Err(_) => parse_duration(text).map_err(|error| error.to_string()),
            },
            _ => Err(format!("should be a duration such as \"15s\", not {}", self.kind())),
        };
        let read = read.and_then(|duration| {
            let shown = |duration: &Duration| hookhost_settings::units::format_duration(*duration);
            bounds.contains(&duration).then_some(duration).ok_or_else(|| {
                format!(
                    "should be between {} and {}",
                    shown(bounds.start()),
                    shown(bounds.end())
                )
            })
        });
        read.map_err(|text| report.problem(&self.place, text)).ok()
    }

    /// A size with units, or a number of bytes.
    pub(super) fn as_size(&self, report: &mut Report) -> Option<usize> {
        let read = match &self.what {
            What::Scalar(Value::Integer(number)) => usize::try_from(*number).map_err(|_| "is negative".to_owned()),
            What::Scalar(Value::Text(text)) => parse_size(text).map_err(|error| error.to_string()),
            _ => Err(format!("should be a size such as \"256MB\", not {}", self.kind())),
        };
        read.map_err(|text| report.problem(&self.place, text)).ok()
    }

    pub(super) fn into_list(self, report: &mut Report) -> Option<Vec<Said>> {
        match self.what {
            What::List(list) => Some(list),
            _ => {
                self.mismatch(report, "a list");
                None
            }
        }
    }

    pub(super) fn into_fields(self, report: &mut Report) -> Option<Fields> {
        match self.what {
            What::Table(table) => Some(Fields {
                place: self.place,
                table,
                known: Vec::new(),
            }),
            _ => {
                self.mismatch(report, "a table");
                None
            }
        }
    }
}

/// A table of which one key after the other is taken; what is left at the end is unknown.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) place: Place,
    table: BTreeMap<String, Said>,
    known: Vec<&'static str>,
}

impl Fields {
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<Said> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// The value of whichever of two names was used; the first one wins.
    pub(super) fn take_either(&mut self, key: &'static str, other: &'static str) -> Option<Said> {
        let (first, second) = (self.take(key), self.take(other));
        first.or(second)
    }

    pub(super) fn table(&mut self, key: &'static str, report: &mut Report) -> Option<Fields> {
        self.take(key)?.into_fields(report)
    }

    /// Everything that is left, by name.
    pub(super) fn rest(&mut self) -> BTreeMap<String, Said> {
        std::mem::take(&mut self.table)
    }

    /// Takes keys that change nothing here and says why.
    pub(super) fn ignore(&mut self, reasons: &[(&'static str, &str)], report: &mut Report) {
        for (key, reason) in reasons {
            if let Some(said) = self.take(key) {
                report.warning(&said.place, format!("is ignored: {reason}"));
            }
        }
    }

    /// Takes keys that have no effect by nature, such as a description.
    pub(super) fn remark(&mut self, keys: &[&'static str], report: &mut Report) {
        for key in keys {
            if let Some(said) = self.take(key) {
                report.note(&said.place, "says nothing about requests");
            }
        }
    }

    /// Reports what nobody has taken; `strict`: the broker would not start with it.
    pub(super) fn finish(self, report: &mut Report, strict: bool) {
        let Fields { table, known, .. } = self;
        for (key, said) in table {
            report.unknown(&said.place, &key, &known, strict);
        }
    }
}
