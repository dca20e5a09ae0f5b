//! What passes is split into packets, handed to the protocol core, and rewritten where publishes carry their publisher.

use tokio::time::Instant;

use super::{LINGER, Relay};
use crate::frame::{Frame, Piece};
use crate::packet::{InvalidPacket, kind};
use crate::protocol::{ClientSession, Side, Step};
use crate::publisher_property;

impl Relay {
    /// Inspects a piece of input and carries out what the core returns. True if the piece has to be written as it is;
    /// false if what has to be written is in the direction's `out`.
    pub(super) fn inspect(&mut self, from: Side, piece: &[u8]) -> bool {
        match from {
            Side::Client if self.liveness.silence.is_some() => self.liveness.heard = Instant::now(),
            Side::Client => {}
            Side::Upstream => self.liveness.pinged = None,
        }
        let direction = match from {
            Side::Client => &mut self.from_client,
            Side::Upstream => &mut self.from_upstream,
        };
        let Some(session) = &mut self.session else { return true };
        let mut step = self.shared.step();
        let mut rewritten = Vec::new();
        let mut input = piece;
        loop {
            if self.rewrites && from == Side::Upstream {
                rewritten.extend_from_slice(direction.framer.unseen(&mut input));
            }
            let Some(found) = direction.framer.next(&mut input) else {
                break;
            };
            let is_packet = matches!(found, Piece::Packet(_));
            let violation = match found {
                Piece::Packet(frame) => {
                    if from == Side::Client && frame.kind() == kind::PINGREQ && self.liveness.pinged.is_none() {
                        self.liveness.pinged = Some(Instant::now());
                    }
                    match from {
                        _ if !self.rewrites => {
                            session.packet(from, frame, &mut step);
                            None
                        }
                        Side::Client => add_publisher(session, frame, &mut step, &mut rewritten).err(),
                        Side::Upstream => {
                            remove_publisher(session, frame, &mut step, &mut rewritten);
                            None
                        }
                    }
                }
                Piece::TooLong => {
                    session.too_long(from, &mut step);
                    Some(InvalidPacket(149))
                }
                Piece::Broken => {
                    session.broken(from, &mut step);
                    Some(InvalidPacket(129))
                }
            };
            self.emitter.apply(step.take());
            if !is_packet && from == Side::Upstream {
                rewritten.extend_from_slice(direction.framer.head());
            } else if self.rewrites
                && let Some(InvalidPacket(code)) = violation
            {
                // A publish that cannot be checked for the property must not reach the upstream.
                self.violation = Some(code);
                break;
            }
        }
        if session.is_leaving() && self.liveness.closing.is_none() {
            self.liveness.closing = Some(Instant::now() + LINGER);
        }
        if self.rewrites {
            direction.out.extend(rewritten);
        }
        !self.rewrites
    }
}

/// A packet of the client passes: a PUBLISH gets the property that names its publisher, in place of what the client says
/// about that. A PUBLISH whose properties cannot be read does not pass.
fn add_publisher(
    session: &mut ClientSession,
    frame: Frame<'_>,
    step: &mut Step<'_>,
    out: &mut Vec<u8>,
) -> Result<(), InvalidPacket> {
    if frame.kind() != kind::PUBLISH {
        session.packet(Side::Client, frame, step);
        frame.write(out);
        return Ok(());
    }
    if !publisher_property::is_readable(frame) {
        session.broken(Side::Client, step);
        return Err(InvalidPacket(129));
    }
    let removed = publisher_property::remove(frame);
    let clean = Frame {
        body: removed.as_ref().map_or(frame.body, |removed| &removed.body),
        ..frame
    };
    let property = session.publish_with_property(clean, step);
    match property.and_then(|(property, longest)| publisher_property::insert(clean, &property, longest)) {
        Some(packet) => out.extend(packet),
        None => clean.write(out),
    }
    Ok(())
}

/// A packet of the upstream passes: the property that names the publisher is removed from a PUBLISH.
fn remove_publisher(session: &mut ClientSession, frame: Frame<'_>, step: &mut Step<'_>, out: &mut Vec<u8>) {
    let is_publish = frame.kind() == kind::PUBLISH;
    let Some(removed) = is_publish.then(|| publisher_property::remove(frame)).flatten() else {
        session.packet(Side::Upstream, frame, step);
        return frame.write(out);
    };
    let clean = Frame {
        body: &removed.body,
        ..frame
    };
    match removed.property {
        Some(property) => session.delivery_with(clean, property, step),
        None => session.packet(Side::Upstream, clean, step),
    }
    clean.write(out);
}
