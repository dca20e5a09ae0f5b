//! Turns RMQTT's hooks about connections and sessions into events.
//!
//! RMQTT does not say which session was resumed, discarded or taken over, nor which connection a newer one has replaced;
//! [`Sessions`](super::sessions::Sessions) does. The end of the old connection is emitted before anything about the new
//! session, in whatever order RMQTT's tasks run; [`sessions`](super::sessions) says how. Whichever task emits the end of a
//! connection also emits the events of its client that were held back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::Notify;

use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::types::{Id as ClientKey, Reason};

use super::handler::{EventSource, completed, connect_extras};
use super::reason::{self, EndContext};
use super::relayed::peer;
use super::relayed_client::RelayedClient;
use super::session_record::{Closing, Presence, SessionRecord};
use super::{connect, translate};
use hookhost_event::{Detail, Disconnection, End, EndReason, Event, Hook, Millis, Termination};

/// How long RMQTT may take from the end of one session to that of the next when the host stops.
const NEXT_END_TIMEOUT: Duration = Duration::from_secs(2);

impl EventSource {
    fn context(&self, discarded: bool) -> EndContext {
        EndContext {
            discarded,
            stopping: self.stopping.load(Ordering::Relaxed),
        }
    }

    /// A session was restored at the start.
    pub(super) async fn restored(&self, session: &RmqttSession) {
        if let Some(record) = session_record(session, None).await {
            self.sessions.restore(record);
        }
    }

    /// A connection has its session, resumed or new.
    pub(super) async fn opened(&self, session: &RmqttSession, resumed: bool) {
        let Some(record) = session_record(session, self.clients.of(&session.id)).await else {
            return;
        };
        let (info, neutral) = (Arc::clone(&record.info), record.session());
        if let Some(old) = self.sessions.open(record) {
            self.replaced(old, resumed).await;
        }
        if info.username().is_none()
            && let Some(access) = self.sessions.access(&session.id)
        {
            self.authenticated(&info, &access).await;
        }
        let neutral = || neutral.clone();
        if resumed {
            self.emitter
                .emit(Hook::SessionResumed, None, || Detail::SessionResumed(neutral()))
                .await;
        } else {
            self.emitter
                .emit(Hook::SessionCreated, None, || Detail::SessionCreated(neutral()))
                .await;
        }
    }

    /// Emits the end of the connection that held the client's session, and what became of that session.
    async fn replaced(&self, old: SessionRecord, resumed: bool) {
        old.emitted().await;
        if old.presence == Presence::Ended {
            return;
        }
        if old.presence == Presence::Online {
            let end = reason::end(&Reason::ConnectKicked(false), self.context(!resumed));
            self.disconnected(&old, end, self.emitter.now()).await;
        }
        let neutral = || old.session();
        if !resumed {
            self.session_gone(&old, Hook::SessionDiscarded, || Detail::SessionDiscarded(neutral()))
                .await;
        } else if old.presence != Presence::Away {
            self.emitter
                .emit(Hook::SessionTakenOver, None, || Detail::SessionTakenOver(neutral()))
                .await;
        }
    }

    pub(super) async fn connected(&self, session: &RmqttSession) {
        let Ok(info) = session.connect_info().await else { return };
        let session_present = session.session_present().await.unwrap_or(false);
        let connected_at = session.connected_at().await.ok().and_then(translate::millis);
        if session_present {
            self.opened(session, true).await;
        }
        // RMQTT's own hook for CONNACK runs just before this one and does not know whether a session is present.
        self.is_answered(&info);
        let client = self.client_behind(&session.id);
        let peer = peer(&session.id, client.as_deref());
        let connack = || {
            let mut connack = connect::accepted(&info, &peer, &self.limits, session_present, connected_at);
            connack.connection = completed(connack.connection, client.as_deref());
            connack
        };
        let extras = || connect_extras(client.as_deref());
        self.emitter
            .emit_with_extras(Hook::ClientConnack, None, || {
                (Detail::ClientConnack(connack()), extras())
            })
            .await;
        self.emitter
            .emit_with_extras(Hook::ClientConnected, None, || {
                (Detail::ClientConnected(connack()), extras())
            })
            .await;
    }

    pub(super) async fn connection_ended(&self, session: &RmqttSession, reason: &Reason) {
        let presence = if is_superseded(reason) {
            Presence::Superseded
        } else {
            Presence::Away
        };
        if let Some(client) = self.clients.of(&session.id) {
            // The relay sends this reason to the client in DISCONNECT, also if the session is closed already.
            client.ended(reason::end(reason, self.context(false)));
        }
        let Some(Closing { record, emitting }) = self.sessions.close(&session.id, presence) else {
            return;
        };
        let ended_at = session.disconnected_at().await.ok().and_then(translate::millis);
        let end = record.end(reason::end(reason, self.context(record.is_succeeded_clean())));
        if end.reason == EndReason::Disconnect {
            self.sessions.note_disconnect(&session.id);
        }
        self.disconnected(&record, end, ended_at.unwrap_or_else(|| self.emitter.now()))
            .await;
        emitting.done();
    }

    /// Emits the end of a connection, and the events of its client that were held back.
    async fn disconnected(&self, record: &SessionRecord, end: End, disconnected_at: Millis) {
        if self.conventions.reports_subscriptions_last() {
            self.emit_events(record.relayed().map(RelayedClient::release)).await;
        }
        self.emitter
            .emit(Hook::ClientDisconnected, None, || {
                let connection = connect::connection(&record.info, &record.peer(), &self.limits);
                let connection = completed(connection, record.relayed());
                Detail::ClientDisconnected(Disconnection {
                    connection,
                    end,
                    connected_at: translate::millis(record.connected_at),
                    disconnected_at,
                })
            })
            .await;
        self.emit_events(record.relayed().map(RelayedClient::release_at_end))
            .await;
    }

    /// Emits events that were held back.
    pub(super) async fn emit_events(&self, events: Option<Vec<Event>>) {
        for event in events.unwrap_or_default() {
            self.emitter.emit_event(event).await;
        }
    }

    pub(super) async fn session_ended(&self, key: &ClientKey, reason: &Reason) {
        if let Some((record, emitting)) = self.sessions.end(key) {
            self.terminated(&record, reason).await;
            emitting.done();
            self.sessions.remove(key);
        }
        self.ended.notify_waiters();
    }

    async fn terminated(&self, record: &SessionRecord, reason: &Reason) {
        if self.stopping.load(Ordering::Relaxed) && self.persistent.survives(&record.key.client_id) {
            return;
        }
        self.session_gone(record, Hook::SessionTerminated, || {
            Detail::SessionTerminated(Termination {
                session: record.session(),
                end: record.end(reason::end(reason, self.context(false))),
            })
        })
        .await;
    }

    /// Emits the end of a session, with what is known of its last connection.
    async fn session_gone(&self, record: &SessionRecord, hook: Hook, detail: impl FnOnce() -> Detail + Send) {
        self.emitter
            .emit_with_extras(hook, None, || (detail(), record.last_connection()))
            .await;
    }

    /// A session has ended without a hook: emits the events that are still missing.
    pub(super) async fn lost(&self, key: &ClientKey, reason: &Reason) {
        let Some((record, emitting)) = self.sessions.end(key) else {
            return;
        };
        record.emitted().await;
        if record.presence == Presence::Online {
            let end = record.end(reason::end(reason, self.context(false)));
            self.disconnected(&record, end, self.emitter.now()).await;
        }
        self.terminated(&record, reason).await;
        emitting.done();
        self.sessions.remove(key);
        self.ended.notify_waiters();
    }

    /// Waits until the end of every session is emitted, or until no session has ended for [`NEXT_END_TIMEOUT`].
    pub(super) async fn all_ended(&self) {
        until_done(&self.ended, NEXT_END_TIMEOUT, || self.sessions.is_empty()).await;
    }
}

/// Waits until `is_done`, which changes with `progress`, or until there is no progress for this time.
async fn until_done(progress: &Notify, timeout: Duration, is_done: impl Fn() -> bool) {
    loop {
        let next = progress.notified();
        tokio::pin!(next);
        next.as_mut().enable();
        if is_done() || tokio::time::timeout(timeout, next).await.is_err() {
            return;
        }
    }
}

/// The record of a session that a connection has just got.
async fn session_record(session: &RmqttSession, client: Option<Arc<RelayedClient>>) -> Option<SessionRecord> {
    let info = session.connect_info().await.ok()?;
    let created_at = session.created_at().await.unwrap_or_default();
    let connected_at = session.connected_at().await.unwrap_or_default();
    Some(SessionRecord::new(
        session.id.clone(),
        info,
        client,
        created_at,
        connected_at,
    ))
}

/// Whether a newer connection of the client ended this one.
fn is_superseded(reason: &Reason) -> bool {
    match reason {
        Reason::Reasons(reasons) => reasons.iter().any(is_superseded),
        reason => reason.is_kicked(false),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn each_end_gives_the_next_one_its_own_time() {
        let progress = Notify::new();
        let left = Cell::new(3);
        let mut waiting = pin!(until_done(&progress, Duration::from_secs(3600), || left.get() == 0));
        let mut context = Context::from_waker(Waker::noop());
        while left.get() > 0 {
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            left.set(left.get() - 1);
            progress.notify_waiters();
        }
        assert!(waiting.as_mut().poll(&mut context).is_ready());
        // Without progress it does not wait forever.
        until_done(&progress, Duration::from_millis(1), || false).await;
    }
}
