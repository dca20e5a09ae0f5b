//! The JSON bodies of NanoMQ's web hook (0.25). NanoMQ accepts rules for nine further events but never sends them; hookhost
//! sends similar bodies for these.
//!
//! With `as_documented` the body is another one, see [`documented`](crate::format::documented).

use crate::encoding::Encoding;
use crate::format::emqx::{self, EmqxVersion};
use crate::json::{ObjectWriter, first, next, push_escaped};
use crate::key::RuleKey;
use crate::rules::Rule;
use hookhost_guest::event::{Client, Delivery, Detail, Event, Message};
use hookhost_guest::request::Body;

/// The body for an event; `None` if NanoMQ has no body for the event under this key.
pub(super) fn body(key: RuleKey, rule: &Rule, event: &Event) -> Option<Body> {
    let mut out = ObjectWriter::default();
    let action = rule.action.as_str();
    let client = match (key, &event.detail) {
        (RuleKey::ClientConnect, Detail::ClientConnect(connection)) => {
            out.number(first!("proto_ver"), connection.client.protocol_version);
            out.number(next!("keepalive"), connection.keep_alive);
            &connection.client
        }
        (RuleKey::ClientConnack, Detail::ClientConnack(connack)) => {
            out.number(first!("proto_ver"), connack.connection.client.protocol_version);
            out.number(next!("keepalive"), connack.connection.keep_alive);
            out.text(next!("conn_ack"), answer(connack.code));
            &connack.connection.client
        }
        (RuleKey::ClientConnected, Detail::ClientConnected(connack)) => {
            out.number(first!("proto_ver"), connack.connection.client.protocol_version);
            out.number(next!("keepalive"), connack.connection.keep_alive);
            out.number(next!("connected_at"), connack.connected_at.unwrap_or(0));
            &connack.connection.client
        }
        (RuleKey::ClientDisconnected, Detail::ClientDisconnected(disconnection)) => {
            // NanoMQ writes `normal` for every reason.
            out.text(first!("reason"), "normal");
            &disconnection.connection.client
        }
        (RuleKey::ClientSubscribe, Detail::ClientSubscribe(subscription))
        | (RuleKey::SessionSubscribed, Detail::SessionSubscribed(subscription)) => {
            out.text(first!("topic"), &subscription.filter);
            out.raw(next!("opts"));
            out.number(first!("qos"), subscription.qos);
            out.raw("}");
            &subscription.client
        }
        (RuleKey::ClientUnsubscribe, Detail::ClientUnsubscribe(end))
        | (RuleKey::SessionUnsubscribed, Detail::SessionUnsubscribed(end)) => {
            out.text(first!("topic"), &end.filter);
            &end.client
        }
        (RuleKey::SessionTerminated, Detail::SessionTerminated(termination)) => {
            out.text(first!("reason"), &emqx::end(&termination.end, None, EmqxVersion::V4_4));
            &termination.session.client
        }
        (RuleKey::MessagePublish, Detail::MessagePublish(message)) => {
            publish(&mut out, message, message.qos, message.retain, action);
            return Some(with_payload(out.0, rule.shape.payload_encoding, &message.payload, "}"));
        }
        (RuleKey::MessageDelivered, Detail::MessageDelivered(delivery)) => {
            return Some(delivered(out, delivery, action, rule.shape.payload_encoding));
        }
        (RuleKey::MessageAcked, Detail::MessageAcked(acknowledgement)) => {
            return Some(delivered(
                out,
                &acknowledgement.delivery,
                action,
                rule.shape.payload_encoding,
            ));
        }
        _ => return None,
    };
    out.text(next!("username"), name(client));
    out.text(next!("clientid"), &client.id);
    out.text(next!("action"), action);
    out.raw("}");
    Some(Body::Text(out.0))
}

/// The result of a CONNACK with this reason code.
pub(in crate::format) fn answer(code: u8) -> &'static str {
    if code == 0 { "success" } else { "fail" }
}

fn publish(out: &mut ObjectWriter, message: &Message, qos: u8, retain: bool, action: &str) {
    out.0.reserve(192 + message.topic.len() + message.payload.len());
    out.number(first!("ts"), message.received_at);
    out.text(next!("topic"), &message.topic);
    out.flag(next!("retain"), retain);
    out.number(next!("qos"), qos);
    out.text(next!("action"), action);
    out.text(next!("from_username"), name(&message.publisher));
    let id = Some(message.publisher.id.as_str()).filter(|id| !id.is_empty());
    out.optional(next!("from_client_id"), id);
}

fn delivered(mut out: ObjectWriter, delivery: &Delivery, action: &str, encoding: Encoding) -> Body {
    publish(&mut out, &delivery.message, delivery.qos, delivery.retain, action);
    out.text(next!("username"), name(&delivery.receiver));
    out.text(next!("clientid"), &delivery.receiver.id);
    with_payload(out.0, encoding, &delivery.message.payload, "}")
}

/// The user name. NanoMQ does not distinguish an empty one from none.
fn name(client: &Client) -> &str {
    non_empty(client.username.as_deref()).unwrap_or("undefined")
}

pub(super) fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// Joins the start of an object, a payload and the rest of the object.
///
/// NanoMQ handles a plain payload as a C string: it ends at the first NUL, and its bytes are sent unchanged. So the body is
/// not UTF-8 if the payload is not UTF-8. Without encoding, an empty payload has no key; in base64 it is null.
pub(in crate::format) fn with_payload(mut out: String, encoding: Encoding, payload: &[u8], rest: &str) -> Body {
    const KEY: &str = next!("payload");
    match encoding {
        Encoding::Plain if payload.is_empty() => {}
        Encoding::Base64 if payload.is_empty() => out.push_str(concat!(next!("payload"), "null")),
        Encoding::Plain => {
            let text = payload.split(|byte| *byte == 0).next().unwrap_or_default();
            out.push_str(KEY);
            out.push('"');
            let mut bytes = Vec::new();
            for chunk in text.utf8_chunks() {
                push_escaped(&mut out, chunk.valid());
                if !chunk.invalid().is_empty() {
                    bytes.append(&mut std::mem::take(&mut out).into_bytes());
                    bytes.extend_from_slice(chunk.invalid());
                }
            }
            out.push('"');
            if !bytes.is_empty() {
                bytes.append(&mut out.into_bytes());
                bytes.extend_from_slice(rest.as_bytes());
                return Body::Bytes(bytes);
            }
        }
        encoding => {
            out.push_str(KEY);
            encoding.push_json(&mut out, payload);
        }
    }
    out.push_str(rest);
    Body::Text(out)
}
