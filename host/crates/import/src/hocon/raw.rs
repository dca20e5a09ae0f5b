//! Values as written, before substitutions are resolved.

use std::collections::BTreeMap;

use super::super::includes::At;
use super::DEPTH;

/// A value as written, and its line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) at: At,
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
        /// How many of the first parts of the path are those at which the file is included.
        base: usize,
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

/// Appends to a list, which may be known later. `whole` is the path from the root.
pub(super) fn append(fields: &mut Fields, path: &[String], whole: Vec<String>, item: Item) -> bool {
    let at = item.at;
    let known = Raw::Substitution {
        path: whole,
        base: 0,
        optional: true,
    };
    let pieces = vec![
        Item { at, raw: known },
        Item {
            at,
            raw: Raw::List(vec![item]),
        },
    ];
    let raw = Raw::Joined(pieces);
    put(fields, path, Item { at, raw })
}

fn nested(path: &[String], item: Item) -> Item {
    path.iter().rev().fold(item, |item, key| Item {
        at: item.at,
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
            (Item { at: before.at, raw }, fits)
        }
        (below, above) => {
            let below = Item {
                at: before.at,
                raw: below,
            };
            let above = Item {
                at: after.at,
                raw: above,
            };
            // An object may set elements of a list, or go into an object that is not known yet.
            let is_object = matches!(above.raw, Raw::Object(_));
            let may_take = matches!(below.raw, Raw::List(_)) || !below.is_plain();
            if above.is_plain() && !(is_object && may_take) {
                return (above, true);
            }
            if below.waiting() >= DEPTH {
                return (above, false);
            }
            let at = above.at;
            let raw = Raw::Over(Box::new(below), Box::new(above));
            (Item { at, raw }, true)
        }
    }
}
