//! Erlang's external term format, for the values that both sides have.
//!
//! Source: "External Term Format" in the documentation of Erlang/OTP. Words are written in the form of OTP 25 and before.

use std::borrow::Cow;

use num_bigint::{BigInt, Sign};

use crate::value::Value;

/// The first byte of a term.
const VERSION: u8 = 131;
/// Maximum nesting of lists and objects.
const MAX_DEPTH: usize = 128;

mod tag {
    pub(super) const NEW_FLOAT: u8 = 70;
    pub(super) const SMALL_INTEGER: u8 = 97;
    pub(super) const INTEGER: u8 = 98;
    pub(super) const ATOM: u8 = 100;
    pub(super) const NIL: u8 = 106;
    pub(super) const STRING: u8 = 107;
    pub(super) const LIST: u8 = 108;
    pub(super) const BINARY: u8 = 109;
    pub(super) const SMALL_BIG: u8 = 110;
    pub(super) const LARGE_BIG: u8 = 111;
    pub(super) const SMALL_ATOM: u8 = 115;
    pub(super) const MAP: u8 = 116;
    pub(super) const ATOM_UTF8: u8 = 118;
    pub(super) const SMALL_ATOM_UTF8: u8 = 119;
}

/// The bytes of a value; `None` for an atom of more than 255 bytes.
pub(super) fn encode(value: &Value<'_>) -> Option<Vec<u8>> {
    let mut out = vec![VERSION];
    push(&mut out, value)?;
    Some(out)
}

fn push(out: &mut Vec<u8>, value: &Value<'_>) -> Option<()> {
    match value {
        Value::Undefined => push_atom(out, "undefined")?,
        Value::Null => push_atom(out, "null")?,
        Value::Bool(true) => push_atom(out, "true")?,
        Value::Bool(false) => push_atom(out, "false")?,
        Value::Atom(word) => push_atom(out, word)?,
        Value::Integer(_) | Value::Big(_) => push_integer(out, value.as_integer()?)?,
        Value::Float(number) => {
            out.push(tag::NEW_FLOAT);
            out.extend(number.to_be_bytes());
        }
        Value::Text(text) => push_bytes(out, text.as_bytes())?,
        Value::Bytes(bytes) => push_bytes(out, bytes)?,
        Value::List(list) => push_list(out, list)?,
        Value::Object(entries) => {
            out.push(tag::MAP);
            out.extend(u32::try_from(entries.len()).ok()?.to_be_bytes());
            for (name, value) in entries.iter().rev() {
                push_bytes(out, name.as_bytes())?;
                push(out, value)?;
            }
        }
    }
    Some(())
}

fn push_atom(out: &mut Vec<u8>, word: &str) -> Option<()> {
    out.push(tag::ATOM);
    out.extend([0, u8::try_from(word.len()).ok()?]);
    out.extend(word.as_bytes());
    Some(())
}

fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.push(tag::BINARY);
    out.extend(u32::try_from(bytes.len()).ok()?.to_be_bytes());
    out.extend(bytes);
    Some(())
}

fn push_integer(out: &mut Vec<u8>, number: BigInt) -> Option<()> {
    if let Ok(number) = u8::try_from(&number) {
        out.extend([tag::SMALL_INTEGER, number]);
    } else if let Ok(number) = i32::try_from(&number) {
        out.push(tag::INTEGER);
        out.extend(number.to_be_bytes());
    } else {
        let (sign, digits) = number.to_bytes_le();
        match u8::try_from(digits.len()) {
            Ok(length) => out.extend([tag::SMALL_BIG, length]),
            Err(_) => {
                out.push(tag::LARGE_BIG);
                out.extend(u32::try_from(digits.len()).ok()?.to_be_bytes());
            }
        }
        out.push(u8::from(sign == Sign::Minus));
        out.extend(digits);
    }
    Some(())
}

/// A list of up to 65,535 bytes has a shorter form.
fn push_list(out: &mut Vec<u8>, list: &[Value<'_>]) -> Option<()> {
    let byte = |value: &Value<'_>| {
        if let Value::Integer(number) = value {
            u8::try_from(*number).ok()
        } else {
            None
        }
    };
    let bytes: Option<Vec<u8>> = list.iter().map(byte).collect();
    match (bytes, u16::try_from(list.len())) {
        (_, Ok(0)) => out.push(tag::NIL),
        (Some(bytes), Ok(length)) => {
            out.push(tag::STRING);
            out.extend(length.to_be_bytes());
            out.extend(bytes);
        }
        _ => {
            out.push(tag::LIST);
            out.extend(u32::try_from(list.len()).ok()?.to_be_bytes());
            for value in list {
                push(out, value)?;
            }
            out.push(tag::NIL);
        }
    }
    Some(())
}

/// The value of a term; `None` if the bytes are not exactly one term, or a term that no [`Value`] can be.
pub(super) fn decode(bytes: &[u8]) -> Option<Value<'static>> {
    let mut reader = Reader { rest: bytes };
    if reader.byte()? != VERSION {
        return None;
    }
    let value = reader.value(MAX_DEPTH)?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).ok()
    }

    fn short_length(&mut self) -> Option<usize> {
        self.array().map(u16::from_be_bytes).map(usize::from)
    }

    fn value(&mut self, depth: usize) -> Option<Value<'static>> {
        let depth = depth.checked_sub(1)?;
        Some(match self.byte()? {
            tag::NEW_FLOAT => {
                Value::Float(Some(f64::from_be_bytes(self.array()?)).filter(|number| number.is_finite())?)
            }
            tag::SMALL_INTEGER => Value::from(self.byte()?),
            tag::INTEGER => Value::Integer(i32::from_be_bytes(self.array()?).into()),
            tag::SMALL_BIG => {
                let length = self.byte()?;
                self.big(length.into())?
            }
            tag::LARGE_BIG => {
                let length = self.length()?;
                self.big(length)?
            }
            tag::ATOM | tag::ATOM_UTF8 => {
                let length = self.short_length()?;
                self.atom(length)?
            }
            tag::SMALL_ATOM | tag::SMALL_ATOM_UTF8 => {
                let length = self.byte()?;
                self.atom(length.into())?
            }
            tag::NIL => Value::List(Vec::new()),
            tag::STRING => {
                let length = self.short_length()?;
                Value::List(self.take(length)?.iter().map(|byte| Value::from(*byte)).collect())
            }
            tag::LIST => {
                let length = self.length()?;
                let list: Option<Vec<_>> = (0..length).map(|_| self.value(depth)).collect();
                // The end of a proper list.
                (self.byte()? == tag::NIL).then_some(Value::List(list?))?
            }
            tag::BINARY => self.bytes()?,
            tag::MAP => {
                let length = self.length()?;
                let entries: Option<Vec<_>> = (0..length).map(|_| self.entry(depth)).collect();
                Value::object(entries?)
            }
            _ => return None,
        })
    }

    fn bytes(&mut self) -> Option<Value<'static>> {
        let length = self.length()?;
        Some(Value::bytes(self.take(length)?.to_vec()))
    }

    fn big(&mut self, length: usize) -> Option<Value<'static>> {
        let sign = if self.byte()? == 0 { Sign::Plus } else { Sign::Minus };
        Some(Value::big(BigInt::from_bytes_le(sign, self.take(length)?)))
    }

    fn atom(&mut self, length: usize) -> Option<Value<'static>> {
        Some(match str::from_utf8(self.take(length)?).ok()? {
            "undefined" => Value::Undefined,
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            word => Value::atom(word.to_owned()),
        })
    }

    /// A name, which must be a text or an atom, and its value.
    fn entry(&mut self, depth: usize) -> Option<(Cow<'static, str>, Value<'static>)> {
        let (Value::Text(name) | Value::Atom(name)) = self.value(depth)? else {
            return None;
        };
        Some((name, self.value(depth)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::functions::testing::check;

    #[test]
    fn as_recorded() {
        check(&[
            (
                "term_decode(term_encode(map('{\"x\":1,\"y\":{\"z\":\"deep\"}}')))",
                r#"{"y":{"z":"deep"},"x":1}"#,
            ),
            (
                "base64_encode(term_encode([1, 'a', 1.5, true]))",
                "\"g2wAAAAEYQFtAAAAAWFGP/gAAAAAAABkAAR0cnVlag==\"",
            ),
            ("term_decode(base64_decode('g2EB'))", "1"),
            ("term_decode(5)", "fails"),
        ]);
    }

    /// Compared with Erlang 25.2.3.
    #[test]
    fn as_erlang() {
        check(&[
            ("bin2hexstr(term_encode([1, 2]))", "\"836B00020102\""),
            ("bin2hexstr(term_encode([]))", "\"836A\""),
            ("bin2hexstr(term_encode(-1))", "\"8362FFFFFFFF\""),
            ("bin2hexstr(term_encode(5000000000))", "\"836E050000F2052A01\""),
            (
                "bin2hexstr(term_encode(map('{\"b\":1,\"a\":2}')))",
                "\"8374000000026D000000016161026D00000001626101\"",
            ),
            ("term_decode(hexstr2bin('836E050100F2052A01'))", "-5000000000"),
            ("term_decode(hexstr2bin('8377026F6B'))", "\"ok\""),
            ("term_decode(hexstr2bin('836101FF'))", "fails"),
            ("term_decode(hexstr2bin('836C00000002610161026103'))", "fails"),
            ("term_decode(hexstr2bin('83680161'))", "fails"),
        ]);
    }
}
