//! Sends the requests that a previous process has left on disk.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hookhost_settings::error_line;
use tracing::{error, info};

use super::StartError;
use super::counters::Counts;
use super::destination_counts::DestinationKey;
use super::on_disk::OnDisk;
use super::outbox::{Inboxes, RestoredRequest};
use super::record;

/// How many records are read at once.
const CHUNK: usize = 1000;

/// The wait before a store that cannot be read is read again.
const RETRY: Duration = Duration::from_secs(1);

/// Starts a thread that hands over the requests in the store, in order, and then lets new ones in.
///
/// # Errors
///
/// [`StartError`] if the system cannot create the thread.
pub(super) fn start(
    on_disk: &Arc<OnDisk>,
    outbox: &Arc<Inboxes>,
    counts: &Arc<Counts>,
) -> Result<JoinHandle<()>, StartError> {
    let (on_disk, outbox, counts) = (Arc::clone(on_disk), Arc::clone(outbox), Arc::clone(counts));
    let thread = thread::Builder::new().name("outbox-restore".to_owned());
    let thread = thread.spawn(move || {
        let restored = restore(&on_disk, &outbox, &counts);
        if restored > 0 {
            info!(requests = restored, "requests of the previous process are sent");
        }
        on_disk.set_restored();
    });
    thread.map_err(StartError::Thread)
}

/// Returns how many requests were handed over. Ends early if delivery stops.
fn restore(on_disk: &OnDisk, outbox: &Inboxes, counts: &Counts) -> usize {
    let (mut next, mut restored) = (0, 0);
    loop {
        let chunk = match on_disk.journal.store().range(next, CHUNK) {
            Ok(chunk) => chunk,
            Err(error) => {
                error!(error = error_line(&error), "the outbox cannot be read; trying again");
                if on_disk.capacity.is_closed_within(RETRY) {
                    return restored;
                }
                continue;
            }
        };
        let Some((last, _)) = chunk.last() else {
            return restored;
        };
        next = last + 1;
        let mut requests = Vec::with_capacity(chunk.len());
        for (number, record) in chunk {
            let record = record.map_err(|error| error_line(&error));
            match record.and_then(|record| record::decode(record).map_err(|error| error.to_string())) {
                Ok(request) => requests.push(RestoredRequest {
                    record: number,
                    request,
                    attempts: None,
                }),
                Err(error) => {
                    error!(
                        record = number,
                        error, "request dropped: its record on disk cannot be used"
                    );
                    counts.all.accepted(1);
                    counts.all.damaged();
                    let unknown = counts.destination(DestinationKey::unknown());
                    unknown.accepted(0, 0);
                    unknown.damaged(0, 0);
                    on_disk.journal.remove(number);
                }
            }
        }
        restored += requests.len();
        if outbox.restore(requests).is_err() {
            return restored;
        }
    }
}
