//! The grants of an operator for a module, and the host's defaults, seen from outside.

use std::sync::Arc;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, Version, binary};

fn settings(sink: &Sink, more: &str) -> String {
    let url = sink.url("/hook");
    format!("[config]\nurl = {url:?}\ntag = \"1\"\ntopic = \"t\"\n{more}\n")
}

async fn host(settings: &str) -> Host {
    Setup::new()
        .modules()
        .module_file("probe.toml", settings)
        .module_file("probe.wasm", std::fs::read(binary::probe_module()).unwrap())
        .start()
        .await
}

fn told(all: &[Arc<Received>]) -> Vec<&str> {
    all.iter().map(|request| request.path.as_str()).collect()
}

/// With every host granted, the module reaches no host on this machine, in any notation of the address. It still
/// reaches the host that the configuration names.
#[tokio::test]
async fn an_open_grant_leads_to_no_private_address() {
    let (sink, elsewhere) = (Sink::start().await, Sink::start().await);
    let port = elsewhere.url("").rsplit_once(':').unwrap().1.to_owned();
    let open = format!("[egress]\nallow = [\"http://*:{port}/\", \"https://*/\", \"https://*.internal/\"]");
    let mut host = host(&settings(&sink, &open)).await;
    let mut client = Client::connect(host.address, Version::V311, "c").await;
    let hosts = [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "0177.0.0.1",
        "2130706433",
        "%31%32%37.0.0.1",
        "localhost",
        "LOCALHOST",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
        "user:password@127.0.0.1",
    ];
    for host in hosts {
        client.publish("t", 1, format!("url http://{host}:{port}/stolen")).await;
    }
    client.publish("t", 1, format!("url https://127.0.0.1/{port}")).await;
    client.publish("t", 1, format!("url {}", sink.url("/hook/named"))).await;
    client.publish("t", 1, "the last").await;
    let all = sink.wait_for(2, PATIENCE).await;
    assert_eq!(told(&all), ["/hook/named", "/hook"]);
    for words in ["request dropped: its host is not public", "127.0.0.1 is loopback"] {
        host.log().wait(words, PATIENCE, |line| line.contains(words)).await;
    }
    host.stop().await;
    assert_eq!((elsewhere.count(), sink.count()), (0, 2));
}

#[tokio::test]
async fn an_open_grant_is_written_as_such_or_refused() {
    let sink = Sink::start().await;
    let host = host(&settings(
        &sink,
        "[egress]\nallow = [\"https://a*.example.com/\", \"https://*\"]",
    ))
    .await;
    let line = host
        .log()
        .wait("the mistake", PATIENCE, |line| {
            line.contains("probe.toml:6: egress.allow[0]: ")
        })
        .await;
    assert!(
        line.contains("https://*.example.com/") && !line.contains("egress.allow[1]"),
        "{line}"
    );
}

#[tokio::test]
async fn a_module_that_takes_too_long_to_compile_is_refused_and_holds_nobody_up() {
    let sink = Sink::start().await;
    let host = host(&settings(&sink, "")).await;
    let mut client = Client::connect(host.address, Version::V311, "c").await;
    client.publish("t", 1, "1").await;
    sink.wait_for(1, PATIENCE).await;
    // Code without a cache entry: a custom section with a number that is new each time.
    let mut code = std::fs::read(binary::probe_module()).unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let unique = now.as_nanos().to_le_bytes();
    code.extend([0, 2 + unique.len() as u8, 1, b'u']);
    code.extend(unique);
    host.drop_module("other.toml", settings(&sink, "[limits]\ncompile_time = \"1ms\""));
    host.drop_module("other.wasm", &code);
    let words = "other.wasm was not compiled within 1ms (limits.compile_time)";
    host.log().wait(words, PATIENCE, |line| line.contains(words)).await;
    client.publish("t", 1, "2").await;
    sink.wait_for(2, PATIENCE).await;
    // With a longer limit it is compiled and becomes active.
    host.drop_module("other.toml", settings(&sink, "[limits]\ncompile_time = \"1m\""));
    let is_in_force = |line: &str| line.contains("module activated") && line.contains("other");
    host.log().wait("the module", 4 * PATIENCE, is_in_force).await;
    client.publish("t", 1, "3").await;
    sink.wait_for(4, PATIENCE).await;
}

#[tokio::test]
async fn a_module_may_be_too_large() {
    let sink = Sink::start().await;
    let host = Setup::new()
        .env("HOOKHOST_WASM__MODULE_SIZE", "20KiB")
        .modules()
        .module_file("probe.toml", settings(&sink, ""))
        .module_file("probe.wasm", std::fs::read(binary::probe_module()).unwrap())
        .start()
        .await;
    let words = "bytes; the limit is 20480";
    let line = host.log().wait(words, PATIENCE, |line| line.contains(words)).await;
    assert!(line.contains("probe.wasm has "), "{line}");
}
