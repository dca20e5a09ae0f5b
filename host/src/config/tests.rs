//! From inputs to a configuration: errors, precedence, the formats, and the example file.

mod brokers;
mod convert;
mod example;
mod gateway;
mod imported;
mod listeners;
mod tracing;

use std::time::Duration;

use serde_json::json;

use super::*;
use hookhost_delivery as delivery;
use hookhost_hooks::Overflow;
use hookhost_modules::Instances;

fn file(path: &str, text: &str) -> Option<TextFile> {
    Some(TextFile {
        path: path.into(),
        text: text.to_owned(),
    })
}

fn inputs(text: &str) -> Inputs {
    Inputs {
        file: file("f", text),
        ..Inputs::default()
    }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

fn problems(inputs: &Inputs) -> Vec<String> {
    shown(&read(inputs).expect_err("a mistake"))
}

fn config(inputs: &Inputs) -> Config {
    read(inputs)
        .unwrap_or_else(|problems| panic!("{:?}", shown(&problems)))
        .config
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let Loaded { config, warnings, .. } = read(&Inputs::default()).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(config.mqtt, Mqtt::default());
    assert_eq!(config.delivery, delivery::Settings::default());
    assert_eq!(config.webhook.config["urls"], json!(["stdout:"]));
    assert_eq!(config.webhook.config["rule"].as_object().unwrap().len(), 15);
    assert_eq!(
        config.webhook.config["rule"]["message_publish"],
        json!([{"action": "message_publish"}])
    );
    assert_eq!(config.webhook.rules, RulesFrom::Default);
    assert!(config.webhook.urls_missing);
}

#[test]
fn what_holds_for_all_rules_reaches_the_module() {
    let config = config(&inputs(
        r#"
        [webhook]
        format = "emqx4"
        as_documented = true
        payload_encoding = "base62"
        method = "put"
        headers = { x-topic = "${topic}" }
        "#,
    ));
    let webhook = &config.webhook.config;
    assert_eq!(webhook["format"], "emqx4");
    assert_eq!(webhook["as_documented"], true);
    assert_eq!(webhook["payload_encoding"], "base62");
    assert_eq!(webhook["method"], "put");
    assert_eq!(webhook["headers"], json!({"x-topic": "${topic}"}));
    // The variables that EMQX 4 sets, and those that its page lists in addition.
    assert_eq!(webhook["rule"].as_object().unwrap().len(), 13);
    assert_eq!(webhook.get("body"), None);
}

#[test]
fn each_mistake_names_its_key() {
    let cases = [
        ("mqtt.listen = 1", "mqtt.listen: should be a string, not an integer"),
        (
            "mqtt.listen = \"localhost\"",
            "mqtt.listen: should be an address with a port, such as \"127.0.0.1:1883\" or \"[::]:1883\"",
        ),
        (
            "mqtt.max_connections = \"many\"",
            "mqtt.max_connections: should be a whole number, not a string",
        ),
        (
            "mqtt.max_connections = 0",
            "mqtt.max_connections: should be between 1 and 100000000",
        ),
        (
            "mqtt.max_inflight = 65536",
            "mqtt.max_inflight: should be between 1 and 65535",
        ),
        (
            "mqtt.nodelay = 1",
            "mqtt.nodelay: should be true or false, not an integer",
        ),
        (
            "mqtt.keepalive_backoff = nan",
            "mqtt.keepalive_backoff: should be between 0.5 and 10",
        ),
        (
            "mqtt.keepalive_backoff = \"1\"",
            "mqtt.keepalive_backoff: should be a number, not a string",
        ),
        (
            "mqtt.mqueue_rate_limit = \"0/1s\"",
            "mqtt.mqueue_rate_limit: should be messages per time, such as \"1000/1s\"",
        ),
        (
            "mqtt.min_keepalive = \"1500ms\"",
            "mqtt.min_keepalive: should be whole seconds, as MQTT counts",
        ),
        (
            "mqtt = { min_keepalive = \"9s\", max_keepalive = \"8s\" }",
            "mqtt.min_keepalive: leaves no room between mqtt.min_keepalive and mqtt.max_keepalive",
        ),
        (
            "delivery.http_timeout = 5",
            "delivery.http_timeout: should be a duration such as \"1m30s\", not an integer",
        ),
        (
            "delivery.http_timeout = \"5\"",
            "delivery.http_timeout: needs a unit after each number: one of f, w, d, h, m, s, ms",
        ),
        (
            "delivery.http_timeout = \"0s\"",
            "delivery.http_timeout: should be between 1ms and 1h",
        ),
        (
            "wasm.memory = true",
            "wasm.memory: should be a size such as \"64MiB\", not a boolean",
        ),
        ("wasm.memory = \"5GiB\"", "wasm.memory: should be between 1MiB and 4GiB"),
        ("wasm.memory = -1", "wasm.memory: should not be negative"),
        ("wasm.instances = 0", "wasm.instances: should be between 1 and 256"),
        (
            "hooks.overflow = \"block\"",
            "hooks.overflow: should be \"drop\" or \"wait\"",
        ),
        ("hooks = 3", "hooks: should be a table, not an integer"),
        ("modules.dir = \"\"", "modules.dir: is empty"),
        ("node.name = \"\"", "node.name: should have 1 to 255 bytes"),
        ("node.name = \"a\\nb\"", "node.name: should have no control characters"),
        (
            "webhook.urls = \"http://a\"",
            "webhook.urls: should be a list of strings, not a string",
        ),
        (
            "webhook.urls = [1]",
            "webhook.urls[0]: should be a string, not an integer",
        ),
        (
            "webhook.urls = [\"http://a\", \"tcp://u:secret@b/\"]",
            "webhook.urls[1]: `tcp://…@b/` should begin with http://, https://, file:// or mqtt:, or be stdout:",
        ),
        (
            "webhook.rule.client_connect = [{action = \"a\", urls = [\"x\"]}]",
            "webhook.rule.client_connect[0].urls[0]: `x` is not a URL: it has no scheme; http://x is probably meant",
        ),
        (
            "webhook.rule.client_connect = 1979-05-27",
            "webhook.rule.client_connect: is a date, which has no meaning here",
        ),
        (
            "webhook.format = \"emqx\"",
            "webhook.format: should be \"rmqtt\" or \"emqx4\" or \"emqx5\" or \"nanomq\" or \"cloudevents\" or \"template\"",
        ),
        (
            "webhook.as_documented = 1",
            "webhook.as_documented: should be true or false, not an integer",
        ),
        (
            "webhook.method = 1",
            "webhook.method: should be a string, not an integer",
        ),
        (
            "webhook.headers.x = 1979-05-27",
            "webhook.headers.x: is a date, which has no meaning here",
        ),
        (
            "mqtt.lisen = 1",
            "mqtt.lisen: unknown key; the nearest known one is mqtt.listen",
        ),
        (
            "listen = 1",
            "listen: unknown key; the nearest known ones are admin.listen and mqtt.listen",
        ),
        (
            "deliverry.http_timeout = 1",
            "deliverry.http_timeout: unknown key; the nearest known one is delivery.http_timeout",
        ),
        (
            "webhook.rules = 1",
            "webhook.rules: unknown key; the nearest known one is webhook.rule",
        ),
        ("a = 1\na = 2", "duplicate key"),
        ("a =", "string values must be quoted, expected literal string"),
    ];
    for (text, message) in cases {
        let line = 1 + text.matches('\n').count();
        assert_eq!(problems(&inputs(text)), [format!("f:{line}: {message}")], "{text}");
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let inputs = Inputs {
        flags: Flags {
            listen: Some("x".into()),
            webhook_urls: vec!["y".into(), "z".into()],
            ..Flags::default()
        },
        environment: environment(&[
            ("HOOKHOST_DELIVERY__NICE", "20"),
            ("HOOKHOST_DELIVERY__NICER", "20"),
            ("HOOKHOST_WEBHOOK__RULE", "x"),
            ("HOOKHOST_SERVICE_HOST", "10.0.0.1"),
        ]),
        file: file("f", "[wasm]\nmemory = 1\n\n[hooks]\nbatch = 0\nbach = 1"),
        webhook_file: file(
            "g",
            "http_timeout = \"0s\"\nqueue_capacity = 0\nrule.session_create = []",
        ),
        ..Inputs::default()
    };
    assert_eq!(
        problems(&inputs),
        [
            "--listen: should be an address with a port, such as \"127.0.0.1:1883\" or \"[::]:1883\"",
            "--webhook-url: `y` is not a URL: it has no scheme; http://y is probably meant",
            "--webhook-url: `z` is not a URL: it has no scheme; http://z is probably meant",
            "environment: HOOKHOST_DELIVERY__NICE: should be between 0 and 19",
            "environment: HOOKHOST_DELIVERY__NICER: unknown key; the nearest known one is HOOKHOST_DELIVERY__NICE",
            "environment: HOOKHOST_WEBHOOK__RULE: is a table, which only a file can give",
            "f:2: wasm.memory: should be between 1MiB and 4GiB",
            "f:5: hooks.batch: should be between 1 and 4096",
            "f:6: hooks.bach: unknown key; the nearest known one is hooks.batch",
            "g:1: http_timeout: should be between 1ms and 1h",
            "g:2: queue_capacity: should be between 1 and 100000000",
            "g:3: rule.session_create: unknown event; the nearest known one is session_created",
        ]
    );
}

#[test]
fn flags_beat_the_environment_beats_a_brokers_file_beats_the_file_beats_the_defaults() {
    let mut inputs = inputs(
        "mqtt.listen = \"1.1.1.1:1\"\nmqtt.allow_anonymous = true\nwebhook.urls = [\"http://file\"]\nmodules.dir = \"file\"\n\
         [delivery]\nhttp_timeout = \"1s\"\nconcurrency_limit = 1\nnice = 6\nretry_multiplier = 1",
    );
    let seen = |inputs: &Inputs| {
        let config = config(inputs);
        let delivery = config.delivery;
        let dir = config.modules.dir.unwrap().display().to_string();
        (
            config.mqtt.listeners[0].address.network().unwrap().port(),
            config.webhook.config["urls"][0].as_str().unwrap().to_owned(),
            dir,
            (
                delivery.terms.http_timeout.as_secs(),
                delivery.terms.concurrency_limit,
                delivery.nice,
                delivery.terms.retry.multiplier,
            ),
        )
    };
    let text = str::to_owned;
    assert_eq!(seen(&inputs), (1, text("http://file"), text("file"), (1, 1, 6, 1.0)));
    inputs.webhook_file = file(
        "g",
        "urls = [\"http://broker\"]\nhttp_timeout = \"2s\"\nconcurrency_limit = 2",
    );
    assert_eq!(seen(&inputs), (1, text("http://broker"), text("file"), (2, 2, 6, 1.0)));
    inputs.environment = environment(&[
        ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_HTTP_TIMEOUT", "3s"),
        ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_CONCURRENCY_LIMIT", "3"),
        (
            "RMQTT_PLUGIN_RMQTT_WEB_HOOK_URLS",
            "http://broker-environment http://more",
        ),
    ]);
    assert_eq!(
        seen(&inputs),
        (1, text("http://broker-environment"), text("file"), (3, 3, 6, 1.0))
    );
    inputs.environment.extend(environment(&[
        ("HOOKHOST_MQTT__LISTEN", "4.4.4.4:4"),
        ("HOOKHOST_WEBHOOK__URLS", "http://environment file:///x"),
        ("HOOKHOST_MODULES__DIR", "environment"),
        ("HOOKHOST_DELIVERY__CONCURRENCY_LIMIT", "4"),
        ("HOOKHOST_DELIVERY__RETRY_MULTIPLIER", "4.5"),
        ("HOOKHOST_DELIVERY__NICE", ""),
    ]));
    assert_eq!(
        seen(&inputs),
        (4, text("http://environment"), text("environment"), (3, 4, 6, 4.5))
    );
    inputs.flags = Flags {
        listen: Some("5.5.5.5:5".into()),
        webhook_urls: vec!["http://flag".into()],
        modules: Some("flag".into()),
        ..Flags::default()
    };
    assert_eq!(seen(&inputs), (5, text("http://flag"), text("flag"), (3, 4, 6, 4.5)));
}

#[test]
fn every_scalar_of_the_environment_is_read_like_one_of_the_file() {
    let inputs = Inputs {
        environment: environment(&[
            ("HOOKHOST_MQTT__NODELAY", "false"),
            ("HOOKHOST_MQTT__THREADS", "7"),
            ("HOOKHOST_MQTT__MAX_PACKET_SIZE", "2MiB"),
            ("HOOKHOST_MQTT__MQUEUE_RATE_LIMIT", "1_000/1m"),
            ("HOOKHOST_HOOKS__OVERFLOW", "wait"),
            ("HOOKHOST_HOOKS__QUEUE_EVENTS", "1_000"),
            ("HOOKHOST_WASM__INSTANCES", "3"),
            ("HOOKHOST_WASM__MEMORY", "1048576"),
            ("HOOKHOST_SHUTDOWN__GRACE", "1m"),
            ("HOOKHOST_WEBHOOK__FORMAT", "rmqtt"),
        ]),
        ..Inputs::default()
    };
    let config = config(&inputs);
    assert!(!config.mqtt.limits.nodelay);
    assert_eq!(config.mqtt.threads, 7);
    assert_eq!(config.mqtt.limits.max_packet_size, 2 << 20);
    assert_eq!(config.mqtt.limits.mqueue_rate_limit, (1000, Duration::from_secs(60)));
    assert_eq!(
        (config.hooks.queue.overflow, config.hooks.queue.events),
        (Overflow::Wait(Duration::from_secs(1)), 1000)
    );
    assert_eq!(
        (config.wasm.instances, config.wasm.limits.memory),
        (Instances::Exactly(3), 1 << 20)
    );
    assert_eq!(config.shutdown.grace, Duration::from_secs(60));
    assert_eq!(config.webhook.config["format"], "rmqtt");
}

#[test]
fn canonical_rules_become_json() {
    let config = config(&inputs(
        "[webhook]\nurls = [\" http://a/ \"]\nformat = \"rmqtt\"\n[webhook.rule]\n\
         message_publish = [{ action = \"x\", topics = [\"a/#\"], urls = [\" file:///x \"], odd = [1, 2.5, true] }]\nodd = 1",
    ));
    let expected = json!({
        "urls": ["http://a/"],
        "format": "rmqtt",
        "rule": {
            "message_publish": [{"action": "x", "topics": ["a/#"], "urls": ["file:///x"], "odd": [1, 2.5, true]}],
            "odd": 1,
        },
    });
    assert_eq!(config.webhook.config, expected);
    assert_eq!(
        (config.webhook.rules, config.webhook.urls_missing),
        (RulesFrom::File, false)
    );
}

#[test]
fn urls_alone_get_rules_for_all_events_and_no_rules_are_no_rules() {
    let webhook = config(&inputs("webhook.urls = [\"http://a\"]")).webhook;
    assert_eq!(webhook.config["rule"].as_object().unwrap().len(), 15);
    let webhook = config(&inputs("[webhook.rule]")).webhook;
    assert_eq!(webhook.config["rule"], json!({}));
}

#[test]
fn a_host_that_would_refuse_every_client_says_so() {
    let warnings = |text: &str| -> Vec<String> {
        let loaded = read(&inputs(text)).unwrap();
        loaded.warnings.iter().map(Problem::to_string).collect()
    };
    let [warning] = &warnings("mqtt.allow_anonymous = false")[..] else {
        panic!("one warning");
    };
    let expected = "f:1: mqtt.allow_anonymous: refuses every client, because there is no [[authentication]]";
    assert_eq!(warning, expected);
    // The broker behind a gateway may have users.
    let gateway = "mqtt.allow_anonymous = false\nbroker = { engine = \"gateway\", upstream = \"mqtt://h:1\" }";
    assert_eq!(warnings(gateway), [""; 0]);
}

#[test]
fn no_secret_is_shown() {
    let flags = Flags {
        webhook_urls: vec!["http://u:secret@h/".into()],
        ..Flags::default()
    };
    let loaded = read(&Inputs {
        flags,
        ..Inputs::default()
    })
    .unwrap();
    assert!(!format!("{loaded:?}").contains("secret"), "{loaded:?}");
}

/// The file that RMQTT ships, in other words and another order.
const RMQTT: &str = r##"
queue_capacity = 300_000
concurrency_limit = 128
http_timeout = "8s"
retry_max_elapsed_time = "60s"
retry_multiplier = 2.5
urls = [" file:///var/log/rmqtt/hook.log "]

[rule]
client_connect = [{ action = "client_connect" }]
client_connack = [{ action = "client_connack" }]
client_connected = [{ action = "client_connected" }]
client_disconnected = [{ action = "client_disconnected" }]
client_subscribe = [{ action = "client_subscribe" }]
client_unsubscribe = [{ action = "client_unsubscribe" }]
session_created = [{ action = "session_created" }]
session_terminated = [{ action = "session_terminated" }]
session_subscribed = [{ action = "session_subscribed" }]
session_unsubscribed = [{ action = "session_unsubscribed" }]
message_publish = [{ action = "message_publish", topics = ["#", "$SYS/#"] }]
message_delivered = [{ action = "message_delivered", topics = ["#", "$SYS/#"] }]
message_acked = [{ action = "message_acked", topics = ["#", "$SYS/#"] }]
message_dropped = [{ action = "message_dropped" }]
offline_message = [{ action = "offline_message", topics = ["#", "$SYS/#"] }]
"##;
