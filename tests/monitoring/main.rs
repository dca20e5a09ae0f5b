//! Metrics, health, readiness, the overview, sessions of browsers, the log, what became of events, and spans.

mod events;
mod sessions;
mod spans;

use std::io::Write as _;
use std::process::{Command, Stdio};

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::http::{ask, ask_until};
use hookhost_tests::metrics::{Metrics, until};
use hookhost_tests::sink::{Answer as SinkAnswer, Sink};
use hookhost_tests::{Version, binary};
use serde_json::{Value, json};

const V: Version = Version::V311;

/// A host with the probe as its only module, which asks for publishes to `t/#`.
async fn probe(sink: &Sink, tag: &str) -> Host {
    let settings = format!(
        "[config]\nurl = {:?}\ntag = {tag:?}\ntopic = \"t/#\"\n",
        sink.url("/hook")
    );
    Setup::new()
        .modules()
        .module_file("webhook.toml", settings)
        .module_file("webhook.wasm", std::fs::read(binary::probe_module()).unwrap())
        .start()
        .await
}

#[tokio::test]
async fn every_event_and_every_request_is_counted_once() {
    let sink = Sink::start().await;
    // The receiver refuses one request for good.
    sink.answer(|request, _| match request.json()["payload"].as_str() {
        Some("refused") => SinkAnswer::Status(422),
        _ => SinkAnswer::Status(200),
    });
    let host = probe(&sink, "").await;
    let mut client = Client::connect(host.address, V, "c").await;
    for payload in [
        "a",
        "b",
        "c",
        "refused",
        "fail",
        "panic",
        "url http://not-granted.example/",
    ] {
        client.publish("t/1", 1, payload).await;
    }
    client.publish("other", 1, "nobody wants it").await;
    let metrics = until(&host, "everything is settled", |metrics| {
        metrics.sum("hookhost_module_events_total") == 7.0
            // The state of the engine may be two seconds old.
            && metrics.sum("hookhost_mqtt_packets_total{direction=\"sent\"") == 9.0
            && metrics.sum("hookhost_delivered_requests_total") + metrics.sum("hookhost_dead_requests_total") == 4.0
    })
    .await;
    let sum = |name: &str| metrics.sum(name);
    let module = |outcome: &str| {
        sum(&format!(
            "hookhost_module_events_total{{module=\"webhook\",outcome=\"{outcome}\"}}"
        ))
    };
    // Literal numbers first: sums of wrong numbers could agree.
    assert_eq!(sum("hookhost_events_total{hook=\"message-publish\"}"), 7.0);
    assert_eq!(sum("hookhost_events_total"), 7.0, "of all hooks");
    assert_eq!(
        (module("answered"), module("failed"), module("trapped")),
        (5.0, 1.0, 1.0)
    );
    assert_eq!(sum("hookhost_delivered_requests_total"), 3.0);
    assert_eq!(sum("hookhost_dead_requests_total{reason=\"refused\"}"), 1.0);
    assert_eq!(
        sum("hookhost_module_requests_total{module=\"webhook\",result=\"refused\"}"),
        1.0
    );
    // Emitted = queued + dropped by queues; queued = waiting + every outcome.
    assert_eq!(
        sum("hookhost_events_total"),
        sum("hookhost_module_queued_events_total") + sum("hookhost_module_dropped_events_total")
    );
    assert_eq!(
        sum("hookhost_module_queued_events_total"),
        sum("hookhost_module_queue_events") + sum("hookhost_module_events_total")
    );
    assert_eq!(sum("hookhost_quarantine_events"), module("failed") + module("trapped"));
    // The only destination has all requests.
    assert_eq!(sum("hookhost_destination_delivered_requests_total"), 3.0);
    assert_eq!(sum("hookhost_destination_dead_requests_total"), 1.0);
    assert_eq!(
        sum("hookhost_destination_attempt_duration_seconds_count"),
        4.0,
        "one attempt each"
    );
    assert!(sum("hookhost_destination_attempt_duration_seconds_sum") > 0.0);
    let attempts = |outcome: &str| {
        let destination = format!("destination=\"\",url={:?}", sink.url(""));
        sum(&format!(
            "hookhost_destination_attempts_total{{{destination},outcome=\"{outcome}\"}}"
        ))
    };
    assert_eq!((attempts("2xx"), attempts("4xx")), (3.0, 1.0));
    assert_eq!(sum("hookhost_destination_attempts_total"), 4.0);
    // A call that traps is repeated with its events alone.
    assert!(sum("hookhost_module_event_duration_seconds_count") >= 7.0);
    // Accepted by the outbox = delivered + dropped + waiting.
    assert_eq!(
        sum("hookhost_module_requests_total{module=\"webhook\",result=\"accepted\"}"),
        sum("hookhost_outbox_accepted_requests_total")
    );
    assert_eq!(
        sum("hookhost_outbox_accepted_requests_total"),
        sum("hookhost_delivered_requests_total")
            + sum("hookhost_dead_requests_total")
            + sum("hookhost_dropped_requests_total")
            + sum("hookhost_outbox_requests")
    );
    traffic_is_counted(&metrics);
    assert_eq!(sum("hookhost_broker_connections"), 1.0);
    assert_eq!(sum("hookhost_module_state{module=\"webhook\",state=\"running\"}"), 1.0);
    assert_eq!(sum("hookhost_module_state"), 1.0, "in one state only");
    assert_eq!(sum("hookhost_ready"), 1.0);
    assert_eq!(sum("hookhost_build_info"), 1.0);
    client.disconnect().await;
}

/// One client of MQTT 3.1.1 has connected and published eight messages with QoS 1.
fn traffic_is_counted(metrics: &Metrics) {
    let packets = |direction: &str, kind: &str| {
        metrics.sum(&format!(
            "hookhost_mqtt_packets_total{{direction=\"{direction}\",type=\"{kind}\"}}"
        ))
    };
    assert_eq!((packets("received", "connect"), packets("sent", "connack")), (1.0, 1.0));
    assert_eq!((packets("received", "publish"), packets("sent", "puback")), (8.0, 8.0));
    assert_eq!(
        (packets("sent", "publish"), packets("received", "subscribe")),
        (0.0, 0.0)
    );
    assert_eq!(metrics.sum("hookhost_mqtt_packets_total{direction=\"received\""), 9.0);
    let messages = |labels: &str| metrics.sum(&format!("hookhost_mqtt_messages_total{{{labels}}}"));
    assert_eq!(messages("direction=\"received\",qos=\"1\""), 8.0);
    assert_eq!(
        metrics.sum("hookhost_mqtt_messages_total"),
        8.0,
        "of all QoS in both directions"
    );
    // CONNACK and PUBACK of MQTT 3.1.1 have four bytes each.
    assert_eq!(metrics.sum("hookhost_mqtt_bytes_total{direction=\"sent\"}"), 9.0 * 4.0);
    // Each PUBLISH has a header of two bytes, a topic and a packet id.
    assert!(metrics.sum("hookhost_mqtt_bytes_total{direction=\"received\"}") > 8.0 * 8.0);
    // The instance that trapped is gone, the next one is counted.
    let memory = metrics.sum("hookhost_module_memory_bytes{module=\"webhook\"}");
    assert!(memory >= 65_536.0 && memory % 65_536.0 == 0.0, "whole pages: {memory}");
    assert!(metrics.sum("hookhost_module_calls_total") >= metrics.sum("hookhost_module_failed_calls_total") + 1.0);
    assert_eq!(metrics.sum("hookhost_destination_breaker"), 1.0, "in one state");
    assert!(metrics.sum("hookhost_destination_concurrency") >= 1.0);
}

/// Runs promtool. Returns false, with a line that says so, if it is not installed.
fn promtool(arguments: &[&str], input: &str) -> bool {
    let child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        // Bypasses the output capture of the test harness, which shows no output of tests that pass.
        let line = "skipped: checks by promtool, which is not installed (Debian package prometheus)\n";
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return false;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "promtool {arguments:?}: {output:?}"
    );
    true
}

#[tokio::test]
async fn prometheus_reads_metrics_and_rules_and_knows_every_metric_of_rules_and_dashboard() {
    let host = Setup::new().start().await;
    let text = ask(host.admin.unwrap(), "GET /metrics", "").await.body;
    let deploy = binary::workspace().join("deploy");
    let rules = deploy.join("prometheus/hookhost.rules.yml");
    if promtool(&["check", "metrics"], &text) {
        promtool(&["check", "rules", rules.to_str().unwrap()], "");
    }
    let dashboard = std::fs::read_to_string(deploy.join("grafana/hookhost.json")).unwrap();
    serde_json::from_str::<Value>(&dashboard).expect("the dashboard is JSON");
    let rules = std::fs::read_to_string(rules).unwrap();
    let monitoring = std::fs::read_to_string(binary::workspace().join("docs/monitoring.md")).unwrap();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    // The series of a histogram have the name of a metric and one of these ends.
    let is_known = |series: &str| {
        let mut metrics = ["", "_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|end| series.strip_suffix(end));
        metrics.any(|metric| names.contains(&metric))
    };
    for (file, used) in [
        ("rules", &rules),
        ("dashboard", &dashboard),
        ("docs/monitoring.md", &monitoring),
    ] {
        let words = used.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let metrics = words.filter(|word| word.starts_with("hookhost_"));
        let unknown: Vec<&str> = metrics.filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}; there are {names:?}");
    }
    for name in &names {
        assert!(monitoring.contains(name), "docs/monitoring.md lacks {name}");
    }
}

#[tokio::test]
async fn a_host_is_ready_only_while_its_modules_work() {
    let sink = Sink::start().await;
    let host = probe(&sink, "always").await;
    let admin = host.admin.unwrap();
    let ready = ask(admin, "GET /readyz", "").await;
    assert_eq!(
        (ready.status, ready.json()),
        (200, json!({"ready": true, "problems": []}))
    );
    let mut client = Client::connect(host.address, V, "c").await;
    for _ in 0..6 {
        client.publish("t/1", 0, "x").await;
    }
    let ready = ask_until(admin, "GET /readyz", |answer| answer.status == 503).await;
    assert_eq!(ready.json()["problems"], json!(["module webhook: backing off"]));
    let health = ask(admin, "GET /healthz", "").await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    let overview = ask(admin, "GET /api/v1/overview", "").await.json();
    assert_eq!(overview["problems"], json!(["module webhook: backing off"]));
    client.disconnect().await;
}
