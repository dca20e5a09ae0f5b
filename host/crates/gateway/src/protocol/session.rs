//! A connection after CONNACK: which part handles a packet, and how the connection ends.

use std::sync::Arc;

use super::connection_state::ConnectionState;
use super::deliveries::Deliveries;
use super::gate::{Gate, Passage};
use super::publishes::Publishes;
use super::step::{Action, Closing, Counter, Step};
use super::subscriptions::Subscriptions;
use super::{end, ended};
use crate::frame::{Frame, parse};
use crate::packet::{ConnackPacket, Connect, InvalidPacket, Packet, kind};
use crate::publisher_property::PublisherProperty;
use crate::sessions::ConnectionHandle;
use hookhost_access::ClientAccess;
use hookhost_event::{
    Detail, Disconnection, End, EndReason, Hook, Message, Millis, Origin, OtherEvent, Session, Termination,
};
use hookhost_relay::{EndCause, Side};

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

    /// Whether the host's own rules are checked: then packets have to be handed to [`check`](ClientSession::check) first.
    pub(crate) fn has_rules(&self) -> bool {
        self.gate.is_some()
    }

    /// What the host's own rules make of a packet of the client. Does not report a packet that passes.
    pub(crate) fn check(&mut self, frame: Frame<'_>, step: &mut Step<'_>) -> Passage {
        let Some(gate) = &mut self.gate else {
            return Passage::Pass;
        };
        if !matches!(self.phase, Phase::Open) {
            return Passage::Answer(Vec::new());
        }
        let passage = gate.check(&mut self.state, frame, step);
        let id = frame.body.first_chunk().map(|id| u16::from_be_bytes(*id));
        match (frame.kind(), id) {
            (kind::SUBSCRIBE, Some(id)) => self.subscribe(id, passage, frame, step),
            _ => passage,
        }
    }

    /// Reports a SUBSCRIBE of which some filters do not pass, and its SUBACK if none passes.
    fn subscribe(&mut self, id: u16, passage: Passage, frame: Frame<'_>, step: &mut Step<'_>) -> Passage {
        let Some(gate) = self.gate.as_mut().filter(|_| passage != Passage::Pass) else {
            return passage;
        };
        // The events of all filters come with SUBACK.
        let denied = gate.denied_filters(id);
        self.pass(Side::Client, frame, None, step);
        self.subscriptions.note_denied(id, denied);
        let Passage::Answer(_) = passage else { return passage };
        let suback = self
            .gate
            .as_mut()
            .and_then(|gate| gate.suback_without_upstream(&mut self.state, id));
        let suback = suback.unwrap_or_default();
        if let Some(frame) = parse(&suback) {
            self.pass(Side::Upstream, frame, None, step);
        }
        Passage::Answer(suback)
    }

    /// The SUBACK that the client gets in place of this packet of the upstream; `None` if the packet passes as it is.
    pub(crate) fn completed_suback(&mut self, frame: Frame<'_>) -> Option<Vec<u8>> {
        self.gate.as_mut()?.suback(&mut self.state, frame)
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

    /// The connection is over; later packets are ignored.
    pub(crate) fn end(&mut self, cause: EndCause, step: &mut Step<'_>) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Over => {}
            Phase::Leaving(leaving) => {
                let (end, expiry) = *leaving;
                self.over(end, false, false, Some(expiry), step);
            }
            Phase::Open => {
                let by_upstream = cause == EndCause::UpstreamClosed;
                let (end, has_will) = end::end_of(cause, self.state.fault);
                self.over(end, by_upstream, has_will, None, step);
            }
        }
    }

    fn disconnect(&mut self, from: Side, frame: Frame<'_>, step: &mut Step<'_>) -> Result<(), InvalidPacket> {
        let Packet::Disconnect {
            code,
            session_expiry,
            text,
            properties,
        } = self.state.decode(frame)?
        else {
            return Err(InvalidPacket(130));
        };
        let by_upstream = from == Side::Upstream;
        let end = End {
            reason: if by_upstream {
                end::reason_of(code)
            } else {
                EndReason::Disconnect
            },
            code: Some(code),
            text,
            properties,
        };
        let has_will = if by_upstream { code != 139 } else { code != 0 };
        let connection = &self.state.connection;
        let session_expiry = session_expiry.filter(|_| !by_upstream && connection.session_expiry > 0);
        if !by_upstream && (!has_will || self.will.is_none()) {
            // Reported when the upstream has acted on it, so that it comes after everything the client is still sent.
            let expiry = session_expiry.unwrap_or(connection.session_expiry);
            step.push(Action::Leave {
                client_id: connection.client.id.clone(),
                number: self.state.number,
                end: end.clone(),
                session_expiry: expiry,
            });
            self.phase = Phase::Leaving(Box::new((end, expiry)));
            return Ok(());
        }
        self.over(end, by_upstream, has_will, session_expiry, step);
        Ok(())
    }

    /// The connection has ended. `by_upstream`: a successor may report it. `has_will`: the upstream publishes the will.
    fn over(&mut self, end: End, by_upstream: bool, has_will: bool, session_expiry: Option<u32>, step: &mut Step<'_>) {
        self.phase = Phase::Over;
        self.subscriptions = Subscriptions::default();
        self.publishes = Publishes::default();
        self.deliveries = Deliveries::default();
        let connection = &self.state.connection;
        let session_expiry = session_expiry.unwrap_or(connection.session_expiry);
        let will = self.will.take().filter(|_| has_will);
        let will_delay = self.will_delay.min(session_expiry);
        let by_end = by_upstream.then(|| end.clone());
        let now = step.now;
        let actions = step.apart(|step| {
            match (will, will_delay) {
                (Some(will), 0) => ended::publish_will(&will, step),
                // The session's end publishes it at the latest.
                (Some(will), delay) => step.push(Action::PublishWillLater(will, delay)),
                (None, _) => {}
            }
            step.emit(Hook::ClientDisconnected, None, || {
                Detail::ClientDisconnected(Disconnection {
                    connection: connection.clone(),
                    end: end.clone(),
                    connected_at: self.connected_at,
                    disconnected_at: now,
                })
            });
            if session_expiry == 0 {
                let by_disconnect = end.reason == EndReason::Disconnect;
                step.emit_session_end(Hook::SessionTerminated, connection.clean_start, by_disconnect, || {
                    Detail::SessionTerminated(Termination {
                        session: Session {
                            client: connection.client.clone(),
                            created_at: self.created_at,
                        },
                        end,
                    })
                });
            }
        });
        step.push(Action::Close(Box::new(Closing {
            client_id: connection.client.id.clone(),
            number: self.state.number,
            by_upstream: by_end,
            session_expiry,
            actions,
        })));
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
