//! How broker engines emit events.
//!
//! An engine has one [`Emitter`]. It asks whether a module is interested, builds the record only then, and hands it
//! over; the emitter adds id, time and UTC offset and puts the event into the queues of the bus.

use super::bus::Bus;
use super::clock::Clock;
use super::recipients::{InterestedIn, PendingEvent, Recipients};
use hookhost_contract::Ticket;
use hookhost_event::{Detail, Event, Hook, Id, Millis, Pairs};

/// Emits the events of one engine to a bus.
pub struct Emitter {
    bus: Bus,
    clock: Clock,
}

impl Emitter {
    /// An emitter with a clock of its own, whose ids no other emitter gives.
    pub fn new(bus: Bus) -> Emitter {
        Emitter {
            bus,
            clock: Clock::new(),
        }
    }

    /// Emits an event that happens now, if a module is interested; `detail` is called only then.
    ///
    /// Waits only for queues whose policy is [`Overflow::Wait`](super::Overflow::Wait).
    pub async fn emit(&self, hook: Hook, subject: Option<&str>, detail: impl FnOnce() -> Detail + Send) {
        self.emit_with_extras(hook, subject, || (detail(), Pairs::default()))
            .await;
    }

    /// As [`emit`](Self::emit), for an event with [extras](Event::extras).
    pub async fn emit_with_extras(
        &self,
        hook: Hook,
        subject: Option<&str>,
        event: impl FnOnce() -> (Detail, Pairs) + Send,
    ) {
        let to = self.interested(hook, subject);
        if !to.is_empty() {
            let (detail, extras) = event();
            let event = Event {
                extras,
                ..self.event(detail)
            };
            self.bus.emit(to, event).await;
        }
    }

    /// Emits an event that happens now to modules that were looked up before. Waits like [`emit`](Self::emit).
    pub async fn emit_to(&self, to: Recipients, detail: Detail) {
        self.bus.emit(to, self.event(detail)).await;
    }

    /// As [`emit_to`](Self::emit_to), with an event of [`event`](Self::event).
    pub async fn emit_event_to(&self, to: Recipients, event: Event) {
        self.bus.emit(to, event).await;
    }

    /// Emits an event that happens now without waiting; returns what still has to wait for room, if anything.
    pub fn offer_to(&self, to: Recipients, detail: Detail) -> Option<PendingEvent> {
        self.offer_event(to, self.event(detail))
    }

    /// As [`offer_to`](Self::offer_to), with an event of [`event`](Self::event).
    pub fn offer_event(&self, to: Recipients, event: Event) -> Option<PendingEvent> {
        self.bus.offer(to, event)
    }

    /// The modules that want an event of this hook with this subject; see [`Bus::interested`].
    pub fn interested(&self, hook: Hook, subject: Option<&str>) -> Recipients {
        self.bus.interested(hook, subject)
    }

    /// The modules that want events of any of these hooks with this subject; see [`Bus::interested_in`].
    pub fn interested_in(&self, hooks: &[Hook], subject: Option<&str>) -> InterestedIn {
        self.bus.interested_in(hooks, subject)
    }

    /// Like [`interested`](Self::interested), without modules whose queue for this client is full; see [`Bus::interested_with_room`].
    pub fn interested_with_room(&self, hook: Hook, subject: Option<&str>, client_id: &str) -> Recipients {
        self.bus.interested_with_room(hook, subject, client_id)
    }

    /// Whether a module wants an event of any of these hooks with this subject.
    pub fn wants(&self, hooks: &[Hook], subject: Option<&str>) -> bool {
        self.bus.wants(hooks, subject)
    }

    /// Registers a callback that runs before a hook gets its first subscriber; see [`Bus::on_demand`].
    pub fn on_demand(&self, prepare: impl Fn(&[Hook]) + Send + Sync + 'static) {
        self.bus.on_demand(prepare);
    }

    /// An event that happens now, to be emitted later with [`emit_event`](Self::emit_event).
    pub fn event(&self, detail: Detail) -> Event {
        self.clock.event(detail)
    }

    /// Emits an event of [`event`](Self::event) to the modules that are interested by then. Waits like
    /// [`emit`](Self::emit).
    pub async fn emit_event(&self, event: Event) {
        self.emit_event_with(None, event).await;
    }

    /// As [`emit_event`](Self::emit_event), with a ticket for modules whose interest is durable.
    pub async fn emit_event_with(&self, ticket: Option<Ticket>, event: Event) {
        let to = self.interested(event.detail.hook(), event.detail.subject());
        self.bus.emit(to.with_ticket(ticket), event).await;
    }

    /// An id that no event and no message has.
    pub fn id(&self) -> Id {
        self.clock.id()
    }

    /// Now.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Bits that differ between two runs of a host.
    pub fn epoch(&self) -> u64 {
        self.clock.epoch()
    }
}
