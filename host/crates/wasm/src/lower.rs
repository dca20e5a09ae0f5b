//! Events as the bindings want them: every text and payload lent, nothing copied but what has no text yet.
//!
//! Identifiers and addresses are written as text into an arena, lists become slices in it; the arena is emptied after
//! each batch and keeps its memory, so that a batch usually allocates nothing. A message event costs two identifiers
//! and, if its client is another than the one before, an address.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bumpalo::Bump;
use bumpalo::collections::String as Text;

use super::bindings::hookhost::hook::types as wit;
use hookhost_event::{
    Access, Acknowledgement, Authentication, Authorization, ByteString, Client, Connack, Connection, Delivery,
    DeliveryDrop, DeliveryLoss, Detail, Disconnection, DropReason, End, EndReason, Event, Id, Message, MessageDrop,
    Millis, Node, Origin, OtherEvent, Properties, Property, Session, Subscription, Termination, Transport,
    Unsubscription,
};

/// Lends a batch. What is returned lives until the arena is reset.
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
    /// The address written last: the events of a batch are often those of few clients.
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

    fn detail(&mut self, detail: &'a Detail) -> wit::Detail<'a> {
        use wit::Detail as To;
        match detail {
            Detail::ClientConnect(it) => To::ClientConnect(self.connection(it)),
            Detail::ClientConnack(it) => To::ClientConnack(self.connack(it)),
            Detail::ClientConnected(it) => To::ClientConnected(self.connack(it)),
            Detail::ClientDisconnected(it) => To::ClientDisconnected(self.disconnection(it)),
            Detail::ClientAuthenticated(it) => To::ClientAuthenticated(self.authentication(it)),
            Detail::ClientAuthorized(it) => To::ClientAuthorized(self.authorization(it)),
            Detail::ClientSubscribe(it) => To::ClientSubscribe(self.subscription(it)),
            Detail::ClientUnsubscribe(it) => To::ClientUnsubscribe(self.unsubscription(it)),
            Detail::SessionCreated(it) => To::SessionCreated(self.session(it)),
            Detail::SessionResumed(it) => To::SessionResumed(self.session(it)),
            Detail::SessionSubscribed(it) => To::SessionSubscribed(self.subscription(it)),
            Detail::SessionUnsubscribed(it) => To::SessionUnsubscribed(self.unsubscription(it)),
            Detail::SessionDiscarded(it) => To::SessionDiscarded(self.session(it)),
            Detail::SessionTakenOver(it) => To::SessionTakenOver(self.session(it)),
            Detail::SessionTerminated(it) => To::SessionTerminated(self.termination(it)),
            Detail::MessagePublish(it) => To::MessagePublish(self.message(it)),
            Detail::MessageDelivered(it) => To::MessageDelivered(self.delivery(it)),
            Detail::MessageAcked(it) => To::MessageAcked(self.acknowledgement(it)),
            Detail::MessageDropped(it) => To::MessageDropped(self.message_drop(it)),
            Detail::MessageRefused(it) => To::MessageRefused(self.message_drop(it)),
            Detail::DeliveryDropped(it) => To::DeliveryDropped(self.delivery_drop(it)),
            Detail::MessageQueued(it) => To::MessageQueued(self.delivery(it)),
            Detail::DeliveryLost(it) => To::DeliveryLost(self.delivery_loss(it)),
            Detail::Other(it) => To::Other(self.other(it)),
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
            transport: match it.transport {
                Transport::Tcp => wit::Transport::Tcp,
                Transport::Tls => wit::Transport::Tls,
                Transport::Websocket => wit::Transport::Websocket,
                Transport::WebsocketTls => wit::Transport::WebsocketTls,
                Transport::Quic => wit::Transport::Quic,
                Transport::Other => wit::Transport::Other,
            },
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
            access: match it.access {
                Access::Publish => wit::Access::Publish,
                Access::Subscribe => wit::Access::Subscribe,
            },
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
            reason: match it.reason {
                EndReason::Disconnect => wit::EndReason::Disconnect,
                EndReason::Closed => wit::EndReason::Closed,
                EndReason::SocketError => wit::EndReason::SocketError,
                EndReason::IoTimeout => wit::EndReason::IoTimeout,
                EndReason::KeepAliveTimeout => wit::EndReason::KeepAliveTimeout,
                EndReason::Kicked => wit::EndReason::Kicked,
                EndReason::TakenOver => wit::EndReason::TakenOver,
                EndReason::Discarded => wit::EndReason::Discarded,
                EndReason::NotAuthorized => wit::EndReason::NotAuthorized,
                EndReason::ProtocolError => wit::EndReason::ProtocolError,
                EndReason::SubscribeFailed => wit::EndReason::SubscribeFailed,
                EndReason::UnsubscribeFailed => wit::EndReason::UnsubscribeFailed,
                EndReason::LimitExceeded => wit::EndReason::LimitExceeded,
                EndReason::TooSlow => wit::EndReason::TooSlow,
                EndReason::Expired => wit::EndReason::Expired,
                EndReason::Module => wit::EndReason::Module,
                EndReason::Shutdown => wit::EndReason::Shutdown,
                EndReason::InternalError => wit::EndReason::InternalError,
                EndReason::Other => wit::EndReason::Other,
            },
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
            origin: match it.origin {
                Origin::Client => wit::Origin::Client,
                Origin::Will => wit::Origin::Will,
                Origin::Admin => wit::Origin::Admin,
                Origin::System => wit::Origin::System,
                Origin::Bridge => wit::Origin::Bridge,
                Origin::Module => wit::Origin::Module,
            },
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
            reason: drop_reason(it.reason),
            code: it.code,
            text: text(&it.text),
        }
    }

    fn delivery_drop(&mut self, it: &'a DeliveryDrop) -> wit::DeliveryDrop<'a> {
        wit::DeliveryDrop {
            delivery: self.delivery(&it.delivery),
            reason: drop_reason(it.reason),
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

    fn other(&mut self, it: &'a OtherEvent) -> wit::OtherEvent<'a> {
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

    /// None costs a guest nothing, an empty list an allocation.
    fn pairs_if_any(&self, pairs: &'a [(ByteString, ByteString)]) -> Option<&'a [(&'a str, &'a str)]> {
        (!pairs.is_empty()).then(|| self.pairs(pairs))
    }

    fn hex(&self, id: Id) -> &'a str {
        // Hex digits are ASCII, so there is no other way.
        std::str::from_utf8(self.arena.alloc(id.hex())).unwrap_or_default()
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

fn property(property: &Property) -> wit::Property<'_> {
    use wit::Property as To;
    match property {
        Property::PayloadFormatIndicator(it) => To::PayloadFormatIndicator(*it),
        Property::MessageExpiryInterval(it) => To::MessageExpiryInterval(*it),
        Property::ContentType(it) => To::ContentType(it),
        Property::ResponseTopic(it) => To::ResponseTopic(it),
        Property::CorrelationData(it) => To::CorrelationData(it),
        Property::SubscriptionIdentifier(it) => To::SubscriptionIdentifier(*it),
        Property::SessionExpiryInterval(it) => To::SessionExpiryInterval(*it),
        Property::AssignedClientIdentifier(it) => To::AssignedClientIdentifier(it),
        Property::ServerKeepAlive(it) => To::ServerKeepAlive(*it),
        Property::AuthenticationMethod(it) => To::AuthenticationMethod(it),
        Property::RequestProblemInformation(it) => To::RequestProblemInformation(*it),
        Property::WillDelayInterval(it) => To::WillDelayInterval(*it),
        Property::RequestResponseInformation(it) => To::RequestResponseInformation(*it),
        Property::ResponseInformation(it) => To::ResponseInformation(it),
        Property::ServerReference(it) => To::ServerReference(it),
        Property::ReasonString(it) => To::ReasonString(it),
        Property::ReceiveMaximum(it) => To::ReceiveMaximum(*it),
        Property::TopicAliasMaximum(it) => To::TopicAliasMaximum(*it),
        Property::TopicAlias(it) => To::TopicAlias(*it),
        Property::MaximumQos(it) => To::MaximumQos(*it),
        Property::RetainAvailable(it) => To::RetainAvailable(*it),
        Property::MaximumPacketSize(it) => To::MaximumPacketSize(*it),
        Property::WildcardSubscriptionAvailable(it) => To::WildcardSubscriptionAvailable(*it),
        Property::SubscriptionIdentifierAvailable(it) => To::SubscriptionIdentifierAvailable(*it),
        Property::SharedSubscriptionAvailable(it) => To::SharedSubscriptionAvailable(*it),
    }
}

fn drop_reason(reason: DropReason) -> wit::DropReason {
    use wit::DropReason as To;
    match reason {
        DropReason::NoSubscribers => To::NoSubscribers,
        DropReason::NotAuthorized => To::NotAuthorized,
        DropReason::PacketIdInUse => To::PacketIdInUse,
        DropReason::ReceiveMaximumExceeded => To::ReceiveMaximumExceeded,
        DropReason::LimitExceeded => To::LimitExceeded,
        DropReason::Invalid => To::Invalid,
        DropReason::Module => To::Module,
        DropReason::QueueFull => To::QueueFull,
        DropReason::WindowFull => To::WindowFull,
        DropReason::NotQueued => To::NotQueued,
        DropReason::Expired => To::Expired,
        DropReason::NoLocal => To::NoLocal,
        DropReason::TooLarge => To::TooLarge,
        DropReason::Refused => To::Refused,
        DropReason::Disconnected => To::Disconnected,
        DropReason::SessionEnded => To::SessionEnded,
        DropReason::Other => To::Other,
    }
}

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
