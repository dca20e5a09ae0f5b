//! Runs another program once: passes it bytes, returns the bytes it writes, and enforces a time limit.
//!
//! A program that exceeds the limit is killed, whether it reads, writes or does nothing. No process is left after a
//! run.

use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// The result of a run.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// Whether the program read all of its input.
    pub(super) has_read: bool,
    /// The bytes written to standard output.
    pub(super) output: Vec<u8>,
    /// The bytes written to standard error.
    pub(super) words: Vec<u8>,
}

/// A process that is killed when this value is dropped.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Has no effect if the process has ended.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Passes `input` to a program and returns its output. Returns `None` if the program was killed because it exceeded
/// `limit`. While the program runs, calls `waiting` after each `pause`, with the time since the start.
///
/// # Errors
///
/// An error if the process or the threads that serve it cannot be started, or if its output cannot be read.
pub(super) fn run(
    command: &mut Command,
    input: &[u8],
    limit: Duration,
    (pause, waiting): (Duration, impl Fn(Duration)),
) -> io::Result<Option<Ended>> {
    let began = Instant::now();
    thread::scope(|scope| {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // Dropped before the threads are joined: they end when the process ends.
        let mut child = KillOnDrop(child.stderr(Stdio::piped()).spawn()?);
        let (stdin, stdout, stderr) = (child.0.stdin.take(), child.0.stdout.take(), child.0.stderr.take());
        // No value is sent. The channel closes when the reading threads have dropped their senders.
        let (reading, over) = channel::<()>();
        let sender = thread::Builder::new();
        // A program may end before it has read its whole input, and explains why on standard error.
        let sender = sender.spawn_scoped(scope, move || {
            stdin.is_some_and(|mut stdin| stdin.write_all(input).is_ok())
        })?;
        let held = reading.clone();
        let output = thread::Builder::new().spawn_scoped(scope, move || read(stdout, held))?;
        let words = thread::Builder::new().spawn_scoped(scope, move || read(stderr, reading))?;
        loop {
            let left = limit.saturating_sub(began.elapsed());
            if over.recv_timeout(left.min(pause)) != Err(RecvTimeoutError::Timeout) {
                break;
            }
            if began.elapsed() >= limit {
                return Ok(None);
            }
            waiting(began.elapsed());
        }
        // The program has closed its output, so it ends.
        Ok(Some(Ended {
            status: child.0.wait()?,
            has_read: joined(sender),
            output: joined(output)?,
            words: joined(words)?,
        }))
    })
}

fn read<T>(pipe: Option<impl Read>, held: T) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut bytes));
    drop(held);
    read.map(|_| bytes)
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);
    const QUIET: (Duration, fn(Duration)) = (LONG, |_| {});

    #[test]
    fn waiting_is_reported_after_each_pause() {
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let waiting = |_| {
            calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        };
        let limit = Duration::from_millis(200);
        let ended = run(
            &mut shell("exec sleep 1000000"),
            &[],
            limit,
            (Duration::from_millis(1), waiting),
        );
        assert!(ended.unwrap().is_none());
        assert!(calls.into_inner() > 0);
    }

    /// More than a pipe can buffer.
    fn input() -> Vec<u8> {
        (0..1 << 20).map(|number: u32| number.to_le_bytes()[1]).collect()
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_goes_in_comes_out() {
        let ended = run(&mut shell("echo words >&2; exec cat"), &input(), LONG, QUIET);
        let ended = ended.unwrap().unwrap();
        assert!(ended.status.success() && ended.has_read);
        assert_eq!(ended.output, input());
        assert_eq!(ended.words, b"words\n");
    }

    #[test]
    fn a_program_may_end_as_it_likes() {
        let ended = run(&mut shell("echo no >&2; exit 3"), &input(), LONG, QUIET)
            .unwrap()
            .unwrap();
        assert_eq!((ended.status.code(), ended.has_read), (Some(3), false));
        assert_eq!(ended.words, b"no\n");
        assert!(run(&mut Command::new("/nowhere"), &[], LONG, QUIET).is_err());
    }

    /// Without a limit the program would run forever. Its process is gone afterwards.
    #[test]
    fn a_program_that_hangs_is_killed() {
        for (what, script) in [
            ("reads nothing", "echo $$ >$0; exec sleep 1000000"),
            (
                "reads and never answers",
                "echo $$ >$0; cat >/dev/null; exec sleep 1000000",
            ),
            ("writes without end", "echo $$ >$0; exec cat /dev/zero"),
            ("stops itself", "echo $$ >$0; kill -STOP $$"),
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut limit = Duration::from_millis(50);
            let pid = loop {
                let ended = run(shell(script).arg(file.path()), &input(), limit, QUIET).unwrap();
                assert!(ended.is_none(), "{what}: {ended:?}");
                // On a busy machine the program may not have started.
                match std::fs::read_to_string(file.path()).unwrap().trim().parse::<u32>() {
                    Ok(pid) => break pid,
                    Err(_) => limit *= 2,
                }
            };
            assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{what}");
        }
    }
}
