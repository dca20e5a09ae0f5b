//! Ends of connections and sessions: their reasons, their wills, and what a new connection of the client changes.

use super::*;

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
fn the_gateway_has_the_same_reasons_for_the_codes_with_which_it_ends_connections() {
    for (code, reason) in [
        (129, EndReason::ProtocolError),
        (131, EndReason::InternalError),
        (135, EndReason::NotAuthorized),
        (148, EndReason::ProtocolError),
        (150, EndReason::LimitExceeded),
        (151, EndReason::LimitExceeded),
        (155, EndReason::ProtocolError),
    ] {
        let recorder = Recorder::new();
        let mut client = open(5, &recorder);
        client.end(EndCause::Protocol(code), &recorder);
        assert_eq!(recorder.ends(), [(reason, Some(code)); 2]);
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
