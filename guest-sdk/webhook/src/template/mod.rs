//! Text with placeholders: `${clientid}`, `${payload.a.b}`, `${user_properties.x}`, and `${.}` for everything.
//!
//! A [`Template`] is the parsed text. How a value must be escaped depends on the place where the text is used, so each
//! place has a type of its own. It is checked when the configuration is read, and no value can change the structure of
//! the result:
//!
//! - [`BodyTemplate`]: plain text, or JSON in which values are escaped inside quotes and written as JSON elsewhere.
//! - [`HeaderTemplate`]: control characters are replaced by blanks.
//! - [`UrlTemplate`]: values are percent-encoded, and scheme, host and port are fixed.
//! - [`Template::parse_emqx5`]: as in EMQX 5, without escapes, so a value may change the structure.

mod body;
mod emqx5;
mod header;
mod url;

pub use body::BodyTemplate;
pub(crate) use emqx5::SelectedRow;
pub use header::HeaderTemplate;
pub(super) use url::push_percent;
pub use url::{DotSegment, UrlTemplate};

use std::fmt;

use serde_json::Value;

use crate::fields::{Fields, Lookup, Path};
use hookhost_guest::nearest::nearest;

/// A parsed text with placeholders.
///
/// ```
/// use hookhost_webhook::Template;
///
/// let template = Template::parse("${topic}: ${payload.celsius} °C (costs ${$}5)").unwrap();
/// let fields = serde_json::json!({"topic": "oven", "payload": "{\"celsius\": 21.5}"});
/// assert_eq!(template.render(fields.as_object().unwrap()), "oven: 21.5 °C (costs $5)");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Path),
}

/// Why a text is not a template, or not valid in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TemplateError {
    /// `${` without `}`, with the first characters of the text that follows.
    Unclosed(String),
    /// The text between `${` and `}` is not a path.
    NotAPath(String),
    /// No event has a field with this name.
    Unknown {
        /// The name.
        name: String,
        /// The field with the most similar name.
        nearest: Option<String>,
    },
    /// A body that begins with `{` or `[` is not JSON, with the reason and the line.
    NotJson(String),
    /// A placeholder in a URL before its path.
    InAuthority,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateError::Unclosed(rest) => write!(
                f,
                "'${{{rest}' is not closed: a placeholder ends with '}}', a literal '${{' is written '${{$}}{{'"
            ),
            TemplateError::NotAPath(text) => write!(
                f,
                "'${{{text}}}' names no field: a name is expected, with dots into it such as '${{payload.a.b}}', or '${{.}}' for all"
            ),
            TemplateError::Unknown {
                name,
                nearest: Some(near),
            } => {
                write!(f, "'${{{name}}}': there is no field '{name}'; is '{near}' meant?")
            }
            TemplateError::Unknown { name, nearest: None } => write!(f, "'${{{name}}}': there is no field '{name}'"),
            TemplateError::NotJson(why) => write!(
                f,
                "begins like JSON and is not valid JSON ({why}); a placeholder must be a whole value or inside quotes"
            ),
            TemplateError::InAuthority => {
                f.write_str("a placeholder may stand in path and query of an http: or https: URL, nowhere else")
            }
        }
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// Parses a text. `${$}` is a literal `$`.
    ///
    /// # Errors
    ///
    /// If a placeholder is not closed or is not a path. [`check`](Template::check) checks that the fields exist.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let mut template = Template { parts: Vec::new() };
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            template.push_text(before);
            let Some((inside, behind)) = after.split_once('}') else {
                return Err(TemplateError::Unclosed(after.chars().take(20).collect()));
            };
            if inside == "$" {
                template.push_text("$");
            } else {
                let path = Path::parse(inside.trim()).filter(|path| is_plain(path.name()));
                let path = path.ok_or_else(|| TemplateError::NotAPath(inside.chars().take(40).collect()))?;
                template.parts.push(Part::Field(path));
            }
            rest = behind;
        }
        template.push_text(rest);
        Ok(template)
    }

    fn push_text(&mut self, more: &str) {
        match self.parts.last_mut() {
            _ if more.is_empty() => {}
            Some(Part::Text(text)) => text.push_str(more),
            _ => self.parts.push(Part::Text(more.to_owned())),
        }
    }

    /// Checks that every field is one of the `known` ones.
    ///
    /// # Errors
    ///
    /// [`TemplateError::Unknown`] for the first field that is not, with the most similar known one.
    pub fn check(&self, known: &[&str]) -> Result<(), TemplateError> {
        let unknown = self.names().find(|name| !name.is_empty() && !known.contains(name));
        unknown.map_or(Ok(()), |name| {
            Err(TemplateError::Unknown {
                name: name.to_owned(),
                nearest: nearest(name, known.iter().copied()).map(str::to_owned),
            })
        })
    }

    /// The name of the field of each placeholder; empty for `${.}`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(path) => Some(path.name()),
            Part::Text(_) => None,
        })
    }

    /// Whether the template has no placeholder, so the result is the same for every event.
    pub fn is_constant(&self) -> bool {
        self.names().next().is_none()
    }

    /// The result as plain text: texts unchanged, other values as JSON, missing values empty.
    pub fn render(&self, fields: &dyn Fields) -> String {
        let lookup = Lookup::new(fields);
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(path) => {
                    if let Some(value) = lookup.find(path) {
                        push_plain(&mut out, &value);
                    }
                }
            }
        }
        out
    }
}

/// Whether a text consists of letters, digits and `_`, or is empty for all fields.
fn is_plain(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn push_plain(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => out.push_str(text),
        value => out.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, json};

    fn fields() -> Map<String, Value> {
        let fields = json!({
            "clientid": "c\"1",
            "qos": 1,
            "clean_start": true,
            "username": null,
            "flags": {"dup": false, "retain": true},
            "payload": r#"{"temp": 21.50, "n": [1, 2], "big": 12345678901234567890, "tiny": 1e-12, "f": 3.0}"#,
        });
        fields.as_object().cloned().unwrap()
    }

    #[test]
    fn placeholders_are_replaced_by_plain_values() {
        for (text, expected) in [
            ("", ""),
            ("no placeholder $ {} $5", "no placeholder $ {} $5"),
            ("${clientid}", "c\"1"),
            ("a${qos}b${ .clean_start }c", "a1btruec"),
            ("<${username}><${payload.x}>", "<><>"),
            ("${flags}", r#"{"dup":false,"retain":true}"#),
            ("${flags.retain} ${payload.n.1} ${payload.temp}", "true 2 21.5"),
            ("${$}{clientid} ${$}", "${clientid} $"),
            ("$${qos}", "$1"),
        ] {
            assert_eq!(Template::parse(text).unwrap().render(&fields()), expected, "{text}");
        }
        let whole = Template::parse("${.}").unwrap().render(&fields());
        assert_eq!(serde_json::from_str::<Value>(&whole).unwrap(), Value::Object(fields()));
    }

    #[test]
    fn mistakes_are_told_when_the_configuration_is_read() {
        let known = ["clientid", "payload", "topic"];
        for (text, expected) in [
            (
                "a ${topic",
                "'${topic' is not closed: a placeholder ends with '}', a literal '${' is written '${$}{'",
            ),
            (
                "${}",
                "'${}' names no field: a name is expected, with dots into it such as '${payload.a.b}', or '${.}' for all",
            ),
            (
                "${client id}",
                "'${client id}' names no field: a name is expected, with dots into it such as '${payload.a.b}', or '${.}' for all",
            ),
            (
                "${clientId}",
                "'${clientId}': there is no field 'clientId'; is 'clientid' meant?",
            ),
            (
                "${topics.x}",
                "'${topics}': there is no field 'topics'; is 'topic' meant?",
            ),
            ("${colour}", "'${colour}': there is no field 'colour'"),
        ] {
            let error = Template::parse(text)
                .and_then(|template| template.check(&known))
                .unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
        for text in ["${.}", "${payload.whatever.User-Property}", "${.topic}", "x"] {
            assert_eq!(Template::parse(text).unwrap().check(&known), Ok(()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_text_without_placeholders_stays(text in "([$}{.a\"\\\\]|\\PC){0,20}") {
            if let Ok(template) = Template::parse(&text) {
                let rendered = template.render(&fields());
                if !text.contains("${") {
                    prop_assert_eq!(rendered, text);
                }
            } else {
                let opened = text.contains("${");
                prop_assert!(opened);
            }
        }
    }
}
