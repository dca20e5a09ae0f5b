//! The core without a network: packets that no client can provoke in a real broker, and any packets at all.

mod arbitrary;
mod ends;
mod gate;
mod packets;

use std::cell::{Cell, RefCell};

use super::connection_state::MAX_PENDING_BYTES;
use super::*;
use crate::frame::Frame;
use crate::lifecycle;
use crate::packet::{self, ConnackPacket, Connect};
use crate::recent_publishes::RecentPublishes;
use crate::sessions::Sessions;
use hookhost_contract::Interest;
use hookhost_event::{Detail, EndReason, Hook, Id, Millis};
use hookhost_hooks::{Attachment, Bus, Inbox, InterestedIn, Interests, QueueLimits};
use hookhost_listener::{Kind, Peer};
use hookhost_relay::{EndCause, Side};

use Side::{Client as C, Upstream as U};

/// Carries out actions by recording them; wants every event.
struct Recorder {
    events: RefCell<Vec<Detail>>,
    delayed: RefCell<Vec<u32>>,
    counted: RefCell<Vec<Counter>>,
    next: Cell<u128>,
    look_ups: Cell<usize>,
    bus: Bus,
    _queues: (Attachment, Vec<Inbox>),
    sessions: Sessions,
    publishes: RecentPublishes,
}

impl Recorder {
    fn new() -> Recorder {
        Recorder::interested(&Hook::ALL)
    }

    fn interested(hooks: &[Hook]) -> Recorder {
        let bus = Bus::new();
        let (attachment, inboxes) = bus.attach("test", 1, QueueLimits::default());
        let all = |hook: &Hook| Interest {
            hook: *hook,
            filters: Vec::new(),
        };
        let list: Vec<_> = hooks.iter().map(all).collect();
        attachment.set_interests(Interests::compile(&list).unwrap());
        Recorder {
            events: RefCell::default(),
            delayed: RefCell::default(),
            counted: RefCell::default(),
            next: Cell::new(1),
            look_ups: Cell::new(0),
            bus,
            _queues: (attachment, inboxes),
            sessions: Sessions::new(false),
            publishes: RecentPublishes::new(),
        }
    }

    fn step(&self) -> Step<'_> {
        Step::new(Millis(1_000_000), self, Some(&self.publishes), None)
    }

    fn run<T>(&self, run: impl FnOnce(&mut Step<'_>) -> T) -> T {
        let mut step = self.step();
        let result = run(&mut step);
        self.apply(step.take());
        result
    }

    fn apply(&self, actions: impl IntoIterator<Item = Action>) {
        for action in actions {
            match action {
                Action::Emit(detail, to) => {
                    assert!(!to.is_empty());
                    // Whatever a module or a log does with an event must work.
                    drop((
                        format!("{detail:?}"),
                        detail.subject().map(str::len),
                        detail.client().is_some(),
                    ));
                    self.events.borrow_mut().push(detail);
                }
                Action::EmitSessionEnd(event, to) => {
                    assert!(!to.is_empty());
                    self.events.borrow_mut().push(event.0);
                }
                Action::HoldAck(..) => panic!("no module asks for it"),
                Action::RememberPublish(message) => self.publishes.passed(message),
                Action::PublishWillLater(_, seconds) => self.delayed.borrow_mut().push(seconds),
                Action::Count(counter) => self.counted.borrow_mut().push(counter),
                Action::Leave {
                    client_id,
                    number,
                    end,
                    session_expiry,
                } => self.sessions.leave(&client_id, number, &end, session_expiry),
                Action::Close(closing) => {
                    let guard = self.sessions.close(
                        &closing.client_id,
                        closing.number,
                        closing.by_upstream.as_ref(),
                        closing.session_expiry,
                        Millis(1_000_000),
                    );
                    if guard.is_some() {
                        self.apply(closing.actions);
                    }
                }
            }
        }
    }

    fn hooks(&self) -> Vec<Hook> {
        self.events.borrow_mut().drain(..).map(|detail| detail.hook()).collect()
    }

    fn ends(&self) -> Vec<(EndReason, Option<u8>)> {
        let end = |detail| match detail {
            Detail::ClientDisconnected(disconnection) => Some(disconnection.end),
            Detail::SessionTerminated(termination) => Some(termination.end),
            _ => None,
        };
        let ends = self.events.borrow_mut().drain(..).filter_map(end).collect::<Vec<_>>();
        ends.into_iter().map(|end| (end.reason, end.code)).collect()
    }
}

impl Lookup for Recorder {
    fn interested_in(&self, hooks: &[Hook], subject: Option<&str>) -> InterestedIn {
        self.look_ups.set(self.look_ups.get() + 1);
        self.bus.interested_in(hooks, subject)
    }

    fn new_id(&self) -> Id {
        self.next.set(self.next.get() + 1);
        Id(self.next.get())
    }
}

/// A connection from CONNECT on.
#[expect(clippy::large_enum_variant, reason = "a test has a few of them")]
enum TestClient {
    Opening(Opening),
    Session(ClientSession),
    /// It was refused, or its client has gone before CONNACK.
    Over,
}

impl TestClient {
    fn connect(socket: SocketInfo, connect: Connect, recorder: &Recorder) -> TestClient {
        TestClient::Opening(recorder.run(|step| Opening::new(socket, connect, step)))
    }

    fn announce(&self, recorder: &Recorder) {
        if let TestClient::Opening(opening) = self {
            lifecycle::announce(&recorder.sessions, opening);
        }
    }

    fn connack(&mut self, answer: &ConnackPacket, recorder: &Recorder) {
        let TestClient::Opening(opening) = std::mem::replace(self, TestClient::Over) else {
            panic!("a second CONNACK is a packet")
        };
        if answer.code != 0 {
            recorder.run(|step| opening.refuse(answer, UPSTREAM, step));
            self.retract(&opening, recorder);
            *self = TestClient::Session(opening.into_refused());
            return;
        }
        let mut step = recorder.step();
        let (session, guard) = lifecycle::accept(&recorder.sessions, opening, answer, &mut step);
        recorder.apply(step.take());
        drop(guard);
        *self = TestClient::Session(session);
    }

    fn retract(&self, opening: &Opening, recorder: &Recorder) {
        let mut step = recorder.step();
        let guard = lifecycle::retract(&recorder.sessions, opening, &mut step);
        recorder.apply(step.take());
        drop(guard);
    }

    fn session(&mut self) -> &mut ClientSession {
        match self {
            TestClient::Session(session) => session,
            _ => panic!("a session"),
        }
    }

    fn packet(&mut self, from: Side, frame: Frame<'_>, recorder: &Recorder) {
        recorder.run(|step| self.session().packet(from, frame, step));
    }

    fn too_long(&mut self, from: Side, recorder: &Recorder) {
        recorder.run(|step| self.session().too_long(from, step));
    }

    fn broken(&mut self, from: Side, recorder: &Recorder) {
        recorder.run(|step| self.session().broken(from, step));
    }

    fn end(&mut self, cause: EndCause, recorder: &Recorder) {
        match std::mem::replace(self, TestClient::Over) {
            TestClient::Opening(opening) => self.retract(&opening, recorder),
            TestClient::Session(mut session) => {
                recorder.run(|step| session.end(cause, step));
                *self = TestClient::Session(session);
            }
            TestClient::Over => {}
        }
    }

    fn kept(&mut self) -> usize {
        self.session().kept()
    }
}

fn socket_info(number: u64) -> SocketInfo {
    SocketInfo {
        number,
        peer: Peer {
            address: Some(([127, 0, 0, 1], 50_000).into()),
            proxy: None,
            local: Some(([127, 0, 0, 1], 1883).into()),
            listener: "tcp:default".into(),
            kind: Kind::Tcp,
            tls: None,
        },
    }
}

fn connect(version: u8) -> Connect {
    Connect {
        version,
        bridge: false,
        client_id: "c".into(),
        username: None,
        password: None,
        has_credentials: false,
        authentication_method: false,
        clean_start: true,
        keep_alive: 60,
        session_expiry: 0,
        receive_maximum: u16::MAX,
        topic_alias_maximum: 10,
        will: None,
        properties: None,
    }
}

fn open_with(connect: Connect, recorder: &Recorder, number: u64) -> TestClient {
    let mut client = TestClient::connect(socket_info(number), connect, recorder);
    client.announce(recorder);
    let connack = packet::ConnackPacket {
        topic_alias_maximum: 10,
        ..packet::ConnackPacket::default()
    };
    client.connack(&connack, recorder);
    recorder.hooks();
    client
}

fn open(version: u8, recorder: &Recorder) -> TestClient {
    open_with(connect(version), recorder, 1)
}

fn pass(client: &mut TestClient, from: Side, first: u8, body: &[u8], recorder: &Recorder) {
    client.packet(from, Frame { first, body }, recorder);
}
