//! Messages that are already CloudEvents, by the MQTT protocol binding.
//!
//! Binary content mode: user properties are the attributes, the content type is that of the data, the payload is the
//! data. Structured content mode: the content type begins with `application/cloudevents` and the payload is the event.
//! A message without a required attribute is an ordinary message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{CloudEvent, Data, attributes_of, data_of_json, has_prefix, is_attribute, is_media_type};
use hookhost_guest::event::Message;

/// An event that was published in structured mode.
pub(super) enum Structured<'a> {
    /// In JSON: the event, and its text as it was sent.
    Json(CloudEvent<'a>, &'a str),
    /// In another format: its content type and its bytes, which are not parsed.
    Other(&'a str, &'a [u8]),
}

/// The required attributes.
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];

/// The event of a message in binary mode; `None` for an ordinary message.
pub(super) fn binary(message: &Message) -> Option<CloudEvent<'_>> {
    let properties = message.properties.as_ref()?;
    let mut attributes: Vec<(String, Value)> = Vec::new();
    for (name, value) in &properties.user {
        let known = attributes.iter().any(|(earlier, _)| earlier == name);
        // A name with other characters than those of the specification is a user property, not an attribute.
        if is_attribute(name) && !value.is_empty() && !known && !["data", "datacontenttype"].contains(&name.as_str()) {
            attributes.push((name.clone(), value.as_str().into()));
        }
    }
    is_whole(&attributes).then_some(())?;
    let content_type = properties.content_type();
    // With such a content type, an HTTP receiver would expect structured mode.
    let content_type = content_type.filter(|text| is_media_type(text) && !has_prefix(text, "application/cloudevents"));
    Some(CloudEvent {
        attributes,
        content_type: content_type.map(str::to_owned),
        data: (!message.payload.is_empty()).then_some(Data::Bytes(&message.payload)),
    })
}

/// The event of a message in structured mode; `None` for an ordinary message.
pub(super) fn structured(message: &Message) -> Option<Structured<'_>> {
    let content_type = message.properties.as_ref()?.content_type()?;
    if !is_media_type(content_type) || !has_prefix(content_type, "application/cloudevents+") {
        return None;
    }
    if !has_prefix(content_type, "application/cloudevents+json") {
        return Some(Structured::Other(content_type, &message.payload));
    }
    let text = message.payload_str().ok()?;
    let mut object: Map<String, Value> = serde_json::from_str(text).ok()?;
    let data = object.remove("data");
    let base64 = object.remove("data_base64");
    let content_type = match object.remove("datacontenttype") {
        Some(Value::String(text)) if is_media_type(&text) => Some(text),
        Some(Value::Null) | None => None,
        Some(_) => return None,
    };
    let data = match (data, base64) {
        (Some(value), None | Some(Value::Null)) => Some(data_of_json(value, content_type.as_deref())),
        (None | Some(Value::Null), Some(Value::String(text))) => Some(Data::Owned(STANDARD.decode(text).ok()?)),
        (None, None) => None,
        _ => return None,
    };
    let attributes = attributes_of(object)?;
    is_whole(&attributes).then_some(())?;
    // JSON data without a content type is JSON.
    let content_type = match &data {
        Some(Data::Json(_)) => content_type.or_else(|| Some(super::JSON.to_owned())),
        _ => content_type,
    };
    let event = CloudEvent {
        attributes,
        content_type,
        data,
    };
    Some(Structured::Json(event, text))
}

/// Whether all required attributes are present, with the supported version.
fn is_whole(attributes: &[(String, Value)]) -> bool {
    let text = |name: &str| {
        attributes
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, value)| value.as_str())
    };
    text("specversion") == Some("1.0")
        && REQUIRED
            .iter()
            .all(|name| text(name).is_some_and(|text| !text.is_empty()))
}
