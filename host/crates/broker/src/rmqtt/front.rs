//! One client of RMQTT from CONNECT on: the relay between its socket and RMQTT's loopback port.
//!
//! CONNECT is read whole before RMQTT hears of the client, so a client that is silent, slow or no MQTT client costs
//! RMQTT nothing. The relay sees what RMQTT's hooks do not say, or say too late:
//!
//! - a CONNACK that refuses without a hook becomes a `client-connack` event;
//! - when RMQTT closes the connection of an MQTT 5 client, the relay sends DISCONNECT with the code that the hook names;
//! - the relay ends a connection exactly when its keep alive is over;
//! - a PUBREC reaches RMQTT, and causes PUBREL, after the disk has it, so that a QoS 2 message is not sent again;
//! - PUBREL says which QoS 2 publishes cannot come again;
//! - an invalid filter of an MQTT 3 client is replaced by one that RMQTT refuses with 0x80 (see [`super::filters`]).
//!
//! From CONNACK on bytes pass unchanged; packets are only counted through by their lengths, so that a DISCONNECT never
//! comes in the middle of another packet. An acknowledgement that has to wait would be taken out of
//! the stream in [`FrontInspector::inspect`] and written in `release`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use hookhost_event::{Client, Connack, Connection, Detail, End, EndReason, Hook};
use hookhost_listener::{ClientStream, Handshaken, Peer};
use hookhost_relay::frame::{self, Frame, Piece};
use hookhost_relay::packet::{self, Connect, InvalidPacket, kind};
use hookhost_relay::wire::{NoPacket, read_connect, read_packet};
use hookhost_relay::{Direction, EndCause, Farewell, Inspected, Inspector, ReadAhead, Relay, Side, Timeouts, linger};
use hookhost_sessions::Commit;

use super::filters::FilterRules;
use super::handler::EventSource;
use super::limits::Limits;
use super::persistent::PersistentSession;
use super::relayed::{Relayed, RelayedClient};

/// The longest CONNACK of RMQTT.
const MAX_CONNACK_BYTES: usize = 256 << 10;
/// The longest packet that is looked into: acknowledgements and SUBSCRIBE.
const MAX_INSPECTED_BYTES: usize = 4096;
/// How long a refusal may take to the client.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How often connecting is tried if another program uses the source address.
const DIAL_ATTEMPTS: usize = 16;
/// Bytes of RMQTT's packets that the system keeps for the relay.
const RECEIVE_BUFFER_BYTES: u32 = 256 << 10;

/// Relays clients to RMQTT.
pub(super) struct Front {
    source: Arc<EventSource>,
    limits: Limits,
    /// Where RMQTT listens.
    engine: SocketAddr,
    counts: Counts,
}

/// What the relay counts since the start.
#[derive(Default)]
struct Counts {
    /// Connections that did not begin with a CONNECT that can be read.
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
        }
    }

    /// Counters since the start, by name.
    pub(super) fn counters(&self) -> [(&'static str, u64); 2] {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("not_mqtt", count(&self.counts.not_mqtt)),
            ("connects_timed_out", count(&self.counts.late)),
        ]
    }

    /// Serves one client until it is gone.
    pub(super) async fn serve(self: Arc<Front>, handshaken: Handshaken) {
        let Handshaken {
            stream: client,
            peer,
            permit: _permit,
        } = handshaken;
        // Boxed, so that the task of a connected client does not keep the space of its beginning.
        if let Some((relay, relayed)) = Box::pin(self.open(client, peer)).await {
            drop(self);
            let expired = async {
                relayed.client.expired().await;
                EndCause::Expired
            };
            relay.run(expired).await;
        }
    }

    /// Takes a client up to CONNACK.
    async fn open(&self, mut client: ClientStream, peer: Peer) -> Option<(Relay<FrontInspector, TcpStream>, Relayed)> {
        let limits = &self.limits;
        // RMQTT counts the length without the fixed header.
        let longest = limits.max_packet_size as usize + MAX_FIXED_HEADER_BYTES;
        let reading = timeout(limits.handshake_timeout, read_connect(&mut client, longest));
        let (packet, early) = match reading.await {
            Ok(Ok(read)) => read,
            Ok(Err(NoPacket::Closed)) => return None,
            Ok(Err(NoPacket::NotMqtt)) => {
                self.counts.not_mqtt.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            Err(_) => {
                self.counts.late.fetch_add(1, Ordering::Relaxed);
                return None;
            }
        };
        let body = frame::parse(&packet).map(|frame| frame.body).unwrap_or_default();
        let connect = match packet::connect(body) {
            // RMQTT does not know bridges; they try again without saying that they are one.
            Ok(connect) if connect.bridge => {
                let version = connect.version;
                self.refuse(client, version, 132, Some(connect.connection(&peer))).await;
                return None;
            }
            Ok(connect) => connect,
            Err(InvalidPacket(code)) => {
                self.counts.not_mqtt.fetch_add(1, Ordering::Relaxed);
                self.refuse_unreadable(client, &peer, body, code).await;
                return None;
            }
        };
        let relayed = self.source.clients.add(peer);
        let mut engine = match dial(relayed.address, self.engine).await {
            Ok(engine) => engine,
            Err(error) => {
                tracing::warn!(%error, "the broker engine cannot be reached");
                let connection = connect.connection(&relayed.client.peer);
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
            let connection = unseen.then(|| connect.connection(&relayed.client.peer));
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
        engine: TcpStream,
        relayed: &Relayed,
        connect: &Connect,
        keep_alive: Option<u16>,
        ahead: ReadAhead,
    ) -> Relay<FrontInspector, TcpStream> {
        let session = self.source.persistent.get(&connect.client_id);
        let inspector = FrontInspector {
            client: Arc::clone(&relayed.client),
            version: connect.version,
            is_leaving: false,
            session,
            commit: None,
            filters: FilterRules::new(&self.limits),
        };
        let timeouts = Timeouts {
            keep_alive: keep_alive.unwrap_or(connect.keep_alive),
            keepalive_backoff: self.limits.keepalive_backoff,
            send: self.limits.send_timeout,
            // RMQTT is in this process.
            response: Duration::ZERO,
        };
        Relay::new(inspector, client, engine, ahead, timeouts, [MAX_INSPECTED_BYTES, 0])
    }

    /// Answers a CONNECT that cannot be read, if its protocol and version can be.
    async fn refuse_unreadable(&self, client: ClientStream, peer: &Peer, body: &[u8], code: u8) {
        let Some(start) = ConnectStart::read(body) else { return };
        // Before MQTT 5 a malformed CONNECT is not answered. An unknown version is, as 3.1.1 demands.
        if start.level != 5 && !matches!(code, 132 | 133) {
            return;
        }
        let connection = Connection {
            client: Client {
                peer: peer.address,
                protocol_version: start.level,
                ..Client::default()
            },
            listener: peer.listener.clone(),
            transport: peer.transport(),
            local: peer.local,
            protocol_name: start.name.into(),
            keep_alive: start.keep_alive,
            clean_start: start.clean_start,
            certificate: peer.event_certificate(),
            ..Connection::default()
        };
        self.refuse(client, start.level, code, Some(connection)).await;
    }

    /// The relay itself refuses a client.
    async fn refuse(&self, client: ClientStream, version: u8, code: u8, connection: Option<Connection>) {
        self.write_refusal(client, &packet::refusal(version, code), code, connection)
            .await;
    }

    /// Sends a refusal; `connection` is what the event says, if no event has told it.
    async fn write_refusal(&self, mut client: ClientStream, connack: &[u8], code: u8, connection: Option<Connection>) {
        if let Some(connection) = connection {
            self.source
                .emitter
                .emit(Hook::ClientConnack, None, || {
                    Detail::ClientConnack(Connack {
                        connection,
                        code,
                        session_present: false,
                        connected_at: None,
                        properties: None,
                    })
                })
                .await;
        }
        let writing = async {
            client.write_all(connack).await?;
            client.flush().await
        };
        if let Ok(Ok(())) = timeout(REFUSAL_TIMEOUT, writing).await {
            linger(&mut client).await;
        }
    }
}

/// Type and length of a packet.
const MAX_FIXED_HEADER_BYTES: usize = 5;

/// Connects to RMQTT from this address.
async fn dial(from: SocketAddr, engine: SocketAddr) -> io::Result<TcpStream> {
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
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts < DIAL_ATTEMPTS => {
                attempts += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The beginning of a CONNECT, as far as its version allows to read it.
#[derive(Debug, PartialEq, Eq)]
struct ConnectStart<'b> {
    name: &'b str,
    level: u8,
    clean_start: bool,
    keep_alive: u16,
}

impl ConnectStart<'_> {
    /// Reads it; `None` if it is not MQTT.
    fn read(body: &[u8]) -> Option<ConnectStart<'_>> {
        let (length, rest) = body.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let name = std::str::from_utf8(rest.get(..length)?).ok()?;
        let ([level, flags, high, low], _) = rest.get(length..)?.split_first_chunk::<4>()?;
        matches!(name, "MQTT" | "MQIsdp").then_some(ConnectStart {
            name,
            level: *level,
            clean_start: flags & 2 != 0,
            keep_alive: u16::from_be_bytes([*high, *low]),
        })
    }
}

/// Sees what passes between a client and RMQTT.
pub(super) struct FrontInspector {
    client: Arc<RelayedClient>,
    version: u8,
    is_leaving: bool,
    /// The client's session, if it outlives the connection.
    session: Option<Arc<PersistentSession>>,
    /// What has to be on the disk before RMQTT gets what the client has sent.
    commit: Option<Commit>,
    filters: FilterRules,
}

impl FrontInspector {
    /// Tells the session what the client acknowledges.
    fn acknowledgement(&mut self, kind: u8, body: &[u8]) {
        let Some(session) = &self.session else { return };
        let Some((id, rest)) = body.split_first_chunk() else {
            return;
        };
        let packet_id = u16::from_be_bytes(*id);
        // A code from 128 on refuses the message.
        let is_refused = rest.first().is_some_and(|code| *code >= 128);
        if kind == kind::PUBREC && !is_refused {
            self.commit = session.received(packet_id).or(self.commit.take());
        } else if kind == kind::PUBREL {
            session.released(packet_id);
        }
    }
}

impl FrontInspector {
    /// A SUBSCRIBE with filters that RMQTT refuses in place of invalid ones; `None` for any other packet. `length`: how
    /// much of the packet is in this piece. What came before is on its way already.
    fn refusable(&self, frame: Frame<'_>, length: usize) -> Option<Vec<u8>> {
        if self.version == 5 || frame.kind() != kind::SUBSCRIBE {
            return None;
        }
        let body = self.filters.replace_invalid(frame.body)?;
        let is_whole = frame.packet().len() == length;
        let first = frame.first;
        is_whole.then(|| Frame { first, body: &body }.packet())
    }
}

impl Inspector for FrontInspector {
    fn inspect(&mut self, from: Side, piece: &[u8], direction: &mut Direction) -> Inspected {
        let mut input = piece;
        let mut rewritten = Vec::new();
        let mut copied = 0;
        loop {
            let start = piece.len() - input.len();
            let Some(found) = direction.framer.next(&mut input) else {
                break;
            };
            let end = piece.len() - input.len();
            if let Piece::Packet(frame) = found
                && from == Side::Client
            {
                self.acknowledgement(frame.kind(), frame.body);
                if let Some(subscribe) = self.refusable(frame, end - start) {
                    rewritten.extend_from_slice(piece.get(copied..start).unwrap_or_default());
                    rewritten.extend_from_slice(&subscribe);
                    copied = end;
                }
            }
            let first = direction.framer.head().first().copied().unwrap_or_default();
            let is_disconnect = Frame { first, body: &[] }.kind() == kind::DISCONNECT;
            self.is_leaving |= is_disconnect && from == Side::Client;
        }
        let passes = copied == 0;
        if !passes {
            rewritten.extend_from_slice(piece.get(copied..).unwrap_or_default());
            direction.out = rewritten;
        }
        Inspected {
            passes,
            has_ping: false,
        }
    }

    fn is_clear(&self) -> bool {
        self.commit.is_none()
    }

    async fn flush(&mut self) {
        if let Some(commit) = self.commit.take() {
            commit.finished().await;
        }
    }

    fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    fn end(&mut self, _: EndCause) {
        // RMQTT sees that the client has closed, and says so.
    }

    async fn farewell(&mut self, cause: EndCause) -> Farewell {
        let end = |reason, code, text: Option<&'static str>| End {
            reason,
            code,
            text: text.map(Into::into),
            properties: None,
        };
        let code = match cause {
            EndCause::UpstreamClosed => self.client.disconnect_code().await,
            EndCause::KeepAlive => {
                self.client
                    .end_by_relay(end(EndReason::KeepAliveTimeout, Some(141), None));
                Some(141)
            }
            EndCause::Expired => {
                self.client.end_by_relay(end(EndReason::Expired, Some(160), None));
                Some(160)
            }
            EndCause::TooSlow => {
                self.client.end_by_relay(end(EndReason::TooSlow, None, None));
                None
            }
            EndCause::ClientFailed(name) => {
                self.client.end_by_relay(end(EndReason::SocketError, None, name));
                None
            }
            EndCause::ClientClosed
            | EndCause::UpstreamSilent
            | EndCause::Protocol(_)
            | EndCause::Kicked
            | EndCause::Stopping => None,
        };
        Farewell {
            code: code.filter(|_| self.version == 5 && !self.is_leaving),
            to_upstream: &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_a_connect_is_read_whatever_its_version() {
        let start = |body| ConnectStart::read(body);
        assert_eq!(
            start(b"\0\x04MQTT\x09\x02\0\x3c\0\x01c"),
            Some(ConnectStart {
                name: "MQTT",
                level: 9,
                clean_start: true,
                keep_alive: 60
            })
        );
        assert_eq!(start(b"\0\x06MQIsdp\x03\0\0\0").map(|start| start.level), Some(3));
        for body in [
            &b""[..],
            b"\0\x04MQTT\x04\x02\0",
            b"\0\x04mqtt\x04\x02\0\0",
            b"\xff\xffMQTT",
            b"\0\x01\xff\x04\0\0\0",
        ] {
            assert_eq!(start(body), None, "{body:?}");
        }
    }
}
