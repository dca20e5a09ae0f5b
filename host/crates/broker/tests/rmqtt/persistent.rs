//! Sessions that outlive their connection, and the process if there is a data folder.

use super::client::{Client, Connect, Received, clean, packet, persistent};
use super::*;

/// Payload, DUP flag and packet id.
fn briefly(received: &Received) -> (&str, bool, u16) {
    (&received.payload, received.dup, received.id)
}

async fn publish_all(host: &Host, qos: u8, payloads: impl IntoIterator<Item = usize>) {
    let mut publisher = clean(4, "p").join(host.address()).await;
    for payload in payloads {
        publisher.publish("t", &payload.to_string(), qos, false).await;
    }
    publisher.disconnect().await;
}

/// The next messages; acknowledges them, and completes those with QoS 2.
async fn receive(client: &mut Client, count: usize) -> Vec<Received> {
    let mut messages: Vec<Received> = Vec::new();
    let mut incomplete = 0;
    while messages.len() < count || incomplete > 0 {
        let (first, body) = client.read().await;
        if first == 0x62 {
            client.write(&packet(0x70, &body)).await;
            incomplete -= 1;
            continue;
        }
        let message = client.decode(first, &body);
        let answer = if message.qos == 2 { 0x50 } else { 0x40 };
        client.write(&packet(answer, &message.id.to_be_bytes())).await;
        incomplete += usize::from(message.qos == 2);
        messages.push(message);
    }
    messages
}

async fn receive_all(client: &mut Client, count: usize) -> Vec<String> {
    let messages = receive(client, count).await;
    messages.into_iter().map(|message| message.payload).collect()
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// RMQTT itself would send what is unacknowledged in reverse order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unacknowledged_messages_come_again_in_order_before_later_ones() {
    for (version, qos) in [(4, 1), (5, 1), (4, 2), (5, 2)] {
        let host = Host::start(Limits::default()).await;
        let mut s = persistent(version, "s").join(host.address()).await;
        s.subscribe("t", qos).await;
        publish_all(&host, qos, 0..5).await;
        let mut first = Vec::new();
        for _ in 0..5 {
            first.push(s.message().await);
        }
        assert!(first.iter().all(|received| !received.dup));
        drop(s);
        host.sees("client.disconnected s Closed").await;
        publish_all(&host, qos, 5..8).await;
        let (mut s, found) = persistent(version, "s").open(host.address()).await;
        assert!(found);
        let again = receive(&mut s, 8).await;
        for (before, after) in first.iter().zip(&again) {
            assert_eq!(briefly(after), (&*before.payload, true, before.id));
        }
        for (number, received) in (5..8).zip(&again[5..]) {
            assert_eq!((&received.payload, received.dup), (&number.to_string(), false));
        }
        s.ping().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_survives_a_restart_with_its_subscriptions_and_messages() {
    let sessions = [
        ("v3", persistent(4, "v3")),
        ("v5", persistent(5, "v5")),
        // Of MQTT 5, also a session that began clean.
        (
            "clean",
            Connect {
                clean: true,
                ..persistent(5, "clean")
            },
        ),
    ];
    for qos in [1, 2] {
        let data = tempfile::tempdir().unwrap();
        let host = Host::start_in(data.path(), Limits::default()).await;
        for (id, connect) in &sessions {
            let mut s = connect.join(host.address()).await;
            s.subscribe("t", qos).await;
            s.subscribe("gone", qos).await;
            s.unsubscribe("gone").await;
            s.disconnect().await;
            host.sees(&format!("client.disconnected {id} Disconnect 0")).await;
        }
        publish_all(&host, qos, 0..3).await;
        host.running.stop(DEADLINE).await;
        let host = Host::start_in(data.path(), Limits::default()).await;
        // Before the clients are back.
        publish_all(&host, qos, 3..5).await;
        let mut p = clean(4, "p").join(host.address()).await;
        p.publish("gone", "x", 1, false).await;
        for (at, (id, connect)) in sessions.iter().enumerate() {
            let again = Connect {
                clean: false,
                ..connect.clone()
            };
            let (mut s, found) = again.open(host.address()).await;
            assert!(found, "{id}");
            host.sees(&format!("session.resumed {id}")).await;
            assert_eq!(receive_all(&mut s, 5 + at).await[..5], numbers(0..5));
            p.publish("t", "live", qos, false).await;
            assert_eq!(receive_all(&mut s, 1).await, ["live"]);
            s.unsubscribe("t").await;
            s.disconnect().await;
        }
        host.running.stop(DEADLINE).await;
        let host = Host::start_in(data.path(), Limits::default()).await;
        let (mut s, found) = persistent(4, "v3").open(host.address()).await;
        assert!(found);
        s.ping().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exchange_of_a_qos_2_message_goes_on_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start_in(data.path(), Limits::default()).await;
    let mut s = persistent(4, "s").join(host.address()).await;
    s.subscribe("t", 2).await;
    publish_all(&host, 2, 0..3).await;
    let (done, received, sent) = (s.message().await, s.message().await, s.message().await);
    s.write(&packet(0x50, &done.id.to_be_bytes())).await;
    assert_eq!(s.read().await.0, 0x62);
    s.write(&packet(0x70, &done.id.to_be_bytes())).await;
    s.write(&packet(0x50, &received.id.to_be_bytes())).await;
    assert_eq!(s.read().await.0, 0x62);
    drop(s);
    host.sees("client.disconnected s Closed").await;
    host.running.stop(DEADLINE).await;
    let host = Host::start_in(data.path(), Limits::default()).await;
    let (mut s, _) = persistent(4, "s").open(host.address()).await;
    // PUBREL for the one, PUBLISH for the other, in whichever order.
    for _ in 0..2 {
        match s.read().await {
            (0x62, id) => {
                assert_eq!(id, received.id.to_be_bytes());
                s.write(&packet(0x70, &id)).await;
            }
            (first, body) => {
                assert_eq!(first, 0x3c, "QoS 2 and DUP");
                assert_eq!(body[3..5], sent.id.to_be_bytes());
            }
        }
    }
    s.write(&packet(0x50, &sent.id.to_be_bytes())).await;
    assert_eq!(s.read().await, (0x62, sent.id.to_be_bytes().to_vec()));
    s.write(&packet(0x70, &sent.id.to_be_bytes())).await;
    s.ping().await;
    assert_ne!(done.id, sent.id);
}

/// RMQTT itself would deliver it twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_qos_2_publish_repeated_after_a_reconnect_is_delivered_once() {
    for restarts in [false, true] {
        let data = tempfile::tempdir().unwrap();
        let mut host = Host::start_in(data.path(), Limits::default()).await;
        let mut s = persistent(4, "s").join(host.address()).await;
        s.subscribe("t", 2).await;
        let mut p = persistent(5, "p").join(host.address()).await;
        let publish = p.publish_bytes("t", b"once", 2, false, [0, 9]);
        p.write(&publish).await;
        assert_eq!(p.read().await.0, 0x50);
        drop(p);
        host.sees("client.disconnected p Closed").await;
        if restarts {
            drop(s);
            host.running.stop(DEADLINE).await;
            host = Host::start_in(data.path(), Limits::default()).await;
            s = persistent(4, "s").open(host.address()).await.0;
        }
        let (mut p, found) = persistent(5, "p").open(host.address()).await;
        assert!(found);
        let mut again = publish.clone();
        again[0] |= 8;
        for _ in 0..2 {
            p.write(&again).await;
            assert_eq!(p.read().await.0, 0x50);
        }
        p.write(&packet(0x62, &[0, 9])).await;
        assert_eq!(p.read().await.0, 0x70);
        p.publish("t", "next", 2, false).await;
        assert_eq!(receive_all(&mut s, 2).await, ["once", "next"]);
        let refused = |event: &Arc<Event>| event.detail.hook() == Hook::MessageRefused;
        assert!(!host.events().iter().any(refused));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_expires_while_the_host_is_down_is_terminated_at_the_start() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start_in(data.path(), Limits::default()).await;
    // Seconds, long enough that the host stops before.
    let connect = Connect {
        properties: vec![0x11, 0, 0, 0, 3],
        ..persistent(5, "short")
    };
    let mut s = connect.join(host.address()).await;
    s.subscribe("t", 1).await;
    persistent(5, "long").join(host.address()).await.ping().await;
    host.running.stop(DEADLINE).await;
    let terminated = |event: &Arc<Event>| event.detail.hook() == Hook::SessionTerminated;
    let events = host.seen.until(|_| true).await;
    assert!(!events.iter().any(terminated), "they survive the stop");
    let host = Host::start_in(data.path(), Limits::default()).await;
    host.sees("session.terminated short Expired").await;
    let (mut s, found) = persistent(5, "short").open(host.address()).await;
    assert!(!found);
    s.ping().await;
    assert!(persistent(5, "long").open(host.address()).await.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_will_is_published_after_a_restart_unless_its_client_is_back() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start_in(data.path(), Limits::default()).await;
    let mut s = persistent(4, "s").join(host.address()).await;
    s.subscribe("will/#", 1).await;
    let connect = |id: &str, delay| Connect {
        will: Some((format!("will/{id}"), id.to_owned(), false)),
        will_properties: vec![0x18, 0, 0, 0, delay],
        ..persistent(5, id)
    };
    let gone = connect("gone", 2).join(host.address()).await;
    let back = connect("back", 60).join(host.address()).await;
    drop((gone, back));
    for id in ["gone", "back"] {
        host.sees(&format!("client.disconnected {id} Closed")).await;
    }
    host.running.stop(DEADLINE).await;
    let host = Host::start_in(data.path(), Limits::default()).await;
    let (mut back, found) = persistent(5, "back").open(host.address()).await;
    assert!(found);
    back.ping().await;
    let (mut s, _) = persistent(4, "s").open(host.address()).await;
    assert_eq!(s.receive().await.payload, "gone");
    s.ping().await;
    host.running.stop(DEADLINE).await;
    let host = Host::start_in(data.path(), Limits::default()).await;
    let (mut s, _) = persistent(4, "s").open(host.address()).await;
    s.ping().await;
    drop(host);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_start_and_an_administrator_end_a_stored_session() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start_in(data.path(), Limits::default()).await;
    for id in ["clean", "kicked", "away"] {
        let mut s = persistent(4, id).join(host.address()).await;
        s.subscribe("t", 1).await;
        if id == "away" {
            s.disconnect().await;
            host.sees("client.disconnected away Disconnect 0").await;
        }
    }
    publish_all(&host, 1, 0..2).await;
    clean(4, "clean").join(host.address()).await.ping().await;
    assert!(host.running.disconnect("kicked").await);
    assert!(host.running.disconnect("away").await);
    host.running.stop(DEADLINE).await;
    let host = Host::start_in(data.path(), Limits::default()).await;
    for id in ["clean", "kicked", "away"] {
        assert!(!persistent(4, id).open(host.address()).await.1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_oldest_messages_give_way_when_a_queue_is_full() {
    let limits = Limits {
        max_mqueue_len: 3,
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    let mut s = persistent(4, "s").join(host.address()).await;
    s.subscribe("t", 1).await;
    s.disconnect().await;
    host.sees("client.disconnected s Disconnect 0").await;
    publish_all(&host, 1, 0..5).await;
    for number in 0..2 {
        host.sees(&format!("delivery.dropped s t q1 \"{number}\" QueueFull 151"))
            .await;
    }
    let (mut s, _) = persistent(4, "s").open(host.address()).await;
    assert_eq!(receive_all(&mut s, 3).await, numbers(2..5));
    s.ping().await;
    let state = host.running.state().await;
    let dropped = state
        .counters
        .iter()
        .find(|(name, _)| *name == "sessions.dropped_messages");
    assert_eq!(dropped, Some(&("sessions.dropped_messages", 2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retained_messages_survive_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let host = Host::start_in(data.path(), Limits::default()).await;
    let mut p = clean(5, "p").join(host.address()).await;
    for (topic, payload) in [
        ("r/1", "old"),
        ("r/1", "new"),
        ("r/2", "x"),
        ("r/3", "gone"),
        ("r/3", ""),
    ] {
        p.publish(topic, payload, 1, true).await;
    }
    host.running.stop(DEADLINE).await;
    let host = Host::start_in(data.path(), Limits::default()).await;
    let mut s = clean(4, "s").join(host.address()).await;
    s.subscribe("r/#", 1).await;
    let mut found: Vec<_> = receive(&mut s, 2)
        .await
        .into_iter()
        .map(|m| (m.topic, m.payload, m.retain))
        .collect();
    found.sort();
    let expected = [("r/1", "new", true), ("r/2", "x", true)].map(|(t, p, r)| (t.to_owned(), p.to_owned(), r));
    assert_eq!(found, expected);
    s.ping().await;
    let counters = host.running.state().await.counters;
    assert!(counters.contains(&("retained.messages", 2)), "{counters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_host_is_refused_on_the_same_folder() {
    let data = tempfile::tempdir().unwrap();
    let _host = Host::start_in(data.path(), Limits::default()).await;
    let settings = BrokerSettings {
        data: Some(data.path().to_owned()),
        ..settings(Limits::default())
    };
    let refused = start(&settings, None).await.err().unwrap();
    assert!(refused.to_string().contains("in use by another hookhost"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_beyond_a_limit_are_refused_with_the_code_for_it() {
    let limits = Limits {
        max_subscriptions: 2,
        max_total_subscriptions: 3,
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    let mut first = clean(5, "first").join(host.address()).await;
    for (filter, code) in [("a", 1), ("b", 1), ("c", 151), ("a", 1)] {
        assert_eq!(first.subscribe(filter, 1).await, code, "{filter}");
    }
    host.sees("client.subscribe first c q1 151 new").await;
    let mut second = clean(4, "second").join(host.address()).await;
    for (filter, code) in [("a", 1), ("b", 128)] {
        assert_eq!(second.subscribe(filter, 1).await, code, "{filter}");
    }
    first.unsubscribe("b").await;
    assert_eq!(second.subscribe("b", 1).await, 1);
    let counters = host.running.state().await.counters;
    assert!(counters.contains(&("subscriptions.refused", 2)), "{counters:?}");
}
