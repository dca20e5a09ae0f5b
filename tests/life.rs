//! A client's life, step by step: which webhooks each step causes, in which order per client, with which body.
//! Both protocol versions go through the same scripts; `$…` in an expectation is what differs between them.

use std::time::Duration;

use hookhost_tests::Version;
use hookhost_tests::body::{self, payload};
use hookhost_tests::client::{Client, Options};
use hookhost_tests::host::Setup;
use hookhost_tests::packet::{self, Connect, Publish, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::scene::Scene;

macro_rules! in_both_versions {
    ($($script:ident),* $(,)?) => {
        mod mqtt_3_1_1 {
            $(#[tokio::test] async fn $script() { super::$script(hookhost_tests::Version::V311).await })*
        }
        mod mqtt_5 {
            $(#[tokio::test] async fn $script() { super::$script(hookhost_tests::Version::V5).await })*
        }
    };
}

in_both_versions!(
    connect_and_disconnect,
    a_connect_that_is_refused,
    a_user_name_is_told,
    subscribe_and_unsubscribe,
    publish_to_a_subscriber,
    publish_to_nobody,
    an_empty_payload,
    two_subscribers_get_one_each,
    a_will,
    the_same_client_id_again,
    a_session_that_outlives_its_connection,
    closing_the_socket,
    keep_alive_timeout,
    a_kick,
    a_retained_message,
    a_shared_subscription,
    qos_2_is_acknowledged_at_pubcomp,
    a_repeated_qos_2_publish_is_one_message,
    an_assigned_client_id,
    a_host_that_stops,
);

async fn connect_and_disconnect(version: Version) {
    let mut scene = Scene::start().await;
    let client = Client::connect(scene.host.address, version, "c1").await;
    let requests = scene
        .expect(
            version,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","keepalive":60,$proto:true,"time":"<time>","action":"client_connect"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","created_at":<ms>,"time":"<time>","action":"session_created"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","keepalive":60,$proto:true,"conn_ack":"Connection Accepted","time":"<time>","action":"client_connack"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","keepalive":60,$proto:true,"connected_at":<ms>,"session_present":false,"time":"<time>","action":"client_connected"}
            "#,
        )
        .await;
    for request in requests {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(
            request.header("content-length"),
            Some(request.body.len().to_string().as_str())
        );
        assert!(request.header("host").is_some());
    }
    client.disconnect().await;
    scene
        .expect(
            version,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","disconnected_at":<ms>,"reason":"$bye","time":"<time>","action":"client_disconnected"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","reason":"$bye","time":"<time>","action":"session_terminated"}
            "#,
        )
        .await;
    scene.finish().await;
}

async fn a_connect_that_is_refused(version: Version) {
    let mut scene = Scene::with(Setup::new().config("[mqtt]\nmax_clientid_len = 8\n")).await;
    let mut client = Raw::open(scene.host.address).await;
    client.send(&Connect::new(version, "clientid-too-long").encode()).await;
    let words = match version {
        Version::V311 => "Connection Refused, identifier rejected",
        Version::V5 => "client identifier is invalid",
    };
    client.expect(kind::CONNACK).await;
    client.closed().await;
    scene
        .expect(
            version,
            "clientid-too-long",
            &r#"
            {"node":1,"ipaddress":"<addr>","clientid":"clientid-too-long","username":"undefined","keepalive":60,$proto:true,"time":"<time>","action":"client_connect"}
            {"node":1,"ipaddress":"<addr>","clientid":"clientid-too-long","username":"undefined","keepalive":60,$proto:true,"conn_ack":"$words","time":"<time>","action":"client_connack"}
            "#
            .replace("$words", words),
        )
        .await;
    scene.finish().await;
}

async fn a_user_name_is_told(version: Version) {
    let mut scene = Scene::start().await;
    let options = Options {
        username: Some("ü \"user\"".into()),
        ..Options::new(version, "c1")
    };
    let mut client = Client::open(scene.host.address, options).await;
    client.publish("t", 1, "x").await;
    client.disconnect().await;
    scene
        .expect(
            version,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"ü \"user\"","keepalive":60,$proto:true,"time":"<time>","action":"client_connect"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"ü \"user\"","created_at":<ms>,"time":"<time>","action":"session_created"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"ü \"user\"","keepalive":60,$proto:true,"conn_ack":"Connection Accepted","time":"<time>","action":"client_connack"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"ü \"user\"","keepalive":60,$proto:true,"connected_at":<ms>,"session_present":false,"time":"<time>","action":"client_connected"}
            {"dup":false,"retain":false,"qos":1,"topic":"t","packet_id":1,"payload":"eA==","ts":<ms>,"time":"<time>","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"ü \"user\"","from_type":"custom","action":"message_publish"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"ü \"user\"","disconnected_at":<ms>,"reason":"$bye","time":"<time>","action":"client_disconnected"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"ü \"user\"","reason":"$bye","time":"<time>","action":"session_terminated"}
            "#,
        )
        .await;
    for request in scene.sink.requests() {
        assert!(
            !request.body.contains("secret"),
            "a password is nobody's business: {}",
            request.body
        );
    }
    scene.finish().await;
}

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
    // An acknowledgement may come after the next message was sent, so the two kinds are in order each by itself.
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

async fn a_will(version: Version) {
    let mut scene = Scene::start().await;
    let connect = Connect {
        will: Some(("w/1".into(), b"gone".to_vec(), 1, false)),
        ..Connect::new(version, "c1")
    };
    let client = Raw::connect(scene.host.address, &connect).await;
    scene.skip_connect("c1").await;
    client.drop_connection();
    // RMQTT knows no time for a will; a host that knows one may say it.
    let requests = scene.sink.wait_for(7, hookhost_tests::PATIENCE).await;
    let ts = if requests[4].json()["ts"].is_null() {
        "null"
    } else {
        "<ms>"
    };
    scene
        .expect(
            version,
            "c1",
            &r#"
            {"dup":false,"retain":false,"qos":1,"topic":"w/1","packet_id":null,"payload":"Z29uZQ==","ts":$ts,"time":"<time>","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"lastwill","action":"message_publish"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","disconnected_at":<ms>,"reason":"RemoteClose","time":"<time>","action":"client_disconnected"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","reason":"RemoteClose","time":"<time>","action":"session_terminated"}
            "#
            .replace("$ts", ts),
        )
        .await;
    scene.finish().await;
}

async fn the_same_client_id_again(version: Version) {
    let mut scene = Scene::start().await;
    let mut old = Raw::client(scene.host.address, version, "c1").await;
    scene.skip_connect("c1").await;
    let new = Raw::client(scene.host.address, version, "c1").await;
    old.closed().await;
    // The old connection ends in its own task, so its webhook may come between any two of the new one's.
    let requests = scene.sink.wait_for(9, hookhost_tests::PATIENCE).await;
    let address = |raw: &Raw| raw.address().to_string();
    let of = |address: &str| -> Vec<String> {
        let of_address =
            |request: &&std::sync::Arc<hookhost_tests::sink::Received>| request.json()["ipaddress"] == address;
        requests
            .iter()
            .skip(4)
            .filter(of_address)
            .map(|request| body::normalised(&request.body))
            .collect()
    };
    let lines = |text| hookhost_tests::scene::lines(version, text);
    body::check(
        "the old connection",
        &of(&address(&old)),
        &lines(
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","disconnected_at":<ms>,"reason":"Kicked","time":"<time>","action":"client_disconnected"}
            "#,
        ),
    );
    body::check(
        "the new connection",
        &of(&address(&new)),
        &lines(
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","keepalive":60,$proto:true,"time":"<time>","action":"client_connect"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","created_at":<ms>,"time":"<time>","action":"session_created"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","keepalive":60,$proto:true,"conn_ack":"Connection Accepted","time":"<time>","action":"client_connack"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","keepalive":60,$proto:true,"connected_at":<ms>,"session_present":false,"time":"<time>","action":"client_connected"}
            "#,
        ),
    );
    assert_eq!(
        requests[4].json()["action"],
        "client_connect",
        "the new connection comes first"
    );
    new.disconnect().await;
    let requests = scene.sink.wait_for(11, hookhost_tests::PATIENCE).await;
    let last: Vec<_> = requests[9..]
        .iter()
        .map(|request| request.json()["action"].clone())
        .collect();
    assert_eq!(last, ["client_disconnected", "session_terminated"]);
}

async fn a_session_that_outlives_its_connection(version: Version) {
    let mut scene = Scene::start().await;
    let mut receiver = Client::open(scene.host.address, Options::persistent(version, "c3")).await;
    assert!(!receiver.session_present);
    receiver.subscribe("t/#", 1).await;
    receiver.disconnect().await;
    scene.skip_connect("c3").await;
    scene.skip("c3", &["client_subscribe", "session_subscribed"]).await;
    scene
        .expect(
            version,
            "c3",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c3","username":"undefined","disconnected_at":<ms>,"reason":"$bye","time":"<time>","action":"client_disconnected"}
            "#,
        )
        .await;

    let mut publisher = Client::connect(scene.host.address, version, "c1").await;
    publisher.publish("t/1", 1, "hello").await;
    publisher.disconnect().await;
    scene.skip_connect("c1").await;
    scene.skip("c1", &["message_publish"]).await;
    scene.skip_end("c1").await;
    scene
        .expect(
            version,
            "c3",
            r#"
            {"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":null,"payload":"aGVsbG8=","pts":<ms>,"ts":<ms>,"time":"<time>","node":1,"ipaddress":"<addr>","clientid":"c3","username":"undefined","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"offline_message"}
            "#,
        )
        .await;

    let mut receiver = Client::open(scene.host.address, Options::persistent(version, "c3")).await;
    assert!(receiver.session_present);
    assert_eq!(receiver.message().await.payload, b"hello");
    scene
        .expect(
            version,
            "c3",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c3","username":"undefined","keepalive":60,$proto:false,"time":"<time>","action":"client_connect"}
            {"node":1,"ipaddress":"<addr>","clientid":"c3","username":"undefined","keepalive":60,$proto:false,"conn_ack":"Connection Accepted","time":"<time>","action":"client_connack"}
            {"node":1,"ipaddress":"<addr>","clientid":"c3","username":"undefined","keepalive":60,$proto:false,"connected_at":<ms>,"session_present":true,"time":"<time>","action":"client_connected"}
            {"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"aGVsbG8=","pts":<ms>,"ts":<ms>,"time":"<time>","node":1,"ipaddress":"<addr>","clientid":"c3","username":"undefined","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_delivered"}
            {"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"aGVsbG8=","pts":<ms>,"ts":<ms>,"time":"<time>","node":1,"ipaddress":"<addr>","clientid":"c3","username":"undefined","from_node":1,"from_ipaddress":"<addr>","from_clientid":"c1","from_username":"undefined","from_type":"custom","action":"message_acked"}
            "#,
        )
        .await;
    receiver.disconnect().await;
    scene.skip("c3", &["client_disconnected"]).await;
    // The session is thrown away, so that stopping has nothing left to tell.
    Client::connect(scene.host.address, version, "c3")
        .await
        .disconnect()
        .await;
    scene.skip_connect("c3").await;
    scene.skip_end("c3").await;
    scene.finish().await;
}

async fn a_host_that_stops(version: Version) {
    let mut scene = Scene::start().await;
    let client = Client::connect(scene.host.address, version, "c1").await;
    let away = Client::open(scene.host.address, Options::persistent(version, "c3")).await;
    away.disconnect().await;
    scene.skip_connect("c1").await;
    scene.skip_connect("c3").await;
    scene.skip("c3", &["client_disconnected"]).await;
    scene.host.stop().await;
    scene
        .expect(
            version,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","disconnected_at":<ms>,"reason":"Server shutting down","time":"<time>","action":"client_disconnected"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","reason":"Server shutting down","time":"<time>","action":"session_terminated"}
            "#,
        )
        .await;
    // Sessions are in memory and end with the host.
    scene
        .expect(
            version,
            "c3",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c3","username":"undefined","reason":"Server shutting down","time":"<time>","action":"session_terminated"}
            "#,
        )
        .await;
    drop(client);
}

async fn closing_the_socket(version: Version) {
    let mut scene = Scene::start().await;
    let client = Raw::client(scene.host.address, version, "c1").await;
    client.drop_connection();
    scene.skip_connect("c1").await;
    scene
        .expect(
            version,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","disconnected_at":<ms>,"reason":"RemoteClose","time":"<time>","action":"client_disconnected"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","reason":"RemoteClose","time":"<time>","action":"session_terminated"}
            "#,
        )
        .await;
    scene.finish().await;
}

async fn keep_alive_timeout(version: Version) {
    let mut scene = Scene::start().await;
    let connect = Connect {
        keep_alive: 1,
        ..Connect::new(version, "c1")
    };
    let mut client = Raw::connect(scene.host.address, &connect).await;
    client.closed().await;
    scene.skip_connect("c1").await;
    scene
        .expect(
            version,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","disconnected_at":<ms>,"reason":"KeepaliveTimeout","time":"<time>","action":"client_disconnected"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","reason":"KeepaliveTimeout","time":"<time>","action":"session_terminated"}
            "#,
        )
        .await;
    scene.finish().await;
}

async fn a_kick(version: Version) {
    let mut scene = Scene::start().await;
    // Without clean start: a kick ends such a session, too.
    let connect = Connect {
        clean: false,
        ..Connect::new(version, "c1")
    };
    let mut client = Raw::connect(scene.host.address, &connect).await;
    scene.skip_connect("c1").await;
    assert_eq!(scene.host.ask(&["clients", "kick", "c1"]).await, "c1: kicked\n");
    let told = client.read().await;
    assert!(told.is_none(), "{told:?}");
    scene
        .expect(
            version,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","disconnected_at":<ms>,"reason":"ByAdminKick","time":"<time>","action":"client_disconnected"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","reason":"ByAdminKick","time":"<time>","action":"session_terminated"}
            "#,
        )
        .await;
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
    // A publish of the receiver's own marks the time before PUBCOMP.
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

async fn an_assigned_client_id(version: Version) {
    let scene = Scene::start().await;
    let client = Raw::client(scene.host.address, version, "").await;
    let address = client.address().to_string();
    client.disconnect().await;
    let requests = scene.sink.wait_for(6, hookhost_tests::PATIENCE).await;
    let bodies: Vec<_> = requests.iter().map(|request| request.json()).collect();
    let assigned = bodies[3]["clientid"].as_str().unwrap_or_default().to_owned();
    assert!(!assigned.is_empty(), "{}", bodies[3]);
    for body in &bodies {
        assert_eq!(body["ipaddress"], *address, "the address is the client's own");
        if body["action"] != "client_connect" {
            assert_eq!(body["clientid"], *assigned);
        }
    }
}

#[tokio::test]
async fn mqtt_3_1() {
    let mut scene = Scene::start().await;
    let connect = Connect {
        protocol: "MQIsdp",
        level: 3,
        ..Connect::new(Version::V311, "c1")
    };
    let client = Raw::connect(scene.host.address, &connect).await;
    client.disconnect().await;
    scene
        .expect(
            Version::V311,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","keepalive":60,"proto_ver":3,"clean_session":true,"time":"<time>","action":"client_connect"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","created_at":<ms>,"time":"<time>","action":"session_created"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","keepalive":60,"proto_ver":3,"clean_session":true,"conn_ack":"Connection Accepted","time":"<time>","action":"client_connack"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","keepalive":60,"proto_ver":3,"clean_session":true,"connected_at":<ms>,"session_present":false,"time":"<time>","action":"client_connected"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","disconnected_at":<ms>,"reason":"Disconnect(V3),RemoteClose","time":"<time>","action":"client_disconnected"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","reason":"Disconnect(V3),RemoteClose","time":"<time>","action":"session_terminated"}
            "#,
        )
        .await;
    scene.finish().await;
}

#[tokio::test]
async fn user_properties_of_mqtt_5() {
    let mut scene = Scene::start().await;
    let pairs = [("k", "v"), ("twice", "1"), ("twice", "2"), ("ключ", "\"")];
    let user_properties = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let options = Options {
        user_properties,
        ..Options::new(Version::V5, "c1")
    };
    let client = Client::open(scene.host.address, options).await;
    scene
        .skip("c1", &["client_connect", "session_created", "client_connack"])
        .await;
    scene
        .expect(
            Version::V5,
            "c1",
            r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","keepalive":60,"proto_ver":5,"clean_start":true,"user_properties":{"k":"v","twice":["1","2"],"ключ":"\""},"connected_at":<ms>,"session_present":false,"time":"<time>","action":"client_connected"}
            "#,
        )
        .await;
    client.disconnect().await;
    scene.skip_end("c1").await;
    scene.finish().await;
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

#[tokio::test]
async fn a_disconnect_of_mqtt_5_with_a_reason() {
    let mut scene = Scene::start().await;
    let mut client = Raw::client(scene.host.address, Version::V5, "c1").await;
    scene.skip_connect("c1").await;
    // Reason code 4, no properties.
    client.send(&packet::packet(kind::DISCONNECT << 4, &[4, 0])).await;
    client.drop_connection();
    scene
        .expect(
            Version::V5,
            "c1",
            &r#"
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","disconnected_at":<ms>,"reason":"$bye","time":"<time>","action":"client_disconnected"}
            {"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","reason":"$bye","time":"<time>","action":"session_terminated"}
            "#
            .replace("$bye", concat!(
                "Disconnect(V5(Disconnect { reason_code: DisconnectWithWillMessage, session_expiry_interval_secs: None, ",
                "server_reference: None, reason_string: None, user_properties: [] })),RemoteClose"
            )),
        )
        .await;
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
