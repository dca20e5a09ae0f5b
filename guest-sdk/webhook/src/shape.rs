//! The form of the requests of a rule.

use hookhost_guest::{Body, Method};

use crate::encoding::Encoding;
use crate::fields::Fields;
use crate::format::{CloudEvents, Format};
use crate::template::{BodyTemplate, HeaderTemplate, Template};

/// The form of the requests of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// The format of the body.
    pub format: Format,
    /// Whether bodies follow the documentation of the broker where the broker itself sends something else.
    pub as_documented: bool,
    /// The encoding of payloads, if the format supports several.
    pub payload_encoding: Encoding,
    /// HTTP method; GET and DELETE have no body.
    pub method: Method,
    /// Headers with lower-case names. `content-type` overrides that of the format.
    pub headers: Vec<(String, HeaderTemplate)>,
    /// The body, if the user has written one.
    pub body: Option<BodyText>,
    /// Content mode and additional attributes of CloudEvents.
    pub cloudevents: CloudEvents,
}

/// A body that the user has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyText {
    /// For format `template`: a body that begins like JSON is JSON for every event.
    Checked(BodyTemplate),
    /// For format `emqx5`: values are not escaped.
    Emqx5(Template),
}

impl BodyText {
    /// The body for an event with these fields and this payload.
    pub(super) fn render(&self, fields: &dyn Fields, payload: Option<&[u8]>) -> Body {
        match self {
            BodyText::Checked(template) => template.render(fields, payload),
            BodyText::Emqx5(template) => Body::Text(template.render_emqx5(fields)),
        }
    }

    /// The parsed text.
    pub(super) fn template(&self) -> &Template {
        match self {
            BodyText::Checked(template) => template.template(),
            BodyText::Emqx5(template) => template,
        }
    }

    /// MIME type of the body.
    pub(super) fn content_type(&self) -> &'static str {
        match self {
            BodyText::Checked(template) => template.content_type(),
            BodyText::Emqx5(_) => "application/json",
        }
    }
}
