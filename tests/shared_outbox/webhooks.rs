//! Webhooks that hosts share in a bucket of NATS.

use std::path::Path;
use std::time::{Duration, Instant};

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::http::{self, Answer};
use hookhost_tests::nats::Nats;
use hookhost_tests::sink::Sink;
use hookhost_tests::{PATIENCE, Version};
use serde_json::{Value, json};

/// The subject of the key of a webhook.
const BUCKET: &str = "$KV.hookhost-outbox-webhooks";

/// A host that shares the outbox, without other webhooks.
fn setup(nats: &Nats) -> Setup {
    Setup::new().config(&format!(
        "[delivery]\noutbox = {:?}\n[delivery.nats]\nlease = \"1s\"\n",
        nats.url()
    ))
}

/// The same with a data folder.
fn setup_with_data(nats: &Nats, data: &Path) -> Setup {
    setup(nats).arg("--data").arg(data)
}

/// A request to the admin API of a host, such as `GET /webhooks`, with more header lines.
async fn ask_with(host: &Host, what: &str, headers: &str, body: &Value) -> Answer {
    let (method, path) = what.split_once(' ').unwrap();
    http::ask_with(host.admin.unwrap(), &format!("{method} /api/v1{path}"), headers, body).await
}

async fn ask(host: &Host, what: &str, body: &Value) -> Answer {
    ask_with(host, what, "", body).await
}

async fn get(host: &Host, path: &str) -> Answer {
    http::ask(host.admin.unwrap(), &format!("GET /api/v1{path}"), "").await
}

/// Asks until an answer fulfils a condition, and returns it.
async fn until(host: &Host, path: &str, what: &str, condition: impl Fn(&Answer) -> bool) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    loop {
        tick.tick().await;
        let answer = get(host, path).await;
        if condition(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: {answer:?}");
    }
}

fn exists(answer: &Answer) -> bool {
    answer.status == 200
}

fn webhook(sink: &Sink, path: &str) -> Value {
    json!({
        "name": "w", "url": sink.url(path), "events": ["message_publish"], "topics": ["t/#"],
        "bearer": "a-very-secret-token",
    })
}

#[tokio::test]
async fn a_webhook_of_one_host_has_effect_on_the_other_and_the_second_editor_is_told() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let (mut one, mut two) = (setup(&nats).start().await, setup(&nats).start().await);
    let created = ask(&one, "POST /webhooks", &webhook(&sink, "/one")).await;
    assert_eq!(created.status, 200, "{created:?}");
    assert_eq!(created.json()["file"], "bucket hookhost-outbox-webhooks");
    let shown = until(&two, "/webhooks/w", "the webhook on the other host", exists).await;
    assert!(!shown.body.contains("a-very-secret-token"), "{shown:?}");
    let mut client = Client::connect(two.address, Version::V5, "c").await;
    client.publish("t/1", 1, "x").await;
    let request = sink.wait_for(1, PATIENCE).await.remove(0);
    assert_eq!(
        (request.path.as_str(), request.header("authorization")),
        ("/one", Some("Bearer a-very-secret-token"))
    );

    // Both people have read the same settings. Each host knows the tag of the other.
    let tag = shown.header("etag").unwrap().to_owned();
    assert_eq!(get(&one, "/webhooks/w").await.header("etag"), Some(&*tag));
    let mut settings = shown.json()["settings"].clone();
    settings["url"] = json!(sink.url("/two"));
    let if_match = format!("\r\nIf-Match: {tag}");
    let first = ask_with(&two, "PUT /webhooks/w", &if_match, &settings).await;
    assert_eq!(first.status, 200, "{first:?}");
    let second = ask_with(&one, "PUT /webhooks/w", &if_match, &settings).await;
    assert_eq!(second.status, 412, "{second:?}");
    assert!(second.body.contains("changed meanwhile"), "{second:?}");
    let again = ask(&one, "POST /webhooks", &webhook(&sink, "/three")).await;
    assert_eq!(again.status, 409, "{again:?}");
    // A change without a tag is a change of the newest settings.
    assert_eq!(ask(&one, "POST /webhooks/w/disable", &Value::Null).await.status, 200);
    let is_disabled = |answer: &Answer| answer.json()["enabled"] == false;
    let shown = until(&two, "/webhooks/w", "it is disabled", is_disabled).await;
    assert_eq!(shown.json()["settings"]["url"], sink.url("/two"));
    assert_eq!(ask(&two, "POST /webhooks/w/enable", &Value::Null).await.status, 200);
    let tested = ask(&two, "POST /webhooks/w/test", &Value::Null).await;
    assert_eq!(tested.json()["ok"], true, "{tested:?}");
    assert_eq!(ask(&two, "DELETE /webhooks/w", &Value::Null).await.status, 200);
    until(&one, "/webhooks/w", "it is removed", |answer| answer.status == 404).await;
    // All of a list, or none.
    let list = json!([webhook(&sink, "/a"), {"name": "other", "url": sink.url("/b")}, {"name": "bad", "url": "wrong"}]);
    assert_eq!(ask(&one, "POST /webhooks", &list).await.status, 400);
    let list = json!([webhook(&sink, "/a"), {"name": "other", "url": sink.url("/b")}]);
    assert_eq!(ask(&one, "POST /webhooks", &list).await.status, 200);
    until(&two, "/webhooks", "both", |answer| answer.json()["total"] == 2).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_wrong_entry_is_an_error_of_this_webhook_only() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let mut host = setup(&nats).start().await;
    assert_eq!(ask(&host, "POST /webhooks", &webhook(&sink, "/one")).await.status, 200);
    let newer = json!({"url": sink.url("/newer"), "key_of_next_year": "hidden-value"});
    nats.ask(&format!("{BUCKET}.newer"), &newer.to_string()).await;
    nats.ask(&format!("{BUCKET}.text"), "no JSON").await;
    let wrong = |answer: &Answer| {
        let webhooks = answer.json()["webhooks"].as_array().unwrap().clone();
        webhooks
            .iter()
            .filter(|webhook| webhook["problems"] != json!([]))
            .count()
            == 2
    };
    let listed = until(&host, "/webhooks", "two wrong ones", wrong).await;
    assert!(
        !listed.body.contains("hidden-value") && !listed.body.contains("no JSON"),
        "{listed:?}"
    );
    assert!(listed.body.contains("key_of_next_year: unknown key"), "{listed:?}");
    let is_logged = |line: &str| line.contains("left out") && line.contains("webhooks.newer.key_of_next_year");
    host.log().wait("the error", PATIENCE, is_logged).await;
    let mut client = Client::connect(host.address, Version::V5, "c").await;
    client.publish("t/1", 1, "x").await;
    let requests = sink.wait_for(1, PATIENCE).await;
    assert_eq!(requests[0].path, "/one");
    // It can be put right or removed.
    let right = json!({"url": sink.url("/right")});
    assert_eq!(ask(&host, "PUT /webhooks/newer", &right).await.status, 200);
    assert_eq!(get(&host, "/webhooks/newer").await.json()["problems"], json!([]));
    assert_eq!(ask(&host, "DELETE /webhooks/text", &Value::Null).await.status, 200);
    host.stop().await;
}

#[tokio::test]
async fn webhooks_of_a_data_folder_are_shared_and_used_without_nats() {
    let Some(mut nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    // Each host has webhooks of its own. Those of the first one are shared.
    for (data, name) in [(&first, "w"), (&second, "mine")] {
        let mut alone = Setup::new().arg("--data").arg(data.path()).start().await;
        let mut webhook = webhook(&sink, "/one");
        webhook["name"] = json!(name);
        assert_eq!(ask(&alone, "POST /webhooks", &webhook).await.status, 200);
        alone.stop().await;
    }
    let mut one = setup_with_data(&nats, first.path()).start().await;
    let mut two = setup_with_data(&nats, second.path()).start().await;
    assert_eq!(get(&two, "/webhooks").await.json()["total"], 1);
    assert!(exists(&get(&two, "/webhooks/w").await));
    let kept = std::fs::read_to_string(second.path().join("webhooks.toml.before-sharing")).unwrap();
    assert!(kept.contains("[webhooks.mine]"), "{kept}");
    one.stop().await;
    two.stop().await;
    nats.kill(0).await;
    let mut two = setup_with_data(&nats, second.path()).start().await;
    let shown = get(&two, "/webhooks/w").await;
    assert!(exists(&shown), "{shown:?}");
    let mut client = Client::connect(two.address, Version::V5, "c").await;
    client.publish("t/1", 1, "x").await;
    let refused = ask(&two, "POST /webhooks/w/disable", &Value::Null).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("cannot be changed"), "{refused:?}");
    nats.restart(0).await;
    let request = sink.wait_for(1, PATIENCE).await.remove(0);
    assert_eq!(request.header("authorization"), Some("Bearer a-very-secret-token"));
    let is_shared = |answer: &Answer| answer.json()["etag"].as_str().unwrap().starts_with('r');
    until(&two, "/webhooks/w", "the state of the bucket", is_shared).await;
    assert_eq!(ask(&two, "POST /webhooks/w/disable", &Value::Null).await.status, 200);
    // A bucket that is deleted by mistake is filled again.
    nats.ask("$JS.API.STREAM.DELETE.KV_hookhost-outbox-webhooks", "").await;
    let mut one = setup_with_data(&nats, first.path()).start().await;
    let is_disabled = |answer: &Answer| answer.status == 200 && answer.json()["enabled"] == false;
    until(&two, "/webhooks/w", "it is still disabled", is_disabled).await;
    until(&one, "/webhooks/w", "the webhook", exists).await;
    one.stop().await;
    two.stop().await;
}
