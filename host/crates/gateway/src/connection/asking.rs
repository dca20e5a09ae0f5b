//! CONNECT to the upstreams, and their answers up to CONNACK.
//!
//! An upstream that supports MQTT 3.1.1 only refuses a CONNECT of MQTT 5 with a CONNACK of MQTT 3.1.1, or closes the
//! connection. After such an end, two more CONNECTs of the host itself, of both versions, show whether the version was the
//! reason. The upstream's [`Target`] remembers the result for a minute.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hookhost_listener::Peer;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::{Handshake, MAX_EARLY_BYTES, Opening, Relayed, SERVER_UNAVAILABLE, UPSTREAM};
use crate::frame;
use crate::packet::{self, ConnackPacket, kind};
use crate::protocol::ClientSession;
use crate::shared::Shared;
use crate::stream::UpstreamStream;
use crate::upstream::{Target, UpstreamGuard, VersionProbe};
use crate::wire::{PacketReadError, closed, read_packet};

/// The longest CONNACK or AUTH.
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// The refusal of a client whose version no upstream supports, as a code of MQTT 5.
const UNSUPPORTED_VERSION: u8 = 132;
/// A CONNECT of MQTT 3.1.1 without a client id, with a clean session.
const CONNECT_3_1_1: &[u8] = b"\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0";
/// The same of MQTT 5.
const CONNECT_5: &[u8] = b"\x10\x0d\0\x04MQTT\x05\x02\0\x3c\0\0\0";
/// DISCONNECT.
const DISCONNECT: &[u8] = &[kind::DISCONNECT << 4, 0];

/// Whether a packet of an upstream begins an answer to CONNECT.
fn is_answer(first: u8) -> bool {
    matches!(first >> 4, kind::CONNACK | kind::AUTH)
}

/// An upstream that has answered CONNECT.
pub(super) struct Answered {
    pub(super) guard: UpstreamGuard,
    pub(super) stream: Box<dyn UpstreamStream>,
    /// The first packet of the answer, and what was read after it.
    pub(super) answer: Vec<u8>,
}

/// Why an upstream has not answered CONNECT.
enum Unanswered {
    /// It cannot be used by any client, because of this.
    Down(String),
    /// It closed without an answer. The reason may be this client.
    Closed,
    /// It answered something else.
    UnexpectedAnswer,
}

impl Handshake {
    /// Asks the upstreams; returns the first one that answers.
    pub(super) async fn ask(&mut self, connect: &[u8]) -> Option<Answered> {
        let shared = Arc::clone(&self.shared);
        let client_id = self.opening.as_ref().map_or("", |opening| &**opening.client_id());
        let is_version_5 = self.opening.as_ref().is_some_and(|opening| opening.version() == 5);
        let limit = shared.settings.connect_timeout;
        let (mut lacks_version, mut is_unavailable) = (false, false);
        for target in shared.upstreams.order(Some(client_id)) {
            let asking = async {
                match timeout(limit, ask(&shared, &target, &self.peer, connect)).await {
                    Ok(Err(Unanswered::Closed)) if is_version_5 => {
                        let supports_older = timeout(limit, supports_only_3_1_1(&shared, &target)).await;
                        Err((Unanswered::Closed, supports_older.unwrap_or(false)))
                    }
                    Ok(asked) => asked.map_err(|unanswered| (unanswered, false)),
                    Err(_) => Err((Unanswered::Down("no answer to CONNECT in time".to_owned()), false)),
                }
            };
            let asked = tokio::select! {
                asked = asking => asked,
                () = closed(&mut self.client, &mut self.early, MAX_EARLY_BYTES) => {
                    self.give_up().await;
                    return None;
                }
            };
            let (unanswered, supports_older) = match asked {
                Ok(answered) => {
                    target.worked();
                    return Some(answered);
                }
                Err(unanswered) => unanswered,
            };
            lacks_version |= supports_older;
            is_unavailable |= !supports_older;
            match unanswered {
                Unanswered::Down(why) => shared.upstreams.failed(&target, &why),
                Unanswered::Closed => shared.report(target.name(), "closed without an answer to CONNECT"),
                Unanswered::UnexpectedAnswer => {
                    shared.report(target.name(), "does not answer CONNECT as a broker does")
                }
            }
        }
        shared.counts.unanswered.fetch_add(1, Ordering::Relaxed);
        // One that is down may support the version.
        let refusal = match lacks_version && !is_unavailable {
            true => UNSUPPORTED_VERSION,
            false => SERVER_UNAVAILABLE,
        };
        self.refuse(refusal, UPSTREAM).await;
        None
    }

    /// The upstream has answered: relays AUTH in turn until CONNACK comes.
    pub(super) async fn answered(mut self, mut answered: Answered) -> Option<Relayed> {
        let Some(version) = self.opening.as_ref().map(Opening::version) else {
            let read = std::mem::take(&mut answered.answer);
            return Some(self.relay(None, answered, read));
        };
        loop {
            let Answered { stream, answer, .. } = &mut answered;
            let Ok(Some(length)) = frame::whole(answer, MAX_ANSWER_BYTES) else {
                self.refuse(SERVER_UNAVAILABLE, UPSTREAM).await;
                return None;
            };
            let after = answer.split_off(length);
            if answer.first().is_some_and(|first| *first >> 4 == kind::CONNACK) {
                let decoded = match connack(version, answer) {
                    Ok(decoded) => decoded,
                    Err(code) => {
                        self.refuse(code, UPSTREAM).await;
                        return None;
                    }
                };
                let meaning = stream.connack().unwrap_or(decoded);
                let session = self.connack(&meaning);
                self.emitter.flush().await;
                return Some(self.relay(session, answered, after));
            }
            let asked = std::mem::replace(answer, after);
            let limit = self.shared.limits.handshake_timeout;
            let exchange = self.exchange(stream, &asked);
            if !matches!(timeout(limit, exchange).await, Ok(Ok(()))) {
                self.give_up().await;
                return None;
            }
            let reading = read_packet(stream, answer, MAX_ANSWER_BYTES, is_answer);
            if !matches!(timeout(self.shared.settings.connect_timeout, reading).await, Ok(Ok(_))) {
                self.refuse(SERVER_UNAVAILABLE, UPSTREAM).await;
                return None;
            }
        }
    }

    /// CONNACK passes.
    fn connack(&mut self, meaning: &ConnackPacket) -> Option<ClientSession> {
        let opening = self.opening.take()?;
        if meaning.code == 0 {
            return Some(self.emitter.accept(opening, meaning));
        }
        self.emitter.refuse(&opening, meaning, UPSTREAM);
        Some(opening.into_refused())
    }

    /// Extended authentication: passes a packet of the upstream to the client, and one of the client to the upstream.
    async fn exchange(&mut self, upstream: &mut Box<dyn UpstreamStream>, packet: &[u8]) -> Result<(), PacketReadError> {
        let failed = |_: io::Error| PacketReadError::Closed;
        self.client.write_all(packet).await.map_err(failed)?;
        self.client.flush().await.map_err(failed)?;
        let is_auth = |first: u8| matches!(first >> 4, kind::AUTH | kind::DISCONNECT);
        let length = read_packet(&mut self.client, &mut self.early, MAX_ANSWER_BYTES, is_auth).await?;
        let rest = self.early.split_off(length);
        upstream.write_all(&self.early).await.map_err(failed)?;
        upstream.flush().await.map_err(failed)?;
        self.early = rest;
        Ok(())
    }
}

/// Decodes a whole CONNACK. The error is the code of MQTT 5 for the client that cannot get this packet.
fn connack(version: u8, packet: &[u8]) -> Result<ConnackPacket, u8> {
    let frame = frame::parse(packet).ok_or(SERVER_UNAVAILABLE)?;
    // In MQTT 5 it has at least three bytes.
    if version == 5 && frame.body.len() == 2 {
        return Err(match packet::connack(4, frame.body) {
            // It does not know the version, or ignores it.
            Ok(ConnackPacket { code: 0, .. }) => UNSUPPORTED_VERSION,
            Ok(ConnackPacket { code, .. }) => code,
            Err(_) => SERVER_UNAVAILABLE,
        });
    }
    packet::connack(version, frame.body).map_err(|_| SERVER_UNAVAILABLE)
}

/// Sends CONNECT to one upstream and waits for its answer.
async fn ask(shared: &Shared, target: &Arc<Target>, peer: &Peer, connect: &[u8]) -> Result<Answered, Unanswered> {
    let guard = target.enter();
    let failed = |error: io::Error| Unanswered::Down(error.to_string());
    let connecting = shared.upstreams.connect(target, Some(peer));
    let mut stream = connecting.await.map_err(failed)?;
    stream.write_all(connect).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let mut answer = Vec::new();
    match read_packet(&mut stream, &mut answer, MAX_ANSWER_BYTES, is_answer).await {
        Ok(_) => Ok(Answered { guard, stream, answer }),
        Err(PacketReadError::Closed) => Err(Unanswered::Closed),
        Err(PacketReadError::NotMqtt) => Err(Unanswered::UnexpectedAnswer),
    }
}

/// Whether an upstream answers a CONNECT of MQTT 3.1.1, but none of MQTT 5. The result is remembered, also if it answers
/// neither: otherwise each client that is refused would cost such an upstream two more connections.
async fn supports_only_3_1_1(shared: &Shared, target: &Target) -> bool {
    // The clients that are refused meanwhile wait for this result.
    let mut probed = target.version_probe.lock().await;
    if let Some(known) = probed.as_ref().and_then(VersionProbe::current) {
        return known;
    }
    let supports_5 = answers(shared, target, CONNECT_5).await;
    let only_3_1_1 = !supports_5 && answers(shared, target, CONNECT_3_1_1).await;
    *probed = Some(VersionProbe::new(only_3_1_1));
    only_3_1_1
}

/// Whether an upstream answers this CONNECT, with acceptance or refusal.
async fn answers(shared: &Shared, target: &Target, connect: &[u8]) -> bool {
    let Ok(mut stream) = shared.upstreams.connect(target, None).await else {
        return false;
    };
    if stream.write_all(connect).await.is_err() || stream.flush().await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    let answered = read_packet(&mut stream, &mut answer, MAX_ANSWER_BYTES, is_answer).await;
    // The session of this connection ends at once.
    drop(stream.write_all(DISCONNECT).await);
    drop(stream.shutdown().await);
    answered.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connack_of_another_version() {
        for (version, packet, expected) in [
            (4, &[0x20, 2, 0, 0][..], Ok(0)),
            (4, &[0x20, 2, 0, 1], Ok(132)),
            (4, &[0x20, 2, 0], Err(136)),
            (5, &[0x20, 3, 0, 0, 0], Ok(0)),
            (5, &[0x20, 3, 0, 132, 0], Ok(132)),
            (5, &[0x20, 2, 0, 1], Err(132)),
            (5, &[0x20, 2, 0, 0], Err(132)),
            (5, &[0x20, 2, 0, 2], Err(133)),
            (5, &[0x20, 2, 0, 3], Err(136)),
            (5, &[0x20, 2, 0, 4], Err(134)),
            (5, &[0x20, 2, 0, 5], Err(135)),
            (5, &[0x20, 2, 0, 99], Err(136)),
            (5, &[0x20, 1, 0], Err(136)),
        ] {
            let found = connack(version, packet).map(|connack| connack.code);
            assert_eq!(found, expected, "{version} {packet:?}");
        }
    }
}
