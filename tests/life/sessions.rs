//! Sessions: their clients, and what is kept after a connection ends.

use hookhost_tests::Version;
use hookhost_tests::body::{self};
use hookhost_tests::client::{Client, Options};
use hookhost_tests::raw::Raw;
use hookhost_tests::scene::Scene;

in_both_versions!(the_same_client_id_again, a_session_that_outlives_its_connection,);

async fn the_same_client_id_again(version: Version) {
    let mut scene = Scene::start().await;
    let mut old = Raw::client(scene.host.address, version, "c1").await;
    scene.skip_connect("c1").await;
    let new = Raw::client(scene.host.address, version, "c1").await;
    old.closed().await;
    // The old connection ends in its own task, so its webhook may come between any two of the new one.
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
    // The session is discarded, so that the stop of the host sends no further webhooks.
    Client::connect(scene.host.address, version, "c3")
        .await
        .disconnect()
        .await;
    scene.skip_connect("c3").await;
    scene.skip_end("c3").await;
    scene.finish().await;
}
