//! Sets of bytes, for the classes of regular expressions. Letters are those of Latin-1.

/// A set of bytes.
#[derive(Clone, Copy)]
pub(super) struct ByteSet([bool; 256]);

impl Default for ByteSet {
    /// The empty set.
    fn default() -> ByteSet {
        ByteSet([false; 256])
    }
}

impl ByteSet {
    pub(super) fn of(contains: impl Fn(u8) -> bool) -> ByteSet {
        let mut set = [false; 256];
        for (byte, is_in) in (0_u8..=255).zip(set.iter_mut()) {
            *is_in = contains(byte);
        }
        ByteSet(set)
    }

    pub(super) fn add(&mut self, other: ByteSet) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own |= other;
        }
    }

    pub(super) fn without(self) -> ByteSet {
        ByteSet(self.0.map(|is_in| !is_in))
    }

    /// The set with its letters in both cases.
    pub(super) fn in_both_cases(self) -> ByteSet {
        let contains = |byte: u8| self.0.get(usize::from(byte)).copied().unwrap_or_default();
        ByteSet::of(|byte| contains(byte) || contains(other_case(byte)))
    }

    /// The set as a class.
    pub(super) fn push(self, out: &mut String) {
        let mut ranges = String::new();
        let mut first = None;
        for (at, is_in) in self.0.iter().copied().chain([false]).enumerate() {
            match (first, is_in) {
                (None, true) => first = Some(at),
                (Some(begin), false) => {
                    ranges += &format!(r"\x{begin:02X}-\x{:02X}", at - 1);
                    first = None;
                }
                _ => {}
            }
        }
        // An empty class never matches: no byte is this character.
        out.push_str(&if ranges.is_empty() {
            r"\x{100}".to_owned()
        } else {
            format!("[{ranges}]")
        });
    }
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, 0xaa | 0xb5 | 0xba | 0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..)
}

fn is_upper(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, 0xc0..=0xd6 | 0xd8..=0xde)
}

/// The letter in the other case; other bytes, and letters without another case in Latin-1, as they are.
pub(super) fn other_case(byte: u8) -> u8 {
    match byte {
        byte if byte.is_ascii_alphabetic() => byte ^ 0x20,
        0xc0..=0xd6 | 0xd8..=0xde | 0xe0..=0xf6 | 0xf8..=0xfe => byte ^ 0x20,
        byte => byte,
    }
}

fn is_control(byte: u8) -> bool {
    byte.is_ascii_control() || matches!(byte, 0x80..=0x9f)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, 9..=13 | 32)
}

/// The set of an escape such as `\d`.
pub(super) fn escaped_set(escape: u8) -> Option<ByteSet> {
    let set = match escape.to_ascii_lowercase() {
        b'd' => ByteSet::of(|byte| byte.is_ascii_digit()),
        b'w' => ByteSet::of(|byte| is_letter(byte) || byte.is_ascii_digit() || byte == b'_'),
        b's' => ByteSet::of(is_space),
        b'h' => ByteSet::of(|byte| matches!(byte, 9 | 32 | 0xa0)),
        b'v' => ByteSet::of(|byte| matches!(byte, 10..=13 | 0x85)),
        _ => return None,
    };
    Some(if escape.is_ascii_uppercase() {
        set.without()
    } else {
        set
    })
}

/// The set of a name such as `alpha` in `[:alpha:]`.
pub(super) fn named_set(name: &[u8]) -> Option<ByteSet> {
    Some(match name {
        b"alpha" => ByteSet::of(is_letter),
        b"digit" => ByteSet::of(|byte| byte.is_ascii_digit()),
        b"alnum" => ByteSet::of(|byte| is_letter(byte) || byte.is_ascii_digit()),
        b"word" => return escaped_set(b'w'),
        b"upper" => ByteSet::of(is_upper),
        b"lower" => ByteSet::of(|byte| is_letter(byte) && !is_upper(byte)),
        b"space" => ByteSet::of(is_space),
        b"blank" => ByteSet::of(|byte| matches!(byte, 9 | 32)),
        b"cntrl" => ByteSet::of(is_control),
        b"print" => ByteSet::of(|byte| !is_control(byte)),
        b"graph" => ByteSet::of(|byte| !is_control(byte) && byte != b' '),
        b"punct" => ByteSet::of(|byte| !is_control(byte) && byte != b' ' && !is_letter(byte) && !byte.is_ascii_digit()),
        b"xdigit" => ByteSet::of(|byte| byte.is_ascii_hexdigit()),
        b"ascii" => ByteSet::of(|byte| byte.is_ascii()),
        _ => return None,
    })
}
