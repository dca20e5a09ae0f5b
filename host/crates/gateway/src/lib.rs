//! The engine "gateway": relays each client to an upstream broker, and derives the events from the packets.
//!
//! [`start`] starts a gateway. Each client has one task: `connection` takes it from CONNECT to CONNACK with the help of
//! `upstream` (with `tls`, `proxy`), and a [`Relay`](hookhost_relay::Relay) moves bytes from then on. Bytes pass
//! unchanged; the `inspector` sees the packets in them. `protocol` interprets the packets, without I/O: it returns actions,
//! which the `emitter` carries out. Packets are changed in two cases only: with the
//! `publisher_property`, messages name their publisher; and access rules of the host take denied filters out of SUBSCRIBE
//! and put their codes into SUBACK (`protocol::gate`), which also answers denied publishes. State of more than one connection is in `sessions` (each entry
//! with its `session_state`) and `recent_publishes`; `shared` holds both.
//!
//! `rumqttd` is an upstream in this process. It is reached through a stream that speaks plain MQTT, so nothing else here
//! knows it.
//!
//! Gateways share no state, so any number of them may serve one broker or one cluster. The memory of each connection is
//! bounded, and a panic ends only its own connection.

mod client_locks;
mod connection;
mod emitter;
mod host_message;
mod inspector;
mod lifecycle;
mod protocol;
mod proxy;
mod publisher_property;
mod recent_publishes;
#[cfg(feature = "rumqttd")]
mod rumqttd;
mod session_state;
mod sessions;
mod settings;
mod shared;
mod subscribed_filters;
mod tls;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use self::emitter::Emitter;
use self::protocol::{expired, kicked, terminated};
use self::sessions::{Presence, SessionEntry};
use self::shared::Shared;
use self::upstream::Upstreams;
use hookhost_broker::{
    BrokerSettings, ClientState, Engine, HostMessage, PublishError, Running, StartError, UpstreamState,
};
use hookhost_hooks::Bus;
use hookhost_listener::{ListenerState, Listeners, Serving, TlsFiles};
use hookhost_relay::{TrafficCounts, frame, packet, stream, wire};

pub use self::settings::{GatewaySettings, HAS_RUMQTTD, Publishers, Upstream, UpstreamSettings, UpstreamTls};
pub use self::upstream::{Balance, UpstreamControl};

/// How often expired sessions are removed.
const SWEEP: Duration = Duration::from_secs(1);

/// A gateway at work.
struct Broker {
    shared: Arc<Shared>,
    listeners: Serving,
    sweeping: JoinHandle<()>,
    /// Uses the upstreams of each reload.
    following: JoinHandle<()>,
}

/// Starts a gateway and listens; events go to `bus` from the first connection on. It connects to an upstream when a client
/// connects. The upstreams are those of `upstreams`, not those of `gateway`.
///
/// # Errors
///
/// [`StartError`] if a limit is invalid, the address cannot be listened on, or the upstream's settings do not hold.
pub async fn start(
    settings: &BrokerSettings,
    gateway: &GatewaySettings,
    upstreams: &UpstreamControl,
    bus: Option<Bus>,
) -> Result<Running, StartError> {
    Ok(Running::new(Broker::start(settings, gateway, upstreams, bus).await?))
}

impl Broker {
    /// Starts it and listens. It connects to the upstream when a client connects.
    async fn start(
        settings: &BrokerSettings,
        gateway: &GatewaySettings,
        control: &UpstreamControl,
        bus: Option<Bus>,
    ) -> Result<Broker, StartError> {
        if let Some((key, problem)) = settings.limits.check().into_iter().next() {
            return Err(StartError::Limit { key, problem });
        }
        let mut wanted = control.subscribe();
        let gateway = &GatewaySettings {
            upstreams: wanted.borrow_and_update().clone(),
            ..gateway.clone()
        };
        let upstreams = Upstreams::new(gateway, &settings.limits)
            .await
            .map_err(StartError::Engine)?;
        let listeners = Listeners::bind(&settings.listeners, &settings.limits.sockets())?;
        let shared = Arc::new(Shared::new(
            GatewaySettings {
                // Without other upstreams it is the broker in this process, which no client reaches but through here.
                sees_all_clients: gateway.sees_all_clients || gateway.upstreams.list.is_empty(),
                ..gateway.clone()
            },
            settings.limits.clone(),
            settings.access.clone(),
            upstreams,
            bus,
        ));
        let accepting = Arc::clone(&shared);
        Ok(Broker {
            listeners: listeners.serve(move |client| connection::serve(accepting.begin(), client)),
            sweeping: tokio::spawn(sweep(Arc::clone(&shared))),
            following: tokio::spawn(follow(Arc::clone(&shared), wanted)),
            shared,
        })
    }
}

#[async_trait]
impl Engine for Broker {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn listeners(&self) -> &[ListenerState] {
        self.listeners.states()
    }

    fn tls_files(&self) -> Vec<TlsFiles> {
        self.listeners.tls_files()
    }

    async fn clients(&self) -> Vec<ClientState> {
        self.shared.sessions.all().iter().map(state).collect()
    }

    async fn disconnect(&self, client_id: &str) -> bool {
        let Some(entry) = self.shared.sessions.of(client_id) else {
            return false;
        };
        if let Presence::Away(_) = entry.presence {
            let mut emitter = Emitter::new(&self.shared);
            {
                let forgotten = self.shared.sessions.forget(&entry.connection.client.id, entry.number);
                let Some((entry, _guard)) = forgotten else {
                    return false;
                };
                emitter.run(|step| terminated(&entry, kicked(), step));
            }
            emitter.flush().await;
        } else {
            entry.handle.kick.notify_one();
        }
        true
    }

    async fn publish(&self, message: HostMessage) -> Result<(), PublishError> {
        host_message::publish(&self.shared, message).await
    }

    async fn stop(mut self: Box<Self>, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.listeners.close().await;
        self.sweeping.abort();
        self.following.abort();
        self.shared.stopping.cancel();
        if timeout_at(deadline, self.shared.empty()).await.is_err() {
            tracing::warn!(?grace, "clients were still connected at the end of the grace period");
        }
        let counters: Vec<String> = self
            .counters()
            .iter()
            .map(|(name, count)| format!("{name}={count}"))
            .collect();
        tracing::info!(counters = counters.join(" "), "the gateway has stopped");
    }

    fn traffic(&self) -> TrafficCounts {
        self.shared.traffic.counts()
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = self.listeners.counters();
        counters.extend(self.shared.counts.all());
        counters.extend(self.shared.upstreams.counters());
        counters.extend(self.shared.access.counters().named());
        counters
    }

    fn upstreams(&self) -> Vec<UpstreamState> {
        self.shared.upstreams.states()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.sweeping.abort();
        self.following.abort();
    }
}

fn state(entry: &SessionEntry) -> ClientState {
    ClientState {
        client: entry.connection.client.clone(),
        connected: entry.presence == Presence::Online,
        connected_at: entry.connected_at,
        created_at: entry.created_at,
        keep_alive: entry.connection.keep_alive,
        clean_start: entry.connection.clean_start,
        subscriptions: entry.handle.subscriptions.load(Ordering::Relaxed),
        queued: 0,
        unconfirmed: entry.handle.unacknowledged.load(Ordering::Relaxed),
    }
}

/// Uses the upstreams of each reload.
async fn follow(shared: Arc<Shared>, mut wanted: watch::Receiver<UpstreamSettings>) {
    while wanted.changed().await.is_ok() {
        let settings = wanted.borrow_and_update().clone();
        shared.upstreams.replace(&settings);
    }
}

/// Removes expired sessions, and reports their end if no client can have come back elsewhere.
async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let over = shared.sessions.expire(shared.now());
        if shared.settings.sees_all_clients {
            let mut emitter = Emitter::new(&shared);
            emitter.run(|step| over.iter().for_each(|entry| terminated(entry, expired(), step)));
            emitter.flush().await;
        }
    }
}

#[cfg(test)]
mod tests;
