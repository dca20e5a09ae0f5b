//! The bytes of a record: a checksum, its time and group, and its content. Pure.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// A record of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its number.
    pub number: u64,
    /// When it was put into the collection, in milliseconds since 1970.
    pub at: u64,
    /// Its content.
    pub content: Bytes,
}

/// The parts of the bytes of a record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) at: u64,
    pub(crate) group: String,
    pub(crate) content: Bytes,
}

/// Returns the bytes of a record. A group has at most 255 bytes; a longer name is cut.
pub(crate) fn encode(group: &str, at: u64, content: &[u8]) -> Bytes {
    let group = group
        .get(..group.floor_char_boundary(usize::from(u8::MAX)))
        .unwrap_or_default();
    let mut bytes = BytesMut::with_capacity(13 + group.len() + content.len());
    bytes.put_u32_le(0);
    bytes.put_u64_le(at);
    bytes.put_u8(u8::try_from(group.len()).unwrap_or(u8::MAX));
    bytes.put_slice(group.as_bytes());
    bytes.put_slice(content);
    let checksum = crc32fast::hash(bytes.get(4..).unwrap_or_default());
    if let Some(place) = bytes.get_mut(..4) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    bytes.freeze()
}

/// Returns the parts; `None` if the bytes are damaged.
pub(crate) fn decode(mut bytes: Bytes) -> Option<Parts> {
    let checksum = bytes.try_get_u32_le().ok()?;
    if checksum != crc32fast::hash(&bytes) {
        return None;
    }
    let at = bytes.try_get_u64_le().ok()?;
    let length = usize::from(bytes.try_get_u8().ok()?);
    if bytes.len() < length {
        return None;
    }
    let group = String::from_utf8(bytes.split_to(length).into()).ok()?;
    Some(Parts {
        at,
        group,
        content: bytes,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_changed_byte_is_found() {
        let bytes = encode("webhook", 7, b"content");
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            assert_eq!(decode(changed.into()), None, "{at}");
            assert_eq!(decode(bytes.slice(..at)), None, "{at}");
        }
    }

    proptest! {
        #[test]
        fn the_parts_are_given_back(group in "[a-zé]{0,130}", at: u64, content: Vec<u8>) {
            let parts = decode(encode(&group, at, &content)).unwrap();
            prop_assert!(group.starts_with(&parts.group) && (group.len() > 255 || group == parts.group));
            prop_assert_eq!((parts.at, &parts.content[..]), (at, &content[..]));
        }
    }
}
