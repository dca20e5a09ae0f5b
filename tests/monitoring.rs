//! Metrics, health, readiness, the overview, sessions of browsers, and the log.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use hookhost_tests::client::Client;
use hookhost_tests::host::{self, Host, Setup};
use hookhost_tests::http::{Answer, ask};
use hookhost_tests::metrics::until;
use hookhost_tests::process::Process;
use hookhost_tests::sink::{Answer as SinkAnswer, Sink};
use hookhost_tests::{PATIENCE, Version, binary};
use serde_json::{Value, json};

const V: Version = Version::V311;
const TOKEN: &str = "a-token-that-is-long-enough";

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
    assert_eq!(sum("hookhost_broker_connections"), 1.0);
    assert_eq!(sum("hookhost_module_state{module=\"webhook\",state=\"running\"}"), 1.0);
    assert_eq!(sum("hookhost_module_state"), 1.0, "in one state only");
    assert_eq!(sum("hookhost_ready"), 1.0);
    assert_eq!(sum("hookhost_build_info"), 1.0);
    client.disconnect().await;
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
    let ready = until_answer(admin, "GET /readyz", |answer| answer.status == 503).await;
    assert_eq!(ready.json()["problems"], json!(["module webhook: backing off"]));
    let health = ask(admin, "GET /healthz", "").await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    let overview = ask(admin, "GET /api/v1/overview", "").await.json();
    assert_eq!(overview["problems"], json!(["module webhook: backing off"]));
    client.disconnect().await;
}

async fn until_answer(admin: SocketAddr, what: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = ask(admin, what, "").await;
        if wanted(&answer) {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn clients_and_given_settings_are_listed() {
    let host = Setup::new()
        .config("[webhook]\nurls = [\"http://me:hidden@127.0.0.1:9/x?hidden\"]\nheaders = { x = \"hidden\" }\n")
        .start()
        .await;
    let admin = host.admin.unwrap();
    let one = Client::connect(host.address, V, "<b>one</b>").await;
    let two = Client::connect(host.address, Version::V5, "two").await;
    let all = ask(admin, "GET /api/v1/clients", "").await.json();
    assert_eq!(all["total"], 2);
    assert_eq!(all["clients"][0]["id"], "<b>one</b>");
    assert_eq!(all["clients"][1]["protocol_version"], 5);
    assert_eq!(all["clients"][1]["connected"], true);
    let found = ask(admin, "GET /api/v1/clients?search=TWO&limit=1", "").await.json();
    assert_eq!(
        (&found["total"], &found["clients"][0]["id"]),
        (&json!(1), &json!("two"))
    );
    for wrong in ["limit=0", "limit=1001", "limit=x", "serch=x"] {
        assert_eq!(
            ask(admin, &format!("GET /api/v1/clients?{wrong}"), "").await.status,
            400,
            "{wrong}"
        );
    }
    let configuration = ask(admin, "GET /api/v1/configuration", "").await;
    assert!(!configuration.body.contains("hidden"), "{configuration:?}");
    let settings = configuration.json()["settings"].as_array().unwrap().clone();
    let of = |key: &str| settings.iter().find(|setting| setting["key"] == key).unwrap().clone();
    assert_eq!(of("webhook.urls")["value"], json!(["http://127.0.0.1:9/x"]));
    assert!(
        of("webhook.urls")["source"]
            .as_str()
            .unwrap()
            .contains("hookhost.toml:2")
    );
    assert_eq!(of("webhook.headers.x")["value"], Value::Null);
    assert_eq!(of("mqtt.listen")["source"], "--listen");
    one.disconnect().await;
    two.disconnect().await;
}

#[tokio::test]
async fn a_browser_logs_in_once_and_repeats_a_second_secret_for_changes() {
    let host = Setup::new().env("HOOKHOST_ADMIN__TOKEN", TOKEN).start().await;
    let admin = host.admin.unwrap();
    let page = ask(admin, "GET /", "").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(
        !page.body.contains("<script>") && !page.body.contains("style="),
        "no inline script or style"
    );
    assert_eq!(ask(admin, "GET /api/v1/session", "").await.status, 401);
    assert_eq!(ask(admin, "GET /metrics", "").await.status, 401);
    assert_eq!(
        ask(
            admin,
            "POST /api/v1/session",
            "\r\nAuthorization: Bearer wrong-wrong-wrong"
        )
        .await
        .status,
        401
    );

    let opened = ask(
        admin,
        "POST /api/v1/session",
        &format!("\r\nAuthorization: Bearer {TOKEN}"),
    )
    .await;
    let csrf = opened.json()["csrf"].as_str().unwrap().to_owned();
    let set = opened.header("set-cookie").unwrap();
    assert!(
        set.ends_with("; path=/; max-age=43200; httponly; samesite=strict"),
        "{set}"
    );
    let cookie = format!("\r\nCookie: {}", set.split(';').next().unwrap());
    assert_eq!(
        ask(admin, "GET /api/v1/session", &cookie).await.json()["csrf"],
        json!(csrf)
    );
    assert_eq!(ask(admin, "GET /api/v1/modules", &cookie).await.status, 200);
    for (headers, expected) in [
        (cookie.clone(), 403),
        (format!("{cookie}\r\nX-CSRF-Token: wrong"), 403),
        (format!("{cookie}\r\nX-CSRF-Token: {csrf}"), 200),
        (
            format!("{cookie}\r\nX-CSRF-Token: {csrf}\r\nOrigin: http://evil.example"),
            403,
        ),
        (format!("\r\nX-CSRF-Token: {csrf}"), 401),
    ] {
        let answer = ask(admin, "POST /api/v1/modules/rescan", &headers).await;
        assert_eq!(answer.status, expected, "{headers}");
    }
    let closed = ask(
        admin,
        "DELETE /api/v1/session",
        &format!("{cookie}\r\nX-CSRF-Token: {csrf}"),
    )
    .await;
    assert!(closed.header("set-cookie").unwrap().contains("max-age=0"), "{closed:?}");
    assert_eq!(ask(admin, "GET /api/v1/modules", &cookie).await.status, 401);
}

#[tokio::test]
async fn without_a_terminal_a_log_line_is_a_json_object() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = host::command(dir.path());
    command.env("HOOKHOST_LOG__FORMAT", "auto");
    command.args(["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let process = Process::start(command);
    let line = process
        .stderr
        .wait("the ready line", PATIENCE, |line| line.contains("\"ready\""))
        .await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["level"], &line["message"]), (&json!("INFO"), &json!("ready")));
    assert!(line["mqtt"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
    for line in process.stderr.lines() {
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn the_log_filter_changes_while_the_host_runs() {
    let setup = Setup::new();
    let file = setup.dir().join("hookhost.toml");
    let reload = async |host: &Host, url: &str| {
        std::fs::write(&file, format!("[webhook]\nurls = [{url:?}]\n")).unwrap();
        // The host may have seen the change by itself, with the same log filter.
        host.ask(&["modules", "rescan"]).await;
    };
    let host = setup.config("").start().await;
    assert_eq!(host.ask(&["log"]).await, "the default: info\n");
    assert_eq!(host.ask(&["log", "--filter", "error"]).await, "error\n");
    let refused = host.try_ask(&["log", "--filter", "hookhost=loud"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("is not a log filter"), "{refused:?}");
    reload(&host, "http://127.0.0.1:9/one").await;
    assert_eq!(host.ask(&["log", "--filter", ""]).await, "the default: info\n");
    reload(&host, "http://127.0.0.1:9/two").await;
    let wanted = |line: &str| line.contains("configuration reloaded");
    host.log().wait("the second reload", PATIENCE, wanted).await;
    let reloads = host.log().lines().iter().filter(|line| wanted(line)).count();
    assert_eq!(reloads, 1, "the first one was not logged");
}

#[tokio::test]
async fn deliveries_are_listed_and_followed() {
    let sink = Sink::start().await;
    sink.answer(|request, _| match request.json()["payload"].as_str() {
        Some("refused") => SinkAnswer::Status(422),
        _ => SinkAnswer::Status(200),
    });
    let host = probe(&sink, "").await;
    let mut tap = host::command(host.dir());
    tap.args(["tap", "--json", "--client", "c", "--topic", "t/+"]);
    tap.env("HOOKHOST_ADMIN", host.admin.unwrap().to_string());
    let tap = Process::start(tap);
    let mut other = Client::connect(host.address, V, "other").await;
    let mut client = Client::connect(host.address, V, "c").await;
    other.publish("t/1", 1, "refused").await;
    // The first publishes may come before the tap follows.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tap.stdout.lines().is_empty() {
        other.publish("t/1", 1, "x").await;
        client.publish("t/1", 1, "x").await;
        assert!(tokio::time::Instant::now() < deadline, "nothing is followed");
    }
    client.publish("t/1", 1, "fail").await;
    let failed = |line: &str| line.contains("\"failed\"");
    let line = tap.stdout.wait("the failure", PATIENCE, failed).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["kind"], "outcome");
    assert_eq!((&line["module"], &line["topic"]), (&json!("webhook"), &json!("t/1")));
    let lines: Vec<Value> = tap
        .stdout
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().all(|line| line["client"] == "c"), "{lines:#?}");
    let attempts = lines.iter().filter(|line| line["kind"] == "attempt");
    assert!(attempts.clone().all(|line| line["result"] == "delivered"), "{lines:#?}");

    let admin = host.admin.unwrap();
    let failed = until_answer(admin, "GET /api/v1/deliveries?failed=true", |answer| {
        answer.json()["deliveries"].as_array().unwrap().len() == 1
    })
    .await;
    let failed = failed.json()["deliveries"][0].clone();
    assert_eq!((&failed["status"], &failed["result"]), (&json!(422), &json!("dropped")));
    assert_eq!(
        (&failed["hook"], &failed["topic"]),
        (&json!("message-publish"), &json!("t/1"))
    );
    assert_eq!(
        (&failed["attempt"], &failed["url"]),
        (&json!(1), &json!(sink.url("/hook")))
    );
    let event = failed["event"].as_str().unwrap();
    let of_event = ask(admin, &format!("GET /api/v1/deliveries?event={event}"), "")
        .await
        .json();
    assert_eq!(of_event["deliveries"], json!([failed]));
    // The client has published more than once.
    until_answer(admin, "GET /api/v1/deliveries?client=c&limit=1", |answer| {
        answer.json()["deliveries"].as_array().unwrap().len() == 1
    })
    .await;
    for wrong in ["topic=a/%23/b", "limit=0", "status=x", "falied=true"] {
        let answer = ask(admin, &format!("GET /api/v1/deliveries?{wrong}"), "").await;
        assert_eq!(answer.status, 400, "{wrong}: {answer:?}");
    }
    client.disconnect().await;
    other.disconnect().await;
}
