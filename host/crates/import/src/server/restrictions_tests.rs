use std::path::Path;

use super::*;

const CLIENTS: &str = "accepts every client, with any password or none";
const TOPICS: &str = "lets every client publish and subscribe to every topic";
const BOTH: &str = "accepts every client, with any password or none, and lets it publish and subscribe to every topic";

/// The place and what is open of the line about some variables.
fn of_variables(variables: &[(&str, &str)]) -> Option<(String, String)> {
    let mut access = Restrictions::default();
    for (name, value) in variables {
        access.variable(name, value, &Place::variable(*name));
    }
    shown(access)
}

fn shown(access: Restrictions) -> Option<(String, String)> {
    let (problem, ..) = access.problem()?;
    let open = problem.text.split("hookhost ").nth(1).unwrap();
    Some((problem.place.to_string(), open.to_owned()))
}

#[test]
fn variables_that_restrict_clients() {
    for (name, value, open) in [
        ("EMQX_ALLOW_ANONYMOUS", "false", Some(CLIENTS)),
        ("EMQX_ALLOW_ANONYMOUS", "true", None),
        ("EMQX_ACL_NOMATCH", "deny", Some(TOPICS)),
        ("EMQX_ACL_NOMATCH", "allow", None),
        ("EMQX_LOADED_PLUGINS", "emqx_management,emqx_auth_http", Some(BOTH)),
        ("EMQX_LOADED_PLUGINS", "emqx_management,emqx_web_hook", None),
        ("EMQX_AUTH__USER__1__USERNAME", "alice", Some(CLIENTS)),
        ("EMQX_AUTH__MYSQL__SERVER", "db:3306", Some(BOTH)),
        ("EMQX_AUTHENTICATION__1__MECHANISM", "jwt", Some(CLIENTS)),
        ("EMQX_AUTHENTICATION", "[{mechanism = jwt}]", Some(CLIENTS)),
        ("EMQX_AUTHENTICATION", "[]", None),
        ("EMQX_AUTHENTICATION", "[{mechanism = jwt, enable = false}]", None),
        ("EMQX_AUTHORIZATION__NO_MATCH", "deny", Some(TOPICS)),
        ("EMQX_AUTHORIZATION__NO_MATCH", "allow", None),
        ("EMQX_AUTHORIZATION__CACHE__ENABLE", "true", None),
        ("EMQX_AUTHORIZATION__SOURCES__2__URL", "http://h/", Some(TOPICS)),
        (
            "EMQX_LISTENERS__TCP__DEFAULT__ACCESS_RULES",
            "[\"deny all\"]",
            Some(CLIENTS),
        ),
        ("EMQX_LISTENERS__TCP__DEFAULT__ACCESS_RULES", "[\"allow all\"]", None),
        ("EMQX_LISTENERS__TCP__DEFAULT__BIND", "1883", None),
        ("NANOMQ_ALLOW_ANONYMOUS", "false", Some(CLIENTS)),
        ("RMQTT_PLUGIN_RMQTT_ACL_RULES", "x", Some(TOPICS)),
        ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_URLS", "x", None),
        ("ALLOW_ANONYMOUS", "false", None),
    ] {
        let expected = open.map(|open| (format!("environment: {name}"), open.to_owned()));
        assert_eq!(of_variables(&[(name, value)]), expected, "{name}={value}");
    }
    assert_eq!(
        of_variables(&[
            ("EMQX_AUTHENTICATION__1__MECHANISM", "jwt"),
            ("EMQX_AUTHENTICATION__1__ENABLE", "false")
        ]),
        None
    );
    let many = of_variables(&[("EMQX_ALLOW_ANONYMOUS", "false"), ("EMQX_ACL_NOMATCH", "deny")]);
    let names = "environment: EMQX_ACL_NOMATCH, EMQX_ALLOW_ANONYMOUS".to_owned();
    assert_eq!(many, Some((names, BOTH.to_owned())));
}

#[test]
fn parts_of_files_that_restrict_clients() {
    for (text, expected) in [
        (
            "authentication = [{mechanism = jwt}]",
            Some(("authentication", CLIENTS)),
        ),
        ("authentication = []", None),
        ("authorization {no_match = allow, sources = []}", None),
        ("authorization {no_match = deny}", Some(("authorization", TOPICS))),
        (
            "authorization.sources = [{type = file}]\nauthentication {mechanism = jwt}",
            Some(("authentication, authorization", BOTH)),
        ),
        ("authorization.sources = [{type = file, enable = false}]", None),
        (
            "listeners.tcp.default.authentication = [{mechanism = jwt}]",
            Some(("listeners", CLIENTS)),
        ),
        ("listeners.tcp.default.bind = 1883", None),
        // NanoMQ
        (
            "auth {allow_anonymous = true, no_match = allow, deny_action = ignore}",
            None,
        ),
        ("auth {allow_anonymous = false}", Some(("auth", CLIENTS))),
        ("auth {password {admin = public}}", Some(("auth", CLIENTS))),
        ("auth {acl {rules = [{permit = allow}]}}", None),
        (
            "auth {acl {rules = [{permit = deny, username = bob}]}}",
            Some(("auth", TOPICS)),
        ),
        (
            "auth {http_auth {auth_req {url = \"http://h/\"}}}",
            Some(("auth", BOTH)),
        ),
    ] {
        let place = Place::line(Path::new("f"), 1, "");
        let Value::Table(parts) = hocon::read_value(&place, &format!("{{{text}}}")).unwrap().value else {
            panic!("a table: {text}")
        };
        let mut access = Restrictions::default();
        access.parts(&parts);
        let expected = expected.map(|(key, open)| (format!("f:1: {key}"), open.to_owned()));
        assert_eq!(shown(access), expected, "{text}");
    }
}
