//! The machine without a network: packets that nobody can provoke in a real broker, and any packets at all.

mod arbitrary;

use std::cell::{Cell, RefCell};

use super::*;
use hookhost_event::EndReason;

/// A host that wants everything and keeps it.
struct Ears {
    told: RefCell<Vec<Detail>>,
    delayed: RefCell<Vec<u32>>,
    counted: RefCell<Vec<Counted>>,
    next: Cell<u128>,
    sessions: Sessions,
    publishers: Publishers,
}

impl Ears {
    fn new() -> Ears {
        Ears {
            told: RefCell::default(),
            delayed: RefCell::default(),
            counted: RefCell::default(),
            next: Cell::new(1),
            sessions: Sessions::new(false),
            publishers: Publishers::new(),
        }
    }

    fn hooks(&self) -> Vec<Hook> {
        self.told.borrow_mut().drain(..).map(|detail| detail.hook()).collect()
    }

    fn ends(&self) -> Vec<(EndReason, Option<u8>)> {
        let end = |detail| match detail {
            Detail::ClientDisconnected(disconnection) => Some(disconnection.end),
            Detail::SessionTerminated(termination) => Some(termination.end),
            _ => None,
        };
        let ends = self.told.borrow_mut().drain(..).filter_map(end).collect::<Vec<_>>();
        ends.into_iter().map(|end| (end.reason, end.code)).collect()
    }
}

impl Host for Ears {
    fn wants(&self, _: Hook, _: Option<&str>) -> bool {
        true
    }

    fn tell(&self, detail: Detail) {
        // Whatever a module or a log does with an event must work.
        drop((
            format!("{detail:?}"),
            detail.subject().map(str::len),
            detail.client().is_some(),
        ));
        self.told.borrow_mut().push(detail);
    }

    fn now(&self) -> Millis {
        Millis(1_000_000)
    }

    fn id(&self) -> Id {
        self.next.set(self.next.get() + 1);
        Id(self.next.get())
    }

    fn count(&self, what: Counted) {
        self.counted.borrow_mut().push(what);
    }

    fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    fn publishers(&self) -> Option<&Publishers> {
        Some(&self.publishers)
    }

    fn sees_all(&self) -> bool {
        true
    }

    fn delay(&self, _: Arc<Message>, seconds: u32) {
        self.delayed.borrow_mut().push(seconds);
    }
}

fn facts(number: u64) -> Facts {
    Facts {
        number,
        peer: ([127, 0, 0, 1], 50_000).into(),
        local: ([127, 0, 0, 1], 1883).into(),
        listener: "tcp:default".into(),
    }
}

fn connect(version: u8) -> Connect {
    Connect {
        version,
        bridge: false,
        client_id: "c".into(),
        username: None,
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

fn open_with(connect: Connect, ears: &Ears, number: u64) -> Machine {
    let mut machine = Machine::connect(facts(number), connect, ears);
    machine.announce(ears);
    let connack = packet::Connack {
        topic_alias_maximum: 10,
        ..packet::Connack::default()
    };
    machine.connack(&connack, ears);
    ears.hooks();
    machine
}

fn open(version: u8, ears: &Ears) -> Machine {
    open_with(connect(version), ears, 1)
}

fn pass(machine: &mut Machine, from: Side, first: u8, body: &[u8], ears: &Ears) {
    machine.packet(from, Frame { first, body }, ears);
}

use Side::{Client as C, Upstream as U};

#[test]
fn answers_nobody_asked_for_are_counted_and_tell_nothing() {
    for version in [4, 5] {
        let ears = Ears::new();
        let mut machine = open(version, &ears);
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
            pass(&mut machine, from, first, body, &ears);
        }
        assert_eq!(ears.hooks(), []);
        assert!(ears.counted.borrow().len() >= 7);
    }
}

#[test]
fn what_mqtt_5_says_about_a_publish() {
    let ears = Ears::new();
    let mut machine = open(5, &ears);
    for (answer, code, hooks) in [
        (0x40, 0, &[][..]),
        (0x40, 16, &[Hook::MessageDropped]),
        (0x40, 151, &[Hook::MessageRefused]),
        (0x40, 135, &[Hook::ClientAuthorized, Hook::MessageRefused]),
        (0x50, 16, &[Hook::MessageDropped]),
        (0x50, 144, &[Hook::MessageRefused]),
    ] {
        let first = if answer == 0x40 { 0x32 } else { 0x34 };
        pass(&mut machine, C, first, b"\0\x01t\0\x07\0x", &ears);
        assert_eq!(ears.hooks(), [Hook::MessagePublish]);
        pass(&mut machine, U, answer, &[0, 7, code], &ears);
        assert_eq!(ears.hooks(), hooks, "{code}");
        pass(&mut machine, U, 0x70, &[0, 7], &ears);
        assert_eq!(ears.hooks(), []);
    }
    assert_eq!(machine.kept(), 0);
}

#[test]
fn a_receiver_may_refuse() {
    let ears = Ears::new();
    let mut machine = open(5, &ears);
    pass(&mut machine, U, 0x32, b"\0\x01t\0\x07\0x", &ears);
    pass(&mut machine, C, 0x40, &[0, 7, 131], &ears);
    assert_eq!(ears.hooks(), [Hook::MessageDelivered, Hook::DeliveryDropped]);
    pass(&mut machine, U, 0x34, b"\0\x01t\0\x07\0x", &ears);
    pass(&mut machine, C, 0x50, &[0, 7, 131], &ears);
    assert_eq!(ears.hooks(), [Hook::MessageDelivered, Hook::DeliveryDropped]);
    pass(&mut machine, U, 0x34, b"\0\x01t\0\x07\0x", &ears);
    pass(&mut machine, C, 0x50, &[0, 7], &ears);
    assert_eq!(ears.hooks(), [Hook::MessageDelivered]);
    pass(&mut machine, C, 0x70, &[0, 7], &ears);
    assert_eq!(ears.hooks(), [Hook::MessageAcked]);
    assert_eq!(machine.kept(), 0);
}

#[test]
fn aliases_beyond_what_was_agreed_are_faults() {
    for (from, alias) in [(C, 0), (C, 11), (C, 5), (U, 11), (U, 5)] {
        let ears = Ears::new();
        let mut machine = open(5, &ears);
        let body = [b"\0\0\x03\x23\0", &[alias][..], b"x"].concat();
        pass(&mut machine, from, 0x30, &body, &ears);
        assert_eq!(ears.hooks(), []);
        assert_eq!(*ears.counted.borrow(), [Counted::Unreadable]);
        machine.end(Cause::UpstreamClosed, &ears);
        let (reason, _) = ears.ends()[0];
        assert_eq!(reason == EndReason::ProtocolError, from == C);
    }
}

#[test]
fn all_identifiers_may_be_under_way_at_once() {
    let ears = Ears::new();
    let mut machine = open(5, &ears);
    for id in 1..=u16::MAX {
        let [high, low] = id.to_be_bytes();
        pass(&mut machine, U, 0x34, &[0, 1, b't', high, low, 0], &ears);
        pass(&mut machine, C, 0x34, &[0, 1, b't', high, low, 0], &ears);
        pass(&mut machine, C, 0x82, &[high, low, 0, 0, 1, b't', 0], &ears);
        ears.hooks();
        assert!(machine.kept() <= 2 * KEPT);
    }
    assert!(ears.counted.borrow().contains(&Counted::Forgotten));
    for id in 1..=u16::MAX {
        let [high, low] = id.to_be_bytes();
        pass(&mut machine, C, 0x50, &[high, low], &ears);
        pass(&mut machine, C, 0x70, &[high, low], &ears);
        pass(&mut machine, U, 0x50, &[high, low], &ears);
        pass(&mut machine, U, 0x70, &[high, low], &ears);
        pass(&mut machine, U, 0x90, &[high, low, 0, 128], &ears);
        ears.hooks();
    }
    assert_eq!(machine.kept(), 0);
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
        let ears = Ears::new();
        let mut machine = open(5, &ears);
        pass(&mut machine, U, 0xe0, &[code], &ears);
        assert_eq!(ears.ends(), [(reason, Some(code)); 2]);
        machine.end(Cause::UpstreamClosed, &ears);
        pass(&mut machine, C, 0x30, b"\0\x01t\0x", &ears);
        assert_eq!(ears.hooks(), []);
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
        (None, Cause::ClientClosed, 0, 0, true, None),
        (None, Cause::KeepAlive, 0, 0, true, None),
        (None, Cause::UpstreamClosed, 0, 0, false, None),
        (Some((C, 0)), Cause::UpstreamClosed, 0, 0, false, None),
        (Some((C, 4)), Cause::UpstreamClosed, 0, 0, true, None),
        (Some((U, 139)), Cause::UpstreamClosed, 0, 0, false, None),
        (None, Cause::ClientClosed, 5, 60, false, Some(5)),
        (None, Cause::ClientClosed, 60, 5, false, Some(5)),
    ];
    for (said, cause, delay, session_expiry, told, delayed) in cases {
        let ears = Ears::new();
        let connect = Connect {
            will: Some(will(delay)),
            session_expiry,
            ..connect(5)
        };
        let mut machine = open_with(connect, &ears, 1);
        if let Some((from, code)) = said {
            pass(&mut machine, from, 0xe0, &[code], &ears);
        }
        machine.end(cause.clone(), &ears);
        let hooks = ears.hooks();
        assert_eq!(hooks.contains(&Hook::MessagePublish), told, "{said:?} {cause:?}");
        assert_eq!(ears.delayed.borrow().first().copied(), delayed, "{said:?} {cause:?}");
        assert_eq!(
            hooks.iter().filter(|hook| **hook == Hook::ClientDisconnected).count(),
            1
        );
    }
}

#[test]
fn a_client_that_comes_back_at_once_has_not_been_replaced() {
    let ears = Ears::new();
    let mut old = open(5, &ears);
    pass(&mut old, C, 0xe0, &[], &ears);
    assert_eq!(ears.hooks(), []);
    let mut new = Machine::connect(facts(2), connect(5), &ears);
    new.announce(&ears);
    new.connack(&packet::Connack::default(), &ears);
    old.end(Cause::UpstreamClosed, &ears);
    let ends = ears
        .told
        .borrow()
        .iter()
        .filter_map(|detail| match detail {
            Detail::ClientDisconnected(disconnection) => Some(disconnection.end.reason),
            _ => None,
        })
        .collect::<Vec<_>>();
    assert_eq!(ends, [EndReason::Disconnect]);
    assert_eq!(
        ears.hooks(),
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
    let ears = Ears::new();
    let persistent = || Connect {
        clean_start: false,
        session_expiry: 60,
        ..connect(5)
    };
    let mut old = open_with(persistent(), &ears, 1);
    pass(&mut old, C, 0xe0, &[], &ears);
    old.end(Cause::ClientClosed, &ears);
    ears.hooks();
    let mut new = Machine::connect(facts(2), persistent(), &ears);
    new.connack(&packet::Connack::default(), &ears);
    assert_eq!(ears.hooks()[1..3], [Hook::SessionTerminated, Hook::ClientAuthenticated]);
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
        let ears = Ears::new();
        let mut old = open(5, &ears);
        let mut new = Machine::connect(facts(2), connect(5), &ears);
        new.announce(&ears);
        let answer = packet::Connack {
            code,
            ..packet::Connack::default()
        };
        new.connack(&answer, &ears);
        assert_eq!(ears.hooks(), hooks);
        new.end(Cause::ClientClosed, &ears);
        old.end(Cause::ClientClosed, &ears);
        assert_eq!(ears.ends().len(), 2);
    }
}
