//! One client of RMQTT from CONNECT on: the relay between its socket and RMQTT's loopback port.
//!
//! CONNECT is read whole before RMQTT hears of the client, so a client that is silent, slow or no MQTT client costs
//! RMQTT nothing. The relay does what RMQTT and its hooks do not do, or do too late:
//!
//! - a CONNACK that refuses without a hook becomes a `client-connack` event;
//! - when RMQTT closes the connection of an MQTT 5 client, the relay sends DISCONNECT with the code that the hook names;
//! - the relay ends a connection exactly when its keep alive is over;
//! - a PUBREC reaches RMQTT, and causes PUBREL, after the disk has it, so that a QoS 2 message is not sent again;
//! - PUBREL says which QoS 2 publishes cannot come again;
//! - PUBACK and PUBREC reach the client after the requests of the publish are on the disk, if a rule demands it;
//! - an invalid filter of an MQTT 3 client is replaced by one that RMQTT refuses with 0x80 (see [`super::filters`]);
//! - a client of MQTT 5 without client id and clean start is accepted;
//! - a packet that MQTT forbids and RMQTT accepts ends the connection (see [`super::strict`]);
//! - a DISCONNECT that asks for the will does not reach RMQTT, which would publish no will.
//!
//! From CONNACK on, all other bytes pass unchanged. [`FrontInspector`] finds the packets in them and reads those of up to
//! 4 KiB; a DISCONNECT of the relay never comes in the middle of another packet.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::time::timeout;

use hookhost_listener::{ClientStream, ConnectionPermit, Handshaken, Peer, advice};
use hookhost_relay::frame::{self, Frame};
use hookhost_relay::packet::{self, Connect, InvalidPacket, kind};
use hookhost_relay::wire::{PacketReadError, read_connect, read_packet};
use hookhost_relay::{EndCause, ReadAhead, Relay, Timeouts, Traffic, TrafficCounts};

use super::connect::refused_connection;
use super::engine_stream::EngineStream;
use super::filters::FilterRules;
use super::front_inspector::FrontInspector;
use super::handler::EventSource;
use super::limits::Limits;
use super::relayed::Relayed;
use super::sent::SentConnect;
use super::strict;
use crate::conventions::UNSUPPORTED_VERSION;

/// The longest CONNACK of RMQTT.
const MAX_CONNACK_BYTES: usize = 256 << 10;
/// The longest packet of either side that is inspected, in bytes without its fixed header; longer ones pass.
const MAX_INSPECTED_BYTES: usize = 4096;
/// How often connecting is tried if another program uses the source address.
const DIAL_ATTEMPTS: usize = 16;
/// Bytes of RMQTT's packets that the system keeps for the relay.
const RECEIVE_BUFFER_BYTES: u32 = 256 << 10;

type FrontRelay = Box<Relay<FrontInspector, EngineStream>>;

/// Relays clients to RMQTT.
pub(super) struct Front {
    pub(super) source: Arc<EventSource>,
    pub(super) limits: Limits,
    /// Where RMQTT listens.
    engine: SocketAddr,
    counts: Counts,
    traffic: Traffic,
}

/// What the relay counts since the start.
#[derive(Default)]
struct Counts {
    /// Connections that did not begin with a valid CONNECT.
    not_mqtt: AtomicU64,
    /// Connections without a whole CONNECT in time.
    late: AtomicU64,
}

impl Front {
    /// A relay to RMQTT, which listens at `engine`.
    pub(super) fn new(source: Arc<EventSource>, limits: Limits, engine: SocketAddr) -> Front {
        Front {
            source,
            limits,
            engine,
            counts: Counts::default(),
            traffic: Traffic::default(),
        }
    }

    /// What has passed since the start.
    pub(super) fn traffic(&self) -> TrafficCounts {
        self.traffic.counts()
    }

    /// Counters since the start, by name.
    pub(super) fn counters(&self) -> [(&'static str, u64); 2] {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("not_mqtt", count(&self.counts.not_mqtt)),
            ("connects_timed_out", count(&self.counts.late)),
        ]
    }

    /// Serves one client until it is gone. What the beginning of a connection needs and the relay itself are boxed, so that
    /// the task of a connected client has space for neither.
    pub(super) fn serve(self: Arc<Front>, handshaken: Handshaken) -> impl Future<Output = ()> + Send {
        let opening = Box::pin(self.open(handshaken));
        async move {
            let Some((relay, relayed, _permit)) = opening.await else {
                return;
            };
            let expired = pin!(async {
                relayed.client.expired().await;
                EndCause::Expired
            });
            relay.run(expired).await;
        }
    }

    /// Opens the connection to RMQTT.
    async fn open(self: Arc<Front>, handshaken: Handshaken) -> Option<(FrontRelay, Relayed, ConnectionPermit)> {
        let Handshaken { stream, peer, permit } = handshaken;
        let (relay, relayed) = self.connect(stream, peer).await?;
        Some((relay, relayed, permit))
    }

    /// Takes a client up to CONNACK.
    async fn connect(&self, mut client: ClientStream, peer: Peer) -> Option<(FrontRelay, Relayed)> {
        let limits = &self.limits;
        // RMQTT counts the length without the fixed header.
        let longest = limits.max_packet_size as usize + MAX_FIXED_HEADER_BYTES;
        let reading = timeout(limits.handshake_timeout, read_connect(&mut client, longest));
        let (packet, early) = match reading.await {
            Ok(Ok(read)) => read,
            Ok(Err(PacketReadError::Closed)) => return None,
            Ok(Err(PacketReadError::NotMqtt)) => {
                self.counts.not_mqtt.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            Err(_) => {
                self.counts.late.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        };
        self.traffic.connect(packet.len());
        let body = frame::parse(&packet).map(|frame| frame.body).unwrap_or_default();
        let connect = match packet::connect(body) {
            // RMQTT does not know bridges; they try again without saying that they are one.
            Ok(connect) if connect.bridge => {
                self.refuse_forbidden(client, &peer, &connect, UNSUPPORTED_VERSION)
                    .await;
                return None;
            }
            Ok(connect) => match strict::connect(body) {
                None => connect,
                Some(code) => {
                    self.counts.not_mqtt.fetch_add(1, Ordering::Relaxed);
                    self.refuse_forbidden(client, &peer, &connect, code).await;
                    return None;
                }
            },
            Err(InvalidPacket(code)) => {
                self.counts.not_mqtt.fetch_add(1, Ordering::Relaxed);
                self.refuse_unreadable(client, &peer, body, code).await;
                return None;
            }
        };
        let packet = for_engine(&connect, body).unwrap_or(packet);
        let relayed = self.source.clients.add(peer, SentConnect::of(&connect));
        let mut engine = match dial(relayed.address, self.engine).await {
            Ok(engine) => engine,
            Err(error) => {
                tracing::warn!(%error, "the broker engine cannot be reached{}", advice(&error));
                let connection = refused_connection(&connect, &relayed.client.peer, limits);
                self.refuse(client, connect.version, 136, Some(connection)).await;
                return None;
            }
        };
        engine.write_all(&packet).await.ok()?;
        drop(packet);
        let mut connack = Vec::new();
        let is_connack = |first: u8| first == kind::CONNACK << 4;
        let length = read_packet(&mut engine, &mut connack, MAX_CONNACK_BYTES, is_connack)
            .await
            .ok()?;
        let upstream = connack.split_off(length);
        let body = frame::parse(&connack).map(|frame| frame.body).unwrap_or_default();
        let answer = packet::connack(connect.version, body).ok()?;
        if answer.code != 0 {
            let unseen = !relayed.client.is_answered.load(Ordering::Relaxed);
            let connection = unseen.then(|| refused_connection(&connect, &relayed.client.peer, limits));
            self.write_refusal(client, &connack, answer.code, connection).await;
            return None;
        }
        Some((
            self.relay(
                client,
                engine,
                &relayed,
                &connect,
                answer.keep_alive,
                ReadAhead {
                    connack,
                    client: early,
                    upstream,
                },
            ),
            relayed,
        ))
    }

    fn relay(
        &self,
        client: ClientStream,
        engine: EngineStream,
        relayed: &Relayed,
        connect: &Connect,
        keep_alive: Option<u16>,
        ahead: ReadAhead,
    ) -> FrontRelay {
        let session = self.source.persistent.get(&connect.client_id);
        let filters = FilterRules::new(&self.limits);
        let inspector = FrontInspector::new(
            Arc::clone(&relayed.client),
            connect.version,
            self.limits.max_topic_aliases,
            session,
            filters,
        );
        let timeouts = Timeouts {
            keep_alive: keep_alive.unwrap_or(connect.keep_alive),
            keepalive_backoff: self.limits.keepalive_backoff,
            send: self.limits.send_timeout,
            // RMQTT is in this process.
            response: Duration::ZERO,
        };
        let longest = [MAX_INSPECTED_BYTES; 2];
        Relay::new(inspector, client, engine, ahead, timeouts, longest, &self.traffic)
    }
}

/// The CONNECT that RMQTT gets in place of one that MQTT 5 allows and RMQTT refuses: without client id and clean start. The
/// client gets a new id, for which there is no session, so a clean start changes nothing for it.
fn for_engine(connect: &Connect, body: &[u8]) -> Option<Vec<u8>> {
    let is_refused = connect.version == 5 && connect.client_id.is_empty() && !connect.clean_start;
    let body = packet::with_clean_start(body).filter(|_| is_refused)?;
    let first = kind::CONNECT << 4;
    Some(Frame { first, body: &body }.packet())
}

/// Type and length of a packet.
const MAX_FIXED_HEADER_BYTES: usize = 5;

/// Connects to RMQTT from this address.
async fn dial(from: SocketAddr, engine: SocketAddr) -> io::Result<EngineStream> {
    let mut attempts = 0;
    loop {
        let socket = TcpSocket::new_v4()?;
        // Another connection of this address, to another place, is no hindrance.
        socket.set_reuseaddr(true)?;
        // What waits for a client that does not read waits in RMQTT's bounded queue, not in the system.
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        let connected = match socket.bind(from) {
            Ok(()) => socket.connect(engine).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(stream) => return EngineStream::new(stream),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts < DIAL_ATTEMPTS => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_of_a_connected_client_is_small() {
        fn task_bytes<F>(_: impl Fn(Arc<Front>, Handshaken) -> F) -> usize {
            size_of::<F>()
        }
        let bytes = task_bytes(Front::serve);
        assert!(bytes <= 768, "{bytes} bytes");
        let bytes = size_of::<Relay<FrontInspector, EngineStream>>();
        assert!(bytes <= 1024, "{bytes} bytes");
    }
}
