//! The named values of an event, and paths into them, which templates look up.
//!
//! The first part of a path such as `payload.sensor.0` is a name. The other parts select a value inside an object, inside
//! a list by number, or inside a text that is JSON, such as a payload.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Map, Value};

/// Values by name.
pub trait Fields {
    /// The value of a name; `None` or JSON's null if the name has no value.
    fn get(&self, name: &str) -> Option<Cow<'_, Value>>;

    /// All names that have a value.
    fn all(&self) -> Map<String, Value>;
}

impl Fields for Map<String, Value> {
    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        Map::get(self, name).map(Cow::Borrowed)
    }

    fn all(&self) -> Map<String, Value> {
        self.clone()
    }
}

/// A name and the parts that select a value inside its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The name; empty for all fields as one object.
    head: String,
    rest: Vec<String>,
}

impl Path {
    /// Parses `name`, `name.inside.0`, or `.` for all fields. A dot before the name is ignored. Returns `None` if a part
    /// between two dots is empty.
    ///
    /// ```
    /// use hookhost_webhook::Path;
    ///
    /// assert_eq!(Path::parse(".payload.a").unwrap().name(), "payload");
    /// assert_eq!(Path::parse(".").unwrap().name(), "");
    /// assert!(Path::parse("payload..a").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Path> {
        if text == "." {
            let (head, rest) = Default::default();
            return Some(Path { head, rest });
        }
        let mut parts = text.strip_prefix('.').unwrap_or(text).split('.').map(str::to_owned);
        let head = parts.next()?;
        let rest: Vec<String> = parts.collect();
        let whole = !head.is_empty() && rest.iter().all(|part| !part.is_empty());
        whole.then_some(Path { head, rest })
    }

    /// The name; empty for all fields.
    pub fn name(&self) -> &str {
        &self.head
    }

    /// The parts after the name.
    pub(crate) fn rest(&self) -> &[String] {
        &self.rest
    }

    /// Whether the path is only a name.
    pub fn is_name(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Looks up paths for one event. A text is parsed as JSON once, even if several paths lead into it.
pub struct Lookup<'f> {
    fields: &'f dyn Fields,
    decoded: RefCell<Vec<(String, Option<Rc<Value>>)>>,
}

impl<'f> Lookup<'f> {
    /// A lookup in these fields.
    pub fn new(fields: &'f dyn Fields) -> Lookup<'f> {
        Lookup {
            fields,
            decoded: RefCell::default(),
        }
    }

    /// The value at a path; `None` if it is missing or null.
    pub fn find(&self, path: &Path) -> Option<Cow<'f, Value>> {
        if path.head.is_empty() {
            return Some(Cow::Owned(Value::Object(self.fields.all())));
        }
        if path.rest.is_empty() {
            return self.fields.get(&path.head).filter(|value| !value.is_null());
        }
        let known = |(name, value): &(String, Option<Rc<Value>>)| (*name == path.head).then(|| value.clone());
        let decoded = self.decoded.borrow().iter().find_map(known);
        let inside = match decoded {
            Some(decoded) => inside(&*decoded?, &path.rest),
            None => match &*self.fields.get(&path.head)? {
                Value::String(text) => {
                    let decoded = serde_json::from_str(text).ok().map(Rc::new);
                    self.decoded.borrow_mut().push((path.head.clone(), decoded.clone()));
                    inside(&*decoded?, &path.rest)
                }
                value => inside(value, &path.rest),
            },
        };
        inside.filter(|value| !value.is_null()).map(Cow::Owned)
    }
}

fn inside(value: &Value, rest: &[String]) -> Option<Value> {
    let Some((part, further)) = rest.split_first() else {
        return Some(value.clone());
    };
    match value {
        Value::Object(object) => match object.get(part) {
            Some(value) => inside(value, further),
            // Names of user properties may contain dots.
            None => object.get(&rest.join(".")).cloned(),
        },
        Value::Array(list) => inside(list.get(part.parse::<usize>().ok()?)?, further),
        Value::String(text) => inside(&serde_json::from_str(text).ok()?, rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_into_values_and_into_texts_that_hold_json() {
        let Value::Object(fields) = json!({
            "payload": r#"{"a": {"b": [10, {"c": 1.5}]}, "text": "{\"x\": true}", "none": null}"#,
            "topic": "a/b",
            "user_properties": {"k": "v", "a.b": "dots"},
            "none": null,
        }) else {
            panic!("an object")
        };
        let lookup = Lookup::new(&fields);
        let find = |path: &str| lookup.find(&Path::parse(path).unwrap()).map(Cow::into_owned);
        for (path, expected) in [
            ("topic", json!("a/b")),
            (".topic", json!("a/b")),
            ("payload.a.b", json!([10, {"c": 1.5}])),
            ("payload.a.b.0", json!(10)),
            ("payload.a.b.1.c", json!(1.5)),
            ("payload.text.x", json!(true)),
            ("user_properties.k", json!("v")),
            ("user_properties.a.b", json!("dots")),
        ] {
            assert_eq!(find(path), Some(expected), "{path}");
        }
        for path in [
            "topics",
            "none",
            "topic.x",
            "payload.none",
            "payload.a.x",
            "payload.a.b.2",
            "payload.a.b.-1",
            "payload.a.b.0.x",
            "none.x",
        ] {
            assert_eq!(find(path), None, "{path}");
        }
        assert_eq!(find("."), Some(Value::Object(fields.clone())));
    }

    #[test]
    fn paths_without_a_name_are_none() {
        for text in ["", "..", "a.", "a..b", "..a"] {
            assert_eq!(Path::parse(text), None, "{text}");
        }
    }
}
