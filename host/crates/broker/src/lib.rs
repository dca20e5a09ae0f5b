//! The broker seam: what makes events.
//!
//! An engine is started with [`Settings`] and a [`Bus`] for its events, says where it listens, can be asked for its
//! clients, to disconnect one, to publish a message of the host's own, and to stop. Nothing of an engine shows
//! through: what comes out are the types of [`hookhost_event`] and those below. There are two: RMQTT in process, and a
//! gateway that relays each client to another broker and reads the events off the packets. The private enum in
//! [`Running`] is where a further one goes.

pub mod decode_error;
pub mod properties;
mod remote;
mod rmqtt;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;

use hookhost_event::{Client, Millis, Node, Origin};
use hookhost_hooks::Bus;

pub use remote::{Clients, NotRunning, Questions, remote};
pub use rmqtt::{Limits, SharedStrategy};

/// What an engine is told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where MQTT is served; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Name and number of this node.
    pub node: Node,
    /// What clients may ask for, and what bounds them.
    pub limits: Limits,
}

/// Threads that serve clients if nobody says how many: two for each processor and at least eight.
///
/// The system gives all threads that have work equal shares, and a module and delivery together have about one for each
/// processor by default. If the broker had no more than that, webhooks would take half of the processors from clients as
/// soon as more of them are wanted than can be sent. On two processors eight threads took a fifth more publishes than two
/// then, and as many as two while no webhook was wanted.
pub fn default_threads() -> usize {
    (2 * std::thread::available_parallelism().map_or(1, usize::from)).max(8)
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}")]
    Bind {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A limit makes no sense.
    #[error("{key}: {problem}")]
    Limit {
        /// Name of the limit in [`Limits`].
        key: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The engine refuses for a reason of its own.
    #[error("the broker engine does not start: {0}")]
    Engine(String),
}

/// Why a message of the host's own was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Empty, with a wildcard or a NUL, or with more levels than the limits allow.
    #[error("not a topic to publish to")]
    Topic,
    /// Above 2 or above the highest QoS that the limits allow.
    #[error("not a QoS that the broker grants")]
    Qos,
    /// Longer than the longest packet.
    #[error("longer than the longest packet")]
    TooLarge,
    /// Messages of clients and wills come from clients.
    #[error("the host does not publish in the name of a client")]
    Origin,
    /// The engine could not route it.
    #[error("the broker engine could not route it")]
    Engine,
}

/// A message of the host's own.
#[derive(Clone)]
pub struct HostMessage {
    /// Who publishes: shown as the publisher's client id.
    pub sender: ByteString,
    /// What it comes from: [`Origin::Admin`], [`Origin::System`], [`Origin::Bridge`] or [`Origin::Module`].
    pub origin: Origin,
    /// Topic, without wildcards.
    pub topic: ByteString,
    /// The bytes.
    pub payload: Bytes,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
}

/// A session as the engine has it, connected or away.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientState {
    /// Whose session; `peer` is where the last connection came from.
    pub client: Client,
    /// Whether the client is connected now.
    pub connected: bool,
    /// When the connection was accepted, the last one if there is none now.
    pub connected_at: Option<Millis>,
    /// When the session was created.
    pub created_at: Option<Millis>,
    /// Keep alive in seconds that the client asked for.
    pub keep_alive: u16,
    /// Whether the client asked for a clean start.
    pub clean_start: bool,
    /// How many subscriptions the session holds.
    pub subscriptions: usize,
    /// How many messages wait to be sent.
    pub queued: usize,
    /// How many messages were sent and not confirmed.
    pub unconfirmed: usize,
}

/// How an engine is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineState {
    /// `rmqtt` or `gateway`.
    pub engine: &'static str,
    /// Where MQTT is served.
    pub listen: SocketAddr,
    /// Sessions, of connected clients and of those that are away; as many as the engine can see.
    pub sessions: usize,
    /// How many of them are connected.
    pub connected: usize,
    /// What the engine counts itself since its start, by name.
    pub counters: Vec<(&'static str, u64)>,
}

/// A broker engine: what makes events. [`Running`] holds one that has been started.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Name of the engine in [`EngineState::engine`].
    fn name(&self) -> &'static str;
    /// See [`Running::address`].
    fn address(&self) -> SocketAddr;
    /// See [`Running::clients`].
    async fn clients(&self) -> Vec<ClientState>;
    /// What the engine counts itself since its start, by name.
    fn counters(&self) -> Vec<(&'static str, u64)>;
    /// See [`Running::disconnect`].
    async fn disconnect(&self, client_id: &str) -> bool;
    /// See [`Running::publish`].
    async fn publish(&self, message: HostMessage) -> Result<(), PublishError>;
    /// See [`Running::stop`].
    async fn stop(self: Box<Self>, grace: Duration);
}

/// A started engine. Dropping it without [`Running::stop`] closes the listener and leaves the clients connected.
pub struct Running(Box<dyn Engine>);

/// Starts RMQTT in this process and listens; events go to `bus` from the first connection on.
///
/// Without a bus no hook is registered in RMQTT. Benches measure the cost of hooks against that.
///
/// # Errors
///
/// [`StartError`] if a limit is invalid, the address cannot be listened on, or RMQTT does not start.
pub async fn start(settings: &Settings, bus: Option<Bus>) -> Result<Running, StartError> {
    Ok(Running::new(rmqtt::Broker::start(settings, bus).await?))
}

impl Running {
    /// Wraps an engine that has been started.
    pub fn new(engine: impl Engine + 'static) -> Running {
        Running(Box::new(engine))
    }

    /// Where MQTT is served, with the port that was taken if any free one was asked for.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// All sessions, of connected clients and of those that are away, in no order.
    pub async fn clients(&self) -> Vec<ClientState> {
        self.0.clients().await
    }

    /// The state of the engine. Takes longer the more sessions there are.
    pub async fn state(&self) -> EngineState {
        let clients = self.clients().await;
        EngineState {
            engine: self.0.name(),
            listen: self.address(),
            sessions: clients.len(),
            connected: clients.iter().filter(|client| client.connected).count(),
            counters: self.0.counters(),
        }
    }

    /// Ends a client's connection and session; whether there was a session.
    pub async fn disconnect(&self, client_id: &str) -> bool {
        self.0.disconnect(client_id).await
    }

    /// Publishes a message of the host's own; it causes the events that any publish causes.
    ///
    /// # Errors
    ///
    /// [`PublishError`] if the message is invalid or the engine cannot route it.
    pub async fn publish(&self, message: HostMessage) -> Result<(), PublishError> {
        self.0.publish(message).await
    }

    /// Stops accepting, ends every connection and every session, and returns when their events have reached the bus or
    /// after `grace`, whichever is first.
    pub async fn stop(self, grace: Duration) {
        self.0.stop(grace).await;
    }
}
