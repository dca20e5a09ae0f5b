//! Templates of HTTP header values, in which a line break must not start another header.

use super::{SelectedRow, Template, TemplateError};
use crate::fields::Fields;

/// The template of a header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderTemplate(Template);

impl HeaderTemplate {
    /// Parses the template of a value.
    ///
    /// # Errors
    ///
    /// Those of [`Template::parse`].
    pub fn parse(text: &str) -> Result<HeaderTemplate, TemplateError> {
        Template::parse(text).map(HeaderTemplate)
    }

    /// The parsed text.
    pub fn template(&self) -> &Template {
        &self.0
    }

    /// The value for an event. Control characters become blanks, and blanks at both ends are removed. Returns `None` if the
    /// value is empty; the header is then not sent.
    pub fn render(&self, fields: &dyn Fields) -> Option<String> {
        Some(clean(&self.0.render(fields))).filter(|text| !text.is_empty())
    }

    /// The value as in EMQX 5, which also sends headers without a value.
    pub(crate) fn render_emqx5(&self, selected: &SelectedRow<'_>) -> String {
        clean(&String::from_utf8_lossy(&self.0.render_emqx5(selected)))
    }
}

/// A text that is valid in a header.
fn clean(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.trim_matches(' ').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_value_begins_another_header() {
        let fields = json!({"topic": "a\r\nx-evil: 1\0", "qos": 1, "username": " \r\n", "clientid": "温 1"});
        let fields = fields.as_object().unwrap();
        for (template, expected) in [
            ("${topic}", Some("a  x-evil: 1")),
            ("q${qos}", Some("q1")),
            ("constant", Some("constant")),
            ("${clientid}", Some("温 1")),
            ("${username}", None),
            ("${nobody}", None),
            ("", None),
        ] {
            let value = HeaderTemplate::parse(template).unwrap().render(fields);
            assert_eq!(value.as_deref(), expected, "{template}");
        }
    }
}
