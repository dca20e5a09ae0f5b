//! Messages: published, delivered, confirmed, retained, dropped.

use std::time::Duration;

use hookhost_tests::Version;
use hookhost_tests::body::{self};
use hookhost_tests::client::Client;
use hookhost_tests::host::Setup;
use hookhost_tests::packet::{self, Publish, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::scene::Scene;

in_both_versions!(
    publish_to_a_subscriber,
    publish_to_nobody,
    an_empty_payload,
    two_subscribers_get_one_each,
    a_retained_message,
    qos_2_is_acknowledged_at_pubcomp,
    a_repeated_qos_2_publish_is_one_message,
);

async fn publish_to_a_subscriber(version: Version) {
    let mut scene = Scene::start().await;
    let mut receiver = Client::connect(scene.host.address, version, "c2").await;
    receiver.subscribe("t/#", 2).await;
    scene.skip_connect("c2").await;
    scene.skip("c2", &["client_subscribe", "session_subscribed"]).await;
    let mut publisher = Client::connect(scene.host.address, version, "c1").await;
    scene.skip_connect("c1").await;

    publisher.publish("t/0", 0, "hello").await;
    publisher.publish("t/1", 1, "hello").await;
    publisher.publish("t/2", 2, [0u8, 255, 1, 128]).await;
    scene
        .expect(
            version,
            "c1",
            r#"
            {"dup":false,"retain":false,"qos":0,"topic":"t/0","packet_id":null,"payload":"aGVsbG8=","ts":<ms>,"time":"<time>","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_publish"}
            {"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"aGVsbG8=","ts":<ms>,"time":"<time>","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_publish"}
            {"dup":false,"retain":false,"qos":2,"topic":"t/2","packet_id":2,"payload":"AP8BgA==","ts":<ms>,"time":"<time>","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_publish"}
            "#,
        )
        .await;
    for topic in ["t/0", "t/1", "t/2"] {
        assert_eq!(receiver.message().await.topic, topic);
    }
    // An acknowledgement may arrive after the next message was sent, so the test checks the order of each kind
    // separately.
    let kinds = scene
        .sink
        .wait_until("5 webhooks about deliveries", hookhost_tests::PATIENCE, |all| {
            deliveries(all, "").len() == 5
        })
        .await;
    let delivered = r#"
        {"dup":false,"retain":false,"qos":0,"topic":"t/0","packet_id":null,"payload":"aGVsbG8=","pts":<ms>,"ts":<ms>,"time":"<time>","node":1,"ipaddress":"<addr>","clientid":"c2","username":"undefined","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_delivered"}
        {"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"aGVsbG8=","pts":<ms>,"ts":<ms>,"time":"<time>","node":1,"ipaddress":"<addr>","clientid":"c2","username":"undefined","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_delivered"}
        {"dup":false,"retain":false,"qos":2,"topic":"t/2","packet_id":2,"payload":"AP8BgA==","pts":<ms>,"ts":<ms>,"time":"<time>","node":1,"ipaddress":"<addr>","clientid":"c2","username":"undefined","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_delivered"}
        "#;
    let acked = r#"
        {"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"aGVsbG8=","pts":<ms>,"ts":<ms>,"time":"<time>","node":1,"ipaddress":"<addr>","clientid":"c2","username":"undefined","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_acked"}
        {"dup":false,"retain":false,"qos":2,"topic":"t/2","packet_id":2,"payload":"AP8BgA==","pts":<ms>,"ts":<ms>,"time":"<time>","node":1,"ipaddress":"<addr>","clientid":"c2","username":"undefined","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_acked"}
        "#;
    use hookhost_tests::scene::lines;
    body::check(
        "c2: delivered",
        &deliveries(&kinds, "message_delivered"),
        &lines(version, delivered),
    );
    body::check(
        "c2: acked",
        &deliveries(&kinds, "message_acked"),
        &lines(version, acked),
    );
}

/// Normalised bodies of the deliveries to `c2`, of one action or of all.
fn deliveries(requests: &[std::sync::Arc<hookhost_tests::sink::Received>], action: &str) -> Vec<String> {
    requests
        .iter()
        .filter(|request| {
            let body = request.json();
            let is = body["action"].as_str().unwrap_or_default();
            body["clientid"] == "c2" && is.starts_with("message_") && (action.is_empty() || is == action)
        })
        .map(|request| body::normalised(&request.body))
        .collect()
}

async fn publish_to_nobody(version: Version) {
    let mut scene = Scene::start().await;
    let mut client = Client::connect(scene.host.address, version, "c1").await;
    client.publish("nobody/here", 1, "1").await;
    client.disconnect().await;
    scene.skip_connect("c1").await;
    scene
        .expect(
            version,
            "c1",
            r#"
            {"dup":false,"retain":false,"qos":1,"topic":"nobody/here","packet_id":1,"payload":"MQ==","ts":<ms>,"time":"<time>","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_publish"}
            "#,
        )
        .await;
    scene.skip_end("c1").await;
    scene.finish().await;
}

async fn an_empty_payload(version: Version) {
    let mut scene = Scene::start().await;
    let mut client = Client::connect(scene.host.address, version, "c1").await;
    client.publish("t", 0, "").await;
    scene.skip_connect("c1").await;
    scene
        .expect(
            version,
            "c1",
            r#"
            {"dup":false,"retain":false,"qos":0,"topic":"t","packet_id":null,"payload":"","ts":<ms>,"time":"<time>","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_publish"}
            "#,
        )
        .await;
    client.disconnect().await;
    scene.skip_end("c1").await;
    scene.finish().await;
}

async fn two_subscribers_get_one_each(version: Version) {
    let mut scene = Scene::start().await;
    let mut receivers = Vec::new();
    for id in ["r1", "r2"] {
        let mut receiver = Client::connect(scene.host.address, version, id).await;
        receiver.subscribe("t", 1).await;
        scene.skip_connect(id).await;
        scene.skip(id, &["client_subscribe", "session_subscribed"]).await;
        receivers.push(receiver);
    }
    let mut publisher = Client::connect(scene.host.address, version, "c1").await;
    publisher.publish("t", 1, "x").await;
    publisher.disconnect().await;
    for id in ["r1", "r2"] {
        scene.skip(id, &["message_delivered", "message_acked"]).await;
    }
    for receiver in receivers {
        receiver.disconnect().await;
    }
    for id in ["r1", "r2"] {
        scene.skip_end(id).await;
    }
    scene.skip_connect("c1").await;
    scene.skip("c1", &["message_publish"]).await;
    scene.skip_end("c1").await;
    scene.finish().await;
}

async fn a_retained_message(version: Version) {
    let mut scene = Scene::start().await;
    let mut publisher = Client::connect(scene.host.address, version, "c1").await;
    publisher.publish_retained("r/1", 1, "kept").await;
    publisher.disconnect().await;
    scene.skip_connect("c1").await;
    scene
        .expect(
            version,
            "c1",
            r#"
            {"dup":false,"retain":true,"qos":1,"topic":"r/1","packet_id":1,"payload":"a2VwdA==","ts":<ms>,"time":"<time>","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_publish"}
            "#,
        )
        .await;
    scene.skip_end("c1").await;

    let mut receiver = Client::connect(scene.host.address, version, "c2").await;
    receiver.subscribe("r/#", 1).await;
    let message = receiver.message().await;
    assert_eq!((message.payload.as_slice(), message.retain), (b"kept".as_slice(), true));
    scene.skip_connect("c2").await;
    scene.skip("c2", &["client_subscribe", "session_subscribed"]).await;
    scene
        .expect(
            version,
            "c2",
            r#"
            {"dup":false,"retain":true,"qos":1,"topic":"r/1","packet_id":1,"payload":"a2VwdA==","pts":<ms>,"ts":<ms>,"time":"<time>","node":1,"ipaddress":"<addr>","clientid":"c2","username":"undefined","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_delivered"}
            {"dup":false,"retain":true,"qos":1,"topic":"r/1","packet_id":1,"payload":"a2VwdA==","pts":<ms>,"ts":<ms>,"time":"<time>","node":1,"ipaddress":"<addr>","clientid":"c2","username":"undefined","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_acked"}
            "#,
        )
        .await;
    receiver.disconnect().await;
    scene.skip_end("c2").await;
    scene.finish().await;
}

async fn qos_2_is_acknowledged_at_pubcomp(version: Version) {
    let mut scene = Scene::start().await;
    let mut receiver = Raw::client(scene.host.address, version, "c2").await;
    receiver.subscribe(version, "t", 2).await;
    scene.skip_connect("c2").await;
    scene.skip("c2", &["client_subscribe", "session_subscribed"]).await;
    let mut publisher = Client::connect(scene.host.address, version, "c1").await;
    publisher.publish("t", 2, "x").await;
    let id = receiver.expect(kind::PUBLISH).await.id();
    scene.skip("c2", &["message_delivered"]).await;
    receiver.send(&packet::ack(kind::PUBREC, id)).await;
    assert_eq!(receiver.expect(kind::PUBREL).await.id(), id);
    // A publish of the receiver marks the time before PUBCOMP.
    receiver.publish(version, "marker", 1, b"").await;
    receiver.send(&packet::ack(kind::PUBCOMP, id)).await;
    scene.skip("c2", &["message_publish", "message_acked"]).await;
    receiver.disconnect().await;
    scene.skip_end("c2").await;
    publisher.disconnect().await;
    scene.skip_connect("c1").await;
    scene.skip("c1", &["message_publish"]).await;
    scene.skip_end("c1").await;
    scene.finish().await;
}

async fn a_repeated_qos_2_publish_is_one_message(version: Version) {
    let mut scene = Scene::start().await;
    let mut client = Raw::client(scene.host.address, version, "c1").await;
    let publish = Publish {
        topic: b"t",
        qos: 2,
        id: 7,
        retain: false,
        dup: false,
        properties: &[],
        payload: b"x",
    };
    client.send(&publish.encode(version)).await;
    assert_eq!(client.expect(kind::PUBREC).await.id(), 7);
    client.send(&Publish { dup: true, ..publish }.encode(version)).await;
    assert_eq!(client.expect(kind::PUBREC).await.id(), 7);
    client.send(&packet::ack(kind::PUBREL, 7)).await;
    assert_eq!(client.expect(kind::PUBCOMP).await.id(), 7);
    client.disconnect().await;
    scene.skip_connect("c1").await;
    scene.skip("c1", &["message_publish"]).await;
    scene.skip_end("c1").await;
    scene.finish().await;
}

#[tokio::test]
async fn time_is_the_local_time_of_the_host() {
    let scene = Scene::with(Setup::new().env("TZ", "XYZ-5:30")).await;
    let mut client = Client::connect(scene.host.address, Version::V311, "c1").await;
    client.publish("t", 1, "x").await;
    let is_publish = |request: &hookhost_tests::sink::Received| request.json()["action"] == "message_publish";
    let requests = scene
        .sink
        .wait_until("a message_publish", hookhost_tests::PATIENCE, |all| {
            all.iter().any(|request| is_publish(request))
        })
        .await;
    let body = requests
        .iter()
        .find(|request| is_publish(request))
        .map(|request| request.json())
        .unwrap();
    let time = body["time"].as_str().unwrap();
    let part = |from: usize, to: usize| time[from..to].parse::<u64>().unwrap();
    let of_day = ((part(11, 13) * 60 + part(14, 16)) * 60 + part(17, 19)) * 1000 + part(20, 23);
    let offset = Duration::from_secs(5 * 3600 + 30 * 60).as_millis() as u64;
    let day = Duration::from_secs(24 * 3600).as_millis() as u64;
    let expected = (body["ts"].as_u64().unwrap() + offset) % day;
    let apart = of_day.abs_diff(expected).min(day - of_day.abs_diff(expected));
    assert!(
        apart < 5000,
        "time {time} is {apart} ms from ts {} in the zone +05:30",
        body["ts"]
    );
}
