//! Records of sessions, and who emits the ends of connections.

use super::*;

fn record(id: &str, connected_at: i64) -> SessionRecord {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], connected_at as u16));
    let key = ClientKey::new(1, 1, None, Some(address), id.into(), None);
    SessionRecord::new(
        key.clone(),
        Arc::new(ConnectInfo::from(key)),
        None,
        connected_at,
        connected_at,
    )
}

#[test]
fn the_end_of_an_old_connection_does_not_touch_its_successor() {
    let sessions = Sessions::new();
    let (old, new) = (record("c", 1), record("c", 2));
    assert!(sessions.open(old.clone()).is_none());
    sessions.announce(&"c".into(), true);
    let replaced = sessions.open(new.clone()).expect("the old one");
    assert_eq!((replaced.key, replaced.presence), (old.key.clone(), Presence::Online));
    assert!(
        sessions.close(&old.key, Presence::Superseded).is_none(),
        "emitted when it was replaced"
    );
    assert!(sessions.end(&old.key).is_none());
    sessions.remove(&old.key);
    assert_eq!(sessions.all().len(), 1);
    assert!(sessions.end(&new.key).is_some());
}

#[test]
fn a_session_counts_until_its_end_is_emitted_and_ends_once() {
    let sessions = Sessions::new();
    let only = record("c", 1);
    sessions.open(only.clone());
    let (_, emitting) = sessions.end(&only.key).expect("the first time");
    assert!(sessions.end(&only.key).is_none());
    assert!(!sessions.is_empty(), "its event is not in the queues yet");
    emitting.done();
    sessions.remove(&only.key);
    assert!(sessions.is_empty());
}

#[tokio::test]
async fn a_successor_waits_for_the_end_that_the_old_connection_emits() {
    let sessions = Sessions::new();
    let (old, new) = (record("c", 1), record("c", 2));
    sessions.open(old.clone());
    let closing = sessions.close(&old.key, Presence::Superseded).expect("not emitted yet");
    let replaced = sessions.open(new).expect("the old one");
    let mut emitted = Box::pin(replaced.emitted());
    assert!(futures::poll!(&mut emitted).is_pending());
    closing.emitting.done();
    emitted.await;
}

#[test]
fn an_end_is_told_once_and_knows_the_successor() {
    let sessions = Sessions::new();
    let old = record("c", 1);
    sessions.open(old.clone());
    sessions.announce(&"c".into(), true);
    let closing = sessions.close(&old.key, Presence::Superseded).expect("the first time");
    assert!(closing.record.is_succeeded_clean());
    assert!(sessions.close(&old.key, Presence::Superseded).is_none());
}

#[test]
fn connects_without_session_leave_no_trace() {
    let sessions = Sessions::new();
    for n in 0..1000 {
        sessions.announce(&format!("c{n}").into(), true);
    }
    assert!(sessions.is_empty());
}
