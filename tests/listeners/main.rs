//! Listeners with real clients: mosquitto_pub and mosquitto_sub over TLS with client certificates, paho (Python) and
//! MQTT.js, also in a browser, over WebSocket and TLS; certificates that are renewed; clients that are silent.
//!
//! A client that is not installed is skipped, with a line that says so.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Ended, Host, Setup, ended};
use hookhost_tests::process::Process;
use hookhost_tests::raw::Raw;
use hookhost_tests::tls::{Authority, Subject};
use hookhost_tests::{PATIENCE, Version, binary};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Writes the files of a server and of a client into a folder.
fn write_certificates(dir: &Path, authority: &Authority) {
    let (server, client) = (authority.issue(Subject::Local), authority.issue(Subject::Client));
    for (name, content) in [
        ("ca.pem", authority.pem()),
        ("server.pem", &server.certificate),
        ("server.key", &server.key),
        ("client.pem", &client.certificate),
        ("client.key", &client.key),
    ] {
        std::fs::write(dir.join(name), content).unwrap();
    }
}

/// A host with a listener of each kind, which records its events. It prints no webhooks, because a long one would come in
/// the middle of a recorded event.
async fn host(authority: &Authority) -> Host {
    host_with(authority, "").await
}

/// The same with more settings.
async fn host_with(authority: &Authority, settings: &str) -> Host {
    let setup = Setup::new();
    let dir = setup.dir().to_owned();
    write_certificates(&dir, authority);
    let file = |name: &str| dir.join(name).display().to_string();
    let tls = format!(
        "certificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n",
        file("server.pem"),
        file("server.key"),
        file("ca.pem")
    );
    let config = format!(
        "[[listener]]\nname = \"mutual\"\nkind = \"tls\"\naddress = \"127.0.0.1:0\"\nclient_certificates = \"required\"\n{tls}\
         [[listener]]\nname = \"secure\"\nkind = \"tls\"\naddress = \"127.0.0.1:0\"\nclient_certificates = \"optional\"\n{tls}\
         [[listener]]\nname = \"web\"\nkind = \"ws\"\naddress = \"127.0.0.1:0\"\n\
         [[listener]]\nname = \"secure-web\"\nkind = \"wss\"\naddress = \"127.0.0.1:0\"\nclient_certificates = \"optional\"\n{tls}\
         [[listener]]\nname = \"local\"\nkind = \"unix\"\naddress = {:?}\n\
         [webhook]\nurls = [\"http://127.0.0.1:9/\"]\n\
         [webhook.rule]\nmessage_publish = [{{ action = \"x\", topics = [\"nothing/here\"] }}]\n",
        file("mqtt.sock")
    );
    setup.config(&format!("{config}{settings}")).recording().start().await
}

/// The port of a listener, from the log.
fn port(host: &Host, name: &str) -> String {
    let lines = host.log().lines();
    let line = lines
        .iter()
        .find(|line| line.contains(&format!("listening name=\"{name}\"")));
    let line = line.unwrap_or_else(|| panic!("no listener {name} in {lines:?}"));
    let (_, port) = line.rsplit_once(':').unwrap();
    port.trim().to_owned()
}

/// Waits for the event of a client's CONNECT; returns its connection.
async fn connection(host: &Host, client: &str) -> Value {
    let is_of_client = |event: &Value| event["connection"]["client"]["id"] == client;
    let events = host.recorded("client-connect", 1, is_of_client).await;
    events[0]["connection"].clone()
}

/// Waits until a counter of the broker has this value.
async fn until_counted(host: &Host, name: &str, wanted: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let counted = counter(host, name).await;
        if counted == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{name} is {counted} and not {wanted}");
    }
}

/// A counter of `GET /broker`.
async fn counter(host: &Host, name: &str) -> u64 {
    let address = host.admin.unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET /api/v1/broker HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    let start = body.find('{').unwrap();
    let end = body.rfind('}').unwrap();
    let broker: Value = serde_json::from_str(&body[start..=end]).unwrap();
    broker["counters"][name].as_u64().unwrap()
}

/// Runs a program of mosquitto; `None` if it is not installed.
async fn mosquitto(program: &str, host: &Host, port: &str, client: &str, args: &[&str]) -> Option<Ended> {
    let path = Path::new("/usr/bin").join(program);
    if !path.exists() {
        eprintln!("SKIPPED: {program} is not installed (apt-get install mosquitto-clients)");
        return None;
    }
    let mut command = Command::new(path);
    command.current_dir(host.dir());
    command.args([
        "-h",
        "127.0.0.1",
        "-p",
        port,
        "-i",
        client,
        "-t",
        "t",
        "-q",
        "1",
        "-V",
        "mqttv5",
    ]);
    command.args(args);
    Some(ended(command).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mosquitto_over_tls_with_a_client_certificate() {
    let authority = Authority::new("authority");
    let host = host(&authority).await;
    let mut subscriber = Client::connect(host.address, Version::V5, "s").await;
    subscriber.subscribe("t", 1).await;
    let identity = ["--cafile", "ca.pem", "--cert", "client.pem", "--key", "client.key"];
    let (mutual, secure) = (port(&host, "mutual"), port(&host, "secure"));
    let publish = |message| [&identity[..], &["-m", message]].concat();
    let Some(sent) = mosquitto("mosquitto_pub", &host, &mutual, "m", &publish("one")).await else {
        return;
    };
    assert_eq!(sent.code, Some(0), "{sent:?}");
    assert_eq!(subscriber.message().await.payload, b"one");
    let seen = connection(&host, "m").await;
    assert_eq!(
        (&seen["listener"], &seen["transport"]),
        (&"mutual".into(), &"tls".into())
    );
    assert!(seen["certificate"]["subject"].is_string(), "{seen}");

    let without = ["--cafile", "ca.pem", "-m", "two"];
    let refused = mosquitto("mosquitto_pub", &host, &mutual, "n", &without).await.unwrap();
    assert_ne!(refused.code, Some(0), "without a certificate");
    let optional = mosquitto("mosquitto_pub", &host, &secure, "o", &without).await.unwrap();
    assert_eq!(optional.code, Some(0), "{optional:?}");
    assert_eq!(subscriber.message().await.payload, b"two");
    assert_eq!(connection(&host, "o").await.get("certificate"), None);

    let stranger = Authority::new("stranger");
    std::fs::write(host.dir().join("other.pem"), stranger.pem()).unwrap();
    let untrusted = mosquitto(
        "mosquitto_pub",
        &host,
        &secure,
        "p",
        &["--cafile", "other.pem", "-m", "x"],
    )
    .await;
    assert_ne!(untrusted.unwrap().code, Some(0), "the client does not trust the server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_names_the_user() {
    let authority = Authority::new("authority");
    let settings = "[[authentication]]\nsource = \"certificate\"\n\
        [[access.rule]]\npermit = \"allow\"\ntopics = [\"${username}\"]\n";
    let host = host_with(&authority, settings).await;
    let secure = port(&host, "secure");
    let identity = [
        "--cafile",
        "ca.pem",
        "--cert",
        "client.pem",
        "--key",
        "client.key",
        "-m",
        "x",
    ];
    let Some(sent) = mosquitto("mosquitto_pub", &host, &secure, "a", &identity).await else {
        return;
    };
    // The topic is t, which is not the user name.
    assert!(sent.stderr.contains("ot authorized"), "{sent:?}");
    let seen = host.recorded("client-authenticated", 1, |_| true).await;
    let login = &seen[0]["authentication"];
    assert_eq!(login["source"], "certificate", "{seen:?}");
    let name = login["connection"]["certificate"]["common_name"]
        .as_str()
        .unwrap()
        .to_owned();
    let allowed = [&identity[..], &["-t", &name]].concat();
    let sent = mosquitto("mosquitto_pub", &host, &secure, "b", &allowed).await.unwrap();
    assert!(sent.code == Some(0) && sent.stderr.is_empty(), "{sent:?}");
    let without = ["--cafile", "ca.pem", "-m", "x"];
    let refused = mosquitto("mosquitto_pub", &host, &secure, "c", &without).await.unwrap();
    assert_ne!(refused.code, Some(0), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_used_without_a_restart() {
    let authority = Authority::new("authority");
    let host = host(&authority).await;
    let secure = port(&host, "secure");
    let Some(before) = mosquitto("mosquitto_pub", &host, &secure, "a", &["--cafile", "ca.pem", "-m", "x"]).await else {
        return;
    };
    assert_eq!(before.code, Some(0), "{before:?}");
    let renewed = Authority::new("renewed");
    write_certificates(host.dir(), &renewed);
    host.log()
        .wait("the new certificate", PATIENCE, |line| {
            line.contains("TLS files reloaded") && line.contains("listener=\"secure\"")
        })
        .await;
    let after = mosquitto("mosquitto_pub", &host, &secure, "b", &["--cafile", "ca.pem", "-m", "x"]).await;
    assert_eq!(after.unwrap().code, Some(0), "the client trusts the new authority only");
    // A broken file changes nothing.
    std::fs::write(host.dir().join("server.pem"), "no certificate").unwrap();
    host.log()
        .wait("the broken certificate", PATIENCE, |line| {
            line.contains("TLS files not reloaded")
        })
        .await;
    let later = mosquitto("mosquitto_pub", &host, &secure, "c", &["--cafile", "ca.pem", "-m", "x"]).await;
    assert_eq!(later.unwrap().code, Some(0));
}

/// The folder in which clients of other languages are installed.
fn clients_dir() -> PathBuf {
    let dir = binary::guests_dir().join("clients");
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

/// Runs a shell command in the folder of clients; whether it has succeeded.
async fn shell(command: String) -> bool {
    let mut shell = Command::new("sh");
    shell.current_dir(clients_dir()).args(["-c", &command]);
    let ended = ended(shell).await;
    if ended.code != Some(0) {
        eprintln!("{command}: {}{}", ended.stdout, ended.stderr);
    }
    ended.code == Some(0)
}

/// The source of a client beside this file.
fn source(name: &str) -> String {
    binary::workspace()
        .join("tests/listeners")
        .join(name)
        .display()
        .to_string()
}

/// Installs MQTT.js in the folder of clients, once; whether it is there.
async fn has_mqtt_js() -> bool {
    static INSTALLED: tokio::sync::OnceCell<bool> = tokio::sync::OnceCell::const_new();
    let install = "test -d node_modules/mqtt || npm install --no-save --no-audit --no-fund mqtt@5.16.0";
    let installed = *INSTALLED.get_or_init(|| shell(install.to_owned())).await;
    if !installed {
        eprintln!("SKIPPED: MQTT.js cannot be installed (it needs node, npm and a network)");
    }
    installed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mqtt_js_in_a_browser_over_websocket() {
    let has_browser = Command::new("chromium").arg("--version").output().is_ok();
    assert!(
        has_browser || std::env::var_os("HOOKHOST_TEST_BROWSER").is_none(),
        "chromium is not installed"
    );
    if !has_browser || !has_mqtt_js().await {
        eprintln!("SKIPPED: MQTT.js in a browser (it needs chromium)");
        return;
    }
    let host = host(&Authority::new("authority")).await;
    std::fs::copy(source("page.html"), clients_dir().join("page.html")).unwrap();
    let page = clients_dir().join("page.html");
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu"]);
    command.arg(format!("--user-data-dir={}", host.dir().join("chromium").display()));
    command.arg(format!(
        "file://{}#ws://127.0.0.1:{}/mqtt",
        page.display(),
        port(&host, "web")
    ));
    let browser = Process::start(command);
    let is_received = |event: &Value| event["message"]["topic"] == "browser/received/70000";
    host.recorded("message-publish", 1, is_received).await;
    assert_eq!(connection(&host, "browser").await["transport"], "websocket");
    drop(browser);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mqtt_js_over_websocket_and_tls() {
    if !has_mqtt_js().await {
        return;
    }
    let authority = Authority::new("authority");
    let host = host(&authority).await;
    let urls = [
        format!("ws://127.0.0.1:{}/mqtt", port(&host, "web")),
        format!("wss://127.0.0.1:{}/mqtt", port(&host, "secure-web")),
        format!("mqtts://127.0.0.1:{}", port(&host, "mutual")),
    ];
    let script = source("mqttjs.cjs");
    let dir = host.dir().display();
    let ran = shell(format!(
        "NODE_PATH=$PWD/node_modules node {script} {dir} {}",
        urls.join(" ")
    ))
    .await;
    assert!(ran, "MQTT.js has failed");
    for (client, transport) in [("js-0", "websocket"), ("js-1", "websocket-tls"), ("js-2", "tls")] {
        let seen = connection(&host, client).await;
        assert_eq!(seen["transport"], transport);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paho_over_websocket_and_tls() {
    let install = "test -x venv/bin/python || (python3 -m venv venv && venv/bin/pip install -q paho-mqtt==2.1.0)";
    if !shell(install.to_owned()).await {
        eprintln!("SKIPPED: paho cannot be installed (it needs python3 and a network)");
        return;
    }
    let authority = Authority::new("authority");
    let host = host(&authority).await;
    let script = source("paho_client.py");
    let dir = host.dir().display();
    for (kind, name) in [("ws", "web"), ("wss", "secure-web"), ("tls", "mutual")] {
        let port = port(&host, name);
        let ran = shell(format!("venv/bin/python {script} {kind} {port} {dir}")).await;
        assert!(ran, "paho has failed over {kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_clients_are_closed_and_counted() {
    let host = Setup::new()
        // Long enough that the first bytes of the slow client come in time on a busy machine.
        .env("HOOKHOST_MQTT__FIRST_BYTE_TIMEOUT", "2s")
        .env("HOOKHOST_MQTT__HANDSHAKE_TIMEOUT", "300ms")
        .start()
        .await;
    let mut silent = Raw::open(host.address).await;
    let mut slow = Raw::open(host.address).await;
    slow.send(b"\x10\x0c\0").await;
    silent.closed().await;
    slow.closed().await;
    // The connection is closed a moment before it is counted.
    until_counted(&host, "handshakes_timed_out", 1).await;
    until_counted(&host, "connects_timed_out", 1).await;
    // RMQTT's own port lets nobody in who does not come through the relay.
    for port in loopback_ports(host.process.id()) {
        if port != host.address.port() && Some(port) != host.admin.map(|admin| admin.port()) {
            let mut stranger = Raw::open(SocketAddr::from(([127, 0, 0, 1], port))).await;
            stranger.send(b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01x").await;
            let connack = stranger.expect(hookhost_tests::packet::kind::CONNACK).await;
            assert_eq!(connack.body[1], 5, "not authorized");
        }
    }
}

/// The ports of 127.0.0.1 on which a process listens.
fn loopback_ports(process: i32) -> Vec<u16> {
    let sockets: Vec<String> = std::fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .filter_map(|link| {
            Some(
                link.to_str()?
                    .strip_prefix("socket:[")?
                    .trim_end_matches(']')
                    .to_owned(),
            )
        })
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let listening = table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_ours =
            fields.get(3) == Some(&"0A") && sockets.iter().any(|socket| Some(&socket.as_str()) == fields.get(9));
        let (_, port) = fields.get(1)?.split_once(':')?;
        is_ours.then(|| u16::from_str_radix(port, 16).ok()).flatten()
    });
    listening.collect()
}
