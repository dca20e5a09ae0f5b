//! Converts events for the bindings. Every text and payload is lent; only values without a text are copied.
//!
//! Identifiers and addresses are written as text into an arena, and lists become slices in it. The arena is reset after
//! each batch and keeps its memory, so a batch usually allocates nothing. A message event writes two identifiers. It
//! also writes an address if its client differs from that of the previous event.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bumpalo::Bump;
use bumpalo::collections::String as Text;

use super::bindings::hookhost::hook::types as wit;
use hookhost_event::{
    Access, Acknowledgement, Authentication, Authorization, ByteString, Client, Connack, Connection, Delivery,
    DeliveryDrop, DeliveryLoss, Detail, Disconnection, DropReason, End, EndReason, Event, Hook, Id, Message,
    MessageDrop, Millis, Node, Origin, OtherEvent, Properties, Property, Session, Subscription, Termination, Transport,
    Unsubscription,
};

/// Lends a batch. The result is valid until the arena is reset.
pub(super) fn events<'a>(arena: &'a Bump, events: &'a [Arc<Event>]) -> &'a [wit::Event<'a>] {
    let mut lender = Lender { arena, last: None };
    arena.alloc_slice_fill_iter(events.iter().map(|event| lender.event(event)))
}

/// Lends the node.
pub(super) fn node(node: &Node) -> wit::Node<'_> {
    wit::Node {
        name: &node.name,
        id: node.id,
    }
}

struct Lender<'a> {
    arena: &'a Bump,
    /// The address written last. The events of a batch often belong to few clients.
    last: Option<(IpAddr, &'a str)>,
}

impl<'a> Lender<'a> {
    fn event(&mut self, event: &'a Event) -> wit::Event<'a> {
        wit::Event {
            id: self.hex(event.id),
            at: event.at.0,
            utc_offset: event.utc_offset,
            detail: self.detail(&event.detail),
            extras: self.pairs_if_any(&event.extras),
        }
    }

    fn client(&mut self, it: &'a Client) -> wit::Client<'a> {
        wit::Client {
            id: &it.id,
            username: text(&it.username),
            peer: it.peer.map(|peer| self.address(peer)),
            protocol_version: it.protocol_version,
            node: it.node.as_deref().map(node),
            attributes: self.pairs_if_any(&it.attributes),
        }
    }

    fn connection(&mut self, it: &'a Connection) -> wit::Connection<'a> {
        wit::Connection {
            client: self.client(&it.client),
            listener: &it.listener,
            transport: it.transport.into(),
            local: it.local.map(|local| self.address(local)),
            protocol_name: &it.protocol_name,
            bridge: it.bridge,
            keep_alive: it.keep_alive,
            clean_start: it.clean_start,
            session_expiry: it.session_expiry,
            receive_maximum: it.receive_maximum,
            mountpoint: text(&it.mountpoint),
            certificate: it.certificate.as_deref().map(|certificate| wit::Certificate {
                common_name: &certificate.common_name,
                subject: &certificate.subject,
            }),
            properties: self.properties(&it.properties),
        }
    }

    fn connack(&mut self, it: &'a Connack) -> wit::Connack<'a> {
        wit::Connack {
            connection: self.connection(&it.connection),
            code: it.code,
            session_present: it.session_present,
            connected_at: millis(it.connected_at),
            properties: self.properties(&it.properties),
        }
    }

    fn authentication(&mut self, it: &'a Authentication) -> wit::Authentication<'a> {
        wit::Authentication {
            connection: self.connection(&it.connection),
            code: it.code,
            anonymous: it.anonymous,
            superuser: it.superuser,
            source: &it.source,
        }
    }

    fn authorization(&mut self, it: &'a Authorization) -> wit::Authorization<'a> {
        wit::Authorization {
            client: self.client(&it.client),
            access: it.access.into(),
            topic: &it.topic,
            allowed: it.allowed,
            source: &it.source,
        }
    }

    fn subscription(&mut self, it: &'a Subscription) -> wit::Subscription<'a> {
        wit::Subscription {
            client: self.client(&it.client),
            filter: &it.filter,
            group: text(&it.group),
            qos: it.qos,
            no_local: it.no_local,
            retain_as_published: it.retain_as_published,
            retain_handling: it.retain_handling,
            id: it.id,
            limit: it.limit,
            code: it.code,
            is_new: it.is_new,
            properties: self.properties(&it.properties),
        }
    }

    fn unsubscription(&mut self, it: &'a Unsubscription) -> wit::Unsubscription<'a> {
        wit::Unsubscription {
            client: self.client(&it.client),
            filter: &it.filter,
            group: text(&it.group),
            qos: it.qos,
            code: it.code,
            properties: self.properties(&it.properties),
        }
    }

    fn session(&mut self, it: &'a Session) -> wit::Session<'a> {
        wit::Session {
            client: self.client(&it.client),
            created_at: millis(it.created_at),
        }
    }

    fn end(&mut self, it: &'a End) -> wit::End<'a> {
        wit::End {
            reason: it.reason.into(),
            code: it.code,
            text: text(&it.text),
            properties: self.properties(&it.properties),
        }
    }

    fn disconnection(&mut self, it: &'a Disconnection) -> wit::Disconnection<'a> {
        wit::Disconnection {
            connection: self.connection(&it.connection),
            end: self.end(&it.end),
            connected_at: millis(it.connected_at),
            disconnected_at: it.disconnected_at.0,
        }
    }

    fn termination(&mut self, it: &'a Termination) -> wit::Termination<'a> {
        wit::Termination {
            session: self.session(&it.session),
            end: self.end(&it.end),
        }
    }

    fn message(&mut self, it: &'a Message) -> wit::Message<'a> {
        wit::Message {
            id: self.hex(it.id),
            publisher: self.client(&it.publisher),
            origin: it.origin.into(),
            topic: &it.topic,
            payload: &it.payload,
            qos: it.qos,
            retain: it.retain,
            dup: it.dup,
            packet_id: it.packet_id,
            received_at: it.received_at.0,
            properties: self.properties(&it.properties),
        }
    }

    fn delivery(&mut self, it: &'a Delivery) -> wit::Delivery<'a> {
        wit::Delivery {
            receiver: self.client(&it.receiver),
            message: self.message(&it.message),
            qos: it.qos,
            retain: it.retain,
            dup: it.dup,
            packet_id: it.packet_id,
            retained: it.retained,
            group: text(&it.group),
            subscription_ids: (!it.subscription_ids.is_empty()).then_some(&it.subscription_ids),
        }
    }

    fn acknowledgement(&mut self, it: &'a Acknowledgement) -> wit::Acknowledgement<'a> {
        wit::Acknowledgement {
            delivery: self.delivery(&it.delivery),
            code: it.code,
            properties: self.properties(&it.properties),
        }
    }

    fn message_drop(&mut self, it: &'a MessageDrop) -> wit::MessageDrop<'a> {
        wit::MessageDrop {
            message: self.message(&it.message),
            reason: it.reason.into(),
            code: it.code,
            text: text(&it.text),
        }
    }

    fn delivery_drop(&mut self, it: &'a DeliveryDrop) -> wit::DeliveryDrop<'a> {
        wit::DeliveryDrop {
            delivery: self.delivery(&it.delivery),
            reason: it.reason.into(),
            code: it.code,
            text: text(&it.text),
        }
    }

    fn delivery_loss(&mut self, it: &'a DeliveryLoss) -> wit::DeliveryLoss<'a> {
        wit::DeliveryLoss {
            receiver: self.client(&it.receiver),
            filter: &it.filter,
            group: text(&it.group),
            count: it.count,
        }
    }

    fn other_event(&mut self, it: &'a OtherEvent) -> wit::OtherEvent<'a> {
        wit::OtherEvent {
            name: &it.name,
            client: it.client.as_ref().map(|client| self.client(client)),
            data: &it.data,
        }
    }

    fn properties(&self, it: &'a Option<Box<Properties>>) -> Option<wit::Properties<'a>> {
        it.as_deref().map(|properties| wit::Properties {
            standard: self
                .arena
                .alloc_slice_fill_iter(properties.standard.iter().map(property)),
            user: self.pairs(&properties.user),
        })
    }

    fn pairs(&self, pairs: &'a [(ByteString, ByteString)]) -> &'a [(&'a str, &'a str)] {
        self.arena
            .alloc_slice_fill_iter(pairs.iter().map(|(name, value)| (&**name, &**value)))
    }

    /// `None` costs a guest nothing, while an empty list costs an allocation.
    fn pairs_if_any(&self, pairs: &'a [(ByteString, ByteString)]) -> Option<&'a [(&'a str, &'a str)]> {
        (!pairs.is_empty()).then(|| self.pairs(pairs))
    }

    #[expect(clippy::expect_used, reason = "hex digits are ASCII")]
    fn hex(&self, id: Id) -> &'a str {
        std::str::from_utf8(self.arena.alloc(id.hex())).expect("hex digits are UTF-8")
    }

    fn address(&mut self, address: SocketAddr) -> wit::Address<'a> {
        let ip = match self.last {
            Some((ip, text)) if ip == address.ip() => text,
            _ => {
                let mut text = Text::with_capacity_in(15, self.arena);
                // Writing into memory does not fail.
                let _infallible = write!(text, "{}", address.ip());
                let text = text.into_bump_str();
                self.last = Some((address.ip(), text));
                text
            }
        };
        wit::Address {
            ip,
            port: address.port(),
        }
    }
}

fn text(text: &Option<ByteString>) -> Option<&str> {
    text.as_deref()
}

fn millis(at: Option<Millis>) -> Option<u64> {
    at.map(|at| at.0)
}

macro_rules! lower_enums {
    ($(#[doc = $about:literal] $enum:ident {
        $(#[doc = $meaning:literal] $variant:ident = $name:literal,)+
    })+) => {$(
        impl From<$enum> for wit::$enum {
            fn from(value: $enum) -> wit::$enum {
                match value { $($enum::$variant => wit::$enum::$variant,)+ }
            }
        }
    )+};
}
hookhost_event::with_enums!(lower_enums);

macro_rules! lower_hooks {
    ($(
        #[doc = $meaning:literal] $kind:ident = $dotted:literal $name:literal,
        #[doc = $record_doc:literal] $record:ident: $type:ty;
    )+) => {
        impl<'a> Lender<'a> {
            fn detail(&mut self, detail: &'a Detail) -> wit::Detail<'a> {
                match detail { $(Detail::$kind(record) => wit::Detail::$kind(self.$record(record)),)+ }
            }
        }

        impl From<Hook> for wit::Hook {
            fn from(hook: Hook) -> wit::Hook {
                match hook { $(Hook::$kind => wit::Hook::$kind,)+ }
            }
        }

        impl From<wit::Hook> for Hook {
            fn from(hook: wit::Hook) -> Hook {
                match hook { $(wit::Hook::$kind => Hook::$kind,)+ }
            }
        }
    };
}
hookhost_event::with_hooks!(lower_hooks);

macro_rules! lower_properties {
    ($(#[doc = $meaning:literal] $variant:ident($type:ident) = $name:literal,)+) => {
        fn property(property: &Property) -> wit::Property<'_> {
            match property { $(Property::$variant(value) => wit::Property::$variant(lent!($type value)),)+ }
        }
    };
}

/// Converts the value of a property: lends texts and bytes, copies numbers.
macro_rules! lent {
    (ByteString $value:ident) => {
        $value
    };
    (Bytes $value:ident) => {
        $value
    };
    ($number:ident $value:ident) => {
        *$value
    };
}
hookhost_event::with_properties!(lower_properties);

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
