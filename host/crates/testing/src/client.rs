//! An MQTT client that does what a test says, 3.1, 3.1.1 and 5.0, and nothing by itself.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::engine::DEADLINE;

/// A connection.
pub struct Client {
    stream: TcpStream,
    version: u8,
    next_id: u16,
}

/// What a CONNECT says.
#[derive(Clone)]
pub struct Connect {
    pub version: u8,
    pub id: String,
    pub clean: bool,
    pub keep_alive: u16,
    pub username: Option<String>,
    pub will: Option<(String, String, bool)>,
    /// Properties of MQTT 5, as bytes without their length.
    pub properties: Vec<u8>,
    pub will_properties: Vec<u8>,
}

/// A clean CONNECT.
pub fn clean(version: u8, id: &str) -> Connect {
    Connect {
        version,
        id: id.into(),
        clean: true,
        keep_alive: 60,
        username: None,
        will: None,
        properties: Vec::new(),
        will_properties: Vec::new(),
    }
}

/// A CONNECT for a session that stays, for an hour with MQTT 5.
pub fn persistent(version: u8, id: &str) -> Connect {
    let properties = if version == 5 {
        vec![0x11, 0, 0, 14, 16]
    } else {
        Vec::new()
    };
    Connect {
        clean: false,
        properties,
        ..clean(version, id)
    }
}

/// A message that has come.
#[derive(Debug, PartialEq)]
pub struct Received {
    pub topic: String,
    pub payload: String,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    pub id: u16,
}

/// Text with its length.
pub fn text(text: &str) -> Vec<u8> {
    let mut out = (text.len() as u16).to_be_bytes().to_vec();
    out.extend(text.as_bytes());
    out
}

/// A packet from its first byte and its body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut length = body.len();
    loop {
        let more = length > 127;
        out.push((length % 128) as u8 | if more { 128 } else { 0 });
        length /= 128;
        if !more {
            break;
        }
    }
    out.extend(body);
    out
}

impl Connect {
    /// The packet.
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = text(if self.version == 3 { "MQIsdp" } else { "MQTT" });
        let will = self
            .will
            .as_ref()
            .map_or(0, |(_, _, retain)| 0x04 | 0x08 | u8::from(*retain) << 5);
        let name = if self.username.is_some() { 0x80 } else { 0 };
        body.extend([self.version, u8::from(self.clean) << 1 | will | name]);
        body.extend(self.keep_alive.to_be_bytes());
        if self.version == 5 {
            body.push(self.properties.len() as u8);
            body.extend(&self.properties);
        }
        body.extend(text(&self.id));
        if let Some((topic, payload, _)) = &self.will {
            if self.version == 5 {
                body.push(self.will_properties.len() as u8);
                body.extend(&self.will_properties);
            }
            body.extend(text(topic));
            body.extend(text(payload));
        }
        if let Some(name) = &self.username {
            body.extend(text(name));
        }
        packet(0x10, &body)
    }

    /// Connects; panics if refused. Gives whether a session was found.
    pub async fn open(&self, address: SocketAddr) -> (Client, bool) {
        let mut client = Client::raw(address, self.version).await;
        client.write(&self.bytes()).await;
        let (first, body) = client.read().await;
        assert_eq!((first, body[1]), (0x20, 0), "refused: {body:?}");
        (client, body[0] & 1 == 1)
    }

    /// Connects; panics if refused or if a session was found.
    pub async fn join(&self, address: SocketAddr) -> Client {
        let (client, found) = self.open(address).await;
        assert!(!found, "a session was found");
        client
    }
}

impl Client {
    /// A socket on which nothing has been said.
    pub async fn raw(address: SocketAddr, version: u8) -> Client {
        let stream = timeout(DEADLINE, TcpStream::connect(address)).await.unwrap().unwrap();
        Client {
            stream,
            version,
            next_id: 0,
        }
    }

    /// Where it connects from.
    pub fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Writes to a broker that may have closed.
    pub async fn write_unchecked(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Says that nothing more will be written.
    pub async fn half_close(&mut self) {
        drop(self.stream.shutdown().await);
    }

    /// The next packet.
    pub async fn read(&mut self) -> (u8, Vec<u8>) {
        timeout(DEADLINE, self.try_read())
            .await
            .expect("no packet came")
            .expect("the connection was closed")
    }

    async fn try_read(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let first = self.stream.read_u8().await?;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.stream.read_u8().await?;
            length |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok((first, body))
    }

    /// Waits until the broker closes; gives the first bytes of the packets that came before.
    pub async fn closed(&mut self) -> Vec<u8> {
        let read = async {
            let mut kinds = Vec::new();
            while let Ok((first, _)) = self.try_read().await {
                kinds.push(first);
            }
            kinds
        };
        timeout(DEADLINE, read).await.expect("the connection stays open")
    }

    fn packet_id(&mut self) -> [u8; 2] {
        self.next_id += 1;
        self.next_id.to_be_bytes()
    }

    fn no_properties(&self) -> &'static [u8] {
        if self.version == 5 { &[0] } else { &[] }
    }

    /// Subscribes to one filter; gives the code of SUBACK.
    pub async fn subscribe(&mut self, filter: &str, options: u8) -> u8 {
        let properties = self.no_properties();
        self.subscribe_with(filter, options, properties).await
    }

    /// Subscribes with properties, whose length stands before them.
    pub async fn subscribe_with(&mut self, filter: &str, options: u8, properties: &[u8]) -> u8 {
        let mut body = self.packet_id().to_vec();
        body.extend(properties);
        body.extend(text(filter));
        body.push(options);
        self.write(&packet(0x82, &body)).await;
        let (first, body) = self.read().await;
        assert_eq!(first, 0x90);
        *body.last().unwrap()
    }

    pub async fn unsubscribe(&mut self, filter: &str) {
        let mut body = self.packet_id().to_vec();
        body.extend(self.no_properties());
        body.extend(text(filter));
        self.write(&packet(0xa2, &body)).await;
        assert_eq!(self.read().await.0, 0xb0);
    }

    /// Publishes and sees it through.
    pub async fn publish(&mut self, topic: &str, payload: &str, qos: u8, retain: bool) {
        let id = self.packet_id();
        let bytes = self.publish_bytes(topic, payload.as_bytes(), qos, retain, id);
        self.write(&bytes).await;
        match qos {
            1 => assert_eq!(self.read().await.0, 0x40),
            2 => {
                assert_eq!(self.read().await.0, 0x50);
                self.write(&packet(0x62, &id)).await;
                assert_eq!(self.read().await.0, 0x70);
            }
            _ => {}
        }
    }

    pub fn publish_bytes(&self, topic: &str, payload: &[u8], qos: u8, retain: bool, id: [u8; 2]) -> Vec<u8> {
        let mut body = text(topic);
        if qos > 0 {
            body.extend(id);
        }
        body.extend(self.no_properties());
        body.extend(payload);
        packet(0x30 | qos << 1 | u8::from(retain), &body)
    }

    /// The next message, unconfirmed.
    pub async fn message(&mut self) -> Received {
        let (first, body) = self.read().await;
        self.decode(first, &body)
    }

    /// The message of a PUBLISH packet.
    pub fn decode(&self, first: u8, body: &[u8]) -> Received {
        assert_eq!(first & 0xf0, 0x30, "no PUBLISH: {first:#x} {body:?}");
        let qos = first >> 1 & 3;
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let topic = String::from_utf8(body[2..2 + length].to_vec()).unwrap();
        let mut at = 2 + length;
        let mut id = 0;
        if qos > 0 {
            id = u16::from_be_bytes([body[at], body[at + 1]]);
            at += 2;
        }
        if self.version == 5 {
            at += 1 + usize::from(body[at]);
        }
        let payload = String::from_utf8(body[at..].to_vec()).unwrap();
        Received {
            topic,
            payload,
            qos,
            retain: first & 1 == 1,
            dup: first & 8 == 8,
            id,
        }
    }

    /// The next message, confirmed.
    pub async fn receive(&mut self) -> Received {
        let received = self.message().await;
        let id = received.id.to_be_bytes();
        match received.qos {
            1 => self.write(&packet(0x40, &id)).await,
            2 => {
                self.write(&packet(0x50, &id)).await;
                assert_eq!(self.read().await.0, 0x62);
                self.write(&packet(0x70, &id)).await;
            }
            _ => {}
        }
        received
    }

    /// Says that it is there and waits for the answer: everything before it has been dealt with.
    pub async fn ping(&mut self) {
        self.write(&[0xc0, 0]).await;
        assert_eq!(self.read().await.0, 0xd0);
    }

    /// Resets the connection.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// Says DISCONNECT and closes.
    pub async fn disconnect(mut self) {
        self.write(&[0xe0, 0]).await;
    }
}
