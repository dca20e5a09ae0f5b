//! Subscriptions: requested, active, shared, removed.

use hookhost_tests::Version;
use hookhost_tests::body::payload;
use hookhost_tests::client::Client;
use hookhost_tests::packet::{self, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::scene::Scene;

in_both_versions!(subscribe_and_unsubscribe, a_shared_subscription,);

async fn subscribe_and_unsubscribe(version: Version) {
    let mut scene = Scene::start().await;
    let mut client = Raw::client(scene.host.address, version, "c1").await;
    scene.skip_connect("c1").await;
    client
        .send(&packet::subscribe(version, 1, &[("t/1", 1), ("a/+/#", 2)], None))
        .await;
    client.expect(kind::SUBACK).await;
    scene
        .expect(
            version,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","topic":"t/1","opts":{"qos":1$opts},"time":"<time>","action":"client_subscribe"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","topic":"t/1","opts":{"qos":1$opts},"time":"<time>","action":"session_subscribed"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","topic":"a/+/#","opts":{"qos":2$opts},"time":"<time>","action":"client_subscribe"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","topic":"a/+/#","opts":{"qos":2$opts},"time":"<time>","action":"session_subscribed"}
            "#,
        )
        .await;
    let mut unsubscribe = 2u16.to_be_bytes().to_vec();
    if version == Version::V5 {
        unsubscribe.push(0);
    }
    packet::string(&mut unsubscribe, b"t/1");
    client
        .send(&packet::packet(kind::UNSUBSCRIBE << 4 | 2, &unsubscribe))
        .await;
    client.expect(kind::UNSUBACK).await;
    scene
        .expect(
            version,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","topic":"t/1","time":"<time>","action":"client_unsubscribe"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","topic":"t/1","time":"<time>","action":"session_unsubscribed"}
            "#,
        )
        .await;
    client.disconnect().await;
    scene.skip_end("c1").await;
    scene.finish().await;
}

async fn a_shared_subscription(version: Version) {
    let mut scene = Scene::start().await;
    let mut members = Vec::new();
    for id in ["m1", "m2"] {
        let mut member = Client::connect(scene.host.address, version, id).await;
        member.subscribe("$share/g/t/+", 1).await;
        scene.skip_connect(id).await;
        scene
            .expect(
                version,
                id,
                &r#"
                {"node":1,"ipaddress":"<addr>","clientid":"$id","username":"undefined","topic":"t/+","opts":{"qos":1$opts,"group":"g"},"time":"<time>","action":"client_subscribe"}
                {"node":1,"ipaddress":"<addr>","clientid":"$id","username":"undefined","topic":"t/+","opts":{"qos":1$opts,"group":"g"},"time":"<time>","action":"session_subscribed"}
                "#
                .replace("$id", id),
            )
            .await;
        members.push(member);
    }
    let mut publisher = Client::connect(scene.host.address, version, "c1").await;
    for number in 0..10 {
        publisher.publish("t/1", 1, number.to_string()).await;
    }
    let of = |all: &[std::sync::Arc<hookhost_tests::sink::Received>], action: &str| {
        let mut payloads: Vec<_> = all
            .iter()
            .map(|request| request.json())
            .filter(|body| body["action"] == action)
            .map(|body| String::from_utf8_lossy(&payload(&body)).into_owned())
            .collect();
        payloads.sort();
        payloads
    };
    let patience = hookhost_tests::PATIENCE;
    scene
        .sink
        .wait_until("10 acknowledgements", patience, |all| {
            of(all, "message_acked").len() >= 10
        })
        .await;
    publisher.disconnect().await;
    for member in members {
        member.disconnect().await;
    }
    scene.host.stop().await;
    let each: Vec<_> = (0..10).map(|number| number.to_string()).collect();
    let all = scene.sink.requests();
    for action in ["message_publish", "message_delivered", "message_acked"] {
        assert_eq!(of(&all, action), each, "{action}");
    }
}

#[tokio::test]
async fn subscription_options_of_mqtt_5() {
    let mut scene = Scene::start().await;
    let mut client = Raw::client(scene.host.address, Version::V5, "c1").await;
    // QoS 1, no local, retain as published, retain handling 2.
    client
        .send(&packet::subscribe(Version::V5, 1, &[("t", 0b10_1101)], Some(7)))
        .await;
    client.expect(kind::SUBACK).await;
    client.disconnect().await;
    scene.skip_connect("c1").await;
    scene
        .expect(
            Version::V5,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","topic":"t","opts":{"qos":1,"no_local":true,"retain_as_published":true,"retain_handling":2,"id":7},"time":"<time>","action":"client_subscribe"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","topic":"t","opts":{"qos":1,"no_local":true,"retain_as_published":true,"retain_handling":2,"id":7},"time":"<time>","action":"session_subscribed"}
            "#,
        )
        .await;
    scene.skip_end("c1").await;
    scene.finish().await;
}
