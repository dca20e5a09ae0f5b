//! The modules of `examples/`. Each test builds a module as its README says, puts it into the folder of a running host
//! and sends the events of its README.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::languages::{C, JAVASCRIPT, PYTHON};
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, Version, binary};

const V: Version = Version::V311;

/// How long the host may take to compile an interpreter. Python takes half a minute on a busy machine.
const COMPILING: Duration = Duration::from_secs(300);

/// A host with a module in its folder. The settings are those beside the example, except for the URL of its requests.
async fn host_with(example: &str, name: &str, wasm: Vec<u8>, sink: &Sink) -> Host {
    let file = binary::workspace()
        .join("examples")
        .join(example)
        .join(format!("{name}.toml"));
    let settings = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let settings = settings.replace("http://127.0.0.1:5656", &sink.url(""));
    let host = Setup::new()
        .modules()
        .module_file(&format!("{name}.toml"), settings)
        .start()
        .await;
    host.drop_module(&format!("{name}.wasm"), wasm);
    let what = format!("{name} in force");
    let line = host
        .log()
        .wait(&what, COMPILING, |line| {
            line.contains(name) && (line.contains("module activated") || line.contains("module not loaded: "))
        })
        .await;
    assert!(line.contains("module activated"), "{line}");
    host
}

async fn rust(name: &str, sink: &Sink) -> Host {
    let wasm = binary::rust_example(name);
    host_with(name, name, std::fs::read(wasm).unwrap(), sink).await
}

/// Path and body of each request. The values of some keys are times. Only their form is compared.
fn sent(requests: &[Arc<Received>], times: &[&str]) -> Vec<(String, String)> {
    let masked = |body: &str| times.iter().fold(body.to_owned(), |body, key| masked(&body, key));
    let parts = |request: &Arc<Received>| (request.path.clone(), masked(&request.body));
    requests.iter().map(parts).collect()
}

/// The body with the digits of a value as `0`.
fn masked(body: &str, key: &str) -> String {
    let Some((before, value)) = body.split_once(&format!("{key:?}:")) else {
        return body.to_owned();
    };
    let end = value.find([',', '}']).unwrap_or(value.len());
    let digits = value[..end].replace(|character: char| character.is_ascii_digit(), "0");
    format!("{before}{key:?}:{digits}{}", &value[end..])
}

/// Waits for requests and stops the host. Panics unless exactly these requests arrived.
async fn expect(mut host: Host, sink: &Sink, times: &[&str], expected: &[(&str, &str)]) {
    sink.wait_for(expected.len(), PATIENCE).await;
    host.stop().await;
    let sent = sent(&sink.requests(), times);
    let sent: Vec<_> = sent.iter().map(|(path, body)| (path.as_str(), body.as_str())).collect();
    assert_eq!(sent, expected);
}

#[test]
fn examples_in_rust_pass_their_own_tests() {
    let output = binary::guest_cargo("test", Path::new("examples/Cargo.toml"))
        .arg("--locked")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[tokio::test]
async fn temperature_alert() {
    let sink = Sink::start().await;
    let host = rust("temperature-alert", &sink).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    for payload in [r#"{"celsius": 21.5}"#, "hot", r#"{"celsius": 41.5}"#] {
        client.publish("devices/k7/temp", 1, payload).await;
    }
    let alert = r#"{"device":"k7","celsius":41.5,"at":0000000000000}"#;
    expect(host, &sink, &["at"], &[("/alerts", alert)]).await;
}

#[tokio::test]
async fn own_body() {
    let sink = Sink::start().await;
    let host = rust("own-body", &sink).await;
    let mut client = Client::connect(host.address, V, "k7").await;
    client.publish("devices/k7/humidity", 1, "50").await;
    client.publish("devices/k7/temp", 1, "21.5").await;
    let online = r#"{"event":"online","client":"k7","topic":null,"text":null,"at":"0000-00-00 00:00:00.000"}"#;
    let temperature = concat!(
        r#"{"event":"temperature","client":"k7","topic":"devices/k7/temp","text":"21.5","#,
        r#""at":"0000-00-00 00:00:00.000"}"#
    );
    expect(host, &sink, &["at"], &[("/hook", online), ("/hook", temperature)]).await;
}

#[tokio::test]
async fn report_on_change() {
    let sink = Sink::start().await;
    let host = rust("report-on-change", &sink).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    for level in ["12", "12", "13"] {
        client.publish("plant/7/level", 1, level).await;
    }
    // The last value sent is kept when the instance ends.
    let mark = host.log().mark();
    let settings = std::fs::read_to_string(host.module_path("report-on-change.toml")).unwrap();
    host.drop_module("report-on-change.toml", settings.replace("3600", "1800"));
    let in_force = |line: &str| line.contains("report-on-change") && line.contains("module activated");
    host.log()
        .wait_after(mark, "the next generation", PATIENCE, in_force)
        .await;
    for level in ["13", "12"] {
        client.publish("plant/7/level", 1, level).await;
    }
    let change = |value: &str| format!(r#"{{"topic":"plant/7/level","value":"{value}"}}"#);
    let changes = ["12", "13", "12"].map(change);
    let expected: Vec<_> = changes.iter().map(|body| ("/changes", body.as_str())).collect();
    expect(host, &sink, &[], &expected).await;
}

#[tokio::test]
async fn tenant_routing() {
    let sink = Sink::start().await;
    let host = rust("tenant-routing", &sink).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    for tenant in ["acme", "wayne", "umbrella"] {
        client.publish(&format!("tenants/{tenant}/meters/7"), 1, "12").await;
    }
    sink.wait_for(2, PATIENCE).await;
    let body = r#"{"path":"meters/7","payload":"12"}"#;
    client.publish("tenants/acme/doors", 1, "open").await;
    sink.wait_for(3, PATIENCE).await;
    // Requests to two destinations have no common order.
    let mut requests = sent(&sink.requests(), &[]);
    requests.sort();
    let doors = r#"{"path":"doors","payload":"open"}"#;
    let expected = [("/acme", doors), ("/acme", body), ("/umbrella", body)];
    assert_eq!(
        requests,
        expected.map(|(path, body)| (path.to_owned(), body.to_owned()))
    );
}

#[tokio::test]
async fn javascript() {
    let Some(wasm) = JAVASCRIPT.module() else { return };
    let sink = Sink::start().await;
    let host = host_with(JAVASCRIPT.name, "vehicle-position", wasm, &sink).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    for payload in [
        r#"{"lat": 52.52, "lon": 13.405, "speed": 0.5}"#,
        "parked",
        r#"{"lat": 52.52, "lon": 13.405, "speed": 12.5, "note": "grüße"}"#,
    ] {
        client.publish("fleet/k7/position", 1, payload).await;
    }
    let position = concat!(
        r#"{"vehicleId":"k7","position":[13.405,52.52],"kmh":45,"#,
        r#""reportedAt":"0000-00-00T00:00:00.000Z"}"#
    );
    expect(host, &sink, &["reportedAt"], &[("/positions", position)]).await;
}

#[tokio::test]
async fn python() {
    let Some(wasm) = PYTHON.module() else { return };
    let sink = Sink::start().await;
    let host = host_with(PYTHON.name, "flapping", wasm, &sink).await;
    Client::connect(host.address, V, "k8").await.disconnect().await;
    for _ in 0..4 {
        let client = Client::connect(host.address, V, "k7").await;
        // The built-in module prints its events to the terminal. This client disconnects without DISCONNECT. The next
        // one waits until that event is printed.
        let webhooks = &host.process.stdout;
        let mark = webhooks.mark();
        drop(client);
        let gone = |line: &str| line.contains("client_disconnected") && line.contains("k7");
        webhooks.wait_after(mark, "the end of k7", PATIENCE, gone).await;
    }
    let report = concat!(
        r#"{"clientid":"k7","ends":3,"within":60,"reason":"closed","address":"127.0.0.1","#,
        r#""at":"0000-00-00T00:00:00Z"}"#
    );
    expect(host, &sink, &["at"], &[("/flapping", report)]).await;
}

#[tokio::test]
async fn c() {
    let Some(wasm) = C.module() else { return };
    let sink = Sink::start().await;
    let host = host_with(C.name, "dead-band", wasm, &sink).await;
    let mut client = Client::connect(host.address, V, "k7").await;
    let readings = [(48_231_u32, 1250_i32), (48_232, 1299), (48_233, -40)];
    for (wh, watts) in readings {
        let reading = [wh.to_le_bytes(), watts.to_le_bytes()].concat();
        client.publish("meters/k7/power", 1, reading).await;
    }
    client.publish("meters/k7/power", 1, "1250").await;
    let [first, second] = [(1250, 48_231), (-40, 48_233)]
        .map(|(watts, wh)| format!(r#"{{"topic":"meters/k7/power","watts":{watts},"wh":{wh},"at":0000000000000}}"#));
    expect(host, &sink, &["at"], &[("/power", &first), ("/power", &second)]).await;
}
