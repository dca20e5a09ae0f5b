//! What passes is taken apart, told, and changed where the gateway has been told to change it.

use tokio::time::Instant;

use super::{LINGER, Relay};
use crate::frame::{self, Frame, Framer, Piece};
use crate::machine::{Machine, Side};
use crate::packet::{Unreadable, kind};
use crate::rumqttd::shield::Out;
use crate::shared::Teller;
use crate::stamp;

impl Relay {
    /// Looks at a piece; whether it is to go on as it is.
    pub(super) fn look(&mut self, from: Side, piece: &[u8]) -> bool {
        match from {
            Side::Client if self.watch.silence.is_some() => self.watch.heard = Instant::now(),
            Side::Client => {}
            Side::Upstream => self.watch.pinged = None,
        }
        let way = match from {
            Side::Client => &mut self.from_client,
            Side::Upstream => &mut self.from_upstream,
        };
        let Some(machine) = &mut self.machine else { return true };
        let mut changed = Out::default();
        let mut input = piece;
        let whole = self.stamps || self.shield.is_some();
        loop {
            if whole && from == Side::Upstream {
                changed.down.extend_from_slice(way.framer.unseen(&mut input));
            }
            let Some(found) = way.framer.next(&mut input) else {
                break;
            };
            match (found, &mut self.shield) {
                (Piece::Packet(frame), Some(shield)) => {
                    let mut shielded = Out::default();
                    let passed = match from {
                        Side::Client if self.stamps => {
                            let mut packet = Vec::new();
                            stamped(machine, frame, &self.teller, &mut packet).and_then(|()| {
                                let frame = frame::parse(&packet);
                                frame.map_or(Ok(()), |frame| shield.up(frame, &mut shielded))
                            })
                        }
                        Side::Client => {
                            machine.packet(from, frame, &self.teller);
                            shield.up(frame, &mut shielded)
                        }
                        Side::Upstream => shield.down(frame, &mut shielded),
                    };
                    // The client's side of it is what is told.
                    let mut told = Framer::new(usize::MAX);
                    let mut down = &shielded.down[..];
                    while let Some(Piece::Packet(frame)) = told.next(&mut down) {
                        unstamped(machine, frame, self.stamps, &self.teller, &mut changed.down);
                    }
                    changed.up.append(&mut shielded.up);
                    changed.close |= shielded.close;
                    if let Err(Unreadable(code)) = passed {
                        self.unfit = Some(code);
                    }
                }
                (Piece::TooLong, Some(_)) => self.unfit = Some(149),
                (Piece::Broken, Some(_)) => self.unfit = Some(129),
                (Piece::Packet(frame), None) => {
                    if from == Side::Client && frame.kind() == kind::PINGREQ && self.watch.pinged.is_none() {
                        self.watch.pinged = Some(Instant::now());
                    }
                    match from {
                        _ if !self.stamps => machine.packet(from, frame, &self.teller),
                        Side::Client => {
                            if let Err(Unreadable(code)) = stamped(machine, frame, &self.teller, &mut changed.up) {
                                self.unfit = Some(code);
                            }
                        }
                        Side::Upstream => unstamped(machine, frame, true, &self.teller, &mut changed.down),
                    }
                }
                (Piece::TooLong, None) => {
                    machine.too_long(from, &self.teller);
                    match from {
                        Side::Client => self.unfit = self.unfit.or(self.stamps.then_some(149)),
                        Side::Upstream => changed.down.extend_from_slice(way.framer.head()),
                    }
                }
                (Piece::Broken, None) => {
                    machine.broken(from, &self.teller);
                    match from {
                        Side::Client => self.unfit = self.unfit.or(self.stamps.then_some(129)),
                        Side::Upstream => changed.down.extend_from_slice(way.framer.head()),
                    }
                }
            }
            if self.unfit.is_some() {
                break;
            }
        }
        if machine.is_leaving() && self.watch.closing.is_none() {
            self.watch.closing = Some(Instant::now() + LINGER);
        }
        if !whole {
            return true;
        }
        if changed.close {
            self.from_client.ended = true;
            self.watch.closing.get_or_insert(Instant::now() + LINGER);
        }
        self.from_client.out.extend(changed.up);
        self.from_upstream.out.extend(changed.down);
        false
    }
}

/// A packet of the client passes; whoever published it is put in, and whatever the client says about that is taken out.
/// A PUBLISH in which nobody can look for that does not pass.
fn stamped(machine: &mut Machine, frame: Frame<'_>, teller: &Teller, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    if frame.kind() != kind::PUBLISH {
        machine.packet(Side::Client, frame, teller);
        frame.write(out);
        return Ok(());
    }
    if !stamp::is_readable(frame) {
        machine.broken(Side::Client, teller);
        return Err(Unreadable(129));
    }
    let taken = stamp::take(frame);
    let clean = Frame {
        body: taken.as_ref().map_or(frame.body, |taken| &taken.body),
        ..frame
    };
    let stamp = machine.stamp(clean, teller);
    match stamp.and_then(|(stamp, longest)| stamp::put(clean, &stamp, longest)) {
        Some(packet) => out.extend(packet),
        None => clean.write(out),
    }
    Ok(())
}

/// A packet of the upstream passes; what it says about its publisher is taken out, if `stamps`.
fn unstamped(machine: &mut Machine, frame: Frame<'_>, stamps: bool, teller: &Teller, out: &mut Vec<u8>) {
    let is_publish = stamps && frame.kind() == kind::PUBLISH;
    let Some(taken) = is_publish.then(|| stamp::take(frame)).flatten() else {
        machine.packet(Side::Upstream, frame, teller);
        return frame.write(out);
    };
    let clean = Frame {
        body: &taken.body,
        ..frame
    };
    match taken.stamp {
        Some(stamp) => machine.stamped(clean, stamp, teller),
        None => machine.packet(Side::Upstream, clean, teller),
    }
    clean.write(out);
}
