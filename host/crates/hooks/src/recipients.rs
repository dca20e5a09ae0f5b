//! Who gets an event, and what still waits for room.

use std::sync::Arc;

use arc_swap::Guard;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::interest_table::{InterestTable, Version};
use super::queue::Queued;
use super::target::ModuleQueues;
use hookhost_contract::{Completion, Ticket, ticket};
use hookhost_event::Hook;

/// The modules that get an event. Up to four need no allocation.
#[must_use = "an event that a module wants has to be emitted"]
#[derive(Default)]
pub struct Recipients {
    pub(super) list: SmallVec<[Recipient; 4]>,
    pub(super) ticket: Option<Ticket>,
}

/// Who gets events of several hooks with one subject: the answer of
/// [`Bus::interested_in`](super::Bus::interested_in).
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

/// A module that gets an event.
pub(super) struct Recipient {
    pub(super) target: Arc<ModuleQueues>,
    pub(super) version: Version,
    /// Whether the module's interest in the event is durable.
    pub(super) is_durable: bool,
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

impl FromIterator<Recipient> for Recipients {
    fn from_iter<I: IntoIterator<Item = Recipient>>(recipients: I) -> Recipients {
        Recipients {
            list: recipients.into_iter().collect(),
            ticket: None,
        }
    }
}

impl InterestedIn {
    /// What `table` says. `wanting` as in the field.
    pub(super) fn new(table: Guard<Arc<InterestTable>>, wanting: SmallVec<[(Hook, usize, bool); 8]>) -> InterestedIn {
        InterestedIn {
            table: Some(table),
            wanting,
        }
    }

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
        let wanting =
            places.filter_map(|(_, place, is_durable)| Some(table.of(hook).get(*place)?.recipient(*is_durable)));
        wanting.collect()
    }
}

/// An event for which some queues have no room yet. A queue in which it does not get room counts it as dropped, also if this
/// is dropped or no longer awaited.
#[must_use = "modules without room do not get the event unless `finish` is awaited"]
pub struct PendingEvent {
    waiting: SmallVec<[(Arc<ModuleQueues>, usize, Queued); 4]>,
    weight: usize,
}

impl PendingEvent {
    /// `None` if no queue is without room. `waiting`: the queues of a module, the number of one of them, and what it gets.
    pub(super) fn new(
        waiting: SmallVec<[(Arc<ModuleQueues>, usize, Queued); 4]>,
        weight: usize,
    ) -> Option<PendingEvent> {
        (!waiting.is_empty()).then_some(PendingEvent { waiting, weight })
    }

    /// Waits for room in each of them. The limits of [`Overflow::Wait`](super::Overflow::Wait) count from now.
    pub async fn finish(mut self) {
        let start = Instant::now();
        while !self.waiting.is_empty() {
            let (target, shard, queued) = self.waiting.remove(0);
            target.wait(shard, queued, self.weight, start).await;
        }
    }
}

impl Drop for PendingEvent {
    fn drop(&mut self) {
        self.waiting.iter().for_each(|(target, ..)| target.give_up());
    }
}
