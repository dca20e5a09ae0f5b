//! `acknowledge = "durable"`: what the host has acknowledged is never lost.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hookhost_tests::flow::numbers;
use hookhost_tests::host::{Host, Setup, command, ended};
use hookhost_tests::publishers::{Plan, Publishers, Tally};
use hookhost_tests::sink::{Answer, Sink};
use hookhost_tests::{PATIENCE, body};
use rustix::process::Signal;

/// The engine of the host under test.
#[derive(Debug, Clone, Copy)]
enum Engine {
    Default,
    /// A gateway to this broker.
    Gateway(SocketAddr),
}

/// A host with the state in `data` that acknowledges publishes to `d/#` when their requests are on disk, and other
/// publishes at once.
async fn host(engine: Engine, sink: &Sink, data: &Path, rest: &str) -> Host {
    let config = format!(
        "[data]\ndir = {data:?}\n[delivery]\nretry_initial_interval = \"10ms\"\nretry_max_elapsed_time = \"1h\"\n{rest}\n\
         [webhook]\nurls = [{:?}]\n[webhook.rule]\nmessage_publish = [\n\
         {{ action = \"durable\", topics = [\"d/#\"], acknowledge = \"durable\" }},\n\
         {{ action = \"plain\", topics = [\"p/#\"] }},\n]\n",
        sink.url("/hook")
    );
    let setup = Setup::new().config(&config);
    match engine {
        Engine::Default => setup,
        Engine::Gateway(upstream) => setup
            .env("HOOKHOST_BROKER__ENGINE", "gateway")
            .env("HOOKHOST_BROKER__UPSTREAM", &format!("mqtt://{upstream}")),
    }
    .start()
    .await
}

/// A broker without rules.
async fn upstream() -> Host {
    Setup::new().config("[webhook.rule]\n").start().await
}

async fn kill(host: &mut Host) {
    host.process.signal(Signal::KILL);
    assert_eq!(host.process.wait(PATIENCE).await, None);
}

/// Kills the host under load several times. Every fifth request fails.
async fn acknowledged_publishes_survive_kills(engine: Engine, qos: u8) {
    let sink = Sink::start().await;
    sink.answer(|_, earlier| Answer::Status(if earlier % 5 == 0 { 503 } else { 200 }));
    let data = tempfile::tempdir().unwrap();
    let mut running = host(engine, &sink, data.path(), "").await;
    let plan = Plan {
        qos,
        // Without it the messages of a fast host would take the receiver minutes.
        pause: Duration::from_millis(3),
        ..Plan::default()
    };
    let publishers = Publishers::start(running.address, &plan);
    for round in 1..=3 {
        publishers.go_on(100 * round).await;
        kill(&mut running).await;
        running = host(engine, &sink, data.path(), "").await;
        publishers.move_to(running.address);
    }
    publishers.go_on(100).await;
    let published = publishers.stop().await;
    let total: usize = published.iter().map(|client| client.count as usize).sum();
    let all = sink
        .wait_until("every message", PATIENCE, |all| {
            let accepted = all.iter().filter(|request| request.accepted());
            if all.len() < total {
                return false;
            }
            let distinct: std::collections::BTreeSet<Vec<u8>> =
                accepted.map(|request| body::payload(&request.json())).collect();
            distinct.len() == total
        })
        .await;
    let tally = Tally::of(&published, &numbers(all.iter().filter(|request| request.accepted())));
    println!("{engine:?}, QoS {qos}: {tally}");
    tally.assert_complete();
    running.stop().await;
}

#[tokio::test]
async fn acknowledged_publishes_survive_kills_of_the_default_engine() {
    acknowledged_publishes_survive_kills(Engine::Default, 1).await;
    acknowledged_publishes_survive_kills(Engine::Default, 2).await;
}

#[tokio::test]
async fn acknowledged_publishes_survive_kills_of_a_gateway() {
    let upstream = upstream().await;
    acknowledged_publishes_survive_kills(Engine::Gateway(upstream.address), 1).await;
    acknowledged_publishes_survive_kills(Engine::Gateway(upstream.address), 2).await;
}

#[tokio::test]
async fn durable_rules_need_a_data_folder() {
    for (config, expected) in [
        (
            "[webhook]\nacknowledge = \"durable\"\n",
            "hookhost.toml:2: webhook.acknowledge: \"durable\" needs a data folder: set `dir` in [data] or --data DIR",
        ),
        (
            "[webhook.rule]\nmessage_publish = [\n{ topics = [\"a\"] },\n{ acknowledge = \"durable\" },\n]\n",
            "needs a data folder",
        ),
        (
            "[data]\ndir = \"data\"\n[outbox]\nwhen_full = \"drop-newest\"\n[webhook]\nacknowledge = \"durable\"\n",
            "\"durable\" needs when_full = \"wait\" in [outbox]",
        ),
        (
            "[data]\ndir = \"data\"\n[outbox]\nwhen_full = \"drop-oldest\"\n[webhook]\nacknowledge = \"durable\"\n",
            "\"durable\" needs when_full = \"wait\" in [outbox]",
        ),
        (
            "[data]\ndir = \"data\"\n[outbox]\nsync = \"never\"\n[webhook]\nacknowledge = \"durable\"\n",
            "\"durable\" needs sync = \"always\" or \"interval\" in [outbox]",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hookhost.toml");
        std::fs::write(&path, config).unwrap();
        let mut check = command(dir.path());
        check.args(["check", "--config"]).arg(&path);
        let ended = ended(check).await;
        assert_eq!(ended.code, Some(2), "{config}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{config}: {}", ended.stderr);
    }
}
