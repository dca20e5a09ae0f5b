//! Strings in quotes and in three quotes.

use super::cursor::{Cursor, Wrong};

impl Cursor<'_> {
    /// A string in quotes, at its first quote.
    pub(super) fn quoted(&mut self) -> Result<String, Wrong> {
        if self.rest.starts_with("\"\"\"") {
            return self.triple();
        }
        let line = self.line;
        let open = || Err((line, "a string is never closed".to_owned()));
        self.next();
        let mut text = String::new();
        loop {
            text.push_str(self.take(|c| c != '"' && c != '\\'));
            match self.peek() {
                Some('"') => {
                    self.next();
                    return Ok(text);
                }
                Some('\\') => {
                    self.next();
                    text.push(self.escaped()?);
                }
                _ => return open(),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, Wrong> {
        Ok(match self.next() {
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let first = self.unit()?;
                let code = match first {
                    0xd800..=0xdbff if self.eat("\\u") => match self.unit()? {
                        second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                        _ => return self.wrong("\\u gives half a character"),
                    },
                    code => code,
                };
                match char::from_u32(code) {
                    Some(character) => character,
                    None => return self.wrong("\\u gives half a character"),
                }
            }
            _ => {
                return self
                    .wrong("a string has an unknown escape: \\\" \\\\ \\/ \\b \\f \\n \\r \\t and \\u are known");
            }
        })
    }

    fn unit(&mut self) -> Result<u32, Wrong> {
        let digits = self
            .rest
            .get(..4)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return self.wrong("\\u needs four hexadecimal digits");
        };
        self.rest = self.rest.get(4..).unwrap_or_default();
        Ok(code)
    }

    /// A string in three quotes: no escapes, and line ends as they are.
    fn triple(&mut self) -> Result<String, Wrong> {
        let line = self.line;
        self.eat("\"\"\"");
        let Some(end) = self.rest.find("\"\"\"") else {
            self.rest = "";
            return Err((line, "a string in three quotes is never closed".to_owned()));
        };
        let (mut text, after) = self.rest.split_at(end);
        // Quotes beyond the three belong to the text.
        let quotes = after.bytes().take_while(|byte| *byte == b'"').count();
        let more = quotes.saturating_sub(3);
        if let Some(longer) = self.rest.get(..end + more) {
            text = longer;
        }
        self.rest = self.rest.get(end + more + 3..).unwrap_or_default();
        self.line += text.matches('\n').count();
        let indented = text
            .strip_prefix("~\n")
            .or_else(|| text.strip_prefix("~\r\n"))
            .map(|text| text.strip_suffix('~').unwrap_or(text));
        Ok(indented.map_or_else(|| text.to_owned(), without_indentation))
    }
}

/// The lines of a text without the blanks that all of them begin with.
fn without_indentation(text: &str) -> String {
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let lines = || text.split('\n');
    let common = lines()
        .filter(|line| !line.trim().is_empty())
        .map(indentation)
        .min()
        .unwrap_or(0);
    let lines: Vec<&str> = lines()
        .map(|line| {
            line.get(common..)
                .unwrap_or_else(|| line.trim_start_matches([' ', '\t']))
        })
        .collect();
    lines.join("\n")
}
