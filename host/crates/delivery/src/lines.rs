//! Destinations that receive lines (files and standard output), written without blocking an async thread.
//!
//! Lines that arrive during a write are collected, and the next write takes them all. Writes run on a thread for
//! blocking work. One write runs at a time, so lines stay whole and keep their order of arrival. Each attempt receives
//! the outcome of its own line. The limit of concurrent requests also limits the lines that wait.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::{spawn_blocking, spawn_local};

use super::retry::Outcome;

/// One write collects lines up to about this many bytes.
const WRITE_BYTES: usize = 256 << 10;

/// Opens the target of the lines, once per batch.
pub(super) trait Open: Send + 'static {
    /// Opens the target for writing. May block.
    fn open(&self) -> io::Result<Box<dyn Write>>;

    /// Appends one line made from `body`, without its line ending.
    fn push_line(&self, body: &[u8], line: &mut Vec<u8>);
}

/// One destination of lines within one sender thread.
pub(super) struct Lines {
    state: Rc<RefCell<State>>,
}

struct State {
    waiting: Vec<Line>,
    /// `None` during a write.
    writer: Option<Writer>,
}

struct Line {
    body: Bytes,
    written: oneshot::Sender<Result<(), String>>,
}

struct Writer {
    open: Box<dyn Open>,
    /// The last write ended within a line. The next write must start a new line.
    torn: bool,
}

impl Lines {
    /// Creates a destination whose target `open` opens.
    pub(super) fn new(open: impl Open) -> Lines {
        let writer = Some(Writer {
            open: Box::new(open),
            torn: false,
        });
        Lines {
            state: Rc::new(RefCell::new(State {
                waiting: Vec::new(),
                writer,
            })),
        }
    }

    /// Writes one line. Requires a `LocalSet`. Dropping the future cancels the line if its write has not started.
    pub(super) async fn attempt(&self, body: Bytes) -> Outcome {
        let (written, outcome) = oneshot::channel();
        let idle = {
            let mut state = self.state.borrow_mut();
            state.waiting.push(Line { body, written });
            state.writer.take()
        };
        if let Some(writer) = idle {
            spawn_local(write_all(Rc::clone(&self.state), writer));
        }
        match outcome.await {
            Ok(Ok(())) => Outcome::Accepted(None),
            Ok(Err(error)) => Outcome::Failed(error),
            Err(_) => Outcome::Failed("the write was interrupted".into()),
        }
    }
}

/// Writes until no line waits.
async fn write_all(state: Rc<RefCell<State>>, mut writer: Writer) {
    loop {
        let mut lines = {
            let mut state = state.borrow_mut();
            if state.waiting.is_empty() {
                state.writer = Some(writer);
                return;
            }
            std::mem::take(&mut state.waiting)
        };
        lines.retain(|line| !line.written.is_closed());
        let blocking = spawn_blocking(move || {
            let bodies: Vec<&Bytes> = lines.iter().map(|line| &line.body).collect();
            let (whole, result) = writer.write(&bodies);
            for (place, line) in lines.into_iter().enumerate() {
                let outcome = match &result {
                    Err(error) if place >= whole => Err(error.to_string()),
                    _ => Ok(()),
                };
                // Sending fails if the attempt has timed out. Its retry then repeats a line that is already written.
                line.written.send(outcome).ok();
            }
            writer
        });
        match blocking.await {
            Ok(back) => writer = back,
            // The blocking task fails only during the shutdown of the runtime.
            Err(_) => return,
        }
    }
}

impl Writer {
    /// Writes lines in order. Returns how many were written completely, and the error that stopped the write.
    fn write(&mut self, bodies: &[&Bytes]) -> (usize, io::Result<()>) {
        let mut whole = 0;
        let result = self
            .open
            .open()
            .and_then(|mut out| self.write_to(&mut *out, bodies, &mut whole));
        (whole, result)
    }

    fn write_to(&mut self, out: &mut dyn Write, bodies: &[&Bytes], whole: &mut usize) -> io::Result<()> {
        let mut rest = bodies;
        while !rest.is_empty() {
            let mut buffer = Vec::new();
            let mut ends = Vec::new();
            if self.torn {
                buffer.push(b'\n');
            }
            for body in rest {
                self.open.push_line(body, &mut buffer);
                buffer.push(b'\n');
                ends.push(buffer.len());
                if buffer.len() >= WRITE_BYTES {
                    break;
                }
            }
            let (written, result) = write_counted(out, &buffer);
            *whole += ends.iter().filter(|end| **end <= written).count();
            // A write of no bytes leaves `torn` as it is.
            if written > 0 {
                self.torn = buffer.get(written - 1) != Some(&b'\n');
            }
            result?;
            rest = rest.get(ends.len()..).unwrap_or_default();
        }
        // What may not be on the disk is not delivered.
        out.flush().inspect_err(|_| *whole = 0)
    }
}

/// Works like `write_all`, but also returns the number of bytes written.
fn write_counted(out: &mut dyn Write, buffer: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = buffer.get(written..).filter(|rest| !rest.is_empty()) {
        match out.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A writer that stores bytes while `free` lasts and then reports a full disk.
    #[derive(Clone, Default)]
    struct Disk {
        free: Arc<Mutex<usize>>,
        content: Arc<Mutex<Vec<u8>>>,
        writes: Arc<Mutex<usize>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            *self.writes.lock().unwrap() += 1;
            let mut free = self.free.lock().unwrap();
            if *free == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let count = bytes.len().min(*free);
            *free -= count;
            self.content.lock().unwrap().extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Open for Disk {
        fn open(&self) -> io::Result<Box<dyn Write>> {
            Ok(Box::new(self.clone()))
        }

        fn push_line(&self, body: &[u8], line: &mut Vec<u8>) {
            line.extend_from_slice(body);
        }
    }

    #[test]
    fn a_torn_line_is_closed_before_the_next() {
        let disk = Disk::default();
        let mut writer = Writer {
            open: Box::new(disk.clone()),
            torn: false,
        };
        let bodies = [
            Bytes::from_static(b"one"),
            Bytes::from_static(b"two"),
            Bytes::from_static(b"three"),
        ];
        let bodies: Vec<&Bytes> = bodies.iter().collect();
        for (free, whole, content) in [
            (0, 0, ""),
            (6, 1, "one\ntw"),
            (0, 1, "one\ntw"),
            (3, 0, "one\ntw\ntw"),
            (99, 2, "one\ntw\ntw\ntwo\nthree\n"),
        ] {
            *disk.free.lock().unwrap() = free;
            let written = disk.content.lock().unwrap().len();
            let from = if written < 4 { 0 } else { 1 };
            let (count, result) = writer.write(&bodies[from..]);
            assert_eq!(result.is_ok(), free == 99);
            assert_eq!(count, if free == 0 { 0 } else { whole }, "{content}");
            assert_eq!(String::from_utf8_lossy(&disk.content.lock().unwrap()), content);
        }
    }

    #[test]
    fn lines_that_wait_are_written_together_and_in_order() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let disk = Disk::default();
        *disk.free.lock().unwrap() = usize::MAX;
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let lines = Rc::new(Lines::new(disk.clone()));
            let mut tasks = Vec::new();
            for number in 0..100 {
                let lines = Rc::clone(&lines);
                tasks.push(spawn_local(async move {
                    lines.attempt(Bytes::from(number.to_string())).await
                }));
            }
            for task in tasks {
                assert_eq!(task.await.unwrap(), Outcome::Accepted(None));
            }
        });
        let want: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8_lossy(&disk.content.lock().unwrap()), want);
        assert!(*disk.writes.lock().unwrap() < 100, "one write per line");
    }

    #[test]
    fn failures_go_to_the_lines_that_failed() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let disk = Disk::default();
        *disk.free.lock().unwrap() = 5;
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let lines = Lines::new(disk.clone());
            assert_eq!(
                lines.attempt(Bytes::from_static(b"four")).await,
                Outcome::Accepted(None)
            );
            assert!(matches!(
                lines.attempt(Bytes::from_static(b"more")).await,
                Outcome::Failed(_)
            ));
            *disk.free.lock().unwrap() = 5;
            assert_eq!(
                lines.attempt(Bytes::from_static(b"more")).await,
                Outcome::Accepted(None)
            );
        });
        assert_eq!(*disk.content.lock().unwrap(), b"four\nmore\n");
    }
}
