//! The JSON bodies of RMQTT's web-hook plugin (0.24).
//!
//! Keys, their order and the types of their values are RMQTT's, whatever MQTT version and broker an event comes from.
//! Written for every event, so straight into one buffer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::RuleKey;
use super::reason;
use crate::event::{
    Client, Connack, Connection, Delivery, Detail, End, Event, Message, MessageDrop, Origin, Properties, Subscription,
};
use crate::json::{first, next, push_bool, push_escaped, push_number, push_string};

/// Room for all that is not payload, topic or name in most bodies.
const FIXED: usize = 384;

/// The body for an event under the name that a rule gives it; none if the event is not for the key, see
/// [`RuleKey::of`].
///
/// `node` is the number of the host's node, for clients that are not on another one.
pub fn body(key: RuleKey, event: &Event, node: u32, action: &str) -> Option<String> {
    let mut body = Body {
        out: String::new(),
        event,
        node,
    };
    match (key, &event.detail) {
        (RuleKey::ClientConnect, Detail::ClientConnect(connection)) => body.connect(connection, Answer::None),
        (RuleKey::ClientConnack, Detail::ClientConnack(connack)) => {
            body.connect(&connack.connection, Answer::Given(connack));
        }
        (RuleKey::ClientConnected, Detail::ClientConnected(connack)) => {
            body.connect(&connack.connection, Answer::Accepted(connack));
        }
        (RuleKey::ClientDisconnected, Detail::ClientDisconnected(disconnection)) => {
            body.client(&disconnection.connection.client);
            body.number(next!("disconnected_at"), disconnection.disconnected_at);
            body.end(&disconnection.end, &disconnection.connection.client);
        }
        (RuleKey::ClientSubscribe, Detail::ClientSubscribe(subscription))
        | (RuleKey::SessionSubscribed, Detail::SessionSubscribed(subscription)) => {
            body.client(&subscription.client);
            body.text(next!("topic"), &subscription.filter);
            body.options(subscription);
            body.time();
        }
        (RuleKey::ClientUnsubscribe, Detail::ClientUnsubscribe(end))
        | (RuleKey::SessionUnsubscribed, Detail::SessionUnsubscribed(end)) => {
            body.client(&end.client);
            body.text(next!("topic"), &end.filter);
            body.time();
        }
        (RuleKey::SessionCreated, Detail::SessionCreated(session)) => {
            body.client(&session.client);
            body.number(next!("created_at"), session.created_at.unwrap_or(0));
            body.time();
        }
        (RuleKey::SessionTerminated, Detail::SessionTerminated(termination)) => {
            body.client(&termination.session.client);
            body.end(&termination.end, &termination.session.client);
        }
        (RuleKey::MessagePublish, Detail::MessagePublish(message))
        | (RuleKey::MessagePublish, Detail::MessageRefused(MessageDrop { message, .. })) => {
            body.packet(message, Flags::of_message(message));
            body.number(next!("ts"), message.received_at);
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

/// A body in the making.
struct Body<'a> {
    out: String,
    event: &'a Event,
    node: u32,
}

/// What is known of the answer to CONNECT.
enum Answer<'a> {
    None,
    Given(&'a Connack),
    Accepted(&'a Connack),
}

/// What differs between a message and its deliveries.
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

impl Body<'_> {
    fn number(&mut self, key: &str, value: impl itoa::Integer) {
        self.out.push_str(key);
        push_number(&mut self.out, value);
    }

    fn flag(&mut self, key: &str, value: bool) {
        self.out.push_str(key);
        push_bool(&mut self.out, value);
    }

    fn text(&mut self, key: &str, value: &str) {
        self.out.push_str(key);
        push_string(&mut self.out, value);
    }

    /// The beginning of all events but those of messages.
    fn client(&mut self, client: &Client) {
        self.out.reserve(FIXED);
        self.number(first!("node"), self.node_of(client));
        self.address(next!("ipaddress"), client);
        self.text(next!("clientid"), &client.id);
        self.text(next!("username"), username(client));
    }

    fn node_of(&self, client: &Client) -> u32 {
        client.node.as_ref().map_or(self.node, |node| node.id)
    }

    fn address(&mut self, key: &str, client: &Client) {
        self.out.push_str(key);
        let Some(peer) = client.peer.as_ref().filter(|peer| !peer.ip.is_empty()) else {
            self.out.push_str("null");
            return;
        };
        let version_6 = peer.ip.contains(':');
        self.out.push_str(if version_6 { "\"[" } else { "\"" });
        push_escaped(&mut self.out, &peer.ip);
        self.out.push_str(if version_6 { "]:" } else { ":" });
        push_number(&mut self.out, peer.port);
        self.out.push('"');
    }

    fn connect(&mut self, connection: &Connection, answer: Answer<'_>) {
        let version = connection.client.protocol_version;
        self.client(&connection.client);
        self.number(next!("keepalive"), connection.keep_alive);
        self.number(next!("proto_ver"), version);
        let clean = if version == 5 {
            next!("clean_start")
        } else {
            next!("clean_session")
        };
        self.flag(clean, connection.clean_start);
        match answer {
            Answer::None => {}
            Answer::Given(connack) => self.text(next!("conn_ack"), reason::connack(connack.code, version)),
            Answer::Accepted(connack) => {
                if let Some(properties) = connection
                    .properties
                    .as_ref()
                    .filter(|properties| !properties.user.is_empty())
                {
                    self.user_properties(properties);
                }
                self.number(next!("connected_at"), connack.connected_at.unwrap_or(0));
                self.flag(next!("session_present"), connack.session_present);
            }
        }
        self.time();
    }

    /// An object of names as they come first; the values of a name that is repeated are a list.
    fn user_properties(&mut self, properties: &Properties) {
        self.out.push_str(next!("user_properties"));
        let mut open = '{';
        for (at, (name, value)) in properties.user.iter().enumerate() {
            if properties.user.iter().take(at).any(|(earlier, _)| earlier == name) {
                continue;
            }
            self.out.push(open);
            open = ',';
            push_string(&mut self.out, name);
            self.out.push(':');
            if properties.user(name).nth(1).is_none() {
                push_string(&mut self.out, value);
                continue;
            }
            let mut open = '[';
            for value in properties.user(name) {
                self.out.push(open);
                open = ',';
                push_string(&mut self.out, value);
            }
            self.out.push(']');
        }
        self.out.push('}');
    }

    fn end(&mut self, end: &End, client: &Client) {
        self.text(next!("reason"), &reason::end(end, client.protocol_version));
        self.time();
    }

    fn options(&mut self, subscription: &Subscription) {
        self.out.push_str(next!("opts"));
        self.number(first!("qos"), subscription.qos);
        if subscription.client.protocol_version == 5 {
            self.flag(next!("no_local"), subscription.no_local);
            self.flag(next!("retain_as_published"), subscription.retain_as_published);
            self.number(next!("retain_handling"), subscription.retain_handling);
        }
        if let Some(group) = &subscription.group {
            self.text(next!("group"), group);
        }
        if let Some(limit) = subscription.limit {
            self.number(next!("limit_subs"), limit);
        }
        if let Some(id) = subscription.id.filter(|_| subscription.client.protocol_version == 5) {
            self.number(next!("id"), id);
        }
        self.out.push('}');
    }

    /// The beginning of all events of messages.
    fn packet(&mut self, message: &Message, flags: Flags) {
        self.out
            .reserve(FIXED + message.topic.len() + message.payload.len().div_ceil(3) * 4);
        self.flag(first!("dup"), flags.dup);
        self.flag(next!("retain"), flags.retain);
        self.number(next!("qos"), flags.qos);
        self.text(next!("topic"), &message.topic);
        match flags.packet_id {
            Some(id) => self.number(next!("packet_id"), id),
            None => self.out.push_str(concat!(next!("packet_id"), "null")),
        }
        self.out.push_str(concat!(next!("payload"), "\""));
        STANDARD.encode_string(&message.payload, &mut self.out);
        self.out.push('"');
    }

    fn delivery(&mut self, delivery: &Delivery) {
        self.packet(&delivery.message, Flags::of_delivery(delivery));
        self.times(&delivery.message);
        self.receiver(&delivery.receiver);
        self.from(&delivery.message);
    }

    fn drop(&mut self, message: &Message, flags: Flags, reason: &str) {
        self.packet(message, flags);
        self.text(next!("reason"), reason);
        self.times(message);
        self.from(message);
    }

    /// When a message was published and when this has become of it.
    fn times(&mut self, message: &Message) {
        self.number(next!("pts"), message.received_at);
        self.number(next!("ts"), self.event.at);
        self.time();
    }

    fn receiver(&mut self, receiver: &Client) {
        self.number(next!("node"), self.node_of(receiver));
        self.address(next!("ipaddress"), receiver);
        self.text(next!("clientid"), &receiver.id);
        self.text(next!("username"), username(receiver));
    }

    fn from(&mut self, message: &Message) {
        let publisher = &message.publisher;
        self.number(next!("from_node"), self.node_of(publisher));
        self.address(next!("from_ipaddress"), publisher);
        self.text(next!("from_clientid"), &publisher.id);
        self.text(next!("from_username"), username(publisher));
        self.out.push_str(match message.origin {
            Origin::Client | Origin::Module => concat!(next!("from_type"), "\"custom\""),
            Origin::Will => concat!(next!("from_type"), "\"lastwill\""),
            Origin::Admin => concat!(next!("from_type"), "\"admin\""),
            Origin::System => concat!(next!("from_type"), "\"system\""),
            Origin::Bridge => concat!(next!("from_type"), "\"bridge\""),
        });
    }

    fn time(&mut self) {
        self.out.push_str(concat!(next!("time"), "\""));
        self.event.local_time().push_to(&mut self.out);
        self.out.push('"');
    }

    fn finish(mut self, action: &str) -> String {
        self.text(next!("action"), action);
        self.out.push('}');
        self.out
    }
}

fn username(client: &Client) -> &str {
    client.username.as_deref().unwrap_or("undefined")
}

#[cfg(test)]
#[path = "rmqtt_tests.rs"]
mod tests;
