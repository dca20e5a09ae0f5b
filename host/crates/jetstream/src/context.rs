//! What the tasks of the outbox share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_nats::Subject;
use tokio::sync::{mpsc, watch};

use super::api::Api;
use super::lease::Lease;
use super::membership::Membership;
use super::outbox_record::Fetched;
use super::records::Records;
use super::settings::Settings;
use super::shared_outbox::{OnLost, random_id};

/// Shared by the tasks of one host.
pub(super) struct HostContext {
    pub(super) settings: Settings,
    /// What the key of this host says about it.
    pub(super) state: watch::Receiver<String>,
    pub(super) api: Api,
    pub(super) records: Arc<Records>,
    pub(super) lease: Arc<Lease>,
    /// Where records go.
    pub(super) feed: mpsc::Sender<Fetched>,
    /// Where acknowledgements go.
    pub(super) acks: mpsc::UnboundedSender<Subject>,
    /// Counts the connections.
    pub(super) connections: watch::Receiver<u64>,
    /// The reader has a consumer, over a connection that works.
    pub(super) is_reading: AtomicBool,
    /// The reader has found that the stream does not exist.
    pub(super) is_stream_missing: AtomicBool,
    pub(super) on_lost: OnLost,
}

impl HostContext {
    /// A membership without partitions, under a new id.
    pub(super) fn new_membership(&self) -> Membership {
        Membership::new(random_id(), self.settings.partitions, self.settings.lease)
    }

    /// Reports that this host has given up records.
    pub(super) fn report_lost(&self) {
        if let Some(on_lost) = self.on_lost.get() {
            on_lost();
        }
    }
}
