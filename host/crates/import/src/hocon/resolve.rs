//! Resolves substitutions and joined values.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hookhost_settings::document::MAX_KEY_BYTES;
use hookhost_settings::{Place, Setting, Table, Value, merge};

use super::super::includes::At;
use super::DEPTH;
use super::raw::{Fields, Item, Raw};

/// Values that substitutions may make. Values that are written out are bounded by the size of the file.
const SUBSTITUTED_VALUES: usize = 200_000;
/// Bytes of text that joining and substitution may make.
const BYTES: usize = 16 << 20;

type Errors = Vec<(At, String)>;

/// `paths` are the files by their numbers. Values have their lines, and no keys yet.
pub(super) fn document(
    paths: &[PathBuf],
    fields: &Fields,
    variable: &dyn Fn(&str) -> Option<String>,
) -> (Table, Errors) {
    let mut resolution = Resolution {
        paths: paths.iter().map(|path| path.as_path().into()).collect(),
        root: fields,
        variable,
        active: Vec::new(),
        below: Vec::new(),
        substituting: 0,
        values: 0,
        bytes: 0,
        depth: 0,
        full: false,
        errors: Vec::new(),
    };
    let table = resolution.table(fields, &mut Vec::new());
    (table, resolution.errors)
}

/// A value without substitutions.
pub(super) fn value(item: &Item) -> Option<Setting> {
    let root = Fields::from([("value".to_owned(), item.clone())]);
    let (mut table, errors) = document(&[PathBuf::new()], &root, &|_| None);
    table.remove("value").filter(|_| errors.is_empty())
}

struct Resolution<'a> {
    paths: Vec<Arc<Path>>,
    root: &'a Fields,
    variable: &'a dyn Fn(&str) -> Option<String>,
    /// Paths being looked up.
    active: Vec<&'a [String]>,
    /// Keys being resolved, and what each held before: a value that refers to its own key means that.
    below: Vec<(Vec<String>, &'a Item)>,
    /// How many substitutions are being resolved inside each other.
    substituting: usize,
    /// Values that substitutions have made.
    values: usize,
    bytes: usize,
    depth: usize,
    /// A bound is exceeded; nothing more is read.
    full: bool,
    errors: Errors,
}

impl<'a> Resolution<'a> {
    fn table(&mut self, fields: &'a Fields, path: &mut Vec<String>) -> Table {
        let mut table = Table::new();
        for (key, item) in fields {
            path.push(key.clone());
            if path.iter().map(String::len).sum::<usize>() > MAX_KEY_BYTES {
                self.errors
                    .push((item.at, format!("a key of more than {MAX_KEY_BYTES} bytes")));
            } else if let Some(setting) = self.item(item, path) {
                table.insert(key.clone(), setting);
            }
            path.pop();
        }
        table
    }

    /// `None` if the value is `null`, undefined where that is allowed, or invalid, which is reported.
    fn item(&mut self, item: &'a Item, path: &mut Vec<String>) -> Option<Setting> {
        let at = item.at;
        if self.full {
            return None;
        }
        self.values += usize::from(self.substituting > 0);
        if self.values > SUBSTITUTED_VALUES || self.bytes > BYTES || self.depth > 4 * DEPTH {
            self.full = true;
            self.errors.push((at, "substitutions make this too large".to_owned()));
            return None;
        }
        self.depth += 1;
        let value = self.value(item, path);
        self.depth -= 1;
        Some(Setting::new(self.place(at), value?))
    }

    fn place(&self, at: At) -> Place {
        let path = self.paths.get(at.file).map_or_else(|| Path::new("").into(), Arc::clone);
        Place::line(path, at.line, "")
    }

    fn value(&mut self, item: &'a Item, path: &mut Vec<String>) -> Option<Value> {
        Some(match &item.raw {
            Raw::Text(text) => {
                self.bytes += text.len();
                Value::Untyped(text.clone())
            }
            Raw::Bare(text) => {
                self.bytes += text.len();
                bare(text)?
            }
            Raw::List(items) => {
                let mut list = Vec::new();
                for item in items {
                    list.extend(self.item(item, path));
                }
                Value::List(list)
            }
            Raw::Object(fields) => Value::Table(self.table(fields, path)),
            Raw::Substitution {
                path: target,
                base,
                optional,
            } => {
                self.substituting += 1;
                let value = self.substitution(item.at, target, *base, *optional, path);
                self.substituting -= 1;
                value?
            }
            Raw::Joined(items) => self.joined(item.at, items, path)?,
            Raw::Over(below, above) => {
                self.below.push((path.clone(), below));
                let above = self.item(above, path);
                self.below.pop();
                match above {
                    // What is replaced need not be valid.
                    Some(above) if !matches!(above.value, Value::Table(_)) => above.value,
                    above => match (self.item(below, path), above) {
                        (Some(below), Some(above)) => below.overridden_by(above).value,
                        (below, above) => above.or(below)?.value,
                    },
                }
            }
        })
    }

    fn substitution(
        &mut self,
        line: At,
        target: &'a [String],
        base: usize,
        optional: bool,
        at: &[String],
    ) -> Option<Value> {
        let own = self.below.iter().rposition(|(path, _)| path == target);
        if let Some(own) = own {
            // The value before refers to the one before that.
            let later = self.below.split_off(own);
            let found = later
                .first()
                .and_then(|(path, below)| self.item(below, &mut path.clone()));
            self.below.extend(later);
            return found.map(|setting| setting.value);
        }
        let short = target.get(base..).unwrap_or(target);
        if self.active.contains(&target) || self.active.len() >= DEPTH {
            if !optional {
                let text = format!("${{{}}} refers to itself or through too many others", short.join("."));
                self.errors.push((line, text));
            }
            return None;
        }
        // A value that is the first of its key and refers to itself refers to nothing.
        let mut found = None;
        if target != at {
            self.active.push(target);
            found = self.lookup(target);
            // A file that is included below a key may mean the root.
            if found.is_none() && base > 0 {
                found = self.lookup(short);
            }
            self.active.pop();
        }
        let name = short.join(".");
        let found = found.or_else(|| (self.variable)(&name).and_then(|text| bare(&text)));
        if found.is_none() && !optional {
            let text = format!(
                "${{{name}}} is defined neither in this file nor in the environment; ${{?{name}}} may be undefined"
            );
            self.errors.push((line, text));
        }
        found
    }

    fn lookup(&mut self, target: &'a [String]) -> Option<Value> {
        let (mut fields, mut walked) = (self.root, Vec::new());
        let mut parts = target.iter();
        while let Some(part) = parts.next() {
            let item = fields.get(part)?;
            walked.push(part.clone());
            match &item.raw {
                Raw::Object(inner) if parts.len() > 0 => fields = inner,
                _ => {
                    let mut value = self.item(item, &mut walked)?.value;
                    for part in parts.by_ref() {
                        let Value::Table(mut table) = value else { return None };
                        value = table.remove(part)?.value;
                    }
                    return Some(value);
                }
            }
        }
        None
    }

    fn joined(&mut self, at: At, items: &'a [Item], path: &mut Vec<String>) -> Option<Value> {
        let is_blank = |item: &Item| matches!(&item.raw, Raw::Bare(text) if text.trim().is_empty());
        let mut whole: Option<Value> = None;
        let mut text = String::new();
        let mut texts = false;
        for item in items {
            if is_blank(item) {
                if let Raw::Bare(blanks) = &item.raw {
                    text.push_str(blanks);
                }
                continue;
            }
            // Bare words are joined as they were written: 1.0 stays 1.0.
            let value = match &item.raw {
                Raw::Bare(text) => Some(Value::Untyped(text.clone())),
                _ => self.item(item, path).map(|setting| setting.value),
            };
            whole = match (whole, value) {
                (whole, None) => whole,
                (Some(Value::List(mut list)), Some(Value::List(mut more))) => {
                    list.append(&mut more);
                    Some(Value::List(list))
                }
                (Some(Value::Table(mut table)), Some(Value::Table(more))) => {
                    merge(&mut table, more, &|_| false);
                    Some(Value::Table(table))
                }
                (None, Some(value @ (Value::List(_) | Value::Table(_)))) if !texts => Some(value),
                (None, Some(value)) if value.written().is_some() => {
                    texts = true;
                    text.push_str(&value.written().unwrap_or_default());
                    None
                }
                _ => {
                    let text = "strings, lists and objects cannot be joined with each other";
                    self.errors.push((at, text.to_owned()));
                    return None;
                }
            };
        }
        self.bytes += text.len();
        whole.or_else(|| texts.then_some(Value::Untyped(text)))
    }
}

/// The value of a text without quotes; `None` for `null`. What looks like a number and would be written otherwise, such
/// as `007`, stays as it is: it may be the value of a header.
fn bare(text: &str) -> Option<Value> {
    let number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '.');
    Some(match text.trim() {
        "null" => return None,
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        word => {
            let value = match (word.parse(), word.parse()) {
                _ if !word.chars().all(number) => None,
                (Ok(integer), _) => Some(Value::Integer(integer)),
                (_, Ok(float)) => Some(Value::Float(float)),
                _ => None,
            };
            let value = value.filter(|value| value.written().as_deref() == Some(word));
            value.unwrap_or_else(|| Value::Untyped(word.to_owned()))
        }
    })
}
