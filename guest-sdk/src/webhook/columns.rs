//! The columns of EMQX 5's rule engine (5.8), for one event and one rule.
//!
//! They are what the bodies of format `emqx5` are made of, what `select` chooses from, and what `where` asks about in
//! every format. [`Row::names`] has the names for each kind of event, [`Row::value`] the value of each name; both are
//! borrowed from the event wherever that can be.
//!
//! Names are in descending order, as is everything that EMQX prints: its maps come out that way.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value as Json;

use super::emqx_reason::{self, Emqx};
use super::encoding::Encoding;
use super::key::RuleKey;
use super::rules::Rule;
use super::sql::{Columns, Value};
use crate::event::{
    Access, Address, Client, Connack, Connection, Delivery, Detail, Event, Message, Properties, Property, Subscription,
};
use crate::json::push_number;

/// One event as a row of columns.
pub(super) struct Row<'e> {
    key: RuleKey,
    event: &'e Event,
    /// The host's node.
    node: &'e str,
    rule_id: &'e str,
    encoding: Encoding,
    /// As EMQX 5.2 and its page have it.
    documented: bool,
    /// The data of an event without a kind of its own.
    data: OnceCell<Option<Json>>,
}

const COMMON: [&str; 4] = ["timestamp", "node", "metadata", "event"];

const CONNECT: &[&str] = &[
    "username",
    "timestamp",
    "sockname",
    "receive_maximum",
    "proto_ver",
    "proto_name",
    "peername",
    "node",
    "mountpoint",
    "metadata",
    "keepalive",
    "is_bridge",
    "expiry_interval",
    "event",
    "conn_props",
    "clientid",
    "client_attrs",
    "clean_start",
];

const CONNECTED: &[&str] = &[
    "username",
    "timestamp",
    "sockname",
    "receive_maximum",
    "proto_ver",
    "proto_name",
    "peername",
    "node",
    "mountpoint",
    "metadata",
    "keepalive",
    "is_bridge",
    "expiry_interval",
    "event",
    "connected_at",
    "conn_props",
    "clientid",
    "client_attrs",
    "clean_start",
];

const CONNACK: &[&str] = &[
    "username",
    "timestamp",
    "sockname",
    "reason_code",
    "proto_ver",
    "proto_name",
    "peername",
    "node",
    "metadata",
    "keepalive",
    "expiry_interval",
    "event",
    "conn_props",
    "clientid",
    "clean_start",
];

const DISCONNECTED: &[&str] = &[
    "username",
    "timestamp",
    "sockname",
    "reason",
    "proto_ver",
    "proto_name",
    "peername",
    "node",
    "metadata",
    "event",
    "disconnected_at",
    "disconn_props",
    "connected_at",
    "clientid",
    "client_attrs",
];

const AUTHENTICATED: &[&str] = &[
    "username",
    "timestamp",
    "reason_code",
    "peername",
    "node",
    "metadata",
    "is_superuser",
    "is_anonymous",
    "event",
    "clientid",
    "client_attrs",
];

const AUTHORIZED: &[&str] = &[
    "username",
    "topic",
    "timestamp",
    "result",
    "peername",
    "peerhost",
    "node",
    "metadata",
    "event",
    "clientid",
    "client_attrs",
    "authz_source",
    "action",
];

const SUBSCRIPTION: &[&str] = &[
    "username",
    "topic",
    "timestamp",
    "sub_props",
    "qos",
    "peername",
    "peerhost",
    "node",
    "metadata",
    "event",
    "clientid",
    "client_attrs",
];

const UNSUBSCRIPTION: &[&str] = &[
    "username",
    "unsub_props",
    "topic",
    "timestamp",
    "qos",
    "peername",
    "peerhost",
    "node",
    "metadata",
    "event",
    "clientid",
    "client_attrs",
];

const SESSION: &[&str] = &[
    "username",
    "timestamp",
    "peername",
    "peerhost",
    "node",
    "metadata",
    "event",
    "created_at",
    "clientid",
    "client_attrs",
];

const TERMINATED: &[&str] = &[
    "username",
    "timestamp",
    "reason",
    "peername",
    "peerhost",
    "node",
    "metadata",
    "event",
    "created_at",
    "clientid",
    "client_attrs",
];

const PUBLISH: &[&str] = &[
    "username",
    "topic",
    "timestamp",
    "qos",
    "publish_received_at",
    "pub_props",
    "peername",
    "peerhost",
    "payload",
    "node",
    "metadata",
    "id",
    "flags",
    "event",
    "clientid",
    "client_attrs",
];

const DROPPED: &[&str] = &[
    "username",
    "topic",
    "timestamp",
    "reason",
    "qos",
    "publish_received_at",
    "pub_props",
    "peername",
    "peerhost",
    "payload",
    "node",
    "metadata",
    "id",
    "flags",
    "event",
    "clientid",
];

const DELIVERED: &[&str] = &[
    "username",
    "topic",
    "timestamp",
    "qos",
    "publish_received_at",
    "pub_props",
    "peername",
    "peerhost",
    "payload",
    "node",
    "metadata",
    "id",
    "from_username",
    "from_clientid",
    "flags",
    "event",
    "clientid",
];

const ACKED: &[&str] = &[
    "username",
    "topic",
    "timestamp",
    "qos",
    "publish_received_at",
    "puback_props",
    "pub_props",
    "peername",
    "peerhost",
    "payload",
    "node",
    "metadata",
    "id",
    "from_username",
    "from_clientid",
    "flags",
    "event",
    "clientid",
];

const DELIVERY_DROPPED: &[&str] = &[
    "username",
    "topic",
    "timestamp",
    "reason",
    "qos",
    "publish_received_at",
    "pub_props",
    "peername",
    "peerhost",
    "payload",
    "node",
    "metadata",
    "id",
    "from_username",
    "from_clientid",
    "flags",
    "event",
    "clientid",
];

const LOST: &[&str] = &[
    "username",
    "topic",
    "timestamp",
    "peername",
    "peerhost",
    "node",
    "metadata",
    "event",
    "count",
    "clientid",
];

const OTHER: &[&str] = &[
    "username",
    "timestamp",
    "peername",
    "peerhost",
    "node",
    "metadata",
    "event",
    "clientid",
    "client_attrs",
];

impl<'e> Row<'e> {
    /// The row of an event for a rule of a key; `node` is the name of the host's node.
    pub(super) fn new(key: RuleKey, rule: &'e Rule, event: &'e Event, node: &'e str) -> Row<'e> {
        Row {
            key,
            event,
            node,
            rule_id: &rule.action,
            encoding: rule.shape.payload_encoding,
            documented: rule.shape.as_documented,
            data: OnceCell::new(),
        }
    }

    /// The names of all columns of the event, in descending order, but for those in the data of [`Detail::Other`].
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        let names: &[&str] = match &self.event.detail {
            Detail::ClientConnect(_) => CONNECT,
            Detail::ClientConnack(_) => CONNACK,
            Detail::ClientConnected(_) => CONNECTED,
            Detail::ClientDisconnected(_) => DISCONNECTED,
            Detail::ClientAuthenticated(_) => AUTHENTICATED,
            Detail::ClientAuthorized(_) => AUTHORIZED,
            Detail::ClientSubscribe(_) | Detail::SessionSubscribed(_) => SUBSCRIPTION,
            Detail::ClientUnsubscribe(_) | Detail::SessionUnsubscribed(_) => UNSUBSCRIPTION,
            Detail::SessionCreated(_)
            | Detail::SessionResumed(_)
            | Detail::SessionDiscarded(_)
            | Detail::SessionTakenOver(_) => SESSION,
            Detail::SessionTerminated(_) => TERMINATED,
            Detail::MessagePublish(_) => PUBLISH,
            Detail::MessageDropped(_) | Detail::MessageRefused(_) => DROPPED,
            Detail::MessageDelivered(_) | Detail::MessageQueued(_) => DELIVERED,
            Detail::MessageAcked(_) => ACKED,
            Detail::DeliveryDropped(_) => DELIVERY_DROPPED,
            Detail::DeliveryLost(_) => LOST,
            Detail::Other(other) if other.client.is_some() => OTHER,
            Detail::Other(_) => &COMMON,
        };
        let old = self.documented;
        // Before 5.8 there was the host of the peer alone, and no attributes.
        let has_host = names.contains(&"peerhost");
        let is_end = names.contains(&"disconnected_at");
        names.iter().copied().filter(move |name| {
            !old || match *name {
                "client_attrs" => false,
                "peername" => !has_host,
                "connected_at" => !is_end,
                _ => true,
            }
        })
    }

    /// The value of a column; [`Value::Undefined`] if the event has none of that name.
    fn value(&self, name: &str) -> Value<'_> {
        if let Detail::Other(_) = self.event.detail
            && let Some(value) = self.data().and_then(|data| data.get(name))
        {
            return Value::from(value);
        }
        match name {
            "event" => Value::text(self.event_name()),
            "timestamp" => self.event.at.into(),
            "node" => Value::text(self.node_name()),
            "metadata" => Value::Object(vec![("rule_id".into(), Value::text(self.rule_id))]),
            "clientid" => self.client().map_or(Value::Undefined, |client| Value::text(&client.id)),
            "username" => Value::optional(self.client().and_then(|client| client.username.as_deref())),
            "peername" => name_of(self.client().and_then(|client| client.peer.as_ref())),
            "peerhost" => host_of(self.client().and_then(|client| client.peer.as_ref())),
            "client_attrs" => attributes(self.client()),
            _ => self
                .of_connection(name)
                .or_else(|| self.of_message(name))
                .or_else(|| self.of_others(name))
                .unwrap_or(Value::Undefined),
        }
    }

    fn event_name(&self) -> &str {
        match &self.event.detail {
            Detail::ClientConnect(_) => "client.connect",
            Detail::ClientConnack(_) => "client.connack",
            Detail::ClientConnected(_) => "client.connected",
            Detail::ClientDisconnected(_) => "client.disconnected",
            Detail::ClientAuthenticated(_) => "client.check_authn_complete",
            Detail::ClientAuthorized(_) => "client.check_authz_complete",
            Detail::ClientSubscribe(_) => "client.subscribe",
            Detail::ClientUnsubscribe(_) => "client.unsubscribe",
            Detail::SessionCreated(_) => "session.created",
            Detail::SessionResumed(_) => "session.resumed",
            Detail::SessionSubscribed(_) => "session.subscribed",
            Detail::SessionUnsubscribed(_) => "session.unsubscribed",
            Detail::SessionDiscarded(_) => "session.discarded",
            Detail::SessionTakenOver(_) => "session.takenover",
            Detail::SessionTerminated(_) => "session.terminated",
            Detail::MessagePublish(_) => "message.publish",
            Detail::MessageDelivered(_) => "message.delivered",
            Detail::MessageAcked(_) => "message.acked",
            Detail::MessageDropped(_) => "message.dropped",
            Detail::MessageRefused(_) if self.key == RuleKey::MessageDropped => "message.dropped",
            Detail::MessageRefused(_) => "message.refused",
            Detail::DeliveryDropped(_) => "delivery.dropped",
            Detail::MessageQueued(_) => "message.queued",
            Detail::DeliveryLost(_) => "delivery.lost",
            Detail::Other(other) => &other.name,
        }
    }

    fn client(&self) -> Option<&Client> {
        self.event.client()
    }

    fn node_name(&self) -> &str {
        let node = self.client().and_then(|client| client.node.as_ref());
        node.map_or(self.node, |node| node.name.as_str())
    }

    fn data(&self) -> Option<&Json> {
        let parse = || match &self.event.detail {
            Detail::Other(other) => serde_json::from_str(&other.data).ok().filter(Json::is_object),
            _ => None,
        };
        self.data.get_or_init(parse).as_ref()
    }

    fn of_connection(&self, name: &str) -> Option<Value<'_>> {
        let (connection, connack): (&Connection, Option<&Connack>) = match &self.event.detail {
            Detail::ClientConnect(connection) => (connection, None),
            Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => (&connack.connection, Some(connack)),
            Detail::ClientDisconnected(disconnection) => (&disconnection.connection, None),
            Detail::ClientAuthenticated(authentication) => (&authentication.connection, None),
            _ => return None,
        };
        let expiry = u64::from(connection.session_expiry);
        Some(match (name, &self.event.detail) {
            ("sockname", _) => name_of(connection.local.as_ref()),
            ("proto_name", _) => Value::text(&connection.protocol_name),
            ("proto_ver", _) => connection.client.protocol_version.into(),
            ("mountpoint", _) => Value::optional(connection.mountpoint.as_deref()),
            ("keepalive", _) => connection.keep_alive.into(),
            ("clean_start", _) => connection.clean_start.into(),
            ("receive_maximum", _) => connection.receive_maximum.into(),
            ("is_bridge", _) => connection.bridge.into(),
            // Milliseconds in this one event.
            ("expiry_interval", Detail::ClientConnack(_)) => (expiry * 1000).into(),
            ("expiry_interval", _) => expiry.into(),
            ("conn_props", _) => properties(connection.properties.as_ref()),
            ("connected_at", Detail::ClientDisconnected(disconnection)) => moment(disconnection.connected_at),
            ("connected_at", _) => moment(connack?.connected_at),
            ("reason_code", Detail::ClientAuthenticated(authentication)) => {
                Value::text(emqx_reason::code(authentication.code))
            }
            ("reason_code", _) => Value::text(emqx_reason::code(connack?.code)),
            ("is_anonymous", Detail::ClientAuthenticated(authentication)) => authentication.anonymous.into(),
            ("is_superuser", Detail::ClientAuthenticated(authentication)) => authentication.superuser.into(),
            ("reason", Detail::ClientDisconnected(disconnection)) => {
                Value::Text(emqx_reason::end(&disconnection.end, Some(connection), Emqx::Five))
            }
            ("disconnected_at", Detail::ClientDisconnected(disconnection)) => disconnection.disconnected_at.into(),
            ("disconn_props", Detail::ClientDisconnected(disconnection)) => {
                properties(disconnection.end.properties.as_ref())
            }
            _ => return None,
        })
    }

    fn of_message(&self, name: &str) -> Option<Value<'_>> {
        let (message, delivery): (&Message, Option<&Delivery>) = match &self.event.detail {
            Detail::MessagePublish(message) => (message, None),
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => (&drop.message, None),
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => (&delivery.message, Some(delivery)),
            Detail::MessageAcked(acknowledgement) => {
                (&acknowledgement.delivery.message, Some(&acknowledgement.delivery))
            }
            Detail::DeliveryDropped(drop) => (&drop.delivery.message, Some(&drop.delivery)),
            _ => return None,
        };
        let (qos, retain, dup) = match delivery {
            Some(delivery) => (delivery.qos, delivery.retain, delivery.dup),
            None => (message.qos, message.retain, message.dup),
        };
        Some(match (name, &self.event.detail) {
            ("id", _) => Value::text(&message.id),
            ("topic", _) => Value::text(&message.topic),
            ("payload", _) => Value::Text(String::from_utf8_lossy(&message.payload)),
            ("qos", _) => qos.into(),
            ("flags", _) => Value::Object(vec![("retain".into(), retain.into()), ("dup".into(), dup.into())]),
            ("pub_props", _) => properties(message.properties.as_ref()),
            ("publish_received_at", _) => message.received_at.into(),
            ("from_clientid", _) => delivery.map(|_| Value::text(&message.publisher.id))?,
            ("from_username", _) => delivery.map(|_| Value::optional(message.publisher.username.as_deref()))?,
            ("puback_props", Detail::MessageAcked(acknowledgement)) => properties(acknowledgement.properties.as_ref()),
            ("reason", Detail::MessageDropped(drop) | Detail::MessageRefused(drop)) => {
                Value::text(emqx_reason::drop(drop.reason, drop.code, drop.text.as_deref()))
            }
            ("reason", Detail::DeliveryDropped(drop)) => {
                Value::text(emqx_reason::drop(drop.reason, drop.code, drop.text.as_deref()))
            }
            _ => return None,
        })
    }

    fn of_others(&self, name: &str) -> Option<Value<'_>> {
        Some(match (name, &self.event.detail) {
            ("topic", Detail::ClientAuthorized(authorization)) => Value::text(&authorization.topic),
            ("action", Detail::ClientAuthorized(authorization)) => Value::text(match authorization.access {
                Access::Publish => "publish",
                Access::Subscribe => "subscribe",
            }),
            ("authz_source", Detail::ClientAuthorized(authorization)) => Value::text(&authorization.source),
            ("result", Detail::ClientAuthorized(authorization)) => {
                Value::text(if authorization.allowed { "allow" } else { "deny" })
            }
            (_, Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription)) => {
                self.of_subscription(name, subscription)?
            }
            ("topic", Detail::ClientUnsubscribe(end) | Detail::SessionUnsubscribed(end)) => {
                self.filter(&end.filter, end.group.as_deref())
            }
            ("qos", Detail::ClientUnsubscribe(end) | Detail::SessionUnsubscribed(end)) => end.qos.into(),
            ("unsub_props", Detail::ClientUnsubscribe(end) | Detail::SessionUnsubscribed(end)) => {
                properties(end.properties.as_ref())
            }
            (
                "created_at",
                Detail::SessionCreated(session)
                | Detail::SessionResumed(session)
                | Detail::SessionDiscarded(session)
                | Detail::SessionTakenOver(session),
            ) => moment(session.created_at),
            ("created_at", Detail::SessionTerminated(termination)) => moment(termination.session.created_at),
            ("reason", Detail::SessionTerminated(termination)) => {
                Value::Text(emqx_reason::end(&termination.end, None, Emqx::Five))
            }
            ("topic", Detail::DeliveryLost(loss)) => self.filter(&loss.filter, loss.group.as_deref()),
            ("count", Detail::DeliveryLost(loss)) => loss.count.into(),
            _ => return None,
        })
    }

    fn of_subscription<'s>(&self, name: &str, subscription: &'s Subscription) -> Option<Value<'s>> {
        Some(match name {
            "topic" => self.filter(&subscription.filter, subscription.group.as_deref()),
            "qos" => subscription.qos.into(),
            "sub_props" => {
                let known = properties(subscription.properties.as_ref());
                match (known, subscription.id) {
                    (Value::Object(entries), Some(id)) => {
                        let id = ("Subscription-Identifier".into(), id.into());
                        Value::object(entries.into_iter().chain([id]))
                    }
                    (known, _) => known,
                }
            }
            _ => return None,
        })
    }

    /// A filter with its shared group before it, since 5.4.
    fn filter<'s>(&self, filter: &'s str, group: Option<&str>) -> Value<'s> {
        match group {
            None => Value::text(filter),
            Some(_) if self.documented => Value::text(filter),
            Some("$queue") => Value::Text(format!("$queue/{filter}").into()),
            Some(group) => Value::Text(format!("$share/{group}/{filter}").into()),
        }
    }

    /// Appends the whole row as JSON.
    pub(super) fn push(&self, out: &mut String) {
        if self.data().is_some() {
            Value::object(self.all()).push(out);
            return;
        }
        let mut before = '{';
        for name in self.names() {
            out.push(before);
            before = ',';
            out.push('"');
            out.push_str(name);
            out.push_str("\":");
            match (name, self.event.message()) {
                // No copy of what may be long.
                ("payload", Some(message)) if self.encoding != Encoding::Plain => {
                    self.encoding.push_json(out, &message.payload);
                }
                _ => self.value(name).push(out),
            }
        }
        out.push('}');
    }
}

impl Columns for Row<'_> {
    fn get(&self, name: &str) -> Value<'_> {
        self.value(name)
    }

    fn shown(&self, name: &str) -> Value<'_> {
        match (name, self.event.message()) {
            ("payload", Some(message)) if self.encoding != Encoding::Plain => {
                let mut text = String::new();
                self.encoding.push(&mut text, &message.payload);
                Value::Text(text.into())
            }
            _ => self.value(name),
        }
    }

    fn all(&self) -> Vec<(Cow<'_, str>, Value<'_>)> {
        let data = self.data().and_then(Json::as_object).into_iter().flatten();
        let data = data.map(|(name, value)| (Cow::Borrowed(name.as_str()), Value::from(value)));
        let names = self.names().map(|name| (Cow::Borrowed(name), self.shown(name)));
        names.chain(data).collect()
    }
}

/// IP address and port without brackets; an IPv4 address that IPv6 carries is printed as one.
fn name_of(address: Option<&Address>) -> Value<'_> {
    match address.filter(|address| !address.ip.is_empty()) {
        None => Value::Undefined,
        Some(address) => {
            let mut text = String::from(plain_ip(&address.ip));
            text.push(':');
            push_number(&mut text, address.port);
            Value::Text(text.into())
        }
    }
}

fn host_of(address: Option<&Address>) -> Value<'_> {
    match address.filter(|address| !address.ip.is_empty()) {
        None => Value::Undefined,
        Some(address) => Value::text(plain_ip(&address.ip)),
    }
}

fn plain_ip(ip: &str) -> &str {
    ip.strip_prefix("::ffff:").filter(|ip| ip.contains('.')).unwrap_or(ip)
}

fn moment(at: Option<u64>) -> Value<'static> {
    at.map_or(Value::Undefined, Value::from)
}

fn attributes(client: Option<&Client>) -> Value<'_> {
    let attributes = client
        .and_then(|client| client.attributes.as_deref())
        .unwrap_or_default();
    Value::object(
        attributes
            .iter()
            .map(|(name, value)| (Cow::Borrowed(name.as_str()), Value::text(value))),
    )
}

/// Properties of a packet, by their names in the standard. User properties are always there.
fn properties(properties: Option<&Properties>) -> Value<'_> {
    let user = properties
        .map(|properties| properties.user.as_slice())
        .unwrap_or_default();
    let by_name = user
        .iter()
        .map(|(name, value)| (Cow::Borrowed(name.as_str()), Value::text(value)));
    let mut entries = vec![("User-Property".into(), Value::object(by_name))];
    if !user.is_empty() {
        let pairs = user.iter().map(|(name, value)| {
            Value::Object(vec![
                ("value".into(), Value::text(value)),
                ("key".into(), Value::text(name)),
            ])
        });
        entries.push(("User-Property-Pairs".into(), Value::List(pairs.collect())));
    }
    let standard = properties
        .map(|properties| properties.standard.as_slice())
        .unwrap_or_default();
    if standard.is_empty() && user.is_empty() {
        return Value::Object(entries);
    }
    Value::object(entries.into_iter().chain(standard.iter().map(property)))
}

fn property(property: &Property) -> (Cow<'_, str>, Value<'_>) {
    let (name, value) = match property {
        Property::PayloadFormatIndicator(value) => ("Payload-Format-Indicator", (*value).into()),
        Property::MessageExpiryInterval(value) => ("Message-Expiry-Interval", (*value).into()),
        Property::ContentType(value) => ("Content-Type", Value::text(value)),
        Property::ResponseTopic(value) => ("Response-Topic", Value::text(value)),
        Property::CorrelationData(value) => ("Correlation-Data", Value::Text(String::from_utf8_lossy(value))),
        Property::SubscriptionIdentifier(value) => ("Subscription-Identifier", (*value).into()),
        Property::SessionExpiryInterval(value) => ("Session-Expiry-Interval", (*value).into()),
        Property::AssignedClientIdentifier(value) => ("Assigned-Client-Identifier", Value::text(value)),
        Property::ServerKeepAlive(value) => ("Server-Keep-Alive", (*value).into()),
        Property::AuthenticationMethod(value) => ("Authentication-Method", Value::text(value)),
        Property::RequestProblemInformation(value) => ("Request-Problem-Information", u8::from(*value).into()),
        Property::WillDelayInterval(value) => ("Will-Delay-Interval", (*value).into()),
        Property::RequestResponseInformation(value) => ("Request-Response-Information", u8::from(*value).into()),
        Property::ResponseInformation(value) => ("Response-Information", Value::text(value)),
        Property::ServerReference(value) => ("Server-Reference", Value::text(value)),
        Property::ReasonString(value) => ("Reason-String", Value::text(value)),
        Property::ReceiveMaximum(value) => ("Receive-Maximum", (*value).into()),
        Property::TopicAliasMaximum(value) => ("Topic-Alias-Maximum", (*value).into()),
        Property::TopicAlias(value) => ("Topic-Alias", (*value).into()),
        Property::MaximumQos(value) => ("Maximum-QoS", (*value).into()),
        Property::RetainAvailable(value) => ("Retain-Available", u8::from(*value).into()),
        Property::MaximumPacketSize(value) => ("Maximum-Packet-Size", (*value).into()),
        Property::WildcardSubscriptionAvailable(value) => ("Wildcard-Subscription-Available", u8::from(*value).into()),
        Property::SubscriptionIdentifierAvailable(value) => {
            ("Subscription-Identifier-Available", u8::from(*value).into())
        }
        Property::SharedSubscriptionAvailable(value) => ("Shared-Subscription-Available", u8::from(*value).into()),
    };
    (Cow::Borrowed(name), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_descending_order() {
        for names in [
            &COMMON[..],
            CONNECT,
            CONNECTED,
            CONNACK,
            DISCONNECTED,
            AUTHENTICATED,
            AUTHORIZED,
            SUBSCRIPTION,
            UNSUBSCRIPTION,
            SESSION,
            TERMINATED,
            PUBLISH,
            DROPPED,
            DELIVERED,
            ACKED,
            DELIVERY_DROPPED,
            LOST,
            OTHER,
        ] {
            assert!(names.is_sorted_by(|one, next| one > next), "{names:?}");
            assert!(COMMON.iter().all(|name| names.contains(name)));
        }
    }

    #[test]
    fn addresses_are_printed_as_emqx_does() {
        for (ip, name, host) in [
            ("127.0.0.1", "127.0.0.1:5", "127.0.0.1"),
            ("::1", "::1:5", "::1"),
            ("::ffff:10.0.0.5", "10.0.0.5:5", "10.0.0.5"),
        ] {
            let address = Address { ip: ip.into(), port: 5 };
            assert_eq!(name_of(Some(&address)), Value::text(name));
            assert_eq!(host_of(Some(&address)), Value::text(host));
        }
        let unknown = Address { ip: "".into(), port: 5 };
        assert_eq!(name_of(Some(&unknown)), Value::Undefined);
        assert_eq!(host_of(None), Value::Undefined);
    }
}
