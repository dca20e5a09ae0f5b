//! The tree of settings: each value knows the place where it was given.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::place::join;
use super::{Place, Report};

/// A value and the place where it was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Where the value was given, with the whole key.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// Settings by name.
pub type Table = BTreeMap<String, Setting>;

/// What was given.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text from a source without types (flags, the environment, files of EMQX and NanoMQ). It is read as the type
    /// that is asked for; a list is separated by blanks.
    Untyped(String),
    /// A string.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A number with a decimal point; may be infinite or not a number.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date, a time or both, as written.
    Date(String),
    /// A list.
    List(Vec<Setting>),
    /// A table.
    Table(Table),
}

/// What becomes of dates in JSON, which has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonDates {
    /// A string.
    Text,
    /// A problem.
    Invalid,
}

impl Value {
    /// The type with its article, for error texts.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Untyped(_) | Value::Text(_) => "a string",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Boolean(_) => "a boolean",
            Value::Date(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// A string, number or boolean as it would be written; `None` for other types.
    pub fn written(&self) -> Option<String> {
        match self {
            Value::Untyped(text) | Value::Text(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Boolean(boolean) => Some(boolean.to_string()),
            Value::Date(_) | Value::List(_) | Value::Table(_) => None,
        }
    }

    /// A list of strings, all given at one place.
    pub fn texts(place: &Place, texts: impl IntoIterator<Item = String>) -> Value {
        let setting = |text| Setting::new(place.clone(), Value::Text(text));
        Value::List(texts.into_iter().map(setting).collect())
    }

    /// A table of strings, all given at one place.
    pub fn text_table(place: &Place, texts: impl IntoIterator<Item = (String, String)>) -> Value {
        let setting = |(name, text)| (name, Setting::new(place.clone(), Value::Text(text)));
        Value::Table(texts.into_iter().map(setting).collect())
    }
}

impl Setting {
    /// A value that was given at a place.
    pub fn new(place: Place, value: Value) -> Setting {
        Setting { place, value }
    }

    /// The text of a string or of an untyped value; `None` for other types.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Untyped(text) | Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing is in it: a list without elements, or an untyped text of blanks.
    pub fn is_empty(&self) -> bool {
        match &self.value {
            Value::Untyped(text) => text.trim().is_empty(),
            Value::List(list) => list.is_empty(),
            _ => false,
        }
    }

    /// Whether this value or one below it in tables is untyped.
    pub(crate) fn is_untyped(&self) -> bool {
        match &self.value {
            Value::Untyped(_) => true,
            Value::Table(table) => table.values().any(Setting::is_untyped),
            _ => false,
        }
    }

    /// Gives this value and everything below it the source and line that it has, and names derived from `key`:
    /// `key.name` in tables, `key[0]` in lists. Values of the environment keep the name of their variable.
    pub fn set_key(&mut self, key: String) {
        match &mut self.value {
            Value::Table(table) => {
                for (name, setting) in table {
                    setting.set_key(join(&key, name));
                }
            }
            Value::List(list) => {
                for (index, setting) in list.iter_mut().enumerate() {
                    setting.set_key(format!("{key}[{index}]"));
                }
            }
            _ => {}
        }
        if !self.place.is_variable() {
            self.place.key = key;
        }
    }

    /// Gives this value and everything below it one place.
    pub fn set_place(&mut self, place: &Place) {
        match &mut self.value {
            Value::Table(table) => table.values_mut().for_each(|setting| setting.set_place(place)),
            Value::List(list) => list.iter_mut().for_each(|setting| setting.set_place(place)),
            _ => {}
        }
        self.place = place.clone();
    }

    /// The value as JSON. Reports what JSON cannot express, which becomes `null`.
    pub fn to_json(&self, report: &Report, dates: JsonDates) -> Json {
        match &self.value {
            Value::Untyped(text) | Value::Text(text) => Json::from(text.as_str()),
            Value::Integer(number) => Json::from(*number),
            Value::Float(number) if number.is_finite() => Json::from(*number),
            Value::Float(_) => {
                report.problem(&self.place, "is not a finite number");
                Json::Null
            }
            Value::Boolean(boolean) => Json::from(*boolean),
            Value::Date(date) => match dates {
                JsonDates::Text => Json::from(date.as_str()),
                JsonDates::Invalid => {
                    report.problem(&self.place, "is a date, which has no meaning here");
                    Json::Null
                }
            },
            Value::List(list) => list.iter().map(|setting| setting.to_json(report, dates)).collect(),
            Value::Table(table) => {
                let entry = |(name, setting): (&String, &Setting)| (name.clone(), setting.to_json(report, dates));
                Json::Object(table.iter().map(entry).collect())
            }
        }
    }
}
