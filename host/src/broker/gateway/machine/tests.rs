//! The machine without a network: packets that nobody can provoke in a real broker, and any packets at all.

use std::cell::{Cell, RefCell};

use proptest::prelude::*;

use super::*;
use crate::broker::gateway::frame::{Framer, Piece, header};
use crate::event::EndReason;

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

/// Packets of any kind, most of them valid or nearly so.
fn packets() -> impl Strategy<Value = Vec<(bool, u8, Vec<u8>)>> {
    let id = 0u16..6;
    let topic = prop_oneof![
        Just(""),
        Just("t"),
        Just("t/1"),
        Just("a/#"),
        Just("$share/g/t"),
        Just("температура")
    ];
    let text = |text: &str| [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
    let publish =
        (id.clone(), topic.clone(), 0u8..4, any::<bool>(), 0u8..13).prop_map(move |(id, topic, qos, five, alias)| {
            let mut body = text(topic);
            if qos > 0 {
                body.extend(id.to_be_bytes());
            }
            match (five, alias) {
                (true, 0) => body.push(0),
                (true, alias) => body.extend([3, 0x23, 0, alias]),
                _ => {}
            }
            body.push(b'x');
            (0x30 | qos << 1, body)
        });
    let ack = (
        prop_oneof![Just(0x40), Just(0x50), Just(0x62), Just(0x70)],
        id.clone(),
        proptest::option::of(any::<u8>()),
    )
        .prop_map(|(first, id, code)| {
            let mut body = id.to_be_bytes().to_vec();
            body.extend(code);
            (first, body)
        });
    let subscribe =
        (id.clone(), topic.clone(), any::<bool>(), any::<u8>()).prop_map(move |(id, topic, five, options)| {
            let mut body = id.to_be_bytes().to_vec();
            if five {
                body.push(0);
            }
            body.extend(text(topic));
            body.push(options);
            (0x82, body)
        });
    let unsubscribe = (id.clone(), topic, any::<bool>()).prop_map(move |(id, topic, five)| {
        let mut body = id.to_be_bytes().to_vec();
        if five {
            body.push(0);
        }
        body.extend(text(topic));
        (0xa2, body)
    });
    let answer =
        (prop_oneof![Just(0x90), Just(0xb0)], id, any::<bool>(), any::<u8>()).prop_map(|(first, id, five, code)| {
            let mut body = id.to_be_bytes().to_vec();
            if five {
                body.push(0);
            }
            body.push(code);
            (first, body)
        });
    let other = prop_oneof![
        Just((0xc0, Vec::new())),
        Just((0xd0, Vec::new())),
        Just((0xe0, Vec::new())),
        Just((0xe0, vec![4]))
    ];
    let any_at_all = (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..40));
    let one = prop_oneof![
        8 => publish,
        8 => ack,
        3 => subscribe,
        2 => unsubscribe,
        4 => answer,
        1 => other,
        2 => any_at_all,
    ];
    proptest::collection::vec(
        (any::<bool>(), one).prop_map(|(client, (first, body))| (client, first, body)),
        0..80,
    )
}

proptest! {
    /// Any packets in any order and both directions: nothing panics, memory is bounded, each end is told once and
    /// nothing after it.
    #[test]
    fn any_packets(version in 3u8..6, list in packets(), expiry in any::<bool>(), cause in 0usize..4) {
        let ears = Ears::new();
        let connect = Connect { session_expiry: u32::from(expiry) * 60, ..connect(version) };
        let mut machine = open_with(connect, &ears, 1);
        for (client, first, body) in list {
            pass(&mut machine, if client { C } else { U }, first, &body, &ears);
            prop_assert!(machine.kept() <= 2 * KEPT);
        }
        let cause = [Cause::ClientClosed, Cause::UpstreamClosed, Cause::KeepAlive, Cause::Stopping][cause].clone();
        machine.end(cause.clone(), &ears);
        machine.end(cause, &ears);
        let hooks = ears.hooks();
        let count = |hook| hooks.iter().filter(|other| **other == hook).count();
        prop_assert_eq!(count(Hook::ClientDisconnected), 1);
        prop_assert_eq!(count(Hook::SessionTerminated), usize::from(!expiry));
        prop_assert!(count(Hook::MessageAcked) <= count(Hook::MessageDelivered));
        prop_assert!(count(Hook::SessionSubscribed) <= count(Hook::ClientSubscribe));
        let end = hooks.iter().position(|hook| *hook == Hook::ClientDisconnected);
        prop_assert!(hooks.len() - end.unwrap_or(0) <= 2, "nothing comes after the end");
    }

    /// Any bytes, cut anywhere, from both sides.
    #[test]
    fn any_bytes(version in 3u8..6, pieces in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..40)) {
        let ears = Ears::new();
        let mut machine = open(version, &ears);
        let mut framers = [Framer::new(1000), Framer::new(1000)];
        for (client, bytes) in pieces {
            let from = if client { C } else { U };
            let mut input = &bytes[..];
            while let Some(piece) = framers[usize::from(client)].next(&mut input) {
                match piece {
                    Piece::Packet(frame) => machine.packet(from, frame, &ears),
                    Piece::TooLong => machine.too_long(from, &ears),
                    Piece::Broken => machine.broken(from, &ears),
                }
            }
        }
        machine.end(Cause::ClientClosed, &ears);
        prop_assert_eq!(ears.hooks().iter().filter(|hook| **hook == Hook::ClientDisconnected).count(), 1);
    }

    /// Any CONNECT and CONNACK.
    #[test]
    fn any_opening(body in proptest::collection::vec(any::<u8>(), 0..60), answer in proptest::collection::vec(any::<u8>(), 0..30), version in 3u8..6) {
        let named = [&b"\0\x04MQTT"[..], &[version], &body].concat();
        for body in [&body, &named] {
            let Ok(connect) = packet::connect(body) else { continue };
            let ears = Ears::new();
            let version = connect.version;
            let mut machine = Machine::connect(facts(1), connect, &ears);
            machine.announce(&ears);
            if let Ok(connack) = packet::connack(version, &answer) {
                machine.connack(&connack, &ears);
            }
            machine.end(Cause::ClientClosed, &ears);
        }
    }

    /// Subscriptions against a model: what is told to be in force is what was granted and not given up.
    #[test]
    fn subscriptions_against_a_model(steps in proptest::collection::vec((0u8..3, 0usize..4, 0u8..4), 0..40)) {
        let filters = ["a", "b", "a/+", "$share/g/a"];
        let ears = Ears::new();
        let mut machine = open(5, &ears);
        let mut model = std::collections::HashMap::new();
        for (index, (what, filter, qos)) in steps.into_iter().enumerate() {
            let [high, low] = (index as u16 + 1).to_be_bytes();
            let name = filters[filter];
            let mut body = vec![high, low, 0, 0, name.len() as u8];
            body.extend(name.as_bytes());
            if what == 2 {
                pass(&mut machine, C, 0xa2, &body, &ears);
                let code = if model.remove(name).is_some() { 0 } else { 17 };
                pass(&mut machine, U, 0xb0, &[high, low, 0, code], &ears);
                let expected = if code == 0 { vec![Hook::ClientUnsubscribe, Hook::SessionUnsubscribed] } else { vec![Hook::ClientUnsubscribe] };
                prop_assert_eq!(ears.hooks(), expected);
            } else {
                body.push(qos.min(2));
                pass(&mut machine, C, 0x82, &body, &ears);
                let code = if qos == 3 { 135 } else { qos };
                pass(&mut machine, U, 0x90, &[high, low, 0, code], &ears);
                let was_there = model.contains_key(name);
                if code < 128 {
                    model.insert(name, code);
                }
                let is_new: Vec<bool> = ears.told.borrow().iter().filter_map(|detail| match detail {
                    Detail::ClientSubscribe(subscription) => Some(subscription.is_new),
                    _ => None,
                }).collect();
                prop_assert_eq!(is_new, [!was_there]);
                prop_assert_eq!(ears.hooks().len(), if code < 128 { 3 } else { 2 });
            }
            prop_assert_eq!(machine.memory().subscriptions(), model.len());
        }
    }
}

#[test]
fn a_header_is_what_the_framer_reads() {
    let mut bytes = Vec::new();
    header(&mut bytes, 0x30, 200);
    bytes.extend([0; 200]);
    let mut framer = Framer::new(200);
    let mut input = &bytes[..];
    assert!(matches!(framer.next(&mut input), Some(Piece::Packet(frame)) if frame.body.len() == 200));
}
