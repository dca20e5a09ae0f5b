//! Sessions, client ids, wills.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_stay_and_go() {
    let host = host().await;
    for version in [4, 5] {
        let mut s = persistent(version, "s").join(host.address()).await;
        s.subscribe("t", 1).await;
        s.disconnect().await;
        host.sees("client.disconnected s Disconnect 0").await;
        let mut p = clean(version, "p").join(host.address()).await;
        p.publish("t", "later", 1, false).await;
        let (mut s, found) = persistent(version, "s").open(host.address()).await;
        assert!(found);
        assert_eq!(s.receive().await.payload, "later");
        s.disconnect().await;
        let again = if version == 5 {
            Connect {
                clean: true,
                ..persistent(5, "s")
            }
        } else {
            clean(4, "s")
        };
        let (mut s, found) = again.open(host.address()).await;
        assert!(!found);
        p.publish("t", "not any more", 1, false).await;
        s.subscribe("u", 0).await;
        p.publish("u", "now", 0, false).await;
        assert_eq!(s.receive().await.payload, "now");
        s.disconnect().await;
        clean(version, "s").join(host.address()).await.disconnect().await;
        host.sees("session.terminated s Disconnect 0").await;
        host.forget();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wills_and_retained_messages() {
    let host = host().await;
    for version in [4, 5] {
        let mut w = clean(version, "w").join(host.address()).await;
        w.subscribe("gone/#", 1).await;
        let connect = Connect {
            will: Some(("gone/ключ".into(), "c".into(), false)),
            ..clean(version, "c")
        };
        drop(connect.join(host.address()).await);
        assert_eq!(w.receive().await.topic, "gone/ключ");
        host.sees("message.publish c Will gone/ключ q1 \"c\"").await;
        let mut leaving = connect.join(host.address()).await;
        leaving.ping().await;
        leaving.disconnect().await;
        w.publish("kept", "kept", 1, true).await;
        let mut r = clean(version, "r").join(host.address()).await;
        r.subscribe("kept", 1).await;
        let received = r.receive().await;
        assert_eq!((received.payload.as_str(), received.retain), ("kept", true));
        r.disconnect().await;
        w.disconnect().await;
        host.sees("session.terminated w Disconnect 0").await;
        host.forget();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_chosen_for_those_who_have_none() {
    let host = host().await;
    for version in [4, 5] {
        let mut c = clean(version, "").join(host.address()).await;
        c.publish("t", "x", 0, false).await;
        c.disconnect().await;
    }
    let publishers = |events: &[Arc<Event>]| -> Vec<String> {
        events
            .iter()
            .filter_map(|event| match &event.detail {
                Detail::MessagePublish(message) => Some(message.publisher.id.to_string()),
                _ => None,
            })
            .collect()
    };
    let events = host.until(|events| publishers(events).len() == 2).await;
    let ids = publishers(&events);
    assert!(
        ids.iter().all(|id| id.starts_with("hookhost-")) && ids[0] != ids[1],
        "{ids:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_after_the_other_with_the_same_id() {
    let host = host().await;
    let mut by = clean(4, "by").join(host.address()).await;
    let mut old = clean(5, "c").join(host.address()).await;
    for round in 0..40 {
        let version = 4 + round % 2;
        let (mut new, _) = if round % 3 == 0 {
            persistent(version, "c").open(host.address()).await
        } else {
            clean(version, "c").open(host.address()).await
        };
        old.closed().await;
        new.ping().await;
        if round % 5 == 0 {
            new.disconnect().await;
            new = clean(version, "c").open(host.address()).await.0;
        }
        old = new;
    }
    by.ping().await;
    let mut connected = false;
    for event in host.events() {
        match &event.detail {
            Detail::ClientConnected(connack) if connack.connection.client.id == "c" => {
                assert!(!connected, "two connections at a time");
                connected = true;
            }
            Detail::ClientDisconnected(disconnection) => {
                assert_eq!(
                    disconnection.connection.client.id, "c",
                    "nobody else has lost its connection"
                );
                assert!(connected);
                connected = false;
            }
            _ => {}
        }
    }
}
