//! The fields of an event: one table of names and values. Templates, headers, URLs and CloudEvents use it, and so do the
//! [columns](crate::columns) of EMQX 5 that have the same values.
//!
//! A field that EMQX 5 has as a column has the same name. Reasons are the words of the contract with `_` for `-`, codes
//! are those of MQTT 5, times are milliseconds since 1970, and durations are seconds. A field that an event does not have
//! has no value. That is not an error, because rules for several events may use the same template.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json};

use crate::fields::Fields;
use crate::property::{self, PropertyValue};
use crate::records::EventRecords;
use crate::sql::Value;
use crate::words;
use hookhost_guest::event::{Client, Detail, Event, Node, Properties};
use hookhost_guest::time::rfc3339;

/// The fields of one event for one rule.
#[derive(Debug, Clone, Copy)]
pub struct EventFields<'e> {
    event: &'e Event,
    node: &'e Node,
    action: &'e str,
}

/// Returns the value of a field, borrowed from the event where possible.
pub(super) type Read = for<'e> fn(&EventFields<'e>) -> Value<'e>;

/// All fields, sorted by name.
#[rustfmt::skip]
const TABLE: &[(&str, Read)] = &[
    ("access", |f| f.event.authorization().map(|a| words::access(a.access)).into()),
    ("action", |f| f.action.into()),
    ("anonymous", |f| f.event.authentication().map(|a| a.anonymous).into()),
    ("cert_common_name", |f| f.event.connection().and_then(|c| Some(c.certificate.as_ref()?.common_name.as_str())).into()),
    ("cert_subject", |f| f.event.connection().and_then(|c| Some(c.certificate.as_ref()?.subject.as_str())).into()),
    ("clean_start", |f| f.event.connection().map(|c| c.clean_start).into()),
    ("client_attrs", |f| f.event.client().and_then(|c| c.attributes.as_deref()).map(object).into()),
    ("clientid", |f| f.event.client().map(|c| c.id.as_str()).into()),
    ("code", |f| f.code().into()),
    ("connected_at", |f| match f.event.disconnection() {
        Some(disconnection) => disconnection.connected_at.into(),
        None => f.event.connack().and_then(|c| c.connected_at).into(),
    }),
    ("content_type", |f| f.event.properties().and_then(Properties::content_type).into()),
    ("correlation_data", |f| f.event.properties().and_then(Properties::correlation_data).map(|bytes| STANDARD.encode(bytes)).into()),
    ("count", |f| match &f.event.detail { Detail::DeliveryLost(loss) => loss.count.into(), _ => Value::Undefined }),
    ("created_at", |f| f.event.session().and_then(|s| s.created_at).into()),
    ("data", |f| match &f.event.detail {
        Detail::Other(other) => Value::from(&serde_json::from_str::<Json>(&other.data).unwrap_or_default()).into_owned(),
        _ => Value::Undefined,
    }),
    ("disconnected_at", |f| f.event.disconnection().map(|d| d.disconnected_at).into()),
    ("dup", |f| f.event.delivery().map(|d| d.dup).or(f.event.message().map(|m| m.dup)).into()),
    ("event", |f| words::event_name(f.event).into()),
    ("event_id", |f| f.event.id.as_str().into()),
    ("expiry_interval", |f| f.event.connection().map(|c| c.session_expiry).into()),
    ("extras", |f| f.event.extras.as_deref().map(object).into()),
    ("from_clientid", |f| f.event.message().map(|m| m.publisher.id.as_str()).into()),
    ("from_peername", |f| peername(f.event.message().map(|m| &m.publisher))),
    ("from_username", |f| f.event.message().and_then(|m| m.publisher.username.as_deref()).into()),
    ("group", |f| f.group().into()),
    ("id", |f| f.event.message().map(|m| m.id.as_str()).into()),
    ("is_bridge", |f| f.event.connection().map(|c| c.bridge).into()),
    ("is_new", |f| f.event.subscription().map(|s| s.is_new).into()),
    ("keepalive", |f| f.event.connection().map(|c| c.keep_alive).into()),
    ("listener", |f| f.event.connection().map(|c| c.listener.as_str()).into()),
    ("local_time", |f| f.event.local_time().to_string().into()),
    ("mountpoint", |f| f.event.connection().and_then(|c| c.mountpoint.as_deref()).into()),
    ("no_local", |f| f.event.subscription().map(|s| s.no_local).into()),
    ("node", |f| f.node().name.as_str().into()),
    ("node_id", |f| f.node().id.into()),
    ("origin", |f| f.event.message().map(|m| words::origin(m.origin)).into()),
    ("packet_id", |f| match f.event.delivery() {
        Some(delivery) => delivery.packet_id.into(),
        None => f.event.message().and_then(|m| m.packet_id).into(),
    }),
    ("payload", |f| f.event.message().map(|m| String::from_utf8_lossy(&m.payload)).into()),
    ("payload_base64", |f| f.event.message().map(|m| STANDARD.encode(&m.payload)).into()),
    ("peerhost", |f| f.event.client().and_then(|c| Some(c.peer.as_ref()?.ip.as_str()).filter(|ip| !ip.is_empty())).into()),
    ("peername", |f| peername(f.event.client())),
    ("peerport", |f| f.event.client().and_then(|c| Some(c.peer.as_ref()?.port).filter(|port| *port != 0)).into()),
    ("properties", |f| f.event.properties().map(standard).into()),
    ("proto_name", |f| f.event.connection().map(|c| c.protocol_name.as_str()).into()),
    ("proto_ver", |f| f.event.client().map(|c| c.protocol_version).filter(|version| *version != 0).into()),
    ("publish_received_at", |f| f.event.message().map(|m| m.received_at).into()),
    ("qos", |f| f.qos().into()),
    ("reason", |f| f.reason().into()),
    ("reason_text", |f| f.reason_text().into()),
    ("receive_maximum", |f| f.event.connection().map(|c| c.receive_maximum).into()),
    ("response_topic", |f| f.event.properties().and_then(Properties::response_topic).into()),
    ("result", |f| f.event.authorization().map(|a| if a.allowed { "allow" } else { "deny" }).into()),
    ("retain", |f| f.event.delivery().map(|d| d.retain).or(f.event.message().map(|m| m.retain)).into()),
    ("retain_as_published", |f| f.event.subscription().map(|s| s.retain_as_published).into()),
    ("retain_handling", |f| f.event.subscription().map(|s| s.retain_handling).into()),
    ("retained", |f| f.event.delivery().map(|d| d.retained).into()),
    ("session_present", |f| f.event.connack().map(|c| c.session_present).into()),
    ("sockname", |f| f.event.connection().and_then(|c| c.local.as_ref()).map(ToString::to_string).into()),
    ("source", |f| match &f.event.detail {
        Detail::ClientAuthenticated(a) => a.source.as_str().into(),
        Detail::ClientAuthorized(a) => a.source.as_str().into(),
        _ => Value::Undefined,
    }),
    ("subscription_id", |f| f.event.subscription().and_then(|s| s.id).into()),
    ("subscription_ids", |f| f.event.delivery().and_then(|d| d.subscription_ids.as_deref()).map(numbers).into()),
    ("superuser", |f| f.event.authentication().map(|a| a.superuser).into()),
    ("time", |f| rfc3339(f.event.at).into()),
    ("timestamp", |f| f.event.at.into()),
    ("topic", |f| match f.event.detail { Detail::Other(_) => Value::Undefined, _ => f.event.subject().into() }),
    ("transport", |f| f.event.connection().map(|c| words::transport(c.transport)).into()),
    ("user_properties", |f| f.event.properties().filter(|p| !p.user.is_empty()).map(|p| object(&p.user)).into()),
    ("username", |f| f.event.client().and_then(|c| c.username.as_deref()).into()),
];

/// The function that returns the value of a field. In a constant, an unknown name is a compile error.
pub(super) const fn field(name: &str) -> Read {
    let mut table = TABLE;
    while let Some(((known, read), rest)) = table.split_first() {
        if equal(known.as_bytes(), name.as_bytes()) {
            return *read;
        }
        table = rest;
    }
    panic!("no field has this name")
}

/// Compares two byte strings. Constants cannot use `==` for them.
const fn equal(mut left: &[u8], mut right: &[u8]) -> bool {
    while let (Some((one, left_rest)), Some((other, right_rest))) = (left.split_first(), right.split_first()) {
        if *one != *other {
            return false;
        }
        (left, right) = (left_rest, right_rest);
    }
    left.is_empty() && right.is_empty()
}

impl Fields for EventFields<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, Json>> {
        let at = TABLE.binary_search_by_key(&name, |(name, _)| name).ok()?;
        let (_, read) = TABLE.get(at)?;
        Some(Cow::Owned(read(self).into()))
    }

    /// All fields except `payload_base64`, which repeats `payload`.
    fn all(&self) -> Map<String, Json> {
        let fields = TABLE.iter().filter(|(name, _)| *name != "payload_base64");
        let values = fields.map(|(name, read)| ((*name).to_owned(), Json::from(read(self))));
        values.filter(|(_, value)| !value.is_null()).collect()
    }
}

impl<'e> EventFields<'e> {
    /// The fields of an event for a rule with this `action`, on a host with this `node`.
    pub fn new(event: &'e Event, node: &'e Node, action: &'e str) -> EventFields<'e> {
        EventFields { event, node, action }
    }

    /// The names of all fields, sorted.
    pub fn names() -> Vec<&'static str> {
        TABLE.iter().map(|(name, _)| *name).collect()
    }

    /// The event.
    pub fn event(&self) -> &'e Event {
        self.event
    }

    /// The `action` of the rule.
    pub(super) fn action(&self) -> &'e str {
        self.action
    }

    /// The node of the event's client; the node of the host if the event does not name another.
    pub fn node(&self) -> &'e Node {
        let of_client = self.event.client().and_then(|client| client.node.as_ref());
        of_client.unwrap_or(self.node)
    }

    fn code(&self) -> Option<u8> {
        match &self.event.detail {
            Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => Some(connack.code),
            Detail::ClientAuthenticated(authentication) => Some(authentication.code),
            Detail::MessageAcked(acknowledgement) => Some(acknowledgement.code),
            Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => Some(subscription.code),
            Detail::ClientUnsubscribe(end) | Detail::SessionUnsubscribed(end) => Some(end.code),
            _ => {
                let of_end = || self.event.end().and_then(|end| end.code);
                self.event.dropped().map(|dropped| dropped.code).or_else(of_end)
            }
        }
    }

    fn reason(&self) -> Option<&'static str> {
        match self.event.dropped() {
            Some(dropped) => Some(words::drop_reason(dropped.reason)),
            None => self.event.end().map(|end| words::end_reason(end.reason)),
        }
    }

    fn reason_text(&self) -> Option<&'e str> {
        match self.event.dropped() {
            Some(dropped) => dropped.text,
            None => self.event.end().and_then(|end| end.text.as_deref()),
        }
    }

    fn qos(&self) -> Option<u8> {
        let of_subscription = self.event.subscription().map(|subscription| subscription.qos);
        let of_unsubscription = || self.event.unsubscription().map(|end| end.qos);
        let of_delivery = || self.event.delivery().map(|delivery| delivery.qos);
        of_subscription
            .or_else(of_unsubscription)
            .or_else(of_delivery)
            .or_else(|| self.event.message().map(|message| message.qos))
    }

    fn group(&self) -> Option<&'e str> {
        match self.event.filter() {
            Some((_, group)) => group,
            None => self.event.delivery().and_then(|delivery| delivery.group.as_deref()),
        }
    }
}

fn peername(client: Option<&Client>) -> Value<'static> {
    let peer = client.and_then(|client| client.peer.as_ref());
    peer.filter(|peer| !peer.ip.is_empty()).map(ToString::to_string).into()
}

fn numbers(list: &[u32]) -> Value<'static> {
    Value::List(list.iter().copied().map(Value::from).collect())
}

/// An object of names and texts. A name that occurs several times has a list of its values.
fn object(pairs: &[(String, String)]) -> Value<'_> {
    let mut by_name: BTreeMap<&str, Vec<Value<'_>>> = BTreeMap::new();
    for (name, value) in pairs {
        by_name.entry(name).or_default().push(value.as_str().into());
    }
    Value::object(by_name.into_iter().rev().map(|(name, mut values)| {
        let only = if values.len() == 1 { values.pop() } else { None };
        (Cow::Borrowed(name), only.unwrap_or(Value::List(values)))
    }))
}

/// An object of the standard properties of MQTT 5, by their names in the standard, with hyphens.
fn standard(properties: &Properties) -> Value<'_> {
    Value::object(properties.standard.iter().map(|property| {
        let (name, value) = property::named(property);
        let value = match value {
            PropertyValue::Number(number) => number.into(),
            PropertyValue::Text(text) => text.into(),
            PropertyValue::Binary(bytes) => STANDARD.encode(bytes).into(),
        };
        (Cow::Borrowed(name), value)
    }))
}

#[cfg(test)]
#[path = "event_fields_tests.rs"]
mod tests;
