//! A connection after CONNACK: which part handles a packet, and how the connection ends.

mod checks;
mod ends;

use std::sync::Arc;

use super::connection_state::ConnectionState;
use super::deliveries::Deliveries;
use super::gate::Gate;
use super::publishes::Publishes;
use super::step::{Counter, Step};
use super::subscriptions::Subscriptions;
use crate::frame::Frame;
use crate::packet::{ConnackPacket, Connect, InvalidPacket, kind};
use crate::publisher_property::PublisherProperty;
use crate::sessions::ConnectionHandle;
use hookhost_access::ClientAccess;
use hookhost_event::{Detail, End, Hook, Message, Millis, Origin, OtherEvent};
use hookhost_relay::Side;

/// Where a connection is in its life.
enum Phase {
    /// Packets pass.
    Open,
    /// The client has sent DISCONNECT, and the upstream has not closed yet. What DISCONNECT said, and how long the
    /// session remains, in seconds.
    Leaving(Box<(End, u32)>),
    /// Its end is reported.
    Over,
}

/// A connection after CONNACK.
pub(crate) struct ClientSession {
    state: ConnectionState,
    access: Option<ClientAccess>,
    /// The host's own rules; `None` if the client may do everything.
    gate: Option<Gate>,
    phase: Phase,
    connected_at: Option<Millis>,
    created_at: Option<Millis>,
    will: Option<Arc<Message>>,
    /// Seconds between the end of the connection and the publish of the will.
    will_delay: u32,
    /// Effective keep alive in seconds.
    keep_alive: u16,
    /// The longest packet that the upstream accepts, in bytes.
    max_packet_size: usize,
    subscriptions: Subscriptions,
    publishes: Publishes,
    deliveries: Deliveries,
}

impl ClientSession {
    /// A connection that the upstream has accepted. `access`: what the host itself lets the client do. `times`: when that
    /// was, and when the session was created.
    pub(super) fn open(
        state: ConnectionState,
        access: Option<ClientAccess>,
        connect: &Connect,
        answer: &ConnackPacket,
        times: (Millis, Option<Millis>),
        will: Option<Arc<Message>>,
    ) -> ClientSession {
        ClientSession {
            phase: Phase::Open,
            access: access.clone(),
            gate: access
                .filter(|access| !access.is_unrestricted())
                .map(|access| Gate::new(access, answer.topic_alias_maximum)),
            connected_at: Some(times.0),
            created_at: times.1,
            will,
            will_delay: connect.will.as_ref().map_or(0, |will| will.delay),
            max_packet_size: answer.maximum_packet_size.map_or(usize::MAX, |size| size as usize),
            publishes: Publishes::new(answer.topic_alias_maximum),
            deliveries: Deliveries::new(connect.topic_alias_maximum),
            ..ClientSession::refused(state, answer.keep_alive.unwrap_or(connect.keep_alive))
        }
    }

    /// A connection that the upstream has refused: it ignores all packets.
    pub(super) fn refused(state: ConnectionState, keep_alive: u16) -> ClientSession {
        ClientSession {
            state,
            access: None,
            gate: None,
            phase: Phase::Over,
            connected_at: None,
            created_at: None,
            will: None,
            will_delay: 0,
            keep_alive,
            max_packet_size: usize::MAX,
            subscriptions: Subscriptions::default(),
            publishes: Publishes::default(),
            deliveries: Deliveries::default(),
        }
    }

    /// Effective keep alive in seconds; 0: none.
    pub(crate) fn keep_alive(&self) -> u16 {
        self.keep_alive
    }

    /// The protocol version: 3, 4 or 5.
    pub(crate) fn version(&self) -> u8 {
        self.state.version()
    }

    /// How the rest of the gateway reaches this connection.
    pub(crate) fn handle(&self) -> Arc<ConnectionHandle> {
        Arc::clone(&self.state.handle)
    }

    /// What the host itself lets the client do; `None` if CONNACK has refused it.
    pub(crate) fn access(&self) -> Option<&ClientAccess> {
        self.access.as_ref()
    }

    /// Whether packets pass: CONNACK has accepted the connection and its end is not reported.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Whether the client has sent DISCONNECT and its end is reported when the upstream closes.
    pub(crate) fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving(_))
    }

    /// A packet passes. A packet that its sender may not send is counted and otherwise ignored.
    pub(crate) fn packet(&mut self, from: Side, frame: Frame<'_>, step: &mut Step<'_>) {
        self.pass(from, frame, None, step);
    }

    /// A PUBLISH of the upstream passes that carried the property of its publisher.
    pub(crate) fn delivery_with(&mut self, frame: Frame<'_>, property: PublisherProperty, step: &mut Step<'_>) {
        self.pass(Side::Upstream, frame, Some(property), step);
    }

    /// A PUBLISH of the client passes. Returns the property that it has to carry, and the longest packet that the
    /// upstream accepts, in bytes; `None` if the connection is not open.
    pub(crate) fn publish_with_property(
        &mut self,
        frame: Frame<'_>,
        step: &mut Step<'_>,
    ) -> Option<(PublisherProperty, usize)> {
        if !self.is_open() {
            return None;
        }
        let property = PublisherProperty {
            id: step.new_id(),
            publisher: self.state.client(),
            origin: Origin::Client,
            qos: frame.first >> 1 & 3,
            retain: frame.first & 1 != 0,
            received_at: step.now,
        };
        self.pass(Side::Client, frame, Some(property.clone()), step);
        Some((property, self.max_packet_size))
    }

    /// A packet passes that is too long to be decoded.
    pub(crate) fn too_long(&mut self, from: Side, step: &mut Step<'_>) {
        step.count(Counter::TooLong);
        if from == Side::Client {
            self.state.fault = Some(149);
        }
    }

    /// From here on, what one side sends is not MQTT.
    pub(crate) fn broken(&mut self, from: Side, step: &mut Step<'_>) {
        step.count(Counter::InvalidPacket);
        if from == Side::Client {
            self.state.fault = Some(129);
        }
    }

    fn pass(&mut self, from: Side, frame: Frame<'_>, property: Option<PublisherProperty>, step: &mut Step<'_>) {
        if !self.is_open() {
            return;
        }
        let kind = frame.kind();
        let state = &mut self.state;
        if from == Side::Upstream && kind != kind::PUBLISH {
            // The upstream goes on answering, so it accepts what the client has sent.
            state.fault = None;
        }
        let handled = match (from, kind) {
            (Side::Client, kind::PUBLISH) => self.publishes.publish(state, frame, property, step),
            (Side::Upstream, kind::PUBLISH) => self.deliveries.delivery(state, frame, property, step),
            (Side::Client, kind::PUBACK | kind::PUBREC | kind::PUBCOMP) => {
                self.deliveries.acknowledgement(state, frame, step)
            }
            (Side::Upstream, kind::PUBACK | kind::PUBREC | kind::PUBCOMP) => self.publishes.answer(state, frame, step),
            (_, kind::PUBREL) | (Side::Upstream, kind::PINGRESP) => Ok(()),
            (Side::Client, kind::SUBSCRIBE | kind::UNSUBSCRIBE) | (Side::Upstream, kind::SUBACK | kind::UNSUBACK) => {
                self.subscriptions.packet(state, frame, step)
            }
            (Side::Client, kind::PINGREQ) => {
                self.ping(step);
                Ok(())
            }
            (_, kind::DISCONNECT) if from == Side::Client || state.version() == 5 => self.disconnect(from, frame, step),
            (_, kind::AUTH) if state.version() == 5 => Ok(()),
            _ => {
                step.count(Counter::Unexpected);
                if from == Side::Client {
                    state.fault = Some(130);
                }
                return;
            }
        };
        if let Err(InvalidPacket(code)) = handled {
            step.count(Counter::InvalidPacket);
            if from == Side::Client {
                self.state.fault = Some(code);
            }
        }
    }

    fn ping(&self, step: &mut Step<'_>) {
        const NAME: &str = "client.ping";
        step.emit(Hook::Other, Some(NAME), || {
            Detail::Other(OtherEvent {
                name: NAME.into(),
                client: Some(self.state.client()),
                data: "{}".into(),
            })
        });
    }

    /// Bytes that this connection and its session keep, as they count them.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        super::connection_state::MAX_PENDING_BYTES - self.state.budget.left() + self.state.session().kept()
    }

    /// How many subscriptions the session holds.
    #[cfg(test)]
    pub(super) fn held_subscriptions(&self) -> usize {
        self.state.session().subscriptions()
    }
}
