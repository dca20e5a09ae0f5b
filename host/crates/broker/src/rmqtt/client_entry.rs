//! The entry of one client in RMQTT's table of clients; see [`ClientTable`](super::peers::ClientTable).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep};

use ::rmqtt::codec::types::QoS;
use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::shared::Entry;
use ::rmqtt::types::{
    From as Sender, Id as ClientKey, IsAdmin, OfflineSession, Publish, Reason, SubsSearchResult, Subscribe,
    SubscribeReturn, Tx, Unsubscribe,
};

use super::backlog::Backlogs;
use super::persistent::{PersistentSession, PersistentSessions, Routing, sequence, session_record};
use super::queue_group;

/// How long a retained message waits for room, and how long a CONNECT waits for another one of the same client.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a CONNECT checks whether the other one has been answered.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(5);

/// The entry of one client in the table.
pub(super) struct ClientEntry {
    pub(super) inner: Box<dyn Entry>,
    pub(super) backlogs: Arc<Backlogs>,
    pub(super) persistent: Arc<PersistentSessions>,
    /// Whether a subscription to `$queue/FILTER` is a shared subscription.
    pub(super) queue_groups: bool,
}

impl ClientEntry {
    fn persistent_session(&self) -> Option<Arc<PersistentSession>> {
        self.persistent.get(&self.inner.id().client_id)
    }
}

/// What a connection leaves to the next one, without the messages that the session itself has: it hands them over again.
fn without_queued(kicked: OfflineSession, session: &PersistentSession) -> OfflineSession {
    let OfflineSession::Exist(Some(mut left)) = kicked else {
        return kicked;
    };
    session.learn(&left.inflight_messages);
    left.inflight_messages
        .retain(|message| sequence(&message.publish).is_none());
    left.offline_messages.retain(|(_, copy)| sequence(copy).is_none());
    in_order(OfflineSession::Exist(Some(left)))
}

/// RMQTT takes unacknowledged messages from the end of the list.
fn in_order(mut kicked: OfflineSession) -> OfflineSession {
    if let OfflineSession::Exist(Some(left)) = &mut kicked {
        left.inflight_messages.reverse();
    }
    kicked
}

#[async_trait]
impl Entry for ClientEntry {
    async fn try_lock(&self) -> ::rmqtt::Result<Box<dyn Entry>> {
        let deadline = Instant::now() + ROOM_TIMEOUT;
        loop {
            match self.inner.try_lock().await {
                Ok(inner) => {
                    return Ok(Box::new(ClientEntry {
                        inner,
                        backlogs: Arc::clone(&self.backlogs),
                        persistent: Arc::clone(&self.persistent),
                        queue_groups: self.queue_groups,
                    }));
                }
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => sleep(LOCK_POLL_INTERVAL).await,
            }
        }
    }

    fn id(&self) -> ClientKey {
        self.inner.id()
    }

    fn id_same(&self) -> Option<bool> {
        self.inner.id_same()
    }

    /// Runs before CONNACK. A persistent session is on the disk when this returns.
    async fn set(&mut self, session: RmqttSession, channel: Tx) -> ::rmqtt::Result<()> {
        self.inner.set(session.clone(), channel.clone()).await?;
        if session.connected().await.unwrap_or(false)
            && let Some(persistent) = self.persistent_session()
            && let Some(record) = session_record(&session, &self.persistent.peer(&session.id)).await
        {
            let commit = persistent.connect(session.id.clone(), record, channel);
            if let Some(commit) = commit {
                commit.finished().await;
            }
        }
        Ok(())
    }

    async fn remove(&mut self) -> ::rmqtt::Result<Option<(RmqttSession, Tx)>> {
        self.inner.remove().await
    }

    async fn remove_with(&mut self, id: &ClientKey) -> ::rmqtt::Result<Option<(RmqttSession, Tx)>> {
        self.inner.remove_with(id).await
    }

    async fn kick(
        &mut self,
        clean_start: bool,
        clear_subscriptions: bool,
        is_admin: IsAdmin,
    ) -> ::rmqtt::Result<OfflineSession> {
        let persistent = self.persistent_session();
        if let Some(persistent) = &persistent {
            persistent.pause(true);
        }
        let kicked = match self.inner.kick(clean_start, clear_subscriptions, is_admin).await {
            // The old connection has ended by itself instead of answering: the second attempt finds none.
            Err(_) => self.inner.kick(clean_start, clear_subscriptions, is_admin).await,
            kicked => kicked,
        };
        let Some(persistent) = persistent else {
            return kicked.map(in_order);
        };
        if kicked.is_err() {
            persistent.pause(false);
        } else if clean_start || is_admin {
            self.persistent.discard(&self.inner.id().client_id);
        }
        kicked.map(|kicked| without_queued(kicked, &persistent))
    }

    async fn online(&self) -> bool {
        self.inner.online().await
    }

    async fn is_connected(&self) -> bool {
        self.inner.is_connected().await
    }

    fn session(&self) -> Option<RmqttSession> {
        self.inner.session()
    }

    fn exist(&self) -> bool {
        self.inner.exist()
    }

    fn tx(&self) -> Option<Tx> {
        self.inner.tx()
    }

    async fn subscribe(&self, subscribe: &Subscribe) -> ::rmqtt::Result<SubscribeReturn> {
        let subscribe = queue_group::shared(subscribe, self.queue_groups);
        let subscribed = self.inner.subscribe(&subscribe).await?;
        if let Some(session) = self.persistent_session()
            && let Some(commit) = session.subscribed(subscribe.topic_filter.clone(), &subscribe.opts)
        {
            commit.finished().await;
        }
        Ok(subscribed)
    }

    async fn unsubscribe(&self, unsubscribe: &Unsubscribe) -> ::rmqtt::Result<bool> {
        let unsubscribe = queue_group::shared_end(unsubscribe, self.queue_groups);
        let unsubscribed = self.inner.unsubscribe(&unsubscribe).await?;
        if unsubscribed
            && let Some(session) = self.persistent_session()
            && let Some(commit) = session.unsubscribed(unsubscribe.topic_filter.clone())
        {
            commit.finished().await;
        }
        Ok(unsubscribed)
    }

    /// RMQTT sends retained messages through this, in a task of their own, so they can wait.
    async fn publish(&self, sender: Sender, mut publish: Publish) -> Result<(), (Sender, Publish, Reason)> {
        let client_id = self.inner.id().client_id.clone();
        if publish.qos != QoS::AtMostOnce
            && let Some(session) = self.persistent_session()
        {
            if session.is_connected() {
                session.has_room(ROOM_TIMEOUT).await;
            }
            let mut routing = Routing::new(&self.persistent, &sender, &publish);
            routing.push(session, publish.clone(), None);
            routing.finish().await;
            return Ok(());
        }
        if self.inner.is_connected().await {
            self.backlogs.calm(&client_id, ROOM_TIMEOUT).await;
        }
        if self.inner.tx().is_none_or(|channel| channel.is_closed()) {
            return Err((sender, publish, Reason::from_static("Tx is closed")));
        }
        if !self.backlogs.admit(&client_id, &mut publish, None) {
            return Err((sender, publish, Reason::MessageQueueFull));
        }
        self.inner.publish(sender, publish).await
    }

    async fn subscriptions(&self) -> Option<Vec<SubsSearchResult>> {
        self.inner.subscriptions().await
    }
}
