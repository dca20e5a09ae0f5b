//! An MQTT client on rumqttc, the same for both versions: the normal behaviour of a common library.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use rumqttc::{mqttbytes, v5};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{PATIENCE, Version};

/// The content of CONNECT.
#[derive(Debug, Clone)]
pub struct Options {
    /// Protocol version.
    pub version: Version,
    /// Client id.
    pub id: String,
    /// Clean session or clean start.
    pub clean: bool,
    /// User name.
    pub username: Option<String>,
    /// Seconds that the session is kept after the connection ends; MQTT 5 only.
    pub session_expiry: Option<u32>,
    /// User properties; MQTT 5 only.
    pub user_properties: Vec<(String, String)>,
}

impl Options {
    /// A clean session without user name.
    pub fn new(version: Version, id: &str) -> Options {
        Options {
            version,
            id: id.to_owned(),
            clean: true,
            username: None,
            session_expiry: None,
            user_properties: Vec::new(),
        }
    }

    /// A session that is kept after its connection ends.
    pub fn persistent(version: Version, id: &str) -> Options {
        let session_expiry = (version == Version::V5).then_some(3600);
        Options {
            clean: false,
            session_expiry,
            ..Options::new(version, id)
        }
    }
}

/// A message that the client received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// QoS as delivered.
    pub qos: u8,
    /// Retain flag as delivered.
    pub retain: bool,
}

#[derive(Debug)]
enum Note {
    Connected { session_present: bool },
    Subscribed,
    Unsubscribed,
    Acknowledged,
    Message(Message),
}

enum Library {
    V311(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

/// A connected client. Dropping it closes the socket without DISCONNECT.
pub struct Client {
    library: Library,
    notes: mpsc::UnboundedReceiver<Note>,
    inbox: VecDeque<Message>,
    pump: JoinHandle<()>,
    /// The session-present flag of CONNACK.
    pub session_present: bool,
}

impl Client {
    /// Connects with a clean session.
    pub async fn connect(to: SocketAddr, version: Version, id: &str) -> Client {
        Client::open(to, Options::new(version, id)).await
    }

    /// Connects; panics unless the host accepts.
    pub async fn open(to: SocketAddr, options: Options) -> Client {
        let (sender, notes) = mpsc::unbounded_channel();
        let (library, pump) = match options.version {
            Version::V311 => {
                let mut settings = rumqttc::MqttOptions::new(&options.id, to.ip().to_string(), to.port());
                settings
                    .set_clean_session(options.clean)
                    .set_keep_alive(Duration::from_secs(60));
                settings.set_max_packet_size(1 << 20, 1 << 20);
                if let Some(username) = &options.username {
                    settings.set_credentials(username, "secret");
                }
                let (client, events) = rumqttc::AsyncClient::new(settings, 100);
                (Library::V311(client), tokio::spawn(pump_v4(events, sender)))
            }
            Version::V5 => {
                let mut settings = v5::MqttOptions::new(&options.id, to.ip().to_string(), to.port());
                settings
                    .set_clean_start(options.clean)
                    .set_keep_alive(Duration::from_secs(60));
                settings.set_session_expiry_interval(options.session_expiry);
                if !options.user_properties.is_empty() {
                    settings.set_user_properties(options.user_properties.clone());
                }
                if let Some(username) = &options.username {
                    settings.set_credentials(username, "secret");
                }
                let (client, events) = v5::AsyncClient::new(settings, 100);
                (Library::V5(client), tokio::spawn(pump_v5(events, sender)))
            }
        };
        let mut client = Client {
            library,
            notes,
            inbox: VecDeque::new(),
            pump,
            session_present: false,
        };
        match client.note("CONNACK").await {
            Note::Connected { session_present } => client.session_present = session_present,
            other => panic!("expected CONNACK, got {other:?}"),
        }
        client
    }

    /// Subscribes and waits for SUBACK.
    pub async fn subscribe(&mut self, filter: &str, qos: u8) {
        match &self.library {
            Library::V311(client) => client.subscribe(filter, qos_v4(qos)).await.expect("the client runs"),
            Library::V5(client) => client.subscribe(filter, qos_v5(qos)).await.expect("the client runs"),
        }
        self.await_note("SUBACK", |note| matches!(note, Note::Subscribed)).await;
    }

    /// Unsubscribes and waits for UNSUBACK.
    pub async fn unsubscribe(&mut self, filter: &str) {
        match &self.library {
            Library::V311(client) => client.unsubscribe(filter).await.expect("the client runs"),
            Library::V5(client) => client.unsubscribe(filter).await.expect("the client runs"),
        }
        self.await_note("UNSUBACK", |note| matches!(note, Note::Unsubscribed))
            .await;
    }

    /// Publishes; at QoS 1 and 2 waits for the last acknowledgement.
    pub async fn publish(&mut self, topic: &str, qos: u8, payload: impl Into<Vec<u8>>) {
        self.send(topic, qos, false, payload.into()).await;
    }

    /// Publishes a retained message and waits as [`Client::publish`] does.
    pub async fn publish_retained(&mut self, topic: &str, qos: u8, payload: impl Into<Vec<u8>>) {
        self.send(topic, qos, true, payload.into()).await;
    }

    async fn send(&mut self, topic: &str, qos: u8, retain: bool, payload: Vec<u8>) {
        match &self.library {
            Library::V311(client) => {
                client
                    .publish(topic, qos_v4(qos), retain, payload)
                    .await
                    .expect("the client runs");
            }
            Library::V5(client) => client
                .publish(topic, qos_v5(qos), retain, payload)
                .await
                .expect("the client runs"),
        }
        if qos > 0 {
            self.await_note("the acknowledgement", |note| matches!(note, Note::Acknowledged))
                .await;
        }
    }

    /// The next message; panics if none comes in time.
    pub async fn message(&mut self) -> Message {
        if let Some(message) = self.inbox.pop_front() {
            return message;
        }
        match self.note("a message").await {
            Note::Message(message) => message,
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// Sends DISCONNECT and closes the socket once it is sent.
    pub async fn disconnect(mut self) {
        match &self.library {
            Library::V311(client) => client.disconnect().await.expect("the client runs"),
            Library::V5(client) => client.disconnect().await.expect("the client runs"),
        }
        let pump = std::mem::replace(&mut self.pump, tokio::spawn(async {}));
        if let Ok(Err(error)) = tokio::time::timeout(PATIENCE, pump).await {
            panic!("the client failed: {error}");
        }
    }

    async fn await_note(&mut self, what: &str, wanted: impl Fn(&Note) -> bool) {
        loop {
            match self.note(what).await {
                note if wanted(&note) => return,
                Note::Message(message) => self.inbox.push_back(message),
                other => panic!("expected {what}, got {other:?}"),
            }
        }
    }

    async fn note(&mut self, what: &str) -> Note {
        match tokio::time::timeout(PATIENCE, self.notes.recv()).await {
            Ok(Some(note)) => note,
            Ok(None) => panic!("the connection ended before {what}"),
            Err(_) => panic!("no {what} within {PATIENCE:?}"),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

fn qos_v4(qos: u8) -> mqttbytes::QoS {
    mqttbytes::qos(qos).expect("0, 1 or 2")
}

fn qos_v5(qos: u8) -> v5::mqttbytes::QoS {
    v5::mqttbytes::qos(qos).expect("0, 1 or 2")
}

/// Records the library's events until the connection ends or DISCONNECT is on its way.
async fn pump_v4(mut events: rumqttc::EventLoop, notes: mpsc::UnboundedSender<Note>) {
    use rumqttc::{Event, Outgoing, Packet};
    while let Ok(event) = events.poll().await {
        let note = match event {
            Event::Incoming(Packet::ConnAck(ack)) => Note::Connected {
                session_present: ack.session_present,
            },
            Event::Incoming(Packet::SubAck(_)) => Note::Subscribed,
            Event::Incoming(Packet::UnsubAck(_)) => Note::Unsubscribed,
            Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => Note::Acknowledged,
            Event::Incoming(Packet::Publish(publish)) => Note::Message(Message {
                topic: publish.topic,
                payload: publish.payload.to_vec(),
                qos: publish.qos as u8,
                retain: publish.retain,
            }),
            Event::Outgoing(Outgoing::Disconnect) => return,
            _ => continue,
        };
        if notes.send(note).is_err() {
            return;
        }
    }
}

async fn pump_v5(mut events: v5::EventLoop, notes: mpsc::UnboundedSender<Note>) {
    use rumqttc::Outgoing;
    use v5::Event;
    use v5::mqttbytes::v5::Packet;
    while let Ok(event) = events.poll().await {
        let note = match event {
            Event::Incoming(Packet::ConnAck(ack)) => Note::Connected {
                session_present: ack.session_present,
            },
            Event::Incoming(Packet::SubAck(_)) => Note::Subscribed,
            Event::Incoming(Packet::UnsubAck(_)) => Note::Unsubscribed,
            Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => Note::Acknowledged,
            Event::Incoming(Packet::Publish(publish)) => Note::Message(Message {
                topic: String::from_utf8_lossy(&publish.topic).into_owned(),
                payload: publish.payload.to_vec(),
                qos: publish.qos as u8,
                retain: publish.retain,
            }),
            Event::Outgoing(Outgoing::Disconnect) => return,
            _ => continue,
        };
        if notes.send(note).is_err() {
            return;
        }
    }
}
