//! The engine that is a gateway: each client is relayed to an upstream broker, and the events are read off the packets.
//!
//! [`Broker`] listens and stops. Each client has one task: `connection` takes it from its first byte to CONNACK with the
//! help of `upstream` (with `stream`, `tls`, `proxy`), `relay` moves bytes from then on. Bytes go on unchanged; `frame`
//! finds the packets in them and `packet` reads those that matter. What they mean is the work of `machine`, which is
//! pure: packets in, events out. Packets are changed in two cases only: `rumqttd` is a broker in this process for those
//! who have none, and needs it; and `stamp` has messages say who published them, if that is wanted. What concerns more
//! than one connection is in `sessions` (whose entries share their `memory`) and `publishers`; `shared` holds all of it
//! and brings events to the bus.
//!
//! Gateways share nothing, so any number of them may stand before one broker or one cluster. Whatever a client or an
//! upstream does is bounded in memory per connection, and a panic ends the one connection that it happened in.

mod connection;
mod filters;
mod frame;
mod host;
mod listener;
mod machine;
mod memory;
mod packet;
mod proxy;
mod publishers;
mod relay;
mod rumqttd;
mod sessions;
mod settings;
mod shared;
mod stamp;
mod stream;
mod tls;
mod turns;
mod upstream;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use self::machine::{expired, terminated};
use self::sessions::{Live, Presence};
use self::shared::{Shared, Teller};
use self::upstream::Upstreams;
use hookhost_broker::{ClientState, Engine, HostMessage, PublishError, Running, Settings, StartError};
use hookhost_event::{End, EndReason};
use hookhost_hooks::Bus;

pub use self::settings::{GatewaySettings, Publishers, Upstream, UpstreamTls};

/// Name of the listener, in events.
const LISTENER: &str = "tcp:default";
/// How often it is looked for sessions whose time is up.
const SWEEP: Duration = Duration::from_secs(1);

/// A gateway at work.
struct Broker {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    sweeping: JoinHandle<()>,
}

/// Starts a gateway and listens; events go to `bus` from the first connection on. The upstream is not connected to before
/// a client comes.
///
/// # Errors
///
/// [`StartError`] if a limit is invalid, the address cannot be listened on, or the upstream's settings do not hold.
pub async fn start(settings: &Settings, gateway: &GatewaySettings, bus: Option<Bus>) -> Result<Running, StartError> {
    Ok(Running::new(Broker::start(settings, gateway, bus).await?))
}

impl Broker {
    /// Starts it and listens. The upstream is not asked before a client comes.
    async fn start(settings: &Settings, gateway: &GatewaySettings, bus: Option<Bus>) -> Result<Broker, StartError> {
        if let Some((key, problem)) = settings.limits.check().into_iter().next() {
            return Err(StartError::Limit { key, problem });
        }
        let upstreams = Upstreams::new(gateway, &settings.limits)
            .await
            .map_err(StartError::Engine)?;
        let listen = settings.listen;
        let bound = listener::bind(listen, &settings.limits);
        let (listener, address) = bound.map_err(|source| StartError::Bind { listen, source })?;
        let shared = Arc::new(Shared::new(
            GatewaySettings {
                // Nobody else gets to rumqttd.
                sees_all_clients: gateway.sees_all_clients || gateway.upstreams.is_empty(),
                ..gateway.clone()
            },
            settings.limits.clone(),
            LISTENER,
            address,
            upstreams,
            bus,
        ));
        Ok(Broker {
            accepting: tokio::spawn(listener::accept(Arc::clone(&shared), listener)),
            sweeping: tokio::spawn(sweep(Arc::clone(&shared))),
            shared,
        })
    }
}

#[async_trait]
impl Engine for Broker {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn address(&self) -> SocketAddr {
        self.shared.address
    }

    async fn clients(&self) -> Vec<ClientState> {
        self.shared.sessions.all().iter().map(state).collect()
    }

    async fn disconnect(&self, client_id: &str) -> bool {
        let Some(live) = self.shared.sessions.of(client_id) else {
            return false;
        };
        if let Presence::Away(_) = live.presence {
            let mut teller = Teller::new(&self.shared);
            {
                let forgotten = self.shared.sessions.forget(&live.connection.client.id, live.number);
                let Some((live, _moment)) = forgotten else {
                    return false;
                };
                terminated(&live, kicked(), &teller);
            }
            teller.flush().await;
        } else {
            live.handle.kick.notify_one();
        }
        true
    }

    async fn publish(&self, message: HostMessage) -> Result<(), PublishError> {
        host::publish(&self.shared, message).await
    }

    async fn stop(self: Box<Self>, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.accepting.abort();
        self.sweeping.abort();
        self.shared.stopping.cancel();
        if timeout_at(deadline, self.shared.empty()).await.is_err() {
            tracing::warn!(?grace, "clients were still connected when the time to stop was up");
        }
        let counters: Vec<String> = self
            .counters()
            .iter()
            .map(|(name, count)| format!("{name}={count}"))
            .collect();
        tracing::info!(counters = counters.join(" "), "the gateway has stopped");
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = self.shared.counts.all();
        if let Some(rumqttd) = self.shared.upstreams.rumqttd() {
            counters.push(("deaths_of_rumqttd", rumqttd.deaths()));
        }
        counters
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.accepting.abort();
        self.sweeping.abort();
    }
}

fn state(live: &Live) -> ClientState {
    ClientState {
        client: live.connection.client.clone(),
        connected: live.presence == Presence::Online,
        connected_at: live.connected_at,
        created_at: live.created_at,
        keep_alive: live.connection.keep_alive,
        clean_start: live.connection.clean_start,
        subscriptions: live.handle.subscriptions.load(Ordering::Relaxed),
        queued: 0,
        unconfirmed: live.handle.unconfirmed.load(Ordering::Relaxed),
    }
}

fn kicked() -> End {
    End {
        reason: EndReason::Kicked,
        code: Some(152),
        text: None,
        properties: None,
    }
}

/// Forgets sessions whose time is up, and tells it if nobody can have come back elsewhere.
async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let over = shared.sessions.expire(shared.now());
        if shared.settings.sees_all_clients {
            let mut teller = Teller::new(&shared);
            for live in &over {
                terminated(live, expired(), &teller);
            }
            teller.flush().await;
        }
    }
}

#[cfg(test)]
mod tests;
