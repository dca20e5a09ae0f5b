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
