//! A broker that speaks plain MQTT of all versions, made of rumqttd and the [`Shield`] before it.
//!
//! The gateway gets one end of a stream in memory. A task at the other end answers CONNECT, opens a connection to rumqttd
//! for it, and translates packets in both directions until one side closes. rumqttd mixes connections up if two of one
//! client overlap, so a task opens its connection only when rumqttd has closed the client's former one.
//!
//! A packet that would harm rumqttd never reaches it: it ends its connection, with a reason that the gateway can ask for.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytestring::ByteString;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Instance;
use super::bridge::{Bridge, Ended};
use super::connect::ShieldedConnect;
use super::shield::Shield;
use crate::client_locks::{ClientLock, ClientLocks};
use crate::frame::parse;
use crate::packet::{self, ConnackPacket, InvalidPacket, kind};
use crate::stream::UpstreamStream;
use crate::wire::{PacketReadError, closed, drain, read_packet};

/// Bytes that the stream in memory holds in each direction.
const BUFFER: usize = 64 << 10;
/// The longest CONNACK of rumqttd.
const MAX_CONNACK_BYTES: usize = 256 << 10;
/// Bytes of the client that are held until rumqttd has answered.
const MAX_EARLY_BYTES: usize = 64 << 10;
/// How long rumqttd may take to close a connection, and the gateway to take what was written last.
const LINGER: Duration = Duration::from_secs(10);

/// The gateway's end of a connection.
pub(super) struct LocalStream {
    stream: DuplexStream,
    report: Arc<Report>,
}

/// What packets of older versions cannot carry.
#[derive(Default)]
struct Report {
    connack: OnceLock<ConnackPacket>,
    violation: OnceLock<u8>,
}

/// Which connections clients have.
#[derive(Default)]
pub(super) struct Connections {
    /// Held by a connection until rumqttd has closed it.
    locks: ClientLocks,
    /// Ends the client's connection, by client id; and the number of that connection.
    current: Mutex<HashMap<ByteString, (u64, CancellationToken)>>,
}

/// Connects a client; must be called in a tokio runtime.
pub(super) fn connect(instance: &Arc<Instance>) -> LocalStream {
    let (near, far) = tokio::io::duplex(BUFFER);
    let report = Arc::new(Report::default());
    drop(tokio::spawn(serve(Arc::clone(instance), far, Arc::clone(&report))));
    LocalStream { stream: near, report }
}

/// Serves one connection until it is closed on both sides.
async fn serve(instance: Arc<Instance>, mut client: DuplexStream, report: Arc<Report>) {
    let mut early = Vec::new();
    let is_connect = |first: u8| first == kind::CONNECT << 4;
    let Ok(length) = read_packet(&mut client, &mut early, instance.max_packet_size, is_connect).await else {
        return;
    };
    let rest = early.split_off(length);
    let Some(Ok(connect)) = parse(&early).map(|frame| packet::connect(frame.body)) else {
        return;
    };
    let mut early = rest;
    let new_id = || format!("hookhost-{}", instance.ids.id()).into();
    let opened = match ShieldedConnect::new(&connect, &instance.password, new_id) {
        Ok(opened) => opened,
        Err(code) => {
            report.refuse(code);
            let refusal = packet::refusal(connect.version, code);
            if client.write_all(&refusal).await.is_ok() {
                close(&mut client).await;
            }
            return;
        }
    };
    let number = instance.next_connection();
    let replaced = instance.connections.register(&connect.client_id, number);
    let answered = tokio::select! {
        answered = ask(&instance, &connect.client_id, opened) => answered.ok(),
        () = closed(&mut client, &mut early, MAX_EARLY_BYTES) => None,
        () = replaced.cancelled() => None,
    };
    if let Some(answered) = answered {
        // The gateway may ask for it as soon as it has read the packet, so it comes first.
        report.connack.set(answered.meaning).ok();
        let mut bridge = Bridge::new(answered.shield, instance.max_packet_size, answered.connack);
        let mut rumqttd = answered.rumqttd;
        let ended = bridge
            .run(&mut client, &mut rumqttd, early, answered.ahead, &replaced)
            .await;
        if let Ended::Violation(code) = ended {
            report.violation.set(code).ok();
        }
        let lock = answered.lock;
        let settle = async {
            settle(&mut rumqttd, bridge.has_disconnected()).await;
            drop(lock);
        };
        tokio::join!(settle, close(&mut client));
    }
    instance.connections.unregister(&connect.client_id, number);
}

/// rumqttd has answered CONNECT.
struct Answered {
    rumqttd: TcpStream,
    shield: Shield,
    /// CONNACK for the client, and its meaning.
    connack: Vec<u8>,
    meaning: ConnackPacket,
    /// What rumqttd has sent after CONNACK.
    ahead: Vec<u8>,
    /// The client's lock; `None` for a client without an id.
    lock: Option<ClientLock>,
}

/// Waits for the client's former connection to close, and opens a connection to rumqttd.
async fn ask(instance: &Instance, client_id: &ByteString, opened: ShieldedConnect) -> io::Result<Answered> {
    // The gateway has a limit of its own for this wait.
    let lock = instance.connections.locks.wait(client_id, Duration::MAX).await;
    if let Some(discard) = &opened.discard {
        let mut rumqttd = dial(instance).await?;
        rumqttd.write_all(discard).await?;
        if connack(&mut rumqttd, &mut Vec::new()).await.is_ok() {
            rumqttd.write_all(&[kind::DISCONNECT << 4, 0]).await?;
            // When rumqttd has closed, the session is gone.
            drain(&mut rumqttd).await;
        }
    }
    let mut rumqttd = dial(instance).await?;
    rumqttd.write_all(&opened.connect).await?;
    let mut answer = Vec::new();
    let length = connack(&mut rumqttd, &mut answer).await?;
    let ahead = answer.split_off(length);
    let invalid = |InvalidPacket(_)| io::Error::from(io::ErrorKind::InvalidData);
    let frame = parse(&answer).ok_or(io::ErrorKind::InvalidData)?;
    let answer = packet::connack(5, frame.body).map_err(invalid)?;
    let (connack, meaning) = opened.connack(&answer).map_err(invalid)?;
    Ok(Answered {
        rumqttd,
        shield: opened.shield(meaning.session_present),
        connack,
        meaning,
        ahead,
        lock,
    })
}

async fn dial(instance: &Instance) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(instance.address()).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads CONNACK of rumqttd; returns its length.
async fn connack(rumqttd: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let is_connack = |first: u8| first >> 4 == kind::CONNACK;
    let read = read_packet(rumqttd, bytes, MAX_CONNACK_BYTES, is_connack).await;
    read.map_err(|error| match error {
        PacketReadError::Closed => io::ErrorKind::ConnectionReset.into(),
        PacketReadError::NotMqtt => io::ErrorKind::InvalidData.into(),
    })
}

/// Waits until rumqttd has closed the connection. After DISCONNECT rumqttd closes by itself: if it gets DISCONNECT and the
/// end of the stream together, it may end the connection of another client.
async fn settle(rumqttd: &mut TcpStream, has_disconnected: bool) {
    if has_disconnected && timeout(LINGER, drain(rumqttd)).await.is_ok() {
        return;
    }
    if rumqttd.shutdown().await.is_ok() {
        drop(timeout(LINGER, drain(rumqttd)).await);
    }
}

/// Closes the stream to the gateway, and waits for the gateway to close it as well: so the gateway can go on writing while
/// it reads what was written last.
async fn close(client: &mut DuplexStream) {
    if client.shutdown().await.is_ok() {
        drop(timeout(LINGER, drain(client)).await);
    }
}

impl Report {
    fn refuse(&self, code: u8) {
        let refusal = ConnackPacket {
            code,
            ..ConnackPacket::default()
        };
        self.connack.set(refusal).ok();
    }
}

impl Connections {
    /// Ends the client's former connection, and returns what ends this one.
    fn register(&self, client_id: &ByteString, number: u64) -> CancellationToken {
        let token = CancellationToken::new();
        if !client_id.is_empty() {
            let entry = (number, token.clone());
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, former)) = current.insert(client_id.clone(), entry) {
                former.cancel();
            }
        }
        token
    }

    fn unregister(&self, client_id: &ByteString, number: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.get(client_id).is_some_and(|(other, _)| *other == number) {
            current.remove(client_id);
        }
    }
}

impl UpstreamStream for LocalStream {
    fn connack(&self) -> Option<ConnackPacket> {
        self.report.connack.get().cloned()
    }

    fn violation(&self) -> Option<u8> {
        self.report.violation.get().copied()
    }
}

impl AsyncRead for LocalStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for LocalStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
