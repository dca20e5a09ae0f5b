//! Where a reader is in a line, and what was wrong on the way.

use std::fmt;

use hookhost_shared::nearest::nearest;
use hookhost_shared::problems::Problems;
use serde_json::{Map, Value};

use crate::{Id, Millis};

/// Notes mistakes with their path and goes on, so that all of a line are told at once.
pub(super) struct Reader {
    /// Of the event, for what belongs to it and does not say it.
    pub(super) id: Id,
    pub(super) at: Millis,
    pub(super) problems: Problems,
    path: Vec<String>,
}

impl Reader {
    pub(super) fn new(id: Id, at: Millis) -> Reader {
        Reader {
            id,
            at,
            problems: Problems::new(),
            path: Vec::new(),
        }
    }

    /// Reads what is at a key or an index.
    pub(super) fn below<T>(&mut self, segment: impl fmt::Display, read: impl FnOnce(&mut Reader) -> T) -> T {
        self.path.push(segment.to_string());
        let got = read(self);
        self.path.pop();
        got
    }

    /// Something is wrong here.
    pub(super) fn problem(&mut self, text: impl fmt::Display) {
        self.problems.add(self.path.join("."), text);
    }

    /// A value is of another kind than `expected`. Says what it is and not its content.
    pub(super) fn other_kind(&mut self, value: &Value, expected: &str) {
        self.problem(format_args!("is {}, but must be {expected}", kind(value)));
    }

    pub(super) fn object(&mut self, value: Value) -> Option<Map<String, Value>> {
        match value {
            Value::Object(object) => Some(object),
            other => {
                self.other_kind(&other, "an object");
                None
            }
        }
    }

    pub(super) fn array(&mut self, value: Value) -> Option<Vec<Value>> {
        match value {
            Value::Array(array) => Some(array),
            other => {
                self.other_kind(&other, "a list");
                None
            }
        }
    }

    pub(super) fn text(&mut self, value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            other => {
                self.other_kind(&other, "a text");
                None
            }
        }
    }

    /// One of the words of an enum; `what` is what such a word is called.
    pub(super) fn name<T: Copy>(&mut self, value: Value, what: &str, names: &[(&'static str, T)]) -> Option<T> {
        let text = self.text(value)?;
        let known = names.iter().find(|(name, _)| *name == text);
        if known.is_none() {
            self.unknown(&text, what, &names.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
        known.map(|(_, value)| *value)
    }

    /// What is left of an object after all known keys were taken out of it.
    pub(super) fn rest(&mut self, object: Map<String, Value>, of: &str, known: &[&str]) {
        for key in object.keys() {
            self.below(key, |reader| match nearest(key, known.iter().copied()) {
                Some(meant) => reader.problem(format_args!("is not a key of {of}; did you mean {meant}?")),
                None => reader.problem(format_args!("is not a key of {of}; known are {}", known.join(", "))),
            });
        }
    }

    /// A word that nobody knows.
    pub(super) fn unknown(&mut self, word: &str, what: &str, known: &[&str]) {
        let shown: String = word.chars().take(40).flat_map(char::escape_debug).collect();
        match nearest(word, known.iter().copied()) {
            Some(meant) => self.problem(format_args!("'{shown}' is not {what}; did you mean {meant}?")),
            None => self.problem(format_args!("'{shown}' is not {what}; known are {}", known.join(", "))),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
