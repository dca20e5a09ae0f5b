//! The interface between the host and a broker engine, and the default engine, RMQTT.
//!
//! An [`Engine`] is the source of events. It is started with [`BrokerSettings`] and a [`Bus`]; it reports its address and
//! its clients, disconnects a client, publishes messages of the host itself, and stops. Its interface consists of the
//! types of [`hookhost_event`] and those below, so no other part depends on the engine. RMQTT runs in this process; the
//! crate `hookhost-gateway` has an engine that relays clients to another broker.

mod conventions;
mod remote;
mod rmqtt;
mod state;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use bytestring::ByteString;

use hookhost_access::{AccessControl, CertificateNames};
use hookhost_event::{Node, Origin, Properties, Property};
use hookhost_hooks::Bus;
use hookhost_listener::{BindError, ListenerSettings, ListenerState, Peer, TlsFiles};

pub use conventions::Conventions;
pub use remote::{EngineHandle, EngineRequests, NotRunning, engine_handle};
pub use rmqtt::{Limits, SharedStrategy};
pub use state::{ClientState, EngineState, UpstreamState, UpstreamStatus};

/// Settings of a broker engine.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// Where clients arrive; at least one listener.
    pub listeners: Vec<ListenerSettings>,
    /// Name and number of this node.
    pub node: Node,
    /// Limits of clients, sessions and messages.
    pub limits: Limits,
    /// The broker whose conventions the built-in broker follows.
    pub conventions: Conventions,
    /// The data folder, in which sessions and retained messages survive a restart; `None`: they end with the process.
    pub data: Option<PathBuf>,
    /// Decides who may connect, and who may publish and subscribe to what.
    pub access: AccessControl,
}

impl BrokerSettings {
    /// Whether a subscription to `$queue/FILTER` is a shared subscription.
    pub(crate) fn has_queue_groups(&self) -> bool {
        self.limits.shared_subscription && self.conventions.has_queue_groups()
    }
}

/// Default number of threads that serve clients: two for each processor, and at least eight.
///
/// Under CPU pressure every busy thread gets an equal share, and one module and delivery together have about one thread
/// for each processor, so this number sets the share of the clients. On two processors, eight threads took 20 % more
/// publishes than two while there were more webhooks than could be sent, and equally many without webhooks.
pub fn default_threads() -> usize {
    (2 * std::thread::available_parallelism().map_or(1, usize::from)).max(8)
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener does not open.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A limit is invalid.
    #[error("{key}: {problem}")]
    Limit {
        /// Name of the limit in [`Limits`].
        key: &'static str,
        /// What it must be.
        problem: &'static str,
    },
    /// The stored sessions cannot be used.
    #[error(transparent)]
    Sessions(#[from] hookhost_sessions::StoreError),
    /// The engine failed to start for another reason.
    #[error("the broker engine does not start: {0}")]
    Engine(String),
}

/// Why a message of the host itself was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Empty, with a wildcard or a NUL, or with more levels than the limits allow.
    #[error("invalid topic for a publish")]
    Topic,
    /// Above 2, or above the highest QoS that the limits allow.
    #[error("the QoS is higher than the broker allows")]
    Qos,
    /// Longer than the maximum packet size.
    #[error("longer than the maximum packet size")]
    TooLarge,
    /// Only clients publish messages of origin client or will.
    #[error("the host cannot publish as a client")]
    Origin,
    /// The engine could not route it.
    #[error("the broker engine could not route the message")]
    Engine,
}

/// A message of the host itself.
#[derive(Clone)]
pub struct HostMessage {
    /// The sender, used as the publisher's client id.
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
    /// Properties, of which subscribers of MQTT 5 get those that a publisher can send and that do not belong to its
    /// connection.
    pub properties: Properties,
    /// See [`Message::republishes`](hookhost_event::Message::republishes). Only for [`Origin::Module`].
    pub republishes: u8,
}

/// Shows the length of the payload, never its content, which must not appear in logs.
impl std::fmt::Debug for HostMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostMessage")
            .field("sender", &self.sender)
            .field("origin", &self.origin)
            .field("topic", &self.topic)
            .field("payload_len", &self.payload.len())
            .field("qos", &self.qos)
            .finish_non_exhaustive()
    }
}

impl HostMessage {
    /// Whether its PUBLISH packet has at most `max_packet_size` bytes, and its texts have at most the 65,535 of MQTT.
    pub fn fits(&self, max_packet_size: u32) -> bool {
        // A property has an identifier, and its texts have lengths.
        let user = self.properties.user.iter();
        let user = user.flat_map(|(name, value)| [name.len(), value.len()]);
        let standard = self.properties.standard.iter().map(|property| match property {
            Property::ContentType(text) | Property::ResponseTopic(text) => text.len(),
            Property::CorrelationData(data) => data.len(),
            _ => size_of::<u32>(),
        });
        let mut lengths: Vec<usize> = user.chain(standard).collect();
        lengths.push(self.topic.len());
        let size = self.payload.len() + 16 + lengths.iter().map(|length| length + 3).sum::<usize>();
        size <= max_packet_size as usize && lengths.iter().all(|length| *length <= usize::from(u16::MAX))
    }
}

/// A broker engine: the source of events. [`Running`] holds one that has been started.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Name of the engine in [`EngineState::engine`].
    fn name(&self) -> &'static str;
    /// See [`Running::listeners`].
    fn listeners(&self) -> &[ListenerState];
    /// See [`Running::address`].
    fn address(&self) -> SocketAddr {
        let address = self.listeners().iter().find_map(|listener| listener.address.network());
        address.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)))
    }
    /// See [`Running::tls_files`].
    fn tls_files(&self) -> Vec<TlsFiles>;
    /// See [`Running::clients`].
    async fn clients(&self) -> Vec<ClientState>;
    /// Counters of the engine since its start, by name.
    fn counters(&self) -> Vec<(&'static str, u64)>;
    /// See [`EngineState::upstreams`].
    fn upstreams(&self) -> Vec<UpstreamState> {
        Vec::new()
    }
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
/// Without a bus no hook is registered in RMQTT, and every client may do everything. Benches measure the cost of hooks
/// against that.
///
/// # Errors
///
/// [`StartError`] if a limit is invalid, the address cannot be listened on, or RMQTT does not start.
pub async fn start(settings: &BrokerSettings, bus: Option<Bus>) -> Result<Running, StartError> {
    Ok(Running::new(rmqtt::Broker::start(settings, bus).await?))
}

impl Running {
    /// Wraps an engine that has been started.
    pub fn new(engine: impl Engine + 'static) -> Running {
        Running(Box::new(engine))
    }

    /// The listeners, in the order of their settings, with their actual ports.
    pub fn listeners(&self) -> &[ListenerState] {
        self.0.listeners()
    }

    /// The TLS files of the listeners that have some, to read them again.
    pub fn tls_files(&self) -> Vec<TlsFiles> {
        self.0.tls_files()
    }

    /// Address of the first listener that has one, with the actual port; 0.0.0.0:0 if there are Unix sockets only.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// All sessions, of connected and disconnected clients, in no particular order.
    pub async fn clients(&self) -> Vec<ClientState> {
        self.0.clients().await
    }

    /// The state of the engine. Takes longer the more sessions there are.
    pub async fn state(&self) -> EngineState {
        let clients = self.clients().await;
        EngineState {
            engine: self.0.name(),
            listeners: self.listeners().to_vec(),
            sessions: clients.len(),
            connected: clients.iter().filter(|client| client.connected).count(),
            counters: self.0.counters(),
            upstreams: self.0.upstreams(),
        }
    }

    /// Ends a client's connection and session; returns whether there was a session.
    pub async fn disconnect(&self, client_id: &str) -> bool {
        self.0.disconnect(client_id).await
    }

    /// Publishes a message of the host itself; it causes the same events as any publish.
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

/// The names in the certificate that a client has shown, for its authentication.
pub fn certificate_names(peer: &Peer) -> Option<CertificateNames<'_>> {
    let certificate = peer.certificate()?;
    Some(CertificateNames {
        common_name: certificate.common_name.as_deref(),
        dns: certificate.dns_names.first().map(String::as_str),
        email: certificate.emails.first().map(String::as_str),
        uri: certificate.uris.first().map(String::as_str),
    })
}
