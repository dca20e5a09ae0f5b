//! The bodies that the documentation of EMQX 4 and NanoMQ describes. The brokers themselves send other bodies.
//!
//! Both documentations have nearly the same tables. Keys have the order of the tables.

use super::emqx4::ip;
use super::nanomq;
use crate::encoding::Encoding;
use crate::format::emqx::{self, EmqxVersion};
use crate::json::{ObjectWriter, first, next};
use crate::key::RuleKey;
use crate::rules::Rule;
use hookhost_guest::event::{Client, Connection, Delivery, Detail, Event, Message};
use hookhost_guest::request::Body;

/// The documentation that a body follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Emqx4,
    Nanomq,
}

/// The body for an event; `None` if the documentation has no body for the event under this key.
pub(super) fn body(page: Page, key: RuleKey, rule: &Rule, event: &Event) -> Option<Body> {
    let mut writer = DocumentedBody {
        out: match page {
            Page::Emqx4 => ObjectWriter::of_emqx(),
            Page::Nanomq => ObjectWriter::default(),
        },
        page,
        encoding: rule.shape.payload_encoding,
    };
    writer.out.text(first!("action"), &rule.action);
    match (key, &event.detail) {
        (RuleKey::ClientConnect, Detail::ClientConnect(connection)) => writer.connection(connection),
        (RuleKey::ClientConnack, Detail::ClientConnack(connack) | Detail::ClientConnected(connack)) => {
            writer.connection(&connack.connection);
            let answer = match page {
                Page::Emqx4 => emqx::code(connack.code),
                Page::Nanomq => nanomq::answer(connack.code),
            };
            writer.out.text(next!("conn_ack"), answer);
        }
        (RuleKey::ClientConnected, Detail::ClientConnected(connack)) => {
            writer.connection(&connack.connection);
            writer
                .out
                .number(next!("connected_at"), connack.connected_at.unwrap_or(0) / 1000);
        }
        (RuleKey::ClientDisconnected, Detail::ClientDisconnected(disconnection)) => {
            let connection = &disconnection.connection;
            writer.client(&connection.client);
            let reason = emqx::end(&disconnection.end, Some(connection), EmqxVersion::V4_4);
            writer.out.text(next!("reason"), &reason);
        }
        (RuleKey::ClientSubscribe, Detail::ClientSubscribe(subscription))
        | (RuleKey::SessionSubscribed, Detail::SessionSubscribed(subscription)) => {
            writer.client(&subscription.client);
            writer.out.text(next!("topic"), &subscription.filter);
            writer.out.raw(next!("opts"));
            writer.out.number(first!("qos"), subscription.qos);
            writer.out.raw("}");
        }
        (RuleKey::ClientUnsubscribe, Detail::ClientUnsubscribe(end))
        | (RuleKey::SessionUnsubscribed, Detail::SessionUnsubscribed(end)) => {
            writer.client(&end.client);
            writer.out.text(next!("topic"), &end.filter);
        }
        (RuleKey::SessionTerminated, Detail::SessionTerminated(termination)) => {
            writer.client(&termination.session.client);
            let reason = emqx::end(&termination.end, None, EmqxVersion::V4_4);
            writer.out.text(next!("reason"), &reason);
        }
        (RuleKey::MessagePublish, Detail::MessagePublish(message)) => {
            return Some(writer.message(message, message.qos, message.retain, None));
        }
        (RuleKey::MessageDelivered, Detail::MessageDelivered(delivery)) => {
            writer.client(&delivery.receiver);
            return Some(writer.delivery(delivery));
        }
        (RuleKey::MessageAcked, Detail::MessageAcked(acknowledgement)) => {
            writer
                .out
                .text(next!("clientid"), &acknowledgement.delivery.receiver.id);
            return Some(writer.delivery(&acknowledgement.delivery));
        }
        (RuleKey::MessageDropped, Detail::MessageDropped(drop) | Detail::MessageRefused(drop))
            if page == Page::Emqx4 =>
        {
            let message = &drop.message;
            let reason = emqx::drop(drop.reason, drop.code, drop.text.as_deref());
            return Some(writer.message(message, message.qos, message.retain, Some(reason)));
        }
        _ => return None,
    }
    writer.out.raw("}");
    Some(Body::Text(writer.out.0))
}

struct DocumentedBody {
    out: ObjectWriter,
    page: Page,
    encoding: Encoding,
}

impl DocumentedBody {
    fn client(&mut self, client: &Client) {
        self.out.text(next!("clientid"), &client.id);
        self.out.text(next!("username"), name(client));
    }

    fn connection(&mut self, connection: &Connection) {
        self.client(&connection.client);
        if self.page == Page::Emqx4 {
            self.out.optional(next!("ipaddress"), ip(&connection.client));
        }
        self.out.number(next!("keepalive"), connection.keep_alive);
        self.out.number(next!("proto_ver"), connection.client.protocol_version);
    }

    fn delivery(self, delivery: &Delivery) -> Body {
        self.message(&delivery.message, delivery.qos, delivery.retain, None)
    }

    fn message(mut self, message: &Message, qos: u8, retain: bool, reason: Option<&str>) -> Body {
        self.out.text(next!("from_client_id"), &message.publisher.id);
        self.out.text(next!("from_username"), name(&message.publisher));
        self.out.text(next!("topic"), &message.topic);
        self.out.number(next!("qos"), qos);
        self.out.flag(next!("retain"), retain);
        let mut rest = ObjectWriter::default();
        match self.page {
            Page::Emqx4 => rest.number(next!("ts"), message.received_at),
            Page::Nanomq => rest.number(next!("ts"), message.received_at / 1000),
        }
        if let Some(reason) = reason {
            rest.text(next!("reason"), reason);
        }
        rest.raw("}");
        match self.page {
            Page::Emqx4 => {
                self.out.raw(next!("payload"));
                self.encoding.push_json(&mut self.out.0, &message.payload);
                self.out.raw(&rest.0);
                Body::Text(self.out.0)
            }
            Page::Nanomq => nanomq::with_payload(self.out.0, self.encoding, &message.payload, &rest.0),
        }
    }
}

fn name(client: &Client) -> &str {
    client.username.as_deref().unwrap_or("undefined")
}
