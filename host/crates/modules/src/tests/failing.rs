//! Modules that fail on events, and what happens to these events.

use super::*;

#[test]
fn a_generation_that_fails_on_everything_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", counter());
    // The number of queues changes as well: the good generation empties the queues of the bad one.
    put(
        dir.path(),
        "a.toml",
        "[limits]\ninstances = 1\n[egress]\nallow = ['http://h/']",
    );
    let host = Host::start(settings(Some(dir.path()), json!({})));
    assert_eq!(host.answer("c", 0).generation, 1);
    let instances = |number: u32| format!("[limits]\ninstances = {number}\n[egress]\nallow = ['http://h/']");
    for (turn, instances) in [(0, instances(1)), (1, instances(3))] {
        put(dir.path(), "a.toml", &instances);
        put(dir.path(), "a.wasm", guest("", "unreachable"));
        host.rescan();
        let first = 1 + 20 * turn;
        (first..first + 20).for_each(|number| assert!(host.emit(&format!("c{}", number % 3), number)));
        until("the rollback", || host.state("a").unwrap().status == Status::RolledBack);
        assert!(
            host.problem("a")
                .contains("was rolled back: it failed on 5 events in a row"),
            "{}",
            host.problem("a")
        );
        until("all requests", || host.requests().len() as u32 == first + 20);
        assert_eq!(host.number("a"), Some(1));
        assert_eq!(host.state("a").unwrap().quarantined.events, 0);
        // The same files cause no action on their own. A request retries them, with the same result.
        put(dir.path(), "a.wasm", guest("", "unreachable"));
    }
    let bad = host.rescan();
    assert_eq!(bad.loaded.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["a"]);
    assert_eq!(host.state("a").unwrap().status, Status::Running);
    // A corrected module is a new generation.
    let mut mended = counter();
    mended.extend([0, 2, 1, b'v']);
    put(dir.path(), "a.wasm", mended);
    host.rescan();
    assert_eq!(host.state("a").unwrap().status, Status::Running);
    assert!(host.answer("c", 100).generation > 3);
    let requests = host.stop();
    let mut ids: Vec<_> = requests.iter().map(|request| request.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), requests.len(), "each event once");
}

#[test]
fn an_event_of_the_quarantine_is_handled_again() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", guest("", "unreachable"));
    let host = Host::start(settings(Some(dir.path()), json!({})));
    let handle = host.modules.handle();
    assert!(host.emit("c", 1) && host.emit("c", 2));
    until("two entries", || handle.quarantined(None, None, 10).len() == 2);
    let ids = handle.entries_of(Some("a"));
    assert_eq!((handle.entry(ids[0]).unwrap().event.id.0, ids.len()), (1, 2));
    // It fails again: rolled back under another number.
    assert_eq!(handle.replay(ids[0]).unwrap().1, 1);
    until("the event again", || handle.entries_of(Some("a")).len() == 2);
    assert!(handle.entry(ids[0]).is_none());
    put(dir.path(), "a.wasm", counter());
    put(dir.path(), "a.toml", "[egress]\nallow = ['http://h/']");
    host.rescan();
    for id in handle.entries_of(Some("a")) {
        assert_eq!(
            handle.replay(id).unwrap().1,
            handle.state("a").unwrap().generation.unwrap().number
        );
    }
    until("both requests", || host.requests().len() == 2);
    assert!(handle.quarantined(None, None, 10).is_empty());
    assert_eq!(handle.replay(99).unwrap_err(), ReplayError::Unknown(99));
    host.stop();
}

#[test]
fn what_cannot_be_replayed_stays() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a.wasm", guest("", "unreachable"));
    let host = Host::start(settings(Some(dir.path()), json!({})));
    let handle = host.modules.handle();
    assert!(host.emit("c", 1));
    until("an entry", || handle.quarantined(None, None, 10).len() == 1);
    let id = handle.entries_of(Some("a"))[0];
    // The module now subscribes to other topics, and then it is removed.
    put(dir.path(), "a.wasm", variant(1));
    put(dir.path(), "a.toml", rules_toml("http://h/").replace("t/#", "other"));
    host.rescan();
    let error = handle.replay(id).unwrap_err();
    assert!(matches!(error, ReplayError::NotWanted { .. }), "{error}");
    fs::remove_file(dir.path().join("a.wasm")).unwrap();
    host.rescan();
    assert_eq!(handle.replay(id).unwrap_err(), ReplayError::NoModule("a".into()));
    assert_eq!(handle.entry(id).unwrap().event.id.0, 1);
    assert!(handle.discard(id));
    assert!(handle.entry(id).is_none());
    host.stop();
}
