//! Connections whose packets are written one by one, because some change on their way, do not pass, or have to wait until a
//! web service has decided about them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hookhost_access::rules::OwnedOperation;
use hookhost_access::{ClientAccess, Decision};
use hookhost_relay::frame::{Frame, Piece, parse};
use hookhost_relay::packet::{InvalidPacket, kind};
use hookhost_relay::{Direction, Inspected, Side};

use super::super::protocol::{ClientSession, Passage, Step};
use super::SessionInspector;
use super::publisher::{client_packet, remove_publisher};

/// A packet of the client about which a web service decides, and what was read after it. Takes at most the longest packet
/// and one piece of input.
pub(super) struct Waiting {
    packet: Vec<u8>,
    decisions: Pin<Box<dyn Future<Output = Vec<Decision>> + Send>>,
    /// What was read together with the packet, and how much of it is done.
    read: (Vec<u8>, usize),
}

impl Waiting {
    fn new(packet: Vec<u8>, access: ClientAccess, operations: Vec<OwnedOperation>) -> Waiting {
        Waiting {
            packet,
            decisions: Box::pin(async move { access.authorize_all(&operations).await }),
            read: (Vec::new(), 0),
        }
    }
}

impl SessionInspector {
    /// Inspects a piece of the client's bytes.
    pub(super) fn client_piece(&mut self, piece: &[u8], direction: &mut Direction) -> Inspected {
        let mut input = piece;
        let has_ping = self.client_packets(&mut input, direction);
        if let Some(waiting) = &mut self.waiting {
            waiting.read = (input.to_vec(), 0);
        }
        Inspected {
            passes: false,
            has_ping,
        }
    }

    /// Goes on when the web service has decided.
    pub(super) fn resume_client(&mut self, cx: &mut Context<'_>, direction: &mut Direction) -> Poll<Inspected> {
        let Some(waiting) = &mut self.waiting else {
            return Poll::Pending;
        };
        let decisions = ready!(waiting.decisions.as_mut().poll(cx));
        let packet = std::mem::take(&mut waiting.packet);
        let (read, done) = std::mem::take(&mut waiting.read);
        self.waiting = None;
        self.decided(&packet, decisions, direction);
        let mut input = read.get(done..).unwrap_or_default();
        let has_ping = self.violation.is_none() && self.client_packets(&mut input, direction);
        let done = read.len() - input.len();
        if let Some(waiting) = &mut self.waiting {
            waiting.read = (read, done);
        }
        Poll::Ready(Inspected {
            passes: false,
            has_ping,
        })
    }

    /// The web service has decided about a packet.
    fn decided(&mut self, packet: &[u8], decisions: Vec<Decision>, direction: &mut Direction) {
        let (Some(session), Some(frame)) = (&mut self.session, parse(packet)) else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        let mut step = shared.step();
        let passage = session.decided(frame, decisions, &mut step);
        let out = (&mut direction.out, &mut self.replies);
        if let Err(InvalidPacket(code)) = pass(session, frame, passage, self.adds_publishers, &mut step, out) {
            self.violation = Some(code);
        }
        self.emitter.apply(step.take());
    }

    /// Handles packets of the client up to one that has to wait or ends the connection. Returns whether there was a PINGREQ.
    fn client_packets(&mut self, input: &mut &[u8], direction: &mut Direction) -> bool {
        let Some(session) = &mut self.session else { return false };
        let shared = Arc::clone(&self.shared);
        let mut step = shared.step();
        let mut has_ping = false;
        while let Some(found) = direction.framer.next(input) {
            let passed = match found {
                Piece::Packet(frame) => {
                    has_ping |= frame.kind() == kind::PINGREQ;
                    match (session.check(frame, &mut step), session.access()) {
                        (Passage::Ask(operations), Some(access)) => {
                            self.waiting = Some(Waiting::new(frame.packet(), access.clone(), operations));
                            Ok(())
                        }
                        (passage, _) => {
                            let out = (&mut direction.out, &mut self.replies);
                            pass(session, frame, passage, self.adds_publishers, &mut step, out)
                        }
                    }
                }
                Piece::TooLong => {
                    session.too_long(Side::Client, &mut step);
                    Err(InvalidPacket(149))
                }
                Piece::Broken => {
                    session.broken(Side::Client, &mut step);
                    Err(InvalidPacket(129))
                }
            };
            self.emitter.apply(step.take());
            if let Err(InvalidPacket(code)) = passed {
                // What cannot be checked must not reach the upstream.
                self.violation = Some(code);
            }
            if self.violation.is_some() || self.waiting.is_some() {
                break;
            }
        }
        has_ping
    }

    /// Inspects a piece of the upstream's bytes.
    pub(super) fn upstream_piece(&mut self, piece: &[u8], direction: &mut Direction) -> Inspected {
        let Some(session) = &mut self.session else {
            return Inspected {
                passes: true,
                has_ping: false,
            };
        };
        let shared = Arc::clone(&self.shared);
        let mut step = shared.step();
        let Direction { framer, out, .. } = direction;
        let mut input = piece;
        loop {
            out.extend_from_slice(framer.unseen(&mut input));
            let Some(found) = framer.next(&mut input) else {
                break;
            };
            let is_packet = matches!(found, Piece::Packet(_));
            match found {
                Piece::Packet(frame) if self.held_acks.hold(frame) => {
                    session.packet(Side::Upstream, frame, &mut step);
                }
                Piece::Packet(frame) => {
                    let completed = session.completed_suback(frame);
                    let frame = completed.as_deref().and_then(parse).unwrap_or(frame);
                    if self.adds_publishers {
                        remove_publisher(session, frame, &mut step, out);
                    } else {
                        session.packet(Side::Upstream, frame, &mut step);
                        frame.write(out);
                    }
                }
                Piece::TooLong => session.too_long(Side::Upstream, &mut step),
                Piece::Broken => session.broken(Side::Upstream, &mut step),
            }
            self.emitter.apply(step.take());
            if !is_packet {
                out.extend_from_slice(framer.head());
            }
        }
        Inspected {
            passes: false,
            has_ping: false,
        }
    }
}

/// Carries out the decision about a packet of the client. `out` goes to the upstream and `replies` to the client.
fn pass(
    session: &mut ClientSession,
    frame: Frame<'_>,
    passage: Passage,
    adds_publisher: bool,
    step: &mut Step<'_>,
    (out, replies): (&mut Vec<u8>, &mut Vec<u8>),
) -> Result<(), InvalidPacket> {
    match passage {
        Passage::Pass => client_packet(session, frame, adds_publisher, step, out),
        // The session knows it already.
        Passage::Replace(packet) if frame.kind() == kind::SUBSCRIBE => {
            out.extend(packet);
            Ok(())
        }
        Passage::Replace(packet) => {
            let frame = parse(&packet).unwrap_or(frame);
            client_packet(session, frame, adds_publisher, step, out)
        }
        Passage::Answer(packet) => {
            replies.extend(packet);
            Ok(())
        }
        Passage::End(code) => Err(InvalidPacket(code)),
        // Only a client with access rules is asked about.
        Passage::Ask(_) => Err(InvalidPacket(135)),
    }
}
