//! Functions for the bits of integers and texts.

use num_bigint::{BigInt, BigUint, Sign};

use super::{Function, Theme, function};
use crate::failure::Failure;
use crate::value::Value;

/// Largest integer that a shift makes, in bits. Erlang's own limit is higher, but no JSON needs it.
const MAX_BITS: u64 = 1 << 16;

pub(super) const THEME: Theme = Theme {
    title: "Bits",
    functions: &[
        function!(
            "bitnot",
            1..=1,
            "bitnot(integer)",
            "The integer with all bits inverted.",
            |arguments| {
                match arguments {
                    [x] => Some(Value::big(!x.as_integer()?)),
                    _ => None,
                }
            }
        ),
        function!(
            "bitand",
            2..=2,
            "bitand(x, y)",
            "The bits that both integers have.",
            |arguments| { pair(arguments, |x, y| x & y) }
        ),
        function!(
            "bitor",
            2..=2,
            "bitor(x, y)",
            "The bits that one of the integers has.",
            |arguments| { pair(arguments, |x, y| x | y) }
        ),
        function!(
            "bitxor",
            2..=2,
            "bitxor(x, y)",
            "The bits that exactly one of the integers has.",
            |arguments| { pair(arguments, |x, y| x ^ y) }
        ),
        function!(
            "bitsl",
            2..=2,
            "bitsl(x, bits)",
            "The integer shifted to the left.",
            |arguments| { shift(arguments, false) }
        ),
        function!(
            "bitsr",
            2..=2,
            "bitsr(x, bits)",
            "The integer shifted to the right; its sign stays.",
            |arguments| { shift(arguments, true) }
        ),
        function!(
            "bitsize",
            1..=1,
            "bitsize(text)",
            "The number of bits of a text.",
            |arguments| match arguments {
                [text] => Some(Value::Integer(text.as_bytes()?.len() as i128 * 8)),
                _ => None,
            }
        ),
        function!(
            "bytesize",
            1..=1,
            "bytesize(text)",
            "The number of bytes of a text, or of a list of bytes and texts.",
            |arguments| {
                match arguments {
                    [value] => bytes_of(value).map(|bytes| Value::Integer(bytes as i128)),
                    _ => None,
                }
            }
        ),
        function!(
            "subbits",
            2..=6,
            "subbits(text, [start, ]length[, type[, signedness[, endianness]]])",
            "A part of the bits of a text, from bit `start` (1 is the first). `type` is `'integer'`, `'float'` or `'bits'`, \
             `signedness` `'unsigned'` or `'signed'`, `endianness` `'big'` or `'little'`; the first of each is the default. \
             Missing if there are no bits at `start`; less if there are fewer than `length`.",
            subbits
        ),
    ],
};

fn pair(arguments: &[Value<'_>], call: fn(BigInt, BigInt) -> BigInt) -> Option<Value<'static>> {
    match arguments {
        [x, y] => Some(Value::big(call(x.as_integer()?, y.as_integer()?))),
        _ => None,
    }
}

fn shift(arguments: &[Value<'_>], to_the_right: bool) -> Option<Value<'static>> {
    let [x, bits] = arguments else { return None };
    let (x, bits) = (x.as_integer()?, bits.as_integer()?);
    let to_the_right = to_the_right != (bits.sign() == Sign::Minus);
    // A shift that does not fit into 64 bits loses all bits or makes too many.
    let bits = u64::try_from(bits.magnitude()).unwrap_or(u64::MAX);
    if to_the_right {
        return Some(Value::big(x >> bits));
    }
    if x.sign() == Sign::NoSign {
        return Some(Value::Integer(0));
    }
    (x.bits().checked_add(bits)? <= MAX_BITS).then(|| Value::big(x << bits))
}

/// The number of bytes of a text, or of a list of bytes, texts and lists.
fn bytes_of(value: &Value<'_>) -> Option<usize> {
    match value {
        Value::List(list) => list
            .iter()
            .map(|item| {
                if let Value::Integer(0..=255) = item {
                    Some(1)
                } else {
                    bytes_of(item)
                }
            })
            .sum(),
        value => Some(value.as_bytes()?.len()),
    }
}

fn subbits(arguments: &[Value<'_>]) -> Option<Value<'static>> {
    let (text, start, length, options) = match arguments {
        [text, length] => (text, 1, length, [].as_slice()),
        [text, start, length, options @ ..] => (text, i128::try_from(start.as_integer()?).ok()?, length, options),
        _ => return None,
    };
    let (bytes, length) = (text.as_bytes()?, length.as_integer()?);
    let option = |at: usize, default| options.get(at).map_or(Some(default), Value::as_text);
    let is_signed = match option(1, "unsigned")? {
        "unsigned" => false,
        "signed" => true,
        _ => return None,
    };
    let is_little = match option(2, "big")? {
        "big" => false,
        "little" => true,
        _ => return None,
    };
    let kind = option(0, "integer")?;
    if !["integer", "float", "bits"].contains(&kind) {
        return None;
    }
    let total = bytes.len() * 8;
    let Some(skipped) = usize::try_from(start)
        .ok()
        .and_then(|start| start.checked_sub(1))
        .filter(|skipped| *skipped < total)
    else {
        return Some(Value::Undefined);
    };
    let rest = total - skipped;
    let length = usize::try_from(&length).ok().filter(|length| *length <= rest);
    match kind {
        "integer" => Some(integer(bytes, skipped, length.unwrap_or(rest), is_signed, is_little)),
        "float" => {
            let float = |length| float(bytes, skipped, length, is_little);
            length.and_then(float).or_else(|| float(rest)).map(Value::Float)
        }
        // Only whole bytes are a text.
        _ => Some(length.unwrap_or(rest))
            .filter(|length| length % 8 == 0)
            .map(|length| Value::bytes(part(bytes, skipped, length))),
    }
}

/// `length` bits of the bytes, from bit `skipped`, at the beginning of new bytes; what is left of the last byte is zero.
fn part(bytes: &[u8], skipped: usize, length: usize) -> Vec<u8> {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
    let mut part: Vec<u8> = (0..length.div_ceil(8))
        .map(|at| {
            let first = skipped / 8 + at;
            (u16::from_be_bytes([byte(first), byte(first + 1)]) << (skipped % 8)).to_be_bytes()[0]
        })
        .collect();
    if let (Some(last), used @ 1..) = (part.last_mut(), length % 8) {
        *last &= 0xff << (8 - used);
    }
    part
}

fn integer(bytes: &[u8], skipped: usize, length: usize, is_signed: bool, is_little: bool) -> Value<'static> {
    let mut part = part(bytes, skipped, length);
    let unused = part.len() * 8 - length;
    let number = if is_little {
        // The bits of an incomplete last byte are its upper ones.
        if let Some(last) = part.last_mut() {
            *last >>= unused;
        }
        BigUint::from_bytes_le(&part)
    } else {
        BigUint::from_bytes_be(&part) >> unused
    };
    let is_negative = is_signed && length > 0 && number.bit(length as u64 - 1);
    let number = BigInt::from(number);
    Value::big(if is_negative {
        number - (BigInt::from(1) << length)
    } else {
        number
    })
}

fn float(bytes: &[u8], skipped: usize, length: usize, is_little: bool) -> Option<f64> {
    let mut part = part(bytes, skipped, length);
    if is_little {
        part.reverse();
    }
    let number = match length {
        16 => half(u16::from_be_bytes(part.try_into().ok()?)),
        32 => f64::from(f32::from_be_bytes(part.try_into().ok()?)),
        64 => f64::from_be_bytes(part.try_into().ok()?),
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// A float of 16 bits.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
    sign * match exponent {
        0 => fraction * 2_f64.powi(-14),
        0x1f => f64::INFINITY,
        _ => (1.0 + fraction) * 2_f64.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            ("bitnot(0)", "-1"),
            ("bitnot(5)", "-6"),
            ("bitnot(-1)", "0"),
            ("bitnot(1.0)", "fails"),
            ("bitand(12, 10)", "8"),
            ("bitand(-1, 255)", "255"),
            ("bitand('1', 1)", "fails"),
            ("bitor(12, 10)", "14"),
            ("bitor(1.5, 1)", "fails"),
            ("bitxor(12, 10)", "6"),
            ("bitsl(1, 8)", "256"),
            ("bitsl(1, 70)", "1180591620717411303424"),
            ("bitsl(1, '2')", "fails"),
            ("bitsr(256, 4)", "16"),
            ("bitsr(-256, 4)", "-16"),
            ("bitsr(12345678901234567890, 60)", "10"),
            ("bitsize('abc')", "24"),
            ("bitsize('äÖ€😀')", "88"),
            ("bitsize('')", "0"),
            ("bitsize(5)", "fails"),
            ("bytesize('äÖ€😀')", "11"),
            ("bytesize(['x', 'y', 'z'])", "3"),
            ("bytesize([5, 3, 9, 1])", "4"),
            ("subbits('hello', 8)", "104"),
            ("subbits('hello', 9, 8)", "101"),
            (
                "bin2hexstr(subbits(hexstr2bin('FFFE0041C3800A'), 1, 16, 'bits'))",
                "\"FFFE\"",
            ),
            ("subbits('abcd', 9, 16, 'bits')", "\"bc\""),
            (
                "subbits('hello \"w\" ä€😀 a,b', 1, 1000)",
                "9999168063189122429814689704387664609488221760957525090",
            ),
            ("subbits(hexstr2bin('41C80000'), 1, 32, 'float')", "25.0"),
            (
                "subbits(hexstr2bin('0000C841'), 1, 32, 'float', 'unsigned', 'little')",
                "25.0",
            ),
            ("subbits('a', 0, 8)", "\"undefined\""),
            ("subbits(5, 1, 8)", "fails"),
            ("subbits('ab', 5, 8)", "22"),
            ("subbits('ab', 2, 3)", "6"),
            ("subbits('ab', 1, 0)", "0"),
        ]);
    }

    /// Compared with Erlang 25.2.3.
    #[test]
    fn as_erlang() {
        check(&[
            ("bitsl(1, -2)", "0"),
            ("bitsr(-7, 1)", "-4"),
            ("bitsr(-5, 100000000000000000000000)", "-1"),
            ("bitsl(1, 100000000000)", "fails"),
            ("bitsl(0, 100000000000)", "0"),
            ("bytesize([[1, 2], 'x'])", "3"),
            ("bytesize([256])", "fails"),
            ("bytesize(5)", "fails"),
            ("subbits(hexstr2bin('FFFFFE38'), 1, 32, 'integer', 'signed')", "-456"),
            (
                "subbits(hexstr2bin('38FEFFFF'), 1, 32, 'integer', 'signed', 'little')",
                "-456",
            ),
            (
                "subbits(hexstr2bin('ABCD'), 1, 12, 'integer', 'unsigned', 'little')",
                "3243",
            ),
            ("subbits(hexstr2bin('3C00'), 1, 16, 'float')", "1.0"),
            ("subbits(hexstr2bin('7FF0000000000000'), 1, 64, 'float')", "fails"),
            ("subbits('ab', 1, 8, 'float')", "689.0"),
            ("subbits('abc', 1, 8, 'float')", "fails"),
            ("subbits('ab', 1, 8, 'text')", "fails"),
            ("subbits('ab', 1, -1)", "24930"),
            ("subbits('', 1, 8)", "\"undefined\""),
            ("subbits('ab', 17, 8)", "\"undefined\""),
        ]);
    }
}
