//! What passes is split into packets, handed to the protocol core, and rewritten where publishes carry their publisher.
//! Acknowledgements that have to wait are taken out.

use tokio::time::Instant;

use super::{LINGER, Passing, Relay};
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
        let holds_acks = from == Side::Upstream && !self.emitter.held_acks.is_empty();
        if !self.rewrites && holds_acks && self.passing == Passing::Whole {
            self.passing = match direction.framer.is_between() {
                true => Passing::ByPacket,
                false => Passing::ByNextPacket,
            };
        }
        let is_cut = from == Side::Upstream && self.passing != Passing::Whole;
        let mut step = self.shared.step();
        let mut rewritten = Vec::new();
        let mut input = piece;
        loop {
            if (self.rewrites || is_cut) && from == Side::Upstream {
                rewritten.extend_from_slice(direction.framer.unseen(&mut input));
                if direction.framer.is_between() && self.passing == Passing::ByNextPacket {
                    self.passing = Passing::ByPacket;
                }
            }
            let before = input;
            let Some(found) = direction.framer.next(&mut input) else {
                if is_cut && self.passing == Passing::ByNextPacket {
                    rewritten.extend_from_slice(before);
                }
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
                            if is_cut && self.passing == Passing::ByNextPacket {
                                let rest = before.len() - input.len();
                                rewritten.extend_from_slice(before.get(..rest).unwrap_or_default());
                                self.passing = Passing::ByPacket;
                            } else if is_cut && !self.emitter.held_acks.hold(frame) {
                                frame.write(&mut rewritten);
                            }
                            None
                        }
                        Side::Upstream if holds_acks && self.emitter.held_acks.hold(frame) => {
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
                if self.passing == Passing::ByNextPacket {
                    let rest = before.len() - input.len();
                    rewritten.extend_from_slice(before.get(..rest).unwrap_or_default());
                    self.passing = Passing::ByPacket;
                } else {
                    rewritten.extend_from_slice(direction.framer.head());
                }
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
        let is_whole = !self.rewrites && !is_cut;
        if !is_whole {
            direction.out.extend(rewritten);
        }
        if is_cut && self.emitter.held_acks.is_empty() && direction.framer.is_between() {
            self.passing = Passing::Whole;
        }
        is_whole
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
