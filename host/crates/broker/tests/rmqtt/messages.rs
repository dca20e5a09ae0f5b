//! Publishes and deliveries.

use super::client::{clean, packet, persistent, text};
use super::*;
use hookhost_broker::{HostMessage, PublishError};
use hookhost_event::{Origin, Properties, Property};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishes_of_each_qos() {
    for (publisher, subscriber) in [(4, 4), (5, 5), (4, 5), (5, 4)] {
        let host = Host::start(Limits::default()).await;
        let mut s = clean(subscriber, "s").join(host.address()).await;
        s.subscribe("t/#", 2).await;
        let mut p = clean(publisher, "p").join(host.address()).await;
        host.lines(13).await;
        host.forget();
        for qos in [0, 1, 2] {
            p.publish("t/1", "hello", qos, false).await;
            assert_eq!(s.receive().await.qos, qos);
            let publish = format!("message.publish p Client t/1 q{qos} \"hello\"");
            let delivered = format!("message.delivered s t/1 q{qos} \"hello\"");
            let acked = format!("message.acked s t/1 q{qos} \"hello\"");
            let mut expected = vec!["client.authorized p Publish t/1 allowed", &publish, &delivered];
            if qos > 0 {
                expected.push(&acked);
            }
            let events = host.until(|events| events.len() >= expected.len()).await;
            let ids = ids(&events);
            assert!(ids.iter().all(|(_, id)| *id == ids[0].1), "{ids:?}");
            let Detail::MessagePublish(message) = &events[1].detail else {
                panic!("{:?}", events[1])
            };
            assert_eq!(message.packet_id.is_some(), qos > 0);
            assert_eq!(message.publisher.protocol_version, publisher);
            let Detail::MessageDelivered(delivery) = &events[2].detail else {
                panic!("{:?}", events[2])
            };
            assert_eq!(delivery.packet_id.is_some(), qos > 0);
            assert_eq!(
                (
                    delivery.receiver.protocol_version,
                    delivery.message.publisher.protocol_version
                ),
                (subscriber, publisher)
            );
            assert_eq!(delivery.message.received_at, message.received_at);
            host.told(&expected).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_remembers_the_publish() {
    let host = Host::start(Limits::default()).await;
    let mut s = clean(4, "s").join(host.address()).await;
    s.subscribe("t", 0).await;
    let mut p = clean(4, "p").join(host.address()).await;
    p.publish("t", "", 2, true).await;
    assert_eq!(s.receive().await.payload, "");
    let event = host.sees("message.delivered s t q0 \"\"").await;
    let Detail::MessageDelivered(delivery) = &event.detail else {
        panic!("{event:?}")
    };
    assert_eq!((delivery.message.qos, delivery.message.retain), (2, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_messages_have_ids_of_their_own() {
    let host = Host::start(Limits::default()).await;
    let mut s = clean(4, "s").join(host.address()).await;
    s.subscribe("t", 1).await;
    let mut p = clean(4, "p").join(host.address()).await;
    let one = p.publish_bytes("t", b"", 0, false, [0, 0]);
    p.write(&one.repeat(200)).await;
    for _ in 0..200 {
        s.receive().await;
    }
    let delivered = |events: &[Arc<Event>]| ids(events).iter().filter(|(h, _)| *h == Hook::MessageDelivered).count();
    let events = host.until(|events| delivered(events) == 200).await;
    for hook in [Hook::MessagePublish, Hook::MessageDelivered] {
        let ids: std::collections::HashSet<_> = ids(&events)
            .into_iter()
            .filter(|(h, _)| *h == hook)
            .map(|(_, id)| id)
            .collect();
        assert_eq!(ids.len(), 200, "{hook:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_subscribes() {
    for version in [4, 5] {
        let host = Host::start(Limits::default()).await;
        let mut p = clean(version, "p").join(host.address()).await;
        host.lines(5).await;
        host.forget();
        for qos in [0, 1, 2] {
            p.publish("t", "x", qos, false).await;
            host.told(&[
                "client.authorized p Publish t allowed",
                &format!("message.publish p Client t q{qos} \"x\""),
                &format!("message.dropped p Client t q{qos} \"x\" NoSubscribers 16"),
            ])
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_drop_is_wanted() {
    let host = Host::interested(Limits::default(), &[Hook::MessageDropped]).await;
    let mut s = clean(4, "s").join(host.address()).await;
    s.subscribe("yes", 0).await;
    let mut p = clean(4, "p").join(host.address()).await;
    for (topic, payload) in [("no", "1"), ("yes", "2"), ("no", "3")] {
        p.publish(topic, payload, 1, false).await;
    }
    host.told(&[
        "message.dropped p Client no q1 \"1\" NoSubscribers 16",
        "message.dropped p Client no q1 \"3\" NoSubscribers 16",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_wait_for_a_session_that_is_away() {
    for version in [4, 5] {
        let host = Host::start(Limits::default()).await;
        let mut s = persistent(version, "s").join(host.address()).await;
        s.subscribe("t", 1).await;
        s.disconnect().await;
        host.sees("client.disconnected s Disconnect 0").await;
        let mut p = clean(4, "p").join(host.address()).await;
        host.sees("client.connected p 0 new").await;
        host.forget();
        p.publish("t", "x", 1, false).await;
        host.told(&[
            "client.authorized p Publish t allowed",
            "message.publish p Client t q1 \"x\"",
            "message.queued s t q1 \"x\"",
        ])
        .await;
        let (mut s, found) = persistent(version, "s").open(host.address()).await;
        assert!(found);
        assert_eq!(s.receive().await.payload, "x");
        host.told(&[
            "client.connect s",
            "client.authenticated s 0 anonymous",
            "session.resumed s",
            "client.connack s 0 found",
            "client.connected s 0 found",
            "message.delivered s t q1 \"x\"",
            "message.acked s t q1 \"x\"",
        ])
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unconfirmed_message_is_delivered_again() {
    let host = Host::start(Limits::default()).await;
    let mut s = persistent(4, "s").join(host.address()).await;
    s.subscribe("t", 1).await;
    let mut p = clean(4, "p").join(host.address()).await;
    p.publish("t", "x", 1, false).await;
    s.message().await;
    drop(s);
    host.sees("client.disconnected s Closed").await;
    let (mut s, _) = persistent(4, "s").open(host.address()).await;
    assert!(s.receive().await.dup);
    host.sees("message.delivered s t q1 dup \"x\"").await;
    let events = host
        .until(|events| ids(events).iter().any(|(hook, _)| *hook == Hook::MessageAcked))
        .await;
    let ids = ids(&events);
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert!(ids.iter().all(|(_, id)| *id == ids[0].1), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retained_messages_are_told_as_such() {
    for version in [4, 5] {
        let host = Host::start(Limits::default()).await;
        let mut p = clean(4, "p").join(host.address()).await;
        p.publish("t", "kept", 1, true).await;
        let mut s = clean(version, "s").join(host.address()).await;
        s.subscribe("t", 1).await;
        let received = s.receive().await;
        assert!(received.retain);
        host.sees("message.delivered s t q1 retain retained \"kept\"").await;
        host.sees("message.acked s t q1 retain retained \"kept\"").await;
        p.publish("t", "live", 1, true).await;
        assert_eq!(s.receive().await.payload, "live");
        host.sees("message.acked s t q1 \"live\"").await;
        let ids = ids(&host.events());
        let first = ids.iter().find(|(hook, _)| *hook == Hook::MessagePublish).unwrap().1;
        assert_eq!(
            ids.iter().filter(|(_, id)| *id == first).count(),
            4,
            "publish, drop, delivery, confirmation"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_message_that_keeps_its_retain_flag_is_not_a_retained_one() {
    let host = Host::start(Limits::default()).await;
    let mut s = clean(5, "s").join(host.address()).await;
    s.subscribe("t", 0x08 | 1).await;
    let mut p = clean(5, "p").join(host.address()).await;
    p.publish("t", "x", 1, true).await;
    assert!(s.receive().await.retain);
    host.sees("message.delivered s t q1 retain \"x\"").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_group_gets_each_message_once() {
    let host = Host::start(Limits::default()).await;
    let mut a = clean(4, "a").join(host.address()).await;
    let mut b = clean(5, "b").join(host.address()).await;
    a.subscribe("$share/g/t/+", 0).await;
    b.subscribe("$share/g/t/+", 0).await;
    host.sees("client.subscribe a t/+ of g q0 0 new").await;
    host.sees("session.subscribed b t/+ of g q0 0 new").await;
    let mut p = clean(4, "p").join(host.address()).await;
    for n in 0..10 {
        p.publish("t/1", &n.to_string(), 0, false).await;
    }
    for _ in 0..5 {
        a.receive().await;
        b.receive().await;
    }
    let delivered = |events: &[Arc<Event>]| ids(events).iter().filter(|(h, _)| *h == Hook::MessageDelivered).count();
    let events = host.until(|events| delivered(events) == 10).await;
    for event in events {
        if let Detail::MessageDelivered(delivery) = &event.detail {
            assert_eq!(delivery.group.as_deref(), Some("g"));
        }
    }
    a.unsubscribe("$share/g/t/+").await;
    host.sees("session.unsubscribed a t/+ q0 0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn properties_of_mqtt_5_come_through() {
    let host = Host::start(Limits::default()).await;
    let mut s = clean(5, "s").join(host.address()).await;
    s.subscribe_with("t", 1 | 0x04 | 0x20, &[2, 0x0b, 7]).await;
    let event = host.sees("session.subscribed s t q1 1 new").await;
    let Detail::SessionSubscribed(subscription) = &event.detail else {
        panic!("{event:?}")
    };
    assert_eq!(
        (subscription.id, subscription.no_local, subscription.retain_handling),
        (Some(7), true, 2)
    );
    let mut p = clean(5, "p").join(host.address()).await;
    let mut properties = vec![0x01, 1, 0x03];
    properties.extend(text("text/plain"));
    properties.push(0x26);
    properties.extend(text("k"));
    properties.extend(text("v"));
    let mut body = text("t");
    body.extend([0, 9, properties.len() as u8]);
    body.extend(properties);
    body.extend(b"x");
    p.write(&packet(0x32, &body)).await;
    s.receive().await;
    let event = host.sees("message.delivered s t q1 \"x\"").await;
    let Detail::MessageDelivered(delivery) = &event.detail else {
        panic!("{event:?}")
    };
    assert_eq!(delivery.subscription_ids, [7]);
    let properties = delivery.message.properties.as_ref().unwrap();
    assert_eq!(
        properties.standard,
        [
            Property::PayloadFormatIndicator(1),
            Property::ContentType("text/plain".into())
        ]
    );
    assert_eq!(properties.user, [("k".into(), "v".into())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_excludes_its_own_messages() {
    let host = Host::start(Limits::default()).await;
    let mut s = clean(5, "s").join(host.address()).await;
    s.subscribe_with("t/+", 1 | 0x04, &[2, 0x0b, 7]).await;
    s.subscribe("other", 0x04).await;
    host.sees("session.subscribed s other q0 0 new").await;
    host.forget();
    s.publish("t/1", "mine", 2, false).await;
    let events = host.until(|events| events.len() >= 3).await;
    let Detail::DeliveryDropped(drop) = &events[2].detail else {
        panic!("{:?}", events[2])
    };
    assert_eq!(drop.delivery.subscription_ids, [7]);
    host.told(&[
        "client.authorized s Publish t/1 allowed",
        "message.publish s Client t/1 q2 \"mine\"",
        "delivery.dropped s t/1 q1 \"mine\" NoLocal 0",
    ])
    .await;
    // Others get it, and the client too through a subscription that does not exclude it.
    s.subscribe("t/1", 0).await;
    host.sees("session.subscribed s t/1 q0 0 new").await;
    host.forget();
    s.publish("t/1", "again", 0, false).await;
    assert_eq!(s.receive().await.payload, "again");
    let mut lines = host.lines(4).await;
    lines.sort();
    assert_eq!(
        lines,
        [
            "client.authorized s Publish t/1 allowed",
            "delivery.dropped s t/1 q0 \"again\" NoLocal 0",
            "message.delivered s t/1 q0 \"again\"",
            "message.publish s Client t/1 q0 \"again\"",
        ]
    );
    host.forget();
    let mut p = clean(5, "p").join(host.address()).await;
    host.sees("client.connected p 0 new").await;
    host.forget();
    p.publish("other", "x", 0, false).await;
    assert_eq!(s.receive().await.payload, "x");
    host.told(&[
        "client.authorized p Publish other allowed",
        "message.publish p Client other q0 \"x\"",
        "message.delivered s other q0 \"x\"",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_identifier_needs_no_publisher_of_mqtt_5() {
    let host = Host::start(Limits::default()).await;
    let mut s = clean(5, "s").join(host.address()).await;
    s.subscribe_with("t", 0, &[2, 0x0b, 7]).await;
    let mut p = clean(4, "p").join(host.address()).await;
    p.publish("t", "x", 0, false).await;
    s.receive().await;
    let event = host.sees("message.delivered s t q0 \"x\"").await;
    let Detail::MessageDelivered(delivery) = &event.detail else {
        panic!("{event:?}")
    };
    assert_eq!(delivery.subscription_ids, [7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_publishes_too() {
    let host = Host::start(Limits::default()).await;
    let mut s = clean(4, "s").join(host.address()).await;
    s.subscribe("t", 1).await;
    let message = |topic: &str, origin| HostMessage {
        sender: "admin".into(),
        origin,
        topic: topic.into(),
        payload: "x".into(),
        qos: 1,
        retain: true,
        properties: Properties::default(),
        republishes: 0,
    };
    for (origin, name) in [
        (Origin::Admin, "Admin"),
        (Origin::System, "System"),
        (Origin::Bridge, "Bridge"),
        (Origin::Module, "Module"),
    ] {
        host.running.publish(message("t", origin)).await.unwrap();
        assert_eq!(s.receive().await.payload, "x");
        host.sees(&format!("message.publish admin {name} t q1 retain \"x\""))
            .await;
    }
    host.running.publish(message("nobody", Origin::Module)).await.unwrap();
    host.sees("message.dropped admin Module nobody q1 retain \"x\" NoSubscribers 16")
        .await;
    assert_eq!(
        host.running.publish(message("a/+", Origin::Admin)).await,
        Err(PublishError::Topic)
    );
    assert_eq!(
        host.running.publish(message("t", Origin::Client)).await,
        Err(PublishError::Origin)
    );
}
