//! Moves requests from the data folder to the stream when NATS can be used.

use std::time::Duration;

use hookhost_settings::error_line;

use super::super::record::{self, RecordError};
use super::{SharedIntake, report_newer};

/// How long a flush of the dead letters may take. It is tried again after a failure.
const LETTERS_TIMEOUT: Duration = Duration::from_secs(5);

/// The wait before another flush.
const RETRY: Duration = Duration::from_secs(1);

impl SharedIntake {
    /// Moves requests until delivery ends.
    pub(super) fn forward(&self) {
        let Some(backlog) = &self.backlog else { return };
        while let Some(chunk) = backlog.next_chunk() {
            // The largest record is known from then on.
            if self.outbox.wait_until_ready().is_err() {
                return;
            }
            let mut has_letters = false;
            let (mut records, mut removed) = (Vec::with_capacity(chunk.len()), Vec::with_capacity(chunk.len()));
            for (number, record) in &chunk {
                match record.as_ref().map(|record| (record, record::decode(record.clone()))) {
                    Ok((bytes, Ok(request))) => match self.record(request, bytes.clone()) {
                        Some(record) => records.push(record),
                        None => has_letters = true,
                    },
                    Ok((_, Err(error @ RecordError::Version(_)))) => {
                        report_newer(*number, error);
                        continue;
                    }
                    Ok((_, Err(error))) => self.count_damaged(*number, &error),
                    Err(error) => self.count_damaged(*number, &error_line(error)),
                }
                removed.push(*number);
            }
            if self.outbox.append(&records).is_err() {
                return;
            }
            // A dead letter is on the disk before the record of its request is removed. Those in NATS are of other requests.
            while has_letters && !self.letters.local.flush(LETTERS_TIMEOUT) {
                if backlog.is_closed_within(RETRY) {
                    return;
                }
            }
            backlog.moved(&chunk, &removed);
        }
    }
}
