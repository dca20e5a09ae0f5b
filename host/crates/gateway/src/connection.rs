//! One client from CONNECT to CONNACK; then a [`Relay`] takes over.
//!
//! CONNECT is read whole before an upstream is asked. The upstreams are tried one after the other, each within a time
//! limit, until one answers CONNECT with CONNACK or AUTH. If none does, the gateway refuses the client with "server
//! unavailable", or with "unsupported protocol version" if that is the reason (`asking`).

mod asking;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hookhost_listener::{ClientStream, Handshaken, Peer};
use hookhost_relay::{EndCause, ReadAhead, Relay, Timeouts, linger};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::client_locks::ClientLock;
use super::emitter::Emitter;
use super::frame;
use super::inspector::SessionInspector;
use super::lifecycle;
use super::packet::{self, ConnackPacket};
use super::protocol::{ClientSession, Counter, Opening, SocketInfo, UPSTREAM};
use super::publisher_property;
use super::sessions::ConnectionHandle;
use super::shared::{ConnectionGuard, Shared};
use super::stream::UpstreamStream;
use super::upstream::UpstreamGuard;
use super::wire::{self, PacketReadError};
use asking::Answered;
use hookhost_access::{ClientAccess, Verdict};

/// Bytes of the client that are held while it waits for CONNACK.
const MAX_EARLY_BYTES: usize = 64 << 10;
/// How long a refusal may take to the client.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// The refusal if no upstream answers, as a code of MQTT 5.
const SERVER_UNAVAILABLE: u8 = 136;

/// Serves one client until it is gone. What the beginning of a connection needs and the relay itself are boxed, so that
/// the task of a connected client has space for neither.
pub(super) fn serve(guard: ConnectionGuard, handshaken: Handshaken) -> impl Future<Output = ()> + Send {
    let Handshaken { stream, peer, permit } = handshaken;
    let (stopping, number) = (guard.shared.stopping.clone(), guard.number);
    let opening = Box::pin(open(Arc::clone(&guard.shared), number, stream, peer));
    async move {
        let _counted = (guard, permit);
        let Some(relayed) = opening.await else { return };
        let Relayed {
            relay,
            handle,
            access,
            upstream,
        } = relayed;
        let expired = async {
            match &access {
                Some(access) => access.expired().await,
                None => std::future::pending().await,
            }
        };
        let interrupted = pin!(async {
            tokio::select! {
                () = stopping.cancelled() => EndCause::Stopping,
                () = handle.kick.notified() => EndCause::Kicked,
                () = expired => EndCause::Expired,
                () = upstream.drained(number) => EndCause::Draining,
            }
        });
        relay.run(interrupted).await;
    }
}

/// Takes a client up to CONNACK.
async fn open(shared: Arc<Shared>, number: u64, mut client: ClientStream, peer: Peer) -> Option<Relayed> {
    let (connect, early) = read_connect(&shared, &mut client).await?;
    shared.traffic.connect(connect.len());
    let mut handshake = Handshake {
        emitter: Emitter::new(&shared),
        shared,
        opening: None,
        client,
        peer,
        early,
    };
    let connect = handshake.open(number, connect)?;
    handshake.emitter.flush().await;
    if !handshake.authenticate().await {
        return None;
    }
    handshake.finish(connect).await
}

/// Reads CONNECT; returns it and the bytes after it. `None` if it does not arrive in time.
async fn read_connect(shared: &Shared, client: &mut ClientStream) -> Option<(Vec<u8>, Vec<u8>)> {
    let limits = &shared.limits;
    let reading = wire::read_connect(client, limits.max_packet_size as usize);
    let read = tokio::select! {
        read = timeout(limits.handshake_timeout, reading) => read.ok()?,
        () = shared.stopping.cancelled() => return None,
    };
    if let Err(PacketReadError::NotMqtt) = read {
        shared.counts.not_mqtt.fetch_add(1, Ordering::Relaxed);
    }
    read.ok()
}

/// A client after CONNACK.
struct Relayed {
    relay: Box<Relay<SessionInspector, Box<dyn UpstreamStream>>>,
    /// What an administrator ends it with.
    handle: Arc<ConnectionHandle>,
    /// What the host itself lets the client do.
    access: Option<ClientAccess>,
    /// Which upstream it is connected to.
    upstream: UpstreamGuard,
}

/// A client that waits for CONNACK.
struct Handshake {
    shared: Arc<Shared>,
    /// `None` if CONNECT cannot be decoded: then bytes are relayed and there are no events.
    opening: Option<Opening>,
    emitter: Emitter,
    client: ClientStream,
    peer: Peer,
    /// What the client has sent after CONNECT.
    early: Vec<u8>,
}

impl Handshake {
    /// Decodes CONNECT; returns it as the upstream gets it. `None` if it may not pass.
    fn open(&mut self, number: u64, mut connect: Vec<u8>) -> Option<Vec<u8>> {
        let adds_publishers = self.shared.adds_publishers();
        if adds_publishers && let Some(clean) = publisher_property::remove_from_will(&connect) {
            connect = clean;
        }
        let decoded = frame::parse(&connect).map(|frame| packet::connect(frame.body));
        let Some(Ok(decoded)) = decoded else {
            self.shared.counts.add(Counter::InvalidPacket);
            // The upstream may understand it, but its publishes could not be checked for the property.
            return (!adds_publishers).then_some(connect);
        };
        let socket = SocketInfo {
            number,
            peer: self.peer.clone(),
        };
        let (opening, property) = self.emitter.run(|step| {
            let mut opening = Opening::new(socket, decoded, step);
            let property = adds_publishers.then(|| opening.will_property(step)).flatten();
            (opening, property)
        });
        self.opening = Some(opening);
        let max_packet_size = self.shared.limits.max_packet_size as usize;
        let added =
            property.and_then(|property| publisher_property::insert_into_will(&connect, &property, max_packet_size));
        Some(added.unwrap_or(connect))
    }

    /// Whether the host itself accepts the client. Refuses it otherwise.
    async fn authenticate(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let Some(opening) = &self.opening else {
            // Nothing is known about this client.
            return shared.access.accepts_everybody() && shared.access.is_unrestricted();
        };
        let verdict = tokio::select! {
            verdict = shared.access.authenticate(opening.login()) => verdict,
            () = wire::closed(&mut self.client, &mut self.early, MAX_EARLY_BYTES) => {
                self.give_up().await;
                return false;
            }
            () = shared.stopping.cancelled() => return false,
        };
        match verdict {
            Verdict::Accepted(access) => {
                if let Some(opening) = &mut self.opening {
                    opening.set_access(access);
                }
                true
            }
            Verdict::Refused { refusal, source } => {
                self.refuse(refusal.code(), source).await;
                false
            }
        }
    }

    /// Sends CONNECT to the upstreams until one answers; returns the relay if the client goes on.
    async fn finish(mut self, connect: Vec<u8>) -> Option<Relayed> {
        let _lock = self.lock().await;
        if let Some(opening) = &self.opening {
            lifecycle::announce(&self.shared.sessions, opening);
        }
        let stopping = self.shared.stopping.clone();
        let answered = tokio::select! {
            asked = self.ask(&connect) => asked?,
            () = stopping.cancelled() => {
                self.refuse(SERVER_UNAVAILABLE, UPSTREAM).await;
                return None;
            }
        };
        drop(connect);
        self.answered(answered).await
    }

    /// Waits until no other connection of the same client is being opened.
    async fn lock(&self) -> Option<ClientLock> {
        let client_id = self.opening.as_ref()?.client_id();
        let limit = self.shared.settings.connect_timeout;
        self.shared.connecting.wait(client_id, limit).await
    }

    fn relay(
        self,
        session: Option<ClientSession>,
        Answered { guard, stream, answer }: Answered,
        upstream: Vec<u8>,
    ) -> Relayed {
        let ahead = ReadAhead {
            connack: answer,
            client: self.early,
            upstream,
        };
        let handle = session.as_ref().map_or_else(Arc::default, ClientSession::handle);
        let timeouts = Timeouts {
            keep_alive: session.as_ref().map_or(0, ClientSession::keep_alive),
            keepalive_backoff: self.shared.limits.keepalive_backoff,
            send: self.shared.limits.send_timeout,
            response: self.shared.settings.response_timeout,
        };
        let access = session.as_ref().and_then(ClientSession::access).cloned();
        let traffic = self.shared.traffic.clone();
        let inspector = SessionInspector::new(self.shared, session, self.emitter);
        let longest = inspector.longest();
        let relay = Relay::new(inspector, self.client, stream, ahead, timeouts, longest, &traffic);
        Relayed {
            relay,
            handle,
            access,
            upstream: guard,
        }
    }

    /// The gateway itself refuses the client. `source`: what has decided.
    async fn refuse(&mut self, code: u8, source: &'static str) {
        let Some(opening) = &self.opening else { return };
        let answer = ConnackPacket {
            code,
            ..ConnackPacket::default()
        };
        self.emitter.refuse(opening, &answer, source);
        let refusal = packet::refusal(opening.version(), code);
        self.emitter.flush().await;
        // A client that has gone does not read it.
        if timeout(REFUSAL_TIMEOUT, self.client.write_all(&refusal)).await.is_ok() {
            linger(&mut self.client).await;
        }
    }

    /// The client has gone.
    async fn give_up(&mut self) {
        if let Some(opening) = &self.opening {
            self.emitter.retract(opening);
            self.emitter.flush().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output_size<A, B, F>(_: impl Fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    /// A gateway has one of these for each connected client. One wait that is not boxed can add thousands of bytes.
    #[test]
    fn the_task_of_a_client_is_small() {
        let size = output_size(serve);
        assert!(size <= 2048, "{size}");
    }
}
