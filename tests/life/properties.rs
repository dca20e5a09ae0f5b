//! Properties of MQTT 5 that the broker obeys and sends.

use hookhost_tests::Version;
use hookhost_tests::client::Client;
use hookhost_tests::host::Setup;
use hookhost_tests::packet::{self, Packet, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::scene::Scene;

/// A PUBLISH of MQTT 5 as it was received.
#[derive(Debug)]
struct Publish {
    topic: Vec<u8>,
    id: u16,
    properties: Vec<u8>,
    payload: Vec<u8>,
}

impl Publish {
    /// Reads a packet with less than 128 bytes of properties.
    fn read(packet: &Packet) -> Publish {
        let (length, rest) = packet.body.split_at(2);
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let (topic, mut rest) = rest.split_at(length);
        let mut id = 0;
        if packet.first & 6 != 0 {
            id = u16::from_be_bytes([rest[0], rest[1]]);
            rest = &rest[2..];
        }
        let (properties, payload) = rest[1..].split_at(usize::from(rest[0]));
        Publish {
            topic: topic.to_vec(),
            id,
            properties: properties.to_vec(),
            payload: payload.to_vec(),
        }
    }
}

/// CONNECT of MQTT 5 with these properties.
async fn connect_with(scene: &Scene, id: &str, properties: &[u8]) -> Raw {
    let connect = packet::Connect {
        properties: properties.to_vec(),
        ..packet::Connect::new(Version::V5, id)
    };
    Raw::connect(scene.host.address, &connect).await
}

#[tokio::test]
async fn the_broker_uses_topic_aliases_for_clients_that_accept_some() {
    let scene = Scene::with(Setup::new().env("HOOKHOST_MQTT__MAX_TOPIC_ALIASES", "5")).await;
    // Topic Alias Maximum 1.
    let mut receiver = connect_with(&scene, "c2", &[0x22, 0, 1]).await;
    receiver.subscribe(Version::V5, "#", 0).await;
    let mut other = connect_with(&scene, "c3", &[]).await;
    other.subscribe(Version::V5, "#", 0).await;
    for version in [Version::V311, Version::V5] {
        let mut publisher = Raw::client(scene.host.address, version, "c1").await;
        for topic in ["a", "a", "b"] {
            publisher.send(&packet::publish(version, topic, 0, 0, b"x")).await;
        }
        publisher.ping().await;
    }
    // The first message announces the alias; a topic beyond the limit has none.
    let is_first = [true, false, false, false, false, false];
    for (is_first, topic) in is_first.into_iter().zip(["a", "a", "b", "a", "a", "b"]) {
        let publish = Publish::read(&receiver.expect(kind::PUBLISH).await);
        let alias = publish.properties.windows(3).any(|bytes| bytes == [0x23, 0, 1]);
        assert_eq!(alias, topic == "a", "{publish:?}");
        let named = if topic == "b" || is_first { topic } else { "" };
        assert_eq!(publish.topic, named.as_bytes(), "{publish:?}");
        let publish = Publish::read(&other.expect(kind::PUBLISH).await);
        assert_eq!(publish.topic, topic.as_bytes());
    }
}

#[tokio::test]
async fn a_message_that_just_fits_reaches_its_receiver_with_every_qos() {
    let scene = Scene::start().await;
    // Maximum Packet Size 64.
    let mut receiver = connect_with(&scene, "c2", &[0x27, 0, 0, 0, 64]).await;
    receiver.subscribe(Version::V5, "t", 2).await;
    let mut publisher = Client::connect(scene.host.address, Version::V5, "c1").await;
    for qos in 0..=1 {
        publisher.publish("t", qos, vec![b'.'; 100]).await;
        publisher.publish("t", qos, vec![b'0' + qos; 40]).await;
        let publish = Publish::read(&receiver.expect(kind::PUBLISH).await);
        assert_eq!(publish.payload, vec![b'0' + qos; 40], "QoS {qos}");
        if qos > 0 {
            receiver.send(&packet::ack(kind::PUBACK, publish.id)).await;
        }
    }
}

#[tokio::test]
async fn a_will_after_a_disconnect_that_asks_for_it() {
    let scene = Scene::start().await;
    let mut receiver = Raw::client(scene.host.address, Version::V5, "c2").await;
    receiver.subscribe(Version::V5, "will/#", 0).await;
    // Two clients: a second connection of one client could end the first before its DISCONNECT is read.
    for (id, code, topic) in [("c0", 0, "will/0"), ("c4", 4, "will/4")] {
        let connect = packet::Connect {
            will: Some((topic.to_owned(), b"gone".to_vec(), 0, false)),
            ..packet::Connect::new(Version::V5, id)
        };
        let mut client = Raw::connect(scene.host.address, &connect).await;
        client.send(&packet::packet(kind::DISCONNECT << 4, &[code])).await;
        client.drop_connection();
    }
    let publish = Publish::read(&receiver.expect(kind::PUBLISH).await);
    assert_eq!(publish.topic, b"will/4");
}

#[tokio::test]
async fn packets_that_mqtt_forbids_end_their_connection() {
    let scene = Scene::start().await;
    for (version, forbidden, code) in [
        (Version::V311, packet::packet(0x82, b"\0\x01\0\x01t\x41"), 0),
        (Version::V5, packet::packet(0x30, b"\0\x01t\x02\x0b\x01x"), 130),
        (Version::V5, packet::packet(0x82, b"\0\x01\0\0\x0a$share/g/t\x05"), 130),
        (Version::V5, packet::packet(0xe1, b""), 129),
    ] {
        let mut other = Raw::client(scene.host.address, version, "c2").await;
        let mut client = Raw::client(scene.host.address, version, "c1").await;
        client.ping().await;
        client.send(&[forbidden.clone(), packet::ping()].concat()).await;
        if version == Version::V5 {
            assert_eq!(client.expect(kind::DISCONNECT).await.body[0], code, "{forbidden:?}");
        }
        client.closed().await;
        other.ping().await;
    }
}
