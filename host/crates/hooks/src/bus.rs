//! Connects engines with the queues of modules.
//!
//! A [`Bus`] has one table: for each hook, the modules that are interested. The table is immutable; attaching, changing
//! interests and detaching replace it in one step, and reading it takes no lock. An event is built only if
//! [`Bus::interested`] finds a module. It is shared by one `Arc` and goes into one queue of each module: the queue of
//! the shard that is computed from the client's id, so that the events of one client stay in order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use smallvec::SmallVec;

use super::interests::Interests;
use super::queue::{Inbox, QueueLimits, Queued, queue};
use super::target::{QueueState, Tally, Target, Unqueued};
use super::weight::weight;
use hookhost_event::{Event, Hook};

/// Connects the broker with the queues of modules. Clones are the same bus.
#[derive(Clone, Default)]
pub struct Bus(Arc<Shared>);

/// Numbers the changes of interests on one bus: a later change has a greater version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub(crate) u64);

/// The modules that get an event. Up to four need no allocation.
#[must_use = "an event that a module wants has to be emitted"]
#[derive(Default)]
pub struct Interested(SmallVec<[Chosen; 4]>);

/// Who gets events of several hooks with one subject: the answer of [`Bus::interested_in`].
///
/// Refers to the table of interests as it was then, so keep it for one event only. Takes a reference to a module only for
/// events that are emitted.
#[must_use = "an event that is wanted has to be emitted"]
#[derive(Default)]
pub struct InterestedIn {
    /// `None` without a bus: then no module wants anything.
    table: Option<Guard<Arc<Table>>>,
    /// The hooks that are wanted, and the place in their list of each module that wants them.
    wanting: SmallVec<[(Hook, usize); 8]>,
}

/// A module's queues on a bus. Dropping it detaches the module: it gets no more events, and queued ones stay readable.
pub struct Attachment {
    bus: Arc<Shared>,
    id: u64,
    target: Arc<Target>,
}

#[derive(Default)]
struct Shared {
    table: ArcSwap<Table>,
    /// What the table is built from; locked to change interests, never to emit.
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Table {
    by_hook: [Vec<Entry>; Hook::COUNT],
}

impl Table {
    #[expect(
        clippy::indexing_slicing,
        reason = "Hook::COUNT is one more than the number of the last hook"
    )]
    fn of(&self, hook: Hook) -> &[Entry] {
        &self.by_hook[hook as usize]
    }
}

#[derive(Clone)]
struct Entry {
    target: Arc<Target>,
    interests: Interests,
    version: Version,
}

impl Entry {
    fn chosen(&self) -> Chosen {
        Chosen {
            target: Arc::clone(&self.target),
            version: self.version,
        }
    }
}

struct Chosen {
    target: Arc<Target>,
    version: Version,
}

/// Runs before hooks get their first subscriber.
type Prepare = Arc<dyn Fn(&[Hook]) + Send + Sync>;

#[derive(Default)]
struct Registry {
    next_id: u64,
    version: Version,
    attached: Vec<Attached>,
    tallies: HashMap<Arc<str>, Arc<Tally>>,
    prepare: Option<Prepare>,
}

struct Attached {
    id: u64,
    target: Arc<Target>,
    interests: Option<(Interests, Version)>,
}

impl Bus {
    /// A bus without modules.
    pub fn new() -> Bus {
        Bus::default()
    }

    /// The modules that want an event of this hook with this subject; see
    /// [`Detail::subject`](hookhost_event::Detail::subject).
    ///
    /// Costs a table read if no module is interested in the hook, and does not allocate for up to four modules.
    pub fn interested(&self, hook: Hook, subject: Option<&str>) -> Interested {
        self.choose(hook, subject, |_| true)
    }

    /// The same without modules that would drop the event because their queue for this client is full; the event is
    /// counted as dropped for them. So an event for which no module has room is not built.
    pub fn interested_with_room(&self, hook: Hook, subject: Option<&str>, client_id: &str) -> Interested {
        self.choose(hook, subject, |target| target.has_room(client_id))
    }

    fn choose(&self, hook: Hook, subject: Option<&str>, takes: impl Fn(&Target) -> bool) -> Interested {
        let table = self.0.table.load();
        let wanting = table
            .of(hook)
            .iter()
            .filter(|entry| entry.interests.wants(hook, subject) && takes(&entry.target));
        Interested(wanting.map(Entry::chosen).collect())
    }

    /// Who wants events of any of these hooks with this subject: one table read in place of several calls of
    /// [`interested`](Self::interested). Does not allocate for up to eight pairs of hook and module.
    pub fn interested_in(&self, hooks: &[Hook], subject: Option<&str>) -> InterestedIn {
        let table = self.0.table.load();
        let mut wanting = SmallVec::new();
        for hook in hooks {
            for (place, entry) in table.of(*hook).iter().enumerate() {
                if entry.interests.wants(*hook, subject) {
                    wanting.push((*hook, place));
                }
            }
        }
        InterestedIn {
            table: Some(table),
            wanting,
        }
    }

    /// Whether a module wants an event of any of these hooks with this subject.
    pub fn wants(&self, hooks: &[Hook], subject: Option<&str>) -> bool {
        let table = self.0.table.load();
        hooks.iter().any(|hook| {
            table
                .of(*hook)
                .iter()
                .any(|entry| entry.interests.wants(*hook, subject))
        })
    }

    /// Registers a callback that runs before a hook gets its first subscriber: at once with the hooks that have
    /// subscribers already, later in the thread that changes interests, with all hooks of the new interests. A second
    /// call replaces the callback.
    pub fn on_demand(&self, prepare: impl Fn(&[Hook]) + Send + Sync + 'static) {
        let prepare: Prepare = Arc::new(prepare);
        let mut registry = self.0.registry();
        registry.prepare = Some(Arc::clone(&prepare));
        let table = self.0.table.load();
        let wanted: Vec<_> = Hook::ALL
            .into_iter()
            .filter(|hook| !table.of(*hook).is_empty())
            .collect();
        prepare(&wanted);
    }

    /// Puts an event into the queues of these modules.
    ///
    /// Waits only for modules whose policy is [`Overflow::Wait`](super::Overflow::Wait), after all other modules have the
    /// event. If the future is dropped, the modules that it still waits for do not get the event.
    pub async fn emit(&self, to: Interested, event: Event) {
        if let Some(waiting) = self.offer(to, event) {
            waiting.finish().await;
        }
    }

    /// The same without waiting. Returns what still has to wait for room, if anything.
    pub fn offer(&self, to: Interested, event: Event) -> Option<Waiting> {
        if to.is_empty() {
            return None;
        }
        let weight = weight(&event);
        let event = Arc::new(event);
        let mut waiting = SmallVec::new();
        for Chosen { target, version } in to.0 {
            let shard = target.shard_of(&event);
            if let Some(queued) = target.offer(
                shard,
                Queued {
                    event: Arc::clone(&event),
                    version,
                },
                weight,
            ) {
                waiting.push((target, shard, queued));
            }
        }
        (!waiting.is_empty()).then_some(Waiting { waiting, weight })
    }

    /// Creates a module's queues, one for each shard, without interests yet. Makes at least one shard.
    pub fn attach(&self, module: &str, shards: usize, limits: QueueLimits) -> (Attachment, Vec<Inbox>) {
        let (senders, inboxes): (Vec<_>, Vec<_>) = (0..shards.max(1)).map(|_| queue(limits)).unzip();
        let mut registry = self.0.registry();
        let module: Arc<str> = module.into();
        let tally = Arc::clone(registry.tallies.entry(Arc::clone(&module)).or_default());
        let target = Arc::new(Target::new(module, limits.overflow, senders, tally));
        let id = registry.next_id;
        registry.next_id += 1;
        registry.attached.push(Attached {
            id,
            target: Arc::clone(&target),
            interests: None,
        });
        (
            Attachment {
                bus: Arc::clone(&self.0),
                id,
                target,
            },
            inboxes,
        )
    }

    /// The state of the queues of all attached modules, in the order in which they were attached.
    pub fn queues(&self) -> Vec<QueueState> {
        self.0
            .registry()
            .attached
            .iter()
            .map(|attached| attached.target.state())
            .collect()
    }
}

/// An event for which some queues have no room yet.
#[must_use = "modules without room do not get the event unless `finish` is awaited"]
pub struct Waiting {
    waiting: SmallVec<[(Arc<Target>, usize, Queued); 4]>,
    weight: usize,
}

impl Waiting {
    /// Waits for room in each of them.
    pub async fn finish(self) {
        for (target, shard, queued) in self.waiting {
            target.wait(shard, queued, self.weight).await;
        }
    }
}

impl Interested {
    /// Whether no module is interested; then the event need not be built.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl InterestedIn {
    /// Whether any module wants events of this hook.
    pub fn wants(&self, hook: Hook) -> bool {
        self.wanting.iter().any(|(other, _)| *other == hook)
    }

    /// The modules that want events of this hook.
    pub fn of(&self, hook: Hook) -> Interested {
        let Some(table) = &self.table else {
            return Interested::default();
        };
        let places = self.wanting.iter().filter(|(other, _)| *other == hook);
        Interested(
            places
                .filter_map(|(_, place)| table.of(hook).get(*place))
                .map(Entry::chosen)
                .collect(),
        )
    }
}

impl Attachment {
    /// Sets the module's interests in one step, and wakes the readers of its queues.
    ///
    /// Returns the version that events chosen by these interests have.
    pub fn set_interests(&self, interests: Interests) -> Version {
        self.change(None, interests)
    }

    /// As [`set_interests`](Self::set_interests), and detaches `old` in the same step: each event goes to exactly one of
    /// the two. The queues of `old` end when it is dropped.
    pub fn replace(&self, old: &Attachment, interests: Interests) -> Version {
        self.change(Some(old.id), interests)
    }

    /// Puts one event at the end of the queue for its client. It counts as accepted and has the oldest [`Version`],
    /// because no interests chose it.
    ///
    /// # Errors
    ///
    /// [`Unqueued`] if there is no room; it never waits.
    pub fn offer(&self, event: Arc<Event>) -> Result<(), Unqueued> {
        self.target.offer_alone(event)
    }

    /// The state of the queues.
    pub fn state(&self) -> QueueState {
        self.target.state()
    }

    fn change(&self, old: Option<u64>, interests: Interests) -> Version {
        let mut registry = self.bus.registry();
        if let Some(prepare) = &registry.prepare {
            prepare(&interests.hooks().collect::<Vec<_>>());
        }
        registry.version.0 += 1;
        let version = registry.version;
        registry.attached.retain(|attached| Some(attached.id) != old);
        if let Some(attached) = registry.attached.iter_mut().find(|attached| attached.id == self.id) {
            attached.interests = Some((interests, version));
        }
        self.bus.table.store(Arc::new(registry.table()));
        drop(registry);
        self.target.wake();
        version
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut registry = self.bus.registry();
        let before = registry.attached.len();
        registry.attached.retain(|attached| attached.id != self.id);
        if registry.attached.len() != before {
            self.bus.table.store(Arc::new(registry.table()));
        }
    }
}

impl Shared {
    /// Ignores poisoning: each change is one assignment, so a panic cannot leave it half changed.
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn table(&self) -> Table {
        let mut table = Table::default();
        for Attached { target, interests, .. } in &self.attached {
            let Some((interests, version)) = interests else {
                continue;
            };
            let entry = Entry {
                target: Arc::clone(target),
                interests: interests.clone(),
                version: *version,
            };
            for hook in interests.hooks() {
                #[expect(
                    clippy::indexing_slicing,
                    reason = "Hook::COUNT is one more than the number of the last hook"
                )]
                table.by_hook[hook as usize].push(entry.clone());
            }
        }
        table
    }
}

#[cfg(test)]
#[path = "bus_tests.rs"]
mod tests;
