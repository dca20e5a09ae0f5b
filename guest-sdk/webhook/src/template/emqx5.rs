//! Templates as EMQX 5 renders them: placeholders are replaced by what the rule selects, and nothing is escaped.
//!
//! A quote in a value makes a JSON body invalid, and bytes that are not UTF-8 stay as they are.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use super::{Part, Template, is_plain};
use crate::fields::Path;
use crate::sql::Value;

/// What a rule selects, for the placeholders of all its templates. A text is parsed as JSON once, even if several
/// placeholders select values inside it.
pub(crate) struct SelectedRow<'v> {
    row: &'v Value<'v>,
    decoded: RefCell<Vec<(String, Rc<Value<'static>>)>>,
}

impl<'v> SelectedRow<'v> {
    /// `row` is an object; any other value has no fields.
    pub(crate) fn new(row: &'v Value<'v>) -> SelectedRow<'v> {
        SelectedRow {
            row,
            decoded: RefCell::default(),
        }
    }

    /// Appends the value of a placeholder: texts unchanged, objects and lists as JSON, numbers with at most ten decimals,
    /// `undefined` for missing values.
    pub(super) fn push(&self, out: &mut Vec<u8>, path: &Path) {
        if path.name().is_empty() {
            return push(out, self.row);
        }
        let Some(value) = self.row.get(path.name()) else {
            return push(out, &Value::Undefined);
        };
        match value {
            Value::Text(text) if !path.is_name() => push(out, &inside(&self.decoded(path.name(), text), path.rest())),
            value => push(out, &inside(value, path.rest())),
        }
    }

    fn decoded(&self, name: &str, text: &str) -> Rc<Value<'static>> {
        let known = self
            .decoded
            .borrow()
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| Rc::clone(value));
        known.unwrap_or_else(|| {
            let value = Rc::new(decode(text));
            self.decoded.borrow_mut().push((name.to_owned(), Rc::clone(&value)));
            value
        })
    }
}

/// The value of a text that is JSON; undefined for any other text.
fn decode(text: &str) -> Value<'static> {
    hookhost_sql::json::read(text).map_or(Value::Undefined, Value::into_owned)
}

/// The value at a path inside another one. Numbers do not select elements of lists.
fn inside<'v>(value: &'v Value<'v>, path: &[String]) -> Cow<'v, Value<'v>> {
    let Some((name, further)) = path.split_first() else {
        return Cow::Borrowed(value);
    };
    match value {
        Value::Text(text) => Cow::Owned(inside(&decode(text), path).into_owned().into_owned()),
        value => match value.get(name) {
            Some(value) => inside(value, further),
            None => Cow::Owned(Value::Undefined),
        },
    }
}

fn push(out: &mut Vec<u8>, value: &Value<'_>) {
    // In Erlang a list of characters is a text.
    let characters = match value {
        Value::List(list) => list.iter().map(character).collect::<Option<String>>(),
        _ => None,
    };
    match characters {
        Some(characters) => out.extend_from_slice(characters.as_bytes()),
        None => out.extend_from_slice(&value.to_bytes()),
    }
}

/// The printable character with this number.
fn character(value: &Value<'_>) -> Option<char> {
    let Value::Integer(number) = value else { return None };
    let is_printable = matches!(number, 0x08..=0x0d | 0x1b | 0x20..=0x7e | 0xa0..=0xfffd | 0x1_0000..);
    let character = char::from_u32(u32::try_from(*number).ok()?);
    character.filter(|_| is_printable)
}

impl Template {
    /// Parses a text as EMQX 5 does. Every text is valid: `${…}` with characters other than letters, digits, `_` and dots is
    /// not a placeholder and stays in the text.
    pub fn parse_emqx5(text: &str) -> Template {
        let mut template = Template { parts: Vec::new() };
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            template.push_text(before);
            let inside = after.split_once('}').map(|(inside, _)| inside);
            let whole = |inside: &&str| inside.is_empty() || is_plain(&inside.replace('.', "_"));
            match inside {
                Some("$") => template.push_text("$"),
                Some(inside) if whole(&inside) => {
                    let path = Path::parse(if inside.is_empty() { "." } else { inside });
                    // No field has an empty name between dots.
                    template
                        .parts
                        .push(path.map_or_else(|| Part::Text("undefined".to_owned()), Part::Field));
                }
                _ => {
                    template.push_text("${");
                    rest = after;
                    continue;
                }
            }
            rest = inside
                .and_then(|inside| after.get(inside.len() + 1..))
                .unwrap_or_default();
        }
        template.push_text(rest);
        template
    }

    /// The result as in EMQX 5. A value may change the structure of the text, and the result is UTF-8 only if all values
    /// are.
    pub(crate) fn render_emqx5(&self, selected: &SelectedRow<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Field(path) => selected.push(&mut out, path),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn rendered(template: &str) -> String {
        let row = json!({
            "clientid": "c\"1",
            "qos": 1,
            "flags": {"retain": true, "dup": false},
            "payload": r#"{"temp": 21.50, "n": [1, 2], "big": 12345678901234567890, "tiny": 1e-12, "f": 3.0, "null": null,
                "none": [], "text": [104, 105, 10, 252], "mixed": [104, "i"], "o": {"a": 1, "b": "{\"c\": [2, 3]}"}}"#,
        });
        let row = Value::from(&row);
        String::from_utf8(Template::parse_emqx5(template).render_emqx5(&SelectedRow::new(&row))).unwrap()
    }

    #[test]
    fn values_are_not_escaped_and_missing_ones_are_undefined() {
        for (template, expected) in [
            (r#"{"id":"${clientid}"}"#, "{\"id\":\"c\"1\"}"),
            (
                "${username} ${nobody.x} ${payload.x.y} ${qos.x}",
                "undefined undefined undefined undefined",
            ),
            // Keys are in descending order.
            ("${flags} ${flags.dup}", r#"{"retain":true,"dup":false} false"#),
            ("${payload.o}", r#"{"b":"{\"c\": [2, 3]}","a":1}"#),
            ("${payload.temp} ${payload.f} ${payload.tiny}", "21.5 3.0 0.0"),
            ("${payload.big} ${payload.null}", "12345678901234567890 null"),
            (
                "${payload.n} ${payload.n.0} ${payload.n.1}",
                "[1,2] undefined undefined",
            ),
            ("<${payload.none}> <${payload.text}>", "<> <hi\nü>"),
            ("${payload.mixed}", r#"[104,"i"]"#),
            ("${payload.o.b.c}", "[2,3]"),
            ("${.qos} ${$}{qos} $${qos}", "1 ${qos} $1"),
            // What EMQX's pattern does not match stays as it is.
            ("${a-b} ${ qos } ${qos", "${a-b} ${ qos } ${qos"),
            ("${${qos}}", "${1}"),
            ("${qos..x}", "undefined"),
        ] {
            assert_eq!(rendered(template), expected, "{template}");
        }
        assert_eq!(rendered("${}"), rendered("${.}"));
        assert!(rendered("${.}").starts_with(r#"{"qos":1,"payload":"{"#));
    }

    proptest! {
        #[test]
        fn text_without_placeholders_stays(text in "([$}{.a\"\\\\]|\\PC){0,20}") {
            let result = rendered(&text);
            if !text.contains("${") {
                prop_assert_eq!(result, text);
            }
        }
    }
}
