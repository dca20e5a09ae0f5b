//! The JSON bodies of EMQX 4's web-hook plugin: those of 4.4.19, or of an older version if the rule sets one.
//!
//! Keys are in descending order, because EMQX prints its maps in that order. Older versions have fewer keys: `node` and
//! `disconnected_at` since 4.2, the other `connected_at` than that of `client_connected` since 4.3. EMQX 4.0 writes
//! `undefined` for a missing user name. With `as_documented` the body is another one, see
//! [`documented`](crate::format::documented).

use crate::encoding::Encoding;
use crate::format::emqx::{self, EmqxVersion};
use crate::json::{ObjectWriter, first, next, push_number};
use crate::key::RuleKey;
use crate::records::{ConnectStep, requested_client_id};
use crate::rules::Rule;
use hookhost_guest::{
    Body, Client, Connection, Delivery, Detail, Event, Message, Property, Subscription, Unsubscription,
};

/// Length of most bodies without payload, topic and names, in bytes.
const FIXED: usize = 256;

/// The body for an event; `None` if EMQX 4 has no body for the event under this key.
///
/// `node` is the name of the host's node, for clients that are not on another one.
pub(super) fn body(key: RuleKey, rule: &Rule, event: &Event, node: &str) -> Option<Body> {
    let mut body = Emqx4Body {
        out: ObjectWriter::of_emqx(),
        node,
        encoding: rule.shape.payload_encoding,
        version: rule.shape.emqx_version.unwrap_or(EmqxVersion::V4_4),
    };
    match (key, &event.detail) {
        (RuleKey::ClientConnect, Detail::ClientConnect(connection)) => {
            body.connect(connection, requested_client_id(event), ConnectStep::Connect);
        }
        (RuleKey::ClientConnack, Detail::ClientConnack(connack) | Detail::ClientConnected(connack)) => {
            body.connect(
                &connack.connection,
                requested_client_id(event),
                ConnectStep::Connack(connack),
            );
        }
        (RuleKey::ClientConnected, Detail::ClientConnected(connack)) => {
            let id = &connack.connection.client.id;
            body.connect(&connack.connection, id, ConnectStep::Connected(connack));
        }
        (RuleKey::ClientDisconnected, Detail::ClientDisconnected(disconnection)) => {
            let connection = &disconnection.connection;
            body.username(&connection.client);
            let reason = emqx::end(&disconnection.end, Some(connection), EmqxVersion::V4_4);
            body.out.text(next!("reason"), &reason);
            body.node(&connection.client);
            if body.version >= V4_2 {
                body.out.number(next!("disconnected_at"), disconnection.disconnected_at);
            }
            if let Some(at) = disconnection.connected_at.filter(|_| body.version >= V4_3) {
                body.out.number(next!("connected_at"), at);
            }
            body.out.text(next!("clientid"), &connection.client.id);
        }
        (RuleKey::ClientSubscribe, Detail::ClientSubscribe(subscription)) => body.subscription(subscription, false),
        (RuleKey::SessionSubscribed, Detail::SessionSubscribed(subscription)) => body.subscription(subscription, true),
        (RuleKey::ClientUnsubscribe, Detail::ClientUnsubscribe(end)) => body.unsubscription(end, true),
        (RuleKey::SessionUnsubscribed, Detail::SessionUnsubscribed(end)) => body.unsubscription(end, false),
        (RuleKey::SessionTerminated, Detail::SessionTerminated(termination)) => {
            let client = &termination.session.client;
            body.username(client);
            let reason = emqx::end(&termination.end, None, EmqxVersion::V4_4);
            body.out.text(next!("reason"), &reason);
            body.node(client);
            body.out.text(next!("clientid"), &client.id);
        }
        (RuleKey::MessagePublish, Detail::MessagePublish(message)) => {
            body.reserve(message);
            body.out.number(first!("ts"), message.received_at);
            body.message(message, message.qos, message.retain, None);
        }
        (RuleKey::MessageDelivered, Detail::MessageDelivered(delivery)) => body.delivery(delivery),
        (RuleKey::MessageAcked, Detail::MessageAcked(acknowledgement)) => body.delivery(&acknowledgement.delivery),
        (RuleKey::MessageDropped, Detail::MessageDropped(drop) | Detail::MessageRefused(drop)) => {
            let message = &drop.message;
            body.reserve(message);
            body.out.number(first!("ts"), message.received_at);
            let reason = emqx::drop(drop.reason, drop.code, drop.text.as_deref());
            body.message(message, message.qos, message.retain, Some(reason));
        }
        _ => return None,
    }
    body.out.text(next!("action"), &rule.action);
    body.out.raw("}");
    Some(Body::Text(body.out.0))
}

const V4_1: EmqxVersion = EmqxVersion::new(4, 1);
const V4_2: EmqxVersion = EmqxVersion::new(4, 2);
const V4_3: EmqxVersion = EmqxVersion::new(4, 3);

/// Writes a body.
struct Emqx4Body<'a> {
    out: ObjectWriter,
    node: &'a str,
    encoding: Encoding,
    version: EmqxVersion,
}

impl Emqx4Body<'_> {
    /// The first key of all events about a client.
    fn username(&mut self, client: &Client) {
        self.out.0.reserve(FIXED);
        self.out.optional(first!("username"), self.name(client));
    }

    fn name<'c>(&self, client: &'c Client) -> Option<&'c str> {
        let unknown = (self.version < V4_1).then_some("undefined");
        client.username.as_deref().or(unknown)
    }

    fn node(&mut self, client: &Client) {
        let node = client.node.as_ref().map_or(self.node, |node| node.name.as_str());
        self.node_name(node);
    }

    fn node_name(&mut self, node: &str) {
        if self.version >= V4_2 {
            self.out.text(next!("node"), node);
        }
    }

    /// A step of a connection. `id` is the client id that EMQX knows at this step.
    fn connect(&mut self, connection: &Connection, id: &str, answer: ConnectStep<'_>) {
        let client = &connection.client;
        self.username(client);
        self.out.number(next!("proto_ver"), client.protocol_version);
        self.node(client);
        self.out.number(next!("keepalive"), connection.keep_alive);
        self.out.optional(next!("ipaddress"), ip(client));
        let connected_at = match answer {
            ConnectStep::Connected(connack) => connack.connected_at,
            ConnectStep::Connack(connack) => connack.connected_at.filter(|_| self.version >= V4_3),
            ConnectStep::Connect => None,
        };
        if let Some(at) = connected_at {
            self.out.number(next!("connected_at"), at);
        }
        if let ConnectStep::Connack(connack) = answer {
            self.out.text(next!("conn_ack"), emqx::code(connack.code));
        }
        self.out.text(next!("clientid"), id);
    }

    fn subscription(&mut self, subscription: &Subscription, in_force: bool) {
        let client = &subscription.client;
        self.username(client);
        self.out.text(next!("topic"), &subscription.filter);
        self.out.raw(next!("opts"));
        let mut before = '{';
        let mut key = |out: &mut ObjectWriter, name: &str| {
            out.0.push(before);
            before = ',';
            out.string(name);
            out.raw(":");
        };
        let out = &mut self.out;
        if let Some(id) = subscription.id {
            key(out, "subid");
            push_number(&mut out.0, id);
        }
        if in_force {
            key(out, "sub_props");
            sub_props(out, subscription);
        }
        if let Some(group) = &subscription.group {
            key(out, "share");
            out.string(group);
        }
        for (name, value) in [
            ("rh", subscription.retain_handling),
            ("rap", u8::from(subscription.retain_as_published)),
            ("qos", subscription.qos),
            ("nl", u8::from(subscription.no_local)),
        ] {
            key(out, name);
            push_number(&mut out.0, value);
        }
        if in_force {
            key(out, "is_new");
            out.raw(if subscription.is_new { "true" } else { "false" });
        }
        if subscription.limit == Some(1) {
            key(out, "is_exclusive");
            out.raw("true");
        }
        self.out.raw("}");
        self.node(client);
        self.out.text(next!("clientid"), &client.id);
    }

    fn unsubscription(&mut self, end: &Unsubscription, with_options: bool) {
        self.username(&end.client);
        self.out.text(next!("topic"), &end.filter);
        if with_options {
            match &end.group {
                None => self.out.raw(concat!(next!("opts"), "{}")),
                Some(group) => {
                    self.out.raw(next!("opts"));
                    self.out.text(first!("share"), group);
                    self.out.raw("}");
                }
            }
        }
        self.node(&end.client);
        self.out.text(next!("clientid"), &end.client.id);
    }

    fn delivery(&mut self, delivery: &Delivery) {
        let receiver = &delivery.receiver;
        self.reserve(&delivery.message);
        self.username(receiver);
        self.out.number(next!("ts"), delivery.message.received_at);
        self.message(&delivery.message, delivery.qos, delivery.retain, None);
        self.out.text(next!("clientid"), &receiver.id);
    }

    fn reserve(&mut self, message: &Message) {
        let room = FIXED + message.topic.len() + self.encoding.room(message.payload.len());
        self.out.0.reserve(room);
    }

    /// The keys of a message after its time.
    fn message(&mut self, message: &Message, qos: u8, retain: bool, reason: Option<&str>) {
        self.out.text(next!("topic"), &message.topic);
        self.out.flag(next!("retain"), retain);
        if let Some(reason) = reason {
            self.out.text(next!("reason"), reason);
        }
        self.out.number(next!("qos"), qos);
        self.out.raw(next!("payload"));
        self.encoding.push_json(&mut self.out.0, &message.payload);
        // EMQX writes the node that runs the hook here, not the node of the client.
        self.node_name(self.node);
        let publisher = &message.publisher;
        self.out.optional(next!("from_username"), self.name(publisher));
        self.out.text(next!("from_client_id"), &publisher.id);
    }
}

/// The address without the port.
pub(in crate::format) fn ip(client: &Client) -> Option<&str> {
    let peer = client.peer.as_ref().filter(|peer| !peer.ip.is_empty());
    peer.map(|peer| peer.ip.as_str())
}

/// The properties of a SUBSCRIBE packet. EMQX does not send the event if there are user properties; hookhost sends them
/// as an object.
fn sub_props(out: &mut ObjectWriter, subscription: &Subscription) {
    let properties = subscription.properties.as_ref();
    let user = properties
        .map(|properties| properties.user.as_slice())
        .unwrap_or_default();
    let id = subscription.id.or_else(|| {
        properties?.find(|property| match property {
            Property::SubscriptionIdentifier(id) => Some(*id),
            _ => None,
        })
    });
    out.raw("{");
    if !user.is_empty() {
        out.raw("\"User-Property\":");
        let mut before = '{';
        for (at, (name, value)) in user.iter().enumerate() {
            if user.iter().skip(at + 1).any(|(later, _)| later == name) {
                continue;
            }
            out.0.push(before);
            before = ',';
            out.string(name);
            out.raw(":");
            out.string(value);
        }
        out.raw("}");
    }
    if let Some(id) = id {
        out.raw(if user.is_empty() { "" } else { "," });
        out.number("\"Subscription-Identifier\":", id);
    }
    out.raw("}");
}
