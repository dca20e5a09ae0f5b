//! What files and variables have in common: includes, indices of lists, and values as users write them.

use super::*;

const CONNECTOR: &str =
    "connectors.http.h { url = \"http://h/\" }\nactions.http.h { connector = h, parameters { headers {} } }\n";

/// The actions of the rules for messages, each with the destination or the first URL that it sends to.
#[track_caller]
fn senders(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let (settings, _) = settings("f", text, variables);
    let rules = settings["webhook.rule"]["message_publish"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let name = |rule: &Json| match rule.get("destination") {
        Some(name) => name.as_str().unwrap().to_owned(),
        None => rule["urls"][0].as_str().unwrap().to_owned(),
    };
    rules.iter().map(name).collect()
}

#[test]
fn a_number_in_a_path_is_an_index() {
    let rule = "rule_engine.rules.r.sql = \"SELECT * FROM t\"\n";
    let more = "connectors.http.a { url = \"http://a/\" }\nactions.http.a { connector = a }\n";
    let file = format!("{CONNECTOR}{more}{rule}");
    for (text, variables, expected) in [
        (
            "",
            &[("EMQX_RULE_ENGINE__RULES__R__ACTIONS__1", "http:h")][..],
            vec!["h"],
        ),
        ("rule_engine.rules.r.actions.1 = \"http:a\"", &[], vec!["a"]),
        (
            "rule_engine.rules.r.actions { 2 = \"http:h\", 1 = \"http:a\" }",
            &[],
            vec!["a", "h"],
        ),
        (
            "",
            &[
                ("EMQX_RULE_ENGINE__RULES__R__ACTIONS__1__FUNCTION", "console"),
                ("EMQX_RULE_ENGINE__RULES__R__ACTIONS__2", "http:h"),
            ],
            vec!["stdout:", "h"],
        ),
        // Over a list of the file: an element is replaced, and one is added.
        (
            "rule_engine.rules.r.actions = [\"http:a\"]",
            &[("EMQX_RULE_ENGINE__RULES__R__ACTIONS__1", "http:h")],
            vec!["h"],
        ),
        (
            "rule_engine.rules.r.actions = [\"http:a\"]",
            &[("EMQX_RULE_ENGINE__RULES__R__ACTIONS__2", "http:h")],
            vec!["a", "h"],
        ),
        (
            "rule_engine.rules.r.actions = [\"http:a\"]\nrule_engine.rules.r.actions.2 = \"http:h\"",
            &[],
            vec!["a", "h"],
        ),
        (
            "rule_engine.rules.r.actions = [{ function = console }]",
            &[("EMQX_RULE_ENGINE__RULES__R__ACTIONS__02", "http:h")],
            vec!["stdout:", "h"],
        ),
        // An empty value takes an entry away.
        (
            "rule_engine.rules.r.actions = [\"http:a\", \"http:h\"]",
            &[("EMQX_RULE_ENGINE__RULES__R__ACTIONS__1", "\"\"")],
            vec!["h"],
        ),
        // Numbers elsewhere are names.
        (
            "rule_engine.rules.1 { sql = \"SELECT * FROM u\", actions = [\"http:a\"] }",
            &[("EMQX_RULE_ENGINE__RULES__R__ACTIONS", "http:h")],
            vec!["a", "h"],
        ),
    ] {
        assert_eq!(
            senders(&format!("{file}{text}"), variables),
            expected,
            "{text} {variables:?}"
        );
    }
    let gap = import("f", &format!("{file}rule_engine.rules.r.actions.2 = \"http:a\""), &[]);
    assert_eq!(
        shown(&gap.findings.problems),
        [
            "f:6: rule_engine.rules.r.actions.2: is element 2 of a list, which should have an element 1: counting begins at 1"
        ]
    );
}

#[test]
fn a_variable_can_be_a_whole_part() {
    let variables = [
        ("EMQX_CONNECTORS", "{http {h {url = \"http://h/\"}}}"),
        ("EMQX_ACTIONS", "{http {h {connector = h}}}"),
        (
            "EMQX_RULE_ENGINE",
            "{rules {r {sql = \"SELECT * FROM t\", actions = [\"http:h\"]}}}",
        ),
    ];
    assert_eq!(senders("", &variables), ["h"]);
    let file = format!(
        "{CONNECTOR}connectors.http.a.url = \"http://a/\"\nactions.http.a.connector = a\n\
         rule_engine.rules.r {{ sql = \"SELECT * FROM t\", actions = [\"http:h\"] }}"
    );
    let changed = [("EMQX_RULE_ENGINE", "{rules {r {actions = [\"http:a\"]}}}")];
    assert_eq!(senders(&file, &changed), ["a"]);
    let bridge = [("EMQX_BRIDGES", "{webhook {w {url = \"http://h/\", local_topic = t}}}")];
    assert_eq!(senders("", &bridge), ["w"]);
}

#[test]
fn republish_by_variables_is_one_action() {
    let text = format!("{CONNECTOR}rule_engine.rules.r {{ sql = \"SELECT * FROM t\", actions = [\"http:h\"] }}");
    let variables = [
        ("EMQX_RULE_ENGINE__RULES__R__ACTIONS__2__FUNCTION", "republish"),
        ("EMQX_RULE_ENGINE__RULES__R__ACTIONS__2__ARGS__TOPIC", "again"),
    ];
    let (settings, warnings) = settings("f", &text, &variables);
    let rules = settings["webhook.rule"]["message_publish"].as_array().unwrap();
    let urls: Vec<&Json> = rules.iter().map(|rule| &rule["urls"][0]).collect();
    let again = "mqtt:again?qos=${qos}&retain=${retain}&user_properties=${user_properties}";
    assert_eq!(urls, ["http://h/", again]);
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn republish_says_what_is_published() {
    let republished = |args: &str| {
        let text = format!(
            "rule_engine.rules.r {{ sql = \"SELECT * FROM t\", actions = [{{ function = republish, args {{ {args} }} }}] }}"
        );
        let import = import("f", &text, &[]);
        let rules = find(&import.settings, &["webhook", "rule"]).unwrap();
        let rules = rules.to_json(&Report::default(), JsonDates::Invalid);
        let rule = rules["message_publish"][0].clone();
        let findings = import.findings;
        (
            (rule["urls"][0].clone(), rule["body"].clone()),
            shown(&findings.problems),
            shown(&findings.warnings),
        )
    };
    let (rule, problems, warnings) = republished(
        "topic = \"a b/${clientid}\", qos = 1, retain = true, payload = \"${payload.t}\", user_properties = \"\"",
    );
    let url = "mqtt:a%20b/${clientid}?qos=1&retain=true&user_properties=";
    assert_eq!(
        (rule, problems, warnings),
        ((json!(url), json!("${payload.t}")), vec![], vec![])
    );
    let (rule, _, warnings) = republished(
        "topic = a, payload = \"\", direct_dispatch = false, \
         mqtt_properties { \"Content-Type\" = \"text/${payload.kind}\", \"Message-Expiry-Interval\" = 60 }",
    );
    let url = "mqtt:a?qos=${qos}&retain=${retain}&user_properties=${user_properties}&message_expiry_interval=60\
               &content_type=text/${payload.kind}";
    assert_eq!(rule, (json!(url), Json::Null), "all columns are the payload");
    assert_eq!(warnings, ["f:1: direct_dispatch: has no meaning in hookhost"]);
    let (_, problems, _) = republished("qos = 1");
    assert_eq!(problems, ["f:1: rule_engine.rules.r.actions[0].args: needs a topic"]);
    let (rule, problems, warnings) = republished("topic = a, user_properties = \"${pub_props.'User-Property'}\"");
    let url = "mqtt:a?qos=${qos}&retain=${retain}&user_properties=${original_user_properties}";
    assert_eq!(
        (rule, problems, warnings),
        ((json!(url), json!("${payload}")), vec![], vec![])
    );
    let (_, problems, _) = republished("topic = a, payload = \"\", user_properties = \"${pub_props.'User-Property'}\"");
    assert!(
        problems[0].contains("with FOREACH and with a payload of all columns"),
        "{problems:?}"
    );
    let (rule, problems, warnings) = republished("topic = a, user_properties = \"x ${a}\"");
    let url = "mqtt:a?qos=${qos}&retain=${retain}&user_properties=";
    assert_eq!((rule.0, problems), (json!(url), vec![]));
    assert!(warnings[0].contains("is ignored, as in EMQX 5"), "{warnings:?}");
}

#[test]
fn node_and_access_control_are_taken_from_file_and_variables() {
    let rule = format!("{CONNECTOR}rule_engine.rules.r {{ sql = \"SELECT * FROM t\", actions = [\"http:h\"] }}\n");
    let text = format!(
        "{rule}node {{ name = \"a@b\", cookie = c }}\nmqtt.max_inflight = 7\nauthentication = [{{ mechanism = scram }}]\n"
    );
    let (of_file, warnings) = settings("f", &text, &[]);
    assert_eq!(of_file["node.name"], json!("a@b"));
    assert_eq!(warnings, [""; 0]);
    let variables = [
        ("EMQX_NAME", "emqx"),
        ("EMQX_HOST", "10.0.0.1"),
        ("EMQX_ALLOW_ANONYMOUS", "false"),
    ];
    assert_eq!(settings("f", &text, &variables).0["node.name"], json!("emqx@10.0.0.1"));
    let lost = |text: &str, variables: &[(&str, &str)]| {
        let mut server = import("f", text, variables).server;
        let lost: Vec<Problem> = server
            .parts()
            .into_iter()
            .flat_map(|part| part.lost.drain(..))
            .collect();
        lost.first().map(|problem| problem.place.to_string())
    };
    assert_eq!(lost(&rule, &[]), None);
    assert_eq!(lost(&text, &[]).as_deref(), Some("f:6: authentication[0]"));
    assert_eq!(
        lost(&rule, &variables).as_deref(),
        Some("environment: EMQX_ALLOW_ANONYMOUS")
    );
    let file = "EMQX_WEB__HOOK__URL=http://h/\nEMQX_NODE_NAME=x@y\nEMQX_ACL_NOMATCH=deny\n";
    let (of_variables, warnings) = settings("f", file, &[]);
    assert_eq!(of_variables["node.name"], json!("x@y"));
    assert_eq!(warnings, ["f:1: has no rules: no webhook will be sent"]);
    let denied = import("f", file, &[]).server.rules.settings;
    let default = find(&denied, &["access", "default"]).unwrap();
    assert_eq!(
        (default.place.to_string().as_str(), default.as_text()),
        ("f:3: EMQX_ACL_NOMATCH", Some("deny"))
    );
    assert_eq!(
        lost(
            "allow_anonymous=false\nweb.hook.enable=true\nweb.hook.url=http://h\nacl_nomatch=allow\n",
            &[]
        )
        .as_deref(),
        Some("f:1: allow_anonymous")
    );
}

#[test]
fn an_included_file_belongs_to_the_configuration() {
    let files: &Files<'_> = &|path| match path.to_str() {
        Some("etc/webhooks/cluster.hocon") => Ok(format!(
            "include \"rules.hocon\"\n{CONNECTOR}connectors.http.h.pool_sise = 1\ninclude \"missing.hocon\""
        )
        .into_bytes()),
        Some("etc/webhooks/rules.hocon") => {
            Ok(b"rule_engine.rules.r { sql = \"SELECT * FROM t\", actions = [\"http:h\"] }".to_vec())
        }
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let import = import_with(
        "etc/emqx.conf",
        "node.name = \"emqx@h\"\ninclude \"webhooks/cluster.hocon\"",
        &[],
        files,
    );
    assert_eq!(
        (import.broker, shown(&import.findings.problems)),
        (Some(Broker::Emqx5), vec![])
    );
    assert_eq!(
        all_warnings(&import.findings),
        [
            "etc/webhooks/cluster.hocon:4: connectors.http.h.pool_sise: unknown key, ignored; the nearest known one is pool_size",
            "etc/webhooks/cluster.hocon:5: etc/webhooks/missing.hocon does not exist and is left out; include required(\"…\") makes this an error",
        ]
    );
    let included: Vec<_> = import.included.iter().map(|path| path.display().to_string()).collect();
    let expected = [
        "etc/webhooks/cluster.hocon",
        "etc/webhooks/rules.hocon",
        "etc/webhooks/missing.hocon",
    ];
    assert_eq!(included, expected);
    assert!(hookhost_settings::find(&import.settings, &["webhook", "rule", "message_publish"]).is_some());
}

#[test]
fn emqx4_includes_lines() {
    let files: &Files<'_> = &|path| match path.to_str() {
        Some("etc/plugins/emqx_web_hook.conf") => {
            Ok(b"web.hook.url = http://h/\nweb.hook.pol_size = 1\ninclude emqx.conf".to_vec())
        }
        Some("etc/plugins/emqx.conf") => Ok(b"include emqx_web_hook.conf".to_vec()),
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let rule = "web.hook.rule.client.connect.1 = {\"action\": \"on_client_connect\"}";
    let import = import_with(
        "etc/emqx.conf",
        &format!("{rule}\ninclude plugins/emqx_web_hook.conf"),
        &[],
        files,
    );
    assert_eq!(
        shown(&import.findings.problems),
        [
            "etc/plugins/emqx.conf:1: etc/plugins/emqx_web_hook.conf includes etc/plugins/emqx.conf includes \
             etc/plugins/emqx_web_hook.conf: a file must not include itself",
            "etc/plugins/emqx_web_hook.conf:2: web.hook.pol_size: unknown key; the nearest known one is web.hook.pool_size",
        ]
    );
    let included: Vec<_> = import.included.iter().map(|path| path.display().to_string()).collect();
    assert_eq!(included, ["etc/plugins/emqx_web_hook.conf", "etc/plugins/emqx.conf"]);
}

#[test]
fn values_stay_as_written() {
    let rule = "rule_engine.rules.r { sql = \"SELECT * FROM t\", actions = [\"http:h\"] }\n";
    let headers =
        "connectors.http.h.headers { x-a = 007, x-b = 1.0, x-c = \"007\", x-d = 1e3, x-e = 12, x-f = true }\n";
    let (settings, _) = settings(
        "f",
        &format!("{CONNECTOR}{rule}{headers}"),
        &[
            ("EMQX_CONNECTORS__HTTP__H__HEADERS__X-G", "007"),
            ("EMQX_CONNECTORS__HTTP__H__HEADERS__X-H", "\"\""),
        ],
    );
    assert_eq!(
        settings["destinations.h"]["headers"],
        json!({
            "x-a": "007", "x-b": "1.0", "x-c": "007", "x-d": "1e3", "x-e": "12", "x-f": "true", "x-g": "007", "x-h": "",
        })
    );
}

#[test]
fn two_quotes_in_a_variable_are_an_empty_value() {
    let rule = "EMQX_WEB__HOOK__RULE__CLIENT__CONNECT__1";
    let file = "web.hook.url = http://h/\nweb.hook.pool_size = 3\n\
                web.hook.rule.client.connect.1 = {\"action\": \"on_client_connect\"}\n\
                web.hook.rule.client.connected.1 = {\"action\": \"on_client_connected\"}\n";
    let (settings, warnings) = settings("f", file, &[(rule, "\"\""), ("EMQX_WEB__HOOK__POOL_SIZE", "''")]);
    assert_eq!(settings["webhook.rule"], json!({"client_connected": [{}]}));
    assert_eq!((settings.get("delivery.concurrency_limit"), warnings), (None, vec![]));
}

#[test]
fn variables_in_a_file_are_those_of_compose() {
    let text = "EMQX_WEB__HOOK__URL=\"http://h/#a\" # the receiver\n\
                EMQX_WEB__HOOK__POOL_SIZE=4 # connections\n\
                EMQX_WEB__HOOK__SSL__CACERTFILE=\"\"\n\
                EMQX_WEB__HOOK__RULE__CLIENT__CONNECT__1={\"action\": \"on_client_connect\"}\n";
    let (read, warnings) = settings("f", text, &[]);
    let expected = json!({
        "webhook.format": "emqx4",
        "webhook.urls": ["http://h/#a"],
        "webhook.rule": {"client_connect": [{}]},
        "delivery.concurrency_limit": 4,
    });
    assert_eq!((read, warnings), (expected, vec![]));
    check(
        "f",
        "- EMQX_WEB__HOOK__URL=http://h/\n- EMQX_WEB__HOOK__POOL_SIZE=4\n",
        &[],
        &[
            "f:1: should be NAME=value, without the \"- \" of a list in a compose file",
            "f:2: should be NAME=value, without the \"- \" of a list in a compose file",
            "f:1: web.hook.url is missing: requests have no URL",
        ],
        &[],
    );
}

#[test]
fn files_without_webhooks_load() {
    let variables = [
        ("EMQX_CONNECTORS__HTTP__C__URL", "http://h:1/"),
        ("EMQX_ACTIONS__HTTP__A__CONNECTOR", "c"),
        ("EMQX_RULE_ENGINE__RULES__R__SQL", "SELECT * FROM \"t/#\""),
        ("EMQX_RULE_ENGINE__RULES__R__ACTIONS__1", "http:a"),
    ];
    let emqx5 = "node { name = \"a@b\", cookie = c }\ncluster { name = emqxcl }\ndashboard { listeners.http { bind = 18083 } }\n";
    let (read, warnings) = settings("f", emqx5, &variables);
    assert_eq!(read["node.name"], "a@b");
    assert_eq!(read["webhook.rule"]["message_publish"][0]["topics"], json!(["t/#"]));
    assert_eq!(
        warnings,
        ["f:2: cluster, dashboard: are ignored: they are not about webhooks"]
    );
    let emqx4 = "cluster.name = emqxcl\nnode.name = a@b\nlistener.tcp.external = 0.0.0.0:1883\n";
    let variables = [
        ("EMQX_WEB__HOOK__URL", "http://h/"),
        (
            "EMQX_WEB__HOOK__RULE__CLIENT__CONNECTED__1",
            "{\"action\": \"on_client_connected\"}",
        ),
    ];
    let (read, warnings) = settings("f", emqx4, &variables);
    assert_eq!(read["webhook.urls"], json!(["http://h/"]));
    assert_eq!(read["node.name"], "a@b");
    assert_eq!(warnings, ["f:1: cluster: is ignored: it is not about webhooks"]);
    const NO_RULES: &str = "f:1: has no rules: no webhook will be sent";
    for (text, warnings) in [
        (
            emqx5,
            &[
                "f:2: cluster, dashboard: are ignored: they are not about webhooks",
                NO_RULES,
            ][..],
        ),
        (emqx4, &["f:1: cluster: is ignored: it is not about webhooks", NO_RULES]),
        (
            "listeners.tcp { bind = \"0.0.0.0:1883\" }\nhttp_server { port = 8081 }\n",
            &[
                "f:1: has no block `webhook`, so NanoMQ's hook is disabled",
                "f:2: http_server: is ignored: it is not about webhooks",
                NO_RULES,
            ],
        ),
    ] {
        check("f", text, &[], &[], warnings);
    }
}

#[test]
fn configurations_that_users_have_published_load() {
    for (text, warnings, rules) in [
        (
            include_str!("../testdata/users-emqx5-configmap.env"),
            1,
            json!({"client_connected": 1, "client_disconnected": 1}),
        ),
        (
            include_str!("../testdata/users-emqx50-bridges.hocon"),
            2,
            json!({"message_publish": 1}),
        ),
        (
            include_str!("../testdata/users-emqx58-lowercase.env"),
            0,
            json!({"message_publish": 1}),
        ),
    ] {
        let text = text.replace("@SINK@", "127.0.0.1:5656");
        let (settings, told) = settings("f", &text, &[]);
        let counts: Map<String, Json> = settings["webhook.rule"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(event, rules)| (event.clone(), rules.as_array().map_or(0, Vec::len).into()))
            .collect();
        assert_eq!(Json::Object(counts), rules, "{text}");
        assert_eq!(told.len(), warnings, "{told:#?}");
        assert_eq!(import("f", &text, &[]).findings.left_out, [], "{text}");
    }
}
