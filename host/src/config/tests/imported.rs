//! Access control and listeners of other brokers: what a client may do after its configuration is imported.
//!
//! No configuration may become more open. So each row is either refused at the start, with a line that names the place, or
//! lists what clients may do, and what not.

mod listeners;

use std::io;

use hookhost_access::rules::{Action, Operation};
use hookhost_access::{AccessControl, Login, Verdict};

use super::*;

const EMQX5: &str = "connectors.http.c { url = \"http://h/\" }\nactions.http.a { connector = c }\n\
    rule_engine.rules.r { sql = \"SELECT * FROM t\", actions = [\"http:a\"] }\n";
const EMQX4: &str =
    "web.hook.url = http://h/\nweb.hook.rule.client.connected.1 = {\"action\": \"on_client_connected\"}\n";
const NANOMQ: &str = "webhook { url = \"http://h/\", events = [{ event = \"on_client_connack\" }] }\n";

const RMQTT: &str = "urls = [\"http://h/\"]\nrule.client_connect = [{ action = \"a\" }]\n";

const ACL: &str = "{allow, {user, \"alice\"}, all, [\"plant/#\"]}.\n{deny, all, subscribe, [\"$SYS/#\"]}.\n";

/// The result of an import.
enum Expected {
    /// The host does not start; the line contains this text.
    Refused(&'static str),
    /// What clients may do (`+`) or not (`-`): `USER[:PASSWORD]` alone is a login, with `pub` or `sub` and a topic it is an
    /// operation of a client that is accepted.
    May(&'static [&'static str]),
    /// What the summary of access control says; for services, which tests of `hookhost-access` ask.
    Says(&'static str),
}
use Expected::{May, Refused, Says};

fn files(path: &std::path::Path) -> io::Result<Vec<u8>> {
    match path.to_str() {
        Some("etc/acl.conf" | "/etc/emqx/acl.conf") => Ok(ACL.as_bytes().to_vec()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn load(text: &str, own: &str, variables: &[(&str, &str)]) -> Result<Loaded, Vec<String>> {
    let inputs = Inputs {
        file: file("h.toml", own),
        webhook_file: file("etc/b.conf", text).filter(|_| !text.is_empty()),
        environment: environment(variables),
        ..Inputs::default()
    };
    read_with(&inputs, &files).map_err(|refused| shown(&refused.problems))
}

fn login(client: &str) -> Login<'_> {
    let (username, password) = match client.split_once(':') {
        Some((username, password)) => (username, Some(password.as_bytes())),
        None => (client, None),
    };
    Login {
        client_id: "c1",
        username: (username != "-").then_some(username),
        password,
        address: Some([10, 0, 0, 1].into()),
        certificate: None,
        will: None,
    }
}

async fn may(access: &AccessControl, what: &str) -> bool {
    let words: Vec<&str> = what.split(' ').collect();
    let Verdict::Accepted(client) = access.authenticate(login(words[0])).await else {
        return false;
    };
    let [_, action, topic] = words[..] else { return true };
    let action = if action == "pub" {
        Action::Publish
    } else {
        Action::Subscribe
    };
    let operation = Operation {
        action,
        topic,
        qos: 0,
        retain: false,
    };
    client.authorize(&operation).await.allowed
}

/// The difference between what the file and the variables lead to, and what is expected.
async fn difference(text: &str, variables: &[(&str, &str)], expected: &Expected) -> Option<String> {
    match (load(text, "", variables), expected) {
        (Err(problems), Refused(line)) => {
            let is_named = problems.iter().any(|problem| problem.contains(line));
            (!is_named).then(|| format!("expected {line}: {problems:#?}"))
        }
        (Ok(loaded), Says(line)) => {
            let summary = loaded.config.access.summary();
            (summary != *line).then(|| format!("expected {line}: {summary}"))
        }
        (Ok(loaded), May(expected)) => {
            let access = AccessControl::new(loaded.config.access.clone());
            for line in *expected {
                let (sign, what) = line.split_at(1);
                if may(&access, what).await != (sign == "+") {
                    return Some(format!("expected {line}: {}", loaded.config.access.summary()));
                }
            }
            None
        }
        (Ok(loaded), Refused(line)) => Some(format!(
            "expected {line}, but it starts: {}",
            loaded.config.access.summary()
        )),
        (Err(problems), _) => Some(format!("{problems:#?}")),
    }
}

/// Checks all rows, and reports all that differ.
async fn check_all<'r>(rows: impl IntoIterator<Item = (String, &'r [(&'r str, &'r str)], Expected)>) {
    let mut differences = Vec::new();
    for (text, variables, expected) in rows {
        if let Some(difference) = difference(&text, variables, &expected).await {
            differences.push(format!("{text} {variables:?}: {difference}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[tokio::test]
async fn emqx_5() {
    let jwt = "authentication = [{mechanism = jwt, from = password, algorithm = hmac-based, secret = \"x\", verify_claims {username = \"${username}\"}}]";
    let http = "authentication { mechanism = password_based, backend = http, method = post, url = \"http://h/auth\", \
        body { username = \"${username}\", password = \"${password}\" }, headers { \"X-Api\" = k } }";
    let file = "authorization { no_match = deny, sources = [{ type = file, path = \"${EMQX_ETC_DIR}/acl.conf\" }] }";
    let rows = [
        ("", May(&["+-", "+- pub a", "+- sub #"])),
        ("authentication = []", May(&["+-"])),
        (jwt, May(&["--", "-alice:secret"])),
        (jwt, Says("clients are checked by jwt; all topics are allowed")),
        (
            "authentication = [{mechanism = jwt, secret = x, enable = false}]",
            May(&["+-"]),
        ),
        // A key of EMQX 4 that EMQX 5 does not know.
        (
            "allow_anonymous = true\nauthentication = [{mechanism = jwt, secret = x}]",
            May(&["--", "-alice:secret"]),
        ),
        (
            "allow_anonymous = false\nauthentication = [{mechanism = jwt, secret = x}]",
            Says("clients are checked by jwt; all topics are allowed"),
        ),
        (
            "authentication = [{mechanism = jwt, use_jwks = true, endpoint = \"http://h/\", headers {authorization = k}}]",
            Refused("etc/b.conf:4: authentication[0].headers.authorization: is not supported"),
        ),
        (
            "authentication = [{mechanism = jwt, use_jwks = true, endpoint = \"http://h/\", headers {accept = \"application/json\"}}]",
            Says("clients are checked by jwt; all topics are allowed"),
        ),
        (
            "mqtt.use_username_as_clientid = true",
            Refused("etc/b.conf:4: mqtt.use_username_as_clientid: is not supported"),
        ),
        ("mqtt.use_username_as_clientid = false", May(&["+-"])),
        (
            "mqtt.peer_cert_as_clientid = cn",
            Refused("etc/b.conf:4: mqtt.peer_cert_as_clientid: is not supported"),
        ),
        ("mqtt.peer_cert_as_clientid = disabled", May(&["+-"])),
        (
            "zones.z.mqtt.use_username_as_clientid = true",
            Refused("zones.z.mqtt.use_username_as_clientid: is not supported"),
        ),
        (
            "authentication = [{mechanism = jwt, secret = x, allow_all = true}]",
            Refused("etc/b.conf:4: authentication[0].allow_all: unknown key"),
        ),
        (http, Says("clients are checked by http; all topics are allowed")),
        (
            "authentication = [{mechanism = password_based, backend = built_in_database}]",
            Refused("etc/b.conf:4: authentication[0].backend: is not supported: the users are in EMQX's database"),
        ),
        (
            "authentication = [{mechanism = password_based, backend = mysql}]",
            Refused("cannot check clients by `mysql`"),
        ),
        (
            "authentication = [{mechanism = scram, backend = built_in_database}]",
            Refused("the users are in EMQX's database"),
        ),
        (
            "authentication = {mechanism = gssapi}",
            Refused("cannot check clients by `gssapi`"),
        ),
        (
            "authentication = [{mechanism = jwt, secret = x}, {mechanism = password_based, backend = ldap}]",
            Refused("cannot check clients by `ldap`"),
        ),
        ("authentication = 1", Refused("authentication: should be a list")),
        (
            "authentication { mechanism = password_based, backend = http, url = \"http://h/\", body { a = \"${zone}\" } }",
            Refused("unknown placeholder ${zone}"),
        ),
        (
            file,
            May(&[
                "+alice",
                "+alice pub plant/a",
                "-alice pub a",
                "-bob pub plant/a",
                "-bob sub $SYS/x",
                "-bob sub #",
            ]),
        ),
        (
            "authorization { no_match = deny }",
            May(&["+bob", "-bob pub a", "-bob sub a"]),
        ),
        (
            "authorization { no_match = allow, sources = [] }",
            May(&["+bob pub a", "+bob sub #"]),
        ),
        (
            "authorization { sources = [{ type = file, path = \"/etc/emqx/acl.conf\" }] }",
            May(&["+bob pub a", "-bob sub $SYS/x", "-bob sub $SYS/#"]),
        ),
        (
            "authorization.sources = [{ type = file, path = \"/none\" }]",
            Refused("etc/b.conf:4: authorization.sources[0].path: cannot read /none"),
        ),
        (
            "authorization.sources = [{ type = file, rules = \"{allow, all}.\" }]",
            Refused("write them to a file"),
        ),
        (
            "authorization.sources = [{ type = built_in_database }]",
            Refused("no rules of the type `built_in_database`"),
        ),
        (
            "authorization.sources = [{ type = redis, enable = false }]",
            May(&["+bob pub a"]),
        ),
        (
            "authorization { no_match = deny, sources = [{ type = http, url = \"http://h/\", body { t = \"${topic}\" } }, { type = file, path = \"etc/acl.conf\" }] }",
            Says("every client is accepted; 2 access rules and a web service, other topics are denied"),
        ),
        (
            "authorization.sources = [{ type = http, url = \"http://h/\" }, { type = http, url = \"http://h/\" }]",
            Refused("there is another source of the type `http`"),
        ),
        ("authorization { no_match = maybe }", Refused("no_match")),
        (
            "authorization { sources = [], strict_mode = true }",
            Refused("unknown key"),
        ),
        (
            "listeners.tcp.default { bind = \"127.0.0.1:1883\", authentication = [{ mechanism = jwt, secret = x }] }",
            Refused("listeners: is not supported: hookhost accepts every client"),
        ),
        (
            "listeners.tcp.default { bind = \"127.0.0.1:1883\", access_rules = [\"deny 10.0.0.0/8\", \"allow all\"] }",
            Refused("listeners: is not supported: hookhost accepts every client"),
        ),
    ];
    check_all(rows.map(|(rest, expected)| (format!("{EMQX5}{rest}\n"), &[][..], expected))).await;
}

#[tokio::test]
async fn emqx_4() {
    let rows = [
        ("", May(&["+-", "+bob:x", "+bob pub a"])),
        (
            "allow_anonymous = true\nacl_nomatch = allow",
            May(&["+-", "+bob:x pub a"]),
        ),
        (
            "allow_anonymous = false",
            Refused("etc/b.conf:3: allow_anonymous: demands credentials"),
        ),
        (
            "zone.external.allow_anonymous = false\nallow_anonymous = true",
            Refused("zone.external.allow_anonymous: demands credentials"),
        ),
        (
            "zone.external.allow_anonymous = flase\nallow_anonymous = true",
            Refused("etc/b.conf:3: zone.external.allow_anonymous: should be true or false"),
        ),
        (
            "zone.external.acl_nomatch = dney\nacl_nomatch = allow\nacl_file = etc/acl.conf",
            Refused("etc/b.conf:3: zone.external.acl_nomatch"),
        ),
        (
            "zone.external.mountpoint = devices/%u/",
            Refused("etc/b.conf:3: zone.external.mountpoint: is not supported"),
        ),
        (
            "zone.external.use_username_as_clientid = true",
            Refused("etc/b.conf:3: zone.external.use_username_as_clientid: is not supported"),
        ),
        (
            "auth.user.1.username = alice",
            Refused("etc/b.conf:3: auth.user.1.username: needs username and password"),
        ),
        (
            "auth.user.1.username = alice\nauth.user.1.password = public\nauth.user.2.username = bob",
            Refused("etc/b.conf:5: auth.user.2.username: needs username and password"),
        ),
        (
            "auth.jwt.from = password",
            Refused("etc/b.conf:3: auth.jwt.from: needs secret, pubkey or jwks"),
        ),
        (
            "auth.jwt.secret = x\nauth.jwt.verify_claims.username = %u\nauth.jwt.verify_claims = maybe",
            Refused("auth.jwt.verify_claims: should be true or false"),
        ),
        (
            "auth.http.timeout = 5s",
            Refused("etc/b.conf:3: auth.http.timeout: needs auth_req or acl_req"),
        ),
        (
            "auth.http.auth_req = http://h/auth\nauth.http.auth_req.method = get\nauth.http.auth_req.params = username=%u",
            Says("clients are checked by http; all topics are allowed"),
        ),
        (
            "auth.http.auth_req.url = http://h/auth\nauth.http.auth_req.headers.content-type = text/plain",
            Refused("auth.http.auth_req.headers.content-type: is not supported"),
        ),
        ("acl_nomatch = deny", May(&["+bob", "-bob pub a"])),
        (
            "acl_file = etc/acl.conf\nacl_nomatch = deny\nacl_deny_action = disconnect",
            May(&["+alice pub plant/a", "-alice pub a", "-bob pub a"]),
        ),
        (
            "acl_file = etc/acl.conf\nacl_nomatch = allow",
            May(&["+bob pub a", "-bob sub $SYS/#"]),
        ),
        (
            "acl_file = etc/none.conf",
            Refused("etc/b.conf:3: acl_file: cannot read etc/none.conf"),
        ),
        (
            "auth.user.1.username = alice\nauth.user.1.password = public\nallow_anonymous = false",
            May(&["+alice:public", "-alice:wrong", "-alice", "-bob:x", "--"]),
        ),
        (
            "auth.user.1.username = alice\nauth.user.1.password = public\nallow_anonymous = true",
            May(&["+alice:public", "-alice:wrong", "+-"]),
        ),
        (
            "auth.client.1.clientid = c1\nauth.client.1.password = p",
            Refused("the plugin emqx_auth_client"),
        ),
        ("auth.mysql.server = db:3306", Refused("the plugin emqx_auth_mysql")),
        (
            "auth.jwt.secret = x\nauth.jwt.from = password",
            Says("clients are checked by jwt; all topics are allowed"),
        ),
        (
            "auth.jwt.secret = x\nauth.jwt.verify_claims = on\nauth.jwt.verify_claims.username = %u",
            May(&["--", "-alice:x"]),
        ),
        (
            "auth.jwt.secret = x\nauth.jwt.strange = 1",
            Refused("auth.jwt.strange: is not supported"),
        ),
        (
            "auth.http.auth_req.url = http://h/auth\nauth.http.auth_req.params = clientid=%c,username=%u,password=%P\n\
             auth.http.acl_req.url = http://h/acl\nauth.http.acl_req.method = get\nauth.http.acl_req.params = access=%A,topic=%t",
            Says("clients are checked by http; 0 access rules and a web service, other topics are denied"),
        ),
        (
            "auth.http.auth_req.url = http://h/auth\nauth.http.auth_req.params = cn=%C",
            Refused("has the placeholder %C"),
        ),
        ("auth.http.auth_req.url = nothing", Refused("auth.http.auth_req.url")),
    ];
    check_all(rows.map(|(rest, expected)| (format!("{EMQX4}{rest}\n"), &[][..], expected))).await;
}

#[tokio::test]
async fn nanomq() {
    let rules = "auth { no_match = deny, acl { rules = [\n{permit = allow, username = alice, action = pubsub, topics = [\"plant/#\"]}\n\
        {permit = \"allow\", ipaddr = \"127.0.0.1\", action = publish, topics = [\"a\"]}\n\
        {permit = deny, username = \"#\", action = subscribe, topics = [\"$SYS/#\"]}\n] } }";
    let old = "web.hook.enable = true\nweb.hook.url = http://h/\nweb.hook.rule.client.connack.1 = {\"action\": \"on_client_connack\"}\n";
    let rows = [
        (NANOMQ.to_owned(), May(&["+-", "+bob pub a"])),
        (
            format!("{NANOMQ}auth {{allow_anonymous = true, no_match = allow, deny_action = ignore}}"),
            May(&["+-", "+bob pub a"]),
        ),
        (
            format!("{NANOMQ}auth {{allow_anonymous = false}}"),
            Refused("auth.allow_anonymous: demands credentials"),
        ),
        (
            format!("{NANOMQ}auth {{allow_anonymous = false, password {{alice = public}}}}"),
            May(&["+alice:public", "-alice:wrong", "--", "-bob:public"]),
        ),
        (
            format!("{NANOMQ}auth {{password {{alice = public}}}}"),
            May(&["+alice:public", "--"]),
        ),
        (
            format!("{NANOMQ}{rules}"),
            May(&["+alice pub plant/a", "-alice pub a", "-bob pub a", "-bob sub $SYS/x"]),
        ),
        (
            format!("{NANOMQ}auth {{acl {{rules = [{{permit = allow, topics = [\"a\"]}}]}}}}"),
            May(&["+bob pub a", "+bob pub b"]),
        ),
        (
            format!("{NANOMQ}auth {{acl {{rules = [{{permit = deny, and = [{{username = bob}}]}}]}}}}"),
            Refused("auth.acl.rules[0].and: unknown key"),
        ),
        (
            format!("{NANOMQ}auth {{acl {{rules = [{{topics = [\"a\"]}}]}}}}"),
            Refused("needs permit"),
        ),
        (
            format!(
                "{NANOMQ}auth {{http_auth {{auth_req {{url = \"http://h/\", method = POST, params = {{username = \"%u\"}}}}}}}}"
            ),
            Says("clients are checked by http; all topics are allowed"),
        ),
        (
            format!("{NANOMQ}auth {{password {{a = b}}, http_auth {{auth_req {{url = \"http://h/\"}}}}}}"),
            Refused("is not supported beside users with passwords"),
        ),
        (
            format!("{NANOMQ}auth {{ldap = x}}"),
            Refused("auth.ldap: is not supported"),
        ),
        (
            format!("{NANOMQ}auth {{enable = flase, password {{alice = public}}}}"),
            Refused("etc/b.conf:2: auth.enable: should be true or false"),
        ),
        (
            format!("{NANOMQ}auth {{http_auth {{enable = flase, auth_req {{url = \"http://h/\"}}}}}}"),
            Refused("etc/b.conf:2: auth.http_auth.enable: should be true or false"),
        ),
        (
            format!("{old}allow_anonymous=true\nauth.1.login=alice"),
            Refused("etc/b.conf:5: auth.1.login: needs login and password"),
        ),
        (
            format!("{old}allow_anonymous=false\nauth.1.login=alice\nauth.1.password=public"),
            May(&["+alice:public", "-alice:x", "--"]),
        ),
        (
            format!(
                "{old}acl_nomatch=deny\nacl.rule.1={{\"permit\": \"allow\", \"username\": \"alice\", \"action\": \"publish\", \"topics\": [\"a\"]}}"
            ),
            May(&["+alice pub a", "-alice sub a", "-bob pub a"]),
        ),
        (
            format!("{old}acl_enable=false\nacl_nomatch=allow\nacl.rule.1={{\"permit\": \"deny\"}}"),
            May(&["+alice pub a"]),
        ),
        (
            format!("{old}auth.http.enable=false\nauth.http.auth_req.url=http://h/"),
            May(&["+-"]),
        ),
    ];
    check_all(rows.map(|(text, expected)| (text, &[][..], expected))).await;
}

#[tokio::test]
async fn variables() {
    let closed = || Refused("environment: EMQX_ALLOW_ANONYMOUS: demands credentials");
    let rows = [
        ("", &[("EMQX_ALLOW_ANONYMOUS", "false")][..], closed()),
        (EMQX5, &[("EMQX_ALLOW_ANONYMOUS", "false")], closed()),
        (EMQX4, &[("EMQX_ALLOW_ANONYMOUS", "false")], closed()),
        (
            NANOMQ,
            &[("EMQX_ALLOW_ANONYMOUS", "false")],
            Refused("environment: EMQX_ALLOW_ANONYMOUS: is not supported"),
        ),
        (
            NANOMQ,
            &[("NANOMQ_ALLOW_ANONYMOUS", "false")],
            Refused("environment: NANOMQ_ALLOW_ANONYMOUS: demands credentials"),
        ),
        (EMQX5, &[("EMQX_ALLOW_ANONYMOUS", "true")], May(&["+-"])),
        (
            "",
            &[
                ("EMQX_AUTHENTICATION__1__MECHANISM", "jwt"),
                ("EMQX_AUTHENTICATION__1__SECRET", "x"),
            ],
            Says("clients are checked by jwt; all topics are allowed"),
        ),
        (
            EMQX5,
            &[
                ("EMQX_AUTHENTICATION__1__MECHANISM", "jwt"),
                ("EMQX_AUTHENTICATION__1__SECRET", "x"),
                (
                    "EMQX_AUTHENTICATION__1__VERIFY_CLAIMS",
                    "{\"username\": \"${username}\"}",
                ),
                ("EMQX_AUTHORIZATION__NO_MATCH", "deny"),
            ],
            Says("clients are checked by jwt; no topic is allowed"),
        ),
        (
            EMQX5,
            &[("EMQX_AUTHENTICATION", "[{mechanism = jwt, secret = x}]")],
            May(&["--"]),
        ),
        (
            EMQX5,
            &[("EMQX_AUTHENTICATION", "nothing")],
            Refused("environment: EMQX_AUTHENTICATION: should be a list"),
        ),
        (
            EMQX5,
            &[("EMQX_AUTHENTICATION__1__ENABLE", "true")],
            Refused("environment: EMQX_AUTHENTICATION__1__ENABLE"),
        ),
        (
            EMQX5,
            &[
                ("EMQX_AUTHORIZATION__SOURCES__2__TYPE", "http"),
                ("EMQX_AUTHORIZATION__SOURCES__2__URL", "http://h/"),
            ],
            Refused("EMQX has a file acl.conf as its first source"),
        ),
        (
            EMQX5,
            &[
                ("EMQX_AUTHORIZATION__SOURCES__1__TYPE", "file"),
                ("EMQX_AUTHORIZATION__SOURCES__1__PATH", "etc/acl.conf"),
            ],
            May(&["-bob sub $SYS/#", "+bob pub a"]),
        ),
        ("", &[("EMQX_ACL_NOMATCH", "deny")], May(&["+bob", "-bob pub a"])),
        (
            "",
            &[("EMQX_LOADED_PLUGINS", "emqx_management,emqx_auth_mnesia")],
            Refused("EMQX_LOADED_PLUGINS"),
        ),
        (
            "",
            &[
                ("EMQX_AUTH__USER__1__USERNAME", "alice"),
                ("EMQX_AUTH__USER__1__PASSWORD", "p"),
            ],
            May(&["+alice:p", "-alice:x", "--"]),
        ),
        (
            "",
            &[("EMQX_AUTH__MYSQL__SERVER", "db:3306")],
            Refused("the plugin emqx_auth_mysql"),
        ),
        (
            "",
            &[
                ("EMQX_LOADED_PLUGINS", "emqx_management,emqx_auth_http"),
                ("EMQX_AUTH__HTTP__AUTH_REQ__URL", "http://h/"),
            ],
            Says("clients are checked by http; all topics are allowed"),
        ),
        (
            EMQX4,
            &[
                ("EMQX_LOADED_PLUGINS", "emqx_auth_mnesia,emqx_auth_http"),
                ("EMQX_AUTH__HTTP__AUTH_REQ__URL", "http://h/"),
            ],
            Refused("environment: EMQX_LOADED_PLUGINS: lists emqx_auth_mnesia"),
        ),
        (
            EMQX4,
            &[
                ("EMQX_LOADED_PLUGINS", "emqx_auth_mnesia emqx_web_hook"),
                ("EMQX_AUTH__USER__1__USERNAME", "alice"),
                ("EMQX_AUTH__USER__1__PASSWORD", "p"),
            ],
            May(&["+alice:p", "-alice:x", "--"]),
        ),
        (
            "",
            &[("EMQX_AUTH__USER__1__PASSWORD", "p")],
            Refused("environment: EMQX_AUTH__USER__1__PASSWORD: needs username and password"),
        ),
        (
            RMQTT,
            &[("RMQTT_PLUGIN_RMQTT_AUTH_HTTP_HTTP_AUTH_REQ", "x")],
            Refused("RMQTT_PLUGIN_RMQTT_AUTH_HTTP_HTTP_AUTH_REQ: is not supported"),
        ),
        (
            "",
            &[
                ("RMQTT_PLUGIN_RMQTT_WEB_HOOK_URLS", "http://h/"),
                ("RMQTT_PLUGIN_RMQTT_ACL_RULES", "x"),
            ],
            Refused("RMQTT_PLUGIN_RMQTT_ACL_RULES: is not supported"),
        ),
        (
            RMQTT,
            &[("EMQX_ALLOW_ANONYMOUS", "false")],
            Refused("environment: EMQX_ALLOW_ANONYMOUS: is not supported"),
        ),
        (
            "",
            &[("RMQTT_PLUGIN_RMQTT_ACL_RULES", "x")],
            Refused("RMQTT_PLUGIN_RMQTT_ACL_RULES"),
        ),
    ];
    check_all(rows.map(|(text, variables, expected)| (text.to_owned(), variables, expected))).await;
}

#[tokio::test]
async fn settings_of_hookhost_replace_a_part() {
    let database = format!(
        "{EMQX5}authentication = [{{mechanism = password_based, backend = built_in_database}}]\nauthorization.no_match = deny\n"
    );
    let users = "[[authentication]]\nsource = \"password\"\nusers = { alice = \"p\" }\n";
    let with = |own: &str| load(&database, own, &[]);
    assert!(with("").is_err());
    let loaded = with(users).unwrap();
    let replaced = "h.toml:1: authentication: is used instead of what etc/b.conf:4: authentication[0].backend says";
    assert!(
        shown(&loaded.warnings).contains(&replaced.to_owned()),
        "{:#?}",
        loaded.warnings
    );
    let access = AccessControl::new(loaded.config.access);
    assert!(may(&access, "alice:p").await && !may(&access, "bob").await);
    assert!(!may(&access, "alice:p pub a").await, "the rules of the file stay");
    let rules = format!("{users}[access]\ndefault = \"allow\"\n");
    let access = AccessControl::new(with(&rules).unwrap().config.access);
    assert!(may(&access, "alice:p pub a").await);
    let loaded = with("[webhook]\nignore_access_control = true\n").unwrap();
    assert_eq!(
        loaded.config.access.summary(),
        "every client is accepted; all topics are allowed"
    );
    let warned = shown(&loaded.warnings);
    assert!(
        warned
            .iter()
            .any(|line| line.contains("the users are in EMQX's database")),
        "{warned:#?}"
    );
    let gateway = "[broker]\nengine = \"gateway\"\nupstream = \"mqtt://h:1\"\n";
    assert!(
        with(gateway)
            .unwrap()
            .config
            .access
            .summary()
            .starts_with("every client is accepted")
    );
}

#[tokio::test]
async fn anonymous_clients_need_the_consent_of_both() {
    let users = "auth.user.1.username = a\nauth.user.1.password = b\n";
    for (theirs, own, is_accepted) in [
        ("true", "true", true),
        ("true", "false", false),
        ("false", "true", false),
        ("false", "false", false),
    ] {
        let text = format!("{EMQX4}allow_anonymous = {theirs}\n{users}");
        let loaded = load(&text, &format!("[mqtt]\nallow_anonymous = {own}\n"), &[]).unwrap();
        let access = AccessControl::new(loaded.config.access);
        assert_eq!(may(&access, "-").await, is_accepted, "{theirs} {own}");
    }
}
