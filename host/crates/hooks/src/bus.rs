//! Connects engines with the queues of modules.
//!
//! A [`Bus`] has one table: for each hook, the modules that are interested. The table is immutable; attaching, changing
//! interests and detaching replace it in one step, and reading it takes no lock. An event is built only if
//! [`Bus::interested`] finds a module. It is shared by one `Arc` and goes into one queue of each module: the queue of
//! the shard that is computed from the client's id, so that the events of one client stay in order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::attachment::Attachment;
use super::interests::Interests;
use super::queue::{Inbox, QueueLimits, Queued, queue};
use super::target::{ModuleCounters, ModuleQueues, QueueState};
use super::weight::weight;
use hookhost_contract::{Completion, Ticket, ticket};
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
pub struct Recipients {
    list: SmallVec<[Recipient; 4]>,
    ticket: Option<Ticket>,
}

/// Who gets events of several hooks with one subject: the answer of [`Bus::interested_in`].
///
/// Refers to the table of interests as it was then, so keep it for one event only. Takes a reference to a module only for
/// events that are emitted.
#[must_use = "an event that is wanted has to be emitted"]
#[derive(Default)]
pub struct InterestedIn {
    /// `None` without a bus: then no module wants anything.
    table: Option<Guard<Arc<InterestTable>>>,
    /// The hooks that are wanted, the place in their list of each module that wants them, and whether that is durable.
    wanting: SmallVec<[(Hook, usize, bool); 8]>,
}

#[derive(Default)]
pub(super) struct Shared {
    pub(super) table: ArcSwap<InterestTable>,
    /// What the table is built from; locked to change interests, never to emit.
    attachments: Mutex<Attachments>,
    /// Events by hook that were offered to at least one module.
    emitted: [AtomicU64; Hook::COUNT],
}

#[derive(Default)]
pub(super) struct InterestTable {
    by_hook: [Vec<InterestEntry>; Hook::COUNT],
}

impl InterestTable {
    #[expect(
        clippy::indexing_slicing,
        reason = "Hook::COUNT is one more than the number of the last hook"
    )]
    fn of(&self, hook: Hook) -> &[InterestEntry] {
        &self.by_hook[hook as usize]
    }
}

#[derive(Clone)]
struct InterestEntry {
    target: Arc<ModuleQueues>,
    interests: Interests,
    version: Version,
}

impl InterestEntry {
    fn recipient(&self, is_durable: bool) -> Recipient {
        Recipient {
            target: Arc::clone(&self.target),
            version: self.version,
            is_durable,
        }
    }

    fn is_durable(&self, hook: Hook, subject: Option<&str>) -> bool {
        hook == Hook::MessagePublish && subject.is_some_and(|topic| self.interests.is_durable(topic))
    }
}

struct Recipient {
    target: Arc<ModuleQueues>,
    version: Version,
    /// Whether the module's interest in the event is durable.
    is_durable: bool,
}

/// Runs before hooks get their first subscriber.
pub(super) type Prepare = Arc<dyn Fn(&[Hook]) + Send + Sync>;

#[derive(Default)]
pub(super) struct Attachments {
    next_id: u64,
    pub(super) version: Version,
    pub(super) attached: Vec<Attached>,
    counters: HashMap<Arc<str>, Arc<ModuleCounters>>,
    pub(super) prepare: Option<Prepare>,
}

pub(super) struct Attached {
    pub(super) id: u64,
    target: Arc<ModuleQueues>,
    pub(super) interests: Option<(Interests, Version)>,
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
    pub fn interested(&self, hook: Hook, subject: Option<&str>) -> Recipients {
        self.choose(hook, subject, |_| true)
    }

    /// The same without modules that would drop the event because their queue for this client is full; the event is
    /// counted as dropped for them. So an event for which no module has room is not built. Modules with a durable interest
    /// in the event always have room.
    pub fn interested_with_room(&self, hook: Hook, subject: Option<&str>, client_id: &str) -> Recipients {
        self.choose(hook, subject, |target| target.has_room(client_id))
    }

    fn choose(&self, hook: Hook, subject: Option<&str>, takes: impl Fn(&ModuleQueues) -> bool) -> Recipients {
        let table = self.0.table.load();
        let wanting = table.of(hook).iter().filter_map(|entry| {
            if !entry.interests.wants(hook, subject) {
                return None;
            }
            let is_durable = entry.is_durable(hook, subject);
            (is_durable || takes(&entry.target)).then(|| entry.recipient(is_durable))
        });
        Recipients {
            list: wanting.collect(),
            ticket: None,
        }
    }

    /// Who wants events of any of these hooks with this subject: one table read in place of several calls of
    /// [`interested`](Self::interested). Does not allocate for up to eight pairs of hook and module.
    pub fn interested_in(&self, hooks: &[Hook], subject: Option<&str>) -> InterestedIn {
        let table = self.0.table.load();
        let mut wanting = SmallVec::new();
        for hook in hooks {
            for (place, entry) in table.of(*hook).iter().enumerate() {
                if entry.interests.wants(*hook, subject) {
                    wanting.push((*hook, place, entry.is_durable(*hook, subject)));
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
        let mut attachments = self.0.attachments();
        attachments.prepare = Some(Arc::clone(&prepare));
        let table = self.0.table.load();
        let wanted: Vec<_> = Hook::ALL
            .into_iter()
            .filter(|hook| !table.of(*hook).is_empty())
            .collect();
        prepare(&wanted);
    }

    /// Puts an event into the queues of these modules.
    ///
    /// Waits only for modules whose policy is [`Overflow::Wait`](super::Overflow::Wait) or that get a ticket with the
    /// event, after all other modules have the event. If the future is dropped, the modules that it still waits for do not
    /// get the event.
    pub async fn emit(&self, to: Recipients, event: Event) {
        if let Some(waiting) = self.offer(to, event) {
            waiting.finish().await;
        }
    }

    /// The same without waiting. Returns what still has to wait for room, if anything.
    pub fn offer(&self, to: Recipients, event: Event) -> Option<PendingEvent> {
        if to.is_empty() {
            if let Some(ticket) = to.ticket {
                ticket.complete();
            }
            return None;
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "Hook::COUNT is one more than the number of the last hook"
        )]
        self.0.emitted[event.detail.hook() as usize].fetch_add(1, Ordering::Relaxed);
        let weight = weight(&event);
        let event = Arc::new(event);
        let mut waiting = SmallVec::new();
        for Recipient {
            target,
            version,
            is_durable,
        } in to.list
        {
            let shard = target.shard_of(&event);
            let queued = Queued {
                event: Arc::clone(&event),
                version,
                ticket: if is_durable { to.ticket.clone() } else { None },
            };
            if let Some(queued) = target.offer(shard, queued, weight) {
                waiting.push((target, shard, queued));
            }
        }
        // Each queue has its own part now.
        if let Some(ticket) = to.ticket {
            ticket.complete();
        }
        (!waiting.is_empty()).then_some(PendingEvent { waiting, weight })
    }

    /// Creates a module's queues, one for each shard, without interests yet. Makes at least one shard.
    pub fn attach(&self, module: &str, shards: usize, limits: QueueLimits) -> (Attachment, Vec<Inbox>) {
        let (senders, inboxes): (Vec<_>, Vec<_>) = (0..shards.max(1)).map(|_| queue(limits)).unzip();
        let mut attachments = self.0.attachments();
        let module: Arc<str> = module.into();
        let counters = Arc::clone(attachments.counters.entry(Arc::clone(&module)).or_default());
        let target = Arc::new(ModuleQueues::new(module, limits.overflow, senders, counters));
        let id = attachments.next_id;
        attachments.next_id += 1;
        attachments.attached.push(Attached {
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

    /// Events by hook that were offered to the queue of at least one module since the bus was made. Events that no module
    /// wants, or for which no module has room, are not built and not counted.
    pub fn emitted(&self) -> impl Iterator<Item = (Hook, u64)> + '_ {
        let counts = self.0.emitted.iter().map(|count| count.load(Ordering::Relaxed));
        Hook::ALL.into_iter().zip(counts)
    }

    /// The state of the queues of all attached modules, in the order in which they were attached.
    pub fn queues(&self) -> Vec<QueueState> {
        self.0
            .attachments()
            .attached
            .iter()
            .map(|attached| attached.target.state())
            .collect()
    }
}

/// An event for which some queues have no room yet.
#[must_use = "modules without room do not get the event unless `finish` is awaited"]
pub struct PendingEvent {
    waiting: SmallVec<[(Arc<ModuleQueues>, usize, Queued); 4]>,
    weight: usize,
}

impl PendingEvent {
    /// Waits for room in each of them. The limits of [`Overflow::Wait`](super::Overflow::Wait) count from now.
    pub async fn finish(self) {
        let start = Instant::now();
        for (target, shard, queued) in self.waiting {
            target.wait(shard, queued, self.weight, start).await;
        }
    }
}

impl Recipients {
    /// Whether no module is interested; then the event need not be built.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Gives a ticket to the modules whose interest is durable. Returns what becomes ready when all of them have kept
    /// what they made of the event; `None` if no interest is durable.
    pub fn hold(&mut self) -> Option<Completion> {
        if !self.list.iter().any(|recipient| recipient.is_durable) {
            return None;
        }
        let (ticket, completion) = ticket();
        self.ticket = Some(ticket);
        Some(completion)
    }

    /// Only the modules whose interest is durable.
    pub fn durable(mut self) -> Recipients {
        self.list.retain(|recipient| recipient.is_durable);
        self
    }

    /// Removes the ticket, for an event that is emitted later.
    pub fn take_ticket(&mut self) -> Option<Ticket> {
        self.ticket.take()
    }

    /// The same modules with this ticket.
    pub fn with_ticket(self, ticket: Option<Ticket>) -> Recipients {
        Recipients { ticket, ..self }
    }
}

impl InterestedIn {
    /// Whether any module wants events of this hook.
    pub fn wants(&self, hook: Hook) -> bool {
        self.wanting.iter().any(|(other, _, _)| *other == hook)
    }

    /// The modules that want events of this hook.
    pub fn of(&self, hook: Hook) -> Recipients {
        let Some(table) = &self.table else {
            return Recipients::default();
        };
        let places = self.wanting.iter().filter(|(other, _, _)| *other == hook);
        let list = places.filter_map(|(_, place, is_durable)| Some(table.of(hook).get(*place)?.recipient(*is_durable)));
        Recipients {
            list: list.collect(),
            ticket: None,
        }
    }
}

impl Shared {
    /// Ignores poisoning: each change is one assignment, so a panic cannot leave it half changed.
    pub(super) fn attachments(&self) -> MutexGuard<'_, Attachments> {
        self.attachments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attachments {
    /// The table of the current interests.
    pub(super) fn table(&self) -> InterestTable {
        let mut table = InterestTable::default();
        for Attached { target, interests, .. } in &self.attached {
            let Some((interests, version)) = interests else {
                continue;
            };
            let entry = InterestEntry {
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
