//! Settings of the server in small texts, as JSON. What clients may do with them is tested in the host.

mod rmqtt;

use std::path::Path;

use hookhost_settings::JsonDates;
use serde_json::{Value as Json, json};

use super::*;
use crate::{Environment, Input, TextFile, read};

const EMQX4: &str = "web.hook.url = http://h/\n";
const EMQX5: &str = "connectors.http.c { url = \"http://h/\" }\n";
const NANOMQ: &str = "webhook { url = \"http://h/\" }\n";

/// The settings of `home/etc/f`, which begins with its webhooks in line 1. `etc/c.pem` and `etc/k.pem` do not exist, but those
/// in `home/etc` and all other certificates do.
fn server(webhooks: &str, text: &str, variables: &[(&str, &str)]) -> ServerSettings {
    let file = TextFile {
        path: "home/etc/f".into(),
        text: format!("{webhooks}{text}\n"),
    };
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let environment: Environment = variables.collect();
    let files = |path: &Path| match path.to_str() {
        Some("etc/c.pem" | "etc/k.pem" | "missing.pem") => Err(std::io::ErrorKind::NotFound.into()),
        _ => Ok(Vec::new()),
    };
    let input = Input {
        file: Some(&file),
        environment: &environment,
        broker: None,
        urls: None,
        files: &files,
    };
    read(&input).expect("a configuration").server
}

fn json_of(part: Part) -> Json {
    assert_eq!(part.lost, []);
    let settings = Setting::new(Place::flag(""), Value::Table(part.settings));
    settings.to_json(&Report::default(), JsonDates::Text)
}

fn shown(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn a_request_has_the_content_type_and_the_url_of_its_broker() {
    for (rest, key, expected) in [
        ("", "encoding", "form"),
        ("auth_req.headers.content-type = application/json", "encoding", "json"),
        (
            "auth_req.headers.content-type = application/x-www-form-urlencoded",
            "encoding",
            "form",
        ),
        ("auth_req.content_type = x-www-form-urlencoded", "encoding", "form"),
        ("auth_req.content_type = json", "encoding", "json"),
        // Only parameters have placeholders there.
        ("auth_req.url = http://h/%c3%a9?u=%u", "url", "http://h/%c3%a9?u=%u"),
        ("auth_req = http://h/old", "url", "http://h/old"),
    ] {
        let url = if rest.contains("http:") {
            ""
        } else {
            "auth.http.auth_req.url = http://h/\n"
        };
        let rest = if rest.is_empty() {
            String::new()
        } else {
            format!("auth.http.{rest}")
        };
        let settings = json_of(server(EMQX4, &format!("{url}{rest}"), &[]).authentication);
        assert_eq!(settings["authentication"][0][key], expected, "{rest}");
    }
}

#[test]
fn claims_keep_their_names_and_are_not_replaced_by_their_switch() {
    let text = "auth.jwt.secret = x\nauth.jwt.verify_claims.userName = %u";
    let claims = |text: &str, variables: &[(&str, &str)]| {
        json_of(server(EMQX4, text, variables).authentication)["authentication"][0]["claims"].clone()
    };
    let expected = json!({"userName": "${username}"});
    assert_eq!(claims(text, &[]), expected);
    assert_eq!(claims(text, &[("EMQX_AUTH__JWT__VERIFY_CLAIMS", "on")]), expected);
    assert_eq!(claims(text, &[("EMQX_AUTH__JWT__VERIFY_CLAIMS", "off")]), Json::Null);
    let variable = [("EMQX_AUTH__JWT__VERIFY_CLAIMS__SUB", "%c")];
    assert_eq!(
        claims(text, &variable),
        json!({"sub": "${clientid}", "userName": "${username}"})
    );
}

#[test]
fn files_are_found_beside_the_configuration() {
    for (webhooks, text, path, expected) in [
        (
            EMQX4,
            "listener.ssl.external = 8883\nlistener.ssl.external.certfile = etc/c.pem\nlistener.ssl.external.keyfile = etc/k.pem",
            ["listener", "0", "certificate"],
            "home/etc/c.pem",
        ),
        (
            EMQX5,
            "listeners.ssl.default.ssl_options { certfile = \"${EMQX_ETC_DIR}/c.pem\", keyfile = \"k.pem\" }",
            ["listener", "0", "certificate"],
            "home/etc/c.pem",
        ),
        (
            EMQX5,
            "listeners.ssl.default.ssl_options { certfile = \"etc/other.pem\", keyfile = \"k.pem\", \
             cacertfile = \"etc/c.pem\", verify = verify_peer }",
            ["listener", "0", "client_ca"],
            "home/etc/c.pem",
        ),
        (
            EMQX4,
            "auth.jwt.pubkey = etc/c.pem",
            ["authentication", "0", "public_key"],
            "home/etc/c.pem",
        ),
        (
            EMQX5,
            "authentication = [{ mechanism = jwt, algorithm = public-key, public_key = \"etc/c.pem\" }]",
            ["authentication", "0", "public_key"],
            "home/etc/c.pem",
        ),
    ] {
        let server = server(webhooks, text, &[]);
        let part = match path[0] {
            "listener" => server.listeners,
            _ => server.authentication,
        };
        let settings = json_of(part);
        let found = settings.pointer(&format!("/{}", path.join("/")));
        assert_eq!(found, Some(&json!(expected)), "{text}: {settings}");
    }
}

#[test]
fn a_listener_with_an_unreadable_or_unsupported_key_is_not_opened() {
    let tls = "certfile = a, keyfile = b, cacertfile = c";
    for (webhooks, text, expected) in [
        (
            EMQX5,
            "listeners.tcp.a { bind = 1, proxy_protocol = yess }",
            "listeners.tcp.a.proxy_protocol: should be true or false",
        ),
        (
            EMQX5,
            "listeners.tcp.a { bind = 1, enable = flase }",
            "listeners.tcp.a.enable: should be true or false",
        ),
        (
            EMQX5,
            &format!("listeners.ssl.a {{ bind = 1, ssl_options {{ {tls}, verify = verify_peers }} }}"),
            "listeners.ssl.a.ssl_options.verify: should be verify_peer or verify_none",
        ),
        (
            EMQX5,
            &format!(
                "listeners.ssl.a {{ bind = 1, ssl_options {{ {tls}, verify = verify_peer, fail_if_no_peer_cert = ture }} }}"
            ),
            "listeners.ssl.a.ssl_options.fail_if_no_peer_cert: should be true or false",
        ),
        (
            NANOMQ,
            &format!("listeners.ssl {{ bind = \"0.0.0.0:1\", {tls}, verify_peer = ture }}"),
            "listeners.ssl.verify_peer: should be true or false",
        ),
        (
            EMQX5,
            "listeners.ssl.a { bind = 1, ssl_options { certfile = missing.pem, keyfile = b } }",
            "listeners.ssl.a.ssl_options.certfile: missing.pem cannot be read",
        ),
        (
            NANOMQ,
            "listeners.ssl { bind = \"0.0.0.0:1\", certfile = a, keyfile = b, cacertfile = missing.pem, verify_peer = true }",
            "listeners.ssl.cacertfile: missing.pem cannot be read",
        ),
        (
            EMQX4,
            "listener.ssl.a = 1\nlistener.ssl.a.certfile = a\nlistener.ssl.a.keyfile = b\nlistener.ssl.a.peer_cert_as_clientid = cn",
            "listener.ssl.a.peer_cert_as_clientid: is not supported",
        ),
    ] {
        let Part { settings, warnings, .. } = server(webhooks, text, &[]).listeners;
        let warnings = shown(&warnings);
        assert!(settings.is_empty(), "{text}: {settings:?}");
        let is_named = |line: &String| line.contains(expected) && line.ends_with("is not opened");
        assert!(warnings.iter().any(is_named), "{text}: {warnings:#?}");
    }
}

#[test]
fn the_highest_rate_of_connections_counts() {
    let rate = |webhooks: &str, text: &str| {
        let part = server(webhooks, text, &[]).listeners;
        let rate = hookhost_settings::find(&part.settings, &["mqtt", "max_connection_rate"]);
        (rate.map(|rate| rate.value.clone()), shown(&part.warnings))
    };
    let two = |one: &str, other: &str| {
        format!(
            "listeners.tcp.a {{ bind = 1, max_conn_rate = {one} }}\nlisteners.ws.b {{ bind = 2, max_conn_rate = {other} }}"
        )
    };
    let none = Vec::<String>::new;
    let rows = [
        (two("\"1000/s\"", "\"50/10s\""), Some(1_000), none()),
        (two("\"1/h\"", "7"), Some(7), none()),
        (two("infinity", "infinity"), None, none()),
        (
            "listeners.tcp.a { enable = false, bind = 1, max_conn_rate = 3 }".to_owned(),
            None,
            none(),
        ),
    ];
    for (text, expected, warnings) in rows {
        assert_eq!(rate(EMQX5, &text), (expected.map(Value::Integer), warnings), "{text}");
    }
    let (_, warnings) = rate(EMQX5, &two("fast", "fast"));
    assert!(
        warnings[0].contains("max_conn_rate: is ignored: \"fast\" is not a number"),
        "{warnings:?}"
    );
    let text = "listener.tcp.external = 1\nlistener.tcp.external.max_conn_rate = 1000";
    assert_eq!(rate(EMQX4, text), (Some(Value::Integer(1_000)), none()));
}

#[test]
fn nothing_is_dropped_silently() {
    let text = "listeners.tcp.a { bind = 1, acceptors = 4, enable_authn = false, tcp_options { nodelay = true } }\n\
                listeners.ssl.b { bind = 2, max_conn_rate = 3, ssl_options { certfile = a, keyfile = b, depth = 1 } }\n\
                listeners.tcp.c { bind = 3, authentication = [{ mechanism = jwt, enable = false }] }\n\
                mqtt { max_inflight = 7, keepalive_multiplier = 2, max_qos_allowed = 9 }\n\
                authentication { mechanism = password_based, backend = http, method = post, url = \"https://h/\", \
                headers { connection = keep-alive }, ssl { enable = true, verify = verify_peer, depth = 3 } }";
    let mut server = server(EMQX5, text, &[]);
    let lines = server.parts().map(|part| shown(&part.warnings));
    assert_eq!(
        lines,
        [
            vec!["home/etc/f:6: connection, depth: have no meaning in hookhost".to_owned()],
            vec![],
            vec![
                "home/etc/f:4: listeners.tcp.c: has authentication or rules of its own; the listener is not opened"
                    .to_owned(),
                "home/etc/f:3: depth, acceptors, enable_authn, tcp_options: have no meaning in hookhost".to_owned(),
                "home/etc/f:3: listeners.ssl.b.max_conn_rate: is ignored, because another listener has no such rate; \
                 max_connection_rate of [mqtt] is for all listeners"
                    .to_owned(),
            ],
            vec![
                "home/etc/f:5: mqtt.max_qos_allowed: should be between 0 and 2; it is ignored".to_owned(),
                "home/etc/f:5: keepalive_multiplier: has no meaning in hookhost".to_owned(),
            ],
        ]
    );
    assert_eq!(json_of(server.limits), json!({"mqtt": {"max_inflight": 7}}));
    // Variables, too.
    let variables = [("EMQX_MQTT__MAX_INFLIGHT", "9"), ("EMQX_MQTT__STRICT_MODE", "true")];
    let limits = self::server(EMQX4, "", &variables).limits;
    assert_eq!(
        shown(&limits.warnings),
        ["environment: EMQX_MQTT__STRICT_MODE: has no meaning in hookhost"]
    );
    assert_eq!(json_of(limits), json!({"mqtt": {"max_inflight": 9}}));
}

#[test]
fn a_missing_file_with_users_or_rules_is_a_lost_restriction() {
    for (text, users, rules) in [
        ("auth { allow_anonymous = true, acl { include \"missing.pem\" } }", 0, 1),
        (
            "auth { allow_anonymous = true, password = { include \"missing.pem\" } }",
            1,
            0,
        ),
        ("auth { allow_anonymous = true\ninclude \"missing.pem\"\n}", 1, 1),
        ("log { include \"missing.pem\" }\ninclude \"missing.pem\"", 0, 0),
    ] {
        let server = server_beside_nothing(text);
        let of_missing = |part: &Part| {
            let lines = shown(&part.lost);
            lines.iter().filter(|line| line.contains("does not exist")).count()
        };
        let found = (of_missing(&server.authentication), of_missing(&server.rules));
        assert_eq!(found, (users, rules), "{text}");
    }
}

/// The settings of a file of NanoMQ, without any other file.
fn server_beside_nothing(text: &str) -> ServerSettings {
    let file = TextFile {
        path: "nanomq.conf".into(),
        text: format!("{NANOMQ}{text}\n"),
    };
    let input = Input {
        file: Some(&file),
        environment: &Environment::new(),
        broker: None,
        urls: None,
        files: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    read(&input).expect("a configuration").server
}
