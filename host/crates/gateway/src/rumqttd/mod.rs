//! rumqttd, a small broker, in this process: an upstream for those who have none.
//!
//! rumqttd has no hooks, and a client that speaks to it directly can stop it for everybody; behind the gateway nothing
//! reaches it that it would die of, which is the work of [`shield`]. It serves a loopback port that only this gateway can
//! use, because only this gateway knows the password. [`Rumqttd`] starts it in threads of its own and watches it through
//! a connection of its own, whose regular PINGREQ also wakes it when it has forgotten somebody; when it is dead, that is
//! said and counted, and another one is started. Its sessions and retained messages are in memory and die with it.

mod names;
mod order;
pub(super) mod shield;

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

use self::shield::USER;
use super::packet::kind;
use super::stamp;
use hookhost_broker::Limits;

/// How often it is asked whether it is there.
const PULSE: Duration = Duration::from_millis(250);
/// How long an answer may take before it counts as dead; a death that closes its sockets is noticed at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take to start.
const START: Duration = Duration::from_secs(10);
/// Connections that it has room for; it takes memory for them at its start.
const CONNECTIONS: usize = 10_000;

/// rumqttd at work.
pub(super) struct Rumqttd {
    shared: Arc<Shared>,
    watching: JoinHandle<()>,
}

struct Shared {
    address: ArcSwap<SocketAddr>,
    password: String,
    longest: usize,
    deaths: AtomicU64,
}

/// One life of it. Its threads end when this is dropped, but for one that waits for a router that has died.
struct Life {
    watch: TcpStream,
    _stop: oneshot::Sender<()>,
}

impl Rumqttd {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// No loopback port, or no thread.
    pub(super) async fn start(limits: &Limits) -> io::Result<Rumqttd> {
        // The system gives every hasher keys that nobody can guess.
        let chance = || RandomState::new().hash_one(0u8);
        let shared = Arc::new(Shared {
            address: ArcSwap::from_pointee(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            password: format!("{:016x}{:016x}", chance(), chance()),
            longest: limits.max_packet_size as usize + 1024 + stamp::LONGEST,
            deaths: AtomicU64::new(0),
        });
        let life = shared.begin().await?;
        let watching = tokio::spawn(watch(Arc::clone(&shared), life));
        Ok(Rumqttd { shared, watching })
    }

    /// Where it is now.
    pub(super) fn address(&self) -> SocketAddr {
        **self.shared.address.load()
    }

    /// What it wants to hear from whoever connects.
    pub(super) fn password(&self) -> &str {
        &self.shared.password
    }

    /// How often it has died.
    pub(super) fn deaths(&self) -> u64 {
        self.shared.deaths.load(Ordering::Relaxed)
    }
}

impl Drop for Rumqttd {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Waits for its end, again and again, and starts the next one.
async fn watch(shared: Arc<Shared>, mut life: Life) {
    loop {
        let why = pulse(&mut life.watch).await;
        let deaths = shared.deaths.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::error!(%why, deaths, "rumqttd has died; its sessions and retained messages are lost, and it is started again");
        drop(life);
        life = loop {
            match shared.begin().await {
                Ok(life) => break life,
                Err(error) => {
                    tracing::error!(%error, "rumqttd does not start");
                    sleep(Duration::from_secs(1)).await;
                }
            }
        };
        tracing::warn!("rumqttd is back");
    }
}

/// Asks it whether it is there until it is not; says how that was noticed.
async fn pulse(watch: &mut TcpStream) -> io::Error {
    loop {
        let asked = async {
            watch.write_all(&[kind::PINGREQ << 4, 0]).await?;
            let mut answer = [0; 2];
            watch.read_exact(&mut answer).await
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return error,
            Err(_) => return io::ErrorKind::TimedOut.into(),
        }
        // The end of the socket is noticed while it rests.
        let mut byte = [0; 1];
        if let Ok(ended) = timeout(PULSE, watch.peek(&mut byte)).await
            && !matches!(ended, Ok(count) if count > 0)
        {
            return io::ErrorKind::ConnectionReset.into();
        }
    }
}

impl Shared {
    /// Starts one.
    async fn begin(&self) -> io::Result<Life> {
        // It takes no free port itself, so another one may take this one in between.
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for _ in 0..10 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = free.local_addr()?;
            drop(free);
            let stop = self.spawn(address)?;
            match timeout(START, self.greet(address)).await {
                Ok(Ok(watch)) => {
                    self.address.store(Arc::new(address));
                    return Ok(Life { watch, _stop: stop });
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
                max_connections: CONNECTIONS,
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
                max_payload_size: self.longest,
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

    /// Connects the one who watches.
    async fn greet(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let mut stream = loop {
            match TcpStream::connect(address).await {
                Ok(stream) => break stream,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        };
        let connect = shield::watcher(&self.password).ok_or(io::ErrorKind::InvalidInput)?;
        stream.write_all(&connect).await?;
        let mut answer = Vec::new();
        while super::frame::whole(&answer, 1024)
            .map_err(|_| io::ErrorKind::InvalidData)?
            .is_none()
        {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
        }
        Ok(stream)
    }
}
