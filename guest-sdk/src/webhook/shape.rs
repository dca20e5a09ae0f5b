//! What the requests of a rule look like.

use super::cloudevents::CloudEvents;
use super::encoding::Encoding;
use super::fields::Fields;
use super::format::Format;
use super::key::RuleKey;
use super::template::{BodyTemplate, HeaderTemplate, Template, TemplateError};

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

impl Shape {
    /// What the body calls an event unless the rule has a name for it.
    pub(super) fn action(&self, key: RuleKey) -> String {
        let name = match (self.format, key) {
            (Format::Emqx4, RuleKey::SessionUnsubscribed) if self.as_documented => "session_unsubscribe",
            _ => key.name(),
        };
        name.to_owned()
    }
}

/// HTTP method of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// GET.
    Get,
    /// DELETE.
    Delete,
}

impl Method {
    pub(super) fn from_name(name: &str) -> Option<Method> {
        Some(match name.to_ascii_lowercase().as_str() {
            "post" => Method::Post,
            "put" => Method::Put,
            "patch" => Method::Patch,
            "get" => Method::Get,
            "delete" => Method::Delete,
            _ => return None,
        })
    }

    /// Whether requests have a body.
    pub fn has_body(self) -> bool {
        !matches!(self, Method::Get | Method::Delete)
    }
}

impl From<Method> for crate::request::Method {
    fn from(method: Method) -> crate::request::Method {
        match method {
            Method::Post => crate::request::Method::Post,
            Method::Put => crate::request::Method::Put,
            Method::Patch => crate::request::Method::Patch,
            Method::Get => crate::request::Method::Get,
            Method::Delete => crate::request::Method::Delete,
        }
    }
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
    pub(super) fn parse(text: &str, format: Format) -> Result<BodyText, TemplateError> {
        match format {
            Format::Emqx5 => Ok(BodyText::Emqx5(Template::parse_emqx5(text))),
            _ => BodyTemplate::parse(text).map(BodyText::Checked),
        }
    }

    /// The body for an event with these fields and this payload.
    pub(super) fn render(&self, fields: &dyn Fields, payload: Option<&[u8]>) -> crate::request::Body {
        match self {
            BodyText::Checked(template) => template.render(fields, payload),
            BodyText::Emqx5(template) => crate::request::Body::Text(template.render_emqx5(fields)),
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
