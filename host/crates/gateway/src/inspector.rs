//! What passes is split into packets, handed to the protocol core, and rewritten where publishes carry their publisher.
//! With access rules, packets that are denied do not pass, and the gateway answers them itself. While a web service
//! decides about a packet, the client is not read; the other direction goes on.
//! Acknowledgements that have to wait are taken out.

mod publisher;
mod rewrite;

use std::sync::Arc;
use std::task::{Context, Poll};

use hookhost_relay::frame::Piece;
use hookhost_relay::packet::{self, kind};
use hookhost_relay::{ClosingPackets, Direction, EndCause, HeldAcks, Inspected, Inspector, Side};

use super::emitter::Emitter;
use super::protocol::ClientSession;
use super::publisher_property;
use super::shared::Shared;
use rewrite::Waiting;

/// Bytes that are read at a time if packets become longer on their way: at most some 700 messages, which become 750 kB.
const MAX_REWRITTEN_PIECE: usize = 4 << 10;
/// How much may be read at a time from all others.
const MAX_PIECE: usize = 64 << 10;

/// Above this, the client is not read until it has taken the gateway's own answers.
const MAX_REPLY_BYTES: usize = 64 << 10;

/// Sees the packets of one connection.
pub(crate) struct SessionInspector {
    shared: Arc<Shared>,
    /// `None` if CONNECT cannot be decoded.
    session: Option<ClientSession>,
    emitter: Emitter,
    /// Whether publishes get a property that names their publisher.
    adds_publishers: bool,
    /// Whether packets are written one by one, because some change on their way or do not pass.
    rewrites: bool,
    /// Answers of the gateway itself, for the client.
    replies: Vec<u8>,
    held_acks: HeldAcks,
    /// Packets of the client that wait for the decisions of a web service.
    waiting: Option<Waiting>,
    /// The client has sent what may not pass; code of MQTT 5.
    violation: Option<u8>,
}

impl SessionInspector {
    /// An inspector for a connection after CONNACK.
    pub(crate) fn new(shared: Arc<Shared>, session: Option<ClientSession>, emitter: Emitter) -> SessionInspector {
        let adds_publishers =
            shared.adds_publishers() && session.as_ref().is_some_and(|session| session.version() == 5);
        let rewrites = adds_publishers || session.as_ref().is_some_and(ClientSession::has_rules);
        SessionInspector {
            adds_publishers,
            replies: Vec::new(),
            shared,
            session,
            emitter,
            rewrites,
            held_acks: HeldAcks::default(),
            waiting: None,
            violation: None,
        }
    }

    /// The longest packets of the client and of the upstream that are found, in bytes.
    pub(crate) fn longest(&self) -> [usize; 2] {
        let longest = self.shared.limits.max_packet_size as usize;
        let added = if self.adds_publishers {
            publisher_property::MAX_ADDED_BYTES
        } else {
            0
        };
        [longest, longest + added]
    }
}

impl Inspector for SessionInspector {
    fn inspect(&mut self, from: Side, piece: &[u8], direction: &mut Direction) -> Inspected {
        for (id, completion) in self.emitter.expected_acks.drain(..) {
            self.held_acks.expect(id, completion);
        }
        let Some(session) = &mut self.session else {
            return Inspected {
                passes: true,
                has_ping: false,
            };
        };
        if self.rewrites {
            return match from {
                Side::Client => self.client_piece(piece, direction),
                Side::Upstream => self.upstream_piece(piece, direction),
            };
        }
        let shared = Arc::clone(&self.shared);
        let mut step = shared.step();
        let mut has_ping = false;
        let emitter = &mut self.emitter;
        let mut see = |found: &Piece<'_>| {
            match found {
                Piece::Packet(frame) => {
                    has_ping |= from == Side::Client && frame.kind() == kind::PINGREQ;
                    session.packet(from, *frame, &mut step);
                }
                Piece::TooLong => session.too_long(from, &mut step),
                Piece::Broken => session.broken(from, &mut step),
            }
            emitter.apply(step.take());
        };
        let passes = match from {
            Side::Upstream => self.held_acks.pass(piece, direction, see),
            Side::Client => {
                let mut input = piece;
                while let Some(found) = direction.framer.next(&mut input) {
                    see(&found);
                }
                true
            }
        };
        Inspected { passes, has_ping }
    }

    fn release(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) {
        self.held_acks.release(cx, out);
        // More is written when the client has taken this.
        if out.is_empty() {
            out.append(&mut self.replies);
        }
    }

    fn resume(&mut self, cx: &mut Context<'_>, from_client: &mut Direction) -> Poll<Inspected> {
        self.resume_client(cx, from_client)
    }

    fn is_congested(&self) -> bool {
        self.waiting.is_some() || self.replies.len() > MAX_REPLY_BYTES || self.held_acks.is_full()
    }

    fn is_clear(&self) -> bool {
        self.emitter.is_empty()
    }

    async fn flush(&mut self) {
        self.emitter.flush().await;
    }

    fn violation(&self) -> Option<u8> {
        self.violation.or_else(|| self.held_acks.violation())
    }

    fn is_leaving(&self) -> bool {
        self.session.as_ref().is_some_and(ClientSession::is_leaving)
    }

    fn max_piece(&self, from: Side) -> usize {
        // Small packets become much longer with the property that names their publisher.
        if self.adds_publishers && from == Side::Client {
            MAX_REWRITTEN_PIECE
        } else {
            MAX_PIECE
        }
    }

    fn end(&mut self, cause: EndCause) {
        if let Some(session) = &mut self.session {
            self.emitter.run(|step| session.end(cause, step));
        }
    }

    async fn closing_packets(&mut self, cause: EndCause) -> ClosingPackets {
        let may_disconnect = |session: &ClientSession| session.is_open() && session.version() == 5;
        let may_disconnect = self.session.as_ref().is_some_and(may_disconnect);
        let code = match cause {
            EndCause::ClientClosed | EndCause::ClientFailed(_) | EndCause::TooSlow => None,
            EndCause::UpstreamClosed | EndCause::UpstreamSilent => Some(128),
            EndCause::KeepAlive => Some(141),
            EndCause::Kicked => Some(152),
            EndCause::Expired => Some(160),
            EndCause::Draining | EndCause::Stopping => Some(139),
            EndCause::Protocol(code) => Some(code),
        };
        let ends_session = cause == EndCause::Kicked && may_disconnect;
        self.end(cause);
        ClosingPackets {
            code: code.filter(|_| may_disconnect),
            to_upstream: if ends_session {
                &packet::DISCONNECT_END_SESSION
            } else {
                &[]
            },
        }
    }
}

#[cfg(test)]
mod tests;
