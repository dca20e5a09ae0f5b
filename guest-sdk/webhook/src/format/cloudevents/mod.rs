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

mod format;
mod publish;

pub(super) use format::Cloudevents;

use serde_json::{Map, Value};

use crate::event_fields::EventFields;
use crate::fields::Fields;
use crate::json::{push_escaped, push_string};
use crate::template::{Template, push_percent};
use crate::words::event_name;
use hookhost_guest::event::{Detail, Message, Property};
use hookhost_guest::request::Body;

/// The content mode: how an HTTP request represents an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CloudEventsMode {
    /// Attributes are headers, the body is the data.
    #[default]
    Binary,
    /// The body is a JSON object of attributes and data.
    Structured,
    /// The body is a JSON array of such an object.
    Batched,
}

impl CloudEventsMode {
    /// All modes with their names in a configuration.
    pub const NAMES: [(&'static str, CloudEventsMode); 3] = [
        ("binary", CloudEventsMode::Binary),
        ("structured", CloudEventsMode::Structured),
        ("batched", CloudEventsMode::Batched),
    ];

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            CloudEventsMode::Binary => "binary",
            CloudEventsMode::Structured => "structured",
            CloudEventsMode::Batched => "batched",
        }
    }

    /// The media type of bodies, without parameters; `None` if it is that of the data.
    pub fn media_type(self) -> Option<&'static str> {
        match self {
            CloudEventsMode::Binary => None,
            CloudEventsMode::Structured => Some("application/cloudevents+json"),
            CloudEventsMode::Batched => Some("application/cloudevents-batch+json"),
        }
    }

    /// Whether a request in this mode may have this content type: that of the mode, with any parameters. In binary mode all
    /// content types are allowed except those of CloudEvents.
    pub fn allows(self, content_type: &str) -> bool {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        match self.media_type() {
            Some(own) => media_type.eq_ignore_ascii_case(own),
            None => !has_prefix(media_type, "application/cloudevents"),
        }
    }
}

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
const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
const BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";

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

/// Whether data of this content type is JSON. Data without a content type is JSON.
fn is_json_type(content_type: Option<&str>) -> bool {
    let Some(text) = content_type else { return true };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    subtype == "json" || subtype.ends_with("+json")
}

fn encoded(content_type: &str, body: Body) -> Encoded {
    Encoded {
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body,
    }
}

impl CloudEvent<'_> {
    fn encode(self, mode: CloudEventsMode) -> Encoded {
        match mode {
            CloudEventsMode::Binary => self.binary(),
            CloudEventsMode::Structured => encoded(STRUCTURED, Body::Text(self.json())),
            CloudEventsMode::Batched => encoded(BATCH, Body::Text(format!("[{}]", self.json()))),
        }
    }

    fn binary(self) -> Encoded {
        let mut headers = Vec::with_capacity(self.attributes.len() + 1);
        headers.extend(self.content_type.map(|text| ("content-type".to_owned(), text)));
        for (name, value) in &self.attributes {
            headers.push((format!("ce-{name}"), header_value(value)));
        }
        let body = match self.data {
            None => Body::Bytes(Vec::new()),
            Some(Data::Bytes(bytes)) => Body::Bytes(bytes.to_vec()),
            Some(Data::Owned(bytes)) => Body::Bytes(bytes),
            Some(Data::Json(value)) => Body::Text(value.to_string()),
        };
        Encoded { headers, body }
    }

    /// The JSON event format.
    fn json(&self) -> String {
        let mut out = String::from("{");
        for (name, value) in &self.attributes {
            push_key(&mut out, name);
            out.push_str(&value.to_string());
        }
        if let Some(content_type) = &self.content_type {
            push_key(&mut out, "datacontenttype");
            push_string(&mut out, content_type);
        }
        match &self.data {
            None => {}
            Some(Data::Json(value)) => {
                push_key(&mut out, "data");
                out.push_str(&value.to_string());
            }
            Some(Data::Bytes(bytes)) => self.push_bytes(&mut out, bytes),
            Some(Data::Owned(bytes)) => self.push_bytes(&mut out, bytes),
        }
        out.push('}');
        out
    }

    /// Appends JSON unchanged, other text as a string, and all other data in base64.
    fn push_bytes(&self, out: &mut String, bytes: &[u8]) {
        use base64::Engine;
        let declared_json = is_json_type(self.content_type.as_deref());
        match std::str::from_utf8(bytes) {
            Ok(text) if declared_json && serde_json::from_str::<Value>(text).is_ok() => {
                push_key(out, "data");
                out.push_str(text);
            }
            Ok(text) if !declared_json && !self.is_octets() => {
                push_key(out, "data");
                push_string(out, text);
            }
            _ => {
                push_key(out, "data_base64");
                out.push('"');
                base64::engine::general_purpose::STANDARD.encode_string(bytes, out);
                out.push('"');
            }
        }
    }

    fn is_octets(&self) -> bool {
        self.content_type
            .as_deref()
            .is_some_and(|text| has_prefix(text, "application/octet-stream"))
    }
}

fn push_key(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    out.push('"');
    push_escaped(out, name);
    out.push_str("\":");
}

/// The value of an attribute in a header: blanks, quotes, `%` and all characters that are not printable ASCII are
/// percent-encoded.
fn header_value(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            push_percent(&mut out, byte);
        }
    }
    out
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
