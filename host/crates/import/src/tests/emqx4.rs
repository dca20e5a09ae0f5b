//! EMQX 4: files and variables of its `emqx_web_hook` plugin.

use super::*;

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
            "f:13: web.hook.enable_pipelining: is ignored: a connection carries one request at a time; concurrency_limit sets the number of connections",
            "f:14: web.hook.request_timeout: is used here; EMQX 4 itself has no such key",
            "f:19: web.hook.rule.client.connected.1: topic is ignored: client.connected has none",
            "f:20: web.hook.rule.client.connected.2: repeats web.hook.rule.client.connected.1 and is ignored",
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
            "f:4: web.hook.ssl: is ignored: the scheme of the URL decides whether TLS is used",
            "f:3: web.hook.api.url: the server's certificate is not verified, as in EMQX 4, unless web.hook.ssl.verify = true",
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
        ["f:1: web.hook.api.url: is not used: EMQX_WEB__HOOK__URL is the same setting"]
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
            "f:5: web.hook.pool_size: should be a whole number",
            "f:2: web.hook.headers.a b: is not a valid name of a header: use letters, digits and '-'",
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
        &["f:1: web.hook.url is missing: requests have no URL"],
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
            "f:12: EMQX_WEB__HOOK__RULE__SESSION__SUBSCRIBE__1: works here; EMQX 4 itself calls it session.subscribed and ignores this",
            "f:13: EMQX_WEB__HOOK__RULE__SESSION__UNSUBSCRIBE__1: works here; EMQX 4 itself calls it session.unsubscribed and ignores this",
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
        "environment: EMQX_WEB__HOOK__RULE__SESSION__SUBSCRIBE__1: works here; EMQX 4 itself calls it session.subscribed and ignores this"
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
        "node.name": "x@127.0.0.1",
    });
    assert_eq!(settings, expected);
    assert_eq!(
        warnings,
        [
            "environment: EMQX_WEB__HOOK__URLL: unknown key, ignored; the nearest known one is web.hook.url",
            "environment: EMQX_WEB__HOOK__RULE__MESSAGE__DROPPED__1: works here; EMQX 4 itself lacks this event and does not start with it",
        ]
    );
}
