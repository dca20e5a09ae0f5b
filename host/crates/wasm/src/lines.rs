//! Cleans, cuts and counts the lines that a guest writes to the log of the host.
//!
//! A guest may write any bytes at any rate. A line becomes at most [`LINE_BYTES`] of printable text. An instance logs
//! at most [`BURST`] lines at once and [`PER_SECOND`] lines per second on average. Lines beyond this limit are dropped
//! and counted. The next logged line also logs that count. This module does I/O only through `tracing`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Level;

/// The `tracing` target of all lines of modules.
pub(super) const TARGET: &str = "hookhost::module";

/// Limit of a line in bytes. 4 KiB fits a stack frame with a long symbol, or a line of JSON.
pub(super) const LINE_BYTES: usize = 4 << 10;

/// Limit of the lines logged at once: a Python traceback for each of a few events.
const BURST: u32 = 200;

/// Limit of the lines per second on average, low enough that a person can still follow the log.
const PER_SECOND: u32 = 20;

/// The module that writes the lines.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) module: Arc<str>,
    pub(super) generation: u32,
}

/// The rate-limited log lines of one instance.
#[derive(Debug)]
pub(super) struct Lines {
    source: Source,
    bucket: Bucket,
}

impl Lines {
    pub(super) fn new(source: Source, now: Instant) -> Lines {
        Lines {
            source,
            bucket: Bucket::new(now),
        }
    }

    /// Logs one line, or drops and counts it. `stream` is `log`, `stdout` or `stderr`. The caller has cleaned `line`.
    pub(super) fn write(&mut self, level: Level, stream: &'static str, line: &str, now: Instant) {
        // A line that the log level filters out must not count towards the rate.
        if !is_enabled(level) {
            return;
        }
        let Some(suppressed) = self.bucket.take(now) else {
            return;
        };
        let Source { module, generation } = &self.source;
        if suppressed > 0 {
            tracing::warn!(target: TARGET, %module, generation, suppressed, "log lines of this module were dropped");
        }
        macro_rules! at {
            ($level:expr) => {
                tracing::event!(target: TARGET, $level, %module, generation, stream, "{line}")
            };
        }
        match level {
            Level::ERROR => at!(Level::ERROR),
            Level::WARN => at!(Level::WARN),
            Level::INFO => at!(Level::INFO),
            Level::DEBUG => at!(Level::DEBUG),
            Level::TRACE => at!(Level::TRACE),
        }
    }
}

/// Returns whether lines of this level are currently logged.
pub(super) fn is_enabled(level: Level) -> bool {
    match level {
        Level::ERROR => tracing::enabled!(target: TARGET, Level::ERROR),
        Level::WARN => tracing::enabled!(target: TARGET, Level::WARN),
        Level::INFO => tracing::enabled!(target: TARGET, Level::INFO),
        Level::DEBUG => tracing::enabled!(target: TARGET, Level::DEBUG),
        Level::TRACE => tracing::enabled!(target: TARGET, Level::TRACE),
    }
}

/// A token bucket that counts rejected lines.
#[derive(Debug)]
struct Bucket {
    tokens: u32,
    filled: Instant,
    refused: u64,
}

impl Bucket {
    fn new(now: Instant) -> Bucket {
        Bucket {
            tokens: BURST,
            filled: now,
            refused: 0,
        }
    }

    /// Takes a token. Returns the number of lines rejected before, or `None` if no token is left.
    fn take(&mut self, now: Instant) -> Option<u64> {
        const STEP: Duration = Duration::from_millis(1000 / PER_SECOND as u64);
        let steps = now.saturating_duration_since(self.filled).as_nanos() / STEP.as_nanos();
        if steps >= u128::from(BURST - self.tokens) {
            self.tokens = BURST;
            self.filled = now;
        } else {
            // The number is below BURST, so it fits.
            let steps = steps as u32;
            self.tokens += steps;
            self.filled += STEP * steps;
        }
        if self.tokens == 0 {
            self.refused += 1;
            return None;
        }
        self.tokens -= 1;
        Some(std::mem::take(&mut self.refused))
    }
}

/// Turns the bytes of a guest into a line. Removes terminal sequences and replaces white space by a space. Other
/// control characters, characters that change the direction of text, and invalid UTF-8 become `U+FFFD`. A line longer
/// than `limit` bytes ends in `…`.
pub(super) fn clean(bytes: &[u8], limit: usize) -> String {
    // No deadline interrupts the host here, so it limits how many bytes it reads, including those it removes.
    let (seen, unseen) = bytes.split_at(bytes.len().min(limit.saturating_mul(4)));
    let text = String::from_utf8_lossy(seen);
    let text = text.trim_end();
    let mut line = String::with_capacity(text.len().min(limit));
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let char = match char {
            '\u{1b}' => {
                skip_escape(&mut chars);
                continue;
            }
            '\u{9b}' => {
                skip_to_final(&mut chars);
                continue;
            }
            '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => ' ',
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
            char if char.is_control() => char::REPLACEMENT_CHARACTER,
            char => char,
        };
        if line.len() + char.len_utf8() > limit {
            return cut(line, limit);
        }
        line.push(char);
    }
    if unseen.is_empty() { line } else { cut(line, limit) }
}

/// Ends a line in `…`, within its limit.
fn cut(mut line: String, limit: usize) -> String {
    line.truncate(line.floor_char_boundary(limit.saturating_sub('…'.len_utf8())));
    line.push('…');
    line
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Skips what follows ESC in ECMA-48: a control sequence, a control string, or one or two characters.
fn skip_escape(chars: &mut Chars<'_>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_to_final(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            // A control string ends with BEL or ESC \.
            while let Some(char) = chars.next() {
                if char == '\u{7}' || char == '\u{9c}' {
                    return;
                }
                if char == '\u{1b}' {
                    chars.next_if_eq(&'\\');
                    return;
                }
            }
        }
        _ => {
            while chars.next_if(|char| ('\u{20}'..='\u{2f}').contains(char)).is_some() {}
            chars.next_if(|char| ('\u{30}'..='\u{7e}').contains(char));
        }
    }
}

/// Skips the parameters and intermediates up to the final character of a control sequence. Stops at a character that
/// cannot belong to one.
fn skip_to_final(chars: &mut Chars<'_>) {
    while chars.next_if(|char| ('\u{20}'..='\u{3f}').contains(char)).is_some() {}
    chars.next_if(|char| ('\u{40}'..='\u{7e}').contains(char));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning() {
        for (bytes, line) in [
            (&b"plain"[..], "plain"),
            (b"trailing \r\n", "trailing"),
            (b"a\tb\nc", "a b c"),
            (b"\x1b[31mred\x1b[0m", "red"),
            (b"\x1b[38;5;196mred\x1b[m", "red"),
            (b"\x1b]0;title\x07text", "text"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"\x1bPdevice\x1b\\text", "text"),
            (b"\x1b(Btext", "text"),
            (b"\x1bctext", "text"),
            (b"\xc2\x9b31mred", "red"),
            (b"\x1b[31\x07bell", "\u{fffd}bell"),
            (b"never ends \x1b]0;title", "never ends "),
            (b"\x1b", ""),
            (b"a\x00b\x08c\x7fd", "a\u{fffd}b\u{fffd}c\u{fffd}d"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            ("user\u{202e}nimda".as_bytes(), "user\u{fffd}nimda"),
            ("one\u{2028}two".as_bytes(), "one two"),
            ("Grüße 漢字".as_bytes(), "Grüße 漢字"),
        ] {
            assert_eq!(clean(bytes, 100), line, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn cutting() {
        for (text, limit, line) in [
            ("12345678", 8, "12345678"),
            ("123456789", 8, "12345…"),
            ("ääää", 8, "ääää"),
            ("äääää", 8, "ää…"),
            ("漢字漢", 8, "漢…"),
        ] {
            assert_eq!(clean(text.as_bytes(), limit), line);
            assert!(line.len() <= limit);
        }
        let hidden = [&b"\x1b]0;"[..], &[b'x'; 1000], b"\x07text"].concat();
        assert_eq!(clean(&hidden, 8), "…", "what hides behind much is left out");
    }

    #[test]
    fn a_bucket_lets_a_burst_through_and_then_a_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(start);
        for _ in 0..BURST {
            assert_eq!(bucket.take(start), Some(0));
        }
        assert_eq!(bucket.take(start), None);
        assert_eq!(bucket.take(start + Duration::from_millis(49)), None);
        assert_eq!(
            bucket.take(start + Duration::from_millis(50)),
            Some(2),
            "the next says how many were left out"
        );
        assert_eq!(bucket.take(start + Duration::from_millis(50)), None);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| bucket.take(later).is_some()).count(), 19);
        let much_later = start + Duration::from_secs(3600);
        assert_eq!(
            (0..1000).filter(|_| bucket.take(much_later).is_some()).count(),
            BURST as usize
        );
    }
}
