//! A child process: its output, its end, and signals. It is killed when dropped.
//!
//! It has three threads: one reads each stream, one waits for the end. They end with the process.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::sync::watch;

/// The lines of a stream so far. All clones see the same lines.
#[derive(Clone)]
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    length: watch::Receiver<usize>,
}

impl Log {
    fn follow(stream: impl Read + Send + 'static) -> Log {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (grown, length) = watch::channel(0);
        let kept = lines.clone();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = without_colours(String::from_utf8_lossy(&line).trim_end());
                line.clear();
                let mut lines: std::sync::MutexGuard<'_, Vec<String>> = kept.lock().unwrap();
                lines.push(text);
                grown.send_replace(lines.len());
            }
        });
        Log { lines, length }
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The number of lines: a mark for [`Log::wait_after`].
    pub fn mark(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    /// Waits for the first line that `wanted` accepts; `what` names it in the failure.
    pub async fn wait(&self, what: &str, patience: Duration, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_after(0, what, patience, wanted).await
    }

    /// As [`Log::wait`], of the lines after a mark.
    pub async fn wait_after(
        &self,
        mark: usize,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        match tokio::time::timeout(patience, self.search(mark, wanted)).await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("the output ended without {what}:\n{}", self.tail()),
            Err(_) => panic!("no {what} within {patience:?}:\n{}", self.tail()),
        }
    }

    /// The first line that `wanted` accepts; `None` if the stream ends without it or on a timeout.
    pub async fn find(&self, patience: Duration, wanted: impl Fn(&str) -> bool) -> Option<String> {
        tokio::time::timeout(patience, self.search(0, wanted))
            .await
            .ok()
            .flatten()
    }

    /// Waits until `wanted` accepts this many lines, and returns all that it accepts; `what` names them in the failure.
    pub async fn wait_for_all(
        &self,
        count: usize,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let mut length = self.length.clone();
        let search = async {
            loop {
                length.mark_unchanged();
                let lines: Vec<String> = self.lines().into_iter().filter(|line| wanted(line)).collect();
                if lines.len() >= count {
                    return lines;
                }
                if length.changed().await.is_err() && *length.borrow() == self.mark() {
                    panic!("the output ended without {count} × {what}:\n{}", self.tail());
                }
            }
        };
        let found = tokio::time::timeout(patience, search).await;
        found.unwrap_or_else(|_| panic!("no {count} × {what} within {patience:?}:\n{}", self.tail()))
    }

    /// Waits for a line after a mark; `None` if the stream ends without it.
    async fn search(&self, mark: usize, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut length = self.length.clone();
        let mut next = mark;
        loop {
            length.mark_unchanged();
            {
                let lines = self.lines.lock().unwrap();
                if let Some(line) = lines[next.min(lines.len())..].iter().find(|line| wanted(line)) {
                    return Some(line.clone());
                }
                next = lines.len();
            }
            if length.changed().await.is_err() && next == self.mark() {
                return None;
            }
        }
    }

    /// The last lines, for a failure.
    pub fn tail(&self) -> String {
        let lines = self.lines.lock().unwrap();
        lines[lines.len().saturating_sub(100)..].join("\n")
    }
}

/// Removes terminal colours from a line.
fn without_colours(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        if char == '\u{1b}' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            text.push(char);
        }
    }
    text
}

/// A running process.
pub struct Process {
    pid: Pid,
    ended: watch::Receiver<Option<ExitStatus>>,
    /// Standard output.
    pub stdout: Log,
    /// Standard error.
    pub stderr: Log,
}

impl Process {
    /// Starts a command; its standard input is empty.
    pub fn start(mut command: Command) -> Process {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program()));
        let stdout = Log::follow(child.stdout.take().expect("it is piped"));
        let stderr = Log::follow(child.stderr.take().expect("it is piped"));
        let pid = Pid::from_child(&child);
        let (end, ended) = watch::channel(None);
        std::thread::spawn(move || {
            if let Ok(status) = child.wait() {
                end.send_replace(Some(status));
            }
        });
        Process {
            pid,
            ended,
            stdout,
            stderr,
        }
    }

    /// The process number.
    pub fn id(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Whether it is still running.
    pub fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Sends a signal. Does nothing if the process has ended.
    pub fn signal(&self, signal: Signal) {
        if self.is_running() {
            rustix::process::kill_process(self.pid, signal).ok();
        }
    }

    /// Waits for the end and returns the exit code; `None` if a signal ended it.
    pub async fn wait(&mut self, patience: Duration) -> Option<i32> {
        match tokio::time::timeout(patience, self.ended.wait_for(Option::is_some)).await {
            Ok(Ok(status)) => status.and_then(|status| status.code()),
            Ok(Err(_)) => panic!("nobody knows how the process ended"),
            Err(_) => panic!("still running after {patience:?}:\n{}", self.stderr.tail()),
        }
    }

    /// A figure of `/proc/PID/status` in kilobytes, such as `VmRSS` or `VmHWM`; 0 once the process has ended.
    pub fn memory(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        status
            .lines()
            .find_map(|line| {
                line.strip_prefix(field)?
                    .strip_prefix(':')?
                    .trim()
                    .strip_suffix(" kB")?
                    .trim()
                    .parse()
                    .ok()
            })
            .unwrap_or(0)
    }

    /// Processor time used so far, user and system together.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        // The name in parentheses may contain anything. The fields after it are numbers. utime and stime are the 14th
        // and 15th of the line, in ticks of 10 ms on all supported Linux systems.
        let ticks: u64 = stat
            .rsplit_once(')')
            .map(|(_, fields)| {
                fields
                    .split_whitespace()
                    .skip(11)
                    .take(2)
                    .filter_map(|f| f.parse::<u64>().ok())
                    .sum()
            })
            .unwrap_or(0);
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
