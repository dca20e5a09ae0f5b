//! What all connections of a gateway share, and how what they find out becomes events.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::machine::{Counted, Host, publish_will};
use super::publishers::Publishers;
use super::sessions::Sessions;
use super::settings::{GatewaySettings, Publishers as HowPublishers};
use super::turns::Turns;
use super::upstream::Upstreams;
use hookhost_broker::Limits;
use hookhost_broker::clock::Clock;
use hookhost_event::{Detail, Event, Hook, Id, Message, Millis};
use hookhost_hooks::{Bus, Throttle, Waiting};

/// What all connections share.
pub(super) struct Shared {
    pub(super) settings: GatewaySettings,
    pub(super) limits: Limits,
    pub(super) listener: ByteString,
    pub(super) address: SocketAddr,
    pub(super) sessions: Sessions,
    pub(super) upstreams: Upstreams,
    pub(super) turns: Turns,
    /// Who is connected to rumqttd, which mixes connections up if two of one client overlap.
    pub(super) leases: Turns,
    pub(super) counts: Counts,
    /// Done when the gateway stops.
    pub(super) stopping: CancellationToken,
    bus: Option<Bus>,
    clock: Clock,
    publishers: Option<Publishers>,
    next: AtomicU64,
    connections: AtomicUsize,
    /// The last connection has ended.
    idle: Notify,
    warning: Throttle,
}

/// What is counted since the start.
#[derive(Default)]
pub(super) struct Counts {
    /// Connections of clients.
    pub(super) accepted: AtomicU64,
    /// Connections that did not begin with MQTT.
    pub(super) not_mqtt: AtomicU64,
    /// CONNECTs that no upstream answered.
    pub(super) unanswered: AtomicU64,
    /// Packets that could not be read, were too long, or came from the wrong side; and things forgotten.
    pub(super) unreadable: AtomicU64,
    pub(super) too_long: AtomicU64,
    pub(super) unexpected: AtomicU64,
    pub(super) forgotten: AtomicU64,
}

impl Counts {
    /// All of them, by name.
    pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
        [
            ("accepted", &self.accepted),
            ("not_mqtt", &self.not_mqtt),
            ("unanswered", &self.unanswered),
            ("unreadable", &self.unreadable),
            ("too_long", &self.too_long),
            ("unexpected", &self.unexpected),
            ("forgotten", &self.forgotten),
        ]
        .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
        .to_vec()
    }
}

impl Shared {
    pub(super) fn new(
        settings: GatewaySettings,
        limits: Limits,
        listener: &'static str,
        address: SocketAddr,
        upstreams: Upstreams,
        bus: Option<Bus>,
    ) -> Shared {
        Shared {
            publishers: (settings.publishers != HowPublishers::Unknown && bus.is_some()).then(Publishers::new),
            sessions: Sessions::new(settings.sees_all_clients),
            settings,
            limits,
            listener: ByteString::from_static(listener),
            address,
            upstreams,
            turns: Turns::default(),
            leases: Turns::default(),
            counts: Counts::default(),
            stopping: CancellationToken::new(),
            bus,
            clock: Clock::new(),
            next: AtomicU64::new(1),
            connections: AtomicUsize::new(0),
            idle: Notify::new(),
            warning: Throttle::new(),
        }
    }

    /// Begins a connection; it counts until the guard is dropped.
    pub(super) fn begin(self: &Arc<Shared>) -> Guard {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Guard {
            shared: Arc::clone(self),
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Waits until no connection is left.
    pub(super) async fn empty(&self) {
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

    /// An upstream has failed, in a few words: said at most once a second.
    pub(super) fn report(&self, upstream: &str, why: &str) {
        if let Some(held_back) = self.warning.pass() {
            tracing::warn!(
                upstream,
                why,
                lines_held_back = held_back,
                "the upstream broker cannot be used"
            );
        }
    }

    /// The time.
    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Whether messages say who has published them.
    pub(super) fn stamps(&self) -> bool {
        self.settings.publishers == HowPublishers::UserProperty
    }
}

/// A connection that is being served.
pub(super) struct Guard {
    pub(super) shared: Arc<Shared>,
    /// Its number, greater than that of every connection before it.
    pub(super) number: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(live) = self.shared.sessions.held_by(self.number)
        {
            // Whoever served it cannot tell its end any more.
            let teller = Teller::new(&self.shared);
            super::machine::failed(&live, &teller);
            teller.finish_later();
        }
        if self.shared.connections.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.idle.notify_waiters();
        }
    }
}

/// Brings what a machine tells to the bus: at once, but for queues that are full and are to be waited for.
pub(super) struct Teller {
    shared: Arc<Shared>,
    /// What has to be waited for, in its order.
    later: RefCell<Vec<Later>>,
}

/// Something that cannot be told at once.
enum Later {
    /// An event for which some queues have no room.
    Waiting(Waiting),
    /// An event that comes after one that waits.
    Event(Box<Event>),
    /// A will, after so many seconds.
    Will(Arc<Message>, u32),
}

impl Teller {
    pub(super) fn new(shared: &Arc<Shared>) -> Teller {
        Teller {
            shared: Arc::clone(shared),
            later: RefCell::default(),
        }
    }

    /// Whether everything is told.
    pub(super) fn is_empty(&self) -> bool {
        self.later.borrow().is_empty()
    }

    /// Waits until everything is told.
    pub(super) async fn flush(&mut self) {
        for later in std::mem::take(self.later.get_mut()) {
            match (later, &self.shared.bus) {
                (Later::Waiting(waiting), _) => waiting.finish().await,
                (Later::Event(event), Some(bus)) => {
                    let to = bus.interested(event.detail.hook(), event.detail.subject());
                    bus.emit(to, *event).await;
                }
                (Later::Event(_), None) => {}
                (Later::Will(will, seconds), _) => tell_later(Arc::clone(&self.shared), will, seconds),
            }
        }
    }

    /// Does the same in a task of its own.
    pub(super) fn finish_later(mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move { self.flush().await }));
        }
    }
}

/// Tells a will when its delay is over, unless the client has come back.
fn tell_later(shared: Arc<Shared>, will: Arc<Message>, seconds: u32) {
    let client_id = will.publisher.id.clone();
    let Some(before) = shared.sessions.of(&client_id) else {
        return;
    };
    drop(tokio::spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(u64::from(seconds))) => {}
            () = shared.stopping.cancelled() => return,
        }
        if shared.sessions.is_away_since(&client_id, before.number) {
            let mut teller = Teller::new(&shared);
            publish_will(&will, &teller);
            teller.flush().await;
        }
    }));
}

impl Host for Teller {
    fn wants(&self, hook: Hook, subject: Option<&str>) -> bool {
        let bus = self.shared.bus.as_ref();
        bus.is_some_and(|bus| !bus.interested(hook, subject).is_empty())
    }

    fn tell(&self, detail: Detail) {
        let Some(bus) = &self.shared.bus else { return };
        let event = self.shared.clock.event(detail);
        let mut later = self.later.borrow_mut();
        if !later.is_empty() {
            later.push(Later::Event(Box::new(event)));
            return;
        }
        let to = bus.interested(event.detail.hook(), event.detail.subject());
        if let Some(waiting) = bus.offer(to, event) {
            later.push(Later::Waiting(waiting));
        }
    }

    fn now(&self) -> Millis {
        self.shared.clock.now()
    }

    fn id(&self) -> Id {
        self.shared.clock.id()
    }

    fn count(&self, what: Counted) {
        let counts = &self.shared.counts;
        let counter = match what {
            Counted::Unreadable => &counts.unreadable,
            Counted::TooLong => &counts.too_long,
            Counted::Unexpected => &counts.unexpected,
            Counted::Forgotten => &counts.forgotten,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn sessions(&self) -> &Sessions {
        &self.shared.sessions
    }

    fn publishers(&self) -> Option<&Publishers> {
        self.shared.publishers.as_ref()
    }

    fn sees_all(&self) -> bool {
        self.shared.settings.sees_all_clients
    }

    fn delay(&self, will: Arc<Message>, seconds: u32) {
        self.later.borrow_mut().push(Later::Will(will, seconds));
    }
}
