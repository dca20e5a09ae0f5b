//! What the tasks of the outbox share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_nats::Subject;
use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::api::Api;
use super::attempt_states::AttemptStates;
use super::lease::Lease;
use super::membership::Membership;
use super::outbox_record::Fetched;
use super::random_id::random_id;
use super::records::Records;
use super::settings::Settings;
use super::shared_outbox::OnLost;

/// What is sent to NATS without an acknowledgement. If it is lost, a record is delivered again, or knows one attempt less.
pub(super) enum Outgoing {
    /// The acknowledgement of a record.
    Ack(Subject),
    /// What is known of the attempts of a record.
    State(u64, Bytes),
    /// The attempts of a record need not be known anymore.
    NoState(u64),
}

impl Outgoing {
    /// Sends it.
    pub(super) async fn send(self, api: &Api, states: &AttemptStates) {
        match self {
            // An acknowledgement that is lost is repeated when the record comes again.
            Outgoing::Ack(reply) => drop(api.client.publish(reply, Bytes::from_static(b"+ACK")).await),
            Outgoing::State(number, state) => states.write(number, state).await,
            Outgoing::NoState(number) => states.delete(number).await,
        }
    }
}

/// Shared by the tasks of one host.
pub(super) struct HostContext {
    pub(super) settings: Settings,
    /// What the key of this host says about it.
    pub(super) state: watch::Receiver<String>,
    pub(super) api: Api,
    pub(super) states: AttemptStates,
    pub(super) records: Arc<Records>,
    pub(super) lease: Arc<Lease>,
    /// Where records go.
    pub(super) feed: mpsc::Sender<Fetched>,
    /// What is sent without an acknowledgement.
    pub(super) acks: mpsc::UnboundedSender<Outgoing>,
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
