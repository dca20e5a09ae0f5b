//! Two connections of one client, in every order.

use super::*;
use hookhost_event::{Client, EndReason, Transport};

fn entry(id: &str, number: u64, session_expiry: u32) -> SessionEntry {
    let connection = Connection {
        client: Client {
            id: id.into(),
            ..Client::default()
        },
        listener: ByteString::new(),
        transport: Transport::Tcp,
        local: None,
        protocol_name: "MQTT".into(),
        bridge: false,
        keep_alive: 0,
        clean_start: false,
        session_expiry,
        receive_maximum: 1,
        mountpoint: None,
        certificate: None,
        properties: None,
    };
    SessionEntry::new(
        number,
        Arc::new(connection),
        Arc::default(),
        Arc::new(Mutex::new(SessionState::new(None))),
    )
}

fn end() -> End {
    End {
        reason: EndReason::Other,
        code: None,
        text: None,
        properties: None,
    }
}

const NOW: Millis = Millis(1_000_000);

fn open(sessions: &Sessions, entry: SessionEntry) -> Option<SessionEntry> {
    sessions.open(entry).0
}

#[test]
fn an_end_is_told_once_by_the_right_one() {
    let sessions = Sessions::new(false);
    let id = ByteString::from("c");
    assert!(open(&sessions, entry("c", 1, 0)).is_none());
    sessions.announce(&id, 2);
    assert!(
        sessions.close(&id, 1, Some(&end()), 0, NOW).is_none(),
        "the successor tells it"
    );
    let old = open(&sessions, entry("c", 2, 0)).expect("the old one");
    assert_eq!(old.presence, Presence::EndPending(end()));
    assert!(sessions.close(&id, 1, None, 0, NOW).is_none());
    assert!(sessions.close(&id, 2, Some(&end()), 0, NOW).is_some());
    assert!(sessions.all().is_empty());
}

#[test]
fn an_end_left_to_a_successor_that_fails_is_not_lost() {
    let sessions = Sessions::new(false);
    let id = ByteString::from("c");
    open(&sessions, entry("c", 1, 60));
    sessions.announce(&id, 2);
    sessions.announce(&id, 3);
    assert!(sessions.close(&id, 1, Some(&end()), 60, NOW).is_none());
    assert!(sessions.retract(&id, 2, NOW).is_none(), "there is another one");
    assert_eq!(
        sessions.retract(&id, 3, NOW).expect("the old one").0.presence,
        Presence::EndPending(end())
    );
    assert_eq!(sessions.of("c").expect("a session").presence, Presence::Away(NOW));
}

#[test]
fn a_client_that_leaves_by_itself_says_so_itself() {
    let sessions = Sessions::new(false);
    let id = ByteString::from("c");
    open(&sessions, entry("c", 1, 60));
    sessions.announce(&id, 2);
    assert!(sessions.close(&id, 1, None, 60, NOW).is_some());
    assert!(sessions.retract(&id, 2, NOW).is_none());
    assert!(matches!(
        open(&sessions, entry("c", 3, 60)).unwrap().presence,
        Presence::Away(_)
    ));
}

#[test]
fn sessions_end_with_their_time() {
    let sessions = Sessions::new(false);
    for (number, (id, expiry)) in [("a", 1), ("b", 60), ("c", u32::MAX)].into_iter().enumerate() {
        let number = number as u64 + 1;
        open(&sessions, entry(id, number, expiry));
        assert!(sessions.close(&id.into(), number, None, expiry, NOW).is_some());
    }
    assert!(sessions.expire(Millis(NOW.0 + 999)).is_empty());
    let expired = |after| sessions.expire(Millis(NOW.0 + after)).len();
    assert_eq!(
        (expired(1_000), expired(1_000), expired(60_000), expired(u64::MAX / 2)),
        (1, 0, 1, 0)
    );
}

#[test]
fn clients_that_are_away_are_bounded_in_number() {
    const MOST: usize = 20;
    let sessions = Sessions {
        max_away: MOST,
        ..Sessions::new(false)
    };
    let count = (SHARDS * MOST * 3) as u64;
    for number in 0..count {
        let id = ByteString::from(number.to_string());
        open(&sessions, entry(&id, number, u32::MAX));
        sessions.close(&id, number, None, u32::MAX, Millis(number));
    }
    let left = sessions.all().len();
    assert!(left <= SHARDS * MOST && left > SHARDS * MOST * 3 / 4, "{left}");
}

#[test]
fn clients_without_an_id_are_kept_apart() {
    let sessions = Sessions::new(false);
    assert!(open(&sessions, entry("", 1, 0)).is_none());
    assert!(open(&sessions, entry("", 2, 0)).is_none());
    assert_eq!(sessions.all().len(), 2);
    assert!(sessions.of_connection(2).is_some());
}
