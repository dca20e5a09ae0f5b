//! Cleans up regularly what RMQTT leaves behind.
//!
//! RMQTT keeps a session without a connection when a client disconnects while it is being accepted; hostile clients can
//! cause that as often as they like. In a few rare cases it also removes sessions without calling a hook.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ::rmqtt::context::ServerContext;
use ::rmqtt::types::{Id as ClientKey, Reason};

use super::backlog::Backlogs;
use super::clients::keys;
use super::handler::EventSource;
use super::persistent::PersistentSessions;
use super::retained::RetainedStore;

/// How often the sweep runs.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Cleans up every five seconds, for as long as the broker runs.
pub(super) async fn sweep(
    engine: ServerContext,
    source: Option<Arc<EventSource>>,
    persistent: Arc<PersistentSessions>,
    retained: RetainedStore,
    backlogs: Arc<Backlogs>,
    handshake_timeout: Duration,
) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    let mut missing = HashSet::new();
    loop {
        ticks.tick().await;
        retained.sweep();
        backlogs.sweep();
        remove_orphans(&engine, source.as_deref(), &persistent).await;
        if let Some(source) = &source {
            source.sessions.forget_accepted(handshake_timeout + SWEEP_INTERVAL);
            missing = end_missing(&engine, source, &missing).await;
        }
    }
}

/// Removes sessions whose task has ended: RMQTT leaves them behind if CONNACK could not be written. A session that
/// outlives its connection goes on without one, unless it is new.
async fn remove_orphans(engine: &ServerContext, source: Option<&EventSource>, persistent: &PersistentSessions) {
    for key in keys(engine).await {
        let mut entry = engine.extends.shared().await.entry(key.clone());
        if entry.id_same() != Some(true) || !entry.tx().is_some_and(|sender| sender.is_closed()) {
            continue;
        }
        if persistent.get(&key.client_id).is_some()
            && let Some(session) = entry.session()
        {
            if session.session_present().await.unwrap_or(false) {
                persistent.go_offline(session, entry).await;
                continue;
            }
            persistent.discard(&key.client_id);
        }
        if entry.remove_with(&key).await.is_ok_and(|removed| removed.is_some())
            && let Some(source) = source
        {
            source.lost(&key, &Reason::ConnectRemoteClose).await;
        }
    }
}

/// Ends the records of sessions that RMQTT has removed. Its hook for that may be about to run, so a session has to be
/// missing twice; returns those that were missing once.
async fn end_missing(engine: &ServerContext, source: &EventSource, missing: &HashSet<ClientKey>) -> HashSet<ClientKey> {
    let mut again = HashSet::new();
    for record in source.sessions.all() {
        if engine.extends.shared().await.entry(record.key.clone()).id_same() == Some(true) {
            continue;
        }
        if missing.contains(&record.key) {
            source.lost(&record.key, &Reason::ConnectRemoteClose).await;
        } else {
            again.insert(record.key);
        }
    }
    again
}
