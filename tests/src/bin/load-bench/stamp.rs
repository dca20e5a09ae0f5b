//! The stamp of a measured message: its run and publisher, its number and the time when it was sent. It is at the
//! beginning of the payload. The receiver therefore finds it in the base64 of a webhook without decoding the rest.

use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a stamp: a multiple of three, so that its base64 is independent of the following bytes.
pub(crate) const LENGTH: usize = 18;
/// The same in base64.
pub(crate) const ENCODED: usize = LENGTH / 3 * 4;

/// One message of one publisher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) run: u16,
    pub(crate) publisher: u16,
    /// From 0 on.
    pub(crate) number: u32,
    /// Nanoseconds since 1970, on the clock that all processes of a machine share.
    pub(crate) sent: u64,
}

/// The clock of [`Stamp::sent`].
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_nanos() as u64)
}

impl Stamp {
    pub(crate) fn bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0..2].copy_from_slice(&self.run.to_be_bytes());
        bytes[2..4].copy_from_slice(&self.publisher.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.number.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.sent.to_be_bytes());
        bytes
    }

    /// Reads the base64 of a stamp; `None` if it is not a stamp.
    pub(crate) fn decode(text: &[u8]) -> Option<Stamp> {
        let mut bytes = [0; LENGTH];
        for (from, to) in text.get(..ENCODED)?.chunks_exact(4).zip(bytes.chunks_exact_mut(3)) {
            let mut group = 0u32;
            for character in from {
                group = group << 6 | digit(*character)?;
            }
            to.copy_from_slice(&group.to_be_bytes()[1..]);
        }
        let field = |from: usize, to: usize| {
            bytes[from..to]
                .iter()
                .fold(0u64, |value, byte| value << 8 | u64::from(*byte))
        };
        Some(Stamp {
            run: field(0, 2) as u16,
            publisher: field(2, 4) as u16,
            number: field(4, 8) as u32,
            sent: field(8, 16),
        })
    }
}

fn digit(character: u8) -> Option<u32> {
    Some(u32::from(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;

    #[test]
    fn a_stamp_survives_base64() {
        let stamp = Stamp {
            run: 3,
            publisher: 65_535,
            number: 4_000_000_000,
            sent: now(),
        };
        let text = base64::engine::general_purpose::STANDARD.encode([&stamp.bytes()[..], b"padding"].concat());
        assert_eq!(Stamp::decode(text.as_bytes()), Some(stamp));
        assert_eq!(Stamp::decode(b"too short"), None);
        assert_eq!(Stamp::decode(&[b'='; ENCODED]), None);
    }
}
