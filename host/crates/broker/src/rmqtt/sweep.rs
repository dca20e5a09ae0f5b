//! What RMQTT forgets, looked for every now and then.
//!
//! RMQTT leaves a session behind, with nobody in it, when a client vanishes while it is being accepted; hostile clients
//! can cause that as often as they like. It also throws sessions away without a word in a few rare cases.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ::rmqtt::context::ServerContext;
use ::rmqtt::types::{Id as ClientKey, Reason};

use super::backlog::Backlogs;
use super::handler::Watch;
use super::keys;
use super::retained::Retained;

/// How often.
const SWEEP: Duration = Duration::from_secs(5);

/// Cleans up, every now and then, for as long as the broker runs.
pub(super) async fn sweep(
    engine: ServerContext,
    watch: Option<Arc<Watch>>,
    retained: Retained,
    backlogs: Arc<Backlogs>,
) {
    let mut ticks = tokio::time::interval(SWEEP);
    let mut missing = HashSet::new();
    loop {
        ticks.tick().await;
        retained.sweep();
        backlogs.sweep();
        forgotten(&engine, watch.as_deref()).await;
        if let Some(watch) = &watch {
            missing = unknown(&engine, watch, &missing).await;
        }
    }
}

/// Removes sessions whose task has gone: RMQTT leaves them behind if CONNACK could not be written.
async fn forgotten(engine: &ServerContext, watch: Option<&Watch>) {
    for key in keys(engine).await {
        let mut entry = engine.extends.shared().await.entry(key.clone());
        if entry.id_same() != Some(true) || !entry.tx().is_some_and(|sender| sender.is_closed()) {
            continue;
        }
        if entry.remove_with(&key).await.is_ok_and(|removed| removed.is_some())
            && let Some(watch) = watch
        {
            watch.lost(&key, &Reason::ConnectRemoteClose).await;
        }
    }
}

/// Ends what is remembered of sessions that RMQTT does not know any more. It can be on its way to say so itself, so
/// they have to be missing twice; gives those that were missing once.
async fn unknown(engine: &ServerContext, watch: &Watch, missing: &HashSet<ClientKey>) -> HashSet<ClientKey> {
    let mut again = HashSet::new();
    for live in watch.sessions.all() {
        if engine.extends.shared().await.entry(live.key.clone()).id_same() == Some(true) {
            continue;
        }
        if missing.contains(&live.key) {
            watch.lost(&live.key, &Reason::ConnectRemoteClose).await;
        } else {
            again.insert(live.key);
        }
    }
    again
}
