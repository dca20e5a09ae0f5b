//! What the requests of a rule look like.

use hookhost_guest::{Body, Method};

use crate::encoding::Encoding;
use crate::fields::Fields;
use crate::format::{CloudEvents, Format};
use crate::template::{BodyTemplate, HeaderTemplate, Template};

/// What the requests of a rule look like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shape {
    /// Whose bodies.
    pub format: Format,
    /// The form that the broker's documentation gives, where it differs from the source.
    pub as_documented: bool,
    /// How payloads are written, where the format leaves a choice.
    pub payload_encoding: Encoding,
    /// HTTP method; GET and DELETE have no body.
    pub method: Method,
    /// Headers with lower-case names, beside `content-type` or in place of it.
    pub headers: Vec<(String, HeaderTemplate)>,
    /// The body, if the user has written one.
    pub body: Option<BodyText>,
    /// How CloudEvents travel, and what they have beside their own.
    pub cloudevents: CloudEvents,
}

/// A body that the user has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyText {
    /// Of format `template`: what begins like JSON stays JSON.
    Checked(BodyTemplate),
    /// Of format `emqx5`: values are put in as they are.
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

    /// The fields that it looks up.
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
