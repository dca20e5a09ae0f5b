//! The `stdout:` destination: each request becomes a line on standard output.
//!
//! On a terminal the line is formatted for people ([`text`]). Otherwise it is the body as it would be sent.
//! [`StdoutFormat`] selects one of the two. Bodies may come from untrusted clients, so control characters become spaces
//! or escapes. A body can therefore not move the cursor, set the title or fake other lines.

mod text;

use std::io::{self, IsTerminal, Write};

use super::lines::Open;

/// What `stdout:` prints of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StdoutFormat {
    /// Text on a terminal; the body if standard output is a pipe or a file.
    #[default]
    Auto,
    /// Time, event, client, topic and payload, formatted for people.
    Text,
    /// The body, for programs.
    Json,
}

impl StdoutFormat {
    /// All formats, by their names in a configuration.
    pub const NAMES: [(&'static str, StdoutFormat); 3] = [
        ("auto", StdoutFormat::Auto),
        ("text", StdoutFormat::Text),
        ("json", StdoutFormat::Json),
    ];
}

/// The writer of standard output.
pub(super) struct Stdout {
    is_text: bool,
}

impl Stdout {
    pub(super) fn new(format: StdoutFormat) -> Stdout {
        let is_text = match format {
            StdoutFormat::Auto => io::stdout().is_terminal(),
            StdoutFormat::Text => true,
            StdoutFormat::Json => false,
        };
        Stdout { is_text }
    }
}

impl Open for Stdout {
    fn open(&self) -> io::Result<Box<dyn Write>> {
        // Each batch is one write and a flush, under the lock that `println!` also uses.
        Ok(Box::new(io::stdout().lock()))
    }

    fn push_line(&self, body: &[u8], line: &mut Vec<u8>) {
        match text::readable(body).filter(|_| self.is_text) {
            Some(text) => line.extend_from_slice(text.as_bytes()),
            None => push_body(body, line),
        }
    }
}

/// Writes a body on one line, with spaces in place of control characters.
fn push_body(body: &[u8], line: &mut Vec<u8>) {
    let mut before = 0;
    for &byte in body {
        // C1 controls are 0xC2 followed by 0x80 to 0x9F in UTF-8. A space after 0xC2 leaves an incomplete character,
        // and terminals show it as such.
        let control = byte < b' ' || byte == 0x7F || (before == 0xC2 && matches!(byte, 0x80..=0x9F));
        line.push(if control { b' ' } else { byte });
        before = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let body = "a\n\x1b]0;x\x07\u{9b}31m é\u{7f}€".as_bytes();
        for is_text in [false, true] {
            let mut line = Vec::new();
            Stdout { is_text }.push_line(body, &mut line);
            assert_eq!(String::from_utf8_lossy(&line), "a  ]0;x \u{fffd} 31m é €");
        }
    }

    #[test]
    fn a_body_is_json_for_programs_and_text_for_people() {
        let body = br#"{"ts":0,"topic":"t","payload":"x","from_client_id":"c","action":"message_publish"}"#;
        let line = |format| {
            let mut line = Vec::new();
            Stdout::new(format).push_line(body, &mut line);
            line
        };
        assert_eq!(line(StdoutFormat::Json), body);
        let text = String::from_utf8(line(StdoutFormat::Text)).unwrap();
        assert!(text.ends_with("  message_publish       c  t  x"), "{text}");
    }
}
