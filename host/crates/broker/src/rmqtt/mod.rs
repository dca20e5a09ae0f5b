//! The engine RMQTT, in process.
//!
//! [`Broker`] starts it, asks it and stops it. RMQTT has no call to stop: its listener is a task that is aborted, its
//! clients are kicked one by one. A second task looks after what RMQTT forgets: sessions whose client vanished while
//! it was being accepted, and retained messages whose time is up.
//!
//! `limits` has the settings, `handler` and `messages` turn hooks into events with what `translate` and `reason` say,
//! `sessions`, `tag` and `oversize` remember what RMQTT does not, `retained` is its store of retained
//! messages, `peers` and `backlog` bound what waits for a client.

mod backlog;
mod frequent;
mod handler;
mod limits;
mod messages;
mod oversize;
mod peers;
mod reason;
mod retained;
mod sessions;
mod subscriptions;
mod sweep;
mod tag;
mod translate;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::context::ServerContext;
use ::rmqtt::server::MqttServer;
use ::rmqtt::session::{Session as Held, SessionState};
use ::rmqtt::types::{CodecPublish, From as Sender, Id as ClientKey, Publish, Reason};

use self::backlog::Backlogs;
use self::handler::Watch;
use self::peers::Peers;
use self::retained::Retained;
use self::translate::{Listening, MODULE_LISTENER};
use super::{ClientState, Engine, HostMessage, PublishError, Settings, StartError};
use hookhost_event::Origin;
use hookhost_hooks::Bus;

pub use self::limits::{Limits, SharedStrategy};

/// Name of the listener, in events and in RMQTT's logs.
const LISTENER: &str = "tcp:default";
/// RMQTT's number of the listener.
const LISTENER_ID: u16 = 1;
/// How many clients are being disconnected at a time while stopping.
const KICKS: usize = 256;

/// RMQTT at work.
pub(super) struct Broker {
    engine: ServerContext,
    address: SocketAddr,
    limits: Limits,
    watch: Option<Arc<Watch>>,
    accepting: JoinHandle<()>,
    sweeping: JoinHandle<()>,
}

impl Broker {
    /// Starts it and listens.
    pub(super) async fn start(settings: &Settings, bus: Option<Bus>) -> Result<Broker, StartError> {
        let limits = &settings.limits;
        if let Some((key, problem)) = limits.check().into_iter().next() {
            return Err(StartError::Limit { key, problem });
        }
        let plugin = "rmqtt-shared-subscription";
        let engine = ServerContext::new()
            .node_id(settings.node.id.into())
            .busy_check_enable(limits.busy_check)
            .mqtt_max_sessions(isize::try_from(limits.max_sessions).unwrap_or(isize::MAX))
            .plugins_config_map_add(plugin, format!("strategy = \"{}\"", limits.shared_strategy.name()))
            .build()
            .await;
        let refused = |error: ::rmqtt::Error| StartError::Engine(error.to_string());
        if limits.shared_subscription {
            rmqtt_shared_subscription::register(&engine, true, false)
                .await
                .map_err(refused)?;
        }
        let backlogs = Arc::new(Backlogs::new(limits));
        let retained = Retained::new(limits);
        *engine.extends.retain_mut().await = Box::new(retained.clone());

        let listen = settings.listen;
        let listener = limits
            .builder(LISTENER, listen)
            .bind()
            .map_err(|error| StartError::Bind {
                listen,
                source: system_error(error),
            })?
            .tcp()
            .map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let watch = match bus {
            Some(bus) => {
                let listening = Listening {
                    name: ByteString::from_static(LISTENER),
                    address,
                    limits: limits.clone(),
                };
                let watch = Arc::new(Watch::new(engine.clone(), bus, listening));
                watch.register(&engine).await;
                Some(watch)
            }
            None => None,
        };
        let peers = Peers::new(engine.clone(), Arc::clone(&backlogs), watch.clone());
        *engine.extends.shared_mut().await = Box::new(peers);
        let server = MqttServer::new(engine.clone())
            .listener_by_id(listener, LISTENER_ID)
            .build();
        let accepting = tokio::spawn(async move {
            if let Err(error) = server.run().await {
                tracing::error!(%error, "the MQTT listener has ended");
            }
        });
        let sweeping = tokio::spawn(sweep::sweep(engine.clone(), watch.clone(), retained, backlogs));
        Ok(Broker {
            engine,
            address,
            limits: limits.clone(),
            watch,
            accepting,
            sweeping,
        })
    }
}

#[async_trait]
impl Engine for Broker {
    fn name(&self) -> &'static str {
        "rmqtt"
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    async fn clients(&self) -> Vec<ClientState> {
        let mut states = Vec::new();
        for key in keys(&self.engine).await {
            let held = self.engine.extends.shared().await.entry(key).session();
            if let Some(held) = held
                && let Some(state) = state(&held).await
            {
                states.push(state);
            }
        }
        states
    }

    async fn disconnect(&self, client_id: &str) -> bool {
        let any = ClientKey::from(self.engine.node.id(), client_id.into());
        let Some(held) = self.engine.extends.shared().await.entry(any).session() else {
            return false;
        };
        kick(&self.engine, self.watch.as_deref(), held.id.clone()).await
    }

    async fn publish(&self, message: HostMessage) -> Result<(), PublishError> {
        if !self.limits.is_topic(&message.topic) {
            return Err(PublishError::Topic);
        }
        if message.qos > self.limits.max_qos_allowed {
            return Err(PublishError::Qos);
        }
        if message.topic.len() + message.payload.len() + 16 > self.limits.max_packet_size as usize {
            return Err(PublishError::TooLarge);
        }
        let key = |listener| {
            ClientKey::new(
                self.engine.node.id(),
                listener,
                None,
                None,
                message.sender.clone(),
                None,
            )
        };
        let sender = match message.origin {
            Origin::Admin => Sender::from_admin(key(LISTENER_ID)),
            Origin::Module => Sender::from_admin(key(MODULE_LISTENER)),
            Origin::System => Sender::from_system(key(LISTENER_ID)),
            Origin::Bridge => Sender::from_bridge(key(LISTENER_ID)),
            Origin::Client | Origin::Will => return Err(PublishError::Origin),
        };
        let publish = Publish::from(CodecPublish {
            dup: false,
            retain: message.retain,
            qos: QoS::try_from(message.qos).map_err(|_| PublishError::Qos)?,
            topic: message.topic,
            packet_id: None,
            payload: message.payload,
            properties: None,
        })
        .create_time(::rmqtt::utils::timestamp_millis());
        let hooks = self.engine.extends.hook_mgr();
        let publish = hooks
            .message_publish(None, sender.clone(), &publish)
            .await
            .unwrap_or(publish);
        let routed = SessionState::forwards(&self.engine, sender.clone(), publish, false, None).await;
        routed.map_err(|_| PublishError::Engine)
    }

    async fn stop(self: Box<Self>, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.accepting.abort();
        self.sweeping.abort();
        if let Some(watch) = &self.watch {
            watch.stopping.store(true, Ordering::Relaxed);
        }
        let watch = self.watch.clone();
        let everything = async {
            // Whoever was being accepted gets a session after the first look.
            while disconnect_all(&self.engine, watch.as_ref()).await > 0 {}
            self.told().await;
        };
        if tokio::time::timeout_at(deadline, everything).await.is_err() {
            tracing::warn!(?grace, "clients were still connected when the time to stop was up");
        }
        if let Some(watch) = &self.watch {
            for live in watch.sessions.all() {
                watch.lost(&live.key, &Reason::ConnectKicked(true)).await;
            }
        }
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

impl Broker {
    /// Waits until every session has ended and its end has been sent to the bus.
    async fn told(&self) {
        let Some(watch) = &self.watch else { return };
        loop {
            let ended = watch.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if watch.sessions.is_empty() {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.accepting.abort();
        self.sweeping.abort();
    }
}

/// What the system said, if it was the system.
fn system_error(error: ::rmqtt::Error) -> io::Error {
    error
        .downcast::<io::Error>()
        .unwrap_or_else(|error| io::Error::other(error.to_string()))
}

/// Whose sessions there are. Collected first: asking about one while RMQTT's map is being walked can block it.
async fn keys(engine: &ServerContext) -> Vec<ClientKey> {
    engine.extends.shared().await.iter().map(|entry| entry.id()).collect()
}

async fn state(held: &Held) -> Option<ClientState> {
    let info = held.connect_info().await.ok()?;
    let subscriptions = match held.subscriptions().await {
        Ok(subscriptions) => subscriptions.len().await,
        Err(_) => 0,
    };
    Some(ClientState {
        client: translate::client(&held.id, info.proto_ver()),
        connected: held.connected().await.unwrap_or(false),
        connected_at: held.connected_at().await.ok().and_then(translate::millis),
        created_at: held.created_at().await.ok().and_then(translate::millis),
        keep_alive: info.keep_alive(),
        clean_start: info.clean_start(),
        subscriptions,
        queued: held.deliver_queue().len(),
        unconfirmed: held.out_inflight().read().await.len(),
    })
}

/// Ends a session in the name of an administrator; whether it could be done.
///
/// Under the lock that a CONNECT of the client takes: RMQTT removes whatever session is there when the kicked one has
/// answered, and a newer one would be left connected and unknown.
async fn kick(engine: &ServerContext, watch: Option<&Watch>, key: ClientKey) -> bool {
    let entry = engine.extends.shared().await.entry(key.clone());
    let mut entry = match entry.try_lock().await {
        Ok(entry) => entry,
        Err(error) => {
            tracing::warn!(client = %key.client_id, %error, "a client that is being accepted cannot be disconnected");
            return false;
        }
    };
    let online = entry.is_connected().await;
    if let Err(error) = entry.kick(true, true, true).await {
        tracing::debug!(client = %key.client_id, %error, "a client ended before it was asked to");
    }
    // For a client that is away RMQTT throws the session away without a word.
    if let Some(watch) = watch.filter(|_| !online) {
        watch.lost(&key, &Reason::ConnectKicked(true)).await;
    }
    true
}

/// Ends all sessions that there are; how many.
async fn disconnect_all(engine: &ServerContext, watch: Option<&Arc<Watch>>) -> usize {
    let keys = keys(engine).await;
    let count = keys.len();
    let mut kicks = JoinSet::new();
    for key in keys {
        if kicks.len() >= KICKS {
            kicks.join_next().await;
        }
        let (engine, watch) = (engine.clone(), watch.cloned());
        kicks.spawn(async move {
            kick(&engine, watch.as_deref(), key).await;
        });
    }
    while kicks.join_next().await.is_some() {}
    count
}
