//! Templates of URLs. Path and query may contain placeholders; scheme, host and port are fixed.

use std::fmt;

use serde_json::Value;

use super::{Part, Template, TemplateError, push_plain};
use crate::fields::{Fields, Lookup};

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
    emqx5: bool,
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
        UrlTemplate::new(Template::parse(text)?, false)
    }

    /// Parses the template of a URL as EMQX 5 does.
    ///
    /// # Errors
    ///
    /// [`TemplateError::InAuthority`].
    pub fn parse_emqx5(text: &str) -> Result<UrlTemplate, TemplateError> {
        UrlTemplate::new(Template::parse_emqx5(text), true)
    }

    fn new(template: Template, emqx5: bool) -> Result<UrlTemplate, TemplateError> {
        let begins_well = match template.parts.first() {
            _ if template.is_constant() => true,
            Some(Part::Text(text)) => authority_ends(text),
            _ => false,
        };
        if begins_well {
            Ok(UrlTemplate { template, emqx5 })
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
        if let [Part::Text(url)] = self.template.parts.as_slice() {
            return Ok(url.clone());
        }
        let lookup = match self.emqx5 {
            true => Lookup::new(fields).without_lists(),
            false => Lookup::new(fields),
        };
        let url = self.template.render_with(&lookup, |out, value| self.push(out, value));
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let climbs = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        if path.split('/').any(climbs) {
            return Err(DotSegment);
        }
        Ok(url)
    }

    fn push(&self, out: &mut String, value: Option<&Value>) {
        let mut text = String::new();
        match value {
            Some(value) => push_plain(&mut text, value),
            None if self.emqx5 => text.push_str("undefined"),
            None => {}
        }
        let free = |byte: u8| match byte {
            b'-' | b'.' | b'_' | b'~' => true,
            // URL parsers treat a backslash like a slash, and the part after `#` is not sent.
            _ if self.emqx5 => byte.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&byte),
            _ => byte.is_ascii_alphanumeric(),
        };
        for byte in text.bytes() {
            if free(byte) {
                out.push(char::from(byte));
            } else {
                push_percent(out, byte);
            }
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

/// Whether scheme, host and port end within this beginning of an HTTP URL.
fn authority_ends(text: &str) -> bool {
    let rest = text.split_once("://").and_then(|(scheme, rest)| {
        let http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        http.then_some(rest)
    });
    rest.is_some_and(|rest| rest.contains(['/', '?', '#']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

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
        for (template, expected) in [
            ("http://h/${topic}", "http://h/a/b&c=d%23e"),
            ("http://h/?${clientid}&${none}", "http://h/?c%201/%C3%A9&undefined"),
        ] {
            assert_eq!(
                UrlTemplate::parse_emqx5(template).unwrap().render(fields).as_deref(),
                Ok(expected)
            );
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
