//! The fields of an event: one table of names and what each is, for templates, headers, URLs and CloudEvents.
//!
//! Names are those of EMQX 5's columns where it has them. Values are neutral: what is missing is missing, reasons are
//! the words of the contract with `_` for `-`, codes are those of MQTT 5, times are milliseconds since 1970, spans are
//! seconds. A field that an event does not have has no value; that is no mistake, because one template may serve rules
//! for several events.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::fields::Fields;
use crate::event::{
    Access, Authorization, Client, Connack, Connection, Delivery, Detail, Disconnection, DropReason, End, EndReason,
    Event, Hook, Message, Node, Origin, Properties, Property, Session, Subscription, Transport, Unsubscription,
};
use crate::time::rfc3339;

/// The fields of one event for one rule.
#[derive(Debug, Clone, Copy)]
pub struct EventFields<'a> {
    event: &'a Event,
    node: &'a Node,
    action: &'a str,
}

type Read = fn(&EventFields<'_>) -> Value;

/// Every field, by name.
#[rustfmt::skip]
const TABLE: &[(&str, Read)] = &[
    ("access", |f| f.authorization().map(|a| match a.access { Access::Publish => "publish", Access::Subscribe => "subscribe" }).into()),
    ("action", |f| f.action.into()),
    ("anonymous", |f| match &f.event.detail { Detail::ClientAuthenticated(a) => a.anonymous.into(), _ => Value::Null }),
    ("cert_common_name", |f| f.connection().and_then(|c| Some(c.certificate.as_ref()?.common_name.as_str())).into()),
    ("cert_subject", |f| f.connection().and_then(|c| Some(c.certificate.as_ref()?.subject.as_str())).into()),
    ("clean_start", |f| f.connection().map(|c| c.clean_start).into()),
    ("client_attrs", |f| f.client().and_then(|c| c.attributes.as_deref()).map_or(Value::Null, object)),
    ("clientid", |f| f.client().map(|c| c.id.as_str()).into()),
    ("code", |f| f.code().into()),
    ("connected_at", |f| match &f.event.detail {
        Detail::ClientDisconnected(d) => d.connected_at.into(),
        _ => f.connack().and_then(|c| c.connected_at).into(),
    }),
    ("content_type", |f| f.properties().and_then(Properties::content_type).into()),
    ("correlation_data", |f| f.properties().and_then(Properties::correlation_data).map(|bytes| STANDARD.encode(bytes)).into()),
    ("count", |f| match &f.event.detail { Detail::DeliveryLost(loss) => loss.count.into(), _ => Value::Null }),
    ("created_at", |f| f.session().and_then(|s| s.created_at).into()),
    ("data", |f| match &f.event.detail { Detail::Other(other) => serde_json::from_str(&other.data).unwrap_or_default(), _ => Value::Null }),
    ("disconnected_at", |f| f.disconnection().map(|d| d.disconnected_at).into()),
    ("dup", |f| f.delivery().map(|d| d.dup).or(f.message().map(|m| m.dup)).into()),
    ("event", |f| event_name(f.event).into()),
    ("event_id", |f| f.event.id.as_str().into()),
    ("expiry_interval", |f| f.connection().map(|c| c.session_expiry).into()),
    ("extras", |f| f.event.extras.as_deref().map_or(Value::Null, object)),
    ("from_clientid", |f| f.message().map(|m| m.publisher.id.as_str()).into()),
    ("from_peername", |f| peername(f.message().map(|m| &m.publisher))),
    ("from_username", |f| f.message().and_then(|m| m.publisher.username.as_deref()).into()),
    ("group", |f| f.group().into()),
    ("id", |f| f.message().map(|m| m.id.as_str()).into()),
    ("is_bridge", |f| f.connection().map(|c| c.bridge).into()),
    ("is_new", |f| f.subscription().map(|s| s.is_new).into()),
    ("keepalive", |f| f.connection().map(|c| c.keep_alive).into()),
    ("listener", |f| f.connection().map(|c| c.listener.as_str()).into()),
    ("local_time", |f| f.event.local_time().to_string().into()),
    ("mountpoint", |f| f.connection().and_then(|c| c.mountpoint.as_deref()).into()),
    ("no_local", |f| f.subscription().map(|s| s.no_local).into()),
    ("node", |f| f.node().name.as_str().into()),
    ("node_id", |f| f.node().id.into()),
    ("origin", |f| f.message().map(|m| origin(m.origin)).into()),
    ("packet_id", |f| match f.delivery() {
        Some(delivery) => delivery.packet_id.into(),
        None => f.message().and_then(|m| m.packet_id).into(),
    }),
    ("payload", |f| f.message().map(|m| String::from_utf8_lossy(&m.payload)).into()),
    ("payload_base64", |f| f.message().map(|m| STANDARD.encode(&m.payload)).into()),
    ("peerhost", |f| f.client().and_then(|c| Some(c.peer.as_ref()?.ip.as_str()).filter(|ip| !ip.is_empty())).into()),
    ("peername", |f| peername(f.client())),
    ("peerport", |f| f.client().and_then(|c| Some(c.peer.as_ref()?.port).filter(|port| *port != 0)).into()),
    ("properties", |f| f.properties().map_or(Value::Null, standard)),
    ("proto_name", |f| f.connection().map(|c| c.protocol_name.as_str()).into()),
    ("proto_ver", |f| f.client().map(|c| c.protocol_version).filter(|version| *version != 0).into()),
    ("publish_received_at", |f| f.message().map(|m| m.received_at).into()),
    ("qos", |f| f.qos().into()),
    ("reason", |f| f.reason().into()),
    ("reason_text", |f| f.reason_text().into()),
    ("receive_maximum", |f| f.connection().map(|c| c.receive_maximum).into()),
    ("response_topic", |f| f.properties().and_then(Properties::response_topic).into()),
    ("result", |f| f.authorization().map(|a| if a.allowed { "allow" } else { "deny" }).into()),
    ("retain", |f| f.delivery().map(|d| d.retain).or(f.message().map(|m| m.retain)).into()),
    ("retain_as_published", |f| f.subscription().map(|s| s.retain_as_published).into()),
    ("retain_handling", |f| f.subscription().map(|s| s.retain_handling).into()),
    ("retained", |f| f.delivery().map(|d| d.retained).into()),
    ("session_present", |f| f.connack().map(|c| c.session_present).into()),
    ("sockname", |f| f.connection().and_then(|c| c.local.as_ref()).map(ToString::to_string).into()),
    ("source", |f| match &f.event.detail {
        Detail::ClientAuthenticated(a) => a.source.as_str().into(),
        Detail::ClientAuthorized(a) => a.source.as_str().into(),
        _ => Value::Null,
    }),
    ("subscription_id", |f| f.subscription().and_then(|s| s.id).into()),
    ("subscription_ids", |f| f.delivery().and_then(|d| d.subscription_ids.clone()).into()),
    ("superuser", |f| match &f.event.detail { Detail::ClientAuthenticated(a) => a.superuser.into(), _ => Value::Null }),
    ("time", |f| rfc3339(f.event.at).into()),
    ("timestamp", |f| f.event.at.into()),
    ("topic", |f| match f.event.detail { Detail::Other(_) => Value::Null, _ => f.event.subject().into() }),
    ("transport", |f| f.connection().map(|c| transport(c.transport)).into()),
    ("user_properties", |f| f.properties().filter(|p| !p.user.is_empty()).map_or(Value::Null, |p| object(&p.user))),
    ("username", |f| f.client().and_then(|c| c.username.as_deref()).into()),
];

impl Fields for EventFields<'_> {
    fn get(&self, name: &str) -> Option<Cow<'_, Value>> {
        let at = TABLE.binary_search_by_key(&name, |(name, _)| name).ok()?;
        let (_, read) = TABLE.get(at)?;
        Some(Cow::Owned(read(self)))
    }

    /// Without `payload_base64`, which says what `payload` says.
    fn all(&self) -> Map<String, Value> {
        let fields = TABLE.iter().filter(|(name, _)| *name != "payload_base64");
        let values = fields.map(|(name, read)| ((*name).to_owned(), read(self)));
        values.filter(|(_, value)| !value.is_null()).collect()
    }
}

impl<'a> EventFields<'a> {
    /// The fields of an event for a rule that calls it `action`, on a host that is `node`.
    pub fn new(event: &'a Event, node: &'a Node, action: &'a str) -> EventFields<'a> {
        EventFields { event, node, action }
    }

    /// The names of all fields, sorted.
    pub fn names() -> Vec<&'static str> {
        TABLE.iter().map(|(name, _)| *name).collect()
    }

    /// The event.
    pub fn event(&self) -> &'a Event {
        self.event
    }

    /// The node of the event's client, which is the host's own unless the event says otherwise.
    pub fn node(&self) -> &'a Node {
        self.client()
            .and_then(|client| client.node.as_ref())
            .unwrap_or(self.node)
    }

    fn client(&self) -> Option<&'a Client> {
        self.event.client()
    }

    fn message(&self) -> Option<&'a Message> {
        self.event.message()
    }

    fn connection(&self) -> Option<&'a Connection> {
        match &self.event.detail {
            Detail::ClientConnect(connection) => Some(connection),
            Detail::ClientAuthenticated(authentication) => Some(&authentication.connection),
            Detail::ClientDisconnected(disconnection) => Some(&disconnection.connection),
            _ => self.connack().map(|connack| &connack.connection),
        }
    }

    fn connack(&self) -> Option<&'a Connack> {
        match &self.event.detail {
            Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => Some(connack),
            _ => None,
        }
    }

    fn disconnection(&self) -> Option<&'a Disconnection> {
        match &self.event.detail {
            Detail::ClientDisconnected(disconnection) => Some(disconnection),
            _ => None,
        }
    }

    fn authorization(&self) -> Option<&'a Authorization> {
        match &self.event.detail {
            Detail::ClientAuthorized(authorization) => Some(authorization),
            _ => None,
        }
    }

    fn session(&self) -> Option<&'a Session> {
        match &self.event.detail {
            Detail::SessionCreated(session)
            | Detail::SessionResumed(session)
            | Detail::SessionDiscarded(session)
            | Detail::SessionTakenOver(session) => Some(session),
            Detail::SessionTerminated(termination) => Some(&termination.session),
            _ => None,
        }
    }

    fn subscription(&self) -> Option<&'a Subscription> {
        match &self.event.detail {
            Detail::ClientSubscribe(subscription) | Detail::SessionSubscribed(subscription) => Some(subscription),
            _ => None,
        }
    }

    fn unsubscription(&self) -> Option<&'a Unsubscription> {
        match &self.event.detail {
            Detail::ClientUnsubscribe(end) | Detail::SessionUnsubscribed(end) => Some(end),
            _ => None,
        }
    }

    fn delivery(&self) -> Option<&'a Delivery> {
        match &self.event.detail {
            Detail::MessageDelivered(delivery) | Detail::MessageQueued(delivery) => Some(delivery),
            Detail::MessageAcked(acknowledgement) => Some(&acknowledgement.delivery),
            Detail::DeliveryDropped(drop) => Some(&drop.delivery),
            _ => None,
        }
    }

    fn end(&self) -> Option<&'a End> {
        match &self.event.detail {
            Detail::SessionTerminated(termination) => Some(&termination.end),
            _ => self.disconnection().map(|disconnection| &disconnection.end),
        }
    }

    /// The properties of the packet that the event is about.
    pub(super) fn properties(&self) -> Option<&'a Properties> {
        if let Some(message) = self.message() {
            return message.properties.as_ref();
        }
        let of_end = self.end().map(|end| end.properties.as_ref());
        let of_connection = || self.connection().map(|connection| connection.properties.as_ref());
        let of_subscription = || self.subscription().map(|subscription| subscription.properties.as_ref());
        let of_unsubscription = || self.unsubscription().map(|end| end.properties.as_ref());
        of_end
            .or_else(of_connection)
            .or_else(of_subscription)
            .or_else(of_unsubscription)
            .flatten()
    }

    fn code(&self) -> Option<u8> {
        match &self.event.detail {
            Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => Some(connack.code),
            Detail::ClientAuthenticated(authentication) => Some(authentication.code),
            Detail::MessageAcked(acknowledgement) => Some(acknowledgement.code),
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => Some(drop.code),
            Detail::DeliveryDropped(drop) => Some(drop.code),
            _ => {
                let of_subscription = self.subscription().map(|subscription| subscription.code);
                let of_unsubscription = || self.unsubscription().map(|end| end.code);
                of_subscription
                    .or_else(of_unsubscription)
                    .or_else(|| self.end().and_then(|end| end.code))
            }
        }
    }

    fn reason(&self) -> Option<&'static str> {
        match &self.event.detail {
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => Some(drop_reason(drop.reason)),
            Detail::DeliveryDropped(drop) => Some(drop_reason(drop.reason)),
            _ => self.end().map(|end| end_reason(end.reason)),
        }
    }

    fn reason_text(&self) -> Option<&'a str> {
        match &self.event.detail {
            Detail::MessageDropped(drop) | Detail::MessageRefused(drop) => drop.text.as_deref(),
            Detail::DeliveryDropped(drop) => drop.text.as_deref(),
            _ => self.end().and_then(|end| end.text.as_deref()),
        }
    }

    fn qos(&self) -> Option<u8> {
        let of_subscription = self.subscription().map(|subscription| subscription.qos);
        let of_unsubscription = || self.unsubscription().map(|end| end.qos);
        let of_delivery = || self.delivery().map(|delivery| delivery.qos);
        of_subscription
            .or_else(of_unsubscription)
            .or_else(of_delivery)
            .or_else(|| self.message().map(|message| message.qos))
    }

    fn group(&self) -> Option<&'a str> {
        match &self.event.detail {
            Detail::DeliveryLost(loss) => loss.group.as_deref(),
            _ => {
                let of_subscription = self
                    .subscription()
                    .and_then(|subscription| subscription.group.as_deref());
                let of_unsubscription = || self.unsubscription().and_then(|end| end.group.as_deref());
                let of_delivery = || self.delivery().and_then(|delivery| delivery.group.as_deref());
                of_subscription.or_else(of_unsubscription).or_else(of_delivery)
            }
        }
    }
}

/// The name of an event with a dot after its first word, as the brokers write it: `message.publish`,
/// `session.taken_over`; that of an event without a kind as it is.
pub fn event_name(event: &Event) -> &str {
    match event.hook() {
        Hook::ClientConnect => "client.connect",
        Hook::ClientConnack => "client.connack",
        Hook::ClientConnected => "client.connected",
        Hook::ClientDisconnected => "client.disconnected",
        Hook::ClientAuthenticated => "client.authenticated",
        Hook::ClientAuthorized => "client.authorized",
        Hook::ClientSubscribe => "client.subscribe",
        Hook::ClientUnsubscribe => "client.unsubscribe",
        Hook::SessionCreated => "session.created",
        Hook::SessionResumed => "session.resumed",
        Hook::SessionSubscribed => "session.subscribed",
        Hook::SessionUnsubscribed => "session.unsubscribed",
        Hook::SessionDiscarded => "session.discarded",
        Hook::SessionTakenOver => "session.taken_over",
        Hook::SessionTerminated => "session.terminated",
        Hook::MessagePublish => "message.publish",
        Hook::MessageDelivered => "message.delivered",
        Hook::MessageAcked => "message.acked",
        Hook::MessageDropped => "message.dropped",
        Hook::MessageRefused => "message.refused",
        Hook::DeliveryDropped => "delivery.dropped",
        Hook::MessageQueued => "message.queued",
        Hook::DeliveryLost => "delivery.lost",
        Hook::Other => match &event.detail {
            Detail::Other(other) => &other.name,
            _ => "other",
        },
    }
}

fn peername(client: Option<&Client>) -> Value {
    let peer = client.and_then(|client| client.peer.as_ref());
    peer.filter(|peer| !peer.ip.is_empty()).map(ToString::to_string).into()
}

/// An object of names and texts; the values of a name that is repeated are a list.
fn object(pairs: &[(String, String)]) -> Value {
    let mut object = Map::new();
    for (name, value) in pairs {
        match object.get_mut(name) {
            None => drop(object.insert(name.clone(), Value::from(value.as_str()))),
            Some(Value::Array(values)) => values.push(Value::from(value.as_str())),
            Some(first) => *first = Value::Array(vec![first.take(), Value::from(value.as_str())]),
        }
    }
    Value::Object(object)
}

/// An object of the properties that MQTT 5 defines, by the names that the standard gives them, with hyphens.
fn standard(properties: &Properties) -> Value {
    properties
        .standard
        .iter()
        .map(named)
        .collect::<Map<String, Value>>()
        .into()
}

fn named(property: &Property) -> (String, Value) {
    let (name, value): (&str, Value) = match property {
        Property::PayloadFormatIndicator(value) => ("Payload-Format-Indicator", (*value).into()),
        Property::MessageExpiryInterval(value) => ("Message-Expiry-Interval", (*value).into()),
        Property::ContentType(value) => ("Content-Type", value.as_str().into()),
        Property::ResponseTopic(value) => ("Response-Topic", value.as_str().into()),
        Property::CorrelationData(value) => ("Correlation-Data", STANDARD.encode(value).into()),
        Property::SubscriptionIdentifier(value) => ("Subscription-Identifier", (*value).into()),
        Property::SessionExpiryInterval(value) => ("Session-Expiry-Interval", (*value).into()),
        Property::AssignedClientIdentifier(value) => ("Assigned-Client-Identifier", value.as_str().into()),
        Property::ServerKeepAlive(value) => ("Server-Keep-Alive", (*value).into()),
        Property::AuthenticationMethod(value) => ("Authentication-Method", value.as_str().into()),
        Property::RequestProblemInformation(value) => ("Request-Problem-Information", u8::from(*value).into()),
        Property::WillDelayInterval(value) => ("Will-Delay-Interval", (*value).into()),
        Property::RequestResponseInformation(value) => ("Request-Response-Information", u8::from(*value).into()),
        Property::ResponseInformation(value) => ("Response-Information", value.as_str().into()),
        Property::ServerReference(value) => ("Server-Reference", value.as_str().into()),
        Property::ReasonString(value) => ("Reason-String", value.as_str().into()),
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
    (name.to_owned(), value)
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Client => "client",
        Origin::Will => "will",
        Origin::Admin => "admin",
        Origin::System => "system",
        Origin::Bridge => "bridge",
        Origin::Module => "module",
    }
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::Websocket => "websocket",
        Transport::WebsocketTls => "websocket_tls",
        Transport::Quic => "quic",
        Transport::Other => "other",
    }
}

fn end_reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Disconnect => "disconnect",
        EndReason::Closed => "closed",
        EndReason::SocketError => "socket_error",
        EndReason::IoTimeout => "io_timeout",
        EndReason::KeepAliveTimeout => "keep_alive_timeout",
        EndReason::Kicked => "kicked",
        EndReason::TakenOver => "taken_over",
        EndReason::Discarded => "discarded",
        EndReason::NotAuthorized => "not_authorized",
        EndReason::ProtocolError => "protocol_error",
        EndReason::SubscribeFailed => "subscribe_failed",
        EndReason::UnsubscribeFailed => "unsubscribe_failed",
        EndReason::LimitExceeded => "limit_exceeded",
        EndReason::TooSlow => "too_slow",
        EndReason::Expired => "expired",
        EndReason::Module => "module",
        EndReason::Shutdown => "shutdown",
        EndReason::InternalError => "internal_error",
        EndReason::Other => "other",
    }
}

fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::NoSubscribers => "no_subscribers",
        DropReason::NotAuthorized => "not_authorized",
        DropReason::PacketIdInUse => "packet_id_in_use",
        DropReason::ReceiveMaximumExceeded => "receive_maximum_exceeded",
        DropReason::LimitExceeded => "limit_exceeded",
        DropReason::Invalid => "invalid",
        DropReason::Module => "module",
        DropReason::QueueFull => "queue_full",
        DropReason::WindowFull => "window_full",
        DropReason::NotQueued => "not_queued",
        DropReason::Expired => "expired",
        DropReason::NoLocal => "no_local",
        DropReason::TooLarge => "too_large",
        DropReason::Refused => "refused",
        DropReason::Disconnected => "disconnected",
        DropReason::SessionEnded => "session_ended",
        DropReason::Other => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Authentication, Certificate, DeliveryLoss, OtherEvent};
    use crate::testing;
    use serde_json::json;

    fn node() -> Node {
        Node {
            name: "hookhost@127.0.0.1".into(),
            id: 1,
        }
    }

    fn all(event: &Event) -> Value {
        Value::Object(EventFields::new(event, &node(), "act").all())
    }

    #[test]
    fn the_table_is_sorted_and_says_each_name_once() {
        let names = EventFields::names();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        assert!(names.iter().all(|name| {
            name.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        }));
    }

    #[test]
    fn fields_of_a_publish() {
        let mut event = testing::publish("a/b", b"{\"t\": 1}\xff");
        let Detail::MessagePublish(message) = &mut event.detail else {
            panic!()
        };
        message.properties = Some(Properties {
            standard: vec![
                Property::ContentType("application/json".into()),
                Property::CorrelationData(vec![0, 255]),
                Property::MessageExpiryInterval(60),
            ],
            user: [("k", "1"), ("x", "y"), ("k", "2")]
                .map(|(k, v)| (k.into(), v.into()))
                .to_vec(),
        });
        message.publisher.node = Some(Node {
            name: "other@node".into(),
            id: 2,
        });
        assert_eq!(
            all(&event),
            json!({
                "action": "act",
                "clientid": "publisher",
                "content_type": "application/json",
                "correlation_data": "AP8=",
                "dup": false,
                "event": "message.publish",
                "event_id": "000000000000000000000000000000E1",
                "from_clientid": "publisher",
                "from_peername": "127.0.0.1:50716",
                "id": "00000000000000000000000000000001",
                "local_time": "2026-09-21 14:13:21.002",
                "node": "other@node",
                "node_id": 2,
                "origin": "client",
                "packet_id": 1,
                "payload": "{\"t\": 1}\u{fffd}",
                "peerhost": "127.0.0.1",
                "peername": "127.0.0.1:50716",
                "peerport": 50716,
                "properties": {
                    "Content-Type": "application/json", "Correlation-Data": "AP8=", "Message-Expiry-Interval": 60
                },
                "proto_ver": 4,
                "publish_received_at": 1_790_000_001_000_u64,
                "qos": 1,
                "retain": false,
                "time": "2026-09-21T14:13:21.002Z",
                "timestamp": 1_790_000_001_002_u64,
                "topic": "a/b",
                "user_properties": {"k": ["1", "2"], "x": "y"},
            })
        );
        let node = node();
        let fields = EventFields::new(&event, &node, "act");
        assert_eq!(fields.get("payload_base64").unwrap().as_str(), Some("eyJ0IjogMX3/"));
        assert_eq!(fields.get("username").as_deref(), Some(&Value::Null));
        assert_eq!(fields.get("nobody"), None);
    }

    /// Those of the fields of an event that are asked for.
    fn some(event: &Event, names: &[&str]) -> Value {
        let (node, all) = (node(), all(event));
        let fields = EventFields::new(event, &node, "act");
        for name in names {
            let value = fields.get(name).unwrap_or_else(|| panic!("{name} is no field"));
            assert_eq!(all.get(name).unwrap_or(&Value::Null), &*value, "{name}");
        }
        names
            .iter()
            .map(|name| ((*name).to_owned(), fields.get(name).unwrap().into_owned()))
            .collect::<Map<_, _>>()
            .into()
    }

    #[test]
    fn each_kind_of_event_has_its_fields() {
        let mut connected = testing::connected("c");
        if let Detail::ClientConnected(connack) = &mut connected.detail {
            connack.connection.certificate = Some(Certificate {
                common_name: "cn".into(),
                subject: "CN=cn,O=o".into(),
            });
            connack.connection.client.username = Some("u".into());
        }
        assert_eq!(
            some(
                &connected,
                &[
                    "event",
                    "username",
                    "clean_start",
                    "keepalive",
                    "expiry_interval",
                    "receive_maximum",
                    "is_bridge",
                    "proto_name",
                    "sockname",
                    "listener",
                    "transport",
                    "connected_at",
                    "session_present",
                    "code",
                    "cert_common_name",
                    "cert_subject",
                    "mountpoint",
                    "topic",
                    "payload",
                ]
            ),
            json!({
                "event": "client.connected", "username": "u", "clean_start": true, "keepalive": 60,
                "expiry_interval": 0, "receive_maximum": 65_535, "is_bridge": false, "proto_name": "MQTT",
                "sockname": "127.0.0.1:1883", "listener": "tcp", "transport": "tcp",
                "connected_at": 1_790_000_001_000_u64, "session_present": false, "code": 0, "cert_common_name": "cn",
                "cert_subject": "CN=cn,O=o", "mountpoint": null, "topic": null, "payload": null,
            })
        );
        assert_eq!(
            some(
                &testing::disconnected("c", EndReason::KeepAliveTimeout),
                &[
                    "event",
                    "reason",
                    "reason_text",
                    "code",
                    "connected_at",
                    "disconnected_at",
                    "user_properties"
                ]
            ),
            json!({
                "event": "client.disconnected", "reason": "keep_alive_timeout", "reason_text": null, "code": null,
                "connected_at": 1_789_999_941_002_u64, "disconnected_at": 1_790_000_001_002_u64,
                "user_properties": null,
            })
        );
        let authenticated = testing::event(Detail::ClientAuthenticated(Authentication {
            connection: testing::connection("c"),
            code: 134,
            anonymous: false,
            superuser: true,
            source: "file".into(),
        }));
        assert_eq!(
            some(
                &authenticated,
                &["event", "clientid", "code", "anonymous", "superuser", "source"]
            ),
            json!({
                "event": "client.authenticated", "clientid": "c", "code": 134, "anonymous": false, "superuser": true,
                "source": "file",
            })
        );
        let authorized = testing::event(Detail::ClientAuthorized(Authorization {
            client: testing::client("c"),
            access: Access::Subscribe,
            topic: "t".into(),
            allowed: false,
            source: "default".into(),
        }));
        assert_eq!(
            some(&authorized, &["event", "topic", "access", "result", "source"]),
            json!({
                "event": "client.authorized", "topic": "t", "access": "subscribe", "result": "deny",
                "source": "default",
            })
        );
        let mut subscription = testing::subscription("a/#");
        subscription.group = Some("g".into());
        subscription.id = Some(9);
        assert_eq!(
            some(
                &testing::event(Detail::SessionSubscribed(subscription)),
                &[
                    "event",
                    "clientid",
                    "topic",
                    "group",
                    "qos",
                    "code",
                    "no_local",
                    "retain_as_published",
                    "retain_handling",
                    "subscription_id",
                    "is_new",
                ]
            ),
            json!({
                "event": "session.subscribed", "clientid": "receiver", "topic": "a/#", "group": "g", "qos": 1, "code": 1,
                "no_local": false, "retain_as_published": false, "retain_handling": 0, "subscription_id": 9,
                "is_new": true,
            })
        );
        assert_eq!(
            some(&testing::unsubscribed("a"), &["event", "topic", "group", "qos", "code"]),
            json!({"event": "session.unsubscribed", "topic": "a", "group": null, "qos": 1, "code": 0})
        );
        assert_eq!(
            some(
                &testing::event(Detail::SessionTerminated(testing::termination("c", EndReason::Expired))),
                &["event", "clientid", "created_at", "reason"]
            ),
            json!({
                "event": "session.terminated", "clientid": "c", "created_at": 1_790_000_001_001_u64, "reason": "expired",
            })
        );
        let mut delivery = testing::delivery("a", b"x");
        delivery.qos = 0;
        delivery.dup = true;
        delivery.retained = true;
        delivery.subscription_ids = Some(vec![1, 2]);
        assert_eq!(
            some(
                &testing::event(Detail::MessageDelivered(delivery)),
                &[
                    "event",
                    "clientid",
                    "from_clientid",
                    "qos",
                    "dup",
                    "retained",
                    "packet_id",
                    "subscription_ids",
                    "group",
                    "payload",
                ]
            ),
            json!({
                "event": "message.delivered", "clientid": "receiver", "from_clientid": "publisher", "qos": 0,
                "dup": true, "retained": true, "packet_id": 7, "subscription_ids": [1, 2], "group": null, "payload": "x",
            })
        );
        assert_eq!(
            some(
                &testing::delivery_dropped("a", b"", DropReason::QueueFull),
                &["event", "clientid", "from_clientid", "reason", "code"]
            ),
            json!({
                "event": "delivery.dropped", "clientid": "receiver", "from_clientid": "publisher",
                "reason": "queue_full", "code": 0,
            })
        );
        assert_eq!(
            some(
                &testing::refused("a", b"", DropReason::NotAuthorized, 135),
                &["event", "reason", "code", "retained"]
            ),
            json!({"event": "message.refused", "reason": "not_authorized", "code": 135, "retained": null})
        );
        let lost = testing::event(Detail::DeliveryLost(DeliveryLoss {
            receiver: testing::client("c"),
            filter: "a/#".into(),
            group: Some("g".into()),
            count: 3,
        }));
        assert_eq!(
            some(&lost, &["event", "clientid", "topic", "group", "count"]),
            json!({"event": "delivery.lost", "clientid": "c", "topic": "a/#", "group": "g", "count": 3})
        );
        let mut other = testing::event(Detail::Other(OtherEvent {
            name: "alarm.activated".into(),
            client: None,
            data: r#"{"name": "high"}"#.into(),
        }));
        other.extras = Some(vec![("k".into(), "v".into())]);
        assert_eq!(
            some(&other, &["event", "clientid", "topic", "data", "extras", "node"]),
            json!({
                "event": "alarm.activated", "clientid": null, "topic": null, "data": {"name": "high"},
                "extras": {"k": "v"}, "node": "hookhost@127.0.0.1",
            })
        );
    }
}
