//! Where packets begin and end in a stream of bytes.
//!
//! A [`Framer`] reads the bytes that pass in one direction and finds the packets. It changes nothing and delays nothing. A
//! packet that is whole in one piece of input is returned in place; a packet in several pieces is collected in a buffer
//! until it is complete. A packet longer than `longest` is skipped, so the buffer is bounded. Pure: no I/O, no clock.

use super::traffic::PacketCounter;

/// Finds packets in one direction of a connection.
pub struct Framer {
    state: FramerState,
    /// Body of the packet that is being collected.
    body: Vec<u8>,
    longest: usize,
    /// Type and length fields of the last packet, and how many bytes they are.
    head: ([u8; 5], usize),
    /// Counts the packets.
    counter: Option<PacketCounter>,
}

enum FramerState {
    /// Reading type and length.
    Header { bytes: [u8; 5], have: usize },
    /// Collecting a body, of which this many bytes are missing.
    Collect { first: u8, missing: usize },
    /// Skipping a body, of which this many bytes are missing.
    Pass { missing: usize },
    /// The bytes are not MQTT.
    Broken,
}

/// What a framer finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A packet.
    Packet(Frame<'a>),
    /// The beginning of a packet that is too long and is skipped.
    TooLong,
    /// An invalid length: from here on there are no packets in this direction.
    Broken,
}

/// A packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Type and flags.
    pub first: u8,
    /// Everything after the remaining length.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// The packet type: 1 for CONNECT up to 15 for AUTH.
    pub fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// The whole packet.
    pub fn packet(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(5 + self.body.len());
        self.write(&mut out);
        out
    }

    /// Writes the whole packet to the end of `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        header(out, self.first, self.body.len());
        out.extend_from_slice(self.body);
    }
}

const START: FramerState = FramerState::Header { bytes: [0; 5], have: 0 };

impl Framer {
    /// A framer at the beginning of a packet, for bodies of up to `longest` bytes.
    pub fn new(longest: usize) -> Framer {
        Framer {
            state: START,
            body: Vec::new(),
            longest,
            head: ([0; 5], 0),
            counter: None,
        }
    }

    /// The same, which counts the packets.
    pub(crate) fn counted(longest: usize, counter: PacketCounter) -> Framer {
        Framer {
            counter: Some(counter),
            ..Framer::new(longest)
        }
    }

    /// Takes bytes from the front of `input` up to the end of the next packet; `None` when `input` is used up.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Option<Piece<'s>> {
        // The packet that was returned last is not needed any more.
        if !matches!(self.state, FramerState::Collect { .. }) && self.body.capacity() > 0 {
            self.body = Vec::new();
        }
        loop {
            match &mut self.state {
                FramerState::Broken => {
                    *input = &[];
                    return None;
                }
                FramerState::Pass { missing } => {
                    let taken = (*missing).min(input.len());
                    *input = input.get(taken..).unwrap_or_default();
                    *missing -= taken;
                    if *missing > 0 {
                        return None;
                    }
                    self.state = START;
                }
                FramerState::Collect { first, missing } => {
                    let (now, later) = input.split_at((*missing).min(input.len()));
                    *input = later;
                    *missing -= now.len();
                    if *missing > 0 {
                        self.body.extend_from_slice(now);
                        return None;
                    }
                    let first = *first;
                    self.state = START;
                    let body = if self.body.is_empty() {
                        now
                    } else {
                        self.body.extend_from_slice(now);
                        &self.body
                    };
                    return Some(Piece::Packet(Frame { first, body }));
                }
                FramerState::Header { bytes, have } => {
                    let (byte, rest) = input.split_first()?;
                    *input = rest;
                    if let Some(place) = bytes.get_mut(*have) {
                        *place = *byte;
                    }
                    *have += 1;
                    if *have < 2 || *byte & 0x80 != 0 && *have < 5 {
                        continue;
                    }
                    self.head = (*bytes, *have);
                    if *byte & 0x80 != 0 {
                        self.state = FramerState::Broken;
                        return Some(Piece::Broken);
                    }
                    let [first, lengths @ ..] = *bytes;
                    let length = lengths
                        .iter()
                        .take(*have - 1)
                        .rev()
                        .fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
                    if let Some(counter) = &self.counter {
                        counter.count(first, *have + length);
                    }
                    if length > self.longest {
                        self.state = FramerState::Pass { missing: length };
                        return Some(Piece::TooLong);
                    }
                    self.state = FramerState::Collect { first, missing: length };
                }
            }
        }
    }

    /// Type and length fields of the packet that was found last, as they came.
    pub fn head(&self) -> &[u8] {
        self.head.0.get(..self.head.1).unwrap_or_default()
    }

    /// Takes from the front of `input` the bytes of a skipped packet, or all bytes if they are not MQTT. For callers that
    /// write packet by packet; `next` skips these bytes.
    pub fn unseen<'i>(&mut self, input: &mut &'i [u8]) -> &'i [u8] {
        let length = match &mut self.state {
            FramerState::Broken => input.len(),
            FramerState::Pass { missing } => {
                let length = (*missing).min(input.len());
                *missing -= length;
                if *missing == 0 {
                    self.state = START;
                }
                length
            }
            FramerState::Header { .. } | FramerState::Collect { .. } => 0,
        };
        let (unseen, rest) = input.split_at(length);
        *input = rest;
        unseen
    }

    /// Whether the last byte seen was the last one of a packet, so that another packet may be put after it.
    pub fn is_between(&self) -> bool {
        matches!(self.state, FramerState::Header { have: 0, .. })
    }

    /// Bytes of memory that the collected packet takes.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.body.capacity()
    }
}

/// The bytes are not the beginning of a packet, or the packet is too long.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidLength;

/// The length of the packet at the front of `bytes`, header included; `None` if more bytes are needed.
pub fn whole(bytes: &[u8], longest: usize) -> Result<Option<usize>, InvalidLength> {
    let mut length = 0;
    for (place, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let whole = 2 + place + length;
            return match whole {
                _ if length > longest => Err(InvalidLength),
                _ if whole <= bytes.len() => Ok(Some(whole)),
                _ => Ok(None),
            };
        }
    }
    if bytes.len() > 4 { Err(InvalidLength) } else { Ok(None) }
}

/// The frame of a whole packet.
pub fn parse(packet: &[u8]) -> Option<Frame<'_>> {
    let (first, rest) = packet.split_first()?;
    let lengths = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
    Some(Frame {
        first: *first,
        body: rest.get(lengths..)?,
    })
}

/// Type, flags and remaining length of a packet.
pub fn header(out: &mut Vec<u8>, first: u8, length: usize) {
    out.push(first);
    variable_length(out, length);
}

/// A length in one to four bytes, as MQTT writes it.
pub fn variable_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let digit = (length & 0x7f) as u8;
        length >>= 7;
        out.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            return;
        }
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
