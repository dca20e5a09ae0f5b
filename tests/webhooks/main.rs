//! Webhooks that are created, changed and tested while the host runs.

mod trials;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use hookhost_tests::client::Client;
use hookhost_tests::flow::{self, Flow};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::http::{self, Answer};
use hookhost_tests::sink::{self, Received, Sink};
use hookhost_tests::tls::{self, Authority, Subject};
use hookhost_tests::{PATIENCE, Version};
use serde_json::{Value, json};

const V: Version = Version::V311;

async fn get(host: &Host, path: &str) -> Answer {
    http::ask(host.admin.unwrap(), &format!("GET /api/v1{path}"), "").await
}

async fn ask(host: &Host, what: &str, body: &Value) -> Answer {
    let (method, path) = what.split_once(' ').unwrap();
    http::ask_with(host.admin.unwrap(), &format!("{method} /api/v1{path}"), "", body).await
}

async fn create(host: &Host, webhook: Value) -> Value {
    let answer = ask(host, "POST /webhooks", &webhook).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// A host with a data folder and no other settings.
fn with_data() -> Setup {
    let setup = Setup::new();
    let data = setup.dir().join("data");
    setup.arg("--data").arg(data)
}

/// Publishes once and waits for a request that `wanted` accepts.
async fn published(client: &mut Client, sink: &Sink, topic: &str, wanted: impl Fn(&Received) -> bool) -> Arc<Received> {
    let before = sink.count();
    client.publish(topic, 1, "{\"msg\": \"Hello Webhook\"}").await;
    let is_there = |all: &[Arc<Received>]| all.iter().skip(before).any(|request| wanted(request));
    sink.wait_until("the request", PATIENCE, is_there).await;
    let requests = sink.requests();
    requests
        .into_iter()
        .skip(before)
        .find(|request| wanted(request))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_lives_from_its_creation_to_its_removal() {
    let sink = Sink::start().await;
    let mut host = with_data().start().await;
    let mut client = Client::connect(host.address, V, "c1").await;
    let created = create(
        &host,
        json!({
            "name": "my_webhook", "url": sink.url("/one"), "events": ["message_publish"], "topics": ["t/#"],
            "headers": {"x-plain": "shown"}, "bearer": "a-very-secret-token",
        }),
    )
    .await;
    let webhook = &created["webhooks"][0];
    assert_eq!(
        (&webhook["settings"]["bearer"], &webhook["read_only"]),
        (&json!("******"), &json!(false))
    );
    let file = host.dir().join("data/webhooks.toml");
    assert_eq!(created["file"], json!(file.display().to_string()));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let request = published(&mut client, &sink, "t/1", |_| true).await;
    assert_eq!(request.header("authorization"), Some("Bearer a-very-secret-token"));
    assert_eq!(request.header("x-plain"), Some("shown"));
    assert_eq!(request.json()["metadata"]["rule_id"], "my_webhook");
    assert_eq!(request.json()["payload"], "{\"msg\": \"Hello Webhook\"}");

    // A change keeps the secret. A second person with the older settings is told.
    let shown = get(&host, "/webhooks/my_webhook").await;
    assert!(!shown.body.contains("a-very-secret-token"), "{shown:?}");
    let tag = shown.header("etag").unwrap().to_owned();
    let mut settings = shown.json()["settings"].clone();
    settings["url"] = json!(sink.url("/two"));
    let put = async |settings: &Value| {
        let headers = format!("\r\nIf-Match: {tag}");
        http::ask_with(
            host.admin.unwrap(),
            "PUT /api/v1/webhooks/my_webhook",
            &headers,
            settings,
        )
        .await
    };
    assert_eq!(put(&settings).await.status, 200);
    let second = put(&settings).await;
    assert_eq!(second.status, 412, "{second:?}");
    assert!(second.body.contains("changed meanwhile"), "{second:?}");
    let request = published(&mut client, &sink, "t/1", |request| request.path == "/two").await;
    assert_eq!(request.header("authorization"), Some("Bearer a-very-secret-token"));

    // A restart keeps it.
    host.stop().await;
    let log = host.log().lines().join("\n");
    assert!(!log.contains("a-very-secret-token"), "{log}");
    // Everything that changes something is in the audit log, refusals too.
    for line in [
        "audit: admin request method=POST path=\"/api/v1/webhooks\" by=\"none\" role=\"admin\" status=200",
        "audit: admin request method=PUT path=\"/api/v1/webhooks/my_webhook\" by=\"none\" role=\"admin\" status=412",
    ] {
        assert!(log.contains(line), "{line} is not in {log}");
    }
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.contains("[webhooks.my_webhook]\n"), "{kept}");
    let setup = Setup::new();
    let mut host = setup.arg("--data").arg(host.dir().join("data")).start().await;
    let mut client = Client::connect(host.address, V, "c1").await;
    published(&mut client, &sink, "t/1", |request| request.path == "/two").await;

    // Disabled, it sends nothing; the next webhook shows that the publish was handled.
    assert_eq!(
        ask(&host, "POST /webhooks/my_webhook/disable", &Value::Null)
            .await
            .status,
        200
    );
    create(
        &host,
        json!({"name": "other", "url": sink.url("/other"), "events": ["message_publish"]}),
    )
    .await;
    published(&mut client, &sink, "t/1", |request| request.path == "/other").await;
    assert_eq!(sink.requests().last().unwrap().path, "/other");
    let list = get(&host, "/webhooks").await.json();
    let names: Vec<_> = list["webhooks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| (&w["name"], &w["enabled"]))
        .collect();
    assert_eq!(
        names,
        [(&json!("my_webhook"), &json!(false)), (&json!("other"), &json!(true))]
    );
    assert_eq!(
        ask(&host, "POST /webhooks/my_webhook/enable", &Value::Null)
            .await
            .status,
        200
    );
    published(&mut client, &sink, "t/1", |request| request.path == "/two").await;
    let removed = ask(&host, "DELETE /webhooks/my_webhook", &Value::Null).await;
    assert_eq!(removed.json()["removed"], json!(["my_webhook"]));
    assert_eq!(get(&host, "/webhooks/my_webhook").await.status, 404);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_refused_at_their_field_and_change_nothing() {
    let host = Setup::new()
        .config("[webhooks.fixed]\nurl = \"http://127.0.0.1:1/\"\nbearer = \"secret-of-the-file\"\n[[webhook.rule.message_publish]]\naction = \"a\"\nurls = [\"stdout:\"]\n")
        .start()
        .await;
    let wrong =
        json!({"name": "w", "url": "nowhere", "topics": ["a/#/b", 1], "where": "qos =", "http_timeout": 5, "x": 1});
    let answer = ask(&host, "POST /webhooks", &wrong).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let problems = answer.json()["problems"].as_array().unwrap().clone();
    let mut fields: Vec<&str> = problems
        .iter()
        .map(|problem| problem["field"].as_str().unwrap())
        .collect();
    fields.dedup();
    for field in ["url", "topics[0]", "topics[1]", "where", "http_timeout", "x"] {
        assert!(fields.contains(&field), "{field} is not in {problems:#?}");
    }
    for (what, body, status, words) in [
        (
            "POST /webhooks",
            json!({"name": "a b", "url": "http://h/"}),
            400,
            "letters, digits",
        ),
        ("POST /webhooks", json!({"url": "http://h/"}), 400, "name should be"),
        ("POST /webhooks", json!(5), 400, "an object"),
        (
            "POST /webhooks",
            json!({"name": "fixed", "url": "http://h/"}),
            409,
            "configuration file",
        ),
        (
            "PUT /webhooks/fixed",
            json!({"url": "http://h/"}),
            409,
            "configuration file",
        ),
        ("DELETE /webhooks/none", json!(null), 404, "no webhook"),
        (
            "POST /webhooks",
            json!({"name": "d", "url": "http://h/", "events": ["message_publish"], "acknowledge": "durable"}),
            409,
            "data folder",
        ),
        (
            "POST /webhooks",
            json!([{"name": "good", "url": "http://h/"}, {"name": "bad", "url": "x"}]),
            400,
            "bad.url",
        ),
    ] {
        let answer = ask(&host, what, &body).await;
        assert_eq!(answer.status, status, "{what} {body}: {answer:?}");
        assert!(answer.body.contains(words), "{what} {body}: {answer:?}");
    }
    // Without a data folder the answer says that nothing keeps webhooks. Those of the file are read-only.
    let list = get(&host, "/webhooks").await.json();
    assert_eq!(list["file"], Value::Null);
    let webhooks = list["webhooks"].as_array().unwrap();
    let names: Vec<_> = webhooks
        .iter()
        .map(|w| (w["name"].as_str().unwrap(), w["read_only"].as_bool().unwrap()))
        .collect();
    assert_eq!(names, [("fixed", true), ("rule.message_publish.0", true)]);
    assert!(
        webhooks[0]["source"].as_str().unwrap().contains("hookhost.toml:1"),
        "{webhooks:#?}"
    );
    assert!(!list.to_string().contains("secret-of-the-file"));
    let created = create(
        &host,
        json!({"name": "good", "url": "http://127.0.0.1:1/", "events": ["client_connected"]}),
    )
    .await;
    assert_eq!(created["file"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_lose_no_event() {
    let sink = Sink::start().await;
    let mut host = with_data().start().await;
    create(
        &host,
        json!({"name": "all", "url": sink.url("/all"), "events": ["message_publish"]}),
    )
    .await;
    let flow = Flow::start(host.address, "flow", 4, 1000, "t").await;
    for round in 0..5 {
        flow.go_on(200).await;
        create(
            &host,
            json!({"name": format!("w{round}"), "url": sink.url("/some"), "topics": ["none"], "bearer": "x"}),
        )
        .await;
        let changed =
            json!({"url": sink.url("/all"), "events": ["message_publish"], "headers": {"x-round": round.to_string()}});
        assert_eq!(ask(&host, "PUT /webhooks/all", &changed).await.status, 200);
        assert_eq!(
            ask(&host, &format!("DELETE /webhooks/w{round}"), &Value::Null)
                .await
                .status,
            200
        );
    }
    flow.go_on(200).await;
    let sent = flow.stop().await;
    host.stop().await;
    let requests = sink.requests();
    let at_all = requests.iter().filter(|request| request.path == "/all");
    let payloads = at_all.map(|request| request.json()["payload"].as_str().unwrap().to_owned());
    flow::assert_once_in_order(&sent, &flow::numbers_in(payloads));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_does_everything() {
    let sink = Sink::start().await;
    let host = with_data().start().await;
    let url = sink.url("/hook");
    let created = host
        .ask(&[
            "webhooks",
            "create",
            "w",
            "--url",
            &url,
            "--event",
            "message_publish",
            "--topic",
            "t/#",
            "--set",
            "bearer = \"secret\"",
        ])
        .await;
    assert_eq!(created, "w: created\n");
    let list = host.ask(&["webhooks", "list"]).await;
    assert!(
        list.contains("enabled") && list.contains("message_publish") && list.contains(&url),
        "{list}"
    );
    let shown = host.ask(&["webhooks", "show", "w"]).await;
    assert!(shown.contains("bearer = \"******\""), "{shown}");
    let tested = host.ask(&["webhooks", "test", "w"]).await;
    assert!(tested.starts_with(&format!("POST {url}: status 200")), "{tested}");
    assert_eq!(sink.requests()[0].header("authorization"), Some("Bearer secret"));
    let changed = [
        "webhooks",
        "change",
        "w",
        "--set",
        "headers = { x-a = \"1\" }",
        "--unset",
        "topics",
    ];
    assert_eq!(host.ask(&changed).await, "w: changed\n");
    let shown = host.ask(&["webhooks", "show", "w"]).await;
    assert!(shown.contains("x-a") && !shown.contains("topics"), "{shown}");
    let tried = host.ask(&["webhooks", "try", "--topic", "t/1"]).await;
    assert!(
        tried.starts_with("w (") && tried.contains("deliver") && tried.contains("x-a: 1"),
        "{tried}"
    );
    let event = host.dir().join("event.json");
    std::fs::write(&event, "{\"hook\": \"client-connected\"}").unwrap();
    let tried = host.ask(&["webhooks", "try", "--file", event.to_str().unwrap()]).await;
    assert!(!tried.contains("POST"), "{tried}");
    assert_eq!(host.ask(&["webhooks", "disable", "w"]).await, "w: disabled\n");
    assert_eq!(host.ask(&["webhooks", "enable", "w"]).await, "w: enabled\n");
    let file = host.dir().join("more.toml");
    std::fs::write(
        &file,
        format!("[webhooks.a]\nurl = {url:?}\n[webhooks.b]\nurl = {url:?}\n"),
    )
    .unwrap();
    assert_eq!(
        host.ask(&["webhooks", "create", "--file", file.to_str().unwrap()])
            .await,
        "a: created\nb: created\n"
    );
    let refused = host
        .try_ask(&["webhooks", "create", "w", "--url", "nowhere", "--topic", "a/#/b"])
        .await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("there is a webhook"), "{refused:?}");
    let refused = host.try_ask(&["webhooks", "change", "w", "--url", "nowhere"]).await;
    assert!(refused.stderr.contains("w.url: `nowhere` is not a URL"), "{refused:?}");
    assert_eq!(
        host.ask(&["webhooks", "remove", "a", "b", "w"]).await,
        "a: removed\nb: removed\nw: removed\n"
    );
    let tried = host.ask(&["webhooks", "try"]).await;
    assert!(tried.contains("no webhook or rule"), "{tried}");
    let missing = host.try_ask(&["webhooks", "test", "w"]).await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_webhooks_by_the_api() {
    let sink = Sink::start().await;
    let mut host = with_data().start().await;
    let webhook = |number: usize| {
        json!({
            "name": format!("tenant-{number}"), "url": sink.url(&format!("/{number}")), "events": ["message_publish"],
            "topics": [format!("tenants/{number}/#"), format!("shared/{number}/+")],
        })
    };
    let list: Vec<Value> = (0..10_000).map(webhook).collect();
    let created = create(&host, Value::Array(list)).await;
    assert_eq!(created["webhooks"].as_array().unwrap().len(), 10_000);
    let page = get(&host, "/webhooks?limit=2&search=tenant-1").await.json();
    let names: Vec<&Value> = page["webhooks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| &w["name"])
        .collect();
    assert_eq!(names, ["tenant-1", "tenant-10"]);
    assert_eq!((&page["total"], &page["more"]), (&json!(1111), &json!(true)));
    let next = get(&host, "/webhooks?limit=1&search=tenant-1&after=tenant-10")
        .await
        .json();
    assert_eq!(next["webhooks"][0]["name"], "tenant-100");
    // Many people at the same time: every change is made.
    let admin = host.admin.unwrap();
    let many: Vec<_> = (10_000..10_020)
        .map(|number| {
            let webhook = webhook(number);
            tokio::spawn(async move {
                http::ask_with(admin, "POST /api/v1/webhooks", "", &webhook)
                    .await
                    .status
            })
        })
        .collect();
    for one in many {
        assert_eq!(one.await.unwrap(), 200);
    }
    assert_eq!(get(&host, "/webhooks?limit=1").await.json()["total"], 10_020);
    let mut client = Client::connect(host.address, V, "c1").await;
    published(&mut client, &sink, "tenants/9999/x", |request| request.path == "/9999").await;
    published(&mut client, &sink, "shared/10019/x", |request| request.path == "/10019").await;
    assert_eq!(sink.count(), 2, "no other webhook matches");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_in_urls_of_rules_are_shown_nowhere() {
    let rule = "[webhook]\nurls = [\"http://user:hidden@127.0.0.1:1/hook?key=hidden\"]\nrule.message_publish = [{ action = \"a\" }]\n";
    let host = Setup::new().config(rule).start().await;
    let list = get(&host, "/webhooks").await.json();
    assert_eq!(
        list["webhooks"][0]["settings"]["urls"],
        json!(["http://127.0.0.1:1/hook"])
    );
    let event = json!({"event": {"hook": "message-publish", "message": {"topic": "a"}}});
    let tried = ask(&host, "POST /event-trials", &event).await.json();
    assert_eq!(
        tried["webhooks"][0]["requests"][0]["url"], "http://127.0.0.1:1/hook",
        "{tried:#}"
    );
    for (search, total) in [("127.0.0.1:1/hook", 1), ("hidden", 0)] {
        let found = get(&host, &format!("/webhooks?search={search}")).await.json();
        assert_eq!(found["total"], total, "{search}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_of_a_configuration_that_is_refused_are_not_listed() {
    let rule = |action: &str, condition: &str| {
        format!("[[webhook.rule.message_publish]]\naction = {action:?}\nurls = [\"stdout:\"]\nwhere = {condition:?}\n")
    };
    let host = Setup::new().config(&rule("good", "true = true")).start().await;
    std::fs::write(host.dir().join("hookhost.toml"), rule("bad", "qos =")).unwrap();
    let rescan = ask(&host, "POST /modules/rescan", &Value::Null).await.json();
    assert_eq!(rescan["configuration"]["state"], "refused", "{rescan:#}");
    let list = get(&host, "/webhooks").await.json();
    assert_eq!(list["webhooks"][0]["settings"]["action"], "good", "{list:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_survives_a_configuration_that_waited_for_the_folder() {
    let sink = Sink::start().await;
    let host = with_data().config("").modules().start().await;
    let (modules, away) = (host.dir().join("modules"), host.dir().join("away"));
    std::fs::rename(&modules, &away).unwrap();
    std::fs::write(&modules, "").unwrap();
    std::fs::write(host.dir().join("hookhost.toml"), "[delivery]\nhttp_timeout = \"3s\"\n").unwrap();
    let rescan = ask(&host, "POST /modules/rescan", &Value::Null).await.json();
    assert!(rescan["problem"].is_string(), "{rescan:#}");
    // The configuration waits until the folder can be listed. Meanwhile a webhook is created.
    std::fs::remove_file(&modules).unwrap();
    std::fs::rename(&away, &modules).unwrap();
    create(
        &host,
        json!({"name": "w", "url": sink.url("/w"), "events": ["message_publish"]}),
    )
    .await;
    // The folder is listed again.
    let mark = host.log().mark();
    host.drop_module("broken.wasm", "not a module");
    let is_listed = |line: &str| line.contains("broken");
    host.log()
        .wait_after(mark, "the broken module", PATIENCE, is_listed)
        .await;
    let mut client = Client::connect(host.address, V, "c1").await;
    published(&mut client, &sink, "t", |request| request.path == "/w").await;
    assert_eq!(get(&host, "/webhooks").await.json()["total"], 1);
    create(
        &host,
        json!({"name": "next", "url": sink.url("/next"), "events": ["client_connected"]}),
    )
    .await;
}
