//! Brings sessions back at the start: into RMQTT, with their subscriptions, and into the queues.
//!
//! RMQTT then runs each one as the session of a client that is not connected: it publishes wills, ends sessions that
//! have expired, and routes messages to them.

use std::sync::Arc;
use std::time::Duration;

use ::rmqtt::session::{Session as RmqttSession, SessionState};
use ::rmqtt::shared::Entry;
use ::rmqtt::types::{
    DisconnectInfo, Id as ClientKey, ListenerConfig, Reason, SessionSubMap, SessionSubs, SubscriptionOptions,
    TopicFilter,
};
use ::rmqtt::utils::timestamp_millis;

use hookhost_sessions::{DeliveryState, SessionRecord, StoredSession};

use super::convert::{connect_info, copy, message, subscription_options};
use super::session::{PersistentSession, Waiting};
use super::{PersistentSessions, hooks};

/// For how long a session that never expires is kept by RMQTT's timer: 136 years.
const FOREVER: Duration = Duration::from_secs(u32::MAX as u64);

/// What is left of a time that began at `since`, at `now`; all in milliseconds.
fn left(time: u64, since: i64, now: i64) -> Duration {
    let passed = u64::try_from(now.saturating_sub(since)).unwrap_or(0);
    Duration::from_millis(time.saturating_sub(passed))
}

impl PersistentSessions {
    /// Brings a stored session back; returns RMQTT's session, for events.
    pub(in crate::rmqtt) async fn restore(
        self: &Arc<Self>,
        stored: StoredSession,
        listener: &ListenerConfig,
        listener_id: u16,
    ) -> ::rmqtt::Result<RmqttSession> {
        let StoredSession {
            number,
            mut record,
            subscriptions,
            deliveries,
            publishes,
        } = stored;
        let now = timestamp_millis();
        let was_connected = record.disconnected_at.is_none();
        let since = *record.disconnected_at.get_or_insert(now);
        let expiry = record.expiry.map_or(FOREVER, |expiry| left(expiry, since, now));
        let key = ClientKey::new(
            self.engine.node.id(),
            listener_id,
            record.local,
            record.peer,
            record.client_id.clone(),
            record.username.clone(),
        );
        let session = Arc::new(PersistentSession::new(&self.shared, number, key.clone()));
        let info = Arc::new(connect_info(&key, &record, will_delay(&record, since, now)));
        let fitter = {
            let fitters = self.engine.extends.fitter_mgr().await;
            fitters.create(Arc::clone(&info), key.clone(), Arc::clone(listener))
        };
        // The first messages of a client that was connected may have been sent.
        let mut maybe_sent = if was_connected { fitter.max_inflight().get() } else { 0 };
        for delivery in deliveries {
            let (sender, published) = message(&delivery.message);
            let mut state = delivery.record.state;
            if maybe_sent > 0 {
                maybe_sent -= 1;
                if state == DeliveryState::Waiting {
                    state = DeliveryState::Sent;
                }
            }
            let waiting = Waiting {
                sender,
                copy: copy(&published, &delivery.record),
                group: delivery.record.group,
                stored: Some(delivery.stored),
            };
            session.restore_message(delivery.sequence, state, delivery.record.packet_id, waiting);
        }
        if session.has_exact() {
            hooks::register_exact(self).await;
        }
        let (created_at, connected_at) = (record.created_at, record.connected_at);
        session.restore_record(record, was_connected, &publishes);
        self.backlogs.set_persistent(&key.client_id, Some(session));
        let subscriptions: Vec<(TopicFilter, SubscriptionOptions)> = subscriptions
            .iter()
            .map(|(filter, record)| (filter.clone(), subscription_options(record)))
            .collect();
        let rmqtt = RmqttSession::new(
            key.clone(),
            self.engine.clone(),
            fitter.max_mqueue_len(),
            Arc::clone(listener),
            Arc::clone(&fitter),
            None,
            fitter.max_inflight(),
            created_at,
            info,
            true,
            false,
            false,
            connected_at,
            SessionSubs::from(subscriptions.iter().cloned().collect::<SessionSubMap>()),
            Some(DisconnectInfo::new(since)),
            None,
        )
        .await?;
        for (filter, options) in subscriptions {
            let router = self.engine.extends.router().await;
            if let Err(error) = router.add(&filter, key.clone(), options).await {
                tracing::warn!(client = %key.client_id, %filter, %error, "cannot restore a subscription");
            }
        }
        let channel = SessionState::offline_restart(rmqtt.clone(), expiry).await?;
        let shared = self.engine.extends.shared().await;
        shared.entry(key).set(rmqtt.clone(), channel).await?;
        Ok(rmqtt)
    }
}

impl PersistentSessions {
    /// A session has lost its task before its connection was accepted: it goes on as that of a client that is not
    /// connected.
    pub(in crate::rmqtt) async fn go_offline(&self, session: RmqttSession, mut entry: Box<dyn Entry>) {
        let reason = Some(Reason::ConnectRemoteClose);
        if let Err(error) = session.disconnected_set(None, reason).await {
            tracing::debug!(client = %session.id.client_id, %error, "cannot note the end of a connection");
        }
        hooks::disconnected(self, &session).await;
        let expiry = session.fitter.session_expiry_interval(None);
        match SessionState::offline_restart(session.clone(), expiry).await {
            Ok(channel) => {
                if let Err(error) = entry.set(session, channel).await {
                    tracing::warn!(%error, "cannot keep the session of a client that was being accepted");
                }
            }
            Err(error) => tracing::warn!(%error, "cannot keep the session of a client that was being accepted"),
        }
    }
}

/// What is left of the delay of a will, in seconds.
fn will_delay(record: &SessionRecord, since: i64, now: i64) -> Option<u32> {
    let delay = record.will.as_ref()?.delay?;
    let left = left(u64::from(delay) * 1000, since, now);
    u32::try_from(left.as_millis().div_ceil(1000))
        .ok()
        .filter(|left| *left > 0)
}

#[cfg(test)]
mod tests {
    use ::rmqtt::types::ConnectInfo;

    use super::*;

    #[test]
    fn times_go_on_while_the_host_is_down() {
        assert_eq!(left(10_000, 1_000, 4_000), Duration::from_secs(7));
        assert_eq!(left(10_000, 1_000, 40_000), Duration::ZERO);
        assert_eq!(
            left(10_000, 5_000, 1_000),
            Duration::from_secs(10),
            "the clock was set back"
        );
    }

    #[test]
    fn a_restored_session_outlives_its_connection() {
        let key = ClientKey::from(1, "c".into());
        let record = SessionRecord {
            client_id: "c".into(),
            username: None,
            version: 4,
            created_at: 0,
            connected_at: 0,
            disconnected_at: None,
            expiry: Some(5_000),
            keep_alive: 0,
            clean_start: false,
            max_packet_size: None,
            receive_maximum: None,
            listener: 1,
            local: None,
            peer: None,
            will: None,
        };
        assert!(matches!(connect_info(&key, &record, None), ConnectInfo::V3(_, connect) if !connect.clean_session));
        let record = SessionRecord { version: 5, ..record };
        assert!(
            matches!(connect_info(&key, &record, None), ConnectInfo::V5(_, connect) if connect.session_expiry_interval_secs == 5)
        );
    }
}
