//! Renews the lease of this host, claims and gives up partitions, and says which ones its reader reads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use async_nats::connection::State;
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
    bucket: Bucket,
    context: Arc<HostContext>,
    membership: Membership,
    /// The revision of the key of this host; 0: it is not written.
    revision: u64,
    /// The key of an id that is not used any longer.
    previous: Option<(String, u64)>,
    /// Partitions that are given up when their attempts have ended.
    leaving: BTreeSet<u16>,
    /// What the reader reads, and the partitions that its consumer has.
    assignment: watch::Sender<Assignment>,
    opened: watch::Receiver<BTreeSet<u16>>,
    /// The host claims no partition before this time.
    claims_from: Instant,
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
            leaving: BTreeSet::new(),
            assignment,
            opened,
            claims_from: Instant::now(),
        }
    }

    /// Works until `closing` gets a value or is dropped, and the attempts that are under way have ended. The caller then
    /// sends their acknowledgements before [`Coordinator::give_up_all`].
    pub(super) async fn run(&mut self, mut closing: oneshot::Receiver<()>) {
        loop {
            if let Err(error) = self.turn().await {
                debug!(error = %error, "a turn of the coordinator has failed");
                // Without a connection there is nothing to create, and the next turn is more urgent.
                if self.context.api.client.connection_state() == State::Connected {
                    self.prepare_again().await;
                }
            }
            let wait = if self.leaving.is_empty() {
                self.context.settings.lease / 3
            } else {
                QUICK
            };
            tokio::select! {
                biased;
                _ = &mut closing => break,
                () = tokio::time::sleep(wait) => {}
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
        if let Some((id, revision)) = self.previous.clone() {
            self.bucket.delete(&host_key(&id), revision).await?;
            self.previous = None;
        }
        if self.context.is_stream_missing.swap(false, Relaxed) {
            warn!("the stream of the outbox is missing; requests that were only there are lost");
            self.prepare_again().await;
        }
        if !self.renew().await? {
            return Ok(());
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
        match start::prepare(&self.context.api, &self.context.settings).await {
            Ok(bucket) => self.bucket = bucket,
            Err(StreamError::Api(error)) => debug!(error = %error, "JetStream cannot be used"),
            Err(error) => error!(error = %error, "JetStream cannot be used"),
        }
    }

    /// Renews the lease. Returns whether it is valid.
    async fn renew(&mut self) -> Result<bool, ApiError> {
        let key = host_key(self.membership.id());
        let state = self.context.state.borrow().clone();
        let sent = Instant::now();
        match self.bucket.write(&key, self.revision, &state).await? {
            Some(revision) => self.revision = revision,
            None => {
                // An earlier write was stored and its answer was lost, or other hosts think that this one has stopped.
                let snapshot = self.bucket.read().await?;
                match snapshot.hosts.get(self.membership.id()) {
                    Some(revision) => self.revision = *revision,
                    None => {
                        self.lapse();
                        // If the whole bucket was deleted, hosts that do not know it yet still deliver.
                        self.claims_from = Instant::now() + self.context.settings.lease;
                    }
                }
                return Ok(false);
            }
        }
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
                Step::GiveUp { partition } => {
                    self.leaving.insert(partition);
                }
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
        for partition in self.leaving.clone() {
            if !records.is_idle(partition) || self.opened.borrow().contains(&partition) {
                continue;
            }
            let Some(revision) = self.membership.owned().get(&partition).copied() else {
                self.leaving.remove(&partition);
                continue;
            };
            // Without an answer the partition is still leaving, and the next turn tries again.
            let written = self.bucket.write(&partition_key(partition), revision, "").await?;
            self.leaving.remove(&partition);
            if let Some(revision) = written {
                self.membership.set_owner(partition, revision, "");
            }
            self.context.report_lost();
        }
        Ok(())
    }

    /// Makes the reader read the partitions that this host owns and does not give up.
    fn assign(&mut self) {
        let owned = self.membership.owned();
        self.leaving.retain(|partition| owned.contains_key(partition));
        let kept = owned.into_keys().filter(|partition| !self.leaving.contains(partition));
        let (partitions, living) = (kept.collect::<BTreeSet<u16>>(), self.membership.living());
        let records = &self.context.records;
        let before = self.assignment.borrow().partitions.clone();
        before.difference(&partitions).for_each(|number| records.close(*number));
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

    /// The lease is over: gives up all partitions, and starts anew under another id.
    fn lapse(&mut self) {
        self.context.lease.end();
        self.stop_reader();
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

    fn stop_reader(&mut self) {
        self.leaving.clear();
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
