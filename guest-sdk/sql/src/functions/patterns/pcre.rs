//! Regular expressions of PCRE for the crate `regex-lite`, which reads a similar language.
//!
//! PCRE works on bytes here, `regex-lite` on texts: each byte is the character of Latin-1 with its number. Besides, letters
//! are those of Latin-1; `{`, `}` and `]` are themselves where they are no syntax; classes have no operators. Look-around,
//! references to groups, atomic groups, `\G` and `\K` are not supported, and `^` with the flag `m` matches behind a line
//! break at the end of the text, too. Source: the manual page pcrepattern(3) of PCRE 8.

use super::byte_set::{ByteSet, escaped_set, named_set, other_case};

/// A translated expression.
pub(super) struct Translated {
    /// The expression for `regex-lite`.
    pub(super) expression: String,
    /// Whether it has a `$` or `\Z`, which PCRE matches in front of a line break at the end of the text, too.
    pub(super) has_end: bool,
}

/// Translates an expression; `None` if it is not valid or not supported. Errors that only the structure of groups shows are
/// left to the crate.
pub(super) fn translate(expression: &[u8]) -> Option<Translated> {
    let mut translator = Translator {
        rest: expression,
        out: String::new(),
        flags: vec![Flags::default()],
        has_end: false,
    };
    while let begin @ [_, ..] = translator.rest {
        translator.step()?;
        let rest = translator.rest;
        let done = begin.get(..begin.len() - rest.len()).unwrap_or_default();
        let is_place = matches!(done, b"^" | b"$" | br"\b" | br"\B" | br"\A" | br"\Z" | br"\z");
        let is_repeated = match rest {
            [b'{', inside @ ..] => is_quantifier(inside),
            rest => matches!(rest, [b'*' | b'+' | b'?', ..]),
        };
        if is_place && is_repeated {
            return None;
        }
    }
    Some(Translated {
        expression: translator.out,
        has_end: translator.has_end,
    })
}

/// Whether what follows `{` is the rest of a quantifier such as `2}` or `2,3}`.
fn is_quantifier(rest: &[u8]) -> bool {
    let Some(end) = rest.iter().position(|byte| *byte == b'}') else {
        return false;
    };
    let inside = rest.get(..end).unwrap_or_default();
    let mut numbers = inside.splitn(2, |byte| *byte == b',');
    let is_number = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    numbers
        .next()
        .is_some_and(|first| !first.is_empty() && is_number(first))
        && numbers.all(is_number)
}

/// Flags that are translated.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    /// `m`: `^` and `$` match at line breaks.
    is_multiline: bool,
    /// `i`: letters match in both cases.
    ignores_case: bool,
}

struct Translator<'e> {
    rest: &'e [u8],
    out: String,
    /// The flags, in each open group.
    flags: Vec<Flags>,
    has_end: bool,
}

impl Translator<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, text: &[u8]) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn flags_now(&self) -> Flags {
        self.flags.last().copied().unwrap_or_default()
    }

    /// A byte of a set.
    fn set(&mut self, set: ByteSet) {
        let set = if self.flags_now().ignores_case {
            set.in_both_cases()
        } else {
            set
        };
        set.push(&mut self.out);
    }

    /// A byte that stands for itself.
    fn literal(&mut self, byte: u8) {
        if self.flags_now().ignores_case && other_case(byte) != byte {
            self.set(ByteSet::of(|one| one == byte));
        } else if byte.is_ascii_alphanumeric()
            || matches!(byte, b' ' | b'\n' | b'\t' | b'#' | b'"' | b'\'' | b':' | b',' | b'=')
        {
            self.out.push(char::from(byte));
        } else {
            self.out += &format!(r"\x{byte:02X}");
        }
    }

    fn step(&mut self) -> Option<()> {
        match self.next()? {
            b'\\' => self.escape()?,
            b'[' => {
                let set = self.class()?;
                self.set(set);
            }
            b'(' => self.group()?,
            b')' => {
                if self.flags.len() > 1 {
                    self.flags.pop();
                }
                self.out.push(')');
            }
            b'$' => {
                let is_multiline = self.flags_now().is_multiline;
                self.has_end |= !is_multiline;
                self.out.push_str(if is_multiline { "$" } else { r"\z" });
            }
            b'{' if !is_quantifier(self.rest) => self.literal(b'{'),
            byte @ (b'^' | b'.' | b'|' | b'*' | b'+' | b'?' | b'{') => {
                self.out.push(char::from(byte));
                if byte == b'{' {
                    while let Some(byte) = self.next() {
                        self.out.push(char::from(byte));
                        if byte == b'}' {
                            break;
                        }
                    }
                }
            }
            byte => self.literal(byte),
        }
        Some(())
    }

    /// What follows `(`: comments are left out, switched flags are noted.
    fn group(&mut self) -> Option<()> {
        if self.take(b"?#") {
            let end = self.rest.iter().position(|byte| *byte == b')')?;
            self.rest = self.rest.get(end + 1..)?;
            return Some(());
        }
        let flags = self.flags_now();
        self.out.push('(');
        if self.rest.starts_with(b"?<=") || self.rest.starts_with(b"?<!") {
            return None;
        }
        if self.take(b"?P<") || self.take(b"?<") {
            self.out.push_str("?<");
            self.until(b'>')?;
        } else if self.take(b"?'") {
            self.out.push_str("?<");
            self.until(b'\'')?;
            self.out.pop();
            self.out.push('>');
        } else if self.rest.first() == Some(&b'?') {
            return self.switched(flags);
        }
        self.flags.push(flags);
        Some(())
    }

    /// Copies a name up to and with its end.
    fn until(&mut self, end: u8) -> Option<()> {
        loop {
            let byte = self.next().filter(u8::is_ascii)?;
            self.out.push(char::from(byte));
            if byte == end {
                return Some(());
            }
        }
    }

    /// `?` and flags, up to a colon or the end of the group.
    fn switched(&mut self, mut flags: Flags) -> Option<()> {
        self.next()?;
        let mut is_on = true;
        // Flags that the crate knows, switched on and off.
        let (mut on, mut off) = (String::new(), String::new());
        let end = loop {
            match self.next()? {
                b'-' => is_on = false,
                b'm' => flags.is_multiline = is_on,
                b'i' => flags.ignores_case = is_on,
                byte @ (b's' | b'x' | b'U') => (if is_on { &mut on } else { &mut off }).push(char::from(byte)),
                // Duplicate names and extra checks change no match.
                b'J' | b'X' => {}
                end @ (b':' | b')') => break end,
                _ => return None,
            }
        };
        (if flags.is_multiline { &mut on } else { &mut off }).push('m');
        self.out += &format!("?{on}");
        if !off.is_empty() {
            self.out += &format!("-{off}");
        }
        self.out.push(char::from(end));
        if end == b':' {
            self.flags.push(flags);
        } else {
            *self.flags.last_mut()? = flags;
        }
        Some(())
    }

    /// What follows a backslash outside of a class.
    fn escape(&mut self) -> Option<()> {
        let escape = self.next()?;
        if let Some(set) = escaped_set(escape) {
            self.set(set);
            return Some(());
        }
        match escape {
            b'b' | b'B' | b'A' | b'z' => {
                self.out.push('\\');
                self.out.push(char::from(escape));
            }
            b'Z' => {
                self.has_end = true;
                self.out.push_str(r"\z");
            }
            b'1'..=b'9' if !self.is_octal(escape) => return None,
            b'N' => self.out.push_str(r"[^\n]"),
            b'R' => self.out.push_str(r"(?:\r\n|[\x0A-\x0D\x85])"),
            b'Q' => {
                while !self.rest.is_empty() && !self.take(br"\E") {
                    let byte = self.next()?;
                    self.literal(byte);
                }
            }
            b'E' => {}
            b'g' | b'k' | b'G' | b'K' | b'p' | b'P' | b'X' | b'C' => return None,
            escape => {
                let byte = self.byte(escape)?;
                self.literal(byte);
            }
        }
        Some(())
    }

    /// Whether digits are a byte in octal instead of the number of a group: from three digits on.
    fn is_octal(&self, first: u8) -> bool {
        let is_digit = |at: usize| matches!(self.rest.get(at), Some(b'0'..=b'7'));
        matches!(first, b'1'..=b'3') && is_digit(0) && is_digit(1)
    }

    /// The byte of an escape such as `\n`, `\x41`, `\101` or `\.`.
    fn byte(&mut self, escape: u8) -> Option<u8> {
        Some(match escape {
            b'a' => 7,
            b'e' => 27,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'c' => self.next()?.to_ascii_uppercase() ^ 0x40,
            b'x' => {
                let is_in_braces = self.take(b"{");
                let most = if is_in_braces { usize::MAX } else { 2 };
                let number = self.digits(16, most)?;
                if is_in_braces && !self.take(b"}") {
                    return None;
                }
                number
            }
            b'0'..=b'7' => {
                let first = u32::from(escape - b'0');
                let mut number = first;
                for _ in 0..2 {
                    match self.rest.first() {
                        Some(digit @ b'0'..=b'7') => {
                            number = number * 8 + u32::from(digit - b'0');
                            self.next();
                        }
                        _ => break,
                    }
                }
                u8::try_from(number).ok()?
            }
            // Any other letter stands for itself, as any other character.
            other => other,
        })
    }

    fn digits(&mut self, radix: u32, most: usize) -> Option<u8> {
        let mut number: u32 = 0;
        for _ in 0..most {
            let Some(digit) = self.rest.first().and_then(|byte| char::from(*byte).to_digit(radix)) else {
                break;
            };
            number = number.checked_mul(radix)?.checked_add(digit)?;
            self.next();
        }
        u8::try_from(number).ok()
    }

    /// The set of a class, behind its bracket.
    fn class(&mut self) -> Option<ByteSet> {
        let is_negated = self.take(b"^");
        let mut set = ByteSet::default();
        let mut is_first = true;
        loop {
            let byte = self.next()?;
            if byte == b']' && !is_first {
                break;
            }
            is_first = false;
            match self.item(byte)? {
                Item::Set(inside) => set.add(*inside),
                Item::Byte(begin) => {
                    let end = match self.rest {
                        [b'-', next, ..] if *next != b']' => {
                            let (range, end) = (self.rest, self.range_end()?);
                            if end.is_none() {
                                self.rest = range;
                            }
                            end
                        }
                        _ => None,
                    };
                    let end = end.unwrap_or(begin);
                    if end < begin {
                        return None;
                    }
                    set.add(ByteSet::of(|byte| (begin..=end).contains(&byte)));
                }
                Item::Nothing => {}
            }
        }
        Some(if is_negated { set.without() } else { set })
    }

    /// The end of a range behind its hyphen; `Some(None)` if a set follows, so that the hyphen stands for itself.
    fn range_end(&mut self) -> Option<Option<u8>> {
        self.next()?;
        let byte = self.next()?;
        Some(match self.item(byte)? {
            Item::Byte(end) => Some(end),
            Item::Set(_) | Item::Nothing => None,
        })
    }

    /// An item of a class that begins with a byte.
    fn item(&mut self, byte: u8) -> Option<Item> {
        if byte == b'[' && self.take(b":") {
            let end = self.rest.windows(2).position(|pair| pair == b":]")?;
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest.get(2..)?;
            let (name, is_negated) = match name.strip_prefix(b"^") {
                Some(name) => (name, true),
                None => (name, false),
            };
            let set = named_set(name)?;
            let set = if is_negated { set.without() } else { set };
            return Some(Item::Set(Box::new(set)));
        }
        if byte != b'\\' {
            return Some(Item::Byte(byte));
        }
        let escape = self.next()?;
        if let Some(set) = escaped_set(escape) {
            return Some(Item::Set(Box::new(set)));
        }
        Some(match escape {
            b'b' => Item::Byte(8),
            b'E' => Item::Nothing,
            b'B' | b'N' | b'R' | b'X' | b'p' | b'P' => return None,
            escape => Item::Byte(self.byte(escape)?),
        })
    }
}

enum Item {
    Byte(u8),
    Set(Box<ByteSet>),
    Nothing,
}
