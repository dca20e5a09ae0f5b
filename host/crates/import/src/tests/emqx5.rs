//! EMQX 5: rules, bridges and connectors.

use super::*;

#[test]
fn emqx5_with_everything() {
    let (settings, warnings) = settings("f", EMQX5, &[("HOOK_TOKEN", "Bearer abc")]);
    let headers = json!({"x-device": "${clientid}", "content-type": "text/plain"});
    let hot = |event: &str| {
        let mut rule = json!({
            "action": "hot", "urls": ["https://h.example/base/events/${topic}"], "destination": "shaped", "method": "put",
            "headers": headers, "body": "${payload}", "select": "payload.t as temperature, clientid", "where": "payload.t > 30",
        });
        if event == "message_publish" {
            rule["topics"] = json!(["sensors/+/temp", "other/#"]);
        }
        rule
    };
    let usual = json!({
        "accept": "application/json", "cache-control": "no-cache", "connection": "keep-alive", "keep-alive": "timeout=5",
    });
    let all = json!([{
        "action": "all", "urls": ["http://10.0.0.9:8080/base"], "destination": "plain", "method": "post", "headers": usual,
    }]);
    let mut ping = all.clone();
    ping[0]["topics"] = json!(["client.ping"]);
    let expected = json!({
        "webhook.format": "emqx5",
        "webhook.rule": {
            "client_connected": all, "client_disconnected": all, "client_connack": all, "other": ping,
            "client_authorized": all,
            "message_publish": [
                hot("message_publish"),
                {"action": "seen", "urls": ["stdout:"], "topics": ["#"]},
                {
                    "action": "seen", "urls": ["mqtt:t?qos=${qos}&retain=${retain}&user_properties=${user_properties}"],
                    "topics": ["#"], "body": "${payload}",
                },
            ],
            "delivery_dropped": [hot("delivery_dropped")],
        },
        "node.name": "emqx@127.0.0.1",
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
            "f:14: connectors.http.secure.ssl: the server's certificate is not verified, as in EMQX 5, unless verify = verify_peer",
            "f:3: connectors.http.secure.url: has a query, which EMQX 5 does not send; write it into the path of the action",
            "f:55: rule_engine.rules.all.sql: FROM \"$events/sys/alarm_activated\": hookhost has no such source of events; it is ignored",
            "f:67: rule_engine.rules.hot.actions[1]: is ignored: an action of kind mqtt is not a webhook",
            "f:24: connectors.mqtt: is ignored: it is not about webhooks",
            "f:48: actions.http.unused: is not used by any rule",
            "f:9: pool_type, enable_pipelining, health_check_interval, versions, max_retries, inflight_window: have no meaning in hookhost",
        ]
    );
}

#[test]
fn emqx5_bridges() {
    let (settings, warnings) = settings("f", BRIDGE, &[]);
    let expected = json!({
        "webhook.format": "emqx5",
        "webhook.rule": {"message_publish": [
            {"action": "r", "urls": ["http://h/p/${clientid}"], "destination": "old", "topics": ["t/#"], "method": "post", "body": "${payload}"},
            {"action": "", "urls": ["http://h/p/${clientid}"], "destination": "old", "topics": ["local/#"], "method": "post", "body": "${payload}"},
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
    assert_eq!(warnings, ["f:4: direction: has no meaning in hookhost"]);
}

#[test]
fn emqx5_connectors_keep_their_access_tokens() {
    for (secret, expected) in [
        ("s", json!({"client_secret": "s"})),
        ("file:///run/secrets/s", json!({"client_secret_file": "/run/secrets/s"})),
    ] {
        let text = format!(
            "connectors.http.c {{ url = \"https://h/\", oauth2 {{ token_endpoint = \"https://i/token\", client_id = me, \
             client_secret = \"{secret}\", scope = hooks, timeout = 7s, ssl {{ enable = true }} }} }}\n\
             actions.http.a {{ connector = c }}\n\
             rule_engine.rules.r {{ sql = \"SELECT * FROM t\", actions = [\"http:a\"] }}\n"
        );
        let (settings, _) = settings("f", &text, &[]);
        let mut oauth2 = json!({
            "token_url": "https://i/token", "client_id": "me", "scope": "hooks", "client_auth": "body", "timeout": "7s",
        });
        oauth2
            .as_object_mut()
            .unwrap()
            .extend(expected.as_object().unwrap().clone());
        let destination = &settings["destinations.a"];
        assert_eq!(destination["oauth2"], oauth2, "{settings}");
    }
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
    let rule = json!({"action": "r1", "urls": ["http://h:1/x"], "destination": "a1", "method": "post"});
    let mut publish = rule.clone();
    publish["topics"] = json!(["t/#"]);
    let expected = json!({
        "webhook.format": "emqx5",
        "webhook.rule": {"message_publish": [publish], "delivery_dropped": [rule]},
        "node.name": "x",
        "destinations.a1": {"urls": ["http://h:1/x"], "headers": {"x-token": "a"}, "retry_max_elapsed_time": "30d"},
    });
    assert_eq!(settings, expected);
    assert_eq!(
        warnings,
        [
            "environment: EMQX_RULE_ENGINE__RULES__R1__COLOUR: unknown key, ignored; known are enable, name, tags, description, metadata, created_at, last_modified_at, actions, sql",
            "environment: EMQX_ACTIONS__HTTP__A1__RESOURCE_OPTS__REQUEST_TTL: is limited to 30 days, the longest time for retries",
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
fn emqx5_mistakes_leave_out_their_items_and_come_all_at_once() {
    let text = "connectors.http.c { url = \"h:80\", pool_sise = 1, connect_timeout = soon }\n\
         connectors.http.d { oauth2 { enable = true } }\n\
         actions.http.a { connector = cc, parameters { method = patch, headers { \"a b\" = 1 } } }\n\
         actions.http.b { connector = c }\n\
         rule_engine.rules.r { sql = \"SELECT * FROM \\\"$events/client_conected\\\", \\\"a#\\\"\", actions = [\"http:x\", 1] }\n\
         rule_engine.rules.s { sql = \"FOREACH a WHERE b\", actions = [\"http:z\"] }\n\
         rule_engine.rules.t { actions = [\"http:good\"] }\n\
         connectors.http.good { url = \"http://h/\" }\n\
         actions.http.good { connector = good }\n\
         rule_engine.rules.u { sql = \"SELECT * FROM t\", actions = [\"http:good\"] }\n";
    let (good, warnings) = settings("f", text, &[]);
    let findings = import("f", text, &[]).findings;
    let mut left_out = shown(&findings.left_out);
    left_out.sort();
    assert_eq!(
        left_out,
        [
            "f:1: connectors.http.c.connect_timeout: needs a whole number before the unit",
            "f:1: connectors.http.c.url: `h:80` is not a URL of a web service: it has no scheme; http://h:80 is probably meant",
            "f:2: connectors.http.d.oauth2: needs client_id",
            "f:2: connectors.http.d.oauth2: needs client_secret",
            "f:2: connectors.http.d.oauth2: needs token_endpoint",
            "f:2: connectors.http.d: needs a url",
            "f:3: actions.http.a.connector: connector `cc` is not defined below connectors.http; the nearest known one is c",
            "f:3: actions.http.a.parameters.headers.a b: is not a valid name of a header: use letters, digits and '-'",
            "f:3: actions.http.a.parameters.method: should be post, put, get or delete",
            "f:5: rule_engine.rules.r.actions[0]: action `http:x` is not defined; the nearest known one is http:a",
            "f:5: rule_engine.rules.r.actions[1]: should be the name of an action, such as \"http:NAME\"",
            "f:5: rule_engine.rules.r.sql: FROM \"$events/client_conected\": unknown event; the nearest known one is $events/client_connected",
            "f:5: rule_engine.rules.r.sql: `a#` is not a topic filter: '#' must be the whole last level of a topic filter",
            "f:6: rule_engine.rules.s.actions[0]: action `http:z` is not defined; the nearest known one is http:a",
            "f:6: rule_engine.rules.s.sql: `FOREACH a >>>WHERE<<< b`: `,` or FROM was expected",
            "f:7: rule_engine.rules.t: needs sql, such as \"SELECT * FROM \\\"t/#\\\"\"",
        ]
    );
    assert_eq!(
        warnings,
        [
            "f:1: connectors.http.c.pool_sise: unknown key, ignored; the nearest known one is pool_size",
            "f:5: rule_engine.rules.r: sends nothing: each of its webhooks is disabled or has an error",
        ]
    );
    assert_eq!(good["webhook.rule"].as_object().unwrap().len(), 1);
    assert_eq!(good["webhook.rule"]["message_publish"][0]["action"], "u");
    // A user who accepts no guess gets all of it as problems.
    assert_eq!(findings.strict().problems.len(), 17);
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
    let reading = import(
        "f",
        "web.hook.url = http://h/${clientidd}\nweb.hook.rule.message.publish.1 = {\"action\": \"on_message_publish\"}",
        &[],
    );
    let problems = shown(&reading.findings.problems);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("f:1: web.hook.url: "), "{problems:?}");
    assert!(problems[0].contains("clientidd"), "{problems:?}");
}

#[test]
fn emqx5_webhooks_with_one_url_keep_their_credentials_apart() {
    let text = "bridges.webhook.one { url = \"http://h/x\", headers { authorization = \"Bearer 1\" }, resource_opts.request_ttl = 10s }\n\
         bridges.webhook.two { url = \"http://h/x\", headers { authorization = \"Bearer 2\" }, resource_opts.request_ttl = 20s }\n\
         bridges.webhook.bare { url = \"http://h/x\" }\n\
         rule_engine.rules.r { sql = \"SELECT * FROM t\", actions = [\"webhook:one\", \"webhook:two\", \"webhook:bare\"] }\n";
    let (all, warnings) = settings("f", text, &[]);
    let rule = |name: &str| json!({"action": "r", "topics": ["t"], "urls": ["http://h/x"], "destination": name});
    // EMQX's own headers.
    let mut bare = rule("bare");
    bare["headers"] = json!({
        "accept": "application/json", "cache-control": "no-cache", "connection": "keep-alive", "keep-alive": "timeout=5",
    });
    let expected = json!({
        "webhook.format": "emqx5",
        "webhook.rule": {"message_publish": [rule("one"), rule("two"), bare]},
        "destinations.one": {
            "urls": ["http://h/x"], "headers": {"authorization": "Bearer 1"},
            "http_timeout": "10s", "retry_max_elapsed_time": "10s",
        },
        "destinations.two": {
            "urls": ["http://h/x"], "headers": {"authorization": "Bearer 2"},
            "http_timeout": "20s", "retry_max_elapsed_time": "20s",
        },
        "destinations.bare": {"urls": ["http://h/x"]},
    });
    assert_eq!(all, expected);
    assert_eq!(warnings, [""; 0]);
}
