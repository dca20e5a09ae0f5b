//! One client behind the relay: what its relay knows, what RMQTT's hooks know, and what both wait for.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::decisions::RecentDecisions;
use super::expected_acks::ExpectedAcks;
use super::sent::{SentConnect, SentUserProperties};
use ::rmqtt::types::Id as ClientKey;
use hookhost_access::ClientAccess;
use hookhost_event::{End, EndReason, Event, Pairs};
use hookhost_listener::Peer;

/// Events that are held back for one client.
const MAX_HELD_EVENTS: usize = 1_000;
/// How long the relay waits for the hook that says why RMQTT has closed.
const REASON_TIMEOUT: Duration = Duration::from_secs(2);

/// A client behind the relay.
pub(super) struct RelayedClient {
    /// Where it comes from.
    pub(super) peer: Peer,
    /// What its CONNECT says.
    pub(super) connect: SentConnect,
    /// User properties of its packets about subscriptions.
    pub(super) user_properties: Mutex<SentUserProperties>,
    /// Whether an event has told the answer to its CONNECT.
    pub(super) is_answered: AtomicBool,
    /// Why the relay has ended the connection, if it has.
    by_relay: OnceLock<End>,
    /// Why the connection has ended.
    end: OnceLock<End>,
    ended: Notify,
    /// The key of its messages.
    sender: OnceLock<ClientKey>,
    /// What it may do, once it is authenticated.
    pub(super) access: OnceLock<ClientAccess>,
    /// Which acknowledgements the relay has to hold back.
    pub(super) expected_acks: ExpectedAcks,
    /// What it was allowed and denied a short time ago.
    pub(super) decisions: Mutex<RecentDecisions>,
    /// Events that are held back.
    held_events: Mutex<HeldEvents>,
}

#[derive(Default)]
struct HeldEvents {
    events: Vec<Event>,
    end_is_emitted: bool,
}

impl std::fmt::Debug for RelayedClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RelayedClient")
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl RelayedClient {
    /// A client from there that has sent this CONNECT.
    pub(super) fn new(peer: Peer, connect: SentConnect) -> RelayedClient {
        RelayedClient {
            peer,
            connect,
            user_properties: Mutex::default(),
            is_answered: AtomicBool::new(false),
            by_relay: OnceLock::new(),
            end: OnceLock::new(),
            ended: Notify::new(),
            sender: OnceLock::new(),
            access: OnceLock::new(),
            expected_acks: ExpectedAcks::default(),
            decisions: Mutex::default(),
            held_events: Mutex::default(),
        }
    }

    /// Waits until the client's credentials expire.
    pub(super) async fn expired(&self) {
        match self.access.get() {
            Some(access) => access.expired().await,
            None => std::future::pending().await,
        }
    }

    /// Names and values that authentication attached to the client.
    pub(super) fn attributes(&self) -> Pairs {
        let attributes = self.access.get().map(ClientAccess::attributes).unwrap_or_default();
        let pair = |(name, value): &(String, String)| (name.as_str().into(), value.as_str().into());
        attributes.iter().map(pair).collect()
    }

    /// The user properties of the client's SUBSCRIBE, or UNSUBSCRIBE, of a filter.
    pub(super) fn user_properties(&self, subscribes: bool, filter: &str) -> Pairs {
        let sent = self.user_properties.lock().unwrap_or_else(PoisonError::into_inner);
        sent.of(subscribes, filter)
    }

    /// Holds back an event. Returns the events to emit now, the oldest first: none, or all if there are too many or if the
    /// end of the connection is emitted already.
    pub(super) fn hold(&self, event: Event) -> Vec<Event> {
        let mut held = self.held_events();
        held.events.push(event);
        if held.end_is_emitted || held.events.len() >= MAX_HELD_EVENTS {
            std::mem::take(&mut held.events)
        } else {
            Vec::new()
        }
    }

    /// The events that are held back, the oldest first.
    pub(super) fn release(&self) -> Vec<Event> {
        std::mem::take(&mut self.held_events().events)
    }

    /// The same once the end of the connection is emitted; from then on no event is held back.
    pub(super) fn release_at_end(&self) -> Vec<Event> {
        let mut held = self.held_events();
        held.end_is_emitted = true;
        std::mem::take(&mut held.events)
    }

    fn held_events(&self) -> MutexGuard<'_, HeldEvents> {
        self.held_events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The relay ends the connection for this reason; RMQTT sees only that the connection closes.
    pub(super) fn end_by_relay(&self, end: End) {
        // The first reason counts.
        drop(self.by_relay.set(end));
    }

    /// Why the connection has ended, if RMQTT says `end`: the relay's reason, if RMQTT knows only that it has closed.
    pub(super) fn true_end(&self, end: End) -> End {
        let only_closed = matches!(end.reason, EndReason::Closed | EndReason::SocketError);
        self.by_relay.get().filter(|_| only_closed).cloned().unwrap_or(end)
    }

    /// RMQTT's hook says that the connection has ended.
    pub(super) fn ended(&self, end: End) {
        drop(self.end.set(end));
        self.ended.notify_one();
    }

    /// Waits until RMQTT's hook says why it has closed; returns the code for the client's DISCONNECT.
    pub(super) async fn disconnect_code(&self) -> Option<u8> {
        // Without the hook in time the client gets no DISCONNECT.
        drop(timeout(REASON_TIMEOUT, self.ended.notified()).await);
        let end = self.end.get()?;
        if end.reason == EndReason::Disconnect {
            return None;
        }
        Some(end.code.filter(|code| *code >= 128).unwrap_or(128))
    }

    /// The key of the client's messages: `key`, which is RMQTT's, with the client's own address.
    pub(super) fn sender(&self, key: &ClientKey) -> ClientKey {
        let make = || {
            ClientKey::new(
                key.node_id,
                key.lid,
                self.peer.local,
                self.peer.address,
                key.client_id.clone(),
                key.username.clone(),
            )
        };
        self.sender.get_or_init(make).clone()
    }

    /// Whether this is the key of the client's messages.
    pub(super) fn is_sender(&self, key: &ClientKey) -> bool {
        self.sender.get().is_some_and(|sender| sender == key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_listener::Kind;

    fn client() -> RelayedClient {
        let peer = Peer {
            address: "10.0.0.5:1".parse().ok(),
            proxy: None,
            local: None,
            listener: "l".into(),
            kind: Kind::Tcp,
            tls: None,
        };
        RelayedClient::new(peer, SentConnect::default())
    }

    #[tokio::test]
    async fn the_code_of_disconnect_is_that_of_the_end() {
        let end = |reason, code| End {
            reason,
            code,
            ..End::default()
        };
        for (ended, expected) in [
            (end(EndReason::TakenOver, Some(142)), Some(142)),
            (end(EndReason::InternalError, None), Some(128)),
            (end(EndReason::Disconnect, Some(0)), None),
        ] {
            let client = client();
            client.ended(ended);
            assert_eq!(client.disconnect_code().await, expected);
        }
        let client = client();
        let closed = || end(EndReason::Closed, None);
        assert_eq!(client.true_end(closed()), closed());
        client.end_by_relay(end(EndReason::KeepAliveTimeout, Some(141)));
        client.end_by_relay(end(EndReason::TooSlow, None));
        assert_eq!(client.true_end(closed()).reason, EndReason::KeepAliveTimeout);
        let expired = end(EndReason::Expired, None);
        assert_eq!(client.true_end(expired.clone()), expired);
    }

    #[test]
    fn events_are_held_back_until_the_end_is_emitted_or_there_are_too_many() {
        let event = |client: &str| hookhost_testing::events::publish(client, "t", b"x");
        let client = client();
        assert!(client.hold(event("a")).is_empty());
        assert_eq!(client.release(), [event("a")]);
        for _ in 1..MAX_HELD_EVENTS {
            assert!(client.hold(event("b")).is_empty());
        }
        assert_eq!(client.hold(event("b")).len(), MAX_HELD_EVENTS);
        assert!(client.hold(event("c")).is_empty());
        assert_eq!(client.release_at_end(), [event("c")]);
        assert_eq!(client.hold(event("d")), [event("d")], "nothing is lost after the end");
        assert!(client.release().is_empty());
    }
}
