//! Events as CloudEvents 1.0 over HTTP: binary, structured and batched content mode.
//!
//! ```text
//! Event ──> CloudEvent: attributes, content type, data ──> headers and body of the mode
//!           (`publish`: a message that is already a CloudEvent is forwarded as the same event)
//! ```
//!
//! | attribute | value |
//! | --- | --- |
//! | `id` | the id of the event; a retried request has the same id |
//! | `source` | `hookhost:/nodes/NAME` |
//! | `type` | `io.hookhost.EVENT.v1` |
//! | `subject` | the topic or filter, or else the client id |
//! | `time` | when the event happened |
//! | data | the payload of a message; for all other events a JSON object of the event's fields |
//!
//! [`EXTENSIONS`] lists further attributes.
//!
//! The content mode `batched` makes a JSON array of one event. A module returns requests for each event separately, so
//! that each event is retried, ordered and counted separately.

mod encode;
mod format;
mod mode;
mod publish;

pub(super) use format::Cloudevents;
pub use mode::CloudEventsMode;

use encode::{BATCH, STRUCTURED, encoded, is_json_type};
use serde_json::{Map, Value};

use crate::event_fields::EventFields;
use crate::fields::Fields;
use crate::template::{Template, push_percent};
use crate::words::event_name;
use hookhost_guest::event::{Detail, Message, Property};
use hookhost_guest::request::Body;

/// Extension attributes and the fields that they contain. An attribute without a value is omitted.
pub const EXTENSIONS: [(&str, &str); 9] = [
    ("action", "action"),
    ("clientid", "clientid"),
    ("username", "username"),
    ("fromclientid", "from_clientid"),
    ("messageid", "id"),
    ("qos", "qos"),
    ("retain", "retain"),
    ("code", "code"),
    ("reason", "reason"),
];

const JSON: &str = "application/json";

/// Converts events to CloudEvents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloudEvents {
    pub(crate) mode: CloudEventsMode,
    extensions: Vec<(String, Template)>,
}

/// The headers and the body of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// `content-type` and, in binary mode, one for each attribute.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

/// Attributes and data. All required attributes are present, and all names are valid.
struct CloudEvent<'a> {
    /// Texts, numbers and booleans; without `datacontenttype`.
    attributes: Vec<(String, Value)>,
    content_type: Option<String>,
    data: Option<Data<'a>>,
}

enum Data<'a> {
    Bytes(&'a [u8]),
    Owned(Vec<u8>),
    Json(Value),
}

impl CloudEvents {
    /// Events in this mode.
    pub fn new(mode: CloudEventsMode) -> CloudEvents {
        let extensions = Vec::new();
        CloudEvents { mode, extensions }
    }

    /// Adds an attribute. It replaces one of [`EXTENSIONS`] with the same name. An attribute with an empty value is omitted.
    ///
    /// # Errors
    ///
    /// If the name does not consist of 1 to 20 lower-case letters and digits, or is an attribute of the specification.
    pub fn extension(mut self, name: &str, value: Template) -> Result<CloudEvents, String> {
        const OWN: [&str; 9] = [
            "specversion",
            "id",
            "source",
            "type",
            "subject",
            "time",
            "datacontenttype",
            "dataschema",
            "data",
        ];
        if !is_attribute(name) || name.len() > 20 {
            return Err(format!(
                "'{name}' is not a valid name of an attribute: use 1 to 20 lower-case letters and digits"
            ));
        }
        if OWN.contains(&name) {
            return Err(format!("'{name}' is an attribute of CloudEvents itself"));
        }
        self.extensions.push((name.to_owned(), value));
        Ok(self)
    }

    /// The request for an event.
    pub fn encode(&self, fields: &EventFields<'_>) -> Encoded {
        if let Detail::MessagePublish(message) = &fields.event().detail {
            if let Some(event) = publish::binary(message) {
                return event.encode(self.mode);
            }
            match publish::structured(message) {
                Some(publish::Structured::Json(event, text)) => {
                    return match self.mode {
                        CloudEventsMode::Binary => event.encode(self.mode),
                        CloudEventsMode::Structured => encoded(STRUCTURED, Body::Text(text.to_owned())),
                        CloudEventsMode::Batched => encoded(BATCH, Body::Text(format!("[{text}]"))),
                    };
                }
                Some(publish::Structured::Other(content_type, bytes)) => {
                    return encoded(content_type, Body::Bytes(bytes.to_vec()));
                }
                None => {}
            }
        }
        self.event(fields).encode(self.mode)
    }

    fn event<'a>(&self, fields: &EventFields<'a>) -> CloudEvent<'a> {
        let event = fields.event();
        let mut attributes: Vec<(String, Value)> = Vec::new();
        let mut put = |name: &str, value: Value| match value {
            Value::Null => {}
            Value::String(text) if text.is_empty() => {}
            value => attributes.push((name.to_owned(), value)),
        };
        put("specversion", "1.0".into());
        put("id", event.id.as_str().into());
        put("source", source(&fields.node().name).into());
        put("type", format!("io.hookhost.{}.v1", event_name(event)).into());
        let topic = fields.get("topic").filter(|topic| !topic.is_null());
        let subject = topic.or_else(|| fields.get("clientid"));
        put("subject", subject.map_or(Value::Null, |subject| subject.into_owned()));
        put("time", hookhost_guest::time::rfc3339(event.at).into());
        for (name, field) in EXTENSIONS {
            let replaced = self.extensions.iter().any(|(own, _)| own == name);
            let needless = name == "fromclientid" && fields.get("from_clientid") == fields.get("clientid");
            if !replaced && !needless {
                put(name, fields.get(field).map_or(Value::Null, |value| value.into_owned()));
            }
        }
        for (name, template) in &self.extensions {
            put(name, template.render(fields).into());
        }
        let (content_type, data) = match event.message() {
            Some(message) if message.payload.is_empty() => (None, None),
            Some(message) => (Some(content_type(message)), Some(Data::Bytes(&message.payload))),
            None => (Some(JSON.to_owned()), Some(Data::Json(Value::Object(fields.all())))),
        };
        CloudEvent {
            attributes,
            content_type,
            data,
        }
    }
}

/// The content type of a payload: the one of the publisher if it is valid, or else one that fits the bytes.
fn content_type(message: &Message) -> String {
    let properties = message.properties.as_ref();
    let said = properties.and_then(|properties| properties.content_type());
    // With a content type of CloudEvents, the receiver would expect structured mode.
    let said = said.filter(|text| is_media_type(text) && !has_prefix(text, "application/cloudevents"));
    if let Some(said) = said {
        return said.to_owned();
    }
    let is_text = |properties: &hookhost_guest::event::Properties| {
        let indicator = properties.find(|property| match property {
            Property::PayloadFormatIndicator(value) => Some(*value),
            _ => None,
        });
        indicator == Some(1) && message.payload_str().is_ok()
    };
    if message.json::<Value>().is_ok() {
        JSON.to_owned()
    } else if properties.is_some_and(is_text) {
        "text/plain; charset=utf-8".to_owned()
    } else {
        "application/octet-stream".to_owned()
    }
}

/// The URI of a node. Characters of the name that are not valid in a URI are percent-encoded.
fn source(node: &str) -> String {
    let mut source = "hookhost:/nodes/".to_owned();
    for byte in node.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@:".contains(&byte) {
            source.push(char::from(byte));
        } else {
            push_percent(&mut source, byte);
        }
    }
    source
}

/// Whether a name consists of lower-case letters and digits.
fn is_attribute(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Whether a text is `type/subtype` with optional parameters, and valid in a header.
fn is_media_type(text: &str) -> bool {
    let end = text.find(';').unwrap_or(text.len());
    let (essence, _) = text.split_at(end);
    let token = |part: &str| {
        let part = part.trim_end();
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && essence
            .split_once('/')
            .is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

fn has_prefix(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Converts the JSON value of `data` to data of a content type.
fn data_of_json<'a>(value: Value, content_type: Option<&str>) -> Data<'a> {
    match value {
        Value::String(text) if !is_json_type(content_type) => Data::Owned(text.into_bytes()),
        value => Data::Json(value),
    }
}

/// The attributes of a JSON object; `None` if a name is not valid or a value is not a text, a number or a boolean.
fn attributes_of(object: Map<String, Value>) -> Option<Vec<(String, Value)>> {
    let present = object.into_iter().filter(|(_, value)| !value.is_null());
    let valid = present.map(|(name, value)| {
        let scalar = value.is_string() || value.is_boolean() || value.is_i64();
        (scalar && is_attribute(&name)).then_some((name, value))
    });
    valid.collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
