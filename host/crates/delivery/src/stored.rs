//! Reads waiting requests from the disk when their turn comes.

use std::rc::Rc;
use std::time::{Duration, Instant as Clock};

use hookhost_settings::error_line;

use super::job::{Job, Stored};
use super::record;
use super::sender::SenderState;

/// The wait before a request is read again from a disk that cannot be read.
const UNREADABLE_RETRY: Duration = Duration::from_secs(1);

impl SenderState {
    /// Reads a request from the disk.
    ///
    /// # Errors
    ///
    /// `None` if the request cannot be used and is dropped, or its place and when to read it again.
    pub(super) fn load(self: &Rc<Self>, stored: Stored) -> Result<Box<Job>, Option<(Stored, Clock)>> {
        self.window.add(1, stored.size);
        let Some(on_disk) = &self.on_disk else { return Err(None) };
        let record = match on_disk.journal.get(stored.record) {
            Ok(record) => record.ok_or_else(|| "it is missing".to_owned()),
            Err(error) if error.is_damage() => Err(error_line(&error)),
            Err(error) => {
                // The disk may work again.
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
            Err(error) => {
                self.report.damaged(stored.record, &error);
                self.counts.all.damaged();
                stored.target.destination.counts.damaged(stored.event_at, stored.size);
                self.release(stored.size, Some(stored.record));
                Err(None)
            }
        }
    }
}
