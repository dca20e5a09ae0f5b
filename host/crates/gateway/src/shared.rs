//! What all connections of a gateway share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::client_locks::ClientLocks;
use super::emitter::Emitter;
use super::protocol::{Counter, Lookup, Step, failed};
use super::recent_publishes::RecentPublishes;
use super::sessions::Sessions;
use super::settings::{GatewaySettings, Publishers};
use super::upstream::Upstreams;
use hookhost_access::AccessControl;
use hookhost_broker::Limits;
use hookhost_event::{Hook, Id, Message, Millis};
use hookhost_hooks::{Bus, InterestedIn, Throttle};
use hookhost_relay::Traffic;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) settings: GatewaySettings,
    pub(crate) limits: Limits,
    /// Decides who may connect, and who may do what, before the upstream does.
    pub(crate) access: AccessControl,
    pub(crate) sessions: Sessions,
    pub(crate) upstreams: Upstreams,
    /// Lets one CONNECT of a client at a time go to the upstream.
    pub(crate) connecting: ClientLocks,
    pub(crate) counts: Counts,
    pub(crate) traffic: Traffic,
    /// Done when the gateway stops.
    pub(crate) stopping: CancellationToken,
    events: hookhost_hooks::Emitter,
    publishes: Option<RecentPublishes>,
    next: AtomicU64,
    connections: AtomicUsize,
    /// The last connection has ended.
    idle: Notify,
    warning: Throttle,
}

/// What is counted since the start.
#[derive(Default)]
pub(crate) struct Counts {
    /// Connections that did not begin with MQTT.
    pub(crate) not_mqtt: AtomicU64,
    /// CONNECTs that no upstream answered.
    pub(crate) unanswered: AtomicU64,
    /// See [`Counter`].
    invalid: AtomicU64,
    too_long: AtomicU64,
    unexpected: AtomicU64,
    forgotten: AtomicU64,
}

impl Counts {
    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
        [
            ("not_mqtt", &self.not_mqtt),
            ("unanswered", &self.unanswered),
            ("unreadable", &self.invalid),
            ("too_long", &self.too_long),
            ("unexpected", &self.unexpected),
            ("forgotten", &self.forgotten),
        ]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
        .to_vec()
    }

    /// Counts something that the core has noticed.
    pub(crate) fn add(&self, counter: Counter) {
        let count = match counter {
            Counter::InvalidPacket => &self.invalid,
            Counter::TooLong => &self.too_long,
            Counter::Unexpected => &self.unexpected,
            Counter::Forgotten => &self.forgotten,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) fn new(
        settings: GatewaySettings,
        limits: Limits,
        access: AccessControl,
        upstreams: Upstreams,
        bus: Option<Bus>,
    ) -> Shared {
        Shared {
            publishes: (settings.publishers != Publishers::Unknown && bus.is_some()).then(RecentPublishes::new),
            sessions: Sessions::new(settings.sees_all_clients),
            settings,
            limits,
            access,
            upstreams,
            connecting: ClientLocks::default(),
            counts: Counts::default(),
            traffic: Traffic::default(),
            stopping: CancellationToken::new(),
            events: hookhost_hooks::Emitter::new(bus.unwrap_or_default()),
            next: AtomicU64::new(1),
            connections: AtomicUsize::new(0),
            idle: Notify::new(),
            warning: Throttle::new(),
        }
    }

    /// Begins a connection; it counts until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Shared>) -> ConnectionGuard {
        self.connections.fetch_add(1, Ordering::Relaxed);
        ConnectionGuard {
            shared: Arc::clone(self),
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Waits until no connection is left.
    pub(crate) async fn empty(&self) {
        loop {
            let idle = self.idle.notified();
            tokio::pin!(idle);
            idle.as_mut().enable();
            if self.connections.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Logs why an upstream cannot be used, at most once a second.
    pub(crate) fn report(&self, upstream: &str, why: &str) {
        if let Some(held_back) = self.warning.pass() {
            tracing::warn!(
                upstream,
                why,
                lines_suppressed = held_back,
                "the upstream broker cannot be used"
            );
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> Millis {
        self.events.now()
    }

    /// Whether publishes carry a property that names their publisher.
    pub(crate) fn adds_publishers(&self) -> bool {
        self.settings.publishers == Publishers::UserProperty
    }

    /// Emits the events of this gateway.
    pub(crate) fn events(&self) -> &hookhost_hooks::Emitter {
        &self.events
    }

    /// A step of the protocol core.
    pub(crate) fn step(&self) -> Step<'_> {
        Step::new(self.now(), self, self.publishes.as_ref(), self.sessions.filters())
    }

    /// Remembers who published a message.
    pub(crate) fn remember_publish(&self, message: Message) {
        if let Some(publishes) = &self.publishes {
            publishes.passed(message);
        }
    }
}

impl Lookup for Shared {
    fn interested_in(&self, hooks: &[Hook], subject: Option<&str>) -> InterestedIn {
        self.events.interested_in(hooks, subject)
    }

    fn new_id(&self) -> Id {
        self.events.id()
    }
}

/// A connection that is being served.
pub(crate) struct ConnectionGuard {
    pub(crate) shared: Arc<Shared>,
    /// Its number, greater than that of every connection before it.
    pub(crate) number: u64,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(entry) = self.shared.sessions.of_connection(self.number)
        {
            // The connection's own state is lost in the panic.
            let session_expiry = entry.connection.session_expiry;
            let client_id = &entry.connection.client.id;
            let sessions = &self.shared.sessions;
            let guard = sessions.close(client_id, entry.number, None, session_expiry, self.shared.now());
            if guard.is_some() {
                let mut emitter = Emitter::new(&self.shared);
                emitter.run(|step| failed(&entry, step));
                drop(guard);
                emitter.flush_in_background();
            }
        }
        if self.shared.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.idle.notify_waiters();
        }
    }
}
