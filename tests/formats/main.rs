//! One client script, and the bodies of each broker's format for it: every step is compared with literal bodies.
//!
//! The script is the same for all formats and both versions of MQTT. A [`Story`] has the expectations of one format.
//! Steps for which a broker sends nothing are empty. `$…` marks the differences between the versions, `<…>` those
//! between runs.

mod bodies;
mod clauses;

use std::sync::Arc;

use hookhost_tests::client::Client;
use hookhost_tests::host::Setup;
use hookhost_tests::packet::{self, Connect, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::scene::{Scene, lines};
use hookhost_tests::sink::Received;
use hookhost_tests::{PATIENCE, Version, body};

use bodies::{EMQX4, EMQX4_PAGE, EMQX5, NANOMQ};

/// The bodies of one format for the script.
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
    /// The deliveries to `c2`.
    deliver: [&'static str; 3],
    /// A publish of `c1` to `s/1`, which the group receives.
    publish_shared: &'static str,
    deliver_shared: &'static str,
    /// A publish of `c1` with QoS 1 to a topic without subscribers.
    nobody: &'static str,
    /// `c2` unsubscribes from `t/#`.
    unsubscribe: &'static str,
    /// `c1` publishes a retained message, and `c2` subscribes to it.
    publish_retained: &'static str,
    deliver_retained: &'static str,
    /// `c3`, with a will for `w`, disconnects without DISCONNECT.
    will: &'static str,
    /// A second connection of `c4` takes over from the first: the bodies for the first connection.
    replaced: &'static str,
    /// `c5` exceeds its keep alive.
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
        properties: &[],
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

/// The old connection ends in its own task, so its bodies may come between any two of the new one. The test compares
/// each connection separately, after the host has sent everything.
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
