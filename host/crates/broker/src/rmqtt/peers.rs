//! RMQTT's table of clients, with five of its faults fixed.
//!
//! - The messages that wait for a client are bounded (see [`super::backlog`]); retained messages wait for room instead
//!   of being dropped.
//! - A client that reconnects while its old connection is ending, or while another CONNECT of its own is being answered,
//!   is not refused.
//! - A subscription identifier reaches its subscriber even if the publisher speaks MQTT 3.
//! - `$queue/FILTER` is a shared subscription (see [`super::queue_group`]).
//! - Messages with QoS 1 and 2 for sessions that outlive their connection are not lost (see [`super::persistent`]).
//!
//! Everything else is passed on to RMQTT. Each accepted publish passes here once, so its event is emitted here too.

use std::sync::Arc;

use async_trait::async_trait;
use bytestring::ByteString;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::codec::v5::PublishProperties;
use ::rmqtt::context::ServerContext;
use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::shared::{DefaultShared, Entry, RetainLoadCallback, Shared};
use ::rmqtt::types::{
    ForwardedCount, ForwardedRecipients, From as Sender, Id as ClientKey, Message as Queued, MsgID, NodeId, Publish,
    Reason, SessionStatus, SubRelations, SubRelationsMap, SubsSearchParams, SubsSearchResult, SubscriptionOptions, To,
    TopicFilter,
};

use super::backlog::{Backlog, Backlogs};
use super::client_entry::ClientEntry;
use super::handler::EventSource;
use super::persistent::{PersistentSessions, Routing, concerns_sender};

type FailedForward = (To, Sender, Publish, Reason);

/// The table of clients.
pub(super) struct ClientTable {
    inner: DefaultShared,
    engine: ServerContext,
    backlogs: Arc<Backlogs>,
    persistent: Arc<PersistentSessions>,
    source: Option<Arc<EventSource>>,
    /// Whether a subscription to `$queue/FILTER` is a shared subscription.
    queue_groups: bool,
}

impl ClientTable {
    /// A table without clients, for this engine; `source` emits the events of what is routed.
    pub(super) fn new(
        engine: ServerContext,
        backlogs: Arc<Backlogs>,
        persistent: Arc<PersistentSessions>,
        source: Option<Arc<EventSource>>,
        queue_groups: bool,
    ) -> ClientTable {
        ClientTable {
            inner: DefaultShared::new(Some(engine.clone())),
            engine,
            backlogs,
            persistent,
            source,
            queue_groups,
        }
    }

    fn peer(&self, inner: Box<dyn Entry>) -> Box<dyn Entry> {
        Box::new(ClientEntry {
            inner,
            backlogs: Arc::clone(&self.backlogs),
            persistent: Arc::clone(&self.persistent),
            queue_groups: self.queue_groups,
        })
    }

    /// The subscribers on this node that receive a message.
    async fn receivers(&self, sender: &Sender, publish: &Publish) -> SubRelations {
        if let Some(receiver) = &publish.target_clientid {
            let mut options = SubscriptionOptions::default();
            options.set_qos(publish.qos);
            return vec![(publish.topic.clone(), receiver.clone(), options, None, None)];
        }
        let matches = self
            .engine
            .extends
            .router()
            .await
            .matches(sender.id.clone(), &publish.topic)
            .await;
        match matches {
            Ok(mut nodes) => nodes.remove(&self.engine.node.id()).unwrap_or_default(),
            Err(error) => {
                tracing::debug!(topic = %publish.topic, %error, "cannot route a message on this topic");
                SubRelations::default()
            }
        }
    }

    /// Emits that a message is queued for a client that is not connected.
    async fn queued(&self, client_id: &ByteString, sender: &Sender, copy: &Publish, group: Option<&ByteString>) {
        let any = ClientKey::from(self.engine.node.id(), client_id.clone());
        let Some(session) = self.inner.entry(any).session() else {
            return;
        };
        let mut copy = copy.clone();
        copy.target_clientid = group.cloned();
        let hook = self.engine.extends.hook_mgr().hook(session);
        hook.offline_message(sender.clone(), &copy).await;
    }

    /// Passes a copy to one receiver.
    #[expect(
        clippy::result_large_err,
        reason = "RMQTT collects failures in a list of exactly this type"
    )]
    fn hand_over(
        &self,
        client_id: ByteString,
        backlog: Arc<Backlog>,
        group: Option<&ByteString>,
        sender: &Sender,
        mut copy: Publish,
    ) -> Result<(), FailedForward> {
        let Some((channel, to)) = self.inner.tx(&client_id) else {
            let reason = Reason::from_static("the client has disconnected");
            return Err((To::from(NodeId::default(), client_id), sender.clone(), copy, reason));
        };
        if !self.backlogs.admit_to(backlog, &mut copy, group) {
            return Err((to, sender.clone(), copy, Reason::MessageQueueFull));
        }
        let Err(error) = channel.unbounded_send(Queued::Forward(sender.clone(), copy)) else {
            return Ok(());
        };
        match error.into_inner() {
            Queued::Forward(sender, copy) => Err((to, sender, copy, Reason::from_static("Connection Tx is closed"))),
            _ => Ok(()),
        }
    }
}

/// The copy for one subscriber.
pub(super) fn copy(
    publish: &Publish,
    options: &SubscriptionOptions,
    subscription_ids: Option<Vec<std::num::NonZeroU32>>,
) -> Publish {
    let mut copy = publish.clone();
    copy.dup = false;
    copy.retain = publish.retain && options.retain_as_published().unwrap_or(false);
    copy.qos = publish.qos.less_value(options.qos());
    copy.packet_id = None;
    copy.target_clientid = None;
    if let Some(ids) = subscription_ids {
        copy.properties
            .get_or_insert_with(PublishProperties::default)
            .subscription_ids = ids;
    }
    copy
}

#[async_trait]
impl Shared for ClientTable {
    fn entry(&self, id: ClientKey) -> Box<dyn Entry> {
        self.peer(self.inner.entry(id))
    }

    fn exist(&self, client_id: &str) -> bool {
        self.inner.exist(client_id)
    }

    async fn forwards(
        &self,
        id: Option<MsgID>,
        sender: Sender,
        publish: Publish,
    ) -> Result<ForwardedCount, (ForwardedCount, Vec<FailedForward>)> {
        let receivers = self.receivers(&sender, &publish).await;
        if let Some(source) = &self.source
            && let Some(rest) = source.routed(&sender, &publish, !receivers.is_empty())
        {
            // RMQTT acknowledges the publish when this returns; the relay holds the acknowledgement back.
            if let Some(completion) = rest.await {
                self.persistent
                    .hold_next_publish(&sender.client_id, &publish, &completion);
                source.hold_ack(&sender.id, &publish, completion);
            }
        }
        // From here on the message has the address of the client, not that of its relay.
        let sender = match &self.source {
            Some(source) => source.own_sender(sender),
            None => sender,
        };
        let forwarded = self.forwards_to(sender, &publish, receivers, id).await;
        if publish.retain
            && publish.qos != QoS::AtMostOnce
            && let Some(store) = self.persistent.store()
        {
            let commit = store.last_commit();
            Box::pin(async move { commit.finished().await }).await;
        }
        match forwarded {
            Ok(reached) => Ok(reached.len()),
            Err((reached, failed)) => Err((reached.len(), failed)),
        }
    }

    async fn forwards_and_get_shareds(
        &self,
        sender: Sender,
        publish: Publish,
    ) -> Result<(SubRelationsMap, ForwardedRecipients), (ForwardedRecipients, Vec<FailedForward>)> {
        self.inner.forwards_and_get_shareds(sender, publish).await
    }

    async fn forwards_to(
        &self,
        sender: Sender,
        publish: &Publish,
        receivers: SubRelations,
        _: Option<MsgID>,
    ) -> Result<ForwardedRecipients, (ForwardedRecipients, Vec<FailedForward>)> {
        let mut reached = ForwardedRecipients::with_capacity(receivers.len());
        let mut failed = Vec::new();
        let mut routing = None;
        for (_, client_id, options, subscription_ids, group) in receivers {
            let group = group.as_ref().map(|(group, _, _)| group);
            let copy = copy(publish, &options, subscription_ids);
            let backlog = self.backlogs.of(&client_id);
            if copy.qos != QoS::AtMostOnce
                && let Some(session) = Backlogs::persistent_of(&backlog)
            {
                if !session.is_connected() {
                    Box::pin(self.queued(&client_id, &sender, &copy, group)).await;
                }
                routing
                    .get_or_insert_with(|| Box::new(Routing::new(&self.persistent, &sender, publish)))
                    .push(session, copy, group);
                reached.push((client_id, None));
                continue;
            }
            match self.hand_over(client_id.clone(), backlog, group, &sender, copy) {
                Ok(()) => reached.push((client_id, None)),
                Err(why) => failed.push(why),
            }
        }
        if routing.is_none() && concerns_sender(&sender, publish) && self.persistent.get(&sender.client_id).is_some() {
            routing = Some(Box::new(Routing::new(&self.persistent, &sender, publish)));
        }
        if let Some(routing) = routing {
            Box::pin(routing.finish()).await;
        }
        if failed.is_empty() {
            Ok(reached)
        } else {
            Err((reached, failed))
        }
    }

    fn iter(&self) -> Box<dyn Iterator<Item = Box<dyn Entry>> + Sync + Send + '_> {
        Box::new(self.inner.iter().map(|entry| self.peer(entry)))
    }

    fn random_session(&self) -> Option<RmqttSession> {
        self.inner.random_session()
    }

    async fn session_status(&self, client_id: &str) -> Option<SessionStatus> {
        self.inner.session_status(client_id).await
    }

    async fn client_states_count(&self) -> usize {
        self.inner.client_states_count().await
    }

    fn sessions_count(&self) -> usize {
        self.inner.sessions_count()
    }

    async fn query_subscriptions(&self, query: &SubsSearchParams) -> Vec<SubsSearchResult> {
        self.inner.query_subscriptions(query).await
    }

    async fn subscriptions_count(&self) -> usize {
        self.inner.subscriptions_count().await
    }

    async fn retain_load_with(
        &self,
        filter: &TopicFilter,
        found: Arc<dyn RetainLoadCallback>,
    ) -> ::rmqtt::Result<Vec<(NodeId, MsgID)>> {
        self.inner.retain_load_with(filter, found).await
    }
}
