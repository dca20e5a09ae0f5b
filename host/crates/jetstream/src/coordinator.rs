//! Renews the lease of this host, claims and gives up partitions, and runs their readers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::{oneshot, watch};
use tracing::{debug, info, warn};

use super::api::ApiError;
use super::bucket::{Bucket, host_key, partition_key};
use super::lease::Lease;
use super::membership::{Membership, Snapshot, Step};
use super::reader::{self, ReaderContext};
use super::records::ACK_DOUBT;
use super::shared_outbox::{OnLost, random_id};

/// The wait between two turns while a partition is being given up.
const QUICK: Duration = Duration::from_millis(20);

/// How often changes are followed by another turn at once.
const MAX_FOLLOWING_TURNS: usize = 3;

/// How long the end of the attempts is waited for at the end.
const MAX_CLOSING: Duration = Duration::from_secs(2);

/// The work of one host.
pub(super) struct Coordinator {
    bucket: Bucket,
    context: Arc<ReaderContext>,
    lease: Arc<Lease>,
    lease_time: Duration,
    on_lost: OnLost,
    /// The name of this host, for people who look at the bucket.
    node: String,
    membership: Membership,
    /// The revision of the key of this host; 0: it is not written.
    revision: u64,
    /// The key of an id that is not used any longer.
    previous: Option<(String, u64)>,
    /// The readers, by partition; dropping one stops it.
    readers: BTreeMap<u16, watch::Sender<bool>>,
    /// Partitions that are given up when their attempts have ended.
    leaving: BTreeSet<u16>,
}

impl Coordinator {
    /// A host without partitions.
    pub(super) fn new(
        bucket: Bucket,
        context: Arc<ReaderContext>,
        lease: Arc<Lease>,
        lease_time: Duration,
        node: String,
        on_lost: OnLost,
    ) -> Coordinator {
        let partitions = context.records.count();
        Coordinator {
            bucket,
            context,
            lease,
            lease_time,
            on_lost,
            node,
            membership: Membership::new(random_id(), partitions, lease_time),
            revision: 0,
            previous: None,
            readers: BTreeMap::new(),
            leaving: BTreeSet::new(),
        }
    }

    /// Works until `closing` gets a value or is dropped, and the attempts that are under way have ended. The caller then
    /// sends their acknowledgements before [`Coordinator::give_up_all`].
    pub(super) async fn run(&mut self, mut closing: oneshot::Receiver<()>) {
        loop {
            if let Err(error) = self.turn().await {
                debug!(error = %error, "a turn of the coordinator has failed");
            }
            let wait = if self.leaving.is_empty() {
                self.lease_time / 3
            } else {
                QUICK
            };
            tokio::select! {
                biased;
                _ = &mut closing => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.stop_readers();
        let records = &self.context.records;
        let is_idle = || (0..records.count()).all(|partition| records.is_idle(partition));
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
        if !self.renew().await? {
            return Ok(());
        }
        self.context.records.forget_ended(Instant::now() - ACK_DOUBT);
        for _ in 0..MAX_FOLLOWING_TURNS {
            let snapshot = self.bucket.read().await?;
            if !self.follow(&snapshot).await? {
                break;
            }
        }
        Ok(())
    }

    /// Renews the lease. Returns whether it is valid.
    async fn renew(&mut self) -> Result<bool, ApiError> {
        let key = host_key(self.membership.id());
        let sent = Instant::now();
        match self.bucket.write(&key, self.revision, &self.node).await? {
            Some(revision) => self.revision = revision,
            None => {
                // An earlier write was stored and its answer was lost, or other hosts think that this one has stopped.
                let snapshot = self.bucket.read().await?;
                match snapshot.hosts.get(self.membership.id()) {
                    Some(revision) => self.revision = *revision,
                    None => self.lapse(),
                }
                return Ok(false);
            }
        }
        match self.membership.renewed(sent, Instant::now()) {
            Some(until) => {
                self.lease.set(until);
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
        self.give_up().await?;
        self.run_readers();
        failure.map_or(Ok(removed), Err)
    }

    /// Gives up partitions whose attempts have ended.
    async fn give_up(&mut self) -> Result<(), ApiError> {
        let records = &self.context.records;
        for partition in self.leaving.clone() {
            self.readers.remove(&partition);
            records.close(partition);
            if !records.is_idle(partition) {
                continue;
            }
            self.leaving.remove(&partition);
            let Some(revision) = self.membership.owned().get(&partition).copied() else {
                continue;
            };
            if let Some(revision) = self.bucket.write(&partition_key(partition), revision, "").await? {
                self.membership.set_owner(partition, revision, "");
            }
            self.report_lost();
        }
        Ok(())
    }

    /// Makes the readers those of the partitions that this host owns.
    fn run_readers(&mut self) {
        let owned = self.membership.owned();
        let records = &self.context.records;
        self.readers.retain(|partition, _| {
            let is_owned = owned.contains_key(partition);
            if !is_owned {
                records.close(*partition);
            }
            is_owned
        });
        let before = self.readers.len();
        for partition in owned.into_keys().filter(|partition| !self.leaving.contains(partition)) {
            self.readers.entry(partition).or_insert_with(|| {
                records.open(partition);
                let (stop, stopped) = watch::channel(false);
                let id = self.membership.id().to_owned();
                tokio::spawn(reader::read(Arc::clone(&self.context), partition, id, stopped));
                stop
            });
        }
        if self.readers.len() > before {
            info!(
                partitions = self.readers.len(),
                "this host delivers more partitions of the outbox"
            );
        }
    }

    /// The lease is over: gives up all partitions, and starts anew under another id.
    fn lapse(&mut self) {
        self.lease.end();
        self.stop_readers();
        let id = std::mem::replace(
            &mut self.membership,
            Membership::new(random_id(), self.context.records.count(), self.lease_time),
        );
        warn!(
            host = id.id(),
            "NATS did not confirm the lease of this host in time; other hosts deliver its partitions"
        );
        self.previous = Some((id.id().to_owned(), self.revision));
        self.revision = 0;
        self.report_lost();
    }

    fn report_lost(&self) {
        if let Some(on_lost) = self.on_lost.get() {
            on_lost();
        }
    }

    fn stop_readers(&mut self) {
        self.readers.clear();
        self.leaving.clear();
        let records = &self.context.records;
        (0..records.count()).for_each(|partition| records.close(partition));
    }

    /// Gives up all partitions, and deletes the key of this host.
    pub(super) async fn give_up_all(self) {
        self.lease.end();
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
