//! Scripts of clients with the events that they cause, for every engine.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::{Client, Connect, clean, persistent};
use crate::engine::{DEADLINE, Host, line};
use hookhost_event::{ByteString, Detail, EndReason, Event, Hook};

/// `c` comes with a new session, subscribes to `t/1` twice and unsubscribes.
pub async fn comes_and_subscribes(host: &Host, version: u8) -> Client {
    let mut c = clean(version, "c").join(host.address()).await;
    host.told(&[
        "client.connect c",
        "client.authenticated c 0 anonymous",
        "session.created c",
        "client.connack c 0 new",
        "client.connected c 0 new",
    ])
    .await;
    assert_eq!(c.subscribe("t/1", 1).await, 1);
    host.told(&[
        "client.authorized c Subscribe t/1 allowed",
        "client.subscribe c t/1 q1 1 new",
        "session.subscribed c t/1 q1 1 new",
    ])
    .await;
    c.subscribe("t/1", 2).await;
    host.told(&[
        "client.authorized c Subscribe t/1 allowed",
        "client.subscribe c t/1 q2 2 again",
        "session.subscribed c t/1 q2 2 again",
    ])
    .await;
    c.unsubscribe("t/1").await;
    host.told(&["client.unsubscribe c t/1 q2 0", "session.unsubscribed c t/1 q2 0"])
        .await;
    c
}

/// `c` pings and leaves.
pub async fn pings_and_leaves(host: &Host, mut c: Client) {
    c.ping().await;
    host.told(&["other c client.ping"]).await;
    c.disconnect().await;
    host.told(&[
        "client.disconnected c Disconnect 0",
        "session.terminated c Disconnect 0",
    ])
    .await;
}

/// Sessions of `c` that a clean start ends, and what the event says about their last connection: whether that had a clean
/// start, and whether it ended with DISCONNECT.
pub async fn sessions_are_discarded(host: &Host, version: u8) {
    let extras = |clean_start: &'static str, by_disconnect: &'static str| {
        let pairs = [("clean_start", clean_start), ("by_disconnect", by_disconnect)];
        pairs.map(|(name, value)| (ByteString::from(name), ByteString::from(value)))
    };
    for (leaves, by_disconnect) in [(Some(true), "true"), (Some(false), "false"), (None, "false")] {
        let c = persistent(version, "c").join(host.address()).await;
        host.sees("client.connected c 0 new").await;
        let mut online = None;
        match leaves {
            Some(true) => c.disconnect().await,
            Some(false) => drop(c),
            None => online = Some(c),
        }
        if online.is_none() {
            let ended = |event: &Arc<Event>| matches!(event.detail, Detail::ClientDisconnected(_));
            host.until(|events| events.iter().any(ended)).await;
        }
        let successor = clean(version, "c").join(host.address()).await;
        let event = host.sees("session.discarded c").await;
        assert_eq!(event.extras, extras("false", by_disconnect));
        successor.disconnect().await;
        let event = host.sees("session.terminated c Disconnect 0").await;
        assert_eq!(event.extras, extras("true", "true"));
        host.forget();
    }
}

/// `c` says nothing for longer than it may; the kinds of packets that it gets then.
pub async fn is_silent(host: &Host, version: u8) -> Vec<u8> {
    let connect = Connect {
        keep_alive: 1,
        ..clean(version, "c")
    };
    let kinds = connect.join(host.address()).await.closed().await;
    host.sees("client.disconnected c KeepAliveTimeout 141").await;
    host.sees("session.terminated c KeepAliveTimeout 141").await;
    kinds
}

/// An administrator asks for the clients, of which one is away, and disconnects `c`, which subscribes; what `c` gets.
pub async fn is_kicked(host: &Host, connect: Connect) -> Vec<u8> {
    let mut c = connect.join(host.address()).await;
    c.subscribe("t", 1).await;
    persistent(5, "away").join(host.address()).await.disconnect().await;
    host.sees("client.disconnected away Disconnect 0").await;
    let mut states = host.running.clients().await;
    states.sort_by_key(|state| state.connected);
    assert_eq!((states[0].client.id.as_ref(), states[0].connected), ("away", false));
    assert_eq!(
        (
            states[1].client.id.as_ref(),
            states[1].connected,
            states[1].subscriptions
        ),
        ("c", true, 1)
    );
    assert!(host.running.disconnect("c").await);
    host.sees("client.disconnected c Kicked 152").await;
    c.closed().await
}

/// An administrator ends the session of the client that is away.
pub async fn is_kicked_while_away(host: &Host) {
    assert!(host.running.disconnect("away").await);
    host.sees("session.terminated away Kicked 152").await;
    assert!(!host.running.disconnect("nobody").await);
}

/// The engine stops while these clients are there, another is away and one has said nothing; these lines, in the order of
/// their letters, are told. The kinds of packets that each client gets, and the client that has said nothing.
pub async fn stops(host: Host, clients: &[Connect], told: &[&str]) -> (Vec<Vec<u8>>, Client) {
    let address = host.address();
    let mut joined = Vec::new();
    for connect in clients {
        joined.push(connect.join(address).await);
    }
    let silent = Client::raw(address, 4).await;
    persistent(4, "away").join(address).await.disconnect().await;
    host.sees("client.disconnected away Disconnect 0").await;
    host.forget();
    let seen = Arc::clone(&host.seen);
    host.running.stop(DEADLINE).await;
    let mut kinds = Vec::new();
    for client in &mut joined {
        kinds.push(client.closed().await);
    }
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let mut lines = seen.lines(told.len()).await;
    lines.sort();
    assert_eq!(lines, told);
    (kinds, silent)
}

/// Twenty connections of one client, one after the other in any order: it has one at a time, and each ends once, for a
/// reason other than this one.
pub async fn takes_over_again_and_again(host: &Host, never: EndReason) {
    let address = host.address();
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        tasks.spawn(async move {
            let connect = if n % 2 == 0 { clean(4, "c") } else { persistent(5, "c") };
            let mut c = Client::raw(address, connect.version).await;
            c.write(&connect.bytes()).await;
            c.closed().await;
        });
    }
    // Each connection ends when the next one is accepted; the last one by hand.
    while !tasks.is_empty() {
        host.running.disconnect("c").await;
        if let Ok(Some(ended)) = timeout(Duration::from_millis(1), tasks.join_next()).await {
            ended.unwrap();
        }
    }
    let balanced = |events: &[Arc<Event>]| {
        let count = |hook| events.iter().filter(|event| event.detail.hook() == hook).count();
        count(Hook::ClientConnected) == count(Hook::ClientDisconnected)
    };
    let mut connected = false;
    for event in &host.until(balanced).await {
        match &event.detail {
            Detail::ClientConnected(_) => {
                assert!(!connected, "two connections at a time: {}", line(event));
                connected = true;
            }
            Detail::ClientDisconnected(disconnection) => {
                assert!(connected);
                connected = false;
                assert_ne!(disconnection.end.reason, never);
            }
            _ => {}
        }
    }
}
