//! What one source gives, by key.

use std::collections::BTreeMap;

use crate::document::{Node, Table, Value};
use crate::problem::{Problem, Source};

/// What was given for a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// By the environment or a flag: a text that is read as whatever is wanted; a list is separated by blanks.
    Text(String),
    /// By a flag that may be repeated.
    Texts(Vec<String>),
    /// By a file.
    Node(Node),
}

/// Where a value was given and what the key is called there.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    pub source: Source,
    pub key: String,
}

impl Given {
    /// Whether it is a text of blanks or a list of nothing.
    pub fn is_empty(&self) -> bool {
        match self {
            Given::Text(text) => text.trim().is_empty(),
            Given::Texts(texts) => texts.is_empty(),
            Given::Node(node) => matches!(&node.value, Value::List(list) if list.is_empty()),
        }
    }
}

impl Place {
    /// A problem of this place.
    pub fn problem(&self, text: impl Into<String>) -> Problem {
        Problem {
            source: self.source.clone(),
            key: self.key.clone(),
            text: text.into(),
        }
    }

    /// A place inside this one; `below` is appended to the key, `line` counts if this is a file.
    pub fn inside(&self, below: &str, line: usize) -> Place {
        let source = match &self.source {
            Source::File { path, .. } => Source::File {
                path: path.clone(),
                line: Some(line),
            },
            other => other.clone(),
        };
        Place {
            source,
            key: format!("{}{below}", self.key),
        }
    }
}

/// The values of one source by key.
pub type Layer = BTreeMap<String, (Place, Given)>;

/// Sections that hold a table for each name.
const NAMED: [&str; 1] = ["destinations"];

/// Tables inside of those that are settings by settings; others are settings as a whole.
const INNER: [&str; 3] = ["basic", "sign", "tls"];

/// A file's tables as a layer; what stands outside of a table keeps its single name. Each named table is there itself,
/// empty, and each of its settings.
pub fn file_layer(path: &std::path::Path, table: Table) -> Layer {
    let mut layer = Layer::new();
    let mut put = |key: String, node: Node| {
        let source = Source::File {
            path: path.to_owned(),
            line: Some(node.line),
        };
        layer.insert(key.clone(), (Place { source, key }, Given::Node(node)));
    };
    for (section, node) in table {
        match node.value {
            Value::Table(entries) if NAMED.contains(&section.as_str()) => {
                for (name, node) in entries {
                    flatten(&mut put, format!("{section}.{name}"), node, true);
                }
            }
            Value::Table(entries) => entries
                .into_iter()
                .for_each(|(key, node)| put(format!("{section}.{key}"), node)),
            value => put(section, Node { line: node.line, value }),
        }
    }
    layer
}

/// A table that is settings by settings: itself without them, if it is a named one, and each of them.
fn flatten(put: &mut impl FnMut(String, Node), path: String, node: Node, named: bool) {
    let line = node.line;
    let Value::Table(entries) = node.value else {
        return put(path, node);
    };
    if named {
        let value = Value::Table(Table::new());
        put(path.clone(), Node { line, value });
    }
    for (key, node) in entries {
        let path = format!("{path}.{key}");
        if named && INNER.contains(&key.as_str()) {
            flatten(put, path, node, false);
        } else {
            put(path, node);
        }
    }
}

pub const PREFIX: &str = "HOOKHOST_";

/// The variables `HOOKHOST_SECTION__KEY` as a layer; others are not settings. An empty one counts as not given.
pub fn environment_layer<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Layer {
    let mut layer = Layer::new();
    for (name, value) in variables {
        let Some(path) = name
            .strip_prefix(PREFIX)
            .filter(|path| path.contains("__") && !value.is_empty())
        else {
            continue;
        };
        let place = Place {
            source: Source::Environment,
            key: name.to_owned(),
        };
        layer.insert(
            path.replace("__", ".").to_ascii_lowercase(),
            (place, Given::Text(value.to_owned())),
        );
    }
    layer
}
