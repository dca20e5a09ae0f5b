//! JSON text, written directly into a buffer.
//!
//! The built-in module builds a body for every event. For speed it uses neither a tree of values nor a formatter. The text
//! is the same as that of serde_json.

/// The text before the first value of an object: `{"name":`.
macro_rules! first {
    ($name:literal) => {
        concat!("{\"", $name, "\":")
    };
}

/// The text before a further value of an object: `,"name":`.
macro_rules! next {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

pub(crate) use {first, next};

pub(crate) use hookhost_sql::json::{
    push_bool, push_emqx_escaped, push_emqx_string, push_escaped, push_number, push_string, text_of,
};

/// Writes an object. `key` is the text before each value, made with [`first`] or [`next`].
///
/// The second field says whether it writes strings as EMQX does. The default writes them as serde_json does.
#[derive(Debug, Default)]
pub(crate) struct ObjectWriter(pub(crate) String, bool);

impl ObjectWriter {
    /// Writes strings as EMQX does.
    pub(crate) fn of_emqx() -> ObjectWriter {
        ObjectWriter(String::new(), true)
    }

    /// An integer.
    pub(crate) fn number(&mut self, key: &str, value: impl itoa::Integer) {
        self.0.push_str(key);
        push_number(&mut self.0, value);
    }

    /// True or false.
    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.0.push_str(key);
        push_bool(&mut self.0, value);
    }

    /// A string.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.0.push_str(key);
        self.string(value);
    }

    /// A string, or null.
    pub(crate) fn optional(&mut self, key: &str, value: Option<&str>) {
        self.0.push_str(key);
        match value {
            Some(value) => self.string(value),
            None => self.0.push_str("null"),
        }
    }

    /// A string without a key.
    pub(crate) fn string(&mut self, value: &str) {
        if self.1 {
            push_emqx_string(&mut self.0, value);
        } else {
            push_string(&mut self.0, value);
        }
    }

    /// Text that is already JSON.
    pub(crate) fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }
}
