//! Values as bytes: a checksum, then the value in the format of the library postcard.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The length of the checksum before each value.
const CHECKSUM_BYTES: usize = 4;

/// A value with its checksum.
pub(crate) fn encode(value: &impl Serialize) -> Bytes {
    let bytes = vec![0; CHECKSUM_BYTES];
    #[expect(
        clippy::expect_used,
        reason = "the records have lists of known length, and a vector takes all bytes"
    )]
    let mut bytes = postcard::to_extend(value, bytes).expect("a record can be encoded");
    let (checksum, value) = bytes.split_at_mut(CHECKSUM_BYTES);
    checksum.copy_from_slice(&crc32fast::hash(value).to_le_bytes());
    bytes.into()
}

/// A value from its bytes; `None` if it is damaged.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (checksum, value) = bytes.split_at_checked(CHECKSUM_BYTES)?;
    if *checksum != crc32fast::hash(value).to_le_bytes() {
        return None;
    }
    postcard::from_bytes(value).ok()
}
