//! Connections: accepted and refused clients, the duration of a connection, and the reason of its end.

use hookhost_tests::Version;
use hookhost_tests::client::{Client, Options};
use hookhost_tests::host::Setup;
use hookhost_tests::packet::{self, Connect, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::scene::Scene;

in_both_versions!(
    connect_and_disconnect,
    a_connect_that_is_refused,
    a_user_name_is_told,
    a_will,
    closing_the_socket,
    keep_alive_timeout,
    a_kick,
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

async fn a_will(version: Version) {
    let mut scene = Scene::start().await;
    let connect = Connect {
        will: Some(("w/1".into(), b"gone".to_vec(), 1, false)),
        ..Connect::new(version, "c1")
    };
    let client = Raw::connect(scene.host.address, &connect).await;
    scene.skip_connect("c1").await;
    client.drop_connection();
    // RMQTT has no time for a will. A host that has a time may send it.
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
    if version == Version::V5 {
        // MQTT 3.1.1 has no such packet.
        assert_eq!(client.expect(kind::DISCONNECT).await.body, [152, 0]);
    }
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
