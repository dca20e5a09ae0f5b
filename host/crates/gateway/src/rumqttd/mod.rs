//! rumqttd, a small broker, in this process: an upstream for gateways without another one.
//!
//! rumqttd has no hooks, and a client that speaks to it directly can stop it for all clients. The `adapter` makes a plain
//! MQTT broker of it, before which the gateway behaves as before any other: the [`shield`] keeps from rumqttd what would
//! stop it. rumqttd serves a loopback port that only this process can use, because only this process knows the password.
//! [`Rumqttd`] starts it in threads of its own and watches it through a connection of its own, whose regular PINGREQ also
//! wakes it when it has forgotten a client. When it is dead, that is logged and counted, and another one is started. Its
//! sessions and retained messages are in memory and are lost with it.

mod ack_order;
mod adapter;
mod bridge;
pub(crate) mod connect;
mod names;
mod shield;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use rumqttd::protocol::v5::V5;
use rumqttd::{ConnectionSettings, LinkType, Router, RouterConfig, Server, ServerSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use self::adapter::Connections;
use self::connect::USER;
use super::packet::kind;
use super::publisher_property;
use super::settings::{GatewaySettings, Publishers};
use super::stream::UpstreamStream;
use super::upstream::LocalBroker;
use super::wire::read_packet;
use hookhost_broker::Limits;
use hookhost_hooks::{Bus, Emitter};

/// How often a PINGREQ is sent.
const PING_INTERVAL: Duration = Duration::from_millis(250);
/// How long an answer may take before rumqttd counts as dead; a death that closes its sockets is noticed at once.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long it may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that it has room for; it takes memory for them at its start.
const MAX_CONNECTIONS: usize = 10_000;
/// The longest CONNACK to the connection that watches.
const MAX_CONNACK_BYTES: usize = 1024;

/// rumqttd at work.
pub(crate) struct Rumqttd {
    instance: Arc<Instance>,
    watching: JoinHandle<()>,
}

/// What the connections to it need.
struct Instance {
    address: ArcSwap<SocketAddr>,
    password: String,
    /// The longest packet of a client.
    max_packet_size: usize,
    connections: Connections,
    ids: Emitter,
    next_connection: AtomicU64,
    deaths: AtomicU64,
}

/// One run of it. Its threads end when this is dropped, but for one that waits for a router that has died.
struct Process {
    watch: TcpStream,
    _stop: oneshot::Sender<()>,
}

impl Rumqttd {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// No loopback port, or no thread.
    pub(crate) async fn start(settings: &GatewaySettings, limits: &Limits) -> io::Result<Rumqttd> {
        // The system gives every hasher random keys.
        let random = || RandomState::new().hash_one(0u8);
        let added = match settings.publishers {
            Publishers::UserProperty => publisher_property::MAX_ADDED_BYTES,
            _ => 0,
        };
        let instance = Arc::new(Instance {
            address: ArcSwap::from_pointee(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            password: format!("{:016x}{:016x}", random(), random()),
            max_packet_size: limits.max_packet_size as usize + added,
            connections: Connections::default(),
            ids: Emitter::new(Bus::default()),
            next_connection: AtomicU64::new(1),
            deaths: AtomicU64::new(0),
        });
        let process = instance.start().await?;
        let watching = tokio::spawn(watch(Arc::clone(&instance), process));
        Ok(Rumqttd { instance, watching })
    }
}

#[cfg(test)]
impl Rumqttd {
    /// Where it listens now.
    pub(crate) fn address(&self) -> SocketAddr {
        self.instance.address()
    }

    /// The password that it asks for.
    pub(crate) fn password(&self) -> &str {
        &self.instance.password
    }
}

impl LocalBroker for Rumqttd {
    fn name(&self) -> &'static str {
        "rumqttd"
    }

    fn connect(&self) -> Box<dyn UpstreamStream> {
        Box::new(adapter::connect(&self.instance))
    }

    #[cfg(test)]
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        vec![("deaths_of_rumqttd", self.instance.deaths.load(Ordering::Relaxed))]
    }
}

impl Drop for Rumqttd {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Waits until it is dead and starts another one, again and again.
async fn watch(instance: Arc<Instance>, mut process: Process) {
    loop {
        let why = ping(&mut process.watch).await;
        let deaths = instance.deaths.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::error!(%why, deaths, "rumqttd has crashed and is started again; its sessions and retained messages are lost");
        drop(process);
        process = loop {
            match instance.start().await {
                Ok(process) => break process,
                Err(error) => {
                    tracing::error!(%error, "rumqttd does not start; retrying in a second");
                    sleep(Duration::from_secs(1)).await;
                }
            }
        };
        tracing::warn!("rumqttd is running again");
    }
}

/// Sends PINGREQ until it is dead; returns how that was noticed.
async fn ping(watch: &mut TcpStream) -> io::Error {
    loop {
        let asked = async {
            watch.write_all(&[kind::PINGREQ << 4, 0]).await?;
            let mut answer = [0; 2];
            watch.read_exact(&mut answer).await
        };
        match timeout(PING_TIMEOUT, asked).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error,
            Err(_) => return io::ErrorKind::TimedOut.into(),
        }
        // The end of the socket is noticed between two pings.
        let mut byte = [0; 1];
        if let Ok(ended) = timeout(PING_INTERVAL, watch.peek(&mut byte)).await
            && !matches!(ended, Ok(count) if count > 0)
        {
            return io::ErrorKind::ConnectionReset.into();
        }
    }
}

impl Instance {
    /// Where it listens now.
    fn address(&self) -> SocketAddr {
        **self.address.load()
    }

    /// A number for a connection.
    fn next_connection(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts one process.
    async fn start(&self) -> io::Result<Process> {
        // rumqttd does not choose a free port itself, so another process may take this one in between.
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for _ in 0..10 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = free.local_addr()?;
            drop(free);
            let stop = self.spawn(address)?;
            match timeout(START_TIMEOUT, self.open_watch(address)).await {
                Ok(Ok(watch)) => {
                    self.address.store(Arc::new(address));
                    return Ok(Process { watch, _stop: stop });
                }
                Ok(Err(error)) => failure = error,
                Err(_) => failure = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(failure)
    }

    /// Starts its threads: its router has one, and its listener and connections share another one, because it blocks
    /// where it should wait.
    fn spawn(&self, address: SocketAddr) -> io::Result<oneshot::Sender<()>> {
        let router = Router::new(
            0,
            RouterConfig {
                max_connections: MAX_CONNECTIONS,
                max_outgoing_packet_count: 200,
                max_segment_size: 1 << 20,
                max_segment_count: 10,
                ..RouterConfig::default()
            },
        )
        .spawn();
        let settings = ServerSettings {
            name: "rumqttd".to_owned(),
            listen: address,
            tls: None,
            next_connection_delay_ms: 0,
            connections: ConnectionSettings {
                connection_timeout_ms: 60_000,
                // Topics get a prefix and properties, and publishers their property.
                max_payload_size: self.max_packet_size + 1024 + publisher_property::MAX_ADDED_BYTES,
                max_inflight_count: 500,
                auth: Some(HashMap::from([(USER.to_owned(), self.password.clone())])),
                external_auth: None,
                dynamic_filters: false,
            },
        };
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("rumqttd".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async move {
                let mut server = Server::new(settings, router, V5);
                tokio::select! {
                    ended = server.start(LinkType::Remote) => {
                        if let Err(error) = ended {
                            tracing::debug!(%error, "rumqttd's listener has ended");
                        }
                    }
                    // Sent or dropped: both mean the same.
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(stop)
    }

    /// Opens the connection that watches it.
    async fn open_watch(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let mut stream = loop {
            match TcpStream::connect(address).await {
                Ok(stream) => break stream,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        };
        let connect = connect::connect_of_watch(&self.password).ok_or(io::ErrorKind::InvalidInput)?;
        stream.write_all(&connect).await?;
        let is_connack = |first: u8| first >> 4 == kind::CONNACK;
        let read = read_packet(&mut stream, &mut Vec::new(), MAX_CONNACK_BYTES, is_connack).await;
        read.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(stream)
    }
}
