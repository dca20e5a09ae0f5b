//! Values as written, before substitutions are resolved.

use std::collections::BTreeMap;

use super::DEPTH;

/// A value as written, and its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) line: usize,
    pub(super) raw: Raw,
}

/// Keys and their values.
pub(super) type Fields = BTreeMap<String, Item>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    /// In quotes: a string whatever it looks like.
    Text(String),
    /// Without quotes: a number or a boolean if it looks like one.
    Bare(String),
    List(Vec<Item>),
    Object(Fields),
    Substitution {
        path: Vec<String>,
        optional: bool,
    },
    /// Values written one after the other, blanks between them included.
    Joined(Vec<Item>),
    /// A value that is known once substitutions are resolved, over the value before it.
    Over(Box<Item>, Box<Item>),
}

impl Item {
    /// Whether it is known what kind of value this is.
    fn is_plain(&self) -> bool {
        matches!(self.raw, Raw::Text(_) | Raw::Bare(_) | Raw::List(_) | Raw::Object(_))
    }

    /// How many values wait under this one.
    fn waiting(&self) -> usize {
        let (mut count, mut item) = (0, self);
        while let Raw::Over(below, _) = &item.raw {
            count += 1;
            item = below;
        }
        count
    }
}

/// Puts a value at a path, merging objects. False: there are too many values for one key to keep.
pub(super) fn put(fields: &mut Fields, path: &[String], item: Item) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    let item = nested(rest, item);
    match fields.remove(first) {
        None => {
            fields.insert(first.clone(), item);
            true
        }
        Some(before) => {
            let (item, fits) = over(before, item);
            fields.insert(first.clone(), item);
            fits
        }
    }
}

/// Appends to a list, which may be known later.
pub(super) fn append(fields: &mut Fields, path: &[String], item: Item) -> bool {
    let line = item.line;
    let whole = Raw::Joined(vec![
        Item {
            line,
            raw: Raw::Substitution {
                path: path.to_vec(),
                optional: true,
            },
        },
        Item {
            line,
            raw: Raw::List(vec![item]),
        },
    ]);
    put(fields, path, Item { line, raw: whole })
}

fn nested(path: &[String], item: Item) -> Item {
    path.iter().rev().fold(item, |item, key| Item {
        line: item.line,
        raw: Raw::Object(Fields::from([(key.clone(), item)])),
    })
}

fn over(before: Item, after: Item) -> (Item, bool) {
    match (before.raw, after.raw) {
        (Raw::Object(mut fields), Raw::Object(more)) => {
            let mut fits = true;
            for (key, item) in more {
                fits &= put(&mut fields, std::slice::from_ref(&key), item);
            }
            let raw = Raw::Object(fields);
            (Item { line: before.line, raw }, fits)
        }
        (below, above) => {
            let below = Item {
                line: before.line,
                raw: below,
            };
            let above = Item {
                line: after.line,
                raw: above,
            };
            let needed = !above.is_plain() || (matches!(above.raw, Raw::Object(_)) && !below.is_plain());
            if !needed {
                return (above, true);
            }
            if below.waiting() >= DEPTH {
                return (above, false);
            }
            let line = above.line;
            (
                Item {
                    line,
                    raw: Raw::Over(Box::new(below), Box::new(above)),
                },
                true,
            )
        }
    }
}
