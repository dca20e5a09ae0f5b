//! Standard output and standard error of a guest. Its lines go to the log, and its last lines explain a trap.
//!
//! The runtime of every language writes a panic or an exception to standard error before it traps. The trap itself only
//! says `unreachable`. The last [`TAIL_LINES`] lines of the running call are therefore kept back, and
//! [`Output::last_words`] finds the panic or exception in them. It becomes part of the error and is not logged again.
//! All other lines are logged by the end of the call. A stream keeps at most one unfinished line of at most
//! [`LINE_BYTES`]; a longer line is cut while it arrives.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::lines::{LINE_BYTES, Lines, Source, clean};

/// Limit of the lines of standard error kept back during a call: the inner end of a deep traceback.
const TAIL_LINES: usize = 24;

/// Limit of the text that explains a trap, in bytes.
pub(super) const WORDS_BYTES: usize = 2 << 10;

/// Limit of the bytes that a guest may write at once.
const WRITE_BYTES: usize = 64 << 10;

/// A stream of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// All output of one instance. Both streams and the `log` import share one rate limit.
#[derive(Debug)]
pub(super) struct Output {
    lines: Lines,
    out: Unfinished,
    err: Unfinished,
    tail: VecDeque<String>,
}

/// The beginning of an unfinished line.
#[derive(Debug, Default)]
struct Unfinished {
    bytes: Vec<u8>,
    /// The line is too long; the rest is dropped.
    cut: bool,
}

impl Output {
    pub(super) fn new(source: Source, now: Instant) -> Output {
        let unfinished = Unfinished::default;
        Output {
            lines: Lines::new(source, now),
            out: unfinished(),
            err: unfinished(),
            tail: VecDeque::new(),
        }
    }

    /// Logs a line of the `log` import.
    pub(super) fn log(&mut self, level: Level, line: &str, now: Instant) {
        if super::lines::is_enabled(level) {
            self.lines.write(level, "log", &clean(line.as_bytes(), LINE_BYTES), now);
        }
    }

    /// Ends a call: logs the lines of standard error that were kept back.
    pub(super) fn end_call(&mut self, now: Instant) {
        for line in std::mem::take(&mut self.tail) {
            self.lines.write(Level::WARN, "stderr", &line, now);
        }
    }

    /// Returns the last output on standard error before a failure: the panic or exception if there is one, otherwise
    /// the last lines. Logs the lines before it.
    pub(super) fn last_words(&mut self, now: Instant) -> Option<String> {
        if !self.err.bytes.is_empty() {
            self.end_line(Stream::Err, now);
        }
        let tail: Vec<String> = std::mem::take(&mut self.tail).into();
        let tail: Vec<&str> = tail.iter().map(String::as_str).collect();
        let (before, words) = last_words(&tail);
        for line in tail.iter().take(before) {
            self.lines.write(Level::WARN, "stderr", line, now);
        }
        (!words.is_empty()).then(|| clean(words.as_bytes(), WORDS_BYTES))
    }

    fn write(&mut self, stream: Stream, bytes: &[u8], now: Instant) {
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            self.unfinished(stream).push(piece);
            if pieces.peek().is_some() {
                self.end_line(stream, now);
            }
        }
    }

    fn end_line(&mut self, stream: Stream, now: Instant) {
        let unfinished = self.unfinished(stream);
        let mut line = clean(&unfinished.bytes, LINE_BYTES);
        if std::mem::take(&mut unfinished.cut) && !line.ends_with('…') {
            line.push('…');
        }
        unfinished.bytes.clear();
        if line.is_empty() {
            return;
        }
        match stream {
            Stream::Out => self.lines.write(Level::INFO, "stdout", &line, now),
            Stream::Err => {
                if self.tail.len() == TAIL_LINES
                    && let Some(oldest) = self.tail.pop_front()
                {
                    self.lines.write(Level::WARN, "stderr", &oldest, now);
                }
                self.tail.push_back(line);
            }
        }
    }

    fn unfinished(&mut self, stream: Stream) -> &mut Unfinished {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        }
    }
}

/// Logs unfinished lines when the instance is dropped.
impl Drop for Output {
    fn drop(&mut self) {
        let now = Instant::now();
        self.end_line(Stream::Out, now);
        self.end_line(Stream::Err, now);
        self.end_call(now);
    }
}

impl Unfinished {
    fn push(&mut self, piece: &[u8]) {
        let room = LINE_BYTES - self.bytes.len().min(LINE_BYTES);
        let (fits, rest) = piece.split_at(piece.len().min(room));
        self.bytes.extend_from_slice(fits);
        self.cut |= !rest.is_empty();
    }
}

/// Finds the panic or exception in the last lines of standard error, in the formats of common languages. Returns the
/// number of lines before it, and its text. With an unknown format, it returns all lines.
fn last_words(tail: &[&str]) -> (usize, String) {
    // Rust: a line with the location, lines with the message, and a note that is left out.
    if let Some(panic) = tail.iter().rposition(|line| line.contains("panicked at ")) {
        let words = tail
            .iter()
            .skip(panic)
            .filter(|line| !line.starts_with("note: run with `RUST_BACKTRACE"));
        let words = words.copied().collect::<Vec<_>>().join(" ");
        let start = words.find("panicked at ").unwrap_or(0);
        return (panic, words.split_at(start).1.to_owned());
    }
    // Python: frames, each with its source, innermost last, and then the exception.
    if let Some(place) = tail.iter().rposition(|line| line.starts_with("  File \"")) {
        let (frames, rest) = tail.split_at(place + 1);
        let exception: Vec<&str> = rest.iter().copied().filter(|line| !line.starts_with("    ")).collect();
        let place = frames.last().map_or("", |line| line.trim());
        let traceback = frames.iter().rposition(|line| line.starts_with("Traceback"));
        return (traceback.unwrap_or(0), format!("{} ({place})", exception.join(" ")));
    }
    // JavaScript: the exception and its stack, as one block at the end.
    (0, tail.join(" "))
}

/// One of the two streams for WASI. It is always ready and never fails, because output must not stop the guest.
#[derive(Debug, Clone)]
pub(super) struct GuestStream {
    output: Arc<Mutex<Output>>,
    stream: Stream,
}

impl GuestStream {
    pub(super) fn new(output: &Arc<Mutex<Output>>, stream: Stream) -> GuestStream {
        GuestStream {
            output: Arc::clone(output),
            stream,
        }
    }

    fn take(&self, bytes: &[u8]) {
        lock(&self.output).write(self.stream, bytes, Instant::now());
    }
}

/// Locks the output. A panic during a write leaves at most half a line.
pub(super) fn lock(output: &Mutex<Output>) -> MutexGuard<'_, Output> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

impl IsTerminal for GuestStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for GuestStream {
    async fn ready(&mut self) {}
}

impl OutputStream for GuestStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

impl AsyncWrite for GuestStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> Output {
        Output::new(
            Source {
                module: "m".into(),
                generation: 1,
            },
            Instant::now(),
        )
    }

    fn tail_of(writes: &[&[u8]]) -> Vec<String> {
        let mut output = output();
        for bytes in writes {
            output.write(Stream::Err, bytes, Instant::now());
        }
        std::mem::take(&mut output.tail).into()
    }

    #[test]
    fn lines_come_in_pieces() {
        assert_eq!(tail_of(&[b"one\ntw", b"o", b"\n\nthree"]), ["one", "two"]);
        assert_eq!(tail_of(&[b"", b"\n", b"\r\n"]), Vec::<String>::new());
        assert_eq!(
            tail_of(&[b"gr\xc3", b"\xbc\xc3\x9fe\n"]),
            ["grüße"],
            "a character in two writes"
        );
    }

    #[test]
    fn long_lines_are_cut_and_cost_no_more() {
        let mut output = output();
        for _ in 0..1000 {
            output.write(Stream::Err, &[b'x'; 1000], Instant::now());
        }
        assert!(output.err.bytes.capacity() <= 2 * LINE_BYTES);
        output.write(Stream::Err, b"\nnext\n", Instant::now());
        assert_eq!(output.tail.len(), 2);
        assert_eq!(output.tail[0], format!("{}…", "x".repeat(LINE_BYTES)));
        assert_eq!(output.tail[1], "next");
    }

    #[test]
    fn many_lines_keep_the_last() {
        let lines: String = (0..1000).map(|n| format!("line {n}\n")).collect();
        let tail = tail_of(&[lines.as_bytes()]);
        assert_eq!(tail.len(), TAIL_LINES);
        assert_eq!(tail.last().unwrap(), "line 999");
    }

    #[test]
    fn last_words_by_language() {
        for (said, words) in [
            (
                "starting\nthread '<unnamed>' panicked at src/lib.rs:12:5:\nno such topic\nnote: run with \
                 `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
                Some("panicked at src/lib.rs:12:5: no such topic"),
            ),
            (
                "\nthread '<unnamed>' (1) panicked at src/lib.rs:1:1:\nfirst\nthread 'x' panicked at src/lib.rs:2:2:\n\
                 second\nin two lines",
                Some("panicked at src/lib.rs:2:2: second in two lines"),
            ),
            (
                "hello\nTraceback (most recent call last):\n  File \"/0/app.py\", line 3, in handle\n    x[1]\n    \
                 ~^^^\nKeyError: 'x'\n",
                Some("KeyError: 'x' (File \"/0/app.py\", line 3, in handle)"),
            ),
            (
                "TypeError: x is not a function\n    at handle (module.js:4:2)\n",
                Some("TypeError: x is not a function     at handle (module.js:4:2)"),
            ),
            (
                "memory allocation of 65536 bytes failed",
                Some("memory allocation of 65536 bytes failed"),
            ),
            ("\n\n", None),
        ] {
            let mut output = output();
            output.write(Stream::Err, said.as_bytes(), Instant::now());
            output.write(Stream::Out, b"not an error\n", Instant::now());
            assert_eq!(output.last_words(Instant::now()).as_deref(), words);
        }
    }

    #[test]
    fn what_is_said_before_a_panic_is_no_part_of_it() {
        for (said, before) in [
            ("thread 'x' panicked at src/lib.rs:1:1:\nno", 0),
            ("one\ntwo\nthread 'x' panicked at src/lib.rs:1:1:\nno", 2),
            (
                "one\nTraceback (most recent call last):\n  File \"/0/app.py\", line 3, in handle\nKeyError: 'x'",
                1,
            ),
            ("TypeError: x is not a function\n    at handle (module.js:4:2)", 0),
        ] {
            assert_eq!(last_words(&said.lines().collect::<Vec<_>>()).0, before, "{said}");
        }
    }

    #[test]
    fn last_words_are_those_of_the_call() {
        let mut output = output();
        output.write(Stream::Err, b"thread 'x' panicked at old\n", Instant::now());
        output.end_call(Instant::now());
        assert_eq!(output.last_words(Instant::now()), None);
    }

    #[test]
    fn a_failure_begins_where_its_language_says() {
        for (tail, start) in [
            (&["hello", "thread 'x' panicked at a", "why"][..], 1),
            (
                &[
                    "hello",
                    "Traceback (most recent call last):",
                    "  File \"a\"",
                    "KeyError",
                ],
                1,
            ),
            (&["TypeError: x", "    at handle"], 0),
        ] {
            assert_eq!(last_words(tail).0, start, "{tail:?}");
        }
    }
}
