//! A body that the user has written: plain text, or a template that gives valid JSON for every event.
//!
//! A body that begins with `{` or `[` is JSON. It is checked once, with `null` instead of each placeholder outside of
//! quotes and a letter instead of each placeholder inside of quotes. Any JSON value may replace `null`, and any escaped
//! text may replace a letter. So the result is valid JSON for every event.

use serde_json::Value;

use super::{Part, SelectedRow, Template, TemplateError, push_plain};
use crate::fields::{Fields, Lookup, Path};
use crate::json::{push_escaped, push_string};
use hookhost_guest::request::Body;

/// The template of a body.
///
/// In JSON, a placeholder inside quotes is replaced by escaped text. A placeholder outside of quotes is replaced by a JSON
/// value: a number, an object, a text with quotes, or `null` for a missing value. `${payload}` outside of quotes is the
/// payload itself if the payload is JSON, and a text otherwise.
///
/// ```
/// use hookhost_webhook::BodyTemplate;
///
/// let template = BodyTemplate::parse(r#"{"id": "${clientid}", "qos": ${qos}, "data": ${payload}}"#).unwrap();
/// let fields = serde_json::json!({"clientid": "a\"b", "qos": 1, "payload": "[21.50]"});
/// assert_eq!(template.render_text(fields.as_object().unwrap()), r#"{"id": "a\"b", "qos": 1, "data": [21.50]}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyTemplate {
    template: Template,
    /// For JSON, whether each part is inside quotes; `None` for plain text.
    quoted: Option<Vec<bool>>,
}

impl BodyTemplate {
    /// Parses the template of a body.
    ///
    /// # Errors
    ///
    /// Those of [`Template::parse`], and [`TemplateError::NotJson`].
    pub fn parse(text: &str) -> Result<BodyTemplate, TemplateError> {
        let template = Template::parse(text)?;
        let quoted = match text.trim_start().starts_with(['{', '[']) {
            true => Some(quoted(&template)?),
            false => None,
        };
        Ok(BodyTemplate { template, quoted })
    }

    /// Parses the template of a body as EMQX 5 does: every text is valid, and values are not escaped.
    pub fn parse_emqx5(text: &str) -> BodyTemplate {
        BodyTemplate {
            template: Template::parse_emqx5(text),
            quoted: None,
        }
    }

    /// The body as in EMQX 5.
    pub(crate) fn render_emqx5(&self, selected: &SelectedRow<'_>) -> Body {
        match String::from_utf8(self.template.render_emqx5(selected)) {
            Ok(text) => Body::Text(text),
            Err(error) => Body::Bytes(error.into_bytes()),
        }
    }

    /// The parsed text.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// MIME type of the body.
    pub fn content_type(&self) -> &'static str {
        match self.quoted {
            Some(_) => "application/json",
            None => "text/plain; charset=utf-8",
        }
    }

    /// The body for an event with this payload. The template `${payload}` without other text gives the bytes of the payload
    /// unchanged.
    pub fn render(&self, fields: &dyn Fields, payload: Option<&[u8]>) -> Body {
        if let ([Part::Field(path)], Some(payload)) = (self.template.parts.as_slice(), payload)
            && is_payload(path)
        {
            return Body::Bytes(payload.to_vec());
        }
        Body::Text(self.render_text(fields))
    }

    /// The body as text. Bytes of the payload that are not UTF-8 become U+FFFD.
    pub fn render_text(&self, fields: &dyn Fields) -> String {
        let Some(quoted) = &self.quoted else {
            return self.template.render(fields);
        };
        let lookup = Lookup::new(fields);
        let mut out = String::new();
        for (part, quoted) in self.template.parts.iter().zip(quoted) {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(path) => match (lookup.find(path).as_deref(), quoted) {
                    (None, true) => {}
                    (None, false) => out.push_str("null"),
                    (Some(Value::String(text)), true) => push_escaped(&mut out, text),
                    (Some(value), true) => {
                        let mut plain = String::new();
                        push_plain(&mut plain, value);
                        push_escaped(&mut out, &plain);
                    }
                    // The text itself, not the parsed value: so digits and the order of keys do not change.
                    (Some(Value::String(text)), false) if is_payload(path) && is_json(text) => out.push_str(text),
                    (Some(Value::String(text)), false) => push_string(&mut out, text),
                    (Some(value), false) => push_plain(&mut out, value),
                },
            }
        }
        out
    }
}

fn is_payload(path: &Path) -> bool {
    path.is_name() && path.name() == "payload"
}

/// Whether a text is JSON. Parses a whole value, because that also checks escapes.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}

/// Whether each part is inside quotes. An error if the template is not JSON.
fn quoted(template: &Template) -> Result<Vec<bool>, TemplateError> {
    let mut inside = false;
    let mut escaped = false;
    let mut skeleton = String::new();
    let mut quoted = Vec::new();
    for part in &template.parts {
        quoted.push(inside);
        match part {
            Part::Field(_) => {
                // `x` cannot be a part of an escape sequence before it.
                skeleton.push_str(if inside { "x" } else { "null" });
                escaped = false;
            }
            Part::Text(text) => {
                skeleton.push_str(text);
                for c in text.chars() {
                    match c {
                        _ if escaped => escaped = false,
                        '\\' => escaped = inside,
                        '"' => inside = !inside,
                        _ => {}
                    }
                }
            }
        }
    }
    match serde_json::from_str::<Value>(&skeleton) {
        Ok(_) => Ok(quoted),
        Err(error) => {
            // The line is that of the user's text, but the column is not.
            let text = error.to_string();
            let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
            Err(TemplateError::NotJson(format!("{why} in line {}", error.line())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn rendered(template: &str, fields: Value) -> String {
        BodyTemplate::parse(template)
            .unwrap()
            .render_text(fields.as_object().unwrap())
    }

    #[test]
    fn values_are_written_as_their_place_needs_it() {
        let fields = json!({
            "clientid": "c\"\\\n1",
            "qos": 2,
            "username": null,
            "flags": {"retain": true},
            "payload": "{\"b\": 1.50, \"a\": \"x\\\"y\"}",
        });
        for (template, expected) in [
            (r#"{"c": "${clientid}"}"#, r#"{"c": "c\"\\\n1"}"#),
            (r#"{"c": ${clientid}}"#, r#"{"c": "c\"\\\n1"}"#),
            (r#"[${qos}, "${qos}"]"#, r#"[2, "2"]"#),
            (r#"[${username}, "<${username}>"]"#, r#"[null, "<>"]"#),
            (r#"[${flags}, "${flags}"]"#, r#"[{"retain":true}, "{\"retain\":true}"]"#),
            (
                r#"{"p": ${payload}, "s": "${payload}"}"#,
                r#"{"p": {"b": 1.50, "a": "x\"y"}, "s": "{\"b\": 1.50, \"a\": \"x\\\"y\"}"}"#,
            ),
            (
                r#"[${payload.b}, ${payload.a}, "${payload.a}"]"#,
                r#"[1.5, "x\"y", "x\"y"]"#,
            ),
            (r#"{"${clientid}": "\"${qos}\\"}"#, r#"{"c\"\\\n1": "\"2\\"}"#),
            (r#"  {"cost": "${$}5 ${$}{qos}"}"#, r#"  {"cost": "$5 ${qos}"}"#),
            // Not JSON: plain text, nothing is escaped.
            ("${clientid} ${qos}", "c\"\\\n1 2"),
            ("qos=${qos}", "qos=2"),
        ] {
            assert_eq!(rendered(template, fields.clone()), expected, "{template}");
        }
        assert_eq!(
            rendered("[${payload}]", json!({"payload": "plain \" text"})),
            r#"["plain \" text"]"#
        );
        assert_eq!(
            rendered("[${payload}]", json!({"payload": "{\"a\":"})),
            r#"["{\"a\":"]"#
        );
    }

    #[test]
    fn a_template_that_could_give_no_json_is_refused() {
        for (template, why) in [
            ("{", "EOF while parsing an object in line 1"),
            ("{\"a\": 1,\n \"b\" ${qos}}", "expected `:` in line 2"),
            ("{${clientid}: 1}", "key must be a string in line 1"),
            ("[1${qos}]", "expected `,` or `]` in line 1"),
            ("[${qos}${qos}]", "expected `,` or `]` in line 1"),
            ("[\"\\${qos}\"]", "invalid escape in line 1"),
            ("[\"\\u00${qos}\"]", "invalid escape in line 1"),
            ("[\"\\ud83d${qos}\\ude00\"]", "unexpected end of hex escape in line 1"),
        ] {
            let error = BodyTemplate::parse(template).unwrap_err();
            assert_eq!(error, TemplateError::NotJson(why.to_owned()), "{template}");
        }
    }

    #[test]
    fn the_kind_of_body_is_seen_from_its_beginning() {
        for (template, content_type) in [
            ("{}", "application/json"),
            (" [${qos}]", "application/json"),
            ("${payload}", "text/plain; charset=utf-8"),
            ("x{}", "text/plain; charset=utf-8"),
            ("", "text/plain; charset=utf-8"),
        ] {
            assert_eq!(
                BodyTemplate::parse(template).unwrap().content_type(),
                content_type,
                "{template}"
            );
        }
        let payload: &[u8] = b"\xff\x00";
        let fields = json!({"payload": "\u{fffd}\0"});
        let fields = fields.as_object().unwrap();
        let alone = BodyTemplate::parse("${payload}").unwrap();
        assert_eq!(alone.render(fields, Some(payload)), Body::Bytes(payload.into()));
        let more = BodyTemplate::parse("${payload}!").unwrap();
        assert_eq!(more.render(fields, Some(payload)), Body::Text("\u{fffd}\0!".into()));
    }

    /// Pieces that make valid and invalid JSON, with placeholders anywhere.
    fn skeleton() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("${payload}"),
            Just("${clientid}"),
            Just("${payload.a}"),
            Just("${.}"),
            Just("${none}"),
            Just("\""),
            Just("\\"),
            Just("\\u00"),
            Just("\\ud83d"),
            Just("\\ude00"),
            Just("{"),
            Just("}"),
            Just("["),
            Just("]"),
            Just(","),
            Just(":"),
            Just("1"),
            Just("-"),
            Just("a"),
            Just(" "),
            Just("\"k\":"),
            Just("[\""),
            Just("\"]"),
        ];
        let pieces = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
        prop_oneof![
            pieces.clone().prop_map(|text| format!("[{text}]")),
            pieces.prop_map(|text| format!("[\"{text}\"]"))
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_was_accepted_as_json_always_gives_json(
            template in skeleton(),
            payload in prop_oneof![any::<String>(), "[\\[\\]{}\",:\\\\u0-9ad ]{0,12}", Just("{\"a\": [1e5, \"\\u0000\"]}".to_owned())],
            clientid in any::<String>(),
        ) {
            let fields = json!({"payload": payload, "clientid": clientid});
            if let Ok(template) = BodyTemplate::parse(&template) {
                let body = template.render_text(fields.as_object().unwrap());
                prop_assert!(serde_json::from_str::<Value>(&body).is_ok(), "{}", body);
            }
        }
    }
}
