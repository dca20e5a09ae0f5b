//! Renews the lease of this host, claims and gives up partitions, and says which ones its reader reads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::{oneshot, watch};
use tracing::{debug, error, info, warn};

use super::api::ApiError;
use super::bucket::{Bucket, host_key, partition_key};
use super::context::HostContext;
use super::membership::{MAX_FOLLOWING_TURNS, Membership, QUICK, Snapshot, Step};
use super::reader::{self, Assignment};
use super::records::ACK_DOUBT;
use super::start;
use super::stream::StreamError;

/// How long the end of the attempts is waited for at the end.
const MAX_CLOSING: Duration = Duration::from_secs(2);

/// The work of one host.
pub(super) struct Coordinator {
    pub(super) bucket: Bucket,
    pub(super) context: Arc<HostContext>,
    pub(super) membership: Membership,
    /// The revision of the key of this host; 0: it is not written.
    pub(super) revision: u64,
    /// The key of an id that is not used any longer.
    pub(super) previous: Option<(String, u64)>,
    /// What the reader reads, and the partitions that its consumer has.
    assignment: watch::Sender<Assignment>,
    opened: watch::Receiver<BTreeSet<u16>>,
    /// The host claims no partition before this time.
    pub(super) claims_from: Instant,
}

impl Coordinator {
    /// A host without partitions. Starts the task of the reader.
    pub(super) fn new(bucket: Bucket, context: Arc<HostContext>) -> Coordinator {
        let (assignment, assigned) = watch::channel(Assignment::default());
        let (opening, opened) = watch::channel(BTreeSet::new());
        tokio::spawn(reader::read(Arc::clone(&context), assigned, opening));
        Coordinator {
            bucket,
            membership: context.new_membership(),
            context,
            revision: 0,
            previous: None,
            assignment,
            opened,
            claims_from: Instant::now(),
        }
    }

    /// Works until `closing` gets a value or is dropped, and the attempts that are under way have ended. The caller then
    /// sends their acknowledgements before [`Coordinator::give_up_all`].
    pub(super) async fn run(&mut self, mut closing: oneshot::Receiver<()>) {
        loop {
            let begin = Instant::now();
            if let Err(error) = self.turn().await {
                debug!(error = %error, "a turn of the coordinator has failed");
                // Without a connection there is nothing to create, and the next turn is more urgent.
                if self.context.api.is_connected() {
                    self.prepare_again().await;
                }
            }
            let next = self.membership.next_turn(begin, Instant::now());
            tokio::select! {
                biased;
                _ = &mut closing => break,
                () = tokio::time::sleep_until(next.into()) => {}
            }
        }
        self.stop_reader();
        let records = &self.context.records;
        let is_idle =
            || self.opened.borrow().is_empty() && (0..records.count()).all(|partition| records.is_idle(partition));
        let end = Instant::now() + MAX_CLOSING;
        while !is_idle() && Instant::now() < end {
            tokio::time::sleep(QUICK).await;
        }
    }

    async fn turn(&mut self) -> Result<(), ApiError> {
        if self.membership.has_lapsed(Instant::now()) {
            self.lapse();
        }
        // The next renewal must not wait for what follows. Writes without an answer are repeated in the next turn.
        let end = Instant::now() + self.context.settings.lease / 3;
        if !self.renew().await? {
            return Ok(());
        }
        let timed_out = |_| Err(ApiError::NoAnswer("timed out".to_owned()));
        tokio::time::timeout_at(end.into(), self.work())
            .await
            .unwrap_or_else(timed_out)
    }

    /// Does what a host with a valid lease has to do.
    async fn work(&mut self) -> Result<(), ApiError> {
        if let Some((id, revision)) = self.previous.clone() {
            self.bucket.delete(&host_key(&id), revision).await?;
            self.previous = None;
        }
        if self.context.is_stream_missing.swap(false, Relaxed) {
            warn!("the stream of the outbox is missing; requests that were only there are lost");
            self.prepare_again().await;
        }
        if self.context.is_reading.load(Relaxed) {
            self.context.records.forget_ended(Instant::now() - ACK_DOUBT);
        }
        for _ in 0..MAX_FOLLOWING_TURNS {
            let snapshot = self.bucket.read().await?;
            if !self.follow(&snapshot).await? {
                break;
            }
        }
        Ok(())
    }

    /// Creates stream and bucket if somebody has deleted them.
    async fn prepare_again(&mut self) {
        let prepared = start::prepare(&self.context.api, &self.context.settings);
        // The next renewal must not wait for it. A request that was sent has its effect.
        match tokio::time::timeout(self.context.settings.lease / 3, prepared).await {
            Ok(Ok(bucket)) => self.bucket = bucket,
            Ok(Err(StreamError::Api(error))) => debug!(error = %error, "JetStream cannot be used"),
            Ok(Err(error)) => error!(error = %error, "JetStream cannot be used"),
            Err(_) => debug!("JetStream does not answer in time"),
        }
    }

    /// Does what follows from the keys. Returns whether there may be more to do at once.
    async fn follow(&mut self, snapshot: &Snapshot) -> Result<bool, ApiError> {
        self.membership.observe(snapshot, Instant::now());
        let id = self.membership.id().to_owned();
        let mut removed = false;
        let mut claims = Vec::new();
        for step in self.membership.steps(Instant::now()) {
            match step {
                Step::Remove { host, revision } => {
                    if self.bucket.delete(&host_key(&host), revision).await?.is_some() {
                        info!(host, "a host has stopped; its partitions are taken over");
                        self.membership.set_removed(&host);
                        removed = true;
                    }
                }
                Step::Claim { .. } if Instant::now() < self.claims_from => {}
                Step::Claim { partition, revision } => claims.push((partition, revision)),
                // It is given up when its attempts have ended.
                Step::GiveUp { .. } => {}
            }
        }
        let writes = claims.iter().map(async |(partition, revision)| {
            let written = self.bucket.write(&partition_key(*partition), *revision, &id).await;
            (*partition, written)
        });
        let written = join_all(writes).await;
        let mut failure = None;
        for (partition, result) in written {
            match result {
                Ok(Some(revision)) => self.membership.set_owner(partition, revision, &id),
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
        }
        self.assign();
        self.give_up().await?;
        failure.map_or(Ok(removed), Err)
    }

    /// Gives up partitions whose attempts have ended.
    async fn give_up(&mut self) -> Result<(), ApiError> {
        let records = &self.context.records;
        let owned = self.membership.owned();
        for partition in self.membership.leaving().clone() {
            if !records.is_idle(partition) || self.opened.borrow().contains(&partition) {
                continue;
            }
            let Some(revision) = owned.get(&partition).copied() else {
                continue;
            };
            // Without an answer the partition is still leaving, and the next turn tries again.
            let written = self.bucket.write(&partition_key(partition), revision, "").await?;
            if let Some(revision) = written {
                self.membership.set_owner(partition, revision, "");
            }
        }
        Ok(())
    }

    /// Makes the reader read the partitions that this host owns and does not give up.
    fn assign(&mut self) {
        let owned = self.membership.owned();
        let leaving = self.membership.leaving();
        let kept = owned.into_keys().filter(|partition| !leaving.contains(partition));
        let (partitions, living) = (kept.collect::<BTreeSet<u16>>(), self.membership.living());
        let records = &self.context.records;
        let before = self.assignment.borrow().partitions.clone();
        before.difference(&partitions).for_each(|number| records.close(*number));
        if !before.is_subset(&partitions) {
            self.context.report_lost();
        }
        partitions.difference(&before).for_each(|number| records.open(*number));
        let is_other = partitions != before;
        if is_other {
            info!(
                partitions = partitions.len(),
                "this host delivers another part of the outbox"
            );
        }
        self.assignment.send_modify(|assignment| {
            assignment.host = self.membership.id().to_owned();
            assignment.partitions = partitions;
            assignment.changes += u64::from(is_other);
            assignment.living = living;
        });
    }

    pub(super) fn stop_reader(&mut self) {
        self.assignment.send_modify(|assignment| {
            assignment.partitions.clear();
            assignment.changes += 1;
        });
        let records = &self.context.records;
        (0..records.count()).for_each(|partition| records.close(partition));
    }

    /// Gives up all partitions, and deletes the key of this host.
    pub(super) async fn give_up_all(self) {
        self.context.lease.end();
        let owned = self.membership.owned();
        let writes = owned
            .iter()
            .map(async |(partition, revision)| self.bucket.write(&partition_key(*partition), *revision, "").await);
        // Without an answer, other hosts take over after the lease.
        join_all(writes).await;
        self.bucket
            .delete(&host_key(self.membership.id()), self.revision)
            .await
            .ok();
    }
}
