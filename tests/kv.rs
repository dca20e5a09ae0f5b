//! The state of modules over restarts of the real binary.

use std::path::Path;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup, command};
use hookhost_tests::process::Process;
use hookhost_tests::sink::Sink;
use hookhost_tests::{PATIENCE, Version, binary};
use rustix::process::Signal;

async fn host(sink: &Sink, data: Option<&Path>) -> Host {
    let settings = format!("[config]\nurl = {:?}\ntag = \"1\"\ntopic = \"t\"\n", sink.url("/"));
    let mut setup = Setup::new();
    if let Some(data) = data {
        setup = setup.arg("--data").arg(data);
    }
    setup
        .modules()
        .module_file("probe.toml", settings)
        .module_file("probe.wasm", std::fs::read(binary::probe_module()).unwrap())
        .start()
        .await
}

/// Makes the probe count once more and returns the count.
async fn count(host: &Host, sink: &Sink) -> u64 {
    let before = sink.count();
    let mut client = Client::connect(host.address, Version::V311, "c").await;
    client.publish("t", 1, "count").await;
    let all = sink.wait_for(before + 1, PATIENCE).await;
    client.disconnect().await;
    all[before].json()["payload"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_a_module_keeps_survives_a_restart_only_in_a_data_folder() {
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    for first in [1, 3] {
        let mut host = host(&sink, Some(data.path())).await;
        assert_eq!(count(&host, &sink).await, first);
        assert_eq!(count(&host, &sink).await, first + 1);
        host.stop().await;
    }
    for _ in 0..2 {
        let mut host = host(&sink, None).await;
        assert_eq!(count(&host, &sink).await, 1);
        host.stop().await;
    }
}

#[tokio::test]
async fn a_host_that_is_killed_leaves_a_file_that_the_next_one_takes() {
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut last = 0;
    for _ in 0..3 {
        let mut host = host(&sink, Some(data.path())).await;
        let first = count(&host, &sink).await;
        assert!((1..=last + 1).contains(&first), "{first} after {last}");
        for next in first + 1..first + 20 {
            last = count(&host, &sink).await;
            assert_eq!(last, next);
        }
        host.process.signal(Signal::KILL);
        assert_eq!(host.process.wait(PATIENCE).await, None);
    }
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_ends_the_start_with_its_name() {
    let sink = Sink::start().await;
    let dir = tempfile::tempdir().unwrap();
    let refused = async |data: &Path, words: &[&str]| {
        let mut command = command(dir.path());
        command.args(["run", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let mut process = Process::start(command);
        assert_eq!(process.wait(PATIENCE).await, Some(1));
        let said = process
            .stderr
            .wait("error", PATIENCE, |line| line.starts_with("error: "))
            .await;
        for word in words {
            assert!(said.contains(word), "{word} in {said}");
        }
    };
    let data = dir.path().join("data");
    let host = host(&sink, Some(&data)).await;
    refused(&data, &["data/kv.redb", "is in use by another hookhost"]).await;
    assert_eq!(count(&host, &sink).await, 1, "the first one goes on");
    drop(host);

    let foreign = dir.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("kv.redb"), "something else entirely").unwrap();
    refused(&foreign, &["foreign/kv.redb cannot be used", "move it away"]).await;
    std::fs::write(dir.path().join("file"), "").unwrap();
    refused(&dir.path().join("file"), &["file cannot be created", "File exists"]).await;
}
