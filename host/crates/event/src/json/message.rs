//! A message: its payload is text under `payload`, or base64 under `payload_base64`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::defaults;
use crate::{ByteString, Bytes, Client, Id, Message, Millis, Origin, Properties};

/// [`Message`] with the two keys of its payload.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageForm {
    id: Id,
    #[serde(default = "defaults::publisher")]
    publisher: Client,
    #[serde(default = "defaults::origin")]
    origin: Origin,
    topic: ByteString,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<ByteString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<Base64>,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
    #[serde(default)]
    dup: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet_id: Option<u16>,
    received_at: Millis,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Box<Properties>>,
}

/// Bytes that are base64 in JSON.
#[derive(Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Base64(pub(super) Bytes);

impl From<Base64> for String {
    fn from(Base64(bytes): Base64) -> String {
        STANDARD.encode(bytes)
    }
}

impl TryFrom<String> for Base64 {
    type Error = String;

    fn try_from(text: String) -> Result<Base64, String> {
        let bytes = STANDARD
            .decode(text)
            .map_err(|error| format!("is not base64: {error}"))?;
        Ok(Base64(bytes.into()))
    }
}

impl Clone for Base64 {
    fn clone(&self) -> Base64 {
        Base64(self.0.clone())
    }
}

impl From<Message> for MessageForm {
    fn from(message: Message) -> MessageForm {
        let (payload, payload_base64) = match ByteString::try_from(message.payload.clone()) {
            Ok(text) => (Some(text), None),
            Err(_) => (None, Some(Base64(message.payload))),
        };
        MessageForm {
            id: message.id,
            publisher: message.publisher,
            origin: message.origin,
            topic: message.topic,
            payload,
            payload_base64,
            qos: message.qos,
            retain: message.retain,
            dup: message.dup,
            packet_id: message.packet_id,
            received_at: message.received_at,
            properties: message.properties,
        }
    }
}

impl TryFrom<MessageForm> for Message {
    type Error = &'static str;

    fn try_from(form: MessageForm) -> Result<Message, &'static str> {
        let payload = match (form.payload, form.payload_base64) {
            (Some(_), Some(_)) => return Err("has both payload and payload_base64; one of them is enough"),
            (Some(text), None) => text.into_bytes(),
            (None, Some(Base64(bytes))) => bytes,
            (None, None) => Bytes::new(),
        };
        Ok(Message {
            id: form.id,
            publisher: form.publisher,
            origin: form.origin,
            topic: form.topic,
            payload,
            qos: form.qos,
            retain: form.retain,
            dup: form.dup,
            packet_id: form.packet_id,
            received_at: form.received_at,
            properties: form.properties,
            republishes: 0,
        })
    }
}
