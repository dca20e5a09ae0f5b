//! Starts RMQTT: its stores and hooks first, then the listeners.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ::rmqtt::context::ServerContext;
use ::rmqtt::server::MqttServer;

use super::backlog::Backlogs;
use super::engine_stream::ENGINE_NODELAY;
use super::fitter::ClientFitters;
use super::front::Front;
use super::handler::EventSource;
use super::peers::ClientTable;
use super::persistent::{self, PersistentSessions};
use super::relayed::RelayedClients;
use super::retained::RetainedStore;
use super::subscription_limits::SubscriptionLimits;
use super::{Broker, Doors, LISTENER_ID, sweep};
use crate::{BrokerSettings, StartError};
use hookhost_hooks::Bus;
use hookhost_listener::{Address, BindError, Kind, ListenerState, Listeners};
use hookhost_sessions::{Contents, Store};

/// Name of RMQTT's listener, in RMQTT's logs.
const LISTENER: &str = "engine";

/// Where RMQTT itself listens if there is no relay.
fn bare_address(settings: &BrokerSettings) -> Result<SocketAddr, StartError> {
    let tcp = settings.listeners.iter().find(|listener| listener.kind == Kind::Tcp);
    tcp.and_then(|listener| listener.address.network())
        .ok_or_else(|| StartError::Engine("without hooks it needs a plain TCP listener".to_owned()))
}

impl Broker {
    /// Starts it and listens.
    pub(crate) async fn start(settings: &BrokerSettings, bus: Option<Bus>) -> Result<Broker, StartError> {
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
        let (store, mut contents) = match &settings.data {
            Some(folder) => {
                let (store, contents) = Store::open(folder)?;
                (Some(store), contents)
            }
            None => (None, Contents::default()),
        };
        let backlogs = Arc::new(Backlogs::new(limits));
        let clients = Arc::new(RelayedClients::new());
        let persistent = Arc::new(PersistentSessions::new(
            engine.clone(),
            Arc::clone(&clients),
            Arc::clone(&backlogs),
            limits,
            store,
        ));
        *engine.extends.session_mgr_mut().await = Box::new(persistent::Manager(Arc::clone(&persistent)));
        persistent::register(&persistent, &engine).await;
        let subscriptions = SubscriptionLimits::register(&engine, limits).await;
        let (listeners, listen) = match &bus {
            Some(_) => {
                let listeners = Listeners::bind(&settings.listeners, &limits.sockets())?;
                (Some(listeners), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            }
            None => (None, bare_address(settings)?),
        };
        let listener = limits
            // With listeners, the hook of authentication decides about every client.
            .builder(LISTENER, listen, listeners.is_none())
            .nodelay(if listeners.is_some() {
                ENGINE_NODELAY
            } else {
                limits.nodelay
            })
            .bind()
            .map_err(|error| BindError::Address {
                name: LISTENER.to_owned(),
                address: Address::Network(listen),
                source: system_error(error),
            })?
            .tcp()
            .map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let source = match bus {
            Some(bus) => {
                let source = Arc::new(EventSource::new(
                    engine.clone(),
                    bus,
                    settings,
                    clients,
                    Arc::clone(&persistent),
                ));
                source.register(&engine).await;
                Some(source)
            }
            None => None,
        };
        let retained = RetainedStore::new(limits, &persistent, source.clone());
        *engine.extends.retain_mut().await = Box::new(retained.clone());
        *engine.extends.fitter_mgr_mut().await = Box::new(ClientFitters { limits: limits.clone() });
        let peers = ClientTable::new(
            engine.clone(),
            Arc::clone(&backlogs),
            Arc::clone(&persistent),
            source.clone(),
            settings.has_queue_groups(),
        );
        *engine.extends.shared_mut().await = Box::new(peers);
        let server = MqttServer::new(engine.clone())
            .listener_by_id(listener, LISTENER_ID)
            .build();
        if settings.data.is_some() {
            retained.restore(std::mem::take(&mut contents.retained));
            restore(&engine, &persistent, source.as_deref(), contents).await?;
        }
        let accepting = tokio::spawn(async move {
            if let Err(error) = server.run().await {
                tracing::error!(%error, "the MQTT listener has ended");
            }
        });
        let sweeping = tokio::spawn(sweep::sweep(
            engine.clone(),
            source.clone(),
            Arc::clone(&persistent),
            retained.clone(),
            backlogs,
            limits.handshake_timeout,
        ));
        let doors = match (listeners, &source) {
            (Some(listeners), Some(source)) => {
                let front = Arc::new(Front::new(Arc::clone(source), limits.clone(), address));
                let serve = Arc::clone(&front);
                let listeners = listeners.serve(move |client| Arc::clone(&serve).serve(client));
                Doors::Front { listeners, front }
            }
            _ => Doors::Bare([ListenerState {
                name: LISTENER.into(),
                kind: Kind::Tcp,
                address: Address::Network(address),
            }]),
        };
        Ok(Broker {
            engine,
            limits: limits.clone(),
            source,
            persistent,
            retained,
            subscriptions,
            doors,
            access: settings.access.clone(),
            accepting,
            sweeping,
        })
    }
}

/// Brings stored sessions back.
async fn restore(
    engine: &ServerContext,
    persistent: &Arc<PersistentSessions>,
    source: Option<&EventSource>,
    contents: Contents,
) -> Result<(), StartError> {
    let Some(listener) = engine
        .listen_cfgs
        .get(&LISTENER_ID)
        .map(|listener| listener.value().clone())
    else {
        return Ok(());
    };
    let count = contents.sessions.len();
    for stored in contents.sessions {
        let session = persistent
            .restore(stored, &listener, LISTENER_ID)
            .await
            .map_err(|error| StartError::Engine(error.to_string()))?;
        if let Some(source) = source {
            source.restored(&session).await;
        }
    }
    if count > 0 {
        tracing::info!(sessions = count, "restored MQTT sessions");
    }
    Ok(())
}

/// The system's error, if there is one.
fn system_error(error: ::rmqtt::Error) -> io::Error {
    error
        .downcast::<io::Error>()
        .unwrap_or_else(|error| io::Error::other(error.to_string()))
}
