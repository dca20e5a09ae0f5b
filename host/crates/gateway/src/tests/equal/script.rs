//! What clients do, in any version and before either engine.

use super::*;

/// A client with a clean session leaves, and that is told.
async fn leave(host: &Host, client: Client, id: &str) {
    client.disconnect().await;
    host.sees(&format!("session.terminated {id} Disconnect 0")).await;
}

pub(super) async fn subscriptions(host: &Host, version: u8) {
    let mut c = clean(version, "c").join(host.address()).await;
    c.subscribe("t/1", 1).await;
    c.subscribe("t/1", 2).await;
    c.subscribe("a/+/#", 0).await;
    c.unsubscribe("t/1").await;
    c.ping().await;
    c.disconnect().await;
    host.sees("session.terminated c Disconnect 0").await;
}

pub(super) async fn a_user_name(host: &Host, version: u8) {
    let connect = Connect {
        username: Some("ü".into()),
        keep_alive: 33,
        ..clean(version, "c")
    };
    let mut c = connect.join(host.address()).await;
    c.publish("t", "x", 1, false).await;
    c.disconnect().await;
    host.sees("session.terminated c Disconnect 0").await;
}

pub(super) async fn publishes_of_each_qos(host: &Host, version: u8) {
    let mut s = clean(version, "s").join(host.address()).await;
    s.subscribe("t/#", 2).await;
    let mut p = clean(version, "p").join(host.address()).await;
    for qos in [0, 1, 2] {
        p.publish("t/1", "hello", qos, false).await;
        s.receive().await;
        s.ping().await;
    }
    host.sees("message.acked s t/1 q2 \"hello\"").await;
    p.disconnect().await;
    host.sees("session.terminated p Disconnect 0").await;
    leave(host, s, "s").await;
}

pub(super) async fn publishes_to_nobody(host: &Host, version: u8) {
    let mut p = clean(version, "p").join(host.address()).await;
    for (qos, payload) in [(0, "x"), (1, "y"), (2, "")] {
        p.publish("t", payload, qos, false).await;
    }
    p.disconnect().await;
    host.sees("session.terminated p Disconnect 0").await;
}

pub(super) async fn a_session_that_is_away(host: &Host, version: u8) {
    let mut s = persistent(version, "s").join(host.address()).await;
    s.subscribe("t", 1).await;
    s.disconnect().await;
    host.sees("client.disconnected s Disconnect 0").await;
    let mut p = clean(version, "p").join(host.address()).await;
    p.publish("t", "x", 1, false).await;
    let (mut s, found) = persistent(version, "s").open(host.address()).await;
    assert!(found);
    s.receive().await;
    s.subscribe("t", 1).await;
    s.disconnect().await;
    let disconnected = |events: &[Arc<Event>]| {
        let lines = lines_of(events, "s");
        lines
            .iter()
            .filter(|line| line.starts_with("client.disconnected"))
            .count()
            == 2
    };
    host.until(disconnected).await;
    leave(host, p, "p").await;
}

pub(super) async fn a_delivery_that_is_repeated(host: &Host, version: u8) {
    let mut s = persistent(version, "s").join(host.address()).await;
    s.subscribe("t", 1).await;
    let mut p = clean(version, "p").join(host.address()).await;
    p.publish("t", "x", 1, false).await;
    s.message().await;
    drop(s);
    host.sees("client.disconnected s Closed").await;
    let (mut s, _) = persistent(version, "s").open(host.address()).await;
    assert!(s.receive().await.dup);
    host.sees("message.acked s t q1 dup \"x\"").await;
    s.disconnect().await;
    host.sees("client.disconnected s Disconnect 0").await;
    leave(host, p, "p").await;
}

pub(super) async fn a_will(host: &Host, version: u8) {
    let connect = Connect {
        will: Some(("gone".into(), "c".into(), false)),
        ..clean(version, "c")
    };
    drop(connect.join(host.address()).await);
    host.sees("session.terminated c Closed").await;
}

pub(super) async fn a_will_that_is_not_published(host: &Host, version: u8) {
    let connect = Connect {
        will: Some(("gone".into(), "c".into(), true)),
        ..clean(version, "c")
    };
    connect.join(host.address()).await.disconnect().await;
    host.sees("session.terminated c Disconnect 0").await;
}

pub(super) async fn a_clean_successor(host: &Host, version: u8) {
    let mut old = clean(version, "c").join(host.address()).await;
    let new = clean(version, "c").join(host.address()).await;
    old.closed().await;
    new.disconnect().await;
    host.sees("session.terminated c Disconnect 0").await;
}

pub(super) async fn a_successor_with_the_same_session(host: &Host, version: u8) {
    let mut old = persistent(version, "c").join(host.address()).await;
    let (new, found) = persistent(version, "c").open(host.address()).await;
    assert!(found);
    old.closed().await;
    new.disconnect().await;
    host.sees("client.disconnected c Disconnect 0").await;
}

pub(super) async fn a_session_thrown_away(host: &Host, version: u8) {
    persistent(version, "c").join(host.address()).await.disconnect().await;
    host.sees("client.disconnected c Disconnect 0").await;
    clean(version, "c").join(host.address()).await.disconnect().await;
    host.sees("session.terminated c Disconnect 0").await;
}

pub(super) async fn retained_messages(host: &Host, version: u8) {
    let mut p = clean(version, "p").join(host.address()).await;
    p.publish("t/0", "old", 1, true).await;
    let mut w = clean(version, "w").join(host.address()).await;
    w.subscribe("t/+", 1).await;
    // RMQTT looks for retained messages after SUBACK, beside everything else. It has done so once this one is here;
    // before, it may find the next one too.
    assert!(w.receive().await.retain);
    host.sees("message.acked w t/0 q1 retain retained \"old\"").await;
    p.publish("t/1", "kept", 1, true).await;
    assert!(!w.receive().await.retain);
    host.sees("message.acked w t/1 q1 \"kept\"").await;
    let mut s = clean(version, "s").join(host.address()).await;
    s.subscribe("t/1", 1).await;
    assert!(s.receive().await.retain);
    host.sees("message.acked s t/1 q1 retain retained \"kept\"").await;
    leave(host, p, "p").await;
    leave(host, w, "w").await;
    leave(host, s, "s").await;
}

pub(super) async fn a_shared_subscription(host: &Host, version: u8) {
    let mut s = clean(version, "s").join(host.address()).await;
    s.subscribe("$share/g/t/+", 1).await;
    let mut p = clean(version, "p").join(host.address()).await;
    p.publish("t/1", "x", 1, false).await;
    s.receive().await;
    host.sees("message.acked s t/1 q1 \"x\"").await;
    s.unsubscribe("$share/g/t/+").await;
    s.disconnect().await;
    host.sees("session.terminated s Disconnect 0").await;
    leave(host, p, "p").await;
}

pub(super) async fn a_repeated_publish(host: &Host, version: u8) {
    let mut c = clean(version, "c").join(host.address()).await;
    let publish = c.publish_bytes("t", b"x", 2, false, [0, 7]);
    c.write(&publish).await;
    assert_eq!(c.read().await.0, 0x50);
    let again = [&[publish[0] | 8], &publish[1..]].concat();
    c.write(&again).await;
    assert_eq!(c.read().await.0, 0x50);
    c.write(&packet(0x62, &[0, 7])).await;
    assert_eq!(c.read().await.0, 0x70);
    c.disconnect().await;
    host.sees("session.terminated c Disconnect 0").await;
}

pub(super) async fn properties(host: &Host, version: u8) {
    if version < 5 {
        return;
    }
    let mut connect = vec![0x11, 0, 0, 0, 90, 0x21, 0, 30, 0x19, 1, 0x26];
    connect.extend(text("k"));
    connect.extend(text("v"));
    let connect = Connect {
        properties: connect,
        ..clean(5, "s")
    };
    let mut s = connect.join(host.address()).await;
    s.subscribe_with("t", 1 | 0x04 | 0x20, &[2, 0x0b, 7]).await;
    let mut p = clean(5, "p").join(host.address()).await;
    let mut properties = vec![0x01, 1, 0x03];
    properties.extend(text("text/plain"));
    properties.push(0x08);
    properties.extend(text("answer/here"));
    properties.push(0x09);
    properties.extend(text("\u{1}\u{2}"));
    properties.push(0x26);
    properties.extend(text("k"));
    properties.extend(text("v"));
    let mut body = text("t");
    body.extend([0, 9, properties.len() as u8]);
    body.extend(properties);
    body.extend(b"x");
    p.write(&packet(0x32, &body)).await;
    s.receive().await;
    host.sees("message.acked s t q1 \"x\"").await;
    leave(host, p, "p").await;
    s.disconnect().await;
    host.sees("client.disconnected s Disconnect 0").await;
}

pub(super) async fn aliases(host: &Host, version: u8) {
    if version < 5 {
        return;
    }
    let mut s = Connect {
        properties: vec![0x22, 0, 5],
        ..clean(5, "s")
    }
    .join(host.address())
    .await;
    s.subscribe("a/+", 0).await;
    let mut p = clean(5, "p").join(host.address()).await;
    let publish = |topic: &str, alias: u8, payload: &[u8]| {
        let body = [text(topic), vec![3, 0x23, 0, alias], payload.to_vec()].concat();
        packet(0x30, &body)
    };
    for (topic, alias, payload) in [("a/1", 1, "one"), ("", 1, "two"), ("a/2", 1, "three"), ("", 1, "four")] {
        p.write(&publish(topic, alias, payload.as_bytes())).await;
        s.read().await;
    }
    p.disconnect().await;
    host.sees("session.terminated p Disconnect 0").await;
    s.disconnect().await;
    host.sees("session.terminated s Disconnect 0").await;
}

pub(super) async fn an_assigned_client_id(host: &Host, version: u8) {
    if version < 5 {
        return;
    }
    let mut c = clean(version, "").join(host.address()).await;
    c.publish("t", "x", 0, false).await;
    c.disconnect().await;
    host.until(|events| {
        events
            .iter()
            .any(|event| event.detail.hook() == Hook::SessionTerminated)
    })
    .await;
}

pub(super) async fn silence(host: &Host, version: u8) {
    let connect = Connect {
        keep_alive: 1,
        ..clean(version, "c")
    };
    connect.join(host.address()).await.closed().await;
    host.sees("session.terminated c KeepAliveTimeout 141").await;
}

pub(super) async fn a_reason_for_leaving(host: &Host, version: u8) {
    if version < 5 {
        return;
    }
    // Without a will: RMQTT does not publish it, and the gateway tells what the standard says.
    let mut c = clean(version, "c").join(host.address()).await;
    let mut body = vec![4, 6, 0x1f];
    body.extend(text("bye"));
    c.write(&packet(0xe0, &body)).await;
    drop(c);
    host.sees("session.terminated c Disconnect 4").await;
}

pub(super) async fn two_receivers(host: &Host, version: u8) {
    let mut a = clean(version, "a").join(host.address()).await;
    let mut b = clean(version, "b").join(host.address()).await;
    a.subscribe("t/+", 0).await;
    b.subscribe("t/1", 2).await;
    let mut p = clean(version, "p").join(host.address()).await;
    for payload in ["same", "same", "other"] {
        p.publish("t/1", payload, 1, false).await;
        a.receive().await;
        b.receive().await;
        // A confirmation may be dealt with after the next message; a ping comes after it.
        b.ping().await;
    }
    host.sees("message.acked b t/1 q1 \"other\"").await;
    leave(host, p, "p").await;
    leave(host, a, "a").await;
    leave(host, b, "b").await;
}
