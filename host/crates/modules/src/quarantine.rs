//! Events that a module could not handle, kept until an operator decides about them.
//!
//! An entry has the event, the module and generation that failed on it, how it failed, and the message of the module.
//! It stays until it is dropped or replayed, or until the quarantine is full. Each module has a maximum of entries and
//! bytes. Beyond it the module's oldest entries are dropped and counted. Entries of one module never displace those of
//! another. The entries are records of a [`Collection`], one group for each module, so they survive a restart if the host
//! has a data folder. A record is two lines of JSON: how the event failed, and the event.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tracing::error;

use hookhost_contract::Ticket;
use hookhost_dead_letters::{Collection, Stored, StoredRecord};
use hookhost_event::{Event, Id, Millis, json};
use hookhost_settings::error_line;

/// Maximum text of an entry, in bytes: enough for a panic with its place and the functions on the stack.
const LONGEST_TEXT: usize = 4096;

/// How a module failed on an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// It trapped: a panic, too much memory, an unreadable result.
    Trapped,
    /// It timed out.
    TimedOut,
    /// It reported that it could not handle the event.
    Failed,
}

impl Fault {
    /// As a word: `trapped`, `timed out`, `failed`.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Trapped => "trapped",
            Fault::TimedOut => "timed out",
            Fault::Failed => "failed",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An event in the quarantine.
#[derive(Clone, PartialEq)]
pub struct QuarantinedEvent {
    /// Its number; later entries have greater ones.
    pub id: u64,
    /// The module that failed on it.
    pub module: Arc<str>,
    /// The generation of the module that failed.
    pub generation: u32,
    /// How it failed.
    pub fault: Fault,
    /// Why, in the module's words: the text of a panic or of a `fail`.
    pub text: String,
    /// When it failed.
    pub at: Millis,
    /// The event.
    pub event: Arc<Event>,
}

/// Omits the event, because its payload must not be logged, and the text, which may repeat it.
impl fmt::Debug for QuarantinedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuarantinedEvent")
            .field("id", &self.id)
            .field("module", &self.module)
            .field("generation", &self.generation)
            .field("fault", &self.fault)
            .field("event", &self.event.id)
            .finish_non_exhaustive()
    }
}

/// The counts of the quarantine for one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuarantineUsage {
    /// Entries.
    pub events: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Entries dropped because the quarantine was full, since the host started.
    pub evicted: u64,
}

/// All events in quarantine, of all modules.
pub(super) struct Quarantine {
    events: Collection,
}

/// The first line of a record. The event follows.
#[derive(Serialize, Deserialize)]
struct Head {
    module: String,
    generation: u32,
    fault: Fault,
    text: String,
    /// [`Message::republishes`](hookhost_event::Message::republishes), which is not part of the JSON of an event.
    #[serde(default)]
    republishes: u8,
}

impl Quarantine {
    pub(super) fn new(events: Collection) -> Quarantine {
        Quarantine { events }
    }

    /// Keeps an event under a new number. Returns the number. The entry's own number is ignored.
    ///
    /// The ticket is complete when the event is on disk, or at once without a data folder.
    pub(super) fn put(&self, mut entry: QuarantinedEvent, ticket: Option<Ticket>) -> u64 {
        shorten(&mut entry.text);
        let stored = ticket.map(|ticket| -> Stored { Box::new(|| ticket.complete()) });
        self.events
            .put(&entry.module, entry.at.0, content(&entry).as_bytes(), stored)
    }

    /// Puts a taken entry back.
    pub(super) fn put_back(&self, entry: &QuarantinedEvent) {
        let kept = StoredRecord {
            number: entry.id,
            at: entry.at.0,
            content: content(entry).into(),
        };
        self.events.put_back(&entry.module, &kept);
    }

    /// Takes an entry out and returns it.
    pub(super) fn take(&self, id: u64) -> Option<QuarantinedEvent> {
        let entry = self.get(id)?;
        self.events.remove(id).then_some(entry)
    }

    /// Removes an entry. Returns whether it existed.
    pub(super) fn remove(&self, id: u64) -> bool {
        self.events.remove(id)
    }

    /// Returns an entry. One that cannot be read is logged.
    pub(super) fn get(&self, id: u64) -> Option<QuarantinedEvent> {
        let kept = self.events.get(id).map_err(|error| error_line(&error));
        match kept.and_then(|kept| kept.map(entry).transpose()) {
            Ok(entry) => entry,
            Err(error) => {
                error!(quarantine = id, error, "a quarantined event cannot be read");
                None
            }
        }
    }

    /// Entries of a module or of all, newest first, at most `limit`. If `before` is given, only those with lower
    /// numbers.
    pub(super) fn list(&self, module: Option<&str>, before: Option<u64>, limit: usize) -> Vec<QuarantinedEvent> {
        let numbers = self.events.numbers(module, before, limit);
        numbers.into_iter().filter_map(|number| self.get(number)).collect()
    }

    /// The numbers of all entries of a module or of all, oldest first.
    pub(super) fn ids(&self, module: Option<&str>) -> Vec<u64> {
        let mut numbers = self.events.numbers(module, None, usize::MAX);
        numbers.reverse();
        numbers
    }

    /// The counts of a module.
    pub(super) fn usage(&self, module: &str) -> QuarantineUsage {
        let usage = self.events.usage(module);
        QuarantineUsage {
            events: usage.records,
            bytes: usage.bytes,
            evicted: usage.evicted,
        }
    }
}

#[expect(clippy::expect_used, reason = "texts and numbers are valid JSON")]
fn content(entry: &QuarantinedEvent) -> String {
    let head = Head {
        module: entry.module.to_string(),
        generation: entry.generation,
        fault: entry.fault,
        text: entry.text.clone(),
        republishes: entry.event.detail.message().map_or(0, |message| message.republishes),
    };
    let head = serde_json::to_string(&head).expect("a head is valid JSON");
    format!("{head}\n{}", json::write(&entry.event))
}

/// The entry of a record.
fn entry(kept: StoredRecord) -> Result<QuarantinedEvent, String> {
    let content = std::str::from_utf8(&kept.content).map_err(|error| error.to_string())?;
    let (head, event) = content.split_once('\n').ok_or("it has one line")?;
    let head: Head = serde_json::from_str(head).map_err(|error| error.to_string())?;
    let event = json::read(event, Id(0));
    let mut event = event.map_err(|problem| format!("{}: {}", problem.key, problem.text))?;
    if let Some(message) = event.detail.message_mut() {
        message.republishes = head.republishes;
    }
    Ok(QuarantinedEvent {
        id: kept.number,
        module: head.module.into(),
        generation: head.generation,
        fault: head.fault,
        text: head.text,
        at: Millis(kept.at),
        event: Arc::new(event),
    })
}

/// Cuts a text to its maximum size, between two characters.
fn shorten(text: &mut String) {
    if text.len() > LONGEST_TEXT {
        text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        text.shrink_to_fit();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use super::*;
    use hookhost_dead_letters::{Kind, Limits, Store};
    use hookhost_testing::events as testing;

    fn open(dir: Option<&Path>, records: usize) -> (Store, Quarantine) {
        let limits = |_| Limits {
            records,
            bytes: 1 << 20,
            age: None,
        };
        let store = match dir {
            Some(dir) => Store::open(dir, limits).unwrap(),
            None => Store::in_memory(limits),
        };
        let quarantine = Quarantine::new(store.collection(Kind::Events));
        (store, quarantine)
    }

    /// The events of a quarantine in memory.
    pub(in super::super) fn in_memory() -> Collection {
        open(None, 1000).1.events
    }

    fn quarantine(records: usize) -> Quarantine {
        open(None, records).1
    }

    fn entry(module: &str, number: u32) -> QuarantinedEvent {
        QuarantinedEvent {
            id: 0,
            module: module.into(),
            generation: 1,
            fault: Fault::Trapped,
            text: "text".to_owned(),
            at: Millis(0),
            event: Arc::new(testing::numbered("c", number)),
        }
    }

    fn ids(list: &[QuarantinedEvent]) -> Vec<u64> {
        list.iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn entries_are_listed_shown_and_taken() {
        let quarantine = quarantine(100);
        for (number, module) in ["a", "b", "a", "a"].into_iter().enumerate() {
            assert_eq!(quarantine.put(entry(module, number as u32), None), number as u64 + 1);
        }
        assert_eq!(ids(&quarantine.list(None, None, 10)), [4, 3, 2, 1]);
        assert_eq!(ids(&quarantine.list(Some("a"), None, 10)), [4, 3, 1]);
        assert_eq!(ids(&quarantine.list(Some("a"), Some(3), 10)), [1]);
        assert_eq!(ids(&quarantine.list(None, Some(4), 2)), [3, 2]);
        assert!(quarantine.list(Some("c"), None, 10).is_empty());
        assert_eq!(
            (quarantine.ids(Some("a")), quarantine.ids(None)),
            (vec![1, 3, 4], vec![1, 2, 3, 4])
        );
        assert_eq!(testing::number(&quarantine.get(3).unwrap().event), 2);
        let taken = quarantine.take(3).unwrap();
        assert_eq!((quarantine.take(3), quarantine.get(3)), (None, None));
        quarantine.put_back(&taken);
        assert_eq!(quarantine.ids(Some("a")), [1, 3, 4]);
        assert_eq!(quarantine.put(entry("a", 9), None), 5, "numbers are used once");
        assert!((1..=5).all(|id| quarantine.take(id).is_some()));
        assert_eq!(quarantine.usage("a"), QuarantineUsage::default());
    }

    #[test]
    fn the_oldest_of_the_same_module_goes_first() {
        let quarantine = quarantine(2);
        for module in ["a", "b", "a", "a", "a"] {
            quarantine.put(entry(module, 0), None);
        }
        assert_eq!(ids(&quarantine.list(None, None, 10)), [5, 4, 2]);
        assert_eq!((quarantine.usage("a").evicted, quarantine.usage("b").evicted), (2, 0));
    }

    /// Everything of an entry is kept, also what the JSON of an event does not have.
    #[test]
    fn entries_survive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        for (number, fault) in [Fault::Trapped, Fault::TimedOut, Fault::Failed].into_iter().enumerate() {
            let mut event = testing::publish("c", "t/1", b"\0\xff binary");
            event.detail.message_mut().unwrap().republishes = 3;
            let id = number as u64 + 1;
            let entry = QuarantinedEvent {
                id,
                module: "webhook".into(),
                generation: 7,
                fault,
                text: "why\nso".to_owned(),
                at: Millis(1_790_000_000_123),
                event: Arc::new(event),
            };
            let (store, quarantine) = open(Some(dir.path()), 100);
            assert_eq!(quarantine.put(entry.clone(), None), id);
            drop((store, quarantine));
            let (_store, quarantine) = open(Some(dir.path()), 100);
            let got = quarantine.get(id).unwrap();
            assert!(got == entry, "{got:?}");
            assert_eq!(got.event.detail.message().unwrap().republishes, 3);
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let quarantine = quarantine(10);
        let text = "é".repeat(LONGEST_TEXT);
        let id = quarantine.put(QuarantinedEvent { text, ..entry("a", 0) }, None);
        assert_eq!(quarantine.get(id).unwrap().text, "é".repeat(LONGEST_TEXT / 2));
    }

    #[test]
    fn a_payload_is_in_no_debug_output() {
        let event = Arc::new(testing::publish("c", "t", b"secret"));
        let text = format!("{:?}", QuarantinedEvent { event, ..entry("a", 0) });
        assert!(!text.contains("secret") && !text.contains("text"), "{text}");
    }
}
