//! Functions that encode and decode bytes and values: hexadecimal, base64, JSON and Erlang's terms.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Function, Theme, function, terms};
use crate::failure::Failure;
use crate::json;
use crate::value::Value;

/// Erlang's base64: with padding; bits left over at the end are ignored.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

pub(super) const THEME: Theme = Theme {
    title: "Encoding and decoding",
    functions: &[
        function!(
            "bin2hexstr",
            1..=2,
            "bin2hexstr(text[, prefix])",
            "The bytes of the text in upper-case hexadecimal digits, behind the prefix.",
            |arguments| match arguments {
                [text] => Some(hexadecimal(text.as_bytes()?, b"", HEX_UPPER)),
                [text, prefix] => Some(hexadecimal(text.as_bytes()?, prefix.as_bytes()?, HEX_UPPER)),
                _ => None,
            }
        ),
        function!(
            "hexstr2bin",
            1..=2,
            "hexstr2bin(text[, prefix])",
            "The bytes of hexadecimal digits behind the prefix. If the number of digits is odd, a 0 is added in front.",
            |arguments| match arguments {
                [text] => from_hexadecimal(text.as_bytes()?),
                [text, prefix] => from_hexadecimal(text.as_bytes()?.strip_prefix(prefix.as_bytes()?)?),
                _ => None,
            }
        ),
        function!(
            "sqlserver_bin2hexstr",
            1..=1,
            "sqlserver_bin2hexstr(text)",
            "`0x` and the bytes of the text in upper-case hexadecimal digits, as SQL Server writes binary values.",
            |arguments| match arguments {
                [text] => Some(hexadecimal(text.as_bytes()?, b"0x", HEX_UPPER)),
                _ => None,
            }
        ),
        function!(
            "base64_encode",
            1..=1,
            "base64_encode(text)",
            "The bytes of the text in base64, with padding.",
            |arguments| {
                match arguments {
                    [text] => Some(Value::from(BASE64.encode(text.as_bytes()?))),
                    _ => None,
                }
            }
        ),
        function!(
            "base64_decode",
            1..=1,
            "base64_decode(text)",
            "The bytes of base64 with padding. Blanks, tabs and line breaks are skipped.",
            |arguments| match arguments {
                [text] => {
                    let is_digit = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
                    let digits: Vec<u8> = text.as_bytes()?.iter().copied().filter(is_digit).collect();
                    BASE64.decode(digits).ok().map(Value::bytes)
                }
                _ => None,
            }
        ),
        function!(
            "json_encode",
            1..=1,
            "json_encode(value)",
            "The value as JSON.",
            |arguments| match arguments {
                [value] => Some(Value::from(value.to_json())),
                _ => None,
            }
        ),
        function!(
            "json_decode",
            1..=1,
            "json_decode(text)",
            "The value of JSON in a text.",
            |arguments| match arguments {
                [text] => json::read(text.as_text()?).map(Value::into_owned),
                _ => None,
            }
        ),
        function!(
            "term_encode",
            1..=1,
            "term_encode(value)",
            "The value in Erlang's external term format.",
            |arguments| match arguments {
                [value] => terms::encode(value).map(Value::bytes),
                _ => None,
            }
        ),
        function!(
            "term_decode",
            1..=1,
            "term_decode(text)",
            "The value of Erlang's external term format. Compressed terms and kinds that no value here has, such as tuples, \
             are refused.",
            |arguments| match arguments {
                [text] => terms::decode(text.as_bytes()?),
                _ => None,
            }
        ),
    ],
};

const HEX_UPPER: &[u8; 16] = b"0123456789ABCDEF";

fn hexadecimal(bytes: &[u8], prefix: &[u8], digits: &[u8; 16]) -> Value<'static> {
    let digit = |nibble: u8| digits.get(usize::from(nibble)).copied();
    let pairs = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    Value::bytes(prefix.iter().copied().chain(pairs.flatten()).collect::<Vec<u8>>())
}

fn from_hexadecimal(digits: &[u8]) -> Option<Value<'static>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).map(|nibble| nibble as u8);
    // From the end, so that a single digit is left for the first byte.
    let bytes: Option<Vec<u8>> = digits
        .rchunks(2)
        .map(|pair| pair.iter().try_fold(0, |byte, digit| Some(byte << 4 | nibble(*digit)?)))
        .collect();
    let mut bytes = bytes?;
    bytes.reverse();
    Some(Value::bytes(bytes))
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("bin2hexstr('Hello')", "\"48656C6C6F\""),
            ("bin2hexstr('')", "\"\""),
            ("bin2hexstr('äÖ€😀')", "\"C3A4C396E282ACF09F9880\""),
            ("bin2hexstr(5)", "fails"),
            ("bin2hexstr('A', '0x')", "\"0x41\""),
            ("hexstr2bin('48656C6C6F')", "\"Hello\""),
            ("hexstr2bin('48656c6c6f')", "\"Hello\""),
            ("hexstr2bin('')", "\"\""),
            ("hexstr2bin('ABC')", "\"\\n\u{fffd}\""),
            ("hexstr2bin('4142', '0x')", "fails"),
            ("hexstr2bin('0x4142', '0x')", "\"AB\""),
            ("hexstr2bin('xy')", "fails"),
            ("hexstr2bin('FF')", "\"\u{fffd}\""),
            ("sqlserver_bin2hexstr('Hello')", "\"0x48656C6C6F\""),
            ("sqlserver_bin2hexstr('')", "\"0x\""),
            ("sqlserver_bin2hexstr(1)", "fails"),
            ("base64_encode('hello')", "\"aGVsbG8=\""),
            ("base64_encode('')", "\"\""),
            ("base64_encode('äÖ€😀')", "\"w6TDluKCrPCfmIA=\""),
            ("base64_encode(5)", "fails"),
            ("base64_decode('aGVsbG8=')", "\"hello\""),
            ("base64_decode('')", "\"\""),
            ("base64_decode('aGVs bG8=\n')", "\"hello\""),
            ("base64_decode('_-8=')", "fails"),
            ("base64_decode(5)", "fails"),
            ("json_decode(base64_decode('eyJhIjoxfQ=='))", r#"{"a":1}"#),
            ("json_decode('[1,2.0,\"x\",null,true]')", r#"[1,2.0,"x",null,true]"#),
            ("json_decode('hello')", "fails"),
            ("json_decode('')", "fails"),
            ("json_decode('1e2')", "100.0"),
            ("json_decode('-0')", "0"),
            ("json_decode('100000000000000000000')", "100000000000000000000"),
            (r#"json_decode('"\u00e4\ud83d\ude00"')"#, "\"ä😀\""),
            ("json_decode(' [ ] ')", "[]"),
            ("json_decode('{\"a\":1} x')", "fails"),
            (
                "json_encode([1, 'two', 3.5, true, null])",
                r#""[1,\"two\",3.5,true,null]""#,
            ),
            ("json_encode(null())", r#""\"undefined\"""#),
            ("json_encode(1.0)", "\"1.0\""),
            ("json_encode(1.0e20)", "\"100000000000000000000.0\""),
            ("json_encode(1e-7)", "\"1e-7\""),
            ("json_encode('<a href=/> \n')", r#""\"<a href=/> \\n\"""#),
        ]);
    }

    /// Compared with Erlang 25.2.3.
    #[test]
    fn base64_as_erlang() {
        check(&[
            ("base64_decode('aGVsbG8')", "fails"),
            ("base64_decode('aGVsbG8==')", "fails"),
            ("base64_decode('aGVsbG8=x')", "fails"),
            ("base64_decode('YQ==YQ==')", "fails"),
            ("base64_decode('YR==')", "\"a\""),
            ("base64_decode('====')", "fails"),
            ("base64_decode('Y Q = = ')", "\"a\""),
        ]);
    }
}
