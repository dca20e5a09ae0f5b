//! The whole way from inputs to a configuration: mistakes, precedence, the formats, and the example file.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::hooks::Overflow;
use crate::modules::Instances;

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
    // What EMQX 4 tells, and what its page lists besides.
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
        ("hooks = 3", "hooks: should be a table"),
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
            "webhook.urls[1]: `tcp://…@b/` should begin with http://, https:// or file://, or be stdout:",
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
        "mqtt.listen = \"1.1.1.1:1\"\nwebhook.urls = [\"http://file\"]\nmodules.dir = \"file\"\n\
         [delivery]\nhttp_timeout = \"1s\"\nconcurrency_limit = 1\nnice = 6\nretry_multiplier = 1",
    );
    let seen = |inputs: &Inputs| {
        let config = config(inputs);
        let delivery = config.delivery;
        let dir = config.modules.dir.unwrap().display().to_string();
        (
            config.mqtt.listen.port(),
            config.webhook.config["urls"][0].as_str().unwrap().to_owned(),
            dir,
            (
                delivery.http_timeout.as_secs(),
                delivery.concurrency_limit,
                delivery.nice,
                delivery.retry_multiplier,
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
fn a_brokers_environment_needs_no_file() {
    let inputs = Inputs {
        environment: environment(&[("RMQTT_PLUGIN_RMQTT_WEB_HOOK_HTTP_TIMEOUT", "3s")]),
        ..Inputs::default()
    };
    let config = config(&inputs);
    assert_eq!(config.delivery.http_timeout, Duration::from_secs(3));
    // RMQTT's has no rules, so everything is told as without it.
    assert_eq!(config.webhook.rules, RulesFrom::Default);
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
        (Overflow::Wait, 1000)
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

/// As RMQTT ships it, in other words and another order.
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

#[test]
fn an_rmqtt_file_is_read_as_it_is() {
    let inputs = Inputs {
        webhook_file: file("hook.toml", RMQTT),
        ..Inputs::default()
    };
    let Loaded { config, warnings, .. } = read(&inputs).unwrap();
    assert_eq!(shown(&warnings), [""; 0]);
    assert_eq!(config.webhook.config["urls"], json!(["file:///var/log/rmqtt/hook.log"]));
    assert_eq!(config.webhook.config["rule"].as_object().unwrap().len(), 15);
    let acked = json!([{"action": "message_acked", "topics": ["#", "$SYS/#"]}]);
    assert_eq!(config.webhook.config["rule"]["message_acked"], acked);
    assert_eq!(
        config.webhook.rules,
        RulesFrom::Broker {
            format: Format::Rmqtt,
            path: Some("hook.toml".into())
        }
    );
    let expected = delivery::Settings {
        http_timeout: Duration::from_secs(8),
        queue_requests: 300_000,
        ..delivery::Settings::default()
    };
    assert_eq!(config.delivery, expected);
    assert_eq!(config.hooks.queue.events, 300_000);

    let flags = Flags {
        webhook_urls: vec!["http://a".into(), "http://b".into()],
        ..Flags::default()
    };
    let with_urls = super::read(&Inputs { flags, ..inputs }).unwrap().config;
    assert_eq!(with_urls.webhook.config["urls"], json!(["http://a", "http://b"]));
    assert_eq!(with_urls.webhook.config["rule"], config.webhook.config["rule"]);
}

#[test]
fn an_rmqtt_file_without_rules_or_urls_has_none() {
    let webhook_file = file("g", "http_timeout = \"1s\"");
    let loaded = read(&Inputs {
        webhook_file,
        ..Inputs::default()
    })
    .unwrap();
    assert_eq!(loaded.config.webhook.config, json!({"urls": [], "rule": {}}));
    assert_eq!(shown(&loaded.warnings), ["g: has no rules: no webhook will be sent"]);

    let text = "rule.client_connect = [{action = \"a\"}, {action = \"b\", urls = [\"http://b\"]}]\nhttp_urls = []";
    let inputs = Inputs {
        webhook_file: file("g", text),
        ..inputs("webhook.rule.client_connect = []")
    };
    let warnings = read(&inputs).unwrap().warnings;
    assert_eq!(
        shown(&warnings),
        [
            "g:2: http_urls: is deprecated; its URLs are added to urls",
            "f:1: webhook.rule: is not used: rules come from g",
            "g:1: rule.client_connect[0]: has no URL and there is none for all rules: it does nothing",
        ]
    );
}

#[test]
fn older_urls_are_added() {
    let webhook_file = file(
        "g",
        "urls = [\"http://a\"]\nhttp_urls = [\"http://b\", \"x\"]\nrule.client_connect = []",
    );
    let mut inputs = Inputs {
        webhook_file,
        ..Inputs::default()
    };
    assert_eq!(
        problems(&inputs),
        ["g:2: urls[2]: `x` is not a URL: it has no scheme; http://x is probably meant"]
    );
    inputs.environment = environment(&[("rmqtt_plugin_rmqtt_web_hook_urls", "http://c")]);
    inputs.webhook_file = file(
        "g",
        "urls = [\"http://a\"]\nhttp_urls = [\"http://b\"]\nrule.client_connect = []",
    );
    assert_eq!(config(&inputs).webhook.config["urls"], json!(["http://c", "http://b"]));
}

#[test]
fn a_gateway() {
    use crate::broker::{EngineSettings, GatewaySettings, Publishers};
    assert_eq!(config(&Inputs::default()).broker, EngineSettings::Rmqtt);
    let text =
        "[broker]\nengine = \"gateway\"\nupstream = \"mqtt://a mqtts://b:1\"\nca = \"ca.pem\"\nproxy_protocol = true";
    let EngineSettings::Gateway(gateway) = config(&inputs(text)).broker else {
        panic!("a gateway")
    };
    let upstreams: Vec<_> = gateway.upstreams.iter().map(ToString::to_string).collect();
    assert_eq!(upstreams, ["mqtt://a:1883", "mqtts://b:1"]);
    assert_eq!(gateway.tls.ca.as_deref(), Some(std::path::Path::new("ca.pem")));
    assert!(gateway.proxy_protocol && !gateway.sees_all_clients);
    assert_eq!(gateway.publishers, Publishers::Content);
    assert_eq!(
        config(&inputs("[broker]\nengine = \"gateway\"\nupstream = \"rumqttd\"")).broker,
        EngineSettings::Gateway(GatewaySettings::rumqttd())
    );
    let inputs = Inputs {
        environment: environment(&[
            ("HOOKHOST_BROKER__ENGINE", "gateway"),
            ("HOOKHOST_BROKER__UPSTREAM", "mqtt://a mqtt://b"),
            ("HOOKHOST_BROKER__PUBLISHERS", "unknown"),
        ]),
        ..Inputs::default()
    };
    let by_property = "[broker]\nengine = \"gateway\"\nupstream = \"rumqttd\"\npublishers = \"user-property\"";
    let expected = GatewaySettings {
        publishers: Publishers::UserProperty,
        ..GatewaySettings::rumqttd()
    };
    assert_eq!(
        config(&self::inputs(by_property)).broker,
        EngineSettings::Gateway(expected)
    );
    let expected = GatewaySettings {
        publishers: Publishers::Unknown,
        ..GatewaySettings::new(vec!["mqtt://a".parse().unwrap(), "mqtt://b".parse().unwrap()])
    };
    assert_eq!(config(&inputs).broker, EngineSettings::Gateway(expected));
}

#[test]
fn mistakes_about_a_gateway() {
    for (text, problem) in [
        (
            "engine = \"emqx\"",
            &["f:2: broker.engine: should be \"rmqtt\" or \"gateway\""][..],
        ),
        (
            "engine = \"gateway\"",
            &["f:2: broker.engine: needs broker.upstream: the address of a broker, mqtt://HOST:PORT, or rumqttd"],
        ),
        (
            "upstream = \"mqtt://a\"",
            &["f:2: broker.upstream: is for broker.engine = \"gateway\" only"],
        ),
        (
            "engine = \"gateway\"\nupstream = []",
            &["f:3: broker.upstream: should name at least one broker: mqtt://HOST:PORT, or rumqttd"],
        ),
        (
            "engine = \"gateway\"\nupstream = [\"a:1883\", \"mqtt://u:secret@a\", 5]\nkey = \"k\"",
            &[
                "f:3: broker.upstream[0]: should be mqtt://HOST:PORT or mqtts://HOST:PORT",
                "f:3: broker.upstream[1]: should hold no user name: each client shows the upstream its own",
                "f:3: broker.upstream[2]: should be a string, not an integer",
                "f:4: broker.key: needs broker.certificate beside it",
            ],
        ),
        (
            "engine = \"gateway\"\nupstream = \"rumqttd mqtt://a\"",
            &["f:3: broker.upstream: should name rumqttd alone or other brokers alone"],
        ),
        (
            "engine = \"gateway\"\nupstream = \"mqtt://a\"\nupsteam = 1\nconnect_timeout = \"0s\"",
            &[
                "f:4: broker.upsteam: unknown key; the nearest known one is broker.upstream",
                "f:5: broker.connect_timeout: should be between 1ms and 1h",
            ],
        ),
    ] {
        assert_eq!(problems(&inputs(&format!("[broker]\n{text}"))), problem, "{text}");
    }
}

const EXAMPLE: &str = include_str!("../../../hookhost.example.toml");

#[test]
fn the_example_file_holds_every_key_with_its_default() {
    let example = inputs(EXAMPLE);
    let (_, mut reader, _) = read_layers(&example, &|_| Err(io::ErrorKind::Unsupported.into()));
    let known = reader.finish();
    let Loaded {
        config: example,
        warnings,
        ..
    } = read(&example).unwrap();
    assert_eq!(warnings, []);
    let defaults = config(&Inputs::default());
    let webhook = Webhook {
        rules: RulesFrom::Default,
        urls_missing: true,
        places: Default::default(),
        ..example.webhook.clone()
    };
    assert_eq!(Config { webhook, ..example }, defaults);

    // Keys without a default stand there as comments.
    let mut section = "";
    let mut written = Vec::new();
    for line in EXAMPLE.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.split_once(" = ") {
            written.push(format!("{section}.{key}"));
        }
    }
    written.retain(|key| !key.starts_with("webhook.rule.") && !key.starts_with("destinations."));
    written.push("webhook.rule".to_owned());
    let mut known = known;
    known.sort();
    written.sort();
    assert_eq!(written, known);
}

#[test]
fn urls_that_rules_of_emqx_5_pass_over_are_told() {
    let text = "connectors.http.c { url = \"http://h/\" }\nactions.http.a { connector = c }\n\
                rule_engine.rules.r { sql = \"SELECT * FROM t\", actions = [\"http:a\"] }\n";
    let inputs = Inputs {
        webhook_file: file("g", text),
        flags: Flags {
            webhook_urls: vec!["http://flag/".into()],
            ..Flags::default()
        },
        ..Inputs::default()
    };
    let Loaded { config, warnings, .. } = read(&inputs).unwrap();
    assert_eq!(
        shown(&warnings),
        ["--webhook-url: is not used: each rule of EMQX 5 has its own URL"]
    );
    assert_eq!(config.webhook.config["format"], "emqx5");
    assert_eq!(
        config.webhook.config["rule"]["message_publish"][0]["urls"],
        json!(["http://h/"])
    );
    let without = Inputs {
        flags: Flags::default(),
        ..inputs
    };
    assert!(!super::read(&without).unwrap().config.webhook.urls_missing);
}

#[test]
fn urls_are_missing_where_a_rule_has_none() {
    for (rules, missing) in [
        ("", true),
        ("[webhook.rule]", false),
        ("webhook.rule.client_connect = [{ action = \"x\" }]", true),
        (
            "webhook.rule.client_connect = [{ action = \"x\", urls = [\"http://h/\"] }]",
            false,
        ),
        (
            "webhook.rule.client_connect = [{ action = \"x\", urls = [\"http://h/\"] }, { action = \"x\", urls = [] }]",
            true,
        ),
        ("[webhook]\nurls = [\"http://h/\"]", false),
    ] {
        assert_eq!(config(&inputs(rules)).webhook.urls_missing, missing, "{rules}");
    }
}

#[test]
fn a_format_that_is_asked_for_beats_that_of_the_broker() {
    let text = "web.hook.url = http://h/\nweb.hook.encode_payload = base62\n\
                web.hook.rule.client.connect.1 = {\"action\": \"on_client_connect\"}\n";
    let mut inputs = Inputs {
        webhook_file: file("g", text),
        ..inputs("webhook.format = \"nanomq\"")
    };
    let loaded = read(&inputs).unwrap();
    assert_eq!(shown(&loaded.warnings), [""; 0]);
    assert_eq!(loaded.config.webhook.config["format"], "nanomq");
    assert_eq!(loaded.config.webhook.config["payload_encoding"], "base62");
    assert_eq!(loaded.config.webhook.config["rule"], json!({"client_connect": [{}]}));
    inputs.file = file("f", "webhook.format = \"rmqtt\"");
    let rules = json!({"client_connect": [{"action": "client_connect"}]});
    assert_eq!(read(&inputs).unwrap().config.webhook.config["rule"], rules);
    inputs.file = file("f", "webhook.format = \"cloudevents\"");
    let loaded = read(&inputs).unwrap();
    assert_eq!(
        shown(&loaded.warnings),
        ["g:2: web.hook.encode_payload: is ignored: bodies of the format that is asked for have no use for it"]
    );
    assert_eq!(loaded.config.webhook.config.get("payload_encoding"), None);
}
