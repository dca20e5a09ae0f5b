//! One client script and what each broker's format makes of it: the bodies of every step, against literal ones.
//!
//! The script is the same for all formats and both versions of MQTT; a [`Story`] has the expectations of one format. Steps
//! that a broker says nothing about are empty. `$…` is what differs between the versions, `<…>` what differs from run
//! to run.

use std::sync::Arc;

use hookhost_tests::client::Client;
use hookhost_tests::host::Setup;
use hookhost_tests::packet::{self, Connect, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::scene::{Scene, lines};
use hookhost_tests::sink::Received;
use hookhost_tests::{PATIENCE, Version, body};

/// What one format makes of the script.
struct Story {
    /// Its settings in `[webhook]`.
    settings: &'static str,
    /// A connection of `c1` with a user name.
    connect: &'static str,
    /// DISCONNECT of `c1`.
    disconnect: &'static str,
    /// A connection of `clientid-too-long`, refused for its id.
    refused: &'static str,
    /// A connection of `c2`, by the names of its events.
    connect_names: &'static [&'static str],
    /// A subscription of `c2` to `t/#`, and to `s/+` in the group `g`.
    subscribe: &'static str,
    /// A publish of `c1` with QoS 0, 1 and 2 to `t/1`.
    publish: [&'static str; 3],
    /// What `c2` gets of it.
    deliver: [&'static str; 3],
    /// A publish of `c1` to `s/1`, which the group gets.
    publish_shared: &'static str,
    deliver_shared: &'static str,
    /// A publish of `c1` with QoS 1 to a topic that nobody subscribes to.
    nobody: &'static str,
    /// `c2` gives `t/#` back.
    unsubscribe: &'static str,
    /// `c1` publishes a message to be kept, and `c2` subscribes to it.
    publish_retained: &'static str,
    deliver_retained: &'static str,
    /// `c3` with a will for `w` vanishes.
    will: &'static str,
    /// Another connection of `c4` takes the place of the first one: what is told of the first.
    replaced: &'static str,
    /// `c5` is silent for too long.
    timeout: &'static str,
    /// An administrator ends the connection of `c6`.
    kick: &'static str,
}

async fn play(version: Version, story: &Story) {
    let config = format!("[mqtt]\nmax_clientid_len = 8\n[webhook]\n{}\n", story.settings);
    let mut scene = Scene::with(Setup::new().config(&config)).await;
    let address = scene.host.address;
    let connect = |id: &str| Connect::new(version, id);

    let named = Connect {
        username: Some(b"u1".to_vec()),
        ..connect("c1")
    };
    let mut c1 = Raw::connect(address, &named).await;
    scene.expect(version, "c1", story.connect).await;

    let mut refused = Raw::open(address).await;
    refused.send(&connect("clientid-too-long").encode()).await;
    scene.expect(version, "clientid-too-long", story.refused).await;

    let mut c2 = Client::connect(address, version, "c2").await;
    scene.skip("c2", story.connect_names).await;
    c2.subscribe("t/#", 1).await;
    c2.subscribe("$share/g/s/+", 1).await;
    scene.expect(version, "c2", story.subscribe).await;

    for (qos, (published, delivered)) in story.publish.iter().zip(story.deliver).enumerate() {
        let qos = qos as u8;
        c1.send(&packet::publish(version, "t/1", qos, u16::from(qos) + 1, b"hello"))
            .await;
        match qos {
            0 => {}
            1 => drop(c1.expect(kind::PUBACK).await),
            _ => {
                c1.expect(kind::PUBREC).await;
                c1.send(&packet::ack(kind::PUBREL, u16::from(qos) + 1)).await;
                c1.expect(kind::PUBCOMP).await;
            }
        }
        assert_eq!(c2.message().await.topic, "t/1");
        scene.expect(version, "c1", published).await;
        scene.expect(version, "c2", delivered).await;
    }
    c1.publish(version, "s/1", 7, b"shared").await;
    assert_eq!(c2.message().await.topic, "s/1");
    scene.expect(version, "c1", story.publish_shared).await;
    scene.expect(version, "c2", story.deliver_shared).await;
    c1.publish(version, "nobody", 8, b"x").await;
    scene.expect(version, "c1", story.nobody).await;

    c2.unsubscribe("t/#").await;
    scene.expect(version, "c2", story.unsubscribe).await;
    let kept = packet::Publish {
        topic: b"r/1",
        qos: 1,
        id: 9,
        retain: true,
        dup: false,
        payload: b"kept",
    };
    c1.send(&kept.encode(version)).await;
    c1.expect(kind::PUBACK).await;
    scene.expect(version, "c1", story.publish_retained).await;
    c2.subscribe("r/#", 0).await;
    assert!(c2.message().await.retain);
    scene.expect(version, "c2", story.deliver_retained).await;

    c1.disconnect().await;
    scene.expect(version, "c1", story.disconnect).await;

    let c3 = Connect {
        will: Some(("w".into(), b"gone".to_vec(), 0, false)),
        ..connect("c3")
    };
    let c3 = Raw::connect(address, &c3).await;
    scene.skip("c3", story.connect_names).await;
    c3.drop_connection();
    scene.expect(version, "c3", story.will).await;

    let c5 = Connect {
        keep_alive: 1,
        ..connect("c5")
    };
    let mut c5 = Raw::connect(address, &c5).await;
    scene.skip("c5", story.connect_names).await;
    c5.closed().await;
    scene.expect(version, "c5", story.timeout).await;

    let mut c6 = Raw::client(address, version, "c6").await;
    scene.skip("c6", story.connect_names).await;
    assert_eq!(scene.host.ask(&["clients", "kick", "c6"]).await, "c6: kicked\n");
    c6.closed().await;
    scene.expect(version, "c6", story.kick).await;

    replace(&mut scene, version, story).await;
}

/// The old connection ends in a task of its own, so that what is told of it may come between any two of the new one's:
/// the two are compared each by itself, once the host has told everything.
async fn replace(scene: &mut Scene, version: Version, story: &Story) {
    let address = scene.host.address;
    let mut old = Raw::client(address, version, "c4").await;
    scene.skip("c4", story.connect_names).await;
    let new = Raw::client(address, version, "c4").await;
    old.closed().await;
    let replaced = lines(version, story.replaced);
    let count = 2 * story.connect_names.len() + replaced.len();
    let of_c4 = |all: &[Arc<Received>]| -> Vec<Arc<Received>> {
        let of_c4 = all.iter().filter(|request| body::subject(&request.json()) == "c4");
        of_c4.cloned().collect()
    };
    let what = format!("{count} webhooks of c4");
    let all = scene
        .sink
        .wait_until(&what, PATIENCE, |all| of_c4(all).len() >= count)
        .await;
    drop(new);
    let mut names = Vec::new();
    let mut ends = Vec::new();
    for request in of_c4(&all).iter().skip(story.connect_names.len()).take(count) {
        let json = request.json();
        match body::name(&json) {
            name if name.contains("disconnected") => ends.push(body::normalised(&request.body)),
            name => names.push(name.to_owned()),
        }
    }
    body::check("the connection that was replaced", &ends, &replaced);
    assert_eq!(names, story.connect_names, "the new connection");
}

macro_rules! in_both_versions {
    ($($name:ident: $story:expr),* $(,)?) => {
        $(mod $name {
            use super::*;

            #[tokio::test]
            async fn mqtt_3_1_1() {
                play(Version::V311, &$story).await;
            }

            #[tokio::test]
            async fn mqtt_5() {
                play(Version::V5, &$story).await;
            }
        })*
    };
}

in_both_versions!(emqx4: EMQX4, emqx4_as_documented: EMQX4_PAGE, emqx5: EMQX5, nanomq: NANOMQ);

/// A client id for each version.
fn id(version: Version) -> &'static str {
    match version {
        Version::V311 => "v311",
        Version::V5 => "v5",
    }
}

#[tokio::test]
async fn clauses_of_sql_choose_events_and_columns() {
    let rules = r#"
        [webhook]
        format = "emqx5"

        [[webhook.rule.message_publish]]
        action = "hot"
        topics = ["sensors/+/temp"]
        select = "payload.t as temperature, clientid, topic, metadata.rule_id as rule"
        where = "temperature > 30 and topic =~ 'sensors/#'"
        headers = { "X-Temp" = "${temperature} C" }

        [[webhook.rule.message_publish]]
        where = "payload.t <= 30"
        body = '{"cold": "${clientid}", "t": ${payload.t}, "none": "${payload.x}"}'
        method = "put"

        [[webhook.rule.client_disconnected]]
        format = "nanomq"
        action = "gone"
        where = "reason = 'normal' and proto_ver = 5"
    "#;
    let mut scene = Scene::with(Setup::new().config(rules)).await;
    for version in [Version::V311, Version::V5] {
        let mut client = Raw::client(scene.host.address, version, id(version)).await;
        // The third is no JSON: whoever asks what is inside gets nothing.
        for (id, payload) in [(1, r#"{"t": 31.5}"#), (2, r#"{"t": 3}"#), (3, "cold"), (4, "{}")] {
            client.publish(version, "sensors/k/temp", id, payload.as_bytes()).await;
        }
        client.publish(version, "other", 5, br#"{"t": 99}"#).await;
        client.disconnect().await;
    }
    scene.host.stop().await;
    let sent = |version: Version| -> Vec<(String, String)> {
        let requests = scene.sink.requests();
        let of_version = requests.iter().filter(|request| request.body.contains(id(version)));
        of_version
            .map(|request| (request.method.clone(), request.body.clone()))
            .collect()
    };
    for version in [Version::V311, Version::V5] {
        let mut expected = vec![
            (
                "POST",
                r#"{"topic":"sensors/k/temp","temperature":31.5,"rule":"hot","clientid":"$id"}"#,
            ),
            ("PUT", r#"{"cold": "$id", "t": 3, "none": "undefined"}"#),
        ];
        if version == Version::V5 {
            let gone = r#"{"reason":"normal","username":"undefined","clientid":"$id","action":"gone"}"#;
            expected.push(("POST", gone));
        }
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(method, body)| (method.to_owned(), body.replace("$id", id(version))))
            .collect();
        assert_eq!(sent(version), expected);
    }
    let hot = scene.sink.requests();
    let hot = hot.iter().find(|request| request.body.contains("31.5")).unwrap();
    assert_eq!(hot.header("x-temp"), Some("31.5 C"));
}

const EMQX4: Story = Story {
    settings: "format = \"emqx4\"",
    connect: r#"
        {"username":"u1","proto_ver":$ver,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","clientid":"c1","action":"client_connect"}
        {"username":"u1","proto_ver":$ver,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","connected_at":<ms>,"conn_ack":"success","clientid":"c1","action":"client_connack"}
        {"username":"u1","proto_ver":$ver,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","connected_at":<ms>,"clientid":"c1","action":"client_connected"}
    "#,
    disconnect: r#"
        {"username":"u1","reason":"normal","node":"hookhost@127.0.0.1","disconnected_at":<ms>,"connected_at":<ms>,"clientid":"c1","action":"client_disconnected"}
        {"username":"u1","reason":"normal","node":"hookhost@127.0.0.1","clientid":"c1","action":"session_terminated"}
    "#,
    refused: r#"
        {"username":null,"proto_ver":$ver,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","clientid":"clientid-too-long","action":"client_connect"}
        {"username":null,"proto_ver":$ver,"node":"hookhost@127.0.0.1","keepalive":60,"ipaddress":"127.0.0.1","conn_ack":"client_identifier_not_valid","clientid":"clientid-too-long","action":"client_connack"}
    "#,
    connect_names: &["client_connect", "client_connack", "client_connected"],
    subscribe: r#"
        {"username":null,"topic":"t/#","opts":{"rh":0,"rap":0,"qos":1,"nl":0},"node":"hookhost@127.0.0.1","clientid":"c2","action":"client_subscribe"}
        {"username":null,"topic":"t/#","opts":{"sub_props":{},"rh":0,"rap":0,"qos":1,"nl":0,"is_new":true},"node":"hookhost@127.0.0.1","clientid":"c2","action":"session_subscribed"}
        {"username":null,"topic":"s/+","opts":{"share":"g","rh":0,"rap":0,"qos":1,"nl":0},"node":"hookhost@127.0.0.1","clientid":"c2","action":"client_subscribe"}
        {"username":null,"topic":"s/+","opts":{"sub_props":{},"share":"g","rh":0,"rap":0,"qos":1,"nl":0,"is_new":true},"node":"hookhost@127.0.0.1","clientid":"c2","action":"session_subscribed"}
    "#,
    publish: [
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":0,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}"#,
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}"#,
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":2,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}"#,
    ],
    deliver: [
        r#"{"username":null,"ts":<ms>,"topic":"t/1","retain":false,"qos":0,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_delivered"}"#,
        r#"
        {"username":null,"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_delivered"}
        {"username":null,"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_acked"}
        "#,
        // The subscription has QoS 1.
        r#"
        {"username":null,"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_delivered"}
        {"username":null,"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"payload":"hello","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_acked"}
        "#,
    ],
    publish_shared: r#"{"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"payload":"shared","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}"#,
    deliver_shared: r#"
        {"username":null,"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"payload":"shared","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_delivered"}
        {"username":null,"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"payload":"shared","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_acked"}
    "#,
    nobody: r#"
        {"ts":<ms>,"topic":"nobody","retain":false,"qos":1,"payload":"x","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}
        {"ts":<ms>,"topic":"nobody","retain":false,"reason":"no_subscribers","qos":1,"payload":"x","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_dropped"}
    "#,
    unsubscribe: r#"
        {"username":null,"topic":"t/#","opts":{},"node":"hookhost@127.0.0.1","clientid":"c2","action":"client_unsubscribe"}
        {"username":null,"topic":"t/#","node":"hookhost@127.0.0.1","clientid":"c2","action":"session_unsubscribed"}
    "#,
    publish_retained: r#"
        {"ts":<ms>,"topic":"r/1","retain":true,"qos":1,"payload":"kept","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_publish"}
        {"ts":<ms>,"topic":"r/1","retain":true,"reason":"no_subscribers","qos":1,"payload":"kept","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","action":"message_dropped"}
    "#,
    deliver_retained: r#"
        {"username":null,"topic":"r/#","opts":{"rh":0,"rap":0,"qos":0,"nl":0},"node":"hookhost@127.0.0.1","clientid":"c2","action":"client_subscribe"}
        {"username":null,"topic":"r/#","opts":{"sub_props":{},"rh":0,"rap":0,"qos":0,"nl":0,"is_new":true},"node":"hookhost@127.0.0.1","clientid":"c2","action":"session_subscribed"}
        {"username":null,"ts":<ms>,"topic":"r/1","retain":true,"qos":0,"payload":"kept","node":"hookhost@127.0.0.1","from_username":"u1","from_client_id":"c1","clientid":"c2","action":"message_delivered"}
    "#,
    will: r#"
        {"ts":<ms>,"topic":"w","retain":false,"qos":0,"payload":"gone","node":"hookhost@127.0.0.1","from_username":null,"from_client_id":"c3","action":"message_publish"}
        {"ts":<ms>,"topic":"w","retain":false,"reason":"no_subscribers","qos":0,"payload":"gone","node":"hookhost@127.0.0.1","from_username":null,"from_client_id":"c3","action":"message_dropped"}
        {"username":null,"reason":"tcp_closed","node":"hookhost@127.0.0.1","disconnected_at":<ms>,"connected_at":<ms>,"clientid":"c3","action":"client_disconnected"}
        {"username":null,"reason":"tcp_closed","node":"hookhost@127.0.0.1","clientid":"c3","action":"session_terminated"}
    "#,
    // EMQX 4 says nothing about it.
    replaced: "",
    timeout: r#"
        {"username":null,"reason":"keepalive_timeout","node":"hookhost@127.0.0.1","disconnected_at":<ms>,"connected_at":<ms>,"clientid":"c5","action":"client_disconnected"}
        {"username":null,"reason":"keepalive_timeout","node":"hookhost@127.0.0.1","clientid":"c5","action":"session_terminated"}
    "#,
    kick: r#"
        {"username":null,"reason":"kicked","node":"hookhost@127.0.0.1","disconnected_at":<ms>,"connected_at":<ms>,"clientid":"c6","action":"client_disconnected"}
        {"username":null,"reason":"kicked","node":"hookhost@127.0.0.1","clientid":"c6","action":"session_terminated"}
    "#,
};

const EMQX4_PAGE: Story = Story {
    settings: "format = \"emqx4\"\nas_documented = true\npayload_encoding = \"base62\"",
    connect: r#"
        {"action":"client_connect","clientid":"c1","username":"u1","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":$ver}
        {"action":"client_connack","clientid":"c1","username":"u1","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":$ver,"conn_ack":"success"}
        {"action":"client_connected","clientid":"c1","username":"u1","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":$ver,"connected_at":<s>}
    "#,
    disconnect: r#"
        {"action":"client_disconnected","clientid":"c1","username":"u1","reason":"normal"}
        {"action":"session_terminated","clientid":"c1","username":"u1","reason":"normal"}
    "#,
    refused: r#"
        {"action":"client_connect","clientid":"clientid-too-long","username":"undefined","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":$ver}
        {"action":"client_connack","clientid":"clientid-too-long","username":"undefined","ipaddress":"127.0.0.1","keepalive":60,"proto_ver":$ver,"conn_ack":"client_identifier_not_valid"}
    "#,
    connect_names: &["client_connect", "client_connack", "client_connected"],
    subscribe: r#"
        {"action":"client_subscribe","clientid":"c2","username":"undefined","topic":"t/#","opts":{"qos":1}}
        {"action":"session_subscribed","clientid":"c2","username":"undefined","topic":"t/#","opts":{"qos":1}}
        {"action":"client_subscribe","clientid":"c2","username":"undefined","topic":"s/+","opts":{"qos":1}}
        {"action":"session_subscribed","clientid":"c2","username":"undefined","topic":"s/+","opts":{"qos":1}}
    "#,
    publish: [
        r#"{"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":0,"retain":false,"payload":"aGVsbGP","ts":<ms>}"#,
        r#"{"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"aGVsbGP","ts":<ms>}"#,
        r#"{"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":2,"retain":false,"payload":"aGVsbGP","ts":<ms>}"#,
    ],
    deliver: [
        r#"{"action":"message_delivered","clientid":"c2","username":"undefined","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":0,"retain":false,"payload":"aGVsbGP","ts":<ms>}"#,
        r#"
        {"action":"message_delivered","clientid":"c2","username":"undefined","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"aGVsbGP","ts":<ms>}
        {"action":"message_acked","clientid":"c2","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"aGVsbGP","ts":<ms>}
        "#,
        r#"
        {"action":"message_delivered","clientid":"c2","username":"undefined","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"aGVsbGP","ts":<ms>}
        {"action":"message_acked","clientid":"c2","from_client_id":"c1","from_username":"u1","topic":"t/1","qos":1,"retain":false,"payload":"aGVsbGP","ts":<ms>}
        "#,
    ],
    publish_shared: r#"{"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"s/1","qos":1,"retain":false,"payload":"c2hhcmVk","ts":<ms>}"#,
    deliver_shared: r#"
        {"action":"message_delivered","clientid":"c2","username":"undefined","from_client_id":"c1","from_username":"u1","topic":"s/1","qos":1,"retain":false,"payload":"c2hhcmVk","ts":<ms>}
        {"action":"message_acked","clientid":"c2","from_client_id":"c1","from_username":"u1","topic":"s/1","qos":1,"retain":false,"payload":"c2hhcmVk","ts":<ms>}
    "#,
    nobody: r#"
        {"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"nobody","qos":1,"retain":false,"payload":"eA","ts":<ms>}
        {"action":"message_dropped","from_client_id":"c1","from_username":"u1","topic":"nobody","qos":1,"retain":false,"payload":"eA","ts":<ms>,"reason":"no_subscribers"}
    "#,
    unsubscribe: r#"
        {"action":"client_unsubscribe","clientid":"c2","username":"undefined","topic":"t/#"}
        {"action":"session_unsubscribe","clientid":"c2","username":"undefined","topic":"t/#"}
    "#,
    publish_retained: r#"
        {"action":"message_publish","from_client_id":"c1","from_username":"u1","topic":"r/1","qos":1,"retain":true,"payload":"a2VwdA","ts":<ms>}
        {"action":"message_dropped","from_client_id":"c1","from_username":"u1","topic":"r/1","qos":1,"retain":true,"payload":"a2VwdA","ts":<ms>,"reason":"no_subscribers"}
    "#,
    deliver_retained: r#"
        {"action":"client_subscribe","clientid":"c2","username":"undefined","topic":"r/#","opts":{"qos":0}}
        {"action":"session_subscribed","clientid":"c2","username":"undefined","topic":"r/#","opts":{"qos":0}}
        {"action":"message_delivered","clientid":"c2","username":"undefined","from_client_id":"c1","from_username":"u1","topic":"r/1","qos":0,"retain":true,"payload":"a2VwdA","ts":<ms>}
    "#,
    will: r#"
        {"action":"message_publish","from_client_id":"c3","from_username":"undefined","topic":"w","qos":0,"retain":false,"payload":"Z29AuZB","ts":<ms>}
        {"action":"message_dropped","from_client_id":"c3","from_username":"undefined","topic":"w","qos":0,"retain":false,"payload":"Z29AuZB","ts":<ms>,"reason":"no_subscribers"}
        {"action":"client_disconnected","clientid":"c3","username":"undefined","reason":"tcp_closed"}
        {"action":"session_terminated","clientid":"c3","username":"undefined","reason":"tcp_closed"}
    "#,
    replaced: r#"{"action":"client_disconnected","clientid":"c4","username":"undefined","reason":"discarded"}"#,
    timeout: r#"
        {"action":"client_disconnected","clientid":"c5","username":"undefined","reason":"keepalive_timeout"}
        {"action":"session_terminated","clientid":"c5","username":"undefined","reason":"keepalive_timeout"}
    "#,
    kick: r#"
        {"action":"client_disconnected","clientid":"c6","username":"undefined","reason":"kicked"}
        {"action":"session_terminated","clientid":"c6","username":"undefined","reason":"kicked"}
    "#,
};

const NANOMQ: Story = Story {
    settings: "format = \"nanomq\"\npayload_encoding = \"base62\"",
    connect: r#"
        {"proto_ver":$ver,"keepalive":60,"username":"u1","clientid":"c1","action":"client_connect"}
        {"proto_ver":$ver,"keepalive":60,"conn_ack":"success","username":"u1","clientid":"c1","action":"client_connack"}
        {"proto_ver":$ver,"keepalive":60,"connected_at":<ms>,"username":"u1","clientid":"c1","action":"client_connected"}
    "#,
    disconnect: r#"
        {"reason":"normal","username":"u1","clientid":"c1","action":"client_disconnected"}
        {"reason":"normal","username":"u1","clientid":"c1","action":"session_terminated"}
    "#,
    refused: r#"
        {"proto_ver":$ver,"keepalive":60,"username":"undefined","clientid":"clientid-too-long","action":"client_connect"}
        {"proto_ver":$ver,"keepalive":60,"conn_ack":"fail","username":"undefined","clientid":"clientid-too-long","action":"client_connack"}
    "#,
    connect_names: &["client_connect", "client_connack", "client_connected"],
    subscribe: r#"
        {"topic":"t/#","opts":{"qos":1},"username":"undefined","clientid":"c2","action":"client_subscribe"}
        {"topic":"t/#","opts":{"qos":1},"username":"undefined","clientid":"c2","action":"session_subscribed"}
        {"topic":"s/+","opts":{"qos":1},"username":"undefined","clientid":"c2","action":"client_subscribe"}
        {"topic":"s/+","opts":{"qos":1},"username":"undefined","clientid":"c2","action":"session_subscribed"}
    "#,
    publish: [
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":0,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"7tQLFHz"}"#,
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"7tQLFHz"}"#,
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":2,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"7tQLFHz"}"#,
    ],
    deliver: [
        r#"{"ts":<ms>,"topic":"t/1","retain":false,"qos":0,"action":"message_delivered","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"7tQLFHz"}"#,
        r#"
        {"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"action":"message_delivered","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"7tQLFHz"}
        {"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"action":"message_acked","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"7tQLFHz"}
        "#,
        r#"
        {"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"action":"message_delivered","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"7tQLFHz"}
        {"ts":<ms>,"topic":"t/1","retain":false,"qos":1,"action":"message_acked","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"7tQLFHz"}
        "#,
    ],
    publish_shared: r#"{"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"a20SaHjQ"}"#,
    deliver_shared: r#"
        {"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"action":"message_delivered","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"a20SaHjQ"}
        {"ts":<ms>,"topic":"s/1","retain":false,"qos":1,"action":"message_acked","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"a20SaHjQ"}
    "#,
    nobody: r#"{"ts":<ms>,"topic":"nobody","retain":false,"qos":1,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"1w"}"#,
    unsubscribe: r#"
        {"topic":"t/#","username":"undefined","clientid":"c2","action":"client_unsubscribe"}
        {"topic":"t/#","username":"undefined","clientid":"c2","action":"session_unsubscribed"}
    "#,
    publish_retained: r#"{"ts":<ms>,"topic":"r/1","retain":true,"qos":1,"action":"message_publish","from_username":"u1","from_client_id":"c1","payload":"1xwD6C"}"#,
    deliver_retained: r#"
        {"topic":"r/#","opts":{"qos":0},"username":"undefined","clientid":"c2","action":"client_subscribe"}
        {"topic":"r/#","opts":{"qos":0},"username":"undefined","clientid":"c2","action":"session_subscribed"}
        {"ts":<ms>,"topic":"r/1","retain":true,"qos":0,"action":"message_delivered","from_username":"u1","from_client_id":"c1","username":"undefined","clientid":"c2","payload":"1xwD6C"}
    "#,
    will: r#"
        {"ts":<ms>,"topic":"w","retain":false,"qos":0,"action":"message_publish","from_username":"undefined","from_client_id":"c3","payload":"1tRNMz"}
        {"reason":"normal","username":"undefined","clientid":"c3","action":"client_disconnected"}
        {"reason":"tcp_closed","username":"undefined","clientid":"c3","action":"session_terminated"}
    "#,
    replaced: r#"{"reason":"normal","username":"undefined","clientid":"c4","action":"client_disconnected"}"#,
    timeout: r#"
        {"reason":"normal","username":"undefined","clientid":"c5","action":"client_disconnected"}
        {"reason":"keepalive_timeout","username":"undefined","clientid":"c5","action":"session_terminated"}
    "#,
    kick: r#"
        {"reason":"normal","username":"undefined","clientid":"c6","action":"client_disconnected"}
        {"reason":"kicked","username":"undefined","clientid":"c6","action":"session_terminated"}
    "#,
};

const EMQX5: Story = Story {
    settings: "format = \"emqx5\"",
    connect: r#"
        {"username":"u1","timestamp":<ms>,"reason_code":"success","peername":"<addr>","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authenticated"},"is_superuser":false,"is_anonymous":true,"event":"client.check_authn_complete","clientid":"c1","client_attrs":{}}
        {"username":"u1","timestamp":<ms>,"sockname":"<addr>","reason_code":"success","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_connack"},"keepalive":60,"expiry_interval":0,"event":"client.connack","conn_props":{"User-Property":{}},"clientid":"c1","clean_start":true}
        {"username":"u1","timestamp":<ms>,"sockname":"<addr>","receive_maximum":128,"proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"hookhost@127.0.0.1","mountpoint":"undefined","metadata":{"rule_id":"client_connected"},"keepalive":60,"is_bridge":false,"expiry_interval":0,"event":"client.connected","connected_at":<ms>,"conn_props":{"User-Property":{}},"clientid":"c1","client_attrs":{},"clean_start":true}
    "#,
    disconnect: r#"
        {"username":"u1","timestamp":<ms>,"sockname":"<addr>","reason":"normal","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_disconnected"},"event":"client.disconnected","disconnected_at":<ms>,"disconn_props":{"User-Property":{}},"connected_at":<ms>,"clientid":"c1","client_attrs":{}}
    "#,
    refused: r#"
        {"username":"undefined","timestamp":<ms>,"sockname":"<addr>","reason_code":"client_identifier_not_valid","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_connack"},"keepalive":60,"expiry_interval":0,"event":"client.connack","conn_props":{"User-Property":{}},"clientid":"clientid-too-long","clean_start":true}
    "#,
    connect_names: &["client.check_authn_complete", "client.connack", "client.connected"],
    subscribe: r#"
        {"username":"undefined","topic":"t/#","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c2","client_attrs":{},"authz_source":"default","action":"subscribe"}
        {"username":"undefined","topic":"t/#","timestamp":<ms>,"sub_props":{"User-Property":{}},"qos":1,"peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"session_subscribed"},"event":"session.subscribed","clientid":"c2","client_attrs":{}}
        {"username":"undefined","topic":"s/+","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c2","client_attrs":{},"authz_source":"default","action":"subscribe"}
        {"username":"undefined","topic":"$share/g/s/+","timestamp":<ms>,"sub_props":{"User-Property":{}},"qos":1,"peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"session_subscribed"},"event":"session.subscribed","clientid":"c2","client_attrs":{}}
    "#,
    publish: [
        r#"
            {"username":"u1","topic":"t/1","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"default","action":"publish"}
            {"username":"u1","topic":"t/1","timestamp":<ms>,"qos":0,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
        "#,
        r#"
            {"username":"u1","topic":"t/1","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"default","action":"publish"}
            {"username":"u1","topic":"t/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
        "#,
        r#"
            {"username":"u1","topic":"t/1","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"default","action":"publish"}
            {"username":"u1","topic":"t/1","timestamp":<ms>,"qos":2,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
        "#,
    ],
    deliver: [
        r#"
            {"username":"undefined","topic":"t/1","timestamp":<ms>,"qos":0,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_delivered"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.delivered","clientid":"c2"}
        "#,
        r#"
            {"username":"undefined","topic":"t/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_delivered"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.delivered","clientid":"c2"}
            {"username":"undefined","topic":"t/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"puback_props":{"User-Property":{}},"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_acked"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.acked","clientid":"c2"}
        "#,
        r#"
            {"username":"undefined","topic":"t/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_delivered"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.delivered","clientid":"c2"}
            {"username":"undefined","topic":"t/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"puback_props":{"User-Property":{}},"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"hello","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_acked"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.acked","clientid":"c2"}
        "#,
    ],
    publish_shared: r#"
        {"username":"u1","topic":"s/1","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"default","action":"publish"}
        {"username":"u1","topic":"s/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"shared","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
    "#,
    deliver_shared: r#"
        {"username":"undefined","topic":"s/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"shared","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_delivered"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.delivered","clientid":"c2"}
        {"username":"undefined","topic":"s/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"puback_props":{"User-Property":{}},"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"shared","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_acked"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":false,"dup":false},"event":"message.acked","clientid":"c2"}
    "#,
    nobody: r#"
        {"username":"u1","topic":"nobody","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"default","action":"publish"}
        {"username":"u1","topic":"nobody","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"x","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
        {"username":"u1","topic":"nobody","timestamp":<ms>,"reason":"no_subscribers","qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"x","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_dropped"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.dropped","clientid":"c1"}
    "#,
    unsubscribe: r#"
        {"username":"undefined","unsub_props":{"User-Property":{}},"topic":"t/#","timestamp":<ms>,"qos":1,"peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"session_unsubscribed"},"event":"session.unsubscribed","clientid":"c2","client_attrs":{}}
    "#,
    publish_retained: r#"
        {"username":"u1","topic":"r/1","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c1","client_attrs":{},"authz_source":"default","action":"publish"}
        {"username":"u1","topic":"r/1","timestamp":<ms>,"qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"kept","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":true,"dup":false},"event":"message.publish","clientid":"c1","client_attrs":{}}
        {"username":"u1","topic":"r/1","timestamp":<ms>,"reason":"no_subscribers","qos":1,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"kept","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_dropped"},"id":"<id>","flags":{"retain":true,"dup":false},"event":"message.dropped","clientid":"c1"}
    "#,
    deliver_retained: r#"
        {"username":"undefined","topic":"r/#","timestamp":<ms>,"result":"allow","peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_authorized"},"event":"client.check_authz_complete","clientid":"c2","client_attrs":{},"authz_source":"default","action":"subscribe"}
        {"username":"undefined","topic":"r/#","timestamp":<ms>,"sub_props":{"User-Property":{}},"qos":0,"peername":"<addr>","peerhost":"127.0.0.1","node":"hookhost@127.0.0.1","metadata":{"rule_id":"session_subscribed"},"event":"session.subscribed","clientid":"c2","client_attrs":{}}
        {"username":"undefined","topic":"r/1","timestamp":<ms>,"qos":0,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"kept","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_delivered"},"id":"<id>","from_username":"u1","from_clientid":"c1","flags":{"retain":true,"dup":false},"event":"message.delivered","clientid":"c2"}
    "#,
    will: r#"
        {"username":"undefined","topic":"w","timestamp":<ms>,"qos":0,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"gone","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_publish"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.publish","clientid":"c3","client_attrs":{}}
        {"username":"undefined","topic":"w","timestamp":<ms>,"reason":"no_subscribers","qos":0,"publish_received_at":<ms>,"pub_props":{"User-Property":{}},"peername":"<addr>","peerhost":"127.0.0.1","payload":"gone","node":"hookhost@127.0.0.1","metadata":{"rule_id":"message_dropped"},"id":"<id>","flags":{"retain":false,"dup":false},"event":"message.dropped","clientid":"c3"}
        {"username":"undefined","timestamp":<ms>,"sockname":"<addr>","reason":"tcp_closed","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_disconnected"},"event":"client.disconnected","disconnected_at":<ms>,"disconn_props":{"User-Property":{}},"connected_at":<ms>,"clientid":"c3","client_attrs":{}}
    "#,
    replaced: r#"
        {"username":"undefined","timestamp":<ms>,"sockname":"<addr>","reason":"discarded","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_disconnected"},"event":"client.disconnected","disconnected_at":<ms>,"disconn_props":{"User-Property":{}},"connected_at":<ms>,"clientid":"c4","client_attrs":{}}
    "#,
    timeout: r#"
        {"username":"undefined","timestamp":<ms>,"sockname":"<addr>","reason":"keepalive_timeout","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_disconnected"},"event":"client.disconnected","disconnected_at":<ms>,"disconn_props":{"User-Property":{}},"connected_at":<ms>,"clientid":"c5","client_attrs":{}}
    "#,
    kick: r#"
        {"username":"undefined","timestamp":<ms>,"sockname":"<addr>","reason":"kicked","proto_ver":$ver,"proto_name":"MQTT","peername":"<addr>","node":"hookhost@127.0.0.1","metadata":{"rule_id":"client_disconnected"},"event":"client.disconnected","disconnected_at":<ms>,"disconn_props":{"User-Property":{}},"connected_at":<ms>,"clientid":"c6","client_attrs":{}}
    "#,
};
