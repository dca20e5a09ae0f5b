//! Receivers with their own credentials, signatures and TLS.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookhost_tests::client::Client;
use hookhost_tests::host::{self, Host, Setup};
use hookhost_tests::sink::{Answer, Received, Sink};
use hookhost_tests::tls::{self, Authority, Subject};
use hookhost_tests::{PATIENCE, Version, binary, body};
use sha2::{Digest, Sha256};

const V: Version = Version::V311;

/// A host that sends every publish to one URL, with these destinations.
fn setup(url: &str, destinations: &str) -> Setup {
    let setup = Setup::new();
    let config = format!(
        "[webhook]\nurls = [\"{url}\"]\nrule.message_publish = [{{ action = \"message_publish\" }}]\n{destinations}\n"
    );
    std::fs::write(setup.dir().join("hookhost.toml"), config).unwrap();
    setup.arg("--config").arg("hookhost.toml")
}

/// Writes a file into the folder of the configuration.
fn with(setup: Setup, name: &str, content: &str) -> Setup {
    std::fs::write(setup.dir().join(name), content).unwrap();
    setup
}

async fn publish(host: &Host, payloads: &[&str]) {
    let mut client = Client::connect(host.address, V, "c1").await;
    for payload in payloads {
        client.publish("t/1", 1, *payload).await;
    }
    client.disconnect().await;
}

fn payload(request: &Received) -> String {
    String::from_utf8(body::payload(&request.json())).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_with_a_certificate_of_a_private_authority_is_trusted_by_it_alone() {
    let authority = Authority::new("servers");
    let sink = Sink::start_tls(tls::server(&authority.issue(Subject::Local), None)).await;
    let setup = setup(
        &sink.url("/hook"),
        &format!(
            "[destinations.own]\nurls = [\"{}\"]\ntls = {{ ca = \"ca.pem\" }}",
            sink.url("/")
        ),
    );
    let host = with(setup, "ca.pem", authority.pem()).start().await;
    publish(&host, &["1", "2"]).await;
    let requests = sink.wait_for(2, PATIENCE).await;
    let payloads: Vec<_> = requests.iter().map(|request| payload(request)).collect();
    assert_eq!(payloads, ["1", "2"]);
    assert_eq!(requests[0].server_name, None, "an address is no name");
    assert_eq!(requests[0].path, "/hook");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_not_who_it_should_be_gets_nothing_and_the_log_says_why() {
    let authority = Authority::new("servers");
    for (subject, settings, expected) in [
        // In the words of the platform's certificate verifier.
        (Subject::Local, "", "certificate"),
        (
            Subject::Local,
            "tls = { ca = \"other.pem\" }",
            "invalid peer certificate: UnknownIssuer",
        ),
        (
            Subject::Named("other.example"),
            "tls = { ca = \"ca.pem\" }",
            "invalid peer certificate: certificate not valid for name \"127.0.0.1\"",
        ),
        (
            Subject::Expired,
            "tls = { ca = \"ca.pem\" }",
            "invalid peer certificate: certificate expired",
        ),
        (
            Subject::Local,
            "tls = { ca = \"ca.pem\", server_name = \"other.example\" }",
            "invalid peer certificate: certificate not valid for name \"other.example\"",
        ),
    ] {
        let sink = Sink::start_tls(tls::server(&authority.issue(subject), None)).await;
        let setup = setup(
            &sink.url("/hook"),
            &format!(
                "[destinations.own]\nurls = [\"{}\"]\nretry_max_elapsed_time = \"1s\"\nretry_initial_interval = \"100ms\"\n{settings}",
                sink.url("/")
            ),
        );
        let setup = with(setup, "ca.pem", authority.pem());
        let host = with(setup, "other.pem", Authority::new("other").pem()).start().await;
        publish(&host, &["1"]).await;
        for what in ["it will be retried", "the time for retries is over"] {
            let line = host.log().wait(what, PATIENCE, |line| line.contains(what)).await;
            assert!(line.contains(expected), "{subject:?} {settings}: {line}");
        }
        assert_eq!(sink.count(), 0, "{subject:?} {settings}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_name_or_no_check_at_all_may_be_asked_for() {
    let authority = Authority::new("servers");
    for (subject, settings, name) in [
        (
            Subject::Named("other.example"),
            "tls = { ca = \"ca.pem\", server_name = \"other.example\" }",
            Some("other.example"),
        ),
        (Subject::Expired, "tls = { verify = false }", None),
    ] {
        let sink = Sink::start_tls(tls::server(&authority.issue(subject), None)).await;
        let destination = format!("[destinations.own]\nurls = [\"{}\"]\n{settings}", sink.url("/"));
        let setup = setup(&sink.url("/hook"), &destination);
        let host = with(setup, "ca.pem", authority.pem()).start().await;
        publish(&host, &["1"]).await;
        let requests = sink.wait_for(1, PATIENCE).await;
        assert_eq!(requests[0].server_name.as_deref(), name, "{settings}");
        let own = sink.url("");
        assert_eq!(requests[0].header("host"), own.strip_prefix("https://"), "{settings}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_asks_who_is_there_is_shown_the_certificate() {
    let (authority, of_clients) = (Authority::new("servers"), Authority::new("clients"));
    let server = tls::server(&authority.issue(Subject::Local), Some(&of_clients));
    let sink = Sink::start_tls(server).await;
    let client = of_clients.issue(Subject::Client);
    let destination = |settings: &str| {
        format!(
            "[destinations.own]\nurls = [\"{}\"]\nretry_max_elapsed_time = \"0s\"\n[destinations.own.tls]\nca = \"ca.pem\"\n{settings}",
            sink.url("/")
        )
    };
    let start = |settings: &str| {
        let setup = setup(&sink.url("/hook"), &destination(settings));
        let setup = with(setup, "ca.pem", authority.pem());
        let setup = with(setup, "client.pem", &client.certificate);
        with(setup, "client.key", &client.key).start()
    };
    let nobody = start("").await;
    publish(&nobody, &["1"]).await;
    let what = "the time for retries is over";
    nobody.log().wait(what, PATIENCE, |line| line.contains(what)).await;
    assert_eq!(sink.count(), 0);

    let known = start("certificate = \"client.pem\"\nkey = \"client.key\"").await;
    publish(&known, &["2"]).await;
    let requests = sink.wait_for(1, PATIENCE).await;
    assert_eq!(payload(&requests[0]), "2");
}

/// HMAC-SHA256 as defined by RFC 2104.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    assert!(key.len() <= 64);
    let padded = |byte: u8| -> Vec<u8> { (0..64).map(|at| key.get(at).unwrap_or(&0) ^ byte).collect() };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize()
        .to_vec()
}

/// The check of a receiver that knows one of the keys: whether any signature of the request is valid.
fn is_signed_by(secret: &str, request: &Received) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let (id, timestamp) = (
        request.header("webhook-id").unwrap(),
        request.header("webhook-timestamp").unwrap(),
    );
    let signed = format!("{id}.{timestamp}.{}", request.body);
    let expected = format!("v1,{}", STANDARD.encode(hmac(&key, signed.as_bytes())));
    request
        .header("webhook-signature")
        .unwrap()
        .split(' ')
        .any(|signature| signature == expected)
}

fn timestamp(request: &Received) -> u64 {
    request.header("webhook-timestamp").unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_signed_and_carry_credentials_that_the_log_does_not_know() {
    let new = format!("whsec_{}", STANDARD.encode([1; 32]));
    let old = format!("whsec_{}", STANDARD.encode([2; 24]));
    let unknown = format!("whsec_{}", STANDARD.encode([3; 32]));
    let sink = Sink::start().await;
    // The first request is sent twice.
    sink.answer(|_, before| Answer::Status(if before == 0 { 503 } else { 200 }));
    let other = Sink::start().await;
    let mut config = String::new();
    writeln!(config, "[destinations.signed]\nurls = [\"{}\"]", sink.url("/hook")).unwrap();
    writeln!(
        config,
        "headers = {{ x-api-key = \"hidden-1\" }}\nbasic = {{ user = \"me\", password_env = \"PW\" }}"
    )
    .unwrap();
    writeln!(config, "sign = {{ secrets = [\"{new}\"], secret_files = [\"old\"] }}").unwrap();
    writeln!(config, "retry_initial_interval = \"10ms\"").unwrap();
    let urls = format!("{}\", \"{}", sink.url("/hook?token=hidden-4"), other.url("/hook"));
    let setup = with(setup(&urls, &config), "old", &old)
        .env("PW", "hidden-2")
        .env("HOOKHOST_LOG", "trace");
    let mut host = setup.start().await;
    let before = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    publish(&host, &["hidden-3", "2"]).await;

    let requests = sink.wait_for(3, PATIENCE).await;
    let mut ids = BTreeSet::new();
    for request in &requests {
        assert!(
            is_signed_by(&new, request) && is_signed_by(&old, request),
            "{request:?}"
        );
        assert!(!is_signed_by(&unknown, request));
        let mut forged = Received::clone(request);
        forged.body.push(' ');
        assert!(!is_signed_by(&new, &forged));
        // "me:hidden-2"
        assert_eq!(request.header("authorization"), Some("Basic bWU6aGlkZGVuLTI="));
        assert_eq!(request.header("x-api-key"), Some("hidden-1"));
        assert!(timestamp(request) >= before);
        ids.insert(request.header("webhook-id").unwrap());
    }
    let first = requests[0].header("webhook-id");
    assert_eq!(requests[1].header("webhook-id"), first, "sent again: the same id");
    assert_eq!(ids.len(), 2, "{ids:?}");

    // A receiver that is not a destination gets none of these headers.
    for request in other.wait_for(2, PATIENCE).await {
        for name in ["authorization", "x-api-key", "webhook-id", "webhook-signature"] {
            assert_eq!(request.header(name), None);
        }
    }
    host.stop().await;
    let log = host.log().lines().join("\n");
    let encoded = [STANDARD.encode("me:hidden-2"), new, old];
    for secret in encoded
        .iter()
        .map(String::as_str)
        .chain(["hidden-1", "hidden-2", "hidden-3", "hidden-4"])
    {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_destination_has_terms_of_its_own() {
    let (slow, usual) = (Sink::start().await, Sink::start().await);
    slow.answer(|_, _| Answer::Hang);
    let urls = format!("{}\", \"{}", slow.url("/"), usual.url("/"));
    let terms = "http_timeout = \"100ms\"\nretry_max_elapsed_time = \"0s\"\nconcurrency_limit = 1";
    let destination = format!("[destinations.slow]\nurls = [\"{}\"]\n{terms}", slow.url("/"));
    let host = setup(&urls, &destination).start().await;
    publish(&host, &["1", "2", "3"]).await;
    // Each was attempted once and dropped, one after the other. With the default settings the first would delay the
    // second by a minute.
    let requests = slow.wait_for(3, PATIENCE).await;
    let payloads: Vec<_> = requests.iter().map(|request| payload(request)).collect();
    assert_eq!(payloads, ["1", "2", "3"]);
    let requests: Vec<Arc<Received>> = usual.wait_for(3, PATIENCE).await;
    assert_eq!(payload(&requests[2]), "3");
}

/// The output of `hookhost check` for a configuration, and its exit code.
async fn check(dir: &Path, config: &str) -> (Option<i32>, String) {
    std::fs::write(dir.join("hookhost.toml"), config).unwrap();
    let mut command = host::command(dir);
    command
        .args(["check", "--config", "hookhost.toml"])
        .stdin(std::process::Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = tokio::time::timeout(PATIENCE + Duration::from_secs(30), output)
        .await
        .unwrap()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[tokio::test]
async fn check_names_every_file_that_cannot_be_used_with_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (
        Authority::new("servers").issue(Subject::Client),
        Authority::new("servers").issue(Subject::Client),
    );
    for (name, text) in [
        ("one.pem", &one.certificate),
        ("two.key", &two.key),
        ("junk", &"hidden".to_owned()),
    ] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let (code, said) = check(
        dir.path(),
        r#"
[destinations.a]
urls = ["https://h/"]
bearer_file = "missing"
sign.secret_files = ["junk"]
tls.ca = "junk"
[destinations.b]
urls = ["https://b/"]
tls = { certificate = "one.pem", key = "two.key" }
"#,
    )
    .await;
    assert_eq!(code, Some(2), "{said}");
    for line in [
        "error: hookhost.toml:4: destinations.a.bearer_file: cannot read missing: No such file or directory (os error 2)",
        "error: hookhost.toml:5: destinations.a.sign.secret_files[0]: should begin with `whsec_`, followed by the key in base64",
        "error: hookhost.toml:6: destinations.a.tls.ca: junk holds no certificate in PEM (-----BEGIN CERTIFICATE-----)",
        "error: hookhost.toml:9: destinations.b.tls.certificate: cannot be used: ",
    ] {
        assert!(said.contains(line), "{line} is not in: {said}");
    }
    assert!(!said.contains("hidden"), "{said}");
    let (code, said) = check(dir.path(), "[destinations.a]\nurls = [\"https://h/\"]\nbearer = \"x\"").await;
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_names_a_destination_and_a_path_below_it() {
    let (sink, elsewhere) = (Sink::start().await, Sink::start().await);
    let destinations = format!(
        "[destinations.crm]\nurls = [\"{}\"]\nheaders = {{ x-key = \"k1\" }}\n\
         [destinations.far]\nurls = [\"{}\"]\nheaders = {{ x-key = \"k2\" }}\n",
        sink.url("/crm"),
        elsewhere.url("/")
    );
    let settings = format!("[config]\nurl = \"{}\"\ntag = \"1\"\ntopic = \"t/#\"\n", sink.url("/"));
    let setup = setup(&sink.url("/webhook"), &destinations).modules();
    let mut host = setup
        .module_file("probe.toml", settings)
        .module_file("probe.wasm", std::fs::read(binary::probe_module()).unwrap())
        .start()
        .await;
    let inside = sink.url("/crm/whole");
    let outside = format!("to crm {}", sink.url("/other"));
    let payloads = [
        "to crm a?b=c",
        &format!("to crm {inside}"),
        // Not of that destination, not granted to this module, and missing.
        &outside,
        "to far x",
        "to none x",
        "the last",
    ];
    publish(&host, &payloads).await;
    let mut told = Vec::new();
    let is_probe = |request: &&Arc<Received>| request.path != "/webhook";
    let all = sink
        .wait_until("what the module sends", PATIENCE, |all| {
            all.iter().filter(is_probe).count() >= 3
        })
        .await;
    for request in all.iter().filter(is_probe) {
        told.push((request.path.as_str(), request.header("x-key")));
    }
    // Requests to a destination and other requests have no common order.
    let (named, own): (Vec<_>, Vec<_>) = told.into_iter().partition(|(path, _)| path.starts_with("/crm"));
    assert_eq!(named, [("/crm/a?b=c", Some("k1")), ("/crm/whole", Some("k1"))]);
    assert_eq!(own, [("/", None)]);
    let state: serde_json::Value = serde_json::from_str(&host.ask(&["modules", "--json"]).await).unwrap();
    let modules = state["modules"].as_array().unwrap();
    let probe = modules.iter().find(|module| module["name"] == "probe").unwrap();
    assert_eq!(
        probe["requests"],
        serde_json::json!({"accepted": 3, "dead": 0, "refused": 3})
    );
    host.stop().await;
    assert_eq!(elsewhere.count(), 0);
    for secret in ["k1", "k2"] {
        assert!(host.log().lines().iter().all(|line| !line.contains(secret)), "{secret}");
    }
}
