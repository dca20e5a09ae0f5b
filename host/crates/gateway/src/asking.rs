//! CONNECT to one upstream, and its first answer.

use std::io;

use hookhost_listener::Peer;
use tokio::io::AsyncWriteExt;

use super::packet::kind;
use super::shared::Shared;
use super::stream::UpstreamStream;
use super::wire::{NoPacket, read_packet};

/// The longest CONNACK or AUTH.
pub(super) const MAX_ANSWER_BYTES: usize = 256 << 10;

/// Whether a packet of an upstream begins an answer to CONNECT.
pub(super) fn is_answer(first: u8) -> bool {
    matches!(first >> 4, kind::CONNACK | kind::AUTH)
}

/// Why an upstream has not answered CONNECT.
pub(super) struct Unanswered {
    /// In a few words, for the log.
    pub(super) why: String,
    /// Whether other clients would meet the same.
    pub(super) shun: bool,
}

/// Sends CONNECT to one upstream and waits for its answer.
pub(super) async fn ask(
    shared: &Shared,
    place: usize,
    peer: &Peer,
    connect: &[u8],
) -> Result<(Box<dyn UpstreamStream>, Vec<u8>), Unanswered> {
    let failed = |error: io::Error| Unanswered {
        why: error.to_string(),
        shun: true,
    };
    // The upstream may close because of this client alone.
    let odd = |why: &str| Unanswered {
        why: why.to_owned(),
        shun: false,
    };
    let connecting = shared.upstreams.connect(place, Some(peer));
    let mut upstream = connecting.await.map_err(failed)?;
    upstream.write_all(connect).await.map_err(failed)?;
    upstream.flush().await.map_err(failed)?;
    let mut answer = Vec::new();
    match read_packet(&mut upstream, &mut answer, MAX_ANSWER_BYTES, is_answer).await {
        Ok(_) => Ok((upstream, answer)),
        Err(NoPacket::Closed) => Err(odd("closed without an answer to CONNECT")),
        Err(NoPacket::NotMqtt) => Err(odd("does not answer CONNECT as a broker does")),
    }
}
