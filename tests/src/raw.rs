//! An MQTT client that sends arbitrary bytes and acknowledges nothing by itself.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::packet::{self, Connect, Packet, kind};
use crate::{PATIENCE, Version};

/// A connection.
pub struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Raw {
    /// Opens a connection and sends nothing.
    pub async fn open(to: SocketAddr) -> Raw {
        let stream = TcpStream::connect(to)
            .await
            .unwrap_or_else(|error| panic!("no connection to {to}: {error}"));
        drop(stream.set_nodelay(true));
        Raw {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Connects. Panics unless CONNACK reports success.
    pub async fn connect(to: SocketAddr, connect: &Connect) -> Raw {
        let mut raw = Raw::open(to).await;
        raw.send(&connect.encode()).await;
        let connack = raw.expect(kind::CONNACK).await;
        assert_eq!(
            connack.body[1],
            0,
            "CONNACK of {:?}",
            String::from_utf8_lossy(&connect.id)
        );
        raw
    }

    /// A clean session with a client id.
    pub async fn client(to: SocketAddr, version: Version, id: &str) -> Raw {
        Raw::connect(to, &Connect::new(version, id)).await
    }

    /// The local address of the connection, as the host should see it.
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket has an address")
    }

    /// Sends bytes. Panics if the host has closed the connection.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes)
            .await
            .unwrap_or_else(|error| panic!("the host does not take bytes: {error}"));
    }

    /// Sends bytes.
    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next packet; `None` if the host closes the connection. Panics on a timeout.
    pub async fn read(&mut self) -> Option<Packet> {
        self.read_within(PATIENCE)
            .await
            .unwrap_or_else(|| panic!("nothing to read within {PATIENCE:?}"))
    }

    /// As [`Raw::read`]. The outer `None` means a timeout.
    pub async fn read_within(&mut self, patience: Duration) -> Option<Option<Packet>> {
        tokio::time::timeout(patience, async {
            loop {
                if let Some((packet, length)) = packet::decode(&self.buffer) {
                    self.buffer.drain(..length);
                    return Some(packet);
                }
                match self.stream.read_buf(&mut self.buffer).await {
                    Ok(read) if read > 0 => (),
                    _ => return None,
                }
            }
        })
        .await
        .ok()
    }

    /// The next packet, which must be of this type.
    pub async fn expect(&mut self, kind: u8) -> Packet {
        match self.read().await {
            Some(packet) if packet.kind() == kind => packet,
            Some(packet) => panic!("expected a packet of type {kind}, got {packet:?}"),
            None => panic!("expected a packet of type {kind}, the host closed"),
        }
    }

    /// Reads until the host closes the connection. Ignores the packets before that.
    pub async fn closed(&mut self) {
        while self.read().await.is_some() {}
    }

    /// Subscribes to one filter and waits for SUBACK.
    pub async fn subscribe(&mut self, version: Version, filter: &str, qos: u8) {
        self.send(&packet::subscribe(version, 0x7fff, &[(filter, qos)], None))
            .await;
        self.expect(kind::SUBACK).await;
    }

    /// Publishes at QoS 1 and waits for PUBACK.
    pub async fn publish(&mut self, version: Version, topic: &str, id: u16, payload: &[u8]) {
        self.send(&packet::publish(version, topic, 1, id, payload)).await;
        assert_eq!(self.expect(kind::PUBACK).await.id(), id);
    }

    /// Sends PINGREQ and waits for PINGRESP: the host has then handled everything before it.
    pub async fn ping(&mut self) {
        self.send(&packet::ping()).await;
        self.expect(kind::PINGRESP).await;
    }

    /// Sends DISCONNECT and closes.
    pub async fn disconnect(mut self) {
        self.send(&packet::disconnect()).await;
        drop(self.stream.shutdown().await);
    }

    /// Closes the connection without DISCONNECT.
    pub fn drop_connection(self) {}

    /// Both halves, for a client that writes and reads at its own pace.
    pub fn into_stream(self) -> TcpStream {
        assert!(self.buffer.is_empty(), "nothing was read ahead");
        self.stream
    }
}
