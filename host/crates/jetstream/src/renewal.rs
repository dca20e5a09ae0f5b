//! The lease of this host: renewed, or over.

use std::time::Instant;

use tokio::time::timeout;
use tracing::warn;

use super::api::ApiError;
use super::bucket::host_key;
use super::coordinator::Coordinator;

impl Coordinator {
    /// Renews the lease. Returns whether it is valid.
    pub(super) async fn renew(&mut self) -> Result<bool, ApiError> {
        let lease = self.context.settings.lease;
        let key = host_key(self.membership.id());
        let state = self.context.state.borrow().clone();
        let sent = loop {
            let sent = Instant::now();
            let written = self.bucket.write(&key, self.revision, &state);
            // It is sent again soon, so that one lost answer does not cost the lease.
            let written = timeout(lease / 3, written).await;
            if let Some(revision) = written.unwrap_or_else(|_| Err(ApiError::NoAnswer("timed out".to_owned())))? {
                self.revision = revision;
                break sent;
            }
            // An earlier write was stored and its answer was lost, or other hosts think that this one has stopped.
            let snapshot = self.bucket.read().await?;
            match snapshot.hosts.get(self.membership.id()) {
                Some(revision) if !self.membership.has_lapsed(Instant::now()) => self.revision = *revision,
                Some(_) => {
                    self.lapse();
                    return Ok(false);
                }
                None => {
                    self.lapse();
                    // If the whole bucket was deleted, hosts that do not know it yet still deliver.
                    self.claims_from = Instant::now() + lease;
                    return Ok(false);
                }
            }
        };
        match self.membership.renewed(sent, Instant::now()) {
            Some(until) => {
                self.context.lease.set(until);
                Ok(true)
            }
            None => {
                self.lapse();
                Ok(false)
            }
        }
    }

    /// The lease is over: gives up all partitions, and starts anew under another id.
    pub(super) fn lapse(&mut self) {
        self.context.lease.end();
        self.stop_reader();
        self.context.records.lose_all();
        let membership = std::mem::replace(&mut self.membership, self.context.new_membership());
        let host = membership.id();
        warn!(
            host,
            "NATS did not confirm the lease of this host in time; other hosts deliver its partitions"
        );
        self.previous = Some((host.to_owned(), self.revision));
        self.revision = 0;
        self.context.report_lost();
    }
}
