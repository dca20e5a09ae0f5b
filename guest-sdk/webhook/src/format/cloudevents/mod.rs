//! Events as CloudEvents 1.0 over HTTP: binary, structured and batched content mode.
//!
//! ```text
//! Event ──> CloudEvent: attributes, content type, data ──> headers and body of the mode
//!           (`publish`: an MQTT publish that is one already is passed on as the event it is)
//! ```
//!
//! What an event becomes: `id` is that of the event, so a repeated request has the same; `source` is
//! `hookhost:/nodes/NAME`; `type` is `io.hookhost.EVENT.v1`; `subject` is the topic or filter, else the client id; `time`
//! is when it happened. The data of an event about a message is the payload; that of all others is a JSON object of the
//! event's fields. Further attributes are in [`EXTENSIONS`].
//!
//! The content mode `batched` makes a JSON array of one event: a module answers each event on its own, so that each is
//! repeated, ordered and accounted for on its own.

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

/// How an event is laid out in an HTTP request.
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
    /// All of them, as they are written in a configuration.
    pub const NAMES: [(&'static str, CloudEventsMode); 3] = [
        ("binary", CloudEventsMode::Binary),
        ("structured", CloudEventsMode::Structured),
        ("batched", CloudEventsMode::Batched),
    ];

    /// As it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            CloudEventsMode::Binary => "binary",
            CloudEventsMode::Structured => "structured",
            CloudEventsMode::Batched => "batched",
        }
    }

    /// What bodies are, without parameters; none: what the data is.
    pub fn media_type(self) -> Option<&'static str> {
        match self {
            CloudEventsMode::Binary => None,
            CloudEventsMode::Structured => Some("application/cloudevents+json"),
            CloudEventsMode::Batched => Some("application/cloudevents-batch+json"),
        }
    }

    /// Whether a request in this mode may have this content type: that of the mode, whatever its parameters are; in
    /// binary mode any but one that calls the body an event.
    pub fn allows(self, content_type: &str) -> bool {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        match self.media_type() {
            Some(own) => media_type.eq_ignore_ascii_case(own),
            None => !has_prefix(media_type, "application/cloudevents"),
        }
    }
}

/// Attributes beyond those of the specification, and the fields that they hold. One without a value is left out.
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

/// Makes CloudEvents of events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloudEvents {
    mode: CloudEventsMode,
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

/// Attributes and data. The attributes that the specification requires are there, and names are valid.
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

    /// Adds an attribute, in place of one of [`EXTENSIONS`] of the same name. An empty value leaves it out.
    ///
    /// # Errors
    ///
    /// What is wrong with the name: it has 1 to 20 lower-case letters and digits, and is none of the specification's
    /// own.
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
                "'{name}' is no name of an attribute: 1 to 20 lower-case letters and digits"
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

/// What the publisher says that the payload is, if it can be believed; else what it looks like.
fn content_type(message: &Message) -> String {
    let properties = message.properties.as_ref();
    let said = properties.and_then(|properties| properties.content_type());
    // A receiver takes what calls itself a CloudEvent for one in structured mode, and this one is not.
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

/// A URI: a node's name may hold anything.
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

/// Lower-case letters and digits.
fn is_attribute(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// `type/subtype` and what may follow, so far as that a header can hold it.
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

/// Whether data of this type is JSON; so it is if nothing is said.
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

    /// JSON as it is, other text as a string, everything else in base64.
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

/// A value of an attribute as a header holds it: blanks, quotes, `%` and everything beyond printable ASCII
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

/// What `data`, which is a JSON value, is as bytes of this type.
fn data_of_json<'a>(value: Value, content_type: Option<&str>) -> Data<'a> {
    match value {
        Value::String(text) if !is_json_type(content_type) => Data::Owned(text.into_bytes()),
        value => Data::Json(value),
    }
}

/// The attributes of a JSON object, if all are texts, numbers or booleans with valid names.
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
