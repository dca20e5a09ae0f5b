//! The destinations and names of events: rules, filters, destinations, and RMQTT's file.

use std::sync::Arc;
use std::time::Duration;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, Version, body};

const V: Version = Version::V311;

/// Path and topic of each request.
fn targets(requests: &[Arc<Received>]) -> Vec<(String, String)> {
    let topic = |request: &Received| request.json()["topic"].as_str().unwrap_or_default().to_owned();
    requests
        .iter()
        .map(|request| (request.path.clone(), topic(request)))
        .collect()
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(path, topic)| ((*path).to_owned(), (*topic).to_owned()))
        .collect()
}

/// Publishes one message to each topic from one client, so that they are in order.
async fn publish(host: &Host, topics: &[&str]) {
    let mut client = Client::connect(host.address, V, "publisher").await;
    for topic in topics {
        client.publish(topic, 1, "x").await;
    }
    client.disconnect().await;
}

/// Stops the host, which flushes, and returns all requests of the sink.
async fn all(mut host: Host, sink: &Sink) -> Vec<Arc<Received>> {
    host.stop().await;
    sink.requests()
}

#[tokio::test]
async fn topic_filters_choose_messages() {
    let sink = Sink::start().await;
    let config = format!(
        r#"
        urls = ["{}"]
        rule.message_publish = [{{ action = "message_publish", topics = ["a/+", "b/#", "exact"] }}]
        "#,
        sink.url("/hook")
    );
    let host = Setup::new().webhook_config(&config).start().await;
    publish(
        &host,
        &[
            "a",
            "a/x",
            "a/x/y",
            "b",
            "b/c",
            "b/c/d",
            "bb",
            "exact",
            "exact/not",
            "/a/x",
        ],
    )
    .await;
    let expected = [
        ("/hook", "a/x"),
        ("/hook", "b"),
        ("/hook", "b/c"),
        ("/hook", "b/c/d"),
        ("/hook", "exact"),
    ];
    assert_eq!(targets(&all(host, &sink).await), pairs(&expected));
}

#[tokio::test]
async fn a_leading_wildcard_leaves_out_topics_that_begin_with_a_dollar() {
    let sink = Sink::start().await;
    let config = format!(
        r##"
        rule.message_publish = [
            {{ action = "message_publish", topics = ["#"], urls = ["{hash}"] }},
            {{ action = "message_publish", topics = ["+/x"], urls = ["{plus}"] }},
            {{ action = "message_publish", topics = ["#", "$SYS/#"], urls = ["{both}"] }},
            {{ action = "message_publish", urls = ["{every}"] }},
        ]
        "##,
        hash = sink.url("/hash"),
        plus = sink.url("/plus"),
        both = sink.url("/both"),
        every = sink.url("/every"),
    );
    let host = Setup::new().webhook_config(&config).start().await;
    publish(&host, &["$SYS/x", "$other/x", "plain/x"]).await;
    let got = targets(&all(host, &sink).await);
    let of = |path: &str| -> Vec<&str> {
        got.iter()
            .filter(|(to, _)| to == path)
            .map(|(_, topic)| topic.as_str())
            .collect()
    };
    assert_eq!(of("/hash"), ["plain/x"]);
    assert_eq!(of("/plus"), ["plain/x"]);
    assert_eq!(of("/both"), ["$SYS/x", "plain/x"]);
    assert_eq!(of("/every"), ["$SYS/x", "$other/x", "plain/x"]);
}

#[tokio::test]
async fn each_rule_that_matches_makes_a_request_of_its_own() {
    let sink = Sink::start().await;
    let config = format!(
        r##"
        urls = ["{all}"]
        rule.message_publish = [
            {{ action = "first", topics = ["t/#"] }},
            {{ action = "second", topics = ["t/1"], urls = ["{one}", "{two}"] }},
            {{ action = "third", topics = ["other"] }},
        ]
        "##,
        all = sink.url("/all"),
        one = sink.url("/one?x=1&y=%20"),
        two = sink.url("/two"),
    );
    let host = Setup::new().webhook_config(&config).start().await;
    publish(&host, &["t/1", "t/2"]).await;
    let requests = all(host, &sink).await;
    let mut got: Vec<_> = requests
        .iter()
        .map(|request| {
            let body = request.json();
            format!(
                "{} {} {}",
                request.path,
                body["action"].as_str().unwrap(),
                body["topic"].as_str().unwrap()
            )
        })
        .collect();
    got.sort();
    assert_eq!(
        got,
        [
            "/all first t/1",
            "/all first t/2",
            "/one?x=1&y=%20 second t/1",
            "/two second t/1"
        ]
    );
    let bare = |request: &Arc<Received>| body::normalised(&request.body).replace("\"second\"", "\"first\"");
    let of_t1: Vec<_> = requests
        .iter()
        .filter(|request| request.json()["topic"] == "t/1")
        .map(bare)
        .collect();
    assert!(
        of_t1.iter().all(|body| *body == of_t1[0]),
        "only the action differs: {of_t1:?}"
    );
}

#[tokio::test]
async fn an_action_is_any_text() {
    let sink = Sink::start().await;
    let config = format!(
        r#"
        urls = ["{}"]
        rule.client_connected = [{{ action = "on \"connect\" ü" }}]
        "#,
        sink.url("/hook")
    );
    let host = Setup::new().webhook_config(&config).start().await;
    Client::connect(host.address, V, "c1").await.disconnect().await;
    let requests = all(host, &sink).await;
    assert_eq!(requests.len(), 1);
    let expected = r#"{"node":1,"ipaddress":"<addr>","clientid":"c1","username":"undefined","keepalive":60,"proto_ver":4,"clean_session":true,"connected_at":<ms>,"session_present":false,"time":"<time>","action":"on \"connect\" ü"}"#;
    assert_eq!(body::normalised(&requests[0].body), expected);
}

#[tokio::test]
async fn filters_match_the_subscribed_filter_as_a_topic() {
    let sink = Sink::start().await;
    let config = format!(
        r##"
        rule.client_subscribe = [{{ action = "client_subscribe", topics = ["a/#"], urls = ["{subscribe}"] }}]
        rule.session_unsubscribed = [{{ action = "session_unsubscribed", topics = ["+/x"], urls = ["{unsubscribed}"] }}]
        "##,
        subscribe = sink.url("/subscribe"),
        unsubscribed = sink.url("/unsubscribed"),
    );
    let host = Setup::new().webhook_config(&config).start().await;
    let mut client = Client::connect(host.address, V, "c1").await;
    for filter in ["a/+", "b/+", "a/b/#", "#", "q/x"] {
        client.subscribe(filter, 0).await;
    }
    client.unsubscribe("q/x").await;
    client.unsubscribe("a/+").await;
    client.disconnect().await;
    let expected = [("/subscribe", "a/+"), ("/subscribe", "a/b/#"), ("/unsubscribed", "q/x")];
    assert_eq!(targets(&all(host, &sink).await), pairs(&expected));
}

#[tokio::test]
async fn file_urls_append_a_line_per_event() {
    let setup = Setup::new();
    let file = setup.dir().join("new/folder/hook.log");
    let config = format!(
        r#"
        urls = ["file://{}"]
        rule.message_publish = [{{ action = "message_publish" }}]
        rule.client_disconnected = [{{ action = "client_disconnected" }}]
        "#,
        file.display()
    );
    let mut host = setup.webhook_config(&config).start().await;
    publish(&host, &["t/1", "t/2"]).await;
    // An immediate stop would end the connection before the host has read DISCONNECT.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while !std::fs::read_to_string(&file).is_ok_and(|text| text.contains("client_disconnected")) {
        assert!(tokio::time::Instant::now() < deadline, "the file never had all");
        tick.tick().await;
    }
    host.stop().await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.ends_with('\n'));
    let got: Vec<_> = text.lines().map(body::normalised).collect();
    let expected = hookhost_tests::scene::lines(
        V,
        r#"
        {"dup":false,"retain":false,"qos":1,"topic":"t/1","packet_id":1,"payload":"eA==","ts":<ms>,"time":"<time>","from_node":1,"from_ipaddress":"<addr>","from_clientid":"publisher","from_username":"undefined","from_type":"custom","action":"message_publish"}
        {"dup":false,"retain":false,"qos":1,"topic":"t/2","packet_id":2,"payload":"eA==","ts":<ms>,"time":"<time>","from_node":1,"from_ipaddress":"<addr>","from_clientid":"publisher","from_username":"undefined","from_type":"custom","action":"message_publish"}
        {"node":1,"ipaddress":"<addr>","clientid":"publisher","username":"undefined","disconnected_at":<ms>,"reason":"$bye","time":"<time>","action":"client_disconnected"}
        "#,
    );
    body::check("the file", &got, &expected);
}

#[tokio::test]
async fn stdout_is_a_destination() {
    let config = r#"
        urls = ["stdout:"]
        rule.message_publish = [{ action = "printed" }]
        "#;
    let mut host = Setup::new()
        .modules()
        .module_file("webhook.toml", in_module(config))
        .start()
        .await;
    publish(&host, &["t/1"]).await;
    let line = host
        .process
        .stdout
        .wait("the webhook", PATIENCE, |line| line.contains("\"printed\""))
        .await;
    assert!(line.contains("\"topic\":\"t/1\""), "{line}");
    host.stop().await;
}

/// RMQTT's top-level keys of a webhook file, moved below `[config]` of `webhook.toml`.
fn in_module(config: &str) -> String {
    format!("[config]\n{config}")
}

#[tokio::test]
async fn the_modules_folder_configures_the_default_module() {
    let sink = Sink::start().await;
    let config = in_module(&format!(
        r#"
        urls = ["{}"]
        [[config.rule.message_publish]]
        action = "from the folder"
        topics = ["t/#"]
        "#,
        sink.url("/hook")
    ));
    let host = Setup::new().modules().module_file("webhook.toml", config).start().await;
    publish(&host, &["t/1", "u"]).await;
    let log = host.log().lines().join("\n");
    assert!(
        !log.contains("no URL is given"),
        "these webhooks are not printed:\n{log}"
    );
    let requests = all(host, &sink).await;
    assert_eq!(targets(&requests), pairs(&[("/hook", "t/1")]));
    assert_eq!(requests[0].json()["action"], "from the folder");
}

#[tokio::test]
async fn a_whole_file_of_rmqtt() {
    let sink = Sink::start().await;
    let setup = Setup::new();
    let file = setup.dir().join("hook.log");
    // Every key of RMQTT's own file, in its notations: dotted keys, durations with units, digits with underscores.
    let config = format!(
        r##"
        # Comments stay where they are.
        queue_capacity = 300_000
        concurrency_limit = 16
        urls = ["{url}", "file://{file}"]
        http_timeout = "8s"
        retry_max_elapsed_time = "1m30s"
        retry_multiplier = 2.5

        rule.session_created = [{{ action = "session_created" }}]
        rule.session_terminated = [{{ action = "session_terminated" }}]
        rule.session_subscribed = [{{ action = "session_subscribed" }}]
        rule.session_unsubscribed = [{{ action = "session_unsubscribed" }}]
        rule.client_connect = [{{ action = "client_connect" }}]
        rule.client_connack = [{{ action = "client_connack" }}]
        rule.client_connected = [{{ action = "client_connected" }}]
        rule.client_disconnected = [{{ action = "client_disconnected" }}]
        rule.client_subscribe = [{{ action = "client_subscribe" }}]
        rule.client_unsubscribe = [{{ action = "client_unsubscribe" }}]
        rule.message_publish = [{{ action = "message_publish", topics = ["#", "$SYS/#"] }}]
        rule.message_delivered = [{{ action = "message_delivered", topics = ["#", "$SYS/#"] }}]
        rule.message_acked = [{{ action = "message_acked", topics = ["#", "$SYS/#"] }}]
        rule.message_dropped = [{{ action = "message_dropped" }}]
        rule.offline_message = [{{ action = "offline_message", topics = ["#", "$SYS/#"] }}]
        "##,
        url = sink.url("/mqtt/webhook"),
        file = file.display(),
    );
    let mut host = setup.webhook_config(&config).start().await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.subscribe("t", 1).await;
    client.publish("t", 1, "x").await;
    // The next acknowledged publish of the same client, after the first has returned and is confirmed.
    assert_eq!(client.message().await.payload, b"x");
    let acked = |all: &[Arc<Received>]| all.iter().any(|request| request.json()["action"] == "message_acked");
    sink.wait_until("message_acked", PATIENCE, acked).await;
    client.unsubscribe("t").await;
    client.disconnect().await;
    host.stop().await;
    let actions = |bodies: Vec<serde_json::Value>| -> Vec<String> {
        bodies
            .iter()
            .map(|body| body["action"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let expected = [
        "client_connect",
        "session_created",
        "client_connack",
        "client_connected",
        "client_subscribe",
        "session_subscribed",
        "message_publish",
        "message_delivered",
        "message_acked",
        "client_unsubscribe",
        "session_unsubscribed",
        "client_disconnected",
        "session_terminated",
    ];
    let sent: Vec<_> = sink.requests();
    assert_eq!(actions(sent.iter().map(|request| request.json()).collect()), expected);
    let text = std::fs::read_to_string(&file).unwrap();
    let written: Vec<_> = text.lines().map(str::to_owned).collect();
    let bodies: Vec<_> = sent.iter().map(|request| request.body.clone()).collect();
    assert_eq!(written, bodies, "the file has what the web service got");
}

#[tokio::test]
async fn ten_thousand_rules_with_wildcards() {
    let sink = Sink::start().await;
    let mut config = format!("urls = [\"{}\"]\nrule.message_publish = [\n", sink.url("/hook"));
    for number in 0..10_000 {
        config.push_str(&format!(
            "{{ action = \"rule-{number}\", topics = [\"site/{number}/+/temp\", \"+/alarm/{number}/#\"] }},\n"
        ));
    }
    config.push_str("]\n");
    let host = Setup::new().webhook_config(&config).start().await;
    let topics = [
        "site/9999/k7/temp",
        "site/10000/k7/temp",
        "x/alarm/0/a/b",
        "site/7/alarm",
        "alarm/7",
    ];
    publish(&host, &topics).await;
    let requests = all(host, &sink).await;
    let actions: Vec<_> = requests
        .iter()
        .map(|request| request.json()["action"].clone())
        .collect();
    assert_eq!(actions, ["rule-9999", "rule-0"]);
}
