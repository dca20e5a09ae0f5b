//! The JSON bodies of RMQTT's web-hook plugin (0.24).
//!
//! Keys, their order and the types of their values are those of RMQTT, for events of every MQTT version and every broker.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::reason;
use crate::json::{ObjectWriter, first, next, push_escaped, push_number, push_string};
use crate::key::RuleKey;
use crate::records::ConnectStep;
use hookhost_guest::event::{
    Client, Connection, Delivery, Detail, End, Event, Message, MessageDrop, Origin, Properties, Subscription,
};

/// Length of most bodies without payload, topic and names, in bytes.
const FIXED: usize = 384;

/// Group of a subscription to `$queue/…`.
const QUEUE_GROUP: &str = "$queue";

/// The body for an event with the `action` of a rule; `None` if RMQTT has no body for the event under this key.
///
/// `node` is the number of the host's node, for clients that are not on another node. `documented`: packet identifiers are
/// strings, as in RMQTT's documentation.
pub(super) fn body(key: RuleKey, event: &Event, node: u32, action: &str, documented: bool) -> Option<String> {
    let mut body = RmqttBody {
        out: ObjectWriter::default(),
        event,
        node,
        documented,
    };
    match (key, &event.detail) {
        (RuleKey::ClientConnect, Detail::ClientConnect(connection)) => body.connect(connection, ConnectStep::Connect),
        (RuleKey::ClientConnack, Detail::ClientConnack(connack)) => {
            body.connect(&connack.connection, ConnectStep::Connack(connack));
        }
        (RuleKey::ClientConnected, Detail::ClientConnected(connack)) => {
            body.connect(&connack.connection, ConnectStep::Connected(connack));
        }
        (RuleKey::ClientDisconnected, Detail::ClientDisconnected(disconnection)) => {
            body.client(&disconnection.connection.client);
            body.out.number(next!("disconnected_at"), disconnection.disconnected_at);
            body.end(&disconnection.end, &disconnection.connection.client);
        }
        (RuleKey::ClientSubscribe, Detail::ClientSubscribe(subscription))
        | (RuleKey::SessionSubscribed, Detail::SessionSubscribed(subscription)) => {
            body.client(&subscription.client);
            body.filter(&subscription.filter, subscription.group.as_deref());
            body.options(subscription);
            body.time();
        }
        (RuleKey::ClientUnsubscribe, Detail::ClientUnsubscribe(end))
        | (RuleKey::SessionUnsubscribed, Detail::SessionUnsubscribed(end)) => {
            body.client(&end.client);
            body.filter(&end.filter, end.group.as_deref());
            body.time();
        }
        (RuleKey::SessionCreated, Detail::SessionCreated(session)) => {
            body.client(&session.client);
            body.out.number(next!("created_at"), session.created_at.unwrap_or(0));
            body.time();
        }
        (RuleKey::SessionTerminated, Detail::SessionTerminated(termination)) => {
            body.client(&termination.session.client);
            body.end(&termination.end, &termination.session.client);
        }
        (RuleKey::MessagePublish, Detail::MessagePublish(message))
        | (RuleKey::MessagePublish, Detail::MessageRefused(MessageDrop { message, .. })) => {
            body.packet(message, Flags::of_message(message));
            body.out.number(next!("ts"), message.received_at);
            body.time();
            body.from(message);
        }
        (RuleKey::MessageDelivered, Detail::MessageDelivered(delivery))
        | (RuleKey::OfflineMessage, Detail::MessageQueued(delivery)) => body.delivery(delivery),
        (RuleKey::MessageAcked, Detail::MessageAcked(acknowledgement)) => body.delivery(&acknowledgement.delivery),
        (RuleKey::MessageDropped, Detail::MessageRefused(drop)) => {
            body.drop(
                &drop.message,
                Flags::of_message(&drop.message),
                reason::message_drop(drop),
            );
        }
        (RuleKey::MessageDropped, Detail::DeliveryDropped(drop)) => {
            let delivery = &drop.delivery;
            let reason = reason::drop_reason(drop.reason, drop.code, drop.text.as_deref());
            body.drop(&delivery.message, Flags::of_delivery(delivery), reason);
            body.receiver(&delivery.receiver);
        }
        _ => return None,
    }
    Some(body.finish(action))
}

/// Writes a body.
struct RmqttBody<'a> {
    out: ObjectWriter,
    event: &'a Event,
    node: u32,
    documented: bool,
}

/// The values that may differ between a message and its deliveries.
struct Flags {
    dup: bool,
    retain: bool,
    qos: u8,
    packet_id: Option<u16>,
}

impl Flags {
    fn of_message(message: &Message) -> Flags {
        Flags {
            dup: message.dup,
            retain: message.retain,
            qos: message.qos,
            packet_id: message.packet_id,
        }
    }

    fn of_delivery(delivery: &Delivery) -> Flags {
        Flags {
            dup: delivery.dup,
            retain: delivery.retain,
            qos: delivery.qos,
            packet_id: delivery.packet_id,
        }
    }
}

impl RmqttBody<'_> {
    /// The first keys of all events except those of messages.
    fn client(&mut self, client: &Client) {
        self.out.0.reserve(FIXED);
        self.out.number(first!("node"), self.node_of(client));
        self.address(next!("ipaddress"), client);
        self.out.text(next!("clientid"), &client.id);
        self.out.text(next!("username"), username(client));
    }

    fn node_of(&self, client: &Client) -> u32 {
        client.node.as_ref().map_or(self.node, |node| node.id)
    }

    fn address(&mut self, key: &str, client: &Client) {
        self.out.raw(key);
        let Some(peer) = client.peer.as_ref().filter(|peer| !peer.ip.is_empty()) else {
            self.out.raw("null");
            return;
        };
        let version_6 = peer.ip.contains(':');
        self.out.raw(if version_6 { "\"[" } else { "\"" });
        push_escaped(&mut self.out.0, &peer.ip);
        self.out.raw(if version_6 { "]:" } else { ":" });
        push_number(&mut self.out.0, peer.port);
        self.out.raw("\"");
    }

    fn connect(&mut self, connection: &Connection, answer: ConnectStep<'_>) {
        let version = connection.client.protocol_version;
        self.client(&connection.client);
        self.out.number(next!("keepalive"), connection.keep_alive);
        self.out.number(next!("proto_ver"), version);
        let clean = if version == 5 {
            next!("clean_start")
        } else {
            next!("clean_session")
        };
        self.out.flag(clean, connection.clean_start);
        match answer {
            ConnectStep::Connect => {}
            ConnectStep::Connack(connack) => self.out.text(next!("conn_ack"), reason::connack(connack.code, version)),
            ConnectStep::Connected(connack) => {
                if let Some(properties) = connection
                    .properties
                    .as_ref()
                    .filter(|properties| !properties.user.is_empty())
                {
                    self.user_properties(properties);
                }
                self.out
                    .number(next!("connected_at"), connack.connected_at.unwrap_or(0));
                self.out.flag(next!("session_present"), connack.session_present);
            }
        }
        self.time();
    }

    /// User properties as an object. A name that occurs several times has a list of its values.
    fn user_properties(&mut self, properties: &Properties) {
        self.out.raw(next!("user_properties"));
        let mut open = '{';
        for (at, (name, value)) in properties.user.iter().enumerate() {
            if properties.user.iter().take(at).any(|(earlier, _)| earlier == name) {
                continue;
            }
            self.out.0.push(open);
            open = ',';
            push_string(&mut self.out.0, name);
            self.out.raw(":");
            if properties.user(name).nth(1).is_none() {
                push_string(&mut self.out.0, value);
                continue;
            }
            let mut open = '[';
            for value in properties.user(name) {
                self.out.0.push(open);
                open = ',';
                push_string(&mut self.out.0, value);
            }
            self.out.raw("]");
        }
        self.out.raw("}");
    }

    fn end(&mut self, end: &End, client: &Client) {
        self.out
            .text(next!("reason"), &reason::end(end, client.protocol_version));
        self.time();
    }

    /// The filter of a subscription. RMQTT has no group for `$queue/…`.
    fn filter(&mut self, filter: &str, group: Option<&str>) {
        match group {
            Some(QUEUE_GROUP) => self.out.text(next!("topic"), &format!("{QUEUE_GROUP}/{filter}")),
            _ => self.out.text(next!("topic"), filter),
        }
    }

    fn options(&mut self, subscription: &Subscription) {
        self.out.raw(next!("opts"));
        self.out.number(first!("qos"), subscription.qos);
        if subscription.client.protocol_version == 5 {
            self.out.flag(next!("no_local"), subscription.no_local);
            self.out
                .flag(next!("retain_as_published"), subscription.retain_as_published);
            self.out.number(next!("retain_handling"), subscription.retain_handling);
        }
        if let Some(group) = subscription.group.as_deref().filter(|group| *group != QUEUE_GROUP) {
            self.out.text(next!("group"), group);
        }
        if let Some(limit) = subscription.limit {
            self.out.number(next!("limit_subs"), limit);
        }
        if let Some(id) = subscription.id.filter(|_| subscription.client.protocol_version == 5) {
            self.out.number(next!("id"), id);
        }
        self.out.raw("}");
    }

    /// The first keys of all events of messages.
    fn packet(&mut self, message: &Message, flags: Flags) {
        self.out
            .0
            .reserve(FIXED + message.topic.len() + message.payload.len().div_ceil(3) * 4);
        self.out.flag(first!("dup"), flags.dup);
        self.out.flag(next!("retain"), flags.retain);
        self.out.number(next!("qos"), flags.qos);
        self.out.text(next!("topic"), &message.topic);
        match flags.packet_id {
            Some(id) if self.documented => self.out.text(next!("packet_id"), &id.to_string()),
            Some(id) => self.out.number(next!("packet_id"), id),
            None => self.out.raw(concat!(next!("packet_id"), "null")),
        }
        self.out.raw(concat!(next!("payload"), "\""));
        STANDARD.encode_string(&message.payload, &mut self.out.0);
        self.out.raw("\"");
    }

    fn delivery(&mut self, delivery: &Delivery) {
        self.packet(&delivery.message, Flags::of_delivery(delivery));
        self.times(&delivery.message);
        self.receiver(&delivery.receiver);
        self.from(&delivery.message);
    }

    fn drop(&mut self, message: &Message, flags: Flags, reason: &str) {
        self.packet(message, flags);
        self.out.text(next!("reason"), reason);
        self.times(message);
        self.from(message);
    }

    /// The time of the publish and the time of the event.
    fn times(&mut self, message: &Message) {
        self.out.number(next!("pts"), message.received_at);
        self.out.number(next!("ts"), self.event.at);
        self.time();
    }

    fn receiver(&mut self, receiver: &Client) {
        self.out.number(next!("node"), self.node_of(receiver));
        self.address(next!("ipaddress"), receiver);
        self.out.text(next!("clientid"), &receiver.id);
        self.out.text(next!("username"), username(receiver));
    }

    fn from(&mut self, message: &Message) {
        let publisher = &message.publisher;
        self.out.number(next!("from_node"), self.node_of(publisher));
        self.address(next!("from_ipaddress"), publisher);
        self.out.text(next!("from_clientid"), &publisher.id);
        self.out.text(next!("from_username"), username(publisher));
        self.out.raw(match message.origin {
            Origin::Client | Origin::Module => concat!(next!("from_type"), "\"custom\""),
            Origin::Will => concat!(next!("from_type"), "\"lastwill\""),
            Origin::Admin => concat!(next!("from_type"), "\"admin\""),
            Origin::System => concat!(next!("from_type"), "\"system\""),
            Origin::Bridge => concat!(next!("from_type"), "\"bridge\""),
        });
    }

    fn time(&mut self) {
        self.out.raw(concat!(next!("time"), "\""));
        self.event.local_time().push_to(&mut self.out.0);
        self.out.raw("\"");
    }

    fn finish(mut self, action: &str) -> String {
        self.out.text(next!("action"), action);
        self.out.raw("}");
        self.out.0
    }
}

fn username(client: &Client) -> &str {
    client.username.as_deref().unwrap_or("undefined")
}
