//! The core without a network: packets that no client can provoke in a real broker, and any packets at all.

mod arbitrary;
mod gate;

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

use Side::{Client as C, Upstream as U};

#[test]
fn answers_nobody_asked_for_are_counted_and_tell_nothing() {
    for version in [4, 5] {
        let recorder = Recorder::new();
        let mut client = open(version, &recorder);
        for (from, first, body) in [
            (U, 0x40, &[0, 9][..]),
            (U, 0x50, &[0, 9]),
            (U, 0x70, &[0, 9]),
            (U, 0x90, &[0, 9, 0, 0]),
            (U, 0xb0, &[0, 9, 0]),
            (C, 0x40, &[0, 9]),
            (C, 0x70, &[0, 9]),
            (C, 0x62, &[0, 9]),
            (U, 0x20, &[0, 0]),
            (C, 0x20, &[0, 0]),
            (C, 0x90, &[0, 9, 0]),
            (U, 0x82, &[0, 9, 0, 1, b't', 0]),
            (U, 0xc0, &[]),
            (C, 0xd0, &[]),
            (C, 0x00, &[]),
        ] {
            pass(&mut client, from, first, body, &recorder);
        }
        assert_eq!(recorder.hooks(), []);
        assert!(recorder.counted.borrow().len() >= 7);
    }
}

#[test]
fn what_mqtt_5_says_about_a_publish() {
    let recorder = Recorder::new();
    let mut client = open(5, &recorder);
    for (answer, code, hooks) in [
        (0x40, 0, &[][..]),
        (0x40, 16, &[Hook::MessageDropped]),
        (0x40, 151, &[Hook::MessageRefused]),
        (0x40, 135, &[Hook::ClientAuthorized, Hook::MessageRefused]),
        (0x50, 16, &[Hook::MessageDropped]),
        (0x50, 144, &[Hook::MessageRefused]),
    ] {
        let first = if answer == 0x40 { 0x32 } else { 0x34 };
        pass(&mut client, C, first, b"\0\x01t\0\x07\0x", &recorder);
        assert_eq!(recorder.hooks(), [Hook::MessagePublish]);
        pass(&mut client, U, answer, &[0, 7, code], &recorder);
        assert_eq!(recorder.hooks(), hooks, "{code}");
        pass(&mut client, U, 0x70, &[0, 7], &recorder);
        assert_eq!(recorder.hooks(), []);
    }
    assert_eq!(client.kept(), 0);
}

#[test]
fn a_receiver_may_refuse() {
    let recorder = Recorder::new();
    let mut client = open(5, &recorder);
    pass(&mut client, U, 0x32, b"\0\x01t\0\x07\0x", &recorder);
    pass(&mut client, C, 0x40, &[0, 7, 131], &recorder);
    assert_eq!(recorder.hooks(), [Hook::MessageDelivered, Hook::DeliveryDropped]);
    pass(&mut client, U, 0x34, b"\0\x01t\0\x07\0x", &recorder);
    pass(&mut client, C, 0x50, &[0, 7, 131], &recorder);
    assert_eq!(recorder.hooks(), [Hook::MessageDelivered, Hook::DeliveryDropped]);
    pass(&mut client, U, 0x34, b"\0\x01t\0\x07\0x", &recorder);
    pass(&mut client, C, 0x50, &[0, 7], &recorder);
    assert_eq!(recorder.hooks(), [Hook::MessageDelivered]);
    pass(&mut client, C, 0x70, &[0, 7], &recorder);
    assert_eq!(recorder.hooks(), [Hook::MessageAcked]);
    assert_eq!(client.kept(), 0);
}

#[test]
fn aliases_beyond_what_was_agreed_are_faults() {
    for (from, alias) in [(C, 0), (C, 11), (C, 5), (U, 11), (U, 5)] {
        let recorder = Recorder::new();
        let mut client = open(5, &recorder);
        let body = [b"\0\0\x03\x23\0", &[alias][..], b"x"].concat();
        pass(&mut client, from, 0x30, &body, &recorder);
        assert_eq!(recorder.hooks(), []);
        assert_eq!(*recorder.counted.borrow(), [Counter::InvalidPacket]);
        client.end(EndCause::UpstreamClosed, &recorder);
        let (reason, _) = recorder.ends()[0];
        assert_eq!(reason == EndReason::ProtocolError, from == C);
    }
}

#[test]
fn all_identifiers_may_be_under_way_at_once() {
    let recorder = Recorder::new();
    let mut client = open(5, &recorder);
    for id in 1..=u16::MAX {
        let [high, low] = id.to_be_bytes();
        pass(&mut client, U, 0x34, &[0, 1, b't', high, low, 0], &recorder);
        pass(&mut client, C, 0x34, &[0, 1, b't', high, low, 0], &recorder);
        pass(&mut client, C, 0x82, &[high, low, 0, 0, 1, b't', 0], &recorder);
        recorder.hooks();
        assert!(client.kept() <= 2 * MAX_PENDING_BYTES);
    }
    assert!(recorder.counted.borrow().contains(&Counter::Forgotten));
    for id in 1..=u16::MAX {
        let [high, low] = id.to_be_bytes();
        pass(&mut client, C, 0x50, &[high, low], &recorder);
        pass(&mut client, C, 0x70, &[high, low], &recorder);
        pass(&mut client, U, 0x50, &[high, low], &recorder);
        pass(&mut client, U, 0x70, &[high, low], &recorder);
        pass(&mut client, U, 0x90, &[high, low, 0, 128], &recorder);
        recorder.hooks();
    }
    assert_eq!(client.kept(), 0);
}

#[test]
fn an_upstream_says_why_it_disconnects() {
    for (code, reason) in [
        (129, EndReason::ProtocolError),
        (135, EndReason::NotAuthorized),
        (139, EndReason::Shutdown),
        (141, EndReason::KeepAliveTimeout),
        (142, EndReason::TakenOver),
        (151, EndReason::LimitExceeded),
        (152, EndReason::Kicked),
        (157, EndReason::Other),
    ] {
        let recorder = Recorder::new();
        let mut client = open(5, &recorder);
        pass(&mut client, U, 0xe0, &[code], &recorder);
        assert_eq!(recorder.ends(), [(reason, Some(code)); 2]);
        client.end(EndCause::UpstreamClosed, &recorder);
        pass(&mut client, C, 0x30, b"\0\x01t\0x", &recorder);
        assert_eq!(recorder.hooks(), []);
    }
}

#[test]
fn wills_are_told_if_the_upstream_publishes_them() {
    let will = |delay| packet::Will {
        topic: "gone".into(),
        payload: "c".into(),
        qos: 1,
        retain: false,
        delay,
        properties: None,
    };
    let cases = [
        (None, EndCause::ClientClosed, 0, 0, true, None),
        (None, EndCause::KeepAlive, 0, 0, true, None),
        (None, EndCause::UpstreamClosed, 0, 0, false, None),
        (Some((C, 0)), EndCause::UpstreamClosed, 0, 0, false, None),
        (Some((C, 4)), EndCause::UpstreamClosed, 0, 0, true, None),
        (Some((U, 139)), EndCause::UpstreamClosed, 0, 0, false, None),
        (None, EndCause::ClientClosed, 5, 60, false, Some(5)),
        (None, EndCause::ClientClosed, 60, 5, false, Some(5)),
    ];
    for (said, cause, delay, session_expiry, told, delayed) in cases {
        let recorder = Recorder::new();
        let connect = Connect {
            will: Some(will(delay)),
            session_expiry,
            ..connect(5)
        };
        let mut client = open_with(connect, &recorder, 1);
        if let Some((from, code)) = said {
            pass(&mut client, from, 0xe0, &[code], &recorder);
        }
        client.end(cause.clone(), &recorder);
        let hooks = recorder.hooks();
        assert_eq!(hooks.contains(&Hook::MessagePublish), told, "{said:?} {cause:?}");
        assert_eq!(
            recorder.delayed.borrow().first().copied(),
            delayed,
            "{said:?} {cause:?}"
        );
        assert_eq!(
            hooks.iter().filter(|hook| **hook == Hook::ClientDisconnected).count(),
            1
        );
    }
}

#[test]
fn a_client_that_comes_back_at_once_has_not_been_replaced() {
    let recorder = Recorder::new();
    let mut old = open(5, &recorder);
    pass(&mut old, C, 0xe0, &[], &recorder);
    assert_eq!(recorder.hooks(), []);
    let mut new = TestClient::connect(socket_info(2), connect(5), &recorder);
    new.announce(&recorder);
    new.connack(&packet::ConnackPacket::default(), &recorder);
    old.end(EndCause::UpstreamClosed, &recorder);
    let ends = recorder
        .events
        .borrow()
        .iter()
        .filter_map(|detail| match detail {
            Detail::ClientDisconnected(disconnection) => Some(disconnection.end.reason),
            _ => None,
        })
        .collect::<Vec<_>>();
    assert_eq!(ends, [EndReason::Disconnect]);
    assert_eq!(
        recorder.hooks(),
        [
            Hook::ClientConnect,
            Hook::ClientDisconnected,
            Hook::SessionTerminated,
            Hook::ClientAuthenticated,
            Hook::SessionCreated,
            Hook::ClientConnack,
            Hook::ClientConnected,
        ]
    );
}

#[test]
fn a_session_that_the_upstream_has_lost_has_expired() {
    let recorder = Recorder::new();
    let persistent = || Connect {
        clean_start: false,
        session_expiry: 60,
        ..connect(5)
    };
    let mut old = open_with(persistent(), &recorder, 1);
    pass(&mut old, C, 0xe0, &[], &recorder);
    old.end(EndCause::ClientClosed, &recorder);
    recorder.hooks();
    let mut new = TestClient::connect(socket_info(2), persistent(), &recorder);
    new.connack(&packet::ConnackPacket::default(), &recorder);
    assert_eq!(
        recorder.hooks()[1..3],
        [Hook::SessionTerminated, Hook::ClientAuthenticated]
    );
}

#[test]
fn a_connection_that_is_refused_takes_nothing_away() {
    for (code, hooks) in [
        (
            135,
            &[Hook::ClientConnect, Hook::ClientAuthenticated, Hook::ClientConnack][..],
        ),
        (136, &[Hook::ClientConnect, Hook::ClientConnack]),
    ] {
        let recorder = Recorder::new();
        let mut old = open(5, &recorder);
        let mut new = TestClient::connect(socket_info(2), connect(5), &recorder);
        new.announce(&recorder);
        let answer = packet::ConnackPacket {
            code,
            ..packet::ConnackPacket::default()
        };
        new.connack(&answer, &recorder);
        assert_eq!(recorder.hooks(), hooks);
        new.end(EndCause::ClientClosed, &recorder);
        old.end(EndCause::ClientClosed, &recorder);
        assert_eq!(recorder.ends().len(), 2);
    }
}

#[test]
fn a_publish_asks_for_interest_once() {
    let needs_no_event = Recorder::interested(&[Hook::ClientConnected]);
    let events: Recorder = Recorder::new();
    for recorder in [&needs_no_event, &events] {
        for version in [4, 5] {
            let mut client = open(version, recorder);
            let aliased: &[u8] = b"\0\x01t\x03\x23\0\x01x";
            let plain: &[u8] = if version == 5 { b"\0\x01t\0x" } else { b"\0\x01tx" };
            for (from, first, body) in [(C, 0x30, plain), (U, 0x30, plain), (C, 0x30, aliased)] {
                recorder.look_ups.set(0);
                pass(&mut client, from, first, body, recorder);
                assert_eq!(recorder.look_ups.get(), 1, "{from:?} {body:?}");
            }
        }
    }
}
