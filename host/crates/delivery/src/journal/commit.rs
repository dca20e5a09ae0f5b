//! The thread that commits, and gives free space of the file back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookhost_contract::Ticket;
use tracing::{error, info};

use super::super::compaction::compact;
use super::{Journal, Sync, wait_timeout};

/// How long a change waits with [`Sync::Interval`], so that a commit contains the changes of this time.
const INTERVAL: Duration = Duration::from_millis(10);

/// How long a removal waits if no request waits to be written. A commit rewrites whole pages, so one commit for many
/// removals writes less. After a crash, the requests whose removal was waiting are sent again.
const REMOVAL_INTERVAL: Duration = Duration::from_millis(100);

/// The wait before a failed commit is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often the size of the file is checked.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(10);

impl Journal {
    /// Commits until the journal is closed and nothing is pending.
    pub(super) fn commit_all(&self) {
        let mut failures = 0_u32;
        let mut compaction = Instant::now();
        loop {
            let mut pending = self.lock();
            while pending.put.is_empty() && pending.removed.is_empty() {
                if pending.is_closed {
                    return;
                }
                if pending.is_restored && Instant::now() >= compaction {
                    compaction = Instant::now() + COMPACTION_INTERVAL;
                    drop(pending);
                    compact(&self.store, self.capacity.taken().1);
                    pending = self.lock();
                    continue;
                }
                pending = wait_timeout(&self.work, pending, COMPACTION_INTERVAL);
            }
            let start = Instant::now();
            while !pending.is_closed {
                let delay = match (failures, self.sync) {
                    (1.., _) => RETRY,
                    _ if pending.put.is_empty() => REMOVAL_INTERVAL,
                    // A client waits for a ticket, so its commit does not wait for more requests.
                    (_, Sync::Interval | Sync::Never) if pending.tickets.is_empty() => INTERVAL,
                    _ => Duration::ZERO,
                };
                let left = (start + delay).saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                pending = wait_timeout(&self.work, pending, left);
            }
            let is_last = pending.is_closed;
            let put = Arc::new(std::mem::take(&mut pending.put));
            let tickets = std::mem::take(&mut pending.tickets);
            let mut removed = std::mem::take(&mut pending.removed);
            pending.writing = Arc::clone(&put);
            pending.started += 1;
            drop(pending);
            // On a full disk, removing alone may succeed and makes room.
            if failures > 0 && !removed.is_empty() && self.store.write(&BTreeMap::new(), &removed).is_ok() {
                removed.clear();
            }
            match self.store.write(&put, &removed) {
                Ok(()) => {
                    if failures > 0 {
                        info!(failures, "the outbox can be written again");
                    }
                    failures = 0;
                    self.end(&put, tickets);
                }
                Err(error) => {
                    failures += 1;
                    // Powers of two: the log shows that it goes on, and does not fill.
                    if failures.is_power_of_two() {
                        let error = hookhost_settings::error_line(&error);
                        error!(
                            error,
                            failures, "the outbox cannot be written; requests are in memory only"
                        );
                    }
                    self.end_failed(&put, tickets, removed);
                    if is_last {
                        error!(requests = put.len(), "requests are lost: the outbox cannot be written");
                        return;
                    }
                }
            }
        }
    }

    fn end(&self, put: &BTreeMap<u64, Bytes>, tickets: BTreeMap<u64, Ticket>) {
        let bytes: usize = put.values().map(Bytes::len).sum();
        let mut pending = self.lock();
        pending.bytes -= bytes;
        pending.writing = Arc::default();
        pending.ended = pending.started;
        pending.is_failing = false;
        self.notify_committed(&pending);
        drop(pending);
        tickets.into_values().for_each(Ticket::complete);
    }

    /// Puts back what could not be written, without what was removed meanwhile.
    fn end_failed(&self, put: &BTreeMap<u64, Bytes>, tickets: BTreeMap<u64, Ticket>, removed: Vec<u64>) {
        let mut pending = self.lock();
        pending.writing = Arc::default();
        pending.is_failing = true;
        let put = put.iter().map(|(number, record)| (*number, record.clone()));
        pending.put.extend(put);
        pending.tickets.extend(tickets);
        for number in std::mem::take(&mut pending.removed).into_iter().chain(removed) {
            if !pending.cancel(number) {
                pending.removed.push(number);
            }
        }
        self.notify_committed(&pending);
    }
}

/// Says at the end of the thread, also by a panic, that no commit follows.
pub(super) struct Over<'a>(pub(super) &'a Journal);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let mut pending = self.0.lock();
        (pending.is_closed, pending.is_over) = (true, true);
        self.0.committed.notify_all();
    }
}
