//! Reads the fields of a packet in place, one after the other. Pure; nothing is copied.

/// The fields that are still to be read. Each function takes its field from the front and returns `None` if there are too
/// few bytes; what is left then is unspecified.
#[derive(Debug, Clone, Copy)]
pub struct FieldReader<'b>(&'b [u8]);

impl<'b> FieldReader<'b> {
    /// Reads the fields at the front of `bytes`, such as the body of a packet.
    pub fn new(bytes: &'b [u8]) -> FieldReader<'b> {
        FieldReader(bytes)
    }

    /// All bytes that are not read yet.
    pub fn rest(self) -> &'b [u8] {
        self.0
    }

    /// Whether everything is read.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// This many bytes.
    pub fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// A number of two bytes, such as a packet identifier.
    pub fn number(&mut self) -> Option<u16> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    /// A text, or other bytes with their length in two bytes before them. Returns it without the length.
    pub fn text(&mut self) -> Option<&'b [u8]> {
        let length = self.number()?;
        self.take(length.into())
    }

    /// A variable byte integer: one to four bytes.
    pub fn variable(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A list of properties with its length before it. Returns the reader of the list.
    pub fn properties(&mut self) -> Option<FieldReader<'b>> {
        let length = self.variable()?;
        self.take(length).map(FieldReader)
    }

    /// A property: its identifier and its value as it was sent. `None` also for an identifier that MQTT 5 does not define,
    /// because the length of its value is unknown.
    pub fn property(&mut self) -> Option<(u8, &'b [u8])> {
        let id = self.byte()?;
        let start = *self;
        match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => drop(self.take(1)?),
            0x13 | 0x21 | 0x22 | 0x23 => drop(self.take(2)?),
            0x02 | 0x11 | 0x18 | 0x27 => drop(self.take(4)?),
            0x0b => drop(self.variable()?),
            0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => drop(self.text()?),
            // The name and the value of a user property.
            0x26 => drop((self.text()?, self.text()?)),
            _ => return None,
        }
        let length = start.0.len() - self.0.len();
        start.0.get(..length).map(|value| (id, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_their_order() {
        let bytes = b"\x07\x01\x02\0\x03abc\x81\x01\x03\x01\x01xrest";
        let mut fields = FieldReader::new(bytes);
        assert_eq!(fields.byte(), Some(7));
        assert_eq!(fields.number(), Some(0x0102));
        assert_eq!(fields.text(), Some(&b"abc"[..]));
        assert_eq!(fields.variable(), Some(129));
        assert_eq!(fields.properties().map(FieldReader::rest), Some(&b"\x01\x01x"[..]));
        assert_eq!(fields.take(4), Some(&b"rest"[..]));
        assert!(fields.is_empty());
        for bytes in [&b""[..], b"\xff", b"\xff\xff\xff\xff\x01"] {
            assert_eq!(FieldReader::new(bytes).variable(), None, "{bytes:?}");
        }
        for bytes in [&b""[..], b"\0", b"\0\x02a"] {
            assert_eq!(FieldReader::new(bytes).text(), None, "{bytes:?}");
        }
        assert!(FieldReader::new(b"\x02a").properties().is_none());
    }

    #[test]
    fn a_property_is_as_long_as_its_identifier_says() {
        for (bytes, value) in [
            (&b"\x01\x01x"[..], Some(&b"\x01"[..])),
            (b"\x23\0\x05x", Some(b"\0\x05")),
            (b"\x11\0\0\0\x05x", Some(b"\0\0\0\x05")),
            (b"\x0b\x80\x01x", Some(b"\x80\x01")),
            (b"\x08\0\x01ax", Some(b"\0\x01a")),
            (b"\x26\0\x01a\0\x02bcx", Some(b"\0\x01a\0\x02bc")),
            (b"\x26\0\x01a\0\x02b", None),
            (b"\x23\0", None),
            (b"\x7f\x01x", None),
            (b"", None),
        ] {
            let mut fields = FieldReader::new(bytes);
            let expected = value.map(|value| (bytes[0], value));
            assert_eq!(fields.property(), expected, "{bytes:?}");
            if value.is_some() {
                assert_eq!(fields.rest(), b"x", "{bytes:?}");
            }
        }
    }
}
