//! The gateway as users run it. The same clients connect to the broker in process and to a gateway, and the webhooks
//! are compared one by one. The test also runs the gateway in front of mosquitto, if that is installed.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hookhost_tests::client::{Client, Options};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::mosquitto::Mosquitto;
use hookhost_tests::packet::{self, Connect, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::Sink;
use hookhost_tests::{PATIENCE, Version, body};

/// A gateway to this address.
fn gateway(upstream: SocketAddr) -> Setup {
    Setup::new()
        .env("HOOKHOST_BROKER__ENGINE", "gateway")
        .env("HOOKHOST_BROKER__UPSTREAM", &format!("mqtt://{upstream}"))
}

/// A host without rules.
async fn bare() -> Host {
    let setup = Setup::new();
    let path = setup.dir().join("bare.toml");
    std::fs::write(&path, "[webhook.rule]\n").unwrap();
    setup.arg("--config").arg(path).start().await
}

/// The webhooks of the script, per client.
async fn webhooks(setup: Setup, version: Version) -> BTreeMap<String, Vec<String>> {
    let sink = Sink::start().await;
    let mut host = setup.url(&sink.url("/hook")).start().await;
    script(&sink, host.address, version).await;
    host.stop().await;
    let mut clients: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in sink.requests() {
        let client = body::subject(&request.json()).to_owned();
        clients.entry(client).or_default().push(body::normalised(&request.body));
    }
    clients
}

/// A script of several clients. The script waits wherever one event could overtake another.
async fn script(sink: &Sink, to: SocketAddr, version: Version) {
    let seen = |client: &'static str, action: &'static str, count: usize| async move {
        let what = format!("{count} {action} of {client}");
        sink.wait_until(&what, PATIENCE, |all| {
            let is = |request: &&std::sync::Arc<hookhost_tests::sink::Received>| {
                let body = request.json();
                body["action"] == action && body::subject(&body) == client
            };
            all.iter().filter(is).count() >= count
        })
        .await;
    };
    let mut s = Raw::client(to, version, "s").await;
    s.send(&packet::subscribe(version, 1, &[("t/#", 2), ("u", 0)], None))
        .await;
    s.expect(kind::SUBACK).await;
    let named = Options {
        username: Some("ü".to_owned()),
        ..Options::new(version, "p")
    };
    let mut p = Client::open(to, named).await;
    for (qos, payload) in [(0, &b"hello"[..]), (1, b"hello"), (2, b"\0\xff"), (1, b"")] {
        p.publish("t/1", qos, payload).await;
        let publish = s.expect(kind::PUBLISH).await;
        match publish.first >> 1 & 3 {
            1 => s.send(&packet::ack(kind::PUBACK, publish.id())).await,
            2 => {
                s.send(&packet::ack(kind::PUBREC, publish.id())).await;
                s.expect(kind::PUBREL).await;
                s.send(&packet::ack(kind::PUBCOMP, publish.id())).await;
            }
            _ => {}
        }
        s.ping().await;
    }
    p.publish("nobody", 1, "x").await;
    p.disconnect().await;
    seen("p", "session_terminated", 1).await;
    let mut unsubscribe = 2u16.to_be_bytes().to_vec();
    if version == Version::V5 {
        unsubscribe.push(0);
    }
    packet::string(&mut unsubscribe, b"u");
    s.send(&packet::packet(kind::UNSUBSCRIBE << 4 | 2, &unsubscribe)).await;
    s.expect(kind::UNSUBACK).await;
    s.disconnect().await;
    seen("s", "session_terminated", 1).await;

    // A session that is resumed, and a session that is discarded.
    let mut away = Client::open(to, Options::persistent(version, "away")).await;
    away.subscribe("away", 1).await;
    away.disconnect().await;
    seen("away", "client_disconnected", 1).await;
    let mut p = Client::connect(to, version, "p2").await;
    p.publish("away", 1, "later").await;
    let mut away = Client::open(to, Options::persistent(version, "away")).await;
    assert!(away.session_present);
    assert_eq!(away.message().await.payload, b"later");
    seen("away", "message_acked", 1).await;
    away.disconnect().await;
    seen("away", "client_disconnected", 2).await;
    Client::connect(to, version, "away").await.disconnect().await;
    seen("away", "session_terminated", 1).await;
    p.disconnect().await;
    seen("p2", "session_terminated", 1).await;

    // A retained message, a will, and a second connection of a client.
    let mut r = Client::connect(to, version, "r").await;
    r.publish_retained("kept", 1, "kept").await;
    r.subscribe("kept", 1).await;
    assert!(r.message().await.retain);
    seen("r", "message_acked", 1).await;
    let connect = Connect {
        will: Some(("gone".into(), b"w".to_vec(), 0, false)),
        ..Connect::new(version, "w")
    };
    Raw::connect(to, &connect).await.drop_connection();
    seen("w", "session_terminated", 1).await;
    let mut old = Raw::client(to, version, "twice").await;
    let new = Raw::client(to, version, "twice").await;
    old.closed().await;
    new.disconnect().await;
    seen("twice", "session_terminated", 1).await;
    r.disconnect().await;
    seen("r", "session_terminated", 1).await;
}

/// An event without a packet: a message that is queued for a disconnected client.
fn visible(mut clients: BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    for bodies in clients.values_mut() {
        bodies.retain(|body| !body.contains(r#""action":"offline_message""#));
    }
    clients
}

fn same(alone: BTreeMap<String, Vec<String>>, gateway: BTreeMap<String, Vec<String>>) {
    let lines = |clients: BTreeMap<String, Vec<String>>| clients.into_values().flatten().collect::<Vec<_>>();
    let (alone, gateway) = (lines(alone), lines(gateway));
    for (number, (alone, gateway)) in alone.iter().zip(&gateway).enumerate() {
        assert_eq!(alone, gateway, "webhook {number}");
    }
    assert_eq!(alone.len(), gateway.len());
}

async fn both_engines_send_the_same(version: Version) {
    let alone = visible(webhooks(Setup::new(), version).await);
    let upstream = bare().await;
    same(alone, webhooks(gateway(upstream.address), version).await);
}

#[tokio::test]
async fn both_engines_send_the_same_3_1_1() {
    both_engines_send_the_same(Version::V311).await;
}

#[tokio::test]
async fn both_engines_send_the_same_5() {
    both_engines_send_the_same(Version::V5).await;
}

#[tokio::test]
async fn mosquitto_behind_a_gateway() {
    for version in [Version::V311, Version::V5] {
        let Some(mosquitto) = Mosquitto::start("persistence false").await else {
            return;
        };
        let alone = visible(webhooks(Setup::new(), version).await);
        let behind = webhooks(gateway(mosquitto.address), version).await;
        same(alone, behind);
    }
}

#[tokio::test]
async fn mosquitto_behind_tls_that_wants_a_certificate() {
    let certs = concat!(env!("CARGO_MANIFEST_DIR"), "/certs");
    let lines = format!(
        "cafile {certs}/ca.pem\ncertfile {certs}/server.pem\nkeyfile {certs}/server.key\nrequire_certificate true"
    );
    let Some(mosquitto) = Mosquitto::start(&lines).await else {
        return;
    };
    for (certificate, lets_in) in [(true, true), (false, false)] {
        let mut setup = gateway(mosquitto.address)
            .env("HOOKHOST_BROKER__UPSTREAM", &format!("mqtts://{}", mosquitto.address))
            .env("HOOKHOST_BROKER__CA", &format!("{certs}/ca.pem"))
            .env("HOOKHOST_BROKER__SERVER_NAME", "broker.test");
        if certificate {
            setup = setup
                .env("HOOKHOST_BROKER__CERTIFICATE", &format!("{certs}/client.pem"))
                .env("HOOKHOST_BROKER__KEY", &format!("{certs}/client.key"));
        }
        let host = setup.start().await;
        let mut raw = Raw::open(host.address).await;
        raw.send(&Connect::new(Version::V5, "c").encode()).await;
        let code = raw.expect(kind::CONNACK).await.body[1];
        assert_eq!(code == 0, lets_in, "code {code}");
        if lets_in {
            raw.subscribe(Version::V5, "t", 1).await;
            raw.send(&packet::publish(Version::V5, "t", 0, 0, b"through TLS")).await;
            assert!(raw.expect(kind::PUBLISH).await.body.ends_with(b"through TLS"));
        }
    }
}

#[tokio::test]
async fn rumqttd_behind_a_gateway() {
    for version in [Version::V311, Version::V5] {
        let sink = Sink::start().await;
        let setup = Setup::new()
            .env("HOOKHOST_BROKER__ENGINE", "gateway")
            .env("HOOKHOST_BROKER__UPSTREAM", "rumqttd");
        let mut host = setup.url(&sink.url("/hook")).start().await;
        let mut s = Client::open(host.address, Options::persistent(version, "s/+#$")).await;
        s.subscribe("#", 1).await;
        let mut p = Client::connect(host.address, version, "p").await;
        for topic in ["温度/1", "plain", "$SYS/x"] {
            p.publish(topic, 1, topic).await;
        }
        for topic in ["温度/1", "plain"] {
            assert_eq!(s.message().await.topic, topic);
        }
        p.disconnect().await;
        s.disconnect().await;
        host.stop().await;
        let actions: Vec<String> = sink
            .requests()
            .iter()
            .map(|request| request.json())
            .filter(|body| body["clientid"] == "p" || body["from_clientid"] == "p")
            .map(|body| body["action"].as_str().unwrap_or_default().to_owned())
            .collect();
        let count = |action: &str| actions.iter().filter(|other| *other == action).count();
        assert_eq!(
            (
                count("message_publish"),
                count("message_delivered"),
                count("session_terminated")
            ),
            (3, 2, 1)
        );
    }
}
