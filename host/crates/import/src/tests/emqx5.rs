//! EMQX 5: rules, bridges and connectors.

use super::*;

#[test]
fn emqx5_with_everything() {
    let (settings, warnings) = settings("f", EMQX5, &[("HOOK_TOKEN", "Bearer abc")]);
    let headers = json!({"x-device": "${clientid}", "content-type": "text/plain"});
    let hot = |event: &str| {
        let mut rule = json!({
            "action": "hot", "urls": ["https://h.example/base/events/${topic}"], "method": "put", "headers": headers,
            "body": "${payload}", "select": "payload.t as temperature, clientid", "where": "payload.t > 30",
        });
        if event == "message_publish" {
            rule["topics"] = json!(["sensors/+/temp", "other/#"]);
        }
        rule
    };
    let usual = json!({
        "accept": "application/json", "cache-control": "no-cache", "connection": "keep-alive", "keep-alive": "timeout=5",
    });
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
            "f:9: connectors.http.secure.pool_type: is ignored: requests of one client keep their order on any connection",
            "f:10: connectors.http.secure.enable_pipelining: is ignored: a connection carries one request at a time; concurrency_limit sets the number of connections",
            "f:12: connectors.http.secure.resource_opts.health_check_interval: is ignored: there are no health checks: a failed request is retried",
            "f:37: actions.http.shaped.parameters.max_retries: is ignored: EMQX 5 ignores it, too; requests are retried for retry_max_elapsed_time",
            "f:43: actions.http.shaped.resource_opts.inflight_window: is ignored: concurrency_limit of a destination limits the requests in flight",
            "f:3: connectors.http.secure.url: has a query, which EMQX 5 does not send; write it into the path of the action",
            "f:18: connectors.http.secure.ssl.versions: is ignored: TLS 1.3 and 1.2 are negotiated",
            "f:14: connectors.http.secure.ssl: the server's certificate is not verified, as in EMQX 5, unless verify = verify_peer",
            "f:1: node: is ignored: it is not about webhooks",
            "f:55: rule_engine.rules.all.sql: $events/sys/alarm_activated never happens: there is no such thing here",
            "f:67: rule_engine.rules.hot.actions[1]: is ignored: an action of kind mqtt is not a webhook",
            "f:77: rule_engine.rules.seen.actions[1]: function republish is ignored: rules here only send webhooks",
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
            {"action": "", "urls": ["http://h/p/${clientid}"], "topics": ["local/#"], "method": "post", "body": "${payload}"},
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
            "environment: EMQX_ACTIONS__HTTP__A1__RESOURCE_OPTS__REQUEST_TTL: is limited to 30 days, the longest time for retries",
            "environment: EMQX_RULE_ENGINE__RULES__R1__COLOUR: unknown key, ignored; known are enable, sql, actions, name, description, metadata, tags, created_at, last_modified_at",
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
         rule_engine.rules.s { sql = \"FOREACH a WHERE b\", actions = [\"http:z\"] }\n\
         rule_engine.rules.t { actions = [] }\n",
        &[],
        &[
            "f:1: connectors.http.c.url: `h:80` is not a URL of a web service: it has no scheme; http://h:80 is probably meant",
            "f:1: connectors.http.c.connect_timeout: needs a whole number before the unit",
            "f:1: connectors.http.c.pool_sise: unknown key; the nearest known one is pool_size",
            "f:2: connectors.http.d: needs a url",
            "f:2: connectors.http.d.oauth2: is not supported, and requests would go without a token: let something else fetch tokens and name its file as bearer_file of a destination",
            "f:3: actions.http.a.parameters.method: should be post, put, get or delete",
            "f:3: actions.http.a.parameters.headers.a b: is not a valid name of a header: use letters, digits and '-'",
            "f:3: actions.http.a.connector: connector `cc` is not defined below connectors.http; the nearest known one is c",
            "f:6: rule_engine.rules.s.sql: `FOREACH a >>>WHERE<<< b`: `,` or FROM was expected",
            "f:7: rule_engine.rules.t: needs sql, such as \"SELECT * FROM \\\"t/#\\\"\"",
            "f:5: rule_engine.rules.r.sql: FROM \"$events/client_conected\": unknown event; the nearest known one is $events/client_connected",
            "f:5: rule_engine.rules.r.sql: `a#` is not a topic filter: '#' must be the whole last level of a topic filter",
            "f:5: rule_engine.rules.r.actions[0]: action `http:x` is not defined; the nearest known one is http:a",
            "f:5: rule_engine.rules.r.actions[1]: should be the name of an action, such as \"http:NAME\"",
            "f:6: rule_engine.rules.s.actions[0]: action `http:z` is not defined; the nearest known one is http:a",
        ],
        &["f:5: rule_engine.rules.r: sends nothing: none of its actions is an enabled webhook"],
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
    let secret = import("f", &text.replace("x-source", "x-api-key"), &[]);
    assert_eq!(
        secret.findings.problems.len(),
        2,
        "{:?}",
        shown(&secret.findings.problems)
    );
}
