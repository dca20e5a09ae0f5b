//! Functions that compress texts.

use std::io::{self, Read, Write};

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{DeflateEncoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};

use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::value::Value;

/// Largest text after decompression, in bytes: the memory of a module is limited, and a small text may grow a thousandfold.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The operating system in the header of gzip: Unix, as zlib writes it.
const UNIX: u8 = 3;

pub(super) const THEME: Theme = Theme {
    title: "Compression",
    functions: &[
        function!(
            "gzip",
            1..=1,
            "gzip(text)",
            "The text compressed in the format of gzip.",
            |arguments| {
                compressed(arguments, |text| {
                    let builder = GzBuilder::new().operating_system(UNIX);
                    let mut encoder = builder.write(Vec::new(), Compression::default());
                    encoder.write_all(text)?;
                    encoder.finish()
                })
            }
        ),
        function!(
            "gunzip",
            1..=1,
            "gunzip(text)",
            "The text that `gzip` compressed; at most 16 MiB.",
            |arguments| { decompressed(arguments, |text| read(MultiGzDecoder::new(text))) }
        ),
        function!(
            "zip",
            1..=1,
            "zip(text)",
            "The text compressed as a raw deflate stream.",
            |arguments| {
                compressed(arguments, |text| {
                    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                    encoder.write_all(text)?;
                    encoder.finish()
                })
            }
        ),
        function!(
            "unzip",
            1..=1,
            "unzip(text)",
            "The text that `zip` compressed; at most 16 MiB.",
            |arguments| { decompressed(arguments, |text| read(DeflateDecoder::new(text))) }
        ),
        function!(
            "zip_compress",
            1..=1,
            "zip_compress(text)",
            "The text compressed in the format of zlib.",
            |arguments| {
                compressed(arguments, |text| {
                    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                    encoder.write_all(text)?;
                    encoder.finish()
                })
            }
        ),
        function!(
            "zip_uncompress",
            1..=1,
            "zip_uncompress(text)",
            "The text that `zip_compress` compressed; at most 16 MiB.",
            |arguments| decompressed(arguments, |text| read(ZlibDecoder::new(text)))
        ),
    ],
};

fn compressed(arguments: &[Value<'_>], compress: fn(&[u8]) -> io::Result<Vec<u8>>) -> Option<Value<'static>> {
    let [text] = arguments else { return None };
    compress(text.as_bytes()?).ok().map(Value::bytes)
}

fn decompressed(arguments: &[Value<'_>], decompress: fn(&[u8]) -> Option<Vec<u8>>) -> Option<Value<'static>> {
    let [text] = arguments else { return None };
    decompress(text.as_bytes()?).map(Value::bytes)
}

/// All that a decoder makes; `None` if the input is damaged or the output is larger than [`MAX_BYTES`].
fn read(decoder: impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    decoder.take(MAX_BYTES + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_BYTES).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("base64_encode(gzip('abc'))", "\"H4sIAAAAAAAAA0tMSgYAwkEkNQMAAAA=\""),
            ("gunzip(gzip('äÖ€😀'))", "\"äÖ€😀\""),
            ("gzip(5)", "fails"),
            ("gunzip(5)", "fails"),
            ("gunzip('abc')", "fails"),
            ("base64_encode(zip('abc'))", "\"S0xKBgA=\""),
            ("unzip(zip('abc'))", "\"abc\""),
            ("zip(7)", "fails"),
            ("base64_encode(zip_compress('abc'))", "\"eJxLTEoGAAJNASc=\""),
            ("zip_uncompress(zip_compress('äÖ€😀'))", "\"äÖ€😀\""),
            ("zip_compress(1.5)", "fails"),
            ("zip_uncompress(null())", "fails"),
        ]);
    }

    #[test]
    fn a_text_that_grows_too_large() {
        let zeros = vec![0; 17 << 20];
        let small = super::compressed(&[crate::Value::bytes(zeros)], |text| {
            use std::io::Write;
            let mut encoder = super::ZlibEncoder::new(Vec::new(), super::Compression::default());
            encoder.write_all(text)?;
            encoder.finish()
        });
        let decompressed = super::decompressed(&[small.unwrap()], |text| super::read(super::ZlibDecoder::new(text)));
        assert_eq!(decompressed, None);
    }
}
