//! A view of the counters of delivery.

use std::sync::Arc;

use hookhost_activity::ActivityLog;

use super::capacity::Capacity;
use super::counters::{Counters, Counts};
use super::destination_counts::DestinationState;
use super::on_disk::OnDisk;
use super::shared::SharedIntake;

/// Reads the counters of delivery. Clones read the same.
#[derive(Clone)]
pub struct Monitor {
    pub(super) window: Arc<Capacity>,
    pub(super) on_disk: Option<Arc<OnDisk>>,
    pub(super) shared: Option<Arc<SharedIntake>>,
    pub(super) counts: Arc<Counts>,
}

impl Monitor {
    /// Returns the counters of all destinations together.
    pub fn counters(&self) -> Counters {
        let capacity = self
            .on_disk
            .as_ref()
            .map_or(&*self.window, |on_disk| &*on_disk.capacity);
        self.counts.read(capacity)
    }

    /// Returns how many requests wait in the data folder until NATS can be used, and their bytes; 0 if the outbox is not
    /// shared. They are not part of [`Monitor::counters`]. Without a data folder modules wait, and no request.
    pub fn waiting_for_nats(&self) -> (usize, usize) {
        self.shared.as_ref().map_or((0, 0), |shared| shared.waiting())
    }

    /// Returns how many requests of a module became dead letters.
    pub fn dead_of(&self, module: &str) -> u64 {
        self.counts.dead_of(module)
    }

    /// Returns the state of each destination that has got a request, by name and URL.
    pub fn destinations(&self) -> Vec<DestinationState> {
        self.counts.destinations()
    }

    /// Returns the log of attempts, in which other parts of the host record what they do with events.
    pub fn activity(&self) -> ActivityLog {
        self.counts.activity.clone()
    }

    /// Returns whether the outbox takes new requests: the requests of the previous process are restored, and no sender
    /// thread has ended. It also does so while it is full.
    pub fn is_accepting(&self) -> bool {
        let is_restored = self.on_disk.as_ref().is_none_or(|on_disk| on_disk.is_restored());
        is_restored && !self.window.is_closed()
    }
}
