//! Templates of URLs. Path and query may contain placeholders; scheme, host and port are fixed. The topic of an `mqtt:` URL
//! is its path.

use std::fmt;

use super::{Part, SelectedRow, Template, TemplateError, push_plain};
use crate::fields::{Fields, Lookup, Path};

/// The template of a URL.
///
/// Values are percent-encoded, including `/`, so a value can add neither a segment to the path nor a parameter to the
/// query. In a URL of EMQX 5 ([`UrlTemplate::parse_emqx5`]) a value can, because only characters that are not valid in a
/// URL are encoded, as in EMQX 5.
///
/// ```
/// use hookhost_webhook::UrlTemplate;
///
/// let template = UrlTemplate::parse("https://example.com/${clientid}?topic=${topic}").unwrap();
/// let fields = serde_json::json!({"clientid": "c 1", "topic": "a/b&c"});
/// let url = template.render(fields.as_object().unwrap());
/// assert_eq!(url.as_deref(), Ok("https://example.com/c%201?topic=a%2Fb%26c"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlTemplate {
    template: Template,
}

/// A value would turn a segment of the path into `.` or `..`, so that the URL would leave the folder of the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DotSegment;

impl fmt::Display for DotSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value would turn a segment of the URL's path into '.' or '..'")
    }
}

impl std::error::Error for DotSegment {}

impl UrlTemplate {
    /// Parses the template of a URL.
    ///
    /// # Errors
    ///
    /// Those of [`Template::parse`], and [`TemplateError::InAuthority`].
    pub fn parse(text: &str) -> Result<UrlTemplate, TemplateError> {
        UrlTemplate::new(Template::parse(text)?)
    }

    /// Parses the template of a URL as EMQX 5 does.
    ///
    /// # Errors
    ///
    /// [`TemplateError::InAuthority`].
    pub fn parse_emqx5(text: &str) -> Result<UrlTemplate, TemplateError> {
        UrlTemplate::new(Template::parse_emqx5(text))
    }

    fn new(template: Template) -> Result<UrlTemplate, TemplateError> {
        let begins_well = match template.parts.first() {
            _ if template.is_constant() => true,
            Some(Part::Text(text)) => authority_ends(text),
            _ => false,
        };
        if begins_well {
            Ok(UrlTemplate { template })
        } else {
            Err(TemplateError::InAuthority)
        }
    }

    /// The parsed text.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The URL for an event.
    ///
    /// # Errors
    ///
    /// [`DotSegment`] if a value would turn a segment of the path into `.` or `..`.
    pub fn render(&self, fields: &dyn Fields) -> Result<String, DotSegment> {
        let lookup = Lookup::new(fields);
        self.fill(|out, path| {
            let mut text = String::new();
            if let Some(value) = lookup.find(path) {
                push_plain(&mut text, &value);
            }
            push_encoded(out, text.as_bytes(), is_unreserved);
        })
    }

    /// The URL for an event as in EMQX 5, but for characters that a URL cannot contain.
    ///
    /// # Errors
    ///
    /// [`DotSegment`] if a value would turn a segment of the path into `.` or `..`.
    pub(crate) fn render_emqx5(&self, selected: &SelectedRow<'_>) -> Result<String, DotSegment> {
        self.fill(|out, path| {
            let mut bytes = Vec::new();
            selected.push(&mut bytes, path);
            // URL parsers treat a backslash like a slash, and the part after `#` is not sent.
            let is_valid = |byte: u8| byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte);
            // A message has the value itself in its topic, as in EMQX 5.
            let is_free = |byte: u8| {
                if self.is_message() {
                    is_unreserved(byte)
                } else {
                    is_valid(byte)
                }
            };
            push_encoded(out, &bytes, is_free);
        })
    }

    /// Whether requests to it are published as messages.
    pub(crate) fn is_message(&self) -> bool {
        matches!(self.template.parts.first(), Some(Part::Text(text)) if text.starts_with(MESSAGE))
    }

    /// Writes the text and calls `push` for each placeholder.
    fn fill(&self, mut push: impl FnMut(&mut String, &Path)) -> Result<String, DotSegment> {
        if let [Part::Text(url)] = self.template.parts.as_slice() {
            return Ok(url.clone());
        }
        let mut url = String::new();
        for part in &self.template.parts {
            match part {
                Part::Text(text) => url.push_str(text),
                Part::Field(path) => push(&mut url, path),
            }
        }
        if self.is_message() {
            return Ok(url);
        }
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let climbs = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        if path.split('/').any(climbs) {
            return Err(DotSegment);
        }
        Ok(url)
    }
}

/// Whether a byte needs no encoding in any part of a URL.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn push_encoded(out: &mut String, bytes: &[u8], is_free: impl Fn(u8) -> bool) {
    for byte in bytes {
        if is_free(*byte) {
            out.push(char::from(*byte));
        } else {
            push_percent(out, *byte);
        }
    }
}

/// Appends a byte as `%` and two upper-case digits.
pub(crate) fn push_percent(out: &mut String, byte: u8) {
    out.push('%');
    for digit in [byte >> 4, byte & 15] {
        out.extend(char::from_digit(u32::from(digit), 16).map(|digit| digit.to_ascii_uppercase()));
    }
}

/// The scheme of URLs that publish messages.
const MESSAGE: &str = "mqtt:";

/// Whether scheme, host and port end within this beginning of an HTTP URL; an `mqtt:` URL has no host.
fn authority_ends(text: &str) -> bool {
    if text.starts_with(MESSAGE) {
        return true;
    }
    let rest = text.split_once("://").and_then(|(scheme, rest)| {
        let http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        http.then_some(rest)
    });
    rest.is_some_and(|rest| rest.contains(['/', '?', '#']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Value;
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    #[test]
    fn values_stay_in_their_place() {
        let fields = json!({"clientid": "c 1/é", "topic": "a/b&c=d#e", "qos": 1, "dots": "..", "dot": "."});
        let fields = fields.as_object().unwrap();
        for (template, expected) in [
            ("http://h/x", "http://h/x"),
            ("http://h/${clientid}/x", "http://h/c%201%2F%C3%A9/x"),
            (
                "https://u:p@h:1?t=${topic}&q=${qos}",
                "https://u:p@h:1?t=a%2Fb%26c%3Dd%23e&q=1",
            ),
            ("http://h/a${dots}/${none}?x=${dots}", "http://h/a../?x=.."),
            ("file:///tmp/x", "file:///tmp/x"),
            ("stdout:", "stdout:"),
            ("mqtt:${topic}/${dots}?qos=${qos}", "mqtt:a%2Fb%26c%3Dd%23e/..?qos=1"),
        ] {
            assert_eq!(
                UrlTemplate::parse(template).unwrap().render(fields).as_deref(),
                Ok(expected)
            );
        }
        for template in [
            "http://h/${dots}",
            "http://h/${dots}/x?y",
            "http://h/${dot}",
            "http://h/.${dot}",
            "http://h/%2e${dot}/",
        ] {
            assert_eq!(
                UrlTemplate::parse(template).unwrap().render(fields),
                Err(DotSegment),
                "{template}"
            );
        }
        let row = Json::Object(fields.clone());
        let row = Value::from(&row);
        for (template, expected) in [
            ("http://h/${topic}", "http://h/a/b&c=d%23e"),
            ("http://h/?${clientid}&${none}", "http://h/?c%201/%C3%A9&undefined"),
            ("mqtt:${topic}?qos=${none}", "mqtt:a%2Fb%26c%3Dd%23e?qos=undefined"),
        ] {
            let template = UrlTemplate::parse_emqx5(template).unwrap();
            assert_eq!(template.render_emqx5(&SelectedRow::new(&row)).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn where_it_leads_is_fixed() {
        for template in [
            "${clientid}",
            "${clientid}://h/",
            "http://${clientid}/",
            "http://h:${qos}/",
            "http://h${clientid}",
            "file:///tmp/${clientid}",
            "stdout:${clientid}",
            "/${clientid}",
        ] {
            assert_eq!(
                UrlTemplate::parse(template),
                Err(TemplateError::InAuthority),
                "{template}"
            );
            assert_eq!(
                UrlTemplate::parse_emqx5(template),
                Err(TemplateError::InAuthority),
                "{template}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_value_changes_the_shape(value in any::<String>()) {
            let fields = json!({"v": value});
            let template = UrlTemplate::parse("http://h/a/${v}/b?c=${v}&d").unwrap();
            if let Ok(url) = template.render(fields.as_object().unwrap()) {
                let (path, query) = url.split_once('?').unwrap();
                prop_assert_eq!(path.split('/').count(), 6);
                prop_assert_eq!(query.split('&').count(), 2);
                prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()) && !url.contains('#'));
            }
        }
    }
}
