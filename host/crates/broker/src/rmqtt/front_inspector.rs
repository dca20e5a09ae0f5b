//! What the relay between a client and RMQTT sees and changes; [`super::front`] says why.

use std::sync::{Arc, PoisonError};
use std::task::Context;

use ::rmqtt::codec::error::DecodeError;
use hookhost_event::{End, EndReason};
use hookhost_relay::frame::{Frame, Piece};
use hookhost_relay::packet::{self, FieldReader, QOS_NOT_SUPPORTED, kind};
use hookhost_relay::{ClosingPackets, Direction, EndCause, HeldAcks, Inspected, Inspector, Side};
use hookhost_sessions::Commit;

use super::filters::FilterRules;
use super::persistent::PersistentSession;
use super::relayed_client::RelayedClient;
use super::strict::{self, LongPacket};

/// Sees what passes between a client and RMQTT.
pub(super) struct FrontInspector {
    client: Arc<RelayedClient>,
    version: u8,
    /// The highest topic alias that the client may use.
    max_alias: u16,
    is_leaving: bool,
    /// Whether the client has sent a DISCONNECT that was taken out. Nothing passes after it.
    passes_nothing: bool,
    /// The code for a packet that may not pass. The relay ends the connection then.
    violation: Option<u8>,
    /// Checks a packet that is too long to be collected, while it passes.
    long_packet: Option<LongPacket>,
    /// The client's session, if it outlives the connection.
    session: Option<Arc<PersistentSession>>,
    /// What has to be on the disk before RMQTT gets what the client has sent.
    commit: Option<Commit>,
    filters: FilterRules,
    held_acks: HeldAcks,
}

impl FrontInspector {
    /// An inspector for this client after CONNACK. `session`: its session, if that outlives the connection.
    pub(super) fn new(
        client: Arc<RelayedClient>,
        version: u8,
        max_alias: u16,
        session: Option<Arc<PersistentSession>>,
        filters: FilterRules,
    ) -> FrontInspector {
        FrontInspector {
            client,
            version,
            max_alias,
            is_leaving: false,
            passes_nothing: false,
            violation: None,
            long_packet: None,
            session,
            commit: None,
            filters,
            held_acks: HeldAcks::default(),
        }
    }

    /// Tells the session what the client acknowledges.
    fn acknowledgement(&mut self, kind: u8, body: &[u8]) {
        let Some(session) = &self.session else { return };
        let mut fields = FieldReader::new(body);
        let Some(packet_id) = fields.number() else { return };
        // A code from 128 on refuses the message.
        let is_refused = fields.byte().is_some_and(|code| code >= 128);
        if kind == kind::PUBREC && !is_refused {
            self.commit = session.received(packet_id).or(self.commit.take());
        } else if kind == kind::PUBREL {
            session.released(packet_id);
        }
    }

    /// Remembers the user properties of a SUBSCRIBE or UNSUBSCRIBE.
    fn user_properties(&self, frame: Frame<'_>) {
        // RMQTT refuses what cannot be read.
        if self.version == 5
            && matches!(frame.kind(), kind::SUBSCRIBE | kind::UNSUBSCRIBE)
            && let Ok(packet) = packet::decode(self.version, frame)
        {
            let sent = &self.client.user_properties;
            sent.lock().unwrap_or_else(PoisonError::into_inner).add(packet);
        }
    }

    /// A SUBSCRIBE with filters that RMQTT refuses in place of invalid ones; `None` for any other packet. `length`: how
    /// much of the packet is in this piece. What came before is on its way already.
    fn refusable(&self, frame: Frame<'_>, length: usize) -> Option<Vec<u8>> {
        if self.version == 5 || frame.kind() != kind::SUBSCRIBE {
            return None;
        }
        let body = self.filters.replace_invalid(frame.body)?;
        let is_whole = frame.packet().len() == length;
        let first = frame.first;
        is_whole.then(|| Frame { first, body: &body }.packet())
    }

    /// Takes out a DISCONNECT after which the will has to be published; returns whether the packet is one. RMQTT publishes no
    /// will after a DISCONNECT, so it does not get this one and sees only that the client closes. One with properties, such
    /// as a new session expiry, passes.
    fn take_disconnect_with_will(&mut self, frame: Frame<'_>) -> bool {
        const WITH_WILL: u8 = 4;
        let is_one =
            self.version == 5 && frame.kind() == kind::DISCONNECT && matches!(frame.body, [WITH_WILL] | [WITH_WILL, 0]);
        if is_one {
            self.client.end_by_relay(End {
                reason: EndReason::Disconnect,
                code: Some(WITH_WILL),
                text: None,
                properties: None,
            });
            self.is_leaving = true;
            self.passes_nothing = true;
        }
        is_one
    }

    /// Checks bytes of a packet that is too long to be collected.
    fn long_piece(&mut self, bytes: &[u8]) {
        if let Some(long_packet) = &mut self.long_packet
            && !bytes.is_empty()
        {
            self.violation = long_packet.check(bytes);
        }
    }

    /// Inspects a piece of the client's bytes. Returns whether it passes as it is.
    fn client_piece(&mut self, piece: &[u8], direction: &mut Direction) -> bool {
        if self.passes_nothing {
            return false;
        }
        let mut input = piece;
        let mut rewritten = Vec::new();
        let mut copied = 0;
        loop {
            let unseen = direction.framer.unseen(&mut input);
            let start = piece.len() - input.len();
            self.long_piece(unseen);
            if direction.framer.is_between() {
                self.long_packet = None;
            }
            if self.violation.is_some() {
                // What came before passes, so that RMQTT never gets the end of the packet.
                rewritten.extend_from_slice(piece.get(copied..start - unseen.len()).unwrap_or_default());
                direction.out = rewritten;
                return false;
            }
            let Some(found) = direction.framer.next(&mut input) else {
                break;
            };
            let end = piece.len() - input.len();
            let is_too_long = matches!(found, Piece::TooLong);
            if let Piece::Packet(frame) = found {
                self.violation = strict::packet(self.version, self.max_alias, frame);
                if self.violation.is_some() || self.take_disconnect_with_will(frame) {
                    // What came before passes.
                    rewritten.extend_from_slice(piece.get(copied..start).unwrap_or_default());
                    direction.out = rewritten;
                    return false;
                }
                self.acknowledgement(frame.kind(), frame.body);
                self.user_properties(frame);
                if let Some(subscribe) = self.refusable(frame, end - start) {
                    rewritten.extend_from_slice(piece.get(copied..start).unwrap_or_default());
                    rewritten.extend_from_slice(&subscribe);
                    copied = end;
                }
            }
            let first = direction.framer.head().first().copied().unwrap_or_default();
            self.is_leaving |= Frame { first, body: &[] }.kind() == kind::DISCONNECT;
            if is_too_long {
                match LongPacket::new(self.version, self.max_alias, first) {
                    Ok(long_packet) => self.long_packet = Some(long_packet),
                    Err(code) => self.violation = Some(code),
                }
            }
        }
        let passes = copied == 0;
        if !passes {
            rewritten.extend_from_slice(piece.get(copied..).unwrap_or_default());
            direction.out = rewritten;
        }
        passes
    }
}

impl Inspector for FrontInspector {
    fn inspect(&mut self, from: Side, piece: &[u8], direction: &mut Direction) -> Inspected {
        let passes = match from {
            Side::Client => self.client_piece(piece, direction),
            Side::Upstream => {
                for (packet_id, completion) in self.client.expected_acks.take() {
                    self.held_acks.expect(packet_id, completion);
                }
                self.held_acks.pass(piece, direction, |_| {})
            }
        };
        Inspected {
            passes,
            has_ping: false,
        }
    }

    fn release(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) {
        self.held_acks.release(cx, out);
    }

    fn is_congested(&self) -> bool {
        self.held_acks.is_full()
    }

    fn violation(&self) -> Option<u8> {
        self.violation.or_else(|| self.held_acks.violation())
    }

    fn is_clear(&self) -> bool {
        self.commit.is_none()
    }

    async fn flush(&mut self) {
        if let Some(commit) = self.commit.take() {
            commit.finished().await;
        }
    }

    fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    fn end(&mut self, _: EndCause) {
        // RMQTT sees that the client has closed, and says so.
    }

    async fn closing_packets(&mut self, cause: EndCause) -> ClosingPackets {
        let end = |reason, code, text: Option<&'static str>| End {
            reason,
            code,
            text: text.map(Into::into),
            properties: None,
        };
        let code = match cause {
            EndCause::UpstreamClosed => self.client.disconnect_code().await,
            EndCause::KeepAlive => {
                self.client
                    .end_by_relay(end(EndReason::KeepAliveTimeout, Some(141), None));
                Some(141)
            }
            EndCause::Expired => {
                self.client.end_by_relay(end(EndReason::Expired, Some(160), None));
                Some(160)
            }
            EndCause::TooSlow => {
                self.client.end_by_relay(end(EndReason::TooSlow, None, None));
                None
            }
            EndCause::ClientFailed(name) => {
                self.client.end_by_relay(end(EndReason::SocketError, None, name));
                None
            }
            EndCause::Protocol(code) => {
                self.client.end_by_relay(violation_end(self.violation, code));
                Some(code)
            }
            EndCause::ClientClosed
            | EndCause::UpstreamSilent
            | EndCause::Kicked
            | EndCause::Draining
            | EndCause::Stopping => None,
        };
        ClosingPackets {
            code: code.filter(|_| self.version == 5 && !self.is_leaving),
            to_upstream: &[],
        }
    }
}

/// The end of a connection that the relay ends with this code. Without a `violation` of the client, an acknowledgement can
/// never be sent.
fn violation_end(violation: Option<u8>, code: u8) -> End {
    End {
        reason: match violation {
            Some(_) => EndReason::ProtocolError,
            None => EndReason::InternalError,
        },
        code: Some(code),
        // The text that RMQTT has for it.
        text: (code == QOS_NOT_SUPPORTED).then(|| DecodeError::MalformedPacket.to_string().into()),
        properties: None,
    }
}
