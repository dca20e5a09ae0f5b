//! Headers and bodies of events in each content mode.

use serde_json::Value;

use super::{CloudEvent, CloudEventsMode, Data, Encoded, has_prefix};
use crate::json::{push_escaped, push_string};
use crate::template::push_percent;
use hookhost_guest::request::Body;

pub(super) const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
pub(super) const BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";

pub(super) fn encoded(content_type: &str, body: Body) -> Encoded {
    Encoded {
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body,
    }
}

impl CloudEvent<'_> {
    pub(super) fn encode(self, mode: CloudEventsMode) -> Encoded {
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
pub(super) fn header_value(value: &Value) -> String {
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

/// Whether data of this content type is JSON. Data without a content type is JSON.
pub(super) fn is_json_type(content_type: Option<&str>) -> bool {
    let Some(text) = content_type else { return true };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    subtype == "json" || subtype.ends_with("+json")
}
