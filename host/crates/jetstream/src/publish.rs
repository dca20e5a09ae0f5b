//! Stores records in the stream, in order.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use async_nats::HeaderMap;
use tokio::sync::watch;
use tracing::{error, info};

use super::api::{Api, ApiError, code};
use super::outbox_record::{AppendError, Closed, OutboxRecord};

/// Records in one batch. The server accepts 1,000.
const MAX_BATCH: usize = 500;

/// Bytes of the records in one batch, unless it has one record. A batch must fit into the smallest stream, 1 MiB, while other
/// records leave it one by one.
const MAX_BATCH_BYTES: usize = 256 << 10;

/// The wait before a batch is sent again.
const RETRY: Duration = Duration::from_millis(200);

/// The time between two log lines about the same trouble.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Publishes into the stream.
pub(super) struct StreamPublisher {
    pub(super) api: Api,
    /// The name of the stream, which is the first part of the subjects.
    pub(super) stream: String,
    /// Begins the ids of this process.
    pub(super) id: String,
    pub(super) next: AtomicU64,
    /// Whether the stream has the form of the settings. Before, nothing is published.
    pub(super) ready: watch::Receiver<bool>,
}

impl StreamPublisher {
    /// Stores records in their order. Tries until it succeeds.
    ///
    /// # Errors
    ///
    /// [`Closed`] if `closing` becomes true before; a part of the records may be stored then.
    pub(super) async fn store(
        &self,
        records: &[OutboxRecord],
        mut closing: watch::Receiver<bool>,
    ) -> Result<(), Closed> {
        for batch in batches(records) {
            let first = self.next.fetch_add(batch.len() as u64, Relaxed);
            tokio::select! {
                biased;
                // An error means that the outbox is gone.
                _ = closing.wait_for(|is_closing| *is_closing) => return Err(Closed),
                () = self.store_batch(batch, first) => {}
            }
        }
        Ok(())
    }

    /// Stores records in their order. Ends at the first failure.
    ///
    /// # Errors
    ///
    /// [`AppendError::Unavailable`]. Those of the batch that has failed may be stored, too.
    pub(super) async fn try_store(&self, records: &[OutboxRecord]) -> Result<(), AppendError> {
        let mut stored = 0;
        for batch in batches(records) {
            let first = self.next.fetch_add(batch.len() as u64, Relaxed);
            let sent = self.send(batch, first).await;
            sent.map_err(|error| AppendError::Unavailable {
                stored,
                error: error.to_string(),
            })?;
            stored += batch.len();
        }
        Ok(())
    }

    /// Stores one record, unless a record with this id was stored before.
    ///
    /// # Errors
    ///
    /// [`AppendError::Unavailable`]. The record may be stored, too.
    pub(super) async fn try_store_once(&self, record: &OutboxRecord, id: &str) -> Result<(), AppendError> {
        let sent = async {
            self.check_usable()?;
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", id);
            let stored = self.api.publish(self.subject(record), headers, record.bytes.clone());
            stored.await.map(drop)
        };
        sent.await.map_err(|error: ApiError| AppendError::Unavailable {
            stored: 0,
            error: error.to_string(),
        })
    }

    /// Waits until records can be stored.
    ///
    /// # Errors
    ///
    /// [`Closed`] if `closing` becomes true before.
    pub(super) async fn wait_until_ready(&self, mut closing: watch::Receiver<bool>) -> Result<(), Closed> {
        let mut ready = self.ready.clone();
        tokio::select! {
            biased;
            _ = closing.wait_for(|is_closing| *is_closing) => Err(Closed),
            ready = ready.wait_for(|is_ready| *is_ready) => ready.map(drop).map_err(|_| Closed),
        }
    }

    async fn store_batch(&self, batch: &[OutboxRecord], first: u64) {
        let (mut failures, mut report) = (0_u32, Instant::now());
        loop {
            match self.send(batch, first).await {
                Ok(()) => break,
                Err(error) => {
                    failures += 1;
                    if Instant::now() >= report {
                        report = Instant::now() + REPORT_INTERVAL;
                        error!(error = %error, failures, "requests cannot be written to NATS; trying again");
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        if failures > 0 {
            info!(failures, "requests can be written to NATS again");
        }
    }

    /// Sends a batch once. All of it is stored, or nothing.
    async fn send(&self, batch: &[OutboxRecord], first: u64) -> Result<(), ApiError> {
        self.check_usable()?;
        match self.publish(batch, first).await {
            // An earlier attempt was stored, and its answer was lost.
            Err(error) if error.code() == Some(code::BATCH_IS_STORED) => Ok(()),
            result => result,
        }
    }

    fn check_usable(&self) -> Result<(), ApiError> {
        if !*self.ready.borrow() {
            return Err(ApiError::NoAnswer("the stream could not be checked yet".to_owned()));
        }
        // The client would keep the records, and send them when it is connected again.
        if !self.api.is_connected() {
            return Err(ApiError::NoAnswer("there is no connection".to_owned()));
        }
        Ok(())
    }

    fn subject(&self, record: &OutboxRecord) -> String {
        format!("{}.{}", self.stream, record.partition)
    }

    async fn publish(&self, batch: &[OutboxRecord], first: u64) -> Result<(), ApiError> {
        let attempt = self.next.fetch_add(1, Relaxed);
        let batch_id = (batch.len() > 1).then(|| format!("{}-{attempt}", self.id));
        for (record, number) in batch.iter().zip(1_usize..) {
            let mut headers = HeaderMap::new();
            // A batch is stored as a whole, so the id of its first record is enough to recognise it. Each id costs the server
            // bytes on the disk and an entry in its table.
            if number == 1 {
                headers.insert("Nats-Msg-Id", format!("{}-{first}", self.id));
            }
            if let Some(id) = &batch_id {
                headers.insert("Nats-Batch-Id", &**id);
                headers.insert("Nats-Batch-Sequence", number.to_string());
            }
            let subject = self.subject(record);
            if number < batch.len() {
                let sent = self
                    .api
                    .client
                    .publish_with_headers(subject, headers, record.bytes.clone());
                let sent = tokio::time::timeout(super::api::TIMEOUT, sent).await;
                let sent = sent.map_err(|_| ApiError::NoAnswer("there is no connection".to_owned()))?;
                sent.map_err(|error| ApiError::NoAnswer(error.to_string()))?;
            } else {
                if batch_id.is_some() {
                    headers.insert("Nats-Batch-Commit", "1");
                }
                self.api.publish(subject, headers, record.bytes.clone()).await?;
            }
        }
        Ok(())
    }
}

/// Divides records into batches, in order.
fn batches(mut records: &[OutboxRecord]) -> impl Iterator<Item = &[OutboxRecord]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |record: &&OutboxRecord| {
            bytes += record.bytes.len();
            bytes <= MAX_BATCH_BYTES
        };
        let count = records.iter().take(MAX_BATCH).take_while(fits).count().max(1);
        let (batch, rest) = records.split_at_checked(count)?;
        records = rest;
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_limited_in_number_and_bytes() {
        let records = |sizes: &[usize]| -> Vec<OutboxRecord> {
            let record = |size: &usize| OutboxRecord {
                partition: 0,
                bytes: vec![0; *size].into(),
            };
            sizes.iter().map(record).collect()
        };
        let half = MAX_BATCH_BYTES / 2;
        for (sizes, expected) in [
            (vec![], vec![]),
            (vec![1; 1100], vec![500, 500, 100]),
            (vec![half, half, 1], vec![2, 1]),
            (vec![1, 3 * half, 1, 1], vec![1, 1, 2]),
        ] {
            let records = records(&sizes);
            let lengths: Vec<usize> = batches(&records).map(<[_]>::len).collect();
            assert_eq!(lengths, expected, "{sizes:?}");
        }
    }
}
