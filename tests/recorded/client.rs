//! An MQTT client that behaves as common libraries do: it acknowledges what it receives. It speaks 3.1, 3.1.1 and 5, and
//! its properties and the end of its connection are the caller's choice.

use std::net::SocketAddr;

use hookhost_tests::packet::{self, Connect, Packet, Publish, kind};
use hookhost_tests::{PATIENCE, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    /// FIN.
    Shutdown,
    /// RST.
    Reset,
}

enum Command {
    Send(Vec<u8>),
    ReleaseByHand,
    Close(Close),
}

/// A connection.
pub(crate) struct Client {
    version: Version,
    commands: mpsc::UnboundedSender<Command>,
    packets: mpsc::UnboundedReceiver<Packet>,
    connection: JoinHandle<()>,
    last_id: u16,
}

impl Client {
    /// Opens a connection and sends bytes.
    pub(crate) async fn open(to: SocketAddr, version: Version, bytes: &[u8]) -> Client {
        let mut stream = TcpStream::connect(to)
            .await
            .unwrap_or_else(|error| panic!("no connection to {to}: {error}"));
        stream.write_all(bytes).await.expect("a new connection takes bytes");
        let (commands, receiver) = mpsc::unbounded_channel();
        let (sender, packets) = mpsc::unbounded_channel();
        Client {
            version,
            commands,
            packets,
            connection: tokio::spawn(run(stream, version, receiver, sender)),
            last_id: 0,
        }
    }

    /// Connects, and waits for CONNACK or for the end of the connection.
    pub(crate) async fn connect(to: SocketAddr, connect: &Connect) -> Client {
        let version = if connect.level == 5 { Version::V5 } else { Version::V311 };
        let mut client = Client::open(to, version, &connect.encode()).await;
        client.wait(kind::CONNACK).await;
        client
    }

    /// Sends bytes.
    pub(crate) fn send(&self, bytes: Vec<u8>) {
        // If the broker has closed the connection, a library's call does nothing either.
        drop(self.commands.send(Command::Send(bytes)));
    }

    /// Waits for a packet of this type, or for the end of the connection. Returns whether the packet came.
    pub(crate) async fn wait(&mut self, kind: u8) -> bool {
        let wait = async {
            while let Some(packet) = self.packets.recv().await {
                if packet.kind() == kind {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(came) => came,
            Err(_) => panic!("no packet of type {kind} within {PATIENCE:?}"),
        }
    }

    /// Waits for any packet, or for the end of the connection.
    pub(crate) async fn answer_or_close(&mut self) {
        drop(tokio::time::timeout(PATIENCE, self.packets.recv()).await);
    }

    /// From now on the caller sends PUBREL itself.
    pub(crate) fn release_by_hand(&mut self) {
        drop(self.commands.send(Command::ReleaseByHand));
    }

    /// Waits until the broker has closed the connection.
    pub(crate) async fn closed(&mut self) {
        // No broker sends a packet of this type.
        self.wait(kind::CONNECT).await;
    }

    /// Publishes and waits for the last acknowledgement.
    pub(crate) async fn publish(&mut self, publish: Publish<'_>) {
        let id = self.next_id();
        self.send(Publish { id, ..publish }.encode(self.version));
        match publish.qos {
            0 => true,
            1 => self.wait(kind::PUBACK).await,
            _ => self.wait(kind::PUBCOMP).await,
        };
    }

    /// Subscribes and waits for SUBACK. Options are the QoS before MQTT 5.
    pub(crate) async fn subscribe(&mut self, filters: &[(&str, u8)], properties: &[u8]) {
        let id = self.next_id();
        self.send(packet::subscribe_with(self.version, id, filters, properties));
        self.wait(kind::SUBACK).await;
    }

    /// Unsubscribes and waits for UNSUBACK.
    pub(crate) async fn unsubscribe(&mut self, filter: &str) {
        let id = self.next_id();
        self.send(packet::unsubscribe(self.version, id, filter));
        self.wait(kind::UNSUBACK).await;
    }

    /// Sends DISCONNECT and closes.
    pub(crate) async fn disconnect(self) {
        self.disconnect_with(&[]).await;
    }

    /// As [`Client::disconnect`], with a reason code and properties.
    pub(crate) async fn disconnect_with(self, body: &[u8]) {
        self.send(packet::packet(kind::DISCONNECT << 4, body));
        self.end(Close::Shutdown).await;
    }

    /// Closes the connection without DISCONNECT.
    pub(crate) async fn close(self) {
        self.end(Close::Shutdown).await;
    }

    /// Resets the connection.
    pub(crate) async fn reset(self) {
        self.end(Close::Reset).await;
    }

    async fn end(self, close: Close) {
        drop(self.commands.send(Command::Close(close)));
        drop(self.connection.await);
    }

    fn next_id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }
}

/// Reads and acknowledges packets until either side closes.
async fn run(
    mut stream: TcpStream,
    version: Version,
    mut commands: mpsc::UnboundedReceiver<Command>,
    packets: mpsc::UnboundedSender<Packet>,
) {
    let (mut buffer, mut releases) = (Vec::new(), true);
    loop {
        while let Some((packet, length)) = packet::decode(&buffer) {
            buffer.drain(..length);
            if (releases || packet.kind() != kind::PUBREC)
                && let Some(answer) = answer(version, &packet)
                && stream.write_all(&answer).await.is_err()
            {
                return;
            }
            drop(packets.send(packet));
        }
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Send(bytes)) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Some(Command::ReleaseByHand) => releases = false,
                Some(Command::Close(Close::Reset)) => {
                    stream.set_zero_linger().expect("an option of every socket");
                    return;
                }
                Some(Command::Close(Close::Shutdown)) | None => {
                    drop(stream.shutdown().await);
                    return;
                }
            },
            read = stream.read_buf(&mut buffer) => match read {
                Ok(read) if read > 0 => (),
                _ => return,
            },
        }
    }
}

/// What a library sends when it receives a packet.
fn answer(version: Version, packet: &Packet) -> Option<Vec<u8>> {
    let refused = version == Version::V5 && packet.body.get(2).is_some_and(|code| *code >= 128);
    match (packet.kind(), packet.first >> 1 & 3) {
        (kind::PUBLISH, 1) => Some(packet::ack(kind::PUBACK, packet.id())),
        (kind::PUBLISH, 2) => Some(packet::ack(kind::PUBREC, packet.id())),
        (kind::PUBREC, _) if !refused => Some(packet::ack(kind::PUBREL, packet.id())),
        (kind::PUBREL, _) => Some(packet::ack(kind::PUBCOMP, packet.id())),
        _ => None,
    }
}
