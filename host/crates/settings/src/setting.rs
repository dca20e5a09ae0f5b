//! The tree of settings: each value knows the place where it was given.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::place::join;
use super::{Place, Report, Source};

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

/// The setting at a path, if every name before the last one is a table.
pub fn find<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Setting> {
    let (first, rest) = path.split_first()?;
    let setting = table.get(*first)?;
    match (&setting.value, rest) {
        (_, []) => Some(setting),
        (Value::Table(inner), rest) => find(inner, rest),
        _ => None,
    }
}

/// As [`find`], to be changed.
pub fn find_mut<'t>(table: &'t mut Table, path: &[&str]) -> Option<&'t mut Setting> {
    let (first, rest) = path.split_first()?;
    let setting = table.get_mut(*first)?;
    if rest.is_empty() {
        return Some(setting);
    }
    match &mut setting.value {
        Value::Table(inner) => find_mut(inner, rest),
        _ => None,
    }
}

/// Removes and returns the setting at a path.
pub fn remove(table: &mut Table, path: &[&str]) -> Option<Setting> {
    match path {
        [] => None,
        [name] => table.remove(*name),
        [above @ .., name] => match &mut find_mut(table, above)?.value {
            Value::Table(inner) => inner.remove(*name),
            _ => None,
        },
    }
}

/// Puts a setting at a path. Tables that are missing on the way get its place. A value on the way that is not a table
/// stays; the setting is then put beside it, under the rest of the path joined by dots, where no reader looks for it.
pub fn insert(table: &mut Table, path: &[&str], setting: Setting) {
    let [name, rest @ ..] = path else { return };
    if rest.is_empty() {
        table.insert((*name).to_owned(), setting);
        return;
    }
    let below = table
        .entry((*name).to_owned())
        .or_insert_with(|| Setting::new(setting.place.clone(), Value::Table(Table::new())));
    match &mut below.value {
        Value::Table(inner) => insert(inner, rest, setting),
        _ => drop(table.insert(path.join("."), setting)),
    }
}

/// Merges stronger settings into weaker ones. Two tables of one name are merged, unless `is_whole` is true for their
/// path; anything else is replaced. Names in the environment match regardless of case.
pub fn merge(weaker: &mut Table, stronger: Table, is_whole: &dyn Fn(&str) -> bool) {
    merge_below(weaker, stronger, "", is_whole);
}

fn merge_below(weaker: &mut Table, stronger: Table, path: &str, is_whole: &dyn Fn(&str) -> bool) {
    for (name, setting) in stronger {
        let ignores_case = setting.place.source == Source::Environment;
        let same = |known: &&String| **known == name || (ignores_case && known.eq_ignore_ascii_case(&name));
        let name = weaker.keys().find(same).cloned().unwrap_or(name);
        let path = join(path, &name);
        match (weaker.get_mut(&name).map(|known| &mut known.value), setting.value) {
            (Some(Value::Table(known)), Value::Table(more)) if !is_whole(&path) => {
                merge_below(known, more, &path, is_whole);
            }
            (_, value) => {
                let place = setting.place;
                weaker.insert(name, Setting { place, value });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Setting {
        Setting::new(Place::variable(name), Value::Untyped(name.to_owned()))
    }

    fn text(value: &str) -> Setting {
        Setting::new(Place::flag("-x"), Value::Text(value.to_owned()))
    }

    #[test]
    fn settings_are_put_at_paths() {
        let mut table = Table::new();
        insert(&mut table, &["a", "b"], variable("A__B"));
        insert(&mut table, &["a", "c", "d"], variable("A__C__D"));
        // `a.b` is not a table.
        insert(&mut table, &["a", "b", "x"], variable("A__B__X"));
        assert_eq!(find(&table, &["a", "c", "d"]), Some(&variable("A__C__D")));
        assert_eq!(find(&table, &["a", "b.x"]), Some(&variable("A__B__X")));
        assert_eq!(find(&table, &["a", "b", "x"]), None);
        assert_eq!(find(&table, &["a"]).unwrap().place, Place::variable("A__B"));
        assert_eq!(remove(&mut table, &["a", "c", "d"]), Some(variable("A__C__D")));
        assert_eq!(remove(&mut table, &["a", "c", "d"]), None);
    }

    #[test]
    fn the_stronger_value_wins_and_tables_are_merged() {
        let mut weaker = Table::new();
        insert(&mut weaker, &["Section", "a"], text("1"));
        insert(&mut weaker, &["Section", "b"], text("2"));
        insert(&mut weaker, &["Section", "whole", "c"], text("3"));
        let mut stronger = Table::new();
        insert(&mut stronger, &["section", "a"], variable("A"));
        insert(&mut stronger, &["section", "whole", "d"], variable("D"));
        merge(&mut weaker, stronger, &|path| path == "Section.whole");
        assert_eq!(weaker.len(), 1);
        assert_eq!(find(&weaker, &["Section", "a"]), Some(&variable("A")));
        assert_eq!(find(&weaker, &["Section", "b"]), Some(&text("2")));
        assert_eq!(find(&weaker, &["Section", "whole", "c"]), None);
        assert_eq!(find(&weaker, &["Section", "whole", "d"]), Some(&variable("D")));
    }
}
