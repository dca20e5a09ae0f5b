//! Unchanged configurations of other brokers: the requests that the host sends with their files and variables.

mod errors;

use std::sync::Arc;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup, command};
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, Version};
use serde_json::{Value, json};

const V: Version = Version::V311;

/// A setup with a broker's file.
fn with_file(name: &str, text: &str) -> Setup {
    Setup::new().webhook_file(name, text)
}

/// Subscribes, publishes to a topic at QoS 1, unsubscribes and disconnects; then stops the host.
async fn life(mut host: Host, topic: &str, payload: &str) {
    let mut client = Client::connect(host.address, V, "c1").await;
    client.subscribe(topic, 1).await;
    client.publish(topic, 1, payload).await;
    client.message().await;
    client.unsubscribe(topic).await;
    client.disconnect().await;
    host.stop().await;
}

/// The requests for an action, such as `message_publish`.
fn about(sink: &Sink, key: &str, name: &str) -> Vec<Arc<Received>> {
    let requests = sink.requests();
    requests
        .into_iter()
        .filter(|request| request.json()[key] == name)
        .collect()
}

/// A body without the parts that differ from run to run.
fn steady(request: &Received) -> Value {
    let mut body = request.json();
    let object = body.as_object_mut().unwrap();
    for (key, value) in object.iter_mut() {
        if ["ts", "timestamp", "publish_received_at"].contains(&key.as_str()) {
            assert!(value.is_i64(), "{key}: {value}");
            *value = json!("<ms>");
        }
    }
    body
}

const COMPOSE: &str = include_str!("../../host/crates/import/src/testdata/emqx4-compose.env");

const ACTIONS: [&str; 12] = [
    "client_connack",
    "client_connect",
    "client_connected",
    "client_disconnected",
    "client_subscribe",
    "client_unsubscribe",
    "message_acked",
    "message_delivered",
    "message_publish",
    "session_subscribed",
    "session_terminated",
    "session_unsubscribed",
];

fn all_twelve(sink: &Sink) {
    let mut actions: Vec<String> = sink
        .requests()
        .iter()
        .map(|request| request.json()["action"].as_str().unwrap_or_default().to_owned())
        .collect();
    actions.sort();
    assert_eq!(actions, ACTIONS);
    for request in sink.requests() {
        assert_eq!(request.path, "/emqx/webhook");
        assert_eq!(request.header("accept"), Some("*/*"));
        assert_eq!(request.header("content-type"), Some("application/json"));
    }
    let publish = about(sink, "action", "message_publish");
    assert_eq!(
        steady(&publish[0]),
        json!({
            "action": "message_publish", "node": "emqx@127.0.0.1", "from_client_id": "c1", "from_username": null,
            "topic": "t/1", "qos": 1, "retain": false, "payload": "hello", "ts": "<ms>",
        })
    );
}

#[tokio::test]
async fn the_environment_of_emqx_4_without_any_file() {
    let sink = Sink::start().await;
    let mut setup = Setup::new();
    for (name, value) in COMPOSE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
    {
        setup = setup.env(name, value);
    }
    let host = setup
        .env("EMQX_WEB__HOOK__URL", &sink.url("/emqx/webhook"))
        .start()
        .await;
    assert!(
        host.log().tail().contains("session.subscribed"),
        "{}",
        host.log().tail()
    );
    life(host, "t/1", "hello").await;
    all_twelve(&sink);
}

#[tokio::test]
async fn a_file_of_variables_of_emqx_4() {
    let sink = Sink::start().await;
    let text = COMPOSE.replace("http://127.0.0.1:3000/emqx/webhook", &sink.url("/emqx/webhook"));
    let host = with_file("emqx.env", &text).start().await;
    life(host, "t/1", "hello").await;
    all_twelve(&sink);
}

#[tokio::test]
async fn a_file_of_emqx_4_and_a_variable_that_beats_it() {
    let sink = Sink::start().await;
    let text = "web.hook.url = http://127.0.0.1:1/\nweb.hook.headers.x_token = s3cret\n\
                web.hook.body.encoding_of_payload_field = base62\n\
                web.hook.rule.message.publish.1 = {\"action\": \"on_message_publish\", \"topic\": \"t/#\"}\n\
                web.hook.rule.message.publish.2 = {\"action\": \"on_message_publish\", \"topic\": \"other\"}\n";
    let host = with_file("emqx_web_hook.conf", text)
        .env("EMQX_WEB__HOOK__URL", &sink.url("/a?b=c"))
        .start()
        .await;
    life(host, "t/1", "hello").await;
    let requests = sink.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].header("x-token"), Some("s3cret"));
    assert_eq!(requests[0].json()["payload"], "aGVsbGP");
}

fn emqx5(sink: &Sink) -> String {
    let text = r##"
        connectors.http.c {
          url = "URL"
          headers { authorization = "Bearer abc", x-both = connector }
          pool_size = 4
        }
        actions.http.a {
          connector = c
          parameters { path = "/events", method = put, headers { "x-client" = "${clientid}", x-both = action } }
          resource_opts { request_ttl = 45s }
        }
        rule_engine.rules.hot {
          sql = """SELECT payload.t as temperature, clientid, topic FROM "sensors/+/temp" WHERE payload.t > 30 and topic =~ 'sensors/#'"""
          actions = ["http:a"]
        }
        rule_engine.rules.seen {
          sql = "SELECT event, clientid FROM \"$events/session_subscribed\", \"$events/message/acked\""
          actions = ["http:a"]
        }
        "##;
    text.replace("URL", &sink.url("/base"))
}

fn emqx5_sent(sink: &Sink) {
    let got: Vec<(String, String, Value)> = sink
        .requests()
        .iter()
        .map(|request| (request.method.clone(), request.path.clone(), request.json()))
        .collect();
    let to = |body: Value| ("PUT".to_owned(), "/base/events".to_owned(), body);
    let mut sorted = got.clone();
    sorted.sort_by_key(|(_, _, body)| body.to_string());
    let mut expected = vec![
        to(json!({"event": "session.subscribed", "clientid": "c1"})),
        to(json!({"temperature": 31, "clientid": "c1", "topic": "sensors/1/temp"})),
        to(json!({"event": "message.acked", "clientid": "c1"})),
    ];
    expected.sort_by_key(|(_, _, body)| body.to_string());
    assert_eq!(sorted, expected);
    for request in sink.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer abc"));
        assert_eq!(request.header("x-both"), Some("action"));
        assert_eq!(request.header("x-client"), Some("c1"));
    }
}

#[tokio::test]
async fn a_file_of_emqx_5() {
    let sink = Sink::start().await;
    let host = with_file("emqx.conf", &emqx5(&sink)).start().await;
    life(host, "sensors/1/temp", r#"{"t": 31}"#).await;
    emqx5_sent(&sink);
}

/// Two webhooks with one URL, each with its own credentials, and a rule with an error.
fn emqx5_bridges(sink: &Sink) -> String {
    let text = r##"
        bridges.webhook.one { url = "URL", headers { authorization = "Bearer 1" }, body = "one" }
        bridges.webhook.two { url = "URL", headers { authorization = "Bearer 2" }, body = "two" }
        rule_engine.rules.r { sql = "SELECT * FROM \"t/#\"", actions = ["webhook:one", "webhook:two"] }
        rule_engine.rules.s { sql = "SELECT FROM", actions = ["webhook:one"] }
        rule_engine.rules.k { sql = "no SQL at all", actions = ["mqtt:m"] }
        "##;
    text.replace("URL", &sink.url("/hook"))
}

#[tokio::test]
async fn webhooks_of_emqx_5_with_one_url_keep_their_credentials_apart() {
    let sink = Sink::start().await;
    let host = with_file("cluster.hocon", &emqx5_bridges(&sink)).start().await;
    let log = host.log().lines().join("\n");
    assert!(
        log.contains("left out: ") && log.contains("rule_engine.rules.s.sql"),
        "{log}"
    );
    assert!(
        log.contains("rule_engine.rules.k: is left out: none of its actions is a webhook"),
        "{log}"
    );
    life(host, "t/1", "hello").await;
    let mut sent: Vec<(String, String)> = sink
        .requests()
        .iter()
        .map(|request| {
            let token = request.header("authorization").unwrap_or_default().to_owned();
            (token, request.body.clone())
        })
        .collect();
    sent.sort();
    let expected = [("Bearer 1", "one"), ("Bearer 2", "two")];
    assert_eq!(sent, expected.map(|(token, body)| (token.to_owned(), body.to_owned())));
    let (code, stderr) = errors::with_arguments(
        "cluster.hocon",
        &emqx5_bridges(&sink),
        &["check", "--webhook-config", "cluster.hocon"],
    )
    .await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("rule_engine.rules.s.sql"), "{stderr}");
}

#[tokio::test]
async fn a_converted_file_sends_the_same() {
    let sink = Sink::start().await;
    let setup = Setup::new();
    let broker = setup.dir().join("emqx.conf");
    std::fs::write(&broker, emqx5(&sink)).unwrap();
    let mut convert = command(setup.dir());
    convert.args(["webhook", "convert"]).arg(&broker);
    let ended = convert.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let own = setup.dir().join("hookhost.toml");
    std::fs::write(&own, &ended.stdout).unwrap();
    let host = setup.arg("--config").arg(own).start().await;
    life(host, "sensors/1/temp", r#"{"t": 31}"#).await;
    emqx5_sent(&sink);
}

#[tokio::test]
async fn variables_of_emqx_5_without_any_file() {
    let sink = Sink::start().await;
    let host = Setup::new()
        .env("EMQX_CONNECTORS__HTTP__C1__URL", &sink.url("/five"))
        .env("EMQX_CONNECTORS__HTTP__C1__HEADERS", "{\"x-token\"=\"a\"}")
        .env("EMQX_ACTIONS__HTTP__A1__CONNECTOR", "c1")
        .env("EMQX_ACTIONS__HTTP__A1__PARAMETERS__METHOD", "post")
        .env("EMQX_RULE_ENGINE__RULES__R1__SQL", "SELECT * FROM \"t/#\"")
        .env("EMQX_RULE_ENGINE__RULES__R1__ACTIONS", "[\"http:a1\"]")
        .start()
        .await;
    life(host, "t/1", "hello").await;
    let requests = sink.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(
        (requests[0].path.as_str(), requests[0].header("x-token")),
        ("/five", Some("a"))
    );
    let body = requests[0].json();
    assert_eq!(body["event"], "message.publish");
    assert_eq!(body["metadata"], json!({"rule_id": "r1"}));
    assert_eq!((&body["payload"], &body["topic"]), (&json!("hello"), &json!("t/1")));
}

#[tokio::test]
async fn a_file_of_nanomq_with_its_settings_in_the_list() {
    let sink = Sink::start().await;
    let text = include_str!("../../host/crates/import/src/testdata/nanomq-page.conf");
    let host = with_file("nanomq.conf", text).url(&sink.url("/nano")).start().await;
    life(host, "a/b/c", "hello").await;
    let publish = about(&sink, "action", "message_publish");
    assert_eq!(
        publish.iter().map(|request| steady(request)).collect::<Vec<_>>(),
        [json!({
            "ts": "<ms>", "topic": "a/b/c", "retain": false, "qos": 1, "action": "message_publish",
            "from_username": "undefined", "from_client_id": "c1", "payload": "hello",
        })]
    );
    assert_eq!(publish[0].path, "/nano");
    let connack = about(&sink, "action", "client_connack");
    assert_eq!(connack[0].json()["conn_ack"], "success");
    assert_eq!(sink.requests().len(), 2);
}

#[tokio::test]
async fn the_configuration_file_may_name_the_brokers_file() {
    let sink = Sink::start().await;
    let setup = Setup::new();
    let broker = setup.dir().join("nanomq_old.conf");
    let text = format!(
        "web.hook.enable=true\nweb.hook.url={}\nweb.hook.rule.message.publish.1={{\"action\": \"on_message_publish\"}}\n",
        sink.url("/old")
    );
    std::fs::write(&broker, text).unwrap();
    let own = setup.dir().join("hookhost.toml");
    // An explicit format overrides the broker's format.
    let text = format!("[webhook]\nconfig = '{}'\nformat = \"rmqtt\"\n", broker.display());
    std::fs::write(&own, text).unwrap();
    let host = setup.arg("--config").arg(own).start().await;
    life(host, "t/1", "hello").await;
    let requests = sink.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].json()["payload"], "aGVsbG8=");
    assert_eq!(requests[0].json()["from_clientid"], "c1");
}

#[tokio::test]
async fn republish_and_console_of_emqx_5_are_carried_out_and_end_in_no_loop() {
    let sink = Sink::start().await;
    let text = format!(
        "connectors.http.c {{ url = \"{}\" }}\nactions.http.a {{ connector = c, parameters {{ body = \"${{topic}} ${{clientid}} ${{payload}} ${{qos}}\" }} }}\n\
         rule_engine.rules.copy {{ sql = \"SELECT *, payload.t as t, pub_props.'User-Property' as user_properties FROM \\\"in/#\\\"\", actions = [\n\
           {{ function = republish, args {{ topic = \"in/${{clientid}}/copy\", qos = 1, payload = \"t=${{t}}\", \
              user_properties = \"${{user_properties}}\" }} }}\n\
           {{ function = console }} ] }}\n\
         rule_engine.rules.seen {{ sql = \"SELECT * FROM \\\"in/#\\\"\", actions = [\"http:a\"] }}\n",
        sink.url("/hook")
    );
    let mut host = with_file("cluster.hocon", &text).start().await;
    let mut reader = Client::connect(host.address, V, "reader").await;
    reader.subscribe("in/+/copy", 1).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("in/x", 1, "{\"t\": 21}").await;
    let copy = reader.message().await;
    assert_eq!((copy.topic.as_str(), &copy.payload[..]), ("in/c1/copy", &b"t=21"[..]));
    client.disconnect().await;
    reader.disconnect().await;
    host.stop().await;
    // The copy matches both rules: `seen` sends it, and `copy` does not answer itself.
    let mut bodies: Vec<String> = sink.requests().iter().map(|request| request.body.clone()).collect();
    bodies.sort();
    assert_eq!(bodies, ["in/c1/copy copy t=21 1", "in/x c1 {\"t\": 21} 1"]);
    let printed = host.process.stdout.lines();
    assert!(printed.iter().any(|line| line.contains("in/x")), "{printed:?}");
}

#[tokio::test]
async fn the_node_is_named_as_the_broker_names_it() {
    let sink = Sink::start().await;
    let setup = Setup::new()
        .env("EMQX_WEB__HOOK__URL", &sink.url("/hook"))
        .env(
            "EMQX_WEB__HOOK__RULE__MESSAGE__PUBLISH__1",
            "{\"action\": \"on_message_publish\"}",
        )
        .env("EMQX_NAME", "broker")
        .env("EMQX_HOST", "10.0.0.5");
    life(setup.start().await, "t", "x").await;
    assert_eq!(sink.requests()[0].json()["node"], "broker@10.0.0.5");
}

#[tokio::test]
async fn a_rule_of_emqx_5_republishes_a_message() {
    let sink = Sink::start().await;
    let text = r#"
        connectors.http.c { url = "URL" }
        actions.http.h { connector = c }
        rule_engine.rules.first {
          sql = "SELECT *, 'text/plain' as kind FROM \"raw/#\""
          actions = [{
            function = republish
            args {
              topic = "re/${clientid}", qos = 1, retain = false, payload = "${payload.t}"
              mqtt_properties { "Content-Type" = "${kind}", "Message-Expiry-Interval" = 60 }
            }
          }]
        }
        rule_engine.rules.second {
          sql = "SELECT topic, qos, payload, clientid, pub_props.'Content-Type' as kind, pub_props.'Message-Expiry-Interval' as expiry FROM \"re/#\""
          actions = ["http:h"]
        }
    "#
    .replace("URL", &sink.url("/"));
    let host = Setup::new().webhook_file("cluster.hocon", &text).start().await;
    let mut client = Client::connect(host.address, V, "c").await;
    client.publish("raw/1", 1, r#"{"t": 21.5}"#).await;
    let requests = sink.wait_for(1, PATIENCE).await;
    assert_eq!(
        requests[0].body,
        r#"{"topic":"re/c","qos":1,"payload":"21.5","kind":"text/plain","expiry":60,"clientid":"first"}"#
    );
}
