//! Lists RMQTT's clients and disconnects them.

use std::sync::Arc;

use tokio::task::JoinSet;

use ::rmqtt::context::ServerContext;
use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::types::{Id as ClientKey, Reason};

use super::handler::EventSource;
use super::persistent::PersistentSessions;
use super::translate;
use crate::ClientState;

/// How many clients are disconnected at the same time while stopping.
const MAX_CONCURRENT_KICKS: usize = 256;

/// The keys of all sessions. Collected first: reading an entry while iterating over RMQTT's map can deadlock.
pub(super) async fn keys(engine: &ServerContext) -> Vec<ClientKey> {
    engine.extends.shared().await.iter().map(|entry| entry.id()).collect()
}

/// The state of a session; with the client's own address if `source` knows it.
pub(super) async fn state(
    session: &RmqttSession,
    persistent: &PersistentSessions,
    source: Option<&EventSource>,
) -> Option<ClientState> {
    let info = session.connect_info().await.ok()?;
    let subscriptions = match session.subscriptions().await {
        Ok(subscriptions) => subscriptions.len().await,
        Err(_) => 0,
    };
    Some(ClientState {
        client: match source {
            Some(source) => source.client(&session.id, info.proto_ver()),
            None => translate::client(&session.id, session.id.remote_addr, info.proto_ver()),
        },
        connected: session.connected().await.unwrap_or(false),
        connected_at: session.connected_at().await.ok().and_then(translate::millis),
        created_at: session.created_at().await.ok().and_then(translate::millis),
        keep_alive: info.keep_alive(),
        clean_start: info.clean_start(),
        subscriptions,
        queued: session.deliver_queue().len()
            + persistent
                .get(&session.id.client_id)
                .map_or(0, |session| session.waiting()),
        unconfirmed: session.out_inflight().read().await.len(),
    })
}

/// Ends a session as an administrator does; returns whether it could.
///
/// Holds the lock that a CONNECT of the client takes: when the kicked connection has answered, RMQTT removes whatever
/// session is there, and a newer one would stay connected without a session.
pub(super) async fn kick(engine: &ServerContext, source: Option<&EventSource>, key: ClientKey) -> bool {
    let entry = engine.extends.shared().await.entry(key.clone());
    let mut entry = match entry.try_lock().await {
        Ok(entry) => entry,
        Err(error) => {
            tracing::warn!(client = %key.client_id, %error, "cannot disconnect a client that is being accepted");
            return false;
        }
    };
    let online = entry.is_connected().await;
    if let Err(error) = entry.kick(true, true, true).await {
        tracing::debug!(client = %key.client_id, %error, "a client disconnected before it was kicked");
    }
    // RMQTT removes the session of a disconnected client without calling a hook.
    if let Some(source) = source.filter(|_| !online) {
        source.lost(&key, &Reason::ConnectKicked(true)).await;
    }
    true
}

/// Ends all sessions; returns how many there were.
pub(super) async fn disconnect_all(engine: &ServerContext, source: Option<&Arc<EventSource>>) -> usize {
    let keys = keys(engine).await;
    let count = keys.len();
    let mut kicks = JoinSet::new();
    for key in keys {
        if kicks.len() >= MAX_CONCURRENT_KICKS {
            kicks.join_next().await;
        }
        let (engine, source) = (engine.clone(), source.cloned());
        kicks.spawn(async move {
            kick(&engine, source.as_deref(), key).await;
        });
    }
    while kicks.join_next().await.is_some() {}
    count
}
