//! Settings out of layers: each key is looked up in the layers from the strongest to the weakest, checked where it was
//! found, and given as a type that cannot be wrong afterwards.
//!
//! Keys are `section.key`. A key is known because somebody reads it, so there is no second list of keys to keep: what
//! is left unread at the end is unknown. A problem takes nothing away from the reading: all of them are collected.

mod layer;
mod section;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::document::{Node, Value};
use super::problem::{Problem, Source, suggestion};
pub use layer::PREFIX;
pub use layer::{Given, Place};
pub use layer::{Layer, environment_layer, file_layer};
pub use section::Section;

/// Reads keys out of layers and collects what is wrong.
pub struct Reader {
    /// The strongest first.
    layers: Vec<Layer>,
    known: Vec<String>,
    /// Known keys that are tables, which a file alone can give.
    tables: Vec<String>,
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
}

impl Reader {
    pub fn new(layers: Vec<Layer>) -> Reader {
        let (known, tables, problems, warnings) = Default::default();
        Reader {
            layers,
            known,
            tables,
            problems,
            warnings,
        }
    }

    pub fn section(&mut self, name: impl Into<Cow<'static, str>>) -> Section<'_> {
        let name = name.into();
        Section { reader: self, name }
    }

    /// The names of the tables in a section that holds one for each name, each with the place of the weakest layer that
    /// has it. What stands there instead of a table is a problem, and no name.
    pub fn names(&mut self, section: &str) -> Vec<(String, Place)> {
        let mut names = BTreeMap::new();
        let prefix = format!("{section}.");
        for (path, (place, given)) in self.layers.iter().rev().flatten() {
            let Some(rest) = path.strip_prefix(&prefix) else {
                continue;
            };
            if !rest.contains('.')
                && !matches!(
                    given,
                    Given::Node(Node {
                        value: Value::Table(_),
                        ..
                    })
                )
            {
                self.problems.push(place.problem("should be a table"));
            } else if let Some(name) = rest.split('.').next() {
                names.entry(name.to_owned()).or_insert_with(|| place.clone());
            }
        }
        let tables = self.layers.iter().flat_map(BTreeMap::keys).filter(|path| {
            let rest = path.strip_prefix(&prefix);
            rest.is_some_and(|rest| !rest.contains('.'))
        });
        let tables: BTreeSet<String> = tables.cloned().collect();
        self.tables.extend(tables);
        names.into_iter().collect()
    }

    /// What the strongest layer says about a key.
    fn find(layers: &[Layer], path: &str) -> Option<(Place, Given)> {
        layers.iter().find_map(|layer| layer.get(path)).cloned()
    }

    /// What is in force of everything that was given: for each key what the strongest layer says.
    pub fn given(&self) -> Layer {
        let weakest_first = self.layers.iter().rev().flatten();
        weakest_first
            .map(|(path, given)| (path.clone(), given.clone()))
            .collect()
    }

    /// Reports every key that nobody has read, and gives the known ones.
    pub fn finish(&mut self) -> Vec<String> {
        for (path, (place, given)) in self.layers.iter().flatten() {
            let from_file = matches!(given, Given::Node(_));
            let table = self.tables.contains(path);
            if table && !from_file {
                self.problems
                    .push(place.problem("is a table, which only a file can give"));
            }
            if table || self.known.contains(path) {
                continue;
            }
            let section = format!("{path}.");
            if self.known.iter().any(|known| known.starts_with(&section)) {
                self.problems.push(place.problem("should be a table"));
                continue;
            }
            let known = self.known.iter().chain(self.tables.iter().filter(|_| from_file));
            let mut known: Vec<&str> = known.map(String::as_str).collect();
            known.sort_unstable();
            let suggestion = suggestion(path, &known, |known| match place.source {
                Source::Environment => format!("{PREFIX}{}", known.replace('.', "__").to_ascii_uppercase()),
                _ => known.to_owned(),
            });
            self.problems.push(place.problem(format!("unknown key; {suggestion}")));
        }
        let mut known = self.known.clone();
        known.append(&mut self.tables.clone());
        known
    }
}
