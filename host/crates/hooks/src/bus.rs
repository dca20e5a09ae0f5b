//! Connects engines with the queues of modules.
//!
//! A [`Bus`] has one table: for each hook, the modules that are interested. The table is immutable; attaching, changing
//! interests and detaching replace it in one step, and reading it takes no lock. An event is built only if
//! [`Bus::interested`] finds a module. It is shared by one `Arc` and goes into one queue of each module: the queue of
//! the shard that is computed from the client's id, so that the events of one client stay in order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use smallvec::SmallVec;

use super::attachment::Attachment;
use super::interest_table::{Attachments, InterestTable, Prepare};
use super::queue::{Inbox, QueueLimits, Queued, queue};
use super::recipients::{InterestedIn, PendingEvent, Recipient, Recipients};
use super::target::{ModuleQueues, QueueState};
use super::weight::weight;
use hookhost_event::{Event, Hook};

/// Connects the broker with the queues of modules. Clones are the same bus.
#[derive(Clone, Default)]
pub struct Bus(Arc<Shared>);

#[derive(Default)]
pub(super) struct Shared {
    pub(super) table: ArcSwap<InterestTable>,
    /// What the table is built from; locked to change interests, never to emit.
    attachments: Mutex<Attachments>,
    /// Events by hook that were offered to at least one module.
    emitted: [AtomicU64; Hook::COUNT],
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
        let mut is_wanted = false;
        let chosen = table.of(hook).iter().filter_map(|entry| {
            if !entry.interests.wants(hook, subject) {
                return None;
            }
            is_wanted = true;
            let is_durable = entry.is_durable(hook, subject);
            (is_durable || takes(&entry.target)).then(|| entry.recipient(is_durable))
        });
        let chosen: Recipients = chosen.collect();
        if is_wanted && chosen.is_empty() {
            // Every module has dropped the event, so nothing offers it.
            self.count_emitted(hook);
        }
        chosen
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
        InterestedIn::new(table, wanting)
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
        self.count_emitted(event.detail.hook());
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
        PendingEvent::new(waiting, weight)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "Hook::COUNT is one more than the number of the last hook"
    )]
    fn count_emitted(&self, hook: Hook) {
        self.0.emitted[hook as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Creates a module's queues, one for each shard, without interests yet. Makes at least one shard.
    pub fn attach(&self, module: &str, shards: usize, limits: QueueLimits) -> (Attachment, Vec<Inbox>) {
        let (senders, inboxes): (Vec<_>, Vec<_>) = (0..shards.max(1)).map(|_| queue(limits)).unzip();
        let (id, target) = self.0.attachments().add(module.into(), limits.overflow, senders);
        (
            Attachment {
                bus: Arc::clone(&self.0),
                id,
                target,
            },
            inboxes,
        )
    }

    /// Events by hook that at least one module wanted since the bus was made, also those for which no module had room.
    /// Events that no module wants are not built and not counted.
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

impl Shared {
    /// Ignores poisoning: each change is one assignment, so a panic cannot leave it half changed.
    pub(super) fn attachments(&self) -> MutexGuard<'_, Attachments> {
        self.attachments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
