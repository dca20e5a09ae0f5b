//! Files and variables of each broker against the settings, problems and warnings that come of them.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::*;

fn reading(path: &str, text: &str, variables: &[(&str, &str)]) -> (Option<Format>, Reading) {
    let environment = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let request = Request {
        file: (!path.is_empty()).then(|| (Path::new(path), text)),
        environment: &environment,
        format: None,
        urls: None,
    };
    read(&request).expect("a configuration")
}

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

/// Problems and warnings; an empty path is no file.
#[track_caller]
pub(super) fn check(path: &str, text: &str, variables: &[(&str, &str)], problems: &[&str], warnings: &[&str]) {
    let (_, reading) = reading(path, text, variables);
    assert_eq!(shown(&reading.problems), problems, "problems of {text}");
    assert_eq!(shown(&reading.warnings), warnings, "warnings of {text}");
}

/// The settings of a configuration without problems, as JSON, and the warnings.
#[track_caller]
fn settings(path: &str, text: &str, variables: &[(&str, &str)]) -> (Json, Vec<String>) {
    let (_, reading) = reading(path, text, variables);
    assert_eq!(shown(&reading.problems), [""; 0], "{text}");
    let mut settings = Map::new();
    for (key, (_, given)) in reading.layer {
        let value = match given {
            Given::Node(node) => node.to_json().expect("JSON"),
            Given::Text(text) => Json::from(text),
            Given::Texts(texts) => Json::from(texts),
        };
        // Settings of a destination are one table here, as they are written.
        match key.strip_prefix("destinations.").and_then(|rest| rest.split_once('.')) {
            Some((name, key)) => {
                let mut table = &mut settings[&format!("destinations.{name}")];
                let mut key = key;
                if let Some((inner, rest)) = key.split_once('.') {
                    (table, key) = (&mut table[inner], rest);
                }
                table[key] = value;
            }
            None => drop(settings.insert(key, value)),
        }
    }
    (Json::Object(settings), shown(&reading.warnings))
}

const EMQX4: &str = include_str!("testdata/emqx4.conf");
const EMQX4_OLD: &str = include_str!("testdata/emqx4-old.conf");
const COMPOSE: &str = include_str!("testdata/emqx4-compose.env");
const EMQX5: &str = include_str!("testdata/emqx5.hocon");
const BRIDGE: &str = include_str!("testdata/emqx5-bridge.conf");
const NANOMQ: &str = include_str!("testdata/nanomq.conf");
const NANOMQ_PAGE: &str = include_str!("testdata/nanomq-page.conf");
const NANOMQ_OLD: &str = include_str!("testdata/nanomq-old.conf");

#[test]
fn emqx4_with_everything() {
    let (settings, warnings) = settings("f", EMQX4, &[]);
    let expected = json!({
        "webhook.format": "emqx4",
        "webhook.urls": ["https://hooks.example.com/mqtt?site=1"],
        "webhook.payload_encoding": "base62",
        "webhook.rule": {
            "client_connected": [{}],
            "client_subscribe": [{"topics": ["a/+"]}],
            "message_publish": [{"topics": ["foo/#"]}, {"topics": ["bar/#"]}, {}],
        },
        "delivery.concurrency_limit": 16,
        "delivery.http_timeout": "10s",
        "destinations.web_hook": {
            "urls": ["https://hooks.example.com/mqtt"],
            "headers": {"x-token": "s3cret # not a comment", "accept": "*/*"},
            "tls": {"ca": "/etc/ca.pem", "certificate": "/etc/cert.pem", "key": "/etc/key.pem", "verify": true, "server_name": "inner"},
        },
    });
    assert_eq!(settings, expected);
    assert_eq!(
        warnings,
        [
            "f:13: web.hook.enable_pipelining: is ignored: a connection carries one request at a time, as many connections as concurrency_limit are used",
            "f:14: web.hook.request_timeout: is honoured here; EMQX 4 itself knows no such key",
            "f:19: web.hook.rule.client.connected.1: topic is ignored: client.connected has none",
            "f:20: web.hook.rule.client.connected.2: says the same as web.hook.rule.client.connected.1 and is ignored",
        ]
    );
}

#[test]
fn emqx4_of_the_first_versions() {
    let (settings, warnings) = settings("f", EMQX4_OLD, &[]);
    let expected = json!({
        "webhook.format": "emqx4",
        "webhook.urls": ["https://h:8443"],
        "webhook.payload_encoding": "base64",
        "webhook.rule": {"session_terminated": [{}]},
        "destinations.web_hook": {"urls": ["https://h:8443/"], "tls": {"ca": "ca.pem", "verify": false}},
    });
    assert_eq!(settings, expected);
    assert_eq!(
        warnings,
        [
            "f:4: web.hook.ssl: is ignored: the scheme of the URL says whether TLS is used",
            "f:3: web.hook.api.url: the server's certificate is not verified, as EMQX 4 does it unless web.hook.ssl.verify = true",
        ]
    );
}

#[test]
fn the_newest_spelling_of_emqx4_holds() {
    let rule = "web.hook.rule.client.connect.1 = {\"action\": \"on_client_connect\"}";
    let (settings, warnings) = settings(
        "f",
        &format!("web.hook.api.url = http://old/\n{rule}"),
        &[("EMQX_WEB__HOOK__URL", "http://new/")],
    );
    assert_eq!(settings["webhook.urls"], json!(["http://new/"]));
    assert_eq!(
        warnings,
        ["f:1: web.hook.api.url: is not used: EMQX_WEB__HOOK__URL stands for the same setting"]
    );
}

#[test]
fn emqx4_mistakes_come_all_at_once() {
    check(
        "f",
        "web.hook.url = localhost:80\nweb.hook.headers.a b = 1\nweb.hook.pol_size = 3\nnonsense\n\
         web.hook.pool_size = many\nweb.hook.encode_payload = hex\n\
         web.hook.rule.client.conected.1 = {\"action\": \"on_client_connected\"}\n\
         web.hook.rule.client.connected.1 = {\"action\": \"on_client_connack\"}\n\
         web.hook.rule.client.connected.2 = {\"action\": \"on_x\"}\n\
         web.hook.rule.client.connected.3 = {\"action\": \"on_client_connected\"\n\
         web.hook.rule.client.connected.4 = []\n\
         web.hook.rule.message.publish.1 = {\"action\": \"on_message_publish\", \"topic\": \"a#\"}\n\
         web.hook.rule.message.publish.2 = {}\n\
         web.hook.rule.message.publish = {\"action\": \"on_message_publish\"}",
        &[],
        &[
            "f:4: should be `key = value`",
            "f:1: web.hook.url: `localhost:80` is not a URL of a web service: it has no scheme; http://localhost:80 is probably meant",
            "f:6: web.hook.encode_payload: should be plain, base64 or base62",
            "f:5: web.hook.pool_size: should be a whole number, not a string",
            "f:2: web.hook.headers.a b: is not the name of a header: letters, digits and - are",
            "f:3: web.hook.pol_size: unknown key; the nearest known one is web.hook.pool_size",
            "f:7: web.hook.rule.client.conected.1: unknown event; the nearest known one is client.connected",
            "f:8: web.hook.rule.client.connected.1: action on_client_connack does not fit client.connected; on_client_connected does",
            "f:9: web.hook.rule.client.connected.2: unknown action `on_x`; on_client_connected fits client.connected",
            "f:10: web.hook.rule.client.connected.3: the JSON is wrong at its column 32: EOF while parsing an object",
            "f:11: web.hook.rule.client.connected.4: should be a JSON object such as {\"action\": \"on_client_connected\"}",
            "f:14: web.hook.rule.message.publish: should be a hook, an event and a number, such as web.hook.rule.client.connected.1",
            "f:12: web.hook.rule.message.publish.1: `a#` is not a topic filter: '#' must be the whole last level of a topic filter",
            "f:13: web.hook.rule.message.publish.2: needs an action: {\"action\": \"on_message_publish\"}",
        ],
        &[],
    );
    check(
        "f",
        "web.hook.pool_size = 1",
        &[],
        &["f:1: web.hook.url is missing: nobody says where requests go"],
        &[],
    );
}

#[test]
fn the_environment_of_a_compose_page() {
    let (file, warnings) = settings("f", COMPOSE, &[]);
    let rules = [
        "client_connect",
        "client_connack",
        "client_connected",
        "client_disconnected",
        "client_subscribe",
        "client_unsubscribe",
        "session_subscribed",
        "session_unsubscribed",
        "session_terminated",
        "message_publish",
        "message_delivered",
        "message_acked",
    ];
    let rules: Map<String, Json> = rules.iter().map(|rule| ((*rule).to_owned(), json!([{}]))).collect();
    let expected = json!({
        "webhook.format": "emqx4",
        "webhook.urls": ["http://127.0.0.1:3000/emqx/webhook"],
        "webhook.rule": rules,
        "destinations.web_hook": {"urls": ["http://127.0.0.1:3000/emqx/webhook"], "headers": {"accept": "*/*"}},
    });
    assert_eq!(file, expected);
    assert_eq!(
        warnings,
        [
            "f:12: EMQX_WEB__HOOK__RULE__SESSION__SUBSCRIBE__1: works here; EMQX 4 itself knows it as session.subscribed and ignores this",
            "f:13: EMQX_WEB__HOOK__RULE__SESSION__UNSUBSCRIBE__1: works here; EMQX 4 itself knows it as session.unsubscribed and ignores this",
        ]
    );
    // The same as the environment of a container without any file.
    let lines: Vec<(&str, &str)> = COMPOSE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .collect();
    let (environment, warnings) = settings("", "", &lines);
    assert_eq!(environment, expected);
    assert_eq!(
        warnings[0],
        "environment: EMQX_WEB__HOOK__RULE__SESSION__SUBSCRIBE__1: works here; EMQX 4 itself knows it as session.subscribed and ignores this"
    );
}

#[test]
fn variables_of_emqx4_beat_its_file() {
    let (settings, warnings) = settings(
        "f",
        "web.hook.url = http://a\nweb.hook.pool_size = 3\nweb.hook.rule.message.publish.1 = {\"action\": \"on_message_publish\"}",
        &[
            ("EMQX_WEB__HOOK__URL", "http://b/"),
            ("EMQX_WEB__HOOK__POOL_SIZE", ""),
            ("EMQX_WEB__HOOK__HEADERS__X_TOKEN", "t"),
            (
                "EMQX_WEB__HOOK__RULE__MESSAGE__PUBLISH__1",
                "{\"action\": \"on_message_publish\", \"topic\": \"x\"}",
            ),
            (
                "EMQX_WEB__HOOK__RULE__MESSAGE__DROPPED__1",
                "{\"action\": \"on_message_dropped\"}",
            ),
            ("EMQX_WEB__HOOK__URLL", "x"),
            ("EMQX_NAME", "x"),
        ],
    );
    let expected = json!({
        "webhook.format": "emqx4",
        "webhook.urls": ["http://b/"],
        "webhook.rule": {"message_publish": [{"topics": ["x"]}], "message_dropped": [{}]},
        "destinations.web_hook": {"urls": ["http://b/"], "headers": {"x-token": "t"}},
    });
    assert_eq!(settings, expected);
    assert_eq!(
        warnings,
        [
            "environment: EMQX_WEB__HOOK__RULE__MESSAGE__DROPPED__1: works here; EMQX 4 itself has no such event and does not start with it",
            "environment: EMQX_WEB__HOOK__URLL: is not known and is ignored; the nearest known one is web.hook.url",
        ]
    );
}

#[test]
fn emqx5_with_everything() {
    let (settings, warnings) = settings("f", EMQX5, &[("HOOK_TOKEN", "Bearer abc")]);
    let headers = json!({"x-device": "${clientid}", "content-type": "text/plain"});
    let hot = |event: &str| {
        let mut rule = json!({
            "action": "hot", "urls": ["https://h.example/base/events/${topic}?k=v"], "method": "put", "headers": headers,
            "body": "${payload}", "select": "payload.t as temperature, clientid", "where": "payload.t > 30",
        });
        if event == "message_publish" {
            rule["topics"] = json!(["sensors/+/temp", "other/#"]);
        }
        rule
    };
    let usual = json!({"accept": "application/json", "cache-control": "no-cache"});
    let all = json!([{"action": "all", "urls": ["http://10.0.0.9:8080/base"], "method": "post", "headers": usual}]);
    let mut ping = all.clone();
    ping[0]["topics"] = json!(["client.ping"]);
    let expected = json!({
        "webhook.format": "emqx5",
        "webhook.rule": {
            "client_connected": all, "client_disconnected": all, "client_connack": all, "other": ping,
            "client_authorized": all,
            "message_publish": [hot("message_publish"), {"action": "seen", "urls": ["stdout:"], "topics": ["#"]}],
            "delivery_dropped": [hot("delivery_dropped")],
        },
        "delivery.queue_bytes": 268_435_456,
        "destinations.plain": {
            "urls": ["http://10.0.0.9:8080/base"],
            "concurrency_limit": 4,
        },
        "destinations.shaped": {
            "urls": ["https://h.example/base/events/"],
            "headers": {"authorization": "Bearer abc"},
            "tls": {"ca": "/etc/ca.pem", "verify": false, "server_name": "inner"},
            "connect_timeout": "5s",
            "http_timeout": "45s",
            "retry_max_elapsed_time": "45s",
        },
    });
    assert_eq!(settings, expected);
    assert_eq!(
        warnings,
        [
            "f:24: connectors.mqtt: is ignored: mqtt connectors have nothing to do with webhooks",
            "f:9: connectors.http.secure.pool_type: is ignored: requests of one client keep their order whatever connection they take",
            "f:10: connectors.http.secure.enable_pipelining: is ignored: a connection carries one request at a time, as many connections as concurrency_limit are used",
            "f:12: connectors.http.secure.resource_opts.health_check_interval: is ignored: there are no health checks: a request that fails is tried again",
            "f:37: actions.http.shaped.parameters.max_retries: is ignored: EMQX 5 ignores it, too; requests are tried again for retry_max_elapsed_time",
            "f:43: actions.http.shaped.resource_opts.inflight_window: is ignored: concurrency_limit of a destination bounds what is under way",
            "f:18: connectors.http.secure.ssl.versions: is ignored: TLS 1.3 and 1.2 are negotiated",
            "f:14: connectors.http.secure.ssl: the server's certificate is not verified, as EMQX 5 does it unless verify = verify_peer",
            "f:1: node: is ignored: it is not about webhooks",
            "f:55: rule_engine.rules.all.sql: $events/sys/alarm_activated never happens: there is no such thing here",
            "f:67: rule_engine.rules.hot.actions[1]: is not carried out: an action of kind mqtt is no webhook",
            "f:77: rule_engine.rules.seen.actions[1]: republish is not carried out: rules here send webhooks and nothing else",
            "f:48: actions.http.unused: is not used by any rule",
        ]
    );
}

#[test]
fn emqx5_bridges() {
    let (settings, warnings) = settings("f", BRIDGE, &[]);
    let expected = json!({
        "webhook.format": "emqx5",
        "webhook.rule": {"message_publish": [
            {"action": "r", "urls": ["http://h/p/${clientid}"], "topics": ["t/#"], "method": "post", "body": "${payload}"},
            {"action": "old", "urls": ["http://h/p/${clientid}"], "topics": ["local/#"], "method": "post", "body": "${payload}"},
        ]},
        "destinations.old": {"urls": ["http://h/p/"], "headers": {"x-a": "1"}, "http_timeout": "1m", "retry_max_elapsed_time": "1m"},
    });
    let mut settings = settings;
    settings["webhook.rule"]["message_publish"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .for_each(|rule| {
            // A body is sent with the content type that EMQX gives it.
            assert_eq!(rule.as_object_mut().unwrap().remove("headers"), None);
        });
    assert_eq!(settings, expected);
    assert_eq!(
        warnings,
        ["f:4: bridges.webhook.old.direction: is ignored: a bridge for webhooks only sends"]
    );
}

#[test]
fn emqx5_by_variables_alone() {
    let (settings, warnings) = settings(
        "",
        "",
        &[
            ("EMQX_CONNECTORS__HTTP__C1__URL", "http://h:1/x"),
            ("EMQX_CONNECTORS__HTTP__C1__HEADERS", "{\"x-token\"=\"a\"}"),
            ("EMQX_ACTIONS__HTTP__A1__CONNECTOR", "c1"),
            ("EMQX_ACTIONS__HTTP__A1__PARAMETERS__METHOD", "post"),
            ("EMQX_ACTIONS__HTTP__A1__PARAMETERS__HEADERS", "{}"),
            ("EMQX_ACTIONS__HTTP__A1__RESOURCE_OPTS__REQUEST_TTL", "infinity"),
            (
                "EMQX_RULE_ENGINE__RULES__R1__SQL",
                "SELECT * FROM \"t/#\", \"$events/message/delivery_dropped\"",
            ),
            ("EMQX_RULE_ENGINE__RULES__R1__ACTIONS", "[\"http:a1\"]"),
            ("EMQX_RULE_ENGINE__RULES__R1__COLOUR", "1"),
            ("EMQX_NODE__NAME", "x"),
        ],
    );
    let rule = json!({"action": "r1", "urls": ["http://h:1/x"], "method": "post"});
    let mut publish = rule.clone();
    publish["topics"] = json!(["t/#"]);
    let expected = json!({
        "webhook.format": "emqx5",
        "webhook.rule": {"message_publish": [publish], "delivery_dropped": [rule]},
        "destinations.a1": {"urls": ["http://h:1/x"], "headers": {"x-token": "a"}, "retry_max_elapsed_time": "30d"},
    });
    assert_eq!(settings, expected);
    assert_eq!(
        warnings,
        [
            "environment: EMQX_ACTIONS__HTTP__A1__RESOURCE_OPTS__REQUEST_TTL: is 30 days here, the longest time that a request is tried",
            "environment: EMQX_RULE_ENGINE__RULES__R1__COLOUR: is not known and is ignored; known are enable, sql, actions, name, description, metadata, tags, created_at, last_modified_at",
        ]
    );
}

#[test]
fn what_only_the_module_knows_is_told_beside_other_mistakes() {
    check(
        "f",
        "web.hook.url = http://h/${topc}\nweb.hook.pool_sise = 1\n\
         web.hook.rule.message.publish.1 = {\"action\": \"on_message_publish\", \"topic\": \"a#\"}\n",
        &[],
        &[
            "f:2: web.hook.pool_sise: unknown key; the nearest known one is web.hook.pool_size",
            "f:3: web.hook.rule.message.publish.1: `a#` is not a topic filter: '#' must be the whole last level of a topic filter",
            "f:1: web.hook.url: '${topc}': there is no field 'topc'; is 'topic' meant?",
        ],
        &[],
    );
}

#[test]
fn emqx5_mistakes_come_all_at_once() {
    check(
        "f",
        "connectors.http.c { url = \"h:80\", pool_sise = 1, connect_timeout = soon }\n\
         connectors.http.d { oauth2 { enable = true } }\n\
         actions.http.a { connector = cc, parameters { method = patch, headers { \"a b\" = 1 } } }\n\
         actions.http.b { connector = c }\n\
         rule_engine.rules.r { sql = \"SELECT * FROM \\\"$events/client_conected\\\", \\\"a#\\\"\", actions = [\"http:x\", 1] }\n\
         rule_engine.rules.s { sql = \"FOREACH a FROM b\", actions = [\"http:z\"] }\n\
         rule_engine.rules.t { actions = [] }\n",
        &[],
        &[
            "f:1: connectors.http.c.url: `h:80` is not a URL of a web service: it has no scheme; http://h:80 is probably meant",
            "f:1: connectors.http.c.connect_timeout: needs a whole number before the unit",
            "f:1: connectors.http.c.pool_sise: unknown key; the nearest known one is pool_size",
            "f:2: connectors.http.d: needs a url",
            "f:2: connectors.http.d.oauth2: is not supported, and requests would go without a token: let something else fetch tokens and name its file as bearer_file of a destination",
            "f:3: actions.http.a.parameters.method: should be post, put, get or delete",
            "f:3: actions.http.a.parameters.headers.a b: is not the name of a header: letters, digits and - are",
            "f:3: actions.http.a.connector: there is no connector `cc` below connectors.http; the nearest known one is c",
            "f:6: rule_engine.rules.s.sql: `>>>FOREACH<<< a FROM b`: FOREACH is not supported; SELECT … FROM … WHERE … is",
            "f:7: rule_engine.rules.t: needs sql, such as \"SELECT * FROM \\\"t/#\\\"\"",
            "f:5: rule_engine.rules.r.sql: FROM \"$events/client_conected\": unknown event; the nearest known one is $events/client_connected",
            "f:5: rule_engine.rules.r.sql: `a#` is not a topic filter: '#' must be the whole last level of a topic filter",
            "f:5: rule_engine.rules.r.actions[0]: there is no action `http:x`; the nearest known one is http:a",
            "f:5: rule_engine.rules.r.actions[1]: should be the name of an action, such as \"http:NAME\"",
            "f:6: rule_engine.rules.s.actions[0]: there is no action `http:z`; the nearest known one is http:a",
        ],
        &["f:5: rule_engine.rules.r: sends nothing: none of its actions is a webhook that is switched on"],
    );
    check(
        "f",
        "actions.http.a {\n connector = \n",
        &[],
        &["f:1: this { is never closed", "f:3: a value is missing"],
        &[],
    );
}

#[test]
fn what_only_the_module_knows_is_told_with_the_place() {
    let (_, reading) = reading(
        "f",
        "web.hook.url = http://h/${clientidd}\nweb.hook.rule.message.publish.1 = {\"action\": \"on_message_publish\"}",
        &[],
    );
    let problems = shown(&reading.problems);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("f:1: web.hook.url: "), "{problems:?}");
    assert!(problems[0].contains("clientidd"), "{problems:?}");
}

#[test]
fn emqx5_destinations_that_two_share() {
    let text = "connectors.http.c { url = \"http://h/x\", headers { a = 1 } }\n\
         actions.http.one { connector = c, parameters { headers { x-source = one, k = v } }, resource_opts.request_ttl = 10s }\n\
         actions.http.two { connector = c, parameters { headers { x-source = two, k = v } }, resource_opts.request_ttl = 20s }\n\
         rule_engine.rules.r { sql = \"SELECT * FROM t\", actions = [\"http:one\", \"http:two\"] }\n";
    let (both, warnings) = settings("f", text, &[]);
    assert_eq!(
        both["webhook.rule"]["message_publish"],
        json!([
            {"action": "r", "topics": ["t"], "urls": ["http://h/x"], "headers": {"x-source": "one"}},
            {"action": "r", "topics": ["t"], "urls": ["http://h/x"], "headers": {"x-source": "two"}},
        ])
    );
    assert_eq!(
        both["destinations.one"],
        json!({"urls": ["http://h/x"], "headers": {"a": "1", "k": "v"}, "http_timeout": "20s", "retry_max_elapsed_time": "20s"})
    );
    assert_eq!(both.get("destinations.two"), None);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let (_, secret) = reading("f", &text.replace("x-source", "x-api-key"), &[]);
    assert_eq!(secret.problems.len(), 2, "{:?}", shown(&secret.problems));
}

#[test]
fn nanomq_in_its_forms() {
    let rules = json!({
        "client_connack": [{}], "client_disconnected": [{}],
        "message_publish": [{"topics": ["a/b/c", "foo/#"]}],
    });
    let (block, warnings) = settings("f", NANOMQ, &[]);
    let expected = json!({
        "webhook.format": "nanomq",
        "webhook.urls": ["http://127.0.0.1:8888/hook"],
        "webhook.payload_encoding": "base64",
        "webhook.rule": rules,
        "delivery.concurrency_limit": 8,
        "delivery.connect_timeout": "3s",
        "delivery.http_timeout": "3s",
        "destinations.webhook": {"urls": ["http://127.0.0.1:8888/hook"], "headers": {"x-a": "b"}},
    });
    assert_eq!(block, expected);
    assert_eq!(
        warnings,
        [
            "f:2: mqtt: is ignored: it is not about webhooks",
            "f:18: webhook.ssl: is ignored: it is switched off, or the URL is not https",
            "f:19: webhook.colour: is not known and is ignored; known are events, rules, enable, url, headers, body, encode_payload, pool_size, cancel_timeout, ssl, tls",
        ]
    );

    let (page, warnings) = settings("f", NANOMQ_PAGE, &[]);
    let expected = json!({
    "webhook.format": "nanomq",
    "webhook.urls": ["http://127.0.0.1:80"],
    "webhook.rule": {"client_connack": [{}], "message_publish": [{"topics": ["a/b/c"]}]},
    "delivery.concurrency_limit": 32,
        });
    assert_eq!(page, expected);
    assert_eq!(warnings, [""; 0]);

    let (old, warnings) = settings("f", NANOMQ_OLD, &[]);
    let expected = json!({
        "webhook.format": "nanomq",
        "webhook.urls": ["https://h/x"],
        "webhook.payload_encoding": "base62",
        "webhook.rule": {"message_publish": [{}], "message_acked": [{"topics": ["a"]}]},
        "delivery.concurrency_limit": 4,
        "destinations.webhook": {
            "urls": ["https://h/x"],
            "tls": {"ca": "/etc/ca.pem", "verify": true},
        },
    });
    assert_eq!(old, expected);
    assert_eq!(
        warnings,
        [
            "f:12: web.hook.rule.message.acked.1: message_acked is sent here; NanoMQ itself never sends it",
            "f:2: mqtt: is ignored: it is not about webhooks",
            "f:8: web.hook.ssl.cacertfile: is used here; NanoMQ itself reads it and sends without TLS",
        ]
    );
}

#[test]
fn nanomq_mistakes_come_all_at_once() {
    check(
        "f",
        "webhook {\n url = \"tcp://h\"\n pool_size = 0\n events = [\n { event = on_message_publsh }\n { topic = \"a\" }\n { event = on_message_publish, topic = \"a/#/b\" }\n { event = on_message_dropped }\n { evnt = on_client_connack }\n]\n}",
        &[],
        &[
            "f:5: webhook.events[0].event: unknown event; the nearest known one is on_message_publish",
            "f:6: webhook.events[1]: needs an event, such as \"on_message_publish\"",
            "f:7: webhook.events[2].topic: `a/#/b` is not a topic filter: '#' must be the whole last level of a topic filter",
            "f:8: webhook.events[3].event: unknown event; the nearest known one is on_message_acked",
            "f:9: webhook.events[4]: needs an event, such as \"on_message_publish\"; evnt is not known, is event meant?",
            "f:2: webhook.url: `tcp://h` is not a URL of a web service: only http:// and https:// can be posted to",
            "f:3: webhook.pool_size: should be between 1 and 65535",
        ],
        &["f:9: webhook.events[4].evnt: is not known and is ignored; the nearest known one is event"],
    );
}

#[test]
fn what_cannot_be_told_says_so() {
    check(
        "f",
        "[webhook]",
        &[],
        &["f: is a configuration of hookhost itself: give it with --config"],
        &[],
    );
    check(
        "f",
        "x = 1",
        &[],
        &[
            "f: has none of the keys of a webhook configuration of RMQTT, EMQX 4, EMQX 5 or NanoMQ; --webhook-format says which it is",
        ],
        &[],
    );
    check(
        "",
        "",
        &[
            ("EMQX_WEB__HOOK__URL", "http://a"),
            ("EMQX_ACTIONS__HTTP__A__CONNECTOR", "c"),
        ],
        &["environment: has webhook settings of EMQX 4 and EMQX 5: --webhook-format says which of them hold"],
        &[],
    );
    let none = BTreeMap::from([("EMQX_NAME".to_owned(), "x".to_owned())]);
    let request = Request {
        file: None,
        environment: &none,
        format: None,
        urls: None,
    };
    assert!(read(&request).is_none());
    // Somebody who knows better is believed.
    let request = Request {
        file: Some((Path::new("f"), "x = 1")),
        format: Some(Format::Rmqtt),
        ..request
    };
    assert_eq!(read(&request).unwrap().0, Some(Format::Rmqtt));
}

#[test]
fn variables_of_another_broker_are_told() {
    check(
        "f",
        "urls = []\nrule.client_connect = []",
        &[("EMQX_WEB__HOOK__URL", "http://a"), ("EMQX_WEB__HOOK__POOL_SIZE", "1")],
        &[],
        &["environment: EMQX_WEB__HOOK__POOL_SIZE: is ignored, and so are others of EMQX 4: f is of RMQTT"],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_text_makes_a_reader_panic(text in "[a-z.=:{}\\[\\]\"$?,+#/~ \\n]{0,200}", format in 0..4_usize) {
        any_text(&text, format);
    }

    /// A file with a piece cut out, doubled or overwritten is read or refused, whatever it then is.
    #[test]
    fn no_damage_makes_a_reader_panic(file in 0..8_usize, start in any::<usize>(), length in 0..40_usize, with in "[{}\\[\\]\"=.\\n a#$]{0,6}") {
        let text = [EMQX4, EMQX4_OLD, COMPOSE, EMQX5, BRIDGE, NANOMQ, NANOMQ_PAGE, NANOMQ_OLD][file];
        let chars: Vec<char> = text.chars().collect();
        let start = start % chars.len();
        let end = (start + length).min(chars.len());
        let damaged: String = chars[..start].iter().copied().chain(with.chars()).chain(chars[end..].iter().copied()).collect();
        for format in 0..4 {
            any_text(&damaged, format);
        }
        let environment = BTreeMap::new();
        read(&Request { file: Some((Path::new("f"), &damaged)), environment: &environment, format: None, urls: None });
    }
}

fn any_text(text: &str, format: usize) {
    let environment = BTreeMap::from([
        ("EMQX_WEB__HOOK__RULE__A".to_owned(), text.to_owned()),
        ("EMQX_CONNECTORS__HTTP__A".to_owned(), text.to_owned()),
        ("EMQX_RULE_ENGINE__RULES__A__SQL".to_owned(), text.to_owned()),
    ]);
    let request = Request {
        file: Some((Path::new("f"), text)),
        environment: &environment,
        format: Some(Format::ALL[format]),
        urls: None,
    };
    read(&request);
}

#[test]
fn words_of_a_rule_that_were_mistyped_are_named() {
    for (text, problems, warnings) in [
        (
            "web.hook.url = http://h/\nweb.hook.rule.message.publish.1 = {\"acton\": \"on_message_publish\"}\n",
            vec![
                "f:2: web.hook.rule.message.publish.1: needs an action: {\"action\": \"on_message_publish\"}; acton is not \
                 known, is action meant?",
            ],
            vec![],
        ),
        (
            "web.hook.url = http://h/\nweb.hook.rule.message.publish.1 = {\"action\": \"on_message_publish\", \"topc\": \"a\"}\n",
            vec![],
            vec!["f:2: web.hook.rule.message.publish.1: topc is not part of a rule and is ignored; is topic meant?"],
        ),
        (
            "urls = [\"http://h/\"]\nrule.client_connect = [{acton = \"a\"}]\n",
            vec!["f:2: rule.client_connect[0].action: is missing; acton is not known, is action meant?"],
            vec![],
        ),
        (
            "urls = [\"http://h/\"]\nrule.client_connect = [{action = \"a\", topcs = []}]\n",
            vec![],
            vec!["f:2: rule.client_connect[0].topcs: is not part of a rule and is ignored; is topics meant?"],
        ),
    ] {
        let (_, reading) = reading("f", text, &[]);
        assert_eq!(shown(&reading.problems), problems, "{text}");
        if problems.is_empty() {
            assert_eq!(shown(&reading.warnings), warnings, "{text}");
        }
    }
}
