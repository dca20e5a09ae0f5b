//! Reads waiting requests from the disk or from the shared outbox when their turn comes.

use std::rc::Rc;
use std::time::{Duration, Instant as Clock};

use bytes::Bytes;
use hookhost_settings::error_line;

use super::job::{Item, Job, Stored};
use super::record;
use super::sender::SenderState;

/// The wait before a request is read again from a disk that cannot be read.
const UNREADABLE_RETRY: Duration = Duration::from_secs(1);

impl SenderState {
    /// Reads a request from the disk, which blocks, or from the shared outbox. The caller has taken its capacity in memory,
    /// which is returned unless the request can be sent.
    ///
    /// # Errors
    ///
    /// `None` if the request cannot be used and is dropped, or its place and when to read it again.
    pub(super) async fn load(self: &Rc<Self>, stored: Stored) -> Result<Box<Job>, Option<(Stored, Clock)>> {
        let record = match self.record(stored.record).await {
            Ok(record) => record,
            Err(error) => {
                // The disk or the connection may work again.
                self.report.unreadable(&error);
                self.window.release(1, stored.size);
                return Err(Some((stored, Clock::now() + UNREADABLE_RETRY)));
            }
        };
        let request = record.and_then(|record| record::decode(record).map_err(|error| error.to_string()));
        match request {
            Ok(request) => match stored.route(&request) {
                Ok(route) => Ok(stored.into_job(route, request)),
                Err(error) => {
                    let destination = &stored.target.destination;
                    self.refuse(
                        &destination.counts,
                        &destination.label,
                        request,
                        Some(stored.record),
                        &error,
                    );
                    Err(None)
                }
            },
            // It is not in the stream: another host has delivered it.
            Err(_) if self.is_record_moved(Some(stored.record)) => {
                self.window.release(1, stored.size);
                self.drop_moved_item(&Item::Stored(stored));
                Err(None)
            }
            Err(error) => {
                self.report.damaged(stored.record, &error);
                self.counts.all.damaged();
                stored.target.destination.counts.damaged(stored.event_at, stored.size);
                self.release(stored.size, Some(stored.record));
                Err(None)
            }
        }
    }

    /// The content of a record, or why it cannot be used. The outer error may go away.
    async fn record(&self, number: u64) -> Result<Result<Bytes, String>, String> {
        let missing = || "it is missing".to_owned();
        if let Some(shared) = &self.shared {
            let expired =
                || "it is missing in the stream: it was older than `max_age`, or somebody has deleted it".to_owned();
            let read = shared.read(number).await;
            return read
                .map(|record| record.ok_or_else(expired))
                .map_err(|error| error_line(&error));
        }
        let Some(on_disk) = &self.on_disk else {
            return Ok(Err(missing()));
        };
        match on_disk.journal.get(number) {
            Ok(record) => Ok(record.ok_or_else(missing)),
            Err(error) if error.is_damage() => Ok(Err(error_line(&error))),
            Err(error) => Err(error_line(&error)),
        }
    }
}
