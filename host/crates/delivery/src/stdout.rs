//! The `stdout:` destination: each request becomes a line on standard output.
//!
//! Bodies come from strangers and standard output is often a terminal, so control characters become blanks: nobody
//! may move the cursor, set the title or fake other lines.

use std::io::{self, Write};

use super::lines::Open;

/// Standard output.
pub(super) struct Stdout;

impl Open for Stdout {
    fn open(&self) -> io::Result<Box<dyn Write>> {
        // Each batch is one write and a flush, under the lock that `println!` takes too.
        Ok(Box::new(io::stdout().lock()))
    }

    fn push_line(&self, body: &[u8], line: &mut Vec<u8>) {
        let mut before = 0;
        for &byte in body {
            // C1 controls are 0xC2 and 0x80 to 0x9F in UTF-8; a blank after 0xC2 leaves an incomplete character,
            // which terminals show as such.
            let control = byte < b' ' || byte == 0x7F || (before == 0xC2 && matches!(byte, 0x80..=0x9F));
            line.push(if control { b' ' } else { byte });
            before = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let mut line = Vec::new();
        Stdout.push_line("a\n\x1b]0;x\x07\u{9b}31m é\u{7f}€".as_bytes(), &mut line);
        let text = String::from_utf8_lossy(&line);
        assert_eq!(text, "a  ]0;x \u{fffd} 31m é €");
    }
}
