//! Events that a module could not handle, kept until an operator decides about them.
//!
//! An entry has the event, the module and generation that failed on it, how it failed, and the message of the module.
//! It stays until it is dropped or replayed, or until the quarantine is full. Each module has a maximum of entries and
//! bytes ([`Bounds`]). Beyond it the module's oldest entries are dropped and counted. Entries of one module never
//! displace those of another. In memory only: a restart empties the quarantine.
//!
//! Uses no clocks and no threads. A lock lets all threads use it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use super::generation::lock;
use hookhost_event::{Event, Millis};
use hookhost_hooks::weight;

/// Maximum text of an entry, in bytes: enough for a panic with its place and the functions on the stack.
const LONGEST_TEXT: usize = 4096;

/// The limits of the quarantine for each module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Maximum number of events.
    pub events: usize,
    /// Maximum bytes of their events and texts.
    pub bytes: usize,
}

/// Default: 1,000 events, more than a person inspects one by one, and 16 MiB of memory.
impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            events: 1_000,
            bytes: 16 << 20,
        }
    }
}

/// How a module failed on an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug)]
pub(super) struct Quarantine {
    bounds: Bounds,
    store: Mutex<Store>,
}

#[derive(Debug, Default)]
struct Store {
    last: u64,
    entries: BTreeMap<u64, Arc<QuarantinedEvent>>,
    shares: BTreeMap<Arc<str>, Share>,
}

#[derive(Debug, Default)]
struct Share {
    ids: BTreeSet<u64>,
    bytes: usize,
    evicted: u64,
}

impl Quarantine {
    pub(super) fn new(bounds: Bounds) -> Quarantine {
        Quarantine {
            bounds,
            store: Mutex::default(),
        }
    }

    /// Keeps an event under a new number. Returns the number. The entry's own number is ignored.
    pub(super) fn put(&self, entry: QuarantinedEvent) -> u64 {
        let mut store = lock(&self.store);
        store.last += 1;
        let id = store.last;
        store.insert(QuarantinedEvent { id, ..entry }, self.bounds);
        id
    }

    /// Puts a taken entry back.
    pub(super) fn put_back(&self, entry: QuarantinedEvent) {
        lock(&self.store).insert(entry, self.bounds);
    }

    /// Takes an entry out and returns it.
    pub(super) fn take(&self, id: u64) -> Option<QuarantinedEvent> {
        lock(&self.store).remove(id).map(Arc::unwrap_or_clone)
    }

    /// Returns an entry.
    pub(super) fn get(&self, id: u64) -> Option<Arc<QuarantinedEvent>> {
        lock(&self.store).entries.get(&id).cloned()
    }

    /// Entries of a module or of all, newest first, at most `limit`. If `before` is given, only those with lower
    /// numbers.
    pub(super) fn list(&self, module: Option<&str>, before: Option<u64>, limit: usize) -> Vec<Arc<QuarantinedEvent>> {
        let store = lock(&self.store);
        let below = ..before.unwrap_or(u64::MAX);
        match module {
            None => store
                .entries
                .range(below)
                .rev()
                .take(limit)
                .map(|(_, entry)| Arc::clone(entry))
                .collect(),
            Some(module) => {
                let ids = store.shares.get(module).map(|share| share.ids.range(below));
                let ids = ids.into_iter().flatten().rev().take(limit);
                ids.filter_map(|id| store.entries.get(id).cloned()).collect()
            }
        }
    }

    /// The numbers of all entries of a module, oldest first.
    pub(super) fn ids(&self, module: &str) -> Vec<u64> {
        let store = lock(&self.store);
        let ids = store.shares.get(module).map(|share| share.ids.iter().copied());
        ids.into_iter().flatten().collect()
    }

    /// The counts of a module.
    pub(super) fn usage(&self, module: &str) -> QuarantineUsage {
        let store = lock(&self.store);
        store
            .shares
            .get(module)
            .map_or_else(QuarantineUsage::default, |share| QuarantineUsage {
                events: share.ids.len(),
                bytes: share.bytes,
                evicted: share.evicted,
            })
    }
}

impl Store {
    fn insert(&mut self, mut entry: QuarantinedEvent, bounds: Bounds) {
        shorten(&mut entry.text);
        let bytes = entry.bytes();
        let share = self.shares.entry(Arc::clone(&entry.module)).or_default();
        share.ids.insert(entry.id);
        share.bytes += bytes;
        self.entries.insert(entry.id, Arc::new(entry));
        while share.ids.len() > bounds.events || share.bytes > bounds.bytes {
            let Some(oldest) = share.ids.pop_first() else { break };
            share.evicted += 1;
            let gone = self.entries.remove(&oldest);
            share.bytes -= gone.map_or(0, |gone| gone.bytes());
        }
    }

    fn remove(&mut self, id: u64) -> Option<Arc<QuarantinedEvent>> {
        let entry = self.entries.remove(&id)?;
        if let Some(share) = self.shares.get_mut(&entry.module) {
            share.ids.remove(&id);
            share.bytes -= entry.bytes();
        }
        Some(entry)
    }
}

impl QuarantinedEvent {
    fn bytes(&self) -> usize {
        size_of::<QuarantinedEvent>() + self.text.len() + weight(&self.event)
    }
}

/// Cuts a text to its maximum size, between two characters.
fn shorten(text: &mut String) {
    if text.len() > LONGEST_TEXT {
        text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_testing::events as testing;
    use proptest::prelude::*;

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

    fn quarantine(events: usize, bytes: usize) -> Quarantine {
        Quarantine::new(Bounds { events, bytes })
    }

    fn ids(list: &[Arc<QuarantinedEvent>]) -> Vec<u64> {
        list.iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn entries_are_listed_shown_and_taken() {
        let quarantine = quarantine(100, 1 << 20);
        for (number, module) in ["a", "b", "a", "a"].into_iter().enumerate() {
            assert_eq!(quarantine.put(entry(module, number as u32)), number as u64 + 1);
        }
        assert_eq!(ids(&quarantine.list(None, None, 10)), [4, 3, 2, 1]);
        assert_eq!(ids(&quarantine.list(Some("a"), None, 10)), [4, 3, 1]);
        assert_eq!(ids(&quarantine.list(Some("a"), Some(3), 10)), [1]);
        assert_eq!(ids(&quarantine.list(None, Some(4), 2)), [3, 2]);
        assert!(quarantine.list(Some("c"), None, 10).is_empty());
        assert_eq!(quarantine.ids("a"), [1, 3, 4]);
        assert_eq!(testing::number(&quarantine.get(3).unwrap().event), 2);
        let taken = quarantine.take(3).unwrap();
        assert_eq!((quarantine.take(3), quarantine.get(3)), (None, None));
        quarantine.put_back(taken);
        assert_eq!(quarantine.ids("a"), [1, 3, 4]);
        assert_eq!(quarantine.put(entry("a", 9)), 5, "numbers are used once");
        assert!((1..=5).all(|id| quarantine.take(id).is_some()));
        let held = QuarantineUsage::default();
        assert_eq!(
            (quarantine.usage("a"), quarantine.usage("b"), quarantine.usage("c")),
            (held, held, held)
        );
    }

    #[test]
    fn the_oldest_of_the_same_module_goes_first() {
        let quarantine = quarantine(2, 1 << 20);
        for module in ["a", "b", "a", "a", "a"] {
            quarantine.put(entry(module, 0));
        }
        assert_eq!(ids(&quarantine.list(None, None, 10)), [5, 4, 2]);
        assert_eq!((quarantine.usage("a").evicted, quarantine.usage("b").evicted), (2, 0));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let one = entry("a", 0).bytes();
        let quarantine = quarantine(100, 2 * one);
        for number in 0..3 {
            quarantine.put(entry("a", number));
        }
        let held = quarantine.usage("a");
        assert_eq!((held.events, held.bytes, held.evicted), (2, 2 * one, 1));
        // An entry larger than the limit is not kept, but counted.
        let large = QuarantinedEvent {
            event: Arc::new(testing::publish("c", "t", &vec![0; 4 * one])),
            ..entry("a", 3)
        };
        quarantine.put(large);
        assert_eq!(
            quarantine.usage("a"),
            QuarantineUsage {
                events: 0,
                bytes: 0,
                evicted: 4
            }
        );
    }

    #[test]
    fn long_texts_are_cut() {
        let quarantine = quarantine(10, 1 << 20);
        let text = "é".repeat(LONGEST_TEXT);
        let id = quarantine.put(QuarantinedEvent { text, ..entry("a", 0) });
        assert_eq!(quarantine.get(id).unwrap().text, "é".repeat(LONGEST_TEXT / 2));
    }

    #[test]
    fn a_payload_is_in_no_debug_output() {
        let event = Arc::new(testing::publish("c", "t", b"secret"));
        let text = format!("{:?}", QuarantinedEvent { event, ..entry("a", 0) });
        assert!(!text.contains("secret") && !text.contains("text"), "{text}");
    }

    proptest! {
        /// After any sequence of puts and takes, limits and counters are correct.
        #[test]
        fn the_books_are_right(steps in proptest::collection::vec((0u64..30, 0usize..3), 0..100)) {
            let one = entry("a", 0).bytes();
            let quarantine = quarantine(5, 4 * one);
            let mut put = [0; 2];
            let mut taken = [0; 2];
            for (id, step) in steps {
                match step {
                    2 => if let Some(entry) = quarantine.take(id) {
                        taken[usize::from(&*entry.module == "b")] += 1;
                    },
                    module => {
                        quarantine.put(entry(["a", "b"][module], 0));
                        put[module] += 1;
                    }
                }
            }
            for (module, (put, taken)) in ["a", "b"].into_iter().zip(put.into_iter().zip(taken)) {
                let held = quarantine.usage(module);
                prop_assert!(held.events <= 4 && held.bytes == held.events * one);
                prop_assert_eq!(held.events as u64 + held.evicted + taken, put);
                prop_assert_eq!(quarantine.list(Some(module), None, 100).len(), held.events);
            }
        }
    }
}
