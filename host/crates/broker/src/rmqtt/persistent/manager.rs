//! Where RMQTT makes sessions: those that outlive their connection get a [`PersistentSession`](super::PersistentSession).

use std::sync::Arc;

use async_trait::async_trait;

use ::rmqtt::context::ServerContext;
use ::rmqtt::inflight::OutInflight;
use ::rmqtt::session::{DefaultSession, SessionLike, SessionManager};
use ::rmqtt::types::{
    ConnectInfo, ConnectInfoType, DisconnectInfo, FitterType, Id as ClientKey, ListenerConfig, MessageQueue,
    MessageQueueType, OutInflightType, SessionSubs, TimestampMillis,
};

use super::PersistentSessions;

/// RMQTT's session manager.
pub(in crate::rmqtt) struct Manager(pub(in crate::rmqtt) Arc<PersistentSessions>);

fn outlives_connection(info: &ConnectInfo, fitter: &FitterType) -> bool {
    match info {
        ConnectInfo::V3(_, connect) => !connect.clean_session,
        ConnectInfo::V5(..) => !fitter.session_expiry_interval(None).is_zero(),
    }
}

#[async_trait]
impl SessionManager for Manager {
    async fn create(
        &self,
        key: ClientKey,
        engine: ServerContext,
        listener: ListenerConfig,
        fitter: FitterType,
        subscriptions: SessionSubs,
        queue: MessageQueueType,
        window: OutInflightType,
        info: ConnectInfoType,
        created_at: TimestampMillis,
        connected_at: TimestampMillis,
        session_present: bool,
        superuser: bool,
        connected: bool,
        disconnect_info: Option<DisconnectInfo>,
        _: Option<ClientKey>,
    ) -> ::rmqtt::Result<Arc<dyn SessionLike>> {
        let is_known = self.0.get(&key.client_id).is_some();
        let mut queue = queue;
        // A session that goes on stays persistent until its connection ends.
        if is_known || connected && outlives_connection(&info, &fitter) {
            // Room for as many messages with QoS 0 as may wait, and for those that are handed over.
            let size = usize::from(fitter.max_inflight().get());
            queue = Arc::new(MessageQueue::new(fitter.max_mqueue_len().saturating_add(size)));
        }
        if connected && (outlives_connection(&info, &fitter) || is_known) {
            let size = fitter.max_inflight();
            let connection = self.0.get_or_insert(&key).prepare(size);
            // Without intervals: messages are sent again after a reconnect only, as MQTT 5 demands.
            *window.write().await = OutInflight::new(size.get().into(), 0, 0).on_pop(move || connection.note_removal());
        }
        Ok(Arc::new(DefaultSession::new(
            key,
            engine,
            listener,
            subscriptions,
            queue,
            window,
            info,
            created_at,
            connected_at,
            session_present,
            superuser,
            connected,
            disconnect_info,
        )))
    }
}
