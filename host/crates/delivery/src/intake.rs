//! How requests get into the queue of a sender thread, and how the oldest are dropped from it.

use std::rc::Rc;

use tokio::time::Instant;

use super::attempt::Attempts;
use super::destination_counts::DestinationKey;
use super::job::{Item, Job, Stored, Tried};
use super::outbox::{Batch, Message};
use super::request::{OutboxRequest, shown};
use super::sender::SenderState;
use super::target::Route;

/// The part of the waiting requests that is dropped at a time.
const DROPPED_PART: usize = 64;

impl SenderState {
    /// Does what a message asks for.
    pub(super) fn receive(self: &Rc<Self>, message: Message) {
        match message {
            Message::Batch(batch) => {
                let Batch {
                    requests,
                    records,
                    mut attempts,
                } = batch;
                let records = records.into_iter().map(Some).chain(std::iter::repeat(None));
                for (request, record) in requests.into_iter().zip(records) {
                    let attempts = record.and_then(|record| attempts.remove(&record));
                    self.take_in(request, record, attempts);
                }
            }
            Message::FindOldest(answer) => {
                if let Some(number) = self.oldest_part() {
                    // A caller that has gone needs no answer.
                    answer.send(number).ok();
                }
            }
            Message::DropUpTo(number) => self.drop_up_to(number),
            Message::DropMoved => self.drop_moved(),
        }
    }

    /// Puts a request into the queue. Its content stays on the disk if it is there and much is in memory already.
    /// `attempts` are those of other hosts.
    fn take_in(self: &Rc<Self>, request: OutboxRequest, record: Option<u64>, attempts: Option<Box<Attempts>>) {
        let receivers = request.receivers.as_ref().unwrap_or(&self.receivers);
        let target = self
            .targets
            .borrow_mut()
            .target(&self.http, receivers, &request.url, &request.via);
        let target = match target {
            Ok(target) => target,
            Err(error) => {
                let unknown = self.counts.destination(DestinationKey::unknown());
                unknown.accepted(request.event.at, request.size());
                return self.refuse(&unknown, &shown(&request.url), request, record, &error);
            }
        };
        let size = request.size();
        let destination = Rc::clone(&target.destination);
        // A destination that is down takes at most as much of the memory as is left to the others.
        if record.is_none()
            && self.window.is_half_taken()
            && self.window.exceeds_free(destination.counts.waiting())
            && destination.gate.is_down(Instant::now().into_std())
        {
            destination.counts.full();
            self.counts.all.overflowed();
            self.report.overflowed(&destination.label);
            return self.release(size, None);
        }
        destination.counts.accepted(request.event.at, size);
        destination
            .flow
            .set_max(target.terms().concurrency_limit / self.threads);
        let batching = request.batching.filter(|_| target.is_http());
        let group = batching.map(|batching| {
            batching.format.check(&request.body)?;
            self.targets.borrow_mut().group(&target, &request, batching)
        });
        let group = match group.transpose() {
            Ok(group) => group,
            Err(error) => {
                return self.refuse(&destination.counts, &destination.label, request, record, &error);
            }
        };
        let gathering = group.as_ref().map(|group| group.gathering());
        let id = group.as_ref().map_or(destination.id, |group| group.id());
        let (key, item) = match record {
            Some(record) if self.window.is_eighth_taken() => {
                self.window.release(1, size);
                let stored = Stored {
                    record,
                    size,
                    event_at: request.event.at,
                    body_bytes: request.body.len() + 1,
                    target,
                    group,
                    tried: attempts.map(|attempts| Box::new(Tried::of(&attempts, 0))),
                };
                (request.ordering_key, Item::Stored(stored))
            }
            record => match group.map_or_else(|| target.route(&request.headers), |group| Ok(Route::Batch(group))) {
                Ok(route) => {
                    let (key, mut job) = Job::new(target, route, request, record);
                    if let Some(attempts) = attempts {
                        job.attempts = *attempts;
                    }
                    (key, Item::Job(job))
                }
                Err(error) => {
                    return self.refuse(&destination.counts, &destination.label, request, record, &error);
                }
            },
        };
        let mut queue = self.queue.borrow_mut();
        queue.push(id, &destination.flow.slots, gathering, &key, item);
    }

    /// Returns a number in the journal: the oldest part of the waiting requests has numbers up to this one.
    fn oldest_part(&self) -> Option<u64> {
        let queue = self.queue.borrow();
        let mut numbers = Vec::new();
        for lane in queue.waiting() {
            // If threads append at the same time, a request can be behind one with a higher number. It is dropped after
            // that one.
            let mut highest = 0;
            numbers.extend(lane.filter_map(Item::record).map(|number| {
                highest = number.max(highest);
                highest
            }));
        }
        let last = (numbers.len() / DROPPED_PART).saturating_sub(1);
        (!numbers.is_empty()).then(|| *numbers.select_nth_unstable(last).1)
    }

    /// Drops the requests with numbers up to this one, except for those that are being sent.
    fn drop_up_to(&self, number: u64) {
        let is_old = |item: &Item| item.record().is_some_and(|record| record <= number);
        let dropped = self.queue.borrow_mut().remove_heads(is_old);
        if dropped.is_empty() {
            return;
        }
        self.report.dropped_oldest(dropped.len());
        for item in dropped {
            let (event_at, size, record) = match &item {
                Item::Job(job) => (job.request.event.at, job.size, job.record),
                Item::Stored(stored) => (stored.event_at, stored.size, Some(stored.record)),
            };
            if let Item::Job(_) = item {
                self.window.release(1, size);
            }
            self.counts.all.overflowed();
            item.target().destination.counts.dropped_oldest(event_at, size);
            if let (Some(on_disk), Some(record)) = (&self.on_disk, record) {
                on_disk.remove(size, record);
            }
        }
    }
}
