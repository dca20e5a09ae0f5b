//! Records live events into a file, as [JSON](hookhost_event::json): one line for each.
//!
//! A recorder subscribes to the bus as a module does, with its own interests and bounded queue. A slow disk makes the
//! recorder lose events, which the bus counts and logs. Modules and clients are not affected.
//!
//! One thread writes. It appends to the file, which only its owner can read, because it holds payloads. When the file
//! reaches its maximum size, or cannot be written, the recorder logs that and stops. The host keeps running.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tracing::{error, info, warn};

use hookhost_contract::Interest;
use hookhost_event::{Hook, json};
use hookhost_hooks::{Attachment, Bus, Inbox, Interests, Overflow, QueueLimits, has_topic};

/// Name on the bus. It is not a valid name of a module.
const NAME: &str = "(record)";

/// Events that are written before each flush.
const BATCH: usize = 256;

/// The settings of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSettings {
    /// The file; created if it does not exist.
    pub file: PathBuf,
    /// The hooks to record; empty: all.
    pub hooks: Vec<Hook>,
    /// Topic filters; empty: all topics. With filters, events without a topic are recorded only if `hooks` names them.
    pub topics: Vec<String>,
    /// Maximum size of the file in bytes.
    pub size: usize,
}

/// A running recording.
pub struct Recorder {
    /// `None` once the recording has ended. Dropping it ends the thread.
    attachment: Arc<Mutex<Option<Attachment>>>,
    ended: mpsc::Receiver<()>,
}

impl Recorder {
    /// Opens the file and starts to record.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, or a topic is not a valid filter.
    pub fn start(settings: RecordSettings, bus: &Bus) -> anyhow::Result<Recorder> {
        let interests = interests(&settings.hooks, &settings.topics)?;
        let file = open(&settings.file).with_context(|| format!("cannot write {}", settings.file.display()))?;
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let limits = QueueLimits {
            overflow: Overflow::Drop,
            ..QueueLimits::default()
        };
        let (attachment, inboxes) = bus.attach(NAME, 1, limits);
        attachment.set_interests(interests);
        let attachment = Arc::new(Mutex::new(Some(attachment)));
        let (end, ended) = mpsc::channel();
        let writer = Writer {
            path: settings.file,
            file: BufWriter::new(file),
            room: (settings.size as u64).saturating_sub(length),
            count: 0,
        };
        let detach = Arc::clone(&attachment);
        thread::Builder::new()
            .name("record".to_owned())
            .spawn(move || {
                writer.run(inboxes);
                drop(lock(&detach).take());
                // `stop` may have returned already.
                drop(end);
            })
            .context("cannot start the thread that records")?;
        Ok(Recorder { attachment, ended })
    }

    /// Unsubscribes and writes the queued events, for at most `deadline`.
    pub fn stop(self, deadline: Duration) {
        drop(lock(&self.attachment).take());
        if self.ended.recv_timeout(deadline) == Err(mpsc::RecvTimeoutError::Timeout) {
            warn!("the last recorded events were not written within the grace period");
        }
    }
}

fn lock(attachment: &Mutex<Option<Attachment>>) -> MutexGuard<'_, Option<Attachment>> {
    attachment.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn interests(hooks: &[Hook], topics: &[String]) -> anyhow::Result<Interests> {
    let all = hooks.is_empty();
    let wanted = if all { &Hook::ALL[..] } else { hooks };
    // Filters of `other` are names of events, not topics.
    let can_match = |hook: Hook| has_topic(hook) && hook != Hook::Other;
    let interest = |hook: &Hook| match can_match(*hook) {
        true => Some(Interest {
            hook: *hook,
            filters: topics.to_vec(),
        }),
        false if all && !topics.is_empty() => None,
        false => Some(Interest {
            hook: *hook,
            filters: Vec::new(),
        }),
    };
    let list: Vec<Interest> = wanted.iter().filter_map(interest).collect();
    Interests::compile_unlimited(&list).map_err(|errors| match errors.into_iter().next() {
        Some(error) => anyhow::Error::from(error).context("events cannot be recorded"),
        None => anyhow::anyhow!("events cannot be recorded"),
    })
}

struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    /// Bytes that may still be written.
    room: u64,
    count: u64,
}

impl Writer {
    fn run(mut self, inboxes: Vec<Inbox>) {
        // One shard, so that events stay in their order.
        let Some(mut inbox) = inboxes.into_iter().next() else {
            return;
        };
        let (file, mut batch) = (self.path.display().to_string(), Vec::new());
        info!(file, "recording");
        while inbox.next_batch(&mut batch, BATCH) {
            let mut written = Ok(true);
            for queued in &batch {
                written = self.write(&queued.event);
                if !matches!(written, Ok(true)) {
                    break;
                }
            }
            // Readers see whole lines, and the last events survive when the host is killed.
            match written.and_then(|is_room| self.file.flush().map(|()| is_room)) {
                Ok(true) => {}
                Ok(false) => {
                    warn!(
                        file,
                        events = self.count,
                        "recording has ended: the file has reached its maximum size"
                    );
                    return;
                }
                Err(error) => {
                    error!(file, events = self.count, %error, "recording has ended: the file cannot be written");
                    return;
                }
            }
        }
        info!(file, events = self.count, "recorded");
    }

    /// Returns false if the event does not fit into the file.
    fn write(&mut self, event: &hookhost_event::Event) -> io::Result<bool> {
        let mut line = json::write(event);
        line.push('\n');
        let Some(room) = self.room.checked_sub(line.len() as u64) else {
            return Ok(false);
        };
        self.file.write_all(line.as_bytes())?;
        self.room = room;
        self.count += 1;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_testing::events as testing;

    fn settings(file: &Path) -> RecordSettings {
        RecordSettings {
            file: file.to_owned(),
            hooks: vec![],
            topics: vec![],
            size: 1 << 20,
        }
    }

    /// Emits publishes on topics. Returns how many of them the recorder accepted.
    fn emit(bus: &Bus, topics: &[&str]) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let wanted = topics.iter().filter(|topic| {
            let event = testing::publish("c", topic, b"x");
            let interested = bus.interested(event.detail.hook(), event.detail.subject());
            let is_wanted = !interested.is_empty();
            runtime.block_on(bus.emit(interested, event));
            is_wanted
        });
        wanted.count()
    }

    fn topics(file: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(file).unwrap();
        let events = json::lines(&text).map(Result::unwrap);
        events
            .filter_map(|event| event.detail.subject().map(str::to_owned))
            .collect()
    }

    #[test]
    fn events_are_appended_in_order_and_flushed_when_it_stops() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("events.ndjson");
        for round in [["a", "b"], ["c", "d"]] {
            let bus = Bus::new();
            let recorder = Recorder::start(settings(&file), &bus).unwrap();
            assert_eq!(emit(&bus, &round), 2);
            recorder.stop(Duration::from_secs(30));
            assert_eq!(emit(&bus, &["late"]), 0, "nobody is there any more");
        }
        assert_eq!(topics(&file), ["a", "b", "c", "d"]);
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn only_what_is_asked_for() {
        for (hooks, filters, expected) in [
            (vec![Hook::MessagePublish], vec![], 2),
            (vec![], vec!["a/#".to_owned()], 1),
            (vec![Hook::ClientConnected], vec!["a/#".to_owned()], 0),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("events.ndjson");
            let bus = Bus::new();
            let settings = RecordSettings {
                hooks,
                topics: filters,
                ..settings(&file)
            };
            let recorder = Recorder::start(settings, &bus).unwrap();
            assert_eq!(emit(&bus, &["a/b", "b/a"]), expected);
            recorder.stop(Duration::from_secs(30));
            assert_eq!(topics(&file).len(), expected);
        }
    }

    #[test]
    fn topics_leave_out_what_has_none_unless_it_is_named() {
        let filter = vec!["a".to_owned()];
        let wants = |hooks: &[Hook], hook| interests(hooks, &filter).unwrap().wants(hook, Some("a"));
        assert!(wants(&[], Hook::MessagePublish));
        assert!(!wants(&[], Hook::ClientConnected));
        assert!(!wants(&[], Hook::Other));
        assert!(wants(&[Hook::ClientConnected], Hook::ClientConnected));
    }

    #[test]
    fn a_full_file_ends_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("events.ndjson");
        let bus = Bus::new();
        let line = json::write(&testing::publish("c", "t", b"x")).len() + 1;
        let limited = RecordSettings {
            size: 2 * line + line / 2,
            ..settings(&file)
        };
        let recorder = Recorder::start(limited, &bus).unwrap();
        emit(&bus, &["t"; 5]);
        assert_eq!(recorder.ended.recv(), Err(mpsc::RecvError), "it ends by itself");
        assert_eq!(topics(&file), ["t", "t"]);
        assert_eq!(emit(&bus, &["t"]), 0, "and costs nothing any more");
        recorder.stop(Duration::ZERO);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = Recorder::start(settings(&dir.path().join("no/such")), &Bus::new())
            .err()
            .unwrap();
        assert!(error.to_string().starts_with("cannot write "), "{error}");
    }
}
