//! The side of the bus that a module has: its interests, and the state of its queues.

use std::sync::Arc;

use hookhost_event::Event;

use super::bus::Shared;
use super::interest_table::Version;
use super::interests::Interests;
use super::target::{ModuleQueues, OfferError, QueueState};

/// A module's queues on a bus. Dropping it detaches the module: it gets no more events, and queued ones stay readable.
pub struct Attachment {
    pub(super) bus: Arc<Shared>,
    pub(super) id: u64,
    pub(super) target: Arc<ModuleQueues>,
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
    /// [`OfferError`] if there is no room; it never waits.
    pub fn offer(&self, event: Arc<Event>) -> Result<(), OfferError> {
        self.target.offer_alone(event)
    }

    /// The state of the queues.
    pub fn state(&self) -> QueueState {
        self.target.state()
    }

    fn change(&self, old: Option<u64>, interests: Interests) -> Version {
        let mut attachments = self.bus.attachments();
        if let Some(prepare) = &attachments.prepare {
            prepare(&interests.hooks().collect::<Vec<_>>());
        }
        attachments.version.0 += 1;
        let version = attachments.version;
        attachments.attached.retain(|attached| Some(attached.id) != old);
        if let Some(attached) = attachments.attached.iter_mut().find(|attached| attached.id == self.id) {
            attached.interests = Some((interests, version));
        }
        self.bus.table.store(Arc::new(attachments.table()));
        drop(attachments);
        self.target.wake();
        version
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut attachments = self.bus.attachments();
        let before = attachments.attached.len();
        attachments.attached.retain(|attached| attached.id != self.id);
        if attachments.attached.len() != before {
            self.bus.table.store(Arc::new(attachments.table()));
        }
    }
}
