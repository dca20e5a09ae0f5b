//! Carries out the actions of the protocol core: events go to the bus, changes to the session table.

use std::sync::Arc;
use std::time::Duration;

use super::lifecycle;
use super::packet::ConnackPacket;
use super::protocol::{Action, ClientSession, Opening, Step, publish_will};
use super::shared::Shared;
use hookhost_contract::{Completion, Ticket};
use hookhost_event::{Event, Message};
use hookhost_hooks::{PendingEvent, Recipients};

/// Carries out actions at once, but for events whose queues are full and have to be waited for.
pub(crate) struct Emitter {
    shared: Arc<Shared>,
    /// What has to be waited for, in order.
    deferred: Vec<Deferred>,
    /// What acknowledgements have to wait for, by packet identifier; the inspector takes them.
    pub(crate) expected_acks: Vec<(u16, Completion)>,
}

/// An action that cannot be carried out at once.
enum Deferred {
    /// An event for which some queues have no room.
    Waiting(PendingEvent),
    /// An event that comes after an event that waits, and its ticket.
    Event(Box<Event>, Option<Ticket>),
    /// The publish of a will, after this many seconds.
    Will(Arc<Message>, u32),
}

impl Emitter {
    /// An emitter that has nothing to wait for.
    pub(crate) fn new(shared: &Arc<Shared>) -> Emitter {
        Emitter {
            shared: Arc::clone(shared),
            deferred: Vec::new(),
            expected_acks: Vec::new(),
        }
    }

    /// Whether nothing has to be waited for.
    pub(crate) fn is_empty(&self) -> bool {
        self.deferred.is_empty()
    }

    /// Waits until every event is in its queues.
    pub(crate) async fn flush(&mut self) {
        for deferred in std::mem::take(&mut self.deferred) {
            match deferred {
                // These waits are rare and boxed, so that the task of each client has no space for them.
                Deferred::Waiting(waiting) => Box::pin(waiting.finish()).await,
                Deferred::Event(event, ticket) => {
                    Box::pin(self.shared.events().emit_event_with(ticket, *event)).await;
                }
                Deferred::Will(will, seconds) => publish_will_later(Arc::clone(&self.shared), will, seconds),
            }
        }
    }

    /// Waits in a task of its own.
    pub(crate) fn flush_in_background(mut self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move { self.flush().await }));
        }
    }

    /// Runs one step of the core and carries out its actions.
    pub(crate) fn run<T>(&mut self, run: impl FnOnce(&mut Step<'_>) -> T) -> T {
        let shared = Arc::clone(&self.shared);
        let mut step = shared.step();
        let result = run(&mut step);
        self.apply(step.take());
        result
    }

    /// The upstream has accepted a connection.
    pub(crate) fn accept(&mut self, opening: Opening, answer: &ConnackPacket) -> ClientSession {
        let shared = Arc::clone(&self.shared);
        let mut step = shared.step();
        let (session, guard) = lifecycle::accept(&shared.sessions, opening, answer, &mut step);
        self.apply(step.take());
        drop(guard);
        session
    }

    /// The upstream or the gateway refuses a connection. `source`: what has decided.
    pub(crate) fn refuse(&mut self, opening: &Opening, answer: &ConnackPacket, source: &'static str) {
        self.run(|step| opening.refuse(answer, source, step));
        self.retract(opening);
    }

    /// A connection is not accepted.
    pub(crate) fn retract(&mut self, opening: &Opening) {
        let shared = Arc::clone(&self.shared);
        let mut step = shared.step();
        let guard = lifecycle::retract(&shared.sessions, opening, &mut step);
        self.apply(step.take());
        drop(guard);
    }

    /// Carries out actions in their order.
    pub(crate) fn apply(&mut self, actions: impl IntoIterator<Item = Action>) {
        for action in actions {
            match action {
                Action::Emit(detail, to) => {
                    let event = self.shared.events().event(detail);
                    self.emit(event, to);
                }
                Action::EmitSessionEnd(event, to) => {
                    let (detail, extras) = *event;
                    let event = self.shared.events().event(detail);
                    self.emit(Event { extras, ..event }, to);
                }
                Action::HoldAck(id, completion) => self.expected_acks.push((id, completion)),
                Action::RememberPublish(message) => self.shared.remember_publish(message),
                Action::PublishWillLater(will, seconds) => self.deferred.push(Deferred::Will(will, seconds)),
                Action::Count(counter) => self.shared.counts.add(counter),
                Action::Leave {
                    client_id,
                    number,
                    end,
                    session_expiry,
                } => self.shared.sessions.leave(&client_id, number, &end, session_expiry),
                Action::Close(closing) => {
                    let shared = Arc::clone(&self.shared);
                    let guard = shared.sessions.close(
                        &closing.client_id,
                        closing.number,
                        closing.by_upstream.as_ref(),
                        closing.session_expiry,
                        shared.now(),
                    );
                    if guard.is_some() {
                        self.apply(closing.actions);
                    }
                }
            }
        }
    }

    fn emit(&mut self, event: Event, mut to: Recipients) {
        if !self.deferred.is_empty() {
            // Modules may come and go while it waits, so it is looked up again.
            let ticket = to.take_ticket();
            self.deferred.push(Deferred::Event(Box::new(event), ticket));
        } else if let Some(waiting) = self.shared.events().offer_event(to, event) {
            self.deferred.push(Deferred::Waiting(waiting));
        }
    }
}

/// Publishes a will when its delay is over, unless the client has come back.
fn publish_will_later(shared: Arc<Shared>, will: Arc<Message>, seconds: u32) {
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
            let mut emitter = Emitter::new(&shared);
            emitter.run(|step| publish_will(&will, step));
            emitter.flush().await;
        }
    }));
}
