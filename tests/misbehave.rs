//! A misbehaving module affects only itself. Another module continues to deliver, MQTT clients continue to work, the
//! host keeps its memory, and its log reports the fault.
//!
//! Each scene has two modules for the same events: the built-in module and `tests/guests/probe`, which does what
//! payloads request.

use std::sync::Arc;
use std::time::SystemTime;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, Version, binary, body};

const V: Version = Version::V311;

/// Limit of the host's growth after all calls of the module. A few instances with the probe's 64 MiB would exceed it.
const GROWTH_KB: u64 = 128 << 10;

struct Scene {
    sink: Sink,
    host: Host,
    client: Client,
    resident: u64,
    /// Payloads published so far. The built-in module has to deliver all of them.
    published: Vec<String>,
}

fn probe_settings(sink: &Sink, tag: &str, limits: &str) -> String {
    let url = sink.url("/probe");
    format!("[config]\nurl = {url:?}\ntag = {tag:?}\ntopic = \"t/#\"\n[limits]\nmemory = \"64MiB\"\n{limits}\n")
}

fn probe() -> Vec<u8> {
    std::fs::read(binary::probe_module()).unwrap()
}

/// The payloads that arrived at a path, in order.
fn arrived(all: &[Arc<Received>], path: &str) -> Vec<String> {
    let at_path = all.iter().filter(|request| request.path == path);
    at_path
        .map(|request| match path {
            "/webhook" => String::from_utf8(body::payload(&request.json())).unwrap(),
            _ => request.json()["payload"].as_str().unwrap().to_owned(),
        })
        .collect()
}

impl Scene {
    async fn start(tag: &str, limits: &str) -> Scene {
        let sink = Sink::start().await;
        let webhook = format!(
            "[config]\nurls = [{:?}]\nrule.message_publish = [{{ action = \"x\", topics = [\"t/#\"] }}]\n",
            sink.url("/webhook")
        );
        let host = Setup::new()
            .modules()
            .module_file("webhook.toml", webhook)
            .module_file("probe.toml", probe_settings(&sink, tag, limits))
            .module_file("probe.wasm", probe())
            .start()
            .await;
        let client = Client::connect(host.address, V, "c1").await;
        let mut scene = Scene {
            sink,
            host,
            client,
            resident: 0,
            published: Vec::new(),
        };
        scene.tell("first").await;
        scene.wait_for("/webhook", "first").await;
        scene.resident = scene.host.resident();
        scene
    }

    async fn tell(&mut self, payload: &str) {
        self.client.publish("t/1", 1, payload).await;
        self.published.push(payload.to_owned());
    }

    async fn wait_for(&self, path: &str, payload: &str) {
        let what = format!("{payload} at {path}");
        // Events of one client arrive in order, so the last one arrives last.
        let is_there = |all: &[Arc<Received>]| {
            let last = all.iter().rev().find(|request| request.path == path);
            last.is_some_and(|request| arrived(std::slice::from_ref(request), path) == [payload])
        };
        self.sink.wait_until(&what, PATIENCE, is_there).await;
    }

    /// The log reports the fault.
    async fn fault(&self, words: &str) -> String {
        let is_it = |line: &str| line.contains(words);
        self.host.log().wait(words, PATIENCE, is_it).await
    }

    /// All other parts are unharmed, and so is the probe itself, if it is expected to continue.
    async fn all_is_well(&mut self, probe_goes_on: bool) {
        let last = format!("after {}", self.published.len());
        self.tell(&last).await;
        if probe_goes_on {
            self.wait_for("/probe", &last).await;
        }
        self.wait_for("/webhook", &last).await;
        assert_eq!(
            arrived(&self.sink.requests(), "/webhook"),
            self.published,
            "every event, once, in order"
        );

        let mut other = Client::connect(self.host.address, V, "other").await;
        other.subscribe("echo", 1).await;
        self.client.publish("echo", 1, last.clone()).await;
        assert_eq!(other.message().await.payload, last.as_bytes());
        other.disconnect().await;

        let resident = self.host.resident();
        assert!(
            resident < self.resident + GROWTH_KB,
            "the host has {resident} kB, and had {} kB before",
            self.resident
        );
    }
}

/// One bad payload among good ones. The probe delivers the good ones and continues.
async fn one_bad_event(payload: &str, words: &str) {
    let mut scene = Scene::start("1", "deadline = \"1s\"").await;
    scene.tell("good").await;
    scene.tell(payload).await;
    scene.tell("good as well").await;
    scene.fault(words).await;
    scene.all_is_well(true).await;
    let expected: Vec<_> = scene
        .published
        .iter()
        .filter(|told| *told != payload)
        .cloned()
        .collect();
    assert_eq!(arrived(&scene.sink.requests(), "/probe"), expected);
    scene.host.stop().await;
}

#[tokio::test]
async fn a_panic() {
    one_bad_event("panic", "told to panic").await;
}

#[tokio::test]
async fn a_panic_makes_one_line_with_the_command_to_look_further() {
    let mut scene = Scene::start("1", "").await;
    scene.tell("panic").await;
    scene.fault("told to panic").await;
    scene.all_is_well(true).await;
    scene.host.stop().await;
    let lines = scene.host.log().lines();
    let about: Vec<&String> = lines.iter().filter(|line| line.contains("panic")).collect();
    assert_eq!(about.len(), 1, "{about:#?}");
    assert!(about[0].contains("hookhost quarantine show 1"), "{about:#?}");
}

#[tokio::test]
async fn an_endless_loop() {
    one_bad_event("loop", "the module did not answer within 1s").await;
}

#[tokio::test]
async fn an_hour_of_sleep() {
    one_bad_event("sleep", "the module did not answer within 1s").await;
}

#[tokio::test]
async fn a_stack_that_overflows() {
    one_bad_event("overflow", "the module trapped: ").await;
}

#[tokio::test]
async fn an_exit() {
    one_bad_event("exit", "Exited with i32 exit status").await;
}

#[tokio::test]
async fn hunger_for_memory() {
    one_bad_event("grow", "the module needs more than 67108864 bytes of memory").await;
}

#[tokio::test]
async fn a_body_that_is_too_large() {
    one_bad_event("huge 30", "(at most 8388608 bytes in all)").await;
}

#[tokio::test]
async fn too_many_requests_of_one_event() {
    one_bad_event("many 200000", "bytes").await;
}

#[tokio::test]
async fn calls_of_the_log_without_end() {
    let mut scene = Scene::start("1", "deadline = \"1s\"").await;
    scene.tell("flood the log").await;
    scene.fault("the module did not answer within 1s").await;
    scene.all_is_well(true).await;
    let lines = scene.host.log().lines();
    let flood = lines.iter().filter(|line| line.contains("flood ")).count();
    assert!(
        (1..1000).contains(&flood),
        "{flood} lines of the flood, of at least two seconds"
    );
}

#[tokio::test]
async fn calls_of_kv_without_end() {
    let mut scene = Scene::start("1", "deadline = \"1s\"").await;
    scene.tell("count").await;
    scene.tell("flood kv").await;
    scene.fault("the module did not answer within 1s").await;
    // The writes of the flood are rolled back, so the store has free space again.
    scene.tell("count").await;
    scene.wait_for("/probe", "2").await;
    scene.all_is_well(true).await;
}

#[tokio::test]
async fn a_module_that_traps_on_everything() {
    let mut scene = Scene::start("always", "").await;
    for number in 0..200 {
        scene.tell(&number.to_string()).await;
    }
    scene.fault("told to panic always").await;
    scene.all_is_well(false).await;
    assert_eq!(arrived(&scene.sink.requests(), "/probe"), [] as [&str; 0]);
    scene.host.stop().await;
}

/// New settings that crash the probe. The previous version keeps running, also during the load.
async fn bad_settings(tag: &str, limits: &str, words: &str) {
    let mut scene = Scene::start("1", "").await;
    let mark = scene.host.log().mark();
    scene
        .host
        .drop_module("probe.toml", probe_settings(&scene.sink, tag, limits));
    let (log, wanted) = (scene.host.log().clone(), words.to_owned());
    let rejected = tokio::spawn(async move {
        let is_it = |line: &str| line.contains("the previous version keeps running") && line.contains(&wanted);
        log.wait_after(mark, &wanted, PATIENCE, is_it).await
    });
    let mut number = 0;
    while !rejected.is_finished() {
        scene.tell(&number.to_string()).await;
        number += 1;
    }
    rejected.await.unwrap();
    scene.all_is_well(true).await;
    let requests = scene.sink.requests();
    let tags = requests
        .iter()
        .filter(|request| request.path == "/probe")
        .map(|request| request.json()["tag"].clone());
    assert!(tags.into_iter().all(|tag| tag == "1"), "the generation before");
    assert_eq!(arrived(&requests, "/probe"), scene.published, "all of them");
}

#[tokio::test]
async fn a_configure_that_hangs() {
    bad_settings("hang", "start_deadline = \"1s\"", "the module did not answer within 1s").await;
}

#[tokio::test]
async fn a_configure_that_takes_all_memory() {
    bad_settings("bomb", "", "the module needs more than 67108864 bytes of memory").await;
}

#[tokio::test]
async fn memory_for_less_than_the_module_itself() {
    bad_settings(
        "1",
        "queue_events = 5\ntable_elements = 1",
        "the module needs more than 1 table elements",
    )
    .await;
}

#[tokio::test]
async fn a_slow_start_is_no_fault() {
    let mut scene = Scene::start("1", "").await;
    scene
        .host
        .drop_module("probe.toml", probe_settings(&scene.sink, "slow", ""));
    let is_slow = |all: &[Arc<Received>]| {
        let last = all.iter().rev().find(|request| request.path == "/probe");
        last.is_some_and(|request| request.json()["tag"] == "slow")
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_slow(&scene.sink.requests()) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the new settings never came into force"
        );
        scene.tell("meanwhile").await;
    }
    scene.all_is_well(true).await;
    assert_eq!(
        arrived(&scene.sink.requests(), "/probe"),
        scene.published,
        "by one or by the other"
    );
}

/// Replaces a text by one of the same length, everywhere.
fn patched(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = probe();
    let mut at = 0;
    let mut found = 0;
    while let Some(next) = bytes[at..]
        .windows(from.len())
        .position(|window| window == from.as_bytes())
    {
        at += next;
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        found += 1;
    }
    assert!(found > 0, "no {from} in the probe");
    bytes
}

#[tokio::test]
async fn components_for_another_world() {
    let mut scene = Scene::start("1", "").await;
    let whole = probe();
    // The allocator keeps the memory of compiling for later use. The first code without a cache entry is therefore not
    // counted. All other loads together must stay within the limit.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let unique = [&[0, 18, 1, b'u'][..], &now.as_nanos().to_le_bytes()].concat();
    let mark = scene.host.log().mark();
    scene.host.drop_module("probe.wasm", [&whole[..], &unique].concat());
    let in_force = |line: &str| line.contains("module activated") && line.contains("generation=2");
    scene
        .host
        .log()
        .wait_after(mark, "the other file", 4 * PATIENCE, in_force)
        .await;
    scene.resident = scene.host.resident();
    for (bytes, words) in [
        (
            patched("hookhost:hook/handler@0.1.0", "hookhost:hook/handler@0.2.0"),
            "this module was built for hookhost:hook/handler@0.2.0; this host serves hookhost:hook@0.1.0",
        ),
        (
            patched("hookhost:hook/handler@0.1.0", "hookhost:hook/handles@0.1.0"),
            "this component does not export hookhost:hook/handler@0.1.0, only",
        ),
        (
            patched("hookhost:hook/kv@0.1.0", "hookhost:hook/kw@0.1.0"),
            "this module imports hookhost:hook/kw@0.1.0, which is not available",
        ),
        (
            patched("wasi:clocks/monotonic-clock@", "wasi:clacks/monotonic-clock@"),
            "this module imports wasi:clacks/monotonic-clock@",
        ),
        (
            b"\0asm\x01\0\0\0".to_vec(),
            "this is a core WebAssembly module, not a component",
        ),
        (
            b"\x7fELF\x02\x01\x01".to_vec(),
            "this is not WebAssembly but compiled machine code",
        ),
        (whole[..whole.len() / 2].to_vec(), "this component cannot be compiled"),
        (Vec::new(), "this is not WebAssembly but an empty file"),
    ] {
        let mark = scene.host.log().mark();
        scene.host.drop_module("probe.wasm", bytes);
        let is_it =
            |line: &str| line.contains("module not loaded; the previous version keeps running") && line.contains(words);
        scene.host.log().wait_after(mark, words, 4 * PATIENCE, is_it).await;
        scene.all_is_well(true).await;
    }
    assert_eq!(arrived(&scene.sink.requests(), "/probe"), scene.published);
}

#[tokio::test]
async fn hostile_requests() {
    let mut scene = Scene::start("1", "").await;
    let elsewhere = Sink::start().await;
    let (there, here) = (elsewhere.url(""), scene.sink.url(""));
    let authority = here.strip_prefix("http://").unwrap().to_owned();
    let there_authority = there.strip_prefix("http://").unwrap().to_owned();
    let refused = [
        there.clone(),
        format!("{there}/probe"),
        format!("http://{authority}@{there_authority}/probe"),
        format!("http://{authority}:x@{there_authority}/probe"),
        format!("http:\\\\{authority}@{there_authority}\\probe"),
        format!("http://{there_authority}#@{authority}/probe"),
        format!("http://{there_authority}\\@{authority}/probe"),
        format!("{here}/secret"),
        format!("{here}/probes"),
        format!("{here}/probe/../secret"),
        format!("{here}/probe/%2e%2e/secret"),
        format!("{here}/probe/.%2E/secret"),
        format!("{here}/probe/..%2fsecret"),
        format!("{here}/probe/..%5csecret"),
        format!("{here}/probe%00"),
        format!("{here}/probe%2f..%2fsecret"),
        format!("https://{authority}/probe"),
        "file:///tmp/hookhost-stolen".to_owned(),
        "file:///proc/self/environ".to_owned(),
        "stdout:".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        "javascript:alert(1)".to_owned(),
        "data:text/plain,x".to_owned(),
        "unix:///run/docker.sock".to_owned(),
        "http://".to_owned(),
        "//evil/".to_owned(),
        " ".to_owned(),
        "\0".to_owned(),
        "http://[::1".to_owned(),
        format!("http://{}/", "a".repeat(100_000)),
        // Granted, but larger than any receiver accepts.
        format!("{here}/probe/{}", "a".repeat(100_000)),
    ];
    for url in &refused {
        scene.tell(&format!("url {url}")).await;
    }
    for header in [
        "x=1\r\nevil: 1",
        "x=1\nevil: 1",
        "x\r\nevil: 1=1",
        "x=\0",
        "=1",
        "a b=1",
        "é=1",
        "x:=1",
    ] {
        scene.tell(&format!("header {header}")).await;
    }
    // Harmless text is sent in a harmless form.
    scene.tell(&format!("url {here}/probe?a\r\nevil: 1")).await;
    scene.tell("header content-length=3").await;
    scene.tell("header transfer-encoding=chunked").await;
    scene.tell("header connection=close\u{fc}").await;
    scene.fault("request refused").await;
    scene.fault("request dropped: not valid").await;

    scene.tell("the last").await;
    let is_last = |all: &[Arc<Received>]| {
        all.iter()
            .any(|request| request.path == "/probe" && request.body.contains("the last"))
    };
    let all = scene.sink.wait_until("the last", PATIENCE, is_last).await;
    assert_eq!(elsewhere.count(), 0);
    let probe: Vec<_> = all.iter().filter(|request| request.path != "/webhook").collect();
    let paths: Vec<_> = probe.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(
        paths,
        ["/probe", "/probe?aevil:%201", "/probe", "/probe", "/probe", "/probe"]
    );
    for request in &probe {
        assert_eq!(request.header("evil"), None);
        assert_eq!(
            request.header("content-length"),
            Some(request.body.len().to_string().as_str())
        );
        assert_eq!(request.header("transfer-encoding"), None);
    }
    assert!(!std::path::Path::new("/tmp/hookhost-stolen").exists());
    let is_all = |all: &[Arc<Received>]| arrived(all, "/webhook") == scene.published;
    scene.sink.wait_until("all of the other module", PATIENCE, is_all).await;
    scene.host.stop().await;
}
