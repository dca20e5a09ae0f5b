//! Modules that hosts share in an object store of NATS.

use std::path::Path;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::nats::Nats;
use hookhost_tests::sink::Sink;
use hookhost_tests::{PATIENCE, Version, binary, http};
use rustix::process::Signal;
use serde_json::Value;

/// Where the list of the store has a file: the name in base64.
fn key(name: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE.encode(name)
}

async fn host(nats: &Nats, data: &Path) -> Host {
    let config = format!(
        "[delivery]\noutbox = {:?}\nbreaker = false\n[delivery.nats]\nlease = \"1s\"\n\
         [modules]\nbucket = \"hookhost-modules\"\nrollout_wait = \"1s\"\n",
        nats.url()
    );
    Setup::new().config(&config).arg("--data").arg(data).start().await
}

/// Puts a small file into the store, as `nats object put` does.
async fn put(nats: &Nats, name: &str, content: &str, version: &str) {
    put_with_size(nats, name, content, version, content.len()).await;
}

/// The same with this size in the list of the store.
async fn put_with_size(nats: &Nats, name: &str, content: &str, version: &str, size: usize) {
    use base64::Engine as _;
    use sha2::Digest as _;
    let digest = base64::engine::general_purpose::URL_SAFE.encode(sha2::Sha256::digest(content));
    nats.ask(&format!("$O.hookhost-modules.C.{version}"), content).await;
    let info = serde_json::json!({
        "name": name, "bucket": "hookhost-modules", "nuid": version, "size": size, "chunks": 1,
        "mtime": "0001-01-01T00:00:00Z", "digest": format!("SHA-256={digest}"),
    });
    nats.ask(&format!("$O.hookhost-modules.M.{}", key(name)), &info.to_string())
        .await;
}

fn settings(sink: &Sink, tag: &str) -> String {
    // One line, as the test's client of NATS needs it.
    format!(
        "config = {{ url = {:?}, tag = {tag:?}, topic = \"t/#\" }}",
        sink.url("/hook")
    )
}

/// Publishes to a host until the module there has this tag.
async fn until_tag(host: &Host, sink: &Sink, tag: &str) {
    let mut client = Client::connect(host.address, Version::V5, "c").await;
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let before = sink.count();
        client.publish("t/1", 1, "x").await;
        let all = sink.wait_until("a request", PATIENCE, |all| all.len() > before).await;
        let last: Value = all[all.len() - 1].json();
        if last["tag"] == tag {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{tag}: {last}");
    }
}

/// A change that one of the hosts has put back.
async fn until_put_back(hosts: [(&Host, usize); 2]) {
    let put_back = |line: &str| line.contains("its previous version is put back for all hosts");
    let waits = hosts.map(|(host, mark)| {
        let log = host.log();
        Box::pin(async move { log.wait_after(mark, "the rollback", PATIENCE, put_back).await })
    });
    futures::future::select_all(waits).await;
}

/// Starts two hosts that have the module `probe` with the tag `1`.
async fn two_hosts(nats: &Nats, sink: &Sink, data: &[tempfile::TempDir; 2]) -> (Host, Host) {
    let (one, two) = (host(nats, data[0].path()).await, host(nats, data[1].path()).await);
    put(nats, "probe.toml", &settings(sink, "1"), "v1").await;
    let module = std::fs::read(binary::probe_module()).unwrap();
    let upload = "PUT /api/v1/module-files/probe";
    let uploaded = http::ask_with_bytes(one.admin.unwrap(), upload, "", module).await;
    assert_eq!(uploaded.status, 200, "{uploaded:?}");
    for host in [&one, &two] {
        host.log().wait("the module", PATIENCE, is_active).await;
        until_tag(host, sink, "1").await;
    }
    (one, two)
}

fn is_active(line: &str) -> bool {
    line.contains("module activated") && line.contains("probe")
}

/// A host that cannot use the modules of the bucket.
async fn until_failed(host: &Host, mark: usize, reason: &str) {
    let is_failed = |line: &str| line.contains("the modules of the bucket cannot be used") && line.contains(reason);
    host.log().wait_after(mark, "the failure", PATIENCE, is_failed).await;
}

#[tokio::test]
async fn a_host_that_cannot_write_its_mirror_does_not_keep_the_turn() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let data = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (mut one, mut two) = two_hosts(&nats, &sink, &data).await;
    std::fs::remove_file(data[0].path().join("modules-bucket/current/probe.wasm")).unwrap();
    // The first host takes the turn.
    two.process.signal(Signal::STOP);
    let mark = one.log().mark();
    put(&nats, "probe.toml", &settings(&sink, "2"), "v2").await;
    until_failed(&one, mark, "No such file").await;
    two.process.signal(Signal::CONT);
    until_tag(&two, &sink, "2").await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_read() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let data = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (mut one, mut two) = two_hosts(&nats, &sink, &data).await;
    let mark = one.log().mark();
    put_with_size(&nats, "probe.toml", &settings(&sink, "2"), "v2", 1 << 40).await;
    until_failed(&one, mark, "probe.toml has 1099511627776 bytes; a module has at most").await;
    until_tag(&one, &sink, "1").await;
    // A smaller object takes its place.
    put(&nats, "probe.toml", &settings(&sink, "3"), "v3").await;
    until_tag(&one, &sink, "3").await;
    until_tag(&two, &sink, "3").await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_module_is_put_once_and_a_failing_version_is_rolled_back_on_all_hosts() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let data = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (mut one, mut two) = two_hosts(&nats, &sink, &data).await;
    // Other settings for the same code, on one host after the other.
    put(&nats, "probe.toml", &settings(&sink, "2"), "v2").await;
    until_tag(&one, &sink, "2").await;
    until_tag(&two, &sink, "2").await;
    // A version that does not load changes nothing, and leaves the store.
    let marks = [one.log().mark(), two.log().mark()];
    put(&nats, "probe.toml", &settings(&sink, "refuse"), "v3").await;
    until_put_back([(&one, marks[0]), (&two, marks[1])]).await;
    until_tag(&one, &sink, "2").await;
    until_tag(&two, &sink, "2").await;
    // A version that fails on every event loses none of them.
    let marks = [one.log().mark(), two.log().mark()];
    put(&nats, "probe.toml", &settings(&sink, "always"), "v4").await;
    let before = sink.count();
    let mut clients = [
        Client::connect(one.address, Version::V5, "a").await,
        Client::connect(two.address, Version::V5, "b").await,
    ];
    let mut sent = Vec::new();
    // The first host that uses it puts the previous version back.
    let activations = [(&one, marks[0]), (&two, marks[1])].map(|(host, mark)| {
        let log = host.log();
        Box::pin(async move { log.wait_after(mark, "the failing version", PATIENCE, is_active).await })
    });
    futures::future::select_all(activations).await;
    for _ in 0..50 {
        for client in &mut clients {
            let payload = format!("n{}", sent.len());
            client.publish("t/1", 1, payload.clone()).await;
            sent.push(payload);
        }
    }
    until_put_back([(&one, marks[0]), (&two, marks[1])]).await;
    let all = sink
        .wait_until("all of them", PATIENCE, |all| all.len() >= before + sent.len())
        .await;
    let arrived = all[before..].iter().map(|request| request.json());
    let mut payloads: Vec<String> = arrived
        .map(|body| body["payload"].as_str().unwrap().to_owned())
        .collect();
    payloads.sort();
    sent.sort();
    assert_eq!(payloads, sent);
    until_tag(&one, &sink, "2").await;
    until_tag(&two, &sink, "2").await;
    one.stop().await;
    two.stop().await;
}
