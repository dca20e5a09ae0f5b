//! What sender threads receive.

use std::collections::HashMap;
use std::sync::mpsc;

use super::super::attempt::Attempts;
use super::super::request::OutboxRequest;

/// What a sender thread receives.
pub(in super::super) enum Message {
    /// Requests to send.
    Batch(Batch),
    /// Answer with a number in the journal: the oldest part of the waiting requests has numbers up to this one. A thread
    /// without such requests drops the channel.
    FindOldest(mpsc::Sender<u64>),
    /// Drop the requests with numbers up to this one, except for those that are being sent.
    DropUpTo(u64),
    /// Drop the requests that other hosts deliver from now on.
    DropMoved,
}

/// The requests that a sender thread receives at once, in order.
#[derive(Default)]
pub(in super::super) struct Batch {
    pub(in super::super) requests: Vec<OutboxRequest>,
    /// Their numbers in the journal; empty without a data folder.
    pub(in super::super) records: Vec<u64>,
    /// The attempts that other hosts have made, by the numbers of the requests.
    pub(in super::super) attempts: HashMap<u64, Box<Attempts>>,
}

/// A request of a previous process or of a shared outbox.
pub(in super::super) struct RestoredRequest {
    /// The number of its record.
    pub(in super::super) record: u64,
    pub(in super::super) request: OutboxRequest,
    /// The attempts that other hosts have made.
    pub(in super::super) attempts: Option<Box<Attempts>>,
}
