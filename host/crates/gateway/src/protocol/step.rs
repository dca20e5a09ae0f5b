//! One step of the core: what it may look up, and the actions that it returns.

use std::sync::Arc;

use crate::recent_publishes::RecentPublishes;
use crate::subscribed_filters::SubscribedFilters;
use hookhost_contract::Completion;
use hookhost_event::{ByteString, Detail, End, Hook, Id, Message, Millis, Pairs, last_connection};
use hookhost_hooks::{InterestedIn, Recipients};

/// What happens too often to be logged and is counted instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    /// A packet that cannot be decoded.
    InvalidPacket,
    /// A packet longer than the longest that is decoded.
    TooLong,
    /// A packet that its sender may not send, or not now.
    Unexpected,
    /// State that was dropped because the connection or session is at its memory limit.
    Forgotten,
}

/// What the caller has to do, in this order.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all actions are events, and a box would cost an allocation for each"
)]
pub(crate) enum Action {
    /// Send an event to the modules that want it.
    Emit(Detail, Recipients),
    /// The same for the end of a session, with what is known of its last connection.
    EmitSessionEnd(Box<(Detail, Pairs)>, Recipients),
    /// Hold back the acknowledgement of the client's publish with this packet identifier until this is ready.
    HoldAck(u16, Completion),
    /// Remember who published a message, so that its deliveries can say so.
    RememberPublish(Message),
    /// Emit the publish of a will after this many seconds, unless the client is back by then.
    PublishWillLater(Arc<Message>, u32),
    /// Count something.
    Count(Counter),
    /// Note in the session table that the client has sent DISCONNECT; the rest follows when the upstream closes.
    Leave {
        /// The client.
        client_id: ByteString,
        /// The connection's number.
        number: u64,
        /// Why the client left.
        end: End,
        /// How long its session remains, in seconds.
        session_expiry: u32,
    },
    /// Close the connection's entry in the session table.
    Close(Box<Closing>),
}

/// The end of a connection, for the session table.
pub(crate) struct Closing {
    /// The client.
    pub(crate) client_id: ByteString,
    /// The connection's number.
    pub(crate) number: u64,
    /// Set if the upstream ended the connection: then a successor that is being accepted reports this end.
    pub(crate) by_upstream: Option<End>,
    /// How long the session remains, in seconds.
    pub(crate) session_expiry: u32,
    /// What to do if this connection is the one that reports its end.
    pub(crate) actions: Vec<Action>,
}

/// What the core looks up: read only.
pub(crate) trait Lookup {
    /// The modules that want events of these hooks with this subject: one read of the table of interests.
    fn interested_in(&self, hooks: &[Hook], subject: Option<&str>) -> InterestedIn;
    /// An id that no other message has.
    fn new_id(&self) -> Id;
}

/// The input and output of one step: the time and the tables that the core reads, and the actions that it returns.
pub(crate) struct Step<'a> {
    pub(super) now: Millis,
    lookup: &'a dyn Lookup,
    /// Publishes that passed lately; `None` if publishers are not tracked.
    pub(super) publishes: Option<&'a RecentPublishes>,
    /// The filters of all sessions; `None` if some clients of the upstream do not come through this gateway.
    filters: Option<&'a SubscribedFilters>,
    actions: Vec<Action>,
}

impl<'a> Step<'a> {
    /// A step at this time, without actions yet.
    pub(crate) fn new(
        now: Millis,
        lookup: &'a dyn Lookup,
        publishes: Option<&'a RecentPublishes>,
        filters: Option<&'a SubscribedFilters>,
    ) -> Step<'a> {
        Step {
            now,
            lookup,
            publishes,
            filters,
            actions: Vec::new(),
        }
    }

    /// The actions so far, which the caller carries out in their order.
    pub(crate) fn take(&mut self) -> std::vec::Drain<'_, Action> {
        self.actions.drain(..)
    }

    /// The time of this step.
    pub(crate) fn now(&self) -> Millis {
        self.now
    }

    /// An id for a message.
    pub(super) fn new_id(&self) -> Id {
        self.lookup.new_id()
    }

    /// The modules that want events of these hooks with this subject.
    pub(super) fn interested_in(&self, hooks: &[Hook], subject: Option<&str>) -> InterestedIn {
        self.lookup.interested_in(hooks, subject)
    }

    /// Emits an event if any module wants it.
    pub(super) fn emit(&mut self, hook: Hook, subject: Option<&str>, detail: impl FnOnce() -> Detail) {
        let interested = self.interested_in(&[hook], subject);
        self.emit_to(&interested, hook, detail);
    }

    /// Emits an event if a module in `interested` wants it.
    pub(super) fn emit_to(&mut self, interested: &InterestedIn, hook: Hook, detail: impl FnOnce() -> Detail) {
        let to = interested.of(hook);
        if !to.is_empty() {
            self.actions.push(Action::Emit(detail(), to));
        }
    }

    /// Emits the end of a session if a module wants it. The other parameters are those of [`last_connection`].
    pub(super) fn emit_session_end(
        &mut self,
        hook: Hook,
        clean_start: bool,
        by_disconnect: bool,
        detail: impl FnOnce() -> Detail,
    ) {
        let to = self.interested_in(&[hook], None).of(hook);
        if !to.is_empty() {
            let event = Box::new((detail(), last_connection(clean_start, by_disconnect)));
            self.actions.push(Action::EmitSessionEnd(event, to));
        }
    }

    /// Counts something.
    pub(crate) fn count(&mut self, counter: Counter) {
        self.actions.push(Action::Count(counter));
    }

    /// Adds an action.
    pub(super) fn push(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Runs `steps` and returns their actions apart from those of this step.
    pub(super) fn apart(&mut self, steps: impl FnOnce(&mut Self)) -> Vec<Action> {
        let before = std::mem::take(&mut self.actions);
        steps(self);
        std::mem::replace(&mut self.actions, before)
    }

    /// Whether this gateway knows every client of the upstream.
    pub(super) fn sees_all_clients(&self) -> bool {
        self.filters.is_some()
    }

    /// Whether it is certain that no client subscribes to this topic.
    pub(super) fn has_no_subscriber(&self, topic: &str) -> bool {
        self.filters.is_some_and(|filters| !filters.matches(topic))
    }
}
