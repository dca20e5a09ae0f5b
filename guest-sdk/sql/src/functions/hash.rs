//! Hash functions.

use sha2::Digest;

use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::value::Value;

pub(super) const THEME: Theme = Theme {
    title: "Hashes",
    functions: &[
        function!(
            "md5",
            1..=1,
            "md5(text)",
            "The MD5 hash of the text, in lower-case hexadecimal digits.",
            |arguments| { of_text::<md5::Md5>(arguments) }
        ),
        function!("sha", 1..=1, "sha(text)", "The SHA-1 hash of the text.", |arguments| {
            of_text::<sha1::Sha1>(arguments)
        }),
        function!(
            "sha256",
            1..=1,
            "sha256(text)",
            "The SHA-256 hash of the text.",
            |arguments| { of_text::<sha2::Sha256>(arguments) }
        ),
        function!(
            "hash",
            2..=2,
            "hash(algorithm, text)",
            "The hash of the text. `algorithm` is `'md4'`, `'md5'`, `'ripemd160'`, `'sha'` or `'sha1'`, `'sha224'`, \
             `'sha256'`, `'sha384'`, `'sha512'`, `'sha3_224'`, `'sha3_256'`, `'sha3_384'`, `'sha3_512'`, `'blake2b'` or \
             `'blake2s'`.",
            |arguments| match arguments {
                [Value::Text(algorithm), text] => by_name(algorithm, text.as_bytes()?).map(Value::from),
                _ => None,
            }
        ),
    ],
};

fn of_text<H: Digest>(arguments: &[Value<'_>]) -> Option<Value<'static>> {
    match arguments {
        [text] => Some(Value::from(hexadecimal::<H>(text.as_bytes()?))),
        _ => None,
    }
}

fn hexadecimal<H: Digest>(bytes: &[u8]) -> String {
    let hash = H::digest(bytes);
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .filter_map(|nibble| char::from_digit(nibble.into(), 16))
        .collect()
}

fn by_name(algorithm: &str, bytes: &[u8]) -> Option<String> {
    Some(match algorithm {
        "md4" => hexadecimal::<md4::Md4>(bytes),
        "md5" => hexadecimal::<md5::Md5>(bytes),
        "ripemd160" => hexadecimal::<ripemd::Ripemd160>(bytes),
        "sha" | "sha1" => hexadecimal::<sha1::Sha1>(bytes),
        "sha224" => hexadecimal::<sha2::Sha224>(bytes),
        "sha256" => hexadecimal::<sha2::Sha256>(bytes),
        "sha384" => hexadecimal::<sha2::Sha384>(bytes),
        "sha512" => hexadecimal::<sha2::Sha512>(bytes),
        "sha3_224" => hexadecimal::<sha3::Sha3_224>(bytes),
        "sha3_256" => hexadecimal::<sha3::Sha3_256>(bytes),
        "sha3_384" => hexadecimal::<sha3::Sha3_384>(bytes),
        "sha3_512" => hexadecimal::<sha3::Sha3_512>(bytes),
        "blake2b" => hexadecimal::<blake2::Blake2b512>(bytes),
        "blake2s" => hexadecimal::<blake2::Blake2s256>(bytes),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("md5('abc')", "\"900150983cd24fb0d6963f7d28e17f72\""),
            ("md5('')", "\"d41d8cd98f00b204e9800998ecf8427e\""),
            ("md5('äÖ€😀')", "\"eaf578e477c285d23e07ab343f12c5b3\""),
            ("md5(5)", "fails"),
            ("sha('abc')", "\"a9993e364706816aba3e25717850c26c9cd0d89d\""),
            ("sha('')", "\"da39a3ee5e6b4b0d3255bfef95601890afd80709\""),
            ("sha(null)", "fails"),
            (
                "sha256('abc')",
                "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
            ),
            (
                "sha256('')",
                "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"",
            ),
            ("hash('md5', 'abc')", "\"900150983cd24fb0d6963f7d28e17f72\""),
            ("hash('sha1', 'abc')", "\"a9993e364706816aba3e25717850c26c9cd0d89d\""),
            ("hash('sha', 'abc')", "\"a9993e364706816aba3e25717850c26c9cd0d89d\""),
            (
                "hash('sha256', 'abc')",
                "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
            ),
            ("hash('nope', 'abc')", "fails"),
            ("hash('SHA256', 'abc')", "fails"),
            ("hash('sha256', 5)", "fails"),
        ]);
    }

    /// Compared with Erlang 25.2.3 and OpenSSL 3.0.
    #[test]
    fn as_erlang() {
        check(&[
            ("hash('md4', 'abc')", "\"a448017aaf21d8525fc10ae87aa6729d\""),
            (
                "hash('ripemd160', 'abc')",
                "\"8eb208f7e05d987a9b044a8e98c6b087f15a0bfc\"",
            ),
            (
                "hash('sha224', 'abc')",
                "\"23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7\"",
            ),
            (
                "hash('sha3_224', 'abc')",
                "\"e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf\"",
            ),
            (
                "hash('blake2s', 'abc')",
                "\"508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982\"",
            ),
        ]);
    }
}
