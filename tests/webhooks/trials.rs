//! Tests of a webhook and trials of an event, which change nothing.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_tested_with_a_sample_event() {
    let sink = Sink::start().await;
    sink.answer(|request, _| match request.path.as_str() {
        "/refuses" => sink::Answer::Status(422),
        _ => sink::Answer::Status(200),
    });
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Its certificate is from an authority that the host does not know.
    let authority = Authority::new("unknown");
    let secure = Sink::start_tls(tls::server(&authority.issue(Subject::Local), None)).await;
    let host = Setup::new().start().await;
    let draft =
        |url: &str| json!({"name": "draft", "url": url, "topics": ["a/+/b"], "where": "qos = 2", "bearer": "token"});
    let test = async |url: &str| ask(&host, "POST /webhook-tests", &draft(url)).await.json();
    let tested = test(&sink.url("/ok")).await;
    assert_eq!(
        (&tested["ok"], &tested["requests"][0]["status"]),
        (&json!(true), &json!(200)),
        "{tested:#}"
    );
    let request = sink.requests().last().unwrap().clone();
    assert_eq!(request.json()["topic"], "a/1/b");
    assert_eq!(request.header("authorization"), Some("Bearer token"));
    for (url, failure, words) in [
        (sink.url("/refuses"), "status", "status 422"),
        (format!("http://127.0.0.1:{closed}/"), "refused", "nothing listens"),
        ("http://nothing.invalid/".to_owned(), "dns", "cannot be resolved"),
        (secure.url("/tls"), "tls", "TLS"),
    ] {
        let tested = test(&url).await;
        let request = &tested["requests"][0];
        assert_eq!(
            (&tested["ok"], &request["failure"]),
            (&json!(false), &json!(failure)),
            "{tested:#}"
        );
        assert!(request["reason"].as_str().unwrap().contains(words), "{tested:#}");
    }
    assert_eq!(get(&host, "/webhooks").await.json()["total"], 0, "a test saves nothing");

    // Which webhooks would send what, before one is saved.
    create(
        &host,
        json!({"name": "saved", "url": sink.url("/saved"), "events": ["message_publish"], "topics": ["a/#"]}),
    )
    .await;
    create(
        &host,
        json!({"name": "elsewhere", "url": sink.url("/no"), "events": ["message_publish"], "topics": ["b/#"]}),
    )
    .await;
    let before = sink.count();
    let trial = json!({
        "event": {"hook": "message-publish", "message": {"topic": "a/1/b", "payload": "x", "qos": 2}},
        "webhook": {"name": "draft", "url": sink.url("/draft/${clientid}"), "topics": ["a/+/b"], "where": "qos = 2"},
    });
    let tried = ask(&host, "POST /event-trials", &trial).await.json();
    let urls: Vec<_> = tried["webhooks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| (&w["name"], &w["requests"][0]["url"]))
        .collect();
    let expected = [("draft", sink.url("/draft/publisher")), ("saved", sink.url("/saved"))];
    let expected = expected.map(|(name, url)| (json!(name), json!(url)));
    assert_eq!(urls, expected.each_ref().map(|(name, url)| (name, url)), "{tried:#}");
    let other = json!({"event": {"hook": "message-publish", "message": {"topic": "a/1/b", "qos": 1}}, "webhook": trial["webhook"]});
    let tried = ask(&host, "POST /event-trials", &other).await.json();
    assert_eq!(tried["webhooks"][0]["outcome"], "ignore", "{tried:#}");
    assert_eq!(sink.count(), before, "nothing is sent");
    for body in [json!({}), json!({"event": {"hook": "nothing"}}), json!({"event": 1})] {
        assert_eq!(ask(&host, "POST /event-trials", &body).await.status, 400, "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trials_use_variables_and_begin_with_the_draft() {
    let host = Setup::new()
        .config("[webhook.variables]\nSITE = \"hall 3\"\n")
        .start()
        .await;
    for (name, event) in [
        ("a", "message_publish"),
        ("b", "message_publish"),
        ("c", "message_acked"),
    ] {
        create(
            &host,
            json!({"name": name, "url": "http://127.0.0.1:1/", "events": [event]}),
        )
        .await;
    }
    let trial = json!({
        "event": {"hook": "message-publish", "message": {"topic": "a"}},
        "webhook": {"name": "b", "url": "http://127.0.0.1:1/", "events": ["message_publish"], "select": "getenv('SITE') as site"},
    });
    let tried = ask(&host, "POST /event-trials", &trial).await.json();
    let webhooks = tried["webhooks"].as_array().unwrap();
    // `c` has another event about messages.
    let names: Vec<&Value> = webhooks.iter().map(|w| &w["name"]).collect();
    assert_eq!(names, ["b", "a"], "{tried:#}");
    let body: Value = serde_json::from_str(webhooks[0]["requests"][0]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["site"], "hall 3", "{tried:#}");
}
