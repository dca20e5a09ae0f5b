//! Bytes that are not UTF-8, as EMQX writes them into JSON.

use std::borrow::Cow;

/// The text of bytes in JSON: the same text if they are UTF-8.
///
/// Other bytes are decoded leniently: encodings that are too long and pairs of surrogates are characters, and a wrong byte
/// becomes U+FFFD together with all continuation bytes after it.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(joined(&codes(bytes))),
    }
}

const REPLACEMENT: u32 = char::REPLACEMENT_CHARACTER as u32;

/// The numbers of the characters, surrogates among them.
fn codes(bytes: &[u8]) -> Vec<u32> {
    let mut codes = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, behind)) = rest.split_first() {
        let (length, bits) = match first {
            0x00..=0x7f => (0, first & 0x7f),
            0xc0..=0xdf => (1, first & 0x1f),
            0xe0..=0xef => (2, first & 0x0f),
            0xf0..=0xf7 => (3, first & 0x07),
            // Never the first byte of a character: all continuation bytes belong to it.
            _ => (usize::MAX, 0),
        };
        let is_continuation = |byte: &&u8| **byte & 0xc0 == 0x80;
        let present = behind.iter().take(length).take_while(is_continuation).count();
        let (continuation, next) = behind.split_at(present);
        let join = |code: u32, byte: &u8| code << 6 | u32::from(byte & 0x3f);
        let is_whole = present == length;
        codes.push(if is_whole {
            continuation.iter().fold(bits.into(), join)
        } else {
            REPLACEMENT
        });
        rest = next;
    }
    codes
}

/// The text of characters; a pair of surrogates is one character.
fn joined(codes: &[u32]) -> String {
    let mut text = String::with_capacity(codes.len());
    let mut codes = codes.iter().copied().peekable();
    while let Some(code) = codes.next() {
        let is_high = (0xd800..0xdc00).contains(&code);
        let low = codes.next_if(|low| is_high && (0xdc00..0xe000).contains(low));
        let code = low.map_or(code, |low| 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
        text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What EMQX 4.4.19 made of 35 payloads.
    const RECORDED: &str = include_str!("../../../webhook/tests/recorded/emqx4-plain-bytes.jsonl");

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    #[test]
    fn as_recorded_from_emqx_4() {
        let mut count = 0;
        for line in RECORDED.lines().skip(1) {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            let [payload, expected] = ["payload_hex", "text_hex"].map(|key| bytes(case[key].as_str().unwrap()));
            let mut text = String::new();
            super::super::push_bytes(&mut text, &payload);
            assert_eq!(text.trim_matches('"').as_bytes(), expected, "{}", case["payload_hex"]);
            count += 1;
        }
        assert_eq!(count, 35);
    }

    proptest! {
        #[test]
        fn every_text_stays(text in any::<String>(), wrong in prop::collection::vec(any::<u8>(), 0..8)) {
            prop_assert_eq!(text_of(text.as_bytes()), text.as_str());
            let ascii: String = text.chars().filter(char::is_ascii).collect();
            let mut bytes = ascii.clone().into_bytes();
            bytes.extend(wrong);
            prop_assert!(text_of(&bytes).starts_with(&ascii));
        }
    }
}
