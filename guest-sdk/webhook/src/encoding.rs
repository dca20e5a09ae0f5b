//! Encodings of payloads, which are bytes, as JSON text.
//!
//! EMQX and NanoMQ both have an encoding called base62, but the two are different: [`Encoding::Base62`] of EMQX encodes
//! six bits at a time, [`Encoding::Base62Number`] of NanoMQ encodes the payload as one number.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::format::Format;
use crate::json::{push_emqx_escaped, text_of};

/// An encoding of payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// Text without encoding. Each broker has its own way to handle bytes that are not UTF-8: see
    /// [`text_of`].
    #[default]
    Plain,
    /// Base64 with padding.
    Base64,
    /// EMQX's base62.
    Base62,
    /// The base62 of NanoMQ 0.24.9 and later: the digits of one big-endian number.
    Base62Number,
    /// The base62 of NanoMQ up to 0.24.8: base64 without padding, with `A` for `+` and `B` for `/`.
    Base64NoPadding,
}

impl Encoding {
    /// The names in a configuration.
    pub(super) const NAMES: [&str; 4] = ["plain", "base64", "base62", "base64_no_padding"];

    /// The encoding with this name in rules of a format.
    pub(super) fn from_name(name: &str, format: Format) -> Option<Encoding> {
        Some(match name {
            "plain" => Encoding::Plain,
            "base64" => Encoding::Base64,
            "base62" => format.implementation().base62(),
            "base64_no_padding" => Encoding::Base64NoPadding,
            _ => return None,
        })
    }

    /// Appends a payload as a JSON string. [`Encoding::Plain`] writes bytes that are not UTF-8 as EMQX does. With
    /// [`Encoding::Base62Number`], a payload longer than [`MAX_NUMBER_BYTES`] becomes `null`, with a warning in the log.
    pub(super) fn push_json(self, out: &mut String, payload: &[u8]) {
        if self == Encoding::Base62Number && payload.len() > MAX_NUMBER_BYTES {
            hookhost_guest::warn!(
                "a payload of {} bytes is too long for base62 as one number (at most {MAX_NUMBER_BYTES}): null is sent",
                payload.len()
            );
            out.push_str("null");
            return;
        }
        out.push('"');
        self.push(out, payload);
        out.push('"');
    }

    /// Appends the text of a payload, escaped for JSON and without quotes.
    pub(super) fn push(self, out: &mut String, payload: &[u8]) {
        match self {
            Encoding::Plain => push_emqx_escaped(out, &text_of(payload)),
            Encoding::Base64 => STANDARD.encode_string(payload, out),
            Encoding::Base62 => push_base62(out, payload),
            Encoding::Base62Number => push_number(out, payload),
            Encoding::Base64NoPadding => {
                let text = STANDARD_NO_PAD.encode(payload);
                out.extend(text.chars().map(|c| match c {
                    '+' => 'A',
                    '/' => 'B',
                    c => c,
                }));
            }
        }
    }

    /// Estimates the length of the text for a payload with this number of bytes.
    pub(super) fn room(self, payload: usize) -> usize {
        match self {
            Encoding::Plain => payload,
            _ => payload + payload / 2,
        }
    }
}

/// Appends EMQX's base62. Digits of 61 and above have two characters.
fn push_base62(out: &mut String, payload: &[u8]) {
    const DIGITS: &[u8; 61] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz012345678";
    let mut digit = |value: u32| match DIGITS.get(value as usize) {
        Some(digit) => out.push(char::from(*digit)),
        None => {
            out.push('9');
            out.push(match value {
                61 => 'A',
                62 => 'B',
                _ => 'C',
            });
        }
    };
    let groups = payload.chunks(3);
    for group in groups {
        match *group {
            [a, b, c] => {
                let bits = u32::from(a) << 16 | u32::from(b) << 8 | u32::from(c);
                digit(bits >> 18);
                digit(bits >> 12 & 63);
                digit(bits >> 6 & 63);
                digit(bits & 63);
            }
            // EMQX does not shift the remaining bits at the end to six bits.
            [a, b] => {
                let bits = u32::from(a) << 8 | u32::from(b);
                digit(bits >> 10);
                digit(bits >> 4 & 63);
                digit(bits & 15);
            }
            [a] => {
                digit(u32::from(a >> 2));
                digit(u32::from(a & 3));
            }
            _ => {}
        }
    }
}

/// Largest payload that is encoded as a number, in bytes. The time grows with the square of the length, and the host limits
/// the time of a call.
pub(super) const MAX_NUMBER_BYTES: usize = 16 * 1024;

/// Appends the digits of the payload as one big-endian number, after a `0` for each leading zero byte.
fn push_number(out: &mut String, payload: &[u8]) {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    /// Five digits at a time: 62⁵ is the highest power in 32 bits.
    const STEP: u64 = 62 * 62 * 62 * 62 * 62;
    let zeros = payload.iter().take_while(|byte| **byte == 0).count();
    out.extend(std::iter::repeat_n('0', zeros));
    // Most significant first.
    let mut words: Vec<u32> = payload
        .rchunks(4)
        .rev()
        .map(|chunk| chunk.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
        .collect();
    let mut rest: &mut [u32] = &mut words;
    let mut digits: Vec<u8> = Vec::with_capacity(payload.len() * 11 / 8 + 5);
    loop {
        let leading = rest.iter().take_while(|word| **word == 0).count();
        rest = rest.get_mut(leading..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let mut remainder = 0;
        for word in rest.iter_mut() {
            let value = remainder << 32 | u64::from(*word);
            // The remainder is less than STEP, so the quotient has at most 32 bits.
            *word = (value / STEP) as u32;
            remainder = value % STEP;
        }
        for _ in 0..5 {
            digits.extend(DIGITS.get((remainder % 62) as usize));
            remainder /= 62;
        }
    }
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    out.extend(digits.iter().rev().map(|digit| char::from(*digit)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(encoding: Encoding, payload: &[u8]) -> String {
        let mut out = String::new();
        encoding.push(&mut out, payload);
        out
    }

    #[test]
    fn vectors() {
        for (payload, base64, base62, number, no_padding) in [
            (&b""[..], "", "", "", ""),
            (b"a", "YQ==", "YB", "1Z", "YQ"),
            (b"ab", "YWI=", "YWC", "6U6", "YWI"),
            (b"abc", "YWJj", "YWJj", "QmIN", "YWJj"),
            (b"hello", "aGVsbG8=", "aGVsbGP", "7tQLFHz", "aGVsbG8"),
            (
                b"hello world",
                "aGVsbG8gd29ybGQ=",
                "aGVsbG8gd29AybGE",
                "AAwf93rvy4aWQVw",
                "aGVsbG8gd29ybGQ",
            ),
            (&[255, 255, 255], "////", "9C9C9C9C", "18OWF", "BBBB"),
            (&[255], "/w==", "9CD", "47", "Bw"),
            (&[0, 0, 1], "AAAB", "AAAB", "001", "AAAB"),
            (&[0, 0], "AAA=", "AAA", "00", "AAA"),
            (
                br#"{"msg":"hi"}"#,
                "eyJtc2ciOiJoaSJ9",
                "eyJtc2ciOiJoaSJ9A",
                "nYoCDacfo0xG6fUb",
                "eyJtc2ciOiJoaSJ9",
            ),
        ] {
            assert_eq!(encoded(Encoding::Base64, payload), base64);
            assert_eq!(encoded(Encoding::Base62, payload), base62);
            assert_eq!(encoded(Encoding::Base62Number, payload), number);
            assert_eq!(encoded(Encoding::Base64NoPadding, payload), no_padding);
        }
        assert_eq!(encoded(Encoding::Plain, b"a\xff\"\xe2\x82z"), "a\u{fffd}\\\"\u{fffd}z");
    }

    #[test]
    fn names_depend_on_the_format() {
        for name in Encoding::NAMES {
            assert!(Encoding::from_name(name, Format::Emqx4).is_some());
        }
        assert_eq!(Encoding::from_name("base62", Format::Emqx4), Some(Encoding::Base62));
        assert_eq!(
            Encoding::from_name("base62", Format::Nanomq),
            Some(Encoding::Base62Number)
        );
        assert_eq!(Encoding::from_name("hex", Format::Nanomq), None);
    }

    #[test]
    fn a_number_is_not_written_for_ever() {
        let json = |length: usize| {
            let mut out = String::new();
            Encoding::Base62Number.push_json(&mut out, &vec![1; length]);
            out
        };
        assert_eq!(json(MAX_NUMBER_BYTES + 1), "null");
        assert!(json(MAX_NUMBER_BYTES).len() > MAX_NUMBER_BYTES);
    }

    proptest! {
        /// Read back digit by digit, with other arithmetic.
        #[test]
        fn a_number_reads_back(payload in proptest::collection::vec(any::<u8>(), 0..70)) {
            const DIGITS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
            let text = encoded(Encoding::Base62Number, &payload);
            let mut bytes: Vec<u8> = Vec::new();
            for digit in text.chars() {
                let mut carry = DIGITS.find(digit).unwrap();
                for byte in bytes.iter_mut().rev() {
                    carry += usize::from(*byte) * 62;
                    *byte = carry as u8;
                    carry >>= 8;
                }
                if carry > 0 {
                    bytes.insert(0, carry as u8);
                }
            }
            let zeros = payload.iter().take_while(|byte| **byte == 0).count();
            prop_assert_eq!(&payload[zeros..], &bytes);
            prop_assert_eq!(text.chars().take_while(|digit| *digit == '0').count(), zeros);
        }
    }
}
