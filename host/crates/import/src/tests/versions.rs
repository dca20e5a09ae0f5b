//! EMQX 5.0 to 6.x: files that these versions write by themselves, and what one rule or webhook cannot have.

use super::*;

/// A webhook that works, as the lines of a file.
const WEBHOOK: &str = "connectors.http.c { url = \"http://h/\" }\n\
    actions.http.a { connector = c }\n\
    rule_engine.rules.r { sql = \"SELECT * FROM \\\"t/#\\\"\", actions = [\"http:a\"] }\n";

/// The findings of a file with a webhook that works and more lines. The webhook must be there.
#[track_caller]
fn beside(more: &str) -> Findings {
    let text = format!("{WEBHOOK}{more}");
    let import = import("f", &text, &[]);
    assert_eq!(shown(&import.findings.problems), [""; 0], "{more}");
    let rules = hookhost_settings::find(&import.settings, &["webhook", "rule", "message_publish"]);
    let Some(Value::List(rules)) = rules.map(|setting| &setting.value) else {
        panic!("no rules with {more}")
    };
    assert!(rules.iter().any(|rule| rule.place.key.contains("rules.r ")), "{more}");
    import.findings
}

#[test]
fn keys_that_a_version_writes_by_itself_are_known() {
    for (version, text) in [
        ("5.9", "actions.http.a { fallback_actions = [] }"),
        (
            "5.9",
            "connectors.http.c { max_inactive = 10s, ssl { enable = false, partial_chain = false } }",
        ),
        (
            "5.10",
            "connectors.http.c.ssl { enable = false, middlebox_comp_mode = true }",
        ),
        (
            "6.0",
            "rule_engine.ssrf { enable = false, allow_cidrs = [], deny_cidrs = [\"127.0.0.0/8\"], deny_hosts = [] }",
        ),
        ("6.1", "connectors.http.c.ssl.managed_certs { bundle_name = x }"),
        (
            "6.2",
            "actions.http.a.resource_opts { dispatch_strategy = per_clientid, health_check_timeout = 60s }",
        ),
        (
            "6.2",
            "connectors.http.c.resource_opts { health_check_interval_jitter = 0ms, health_check_timeout = 60s }",
        ),
        (
            "6.3",
            "connectors.http.c.oauth2 { enable = false, grant_type = client_credentials, token_endpoint = \"\" }",
        ),
        (
            "5.0",
            "bridges.webhook.b { url = \"http://h/\", local_topic = \"\", direction = egress, \
             resource_opts { enable_batch = false, enable_queue = false, batch_size = 1, auto_retry_interval = 1s } }",
        ),
        (
            "5.x",
            "connectors.http.c { created_at = 1, last_modified_at = 2, tags = [a] }",
        ),
        (
            "5.x",
            "actions.http.a { created_at = 1, last_modified_at = 2, resource_opts.created_at = 1 }",
        ),
        (
            "5.x",
            "rule_engine.rules.r { created_at = 1, last_modified_at = 2, metadata { created_at = 1 } }",
        ),
        (
            "5.x",
            "rule_engine { jq_function_default_timeout = 10s, jq_implementation_module = jq_nif }",
        ),
    ] {
        let findings = beside(text);
        assert_eq!(shown(&findings.unknown), [""; 0], "{version}: {text}");
        assert_eq!(shown(&findings.left_out), [""; 0], "{version}: {text}");
    }
}

#[test]
fn an_unknown_key_is_ignored_unless_the_user_is_strict() {
    for (text, unknown) in [
        (
            "connectors.http.c.colour = 1",
            "f:4: connectors.http.c.colour: unknown key, ignored",
        ),
        (
            "connectors.http.c.ssl { enable = false, colour = 1 }",
            "f:4: connectors.http.c.ssl.colour: unknown key, ignored",
        ),
        (
            "actions.http.a { resource_opts.colour = 1 }",
            "f:4: actions.http.a.resource_opts.colour: unknown key, ignored",
        ),
        (
            "actions.http.a { parameters.colour = 1 }",
            "f:4: actions.http.a.parameters.colour: unknown key, ignored",
        ),
        (
            "rule_engine.rules.r.colour = 1",
            "f:4: rule_engine.rules.r.colour: unknown key, ignored",
        ),
        (
            "rule_engine.colour = 1",
            "f:4: rule_engine.colour: unknown key, ignored",
        ),
    ] {
        let findings = beside(text);
        assert_eq!(findings.unknown.len(), 1, "{text}");
        assert!(
            findings.unknown[0].to_string().starts_with(unknown),
            "{:?}",
            findings.unknown
        );
        assert_eq!(findings.strict().problems.len(), 1, "{text}");
    }
}

#[test]
fn what_one_webhook_cannot_have_leaves_out_this_one() {
    let other = |connector: &str, action: &str| {
        format!(
            "connectors.http.d {{ url = \"https://d/\", {connector} }}\nactions.http.b {{ connector = d, {action} }}\n\
             rule_engine.rules.s {{ sql = \"SELECT * FROM \\\"t\\\"\", actions = [\"http:b\"] }}\n"
        )
    };
    let oauth = "token_endpoint = \"https://i/\", client_id = x, client_secret = y";
    for (text, left_out) in [
        (
            other(&format!("oauth2 {{ {oauth}, client_secret = \"\" }}"), ""),
            "f:4: connectors.http.d.oauth2: needs client_secret".to_owned(),
        ),
        (
            other(&format!("oauth2 {{ enable = true, {oauth}, grant_type = password }}"), ""),
            "f:4: connectors.http.d.oauth2.grant_type: should be client_credentials".to_owned(),
        ),
        (
            other("ssl { enable = true, managed_certs { bundle_name = x } }", ""),
            "f:4: connectors.http.d.ssl.managed_certs: is not supported, because EMQX keeps these certificates in its own store: \
             name their files in cacertfile, certfile and keyfile"
                .to_owned(),
        ),
        (
            "bridges.webhook.b { url = \"http://${clientid}.h/\", headers {} }\n\
             rule_engine.rules.s { sql = \"SELECT * FROM \\\"t\\\"\", actions = [\"webhook:b\"] }\n"
                .to_owned(),
            "f:4: bridges.webhook.b.url: should have no placeholder before its path: hookhost must know the host before an \
             event happens"
                .to_owned(),
        ),
        (
            "rule_engine.rules.s { sql = \"SELECT FROM\", actions = [\"http:a\", \"mqtt:m\"] }".to_owned(),
            "f:4: rule_engine.rules.s.sql: ".to_owned(),
        ),
        (
            "rule_engine.rules.s { sql = \"SELECT * FROM t\", actions = [\"http:nope\", \"http:a\"] }".to_owned(),
            "f:4: rule_engine.rules.s.actions[0]: action `http:nope` is not defined; ".to_owned(),
        ),
    ] {
        let findings = beside(&text);
        let told = shown(&findings.left_out);
        assert_eq!(told.len(), 1, "{text}: {told:?}");
        assert!(told[0].starts_with(&left_out), "{told:?}");
    }
}

#[test]
fn nothing_starts_if_no_rule_is_left() {
    check(
        "f",
        "bridges.webhook.b { url = \"http://h/\", oauth2 { enable = true } }\n\
         rule_engine.rules.s { sql = \"SELECT * FROM t\", actions = [\"webhook:b\"] }\n",
        &[],
        &[
            "f:1: bridges.webhook.b.oauth2: needs token_endpoint",
            "f:1: bridges.webhook.b.oauth2: needs client_id",
            "f:1: bridges.webhook.b.oauth2: needs client_secret",
        ],
        &[
            "f:2: rule_engine.rules.s: sends nothing: each of its webhooks is disabled or has an error",
            "f:1: has no rules: no webhook will be sent",
        ],
    );
}

#[test]
fn a_rule_without_a_webhook_is_not_looked_at() {
    for (text, warnings) in [
        (
            "rule_engine.rules.k { sql = \"SELECT now_timestamp() as ts, * FROM \\\"t/#\\\"\", actions = [\"mqtt:m\"] }",
            vec!["f:4: rule_engine.rules.k: is left out: none of its actions is a webhook"],
        ),
        (
            "rule_engine.rules.k { sql = \"no SQL\", actions = [\"kafka_producer:m\", { function = \"my:own\" }], colour = 1 }\n\
             rule_engine.rules.l { actions = [] }",
            vec!["f:4: rule_engine.rules.k, rule_engine.rules.l: are left out: none of their actions is a webhook"],
        ),
        (
            "rule_engine.rules.k { enable = false, sql = 1, actions = [\"http:nope\"] }",
            vec![],
        ),
        (
            "connectors.http.off { enable = false, url = 1, oauth2 { enable = true } }",
            vec![],
        ),
        ("actions.http.off { enable = false, connector = nope }", vec![]),
        ("bridges.webhook.off { enable = false }", vec![]),
    ] {
        let findings = beside(text);
        assert_eq!(shown(&findings.left_out), [""; 0], "{text}");
        assert_eq!(all_warnings(&findings), warnings, "{text}");
    }
}

#[test]
fn what_is_not_carried_out_is_named_in_one_line() {
    let file = include_str!("../testdata/emqx58-dashboard.hocon");
    let findings = import("cluster.hocon", file, &[]).findings;
    assert_eq!(
        all_warnings(&findings),
        [
            "cluster.hocon:32: pool_type, enable_pipelining, start_after_created, start_timeout, health_check_interval, \
             versions, ciphers, depth, hibernate_after, reuse_sessions, secure_renegotiate, log_level, max_retries, \
             worker_pool_size, inflight_window, jq_function_default_timeout: have no meaning in hookhost",
        ]
    );
    assert_eq!((findings.problems, findings.left_out), (Vec::new(), Vec::new()));
    let warnings =
        beside("actions.http.a { fallback_actions = [{ kind = reference, type = http, name = b }] }").warnings;
    assert_eq!(
        shown(&warnings),
        [
            "f:4: actions.http.a.fallback_actions: is ignored: no other action is run if a request fails; the request is retried"
        ]
    );
    let warnings = beside("rule_engine.ssrf { enable = true, deny_hosts = [x] }").warnings;
    assert_eq!(
        shown(&warnings),
        ["f:4: rule_engine.ssrf: is ignored: hookhost sends to every host that this configuration names"]
    );
}
