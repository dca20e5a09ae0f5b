//! Where packets begin and end in a stream of bytes.
//!
//! A [`Framer`] reads the bytes that pass in one direction and finds the packets. It changes nothing and delays nothing. A
//! packet that is whole in one piece of input is returned in place; a packet in several pieces is collected in a buffer
//! until it is complete. A packet longer than `longest` is skipped, so the buffer is bounded. Pure: no I/O, no clock.

/// Finds packets in one direction of a connection.
pub struct Framer {
    state: FramerState,
    /// Body of the packet that is being collected.
    body: Vec<u8>,
    longest: usize,
    /// Type and length fields of the last packet, and how many bytes they are.
    head: ([u8; 5], usize),
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(first: u8, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        header(&mut out, first, body.len());
        out.extend_from_slice(body);
        out
    }

    /// All packets, with the input cut into pieces of the given lengths.
    fn packets(framer: &mut Framer, mut bytes: &[u8], cuts: &[usize]) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        let mut cuts = cuts.iter().cycle();
        while !bytes.is_empty() {
            let cut = cuts.next().map_or(bytes.len(), |cut| (*cut).clamp(1, bytes.len()));
            let (mut now, later) = bytes.split_at(cut);
            bytes = later;
            while let Some(piece) = framer.next(&mut now) {
                if let Piece::Packet(frame) = piece {
                    found.push((frame.first, frame.body.to_vec()));
                }
            }
            assert!(now.is_empty());
        }
        found
    }

    #[test]
    fn a_packet_that_lies_whole_is_not_copied() {
        let bytes = [packet(0x30, b"abc"), packet(0xc0, b"")].concat();
        let mut framer = Framer::new(100);
        let mut input = &bytes[..];
        let Some(Piece::Packet(frame)) = framer.next(&mut input) else {
            panic!("a packet")
        };
        assert!(std::ptr::eq(frame.body, &raw const bytes[2..5]));
        assert_eq!(
            framer.next(&mut input),
            Some(Piece::Packet(Frame { first: 0xc0, body: b"" }))
        );
        assert_eq!(framer.next(&mut input), None);
        assert!(framer.is_between());
    }

    #[test]
    fn what_is_too_long_passes_and_the_next_packet_is_found() {
        let bytes = [packet(0x30, &[7; 300]), packet(0x40, b"ok")].concat();
        let mut framer = Framer::new(299);
        let mut input = &bytes[..100];
        assert_eq!(framer.next(&mut input), Some(Piece::TooLong));
        assert_eq!(framer.next(&mut input), None);
        assert!(!framer.is_between());
        let mut input = &bytes[100..];
        assert_eq!(
            framer.next(&mut input),
            Some(Piece::Packet(Frame {
                first: 0x40,
                body: b"ok"
            }))
        );
    }

    #[test]
    fn what_is_too_long_can_be_written_on_as_it_came() {
        let bytes = [
            packet(0x30, &[7; 300]),
            packet(0x40, b"ok"),
            vec![0x30, 0xff, 0xff, 0xff, 0xff, 1, 2],
        ]
        .concat();
        for cut in 1..bytes.len() {
            let mut framer = Framer::new(299);
            let mut out = Vec::new();
            for mut input in [&bytes[..cut], &bytes[cut..]] {
                loop {
                    out.extend_from_slice(framer.unseen(&mut input));
                    match framer.next(&mut input) {
                        None => break,
                        Some(Piece::Packet(frame)) => out.extend(packet(frame.first, frame.body)),
                        Some(Piece::TooLong | Piece::Broken) => out.extend_from_slice(framer.head()),
                    }
                }
            }
            assert_eq!(out, bytes, "cut at {cut}");
        }
    }

    #[test]
    fn a_length_without_end_breaks_the_direction() {
        let mut framer = Framer::new(100);
        let mut input = &[0x30, 0xff, 0xff, 0xff, 0xff, 0x01, 0xc0, 0][..];
        assert_eq!(framer.next(&mut input), Some(Piece::Broken));
        assert_eq!(framer.next(&mut input), None);
        assert!(input.is_empty() && !framer.is_between());
    }

    #[test]
    fn a_long_header_takes_no_memory_before_its_body_comes() {
        let mut framer = Framer::new(1 << 28);
        let mut input = &[0x30, 0xff, 0xff, 0xff, 0x7f, 1][..];
        assert_eq!(framer.next(&mut input), None);
        assert!(framer.held() < 100);
    }

    #[test]
    fn the_packet_at_the_front() {
        let bytes = [packet(0x10, &[7; 200]), packet(0xc0, b"")].concat();
        for cut in 0..203 {
            assert_eq!(whole(&bytes[..cut], 300), Ok(None), "{cut}");
        }
        assert_eq!(whole(&bytes, 300), Ok(Some(203)));
        assert_eq!(parse(&bytes[..203]).unwrap().body, [7; 200]);
        assert_eq!(whole(&bytes, 199), Err(InvalidLength));
        assert_eq!(whole(&[0x10, 0xff, 0xff, 0xff, 0xff], 300), Err(InvalidLength));
        assert_eq!(whole(&[0x10, 0], 300), Ok(Some(2)));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_packets(
            list in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..300)), 0..8),
            cuts in proptest::collection::vec(1usize..200, 1..5),
        ) {
            let bytes: Vec<u8> = list.iter().flat_map(|(first, body)| packet(*first, body)).collect();
            let mut framer = Framer::new(1000);
            prop_assert_eq!(packets(&mut framer, &bytes, &cuts), list);
            prop_assert!(framer.is_between());
        }

        #[test]
        fn any_bytes_keep_memory_bounded(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            cuts in proptest::collection::vec(1usize..50, 1..5),
        ) {
            let mut framer = Framer::new(256);
            for chunk in bytes.chunks(cuts[0]) {
                packets(&mut framer, chunk, &cuts);
                prop_assert!(framer.held() <= 512);
            }
        }
    }
}
